"""How probable it is that one method does better than another, with how sure we are of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reports.intervals import ALPHA, Interval, normal_quantile
from reports.statistics.aggregates import superiority, wins
from reports.statistics.blocks import Blocks
from reports.statistics.bootstrap import REPLICATES, Scheme, over_seeds, resample
from reports.statistics.differences import differences

Floats = NDArray[np.float64]


def win_rate(first: Floats, second: Floats) -> Interval:
    """The share of pairs in which the first method is better (lower), ties half, with Wilson's 95 % interval.

    first, second: shape (pairs,), the same seeds in the same order, infinite for a failure (Wilson, JASA 1927). It
    stays honest where all pairs are won, as a bootstrap does not.
    """
    pairs = len(differences(first, second))
    rate, z = float(wins(first, second).mean()), normal_quantile(1 - ALPHA / 2)
    center = (rate + z**2 / (2 * pairs)) / (1 + z**2 / pairs)
    half = z * np.sqrt(rate * (1 - rate) / pairs + (z / (2 * pairs)) ** 2) / (1 + z**2 / pairs)
    return Interval(*(np.asarray(part) for part in (rate, max(center - half, 0.0), min(center + half, 1.0))))


def improvement(
    first: Floats,
    second: Floats,
    blocks: Blocks,
    rng: np.random.Generator,
    *,
    scheme: Scheme = over_seeds,
    replicates: int = REPLICATES,
) -> Interval:
    """The probability that a run of the first method is better than one of the second, on average over benchmarks.

    first, second: shape (blocks,), or (pairs, blocks) for several pairs of methods on the same draws; lower better,
    infinite for a failure; scheme: `over_seeds` for this suite, `over_families` for benchmarks like these. Both methods
    are weighed by the same draws. Where the first wins every run the interval is the point 1, which is too sure: a
    single benchmark is for `win_rate`. Each part of the result has a number a pair.
    """
    differences(first, second)
    runs = np.stack(np.atleast_2d(first, second), axis=-1)

    def statistic(pair: Floats, weights: Floats) -> Floats:
        return superiority(pair[:, 0], pair[:, 1], blocks, weights)

    found = resample(runs, blocks, statistic, rng, scheme=scheme, replicates=replicates).interval()
    return Interval(*(part.reshape(first.shape[:-1]) for part in found))
