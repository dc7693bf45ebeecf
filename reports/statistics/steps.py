"""Means over time of a value that changes in steps: exact on the steps, never on a grid.

A step at time t counts from t on (right-continuous), and the last value is carried forward to the end of the budget,
also where the method ended early. Looking values up is `reports.incumbent.at`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DECADES = 3
PER_DECADE = 33


def grid(budget: float) -> Floats:
    """The times at which curves are drawn: 100 evenly on logs from budget / 1000, with budget / 100 and / 10 exactly.

    budget: seconds. Returns shape (points,), rising, the last the budget itself. No statistic is computed on it.
    """
    return budget / 10.0 ** (np.arange(DECADES * PER_DECADE, -1, -1) / PER_DECADE)


def mean_over_log_time(times: Floats, values: Floats, start: float, end: float, before: float) -> float:
    """The mean of a step function over log time from `start` to `end`: each doubling of time counts the same.

    times: shape (steps,), seconds, rising; values: shape (steps,); before: what holds until the first step; start:
    above 0.
    """
    if not 0 < start < end:
        raise ValueError(f"a mean over log time from {start:g} to {end:g} s: the end must come after a start above 0")
    edges = np.log(np.concatenate([[start], np.clip(times, start, end), [end]]))
    lengths = np.diff(edges)
    held = lengths > 0  # a step that comes after the end changes not even the rounding
    return float(lengths[held] @ np.append(before, values)[held] / (edges[-1] - edges[0]))
