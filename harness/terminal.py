"""What a person sees while something runs: the progress of a comparison, and a study as it unfolds."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

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
            self._bars[arm, benchmark] = self._progress.add_task(f"{arm} on {benchmark}", total=count)
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

    speed: simulated seconds a second, None for as fast as it goes.
    """

    def __init__(self, benchmark: Benchmark, speed: float | None = None) -> None:
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._unit = benchmark.fidelity.unit
        self._speed = speed
        self._began = time.monotonic()
        self._best = float("inf")
        self._stands: dict[int, tuple[int, float]] = {}
        self._came: Counter[int] = Counter()
        self._best_at: dict[int, tuple[float, int]] = {}
        self._jobs: Counter[int] = Counter()

    def show(self, event: Started | Event | Ended) -> None:
        """Print what an event means; a report is printed only where it is the best so far."""
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
            self._line(
                event.time,
                event.worker,
                event.trial,
                f"{_WORDS[event.reason]} at {self._unit} {level}, loss {loss:.5g}",
            )
            if event.reason is not Reason.CUT:
                self._came[level] += 1
                self._best_at[level] = min(self._best_at.get(level, (float("inf"), -1)), (loss, event.trial))
        else:
            report = event.report
            loss = report.losses[0]
            self._stands[report.trial] = (report.resource, loss)
            if loss < self._best and report.status is not Status.FAILED:
                self._best = loss
                best = f"best so far, loss {loss:.5g} at {self._unit} {report.resource}"
                self._line(event.time, event.worker, report.trial, best, "*")

    def _line(self, nanoseconds: int, worker: int, trial: int, text: str, mark: str = " ") -> None:
        self._console.print(f"{nanoseconds / NANOSECONDS:10.2f} s  worker {worker:<2} trial {trial:<4}{mark} {text}")

    def end(self, log: Log) -> None:
        """Print where jobs ended, and why the study did."""
        self._console.print(f"\n{self._unit:>8}  jobs ended  best loss  of trial")
        for level in sorted(self._came):
            loss, trial = self._best_at[level]
            self._console.print(f"{level:>8}  {self._came[level]:>10}  {loss:>9.5g}  {trial:>8}")
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
