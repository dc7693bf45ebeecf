"""How probable it is that a run of the method in the row is better than one of the method in the column on the same
benchmark: of anytime scores, every seed against every seed, averaged over benchmarks. Framed: told apart over
benchmarks (Wilcoxon's signed-rank test with Holm's correction over all pairs, 5 %).
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from reports import style
from reports.figures._column import name

COLOURS = LinearSegmentedColormap.from_list("worse to better", ["#b35806", "#f7c08a", "#f7f7f7", "#9ecae1", "#08519c"])
DARK = 0.33
"""So far from one half the shades are dark, and the words on them white."""


def draw(frame: pd.DataFrame, axes: Axes, *, arms: list[str]) -> Any:
    """Draw the matrix of all pairs; gives the image, for a bar of colours.

    frame: columns first, second, improvement, verdict, a row a pair; arms: in the order of rows and columns.
    """
    place = {arm: i for i, arm in enumerate(arms)}
    chance = np.full((len(arms), len(arms)), np.nan)
    size = min(8.0, 60 / max(len(arms), 1))
    for first, second, improvement, verdict in frame[["first", "second", "improvement", "verdict"]].itertuples(
        index=False
    ):
        for row, column, share in ((first, second, improvement), (second, first, 1 - improvement)):
            y, x = place[row], place[column]
            chance[y, x] = share
            colour = "white" if abs(share - 0.5) > DARK else style.INK
            axes.text(x, y, f"{share:.2f}".lstrip("0") if share < 1 else "1", ha="center", va="center", fontsize=size,
                      color=colour, in_layout=False)  # fmt: skip
            if verdict == "better":
                axes.add_patch(
                    Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fill=False, edgecolor=style.INK, linewidth=1.1)
                )
    image = axes.imshow(chance, cmap=COLOURS, vmin=0, vmax=1)
    axes.set_xticks(
        range(len(arms)), labels=[name(arm, axes) for arm in arms], rotation=40, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(arms)), labels=[name(arm, axes) for arm in arms])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image
