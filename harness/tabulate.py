"""Train configs of a real benchmark and keep their curves: how a table is made.

A table in the making is a folder with one append-only file, `runs.lines`: the machine with the benchmark and a digest
of what is trained, then a line for each run. A kill at any moment costs the runs under way; the same command goes on
with what is missing. The i.i.d. configs are the first draws of one stream named after the benchmark, so asking for more
configs extends a table and never changes it; so are the held-out ones, of another stream. What is chosen for what was
measured is written down as a line of its own before it is trained (`chosen`), so it is chosen once.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from harness._table_process import serve, side_by_side
from harness.lines import LineWriter, read_lines
from harness.randomness import stream
from harness.space import Config
from harness.types import Benchmark

RUNS = "runs.lines"
TIMING = "timing"
"""The part of a plan that serves the time model only; it gives no rows."""
TIMED = 8
"""How many levels a run of that part has, at most."""
HELD_OUT = "held_out"
MEASURED = ("name", "space", "fidelity")
"""The fields of a benchmark that say what its runs are; the others say how they are read, and how long a study is."""

DIGITS = 7
"""Significant digits kept of every measured number: more than a run repeats."""

CPU, WALL = "cpu_seconds", "clock_seconds"
"""Seconds since the run began, at each level: the processor's, which tell what an epoch costs alone, however busy the
machine was; and the clock's, where the script says nothing of its training time."""

Train = Callable[..., None]
"""`train(benchmark, config, seed=..., report=...)` of a file in `real_benchmarks`."""


@dataclass(frozen=True)
class Run:
    """One training to be measured: the config's place in its part of the plan, and a seed."""

    part: str
    index: int
    config: Config
    seed: int
    until: int | None = None
    """The level to train to; None for the highest."""

    @property
    def key(self) -> tuple[str, int, int]:
        """What makes two runs the same measurement."""
        return self.part, self.index, self.seed


def plan(
    benchmark: Benchmark, configs: int, seeds: int, seeded: int | None = None, *, twin: str | None = None
) -> list[Run]:
    """The runs of a table: `configs` i.i.d. configs with seed 1, the first `seeded` of them with further seeds.

    seeds: how many seeds the seeded configs get; seeded: all configs where None; twin: the benchmark whose configs
    these are, where not its own. Runs are ordered so that a table stopped early is a smaller table of the same law:
    first seeds first.
    """
    drawn = benchmark.space.sample(stream("tabulate", twin or benchmark.name), configs)
    runs = seeded_runs("iid", drawn, 1)
    return runs + [run for run in seeded_runs("iid", drawn[:seeded], seeds) if run.seed > 1]


def held_out_plan(benchmark: Benchmark, configs: int, seeds: int, *, twin: str | None = None) -> list[Run]:
    """Independent configs of a stream of their own: no surrogate learns from them."""
    drawn = benchmark.space.sample(stream("tabulate", twin or benchmark.name, HELD_OUT), configs)
    return seeded_runs(HELD_OUT, drawn, seeds)


def timing_plan(benchmark: Benchmark, configs: int = 12, *, twin: str | None = None) -> list[Run]:
    """Short runs of the first i.i.d. configs, to be measured alone on the machine: what a level really costs."""
    drawn = benchmark.space.sample(stream("tabulate", twin or benchmark.name), configs)
    until = benchmark.fidelity.levels[:TIMED][-1]
    return [Run(TIMING, index, config, 1, until) for index, config in enumerate(drawn)]


def seeded_runs(part: str, configs: Sequence[Config], seeds: int) -> list[Run]:
    """Runs of the configs of a part with the seeds from 1 to `seeds`, first seeds first."""
    return [Run(part, index, config, seed) for seed in range(1, seeds + 1) for index, config in enumerate(configs)]


def chosen(folder: Path, part: str, choose: Callable[[list[Any]], list[Any]]) -> list[Any]:
    """What was chosen for a part, and what `choose` adds to it now: that is written down first.

    choose: from what is there already to what is to be added, given while nobody else writes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with LineWriter(folder / RUNS) as writer:
        there = planned(folder, part)
        if more := choose(there):
            writer.append({"planned": part, "chosen": more})
    return there + more


def planned(folder: Path, part: str) -> list[Any]:
    """What was written down for a part of the plan."""
    entries = (entry for entry in read_lines(folder / RUNS) if entry.get("planned") == part)
    return [one for entry in entries for one in entry["chosen"]]


def tabulate(
    benchmark: Benchmark,
    train: str,
    runs: Sequence[Run],
    folder: Path,
    *,
    processes: int = 2,
    devices: Sequence[str] = (),
    on_run: Callable[[int, int, dict[str, Any]], None] | None = None,
    problem: str | None = None,
) -> int:
    """Measure the runs that `folder` lacks, in parallel; gives how many were measured now.

    train: the module in `real_benchmarks` whose `train` is called; devices: GPUs, of which each process gets its own;
    on_run: called after each run with how many are there, how many are wanted, and the run; problem: its digest, if it
    is known what the script's task is. ImportError or FileNotFoundError where a training lacks something on this
    machine: that says nothing of its config.
    """
    if devices and processes > len(devices):
        raise ValueError(
            f"{processes} workers, but {len(devices)} GPUs: give at most one worker a GPU, or they would measure each "
            "other's time (without GPUs: set CUDA_VISIBLE_DEVICES to nothing)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with LineWriter(folder / RUNS) as writer:
        check_same_problem(benchmark.to_json(), folder, problem)
        there = {(run["part"], run["index"], run["seed"]) for run in read_runs(folder)}
        missing = [run for run in runs if run.key not in there]
        if not missing:
            return 0
        known = {} if problem is None else {"problem": problem}
        writer.append({"machine": machine(devices), "benchmark": benchmark.to_json()} | known)
        with closing(_measured(benchmark.name, train, missing, processes, devices)) as all_measured:
            for done, measured in enumerate(all_measured, 1):
                writer.append(measured)
                if on_run:
                    on_run(len(runs) - len(missing) + done, len(runs), measured)
    return len(missing)


def digest_of(benchmark: Benchmark, task: object) -> str:
    """The digest of the problem that runs measure: what is trained, over which space, to which levels.

    task: what the script declares of it, plain or a dataclass of what is; None where it declares nothing.
    """
    plain = benchmark.to_json()
    text = json.dumps([[plain[name] for name in MEASURED], task], default=vars)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def check_same_problem(mine: Mapping[str, Any], folder: Path, problem: str | None = None) -> None:
    """Refuse to add runs of a benchmark to those of another problem: they would be one table and two truths.

    problem: its digest, where that is known; older runs lack it, and only the rest of them can be compared.
    """
    for entry in read_lines(folder / RUNS):
        theirs, other = entry.get("benchmark"), entry.get("problem", problem)
        for name in MEASURED:
            if theirs is not None and theirs[name] != mine[name]:
                raise ValueError(
                    f"the runs in {folder} were measured with another {name}: {theirs[name]}, now {mine[name]}; "
                    "give another --out"
                )
        if problem is not None and other != problem:
            raise ValueError(
                f"the runs in {folder} were measured with another task: its digest is {other}, now {problem}; give "
                "another --out"
            )


def _measured(
    benchmark: str, train: str, runs: Sequence[Run], processes: int, devices: Sequence[str]
) -> Generator[dict[str, Any]]:
    """The runs' measurements in the order in which they end."""
    if processes == 1 and not devices:
        yield from (measure(train, benchmark, run) for run in runs)
        return
    module = ("harness.tabulate", train, benchmark)
    questions = [asdict(run) for run in runs]
    with closing(side_by_side(module, questions, processes, devices, lambda a: a.get("end") != "failed")) as answers:
        for question, answer, died, seconds, device in answers:
            if answer is not None and "lacks" in answer:
                raise FileNotFoundError(answer["lacks"])
            entry: dict[str, Any] = answer or _entry(Run(**question), "failed", {}, seconds, died)
            yield entry | ({} if device is None else {"device": device})


def _answer(train: str, benchmark: str, question: dict[str, Any]) -> dict[str, Any]:
    try:
        return measure(train, benchmark, Run(**question))
    except (ImportError, FileNotFoundError) as error:
        return {"lacks": str(error)}


def measure(train: str, benchmark: str, run: Run) -> dict[str, Any]:
    """Train one config to the end and give its curve as plain JSON; an exception becomes the end `failed`.

    ImportError and FileNotFoundError are passed on: something is not here that every run needs.
    """
    from importlib import import_module

    reports: list[dict[str, float]] = []
    wall, cpu = perf_counter(), process_time()

    def report(**metrics: float) -> None:
        clock = {} if "train_seconds" in metrics else {WALL: perf_counter() - wall}
        reports.append(metrics | clock | {CPU: process_time() - cpu})

    end, error, curve = "complete", None, dict[str, Any]()
    try:
        function: Train = import_module(f"real_benchmarks.{train}").train
        function(benchmark, run.config, seed=run.seed, until=run.until, report=report)
        if reports and reports[-1].get("diverged"):
            end = "diverged"
    except (ImportError, FileNotFoundError):
        raise
    except Exception as problem:
        end, error = "failed", f"{type(problem).__name__}: {problem}"
    try:
        curve = _curve(reports)
    except Exception as problem:
        end, error = "failed", error or f"{type(problem).__name__}: {problem}"
    return _entry(run, end, curve, perf_counter() - wall, error)


def _entry(run: Run, end: str, curve: dict[str, Any], wall: float, error: str | None) -> dict[str, Any]:
    """The line of a run."""
    entry: dict[str, Any] = {
        "part": run.part,
        "index": run.index,
        "seed": run.seed,
        "config": dict(run.config),
        "end": end,
        "wall_seconds": _short(wall),
        "curve": curve,
    }
    return entry | ({"error": error} if error else {})


def _curve(reports: list[dict[str, float]]) -> dict[str, Any]:
    """The first report's metrics, each a column over all reports; ValueError where one lacks some, or none came."""
    if not reports:
        raise ValueError("the script ended without a report")
    names = list(reports[0])
    for report in reports:
        if lacking := set(names) - set(report):
            raise ValueError(f"a report lacks {', '.join(sorted(lacking))}, which the first had")
    return {name: _column([report[name] for report in reports]) for name in names}


def _short(number: float) -> float | str:
    number = float(f"{number:.{DIGITS}g}")
    return number if np.isfinite(number) else repr(number)


def _column(numbers: list[float]) -> list[float | str] | float | str:
    """A metric over the levels; one number where it is the same at each."""
    shortened = [_short(number) for number in numbers]
    return shortened[0] if len(shortened) > 1 and len(set(shortened)) == 1 else shortened


def read_runs(folder: Path) -> Iterator[dict[str, Any]]:
    """The runs that were measured whole, in the order in which they ended."""
    for entry in read_lines(folder / RUNS):
        if "curve" in entry:
            yield entry


def machine(devices: Sequence[str] = ()) -> dict[str, Any]:
    """What a measured number may depend on: processor and its flags, versions, threads, the kinds of GPUs used."""
    cpu, flags = platform.processor(), ""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            fields = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
        named = {name.strip(): value.strip() for name, value in fields.items()}
        cpu, flags = named.get("model name", cpu), named.get("flags", "")
    here: dict[str, Any] = {
        "processor": cpu,
        "cores": os.cpu_count(),
        "vector_flags": sorted(
            set(flags.split()) & {"sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"}
        ),
        "flags_digest": hashlib.blake2b(flags.encode(), digest_size=8).hexdigest(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | dict(_versions(("numpy", "torch", "tokenizers"))),
    }
    return here | ({"gpus": _gpus()} if devices else {})


def _gpus() -> list[str]:
    """The kinds of GPUs of this machine, as their driver calls them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    call = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        listed = subprocess.run(call, capture_output=True, timeout=30, check=True, text=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return sorted(set(listed.splitlines()))


def _versions(packages: Iterable[str]) -> Iterator[tuple[str, str]]:
    for package in packages:
        try:
            yield package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue


if __name__ == "__main__":
    serve(lambda question: _answer(sys.argv[1], sys.argv[2], question))
