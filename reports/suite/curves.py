"""What methods hold over time, over all benchmarks: mean regret, mean rank, and the share of targets that are reached.

Time is a fraction of each benchmark's budget. All bands are pointwise 95 % bootstrap intervals for this suite: seeds
drawn anew within each benchmark.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.incumbent import Floats, at
from reports.intervals import Interval
from reports.statistics import ranks as ranking
from reports.statistics.aggregates import mean
from reports.statistics.bootstrap import resample
from reports.statistics.steps import grid
from reports.statistics.targets import share_reached, time_to
from reports.suite.aggregates import FEWEST, SEED
from reports.suite.selection import Ground, Path, Selection

REPLICATES = 1000
"""Enough for a band that is looked at; no number is read off it."""
COLUMNS = ["arm", "time", "center", "low", "high"]
TIMES = grid(1.0)


def regrets(selection: Selection) -> pd.DataFrame:
    """The geometric mean of the normalised regret over time: columns arm, time, center, low, high."""
    return _banded(selection, np.log(_held(selection))) if selection.arms else pd.DataFrame(columns=COLUMNS)


def ranks(selection: Selection) -> pd.DataFrame:
    """The mean rank over time, 1 the best, ties sharing theirs: columns arm, time, center, low, high.

    A rank is taken within each block, averaged over the seeds of a benchmark, then over benchmarks.
    """
    if not selection.arms:
        return pd.DataFrame(columns=COLUMNS)
    return _banded(selection, ranking.ranks(_held(selection)), logs=False)


def targets(selection: Selection) -> pd.DataFrame:
    """The share of targets reached by each time, every benchmark counting the same: columns as of `regrets`."""
    if not selection.arms or not all(selection.grounds[name].targets for name in selection.benchmarks):
        return pd.DataFrame(columns=COLUMNS)
    return _banded(selection, selection.each(_shares), logs=False)


def _shares(path: Path, ground: Ground) -> Floats:
    times = [time_to(path.times, path.losses, level, path.end) for level in ground.targets.values()]
    return share_reached(np.array(times), TIMES)


def _held(selection: Selection) -> Floats:
    """The regret of each study at each time, 1 before its first incumbent: shape (arms, blocks, times)."""
    return np.nan_to_num(selection.each(lambda path, _: at(path.times, path.regrets, TIMES)), nan=1.0)


def _banded(selection: Selection, values: Floats, *, logs: bool = True) -> pd.DataFrame:
    found = resample(values, selection.where, mean, np.random.default_rng(SEED), replicates=REPLICATES).interval()
    if int(selection.where.seeds.min()) < FEWEST:  # what is drawn anew from one seed is that seed
        found = Interval(found.center, np.full_like(found.low, np.nan), np.full_like(found.high, np.nan))
    shown = found.exp() if logs else found
    parts = [
        pd.DataFrame({"arm": arm, "time": TIMES, "center": center, "low": low, "high": high})
        for arm, center, low, high in zip(selection.arms, *shown, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)
