"""The axis of time up to the budget, as the figures of one benchmark share it."""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from reports import style
from reports.curves import SPREAD


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
