"""The share of poor configs among those that a method tries, from the first to the last of a study: poor is what ends
worse than the median random config, so the grey line is what a method has that does not learn. Means over seeds with
their pointwise 95 % t intervals.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from reports import style
from reports.intervals import mean

PARTS = 8
"""A study's configs, in their order, are counted in so many parts."""


def draw(frame: pd.DataFrame, axes: Axes, *, styles: Mapping[str, style.Style], median: float) -> None:
    """Draw the configs of one benchmark.

    frame: columns arm, seed, place (from 0), final, a row a config; median: the loss of the median random config.
    """
    axes.axhline(0.5, color=style.FAINT, linewidth=0.9, zorder=1)
    middles = (np.arange(PARTS) + 0.5) / PARTS
    for arm, mine in frame.groupby("arm", sort=False):
        count = mine.groupby("seed")["place"].transform("size")
        part = np.minimum(mine["place"] * PARTS // count, PARTS - 1).astype(int)
        shares = (mine["final"] > median).groupby([mine["seed"], part]).mean().unstack()
        found, look = mean(shares.to_numpy(dtype=float)), styles[str(arm)]
        axes.fill_between(middles, found.low, found.high, color=look.colour, alpha=0.15, linewidth=0)
        axes.plot(
            middles, found.center, color=look.colour, marker=look.marker, markersize=3.5, linewidth=1.4, label=str(arm)
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("configs tried, of all of the study")
    axes.set_ylabel("poor ones among them")
