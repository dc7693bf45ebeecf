"""What the machine that ran the simulated studies took for each, over the jobs that it started: the method's decisions
together with the simulation itself, which is a few millionths of a second an event. A point is the median study of a
method on a benchmark. It is of that machine on that day, and no part of simulated time unless a study declared it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from reports import style
from reports.figures._column import legend

CROWDED = 500
"""More points than this are pixels in vector files too, which would be large and slow otherwise."""


def draw(frame: pd.DataFrame, axes: Axes, *, styles: Mapping[str, style.Style]) -> None:
    """Draw a point for each row.

    frame: columns arm, jobs, seconds (a job).
    """
    handles: list[Line2D] = []
    for arm, points in frame.groupby("arm", sort=False, observed=True):
        look = styles[str(arm)]
        axes.scatter(
            points["jobs"], points["seconds"], s=11, marker=look.marker, color=look.colour, alpha=0.55, linewidths=0,
            rasterized=len(frame) > CROWDED,
        )  # fmt: skip
        entry: dict[str, Any] = {
            "color": look.colour,
            "marker": look.marker,
            "markersize": 4.5,
            "label": style.name(str(arm)),
        }
        handles.append(Line2D([], [], linestyle="", **entry))
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("jobs started in a study")
    axes.set_ylabel("seconds a job")
    legend(axes, handles)
