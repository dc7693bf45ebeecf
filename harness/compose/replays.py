"""Journals on the simulated clock: a real study played again, and what would have become of it otherwise.

A journal holds all that its own study needs, so that is replayed to the nanosecond. Another method, eta or number of
workers asks for more: what was trained comes from the journal, by its config and level, and the rest from what the
benchmark has besides, its surrogate or the nearest row of its table. How much rests on which is counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness import catalog
from harness.compose.cards import verdict
from harness.compose.delays import Stretch, measured, stretches
from harness.compose.studies import SURROGATE, decision_time, model_of, prepared
from harness.compose.trainings import JOURNAL
from harness.methods import parse_method
from harness.names import UnknownName

if TYPE_CHECKING:
    from harness.loop import Log, Watch
    from harness.space import Config
    from harness.study import Study
    from harness.types import Benchmark, Curve, CurveModel, Delays

Metrics = Mapping[str, float]


def replay_journal(path: Path, begin: Callable[[Benchmark], Watch]) -> tuple[Log, str]:
    """Play a real study again on the simulated clock, from what its journal says of each trial.

    The scheduler decides anew, at the times that its decisions took. begin: makes what watches, once the benchmark is
    known. Gives what happens, and where it first differs from what happened for real: an empty text where every
    event is the same.
    """
    from harness.journal import Recorded, decision_times
    from harness.loop import run
    from harness.study import first_difference, record
    from harness.types import NANOSECONDS

    study, real = _read(path)
    benchmark, scheduler = prepared(study, None)
    executor = Recorded(real, benchmark.workers)
    gaps = decision_times(real)
    log = run(benchmark, scheduler, executor, real.time, decision_time=gaps, watch=begin(benchmark))
    seconds = real.time / NANOSECONDS
    one, other = record(study, real, seconds), replace(record(study, log, seconds), why=str(real.why))
    return log, "" if one.digest() == other.digest() else first_difference(one, other)


def _read(path: Path) -> tuple[Study, Log]:
    from harness.journal import read
    from harness.study import Study

    spec, log, _ = read(path / JOURNAL if path.is_dir() else path)
    return Study.from_spec(spec), log


@dataclass(frozen=True)
class WhatIf:
    """What would have become of a study, and what that rests on.

    trained: how many of its reports are those of the journal; source: what answered for the others, in words;
    pace: how many of its seconds the trainings of the journal took for one of that source.
    """

    log: Log
    trained: int
    reports: int
    source: str
    pace: float

    @property
    def said(self) -> str:
        """What it rests on, in words."""
        others = self.reports - self.trained
        share = f"{self.trained} of {self.reports} reports ({self.trained / max(self.reports, 1):.0%})"
        if not others:
            return f"{share} rest on the journal"
        return (
            f"{share} rest on the journal, the other {others} on {self.source}, at {self.pace:.3g} times its seconds, "
            "which is what the trainings of the journal took"
        )


def what_if(
    path: Path,
    begin: Callable[[Benchmark], Watch],
    *,
    method: str | None = None,
    workers: int | None = None,
    budget: float | None = None,
    seed: int | None = None,
    warm: bool | None = None,
) -> WhatIf:
    """Play a real study on the simulated clock with another method, number of workers, budget (seconds) or seed.

    warm: whether workers keep their processes, else as in the journal.

    The scheduler keeps the label of the study, and with it its random numbers: what it samples as before it finds in
    the journal. ValueError where nothing answers for what was not trained.
    """
    from harness.loop import run
    from harness.simulated import Simulated
    from harness.types import NANOSECONDS, Event

    study, real = _read(path)
    beside, source = _beside(study)
    jobs = stretches(real, study.benchmark.delays.warm)
    delays = measured(jobs, study.benchmark.delays)
    trainings = _trainings(real, jobs, study.benchmark, delays)
    study = _otherwise(study, method, workers, budget, seed)
    benchmark, scheduler = prepared(study, None)
    delays = replace(delays, warm=delays.warm if warm is None else warm)
    model = Trained(benchmark, trainings, beside, study.seed)
    log = run(
        benchmark,
        scheduler,
        Simulated(cast(Any, model), benchmark.workers, study.seed, delays),
        round(benchmark.budget * NANOSECONDS),
        decision_time=decision_time(study.decision_time),
        finished_trials=study.finished_trials,
        watch=begin(benchmark),
    )
    configs = _configs(log)
    reports = [event.report for event in log.events if isinstance(event, Event)]
    trained = sum(model.holds(configs[report.trial], report.resource) for report in reports)
    return WhatIf(log, trained, len(reports), source, model.pace)


def _otherwise(study: Study, method: str | None, workers: int | None, budget: float | None, seed: int | None) -> Study:
    """The study with what is given set otherwise; past tasks stay with a method that learns from them."""
    given: dict[str, Any] = {"workers": workers, "budget": budget}
    given = {name: value for name, value in given.items() if value is not None}
    study = replace(study, benchmark=replace(study.benchmark, **given), seed=study.seed if seed is None else seed)
    if method is None:
        return study
    parsed = parse_method(method)
    past = {} if parsed.learns else {"history": "", "past": ()}
    return replace(study, method=parsed.to_json(), **past)


def _beside(study: Study) -> tuple[CurveModel, str]:
    """What a benchmark has besides a journal: its surrogate, or its table where there is none; and that in words."""
    name = study.source
    try:
        entry = catalog.find_benchmark(name) if name else None
    except UnknownName:
        entry = None
    if entry is None or entry.table is None:
        raise ValueError(
            f"{study.benchmark.name!r} has neither a table nor a surrogate to answer for what its journal has not "
            "trained: `tabulate` makes a table of a benchmark with a script in real_benchmarks. As it was, without "
            "--method, --workers, --budget and --seed, the study can be replayed"
        )
    try:
        model = model_of(name, SURROGATE).under(replace(study.benchmark, table_miss=SURROGATE))
        return model, f"the surrogate of {name} ({verdict(name) or 'not judged'})"
    except (FileNotFoundError, ValueError):
        model = model_of(name, "snap").under(replace(study.benchmark, table_miss="snap"))
        return model, f"the nearest rows of the table of {name}"


def _configs(log: Log) -> dict[int, Config]:
    from harness.loop import Started

    jobs = [event.job for event in log.events if isinstance(event, Started)]
    return {job.trial: job.config for job in jobs}


@dataclass
class Training:
    """What was measured of a config: by the index of a level, nanoseconds of training at it and metrics.

    diverged: the index of the level at which it failed, -1 where it did not.
    """

    config: Config
    levels: dict[int, tuple[int, Metrics]] = field(default_factory=dict)
    diverged: int = -1


def _trainings(log: Log, jobs: Sequence[Stretch], benchmark: Benchmark, delays: Delays) -> list[Training]:
    """What a journal measured; of two trials of one config, that of the longer one."""
    from harness.types import NANOSECONDS, Status

    index_of = {level: index for index, level in enumerate(benchmark.fidelity.levels)}
    trials = {trial: Training(config) for trial, config in _configs(log).items()}
    leave = 0.0 if delays.warm else delays.leave
    for trial, resumed, begun, events in jobs:
        before = delays.start_up * begun + delays.restore * resumed
        for event in events:
            report, training = event.report, trials[trial]
            index = index_of.get(report.resource, -1)
            if report.status is Status.FAILED:
                # A crash says where the trial stood: it was on its way to the next level.
                training.diverged = index = index if event.metrics else min(index + 1, len(index_of) - 1)
            after = 0.0 if report.status is Status.RUNNING else leave
            besides = sum(round(delay * NANOSECONDS) for delay in (before, delays.evaluate + delays.save, after))
            training.levels[index] = (max(round(report.cost * NANOSECONDS) - besides, 1), event.metrics)
            before = 0.0
    longest: dict[tuple[object, ...], Training] = {}
    for training in trials.values():
        key = benchmark.space.key(training.config)
        longest[key] = max(longest.get(key, training), training, key=lambda one: len(one.levels))
    return list(longest.values())


class Trained:
    """A curve model that answers with what a journal measured, and with another model beyond that.

    A curve that was measured up to a level goes on as the other model's, moved by what that was off at the level; all
    seconds of the other model are taken in the pace of the trainings that were measured. Where the other model says
    that a training ends, and it went further than that, it stays as it stood last.
    """

    def __init__(self, benchmark: Benchmark, trainings: list[Training], beside: CurveModel, seed: int) -> None:
        self.benchmark = benchmark
        self._trainings = {benchmark.space.key(training.config): training for training in trainings}
        self._beside = beside
        self._continues = benchmark.fidelity.continues
        self._index_of = {level: index for index, level in enumerate(benchmark.fidelity.levels)}
        self.pace = self._measured_pace(seed)
        """How many seconds of the journal a second of the other model is."""

    def _training(self, config: Config) -> Training:
        return self._trainings.get(self.benchmark.space.key(config), Training(config))

    def holds(self, config: Config, level: int) -> bool:
        """Whether the journal measured a config at a level."""
        return self._index_of[level] in self._training(config).levels

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve of a config: measured as far as it was, then the other model's for the seed."""
        from harness.types import Curve, End

        training, (beyond, steps) = self._training(config), self._beyond(config, seed)
        last, reach = len(steps) - 1, max(training.levels, default=-1)
        # A training that went further than where the other model sees it diverge did not diverge there.
        known = last if beyond.end is End.DIVERGED and reach >= last else last + 1
        spent: list[int] = []
        metrics: list[Metrics] = []
        moved: Metrics = {}
        diverged = False
        for index in self._index_of.values():
            if index in training.levels:
                took, said = training.levels[index]
                moved = _residual(said, beyond.metrics[index]) if index < known else moved
                diverged = index == training.diverged
            elif index < known:
                took = round(self.pace * steps[index])
                said = {name: value + moved.get(name, 0.0) for name, value in beyond.metrics[index].items()}
                diverged = index == last and beyond.end is End.DIVERGED
            elif metrics and reach >= known:
                took, said = spent[-1], metrics[-1]
            else:
                break
            spent.append(took)
            metrics.append(said)
            if diverged:
                break
        losses = [self.benchmark.losses(said) for said in (metrics[:-1] if diverged else metrics)]
        if diverged:
            losses.append((math.inf,) * len(self.benchmark.objectives))
        end = End.DIVERGED if diverged else End.COMPLETE if len(spent) == len(self._index_of) else beyond.end
        return Curve(
            tuple(accumulate(spent) if self._continues else spent),
            tuple(losses),
            metrics,
            [*map(self.benchmark.visible, metrics)],
            end,
        )

    def _beyond(self, config: Config, seed: int) -> tuple[Curve, list[int]]:
        """The other model's curve, and the nanoseconds that each level takes in it."""
        curve = self._beside.curve(config, seed)
        before = (0, *curve.nanoseconds[:-1]) if self._continues else (0,) * len(curve.nanoseconds)
        return curve, [time - earlier for time, earlier in zip(curve.nanoseconds, before, strict=True)]

    def _measured_pace(self, seed: int) -> float:
        """Measured times over the other model's, at all levels that both have."""
        measured = expected = 0
        for training in self._trainings.values():
            _, steps = self._beyond(training.config, seed)
            for index, (took, _) in training.levels.items():
                if index < len(steps):
                    measured += took
                    expected += steps[index]
        return measured / expected if expected else 1.0


def _residual(measured: Metrics, expected: Metrics) -> dict[str, float]:
    """By how much a model was off, of each metric that both have."""
    return {name: measured[name] - value for name, value in expected.items() if name in measured}
