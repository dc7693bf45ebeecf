"""Wilcoxon's signed-rank test, exact for any number of pairs and any ties, with the shift that goes with it.

For claims over benchmarks, a pair a benchmark: only the order of the differences' sizes counts, so that no single
benchmark decides, and a failure is simply the largest difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.intervals import ALPHA
from reports.statistics.differences import known

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SignedRank:
    """What the signed ranks of paired differences say; a lower value is the better one."""

    shift: float
    """The Hodges-Lehmann estimate of the centre of first - second."""
    low: float
    high: float
    """Ends of its 95 % interval, infinite where so few pairs allow none."""
    p: float
    """Two-sided."""
    biserial: float
    """The matched-pairs rank-biserial correlation: -1 where the first is lower in every pair, 1 where it is higher."""
    wins: int
    ties: int
    losses: int
    """Of the first."""


def signed_rank(differences: Floats) -> SignedRank:
    """Whether differences lie around 0, and around which value they do.

    differences: shape (pairs,), first - second, infinite for a failure. The null law is that of all changes of sign,
    given the ties: by dynamic programming on doubled midranks, which are whole numbers. Zeros are ranked with the
    others and keep their place under any sign (Wilcoxon 1945; Pratt, JASA 1959). The interval is cut from the sorted
    Walsh averages (Tukey; Hollander & Wolfe 1999, section 3.3), with ties no shorter than without (Noether, JASA 1967).
    """
    doubled = _doubled_midranks(np.abs(known(differences)))
    moving, up = doubled[differences != 0], doubled[differences > 0]
    excess = 2 * int(up.sum()) - int(moving.sum())
    law = _law_of_sums(moving)
    far = np.abs(2 * np.arange(len(law)) - len(law) + 1) >= abs(excess)
    low, shift, high = _center(differences)
    return SignedRank(
        shift=shift,
        low=low,
        high=high,
        p=min(float(law[far].sum()), 1.0),
        biserial=excess / int(doubled.sum()),
        wins=int((differences < 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences > 0).sum()),
    )


def rejected(pairs: int, alpha: float) -> tuple[int, float]:
    """How many of the smallest sums of ranks a two-sided test at level alpha rejects, and the level that it then has.

    The level is at most alpha, since sums are whole numbers; (0, 0) where so few pairs allow no rejection.
    """
    reached = np.cumsum(_law_of_sums(np.arange(1, pairs + 1)))
    sums = int((reached <= alpha / 2).sum())
    return sums, 2 * float(reached[sums - 1]) if sums else 0.0


def _doubled_midranks(sizes: Floats) -> Ints:
    """Twice the rank of each size, ties sharing their mean rank: whole numbers, shape (pairs,)."""
    _, place, count = np.unique(sizes, return_inverse=True, return_counts=True)
    return (2 * np.cumsum(count) - count + 1)[place].astype(np.int64)


def _law_of_sums(ranks: Ints) -> Floats:
    """The chance of each sum, from 0 on, of those ranks whose coin falls heads: shape (sum of ranks + 1,)."""
    law = np.zeros(int(ranks.sum()) + 1)
    law[0] = 1
    for rank in ranks:
        law[rank:] = (law[rank:] + law[: len(law) - rank]) / 2
        law[:rank] /= 2
    return law


def _center(differences: Floats) -> tuple[float, float, float]:
    """The median of the Walsh averages, between the ends of its 95 % interval."""
    pairs = len(differences)
    with np.errstate(invalid="ignore"):
        averages = ((differences[:, None] + differences[None, :]) / 2)[np.triu_indices(pairs)]
    walsh = np.sort(np.where(np.isnan(averages), 0.0, averages))  # a failure on each side: they cancel
    cut, _ = rejected(pairs, ALPHA)
    low, high = (walsh[cut - 1], walsh[-cut]) if cut else (-np.inf, np.inf)
    return float(low), float(np.median(walsh)), float(high)
