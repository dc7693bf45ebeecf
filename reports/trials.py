"""What a study's trials did, from its events: jobs, learning curves, and which of them a page has room for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

JOBS = ["job", "trial", "worker", "start", "end", "level", "reached", "loss", "reason"]
POINTS = ["job", "trial", "level", "time", "loss"]


def jobs(events: pd.DataFrame) -> pd.DataFrame:
    """One row per job of a study, in the order in which they started.

    Columns: job (its place), trial, worker, start and end (seconds, end NaN if no end is recorded), level (where the
    trial then stood), reached (the level that its trial reached in the end), loss (the last reported, NaN if none),
    reason (why it ended).
    """
    rows: list[dict[str, Any]] = []
    under_way: dict[int, dict[str, Any]] = {}
    stands: dict[int, int] = {}
    columns = (events[name].tolist() for name in ("kind", "time", "worker", "trial", "resource", "loss", "reason"))
    for kind, time, worker, trial, resource, loss, reason in zip(*columns, strict=True):
        if kind == "started":
            row = {"job": len(rows), "trial": trial, "worker": worker, "start": time, "end": np.nan}
            under_way[trial] = row | {"level": stands.get(trial, 0), "loss": np.nan, "reason": ""}
            rows.append(under_way[trial])
        elif kind == "report" and (row := under_way.get(trial)) is not None:
            row["level"] = stands[trial] = max(stands.get(trial, 0), resource)
            row["loss"] = loss
        elif kind == "ended" and trial in under_way:
            under_way.pop(trial).update(end=time, reason=reason)
    for row in rows:
        row["reached"] = stands.get(row["trial"], 0)
    frame = pd.DataFrame({name: [row[name] for row in rows] for name in JOBS})
    return frame.astype({"start": float, "end": float, "loss": float, "reached": int})


def points(events: pd.DataFrame) -> pd.DataFrame:
    """The learning curves of a study: a row per report, with the job that it is of, in the order of the jobs.

    A resumed job begins at its start with the loss at which its trial was paused. Columns: job, trial, level, time
    (seconds), loss (infinite where it is not finite).
    """
    rows: list[tuple[int, int, int, float, float]] = []
    job: dict[int, int] = {}
    held: dict[int, tuple[int, float]] = {}
    started = 0
    columns = (events[name].tolist() for name in ("kind", "time", "trial", "resource", "loss"))
    for kind, time, trial, resource, loss in zip(*columns, strict=True):
        if kind == "started":
            job[trial], started = started, started + 1
            if trial in held:
                rows.append((job[trial], trial, held[trial][0], time, held[trial][1]))
        elif kind == "report" and trial in job:
            finite = math.isfinite(loss)
            rows.append((job[trial], trial, resource, time, loss if finite else np.inf))
            if finite:
                held[trial] = (resource, loss)
    table = np.array(rows, dtype=float).reshape(-1, len(POINTS))
    table = table[np.lexsort((table[:, POINTS.index("time")], table[:, POINTS.index("job")]))]
    return pd.DataFrame(table, columns=POINTS).astype({"job": int, "trial": int, "level": int})


def limits(losses: Floats) -> tuple[float, float]:
    """Limits of the loss axis that show the bulk: losses of the reports of all panels, shape (reports,)."""
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return 0.0, 1.0
    low, quarter, half, high = np.quantile(finite, [0, 0.25, 0.5, 0.97])
    top = min(high, half + 6 * (half - quarter)) if half > quarter else high
    room = 0.04 * (top - low) or 0.5
    return float(low - room), float(top + room)


def every(of: pd.DataFrame, room: int) -> int:
    """Every how many-th trial is shown so that the rows of those shown fit: of all their rows at most about `room`."""
    return max(1, -(-len(of) // room))


def thinned(curves: pd.DataFrame, room: int) -> pd.DataFrame:
    """Of each job's learning curve the first and the last point and as many between that about `room` rows are left."""
    another, step = np.diff(curves["job"].to_numpy(), prepend=-1) != 0, max(1, -(-len(curves) // room))
    rows = np.arange(len(curves))
    places = rows - np.maximum.accumulate(np.where(another, rows, 0))
    return curves[(places % step == 0) | np.append(another[1:], True)[: len(curves)]]
