"""The share of targets reached by each time, over all benchmarks and seeds: a target is the final loss that the best
10 %, 1 %, 0.1 % of a benchmark's configs reach, or its two best; it is reached where the observed loss of the incumbent
is as low. Every benchmark counts the same. Bands: pointwise 95 % bootstrap intervals for these benchmarks, seeds drawn
anew. Studies end at the budget: where a curve ends below 1, the rest was not reached.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from reports import style
from reports.figures._over_budget import curves


def draw(frame: pd.DataFrame, axes: Axes, *, styles: Mapping[str, style.Style]) -> None:
    """Draw the share of targets that each arm has reached.

    frame: columns arm, time (share of the budget), center, low, high.
    """
    curves(frame, axes, styles)
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of targets reached")
