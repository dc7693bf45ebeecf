"""The one loop: ask the scheduler, start jobs, wait for reports, tell the scheduler. It cannot tell which world it is in.

All that a study is follows from the events recorded here: a job started, a worker reported, a job ended, and why the
study ended. The loop also stands at the door: a job that no executor could carry out honestly (a config outside the
space, a resource that goes backwards or is no level, a trial that runs already) is refused with what was given, what
is possible and what to do. Whatever a scheduler raises ends its study, and the study keeps what it has.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from time import perf_counter_ns
from typing import NamedTuple

from harness.space import Config
from harness.types import Benchmark, Decision, Event, Executor, Job, Scheduler, Status


class Reason(IntEnum):
    """Why a job ended."""

    REACHED = 0
    PAUSED = 1
    STOPPED = 2
    FAILED = 3
    CUT = 4
    """By the end of the study."""


class Why(StrEnum):
    """Why a study ended."""

    BUDGET = "budget"
    CRITERION = "criterion"
    NOTHING_LEFT = "nothing left"
    WAITS = "scheduler waits for ever"
    ERROR = "error"
    INTERRUPTED = "interrupted"


class Started(NamedTuple):
    """A job began on a worker."""

    time: int
    worker: int
    job: Job


class Ended(NamedTuple):
    """A job ended, and its worker is free."""

    time: int
    worker: int
    trial: int
    reason: Reason


@dataclass
class Log:
    """What happened in a study: its events in order, and why it ended."""

    events: list[Started | Event | Ended] = field(default_factory=list)
    why: Why = Why.BUDGET
    time: int = 0
    """Nanoseconds at which the study ended."""
    error: str = ""


class SchedulerError(Exception):
    """A scheduler asked for something that cannot be done, or answered with no decision."""


@dataclass
class _Trial:
    config: Config
    resource: int = 0
    worker: int = -1
    over: str = ""
    """Why the trial cannot be asked for again, where it cannot."""


DecisionTime = Callable[[int], int]
"""From the nanoseconds that an ask really took to those that it shall take in the study."""


def run(
    benchmark: Benchmark,
    scheduler: Scheduler,
    executor: Executor,
    budget: int,
    decision_time: DecisionTime | None = None,
    finished_trials: int | None = None,
    watch: Callable[[Started | Event | Ended], None] | None = None,
) -> Log:
    """Run one study until its budget (nanoseconds) is spent or nothing is left to do.

    finished_trials: end instead once so many trials reached the highest level or failed;
    watch: called with each event as it is recorded (a journal, a live view).
    """
    log = Log()
    trials: dict[int, _Trial] = {}
    try:
        log.why = _drive(benchmark, scheduler, executor, budget, decision_time, finished_trials, watch, log, trials)
    except KeyboardInterrupt:
        log.why = Why.INTERRUPTED
    except _Raised as raised:
        log.why, log.error = Why.ERROR, raised.text
    log.time = executor.now
    for number, trial in trials.items():
        if trial.worker >= 0:
            executor.stop(number)
            _record(log, watch, Ended(log.time, trial.worker, number, Reason.CUT))
    executor.close()
    return log


class _Raised(Exception):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        own = isinstance(error, SchedulerError)
        self.text = str(error) if own else "".join(traceback.format_exception(error)).rstrip()


def _record(log: Log, watch: Callable[..., None] | None, event: Started | Event | Ended) -> None:
    log.events.append(event)
    if watch is not None:
        watch(event)


def _drive(
    benchmark: Benchmark,
    scheduler: Scheduler,
    executor: Executor,
    budget: int,
    decision_time: DecisionTime | None,
    finished_trials: int | None,
    watch: Callable[[Started | Event | Ended], None] | None,
    log: Log,
    trials: dict[int, _Trial],
) -> Why:
    ask, tell, following, record = scheduler.ask, scheduler.tell, executor.next, log.events.append
    maximum, finished = benchmark.fidelity.maximum, 0
    while True:
        while executor.idle:
            try:
                began = perf_counter_ns()
                job = ask()
                if job is None:
                    break
                trial = _admit(benchmark, job, trials)
            except Exception as error:
                raise _Raised(error) from error
            if decision_time is not None:
                executor.spend(decision_time(perf_counter_ns() - began))
            time, trial.worker = executor.start(job)
            _record(log, watch, Started(time, trial.worker, job))
        event = following(budget)
        if event is None:
            if any(trial.worker >= 0 for trial in trials.values()):
                return Why.BUDGET
            paused = any(not trial.over and trial.resource < maximum for trial in trials.values())
            return Why.WAITS if paused else Why.NOTHING_LEFT
        record(event)
        if watch is not None:
            watch(event)
        report = event.report
        try:
            decision = tell(report)
        except Exception as error:
            raise _Raised(error) from error
        number, status = report.trial, report.status
        trial = trials[number]
        trial.resource = report.resource
        if decision is not CONTINUE or status is not RUNNING:
            _end(benchmark, executor, event, decision, trial, log, watch)
            if status is Status.FAILED or report.resource == maximum:
                finished += 1
                if finished == finished_trials:
                    return Why.CRITERION


CONTINUE, RUNNING = Decision.CONTINUE, Status.RUNNING


def _end(
    benchmark: Benchmark,
    executor: Executor,
    event: Event,
    decision: Decision,
    trial: _Trial,
    log: Log,
    watch: Callable[..., None] | None,
) -> None:
    report = event.report
    if not isinstance(decision, Decision):
        raise _Raised(SchedulerError(f"tell must answer with a Decision, given {decision!r} on {report}"))
    if report.status is Status.FAILED:
        reason, trial.over = Reason.FAILED, "failed"
    elif decision is Decision.STOP:
        reason, trial.over = Reason.STOPPED, "was stopped"
        executor.stop(report.trial)
    elif report.status is Status.RUNNING:
        reason = Reason.PAUSED
        executor.pause(report.trial)
    else:
        reason = Reason.REACHED
        started = next(e for e in reversed(log.events) if isinstance(e, Started) and e.job.trial == report.trial)
        if report.resource < started.job.until:
            trial.over = f"ended early at {benchmark.fidelity.unit} {report.resource}"
    _record(log, watch, Ended(event.time, trial.worker, report.trial, reason))
    trial.worker = -1


def _admit(benchmark: Benchmark, job: Job, trials: Mapping[int, _Trial] | dict[int, _Trial]) -> _Trial:
    """The trial that a job belongs to, new or paused; SchedulerError where the job makes no sense."""
    unit, levels = benchmark.fidelity.unit, benchmark.fidelity.levels
    if job.until not in levels:
        raise SchedulerError(
            f"trial {job.trial} cannot train until {unit} {job.until}: benchmark {benchmark.name!r} has the levels "
            f"{_spell(levels)}"
        )
    trial = trials.get(job.trial)
    if trial is None:
        try:
            benchmark.space.check(job.config)
        except ValueError as error:
            raise SchedulerError(f"trial {job.trial}: {error}") from None
        if job.parent is not None and job.parent not in trials:
            raise SchedulerError(f"trial {job.trial} cannot start from trial {job.parent}, which was never started")
        trials[job.trial] = trial = _Trial(job.config)  # type: ignore[index]
        return trial
    if trial.worker >= 0:
        raise SchedulerError(f"trial {job.trial} is running on worker {trial.worker}: wait for its report")
    if trial.over:
        raise SchedulerError(f"trial {job.trial} {trial.over}: it cannot be resumed; ask for a new trial")
    if job.until <= trial.resource:
        raise SchedulerError(
            f"trial {job.trial} stands at {unit} {trial.resource}: cannot train until {job.until} (benchmark "
            f"{benchmark.name!r} ends at {benchmark.fidelity.maximum})"
        )
    if job.config != trial.config:
        raise SchedulerError(f"trial {job.trial} has the config {dict(trial.config)}; a resume cannot change it")
    return trial


def _spell(levels: tuple[int, ...]) -> str:
    if len(levels) > 8 and levels == tuple(range(levels[0], levels[-1] + 1)):
        return f"{levels[0]} to {levels[-1]}"
    return ", ".join(map(str, levels))
