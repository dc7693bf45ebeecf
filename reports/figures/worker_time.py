"""What workers did until the budget: trained (all that ended in a report), lost (in jobs that were cut by the end or
failed, after their last report) or idle (waiting for a decision, or with nothing left to do). Means over studies,
then over benchmarks.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports import style
from reports.figures._column import legend, narrow

PARTS = (("trained", "#0072B2"), ("lost", "#D55E00"), ("idle", "#cfd6dc"))
NARROW = 0.06
"""A part below this has no room for its number; in a narrow figure it takes twice as much."""


def draw(frame: pd.DataFrame, axes: Axes) -> None:
    """Draw a bar of three parts for each arm.

    frame: columns arm, trained, lost, idle (shares).
    """
    places = np.arange(len(frame))[::-1]
    begin = np.zeros(len(frame))
    for part, colour in PARTS:
        shares = frame[part].to_numpy(dtype=float)
        axes.barh(places, shares, left=begin, height=0.62, color=colour, edgecolor="white", linewidth=0.6, label=part)
        for place, start, share in zip(places, begin, shares, strict=True):
            if share >= (2 if narrow(axes) else 1) * NARROW:
                axes.text(start + share / 2, place, f"{100 * share:.0f} %", ha="center", va="center", fontsize=7.5,
                          color=style.INK if part == "idle" else "white")  # fmt: skip
        begin = begin + shares
    axes.set_yticks(places, labels=[style.name(str(arm)) for arm in frame["arm"]])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(frame) - 0.4)
    axes.set_xlabel("share of the workers' time")
    legend(axes, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, handlelength=1.2)
