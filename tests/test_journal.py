"""A real study goes on after any end, decides as it did, and its journal replays to the nanosecond."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from toys import toy_data

from harness import catalog
from harness.compose.studies import prepared
from harness.compose.trainings import JOURNAL, replay_journal
from harness.journal import Difference, Follower, Journal, Recorded, Rehearsal, decision_times, read
from harness.lines import read_lines
from harness.loop import Ended, Log, Reason, Started, run
from harness.simulated import Simulated
from harness.store import Store
from harness.study import Study
from harness.trace import check_trace
from harness.types import (
    NANOSECONDS,
    Decision,
    Delays,
    Event,
    Executor,
    Fidelity,
    Job,
    Report,
    Scheduler,
    Standing,
    Status,
)
from surrogates.table import Table

METHODS = ["rs", "asha", "asha-stop", "hyperband", "median", "asha:sampler=tpe"]
TABLE = Table(toy_data(rows=30, table_miss="snap", fidelity=Fidelity("epoch", tuple(range(1, 10)))))
BENCHMARK = TABLE.benchmark
BUDGET = round(BENCHMARK.budget * NANOSECONDS)
SCRIPTS = Path(__file__).parent / "scripts"


def study(method: str) -> Study:
    return Study(method, catalog.parse_method(method).to_json(), BENCHMARK, "real", 0)


def scheduler(method: str, seed: int = 0) -> Scheduler:
    return prepared(replace(study(method), seed=seed), None)[1]


def workers() -> Simulated:
    return Simulated(TABLE, BENCHMARK.workers, 0, Delays(start_up=0.3, save=0.1))


class Interrupted:
    """A real executor that notes where it is handed the study, and is interrupted at once."""

    idle = now = 0

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.now = standing.now

    def start(self, job: Job) -> tuple[int, int]:
        raise KeyboardInterrupt

    def next(self, deadline: int) -> Event | None:
        raise KeyboardInterrupt

    def pause(self, trial: int) -> None: ...
    def stop(self, trial: int) -> None: ...
    def spend(self, nanoseconds: int) -> None: ...
    def close(self) -> None: ...


def journaled(path: Path, method: str) -> Log:
    """A whole study with its journal."""
    with Journal(path, study(method).spec()) as journal:
        log = run(BENCHMARK, scheduler(method), workers(), BUDGET, watch=journal.watch)
        journal.seal(log)
    assert not log.error
    assert len(log.events) > 50
    return log


def shortened(path: Path, events: int, to: Path) -> Path:
    """The journal as a kill leaves it: its first events, and half a line."""
    lines = path.read_bytes().splitlines(keepends=True)
    to.write_bytes(b"".join(lines[: 1 + events]) + lines[1][: len(lines[1]) // 2])
    return to


def standing_after(events: list[Started | Event | Ended]) -> Standing:
    """By books of its own: where a study stands after its first events."""
    standing = Standing()
    for event in events:
        standing.now = event.time
        if isinstance(event, Started):
            standing.running[event.job.trial] = (event.job, event.worker, event.time)
        elif isinstance(event, Ended):
            standing.running.pop(event.trial, None)
            if event.reason is Reason.STOPPED:
                standing.stopped.add(event.trial)
        else:
            trial, resource, *_, status = event.report
            standing.reached[trial] = resource
            job, worker, _ = standing.running.pop(trial)
            if status is Status.RUNNING:
                standing.running[trial] = (job, worker, event.time)
    return standing


@pytest.mark.parametrize("method", METHODS)
def test_a_study_is_handed_over_where_its_journal_ends(tmp_path: Path, method: str) -> None:
    whole = journaled(tmp_path / "whole", method)
    events = [event for event in whole.events if not (isinstance(event, Ended) and event.reason is Reason.CUT)]
    luck = random.Random(0)
    for count in [0, 1, len(events) - 1, *luck.sample(range(2, len(events)), 8)]:
        handed: list[Interrupted] = []

        def real(standing: Standing, handed: list[Interrupted] = handed) -> Executor:
            handed.append(Interrupted(standing))
            return handed[0]

        path = shortened(tmp_path / "whole", count, tmp_path / f"cut-{count}")
        with Journal(path, study(method).spec()) as journal:
            assert journal.events == events[:count]
            rehearsal = Rehearsal(journal, BENCHMARK.workers, real)
            log = run(BENCHMARK, scheduler(method), rehearsal, BUDGET, watch=journal.watch)
        assert log.events[:count] == events[:count]
        # What the scheduler decided on the last report may have been lost; it decides that again at once.
        decided = [event for event in log.events if not (isinstance(event, Ended) and event.reason is Reason.CUT)]
        assert decided == events[: len(decided)]
        assert len(decided) - count <= 1
        assert handed[0].standing == standing_after(decided)
        assert [line.keys() for line in read_lines(path)][1 + count :] == [{"ended": []}.keys()] * (
            len(decided) - count
        )


def test_a_journal_reads_back_what_happened(tmp_path: Path) -> None:
    log = journaled(tmp_path / "journal", "asha-stop")
    spec, again, failures = read(tmp_path / "journal")
    assert (again.events, again.why, again.time) == (log.events, log.why, log.time)
    assert spec == json.loads(json.dumps(study("asha-stop").spec()))
    assert failures == {}


@pytest.mark.parametrize("method", METHODS)
def test_the_recorded_study_repeats_to_the_nanosecond(tmp_path: Path, method: str) -> None:
    real = journaled(tmp_path / "journal", method)
    log = run(
        BENCHMARK, scheduler(method), Recorded(real, BENCHMARK.workers), real.time, decision_time=decision_times(real)
    )
    assert log.events == real.events
    again, difference = replay_journal(tmp_path / "journal", lambda _: lambda _: None)
    assert difference == ""
    assert again.events == real.events


def test_another_scheduler_parts_from_the_journal_and_is_refused(tmp_path: Path) -> None:
    journaled(tmp_path / "whole", "asha")
    path = shortened(tmp_path / "whole", 40, tmp_path / "cut")
    with Journal(path, study("asha").spec()) as journal, pytest.raises(Difference, match=r"event 1 of 40.*--follow"):
        run(BENCHMARK, scheduler("asha", seed=1), Rehearsal(journal, 4, Interrupted), BUDGET, watch=journal.watch)
    assert len(list(read_lines(path))) == 41


def test_a_follower_takes_what_happened_for_what_it_asked(tmp_path: Path) -> None:
    whole = journaled(tmp_path / "whole", "asha")
    path = shortened(tmp_path / "whole", 40, tmp_path / "cut")
    with Journal(path, study("asha").spec()) as journal:
        follower = Follower(scheduler("asha", seed=1), journal)
        log = run(BENCHMARK, follower, Rehearsal(journal, BENCHMARK.workers, Interrupted), BUDGET, watch=journal.watch)
    assert log.error == ""
    assert log.events[:40] == whole.events[:40]


def test_what_a_follower_asked_for_and_the_journal_did_not_start_comes_after_it(tmp_path: Path) -> None:
    """The scheduler starts trials 0, 1, 2 and resumes 0; the journal had started 1 alone, with another config."""

    class Scripted:
        def __init__(self) -> None:
            self.jobs = [Job(0, {"x": 0}, 1), Job(1, {"x": 1}, 1), Job(2, {"x": 2}, 1), Job(1, {"x": 1}, 3)]

        def ask(self) -> Job | None:
            return self.jobs.pop(0) if self.jobs else None

        def tell(self, report: Report) -> Decision:
            return Decision.CONTINUE

    with Journal(tmp_path / "journal", study("rs").spec()) as journal:
        journal.events = [
            Started(0, 0, Job(1, {"x": 1.5}, 1)), Event(9, 0, Report(1, 1, (0.0,), {}, 9e-9, Status.REACHED), {}),
        ]  # fmt: skip
        follower = Follower(Scripted(), journal)
        assert follower.ask() == Job(1, {"x": 1.5}, 1)
        journal.position = 1
        assert follower.ask() is None
        journal.position = 2
        after = [follower.ask() for _ in range(4)]
    assert after == [Job(0, {"x": 0}, 1), Job(2, {"x": 2}, 1), Job(1, {"x": 1.5}, 3), None]


def test_a_journal_of_another_study_is_refused_with_what_differs(tmp_path: Path) -> None:
    journaled(tmp_path / "journal", "asha")
    with pytest.raises(ValueError, match=r"another study \(arm was 'asha', is 'rs'"):
        Journal(tmp_path / "journal", study("rs").spec())
    Journal(tmp_path / "journal", study("asha").spec()).__exit__(None, None, None)


def test_two_processes_do_not_write_one_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", study("asha").spec()), pytest.raises(ValueError, match="another process"):
        Journal(tmp_path / "journal", study("asha").spec())


def test_a_changed_line_is_refused(tmp_path: Path) -> None:
    journaled(tmp_path / "journal", "rs")
    damaged = (tmp_path / "journal").read_bytes().replace(b'"cost":', b'"cosT":', 1)
    (tmp_path / "journal").write_bytes(damaged)
    with pytest.raises(ValueError, match="checksum does not fit"):
        read(tmp_path / "journal")


# -- for real -------------------------------------------------------------------------------------------------------

TUNE = """
import signal
import sys
import harness
from harness.space import uniform

signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C reaches it, however these tests were started
try:
    harness.tune(sys.argv[1], {"x": uniform(0.0, 1.0)}, metric="loss", maximum=9, max_arg="epochs", method="asha",
                 workers=2, budget=4.0, out=sys.argv[2])
except ValueError as error:
    if "another process" not in str(error):
        raise
"""


def tuning(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", TUNE, str(SCRIPTS / "toy.py"), str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )


def finished(folder: Path) -> set[tuple[int, int]]:
    """Trials that reached the end, with the time of it."""
    lines = read_lines(folder / JOURNAL)
    return {(line["report"][2], line["report"][0]) for line in lines if "report" in line and line["report"][3] == 9}


def processes_of(folder: Path) -> list[int]:
    alive: list[int] = []
    for notes in folder.glob("trials/*/processes.jsonl"):
        for note in notes.read_text(encoding="utf-8").splitlines():
            state = Path(f"/proc/{json.loads(note)['pid']}/cmdline")
            if state.exists() and b"toy.py" in state.read_bytes():
                alive.append(json.loads(note)["pid"])
    return alive


def kill_and_continue(folder: Path, kills: int, signals: list[signal.Signals]) -> None:
    """Kill a study at random moments, continue it each time, and look at what is left."""
    luck = random.Random(kills)
    before: set[tuple[int, int]] = set()
    for turn in range(kills):
        program = tuning(folder)
        # Long enough to get past its imports most of the time, so that something new happens.
        time.sleep(luck.uniform(0.5, 1.6))
        program.send_signal(signals[turn % len(signals)])
        program.wait()
        after = finished(folder) if (folder / JOURNAL).exists() else set()
        assert before <= after, "a finished trial was lost"
        before = after
        patience = time.monotonic() + 5
        while processes_of(folder) and time.monotonic() < patience:
            time.sleep(0.05)
        assert not processes_of(folder), "a process is left 5 s later"
    assert tuning(folder).wait() == 0
    assert before <= finished(folder)
    (record,) = Store(folder / "studies").records().values()
    assert record.why == "budget"
    assert check_trace(record) == []
    _, difference = replay_journal(folder, lambda _: lambda _: None)
    assert difference == ""


def test_a_killed_study_goes_on(tmp_path: Path) -> None:
    kill_and_continue(tmp_path / "out", 3, [signal.SIGKILL, signal.SIGINT])


@pytest.mark.slow
def test_fifty_kills_lose_no_finished_trial(tmp_path: Path) -> None:
    kill_and_continue(tmp_path / "out", 50, [signal.SIGKILL])


def test_a_study_that_is_over_is_read_back(tmp_path: Path) -> None:
    assert tuning(tmp_path / "out").wait() == 0
    events = len(list(read_lines(tmp_path / "out" / JOURNAL)))
    assert tuning(tmp_path / "out").wait() == 0
    assert len(list(read_lines(tmp_path / "out" / JOURNAL))) == events


def test_a_changed_journal_is_noticed_by_the_replay(tmp_path: Path) -> None:
    journaled(tmp_path / "journal", "asha")
    lines = (tmp_path / "journal").read_bytes().splitlines(keepends=True)
    changed: list[bytes] = []
    for line in lines:
        plain = json.loads(line[9:])
        if "report" in plain:
            plain["losses"] = [-loss for loss in plain["losses"]]
        text = json.dumps(plain, separators=(",", ":")).encode()
        changed.append(b"%08x %s\n" % (zlib.crc32(text), text))
    (tmp_path / "journal").write_bytes(b"".join(changed))
    _, difference = replay_journal(tmp_path / "journal", lambda _: lambda _: None)
    assert difference
