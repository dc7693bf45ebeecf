"""The contract, checked: of a method on made-up benchmarks, of a stored study, of a whole store.

A law is one small function whose docstring says it; `check_method` runs them all on a method, ours or a stranger's.
A law knows nothing of the method: it lets the method run studies on toys, and the loop, which refuses whatever no
executor could carry out, and the invariants of a trace do the judging.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from harness import catalog
from harness.loop import Reason, Why, run
from harness.randomness import stream
from harness.simulated import Simulated
from harness.space import Config, Space, choice, loguniform, lograndint, ordinal, randint, uniform
from harness.store import Store
from harness.study import Record, Study, record
from harness.types import NANOSECONDS, Benchmark, Curve, Decision, End, Fidelity, Job, Objective, Report, Scheduler, Status


class Finding(NamedTuple):
    """What became of one check; an empty problem: it holds."""

    check: str
    problem: str


# -- toys -------------------------------------------------------------------------------------------------------------


def falling(place: float, level: int) -> float:
    """A loss that falls with the level towards a floor; curves of different places never cross."""
    return place + (1 + place) / level


@dataclass(frozen=True)
class Toy:
    """A made-up table: a config's curve follows from its place in [0, 1], here its distance from a corner.

    loss: from place and level; seconds: a level's, from the place; ends: how a curve of this place ends, at the
    second level unless it is complete.
    """

    benchmark: Benchmark
    loss: Callable[[float, int], float] = falling
    seconds: Callable[[float], float] = lambda place: 1 + place / 8
    ends: Callable[[float], End] = lambda place: End.COMPLETE
    rows: tuple[Config, ...] = ()
    digest: str = "toy"

    def under(self, benchmark: Benchmark) -> Toy:
        """The same curves under another benchmark."""
        return replace(self, benchmark=benchmark)

    def restricted_space(self) -> Space:
        """The space, restricted to the rows where there are any."""
        return self.benchmark.space.restricted(self.rows) if self.rows else self.benchmark.space.opened()

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve of a config, the same for every seed."""
        coordinates = self.benchmark.space.encode_one(config)
        place = math.fsum(coordinates) / len(coordinates)
        levels, end = self.benchmark.fidelity.levels, self.ends(place)
        levels = levels if end is End.COMPLETE else levels[:2]
        visible = tuple({"loss": self.loss(place, level)} for level in levels)
        return Curve(
            nanoseconds=tuple(round(level * self.seconds(place) * NANOSECONDS) for level in levels),
            losses=tuple((math.inf if end is End.DIVERGED and level == levels[-1] else self.loss(place, level),)
                         for level in levels),
            metrics=tuple(metrics | {"test": 1.0} for metrics in visible),
            visible=visible,
            end=end,
        )  # fmt: skip


MIXED = Space(
    {
        "rate": loguniform(1e-4, 1.0),
        "width": lograndint(4, 512),
        "optimizer": choice(["sgd", "adam", "lion"]),
        "momentum": uniform(0.0, 0.99),
        "batch": ordinal([8, 16, 32, 64]),
    },
    {"momentum": {"optimizer": ["sgd", "lion"]}},
)


def toy_benchmark(
    space: Space = MIXED, levels: tuple[int, ...] = tuple(range(1, 10)), epochs: float = 15, workers: int = 4
) -> Benchmark:
    """A benchmark for toys whose budget is a time in which each worker trains about so many epochs."""
    return Benchmark("toy", space, (Objective("loss"),), Fidelity("epoch", levels), epochs, workers, test_metric="test")


# -- one study of a method --------------------------------------------------------------------------------------------


@dataclass
class _Watched:
    """A scheduler whose reports are read-only, and whose configs are kept to be compared with what they become."""

    scheduler: Scheduler
    given: list[tuple[Config, Config]] = field(default_factory=list)

    def ask(self) -> Job | None:
        job = self.scheduler.ask()
        if job is not None:
            self.given.append((job.config, dict(job.config)))
        return job

    def tell(self, report: Report) -> Decision:
        return self.scheduler.tell(report._replace(metrics=MappingProxyType(dict(report.metrics))))


def _study(method: catalog.Method, toy: Toy, seed: int = 0) -> tuple[Record, str]:
    """One study of a method on a toy, and what is wrong with it."""
    space = toy.restricted_space()
    benchmark = toy.benchmark.with_space(space)
    watched = _Watched(catalog.build(method, benchmark, stream("check", seed)))
    executor = Simulated(toy, benchmark.workers, seed, benchmark.delays)
    log = run(benchmark, watched, executor, round(benchmark.budget * NANOSECONDS))
    done = record(Study("check", method.to_json(), benchmark, toy.digest, seed), log, 0.0)
    return done, "; ".join(_wrong(done, space, watched))


def _wrong(done: Record, space: Space, watched: _Watched) -> Iterator[str]:
    if done.error:
        yield done.error.splitlines()[-1]
    elif not watched.given:
        yield "it asks for nothing"
    elif done.why == Why.WAITS and space.fresh(stream("free")) is not None:
        yield "it waits for ever, though configs and budget are left"
    for config, copy in watched.given:
        if config != copy:
            yield f"it changed a config that it had given out: {dict(copy)} became {dict(config)}"
            break
    yield from check_trace(done)


# -- the laws ---------------------------------------------------------------------------------------------------------


def _is_legal(method: catalog.Method) -> str:
    """configs lie in the space and meet its conditions, trials are fresh, resources rise"""
    return _study(method, Toy(toy_benchmark()))[1]


def _repeats(method: catalog.Method) -> str:
    """the same seed gives the same study, whatever the random state of others"""
    first = _study(method, Toy(toy_benchmark()))[0]
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        before = random.getstate(), repr(np.random.get_state())  # noqa: NPY002
        second = _study(method, Toy(toy_benchmark()))[0]
        if before != (random.getstate(), repr(np.random.get_state())):  # noqa: NPY002
            return "it draws from a global random state"
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
    return "" if first.digest() == second.digest() else "two runs with one seed differ"


def _repeats_elsewhere(method: catalog.Method) -> str:
    """the same seed gives the same study in another process with other string hashes"""
    code = "import json, sys; from harness import checks; print(checks.digest_of(json.loads(sys.argv[1])))"
    environment = os.environ | {
        "PYTHONHASHSEED": "12345",
        "PYTHONPATH": os.pathsep.join([str(catalog.PROJECT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-c", code, json.dumps(method.to_json())]
    other = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if other.returncode:
        return other.stderr.strip().splitlines()[-1]
    same = other.stdout.strip() == digest_of(method.to_json())
    return "" if same else "another process gives another study: sets, hashes, identities or a clock decide"


def digest_of(method: dict[str, Any]) -> str:
    """The digest of a method's study on the first toy, from what `Method.to_json` gave."""
    return _study(catalog.method_from_json(method), Toy(toy_benchmark()))[0].digest()


def _survives_failures(method: catalog.Method) -> str:
    """failing trials, all of them failing, and curves that end early are survived"""
    kinds = (lambda place: End.DIVERGED if place < 0.5 else End.COMPLETE), (lambda _: End.DIVERGED), (lambda _: End.EARLY)
    return _first(_study(method, Toy(toy_benchmark(epochs=6), ends=ends))[1] for ends in kinds)  # type: ignore[misc]


def _survives_infinite_losses(method: catalog.Method) -> str:
    """losses that are infinite without an end of the trial are survived"""
    some = Toy(toy_benchmark(epochs=8), lambda place, level: math.inf if place < 0.5 else falling(place, level))
    return _first(_study(method, toy)[1] for toy in (some, Toy(some.benchmark, lambda place, level: math.inf)))


def _survives_ties(method: catalog.Method) -> str:
    """equal losses and equal durations are survived"""
    return _study(method, Toy(toy_benchmark(epochs=10), lambda place, level: 1.0, lambda place: 1.0))[1]


def _works_alone(method: catalog.Method) -> str:
    """one worker is enough"""
    return _study(method, Toy(toy_benchmark(workers=1, epochs=30)))[1]


def _works_with_many(method: catalog.Method) -> str:
    """64 workers are kept apart"""
    return _study(method, Toy(toy_benchmark(workers=64, epochs=3.5, levels=(1, 2, 3))))[1]


def _works_on_every_space(method: catalog.Method) -> str:
    """spaces of one hyperparameter, of thirty, of choices only, are searched"""
    spaces = (
        Space({"x": uniform(0, 1)}),
        Space({f"x{i}": (uniform(0, 1), randint(1, 9), loguniform(1e-3, 1))[i % 3] for i in range(30)}),
        Space({name: choice(["a", "b", "c", "d"]) for name in ("p", "q", "r")}),
    )
    return _first(_study(method, Toy(toy_benchmark(space, epochs=8)))[1] for space in spaces if _has_small_grid(space))


def _has_small_grid(space: Space) -> bool:
    return True


def _works_on_every_fidelity(method: catalog.Method) -> str:
    """one level, levels that start high and have gaps, levels that are fresh trainings, no checkpoints"""
    benchmark = toy_benchmark(epochs=12)
    fresh = replace(benchmark, fidelity=replace(benchmark.fidelity, continues=False))
    kinds = (
        toy_benchmark(levels=(7,), epochs=30),
        toy_benchmark(levels=(5, 6, 20, 50), epochs=80),
        fresh,
        replace(benchmark, resumable=False),
    )
    return _first(_study(method, Toy(kind))[1] for kind in kinds)


def _ends_with_the_space(method: catalog.Method) -> str:
    """a space with a dozen configs is exhausted without an error, and no worker waits while a config is free"""
    space = Space({"p": choice(["a", "b", "c"]), "q": ordinal([1, 2, 3, 4])})
    return _study(method, Toy(toy_benchmark(space, epochs=400)))[1]


def _keeps_to_rows(method: catalog.Method) -> str:
    """restricted to the rows of a table it proposes rows only, and none twice"""
    rows = tuple(MIXED.sample(stream("rows"), 40))
    done, problem = _study(method, Toy(toy_benchmark(epochs=16), rows=rows))
    configs = [json.dumps(json.loads(text)[1]) for text in done.configs]
    if strange := set(configs) - {json.dumps(dict(row)) for row in rows}:
        return f"{strange.pop()} is no row of the table"
    return problem or ("" if len(set(configs)) == len(configs) else "it proposes a row twice")


LAWS: tuple[Callable[[catalog.Method], str], ...] = (
    _is_legal,
    _repeats,
    _repeats_elsewhere,
    _survives_failures,
    _survives_infinite_losses,
    _survives_ties,
    _works_alone,
    _works_with_many,
    _works_on_every_space,
    _works_on_every_fidelity,
    _ends_with_the_space,
    _keeps_to_rows,
)


def _first(problems: Iterator[str]) -> str:
    return next((problem for problem in problems if problem), "")


def check_method(method: catalog.Method) -> list[Finding]:
    """Whether a method keeps the contract: one finding a law."""
    findings: list[Finding] = []
    for law in LAWS:
        try:
            problem = law(method)
        except Exception as error:  # a stranger's constructor may raise anything
            problem = f"{type(error).__name__}: {error}"
        findings.append(Finding((law.__doc__ or "").strip(), problem))
    return findings


# -- what is stored ---------------------------------------------------------------------------------------------------


def check_trace(done: Record) -> list[str]:
    """What in a finished study cannot have happened; empty where it is sound."""
    trace = _Trace(done)
    columns = (done.kind, done.time, done.worker, done.trial, done.resource, done.code)
    costs = iter(done.cost.tolist())
    for event in zip(*(column.tolist() for column in columns), strict=True):
        kind, *rest = event
        if kind == 0:
            trace.started(*rest)
        elif kind == 1:
            trace.report(*rest, cost=next(costs))
        else:
            trace.ended(*rest)
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
        rises = resource > before or (status == Status.FAILED and resource == before)
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
            self._demand((reason == Reason.FAILED) == failed, f"trial {trial} ended as {Reason(reason).name}, its last report says otherwise")
        if reason in (Reason.STOPPED, Reason.FAILED):
            self._over.add(trial)

    def _stretch(self, worker: int, trial: int) -> _Stretch | None:
        stretch = self._busy.get(worker)
        fits = stretch is not None and stretch.trial == trial
        self._demand(fits, f"trial {trial} is not on worker {worker}")
        return stretch if fits else None

    def over(self) -> None:
        for worker, stretch in self._busy.items():
            self._demand(False, f"trial {stretch.trial} on worker {worker} has no end")


def check_store(folder: Path) -> dict[str, Any]:
    """What a store holds, and what is wrong with it: broken segments with the reason, violations by study."""
    store = Store(folder)
    digests, violations = store.digests(), dict[str, list[str]]()
    for key, done in store.records().items():
        problems = check_trace(done)
        if done.key != key:
            problems.append(f"its ingredients have the key {done.key}, it is stored as {key}")
        if done.digest() != digests[key]:
            problems.append(f"its events have the digest {done.digest()}, recorded was {digests[key]}")
        if problems:
            name = f"{done.spec['arm']} on {done.spec['benchmark']['name']}, seed {done.spec['seed']} ({key})"
            violations[name] = problems
    return {
        "studies": len(digests),
        "digest": store.logical_digest(),
        "broken": store.broken,
        "violations": violations,
    }
