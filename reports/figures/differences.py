"""Real less simulated final regret, each method with its 95 % interval over seeds; 1 is the gap from the median random
config to the best of the table. The worlds agree where an interval lies within the grey margin.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports import style


def draw(frame: pd.DataFrame, axes: Axes, *, margin: float) -> None:
    """Draw a row a method.

    frame: columns arm, difference, low, high (NaN with one seed, and where it is the same at every seed).
    """
    places = np.arange(len(frame))[::-1]
    axes.axvspan(-margin, margin, color=style.FAINT, alpha=0.35, linewidth=0)
    axes.axvline(0, color=style.QUIET, linewidth=0.8)
    looks = style.styles([str(arm) for arm in frame["arm"]])
    for place, (arm, center, low, high) in zip(
        places, frame[["arm", "difference", "low", "high"]].itertuples(index=False), strict=True
    ):
        look = looks[str(arm)]
        axes.plot([low, high], [place, place], color=look.colour, linewidth=1.6)
        axes.plot([center], [place], color=look.colour, marker=look.marker, markersize=5)
    axes.set_yticks(places, labels=[str(arm) for arm in frame["arm"]])
    axes.set_ylim(-0.6, len(frame) - 0.4)
    reach = np.nanmax(np.abs([1.5 * margin, *frame[["difference", "low", "high"]].to_numpy(dtype=float).ravel()]))
    axes.set_xlim(-1.05 * float(reach), 1.05 * float(reach))
    axes.set_xlabel("final regret, real less simulated")
