"""csv:PATH: a user's own runs, or an export of an experiment tracker, with a TOML beside it that names the columns.

Beside `runs.csv`, one line a run or a level of a run, lies `runs.toml`:

    objectives = { loss = "minimize" }     # or "maximize"; several where the data has them
    metrics = ["test_loss"]                # other columns to keep
    test_metric = "test_loss"              # one of them, which no method sees
    resource = "epoch"                     # left out: final values only
    seconds = "seconds"                    # since the start of the run, or a number: so many a level, as a model
    seed = "seed"                          # left out: one run a config
    missing = "refuse"                     # or "early": a run that lacks its last levels ended there by plan;
                                           # or "diverged": it diverged there, as where an objective is nan
    workers = 4                            # and budget = 3600.0; left out: forty median trainings
    [space]
    lr = { type = "loguniform", lower = 1e-4, upper = 1.0 }

An empty cell of a hyperparameter means that it is inactive. A metric that is no objective must be there at every level
that is. Other columns and empty lines are passed over.
"""

from __future__ import annotations

import csv
import hashlib
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.space import Space
from harness.types import Benchmark, End, Fidelity, Objective
from surrogates.table import ENDS, Table, TableData

BENCHMARKS: tuple[Benchmark, ...] = ()
KNOWN = (
    "name", "objectives", "metrics", "test_metric", "resource", "seconds", "seed", "missing", "workers", "budget",
    "space",
)  # fmt: skip
DIRECTIONS = {"minimize": False, "maximize": True}
POLICIES = ("refuse", "early", "diverged")
TRAININGS = 40

Runs = dict[tuple[tuple[object, ...], str], dict[int, tuple[list[float], float]]]
"""Of each config (its key) and seed the metrics and seconds at each level."""


def named(name: str) -> Benchmark:
    """The benchmark of a file, `csv:PATH`."""
    return load(name).benchmark


def load(name: str) -> Table:
    """The table of a file, `csv:PATH`; ValueError with file, line and reason where it cannot be trusted."""
    path = Path(name.partition(":")[2])
    declaration = path.with_suffix(".toml")
    for needed in (path, declaration):
        if not needed.is_file():
            raise FileNotFoundError(f"{name}: there is no {needed}; `csv:runs.csv` needs runs.csv and runs.toml beside")
    try:
        declared = tomllib.loads(declaration.read_text(encoding="utf-8"))
        _check_declared(declared)
        space = Space.from_json(declared["space"])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{declaration}: {error}") from None
    metrics = tuple(dict.fromkeys((*declared["objectives"], *declared.get("metrics", ()))))
    runs, configs = _read(path, declared, space, metrics)
    data = _arranged(path, declared, space, metrics, runs=runs, configs=configs)
    data.check(str(path))
    return Table(data)


def _check_declared(declared: Mapping[str, Any]) -> None:
    for field in declared:
        if field not in KNOWN:
            raise ValueError(f"unknown field {field!r}; there are {', '.join(KNOWN)}")
    for field in ("objectives", "space", "seconds"):
        if field not in declared:
            raise ValueError(f"the field {field!r} is missing")
    objectives, metrics, test = declared["objectives"], declared.get("metrics", []), declared.get("test_metric")
    if not isinstance(objectives, dict) or not objectives:
        raise ValueError(f'objectives takes metrics with their directions, {{ loss = "minimize" }}, found {objectives}')
    for metric, direction in objectives.items():
        if direction not in DIRECTIONS:
            raise ValueError(f"the direction of {metric!r} must be minimize or maximize, found {direction!r}")
    if not isinstance(metrics, list):
        raise ValueError(f'metrics takes a list of columns, ["test_loss"], found {metrics!r}')
    if test is not None and (test not in metrics or test in objectives):
        raise ValueError(f"test_metric must be one of the metrics that are no objectives, {metrics}, found {test!r}")
    if declared.get("missing", "refuse") not in POLICIES:
        raise ValueError(f"missing must be one of {', '.join(POLICIES)}, found {declared['missing']!r}")


def _read(
    path: Path, declared: Mapping[str, Any], space: Space, metrics: tuple[str, ...]
) -> tuple[Runs, dict[tuple[object, ...], dict[str, Any]]]:
    runs: Runs = {}
    configs: dict[tuple[object, ...], dict[str, Any]] = {}
    seconds, resource, seed = declared["seconds"], declared.get("resource"), declared.get("seed")
    columns = [*space.names, *metrics, *(name for name in (seconds, resource, seed) if isinstance(name, str))]
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file, restval=None)
        if absent := [column for column in columns if column not in (lines.fieldnames or ())]:
            raise ValueError(f"{path}: expected the columns {columns}, found no {absent}")
        for line in lines:
            where = f"{path}, line {lines.line_num}"
            if None in line.values() or None in line:
                raise ValueError(f"{where}: expected {len(lines.fieldnames or ())} cells, found another number")
            config = _config(where, space, line)
            level = _level(where, line[resource]) if resource else 1
            values = [_number(where, metric, line[metric]) for metric in metrics]
            spent = _number(where, seconds, line[seconds]) if isinstance(seconds, str) else float(seconds) * level
            run = runs.setdefault((space.key(config), line[seed] if seed else "0"), {})
            if level in run:
                raise ValueError(f"{where}: this run has a level {level} already; several runs of a config need `seed`")
            run[level] = values, spent
            configs[space.key(config)] = config
    if not runs:
        raise ValueError(f"{path}: expected runs, found no line with one")
    return runs, configs


def _config(where: str, space: Space, line: Mapping[str, str]) -> dict[str, Any]:
    try:
        return space.cast({name: line[name] for name in space.names if line[name] != ""})
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _level(where: str, text: str) -> int:
    level = _number(where, "the resource", text)
    if not (level >= 1 and level.is_integer()):
        raise ValueError(f"{where}: a level is a whole number of at least 1, found {text!r}")
    return int(level)


def _number(where: str, column: str, text: str) -> float:
    """The number in a cell; an empty one is not a number, for the declared policy to judge."""
    try:
        return float(text) if text else math.nan
    except ValueError:
        raise ValueError(f"{where}: expected a number in {column}, found {text!r}") from None


def _ended(
    where: str,
    run: Mapping[int, tuple[list[float], float]],
    levels: tuple[int, ...],
    metrics: tuple[str, ...],
    *,
    objectives: int,
    policy: str,
) -> tuple[End, int]:
    """How a run ends, and after how many levels; ValueError for what is missing and not covered by the policy.

    objectives: so many of the metrics, the first ones, decide whether it diverged.
    """
    uncovered = f"and missing = {policy!r} does not cover that"
    for place, level in enumerate(levels):
        later = [other for other in levels[place + 1 :] if other in run]
        if level not in run:
            if policy == "refuse" or later:
                raise ValueError(f"{where}: it has no line at level {level}, {uncovered}")
            return End(policy), place
        absent = [column for column, value in enumerate(run[level][0]) if math.isnan(value)]
        lost = [column for column in absent if column < objectives]
        if lost:
            again = [other for other in later if not all(math.isnan(run[other][0][column]) for column in lost)]
            what = f"{where}: {metrics[lost[0]]} is missing at level {level}"
            if policy != "diverged":
                raise ValueError(f"{what}, {uncovered}")
            if again:
                raise ValueError(f"{what} but a number at level {again[0]}: who has diverged has no more of them")
            return End.DIVERGED, place + 1
        if absent:
            metric = metrics[absent[0]]
            raise ValueError(
                f"{where}: {metric} is missing at level {level}, where no objective is: a table holds every metric "
                f"at every level; fill these cells, or leave {metric} out of `metrics`"
            )
    return End.COMPLETE, len(levels)


def _arranged(
    path: Path,
    declared: Mapping[str, Any],
    space: Space,
    metrics: tuple[str, ...],
    *,
    runs: Runs,
    configs: Mapping[tuple[object, ...], dict[str, Any]],
) -> TableData:
    levels = tuple(sorted({level for run in runs.values() for level in run}))
    seeds = sorted({seed for _, seed in runs}, key=lambda seed: (len(seed), seed))
    rows = {key: row for row, key in enumerate(configs)}
    values = np.full((len(rows), len(seeds), len(levels), len(metrics)), np.nan)
    seconds = np.full(values.shape[:3], np.nan)
    ends = np.full(values.shape[:2], -1, dtype=np.int8)
    policy = declared.get("missing", "refuse")
    for (key, seed), run in runs.items():
        row, replicate = rows[key], seeds.index(seed)
        where = f"{path}, config {configs[key]}, seed {seed}"
        end, length = _ended(where, run, levels, metrics, objectives=len(declared["objectives"]), policy=policy)
        for place, level in enumerate(levels[:length]):
            values[row, replicate, place], seconds[row, replicate, place] = run[level]
        ends[row, replicate] = ENDS.index(end)
    workers = declared.get("workers", 4)
    median = float(np.nanmedian(np.nanmax(seconds[ends >= 0], axis=1)))
    benchmark = Benchmark(
        declared.get("name", path.stem),
        space,
        tuple(Objective(metric, DIRECTIONS[way]) for metric, way in declared["objectives"].items()),
        Fidelity(declared.get("resource", "training"), levels),
        budget=float(declared.get("budget", TRAININGS * median / workers)),
        workers=workers,
        test_metric=declared.get("test_metric"),
    )
    made = {
        "source": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "missing": policy,
        "seconds": "measured" if isinstance(declared["seconds"], str) else "a model: constant for a level",
    }
    return TableData(
        benchmark=benchmark,
        configs=tuple(configs.values()),
        parts=("iid",) * len(configs),
        seeds=tuple(range(len(seeds))),
        metrics=metrics,
        values=values,
        seconds=seconds,
        ends=ends,
        made=made,
    )
