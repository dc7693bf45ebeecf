"""The loop: what it refuses, what it records, and why a study ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from toys import Scripted, ending, play, study, toy_data

from harness.loop import Ended, Reason, Started, Why
from harness.study import record
from harness.trace import check_trace
from harness.types import NANOSECONDS, Decision, Delays, End, Event, Job, Report, Status
from surrogates.table import TableData

CONFIGS = toy_data().configs


def job(trial: int, until: int = 4, row: int | None = None) -> Job:
    return Job(trial, CONFIGS[trial if row is None else row], until)


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ([job(0, 9)], "trial 0 cannot train until epoch 9: benchmark 'toy' has the levels 1, 2, 3, 4"),
        ([job(0, 0)], "cannot train until epoch 0"),
        (
            [Job(0, {"lr": 5.0, "layers": 1, "act": "relu"}, 4)],
            r"trial 0: lr = 5.0 is outside the space: it takes loguni",
        ),
        ([Job(0, {"lr": 0.5}, 4)], "trial 0: hyperparameter 'layers' is missing"),
        ([Job(0, None, 4)], "a config maps names to values, given None"),  # type: ignore[arg-type]
        ([(0, CONFIGS[0], 4, None)], "ask must answer with a Job or None"),
        ([job(0), job(0)], "trial 0 is running on worker 0: wait for its report"),
        ([Job(1, CONFIGS[1], 4, parent=0)], "trial 1 cannot start from trial 0, which was never started"),
    ],
)
def test_a_job_that_nobody_could_carry_out_ends_the_study_in_words(jobs: list[Any], words: str) -> None:
    log = play(Scripted(jobs))
    assert log.why == Why.ERROR
    assert words in log.error
    assert len([event for event in log.events if isinstance(event, Started)]) == len(jobs) - 1


@pytest.mark.parametrize(
    ("again", "answer", "words"),
    [
        (job(0, 1), Decision.CONTINUE, "trial 0 stands at epoch 2: cannot train until 1 (benchmark 'toy' ends at 4)"),
        (job(0, 2), Decision.CONTINUE, "trial 0 stands at epoch 2: cannot train until 2"),
        (job(0, 4), Decision.STOP, "trial 0 was stopped: it cannot be resumed; ask for a new trial"),
        (job(0, 4, row=1), Decision.CONTINUE, "a resume cannot change it"),
    ],
)
def test_a_resume_that_makes_no_sense_is_refused(again: Job, answer: Decision, words: str) -> None:
    waits = [None] * (1 if answer is Decision.STOP else 2)
    log = play(Scripted([job(0, 2), *waits, again], lambda report: answer))
    assert log.why == Why.ERROR
    assert words in log.error


@pytest.mark.parametrize(
    ("end", "words"), [(End.DIVERGED, "trial 0 failed"), (End.EARLY, "trial 0 ended early at epoch 2")]
)
def test_what_is_over_cannot_be_resumed(end: End, words: str) -> None:
    log = play(Scripted([job(0, 3), None, None, job(0, 4)]), ending(toy_data(), 0, 2, end))
    assert words in log.error


@pytest.mark.parametrize("answer", [None, True, "stop", 7])
def test_an_answer_that_is_no_decision_ends_the_study(answer: Any) -> None:
    log = play(Scripted([job(0)], lambda report: answer))
    assert "tell must answer with a Decision" in log.error
    assert isinstance(log.events[-1], Ended)
    assert log.events[-1].reason is Reason.CUT


@pytest.mark.parametrize("where", ["ask", "tell"])
def test_whatever_a_scheduler_raises_ends_its_study_which_keeps_what_it_has(where: str) -> None:
    def fail(*_: object) -> Decision:
        raise ZeroDivisionError("of the method")

    scheduler = Scripted([job(0), job(1)], fail if where == "tell" else lambda report: Decision.CONTINUE)
    if where == "ask":
        jobs = iter([job(0), fail])
        scheduler.ask = lambda: answer if isinstance(answer := next(jobs), Job) else answer()  # type: ignore[method-assign]
    log = play(scheduler)
    assert log.why == Why.ERROR
    assert log.error.endswith("ZeroDivisionError: of the method")
    assert "test_loop.py" in log.error
    assert isinstance(log.events[0], Started)
    assert check_trace(record(study(), log, 0.0)) == []


def test_an_interrupt_keeps_what_was_recorded() -> None:
    def interrupt(report: Report) -> Decision:
        raise KeyboardInterrupt

    log = play(Scripted([job(0)], interrupt))
    assert log.why == Why.INTERRUPTED
    assert [type(event) for event in log.events] == [Started, Event, Ended]


def test_a_scheduler_sees_neither_time_nor_test_metric(data: TableData) -> None:
    scheduler = Scripted([job(0)])
    log = play(scheduler)
    assert [report.resource for report in scheduler.told] == [1, 2, 3, 4]
    assert all(report.metrics.keys() == {"loss"} for report in scheduler.told)
    assert not {"time", "worker"} & set(Report._fields)
    events = [event for event in log.events if isinstance(event, Event)]
    assert all(event.metrics.keys() == {"loss", "test_loss"} for event in events)
    assert [report.status for report in scheduler.told] == [Status.RUNNING] * 3 + [Status.REACHED]


@pytest.mark.parametrize(
    ("jobs", "answer", "seconds", "options", "why"),
    [
        ([job(0)], Decision.CONTINUE, 60, {}, Why.NOTHING_LEFT),
        ([], Decision.CONTINUE, 60, {}, Why.NOTHING_LEFT),
        ([job(0, 2)], Decision.CONTINUE, 60, {}, Why.WAITS),
        ([job(0)], Decision.PAUSE, 60, {}, Why.WAITS),
        ([job(0)], Decision.STOP, 60, {}, Why.NOTHING_LEFT),
        ([job(i) for i in range(9)], Decision.CONTINUE, 3, {}, Why.BUDGET),
        ([job(i) for i in range(9)], Decision.CONTINUE, 60, {"finished_trials": 3}, Why.CRITERION),
    ],
)
def test_why_a_study_ends(jobs: list[Job], answer: Decision, seconds: float, options: dict[str, Any], why: Why) -> None:
    log = play(Scripted(jobs, lambda report: answer), seconds=seconds, **options)
    assert (log.why, log.error) == (why, "")
    assert check_trace(record(study(), log, 0.0)) == []
    if why == Why.BUDGET:
        assert log.time == seconds * NANOSECONDS


def test_finished_trials_counts_full_trainings_and_failures(data: TableData) -> None:
    jobs = [job(0), job(1, 2), job(2), job(3), job(4)]
    log = play(Scripted(jobs), ending(data, 2, 1, End.DIVERGED), finished_trials=2)
    ends = [(event.trial, event.reason) for event in log.events if isinstance(event, Ended)]
    finished = [reason for trial, reason in ends if trial != 1 and reason in (Reason.REACHED, Reason.FAILED)]
    assert len(finished) == 2
    assert (2, Reason.FAILED) in ends


def test_a_constant_decision_time_delays_every_start_and_is_serial() -> None:
    second = NANOSECONDS
    log = play(Scripted([job(i) for i in range(6)]), decision_time=lambda _: 3 * second)
    starts = [event.time for event in log.events if isinstance(event, Started)]
    assert starts[:2] == [3 * second, 6 * second]
    assert all(later - sooner >= 3 * second for sooner, later in pairwise(starts))
    ends = [event.time for event in log.events if isinstance(event, Ended)]
    assert starts[2] == max(ends[0], starts[1]) + 3 * second
    assert check_trace(record(study(), log, 0.0)) == []


def test_what_a_scheduler_does_when_it_is_told_counts_towards_its_next_decision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, took = 0, list[int]()

    def answered(report: Report) -> Decision:
        nonlocal clock
        clock += 5
        return Decision.CONTINUE

    def taken(nanoseconds: int) -> int:
        took.append(nanoseconds)
        return 0

    monkeypatch.setattr("harness.loop.perf_counter_ns", lambda: clock)
    log = play(Scripted([job(i) for i in range(6)], answered), decision_time=taken)
    kinds = "".join("s" if isinstance(event, Started) else "r" for event in log.events if not isinstance(event, Ended))
    assert took == [5 * len(told) for told in kinds.split("s")[:-1]] and max(took) > 0


def test_a_job_whose_decision_outlasts_the_budget_never_starts() -> None:
    watched: list[Any] = []
    log = play(Scripted([job(0), job(1)]), seconds=5, decision_time=lambda _: 3 * NANOSECONDS, watch=watched.append)
    assert [event.job.trial for event in log.events if isinstance(event, Started)] == [0]
    assert log.why == Why.BUDGET
    assert check_trace(record(study(), log, 0.0)) == []
    assert watched == log.events
    assert [event.time for event in watched] == sorted(event.time for event in watched)


def test_a_report_without_its_metric_says_which_it_has(data: TableData) -> None:
    with pytest.raises(ValueError, match=r"lacks the metric 'loss'; it has \['acc'\]"):
        data.benchmark.losses({"acc": 1.0})


@pytest.mark.parametrize("answer", [lambda r: Decision.CONTINUE, lambda r: Decision(r.resource % 3)])
@pytest.mark.parametrize("delays", [Delays(), Delays(0.3, 0.2, 0.1, 0.05)])
def test_every_trace_is_sound(answer: Callable[[Report], Decision], delays: Delays) -> None:
    data = toy_data(workers=3, delays=delays)
    data = ending(ending(data, 1, 2, End.DIVERGED), 3, 1, End.EARLY)
    log = play(Scripted([job(i, 2 + i % 3) for i in range(12)], answer), data, seconds=14.0)
    assert check_trace(record(replace(study(), benchmark=data.benchmark), log, 0.0)) == []
