"""How sure we are of a number over a suite: paired bootstraps over seeds, or over families of benchmarks.

A draw is a weight for every block, and every method is weighed by the same draws: differences between methods are
paired, and the draws depend on the blocks and the generator only. `over_seeds` speaks about this suite: seeds are drawn
within each benchmark. `over_families` speaks about benchmarks like these: families are drawn, within each its
benchmarks, within each its seeds. A percentile interval of fewer than 10 seeds, or of a handful of families, is too
narrow (measured coverage is printed beside it); a single benchmark with few seeds is for the t interval on logs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reports.intervals import LEVEL, Interval
from reports.statistics.aggregates import Statistic
from reports.statistics.blocks import Blocks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Scheme = Callable[[Blocks, int, np.random.Generator], Floats]

REPLICATES = 10_000
CHUNK = 500


class Resampled(NamedTuple):
    """A statistic of each method, and what it might have been."""

    center: Floats
    """Shape (methods, ...)."""
    draws: Floats
    """Shape (replicates, methods, ...)."""

    def interval(self) -> Interval:
        """The 95 % percentile interval of each method: three arrays of shape (methods, ...)."""
        return percentile(self.center, self.draws)

    def difference(self, first: int, second: int) -> Interval:
        """The 95 % percentile interval of the first method's number less the second's, paired."""
        return percentile(self.center[first] - self.center[second], self.draws[:, first] - self.draws[:, second])


def over_seeds(blocks: Blocks, count: int, rng: np.random.Generator) -> Floats:
    """Weights with which seeds are drawn anew within each benchmark: shape (count, blocks), each row of sum 1.

    One seed less is drawn than there are: so a mean of the draws spreads as the mean over n seeds does. Of n draws it
    would spread by (n - 1) / n of that only, and the interval be too narrow where seeds are few (Rao & Wu, JASA 1988;
    measured, at ten seeds of ten benchmarks: a coverage of 92.8 instead of 94.2 %). A single seed is drawn always.
    """
    once, fewer = np.ones((count, blocks.benchmarks), dtype=np.int64), np.maximum(blocks.seeds - 1, 1)
    counts = _drawn(once, blocks.seeds, fewer, rng)
    return _to_blocks(counts, blocks) / (blocks.benchmarks * fewer[blocks.benchmark])


def over_families(blocks: Blocks, count: int, rng: np.random.Generator) -> Floats:
    """Weights with which families, their benchmarks and their seeds are drawn anew: shape (count, blocks), sum 1.

    A multilevel cluster bootstrap with replacement at each level (Davison & Hinkley 1997, section 3.8).
    """
    by_family = np.argsort(blocks.family, kind="stable")
    members = np.bincount(blocks.family, minlength=blocks.families)
    all_families = np.array([blocks.families])
    families = _drawn(np.ones((count, 1), dtype=np.int64), all_families, all_families, rng)
    benchmarks = np.empty((count, blocks.benchmarks), dtype=np.int64)
    benchmarks[:, by_family] = _drawn(families, members, members, rng)
    return _to_blocks(_drawn(benchmarks, blocks.seeds, blocks.seeds, rng), blocks) * blocks.family_weights()


def weights(blocks: Blocks, scheme: Scheme, rng: np.random.Generator, replicates: int = REPLICATES) -> Iterator[Floats]:
    """The weights of all draws, a few hundred at a time: arrays of shape (draws, blocks)."""
    for done in range(0, replicates, CHUNK):
        yield scheme(blocks, min(CHUNK, replicates - done), rng)


def resample(
    values: Floats,
    blocks: Blocks,
    statistic: Statistic,
    rng: np.random.Generator,
    *,
    scheme: Scheme = over_seeds,
    replicates: int = REPLICATES,
) -> Resampled:
    """A statistic of each method with its bootstrap draws, all methods on the same draws.

    values: shape (methods, blocks), or (methods, blocks, ...) as the statistic takes those of one method. A method with
    a missing block (NaN) has no number: leave the block out for all who are compared, and say so.
    """
    (found,) = resample_each([(values, statistic)], blocks, rng, scheme=scheme, replicates=replicates)
    return found


def resample_each(
    of: Sequence[tuple[Floats, Statistic]],
    blocks: Blocks,
    rng: np.random.Generator,
    *,
    scheme: Scheme = over_seeds,
    replicates: int = REPLICATES,
) -> list[Resampled]:
    """Several statistics, each of values of its own, with their bootstrap draws: all on the same draws."""
    plain = (blocks.suite_weights() if scheme is over_seeds else blocks.family_weights())[None, :]
    draws: list[list[Floats]] = [[] for _ in of]
    for chunk in weights(blocks, scheme, rng, replicates):
        for found, (values, statistic) in zip(draws, of, strict=True):
            # method by method: a product over all of them at once may round differently with their number
            found.append(np.stack([statistic(row, chunk) for row in values], axis=1))
    centers = [np.stack([statistic(row, plain)[0] for row in values]) for values, statistic in of]
    return [Resampled(center, np.concatenate(found)) for center, found in zip(centers, draws, strict=True)]


def percentile(center: Floats, draws: Floats) -> Interval:
    """The 95 % percentile interval of bootstrap draws; draws: shape (replicates, ...), center: shape (...)."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return Interval(np.asarray(center), low, high)


def _drawn(copies: Ints, sizes: Ints, times: Ints, rng: np.random.Generator) -> Ints:
    """How often each child is drawn, where each copy of a parent draws so many times among its children.

    copies: shape (draws, parents); sizes, how many children each has, and times: shape (parents,). Returns shape
    (draws, children), children by parent.
    """
    trials = copies * times
    first, total = np.cumsum(sizes) - sizes, int(sizes.sum())
    row = np.repeat(np.arange(len(copies)), trials.sum(axis=1))
    parent = np.repeat(np.tile(np.arange(len(sizes)), len(copies)), trials.ravel())
    child = first[parent] + (rng.random(len(parent)) * sizes[parent]).astype(np.int64)
    return np.bincount(row * total + child, minlength=len(copies) * total).reshape(len(copies), total)


def _to_blocks(counts: Ints, blocks: Blocks) -> Ints:
    """Counts by benchmark and seed in the order in which the blocks were given."""
    ordered = np.empty_like(counts)
    ordered[:, np.argsort(blocks.benchmark, kind="stable")] = counts
    return ordered
