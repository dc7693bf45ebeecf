"""What `run` costs a training script: per report, at the start of a trial cold and warm, and between trials.

    python tests/benchmarks/run_overhead.py [SECONDS_OF_A_TRIAL]

The bare script is the same one, run by hand; the study keeps its journal, as every real one does. Medians; on a busy
machine they are too high.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.command import Command
from harness.journal import Journal
from harness.local import Local
from harness.loop import Ended, Started, run
from harness.space import Space, uniform
from harness.types import NANOSECONDS, Benchmark, Decision, Delays, Event, Fidelity, Job, Objective, Report

SCRIPT = """
import sys, time
import numpy
from harness import Reporter
values = dict(a.removeprefix("--").split("=") for a in sys.argv[1:])
report = Reporter()
for epoch in range(1, int(values["epochs"]) + 1):
    time.sleep(float(values["seconds"]))
    report(epoch=epoch, loss=1.0)
"""
LEVELS = 200


class Trials:
    """So many trials, each trained to a level."""

    def __init__(self, count: int, until: int) -> None:
        self.jobs = [Job(trial, {"x": 0.5}, until) for trial in range(count)]

    def ask(self) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def tell(self, report: Report) -> Decision:
        return Decision.CONTINUE


def study(script: Path, folder: Path, *, count: int, until: int, seconds: float, workers: int, warm: bool):
    """The log of a study of trials that sleep so long at each level."""
    space = Space({"x": uniform(0, 1), "seconds": seconds})
    fidelity = Fidelity("epoch", tuple(range(1, LEVELS + 1)))
    benchmark = Benchmark(
        "sleeps", space, (Objective("loss"),), fidelity, budget=600, workers=workers, delays=Delays(warm=warm)
    )
    executor = Local(benchmark, Command((sys.executable, str(script)), "epochs"), workers, folder)
    with Journal(folder / "journal.lines", {"benchmark": benchmark.to_json()}) as journal:
        return run(benchmark, Trials(count, until), executor, 600 * NANOSECONDS, watch=journal.watch)


def by_hand(script: Path, until: int, seconds: float) -> float:
    began = time.perf_counter()
    call = [sys.executable, str(script), f"--epochs={until}", f"--seconds={seconds}"]
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def first_reports(log, after: int) -> list[float]:
    """Seconds from the start of each trial to its first report."""
    starts = {event.job.trial: event.time for event in log.events if isinstance(event, Started)}
    firsts = {e.report.trial: e.time for e in log.events if isinstance(e, Event) and e.report.resource == 1}
    return [(firsts[trial] - starts[trial]) / NANOSECONDS for trial in starts if trial >= after]


def main() -> None:
    """Measure and print."""
    length = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "sleeps.py"
        script.write_text(SCRIPT)
        start_up = statistics.median(by_hand(script, 1, 0.0) for _ in range(7))
        hand = statistics.median(by_hand(script, LEVELS, 0.002) for _ in range(3)) - start_up
        log = study(script, folder / "a", count=3, until=LEVELS, seconds=0.002, workers=1, warm=False)
        reports = [e.time for e in log.events if isinstance(e, Event) and e.report.trial == 2]
        overhead = ((reports[-1] - reports[0]) / NANOSECONDS - hand) / (LEVELS - 1)
        print(f"a report: {1000 * overhead:.2f} ms more than by hand")
        cold = study(script, folder / "b", count=8, until=1, seconds=0.0, workers=1, warm=False)
        print(f"a start, cold: {statistics.median(first_reports(cold, 1)) - start_up:.3f} s more than by hand")
        print(f"  (by hand, from its start to its end: {start_up:.3f} s)")
        warm = study(script, folder / "c", count=12, until=1, seconds=0.0, workers=1, warm=True)
        print(f"a start, warm: {1000 * statistics.median(first_reports(warm, 2)):.1f} ms to the first report")
        log = study(script, folder / "d", count=8, until=1, seconds=length, workers=2, warm=True)
        ends: dict[int, int] = {}
        gaps: list[int] = []
        for event in log.events:
            if isinstance(event, Ended):
                ends[event.worker] = event.time
            elif isinstance(event, Started) and event.worker in ends:
                gaps.append(event.time - ends[event.worker])
        between = statistics.mean(gaps) / NANOSECONDS
        waits = [seconds - length for seconds in first_reports(log, 2)]
        print(
            f"between trials of {length:g} s, two workers, warm: idle {100 * between / (between + length):.2f} %",
            end="",
        )
        idle = between + statistics.mean(waits)
        print(f", with the start of the next {100 * idle / (idle + length):.2f} %")


if __name__ == "__main__":
    main()
