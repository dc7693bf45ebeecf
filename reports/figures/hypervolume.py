"""Hypervolume over time, for each method: what its non-dominated trials dominate in the space of all objectives, as a
share of what the front of the benchmark's own configs does (the grey line); mean over seeds with its pointwise 95 % t
interval (drawn from three seeds on). Each objective counts from its best final value to a tenth beyond the worse of
its median and of its worst on that front. Trials count as the incumbent rule says, at the highest level that any has
reached so far, so a curve may fall where a new level is reached; the luck of a seed may lift it above the line. A study
that has nothing yet, or has failed, counts as 0.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports import style
from reports.curves import shares_window
from reports.figures._over_time import curve, time_axis, words


def draw(
    frame: pd.DataFrame,
    axes: Axes,
    *,
    styles: Mapping[str, style.Style],
    budget: float,
    rule: str,
    clock: str = "simulated",
) -> None:
    """Draw the curves of one benchmark.

    frame: columns arm, time (seconds), hypervolume, low, high, seeds, failed, as `curves.hypervolume` gives them;
    budget: seconds; rule: of the incumbent, named on the axis; clock: `simulated` or `wall-clock`.
    """
    unit, _ = style.time_unit(budget)
    handles = [
        curve(axes, mine, "hypervolume", styles[str(arm)], unit=unit) for arm, mine in frame.groupby("arm", sort=False)
    ]
    axes.axhline(1, color=style.FAINT, linewidth=1.2, zorder=1)
    handles.append(Line2D([], [], color=style.FAINT, linewidth=1.2, label="front of the benchmark"))
    begin, top = shares_window(frame)
    time_axis(axes, begin, budget, clock)
    axes.set_ylim(0, top)
    words(axes, handles, "hypervolume, share of the front's", rule)
