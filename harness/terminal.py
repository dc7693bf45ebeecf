"""What a person sees while something runs: the progress of a comparison, and a study as it unfolds."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from harness.loop import Ended, Log, Reason, Started
from harness.types import NANOSECONDS, Benchmark, Event, Status

if TYPE_CHECKING:
    from harness.comparison import Outcome


class ComparisonProgress:
    """A bar for each arm on stderr; one line an outcome where stderr is no terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._bars: dict[tuple[str, str], int] = {}

    def begin(self, wanted: Counter[tuple[str, str]]) -> None:
        """Say how many studies are missing of each arm and benchmark."""
        for (arm, benchmark), count in wanted.items():
            bar = self._bars.get((arm, benchmark))
            if bar is None:
                self._bars[arm, benchmark] = self._progress.add_task(f"{arm} on {benchmark}", total=count)
            else:  # more seeds of what was begun before
                self._progress.update(bar, total=(self._progress.tasks[bar].total or 0) + count)  # type: ignore[call-overload]
        if wanted and not self._console.is_terminal:
            self._console.print(f"{wanted.total()} studies to run", markup=False)

    def outcome(self, outcome: Outcome) -> None:
        """Note that a study has ended."""
        self._progress.advance(self._bars[outcome.arm, outcome.benchmark])  # type: ignore[arg-type]

    def __enter__(self) -> ComparisonProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class Unfolding:
    """Prints a study as it happens: each job's end, each new best, and at the end the rungs.

    speed: simulated seconds a second, None for as fast as it goes; quiet: print nothing before the end.
    """

    def __init__(self, benchmark: Benchmark, speed: float | None = None, *, quiet: bool = False) -> None:
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._quiet = quiet
        self._unit = benchmark.fidelity.unit
        objective = benchmark.objectives[0]
        self._sign, self._metric = (-1 if objective.maximize else 1), objective.metric
        self._speed = speed
        self._began = time.monotonic()
        self._best = float("inf")
        self._stands: dict[int, tuple[int, float]] = {}
        self._came: Counter[int] = Counter()
        self._best_at: dict[int, tuple[float, int]] = {}
        self._jobs: Counter[int] = Counter()
        self._to_come = 0.0
        """How many events come from a journal still: they were told when they happened."""
        self._reasons: set[str] = set()

    def takes_up(self, events: int, seconds: float, over: bool, changed: bool) -> None:
        """Say that a journal's events come first; they are not printed again."""
        self._to_come = math.inf if over else events
        self._say(_taken_up(events, seconds, over, changed))

    def failed(self, trial: int, reason: str) -> None:
        """Print why a trial has failed, unless another failed so before."""
        if (kind := kind_of(reason)) not in self._reasons:
            self._reasons.add(kind)
            self._say(f"trial {trial} failed: {reason}")

    def show(self, event: Started | Event | Ended) -> None:
        """Print what an event means; a report is printed only where it is the best so far."""
        self._tell(event)
        self._to_come -= self._to_come > 0

    def _tell(self, event: Started | Event | Ended) -> None:
        if self._speed is not None:
            ahead = event.time / NANOSECONDS / self._speed - (time.monotonic() - self._began)
            time.sleep(max(ahead, 0.0))
        if isinstance(event, Started):
            job = event.job
            again = f"resumes at {self._unit} {self._stands[job.trial][0]}" if job.trial in self._stands else "starts"
            self._line(event.time, event.worker, job.trial, f"{again}, until {job.until}")
            self._jobs[job.trial] += 1
        elif isinstance(event, Ended):
            level, loss = self._stands.get(event.trial, (0, float("nan")))
            said = f", {self._metric} {self._sign * loss:.5g}" if level else ""
            self._line(
                event.time,
                event.worker,
                event.trial,
                f"{_WORDS[event.reason]} at {self._unit} {level}{said}",
            )
            if event.reason is not Reason.CUT:
                self._best_at[level] = min(self._best_at.get(level, (float("inf"), -1)), (loss, event.trial))
                self._came[level] += 1
        else:
            report = event.report
            loss = report.losses[0]
            self._stands[report.trial] = (report.resource, loss)
            if loss < self._best and report.status is not Status.FAILED:
                self._best = loss
                best = f"best so far, {self._metric} {self._sign * loss:.5g} at {self._unit} {report.resource}"
                self._line(event.time, event.worker, report.trial, best, "*")

    def _line(self, nanoseconds: int, worker: int, trial: int, text: str, mark: str = " ") -> None:
        if not self._to_come:
            self._say(f"{nanoseconds / NANOSECONDS:10.2f} s  worker {worker:<2} trial {trial:<4}{mark} {text}")

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text)

    def rungs(self) -> list[tuple[int, int, float, int]]:
        """Of each level where jobs ended: the level, how many did, the best loss there, and of which trial."""
        return [(level, self._came[level], *self._best_at[level]) for level in sorted(self._came)]

    def end(self, log: Log) -> None:
        """Print where jobs ended, and why the study did."""
        width = max(9, len(self._metric) + 5)
        if self._came:
            self._console.print(f"\n{self._unit:>8}  jobs ended  {f'best {self._metric}':>{width}}  of trial")
        for level, came, loss, trial in self.rungs():
            best, of = (f"{self._sign * loss:.5g}", str(trial)) if trial >= 0 else ("-", "-")
            self._console.print(f"{level:>8}  {came:>10}  {best:>{width}}  {of:>8}")
        resumed = sum(jobs > 1 for jobs in self._jobs.values())
        seconds = log.time / NANOSECONDS
        self._console.print(
            f"\n{len(self._jobs)} trials, {resumed} of them resumed; ended after {seconds:.2f} s: {log.why}"
        )
        if log.error:
            self._console.print(log.error, style="red")


_WORDS = {
    Reason.REACHED: "pauses",
    Reason.PAUSED: "is paused",
    Reason.STOPPED: "is stopped",
    Reason.FAILED: "failed",
    Reason.CUT: "is cut by the end of the study",
}


class LiveStudy:
    """A real study as one picture that is drawn anew as it goes on: workers, rungs, the best so far, time and cost.

    It is drawn by another thread than the one that shows it events: what may grow meanwhile is copied first.

    hours: what workers spend, such as "GPU-hours".
    """

    def __init__(self, benchmark: Benchmark, title: str, hours: str) -> None:
        self._benchmark = benchmark
        self._title = title
        self._hours = hours
        self._plain = Unfolding(benchmark, quiet=True)
        self._shift = time.monotonic()
        self._jobs: dict[int, Started] = {}
        self._heard: dict[int, float] = {}
        """When each busy worker was last heard of, in seconds of the study."""
        self._stands: dict[int, tuple[int, float]] = {}
        """Level and loss of each trial that has not failed."""
        self._configs: dict[int, Mapping[str, object]] = {}
        self._ended: Counter[Reason] = Counter()
        self._spent = 0.0
        self._taken_up = self._failure = ""

    def takes_up(self, events: int, seconds: float, over: bool, changed: bool) -> None:
        """Say that a journal's events came first."""
        self._taken_up = _taken_up(events, seconds, over, changed)

    def failed(self, trial: int, reason: str) -> None:
        """Show why the last trial failed that did."""
        self._failure = f"trial {trial} failed: {reason}"

    def show(self, event: Started | Event | Ended) -> None:
        """Take note of an event."""
        self._plain.show(event)
        seconds = event.time / NANOSECONDS
        self._shift = time.monotonic() - seconds
        if isinstance(event, Started):
            self._jobs[event.worker] = event
            self._heard[event.worker] = seconds
            self._configs[event.job.trial] = event.job.config
        elif isinstance(event, Ended):
            self._jobs.pop(event.worker, None)
            self._heard.pop(event.worker, None)
            self._ended[event.reason] += 1
        else:
            report = event.report
            self._heard[event.worker] = seconds
            self._spent += report.cost
            if report.status is Status.FAILED:
                self._stands.pop(report.trial, None)
            else:
                self._stands[report.trial] = (report.resource, report.losses[0])

    def end(self, log: Log) -> None:
        """Print where jobs ended, and why the study did."""
        self._plain.end(log)

    def picture(self) -> Group:
        """The study as it stands now."""
        now = min(time.monotonic() - self._shift, self._benchmark.budget)
        unit = self._benchmark.fidelity.unit
        left = max(self._benchmark.budget - now, 0.0)
        spent = self._spent + sum(now - heard for heard in list(self._heard.values()))
        failed = self._ended[Reason.FAILED]
        head = (
            f"{self._title}   {_duration(now)} gone, {_duration(left)} left   {len(self._configs)} trials"
            f"{f', {failed} failed' if failed else ''}   {spent / 3600:.3f} {self._hours}"
        )
        rungs = Table(unit, "jobs ended", self._metric, "trial", box=None, pad_edge=False, header_style="dim")
        for level, came, loss, trial in self._plain.rungs():
            rungs.add_row(
                str(level), str(came), *((f"{self._sign * loss:.5g}", str(trial)) if trial >= 0 else ("-", "-"))
            )
        said = [Text(line) for line in (self._said_of_best(), self._taken_up, self._failure) if line]
        return Group(Text(head, style="bold"), self._workers(now), rungs, *said)

    def _workers(self, now: float) -> Table:
        table = Table("worker", "trial", "until", "stands at", self._metric, "for", box=None, pad_edge=False)
        table.header_style = "dim"
        for worker in range(self._benchmark.workers):
            started = self._jobs.get(worker)
            if started is None:
                table.add_row(str(worker), "-")
                continue
            level, loss = self._stands.get(started.job.trial, (0, float("nan")))
            seconds = _duration(now - started.time / NANOSECONDS)
            said = f"{self._sign * loss:.5g}" if level else ""
            table.add_row(str(worker), str(started.job.trial), str(started.job.until), str(level), said, seconds)
        return table

    def _said_of_best(self) -> str:
        if not self._stands:
            return "nothing reported yet"
        level, loss, trial = min((-level, loss, trial) for trial, (level, loss) in list(self._stands.items()))
        config = ", ".join(f"{name} {_short(value)}" for name, value in self._configs[trial].items())
        unit = self._benchmark.fidelity.unit
        return f"best: {self._metric} {self._sign * loss:.5g} at {unit} {-level}, trial {trial}: {config}"

    @property
    def _metric(self) -> str:
        return self._benchmark.objectives[0].metric

    @property
    def _sign(self) -> int:
        return -1 if self._benchmark.objectives[0].maximize else 1


@contextmanager
def watching(benchmark: Benchmark, title: str, hours: str) -> Generator[Unfolding | LiveStudy]:
    """What shows a real study: a live picture on a terminal, else a line for each thing that happens."""
    console = Console()
    if not console.is_terminal:
        yield Unfolding(benchmark)
        return
    view = LiveStudy(benchmark, title, hours)
    with Live(get_renderable=view.picture, console=console, refresh_per_second=4, transient=True):
        yield view


def shares(importances: Mapping[str, float], unit: str, level: int) -> Sequence[str]:
    """Lines that say what mattered."""
    if not importances:
        return ["importances: too few trials to tell"]
    said = ", ".join(f"{name} {share:.0%}" for name, share in importances.items())
    return [f"share of the variance at {unit} {level}, interactions included: {said}"]


def kind_of(text: str) -> str:
    """A text without its numbers, but for codes of exits and signals: of two that differ in these one tells enough."""
    return re.sub(r"(?<!exit code )(?<!by signal )(?<!\d)\d+(\.\d+)?(e[+-]?\d+)?", "", text)


def _taken_up(events: int, seconds: float, over: bool, changed: bool) -> str:
    said = f"this study goes on from its journal: {events} events, up to {seconds:.1f} s"
    if over:
        said = "this study is over, as its journal tells it"
    if changed:
        said += "; the script, or its call, has changed, and what was trained before stands (another --out begins anew)"
    return said


def _duration(seconds: float) -> str:
    whole = int(seconds)
    return (
        f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
