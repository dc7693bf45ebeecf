"""A log as the table of its own study: its trials played again on a simulated clock, to the nanosecond."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

from harness.loop import Log, Started
from harness.types import NANOSECONDS, Event, Job, Status


class Recorded:
    """Workers on a simulated clock whose trials say again, at the same cost, what they said in a log.

    Keyed by trial and not by config: also what crashed, or was trained under another seed, comes back as it was. Where
    the log has no more of a trial, the trial says nothing more.
    """

    def __init__(self, log: Log, workers: int) -> None:
        self.now = 0
        self._decided = 0
        self._free = list(range(workers))
        self._reports: dict[int, deque[Event]] = {}
        for event in log.events:
            if isinstance(event, Event):
                self._reports.setdefault(event.report.trial, deque()).append(event)
        self._heap: list[tuple[int, int, int, int]] = []
        self._running: dict[int, tuple[int, int]] = {}
        self._tickets = 0

    @property
    def idle(self) -> int:
        """How many workers have nothing to do."""
        return len(self._free)

    def start(self, job: Job) -> tuple[int, int]:
        """Put a job on the idle worker with the lowest number."""
        begin = max(self.now, self._decided)
        worker = heappop(self._free)
        self._tickets += 1
        self._running[job.trial] = (worker, self._tickets)
        self._await(job.trial, self._tickets, begin)
        return begin, worker

    def _await(self, trial: int, ticket: int, since: int) -> None:
        if self._reports.get(trial):
            cost = round(self._reports[trial][0].report.cost * NANOSECONDS)
            heappush(self._heap, (since + cost, ticket, trial, since))

    def next(self, deadline: int) -> Event | None:
        """The next report up to `deadline`, at which the clock then stands."""
        while self._heap and self._running.get(self._heap[0][2], (0, 0))[1] != self._heap[0][1]:
            heappop(self._heap)
        if not self._heap or self._heap[0][0] > deadline:
            self.now = max(self.now, deadline) if self._running else self.now
            return None
        self.now, ticket, trial, _ = heappop(self._heap)
        worker = self._running[trial][0]
        said = self._reports[trial].popleft()
        if said.report.status is Status.RUNNING:
            self._await(trial, ticket, self.now)
        else:
            self._release(trial)
        return said._replace(time=self.now, worker=worker)

    def pause(self, trial: int) -> None:
        """Free the worker of a running trial."""
        self._release(trial)

    def stop(self, trial: int) -> None:
        """Free the worker of a trial, if it has one, for good."""
        if trial in self._running:
            self._release(trial)

    def _release(self, trial: int) -> None:
        heappush(self._free, self._running.pop(trial)[0])

    def spend(self, nanoseconds: int) -> None:
        """Let a decision take time; decisions are made one after another."""
        self._decided = max(self.now, self._decided) + nanoseconds

    def close(self) -> None:
        """Nothing is held."""


def decision_times(log: Log) -> Callable[[int], int]:
    """The time from what the loop heard last, or started last, to each start, as a log recorded it."""
    gaps: deque[int] = deque()
    before = 0
    for event in log.events:
        if isinstance(event, Started):
            gaps.append(event.time - before)
        before = event.time
    return lambda _: gaps.popleft() if gaps else 0
