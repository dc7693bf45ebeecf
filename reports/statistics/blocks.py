"""Which benchmark each block belongs to, which family each benchmark, and what each block weighs in a mean.

Two questions have two sets of weights. *This suite*: every benchmark counts the same, its seeds share its weight.
*Benchmarks like these*: every family counts the same, its benchmarks share its weight, their seeds share theirs;
thirty tasks of one collection are one family and must not outvote three others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Blocks(NamedTuple):
    """The blocks of a comparison; make it with `blocks`."""

    benchmark: Ints
    """Shape (blocks,): the benchmark of each block, counted from 0."""
    family: Ints
    """Shape (benchmarks,): the family of each benchmark, counted from 0."""

    @property
    def benchmarks(self) -> int:
        """How many benchmarks there are."""
        return len(self.family)

    @property
    def families(self) -> int:
        """How many families there are."""
        return int(self.family.max(initial=-1)) + 1

    @property
    def seeds(self) -> Ints:
        """Shape (benchmarks,): how many seeds each benchmark has."""
        return np.bincount(self.benchmark, minlength=self.benchmarks).astype(np.int64)

    def suite_weights(self) -> Floats:
        """What each block weighs where every benchmark counts the same: shape (blocks,), sum 1."""
        return 1 / (self.benchmarks * self.seeds[self.benchmark])

    def family_weights(self) -> Floats:
        """What each block weighs where every family counts the same: shape (blocks,), sum 1."""
        members = np.bincount(self.family, minlength=self.families)
        return 1 / (self.families * members[self.family] * self.seeds)[self.benchmark]

    def per_benchmark(self, values: Floats) -> Floats:
        """The mean of each benchmark over its seeds.

        values: shape (..., blocks); returns shape (..., benchmarks). NaN where a block is NaN.
        """
        return _means(values, self.benchmark, self.benchmarks)

    def per_family(self, values: Floats) -> Floats:
        """The mean of each family over its benchmarks' means, on which a t interval over families stands.

        values: shape (..., blocks); returns shape (..., families).
        """
        return _means(self.per_benchmark(values), self.family, self.families)


def blocks(benchmark: NDArray[np.generic], family: NDArray[np.generic] | None = None) -> Blocks:
    """The blocks of a comparison, by the names of the benchmark and of the family of each.

    benchmark, family: shape (blocks,); without families each benchmark is its own. Benchmarks and families are counted
    in the order of their first block. Raises ValueError where a benchmark is said to be of two families.
    """
    codes, first = _codes(benchmark)
    if family is None:
        return Blocks(codes, np.arange(len(first)))
    of_block, _ = _codes(family)
    of_benchmark = of_block[first]
    if np.any(of_benchmark[codes] != of_block):
        at = int(np.flatnonzero(of_benchmark[codes] != of_block)[0])
        raise ValueError(f"benchmark {benchmark[at]!s} is given two families: a benchmark has one")
    return Blocks(codes, of_benchmark)


def _codes(names: NDArray[np.generic]) -> tuple[Ints, Ints]:
    """Names as numbers in the order of their appearance, and where each appears first."""
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[inverse], first[order].astype(np.int64)


def _means(values: Floats, group: Ints, groups: int) -> Floats:
    # contiguous, so that the order of summing, and with it the rounding, does not hang on how many rows there are
    parts = (np.ascontiguousarray(values[..., group == one]) for one in range(groups))
    return np.stack([part.mean(axis=-1) for part in parts], axis=-1)
