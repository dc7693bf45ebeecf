"""The mean anytime score of each method on each benchmark, the darker the better, benchmarks of one family side by
side. The best of a row is set in bold. Hatched: studies failed there, and count as the median random config; crossed
out: the method has no study there.
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

COLOURS = LinearSegmentedColormap.from_list("score", ["#ffffff", "#c6dbef", "#6baed6", "#2171b5", "#08306b"])
DARK = 0.55


def draw(frame: pd.DataFrame, axes: Axes, *, arms: list[str]) -> Any:
    """Draw a cell for each benchmark and arm; gives the image, for a bar of colours.

    frame: columns benchmark, family, arm, score (0 to 1), failed (studies), benchmarks by family.
    """
    names = list(dict.fromkeys(frame["benchmark"].astype(str)))
    scores = np.full((len(names), len(arms)), np.nan)
    failed = np.zeros(scores.shape, dtype=int)
    for benchmark, arm, score, count in frame[["benchmark", "arm", "score", "failed"]].itertuples(index=False):
        place = names.index(benchmark), arms.index(arm)
        scores[place], failed[place] = score, count
    top = max(float(np.nanmax(scores, initial=0.0)), 0.05)
    size = min(7.0, 160 / max(len(arms), 1))
    image = axes.imshow(scores, cmap=COLOURS, vmin=0, vmax=top, aspect="auto")
    for (row, column), score in np.ndenumerate(scores):
        if np.isnan(score):
            axes.plot([column - 0.3, column + 0.3], [row - 0.3, row + 0.3], color=style.FAINT, linewidth=0.8)
            continue
        if failed[row, column]:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="////", edgecolor="#D55E00",
                                     linewidth=0))  # fmt: skip
        best = score >= np.nanmax(scores[row])
        axes.text(column, row, f"{score:.2f}".lstrip("0") if score < 0.995 else "1", ha="center", va="center",
                  fontsize=size, color="white" if score > DARK * top else style.INK,
                  fontweight="bold" if best else "normal", in_layout=False)  # fmt: skip
    families = frame.drop_duplicates("benchmark")["family"].astype(str).tolist()
    for row in range(1, len(names)):
        if families[row] != families[row - 1]:
            axes.axhline(row - 0.5, color="white", linewidth=3)
    axes.set_xticks(
        range(len(arms)), labels=[name(arm, axes) for arm in arms], rotation=40, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(names)), labels=[name(benchmark, axes, 34) for benchmark in names], fontsize=7)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image
