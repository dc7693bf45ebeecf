"""The sign-flip permutation test of paired differences, with the interval that it leaves standing.

For two methods on one benchmark, a pair a seed: where the methods are alike, either could have come first in each
block, so every change of sign is as likely as what was seen. No shape of distribution is assumed. Up to 24 pairs all
changes are counted, above a sample of them is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.intervals import ALPHA
from reports.statistics.differences import finite

Floats = NDArray[np.float64]

MOST_EXACT = 24
DRAWS = 100_000
CHUNK = 10_000
HALVINGS = 50
ROUNDING = 1e-14


@dataclass(frozen=True)
class SignFlip:
    """A mean difference with its 95 % interval (infinite where so few pairs allow none) and two-sided p."""

    mean: float
    low: float
    high: float
    p: float


def sign_flip(differences: Floats, rng: np.random.Generator) -> SignFlip:
    """Whether paired differences lie around 0, and around which centres they could lie.

    differences: shape (pairs,), first - second, finite; rng: used above 24 pairs only. To flip the signs of a subset
    leaves a sum as far from 0 as that of all if the subset's own sum, or its complement's, is not above 0 (where that
    of all is). So p counts subsets whose mean is on the other side of 0, and the interval, of all centres that the test
    does not reject, ends at means of subsets (Fisher 1935; Hartigan, JASA 1969). Drawn subsets bring their complements
    with them, and the identity is one of them, so that the test keeps its level (Phipson & Smyth 2010).
    """
    ends = _counted(differences) if len(finite(differences)) <= MOST_EXACT else _drawn(differences, rng)
    return SignFlip(float(differences.mean()), *ends)


def _counted(differences: Floats) -> tuple[float, float, float]:
    """Low, high and p by all subsets."""
    up, down = _subsets_below(differences), _subsets_below(-differences)
    flips = 2 ** (len(differences) - 1)
    p = min((1 + min(up(0.0), down(0.0))) / flips, 1.0)
    cut = int(ALPHA * flips)
    if not cut:
        return -np.inf, np.inf, p
    ends = float(differences.min()), float(differences.mean()), float(differences.max())
    return _where_reaching(up, cut, ends[0], ends[1]), -_where_reaching(down, cut, -ends[2], -ends[1]), p


def _drawn(differences: Floats, rng: np.random.Generator) -> tuple[float, float, float]:
    """Low, high and p by subsets drawn, each with its complement."""
    means: list[Floats] = []
    for _ in range(DRAWS // CHUNK):
        subsets = rng.random((CHUNK, len(differences))) < 0.5
        for chosen in (subsets, ~subsets):
            sizes = chosen.sum(axis=1)
            means.append((chosen @ differences)[sizes > 0] / sizes[sizes > 0])
    known = np.sort(np.concatenate(means))
    zero = ROUNDING * float(np.abs(differences).max())
    p = (1 + min(int((known <= zero).sum()), int((known >= -zero).sum()))) / (DRAWS + 1)
    cut = int(ALPHA * (DRAWS + 1))
    return float(known[cut - 1]), float(known[-cut]), min(p, 1.0)


def _subsets_below(differences: Floats) -> Callable[[float], int]:
    """A function that counts subsets with a mean of at most a value, the empty one left out.

    Sums of the one half of the differences meet sums of the other (Horowitz & Sahni 1974): 2^(n/2) steps, not 2^n.
    """
    half, scale = len(differences) // 2, float(np.abs(differences).sum())
    (one, its_sizes), (other, other_sizes) = _sums(differences[:half]), _sums(differences[half:])

    def count(value: float) -> int:
        most = ROUNDING * (scale + abs(value) * len(differences))
        below = np.searchsorted(np.sort(other - value * other_sizes), most - (one - value * its_sizes), side="right")
        return int(below.sum()) - 1

    return count


def _sums(values: Floats) -> tuple[Floats, Floats]:
    """The sums of all subsets and their sizes: each of shape (2^values,)."""
    sums, sizes = np.zeros(1), np.zeros(1)
    for value in values:
        sums, sizes = np.concatenate([sums, sums + value]), np.concatenate([sizes, sizes + 1])
    return sums, sizes


def _where_reaching(count: Callable[[float], int], least: int, low: float, high: float) -> float:
    """The lowest value from low to high at which a rising count is at least so much: by halving, up to rounding."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if count(middle) >= least:
            high = middle
        else:
            low = middle
    return high
