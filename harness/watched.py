"""One study of a method on a made-up benchmark, watched: what it did, and what is wrong with it.

The loop refuses whatever no executor could carry out, the invariants of a trace do the judging; here is seen what
neither can see: configs that were changed after they were given out, and waiting for ever though there is more to try.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from harness.history import History, PastTask
from harness.loop import Why, run
from harness.methods import Method, build
from harness.plug_ins import PlugIn
from harness.randomness import stream
from harness.simulated import Simulated
from harness.space import Config, Space
from harness.study import Record, Study, record
from harness.toys import StatefulToy, Toy
from harness.trace import check_trace
from harness.types import (
    NANOSECONDS,
    Benchmark,
    Constraint,
    Decision,
    Job,
    Objective,
    Report,
    Sampler,
    Scheduler,
    recommended,
    refuses,
)


class Refusal(ValueError):
    """A method said at the door, in words, that it cannot run on a benchmark."""


@dataclass
class _WatchedSampler:
    """A sampler that is remembered to have had no more to propose."""

    sampler: Sampler
    ended: bool = False

    def suggest(self, pending: Collection[Config]) -> Config | None:
        config = self.sampler.suggest(pending)
        self.ended |= config is None
        return config

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        self.sampler.observe(config, resource, losses)

    def recommend(self) -> Config | None:
        return recommended(self.sampler)


@dataclass
class Watched:
    """A scheduler whose reports are read-only, and whose configs are kept to be compared with what they become."""

    scheduler: Scheduler
    sampler: _WatchedSampler | None
    given: list[tuple[Config, Config]] = field(default_factory=list)

    def ask(self) -> Job | None:
        """The method's next job, its config kept."""
        job = self.scheduler.ask()
        if job is not None:
            self.given.append((job.config, dict(job.config)))
        return job

    def tell(self, report: Report) -> Decision:
        """Pass a report on, read-only."""
        return self.scheduler.tell(report._replace(metrics=MappingProxyType(dict(report.metrics))))

    def recommend(self) -> Config | None:
        """What the method recommends, if it does."""
        return recommended(self.scheduler)


def studied(method: Method, toy: Toy, seed: int = 0, *, recommends: bool = False) -> tuple[Record, str]:
    """One study of a method on a toy, and what is wrong with it; recommends: it is asked what it would hand over."""
    toy = suited(method, toy)
    space = toy.restricted_space()
    benchmark = toy.benchmark.with_space(space)
    seen = watched(method, benchmark, stream("check", seed))
    executor = Simulated(toy, benchmark.workers, seed, benchmark.delays)
    log = run(benchmark, seen, executor, round(benchmark.budget * NANOSECONDS), recommends=recommends)
    done = record(Study("check", method.to_json(), benchmark, toy.digest, seed), log, 0.0)
    return done, "; ".join(_wrong(done, space, seen))


def suited(method: Method, toy: Toy) -> Toy:
    """The toy as the method can run it: with a second objective, or a constraint, where it asks for one."""
    if getattr(method.scheduler.load(), "NEEDS_STATE", False):
        toy = StatefulToy(toy.benchmark, toy.loss, toy.seconds, toy.ends)
    plain, refusals = toy.benchmark, list[ValueError]()
    several = replace(plain, objectives=(*plain.objectives, Objective("size")))
    for benchmark in (plain, several, replace(plain, constraints=(Constraint("size", 0.7),))):
        try:
            watched(method, benchmark.with_space(benchmark.space.opened()), stream("door"))
        except ValueError as refusal:
            refusals.append(refusal)
        else:
            return toy.under(benchmark)
    if all(refuses(refusal, plain) for refusal in refusals):
        raise Refusal(str(refusals[0]))
    raise refusals[0]


def watched(method: Method, benchmark: Benchmark, rng: np.random.Generator) -> Watched:
    """The scheduler of a method, watched; one that learns is given past tasks of a made-up kind."""
    past = past_tasks(benchmark.space) if method.learns else None
    if method.sampler is None:
        return Watched(build(method, benchmark, rng, history=past), None)

    def made(plug_in: PlugIn, options: Mapping[str, Any], **given: Any) -> Any:
        known = {"history": past} if plug_in.learns else {}
        return plug_in.load()(benchmark, rng, **given, **known, **options)

    sampler = _WatchedSampler(made(method.sampler, method.sampler_options))
    return Watched(made(method.scheduler, method.scheduler_options, sampler=sampler), sampler)


def past_tasks(space: Space) -> History:
    """What two made-up problems over a space were like: one as the toys are, one with its optimum at the centre."""
    configs = list({space.key(config): config for config in space.sample(stream("past tasks"), 20)}.values())
    places = [math.fsum(point) / len(point) for point in map(space.encode_one, configs)]
    tasks = {"alike": places, "other": [abs(place - 0.5) for place in places]}
    return History(tuple(PastTask(name, tuple(configs), tuple(losses)) for name, losses in tasks.items()))


def _wrong(done: Record, space: Space, seen: Watched) -> Iterator[str]:
    if done.error:
        yield done.error.splitlines()[-1]
    elif not seen.given:
        yield "it asks for nothing"
    elif (
        done.why in (Why.WAITS, Why.NOTHING_LEFT)
        and not (seen.sampler and seen.sampler.ended)
        and space.fresh(stream("free"))
    ):
        yield "it waits for ever, though configs and budget are left"
    for config, copy in seen.given:
        if config != copy:
            yield f"it changed a config that it had given out: {dict(copy)} became {dict(config)}"
            break
    yield from check_trace(done)
