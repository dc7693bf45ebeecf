"""The sign-flip permutation test of paired differences.

For two methods on one benchmark, a pair a seed: where the methods are alike, either could have come first in each
block, so every change of sign is as likely as what was seen. No shape of distribution is assumed. Up to 24 pairs all
changes are counted, above a sample of them is drawn.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reports.statistics.differences import finite

Floats = NDArray[np.float64]

MOST_EXACT = 24
DRAWS = 100_000
SEED = 20_260
ROUNDING = 1e-14


def sign_flip(differences: Floats) -> float:
    """How probable a mean as far from 0 is, where every sign could be the other one: the two-sided p.

    differences: shape (pairs,), first - second, finite. To flip the signs of a subset leaves a sum as far from 0 as
    that of all if the subset's own sum, or its complement's, is not above 0 (where that of all is), so p counts subsets
    whose sum is on the other side of 0 (Fisher 1935). Drawn subsets bring their complements with them, and the identity
    is one of them, so that the test keeps its level (Phipson & Smyth 2010); they are the same for all tests.
    """
    pairs, rounding = len(finite(differences)), ROUNDING * float(np.abs(differences).sum())
    if pairs <= MOST_EXACT:
        flips, below = 2 ** (pairs - 1), min(_subsets_below(differences), _subsets_below(-differences))
        return min((1 + below) / flips, 1.0)
    sums = _subsets(pairs) @ differences
    sums = np.concatenate([sums, differences.sum() - sums])
    return min((1 + min(int((sums <= rounding).sum()), int((sums >= -rounding).sum()))) / (DRAWS + 1), 1.0)


def _subsets_below(differences: Floats) -> int:
    """How many subsets have a sum of at most 0, the empty one left out.

    Sums of the one half of the differences meet sums of the other (Horowitz & Sahni 1974): 2^(n/2) steps, not 2^n.
    """
    half, rounding = len(differences) // 2, ROUNDING * float(np.abs(differences).sum())
    one, other = _sums(differences[:half]), np.sort(_sums(differences[half:]))
    return int(np.searchsorted(other, rounding - one, side="right").sum()) - 1


def _sums(values: Floats) -> Floats:
    """The sums of all subsets: shape (2^values,)."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


@lru_cache(maxsize=1)
def _subsets(pairs: int) -> Floats:
    """Random subsets: shape (draws, pairs), 1 for what is in one."""
    return (np.random.default_rng(SEED).random((DRAWS, pairs)) < 0.5).astype(np.float64)
