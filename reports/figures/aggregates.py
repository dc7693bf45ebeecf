"""One number a method over all benchmarks, from several sides. Dark bars: 95 % intervals for these benchmarks (seeds
drawn anew within each; on a single benchmark the t interval over seeds); light ones: for benchmarks like these
(families, their benchmarks and seeds drawn anew), which a handful of families leaves too narrow. Anytime score: the
mean over log time of log regret, 0 as good as the median random config, 1 at the noise; its interquartile mean (IQM)
hides hard benchmarks, so the mean stands beside it. Optimality gap: how far the score at the budget falls short of
1. Where there are several objectives their hypervolume stands at the right, as a share of that of the front; all else
is of the first. Arrows say what is better.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from reports import style

LOGS = 8
"""A quantity whose largest number is so many times its smallest is drawn on logs."""


def draw(
    frame: pd.DataFrame, axes: Axes, *, styles: Mapping[str, style.Style], higher_is_better: bool, logs: bool = False
) -> None:
    """Draw one quantity, a row an arm.

    frame: columns arm, center, low, high, low_families, high_families, of one quantity; logs: whether it may be drawn
    on a logarithmic axis, which it is where it spreads.
    """
    places = np.arange(len(frame))[::-1]
    numbers = frame[["center", "low", "high", "low_families", "high_families"]].to_numpy(dtype=float)
    for place, arm, (center, low, high, wide_low, wide_high) in zip(places, frame["arm"], numbers, strict=True):
        look = styles[str(arm)]
        axes.plot(
            [wide_low, wide_high], [place, place], color=look.colour, alpha=0.3, linewidth=5, solid_capstyle="butt"
        )
        axes.plot([low, high], [place, place], color=look.colour, linewidth=2)
        axes.plot([center], [place], color=look.colour, marker=look.marker, markersize=4)
    seen = numbers[np.isfinite(numbers)]
    if logs and len(seen) and seen.min() > 0 and seen.max() > LOGS * seen.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=5))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.set_yticks(places, labels=[style.name(str(arm)) for arm in frame["arm"]])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(frame) - 0.4)
    axes.grid(axis="x", color=style.FAINT, linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("better →" if higher_is_better else "← better", color=style.QUIET)
