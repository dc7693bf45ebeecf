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
    """A scheduler that decides as the journal says, whatever it would decide now, and is told all that happened.

    It is for a scheduler whose numbers differ a little from those it had: a new trial takes the config that the
    journal trained in place of the one that is asked for now.
    """

    def __init__(self, scheduler: Scheduler, journal: Journal) -> None:
        self._scheduler = scheduler
        self._journal = journal
        self._started: dict[int, Job] = {}
        """The last job of each trial that the journal started."""
        self._held: dict[int, Job] = {}
        """Jobs that the scheduler asked for and the journal has not started: they are due when it ends."""

    def ask(self) -> Job | None:
        """The job of the journal; afterwards the scheduler's own, with the configs that trials really have."""
        stored = self._journal.following
        if stored is None and self._held:
            return self._held.pop(min(self._held))
        job = self._asked()
        if stored is None:
            return job
        if job is not None:
            self._held[job.trial] = job
        if not isinstance(stored, Started):
            return None
        self._held.pop(stored.job.trial, None)
        self._started[stored.job.trial] = stored.job
        return stored.job

    def _asked(self) -> Job | None:
        """What the scheduler asks for next that the journal has not started already."""
        while (job := self._scheduler.ask()) is not None:
            started = self._started.get(job.trial)
            if started is None:
                return job
            if job.until > started.until:
                return job._replace(config=started.config)
        return None

    def tell(self, report: Report) -> Decision:
        """Tell the scheduler, and answer as the journal says it answered."""
        decision = self._scheduler.tell(report)
        stored = self._journal.following
        if stored is None:
            return decision
        if isinstance(stored, Ended) and stored.trial == report.trial:
            return {Reason.PAUSED: Decision.PAUSE, Reason.STOPPED: Decision.STOP}.get(stored.reason, Decision.CONTINUE)
        return Decision.CONTINUE
