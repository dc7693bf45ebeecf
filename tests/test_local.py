"""Trials as processes: the handshake, what goes wrong, and that nothing is left behind."""

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from selectors import DefaultSelector
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness._trial_process import (
    LINE_LIMIT,
    MARK_VARIABLE,
    OUTPUT_LIMIT,
    UNANSWERED_LIMIT,
    CappedFile,
    TrialProcess,
    kill_marked,
)
from harness._trial_reports import Reports
from harness.command import Command
from harness.gpus import visible_devices
from harness.local import Local
from harness.loop import Ended, Log, Reason, Started, Why, run
from harness.randomness import stream
from harness.report import SEAL, Reporter, decode_metrics, load_checkpoint, save_checkpoint
from harness.samplers.rs import RandomSearch
from harness.schedulers.asha import Asha
from harness.simulated import Simulated
from harness.space import Config, Space, choice, uniform
from harness.types import (
    NANOSECONDS,
    Benchmark,
    Curve,
    Decision,
    Delays,
    End,
    Event,
    Fidelity,
    Job,
    Objective,
    Report,
    Standing,
    Status,
)

SCRIPTS = Path(__file__).parent / "scripts"
MINUTE = 60 * NANOSECONDS
TROUBLES = [
    "none", "prints", "prints without end", "never reports", "ignores SIGTERM", "signal 9", "exit code 3",
    "exit code 0", "NaN", "infinity", "no loss", "no epoch", "twice", "repeats", "skips", "no level", "text", "bool",
    "nested", "deep", "huge", "constant", "binary", "endless", "flood", "hangs",
    "hangs, deaf", "busy, deaf",
]  # fmt: skip


@pytest.fixture(autouse=True)
def scripts_find_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def toy_benchmark() -> Benchmark:
    space = Space({"x": uniform(0.0, 1.0)})
    fidelity = Fidelity("epoch", tuple(range(1, 10)))
    return Benchmark("toy", space, (Objective("loss"),), fidelity, budget=60.0, workers=2, test_metric="test_loss")


TROUBLED = replace(
    toy_benchmark(), name="troubled", space=Space({"trouble": choice(TROUBLES)}), fidelity=Fidelity("epoch", (1, 2, 3))
)


@contextmanager
def toy(
    folder: Path, *flags: str, workers: int = 1, benchmark: Benchmark | None = None, warm: bool = False, **options: Any
) -> Iterator[Local]:
    command = Command((sys.executable, str(SCRIPTS / "toy.py"), *flags), "epochs")
    benchmark = replace(benchmark or toy_benchmark(), delays=Delays(warm=warm))
    executor = Local(benchmark, command, workers, folder / "study", **options)
    try:
        yield executor
    finally:
        executor.close()


@contextmanager
def troubled(folder: Path, *troubles: str, workers: int = 0, warm: bool = False, **options: Any) -> Iterator[Local]:
    """An executor with a trial of each trouble under way, and as many workers or more."""
    command = Command((sys.executable, str(SCRIPTS / "troubled.py")), "epochs")
    benchmark = replace(TROUBLED, delays=Delays(warm=warm))
    executor = Local(benchmark, command, max(len(troubles), workers), folder / "study", **options)
    try:
        for trial, trouble in enumerate(troubles):
            executor.start(Job(trial, {"trouble": trouble}, 3))
        yield executor
    finally:
        executor.close()


def events(executor: Local, seconds: float = 30.0) -> list[Event]:
    """All that happens until no worker is busy, every trial going on."""
    heard: list[Event] = []
    deadline = executor.now + round(seconds * NANOSECONDS)
    while (event := executor.next(deadline)) is not None:
        heard.append(event)
    assert executor.now < deadline, "a trial hangs"
    return heard


def said(heard: list[Event]) -> list[tuple[int, Status]]:
    return [(event.report.resource, event.report.status) for event in heard]


def trial_folder(folder: Path, trial: int = 0) -> Path:
    return folder / "study" / "trials" / str(trial)


def processes(folder: Path, trial: int = 0) -> list[dict[str, Any]]:
    text = (trial_folder(folder, trial) / "processes.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in (b"Z", b"X")


def nobody_is_left(mark: str, seconds: float = 5.0) -> bool:
    """Whether all that is marked is gone in a moment."""
    end = time.monotonic() + seconds
    while left := kill_marked(mark):
        if time.monotonic() > end:
            break
    return left == 0


def goes(pid: int, seconds: float = 5.0) -> bool:
    """Whether a process, killed already, is gone in a moment."""
    end = time.monotonic() + seconds
    while lives(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not lives(pid)


def wait_for_pids(folder: Path, seconds: float = 20.0) -> list[int]:
    path, end = folder / "checkpoints" / "pids", time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} was never written"
        time.sleep(0.02)
    return [int(pid) for pid in path.read_text(encoding="ascii").split()]


def all_die(pids: list[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while any(map(lives, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Line:
    """The curves of toy.py, as a model."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        self.digest = "line"

    def curve(self, config: Config, seed: int) -> Curve:
        x, levels = float(config["x"]), self.benchmark.fidelity.levels
        metrics = [{"loss": x + 1 / level, "test_loss": x} for level in levels]
        return Curve(
            nanoseconds=tuple(round(0.02 * NANOSECONDS) * level for level in levels),
            losses=tuple((m["loss"],) for m in metrics),
            metrics=tuple(metrics),
            visible=tuple(self.benchmark.visible(m) for m in metrics),
            end=End.COMPLETE,
        )


class Given:
    """A scheduler that asks for given jobs and lets every trial go on."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs

    def ask(self) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def tell(self, report: Report) -> Decision:
        return Decision.CONTINUE


def check_laws(log: Log, workers: int) -> None:
    """Time never falls, workers are never more than there are, and costs are no longer than the study."""
    times = [event.time for event in log.events]
    assert times == sorted(times)
    busy: set[int] = set()
    for event in log.events:
        if isinstance(event, Started):
            assert event.worker not in busy
            busy.add(event.worker)
            assert len(busy) <= workers
        elif isinstance(event, Ended):
            busy.remove(event.worker)
    costs = [event.report.cost for event in log.events if isinstance(event, Event)]
    assert all(cost > 0 for cost in costs)
    assert sum(costs) <= workers * log.time / NANOSECONDS


def asha(benchmark: Benchmark, grace: int = 1) -> Asha:
    return Asha(benchmark, stream("a"), sampler=RandomSearch(benchmark, stream("b")), eta=3, grace=grace)


def opened(benchmark: Benchmark) -> Benchmark:
    return benchmark.with_space(benchmark.space.opened())


# -- the handshake --------------------------------------------------------------------------------------------------


def test_asha_pauses_and_resumes_processes(tmp_path: Path) -> None:
    benchmark = opened(toy_benchmark())
    with toy(tmp_path, workers=2) as executor:
        log = run(benchmark, asha(benchmark), executor, MINUTE, finished_trials=1)
    assert (log.why, log.error, executor.failures) == (Why.CRITERION, "", {})
    check_laws(log, 2)
    finished = next(e.report.trial for e in log.events if isinstance(e, Event) and e.report.resource == 9)
    heard = [e.report.resource for e in log.events if isinstance(e, Event) and e.report.trial == finished]
    assert heard == list(range(1, 10))
    folder = trial_folder(tmp_path, finished)
    outputs = [(folder / f"job-{k}.out").read_text(encoding="utf-8").strip() for k in (1, 2, 3)]
    assert outputs == ["starting after epoch 0", "starting after epoch 1", "starting after epoch 3"]


def test_a_scheduler_decides_the_same_in_both_worlds(tmp_path: Path) -> None:
    def decisions(log: Log) -> list[Any]:
        return [
            (e.report.trial, e.report.resource, e.report.losses, dict(e.report.metrics), e.report.status, e.metrics)
            if isinstance(e, Event)
            else (e.job.trial, dict(e.job.config), e.job.until)
            if isinstance(e, Started)
            else (e.trial, e.reason)
            for e in log.events
        ]

    real, simulated = (opened(toy_benchmark()) for _ in range(2))
    with toy(tmp_path) as executor:
        in_reality = run(real, asha(real, grace=3), executor, MINUTE, finished_trials=1)
    model = Simulated(Line(simulated), 1, 0, Delays())
    in_simulation = run(simulated, asha(simulated, grace=3), model, MINUTE, finished_trials=1)
    assert decisions(in_reality) == decisions(in_simulation)


def test_paused_on_the_way_and_resumed(tmp_path: Path) -> None:
    with toy(tmp_path) as executor:
        executor.start(Job(0, {"x": 0.5}, 9))
        assert executor.idle == 0
        first = executor.next(MINUTE)
        assert first is not None and first.report.status is Status.RUNNING
        executor.pause(0)
        assert executor.idle == 1
        assert not lives(processes(tmp_path)[0]["pid"])
        assert executor.next(MINUTE) is None
        executor.start(Job(0, {"x": 0.5}, 4))
        assert said(events(executor)) == [(2, Status.RUNNING), (3, Status.RUNNING), (4, Status.REACHED)]


def test_a_report_waits_for_the_decision(tmp_path: Path) -> None:
    with toy(tmp_path) as executor:
        executor.start(Job(0, {"x": 0.5}, 9))
        assert executor.next(MINUTE) is not None
        time.sleep(0.2)
        checkpoint = trial_folder(tmp_path) / "checkpoints" / "state.json"
        assert json.loads(checkpoint.read_text(encoding="utf-8")) == {"epoch": 1}
        second = executor.next(MINUTE)
        assert second is not None and second.report.cost > 0.2


def test_without_a_checkpoint_known_levels_are_swallowed(tmp_path: Path) -> None:
    with toy(tmp_path, "--forgets") as executor:
        executor.start(Job(0, {"x": 0.5}, 3))
        assert said(events(executor)) == [(1, Status.RUNNING), (2, Status.RUNNING), (3, Status.REACHED)]
        executor.start(Job(0, {"x": 0.5}, 5))
        heard = events(executor)
        assert said(heard) == [(4, Status.RUNNING), (5, Status.REACHED)]
        assert heard[0].report.cost > 4 * 0.02
        assert executor.warnings == {
            0: ["trained epoch 1 again, having stood at epoch 3: no later checkpoint to go on from"]
        }


def test_a_stopped_trial_is_gone_with_its_checkpoint(tmp_path: Path) -> None:
    with toy(tmp_path) as executor:
        executor.start(Job(0, {"x": 0.5}, 9))
        executor.next(MINUTE)
        executor.stop(0)
        assert executor.idle == 1
        assert not (trial_folder(tmp_path) / "checkpoints").exists()
        assert not lives(processes(tmp_path)[0]["pid"])


def test_a_trial_starts_from_a_copy_of_its_parent(tmp_path: Path) -> None:
    with toy(tmp_path) as executor:
        executor.start(Job(0, {"x": 0.5}, 3))
        events(executor)
        executor.start(Job(1, {"x": 0.25}, 5, parent=0))
        heard = events(executor)
        assert said(heard) == [(4, Status.RUNNING), (5, Status.REACHED)]
        assert heard[0].report.losses == (0.25 + 1 / 4,)
        executor.start(Job(0, {"x": 0.5}, 4))
        assert said(events(executor)) == [(4, Status.REACHED)]
        executor.stop(0)
        executor.start(Job(2, {"x": 0.75}, 1, parent=0))
        assert said(events(executor)) == [(1, Status.REACHED)]
        assert executor.warnings == {2: ["started anew: the checkpoints of its parent, trial 0, are gone"]}


def test_where_levels_are_fresh_trainings_only_the_last_is_heard(tmp_path: Path) -> None:
    benchmark = replace(toy_benchmark(), fidelity=Fidelity("epoch", tuple(range(1, 10)), continues=False))
    with toy(tmp_path, "--forgets", benchmark=benchmark) as executor:
        executor.start(Job(0, {"x": 0.5}, 3))
        assert said(events(executor)) == [(3, Status.REACHED)]
        executor.start(Job(0, {"x": 0.5}, 5))
        assert said(events(executor)) == [(5, Status.REACHED)]


def test_no_report_goes_past_the_end_of_its_job(tmp_path: Path) -> None:
    """Fault 23, where levels are fresh trainings and so may be left out: a script that trains further than asked."""
    benchmark = replace(toy_benchmark(), fidelity=Fidelity("epoch", tuple(range(1, 10)), continues=False))
    code = "from harness import Reporter; Reporter()(epoch=5, loss=1.0)"
    executor = Local(benchmark, Command((sys.executable, "-c", code)), 1, tmp_path / "study")
    try:
        executor.start(Job(0, {"x": 0.5}, 3))
        assert said(events(executor)) == [(0, Status.FAILED)]
        assert "epoch 5 was reported in a job that ends at epoch 3" in executor.failures[0]
    finally:
        executor.close()


def test_at_the_deadline_the_clock_stands(tmp_path: Path) -> None:
    with troubled(tmp_path, "hangs") as executor:
        assert executor.next(MINUTE) is not None
        deadline = executor.now + NANOSECONDS // 10
        assert executor.next(deadline) is None
        time.sleep(0.01)
        assert executor.now == deadline


def test_a_study_ends_with_its_budget(tmp_path: Path) -> None:
    jobs = [Job(trial, {"trouble": "hangs"}, 3) for trial in range(2)]
    with troubled(tmp_path, workers=2) as executor:
        log = run(TROUBLED, Given(jobs), executor, NANOSECONDS)
    assert (log.why, log.time) == (Why.BUDGET, NANOSECONDS)
    check_laws(log, 2)


def test_spending_counts_what_a_decision_has_taken(tmp_path: Path) -> None:
    with toy(tmp_path) as executor:
        assert executor.next(0) is None
        began = executor.now
        time.sleep(0.1)
        executor.spend(NANOSECONDS // 20)
        executor.spend(NANOSECONDS // 5)
        assert 0.2 <= (executor.now - began) / NANOSECONDS < 0.4


def test_values_reach_the_script_as_they_are(tmp_path: Path) -> None:
    """Fault 39."""
    values = ["; rm -rf /", "$(id)", "--flag", "a b", "quo\"te'", "new\nline", "ümläut", "-1e-05"]
    code = "import json, sys; json.dump(sys.argv[1:], open(sys.argv[1], 'w'))"
    target = str(tmp_path / "seen")
    command = Command((sys.executable, "-c", code, target), "until")
    space = Space({"text": choice([*values, "nul\0"]), "constant": 3})
    benchmark = replace(toy_benchmark(), space=space)
    executor = Local(benchmark, command, 1, tmp_path / "study")
    try:
        for trial, value in enumerate(values):
            executor.start(Job(trial, {"text": value}, 7))
            events(executor)
            seen = json.loads(Path(target).read_text(encoding="utf-8"))
            assert seen == [target, "--constant=3", f"--text={value}", "--until=7"]
        executor.start(Job(99, {"text": "nul\0"}, 7))
        assert said(events(executor)) == [(0, Status.FAILED)]
        assert executor.failures[99].endswith("could not be started: embedded null byte")
    finally:
        executor.close()


def test_what_the_user_says_of_threads_and_paths_holds_in_a_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where he says nothing, a worker has one thread; ours is found behind what is his."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("PYTHONPATH", "/of/the/user")
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONPATH")
    code = f"{RAW}for name in {names}:\n    print(os.environ[name])\n"
    executor = Local(toy_benchmark(), Command((sys.executable, "-c", code)), 1, tmp_path)
    run(toy_benchmark(), Given([Job(0, {"x": 0.5}, 1)]), executor, MINUTE)
    theirs = (tmp_path / "trials" / "0" / "job-1.out").read_text().splitlines()
    assert theirs == ["3", "1", f"/of/the/user{os.pathsep}{Path(__file__).parents[1]}"]


# -- what goes wrong ------------------------------------------------------------------------------------------------

FAILURES = {
    "signal 9": (1, "killed by signal 9"),
    "exit code 3": (1, "left at epoch 1 of 3: exit code 3\nthe reason is here"),
    "exit code 0": (1, "left at epoch 1 of 3, though a job ends with its last report: exit code 0"),
    "NaN": (2, "diverged at epoch 2: loss nan"),
    "infinity": (2, "diverged at epoch 2: loss -inf"),
    "no loss": (1, "lacks the metric 'loss'; it has ['accuracy']"),
    "no epoch": (1, "lacks the resource 'epoch'; it has ['loss', 'step']"),
    "repeats": (1, "epoch 1 was reported after epoch 1"),
    "skips": (1, "epoch 3 was reported, but epoch 2 was not"),
    "no level": (1, "epoch 1.5 is no level of 'troubled'"),
    "text": (1, "protocol: a report must be one line of JSON"),
    "bool": (1, "metric 'loss' must be a number, given True"),
    "nested": (1, "metric 'loss' must be a number, given [1]"),
    "deep": (1, "protocol: a report must be one line of JSON"),
    "huge": (1, "protocol: metric 'loss' is an integer too large for a float"),
    "constant": (1, "NaN is no JSON"),
    "binary": (1, "protocol:"),
    "endless": (1, "protocol: a report is longer than 64 KiB"),
    "flood": (1, "protocol:"),
}


def test_where_nothing_has_ever_come_to_a_report_no_more_is_started(tmp_path: Path) -> None:
    """What diverges has reported, too; and who goes on with a study begins to count anew."""
    code = (
        f"{RAW}import sys\nx = float(sys.argv[1].removeprefix('--x='))\n"
        """said = b'{"epoch": 1, "loss": "nan"}\\n' if x < 1 else b'{"epoch": 1, "loss": 1}\\n'\n"""
        "if x:\n    os.write(write, said)\n    os.read(read, 9)\n"
    )
    command = Command((sys.executable, "-c", code))

    def trained(place: str, *xs: float, standing: Standing | None = None) -> str:
        executor = Local(toy_benchmark(), command, 1, tmp_path / place, standing=standing)
        log = run(toy_benchmark(), Given([Job(n, {"x": x}, 1) for n, x in enumerate(xs)]), executor, MINUTE)
        assert len(executor.failures) - len(standing.failures if standing else ()) == min(sum(x < 1 for x in xs), 12)
        return log.error

    silent = [0.0] * 10
    assert trained("diverges", 0.5, *silent, 0.0) == trained("reports", 1.0, *silent, 0.0, 0.0) == ""
    assert "10 trials failed, and none has reported anything: the script, or its call, is wrong" in trained(
        "silent", *silent, 1.0
    )
    standing = Standing(reached=dict.fromkeys(range(20, 30), 0), failures=dict.fromkeys(range(20, 30), "no report"))
    assert trained("mended", *silent[:9], 1.0, *silent[:3], standing=standing) == ""
    said = trained("known", *silent, 1.0, standing=Standing(reached={20: 1}))
    assert "10 trials failed, and none has reported anything since the study went on" in said


def test_where_nothing_comes_to_a_report_any_more_no_more_is_started(tmp_path: Path) -> None:
    """A disk that is full after an hour must not cost the night; what diverges on the way has reported."""
    code = (
        f"{RAW}x = float(sys.argv[1].removeprefix('--x='))\n"
        """said = b'{"epoch": 1, "loss": "nan"}\\n' if x < 1 else b'{"epoch": 1, "loss": 1}\\n'\n"""
        "if x:\n    os.write(write, said)\n    os.read(read, 9)\n"
    )
    silent = [0.0] * 29
    executor = Local(toy_benchmark(), Command((sys.executable, "-c", code)), 1, tmp_path)
    xs = [1.0, *silent, 0.5, *silent, 0.0, 1.0]
    log = run(toy_benchmark(), Given([Job(n, {"x": x}, 1) for n, x in enumerate(xs)]), executor, MINUTE)
    assert log.error.startswith("30 trials in a row failed without a report")
    assert len(executor.failures) == len(xs) - 2


def test_who_is_slow_to_report_is_not_given_up_for_the_failures_of_others(tmp_path: Path) -> None:
    code = (
        f"{RAW}import sys\nx = float(sys.argv[1].removeprefix('--x='))\n"
        """if x:\n    time.sleep(2)\n    os.write(write, b'{"epoch": 1, "loss": 1}\\n')\n    os.read(read, 9)\n"""
    )
    executor = Local(toy_benchmark(), Command((sys.executable, "-c", code)), 2, tmp_path)
    jobs = [Job(trial, {"x": 0.0 if trial else 1.0}, 1) for trial in range(16)]
    log = run(toy_benchmark(), Given(jobs), executor, MINUTE)
    assert (log.error, len(executor.failures)) == ("", 15)


def test_an_empty_line_is_no_report(tmp_path: Path) -> None:
    code = f"{RAW}os.write(write, b'\\n')\nos.read(read, 9)\n"
    executor = Local(toy_benchmark(), Command((sys.executable, "-c", code)), 1, tmp_path)
    run(toy_benchmark(), Given([Job(0, {"x": 0.5}, 1)]), executor, MINUTE)
    assert executor.failures[0].startswith("protocol: a report must be one line of JSON")


def test_every_trouble_fails_its_trial_once_and_no_other(tmp_path: Path) -> None:
    """Faults 18 to 24 and 29, each in the way that `FAILURES` says."""
    jobs = [Job(trial, {"trouble": trouble}, 3) for trial, trouble in enumerate([*FAILURES, "none"])]
    with troubled(tmp_path, workers=3) as executor:
        log = run(TROUBLED, Given(jobs), executor, MINUTE)
    assert log.why is Why.NOTHING_LEFT
    check_laws(log, 3)
    last = {e.report.trial: e for e in log.events if isinstance(e, Event)}
    for trial, (trouble, (resource, reason)) in enumerate(FAILURES.items()):
        failed = [e.trial for e in log.events if isinstance(e, Ended) and (e.trial, e.reason) == (trial, Reason.FAILED)]
        assert failed == [trial], trouble
        report = last[trial].report
        assert (report.resource, report.losses, report.status) == (resource, (math.inf,), Status.FAILED), trouble
        assert reason in executor.failures[trial], trouble
    assert last[len(FAILURES)].report.status is Status.REACHED
    assert len(executor.failures) == len(FAILURES)
    diverged = last[list(FAILURES).index("NaN")]
    assert math.isnan(diverged.metrics["loss"]) and diverged.metrics["test_loss"] == 2.0
    assert "test_loss" not in diverged.report.metrics


def test_what_a_script_prints_is_kept_and_never_parsed(tmp_path: Path) -> None:
    """Faults 18 and 19."""
    with troubled(tmp_path, "prints", "prints without end") as executor:
        for trial in range(2):
            assert [e.report.losses for e in events(executor) if e.report.trial == trial] in ([(1.0,)] * 3, [])
        assert executor.failures == {}
    assert b'{"epoch": 1, "loss": 0}' in (trial_folder(tmp_path, 0) / "job-1.out").read_bytes()
    capped = (trial_folder(tmp_path, 1) / "job-1.out").read_bytes()
    left_out = 40 * (1 << 17) + 7 - 2 * OUTPUT_LIMIT
    assert capped.endswith(b"xxthe end")
    assert f"\n[... {left_out} bytes left out ...]\n".encode() in capped
    assert len(capped) < 2 * OUTPUT_LIMIT + 100


def test_what_was_printed_last_stands_last(tmp_path: Path) -> None:
    """Though into a pipe: a traceback stands behind the lines before it, and what is killed has printed its own."""
    for place, ends, last in (
        ("crash", "raise ValueError('too bad')", "ValueError: too bad"), ("hang", "time.sleep(60)", "line 49"),
    ):  # fmt: skip
        code = f"{RAW}for number in range(50):\n    print('line', number)\n{ends}\n"
        command = Command((sys.executable, "-c", code))
        executor = Local(toy_benchmark(), command, 1, tmp_path / place, patience=3.0, grace=0.3)
        run(toy_benchmark(), Given([Job(0, {"x": 0.5}, 1)]), executor, MINUTE)
        assert executor.failures[0].splitlines()[-1] == last
        assert (tmp_path / place / "trials" / "0" / "job-1.out").read_text().count("line") >= 50


def test_where_the_disk_is_full_what_is_printed_is_not_kept_and_nothing_fails() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    file = CappedFile(Path("/dev/full"))
    file.write(b"words\n" * OUTPUT_LIMIT)
    assert file.last_lines() == "\n".join(["words"] * 20)
    file.close()


@pytest.mark.parametrize("size", [0, 10, OUTPUT_LIMIT, OUTPUT_LIMIT + 1, 2 * OUTPUT_LIMIT, 2 * OUTPUT_LIMIT + 1])
def test_a_capped_file_keeps_the_first_and_the_last(tmp_path: Path, size: int) -> None:
    whole = b"".join(i.to_bytes(4, "big") for i in range(size // 4 + 1))[:size]
    file = CappedFile(tmp_path / "out")
    for start in range(0, size, 50_000):
        file.write(whole[start : start + 50_000])
    file.close()
    kept = (tmp_path / "out").read_bytes()
    if size <= 2 * OUTPUT_LIMIT:
        assert kept == whole
    else:
        assert kept == whole[:OUTPUT_LIMIT] + b"\n[... 1 bytes left out ...]\n" + whole[-OUTPUT_LIMIT:]


def test_last_words_are_text_whatever_the_bytes_are(tmp_path: Path) -> None:
    """Fault 18: shown on a terminal they neither colour it nor move its cursor."""
    file = CappedFile(tmp_path / "out")
    file.write(b"\x1b[31mred\x1b[0m \xff\ttab\r50 %\rdone\x07\n")
    file.close()
    assert file.last_lines() == "\\x1b[31mred\\x1b[0m \\xff\ttab\n50 %\ndone\\x07"


def test_what_has_no_end_takes_no_memory(tmp_path: Path) -> None:
    """Fault 19: 64 MiB printed, and 16 MiB sent without waiting for an answer."""
    file, chunk = CappedFile(tmp_path / "out"), b"x" * (1 << 16)
    tracemalloc.start()
    for _ in range(1 << 10):
        file.write(chunk)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    file.close()
    assert most < 8 * OUTPUT_LIMIT
    code = (
        "import os\npipe = int(os.environ['PIPE'].split(',')[0])\n"
        "for _ in range(256):\n    left = b'x' * (1 << 16)\n    while left: left = left[os.write(pipe, left):]\n"
    )
    buffered: list[int] = []
    with DefaultSelector() as selector:
        process = TrialProcess(
            [sys.executable, "-c", code], os.environ, selector, pipe_variable="PIPE", mark=f"{tmp_path.name:f<32}.",
            output=tmp_path / "sent", grace=1.0,
        )  # fmt: skip
        while not process.check():
            for key, _ in selector.select(0.05):
                key.data()
            buffered.append(len(process._buffer))
    assert UNANSWERED_LIMIT < max(buffered) <= UNANSWERED_LIMIT + LINE_LIMIT
    with pytest.raises(ValueError, match="were sent without waiting for an answer"):
        process.line()


def test_a_script_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    """Fault 26, for a script that will not leave."""
    with troubled(tmp_path, "ignores SIGTERM", grace=0.3) as executor:
        assert executor.next(MINUTE) is not None
        assert executor.next(MINUTE) is not None
        began = time.monotonic()
        executor.pause(0)
        assert 0.5 < time.monotonic() - began < 3
        assert executor.idle == 1


def test_children_of_children_die_with_a_stopped_trial(tmp_path: Path) -> None:
    """Fault 27."""
    with troubled(tmp_path, "never reports") as executor:
        pids = wait_for_pids(trial_folder(tmp_path))
        assert all(map(lives, pids)) and len(pids) == 3
        executor.stop(0)
        assert not any(map(lives, pids))


def test_close_kills_everything_and_may_be_repeated(tmp_path: Path) -> None:
    with troubled(tmp_path, "never reports", "hangs") as executor:
        pids = wait_for_pids(trial_folder(tmp_path))
        executor.close()
        assert not any(map(lives, pids))
        executor.close()


def test_only_what_is_marked_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 30: nothing is killed by a number alone."""
    killed: list[int] = []
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    mark = "0123456789abcdef0123456789abcdef."
    marked = subprocess.Popen(sleeper, env={MARK_VARIABLE: mark + "1.1."})
    leader = subprocess.Popen(sleeper, start_new_session=True)
    bystanders = [subprocess.Popen(sleeper, env={MARK_VARIABLE: "f" + mark[1:]}), subprocess.Popen(sleeper)]
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append(pid))
    try:
        assert kill_marked(mark) >= 1  # whoever is on the way out counts as well
        assert killed == [marked.pid]
        assert kill_marked(mark, leader.pid) >= 2
        assert sorted(killed[1:]) == sorted([marked.pid, leader.pid])
        for vague in (("", None), (mark, 0), (mark, 1)):
            with pytest.raises(ValueError, match="too vague"):
                kill_marked(*vague)
    finally:
        monkeypatch.undo()
        for process in (marked, leader, *bystanders):
            process.kill()
            process.wait()


def test_a_number_is_nobody_elses_as_long_as_it_is_signalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 30, where the system tells of no exit: to ask for one must not give the number away."""
    known: list[bool] = []
    monkeypatch.delattr(os, "pidfd_open")
    monkeypatch.setattr(
        "harness._trial_process._signal_group", lambda leader, number: known.append(Path(f"/proc/{leader}").exists())
    )
    with toy(tmp_path) as executor:
        executor.start(Job(0, {"x": 0.5}, 1))
        assert said(events(executor)) == [(1, Status.REACHED)]
    assert known and all(known)


def test_a_killed_study_takes_its_trials_along(tmp_path: Path) -> None:
    """Fault 28."""
    parent = subprocess.Popen([sys.executable, str(SCRIPTS / "killed_parent.py"), str(tmp_path / "study")])
    try:
        pids = wait_for_pids(trial_folder(tmp_path))
        assert all(map(lives, pids))
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    assert all_die(pids, 5.0)


def test_an_interrupt_passes_and_leaves_what_can_be_closed(tmp_path: Path) -> None:
    with troubled(tmp_path, "never reports") as executor:
        pids = wait_for_pids(trial_folder(tmp_path))
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                executor.next(MINUTE)
        finally:
            signal.signal(signal.SIGALRM, previous)
        executor.stop(0)
        executor.close()
        assert not any(map(lives, pids))


def test_a_crashed_trial_is_started_again_unseen(tmp_path: Path) -> None:
    with toy(tmp_path, "--crash-once", retries=1) as executor:
        executor.start(Job(0, {"x": 0.5}, 5))
        heard = events(executor)
    assert said(heard) == [(level, Status.RUNNING) for level in (1, 2, 3, 4)] + [(5, Status.REACHED)]
    assert executor.failures == {}
    assert [text.splitlines()[-1] for text in executor.warnings[0]] == ["RuntimeError: this happens once"]
    assert len(processes(tmp_path)) == 2


def test_where_the_system_tells_of_no_exit_it_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    with toy(tmp_path, "--crash-once", retries=1) as executor:
        executor.start(Job(0, {"x": 0.5}, 4))
        assert said(events(executor)) == [(level, Status.RUNNING) for level in (1, 2, 3)] + [(4, Status.REACHED)]


def test_retries_end(tmp_path: Path) -> None:
    with troubled(tmp_path, "signal 9", retries=2) as executor:
        assert said(events(executor)) == [(1, Status.RUNNING), (1, Status.FAILED)]
        crashes = [text for text in executor.warnings[0] if "signal" in text]
        assert crashes == [f"started again: {executor.failures[0]}"] * 2
        assert executor.failures[0] == "left at epoch 1 of 3: killed by signal 9"


def test_after_an_interruption_a_checkpoint_ahead_of_what_was_heard_is_not_used(tmp_path: Path) -> None:
    """The study ended between the start of a job and its record: trial 0 went on unheard, trial 1 was never heard of.

    Of trial 2, which was stopped, the checkpoint had not gone yet.
    """
    heard: list[tuple[int, str]] = []
    for trial in range(3):
        (trial_folder(tmp_path, trial) / "checkpoints").mkdir(parents=True)
        checkpoint = trial_folder(tmp_path, trial) / "checkpoints" / "state.json"
        checkpoint.write_text('{"epoch": 4}', encoding="utf-8")
    standing = Standing(now=NANOSECONDS, reached={0: 3, 2: 3}, stopped={2})
    with toy(tmp_path, standing=standing, on_warning=lambda *warning: heard.append(warning)) as executor:
        assert not (trial_folder(tmp_path, 2) / "checkpoints").exists()
        executor.start(Job(0, {"x": 0.5}, 5))
        assert said(events(executor)) == [(4, Status.RUNNING), (5, Status.REACHED)]
        executor.start(Job(1, {"x": 0.5}, 1))
        assert said(events(executor)) == [(1, Status.REACHED)]
    assert [(trial, text.splitlines()[0]) for trial, text in heard] == [
        (
            0,
            "trained again from its start, its checkpoint being of no use: left at epoch 3 of 5, though a job ends "
            "with its last report: exit code 0",
        ),
        (0, "trained epoch 1 again, having stood at epoch 3: no later checkpoint to go on from"),
    ]
    assert executor.warnings == {0: [text for _, text in heard]} and executor.failures == {}


@pytest.mark.parametrize("warm", [False, True])
def test_where_the_newest_checkpoint_is_ahead_the_one_before_is_used(tmp_path: Path, warm: bool) -> None:
    """The study ended between a checkpoint and its report, of trial 0 in the midst of a job, of trial 1 at its end."""
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(CHECKPOINTED)
    for trial, epoch in ((0, 3), (0, 4), (1, 3), (1, 4)):
        save_checkpoint(trial_folder(tmp_path, trial) / "checkpoints", {"epoch": epoch})
    benchmark = replace(toy_benchmark(), delays=Delays(warm=warm))
    command = Command((sys.executable, str(tmp_path / "train.py")), "epochs")
    standing = Standing(now=NANOSECONDS, reached={0: 3, 1: 3})
    executor = Local(benchmark, command, 1, tmp_path / "study", standing=standing)
    try:
        for trial, until in ((0, 6), (1, 4)):
            executor.start(Job(trial, {"x": 0.5}, until))
            heard = events(executor)
            assert [level for level, _ in said(heard)] == list(range(4, until + 1))
            assert {event.metrics["begun"] for event in heard} == {3.0}
    finally:
        executor.close()
    assert executor.warnings == {} and executor.failures == {}


def test_where_a_second_end_came_before_the_first_report_the_first_checkpoints_count(tmp_path: Path) -> None:
    """The process that was ahead had replaced them already."""
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(CHECKPOINTED)
    for folder, epoch in (("checkpoints", 4), ("checkpoints", 5), ("checkpoints-before", 3)):
        save_checkpoint(trial_folder(tmp_path) / folder, {"epoch": epoch})
    command = Command((sys.executable, str(tmp_path / "train.py")), "epochs")
    executor = Local(toy_benchmark(), command, 1, tmp_path / "study", standing=Standing(reached={0: 3}))
    try:
        executor.start(Job(0, {"x": 0.5}, 5))
        assert [event.metrics["begun"] for event in events(executor)] == [3.0, 3.0]
        assert not (trial_folder(tmp_path) / "checkpoints-before").exists()
    finally:
        executor.close()
    assert executor.warnings == {}


def test_a_crash_between_checkpoint_and_report_is_started_again_from_the_one_before(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    crash = "    if epoch == 3 and begun == 0:\n        sys.exit(5)\n    report("
    (tmp_path / "train.py").write_text(CHECKPOINTED.replace("    report(", crash))
    command = Command((sys.executable, str(tmp_path / "train.py")), "epochs")
    executor = Local(toy_benchmark(), command, 1, tmp_path / "study", retries=1)
    try:
        executor.start(Job(0, {"x": 0.5}, 4))
        heard = events(executor)
    finally:
        executor.close()
    assert said(heard) == [(level, Status.RUNNING) for level in (1, 2, 3)] + [(4, Status.REACHED)]
    assert [event.metrics["begun"] for event in heard] == [0, 0, 2, 2]
    assert executor.warnings == {0: ["started again: left at epoch 2 of 4: exit code 5"]}
    assert not (trial_folder(tmp_path) / "checkpoints-before").exists()


def test_who_begins_with_the_checkpoint_of_a_running_parent_does_not_begin_ahead_of_it(tmp_path: Path) -> None:
    """The parent has saved epoch 4, which nobody has heard of: a child that shall come to 4 has that to train."""
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(CHECKPOINTED)
    for epoch in (3, 4):
        save_checkpoint(trial_folder(tmp_path) / "checkpoints", {"epoch": epoch})
    command = Command((sys.executable, str(tmp_path / "train.py")), "epochs")
    executor = Local(toy_benchmark(), command, 1, tmp_path / "study", standing=Standing(reached={0: 3}))
    try:
        executor.start(Job(1, {"x": 0.5}, 4, 0))
        heard = events(executor)
    finally:
        executor.close()
    assert [(*said(heard), event.metrics["begun"]) for event in heard] == [((4, Status.REACHED), 3.0)]
    assert executor.warnings == {} and executor.failures == {}


def test_where_nothing_can_train_any_more_a_study_keeps_its_checkpoints_and_ends(tmp_path: Path) -> None:
    """As after a restart of the machine without the disk with the data: mended, the study goes on where it was."""
    pytest.importorskip("torch")
    for epoch in (2, 3):
        save_checkpoint(trial_folder(tmp_path) / "checkpoints", {"epoch": epoch})
    command = Command((sys.executable, str(tmp_path / "train.py")), "epochs")
    standing = Standing(now=NANOSECONDS, reached={0: 3}, running={0: (Job(0, {"x": 0.5}, 5), 0, 0)})
    (tmp_path / "train.py").write_text("raise FileNotFoundError('the data')")
    executor = Local(toy_benchmark(), command, 1, tmp_path / "study", standing=standing)
    try:
        with pytest.raises(ValueError, match=r"(?s)trial 0 reports nothing, from its checkpoints or .*the data"):
            executor.next(MINUTE)
    finally:
        executor.close()
    assert executor.failures == {}
    (tmp_path / "train.py").write_text(CHECKPOINTED)
    executor = Local(toy_benchmark(), command, 1, tmp_path / "study", standing=standing)
    try:
        assert [event.metrics["begun"] for event in events(executor)] == [3.0, 3.0]
    finally:
        executor.close()


CHECKPOINTED = """
import sys, time
from harness.report import Reporter, load_checkpoint, save_checkpoint
report = Reporter()
begun = (load_checkpoint(report.checkpoint_dir) or {"epoch": 0})["epoch"]
epochs = int(next(word for word in sys.argv if word.startswith("--epochs=")).split("=")[1])
for epoch in range(begun + 1, epochs + 1):
    save_checkpoint(report.checkpoint_dir, {"epoch": epoch})
    report(epoch=epoch, loss=0.5, test_loss=0.5, begun=begun)
"""
RAW = "import os, shutil, sys, time\nwrite, read = map(int, os.environ['FORETUNE_REPORT_PIPE'].split(','))\n"


@pytest.mark.parametrize(
    "trouble",
    [
        "shutil.rmtree(os.environ['FORETUNE_CHECKPOINT_DIR']); sys.exit(3)",
        "os.write(write, b'{}\\n'); time.sleep(2.5); print(1, flush=True); time.sleep(0.5); sys.exit()",
        "os.write(write, b'{}\\n'); sys.exit()",
    ],
)
def test_a_checkpoint_of_no_use_is_left_behind_whatever_the_script_does_then(tmp_path: Path, trouble: str) -> None:
    """Fault 31, after an interruption: it is removed by the script itself, or by us when that has left, which is slow.

    The one must not end the study, nor the other count as hanging; nor is one forgotten that leaves with nonsense.
    """
    state = trial_folder(tmp_path) / "checkpoints" / "state"
    state.parent.mkdir(parents=True)
    state.write_text("4", encoding="ascii")
    code = (
        f"{RAW}state = os.path.join(os.environ['FORETUNE_CHECKPOINT_DIR'], 'state')\n"
        f"if os.path.exists(state):\n    {trouble}\n"
        'os.write(write, b\'{"epoch": 1, "loss": 1}\\n\'); os.read(read, 99)\n'
    )
    standing = Standing(now=NANOSECONDS, running={0: (Job(0, {"x": 0.5}, 1), 0, 0)})
    command = Command((sys.executable, "-S", "-c", code))
    executor = Local(toy_benchmark(), command, 1, tmp_path / "study", standing=standing, patience=2.0)
    try:
        assert said(events(executor)) == [(1, Status.REACHED)]
        assert (executor.failures, len(executor.warnings[0])) == ({}, 2)
        assert "trained again from its start" in executor.warnings[0][1]
    finally:
        executor.close()


def test_without_a_program_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no program"):
        Command(("no-such-program",), "epochs")


def test_a_folder_of_another_study_is_refused(tmp_path: Path) -> None:
    trial_folder(tmp_path).mkdir(parents=True)
    with pytest.raises(ValueError, match="give a new folder"):
        Local(TROUBLED, Command((sys.executable,), "epochs"), 1, tmp_path / "study")


@pytest.mark.parametrize("as_json", [False, True])
@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
@settings(max_examples=100)
def test_any_text_is_one_argument(as_json: bool, text: str) -> None:
    """Fault 39, whatever the value."""
    config = {"text": text, "other": "--text=x"}
    *prefix, last = Command((sys.executable, "-c"), "epochs", as_json).arguments(config, {"text": "constant"}, 3)
    if as_json:
        assert json.loads(last) == {**config, "epochs": 3}
    else:
        assert prefix[2:] == [f"--text={text}", "--other=--text=x"]


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3)


@given(value=JSON)
def test_a_metric_is_a_number_or_refused(value: object) -> None:
    """Fault 20: over all JSON values, and what Python takes for JSON."""
    line = json.dumps({"epoch": 1, "loss": value})
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value in ("nan", "inf", "-inf") or (number and abs(value) < 1e300):  # type: ignore[arg-type, operator]
        assert decode_metrics(line)["loss"] == pytest.approx(float(value), nan_ok=True)  # type: ignore[arg-type]
    elif not number:
        with pytest.raises(ValueError, match="must be a number"):
            decode_metrics(line)
    for wrong in (
        '{"\\ud800": 1}',
        '{"epoch": 1, "epoch": 2}',
        '{"loss": NaN}',
        "[1]",
        "",
        '{"loss": 1' + "0" * 5000 + "}",
    ):
        with pytest.raises(ValueError):
            decode_metrics(wrong)


def levels_heard(said: list[float], until: int) -> list[int]:
    """What the loop would hear of a script that says these levels, one after another."""
    reports, heard, known = Reports(toy_benchmark(), Job(0, {"x": 0.5}, until), pytest.fail), [], 0
    for level in said:
        try:
            understood = reports.understand(json.dumps({"epoch": level, "loss": 1.0}).encode(), known)
        except ValueError:
            break
        if understood is not None:
            heard.append(known := understood.resource)
            if understood.status is not Status.RUNNING:
                break
    return heard


@given(said=st.lists(st.sampled_from([-1, 0, 1, 1.5, 2, 3, 4, 5, 9, 10, 1e300])), until=st.integers(1, 9))
def test_levels_reach_the_loop_in_order_or_not_at_all(said: list[float], until: int) -> None:
    """Faults 22 and 23: of any sequence, exactly the levels from 1 on that come in order, up to the job's end.

    What is said twice, word for word, counts once.
    """
    expected = 0
    for level in said:
        if expected < until and level == expected + 1:
            expected += 1
        elif level != expected or expected in (0, until):
            break
    assert levels_heard(said, until) == list(range(1, expected + 1))


def test_a_report_in_any_language_is_understood() -> None:
    """JSON is UTF-8."""
    reports = Reports(toy_benchmark(), Job(0, {"x": 0.5}, 9), pytest.fail)
    heard = reports.understand('{"epoch": 1, "loss": 1.0, "größe": 2}'.encode(), 0)
    assert heard is not None and heard.metrics["größe"] == 2.0
    with pytest.raises(ValueError, match="utf-8"):
        reports.understand(b'{"epoch": 2, "loss": 1.0, "\xff": 2}', 1)


def test_a_report_that_is_sent_twice_counts_once(tmp_path: Path) -> None:
    """Fault 22."""
    with troubled(tmp_path, "twice") as executor:
        assert said(events(executor)) == [(1, Status.RUNNING), (2, Status.RUNNING), (3, Status.REACHED)]
        assert executor.failures == {}


def test_what_is_said_too_late_is_dropped(tmp_path: Path) -> None:
    """Fault 24: a child keeps the pipe and goes on talking when its trial is over, and when it runs again."""
    script = tmp_path / "late.py"
    script.write_text(
        "import os, sys, time\nfrom harness import Reporter\nreport = Reporter()\n"
        "pipe = int(os.environ['FORETUNE_REPORT_PIPE'].split(',')[0])\n"
        "until = int(sys.argv[1].partition('=')[2])\n"
        "if until == 2 and os.fork() == 0:\n    os.setsid()\n    time.sleep(0.3)\n"
        '    os.write(pipe, b\'{"epoch": 3, "loss": 0}\\n\')\n    time.sleep(60)\n'
        "for epoch in range(1, until + 1):\n    report(epoch=epoch, loss=1.0)\n"
    )
    benchmark = replace(toy_benchmark(), space=Space({"x": uniform(0.0, 1.0)}))
    executor = Local(benchmark, Command((sys.executable, "-c", LATE, str(script)), "until"), 1, tmp_path / "study")
    try:
        executor.start(Job(0, {"x": 0.5}, 2))
        assert said(events(executor)) == [(1, Status.RUNNING), (2, Status.REACHED)]
        executor.start(Job(0, {"x": 0.5}, 4))
        heard = events(executor)
        assert said(heard) == [(3, Status.RUNNING), (4, Status.REACHED)]
        assert [event.report.losses for event in heard] == [(1.0,)] * 2
    finally:
        executor.close()


def test_what_a_child_says_too_late_is_not_the_next_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 24, where the process stays: a child of trial 0 has a last word while it is being killed."""
    go, gone = tmp_path / "go", tmp_path / "gone"
    script = tmp_path / "late.py"
    script.write_text(
        "import os, sys, time\nfrom harness import Reporter\nreport = Reporter()\n"
        f"if not os.path.exists({str(go)!r}) and os.fork() == 0:\n    os.setsid()\n"
        f"    while not os.path.exists({str(go)!r}): time.sleep(0.001)\n"
        "    pipe = int(os.environ['FORETUNE_REPORT_PIPE'].split(',')[0])\n"
        f'    os.write(pipe, b\'{{"epoch": 1, "loss": 0}}\\n\')\n    open({str(gone)!r}, "w").close()\n'
        "    time.sleep(60)\n"
        "for epoch in (1, 2):\n    report(epoch=epoch, loss=1.0)\n"
    )

    def kill_late(mark: str, session: int | None = None, *, spare: int = 1) -> int:
        go.touch()
        while not gone.exists():
            time.sleep(0.001)
        return kill_marked(mark, session, spare=spare)

    monkeypatch.setattr("harness._trial_process.kill_marked", kill_late)
    benchmark = replace(toy_benchmark(), delays=Delays(warm=True))
    executor = Local(benchmark, Command((sys.executable, str(script))), 1, tmp_path / "study")
    try:
        for trial in range(2):
            executor.start(Job(trial, {"x": 0.5}, 2))
            heard = events(executor)
            assert [event.report.losses for event in heard] == [(1.0,)] * 2, executor.failures
            assert said(heard) == [(1, Status.RUNNING), (2, Status.REACHED)]
    finally:
        executor.close()


LATE = "import runpy, sys; sys.argv = sys.argv[1:]; sys.argv[1] = sys.argv[-1]; runpy.run_path(sys.argv[0])"


SENDS_AHEAD = """
import json, os
write, read = map(int, os.environ["FORETUNE_REPORT_PIPE"].split(","))
os.write(write, b"".join(b'{"epoch": %d, "loss": 1}\\n' % epoch for epoch in (1, 2, 3)))
"""
HEEDS = "for answer in os.fdopen(read):\n    if answer != 'continue\\n':\n        break\n"


def test_what_was_sent_ahead_of_a_pause_is_dropped(tmp_path: Path) -> None:
    """Fault 24: three reports at once; the trial is paused at the first, and says the others when it is resumed."""
    executor = Local(toy_benchmark(), Command((sys.executable, "-c", SENDS_AHEAD + HEEDS)), 1, tmp_path / "study")
    try:
        executor.start(Job(0, {"x": 0.5}, 3))
        first = executor.next(MINUTE)
        assert first is not None and first.report.resource == 1
        executor.pause(0)
        assert executor.next(MINUTE) is None and executor.idle == 1
        executor.start(Job(0, {"x": 0.5}, 3))
        assert said(events(executor)) == [(2, Status.RUNNING), (3, Status.REACHED)]
    finally:
        executor.close()


def test_what_was_said_before_the_exit_is_heard(tmp_path: Path) -> None:
    """Fault 24: the pipe is read to its end before an exit counts."""
    executor = Local(toy_benchmark(), Command((sys.executable, "-c", SENDS_AHEAD)), 1, tmp_path / "study")
    try:
        executor.start(Job(0, {"x": 0.5}, 3))
        assert said(events(executor)) == [(1, Status.RUNNING), (2, Status.RUNNING), (3, Status.REACHED)]
        assert executor.failures == executor.warnings == {}
    finally:
        executor.close()


def test_answers_that_nobody_read_do_not_reach_the_next_trial(tmp_path: Path) -> None:
    """Fault 24, the other way round: a warm worker is given the next job behind what its last script left unread."""
    script = tmp_path / "ahead.py"
    script.write_text(SENDS_AHEAD, encoding="utf-8")
    benchmark = replace(toy_benchmark(), delays=Delays(warm=True))
    executor = Local(benchmark, Command((sys.executable, str(script))), 1, tmp_path / "study")
    try:
        for trial in range(5):
            executor.start(Job(trial, {"x": 0.5}, 3))
            assert said(events(executor)) == [(1, Status.RUNNING), (2, Status.RUNNING), (3, Status.REACHED)]
        assert executor.failures == executor.warnings == {}
    finally:
        executor.close()


def test_reports_of_many_threads_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 25: 8 threads with reporters of their own, 1000 reports each, one at a time."""
    (reports, their_reports), (their_answers, answers) = os.pipe(), os.pipe()
    monkeypatch.setenv("FORETUNE_REPORT_PIPE", f"{their_reports},{their_answers}")
    padding = {f"metric_{k}": float(k) for k in range(300)}

    def talk(number: int) -> None:
        report = Reporter()
        for step in range(1000):
            report(epoch=step, loss=number, **(padding if step % 10 == 0 else {}))

    threads = [Thread(target=talk, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    heard: Counter[float] = Counter()
    with os.fdopen(reports, encoding="ascii") as lines:
        for _ in range(8 * 1000):
            metrics = decode_metrics(lines.readline())
            assert metrics["epoch"] == heard[metrics["loss"]]
            heard[metrics["loss"]] += 1
            os.write(answers, b"continue\n")
    for thread in threads:
        thread.join()
    for descriptor in (their_reports, their_answers, answers):
        os.close(descriptor)
    assert set(heard.values()) == {1000} and len(heard) == 8


def test_a_process_without_the_pipe_is_told_who_may_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETUNE_REPORT_PIPE", "9997,9998")
    with pytest.raises(RuntimeError, match="names the files 9997,9998, which are not open in this process"):
        Reporter()


def test_a_script_that_says_nothing_hangs(tmp_path: Path) -> None:
    """Fault 26; who waits for the loop, however long, does not hang."""
    with troubled(tmp_path, "hangs", workers=1, patience=1.0, grace=0.3) as executor:
        first = executor.next(MINUTE)
        assert first is not None
        time.sleep(1.2)
        second = executor.next(executor.now + 20 * NANOSECONDS)
        assert second is not None and second.report.status is Status.FAILED
        assert second.report.cost > 2.0
        assert executor.failures[0].startswith("hangs: no report for 1 s")
        assert executor.idle == 1


def test_who_is_killed_counts_until_it_is_gone() -> None:
    """Fault 27: a process with much memory takes its time to die, without a mark, and may hold a GPU meanwhile."""
    mark = "fedcba9876543210fedcba9876543210."
    script = "import time; full = b'x' * 400_000_000; print(flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", script], env={MARK_VARIABLE: mark}, start_new_session=True, stdout=subprocess.PIPE
    ) as dying:
        assert dying.stdout is not None
        dying.stdout.readline()
        assert nobody_is_left(mark)
        assert not lives(dying.pid)


def test_silent_scripts_that_ignore_sigterm_are_killed(tmp_path: Path) -> None:
    """Fault 26: one that sleeps and one in a busy loop of C, both deaf to SIGTERM."""
    with troubled(tmp_path, "hangs, deaf", "busy, deaf", patience=1.0, grace=0.3) as executor:
        heard = events(executor)
        assert [status for _, status in said(heard)].count(Status.FAILED) == 2
        assert all(reason.startswith("hangs: no report for 1 s") for reason in executor.failures.values())
        assert executor.idle == 2
    assert nobody_is_left(f"{executor._study}.")


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize(
    ("leaving", "how"),
    [
        ("pass", None),
        ("sys.exit(7)", "exit code 7"),
        ("raise RuntimeError('the end')", "exit code 1"),
        ("os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("time.sleep(60)", "it did not leave within 0.5 s, killed by signal 15"),
    ],
)
def test_an_exit_code_fails_only_where_levels_are_missing(
    tmp_path: Path, leaving: str, how: str | None, warm: bool
) -> None:
    """Fault 29: whoever reached its job's end may leave as it likes, and a warning says how it did."""
    script = tmp_path / "leaves.py"
    script.write_text(
        "import os, sys, time\nfrom harness import Reporter\n"
        "try:\n    for e in (1, 2, 3): Reporter()(epoch=e, loss=1.0)\n"
        f"finally:\n    print('RuntimeError: the end', flush=True)\n    {leaving}\n",
        encoding="utf-8",
    )
    benchmark = replace(toy_benchmark(), delays=Delays(warm=warm))
    executor = Local(benchmark, Command((sys.executable, str(script))), 1, tmp_path / "study", grace=0.5)
    try:
        executor.start(Job(0, {"x": 0.5}, 3))
        assert said(events(executor)) == [(1, Status.RUNNING), (2, Status.RUNNING), (3, Status.REACHED)]
        assert executor.failures == {}
        (text,) = executor.warnings.get(0, [""])
        expected = [f"reached epoch 3 as asked, then: {how}", "RuntimeError: the end"] if how else []
        assert text.splitlines()[:1] + text.splitlines()[-1:] == expected
        if leaving.startswith("sys.exit"):
            executor.start(Job(1, {"x": 0.5}, 5))
            assert said(events(executor))[-1] == (3, Status.FAILED)
            assert "left at epoch 3 of 5: exit code 7" in executor.failures[1] and 1 not in executor.warnings
    finally:
        executor.close()


def test_who_cannot_hear_the_last_answer_and_is_told_by_a_signal_left_well(tmp_path: Path) -> None:
    """Fault 29: that signal is ours; but what else it does then is its own."""
    for trial, (leaving, warned) in enumerate((("time.sleep(60)", False), ("os._exit(7)", True))):
        code = f'{RAW}os.close(read)\nos.write(write, b\'{{"epoch": 1, "loss": 1}}\\n\')\n{leaving}\n'
        executor = Local(toy_benchmark(), Command((sys.executable, "-c", code)), 1, tmp_path / str(trial))
        try:
            executor.start(Job(0, {"x": 0.5}, 1))
            if warned:
                time.sleep(1.0)  # it has left before anybody listens
            assert said(events(executor)) == [(1, Status.REACHED)]
            assert list(executor.warnings) == [0] * warned
        finally:
            executor.close()


def test_who_fails_too_late_to_be_heard_did_not_fail(tmp_path: Path) -> None:
    """Fault 26: the study's end comes while the script is still given time to leave: the trial is cut by it."""
    with troubled(tmp_path, "hangs, deaf", patience=1.0, grace=3.0) as executor:
        assert executor.next(MINUTE) is not None
        assert executor.next(executor.now + 2 * NANOSECONDS) is None
        assert executor._runs[0].heard is not None and executor.failures == {}


def test_a_broken_checkpoint_is_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Faults 31 and 32: cut, empty, a bit flipped, or one that would run code: the one before is used, or none."""
    torch = pytest.importorskip("torch")
    for epoch in (1, 2, 3):
        save_checkpoint(tmp_path, {"epoch": epoch, "weights": torch.arange(200.0)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2.pt", "checkpoint-3.pt"]
    newest = tmp_path / "checkpoint-3.pt"
    whole = newest.read_bytes()
    flipped = [bytes([*whole[:place], whole[place] ^ 4, *whole[place + 1 :]]) for place in range(0, len(whole), 97)]
    for broken in [b"", whole[:-1], *(whole[:size] for size in range(100, len(whole), 500)), *flipped]:
        newest.write_bytes(broken)
        assert (load_checkpoint(tmp_path) or {})["epoch"] == 2
    assert "is broken" in capsys.readouterr().err
    newest.write_bytes(whole)
    assert (load_checkpoint(tmp_path) or {})["epoch"] == 3
    marker = tmp_path / "marker"
    evil = b"cposix\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    newest.write_bytes(evil + SEAL + hashlib.sha256(evil).hexdigest().encode())
    assert (load_checkpoint(tmp_path) or {})["epoch"] == 2
    assert not marker.exists()


def test_what_a_truncated_checkpoint_costs_is_trained_again_and_said(tmp_path: Path) -> None:
    """Fault 31: from the one before, unseen by the loop but in the cost of the next report."""
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(CHECKPOINTED.replace("    report(", "    time.sleep(.8)\n    report("))
    for epoch in (2, 3, 4):
        save_checkpoint(trial_folder(tmp_path) / "checkpoints", {"epoch": epoch})
    newest = max((trial_folder(tmp_path) / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-10])
    command = Command((sys.executable, str(tmp_path / "train.py")), "epochs")
    executor = Local(toy_benchmark(), command, 1, tmp_path / "study", standing=Standing(reached={0: 4}))
    try:
        executor.start(Job(0, {"x": 0.5}, 6))
        heard = events(executor)
    finally:
        executor.close()
    assert said(heard) == [(5, Status.RUNNING), (6, Status.REACHED)]
    assert {event.metrics["begun"] for event in heard} == {3.0} and heard[0].report.cost > 1.6  # of two epochs
    assert executor.failures == {} and executor.warnings == {
        0: ["trained epoch 4 again, having stood at epoch 4: no later checkpoint to go on from"]
    }


def test_a_checkpoint_that_could_not_be_loaded_is_refused_when_it_is_saved(tmp_path: Path) -> None:
    """Loading runs no code that a file holds, so it knows nothing but tensors and plain values."""
    torch = pytest.importorskip("torch")
    good = {"epoch": 1, "weights": [torch.tensor(2.0)], "optimizer": {"state": {0: (None, 1.5, True, "adam")}}}
    save_checkpoint(tmp_path, good)
    said = (
        r"not 'weights' \(numpy\.ndarray\), 'luck'\[1\] \(numpy\.ndarray\), 'best' \(numpy\.float64\): turn arrays "
        r"into tensors \(torch\.as_tensor\)"
    )
    with pytest.raises(TypeError, match=said):
        state = {"epoch": 2, "weights": np.ones(2), "luck": ("MT19937", np.ones(3)), "best": np.float64(1.0)}
        save_checkpoint(tmp_path, state)
    with pytest.raises(TypeError, match=r"not this \(torch\.nn\.modules\.linear\.Linear\)"):
        save_checkpoint(tmp_path, torch.nn.Linear(2, 2))  # type: ignore[arg-type]
    assert load_checkpoint(tmp_path) == good
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1.pt"]


def test_what_a_killed_process_left_half_written_goes(tmp_path: Path) -> None:
    """Fault 31: a checkpoint may be gigabytes, and a trial may be killed often."""
    pytest.importorskip("torch")
    (tmp_path / "checkpoint-1.tmp-4194305").write_bytes(b"half of one")
    save_checkpoint(tmp_path, {"epoch": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1.pt"]


# -- warm workers ---------------------------------------------------------------------------------------------------


def test_a_warm_worker_keeps_its_process(tmp_path: Path) -> None:
    with toy(tmp_path, workers=2, warm=True) as executor:
        for trial in (0, 1):
            executor.start(Job(trial, {"x": 0.5}, 2))
        assert sorted(said(events(executor))) == [(1, Status.RUNNING)] * 2 + [(2, Status.REACHED)] * 2
        executor.start(Job(0, {"x": 0.5}, 9))
        assert executor.next(MINUTE) is not None
        executor.pause(0)
        executor.start(Job(2, {"x": 0.5}, 2))
        assert said(events(executor)) == [(1, Status.RUNNING), (2, Status.REACHED)]
        pids = [process["pid"] for trial in range(3) for process in processes(tmp_path, trial)]
        assert len(pids) == 4 and len(set(pids)) == 2
        assert all(map(lives, pids))
        output = (trial_folder(tmp_path) / "job-2.out").read_text(encoding="utf-8")
        assert output == "starting after epoch 2\n"
    assert not any(map(lives, pids))


def test_a_warm_worker_that_fails_or_is_killed_is_replaced(tmp_path: Path) -> None:
    with toy(tmp_path, "--crash-once", warm=True, retries=1) as executor:
        executor.start(Job(0, {"x": 0.5}, 4))
        assert said(events(executor)) == [(level, Status.RUNNING) for level in (1, 2, 3)] + [(4, Status.REACHED)]
        assert executor.warnings[0][0].endswith("RuntimeError: this happens once")
        first, second = (process["pid"] for process in processes(tmp_path))
        assert not lives(first) and lives(second)
        os.kill(second, signal.SIGKILL)
        assert all_die([second], 5.0)
        executor.start(Job(0, {"x": 0.5}, 5))
        assert said(events(executor)) == [(5, Status.REACHED)]
        third = processes(tmp_path)[2]["pid"]
        assert third not in (first, second) and executor.failures == {}


def test_what_fails_cold_fails_warm(tmp_path: Path) -> None:
    chosen = ("signal 9", "exit code 3", "exit code 0", "NaN", "text", "flood", "none")
    jobs = [Job(trial, {"trouble": trouble}, 3) for trial, trouble in enumerate(chosen)]
    with troubled(tmp_path, workers=1, warm=True) as executor:
        log = run(TROUBLED, Given(jobs), executor, MINUTE)
    ends = {event.trial: event.reason for event in log.events if isinstance(event, Ended)}
    assert ends == {
        trial: Reason.FAILED if trouble != "none" else Reason.REACHED for trial, trouble in enumerate(chosen)
    }
    for trial, trouble in enumerate(chosen[:-1]):
        assert FAILURES[trouble][1].splitlines()[0] in executor.failures[trial], trouble


def test_a_warm_worker_leaves_nothing_to_the_next_trial(tmp_path: Path) -> None:
    """Fault 27, where the process stays: children go; so do arguments, environment, folder and names."""
    script = tmp_path / "leaky.py"
    script.write_text(
        "import os, subprocess, sys\nfrom harness import Reporter\n"
        "assert 'LEFT' not in os.environ and 'left' not in globals() and os.getcwd() != '/'\n"
        "left = os.environ['LEFT'] = 'here'\nos.chdir('/')\nreport = Reporter()\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "(report.checkpoint_dir / 'pids').write_text(f'{os.getpid()} {child.pid}')\n"
        "report(epoch=1, loss=1.0)\n"
    )
    benchmark = replace(toy_benchmark(), delays=Delays(warm=True))
    executor = Local(benchmark, Command((sys.executable, str(script))), 1, tmp_path / "study")
    try:
        seen: list[list[int]] = []
        for trial in range(2):
            executor.start(Job(trial, {"x": 0.5}, 1))
            assert said(events(executor)) == [(1, Status.REACHED)]
            seen.append(wait_for_pids(trial_folder(tmp_path, trial)))
            assert lives(seen[-1][0]) and goes(seen[-1][1])
        assert seen[0][0] == seen[1][0]
    finally:
        executor.close()
    with pytest.raises(ValueError, match="only a Python script"):
        Local(benchmark, Command(("true",)), 1, tmp_path / "other")


# -- GPUs -----------------------------------------------------------------------------------------------------------


def fake_nvidia_smi(folder: Path, text: str, code: int = 0) -> dict[str, str]:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    return {"PATH": str(folder)}


def test_devices_are_those_that_are_visible(tmp_path: Path) -> None:
    def given(text: str) -> tuple[str, ...]:
        return visible_devices({"CUDA_VISIBLE_DEVICES": text, "PATH": ""})

    assert given("2,3") == ("2", "3")
    assert given("GPU-8932f937, MIG-5c1a") == ("GPU-8932f937", "MIG-5c1a")
    assert given("") == given("-1") == ()
    assert given("0,-1,2") == ("0",)
    assert visible_devices({"PATH": str(tmp_path)}) == ()
    gpu = "GPU {}: NVIDIA H100 (UUID: GPU-{})\n"
    both = gpu.format(0, "a") + gpu.format(1, "b")
    assert visible_devices(fake_nvidia_smi(tmp_path, both)) == ("GPU-a", "GPU-b")
    sliced = both + "  MIG 3g.40gb Device 0: (UUID: MIG-c)\n  MIG 3g.40gb Device 1: (UUID: MIG-d)\n"
    assert visible_devices(fake_nvidia_smi(tmp_path, sliced)) == ("GPU-a", "MIG-c", "MIG-d")
    assert visible_devices(fake_nvidia_smi(tmp_path, "no devices were found", code=9)) == ()


def test_each_worker_has_its_device_and_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,MIG-7")
    with toy(tmp_path, workers=3) as executor:
        for trial in range(3):
            assert executor.start(Job(trial, {"x": 0.5}, 1))[1] == trial
        events(executor)
    notes = [processes(tmp_path, trial)[0] for trial in range(3)]
    assert [note["gpu"] for note in notes] == ["4", "MIG-7", "4"]
    assert {note["omp"] for note in notes} == {"1"}
