"""How long methods take to reach targets: expected running times, with the shares of studies that reached them.

Times are fractions of a benchmark's budget. A target of a suite is the same share of each benchmark's configs, and its
expected running time over benchmarks is the time of all studies together over the hits of all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from reports.statistics.targets import expected_running_time, median_time, time_to
from reports.suite.selection import Selection

EVERY = "all"
"""Stands for all benchmarks in the column `benchmark`."""
COLUMNS = ["benchmark", "target", "arm", "studies", "reached", "expected", "median"]


def table(selection: Selection) -> pd.DataFrame:
    """Every target of every benchmark, and of all of them together.

    Columns: benchmark (or `all`), target, arm, studies, reached (so many of them), expected (running time), median
    (time, by Kaplan and Meier); both are infinite where too few reached it.
    """
    found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    names = selection.block_benchmarks()
    wanted = list(dict.fromkeys(t for name in selection.benchmarks for t in selection.grounds[name].targets))
    for benchmark in (EVERY, *selection.benchmarks):
        for target in wanted:
            for arm in selection.arms:
                for path, name in zip(selection.paths[arm], names, strict=True):
                    level = selection.grounds[name].targets.get(target)
                    if level is not None and benchmark in (EVERY, name):
                        time = time_to(path.times, path.losses, level, path.end)
                        found.setdefault((benchmark, target, arm), []).append((time, path.end))
    return pd.DataFrame([_row(*key, np.array(studies)) for key, studies in found.items()], columns=COLUMNS)


def _row(benchmark: str, target: str, arm: str, studies: Any) -> dict[str, Any]:
    times, ends = studies[:, 0], studies[:, 1]
    return {
        "benchmark": benchmark,
        "target": target,
        "arm": arm,
        "studies": len(times),
        "reached": int(np.isfinite(times).sum()),
        "expected": expected_running_time(times, ends),
        "median": float(median_time(times, ends)[0]),
    }
