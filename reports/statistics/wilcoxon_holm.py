"""Which methods differ over benchmarks: exact Wilcoxon tests of pairs, Holm's correction, and the bars of a diagram.

The unit is the benchmark, or the family: each is one value a method, the mean over its seeds. The verdict on a pair
rests on the two methods alone, but for Holm's correction, which counts the pairs that were to be tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from reports.intervals import ALPHA, holm
from reports.statistics.differences import differences
from reports.statistics.ranks import cliques, ranks
from reports.statistics.signed_rank import SignedRank, signed_rank

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tested:
    """A pair of methods, by their rows, with its signed ranks (of first - second) and Holm's adjusted p."""

    first: int
    second: int
    ranks: SignedRank
    holm: float

    @property
    def told_apart(self) -> bool:
        """Whether the two differ at the 5 % level, all pairs of the comparison together."""
        return self.holm <= ALPHA


def wilcoxon_holm(values: Floats, pairs: Sequence[tuple[int, int]] | None = None) -> tuple[Tested, ...]:
    """Test pairs of methods over benchmarks, by default all of them.

    values: shape (methods, benchmarks), each the mean over seeds, lower better, infinite for a failure; pairs: those
    that were declared before, such as each method against one baseline (Wilcoxon 1945; Holm 1979; Benavoli, Corani,
    Mangili, JMLR 17(5), 2016, on why no test on mean ranks). Raises ValueError for NaN.
    """
    wanted = list(combinations(range(len(values)), 2)) if pairs is None else pairs
    tested = [signed_rank(differences(values[first], values[second])) for first, second in wanted]
    adjusted = holm(np.array([test.p for test in tested]))
    return tuple(Tested(*pair, test, float(p)) for pair, test, p in zip(wanted, tested, adjusted, strict=True))


def bars(values: Floats, tested: Sequence[Tested]) -> list[tuple[int, ...]]:
    """The groups of methods that a critical-difference diagram joins: neighbours in mean rank, no two told apart.

    values: shape (methods, benchmarks), as tested; tested: all pairs. Each group from the best rank on.
    """
    alike = np.ones((len(values), len(values)), dtype=bool)
    for pair in tested:
        alike[pair.first, pair.second] = alike[pair.second, pair.first] = not pair.told_apart
    return cliques(ranks(values).mean(axis=1), alike)
