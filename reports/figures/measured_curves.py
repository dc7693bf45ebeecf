"""Every measured run of the independent random configs against the level, coloured by the rank of its final loss: the
darker, the better, in steps that are finer among the best. The best run and the median one are drawn in black. The
axis ends at the stated loss; a cross at its edge marks where a diverged run left for good. Above the plateau, where
one is declared, a run learned no more than what needs no config.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, Colormap
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from reports import style

Floats = NDArray[np.float64]

DIVERGED = "#D55E00"
SPREAD = 12
"""A level axis whose last level is this many times the first is logarithmic."""
FEW = 8
"""So many levels have a tick each, if the axis is not."""


def draw(
    frame: pd.DataFrame,
    axes: Axes,
    *,
    colours: Colormap,
    norm: BoundaryNorm,
    limits: tuple[float, float],
    metric: str,
    unit: str,
    plateau: float | None = None,
) -> None:
    """Draw all measured learning curves of one benchmark.

    frame: columns run, level, loss, diverged (of the run as a whole), sorted by run and level; colours and norm: of
    final losses; limits: of the loss axis; plateau: a loss.
    """
    bottom, top = limits
    runs = [_points(run) for _, run in frame.groupby("run", sort=True)]
    diverged = frame.groupby("run", sort=True)["diverged"].first().to_numpy(dtype=bool)
    final = np.array([run[-1, 1] for run in runs])
    rank = np.argsort(np.where(diverged | np.isnan(final), np.inf, final), kind="stable")
    order = rank[::-1]  # the best lie on top
    shades = colours(norm(np.where(diverged | np.isnan(final), top, np.minimum(final, top))))
    lines = LineCollection([runs[i] for i in order], colors=shades[order], linewidths=0.5, alpha=0.8)
    axes.add_collection(lines, autolim=False)
    handles = [
        _emphasised(axes, runs[rank[0]], "-", "best"),
        _emphasised(axes, runs[rank[(len(rank) - 1) // 2]], (0, (3, 1.5)), "median"),
    ]
    if plateau is not None:
        handles.append(_line(axes, plateau))
    if diverged.any():
        left = [_leaves(runs[i], top) for i in np.flatnonzero(diverged)]
        crosses: dict[str, Any] = {"color": DIVERGED, "marker": "x", "linestyle": "", "markersize": 4}
        axes.plot(left, np.full(len(left), top), clip_on=False, zorder=5, **crosses)
        handles.append(Line2D([], [], **crosses, label=f"{int(diverged.sum())} diverged, cut at {top:.3g}"))
    axes.set_ylim(bottom, top)
    _level_axis(axes, frame["level"].to_numpy(dtype=float), unit)
    axes.set_ylabel(metric)
    compact: dict[str, Any] = {"handlelength": 1.7, "handletextpad": 0.5, "columnspacing": 1.2, "borderaxespad": 0}
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.02), ncols=4, **compact)


def _points(run: pd.DataFrame) -> Floats:
    """A run as points (level, loss), shape (k, 2), where the loss is finite; one without a loss if it nowhere is."""
    points = run[["level", "loss"]].to_numpy(dtype=float)
    finite = np.isfinite(points[:, 1])
    return points[finite] if finite.any() else np.array([[points[0, 0], np.nan]])


def _leaves(points: Floats, top: float) -> float:
    """The level from which a run stays above the top edge, or where it ends."""
    inside = np.flatnonzero(points[:, 1] <= top)
    return float(points[min(inside[-1] + 1 if len(inside) else 0, len(points) - 1), 0])


def _emphasised(axes: Axes, points: Floats, dashes: Any, what: str) -> Line2D:
    look: dict[str, Any] = {"color": "black", "linestyle": dashes, "linewidth": 1.6}
    axes.plot(points[:, 0], points[:, 1], zorder=4, **look)
    said = "" if np.isnan(points[-1, 1]) else f" {points[-1, 1]:.4g}"
    return Line2D([], [], **look, label=f"{what}{said}")


def _line(axes: Axes, plateau: float) -> Line2D:
    look: dict[str, Any] = {"color": style.INK, "linestyle": (0, (1, 1.5)), "linewidth": 1.2}
    axes.axhline(plateau, zorder=4, **look)
    return Line2D([], [], **look, label=f"plateau {plateau:.4g}")


def _level_axis(axes: Axes, levels: Floats, unit: str) -> None:
    first, last = float(levels.min()), float(levels.max())
    if last >= SPREAD * first:
        axes.set_xscale("log")
        round_ones = (step * 10.0**decade for decade in range(7) for step in (1, 2, 5))
        ticks = [first, *(level for level in round_ones if 1.4 * first < level < last / 1.4), last]
        axes.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    elif len(few := np.unique(levels)) <= FEW:
        axes.set_xticks(few)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if first < last:
        axes.set_xlim(first, last)
    axes.set_xlabel(unit)
