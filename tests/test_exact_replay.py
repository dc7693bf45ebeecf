"""Real journals made by many methods, played again on the simulated clock: every decision must be the same."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from harness import checks
from harness.command import Command
from harness.compose.replays import replay_journal
from harness.compose.trainings import JOURNAL, run_for_real
from harness.journal import read
from harness.local import Local
from harness.loop import Ended, Log, Reason, Started, Why, run
from harness.methods import own_methods, parse_method
from harness.playback import Recorded, decision_times
from harness.randomness import stream
from harness.space import Space, uniform
from harness.study import Study
from harness.toys import Toy, toy_benchmark
from harness.types import (
    NANOSECONDS,
    Benchmark,
    Delays,
    Event,
    Executor,
    Fidelity,
    Job,
    Objective,
    Scheduler,
    Status,
)

TOY = str(Path(__file__).parent / "scripts" / "toy.py")
SECONDS = 5.0
METHODS = (
    "rs", "asha", "asha-stop", "pasha", "sh", "hyperband", "median", "bo", "mobster", "tpe", "bohb", "dehb", "dyhpo",
    "hypertune", "rea", "bore",
)  # fmt: skip


def journaled(folder: Path, method: str, *flags: str, warm: bool = True) -> Path:
    """The folder of a real study of the toy script."""
    benchmark = Benchmark(
        "toy", Space({"x": uniform(0.0, 1.0)}), (Objective("loss"),), Fidelity("epoch", tuple(range(1, 10))), SECONDS,
        workers=2, test_metric="test_loss", delays=Delays(warm=warm),
    )  # fmt: skip
    study = Study(method, parse_method(method).to_json(), benchmark, "real", seed=3)
    log, _ = run_for_real(study, Command((sys.executable, TOY, *flags), "epochs"), folder, None)
    assert log.why is Why.BUDGET and not log.error
    return folder


def check_replay(folder: Path) -> list[object]:
    """The events of a journal, which the simulated clock must give again, at the same times."""
    _, real, _ = read(folder / JOURNAL)
    log, difference = replay_journal(folder, lambda _: lambda _: None)
    assert difference == ""
    assert len(log.events) == len(real.events)
    return list(real.events)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_real_study_is_replayed_decision_by_decision(tmp_path: Path, method: str) -> None:
    events = check_replay(journaled(tmp_path, method))
    assert sum(isinstance(event, Started) for event in events) >= 8
    assert sum(isinstance(event, Event) for event in events) >= 40


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rs", "asha-stop", "median"])
def test_a_real_study_with_crashes_in_cold_processes_is_replayed_too(tmp_path: Path, method: str) -> None:
    events = check_replay(journaled(tmp_path, method, "--crash-once", warm=False))
    failed = {
        event.report.trial for event in events if isinstance(event, Event) and event.report.status is Status.FAILED
    }
    ended = {event.trial for event in events if isinstance(event, Ended) and event.reason is Reason.FAILED}
    assert failed and failed == ended


class Limited:
    """A scheduler that asks for so many jobs and for no more."""

    def __init__(self, scheduler: Scheduler, jobs: int) -> None:
        self.scheduler, self.left = scheduler, jobs
        self.tell = scheduler.tell

    def ask(self) -> Job | None:
        job = self.scheduler.ask() if self.left else None
        self.left -= job is not None
        return job


@pytest.mark.slow
@pytest.mark.parametrize("method", own_methods())
def test_what_two_workers_did_for_real_is_replayed_for_every_method(tmp_path: Path, method: str) -> None:
    parsed = parse_method(method)
    square = Space({"x": uniform(0.0, 1.0), "y": uniform(0.0, 1.0)})
    plain = checks.suited(parsed, Toy(toy_benchmark(square, workers=2))).benchmark

    def played(executor: Executor, budget: int, decision_time: Callable[[int], int] | None = None) -> Log:
        benchmark = plain.with_space(plain.space.opened())
        scheduler = Limited(checks.watched(parsed, benchmark, stream("replay")), 24)
        return run(benchmark, scheduler, executor, budget, decision_time=decision_time)

    script = Command((sys.executable, str(checks.TRAINING)), "epochs")
    with closing(Local(replace(plain, delays=Delays(warm=True)), script, 2, tmp_path)) as processes:
        real = played(processes, 600 * NANOSECONDS)
    assert not real.error and sum(isinstance(event, Started) for event in real.events) == 24
    again = played(Recorded(real, 2), real.time, decision_times(real))
    assert again.events == real.events and again.why == real.why
