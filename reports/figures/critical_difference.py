"""The mean rank of each method over benchmarks, of its mean anytime score, the best at the left. A bar joins neighbours
of which no two can be told apart (Wilcoxon's signed-rank test on the two alone, with Holm's correction over all pairs,
5 %): no bar means that neighbours differ. It does not say that methods under one bar are equal.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports import style

BAR, ROW, EDGE = 0.32, 0.5, 0.04
"""The heights between two bars and two labels, and how far labels stand off, as a share of the axis."""


def draw(
    frame: pd.DataFrame, axes: Axes, *, styles: Mapping[str, style.Style], cliques: Sequence[Sequence[str]]
) -> None:
    """Draw ranks on a line, labels on both sides, and the bars between.

    frame: columns arm, rank; cliques: the groups of arms to join.
    """
    ranked = frame.sort_values("rank", kind="stable")
    ranks = dict(zip(ranked["arm"].astype(str), ranked["rank"].astype(float), strict=True))
    arms = list(ranks)
    left = arms[: -(-len(arms) // 2)]
    below = BAR * (len(cliques) + 1)
    low, high = 1.0, float(max(len(arms), 2))
    room, off = 0.008 * (high - low), EDGE * (high - low)
    axes.plot([low, high], [0, 0], color=style.INK, linewidth=1)
    ticks = np.arange(low, high + 1)
    for tick in ticks:
        axes.plot([tick, tick], [0, 0.14], color=style.INK, linewidth=0.8)
        axes.text(tick, 0.24, f"{tick:g}", ha="center", va="bottom")
    for row, clique in enumerate(cliques):
        ends = [ranks[arm] for arm in (clique[0], clique[-1])]
        axes.plot([min(ends) - room, max(ends) + room], [-BAR * (row + 0.8)] * 2, color=style.INK, linewidth=3,
                  solid_capstyle="butt")  # fmt: skip
    for side, names, edge in (("right", left, low - off), ("left", arms[len(left) :][::-1], high + off)):
        for row, arm in enumerate(names):
            depth = -below - ROW * row
            look = styles[arm]
            axes.plot([ranks[arm], ranks[arm], edge], [0, depth, depth], color=look.colour, linewidth=0.9)
            axes.plot([ranks[arm]], [0], marker=look.marker, color=look.colour, markersize=5, zorder=5)
            shown = style.name(arm)
            said = f"{shown}  {ranks[arm]:.2f}" if side == "right" else f"{ranks[arm]:.2f}  {shown}"
            axes.annotate(said, (edge, depth), (-4 if side == "right" else 4, 0), textcoords="offset points", ha=side,
                          va="center")  # fmt: skip
    axes.set_xlim(low - off, high + off)
    axes.set_ylim(-below - ROW * (len(left) - 0.4), 0.8)
    axes.set_axis_off()
