"""Making a table: measured once, kept for good, extended and never changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from textwrap import dedent
from time import monotonic, sleep
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from toys import toy_benchmark

from harness import tabulate as tables
from harness.lines import read_lines
from harness.space import Space, choice, loguniform
from harness.tabulate import RUNS, Run, plan, read_runs, tabulate
from harness.types import Benchmark, End
from surrogates import table
from surrogates.measured import table_of

BENCHMARK = toy_benchmark(space=Space({"lr": loguniform(1e-3, 1), "batch_size": choice([16, 32, 64])}))


class Script:
    """A training script in this process, which can be told to fail or to die."""

    def __init__(self) -> None:
        self.trained: list[tuple[str, int]] = []
        self.dies_after = 10**9

    def train(self, benchmark: str, config: dict[str, Any], *, seed: int, until: int | None, report: Any) -> None:
        if len(self.trained) == self.dies_after:
            raise KeyboardInterrupt
        self.trained.append((repr(sorted(config.items())), seed))
        if 0.05 < config["lr"] < 0.1:
            raise RuntimeError("out of memory")
        for epoch in range(1, 5):
            loss = float("nan") if config["lr"] > 0.5 and epoch == 3 else config["lr"] + 1 / epoch + seed / 100
            lost = np.isnan(loss)
            timings = {"train_seconds": 1.0, "eval_seconds": 0.5}
            report(epoch=epoch, loss=loss, test_loss=loss, size=7, diverged=float(lost), **timings)
            if lost:
                return


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    script, module = Script(), ModuleType("real_benchmarks.toy_script")
    module.train = script.train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "real_benchmarks.toy_script", module)
    ticks = iter(np.arange(1.0, 10**5).tolist())
    monkeypatch.setattr(tables, "process_time", lambda: next(ticks))
    yield script


def measure_all(runs: list[Run], folder: Path, **options: Any) -> int:
    return tabulate(BENCHMARK, "toy_script", runs, folder, processes=1, **options)


def test_more_configs_or_seeds_extend_a_plan_and_never_change_it() -> None:
    small, large = plan(BENCHMARK, 5, 2), plan(BENCHMARK, 9, 3, seeded=6)
    assert [run.seed for run in small] == [1] * 5 + [2] * 5
    assert {run.key: run.config for run in small}.items() <= {run.key: run.config for run in large}.items()
    assert len(large) == 9 + 6 + 6
    assert plan(BENCHMARK, 5, 1)[:3] == plan(BENCHMARK, 3, 1)


def test_a_kill_costs_the_run_under_way_and_the_same_command_goes_on(script: Script, tmp_path: Path) -> None:
    runs = plan(BENCHMARK, 6, 2)
    script.dies_after = 4
    with pytest.raises(KeyboardInterrupt):
        measure_all(runs, tmp_path)
    assert len(list(read_runs(tmp_path))) == 4
    with open(tmp_path / RUNS, "ab") as file:
        file.write(b"12345678 {torn")
    script.dies_after = 10**9
    seen: list[tuple[int, int]] = []
    assert measure_all(runs, tmp_path, on_run=lambda there, wanted, run: seen.append((there, wanted))) == 8
    assert seen == [(5 + i, 12) for i in range(8)]
    assert measure_all(runs, tmp_path) == 0
    assert len(script.trained) == len(set(script.trained)) == 12
    assert measure_all(plan(BENCHMARK, 8, 2), tmp_path) == 4
    assert [entry["machine"] for entry in read_lines(tmp_path / RUNS) if "machine" in entry]


def test_runs_of_another_problem_are_not_added(script: Script, tmp_path: Path) -> None:
    measure_all(plan(BENCHMARK, 2, 1), tmp_path)
    other = replace(BENCHMARK, fidelity=replace(BENCHMARK.fidelity, levels=(1, 2)))
    with pytest.raises(ValueError, match="were measured with another fidelity"):
        tabulate(other, "toy_script", plan(other, 3, 1), tmp_path, processes=1)
    assert len(list(read_runs(tmp_path))) == 2


def test_measured_runs_become_a_table_and_failures_are_counted(script: Script, tmp_path: Path) -> None:
    runs = plan(BENCHMARK, 40, 2)
    measure_all(runs, tmp_path)
    failed = [run for run in read_runs(tmp_path) if run["end"] == "failed"]
    diverged = {run["index"] for run in read_runs(tmp_path) if run["end"] == "diverged"}
    assert failed and diverged
    assert failed[0]["error"] == "RuntimeError: out of memory"
    data = table_of(BENCHMARK, read_lines(tmp_path / RUNS))
    data.check("here")
    assert data.made["failed"] == len(failed)
    assert len(data.configs) == 40 - len(failed) / 2
    assert data.made["constants"] == {"size": 7.0}
    assert data.metrics == ("loss", "test_loss")
    assert (data.ends == table.ENDS.index(End.DIVERGED)).sum() == 2 * len(diverged)
    table.save(data, tmp_path)
    assert table.load(tmp_path).digest == data.digest()


def test_a_run_that_goes_on_without_a_number_diverged_where_it_lost_it() -> None:
    """As on real workers: a script need not know that it diverged."""
    losses = [3.0, 2.0, "nan", "inf"]
    curve = {"epoch": [1, 2, 3, 4], "loss": losses, "test_loss": losses, "train_seconds": 1.0, "eval_seconds": 0.5}
    curve["cpu_seconds"] = [1.5, 3.0, 4.5, 6.0]
    runs = plan(BENCHMARK, 2, 1)
    entries = [
        {**asdict(run), "end": "complete", "curve": curve | ({"loss": [3.0, 2.0, 1.0, 0.5]} if run.index else {})}
        for run in runs
    ]
    entries[1]["curve"]["test_loss"] = [3.0, 2.0, 1.0, 0.5]
    data = table_of(BENCHMARK, entries)
    data.check("here")
    assert data.ends[:, 0].tolist() == [table.ENDS.index(End.DIVERGED), table.ENDS.index(End.COMPLETE)]
    assert data.lengths()[:, 0].tolist() == [3, 4]
    assert data.final_losses()[:, 0].tolist() == [np.inf, 0.5]


@pytest.mark.parametrize(
    ("reports", "words"),
    [
        ([], "the script ended without a report"),
        ([{"epoch": 1, "loss": 1.0}, {"epoch": 2}], "a report lacks loss, which the first had"),
        ([{"epoch": 1, "loss": "low"}], "ValueError"),
    ],
)
def test_a_script_that_reports_nonsense_fails_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reports: list[dict[str, Any]], words: str
) -> None:
    def train(benchmark: str, config: object, *, seed: int, until: int | None, report: Any) -> None:
        for one in reports:
            report(**one)

    module = ModuleType("real_benchmarks.toy_script")
    module.train = train  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "real_benchmarks.toy_script", module)
    assert measure_all(plan(BENCHMARK, 2, 1), tmp_path) == 2
    assert all(run["end"] == "failed" and words in run["error"] for run in read_runs(tmp_path))
    with pytest.raises(ValueError, match=r"no whole run of 'toy' to make a table of \(2 failed\)"):
        table_of(BENCHMARK, read_lines(tmp_path / RUNS))


def test_a_number_keeps_seven_digits_and_a_column_that_never_changes_is_one(script: Script, tmp_path: Path) -> None:
    measured = tables.measure("toy_script", "toy", Run("iid", 0, {"lr": 0.0123456789, "batch_size": 16}, 1))
    assert measured["curve"]["size"] == 7.0
    assert measured["curve"]["loss"][0] == 1.022346
    assert measured["curve"]["epoch"] == [1, 2, 3, 4]
    assert measured["curve"][tables.CPU] == [1.0, 2.0, 3.0, 4.0]
    assert isinstance(BENCHMARK, Benchmark)


# -- processes and devices ---------------------------------------------------------------------------------------------

ON_DISK = """
    import os, time

    def train(benchmark, config, *, seed, until, report):
        print("a script may print")
        if config["lr"] == 0.01:
            raise RuntimeError("CUDA error")
        if config["lr"] == 0.02:
            os._exit(3)
        if config["lr"] == 0.03:
            raise FileNotFoundError("no text of WikiText-2")
        if config["lr"] == 0.04:
            open(f"started-{os.getpid()}", "w").close()
            time.sleep(1000)
        device = float(os.environ.get("CUDA_VISIBLE_DEVICES", "-1"))
        for epoch in (1, 2):
            report(epoch=epoch, loss=0.5, device=device, process=os.getpid(), batch=config["batch_size"])
"""


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for tables, where a script lies that other processes find."""
    package = tmp_path / "code" / "real_benchmarks"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "on_disk.py").write_text(dedent(ON_DISK))
    monkeypatch.syspath_prepend(package.parent)
    return tmp_path / "made"


def some_runs(*rates: float) -> list[Run]:
    return [Run("iid", index, {"lr": rate, "batch_size": 16}, 1) for index, rate in enumerate(rates)]


def test_each_process_trains_on_a_device_of_its_own(on_disk: Path) -> None:
    runs = some_runs(*[0.5] * 8)
    assert tabulate(BENCHMARK, "on_disk", runs, on_disk, processes=2, devices=("5", "7", "9")) == 8
    measured = list(read_runs(on_disk))
    assert all(run["curve"]["device"] == float(run["device"]) for run in measured)
    assert {run["device"] for run in measured} == {"5", "7"}
    assert len({(run["device"], run["curve"]["process"]) for run in measured}) == 2
    assert all("gpus" in entry["machine"] for entry in read_lines(on_disk / RUNS) if "machine" in entry)


def test_without_devices_the_variable_is_left_alone(on_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    tabulate(BENCHMARK, "on_disk", some_runs(0.5, 0.6), on_disk, processes=2)
    assert all(run["curve"]["device"] == 3 and "device" not in run for run in read_runs(on_disk))


def test_more_workers_than_devices_are_refused(on_disk: Path) -> None:
    with pytest.raises(ValueError, match="3 workers, but 2 GPUs"):
        tabulate(BENCHMARK, "on_disk", some_runs(0.5), on_disk, processes=3, devices=("0", "1"))
    assert not on_disk.exists()


def test_a_failure_costs_one_run_and_its_process_is_not_used_again(on_disk: Path) -> None:
    tabulate(BENCHMARK, "on_disk", some_runs(0.5, 0.01, 0.6, 0.02, 0.7), on_disk, processes=1, devices=("0",))
    by_index = {run["index"]: run for run in read_runs(on_disk)}
    assert [by_index[i]["end"] for i in range(5)] == ["complete", "failed", "complete", "failed", "complete"]
    assert by_index[1]["error"] == "RuntimeError: CUDA error"
    assert by_index[3]["error"] == "its process left with exit code 3"
    assert len({by_index[i]["curve"]["process"] for i in (0, 2, 4)}) == 3


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_machine_lacks_is_no_failure_of_a_config(on_disk: Path, processes: int) -> None:
    devices = ("0", "1")[:processes]
    with pytest.raises(FileNotFoundError, match="no text of WikiText-2"):
        tabulate(BENCHMARK, "on_disk", some_runs(0.03, 0.03), on_disk, processes=processes, devices=devices)
    assert not list(read_runs(on_disk))


def test_in_this_process_too_what_is_lacking_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "real_benchmarks.toy_script", None)
    with pytest.raises(ImportError):
        measure_all(plan(BENCHMARK, 2, 1), tmp_path)
    assert not list(read_runs(tmp_path))


DRIVER = """
    import sys
    from pathlib import Path
    from harness.space import Space, choice, loguniform
    from harness.tabulate import Run, tabulate
    from harness.types import Benchmark, Fidelity, Objective

    space = Space({"lr": loguniform(1e-3, 1), "batch_size": choice([16, 32, 64])})
    toy = Benchmark("toy", space, (Objective("loss"),), Fidelity("epoch", (1, 2, 3, 4)), 60.0, 2)
    runs = [Run("iid", i, {"lr": lr, "batch_size": 16}, 1) for i, lr in enumerate([0.5, 0.04, 0.04, 0.5])]
    try:
        tabulate(toy, "on_disk", runs, Path(sys.argv[1]), processes=2)
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whoever_ends_the_command_ends_its_processes_and_keeps_what_is_finished(on_disk: Path, number: int) -> None:
    on_disk.mkdir()
    (on_disk / "driver.py").write_text(dedent(DRIVER))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    driver = subprocess.Popen(
        [sys.executable, "driver.py", "table"], cwd=on_disk, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert wait_for(lambda: len(list(on_disk.glob("started-*"))) == 2), driver.communicate()
    driver.send_signal(number)
    said, complained = driver.communicate(timeout=60)
    trainings = [int(path.name.removeprefix("started-")) for path in on_disk.glob("started-*")]
    assert wait_for(lambda: not any(alive(process) for process in trainings))
    assert [run["index"] for run in read_runs(on_disk / "table")] == [0]
    if number == signal.SIGINT:
        assert said == "interrupted\n"
        assert complained.replace("a script may print\n", "") == ""


def wait_for(condition: Any) -> bool:
    end = monotonic() + 60
    while not condition() and monotonic() < end:
        sleep(0.02)
    return condition()


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
