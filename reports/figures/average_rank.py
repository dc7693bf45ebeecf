"""The mean rank of each method over time, 1 the best: of normalised regret within each benchmark and seed, ties sharing
their mean rank, averaged over seeds and then over benchmarks. Bands: pointwise 95 % bootstrap intervals for these
benchmarks, seeds drawn anew. A rank depends on who else is compared: no verdict rests on it.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from reports import style
from reports.figures._over_budget import curves


def draw(frame: pd.DataFrame, axes: Axes, *, styles: Mapping[str, style.Style]) -> None:
    """Draw the mean rank of each arm, the best at the top.

    frame: columns arm, time (share of the budget), center, low, high.
    """
    curves(frame, axes, styles)
    arms = frame["arm"].nunique()
    axes.set_ylim(arms + 0.15, 0.85)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(f"mean rank of {arms} methods")
