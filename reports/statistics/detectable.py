"""What so few pairs could have shown: the smallest detectable shift, or that nothing could be significant by design.

No "could not be told apart" stands without one of them. Shifts are those that a test finds with power 0.8 at the 5 %
level, where differences are normal; with several tests at the level that Holm's correction may ask of the first.
"""

from __future__ import annotations

import numpy as np

from reports.intervals import ALPHA, POWER, benchmarks_needed, normal_quantile, smallest_detectable
from reports.statistics.signed_rank import rejected
from reports.text import plural

EFFICIENCY = 3 / np.pi
"""Pairs that a t test needs for each one of the signed-rank test, at normal differences (Hodges & Lehmann 1956)."""


def by_design(pairs: int, tests: int, unit: str) -> str:
    """In words that an exact test of signs or signed ranks can have no p at most 0.05, whatever the data; else empty.

    pairs: that each test has; tests: that Holm's correction counts; unit: what a pair is, such as `benchmark`. With
    n pairs such a test has no p below 2^(1 - n).
    """
    needed = benchmarks_needed(tests)
    if pairs >= needed:
        return ""
    return (
        f"cannot be significant by design: with {plural(tests, 'pair')} of methods it needs at least "
        f"{plural(needed, unit)}, and there are {pairs}"
    )


def by_signed_rank(deviation: float, pairs: int, tests: int = 1) -> float:
    """The smallest shift that the signed-rank test detects, infinite where it can detect none.

    deviation: standard deviation of the paired differences, in whose unit the shift is.
    """
    _, level = rejected(pairs, ALPHA / tests)
    if not level:
        return np.inf
    if level == 2.0 ** (1 - pairs):  # it rejects only where all differences have one sign, whose chance is known
        return deviation * normal_quantile(POWER ** (1 / pairs))
    return smallest_detectable(deviation, pairs * EFFICIENCY, level)
