"""A table as it might have been: every run of a table, drawn from a surrogate.

Methods can be compared on it as on the raw table, with all that a table of single runs does to a comparison: its best
row is lucky, and no method can come nearer to it than luck. Which rows were trained with further seeds depends on what
the first gave, here as there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.types import NANOSECONDS
from surrogates.surrogate import Surrogate
from surrogates.table import ENDS, TableData


def drawn_table(model: Surrogate, data: TableData, luck: int = 0) -> TableData:
    """The table with the curves that the surrogate draws for its configs, and as many runs of them.

    luck: which of its tables; no two have a seed of the surrogate in common.
    The row that is the k-th best of those drawn, by its first seed, has the seeds of the row that is the k-th best of
    the table: where the best were trained again, so are those that look best here.
    """
    measured, begin = data.ends >= 0, 1 + luck * data.ends.shape[1]
    first: list[int] = measured.argmax(axis=1).tolist()
    tried = np.array(
        [model.curve(config, begin + seed).losses[-1][0] for config, seed in zip(data.configs, first, strict=True)]
    )
    found = data.final_losses()[np.arange(len(first)), first]
    runs = np.empty_like(measured)
    runs[np.argsort(tried, kind="stable")] = measured[np.argsort(found, kind="stable")]
    values, seconds = np.full(data.values.shape, np.nan), np.full(data.seconds.shape, np.nan)
    ends = np.full(data.ends.shape, -1, dtype=data.ends.dtype)
    for row, seed in np.argwhere(runs).tolist():
        curve = model.curve(data.configs[row], begin + seed)
        length = len(curve.nanoseconds)
        seconds[row, seed, :length] = np.array(curve.nanoseconds) / NANOSECONDS
        values[row, seed, :length] = [[metrics[name] for name in data.metrics] for metrics in curve.metrics]
        ends[row, seed] = ENDS.index(curve.end)
    return replace(data, values=values, seconds=seconds, ends=ends)
