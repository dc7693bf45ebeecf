"""What cannot have happened: the invariants of a study's events.

Time never falls, a worker does one job at a time, every job has one end, a trial's resource rises, and the costs add
up to the time that workers were busy. A study is played back event by event by books of its own, which share nothing
with the loop and the executors that made it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from harness.loop import Reason
from harness.space import Config
from harness.study import Record
from harness.types import NANOSECONDS, Benchmark, Status


def check_trace(done: Record) -> list[str]:
    """What in a finished study cannot have happened; empty where it is sound."""
    trace = _Trace(done)
    columns = (done.kind, done.time, done.worker, done.trial, done.resource, done.code)
    reports = int((done.kind == 1).sum())
    if not reports == len(done.cost) == len(done.values):
        return [f"{reports} reports have {len(done.cost)} costs and {len(done.values)} rows of metrics"]
    costs = iter(done.cost.tolist())
    for event in zip(*(column.tolist() for column in columns), strict=True):
        kind, *rest = event
        if kind == 0:
            trace.started(*rest)
        elif kind == 1:
            trace.report(*rest, cost=next(costs))
        elif kind == 2:
            trace.ended(*rest)
        else:
            trace.recommended(*rest)
    trace.over()
    return trace.problems


@dataclass(slots=True)
class _Stretch:
    """A job on its worker."""

    trial: int
    since: int
    until: int
    told: int = 0
    cost: float = 0.0
    status: int = Status.RUNNING


class _Trace:
    """A study played back event by event, with the books that must balance."""

    def __init__(self, done: Record) -> None:
        self.problems: list[str] = []
        self._benchmark = Benchmark.from_json(done.spec["benchmark"])
        self._why, self._end, self._now = done.why, done.end, 0
        self._busy: dict[int, _Stretch] = {}
        self._stands: dict[int, int] = {}
        self._over: set[int] = set()
        self._configs: dict[int, Config] = dict(json.loads(text) for text in done.configs)

    def _demand(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(f"at {self._now / NANOSECONDS:g} s: {problem}")

    def _at(self, time: int) -> None:
        self._demand(time >= self._now, f"time falls to {time / NANOSECONDS:g} s")
        self._demand(time <= self._end, f"an event at {time / NANOSECONDS:g} s lies after the end")
        self._now = time

    def started(self, time: int, worker: int, trial: int, until: int, parent: int) -> None:
        self._at(time)
        self._demand(0 <= worker < self._benchmark.workers, f"there is no worker {worker}")
        self._demand(worker not in self._busy, f"worker {worker} gets trial {trial} while it is busy")
        running = any(stretch.trial == trial for stretch in self._busy.values())
        self._demand(not running and trial not in self._over, f"trial {trial} is started while it runs or is over")
        self._demand(until > self._stands.get(trial, 0), f"trial {trial} is resumed for what it has reached")
        if trial not in self._stands:
            self._demand(parent < 0 or parent in self._stands, f"trial {trial} has the unknown parent {parent}")
            try:
                self._benchmark.space.check(self._configs[trial])
            except (KeyError, ValueError) as error:
                self._demand(False, f"trial {trial} has no legal config: {error}")
        self._stands.setdefault(trial, 0)
        self._busy[worker] = _Stretch(trial, time, until, told=time)

    def report(self, time: int, worker: int, trial: int, resource: int, status: int, *, cost: float) -> None:
        self._at(time)
        stretch = self._stretch(worker, trial)
        if stretch is None:
            return
        before = self._stands[trial]
        # A failure, or an end before the goal, may come where the trial stood already.
        again = resource == before and (
            status == Status.FAILED or (before < stretch.until and status == Status.REACHED)
        )
        rises = resource > before or again
        self._demand(rises, f"trial {trial} goes from {before} to {resource}")
        self._demand(resource <= stretch.until, f"trial {trial} goes past {stretch.until} to {resource}")
        self._demand(stretch.status == Status.RUNNING, f"trial {trial} reports after its last report")
        self._stands[trial] = resource
        stretch.told, stretch.status = time, status
        stretch.cost += cost

    def ended(self, time: int, worker: int, trial: int, _: int, reason: int) -> None:
        self._at(time)
        stretch = self._stretch(worker, trial)
        if stretch is None:
            return
        del self._busy[worker]
        occupied = (stretch.told - stretch.since) / NANOSECONDS
        balanced = math.isclose(stretch.cost, occupied, rel_tol=1e-9, abs_tol=1e-6)
        self._demand(balanced, f"trial {trial} cost {stretch.cost:g} s where its worker was busy for {occupied:g} s")
        if reason == Reason.CUT:
            self._demand(time == self._end, f"trial {trial} is cut before the end")
        else:
            self._demand(time == stretch.told, f"trial {trial} ends without a report of then")
            failed = stretch.status == Status.FAILED
            name = Reason(reason).name.lower()
            self._demand((reason == Reason.FAILED) == failed, f"trial {trial} ends as {name}; its last report does not")
        if reason in (Reason.STOPPED, Reason.FAILED):
            self._over.add(trial)

    def recommended(self, time: int, _: int, trial: int, *__: int) -> None:
        self._at(time)
        self._demand(self._stands.get(trial, 0) > 0, f"trial {trial} is recommended before it has reported")

    def _stretch(self, worker: int, trial: int) -> _Stretch | None:
        stretch = self._busy.get(worker)
        fits = stretch is not None and stretch.trial == trial
        self._demand(fits, f"trial {trial} is not on worker {worker}")
        return stretch if fits else None

    def over(self) -> None:
        for worker, stretch in self._busy.items():
            self._demand(False, f"trial {stretch.trial} on worker {worker} has no end")
