"""The journal of a real study: every event as it happens, and the way back into the study after any end of it.

A journal says first which study it is of. After a crash the loop runs again from the beginning, with the same
scheduler made anew: as long as the journal has events, a rehearsal stands in for the workers and answers with what
happened, and each thing that the loop records must be what the journal says. Where the journal ends, the real
executor takes over: what still ran is started again from its last checkpoint, and finished trials stand.

A journal is also the table of its own study: `Recorded` plays its trials on a simulated clock.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.lines import LineWriter, read_lines
from harness.loop import Ended, Happening, Log, Reason, Started, Why
from harness.study import differences, identity, key_of, with_budget
from harness.types import NANOSECONDS, Benchmark, Decision, Event, Executor, Job, Report, Scheduler, Standing, Status


class Difference(Exception):
    """What the loop does now is not what the journal says that it did."""


class Journal:
    """A file of events that only grows; made, or read back and continued where it ends.

    spec: all that the study depends on; of the study in the file only its budget may be less, and then that is raised,
    also where it was spent. ValueError where the file is no journal, is of another study, or where another process is
    writing it.
    """

    def __init__(self, path: Path, spec: Mapping[str, Any]) -> None:
        self.path = path
        self.events: list[Happening] = []
        self.failures: dict[int, str] = {}
        self.log: Log | None = None
        """What happened in all, once the study is over."""
        self.position = 0
        """How many events of the journal the loop has recorded anew."""
        self.goes_on = False
        """Whether it was there before."""
        self._raised: float | None = None
        """A larger budget that does not stand in the file yet: not before the study has come so far again."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = LineWriter(path)
        try:
            self._take_up(spec)
        except BaseException:
            self._writer.close()
            raise

    def _take_up(self, spec: Mapping[str, Any]) -> None:
        """Read back what there is, or begin with the study's ingredients."""
        lines = read_lines(self.path)
        head = next(lines, None)
        if head is None:
            self._writer.append({"study": dict(spec)})
            return
        stored, self.log = _take(lines, _study_of(head, self.path), self.events, self.failures)
        if key_of(stored) != key_of(spec):
            self._raise_budget(stored, spec)
        self.goes_on = True

    def _raise_budget(self, stored: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        """Give the study in the file the budget of `spec`; ValueError where that is another study."""
        before, now = stored["benchmark"]["budget"], spec["benchmark"]["budget"]
        alike = key_of(with_budget(stored, now)) == key_of(spec)
        if not alike or now <= before:
            grown = "; a budget can be raised, not lowered" if alike else ""
            raise ValueError(
                f"{self.path} is the journal of another study ({_apart(stored, spec)}{grown}): give another folder "
                "with --out, or run that study with its own options to continue it"
            )
        self._raised, self.log = now, None

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._raised is not None:
            self._writer.append({"budget": self._raised})
            self._raised = None
        self._writer.append(line)

    def watch(self, event: Happening, reason: str | None = None) -> None:
        """Compare an event with the journal's, or write it where the journal has no more; reason: of a failure."""
        if isinstance(event, Ended) and event.reason is Reason.CUT:
            return  # what the end of this process cuts is no end of the trial
        if self.position < len(self.events):
            if event != self.events[self.position]:
                raise self.difference(_told(event))
        else:
            self._append(_line(event, reason))
            self.events.append(event)
        self.position += 1

    def warn(self, trial: int, text: str) -> None:
        """Write down what went wrong with a trial that did not fail for it; that is no event."""
        self._append({"warning": trial, "text": text})

    @property
    def following(self) -> Happening | None:
        """What the journal says happened next; None at its end."""
        return self.events[self.position] if self.position < len(self.events) else None

    def difference(self, now: str) -> Difference:
        """The error that says where the study parts from its journal."""
        stored = self.following
        because = "another version of it, of numpy, or another processor"
        if self._raised is not None:
            because += ", or it decides by the budget, which is larger now"
        return Difference(
            f"{self.path}, event {self.position + 1} of {len(self.events)}: the journal says "
            f"{_told(stored) if stored else 'nothing'}, but now {now}. The scheduler does not decide as it did: "
            f"{because}. Continue with the same, or give --follow-journal to tell it what happened and go on from "
            "there."
        )

    def seal(self, log: Log) -> None:
        """Say why the study ended; nothing comes after it, unless its budget is raised."""
        self._append({"why": str(log.why), "end": log.time, "error": log.error})
        self.log = log

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()


def read(path: Path) -> tuple[dict[str, Any], Log, dict[int, str]]:
    """The study of a journal, what happened in it, and why trials failed; of a study cut short, what there is."""
    lines = read_lines(path)
    events: list[Happening] = []
    failures: dict[int, str] = {}
    study, log = _take(lines, _study_of(next(lines, {}), path), events, failures)
    return study, log or whole(events, Why.INTERRUPTED, events[-1].time if events else 0, ""), failures


def warnings(path: Path) -> dict[int, list[str]]:
    """What went wrong with trials of a journal's study that did not fail for it, by trial."""
    texts: dict[int, list[str]] = {}
    for line in read_lines(path):
        if (warning := _warning(line)) is not None:
            trial, text = warning
            texts.setdefault(trial, []).append(text)
    return texts


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


def whole(events: list[Happening], why: Why, end: int, error: str) -> Log:
    """The log of a study that is over, with the end of what ran to its last moment."""
    running: dict[int, int] = {}
    for event in events:
        if isinstance(event, Started):
            running[event.job.trial] = event.worker
        elif isinstance(event, Ended):
            del running[event.trial]
    cut: list[Happening] = [Ended(end, worker, trial, Reason.CUT) for trial, worker in sorted(running.items())]
    return Log([*events, *cut], why, end, error)


def _study_of(head: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The ingredients of the study that a journal's first line names."""
    if "study" not in head:
        raise ValueError(f"{path} is no journal of a study")
    return head["study"]


def _line(event: Happening, reason: str | None) -> dict[str, Any]:
    if isinstance(event, Started):
        trial, config, until, parent = event.job
        return {"started": [event.time, event.worker, trial, until, parent], "config": dict(config)}
    if isinstance(event, Ended):
        return {"ended": [event.time, event.worker, event.trial, int(event.reason)]}
    said = event.report
    line: dict[str, Any] = {
        "report": [event.time, event.worker, said.trial, said.resource, int(said.status)],
        "cost": said.cost,
        "losses": [_plain(loss) for loss in said.losses],
        "metrics": {name: _plain(value) for name, value in event.metrics.items()},
    }
    return line if reason is None else {**line, "reason": reason}


def _take(
    lines: Iterator[Mapping[str, Any]], spec: Mapping[str, Any], events: list[Happening], failures: dict[int, str]
) -> tuple[dict[str, Any], Log | None]:
    """Add the events of lines to those read before, and the reasons of failures.

    Gives the study, with the budget that it has at last, and the log where it is over.
    """
    benchmark, study = Benchmark.from_json(spec["benchmark"]), dict(spec)
    end: Mapping[str, Any] | None = None
    for line in lines:
        if _warning(line) is not None:
            continue
        if "budget" in line:
            study, end = with_budget(study, line["budget"]), None
        elif "why" in line:
            end = line
        else:
            events.append(_event(line, benchmark))
            if "reason" in line:
                failures[line["report"][2]] = line["reason"]
    return study, None if end is None else whole(events, Why(end["why"]), end["end"], end["error"])


def _warning(line: Mapping[str, Any]) -> tuple[int, str] | None:
    """The trial and the text of a line that is a warning; older journals have them of restarts alone."""
    if "warning" in line:
        return line["warning"], line["text"]
    if "restart" in line:
        return line["restart"], f"started or trained again: {line['because']}"
    return None


def _event(line: Mapping[str, Any], benchmark: Benchmark) -> Happening:
    if "started" in line:
        time, worker, trial, until, parent = line["started"]
        return Started(time, worker, Job(trial, line["config"], until, parent))
    if "ended" in line:
        time, worker, trial, reason = line["ended"]
        return Ended(time, worker, trial, Reason(reason))
    time, worker, trial, resource, status = line["report"]
    metrics = {name: float(value) for name, value in line["metrics"].items()}
    losses = tuple(map(float, line["losses"]))
    report = Report(trial, resource, losses, benchmark.visible(metrics), line["cost"], Status(status))
    return Event(time, worker, report, metrics)


def _plain(value: float) -> float | str:
    """A number as strict JSON holds it: the non-finite ones by name."""
    return value if math.isfinite(value) else repr(value)


def _told(event: Happening) -> str:
    if isinstance(event, Started):
        return f"trial {event.job.trial} is started until {event.job.until} with {dict(event.job.config)}"
    if isinstance(event, Ended):
        return f"trial {event.trial} ends ({event.reason.name.lower()})"
    return f"trial {event.report.trial} reports {event.report.resource}"


def _apart(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first ingredients in which two studies differ, in words."""
    parts = [
        f"{place} was {_short(before)}, is {_short(now)}"
        for place, before, now in differences(identity(stored), identity(json.loads(json.dumps(wanted))))
    ]
    return "; ".join(parts[:3]) or "the same ingredients in another order, or a number written otherwise"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:60]} ... {text[-50:]}"
