"""The journal of a real study: every event as it happens, in a file that only grows.

It says first which study it is of, at last why that ended. How a study goes on where its journal ends is in
`rehearsal`, how it is played again on a simulated clock in `playback`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.lines import LineWriter, read_lines
from harness.loop import Ended, Happening, Log, Reason, Started, Why
from harness.study import differences, identity, key_of, with_budget
from harness.types import NANOSECONDS, Benchmark, Event, Job, Report, Status


class Difference(Exception):
    """What the loop does now is not what the journal says that it did."""


class Journal:
    """A file of events that only grows; made, or read back and continued where it ends.

    spec: all that the study depends on; only its budget may be another one than that of the study in the file, which
    then goes on with it, also where it was over, and its method of another version, as long as that decides alike;
    script: a digest of what is trained, noted where it changes, for a script may be mended while its study goes on.
    ValueError where the file is no journal, is of another study or one that has used more than that budget, or where
    another process is writing it.
    """

    def __init__(self, path: Path, spec: Mapping[str, Any], script: str = "") -> None:
        self.path = path
        self.events: list[Happening] = []
        self.failures: dict[int, str] = {}
        self.log: Log | None = None
        """What happened in all, once the study is over."""
        self.position = 0
        """How many events of the journal the loop has recorded anew."""
        self.goes_on = False
        """Whether it was there before."""
        self.script_changed = False
        """Whether what is trained is not what it was."""
        self._budget: float | None = None
        """Another budget, which does not stand in the file yet: not before the study has come so far again."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = LineWriter(path)
        try:
            self._take_up(spec, script)
        except BaseException:
            self._writer.close()
            raise

    def _take_up(self, spec: Mapping[str, Any], script: str) -> None:
        """Read back what there is, or begin with the study's ingredients."""
        lines = read_lines(self.path)
        head = next(lines, None)
        if head is None:
            self._writer.append({"study": dict(spec), "script": script})
            return
        stored, self.log = _take(lines, _study_of(head, self.path), self.events, self.failures)
        if key_of(stored) != key_of(spec):
            self._give_budget(stored, spec)
        self.goes_on = True
        noted = [line["script"] for line in read_lines(self.path) if "script" in line]
        self.script_changed = bool(noted) and noted[-1] != script
        if noted[-1:] != [script] and self.log is None:
            self._writer.append({"script": script})

    def _give_budget(self, stored: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        """Give the study in the file the budget of `spec`; ValueError where that is another study, or has used more."""
        before, now = stored["benchmark"]["budget"], spec["benchmark"]["budget"]
        if key_of(with_budget(stored, now)) != key_of(spec) or now == before:
            raise ValueError(
                f"{self.path} is the journal of another study ({_apart(stored, spec)}): give another folder with "
                "--out, or run that study with its own options to continue it"
            )
        used = self.events[-1].time / NANOSECONDS if self.events else 0.0
        if now < used:
            raise ValueError(
                f"{self.path}: the study has used {used:.1f} s, more than a budget of {now:g} s: give it more, or "
                "another folder with --out"
            )
        self._budget, self.log = now, None

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._budget is not None:
            self._writer.append({"budget": self._budget})
            self._budget = None
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
        if self._budget is not None:
            because += ", or it decides by the budget, which is another one now"
        return Difference(
            f"{self.path}, event {self.position + 1} of {len(self.events)}: the journal says "
            f"{_told(stored) if stored else 'nothing'}, but now {now}. The scheduler does not decide as it did: "
            f"{because}. Continue with the same, or give --follow-journal to tell it what happened and go on from "
            "there."
        )

    def seal(self, log: Log) -> None:
        """Say why the study ended; nothing comes after it, unless it is given another budget."""
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


def begun(path: Path) -> dict[str, Any] | None:
    """The study of a journal as it began; None where nothing whole stands in it yet."""
    head = next(read_lines(path), None)
    return None if head is None else _study_of(head, path)


def warnings(path: Path) -> dict[int, list[str]]:
    """What went wrong with trials of a journal's study that did not fail for it, by trial."""
    texts: dict[int, list[str]] = {}
    for line in read_lines(path):
        if (warning := _warning(line)) is not None:
            trial, text = warning
            texts.setdefault(trial, []).append(text)
    return texts


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
        if _warning(line) is not None or "script" in line:
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
