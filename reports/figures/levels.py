"""How well a level ranks configs as the last level does: Spearman's correlation with the final loss, of what was
measured and of what the surrogate says, over all configs that did not diverge and over the better half of them. Where
it is low early, a method that stops early on what it has seen stops good configs.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from reports import style

SPREAD = 12
"""A level axis whose last level is this many times the first is logarithmic."""


def draw(frame: pd.DataFrame, axes: Axes, *, unit: str) -> None:
    """Draw how well each level agrees with the last.

    frame: columns level, measured, surrogate, `measured, better half`, `surrogate, better half`.
    """
    level = frame["level"].to_numpy(dtype=float)
    for half, colour in (("", style.COLOURS[0]), (", better half", style.COLOURS[1])):
        for world, dashes, marker in (("measured", "-", "o"), ("surrogate", (0, (3, 1.5)), "s")):
            axes.plot(
                level, frame[world + half].to_numpy(dtype=float), color=colour, linestyle=dashes, linewidth=1.4,
                marker=marker, markersize=3.5, clip_on=False, label=f"{world}{half or ', all'}",
            )  # fmt: skip
    if level.max() >= SPREAD * level.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xticks(level)
    lowest = np.nanmin([0.0, *frame.drop(columns="level").to_numpy(dtype=float).ravel()])
    axes.set_ylim(lowest, 1)
    axes.set_xlabel(unit)
    axes.set_ylabel("Spearman with the last level")
    axes.legend(loc="lower right")
