"""A table as it might have been: every run of a table, drawn from a surrogate.

Methods can be compared on it as on the raw table, with all that a table of single runs does to a comparison: its best
row is lucky, and no method can come nearer to it than luck.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.types import NANOSECONDS
from surrogates.surrogate import Surrogate
from surrogates.table import ENDS, TableData


def drawn_table(model: Surrogate, data: TableData) -> TableData:
    """The table with the curves that the surrogate draws for its configs and seeds, where it has a run of them."""
    values, seconds = np.full(data.values.shape, np.nan), np.full(data.seconds.shape, np.nan)
    ends = np.full(data.ends.shape, -1, dtype=data.ends.dtype)
    for row, seed in np.argwhere(data.ends >= 0).tolist():
        curve = model.curve(data.configs[row], seed + 1)
        length = len(curve.nanoseconds)
        seconds[row, seed, :length] = np.array(curve.nanoseconds) / NANOSECONDS
        values[row, seed, :length] = [[metrics[name] for name in data.metrics] for metrics in curve.metrics]
        ends[row, seed] = ENDS.index(curve.end)
    return replace(data, values=values, seconds=seconds, ends=ends)
