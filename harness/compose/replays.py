"""Journals on the simulated clock: a real study played again, and what would have become of it otherwise.

A journal holds all that its own study needs, so that is replayed to the nanosecond. Another method, eta or number of
workers asks for more: what was trained comes from the journal, by its config and level, and the rest from what the
benchmark has besides, its surrogate or the nearest row of its table, or else from the nearest trainings of the journal.
How much rests on which is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness import catalog
from harness.compose.cards import verdict
from harness.compose.delays import measured, stretches
from harness.compose.recorded import Curves, Neighbours, Trained, Training, configs_of, trainings_of
from harness.compose.studies import SURROGATE, decision_time, model_of, prepared
from harness.compose.trainings import JOURNAL
from harness.methods import parse_method
from harness.names import UnknownName

if TYPE_CHECKING:
    from harness.loop import Log, Watch
    from harness.study import Study
    from harness.types import Benchmark


def replay_journal(path: Path, begin: Callable[[Benchmark], Watch]) -> tuple[Log, str]:
    """Play a real study again on the simulated clock, from what its journal says of each trial.

    The scheduler decides anew, at the times that its decisions took. begin: makes what watches, once the benchmark is
    known. Gives what happens, and where it first differs from what happened for real: an empty text where every
    event is the same.
    """
    from harness.journal import whole
    from harness.loop import Ended, Reason, Why, run
    from harness.playback import Recorded, decision_times
    from harness.study import first_difference, record
    from harness.types import NANOSECONDS

    study, real = _read(path)
    benchmark, scheduler = prepared(study, None)
    executor = Recorded(real, benchmark.workers)
    gaps = decision_times(real)
    log = run(benchmark, scheduler, executor, real.time, decision_time=gaps, watch=begin(benchmark))
    if real.why is Why.INTERRUPTED:
        # What came of the last thing that was written down is not known.
        known = sum(not (isinstance(event, Ended) and event.reason is Reason.CUT) for event in real.events)
        log = whole(log.events[:known], real.why, real.time, "")
    seconds = real.time / NANOSECONDS
    one = record(study, real, seconds)
    other = replace(record(study, log, seconds), why=one.why, end=one.end)  # when and why it ends is told, not decided
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
        said = f"{share} rest on the journal, the other {others} on {self.source}"
        if self.pace == 1.0:
            return said
        return f"{said}, at {self.pace:.3g} times its seconds, which is what the trainings of the journal took"


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
    the journal. ValueError where nothing answers for what was not trained, or the surrogate cannot be trusted.
    """
    from harness.loop import run
    from harness.simulated import Simulated
    from harness.types import NANOSECONDS, Event

    study, real = _read(path)
    jobs = stretches(real, study.benchmark.delays.warm)
    delays = measured(jobs, study.benchmark.delays)
    trainings = trainings_of(real, jobs, study.benchmark, delays)
    if not any(said for training in trainings for _, said in training.levels.values()):
        raise ValueError(f"{path} says nothing of what would have been: none of its trials reported anything")
    beside, source = _beside(study, trainings)
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
    configs = configs_of(log)
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


def _beside(study: Study, trainings: Sequence[Training]) -> tuple[Curves, str]:
    """What answers for what a journal has not trained: a surrogate, a table, or its trainings; and that in words."""
    name = study.source
    try:
        entry = catalog.find_benchmark(name) if name else None
    except UnknownName:
        entry = None
    if entry is None or entry.table is None:
        nearest = Neighbours(study.benchmark, trainings)
        return nearest, f"the nearest trainings of the journal itself ({nearest.ranked()})"
    try:
        model = model_of(name, SURROGATE).under(replace(study.benchmark, table_miss=SURROGATE))
        return model, f"the surrogate of {name} ({verdict(name) or 'not judged'})"
    except FileNotFoundError:  # no surrogate is fitted
        model = model_of(name, "snap").under(replace(study.benchmark, table_miss="snap"))
        return model, f"the nearest rows of the table of {name}"
