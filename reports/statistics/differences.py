"""What two methods differ by, pair by pair: the door through which failures and missing values come in.

A failure is an outcome: an infinite loss is worse than any other, and two failures tie. A missing value is none: it is
refused, since leaving its pair out is a decision that must be seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def differences(first: Floats, second: Floats) -> Floats:
    """The first method's values less the second's.

    first, second: shape (pairs,), the same blocks or benchmarks in the same order; infinite where the method failed.
    Returns shape (pairs,), 0 where both are infinite alike. Raises ValueError for NaN and for unequal shapes.
    """
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} values against {second.shape}: a pair needs both, in the same order")
    alike = first == second
    return known(np.subtract(first, second, out=np.zeros(first.shape), where=~alike))


def known(differences: Floats) -> Floats:
    """The same differences, once it is sure that there is one and that none is missing; otherwise ValueError."""
    if not differences.size:
        raise ValueError("there is no pair: give values of both methods on at least one seed or benchmark")
    missing = np.argwhere(np.isnan(differences))
    if len(missing):
        raise ValueError(
            f"pair {', '.join(map(str, missing[0]))} has no value for one of the two (NaN): leave the pair out for "
            "both and say so; a failure is no missing value but an infinite loss"
        )
    return differences


def finite(differences: Floats) -> Floats:
    """The same differences, once it is sure that they have a mean; otherwise ValueError."""
    if np.isinf(known(differences)).any():
        raise ValueError(
            f"{int(np.isinf(differences).sum())} of {differences.size} differences are infinite (one of the two "
            "failed) and have no mean: count a failure as the median config first, or use signed ranks"
        )
    return differences
