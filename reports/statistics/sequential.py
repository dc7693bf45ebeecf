"""How many seeds are enough: whole blocks of them, until the declared contrasts are as narrow as was asked for.

All benchmarks get the same seeds, so that a contrast of two methods is one number a seed, its mean over benchmarks.
After each block one looks, and stops by the width of the intervals, never by who leads. Who looks several times has
several chances to be wrong; so the intervals of a look are wider than of a single one, by the boundary of a
group-sequential test, and all looks together hold with 95 %, whenever and for whatever reason one stops (measured:
95 % at normal and Laplace differences, 86 % with single intervals; with exponential ones 88 and 79 %). For a look at
the width alone that is more than is needed: 98 % where one stops, for 40 % more seeds than single intervals with 94 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special  # pyright: ignore[reportMissingTypeStubs]

from reports.intervals import ALPHA, Interval, normal_quantile, t_quantile
from reports.statistics.differences import finite

Floats = NDArray[np.float64]

LOOKS = (10, 20, 30, 40, 50)
FEWEST = 2
POCOCK, OBRIEN_FLEMING = 0.5, 0.0
NODES = 128


@dataclass(frozen=True)
class Plan:
    """What is declared before the first seed runs; make it with `plan`."""

    looks: tuple[int, ...]
    """So many seeds there are at each look, rising; after the last one no more are run."""
    half_width: float
    """The contrasts shall be known to plus or minus this, in their own unit."""
    alpha: float
    """The chance of error that the interval of a single look has, so that all looks together have 5 %."""


@dataclass(frozen=True)
class Look:
    """What is known after some seeds, and how many there should be next; 0 where these are enough or the most."""

    seeds: int
    contrasts: Interval
    """Each of shape (contrasts,)."""
    narrow: NDArray[np.bool_]
    """Shape (contrasts,): which are as narrow as asked for."""
    next: int

    def __str__(self) -> str:
        wide = int((~self.narrow).sum())
        if not wide:
            return f"enough: all {len(self.narrow)} contrasts are as narrow as asked for after {self.seeds} seeds"
        left = f"{wide} of {len(self.narrow)} contrasts are wider than asked for after {self.seeds} seeds"
        return f"{left}: on to {self.next}" if self.next else f"{left}, and no more are planned"


def plan(half_width: float, looks: Sequence[int] = LOOKS) -> Plan:
    """Declare a comparison that ends when its contrasts are known to plus or minus `half_width`.

    looks: how many seeds there are at each look. Every look has the same chance of error (Pocock 1977), since each is
    as likely as another to be the last one.
    """
    if not half_width > 0:
        raise ValueError(f"contrasts known to plus or minus {half_width:g}: say how narrow they shall be, above 0")
    if looks and looks[0] < FEWEST:
        raise ValueError(f"a first look after {looks[0]} seed: an interval needs at least {FEWEST}")
    critical = float(boundary(looks, POCOCK)[0])
    return Plan(tuple(looks), half_width, 2 * float(special.ndtr(-critical)))


def look(declared: Plan, contrasts: Floats) -> Look:
    """Look at the contrasts as they are, and say how many seeds there should be next.

    contrasts: shape (contrasts, seeds), the difference of two methods at each seed, a mean over benchmarks. Their
    repeated t intervals (Jennison & Turnbull 1989). Raises ValueError between two looks, for NaN, and for infinite
    differences, which no number of seeds makes narrow.
    """
    seeds = contrasts.shape[1]
    if seeds not in declared.looks:
        raise ValueError(f"a look after {seeds} seeds was not declared: those are after {list(declared.looks)}")
    center = finite(contrasts).mean(axis=1)
    half = t_quantile(1 - declared.alpha / 2, seeds - 1) * contrasts.std(axis=1, ddof=1) / np.sqrt(seeds)
    narrow = half <= declared.half_width
    later = [planned for planned in declared.looks if planned > seeds]
    further = later[0] if later and not narrow.all() else 0
    return Look(seeds, Interval(center, center - half, center + half), narrow, further)


def boundary(looks: Sequence[int], shape: float, alpha: float = ALPHA) -> Floats:
    """The critical values of |Z| at each look, so that one of them is passed by chance with probability alpha.

    looks: how many pairs there are at each, rising. shape: the values fall as pairs ** (shape - 1/2): POCOCK the same
    at each look, OBRIEN_FLEMING high at first (Wang & Tsiatis, Biometrics 1987). Shape (looks,).
    """
    from scipy.optimize import brentq

    information = np.asarray(looks, dtype=float) / max(looks, default=1)
    if not len(information) or information[0] <= 0 or np.any(np.diff(information) <= 0):
        raise ValueError(f"looks after {list(looks)} seeds: their numbers must rise, and there must be one")
    relative = information ** (shape - 0.5)
    single, bonferroni = normal_quantile(1 - alpha / 2), normal_quantile(1 - alpha / 2 / len(information))
    constant: Any = brentq(lambda c: chance_to_pass(c * relative, information) - alpha, single - 0.1, bonferroni + 0.1)
    return float(constant) * relative


def chance_to_pass(critical: Floats, information: Floats) -> float:
    """The chance that a standardised sum passes its critical value at one look at least, where nothing is there.

    critical, information: shape (looks,), the latter rising. The density of the sums that have passed none is carried
    from look to look by Gauss-Legendre quadrature (Armitage, McPherson, Rowe, JRSS A 1969).
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    before, mass, known = np.zeros(1), np.ones(1), 0.0
    for value, reached in zip(critical, information, strict=True):
        edge, step = value * np.sqrt(reached), np.sqrt(reached - known)
        sums = edge * nodes
        density = np.exp(-(((sums[:, None] - before[None, :]) / step) ** 2) / 2) / (step * np.sqrt(2 * np.pi))
        before, mass, known = sums, edge * weights * (density @ mass), reached
    return 1 - float(mass.sum())
