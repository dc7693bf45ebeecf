"""Normalised regret over time, over all benchmarks: 0 is the best final loss of a benchmark, 1 its median random
config; the geometric mean over seeds, then over benchmarks, each of them counting the same. Bands: pointwise 95 %
bootstrap intervals for these benchmarks, seeds drawn anew. Before its first incumbent a study holds the median
config, and so does one that failed. Regrets end below at a benchmark's noise.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, StrMethodFormatter

from reports import style
from reports.figures._over_budget import curves


def draw(frame: pd.DataFrame, axes: Axes, *, styles: Mapping[str, style.Style]) -> None:
    """Draw the mean regret of each arm.

    frame: columns arm, time (share of the budget), center, low, high.
    """
    curves(frame, axes, styles)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter("")
    axes.set_ylim(top=1.05)
    axes.set_ylabel("normalised regret (geometric mean)")
