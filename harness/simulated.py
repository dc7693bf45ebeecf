"""Workers on a simulated clock: the next report is one step away, however long the training took.

One heap entry per busy worker, `(time, ticket, run)`; the ticket, the order in which jobs were started, breaks ties,
so equal times always come in the same order. Time is integer nanoseconds and moves only here. A run that was just
reported stays at the top of the heap until the scheduler has answered: going on replaces it, a pause pops it.
"""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace

from harness.types import NANOSECONDS, Curve, CurveModel, Delays, End, Event, Job, Report, Status

RUNNING, REACHED, FAILED = Status.RUNNING, Status.REACHED, Status.FAILED


class _Run:
    """A job on a worker: what it will say next, and when."""

    __slots__ = ("curve", "index", "last", "last_status", "origin", "reached", "said", "trial", "worker")

    def __init__(self, trial: int, worker: int, curve: Curve, reached: int) -> None:
        self.trial = trial
        self.worker = worker
        self.curve = curve
        self.reached = reached
        """The index of the last level that was reported, -1 before the first."""
        self.index = 0
        self.last = 0
        self.last_status = REACHED
        self.origin = 0
        self.said = 0


class Simulated:
    """An executor whose trials are curves of a table or a surrogate.

    seed: chooses the replicate, the same for all methods; delays: what occupies a worker besides training.
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
        self._start_up = round(delays.start_up * NANOSECONDS)
        self._restore = round(delays.restore * NANOSECONDS)
        self._each_level = round((delays.evaluate + delays.save) * NANOSECONDS)
        self._free = list(range(workers - 1, -1, -1))
        self._heap: list[tuple[int, int, _Run]] = []
        self._tickets = 0
        self._decided = 0
        self._current: _Run | None = None
        self._runs: dict[int, _Run] = {}

    def start(self, job: Job) -> tuple[int, int]:
        """Put a job on the idle worker with the lowest number; gives its start in nanoseconds, and that number."""
        self._settle()
        trial, config, until, parent = job
        former = self._runs.get(trial)
        if former is not None:
            curve, reached = former.curve, former.reached
        elif parent is None:
            curve, reached = self._model.curve(config, self._seed), -1
        else:
            raise ValueError(f"a table holds whole trainings: trial {trial} cannot start from trial {parent}")
        begin = self._decided if self._decided > self.now else self.now
        run = _Run(trial, self._free.pop(), curve, reached)
        self.idle -= 1
        last = min(self._index_of[until], len(curve.losses) - 1)
        run.last = last
        if last == len(curve.losses) - 1 and curve.end is End.DIVERGED:
            run.last_status = FAILED
        run.origin = run.said = begin
        ready = begin + self._start_up
        if not self._continues:
            # A higher level is a training of its own: nothing is said on the way to it.
            run.index = last
            run.origin = ready - last * self._each_level
        else:
            # Where the curve ended early just there, nothing is left but to say so: the last level again.
            run.index = min(reached + 1, last)
            if reached >= 0 and self._resumable:
                run.origin = ready + self._restore - curve.nanoseconds[reached] - (reached + 1) * self._each_level
            else:
                run.origin = ready
        self._tickets += 1
        self._runs[trial] = run
        due = run.origin + curve.nanoseconds[run.index] + (run.index + 1) * self._each_level
        heappush(self._heap, (due, self._tickets, run))
        return begin, run.worker

    def _settle(self) -> None:
        """The scheduler has answered: the run at the top of the heap goes on, or goes."""
        run = self._current
        if run is None:
            return
        self._current = None
        heap = self._heap
        if run.worker < 0:
            heappop(heap)
        else:
            run.index = index = run.index + 1
            due = run.origin + run.curve.nanoseconds[index] + (index + 1) * self._each_level
            heapreplace(heap, (due, heap[0][1], run))

    def next(self, deadline: int) -> Event | None:
        """The next report up to `deadline`, at which the clock then stands; None where there is none."""
        if self._current is not None:
            self._settle()
        heap = self._heap
        while heap and heap[0][2].worker < 0:
            heappop(heap)
        if not heap:
            return None
        time, _, run = heap[0]
        if time > deadline:
            self.now = deadline
            return None
        self.now = time
        index, curve, trial, worker = run.index, run.curve, run.trial, run.worker
        run.reached = index
        if index == run.last:
            status = run.last_status
            self._release(run)
            heappop(heap)
        else:
            status = RUNNING
            self._current = run
        cost = (time - run.said) / NANOSECONDS
        run.said = time
        report = Report(trial, self._levels[index], curve.losses[index], curve.visible[index], cost, status)
        return Event(time, worker, report, curve.metrics[index])

    def pause(self, trial: int) -> None:
        """Free the worker of a trial; its curve goes on where it stands when it is resumed."""
        self._release(self._runs[trial])

    def stop(self, trial: int) -> None:
        """Free the worker of a trial, if it has one, for good."""
        run = self._runs[trial]
        if run.worker >= 0:
            self._release(run)

    def _release(self, run: _Run) -> None:
        # The lowest free number is given out first, so that timelines read from the top.
        free, worker = self._free, run.worker
        run.worker = -1
        self.idle += 1
        free.append(worker)
        if len(free) > 1 and free[-2] < worker:
            free.sort(reverse=True)

    def spend(self, nanoseconds: int) -> None:
        """Let a decision take time; decisions are made one after another."""
        self._decided = max(self.now, self._decided) + nanoseconds

    def close(self) -> None:
        """Nothing to give back."""
