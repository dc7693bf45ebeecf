"""Which trial a user would hold at each moment of a study, by three rules.

Every rule is the same walk over candidates in the order in which they arrived: the best loss at the highest level
seen so far, where two candidates tie the one that arrived earlier, then the one of the lower trial. The rules differ
in what is a candidate:

- `maxfid`: each end of a job, at the level at which its trial then stands (the default);
- `anyfid`: each report, all levels taken as one;
- `full`: each report of the highest level.

A candidate without a finite loss can be nobody's choice, so it neither becomes the incumbent nor raises the level.
A job that the end of the study cut off is no candidate. Under `maxfid` the loss may rise where a new level is
reached: it is then another, harder-earned number, and hiding that would be selection after the fact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Key = tuple[str, str, int]
"""A study: its arm, benchmark and seed."""

DEFAULT_RULE = "maxfid"


class Events(NamedTuple):
    """The events of one study in order, as arrays of shape (events,)."""

    kind: NDArray[Any]
    """"started", "report" or "ended"."""
    time: Floats
    """Seconds."""
    trial: NDArray[np.int64]
    resource: NDArray[np.int64]
    loss: Floats
    """To be minimised; NaN unless it is a report."""
    test: Floats
    reason: NDArray[Any]


class Candidates(NamedTuple):
    """What a rule may choose from, in the order of arrival: arrays of shape (candidates,)."""

    time: Floats
    trial: NDArray[np.int64]
    level: NDArray[np.int64]
    loss: Floats
    test: Floats


class Trajectory(NamedTuple):
    """The incumbent as right-continuous steps: arrays of shape (steps,), times rising."""

    times: Floats
    """Seconds at which the incumbent changed."""
    losses: Floats
    tests: Floats
    """The incumbent's test metric in the direction of the loss, NaN where there is none."""
    trials: NDArray[np.int64]


def ends(events: Events) -> Candidates:
    """Each trial as it stood when one of its jobs ended by itself or was ended by the scheduler."""
    last: dict[int, tuple[float, float]] = {}
    rows: list[tuple[float, int, int, float, float]] = []
    columns = (events.kind, events.time, events.trial, events.resource, events.loss, events.test, events.reason)
    for kind, time, trial, resource, loss, test, reason in zip(*(c.tolist() for c in columns), strict=True):
        if kind == "report":
            last[trial] = (loss, test)
        elif kind == "ended" and reason != "cut" and trial in last:
            rows.append((time, trial, resource, *last[trial]))
    return _candidates(rows)


def reports(events: Events) -> Candidates:
    """Each report as a candidate."""
    said = events.kind == "report"
    return Candidates(
        events.time[said], events.trial[said], events.resource[said], events.loss[said], events.test[said]
    )


def maxfid(events: Events, top: int) -> Candidates:
    """The best among trials at the highest level at which any job has ended so far."""
    return ends(events)


def anyfid(events: Events, top: int) -> Candidates:
    """The best of all reports, whatever their level."""
    every = reports(events)
    return every._replace(level=np.zeros_like(every.level))


def full(events: Events, top: int) -> Candidates:
    """The best of the reports at the highest level of the benchmark, `top`."""
    every = reports(events)
    whole = every.level == top
    return Candidates(every.time[whole], every.trial[whole], every.level[whole], every.loss[whole], every.test[whole])


RULES: dict[str, Callable[[Events, int], Candidates]] = {"maxfid": maxfid, "anyfid": anyfid, "full": full}


def walk(candidates: Candidates) -> Trajectory:
    """Follow the incumbent through candidates in their order of arrival."""
    held: tuple[int, float, float, int] | None = None
    steps: list[tuple[float, float, float, int]] = []
    finite = np.isfinite(candidates.loss)
    for time, trial, level, loss, test in zip(*(column[finite].tolist() for column in candidates), strict=True):
        rival = (-level, loss, time, trial)
        if held is not None and rival >= held:
            continue
        held = rival
        if steps and steps[-1][0] == time:
            steps.pop()
        steps.append((time, loss, test, trial))
    times, losses, tests, trials = zip(*steps, strict=True) if steps else ((), (), (), ())
    return Trajectory(
        np.array(times, dtype=float),
        np.array(losses, dtype=float),
        np.array(tests, dtype=float),
        np.array(trials, dtype=np.int64),
    )


def at(times: Floats, values: Floats, grid: Floats) -> Floats:
    """The value that held at each time of the grid, NaN before the first.

    times and values: shape (steps,), times rising; grid: shape (points,), seconds. A step at time t counts from t on:
    nothing that arrives later is seen.
    """
    index = np.searchsorted(times, grid, side="right") - 1
    return np.append(values, np.nan)[index]  # index -1, before the first step, is the NaN


def trajectories(events: pd.DataFrame, tops: dict[str, int], rule: str = DEFAULT_RULE) -> dict[Key, Trajectory]:
    """The incumbent of every study in a frame of events.

    tops: the highest level of each benchmark.
    """
    if rule not in RULES:
        raise ValueError(f"no incumbent rule {rule!r}: there are {', '.join(RULES)}")
    columns = [events[name].to_numpy() for name in ("kind", "time", "trial", "resource", "loss", "test", "reason")]
    groups = events.groupby(["arm", "benchmark", "seed"], sort=False, observed=True).indices
    found: dict[Key, Trajectory] = {}
    for (arm, benchmark, seed), rows in cast(dict[Any, Any], groups).items():
        study = Events(*(column[rows] for column in columns))
        found[arm, benchmark, int(seed)] = walk(RULES[rule](study, tops[benchmark]))
    return found


def _candidates(rows: list[tuple[float, int, int, float, float]]) -> Candidates:
    time, trial, level, loss, test = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return Candidates(
        np.array(time, dtype=float),
        np.array(trial, dtype=np.int64),
        np.array(level, dtype=np.int64),
        np.array(loss, dtype=float),
        np.array(test, dtype=float),
    )
