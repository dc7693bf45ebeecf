"""The workers of one study of each method: a bar for each job, coloured by the level at which its trial then stood. A
cross marks a job that failed, a light edge one that the end of the study cut. Where there is no bar a worker was
idle.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from reports import style
from reports.figures._shades import scale_of

HEIGHT = 0.78
CROWDED = 16
"""With more workers not each is named."""


def draw(frame: pd.DataFrame, axes: Axes, *, levels: Sequence[int], workers: int, budget: float, title: str) -> None:
    """Draw the jobs of one study.

    frame: its jobs, as `trials.jobs` gives them; levels: all of the benchmark, rising;
    budget: seconds.
    """
    unit, _ = style.time_unit(budget)
    colours, norm = scale_of(levels)
    start, worker = (frame[name].to_numpy(dtype=float) for name in ("start", "worker"))
    end = frame["end"].fillna(budget).to_numpy(dtype=float)
    low, high = worker - HEIGHT / 2, worker + HEIGHT / 2
    corners = np.stack([[start / unit, low], [end / unit, low], [end / unit, high], [start / unit, high]], axis=0)
    shades = colours(norm(np.maximum(frame["level"].to_numpy(dtype=float), levels[0])))
    cut = (frame["reason"] == "cut").to_numpy()
    shades[cut, 3] = 0.35
    bars = PolyCollection(list(np.moveaxis(corners, 2, 0)), facecolors=shades, edgecolors="white", linewidths=0.4)
    axes.add_collection(bars, autolim=False)
    failed = (frame["reason"] == "failed").to_numpy()
    axes.scatter(end[failed] / unit, worker[failed], marker="x", s=16, color=style.FAILURE, linewidths=1, zorder=3)
    axes.set_xlim(0, budget / unit)
    axes.set_ylim(workers - 0.4, -0.6)
    step = max(-(-workers // CROWDED), 1)
    axes.set_yticks(range(0, workers, step))
    axes.tick_params(axis="y", length=0)
    axes.set_title(style.name(title, 60), loc="left")
