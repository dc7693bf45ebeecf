"""Real journals made by many methods, played again on the simulated clock: every decision must be the same."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.catalog import parse_method
from harness.command import Command
from harness.compose.replays import replay_journal
from harness.compose.trainings import JOURNAL, run_for_real
from harness.journal import read
from harness.loop import Ended, Reason, Started, Why
from harness.space import Space, uniform
from harness.study import Study
from harness.types import Benchmark, Delays, Event, Fidelity, Objective, Status

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
