"""The one loop: ask the scheduler, start jobs, wait for reports, tell the scheduler.

It cannot tell which world it is in. All that a study is follows from the events recorded here: a job started, a
worker reported, a job ended, and why the study ended. The loop also stands at the door: a job that no executor could
carry out honestly (a config outside the space, a resource that goes backwards or is no level, a trial that runs
already) is refused with what was given, what is possible and what to do. Whatever a scheduler raises ends its study,
and the study keeps what it has.
"""

import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from time import perf_counter_ns
from typing import NamedTuple

from harness.space import Config
from harness.types import Benchmark, Decision, Event, Executor, Job, Report, Scheduler, Status, recommended


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


class Recommended(NamedTuple):
    """The scheduler would hand over another trial from now on; so many events were recorded before."""

    events: int
    time: int
    trial: int


@dataclass
class Log:
    """What happened in a study: its events in order, and why it ended."""

    events: list[Started | Event | Ended] = field(default_factory=list)
    why: Why = Why.BUDGET
    time: int = 0
    """Nanoseconds at which the study ended."""
    error: str = ""
    recommended: list[Recommended] = field(default_factory=list[Recommended])
    """What the scheduler says it would hand over, where it is asked."""


class SchedulerError(Exception):
    """A scheduler asked for something that cannot be done, or answered with no decision."""


@dataclass(slots=True)
class _Trial:
    config: Config
    until: int
    resource: int = 0
    worker: int = -1
    over: str = ""
    """Why the trial cannot be asked for again, where it cannot."""


DecisionTime = Callable[[int], int]
"""From the nanoseconds that a decision really took to those that it shall take in the study.

A decision is what the scheduler does from the start of one job to the start of the next: its ask for it, and what it
makes of the reports before, for some methods choose as they are told.
"""

Happening = Started | Event | Ended
Watch = Callable[[Happening], None]

CONTINUE, PAUSE, STOP = Decision.CONTINUE, Decision.PAUSE, Decision.STOP
RUNNING, FAILED = Status.RUNNING, Status.FAILED
REACHED, PAUSED, STOPPED = Reason.REACHED, Reason.PAUSED, Reason.STOPPED
new = tuple.__new__
"""Makes a named tuple from its values, without the Python function that its class calls first: a third of the cost."""


def run(
    benchmark: Benchmark,
    scheduler: Scheduler,
    executor: Executor,
    budget: int,
    *,
    decision_time: DecisionTime | None = None,
    finished_trials: int | None = None,
    recommends: bool = False,
    watch: Watch | None = None,
) -> Log:
    """Run one study until its budget (nanoseconds) is spent or nothing is left to do.

    finished_trials: end instead once so many trials reached the highest level or failed;
    recommends: ask the scheduler at each end of a job which trial it would hand over;
    watch: called with each event as it is recorded (a journal, a live view).
    """
    study = _Study(benchmark, scheduler, executor, watch)
    log = study.log
    try:
        log.why = study.drive(budget, decision_time, finished_trials, recommends)
    except KeyboardInterrupt:
        log.why = Why.INTERRUPTED
    except SchedulerError as error:
        log.why, log.error = Why.ERROR, str(error)
    finally:
        try:
            study.cut()
        finally:
            executor.close()
    return log


class _Study:
    """One study under way: who runs, and what was recorded."""

    def __init__(self, benchmark: Benchmark, scheduler: Scheduler, executor: Executor, watch: Watch | None) -> None:
        self.benchmark = benchmark
        self.scheduler = scheduler
        self.executor = executor
        self.log = Log()
        self.record = _recorder(self.log.events.append, watch)
        self.trials: dict[int, _Trial] = {}
        self.levels = frozenset(benchmark.fidelity.levels)
        self.planned: deque[Started] = deque()
        """Jobs whose decision is still being made: they are recorded when their time comes, so time never falls."""
        self.telling = 0
        """Nanoseconds that the scheduler really took over reports since the last start, where decisions take time."""

    def drive(
        self, budget: int, decision_time: DecisionTime | None, finished_trials: int | None, recommends: bool
    ) -> Why:
        """The loop itself."""
        executor, trials, record = self.executor, self.trials, self.record
        tell, following = self.scheduler.tell if decision_time is None else self._timed_tell, executor.next
        finished = 0
        while True:
            while executor.idle and self._start_next(decision_time):
                pass
            try:
                event = following(budget)
            except ValueError as error:  # nothing that this executor starts will come to anything
                raise SchedulerError(str(error)) from error
            if event is None:
                return self._nothing_to_wait_for()
            if self.planned:
                self._record_starts(event[0])
            record(event)
            report = event[2]
            try:
                decision = tell(report)
            except Exception as error:
                raise _raised(error) from error
            trial = trials[report[0]]
            trial.resource = report[1]
            if decision is not CONTINUE or report[5] is not RUNNING:
                self._end(event, decision, trial)
                if recommends:
                    self._note_recommendation(event[0])
                finished += trial.over == "failed" or trial.resource == self.benchmark.fidelity.maximum
                if finished == finished_trials:
                    return Why.CRITERION

    def _timed_tell(self, report: Report) -> Decision:
        """Tell the scheduler, and count how long it takes towards its next decision."""
        began = perf_counter_ns()
        decision = self.scheduler.tell(report)
        self.telling += perf_counter_ns() - began
        return decision

    def _start_next(self, decision_time: DecisionTime | None) -> bool:
        """Start the scheduler's next job; False where it has none for now."""
        executor = self.executor
        began = perf_counter_ns()
        job = self._ask()
        if job is None:
            return False
        trial = self._admit(job)
        if decision_time is not None:
            executor.spend(decision_time(self.telling + perf_counter_ns() - began))
            self.telling = 0
        try:
            time, trial.worker = executor.start(job)
        except ValueError as error:  # what this executor cannot do, such as start from another trial
            raise SchedulerError(str(error)) from error
        started = new(Started, (time, trial.worker, job))
        if time > executor.now:
            self.planned.append(started)
        else:
            self.record(started)
        return True

    def _ask(self) -> Job | None:
        try:
            job = self.scheduler.ask()
        except Exception as error:
            raise _raised(error) from error
        if job is not None and not isinstance(job, Job):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SchedulerError(f"ask must answer with a Job or None, given {job!r}")
        return job

    def _record_starts(self, time: int) -> None:
        while self.planned and self.planned[0].time <= time:
            self.record(self.planned.popleft())

    def _nothing_to_wait_for(self) -> Why:
        if any(trial.worker >= 0 for trial in self.trials.values()):
            return Why.BUDGET
        if self.benchmark.space.exhausted:
            return Why.NOTHING_LEFT
        maximum = self.benchmark.fidelity.maximum
        paused = any(not trial.over and trial.resource < maximum for trial in self.trials.values())
        return Why.WAITS if paused else Why.NOTHING_LEFT

    def _end(self, event: Event, decision: Decision, trial: _Trial) -> None:
        """Free the worker of a trial that was paused, stopped, failed, or came to its job's end."""
        number, status = event.report.trial, event.report.status
        if status is FAILED:
            reason, trial.over = Reason.FAILED, "failed"
        elif decision is STOP:
            reason, trial.over = STOPPED, "was stopped"
            self.executor.stop(number)
        elif status is RUNNING:
            if decision is not PAUSE:
                raise SchedulerError(f"tell must answer with a Decision, given {decision!r} on {event.report}")
            reason = PAUSED
            self.executor.pause(number)
        else:
            reason = REACHED
            if trial.resource < trial.until:
                trial.over = f"ended early at {self.benchmark.fidelity.unit} {trial.resource}"
        self.record(new(Ended, (event.time, trial.worker, number, reason)))
        trial.worker = -1

    def _note_recommendation(self, time: int) -> None:
        """Note which trial the scheduler would hand over, where that is another than before."""
        try:
            config = recommended(self.scheduler)
        except Exception as error:
            raise _raised(error) from error
        if config is None:
            return
        known = [(trial.resource, number) for number, trial in self.trials.items() if trial.config == config]
        if not known:
            raise SchedulerError(f"it recommends {dict(config)}, which is the config of no trial")
        number, noted = max(known)[1], self.log.recommended
        if not noted or noted[-1].trial != number:
            noted.append(Recommended(len(self.log.events), time, number))

    def cut(self) -> None:
        """Note the end of what still runs; closing the executor ends it all at once and keeps its checkpoints."""
        self.log.time = self.executor.now
        self._record_starts(self.log.time)
        never = {start.job.trial for start in self.planned}
        for number, trial in self.trials.items():
            if trial.worker >= 0 and number not in never:
                self.record(Ended(self.log.time, trial.worker, number, Reason.CUT))

    def _admit(self, job: Job) -> _Trial:
        """The trial that a job belongs to, new or paused; SchedulerError where the job makes no sense."""
        number, config, until, parent = job
        fidelity, name = self.benchmark.fidelity, self.benchmark.name
        if until not in self.levels:
            raise SchedulerError(
                f"trial {number} cannot train until {fidelity.unit} {until}: benchmark {name!r} has the levels "
                + fidelity.span
            )
        trial = self.trials.get(number)
        if trial is None:
            try:
                if not isinstance(config, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
                    raise ValueError(f"a config maps names to values, given {config!r}")
                self.benchmark.space.check(config)
            except ValueError as error:
                raise SchedulerError(f"trial {number}: {error}") from None
            if parent is not None and parent not in self.trials:
                raise SchedulerError(f"trial {number} cannot start from trial {parent}, which was never started")
            self.trials[number] = trial = _Trial(config, until)
            return trial
        if trial.worker >= 0:
            raise SchedulerError(f"trial {number} is running on worker {trial.worker}: wait for its report")
        if trial.over:
            raise SchedulerError(f"trial {number} {trial.over}: it cannot be resumed; ask for a new trial")
        if until <= trial.resource:
            raise SchedulerError(
                f"trial {number} stands at {fidelity.unit} {trial.resource}: cannot train until {until} (benchmark "
                f"{name!r} ends at {fidelity.maximum})"
            )
        if config is not trial.config and config != trial.config:
            raise SchedulerError(f"trial {number} has the config {dict(trial.config)}; a resume cannot change it")
        trial.until = until
        return trial


def _recorder(append: Watch, watch: Watch | None) -> Watch:
    """What notes an event in the log and, where someone watches, shows it."""
    if watch is None:
        return append

    def record(event: Started | Event | Ended) -> None:
        append(event)
        watch(event)

    return record


def _raised(error: Exception) -> SchedulerError:
    return SchedulerError("".join(traceback.format_exception(error)).rstrip())
