"""Every trial of one study against time, coloured by the level that it reached in the end.

A line breaks where its trial was paused and goes on where it was resumed. A bar marks a trial that the scheduler
stopped, a cross one that failed. Losses far above the rest are cut off at the top edge and counted there.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, Colormap, LinearSegmentedColormap
from numpy.typing import NDArray

from reports import style

Floats = NDArray[np.float64]

FAILURE = "#D55E00"
ROOM = 52
"""Characters that fit above a panel in one line."""


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
    lines, reached = trial_lines(frame)
    bottom, top = limits
    order = [int(i) for i in np.argsort(reached, kind="stable")]  # those trained longest lie on top
    drawn: list[Floats] = [np.minimum(lines[i], (np.inf, top)) / (unit, 1.0) for i in order]
    shades = colours(norm(reached[order])) if order else np.empty((0, 4))
    axes.add_collection(LineCollection(drawn, colors=shades, linewidths=0.9, capstyle="round"), autolim=False)
    single = [i for i, line in enumerate(drawn) if len(line) == 1]
    points = np.array([drawn[i][0] for i in single]).reshape(-1, 2)
    axes.scatter(points[:, 0], points[:, 1], s=3, color=shades[single], linewidths=0)
    _mark_ends(frame, axes, unit, top)
    axes.set_xlim(0, budget / unit)
    axes.set_ylim(bottom, top)
    _head(axes, title, _note(frame, top))


def limits(losses: Floats) -> tuple[float, float]:
    """Limits of the loss axis that show the bulk: losses of the reports of all panels, shape (reports,)."""
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return 0.0, 1.0
    low, quarter, half, high = np.quantile(finite, [0, 0.25, 0.5, 0.97])
    top = min(high, half + 6 * (half - quarter)) if half > quarter else high
    room = 0.04 * (top - low) or 0.5
    return float(low - room), float(top + room)


def scale_of(levels: Sequence[int]) -> tuple[Colormap, BoundaryNorm]:
    """Light to dark over the levels of a benchmark: an equal step for each."""
    shades = ["#b9c9d3", "#7fb2c4", "#3f8fa8", "#1f5f8b", "#1b2a6b"]
    edges = np.concatenate([[levels[0] - 0.5], np.asarray(levels) + 0.5])
    steps = max(256, len(edges))
    return LinearSegmentedColormap.from_list("reached", shades, N=steps), BoundaryNorm(edges, steps)


def trial_lines(frame: pd.DataFrame) -> tuple[list[Floats], NDArray[np.int64]]:
    """Each job as a line of (seconds, loss), shape (points, 2), and the level that its trial reached in the end.

    A resumed job begins at its start with the loss at which its trial was paused; points without a finite loss are
    left out of the line. Levels: shape (jobs,).
    """
    lines: list[list[tuple[float, float]]] = []
    owner: list[int] = []
    open_line: dict[int, int] = {}
    held: dict[int, float] = {}
    final: dict[int, int] = {}
    columns = (frame[name].tolist() for name in ("kind", "time", "trial", "resource", "loss"))
    for kind, time, trial, resource, loss in zip(*columns, strict=True):
        if kind == "started":
            open_line[trial] = len(lines)
            owner.append(trial)
            lines.append([(time, held[trial])] if trial in held else [])
        elif kind == "report":
            final[trial] = max(final.get(trial, 0), resource)
            if np.isfinite(loss):
                held[trial] = loss
                lines[open_line[trial]].append((time, loss))
    kept = [i for i, line in enumerate(lines) if line]
    arrays = [np.array(lines[i], dtype=float) for i in kept]
    return arrays, np.array([final.get(owner[i], 0) for i in kept], dtype=np.int64)


def _mark_ends(frame: pd.DataFrame, axes: Axes, unit: float, top: float) -> None:
    """Mark the trials that were stopped or failed where they ended, at the last finite loss."""
    said = frame[(frame["kind"] == "report") & np.isfinite(frame["loss"])]
    last = said.groupby("trial")["loss"].last()
    ended = frame[frame["kind"] == "ended"]
    for reason, marker, colour in (("stopped", "|", style.INK), ("failed", "x", FAILURE)):
        some = ended[ended["reason"] == reason]
        heights = np.minimum(last.reindex(some["trial"]).fillna(top).to_numpy(dtype=float), top)
        axes.scatter(
            some["time"] / unit, heights, s=14, marker=marker, color=colour, linewidths=0.9, zorder=3, clip_on=False
        )


def _head(axes: Axes, title: str, note: str) -> None:
    """The title at the left, the note beside it or, where they would meet, below it."""
    beside = len(title) + len(note) < ROOM
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
