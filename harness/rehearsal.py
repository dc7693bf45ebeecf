"""The way back into a real study after any end of it.

The loop runs again from the beginning, with the same scheduler made anew: as long as the journal has events, a
rehearsal stands in for the workers and answers with what happened, and each thing that the loop records must be what
the journal says. Where the journal ends, the real executor takes over: what still ran is started again from its last
checkpoint, and finished trials stand.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.journal import Journal
from harness.loop import Ended, Reason, Started
from harness.space import Config
from harness.types import Decision, Event, Executor, Job, Report, Scheduler, Standing, Status


class Rehearsal:
    """An executor that gives what the journal says, and hands over to the real one where the journal ends.

    real: makes the executor that goes on from where the study stood.
    """

    def __init__(self, journal: Journal, workers: int, real: Callable[[Standing], Executor]) -> None:
        self._journal = journal
        self._workers = workers
        self._real = real
        self._live: Executor | None = None
        self._standing = Standing(failures=journal.failures)

    @property
    def idle(self) -> int:
        """How many workers have nothing to do."""
        return self._live.idle if self._live else self._workers - len(self._standing.running)

    @property
    def now(self) -> int:
        """Nanoseconds since the study began; the time between a crash and the next start is not counted."""
        return self._live.now if self._live else self._standing.now

    def start(self, job: Job) -> tuple[int, int]:
        """Start a job as the journal says it was; at the journal's end, for real."""
        if (live := self._handed_over()) is not None:
            return live.start(job)
        stored = self._journal.following
        if not isinstance(stored, Started) or stored.job != job:
            raise self._journal.difference(f"trial {job.trial} is started until {job.until} with {dict(job.config)}")
        self._standing.now = stored.time
        self._standing.running[job.trial] = (stored.job, stored.worker, stored.time)
        return stored.time, stored.worker

    def next(self, deadline: int) -> Event | None:
        """The next report, from the journal or for real."""
        if (live := self._handed_over()) is not None:
            return live.next(deadline)
        stored = self._journal.following
        if not isinstance(stored, Event):
            raise self._journal.difference("no job is started and none ends")
        trial, resource, _, _, _, status = stored.report
        self._standing.now = stored.time
        self._standing.reached[trial] = resource
        if status is Status.RUNNING:
            job, worker, _ = self._standing.running[trial]
            self._standing.running[trial] = (job, worker, stored.time)
        else:
            del self._standing.running[trial]
        return stored

    def pause(self, trial: int) -> None:
        """Free the worker of a running trial, keeping its checkpoint."""
        if self._live:
            self._live.pause(trial)
        else:
            del self._standing.running[trial]

    def stop(self, trial: int) -> None:
        """Free the worker of a trial, if it has one, for good."""
        if self._live:
            self._live.stop(trial)
        else:
            self._standing.running.pop(trial, None)
            self._standing.stopped.add(trial)

    def spend(self, nanoseconds: int) -> None:
        """Let a decision take time; one of the journal has taken it."""
        if self._live:
            self._live.spend(nanoseconds)

    def close(self) -> None:
        """End what runs for real."""
        if self._live:
            self._live.close()

    def _handed_over(self) -> Executor | None:
        """The real executor, once the journal is at its end."""
        if self._live is None and self._journal.following is None:
            self._live = self._real(self._standing)
        return self._live


class Follower:
    """A scheduler that decides as the journal says, whatever it would decide now, and is told all that it may hear.

    It is for a scheduler whose numbers differ a little from those it had: a new trial takes the config that the
    journal trained in place of the one that is asked for now. Of a trial that the scheduler has not asked for, or has
    paused or stopped where the journal went on, it is told nothing before it asks for that trial.
    """

    def __init__(self, scheduler: Scheduler, journal: Journal) -> None:
        self._scheduler = scheduler
        self._journal = journal
        self._asked: dict[int, Job] = {}
        """The jobs that the scheduler has asked for and whose end it has not heard of, by trial."""
        self._unheard: dict[int, list[Report]] = {}
        """What each trial said while the scheduler did not wait for it."""
        self._decided: dict[int, Decision] = {}
        """What the scheduler answered last on each trial."""
        self._configs: dict[int, Config] = {}
        """What each trial was started with."""
        self._reached: dict[int, int] = {}
        self._running: set[int] = set()
        self._stopped: set[int] = set()

    def ask(self) -> Job | None:
        """The job of the journal; afterwards the scheduler's own, with the configs that trials really have."""
        stored = self._journal.following
        if stored is not None or not any(map(self._is_due, self._asked)):
            self._ask_on()
        if stored is not None:
            return self._started(stored.job) if isinstance(stored, Started) else None
        due = [trial for trial in self._asked if self._is_due(trial)]
        return self._started(self._asked[min(due)]) if due else None

    def _ask_on(self) -> None:
        """Ask the scheduler until it wants what has not been done; what it asks for is caught up with first."""
        while (job := self._scheduler.ask()) is not None:
            self._asked[job.trial] = job
            unheard = self._unheard.get(job.trial, [])
            while unheard and job.trial in self._asked:
                self._say(unheard.pop(0))
            if self._is_due(job.trial):
                return

    def _is_due(self, trial: int) -> bool:
        """Whether the scheduler waits for a trial that is to be started for it."""
        job = self._asked.get(trial)
        if job is None or trial in self._running or trial in self._stopped:
            return False
        return self._reached.get(trial, 0) < job.until

    def _started(self, job: Job) -> Job:
        self._running.add(job.trial)
        return job._replace(config=self._configs.setdefault(job.trial, job.config))

    def tell(self, report: Report) -> Decision:
        """Tell the scheduler, if it waits for the trial, and answer as the journal says it answered."""
        trial, stored = report.trial, self._journal.following
        self._reached[trial] = report.resource
        if trial in self._asked:
            decision = self._say(report)
        else:
            self._unheard.setdefault(trial, []).append(report)
            decision = self._decided.get(trial, Decision.CONTINUE)
        if isinstance(stored, Ended) and stored.trial == trial:
            answers = {Reason.PAUSED: Decision.PAUSE, Reason.STOPPED: Decision.STOP}
            decision = answers.get(stored.reason, Decision.CONTINUE)
        elif stored is not None:
            decision = Decision.CONTINUE
        if decision is Decision.STOP:
            self._stopped.add(trial)
        if decision is not Decision.CONTINUE or report.status is not Status.RUNNING:
            self._running.discard(trial)
        return decision

    def _say(self, report: Report) -> Decision:
        """Tell the scheduler of a trial that it waits for."""
        decision = self._decided[report.trial] = self._scheduler.tell(report)
        if decision is not Decision.CONTINUE or report.status is not Status.RUNNING:
            del self._asked[report.trial]
        return decision
