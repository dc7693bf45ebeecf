"""Every trial of one study against time, coloured by the level that it reached in the end.

A line breaks where its trial was paused and goes on where it was resumed. A bar marks a trial that the scheduler
stopped, a cross one that failed. Losses far above the rest are cut off at the top edge and counted there.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports import style
from reports.figures._shades import scale_of
from reports.trials import points

Floats = NDArray[np.float64]

LETTER, BOLD = 0.06, 1.3
"""Inches of a letter of the note above a panel, and how much wider one of its title is."""


def draw(
    frame: pd.DataFrame,
    axes: Axes,
    *,
    levels: Sequence[int],
    limits: tuple[float, float],
    budget: float,
    title: str,
) -> None:
    """Draw the trials of one study.

    frame: its events (kind, time, trial, resource, loss, reason); levels: all of the benchmark, rising;
    limits: of the loss axis, the same for all panels; budget: seconds.
    """
    unit, _ = style.time_unit(budget)
    colours, norm = scale_of(levels)
    reported = points(frame)
    reached = reported.groupby("trial")["level"].max()
    seen = reported[np.isfinite(reported["loss"])]
    bottom, top = limits
    order = reached.reindex(seen["trial"]).to_numpy(dtype=float)
    drawn: list[Floats] = []
    levels_of: list[float] = []
    for (level, _), job in seen.groupby([order, "job"], sort=True):  # those trained longest lie on top
        drawn.append(np.minimum(job[["time", "loss"]].to_numpy(dtype=float), (np.inf, top)) / (unit, 1.0))
        levels_of.append(float(cast(Any, level)))
    shades = colours(norm(np.array(levels_of))) if drawn else np.empty((0, 4))
    axes.add_collection(LineCollection(drawn, colors=shades, linewidths=0.9, capstyle="round"), autolim=False)
    single = [i for i, line in enumerate(drawn) if len(line) == 1]
    dots = np.array([drawn[i][0] for i in single]).reshape(-1, 2)
    axes.scatter(dots[:, 0], dots[:, 1], s=3, color=shades[single], linewidths=0)
    _mark_ends(frame, axes, unit, top)
    axes.set_xlim(0, budget / unit)
    axes.set_ylim(bottom, top)
    _head(axes, title, _note(frame, top))


def _mark_ends(frame: pd.DataFrame, axes: Axes, unit: float, top: float) -> None:
    """Mark the trials that were stopped or failed where they ended, at the last finite loss."""
    said = frame[(frame["kind"] == "report") & np.isfinite(frame["loss"])]
    last = said.groupby("trial")["loss"].last()
    ended = frame[frame["kind"] == "ended"]
    for reason, marker, colour in (("stopped", "|", style.INK), ("failed", "x", style.FAILURE)):
        some = ended[ended["reason"] == reason]
        heights = np.minimum(last.reindex(some["trial"]).fillna(top).to_numpy(dtype=float), top)
        axes.scatter(
            some["time"] / unit, heights, s=14, marker=marker, color=colour, linewidths=0.9, zorder=3, clip_on=False
        )


def _head(axes: Axes, title: str, note: str) -> None:
    """The title at the left, the note beside it or, where they would meet, below it."""
    figure, spec = cast(Figure, axes.get_figure(root=True)), axes.get_subplotspec()
    room = 0.8 * figure.get_figwidth() / (spec.get_gridspec().ncols if spec else 1)
    beside = LETTER * (BOLD * len(title) + len(note)) < room
    axes.set_title(title, loc="left", pad=6 if beside else 18)
    x, side = (1.0, "right") if beside else (0.0, "left")
    small: dict[str, Any] = {"fontsize": 7.5, "color": style.QUIET}
    axes.annotate(note, (x, 1), (0, 6), "axes fraction", "offset points", ha=side, va="bottom", **small)


def _note(frame: pd.DataFrame, top: float) -> str:
    """How many trials there are, how they ended, and how many had losses above the top edge."""
    above = frame.loc[(frame["kind"] == "report") & (frame["loss"] > top), "trial"].nunique()
    reasons = frame.loc[frame["kind"] == "ended", "reason"].value_counts()
    counts = {
        "trials": frame["trial"].nunique(),
        "cut at the top": above,
        "stopped (|)": int(reasons.get("stopped", 0)),
        "failed (×)": int(reasons.get("failed", 0)),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)
