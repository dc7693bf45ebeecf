"""How sure we are: intervals, paired differences, and what a number of seeds could have shown.

Everything here is on plain arrays. Regret is skewed, and a t interval of the raw values covers far less than it says
(measured: 81 to 89 % instead of 95 %); on logs it covers 95 % at any number of seeds. So callers take logs first and
transform the result back; with few seeds no bootstrap of a single benchmark is trusted.

Only `scipy.special` is used: importing `scipy.stats` takes longer than all that is computed here.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special  # pyright: ignore[reportMissingTypeStubs]

Floats = NDArray[np.float64]

LEVEL = 0.95
ALPHA = 0.05
POWER = 0.8
ROUNDING = 1e-12
"""Differences that are this near to each other, as a share of what they are taken of, are the same."""


class Interval(NamedTuple):
    """An estimate and its 95 % interval, each of the shape of one observation."""

    center: Floats
    low: Floats
    high: Floats

    def exp(self) -> Interval:
        """The interval of the geometric mean, where this is one of logs."""
        return Interval(*(np.exp(part) for part in self))


class Difference(NamedTuple):
    """A paired difference: its mean, 95 % interval, two-sided p, standard deviation and number of pairs."""

    mean: float
    low: float
    high: float
    p: float
    deviation: float
    n: int


def mean(values: Floats) -> Interval:
    """The mean over the first axis with its t interval.

    values: shape (n, ...), a row per seed. With one row the interval is not known: NaN.
    """
    n = len(values)
    if n == 0:
        return Interval(*(np.full(values.shape[1:], np.nan) for _ in range(3)))
    center = np.asarray(values.mean(axis=0))
    if n == 1:
        return Interval(center, np.full_like(center, np.nan), np.full_like(center, np.nan))
    half = t_quantile(1 - (1 - LEVEL) / 2, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return Interval(center, center - half, center + half)


def paired(first: Floats, second: Floats) -> Difference:
    """The mean of `first - second` over pairs, with the paired t test.

    first, second: shape (n,), the same seeds in the same order. Where all pairs differ by the same, and not by nothing,
    interval and deviation are not known: NaN, and p is that of the signs. Raises ValueError where one is infinite.
    """
    if np.isinf(first).any() or np.isinf(second).any():
        raise ValueError(
            "an infinite loss has no mean: count a failure as the median config first, or use signed ranks"
        )
    differences = first - second
    n = len(differences)
    center, low, high = (float(part) for part in mean(differences))
    if n < 2 or np.isnan(center):
        return Difference(center, low, high, np.nan, np.nan, n)
    rounding = ROUNDING * float(np.max(np.abs([first, second])))
    if np.ptp(differences) > rounding:
        deviation = float(differences.std(ddof=1))
        p = float(2 * special.stdtr(n - 1, -abs(center) * np.sqrt(n) / deviation))
        return Difference(center, low, high, p, deviation, n)
    if abs(center) <= rounding:
        return Difference(0.0, 0.0, 0.0, 1.0, 0.0, n)
    # Without a spread a t test is sure of anything. Most often there is one that is not seen, where losses are clipped
    # at the median and at the floor. What is left to go by is that all signs agree, which has the chance 2^(1 - n): the
    # sign-flip test. It is the same where neither the methods nor the benchmark have any luck: then more seeds say no
    # more than one, but that it is so cannot be seen from the pairs.
    return Difference(center, np.nan, np.nan, 2.0 ** (1 - n), np.nan, n)


def holm(p: Floats) -> Floats:
    """Holm's adjusted p-values: reject those at most alpha, and the chance of any false one stays below alpha.

    p: shape (tests,); NaN (no test was possible) stays NaN and counts for nothing.
    """
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def smallest_detectable(deviation: float, n: float, alpha: float = ALPHA) -> float:
    """The mean difference that a paired t test would find with power 0.8, in the unit of `deviation`.

    deviation: standard deviation of the n paired differences; NaN where it is not known, as with fewer than two pairs.
    """
    return deviation * _detectable_deviations(n, alpha) if n >= 2 else np.nan


def benchmarks_needed(pairs: int) -> int:
    """The fewest benchmarks with which an exact Wilcoxon test can be significant after Holm over so many pairs."""
    needed = 1
    while pairs * 2.0 ** (1 - needed) > ALPHA:
        needed += 1
    return needed


def t_quantile(p: float, degrees: float) -> float:
    """The p-quantile of Student's t."""
    return float(special.stdtrit(degrees, p))


def normal_quantile(p: float) -> float:
    """The p-quantile of the standard normal distribution."""
    return float(special.ndtri(p))


@cache
def _detectable_deviations(n: float, alpha: float) -> float:
    # The other tail's part of the power is below 1e-5 wherever the power is 0.8.
    critical = t_quantile(1 - alpha / 2, n - 1)
    return float(special.nctdtrinc(n - 1, 1 - POWER, critical)) / np.sqrt(n)
