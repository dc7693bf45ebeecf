"""The best loss so far against time, for each method: mean over seeds with its pointwise 95 % t interval on logs (drawn
from three seeds on). A curve is dotted until every seed has an incumbent; seeds without one or with a worse one, and
failed studies, count as the median random config, where the axis ends. The grey line is the best final loss known, the
strip above it the noise between seeds; the dashed line is what random search without repeats has on average if all
trainings take the same time: exact.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports import style
from reports.curves import window
from reports.figures._over_time import curve, time_axis, words


def draw(
    frame: pd.DataFrame,
    axes: Axes,
    *,
    styles: Mapping[str, style.Style],
    budget: float,
    rule: str,
    metric: str,
    clock: str = "simulated",
    law: pd.DataFrame | None = None,
    optimum: float | None = None,
    median: float | None = None,
    noise: float | None = None,
) -> None:
    """Draw the curves of one benchmark.

    frame: columns arm, time (seconds), loss, low, high, own, seeds, failed, as `curves.anytime` gives them;
    law: columns time, loss; budget: seconds; noise: how far above the best no loss can be told from it; rule: of the
    incumbent, named on the axis; clock: `simulated` or `wall-clock`.
    """
    unit, _ = style.time_unit(budget)
    handles: list[Line2D] = []
    for arm, mine in frame.groupby("arm", sort=False):
        own = mine["own"].to_numpy(dtype=bool)
        dotted = int(np.argmax(own)) if own.any() else len(own)
        handles.append(curve(axes, mine, "loss", styles[str(arm)], unit=unit, dotted=dotted))
    handles += _references(axes, law, optimum, noise, unit)
    if len(frame):
        begin, bottom, top = window(frame, optimum, median)
        time_axis(axes, begin, budget, clock)
        axes.set_ylim(bottom, top)
    words(axes, handles, f"best {metric} so far", rule)


def _references(
    axes: Axes, law: pd.DataFrame | None, optimum: float | None, noise: float | None, unit: float
) -> list[Line2D]:
    drawn: list[Line2D] = []
    if law is not None and len(law):
        dashes: dict[str, Any] = {"color": style.QUIET, "linestyle": (0, (4, 2)), "linewidth": 1.1, "zorder": 1.5}
        axes.plot(law["time"] / unit, law["loss"], **dashes)
        drawn.append(Line2D([], [], **dashes, label="random search (exact law)"))
    if optimum is not None:
        axes.axhline(optimum, color=style.FAINT, linewidth=1.2, zorder=1)
        drawn.append(Line2D([], [], color=style.FAINT, linewidth=1.2, label="best known"))
    if optimum is not None and noise is not None:
        strip: dict[str, Any] = {"color": style.FAINT, "alpha": 0.3, "zorder": 0.5}
        axes.axhspan(optimum, optimum + noise, linewidth=0, **strip)
        drawn.append(Line2D([], [], linewidth=6, **strip, label="noise of the final loss"))
    return drawn
