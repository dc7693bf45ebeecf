"""A study: one arm on one benchmark with one seed under stated conditions, and the record of what happened.

A study's key is the hash of all that it depends on. A record holds the events as columns and their digest; two runs of
one study have one digest. What was really spent (seconds of this machine) stands beside and is no part of it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.loop import Ended, Log, Started
from harness.space import Config
from harness.types import Benchmark

SIMULATION_VERSION = 1
"""Raised when the same study would give other events."""

KINDS = ("started", "report", "ended", "recommended")
INSTALLED = ("versions", "program")
"""What a method says of what is installed: the versions of its library, or a hash of the files of its program."""


@dataclass(frozen=True)
class Study:
    """What is run, and all that its outcome depends on.

    method: as `Method.to_json` gives it; benchmark: with the arm's own space, workers, budget and delays;
    data: digest of the table or surrogate, or `real`; source: where that data is found, by name or path, no part of
    the key; shared: how many first configs all arms have in common;
    points: start configs of this arm; finished_trials: end after so many, instead of at the budget only;
    history: digest of the past tasks that the method learns from, where it does; past: where those are found, as
    `source` no part of the key; replicates: added to the seed where it chooses the luck of curves, so that a study
    meets those of another seed and all else stays; recommends: whether the method is asked, at each end of a job, which
    trial it would hand over.
    """

    arm: str
    method: Mapping[str, Any]
    benchmark: Benchmark
    data: str
    seed: int
    decision_time: str = "none"
    shared: int = 0
    points: tuple[Config, ...] = ()
    finished_trials: int | None = None
    source: str = ""
    history: str = ""
    past: tuple[str, ...] = ()
    replicates: int = 0
    recommends: bool = False

    def spec(self) -> dict[str, Any]:
        """All ingredients as plain JSON; those of the last four stand there only where they say something."""
        spec: dict[str, Any] = {
            "simulation_version": SIMULATION_VERSION,
            "arm": self.arm,
            "method": dict(self.method),
            "benchmark": self.benchmark.to_json(),
            "data": self.data,
            "seed": self.seed,
            "decision_time": self.decision_time,
            "shared": self.shared,
            "points": [dict(point) for point in self.points],
            "finished_trials": self.finished_trials,
            "source": self.source,
        }
        if self.history:
            spec |= {"history": self.history, "past": list(self.past)}
        if self.recommends:
            spec["recommends"] = True
        return spec | {"replicates": self.replicates} if self.replicates else spec

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> Study:
        """A study from its ingredients."""
        fields: dict[str, Any] = {name: value for name, value in spec.items() if name != "simulation_version"}
        fields["benchmark"] = Benchmark.from_json(fields["benchmark"])
        fields["points"] = tuple(fields["points"])
        fields["past"] = tuple(fields.get("past", ()))
        return Study(**fields)

    @cached_property
    def key(self) -> str:
        """The hash of all ingredients."""
        return key_of(self.spec())


def key_of(spec: Mapping[str, Any]) -> str:
    """The hash of a study's identity."""
    text = json.dumps(identity(spec), separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def identity(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Of a study's ingredients those that make it another one, wherever its data lies.

    A real study depends neither on the delays of a simulated clock nor on what answers for a config outside a table;
    nor on its method's version: where it goes on, it is seen whether that decides as it did.
    """
    told = {name: value for name, value in spec.items() if name not in ("source", "past")}
    if spec["data"] == "real":
        problem = {name: value for name, value in spec["benchmark"].items() if name != "table_miss"}
        told["benchmark"] = problem | {"delays": {"warm": problem["delays"].get("warm", False)}}
        told["method"] = _of_any_version(spec["method"])
    return told


def _of_any_version(method: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in method.items() if name not in ("version", "versions")}
    return told | {"sampler": _of_any_version(told["sampler"])} if "sampler" in told else told


def as_installed(study: Study, method: Mapping[str, Any]) -> Study:
    """A study as it is where what another method states of its library, or of its program, is installed."""
    return replace(study, method={**study.method, **{part: method[part] for part in INSTALLED if part in method}})


def with_budget(spec: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """A study's ingredients with another budget."""
    return {**spec, "benchmark": {**spec["benchmark"], "budget": seconds}}


def differences(old: Any, new: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where the ingredients of two studies differ, such as `benchmark.budget`, with what stands there in each."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            yield from differences(old.get(name), new.get(name), f"{place}.{name}" if place else name)
    elif old != new:
        yield place, old, new


@dataclass(frozen=True)
class Record:
    """A finished study: its ingredients, its events as columns, and why it ended.

    Of e events: kind (e,), index into KINDS; time (e,), nanoseconds; worker (e,), -1 of a recommendation; trial (e,);
    resource (e,): the level of a report, where a started job shall go, else 0; code (e,): a report's status, an end's
    reason, a started job's parent or -1. Of r reports: cost (r,), seconds; metrics names them, values (r, metrics).
    configs: `[trial, config]` of each trial in the order of their first start, as JSON; failures: `[trial, reason]`
    of each that failed for real, with the last lines that it printed.
    """

    spec: Mapping[str, Any]
    kind: NDArray[np.int8]
    time: NDArray[np.int64]
    worker: NDArray[np.int32]
    trial: NDArray[np.int32]
    resource: NDArray[np.int32]
    code: NDArray[np.int32]
    cost: NDArray[np.float64]
    metrics: tuple[str, ...]
    values: NDArray[np.float64]
    configs: tuple[str, ...]
    why: str
    end: int
    error: str
    real_seconds: float
    failures: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """The key of the study."""
        return key_of(self.spec)

    def digest(self) -> str:
        """A hash of all that happened; what it cost in real time is no part of it."""
        state = hashlib.blake2b(digest_size=16)
        for column in (self.kind, self.time, self.worker, self.trial, self.resource, self.code, self.cost):
            state.update(np.ascontiguousarray(column).tobytes())
        state.update(np.where(np.isnan(self.values), np.nan, self.values).tobytes())
        state.update(json.dumps([self.metrics, self.configs, self.why, self.end]).encode())
        return state.hexdigest()


def record(study: Study, log: Log, real_seconds: float, failures: Mapping[int, str] | None = None) -> Record:
    """The record of a study from the log of its run; failures: why trials failed, where the executor knows."""
    columns: list[tuple[int, int, int, int, int, int]] = []
    costs: list[float] = []
    metrics: list[Mapping[str, float]] = []
    configs: dict[int, Config] = {}
    for event in log.events:
        if isinstance(event, Started):
            trial, config, until, parent = event.job
            columns.append((0, event.time, event.worker, trial, until, -1 if parent is None else parent))
            if trial not in configs:
                configs[trial] = dict(config)
        elif isinstance(event, Ended):
            columns.append((2, event.time, event.worker, event.trial, 0, int(event.reason)))
        else:
            said = event.report
            columns.append((1, event.time, event.worker, said.trial, said.resource, int(said.status)))
            costs.append(said.cost)
            metrics.append(event.metrics)
    names = tuple(dict.fromkeys(name for values in metrics for name in values))
    values = [[row.get(name, math.nan) for name in names] for row in metrics]
    for noted in reversed(log.recommended):
        columns.insert(noted.events, (3, noted.time, -1, noted.trial, 0, 0))
    table = np.array(columns, dtype=np.int64).reshape(-1, 6)
    return Record(
        spec=study.spec(),
        kind=table[:, 0].astype(np.int8),
        time=np.ascontiguousarray(table[:, 1]),
        worker=table[:, 2].astype(np.int32),
        trial=table[:, 3].astype(np.int32),
        resource=table[:, 4].astype(np.int32),
        code=table[:, 5].astype(np.int32),
        cost=np.array(costs, dtype=np.float64),
        metrics=names,
        values=np.array(values, dtype=np.float64).reshape(len(metrics), len(names)),
        configs=tuple(json.dumps([trial, config]) for trial, config in configs.items()),
        why=str(log.why),
        end=log.time,
        error=log.error,
        real_seconds=real_seconds,
        failures=tuple(json.dumps([trial, reason]) for trial, reason in (failures or {}).items()),
    )


def first_difference(one: Record, other: Record) -> str:
    """Where two records of one study part, in words."""
    for name in ("kind", "time", "worker", "trial", "resource", "code"):
        mine, theirs = getattr(one, name), getattr(other, name)
        shared = min(len(mine), len(theirs))
        apart = np.nonzero(mine[:shared] != theirs[:shared])[0]
        if len(apart):
            return f"event {apart[0]} differs in {name}: {mine[apart[0]]} was stored, {theirs[apart[0]]} came now"
    if len(one.kind) != len(other.kind):
        return f"{len(one.kind)} events were stored, {len(other.kind)} came now"
    for (trial, config), (_, theirs) in zip(map(json.loads, one.configs), map(json.loads, other.configs), strict=True):
        if apart := list(differences(config, theirs)):
            name, stored, now = apart[0]
            return (
                f"all events agree, but from trial {trial} on configs differ: its {name} was {stored!r}, is {now!r} "
                "now; in their last digits alone that is another processor, or another numpy"
            )
    return "the events agree, but not all that was reported"
