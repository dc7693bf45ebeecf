"""From measured runs to a table: one curve a config and seed, and a clean time column.

Runs are measured side by side on a machine that does other things too, so their wall time is noise. What a level
costs is its processor time, which for one thread alone is nearly the same; the part of it that was training is told by
the script's own laps; a run that had a GPU for itself is told by those laps alone. The table's seconds are a fit to
that, a + b / batch_size (a step has a fixed cost, and there are 1 / batch_size as many) or what the problem declares:
to the runs of the part `timing`, measured alone, where there are any, else to all i.i.d. ones. The fit, what it stands
on, and its residual spread are kept in `made`.

A metric called `seconds` is that column itself. Where a level is a fresh training, its own seconds are fitted, and a
table can be assembled from those of its levels (`assembled`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.space import Config
from harness.types import Benchmark, End, Fidelity
from surrogates import terms
from surrogates.table import ENDS, IID, TableData
from surrogates.terms import Terms

TIMINGS = {"tokens_per_second", "diverged"}
SECONDS = "seconds"
"""The metric that a table replaces by its time column."""
Array = NDArray[np.float64]
Runs = dict[tuple[str, int], dict[int, Mapping[str, Any]]]


def rows_of(entries: Iterable[Mapping[str, Any]]) -> Runs:
    """The runs that give rows, by (part, index) in their order, then by seed; what failed is left out."""
    runs: Runs = {}
    for entry in entries:
        if "curve" in entry and entry["end"] != "failed" and entry["part"] != "timing":
            runs.setdefault((entry["part"], entry["index"]), {})[entry["seed"]] = entry
    return dict(sorted(runs.items()))


def table_of(benchmark: Benchmark, entries: Iterable[Mapping[str, Any]], time: Terms | None = None) -> TableData:
    """The table of a benchmark from the lines that `tabulate` wrote: machines, choices and runs.

    time: the declared terms of a level's seconds. Runs that failed are counted in `made` and left out; a run diverged
    at the first level where an objective is not finite, whether its script says so or goes on. ValueError where no run
    is whole, and where one lacks a metric, leaves out a level or reports one twice.
    """
    entries = list(entries)
    rows = rows_of(entries)
    measured = [entry for entry in entries if "curve" in entry]
    failed = sum(entry["end"] == "failed" for entry in measured)
    if not rows:
        raise ValueError(f"no whole run of {benchmark.name!r} to make a table of ({failed} failed)")
    seeds = tuple(sorted({seed for by_seed in rows.values() for seed in by_seed}))
    metrics, constants = _metrics(benchmark, rows)
    shape = (len(rows), len(seeds), len(benchmark.fidelity.levels))
    values = np.full((*shape, len(metrics)), np.nan)
    ends = np.full(shape[:2], -1, dtype=np.int8)
    lengths = np.zeros(shape[:2], dtype=int)
    for row, by_seed in enumerate(rows.values()):
        for seed, run in by_seed.items():
            place = (row, seeds.index(seed))
            curve = _numbers(run["curve"], benchmark.fidelity.unit)
            _check_levels(benchmark.fidelity, run, curve)
            finite = np.isfinite([curve[objective.metric] for objective in benchmark.objectives]).all(axis=0)
            lost = np.flatnonzero(~finite)
            length = int(lost[0]) + 1 if len(lost) else len(curve[benchmark.fidelity.unit])
            lengths[place] = length
            values[place][:length] = np.column_stack([curve[metric][:length] for metric in metrics])
            ends[place] = ENDS.index(End.DIVERGED if len(lost) else End(run["end"]))
    configs = tuple(dict(next(iter(by_seed.values()))["config"]) for by_seed in rows.values())
    whole = [run for run in measured if run["end"] != "failed"]
    alone = [run for run in whole if run["part"] == "timing"]
    timed = alone or [run for run in whole if run["part"] == IID] or whole
    fitted, fit = _level_seconds(benchmark, timed, configs, time or {})
    fit["measured"] = f"{len(timed)} runs, {'each alone on the machine' if alone else 'side by side'}"
    seconds = np.where(np.arange(1, shape[2] + 1) <= lengths[..., None], fitted[:, None], np.nan)
    if SECONDS in metrics:
        values[..., metrics.index(SECONDS)] = seconds
    machines: list[Any] = []
    for entry in entries:
        if "machine" in entry and entry["machine"] not in machines:
            machines.append(entry["machine"])
    made = {
        "how": f"trained for real, `python -m harness tabulate {benchmark.name}`",
        "runs": sum(len(by_seed) for by_seed in rows.values()),
        "failed": failed,
        "machines": machines,
        "constants": constants,
        "time": fit,
    }
    parts = tuple(part for part, _ in rows)
    return TableData(benchmark, configs, parts, seeds, metrics, values, seconds, ends, made)


def assembled(benchmark: Benchmark, tables: Mapping[int, TableData]) -> TableData:
    """The table of a benchmark whose levels are fresh trainings, from a table of each level: its last level is taken.

    A row is a config that all tables hold, a curve a seed that was measured in all; one that diverged at a level ends
    there. ValueError where a level has no table, spaces or metrics differ, or nothing is common to all.
    """
    levels = benchmark.fidelity.levels
    first = tables[levels[0]]
    for level in levels:
        data = tables[level]
        if data.benchmark.space != benchmark.space or data.metrics != first.metrics:
            raise ValueError(f"the table of {benchmark.fidelity.unit} {level} has another space, or other metrics")
    row_of = {level: {benchmark.space.key(c): row for row, c in enumerate(tables[level].configs)} for level in levels}
    common = [row for key, row in row_of[levels[0]].items() if all(key in rows for rows in row_of.values())]
    seeds = tuple(seed for seed in first.seeds if all(seed in data.seeds for data in tables.values()))
    keys = [benchmark.space.key(first.configs[row]) for row in common]
    last: list[tuple[Array, Array, NDArray[np.int8]]] = []
    for level in levels:
        data = tables[level]
        chosen = np.ix_([row_of[level][key] for key in keys], [data.seeds.index(seed) for seed in seeds])
        at = np.maximum(data.lengths()[chosen] - 1, 0)[..., None]
        values = np.take_along_axis(data.values[chosen], at[..., None], axis=2)[:, :, 0]
        last.append((values, np.take_along_axis(data.seconds[chosen], at, axis=2)[:, :, 0], data.ends[chosen]))
    values, seconds, ends = (np.stack(parts, axis=2) for parts in zip(*last, strict=True))
    complete, diverged = ends == ENDS.index(End.COMPLETE), ends == ENDS.index(End.DIVERGED)
    reached = np.cumprod(np.insert(complete[..., :-1], 0, True, axis=2), axis=2).astype(bool)
    measured = ~(reached & ~complete & ~diverged).any(axis=2)
    rows = np.flatnonzero(measured.any(axis=1))
    if not len(rows):
        raise ValueError(f"no config and seed was measured at every {benchmark.fidelity.unit} of {benchmark.name!r}")
    reached &= measured[..., None]
    end = np.where((reached & diverged).any(axis=2), ENDS.index(End.DIVERGED), ENDS.index(End.COMPLETE))
    return TableData(
        benchmark,
        tuple(first.configs[common[row]] for row in rows),
        tuple(first.parts[common[row]] for row in rows),
        seeds,
        first.metrics,
        np.where(reached[..., None], values, np.nan)[rows],
        np.where(reached, seconds, np.nan)[rows],
        np.where(measured, end, -1)[rows].astype(np.int8),
        {
            "how": "assembled from the last levels of " + ", ".join(data.benchmark.name for data in tables.values()),
            "machines": first.made.get("machines", []),
            "tables": {data.benchmark.name: data.digest() for data in tables.values()},
            "time": _times(f"at each {benchmark.fidelity.unit}", [data.made["time"] for data in tables.values()]),
        },
    )


def _times(where: str, fits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the fits of several levels' seconds stand on, and the error of the worst."""
    errors = [fit["median_error"] for fit in fits]
    return {
        "fit": " and ".join(dict.fromkeys(fit["fit"] for fit in fits)) + f", {where} its own",
        "measured": " and ".join(dict.fromkeys(fit["measured"] for fit in fits)) + f" {where}",
        "median_error": None if None in errors else max(errors),
    }


def _numbers(curve: Mapping[str, Any], unit: str) -> dict[str, Array]:
    """The metrics of a run as arrays over its levels; what was the same at each was stored once."""
    levels = len(_listed(curve[unit]))
    return {
        name: np.array([float(v) for v in column] if isinstance(column, list) else [float(column)] * levels)
        for name, column in curve.items()
    }


def _check_levels(fidelity: Fidelity, run: Mapping[str, Any], curve: Mapping[str, Array]) -> None:
    """Refuse a run that left out a level, or reported one twice: all after it would stand at levels of others."""
    reported = np.broadcast_to(curve[fidelity.unit], max(map(len, curve.values()))).tolist()
    if reported != list(fidelity.levels[: len(reported)]):
        said = ", ".join(f"{level:g}" for level in reported)
        raise ValueError(
            f"{_named(run)} reported {fidelity.unit} {said}: a run reports its levels, {fidelity.span}, from the first "
            "on, none left out and none twice"
        )


def _named(run: Mapping[str, Any]) -> str:
    return f"{run['part']} {run['index']}, seed {run['seed']},"


def _metrics(benchmark: Benchmark, rows: Runs) -> tuple[tuple[str, ...], dict[str, float]]:
    """The names of what varies along a curve or between them and is no timing, and what is the same in all runs.

    ValueError where a run lacks what an objective or another run has.
    """
    runs = [run for by_seed in rows.values() for run in by_seed.values()]
    unit, needed = benchmark.fidelity.unit, [objective.metric for objective in benchmark.objectives]
    said = dict.fromkeys(name for run in runs for name in run["curve"])
    names = [n for n in said if not n.endswith("_seconds") and n not in TIMINGS and n != unit]
    for run in runs:
        if lacking := [name for name in dict.fromkeys((unit, *needed, *names)) if name not in run["curve"]]:
            known = f"objectives of {benchmark.name!r} or other runs have"
            raise ValueError(f"{_named(run)} reported no {', '.join(lacking)}, which {known}")
    # A run of one level has a list of one number where others have a number.
    values = {n: {value for run in runs for value in _listed(run["curve"][n])} for n in names if n not in needed}
    constants = {name: found.pop() for name, found in values.items() if len(found) == 1}
    return tuple(name for name in names if name not in constants), constants


def _listed(column: Any) -> list[Any]:
    """What was stored of a metric as a list: what was the same at each level is one number there."""
    return column if isinstance(column, list) else [column]


def _level_seconds(
    benchmark: Benchmark, timed: Sequence[Mapping[str, Any]], configs: Sequence[Config], declared: Terms
) -> tuple[Array, dict[str, Any]]:
    """Seconds at each level of each config by a fit to the timed runs, shape (rows, levels), and the fit.

    Cumulative where the fidelity continues, as a level then costs what another does.
    """
    fidelity = benchmark.fidelity
    named = _terms(benchmark, declared)
    powers = [*named.values()]
    places: list[Config] = []
    measured: list[float] = []
    whose: list[int] = []
    for number, run in enumerate(timed):
        curve = _numbers(run["curve"], fidelity.unit)
        own = _own_seconds(run, curve, fidelity)
        if not fidelity.continues:
            places += [{**run["config"], fidelity.unit: level} for level in curve[fidelity.unit].tolist()]
            measured += own.tolist()
            whose += [number] * len(own)
        elif len(own):
            places.append(run["config"])
            measured.append(float(np.median(own)))
            whose.append(number)
    if not measured:
        raise ValueError(f"no run of {benchmark.name!r} has two levels: nothing tells what one takes")
    features, seconds = terms.products(powers, places), np.array(measured)
    fit, kept = _fitted_twice(features, seconds)
    residuals = np.log(seconds / (features @ fit))
    levels = fidelity.levels
    if fidelity.continues:
        fitted = (terms.products(powers, configs) @ fit)[:, None] * np.arange(1, len(levels) + 1)
    else:
        there = [[{**config, fidelity.unit: level} for config in configs] for level in levels]
        fitted = np.column_stack([terms.products(powers, places) @ fit for places in there])
    unit = "an epoch" if fidelity.unit == "epoch" else f"a {fidelity.unit}"
    clock = "the clock, each on a GPU of its own" if any("device" in run for run in timed) else "processor time"
    coefficients = dict(zip(named, map(float, fit), strict=True))
    return fitted, {
        "fit": f"seconds of {unit} = {' + '.join(_spelt(*term) for term in named.items())}, from {clock}",
        **coefficients,
        "residual_spread": round(float(np.std(residuals[kept])), 9),
        "median_error": _error_of_others(features, seconds, np.array(whose)),
    }


def _fitted_twice(features: Array, seconds: Array) -> tuple[Array, NDArray[np.bool_]]:
    """The coefficients of products, in relative terms, and which runs they stand on: none that was thrown far off."""
    fit = terms.relative_fit(features, seconds)
    residuals = np.log(seconds / (features @ fit))
    centred = np.abs(residuals - np.median(residuals))
    kept = centred <= 3 * np.median(centred)
    return terms.rounded(terms.relative_fit(features[kept], seconds[kept])), kept


def _error_of_others(features: Array, seconds: Array, whose: NDArray[np.intp]) -> float | None:
    """How far a run lies from what all others tell of it, the median; None where there is one run.

    The fit to all of them says less: with as many terms as runs it would err nowhere.
    """
    if len(set(whose.tolist())) < 2:
        return None
    errors: list[Array] = []
    for run in np.unique(whose):
        left = whose == run
        fit, _ = _fitted_twice(features[~left], seconds[~left])
        errors.append(np.abs(np.log(seconds[left] / (features[left] @ fit))))
    return round(float(np.median(np.concatenate(errors))), 9)


def _terms(benchmark: Benchmark, declared: Terms) -> Terms:
    """What the seconds of a level are a sum of: names to powers of hyperparameters, and of a fresh training's level."""
    fidelity, space = benchmark.fidelity, benchmark.space
    level = () if fidelity.continues else (fidelity.unit,)
    terms.check(declared, space, f"the time of {benchmark.name!r}", *level)
    if declared:
        return {"a": {}} | dict(declared)
    usual = {"a": {}, "b": {"batch_size": -1}, "c": {fidelity.unit: 1}}
    known = {*terms.numbers(space), *level}
    return {name: powers for name, powers in usual.items() if powers.keys() <= known}


def _spelt(name: str, powers: Mapping[str, float]) -> str:
    """A term as one reads it: `b / batch_size`."""
    text = name
    for factor, power in powers.items():
        text += f" {'/' if power < 0 else '*'} {factor}" + ("" if abs(power) == 1 else f"^{abs(power):g}")
    return text


def _own_seconds(run: Mapping[str, Any], curve: Mapping[str, Array], fidelity: Fidelity) -> Array:
    """What each level of a run took; where the fidelity continues, all but the first, which has start-up in it.

    A script's laps are wall time, so on a processor they only tell which part of its time was training.
    """
    laps, gpu = curve.get("train_seconds"), "device" in run
    if SECONDS in curve:
        own = np.diff(curve[SECONDS], prepend=0.0) if fidelity.continues else curve[SECONDS]
    elif laps is None:
        own = np.diff(curve["clock_seconds" if gpu else "cpu_seconds"], prepend=0.0)
    elif gpu:
        own = laps
    elif fidelity.continues:
        own = np.diff(curve["cpu_seconds"], prepend=0.0) * (laps / (laps + curve.get("eval_seconds", 0.0)))
    else:
        own = laps * (curve["cpu_seconds"][-1] / float(run["wall_seconds"]))
    return own[1:] if fidelity.continues and len(fidelity.levels) > 1 else own
