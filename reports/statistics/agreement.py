"""Whether two worlds rank methods alike: Kendall's tau-b, where methods that are practically equal tie.

For a surrogate against its table, a small family against a large one, the simulated against the real. The methods are
what they are; what is uncertain is each world's number for each method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.statistics.bootstrap import Resampled, percentile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b with its 95 % interval, and the pairs of methods behind it."""

    tau: float
    """NaN where a world tells no two methods apart."""
    low: float
    high: float
    agreed: int
    """Pairs in the same order in both worlds."""
    opposed: int
    undecided: int
    """Pairs that are practically equal in one world at least."""


def agreement(first: Resampled, second: Resampled, equal: float) -> Agreement:
    """How far two worlds agree on the order of the same methods.

    first, second: each world's number for each method, on the same scale, with as many bootstrap draws, drawn
    independently; equal: numbers nearer than this are practically equal. A draw in which a world tells no two methods
    apart counts as tau 0: it is no evidence of agreement. With few methods tau has few values, and its interval is as
    coarse; the pairs say more.
    """
    if len(first.center) != len(second.center) or len(first.draws) != len(second.draws):
        raise ValueError(
            f"{len(first.center)} methods and {len(first.draws)} draws in one world, {len(second.center)} and "
            f"{len(second.draws)} in the other: give the same methods, in the same order, and as many draws"
        )
    one, other = orders(first.center, equal), orders(second.center, equal)
    agreed, opposed = int((one * other > 0).sum()), int((one * other < 0).sum())
    tau = tau_b(one, other)
    draws = np.nan_to_num(tau_b(orders(first.draws, equal), orders(second.draws, equal)))
    _, low, high = percentile(tau, draws if np.isfinite(tau) else np.full(1, np.nan))
    return Agreement(float(tau), float(low), float(high), agreed, opposed, one.size - agreed - opposed)


def orders(values: Floats, equal: float) -> Ints:
    """The order of every pair of methods: -1 where the first is lower, 1 where it is higher, 0 where they are equal.

    values: shape (..., methods), infinite for a failure; equal: nearer than this is practically equal. Returns shape
    (..., pairs), pairs as `itertools.combinations` gives them. Raises ValueError for NaN.
    """
    if np.isnan(values).any():
        raise ValueError("a method has no number (NaN) and so no rank: leave it out in both worlds and say so")
    first, second = np.triu_indices(values.shape[-1], 1)
    one, other = values[..., first], values[..., second]
    apart = np.subtract(one, other, out=np.zeros(one.shape), where=one != other)
    return np.where(np.abs(apart) < equal, 0, np.sign(apart)).astype(np.int64)


def tau_b(first: Ints, second: Ints) -> Floats:
    """Kendall's tau-b from the orders of the same pairs in two worlds (Kendall, Biometrika 1945).

    first, second: shape (..., pairs), of -1, 0 and 1. Returns shape (...), NaN where a world is all ties.
    """
    agreed = (first * second).sum(axis=-1)
    told = np.abs(first).sum(axis=-1) * np.abs(second).sum(axis=-1)
    return np.divide(agreed, np.sqrt(told), out=np.full(np.shape(told), np.nan), where=told > 0)
