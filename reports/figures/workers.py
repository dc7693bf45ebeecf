"""What each worker did when: a bar is a job, one stretch of a trial's training, shaded by the level that its trial
reached in the end. White is time in which a worker had nothing to do.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from reports import style
from reports.figures._shades import scale_of


def draw(frame: pd.DataFrame, axes: Axes, *, levels: Sequence[int], budget: float) -> None:
    """Draw the jobs of one study.

    frame: its jobs, as `trials.jobs` gives them; levels: all of the benchmark, rising; budget: seconds.
    """
    unit, name = style.time_unit(budget)
    colours, norm = scale_of(levels)
    start, end = (frame[column].fillna(budget).to_numpy(dtype=float) / unit for column in ("start", "end"))
    place, reached = (frame[column].to_numpy(dtype=float) for column in ("worker", "reached"))
    shades = colours(norm(np.maximum(reached, levels[0])))
    axes.barh(place, end - start, left=start, height=0.8, color=shades, edgecolor="white", linewidth=0.3)
    axes.set_xlim(0, budget / unit)
    axes.set_ylim(float(np.max(place, initial=0)) + 0.6, -0.6)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=16))
    axes.set_ylabel("worker")
    axes.set_xlabel(f"time [{name}]")
