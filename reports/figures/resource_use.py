"""How far trials were trained, and where the training time went. Left: the share of trials that reached at least so
much of the full training. Right: the share of the training time that was spent up to there; what is missing to 1 at
the left of the end went into the last part of full trainings. Every benchmark counts the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from reports import style
from reports.figures._column import legend, narrow

SPREAD, FINE = 0.2, 0.02
"""Where levels begin below this share of the highest the axis is logarithmic, and below that marked by decades."""


def draw(frame: pd.DataFrame, axes: Sequence[Axes], *, styles: Mapping[str, style.Style]) -> None:
    """Draw trials on the first of two axes and time on the second.

    frame: columns arm, level (share of the highest), trials, time.
    """
    handles: list[Line2D] = []
    least = float(frame["level"].min()) if len(frame) else 1.0
    for arm, curve in frame.groupby("arm", sort=False):
        look = styles[str(arm)]
        level = curve["level"].to_numpy(dtype=float)
        for panel, column, steps in zip(axes, ("trials", "time"), ("steps-pre", "steps-post"), strict=True):
            panel.plot(
                level, curve[column].to_numpy(dtype=float), color=look.colour, marker=look.marker, drawstyle=steps,
                linestyle=look.dashes, markersize=4, linewidth=1.3, markevery=max(len(level) // 6, 1), clip_on=False,
            )  # fmt: skip
        handles.append(
            Line2D([], [], color=look.colour, marker=look.marker, markersize=4.5, label=style.name(str(arm)))
        )
    for panel, words in zip(axes, ("share of trials that reached it", "share of training time up to it"), strict=True):
        if least < SPREAD:
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(LogLocator(subs=(1.0,) if least < FINE else (1.0, 2.0, 5.0), numticks=8))
            panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            panel.xaxis.set_minor_locator(NullLocator())
        panel.set_ylim(0, 1.02)
        panel.set_xlabel("level, as a share of the full training")
        panel.set_title(words, loc="left", fontsize="medium", fontweight="normal")
    if narrow(axes[0]):  # one stands above the other
        axes[0].set_xlabel("")
    legend(axes[-1], handles)
