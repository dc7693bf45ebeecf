"""Blackboxes as Syne Tune 0.13 to 0.16 keeps them on disk: its three layouts, read as they are.

In the folder of a blackbox lie `metadata.json`, with the names of its tasks and objectives, and `configspace.json`. Of
the evaluations there are, with arrays of 32-bit floats,

- for all tasks together (FCNet, NAS-Bench-201, LCBench) `hyperparameters.parquet`, a line a config,
  `objectives_evaluations.npy` (tasks, configs, seeds, levels, objectives), `fidelityspace.json`, and
  `fidelities_values.npy` with the levels; or
- of each task its own (PD1, HPO-B, DeepAR) `TASK-hyperparameters.parquet`, `TASK-objectives_evaluations.npy` without
  the axis of tasks, `TASK-fidelity_space.json` and `TASK-fidelity_values.npy`; or
- of each task `data-TASK.parquet` (offline evaluations), a line an evaluation: config, level and seed, if any, and
  objectives, with `fidelityspace.json` where there are levels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.domains import Choice, Domain, Float, Integer, Ordinal, choice, finrange, logfinrange, ordinal
from harness.space import Config, Space, Value
from surrogates._on_disk import json_object

Array = NDArray[np.float64]
Columns = Mapping[str, Sequence[Any]]
LAWS = ("Uniform", "LogUniform")
NEAR = 1e-9
"""By how little, relative, a number may differ from one that its domain computes: another order of rounding."""


class Blackbox(NamedTuple):
    """One task of a blackbox.

    unit, levels: of its fidelity; metrics: the names of its objectives; values: (configs, seeds, levels, metrics), NaN
    where there is none; metadata: what else the folder says.
    """

    task: str
    space: Space
    configs: tuple[Config, ...]
    unit: str
    levels: tuple[int, ...]
    metrics: tuple[str, ...]
    values: Array
    metadata: Mapping[str, Any]


def read(folder: Path, task: str | None) -> Blackbox:
    """A task of the blackbox in a folder, by default its only one; ValueError with file and reason where it is broken.

    FileNotFoundError where a file that belongs to the layout is missing.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: a blackbox of Syne Tune is one with metadata.json")
    metadata = _json(folder / "metadata.json")
    tasks, metrics = (_names(folder / "metadata.json", metadata, of) for of in ("task_names", "objectives_names"))
    if task is None and len(tasks) == 1:
        task = tasks[0]
    if task is None or task not in tasks:
        given = "no task is given" if task is None else f"there is no task {task!r}"
        raise ValueError(f"{folder}: {given}; say :task=NAME, one of {', '.join(tasks)}")
    whole, own, offline = "hyperparameters.parquet", f"{task}-hyperparameters.parquet", f"data-{task}.parquet"
    declared = _json(folder / "configspace.json")
    if (folder / offline).exists():
        where, seed = folder / offline, metadata.get("seed_col")
        unit = _unit(folder / "fidelityspace.json") if (folder / "fidelityspace.json").exists() else None
        columns, levels, values = _from_lines(
            where, _columns(where), tuple(declared), unit=unit, seed=seed, metrics=metrics
        )
    else:
        first = f"{task}-" if (folder / own).exists() else ""
        where = folder / f"{first}{whole}"
        if not where.exists():
            raise FileNotFoundError(f"{folder}: expected {whole}, {own} or {offline}, found none of them")
        unit = _unit(folder / (f"{task}-fidelity_space.json" if first else "fidelityspace.json"))
        columns = _columns(where)
        levels = _levels(folder / (f"{task}-fidelity_values.npy" if first else "fidelities_values.npy"))
        path = folder / f"{first}objectives_evaluations.npy"
        values = _array(path)
        if not first:
            if values.ndim != 5 or len(values) != len(tasks):
                raise ValueError(f"{path}: expected 5 axes, {len(tasks)} tasks the first, found {values.shape}")
            values = values[tasks.index(task)]
        rows = len(next(iter(columns.values()), ()))
        if values.ndim != 4 or (len(values), *values.shape[2:]) != (rows, len(levels), len(metrics)):
            raise ValueError(
                f"{path}: expected for each task the shape ({rows} configs, seeds, {len(levels)} levels, "
                f"{len(metrics)} objectives), found {values.shape}"
            )
    space, configs = _space(folder / "configspace.json", declared, where, columns)
    values = np.asarray(values, dtype=np.float64)
    return Blackbox(task, space, configs, unit or "training", levels, metrics, values, metadata)


# -- files -------------------------------------------------------------------------------------------------------------


def _json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: it belongs to a blackbox of Syne Tune")
    return json_object(path)


def _names(path: Path, metadata: Mapping[str, Any], field: str) -> tuple[str, ...]:
    names = metadata.get(field)
    if not (isinstance(names, list) and names and len(set(map(str, names))) == len(names)):
        raise ValueError(f"{path}: expected different names as {field}, found {names!r}")
    return tuple(map(str, names))


def _unit(path: Path) -> str:
    levels_of = _json(path)
    if len(levels_of) != 1:
        raise ValueError(f"{path}: expected one fidelity, found {', '.join(levels_of) or 'none'}")
    return next(iter(levels_of))


def _array(path: Path) -> NDArray[Any]:
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: it belongs to a blackbox of Syne Tune")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path}: expected a whole array of numbers ({error})") from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{path}: expected an array of numbers, found {array.dtype}")
    return array


def _levels(path: Path) -> tuple[int, ...]:
    found = _array(path)
    levels = [float(level) for level in found.ravel().tolist()]
    rising = all(a < b for a, b in pairwise(levels))
    if found.ndim != 1 or not levels or not rising or not all(n >= 1 and n.is_integer() for n in levels):
        raise ValueError(f"{path}: expected levels, whole numbers of at least 1 that rise, found {levels}")
    return tuple(map(int, levels))


def _columns(path: Path) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read().to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: expected a whole Parquet file ({error})") from None


def _from_lines(
    path: Path, columns: Columns, names: tuple[str, ...], *, unit: str | None, seed: str | None, metrics: Sequence[str]
) -> tuple[Columns, tuple[int, ...], Array]:
    """From lines to configs, levels and values; a run that has no line at a level has NaN there."""
    if absent := [name for name in (*names, *filter(None, (unit, seed)), *metrics) if name not in columns]:
        raise ValueError(f"{path}: expected the columns {', '.join(absent)}, found {', '.join(columns)}")
    count = len(columns[metrics[0]])
    level_of, seed_of = columns[unit] if unit else [1] * count, columns[seed] if seed else [0] * count
    configs = list(zip(*(columns[name] for name in names), strict=True))
    rows, seeds = {config: row for row, config in enumerate(dict.fromkeys(configs))}, sorted(set(seed_of))
    levels = sorted(set(level_of))
    if not count or not all(isinstance(n, int | float) and n >= 1 and float(n).is_integer() for n in levels):
        raise ValueError(f"{path}: expected lines with whole numbers of at least 1 as {unit}, found {levels[:5]}")
    values = np.full((len(rows), len(seeds), len(levels), len(metrics)), np.nan)
    seen: set[tuple[int, int, int]] = set()
    for line, (config, one, level) in enumerate(zip(configs, seed_of, level_of, strict=True)):
        place = rows[config], seeds.index(one), levels.index(level)
        if place in seen:
            raise ValueError(f"{path}, line {line}: the same config, seed and level stand there twice")
        seen.add(place)
        said = [columns[metric][line] for metric in metrics]
        values[place] = [np.nan if value is None else value for value in said]
    firsts = {name: [config[place] for config in rows] for place, name in enumerate(names)}
    return firsts, tuple(map(int, levels)), values


# -- spaces ------------------------------------------------------------------------------------------------------------


def _space(path: Path, declared: Mapping[str, Any], table: Path, columns: Columns) -> tuple[Space, tuple[Config, ...]]:
    """The space in a file, and the configs in the columns of another; what has one value is a constant of the space."""
    if absent := [name for name in declared if name not in columns]:
        raise ValueError(f"{table}: expected the columns {', '.join(absent)}, found {', '.join(columns)}")
    hyperparameters = {name: _domain(path, name, plain) for name, plain in declared.items()}
    own: dict[str, list[Any]] = {}
    for name, written in hyperparameters.items():
        found = columns[name]
        domain = _as_found(written, found) if isinstance(written, Ordinal | Choice) else written
        hyperparameters[name] = domain
        if isinstance(domain, Ordinal | Choice):
            values: dict[Any, Value] = {value: value for value in domain.values}
            own[name] = [values.get(value, value) for value in found]
        elif isinstance(domain, Integer):
            own[name] = [int(v) if isinstance(v, float) and v.is_integer() else v for v in found]
        elif isinstance(domain, Float):
            own[name] = list(found)
        elif others := [row for row, value in enumerate(found) if value != domain]:
            raise ValueError(f"{table}, row {others[0]}: {name} is always {domain!r}, found {found[others[0]]!r}")
    space = Space(hyperparameters)
    configs = tuple(dict(zip(own, values, strict=True)) for values in zip(*own.values(), strict=True))
    seen: dict[tuple[object, ...], int] = {}
    for row, config in enumerate(configs):
        try:
            space.check(config)
        except ValueError as error:
            raise ValueError(f"{table}, row {row}: {error}") from None
        if (before := seen.setdefault(space.key(config), row)) != row:
            raise ValueError(f"{table}, row {row}: the same config as in row {before}")
    return space, configs


def _as_found(domain: Ordinal | Choice, found: Sequence[Any]) -> Ordinal | Choice:
    """The domain with its numbers as they stand in the table, where both are equal but for rounding."""
    there = {value for value in found if isinstance(value, float) and value not in domain.values}

    def near(value: Value) -> Value:
        if isinstance(value, float):
            return next((one for one in there if abs(one - value) <= NEAR * abs(value)), value)
        return value

    return replace(domain, values=tuple(map(near, domain.values)))


def _float(own: Mapping[str, Any], law: str) -> Float:
    # A reversed logarithm is written as a logarithm, too: only that one can begin at 0.
    scale = "linear" if law == "Uniform" else "log" if own["lower"] > 0 else "reverse_log"
    return Float(float(own["lower"]), float(own["upper"]), scale)


def _finite_range(own: Mapping[str, Any], law: str) -> Ordinal:
    spread = logfinrange if own["log_scale"] else finrange
    return spread(own["lower"], own["upper"], own["size"], own["cast_int"])


DOMAINS: dict[str, Callable[[Mapping[str, Any], str], Domain]] = {
    "Float": _float,
    "Integer": lambda own, law: Integer(int(own["lower"]), int(own["upper"]), log=law == "LogUniform"),
    "Categorical": lambda own, law: choice(own["categories"]),
    "Ordinal": lambda own, law: ordinal(own["categories"]),
    "OrdinalNearestNeighbor": lambda own, law: Ordinal(
        tuple(own["categories"]), "log" if own["log_scale"] else "linear"
    ),
    "FiniteRange": _finite_range,
}
"""From what Syne Tune writes of a domain, its arguments and the law of its values, to ours."""


def _domain(path: Path, name: str, plain: Any) -> Domain | Value:
    """What Syne Tune's description of a hyperparameter means here; with one value only it is that value."""
    if not isinstance(plain, dict):
        return plain
    kind, law = plain.get("domain_cls"), plain.get("sampler_cls", "Uniform")
    own: dict[str, Any] = plain.get("domain_kwargs", {})
    ends: list[Any] = own.get("categories") or [own.get("lower"), own.get("upper")]
    try:
        if kind not in DOMAINS:
            raise ValueError(f"it is a {kind!r}; possible are {', '.join(DOMAINS)}")
        if law not in LAWS:
            raise ValueError(f"its values are drawn by {law!r}; possible are {', '.join(LAWS)}")
        return ends[0] if ends[0] is not None and len(set(ends)) == 1 else DOMAINS[kind](own, law)
    except (KeyError, TypeError, ValueError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path}: hyperparameter {name!r}: {why}") from None
