"""Train configs of a real benchmark and keep their curves: how a table is made.

A table in the making is a folder with one append-only file, `runs.lines`: the machine, then a line for each run. A
kill at any moment costs the runs under way; the same command goes on with what is missing. The i.i.d. configs are the
first draws of one stream named after the benchmark, so asking for more configs extends a table and never changes it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from harness.lines import LineWriter, read_lines
from harness.randomness import stream
from harness.space import Config
from harness.types import Benchmark

RUNS = "runs.lines"
TIMING = "timing"
"""The part of a plan that serves the time model only; it gives no rows."""

DIGITS = 7
"""Significant digits kept of every measured number: more than a run repeats."""

CPU = "cpu_seconds"
"""Processor time since the run began, at each level: what an epoch costs alone, however busy the machine was."""

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


def plan(benchmark: Benchmark, configs: int, seeds: int, seeded: int | None = None) -> list[Run]:
    """The runs of a table: `configs` i.i.d. configs with seed 1, the first `seeded` of them with further seeds.

    seeds: how many seeds the seeded configs get; seeded: all configs where None. Runs are ordered so that a table
    stopped early is a smaller table of the same law: first seeds first.
    """
    drawn = benchmark.space.sample(stream("tabulate", benchmark.name), configs)
    again = configs if seeded is None else min(seeded, configs)
    runs = [Run("iid", index, config, 1) for index, config in enumerate(drawn)]
    for seed in range(2, seeds + 1):
        runs += [Run("iid", index, drawn[index], seed) for index in range(again)]
    return runs


def timing_plan(benchmark: Benchmark, configs: int = 12, until: int = 8) -> list[Run]:
    """Short runs of the first i.i.d. configs, to be measured alone on the machine: what a level really costs."""
    drawn = benchmark.space.sample(stream("tabulate", benchmark.name), configs)
    return [Run(TIMING, index, config, 1, until) for index, config in enumerate(drawn)]


def tabulate(
    benchmark: Benchmark,
    train: str,
    runs: Sequence[Run],
    folder: Path,
    *,
    processes: int = 2,
    on_run: Callable[[int, int, dict[str, Any]], None] | None = None,
) -> int:
    """Measure the runs that `folder` lacks, in parallel; gives how many were measured now.

    train: the module in `real_benchmarks` whose `train` is called, by name: nothing is pickled but names and numbers;
    on_run: called after each run with how many are there, how many are wanted, and the run.
    """
    from joblib import Parallel, delayed

    folder.mkdir(parents=True, exist_ok=True)
    with LineWriter(folder / RUNS) as writer:
        _check_same_problem(benchmark, folder)
        there = {(run["part"], run["index"], run["seed"]) for run in read_runs(folder)}
        missing = [run for run in runs if run.key not in there]
        if not missing:
            return 0
        writer.append({"machine": machine(), "benchmark": benchmark.to_json()})
        options: dict[str, Any] = {"return_as": "generator_unordered", "batch_size": 1}
        parallel: Any = Parallel(n_jobs=processes, **options)
        jobs = (delayed(measure)(train, benchmark.name, run) for run in missing)
        for done, measured in enumerate(parallel(jobs), 1):
            writer.append(measured)
            if on_run:
                on_run(len(runs) - len(missing) + done, len(runs), measured)
    return len(missing)


def _check_same_problem(benchmark: Benchmark, folder: Path) -> None:
    """Refuse to add runs to those of another problem: they would be one table and two truths."""
    mine = benchmark.to_json()
    for entry in read_lines(folder / RUNS):
        theirs = entry.get("benchmark")
        for name in ("name", "space", "fidelity"):
            if theirs is not None and theirs[name] != mine[name]:
                raise ValueError(
                    f"the runs in {folder} were measured with another {name}: {theirs[name]}, now {mine[name]}; "
                    "give another --out"
                )


def measure(train: str, benchmark: str, run: Run) -> dict[str, Any]:
    """Train one config to the end and give its curve as plain JSON; an exception becomes the end `failed`."""
    from importlib import import_module

    reports: list[dict[str, float]] = []
    wall, cpu = perf_counter(), process_time()

    def report(**metrics: float) -> None:
        reports.append(metrics | {CPU: process_time() - cpu})

    end, error, curve = "complete", None, dict[str, Any]()
    try:
        function: Train = import_module(f"real_benchmarks.{train}").train
        function(benchmark, run.config, seed=run.seed, until=run.until, report=report)
        if reports and reports[-1].get("diverged"):
            end = "diverged"
    except Exception as problem:
        end, error = "failed", f"{type(problem).__name__}: {problem}"
    try:
        curve = _curve(reports)
    except Exception as problem:
        end, error = "failed", error or f"{type(problem).__name__}: {problem}"
    measured: dict[str, Any] = {
        "part": run.part,
        "index": run.index,
        "seed": run.seed,
        "config": dict(run.config),
        "end": end,
        "wall_seconds": _short(perf_counter() - wall),
        "curve": curve,
    }
    return measured | ({"error": error} if error else {})


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


def machine() -> dict[str, Any]:
    """What a measured number may depend on: processor and its flags, versions, threads."""
    cpu, flags = platform.processor(), ""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            fields = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
        named = {name.strip(): value.strip() for name, value in fields.items()}
        cpu, flags = named.get("model name", cpu), named.get("flags", "")
    return {
        "processor": cpu,
        "cores": os.cpu_count(),
        "vector_flags": sorted(
            set(flags.split()) & {"sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"}
        ),
        "flags_digest": hashlib.blake2b(flags.encode(), digest_size=8).hexdigest(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | dict(_versions(("numpy", "torch", "tokenizers"))),
    }


def _versions(packages: Iterable[str]) -> Iterator[tuple[str, str]]:
    for package in packages:
        try:
            yield package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
