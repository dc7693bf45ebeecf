"""One number a method over all benchmarks, with two intervals: for this suite, and for benchmarks like these.

Every number is a mean that counts each benchmark the same, or, in the interval for benchmarks like these, each family.
On a single benchmark the interval is the t interval over its seeds: no bootstrap of so few is trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reports.incumbent import Floats
from reports.intervals import Interval, mean
from reports.statistics import aggregates
from reports.statistics.blocks import Blocks
from reports.statistics.bootstrap import Scheme, over_families, over_seeds, resample_each
from reports.suite.selection import Ground, Path, Selection

SEED = 20_260
"""Of all bootstraps: the same blocks are always drawn alike."""
FEWEST = 2
"""Seeds, and families, below which nothing is known of their spread."""
ENOUGH = 10
"""Seeds from which a bootstrap over a suite covers about what it says (measured: 3 seeds .87, 5 .90, 10 .94)."""


@dataclass(frozen=True)
class Quantity:
    """A number that each study has, and how it is brought to one over all benchmarks.

    of: a study's number; statistic: of `reports.statistics.aggregates`; back: from the scale on which means are taken
    to the one that is shown; smooth: whether the statistic is a plain mean, so that a t interval holds for it.
    """

    name: str
    of: Callable[[Path, Ground], float]
    statistic: aggregates.Statistic = aggregates.mean
    back: Callable[[Any], Any] = float
    smooth: bool = True


COLUMNS = ["arm", "quantity", "center", "low", "high", "low_families", "high_families"]


def table(selection: Selection, quantities: Sequence[Quantity]) -> pd.DataFrame:
    """Every quantity of every arm: columns arm, quantity, center, low, high, low_families, high_families.

    low and high are of this suite, NaN with one seed; those of families are NaN where there are fewer than two. All are
    NaN where a quantity of one of the arm's studies is not known.
    """
    if not selection.arms:
        return pd.DataFrame(columns=COLUMNS)
    values = [selection.each(quantity.of) for quantity in quantities]
    suites, families = (intervals(values, selection.where, quantities, each) for each in (over_seeds, over_families))
    rows: list[dict[str, Any]] = []
    for quantity, suite, family in zip(quantities, suites, families, strict=True):
        for place, arm in enumerate(selection.arms):
            center, low, high = (float(quantity.back(part[place])) for part in suite)
            row = {"arm": arm, "quantity": quantity.name, "center": center, "low": low, "high": high}
            row |= {f"{end}_families": float(quantity.back(part[place])) for end, part in _ends(family)}
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def intervals(each: Sequence[Floats], where: Blocks, quantities: Sequence[Quantity], scheme: Scheme) -> list[Interval]:
    """Each quantity of each arm over all blocks, with the interval that a scheme of resampling gives.

    each: of every quantity, shape (arms, blocks). NaN ends where the scheme can give none: one seed, one family, or a
    single benchmark with a statistic that is no plain mean.
    """
    if int(where.seeds.min()) < FEWEST or (scheme is over_families and where.families < FEWEST):
        return [_unknown(values, where, quantity) for values, quantity in zip(each, quantities, strict=True)]
    if where.benchmarks == 1:
        return [_alone(values, where, quantity) for values, quantity in zip(each, quantities, strict=True)]
    of = [(values, quantity.statistic) for values, quantity in zip(each, quantities, strict=True)]
    return [found.interval() for found in resample_each(of, where, np.random.default_rng(SEED), scheme=scheme)]


def _alone(values: Floats, where: Blocks, quantity: Quantity) -> Interval:
    """The t interval over the seeds of the only benchmark, where the statistic is a mean."""
    if not quantity.smooth:
        return _unknown(values, where, quantity)
    found = [mean(row) for row in values]  # arm by arm: a sum over all at once may round with their number
    return Interval(*(np.array(part) for part in zip(*found, strict=True)))


def _unknown(values: Floats, where: Blocks, quantity: Quantity) -> Interval:
    weights = where.suite_weights()[None]
    center = np.array([quantity.statistic(row, weights)[0] for row in values])
    return Interval(center, np.full_like(center, np.nan), np.full_like(center, np.nan))


def _ends(found: Interval) -> tuple[tuple[str, Floats], ...]:
    return (("low", found.low), ("high", found.high))
