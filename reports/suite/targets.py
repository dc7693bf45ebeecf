"""How long methods take to reach targets: expected running times, the shares of studies that reached them, speed-ups.

Times are fractions of a benchmark's budget. A target of a suite is the same share of each benchmark's configs, and its
expected running time over benchmarks is the time of all studies together over the hits of all. A speed-up is against
the first arm, as all that a method is held against in the main table.

A study that ended before its budget, by a failure or because nothing was left to try, would have reached no further
target: medians count it until the budget among those that have not. An expected running time, in which it is started
anew, counts the time that it took.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from reports.incumbent import Floats
from reports.intervals import LEVEL
from reports.statistics.blocks import blocks
from reports.statistics.bootstrap import over_seeds
from reports.statistics.targets import expected_running_time, median_time, speed_up, time_to
from reports.suite.aggregates import FEWEST, SEED
from reports.suite.selection import Selection

EVERY = "all"
"""Stands for all benchmarks in the column `benchmark`."""
REPLICATES = 1000
COLUMNS = [
    *("benchmark", "target", "arm", "studies", "reached", "expected", "median"),
    *("speed_up", "speed_up_low", "speed_up_high"),
]


def table(selection: Selection) -> pd.DataFrame:
    """Every target of every benchmark, and of all of them together.

    Columns: benchmark (or `all`), target, arm, studies, reached (so many of them), expected (running time), median
    (time by which half of the studies reached it); both are infinite where too few did; speed_up: how many times
    sooner than the first arm, by the medians, infinite where only the arm has one and 0 where only the first has; over
    all benchmarks with a 95 % bootstrap interval for these.
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
    draws = {target: _draws(selection, target) for target in wanted}
    return pd.DataFrame(
        [
            _row(key, np.array(studies), np.array(found[*key[:2], selection.arms[0]]), draws[key[1]])
            for key, studies in found.items()
        ],
        columns=COLUMNS,
    )


def _row(key: tuple[str, str, str], studies: Floats, first: Floats, draws: Floats) -> dict[str, Any]:
    """A row of the table: of studies and of those of the first arm, times and ends, shape (studies, 2).

    key: benchmark, target, arm; draws: of the studies on all benchmarks.
    """
    (benchmark, target, arm), (times, ends) = key, studies.T
    budgets = np.ones(len(times))
    pair = ((times, budgets), (first[:, 0], budgets))
    low, high = _interval(speed_up(*pair, draws)) if benchmark == EVERY and len(draws) else (np.nan, np.nan)
    return {
        "benchmark": benchmark,
        "target": target,
        "arm": arm,
        "studies": len(times),
        "reached": int(np.isfinite(times).sum()),
        "expected": expected_running_time(times, ends),
        "median": float(median_time(times, budgets)[0]),
        "speed_up": float(speed_up(*pair)[0]),
        "speed_up_low": low,
        "speed_up_high": high,
    }


def _draws(selection: Selection, target: str) -> Floats:
    """Weights of the blocks that have a target, seeds drawn anew within each benchmark.

    None with one seed, nor on a single benchmark: no bootstrap of so few is trusted.
    """
    names = [name for name in selection.block_benchmarks() if target in selection.grounds[name].targets]
    where = blocks(np.array(names))
    if int(where.seeds.min()) < FEWEST or where.benchmarks < 2:
        return np.empty((0, len(names)))
    return over_seeds(where, REPLICATES, np.random.default_rng(SEED))


def _interval(ratios: Floats) -> tuple[float, float]:
    """The 95 % percentile interval of ratios, infinite ones among them; NaN where many draws have none."""
    known = np.sort(ratios[~np.isnan(ratios)])
    if len(known) < LEVEL * len(ratios):
        return np.nan, np.nan
    tail = round((1 - LEVEL) / 2 * (len(known) - 1))
    return float(known[tail]), float(known[-1 - tail])
