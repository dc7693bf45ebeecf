"""What the config that a study holds at the budget is truly worth, on the validation metric and on the test metric,
both looked up at full resource without the luck of a seed. A point is a study; where points of one height on validation
lie far apart on test, the choice did not carry over. A line falls from each overtuned study to the best test loss that
an earlier incumbent had: tuning went past it. Grey lines are the best losses that there are.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports import style
from reports.figures._column import legend

ROOM = 0.06
"""Of the span of the points, left free around them."""


def draw(
    frame: pd.DataFrame,
    axes: Axes,
    *,
    styles: Mapping[str, style.Style],
    metric: str,
    optimum: float | None = None,
    test_optimum: float | None = None,
) -> None:
    """Draw the studies of one benchmark.

    frame: columns arm, final, final_test, overtuned, a row a study; those without finite losses are counted in the
    legend; optimum, test_optimum: the lowest losses that there are.
    """
    for value, line in ((optimum, axes.axvline), (test_optimum, axes.axhline)):
        if value is not None:
            line(value, color=style.FAINT, linewidth=0.9, zorder=1)
    handles: list[Line2D] = []
    for arm, mine in frame.groupby("arm", sort=False):
        handles.append(_studies(axes, mine, str(arm), styles[str(arm)]))
    finite = frame[np.isfinite(frame["final"]) & np.isfinite(frame["final_test"])]
    if len(finite):
        axes.set_xlim(*_limits(finite["final"].to_numpy(dtype=float), optimum))
        lows = np.concatenate([finite["final_test"], finite["final_test"] - finite["overtuned"].fillna(0)])
        axes.set_ylim(*_limits(lows, test_optimum))
    axes.set_xlabel(f"final {metric} of the selected config")
    axes.set_ylabel("its final loss on test")
    legend(axes, handles, labelspacing=0.9)


def _studies(axes: Axes, mine: pd.DataFrame, arm: str, look: style.Style) -> Line2D:
    final, test, over = (mine[name].to_numpy(dtype=float) for name in ("final", "final_test", "overtuned"))
    shown = np.isfinite(final) & np.isfinite(test)
    past = shown & (over > 0)
    axes.vlines(final[past], (test - over)[past], test[past], color=look.colour, linewidth=0.8, alpha=0.6, zorder=2)
    axes.plot(
        final[shown], test[shown], linestyle="", marker=look.marker, markersize=4.5, color=look.colour, alpha=0.75,
        markeredgewidth=0, zorder=3,
    )  # fmt: skip
    said = f"{style.name(arm)}\n{int(past.sum())} of {int(shown.sum())} overtuned"
    if not shown.all():
        said += f"\n{int((~shown).sum())} without a loss"
    return Line2D([], [], linestyle="", marker=look.marker, color=look.colour, label=said, markersize=5)


def _limits(values: np.ndarray, optimum: float | None) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if optimum is not None:
        low = min(low, optimum)
    room = ROOM * (high - low) or 0.5
    return low - room, high + room
