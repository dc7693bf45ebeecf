"""Which trial a user would hold at each moment of a study, by four rules.

Every rule is the same walk over candidates in the order in which they arrived: the best loss at the highest level
seen so far, where two candidates tie the one that arrived earlier, then the one of the lower trial. The rules differ
in what is a candidate:

- `maxfid`: each end of a job, at the level at which its trial then stands (the default);
- `anyfid`: each report, all levels taken as one;
- `full`: each report of the highest level;
- `recommend`: what the method itself recommends, each recommendation above all that came before; until its first, and
  where a method has none, as `maxfid`.

A training that ends early because its curve does (not stopped, not failed) has no more to come: its end counts as one
at the highest level. A candidate without a finite loss can be nobody's choice, so it neither becomes the incumbent nor
raises the level. A job that the end of the study cut off is no candidate. Under `maxfid` the loss may rise where a new
level is reached: it is then another, harder-earned number, and hiding that would be selection after the fact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Key = tuple[str, str, int]
"""A study: its arm, benchmark and seed."""
Finals = Mapping[int, tuple[float, float]]
"""What the configs of trials end with, looked up without the luck of a seed: on validation and on test."""
Rows = slice | NDArray[np.int64]
"""Places in arrays of events."""

DEFAULT_RULE = "maxfid"
UNKNOWN = (np.nan, np.nan)


class Events(NamedTuple):
    """The events of one study in order, as arrays of shape (events,)."""

    kind: NDArray[Any]
    """"started", "report", "ended" or "recommended"."""
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

    def only(self, wanted: NDArray[np.bool_]) -> Candidates:
        """Those that are wanted, a bool each."""
        return Candidates(
            self.time[wanted], self.trial[wanted], self.level[wanted], self.loss[wanted], self.test[wanted]
        )


class Trajectory(NamedTuple):
    """The incumbent as right-continuous steps: arrays of shape (steps,), times rising."""

    times: Floats
    """Seconds at which the incumbent changed."""
    losses: Floats
    tests: Floats
    """The incumbent's test metric in the direction of the loss, NaN where there is none."""
    trials: NDArray[np.int64]
    finals: Floats
    """What the incumbent's config ends with, without the luck of a seed; NaN where that was not looked up."""
    final_tests: Floats
    """The same of the test metric."""


def ends(events: Events) -> Candidates:
    """Each trial as it stood when one of its jobs ended."""
    return _as_last_reported(events, _job_ended(events))


def reports(events: Events) -> Candidates:
    """Each report as a candidate."""
    every = Candidates(events.time, events.trial, events.resource, events.loss, events.test)
    return every.only(events.kind == "report")


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
    return every.only(every.level == top)


def recommend(events: Events, top: int) -> Candidates:
    """What the method recommends, the latest above all before it; until then the best of the highest level so far."""
    said = events.kind == "recommended"
    ranked = events._replace(resource=np.where(said, top + np.cumsum(said), events.resource))
    return _as_last_reported(ranked, said | _job_ended(events))


RULES: dict[str, Callable[[Events, int], Candidates]] = {
    "maxfid": maxfid,
    "anyfid": anyfid,
    "full": full,
    "recommend": recommend,
}


def candidates_of(events: Events, top: int, rule: str = DEFAULT_RULE) -> Candidates:
    """What a rule may choose from in a study; top: the highest level of the benchmark."""
    return RULES[_known(rule)](_trained_out(events, top), top)


def walk(candidates: Candidates) -> Trajectory:
    """Follow the incumbent through candidates in their order of arrival."""
    time, trial, level, loss, test = candidates.only(np.isfinite(candidates.loss))
    place = np.empty(len(time), dtype=np.int64)
    place[np.lexsort((trial, time, loss, -level))] = np.arange(len(time))
    steps = np.flatnonzero(place == np.minimum.accumulate(place))  # better than all that came before
    steps = steps[np.diff(time[steps], append=np.inf) > 0]  # of one moment, the last
    unknown = np.full(len(steps), np.nan)
    return Trajectory(time[steps], loss[steps], test[steps], trial[steps], unknown, unknown)


def at(times: Floats, values: Floats, grid: Floats) -> Floats:
    """The value that held at each time of the grid, NaN before the first.

    times and values: shape (steps,), times rising; grid: shape (points,), seconds. A step at time t counts from t on:
    nothing that arrives later is seen.
    """
    index = np.searchsorted(times, grid, side="right") - 1
    return np.append(values, np.nan)[index]  # index -1, before the first step, is the NaN


def trajectory(events: Events, top: int, rule: str = DEFAULT_RULE) -> Trajectory:
    """The incumbent of one study; top: the highest level of its benchmark."""
    return walk(candidates_of(events, top, rule))


def trajectories(
    events: pd.DataFrame, tops: dict[str, int], rule: str = DEFAULT_RULE, finals: Mapping[Key, Finals] | None = None
) -> dict[Key, Trajectory]:
    """The incumbent of every study in a frame of events.

    events: columns as of `Events`, arm, benchmark and seed; tops: the highest level of each benchmark; finals: what was
    looked up of the trials of studies.
    """
    rule = _known(rule)
    time, trial, resource, loss, test = (
        events[name].to_numpy() for name in ("time", "trial", "resource", "loss", "test")
    )
    (kinds, kind), (reasons, reason) = (_coded(events[name]) for name in ("kind", "reason"))
    found: dict[Key, Trajectory] = {}
    for key, rows in rows_of_studies(events).items():
        study = Events(
            kinds[kind[rows]], time[rows], trial[rows], resource[rows], loss[rows], test[rows], reasons[reason[rows]]
        )
        path = trajectory(study, tops[key[1]], rule)
        if known := (finals or {}).get(key):
            worth = np.array([known.get(trial, UNKNOWN) for trial in path.trials.tolist()]).reshape(-1, 2)
            path = path._replace(finals=worth[:, 0], final_tests=worth[:, 1])
        found[key] = path
    return found


def silent(events: pd.DataFrame, rule: str) -> list[str]:
    """The arms that recommend nothing, where a rule asks for that: held is then what `maxfid` says."""
    if rule != "recommend" or events.empty:
        return []
    said = set(events.loc[events["kind"] == "recommended", "arm"])
    return [str(arm) for arm in events["arm"].unique() if arm not in said]


def rows_of_studies(events: pd.DataFrame) -> dict[Key, Rows]:
    """The places of each study's events, studies by their first: as a groupby gives them, in little memory.

    A slice where they stand together, so that arrays of them are views.
    """
    if events.empty:
        return {}
    (arms, arm), (benchmarks, benchmark) = (_coded(events[name]) for name in ("arm", "benchmark"))
    seed = events["seed"].to_numpy()
    another = np.any([part[1:] != part[:-1] for part in (arm, benchmark, seed)], axis=0)
    stretches: dict[Key, list[tuple[int, int]]] = {}
    for start, end in pairwise([0, *(np.flatnonzero(another) + 1).tolist(), len(events)]):
        key = (str(arms[arm[start]]), str(benchmarks[benchmark[start]]), int(seed[start]))
        stretches.setdefault(key, []).append((start, end))
    return {
        key: slice(*parts[0]) if len(parts) == 1 else np.concatenate([np.arange(*part) for part in parts])
        for key, parts in stretches.items()
    }


def _known(rule: str) -> str:
    """The name of a rule; ValueError where there is none of that name."""
    if rule not in RULES:
        raise ValueError(f"no incumbent rule {rule!r}: there are {', '.join(RULES)}")
    return rule


def _coded(column: pd.Series[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The words of a column, each once, and which of them stands in each row: words by the million take gigabytes."""
    category = column.astype("category").cat
    return np.array(list(category.categories), dtype=object), category.codes.to_numpy()


def _job_ended(events: Events) -> NDArray[np.bool_]:
    """Where a job ended by itself or was ended by the scheduler."""
    return (events.kind == "ended") & (events.reason != "cut")


def _as_last_reported(events: Events, wanted: NDArray[np.bool_]) -> Candidates:
    """Each wanted event with what its trial had reported last by then; left out where that was nothing."""
    told, source = _latest(events, events.kind == "report", wanted)
    return Candidates(
        events.time[told], events.trial[told], events.resource[told], events.loss[source], events.test[source]
    )


def _trained_out(events: Events, top: int) -> Events:
    """The events, where a training that ended before its job's level stands at the highest: there is no more of it."""
    said = events.kind == "report"
    last, started = _latest(events, events.kind == "started", said & (events.reason == "reached"))
    early = np.zeros(len(said), dtype=np.bool_)
    early[last] = events.resource[last] < events.resource[started]
    ended, reported = _latest(events, said, _job_ended(events))
    early[ended] = early[reported]
    return events._replace(resource=np.where(early, top, events.resource))


def _latest(
    events: Events, said: NDArray[np.bool_], wanted: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The places of the wanted events, and of what was said last of each one's trial by then.

    Left out where nothing was.
    """
    rows = np.flatnonzero(said | wanted)
    rows = rows[np.argsort(events.trial[rows], kind="stable")]  # by trial, and in order within each
    last = np.maximum.accumulate(np.where(said[rows], np.arange(len(rows)), 0))
    source = np.empty(len(said), dtype=np.intp)
    source[rows] = rows[last]
    told = np.flatnonzero(wanted)
    source = source[told]
    known = said[source] & (events.trial[source] == events.trial[told])
    return told[known], source[known]
