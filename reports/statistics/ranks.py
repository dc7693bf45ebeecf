"""Ranks of methods, a test that any differ, and the groups of methods that a diagram joins by a bar.

A rank is the one number here that depends on who else is compared, so no verdict on a pair of methods rests on it
(Benavoli, Corani, Mangili, JMLR 17(5), 2016).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special  # pyright: ignore[reportMissingTypeStubs]

Floats = NDArray[np.float64]


def ranks(values: Floats) -> Floats:
    """The rank of each method within each block, 1 for the lowest value; ties share their mean rank.

    values: shape (methods, ...), lower better; infinite values tie. Returns the same shape; NaN for all methods where
    one has no value.
    """
    below = np.zeros(values.shape)
    for other in values:
        below += (other < values) + 0.5 * (other == values)
    return np.where(np.isnan(values).any(axis=0), np.nan, below + 0.5)


class Friedman(NamedTuple):
    """Whether any method differs from any other: chi-squared, its F form (Iman & Davenport), and the F form's p."""

    chi_squared: float
    f: float
    p: float


def friedman(values: Floats) -> Friedman:
    """Friedman's test that all methods are alike: a gate before pairs are looked at, never a verdict on a pair.

    values: shape (methods, benchmarks), each the mean over seeds. Corrected for ties. NaN with fewer than two methods
    or benchmarks (Friedman 1937; Iman & Davenport, Communications in Statistics 1980).
    """
    methods, benchmarks = values.shape
    placed = ranks(values)
    if methods < 2 or benchmarks < 2 or np.isnan(placed).any():
        return Friedman(np.nan, np.nan, np.nan)
    between = benchmarks * float(((placed.mean(axis=1) - (methods + 1) / 2) ** 2).sum())
    within = float(((placed - (methods + 1) / 2) ** 2).sum()) / (benchmarks * (methods - 1))
    if within == 0:  # all tie everywhere
        return Friedman(0.0, 0.0, 1.0)
    chi = between / within
    rest = benchmarks * (methods - 1) - chi
    f = (benchmarks - 1) * chi / rest if rest > 1e-9 else np.inf
    return Friedman(chi, f, float(special.fdtrc(methods - 1, (methods - 1) * (benchmarks - 1), f)))


def cliques(mean_ranks: Floats, alike: NDArray[np.bool_]) -> list[tuple[int, ...]]:
    """The largest groups of methods, neighbours in mean rank, of which no two were told apart.

    mean_ranks: shape (methods,); alike: shape (methods, methods), symmetric: whether the pair's test (Wilcoxon, Holm)
    left the two undecided. Returns groups of two or more, each from the best rank on: one bar of the
    critical-difference diagram each. Neighbours only, since a bar that passes over a method would seem to hold it.
    """
    order = np.argsort(mean_ranks, kind="stable")
    joined = alike[np.ix_(order, order)] | np.eye(len(order), dtype=bool)
    found: list[tuple[int, ...]] = []
    reached = 0
    for start in range(len(order)):
        stop = start + 1
        while stop < len(order) and joined[start : stop + 1, start : stop + 1].all():
            stop += 1
        if stop > reached and stop - start > 1:
            found.append(tuple(int(method) for method in order[start:stop]))
        reached = max(reached, stop)
    return found
