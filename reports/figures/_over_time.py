"""A quantity of one benchmark over time, as the figures of a benchmark share it: a mean with its band for each method,
the axis of time up to the budget, and a legend beside the axes.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from reports import style
from reports.curves import FEWEST, SPREAD
from reports.figures._column import legend, narrow


def curve(axes: Axes, frame: pd.DataFrame, value: str, look: style.Style, *, unit: float, dotted: int = 0) -> Line2D:
    """Draw the mean of one arm with its band and a mark at its end; gives its entry in the legend.

    frame: columns arm, time (seconds), low, high, seeds, failed, and the one named by `value`; unit: seconds; dotted:
    how many points there are before the first that every study has a part in.
    """
    time, center, low, high = (frame[name].to_numpy(dtype=float) for name in ("time", value, "low", "high"))
    time = time / unit
    arm, seeds, failed = (frame[name].iloc[0] for name in ("arm", "seeds", "failed"))
    line: dict[str, Any] = {"color": look.colour, "drawstyle": "steps-post"}
    if seeds >= FEWEST:
        axes.fill_between(time, low, high, step="post", color=look.colour, alpha=0.15, linewidth=0)
    if dotted:
        axes.plot(time[: dotted + 1], center[: dotted + 1], linestyle=":", linewidth=1.1, **line)
    axes.plot(time[dotted:], center[dotted:], linestyle=look.dashes, linewidth=1.6, **line)
    axes.plot(time[-1:], center[-1:], marker=look.marker, markersize=5, color=look.colour, clip_on=False, zorder=5)
    label = f"{style.name(str(arm))} (n = {seeds}" + (f", {failed} failed)" if failed else ")")
    entry: dict[str, Any] = {"color": look.colour, "marker": look.marker, "linestyle": look.dashes}
    return Line2D([], [], markersize=5, linewidth=1.6, label=label, **entry)


def time_axis(axes: Axes, begin: float, budget: float, clock: str) -> None:
    """Let the axis end at the budget, and begin where there is something to see: on logs where that is early.

    begin, budget: seconds; clock: `simulated` or `wall-clock`.
    """
    unit, name = style.time_unit(budget)
    if 0 < begin < budget / SPREAD:
        axes.set_xscale("log")
        axes.set_xlim(begin / unit, budget / unit)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(0, budget / unit)
    axes.axvline(budget / unit, color=style.FAINT, linewidth=0.8, zorder=0)
    axes.set_xlabel(f"{clock} time [{name}]")


def words(axes: Axes, handles: Sequence[Line2D], title: str, rule: str) -> None:
    """Name what is drawn, the rule that says whose it is, and the methods; title: of the vertical axis."""
    said = f"incumbent: {rule}"
    axes.set_ylabel(f"{title}\n({said})" if narrow(axes) else title)
    if not narrow(axes):
        axes.text(1, 1.01, said, transform=axes.transAxes, ha="right", va="bottom", color=style.QUIET)
    legend(axes, handles, labelspacing=0.7)
