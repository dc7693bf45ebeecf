"""Curves of methods over the share of the budget, as the figures over a suite share them."""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from reports import style
from reports.figures._column import legend

MARKS = 5
"""Markers on a curve, so that many curves can be told apart."""
BEGIN = 0.01
"""The share of the budget from which curves are shown, as anytime scores count from it."""


def curves(frame: pd.DataFrame, axes: Axes, styles: Mapping[str, style.Style]) -> None:
    """Draw a curve with its band for each arm, its marker at the end, and a legend beside the axes.

    frame: columns arm, time (share of the budget), center, low, high.
    """
    handles: list[Line2D] = []
    for arm, curve in frame[frame["time"] >= BEGIN * (1 - 1e-9)].groupby("arm", sort=False):
        look = styles[str(arm)]
        time, center, low, high = (curve[name].to_numpy(dtype=float) for name in ("time", "center", "low", "high"))
        axes.fill_between(time, low, high, step="post", color=look.colour, alpha=0.13, linewidth=0)
        every: dict[str, Any] = {
            "color": look.colour,
            "linestyle": look.dashes,
            "linewidth": 1.5,
            "marker": look.marker,
        }
        last = len(time) - 1
        apart = [last - step for step in range(0, last, max(last // MARKS, 1))]
        axes.plot(time, center, drawstyle="steps-post", markevery=apart, markersize=4, clip_on=False, **every)
        handles.append(Line2D([], [], markersize=4.5, label=style.name(str(arm)), **every))
    axes.set_xscale("log")
    axes.set_xlim(BEGIN, 1)
    axes.xaxis.set_major_locator(FixedLocator([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("share of the budget")
    legend(axes, handles)
