"""Workers on a simulated clock: the next report is one step away, however long the training took.

One heap entry per report to come, `(time, ticket, index of the level, run)`; the ticket, the order in which jobs were
started, breaks ties, so equal times always come in the same order. Time is integer nanoseconds and moves only here. A
run that reports goes on at once; where the scheduler pauses or stops it, its entry is passed over when its time comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace

from harness.space import Config
from harness.types import NANOSECONDS, Curve, CurveModel, Delays, End, Event, Job, Report, StatefulModel, Status

RUNNING, REACHED, FAILED, DIVERGED = Status.RUNNING, Status.REACHED, Status.FAILED, End.DIVERGED
new = tuple.__new__
"""Makes a named tuple from its values, without the Python function that its class calls first: a third of the cost."""


@dataclass(slots=True)
class _Run:
    """A job on a worker, which says what its curve says from `origin` on, up to the level with the index `last`."""

    trial: int
    worker: int
    """Its number, -1 once it is free."""
    curve: Curve
    reached: int
    """The index of the last level that was reported, -1 before the first."""
    last: int
    origin: int
    said: int


class Simulated:
    """An executor whose trials are curves of a table or a surrogate.

    seed: chooses the replicate, the same for all methods; delays: what occupies a worker besides training. A warm
    worker outlives a training that diverges, as a real one does: only a crash would cost it its process. Where a trial
    is paused or stopped before its job's end, the loop waits until its process has left, and so does who reports
    meanwhile, as with real workers.
    """

    def __init__(self, model: CurveModel, workers: int, seed: int, delays: Delays) -> None:
        self.now = 0
        self.idle = workers
        self._model = model
        self._seed = seed
        self._levels = model.benchmark.fidelity.levels
        self._index_of = {level: index for index, level in enumerate(self._levels)}
        self._continues = model.benchmark.fidelity.continues
        self._resumable = model.benchmark.resumable
        self._start_ups = [round(delays.start_up * NANOSECONDS)] * workers
        """What each worker pays at the start of its next job: a warm one nothing after its first."""
        self._warm = delays.warm
        self._restore = round(delays.restore * NANOSECONDS)
        self._each_level = round((delays.evaluate + delays.save) * NANOSECONDS)
        self._leave = 0 if delays.warm else round(delays.leave * NANOSECONDS)
        self._free = list(range(workers))
        self._heap: list[tuple[int, int, int, _Run]] = []
        self._tickets = 0
        self._decided = 0
        self._runs: dict[int, _Run] = {}
        self._stateful = model if isinstance(model, StatefulModel) else None
        self._configs: dict[int, Config] = {}
        self._schedules: dict[int, tuple[tuple[Config, int], ...]] = {}
        """Of a model with state: each trial's config, and those which the trainings it goes on from had before."""

    def start(self, job: Job) -> tuple[int, int]:
        """Put a job on the idle worker with the lowest number; gives its start in nanoseconds, and that number."""
        trial, config, until, parent = job
        former = self._runs.get(trial)
        if former is not None:
            curve, reached = former.curve, former.reached
        elif parent is None:
            curve, reached = self._model.curve(config, self._seed), -1
            if self._stateful is not None:
                self._configs[trial] = config
        else:
            curve, reached = self._copied(trial, config, parent)
        begin = self._decided if self._decided > self.now else self.now
        nanoseconds = curve.nanoseconds
        last = min(self._index_of[until], len(nanoseconds) - 1)
        worker = heappop(self._free)
        origin = begin + self._start_ups[worker]
        if self._warm:
            self._start_ups[worker] = 0
        if not self._continues:
            # A higher level is a training of its own: nothing is said on the way to it.
            index = last
            origin -= last * self._each_level
        else:
            # Where the curve ended early just there, nothing is left but to say so: the last level again.
            index = min(reached + 1, last)
            if reached >= 0 and self._resumable:
                origin += self._restore - nanoseconds[reached] - (reached + 1) * self._each_level
        self.idle -= 1
        self._runs[trial] = run = _Run(trial, worker, curve, reached, last, origin, said=begin)
        self._tickets += 1
        due = origin + nanoseconds[index] + (index + 1) * self._each_level
        if index == last:
            due += self._leave
        heappush(self._heap, (due, self._tickets, index, run))
        return begin, worker

    def _copied(self, trial: int, config: Config, parent: int) -> tuple[Curve, int]:
        """The curve of a trial that starts from a copy of another, and the index of the level where it starts."""
        if self._stateful is None:
            raise ValueError(f"a table holds whole trainings: trial {trial} cannot start from trial {parent}")
        reached, schedule = self._runs[parent].reached, self._schedules.get(parent, ())
        if reached >= 0:
            schedule = (*schedule, (self._configs[parent], self._levels[reached]))
        self._configs[trial], self._schedules[trial] = config, schedule
        return self._stateful.scheduled(schedule, config, self._seed), reached

    def next(self, deadline: int) -> Event | None:
        """The next report up to `deadline`, at which the clock then stands; None where there is none."""
        heap = self._heap
        while heap:
            time, ticket, index, run = heap[0]
            worker = run.worker
            if worker >= 0:
                break
            heappop(heap)
        else:
            return None
        if time < self.now:  # a process took its time to leave meanwhile, and the loop waited for that
            run.origin += self.now - time
            time = self.now
        if time > deadline:
            self.now = max(self.now, deadline)
            return None
        self.now = time
        run.reached = index
        nanoseconds, losses, metrics, visible, end = run.curve
        if index < run.last:
            status = RUNNING
            following = index + 1
            due = run.origin + nanoseconds[following] + (following + 1) * self._each_level
            if following == run.last:
                due += self._leave
            heapreplace(heap, (due, ticket, following, run))
        else:
            status = FAILED if end is DIVERGED and index == len(losses) - 1 else REACHED
            heappop(heap)
            self._release(run)
        cost = (time - run.said) / NANOSECONDS
        run.said = time
        report = new(Report, (run.trial, self._levels[index], losses[index], visible[index], cost, status))
        return new(Event, (time, worker, report, metrics[index]))

    def pause(self, trial: int) -> None:
        """Free the worker of a trial, when its process has left; its curve goes on where it stands when resumed."""
        self._release(self._runs[trial])
        self.now += self._leave

    def stop(self, trial: int) -> None:
        """Free the worker of a trial, if it has one, for good."""
        run = self._runs[trial]
        if run.worker >= 0:
            self._release(run)
            self.now += self._leave

    def _release(self, run: _Run) -> None:
        # The lowest free number is given out first, so that timelines read from the top.
        heappush(self._free, run.worker)
        run.worker = -1
        self.idle += 1

    def spend(self, nanoseconds: int) -> None:
        """Let a decision take time; decisions are made one after another."""
        self._decided = max(self.now, self._decided) + nanoseconds

    def close(self) -> None:
        """Nothing to give back."""
