"""From measured runs to a table: one curve a config and seed, and a clean time column.

Runs are measured side by side on a machine that does other things too, so their wall time is noise. What an epoch
costs is its processor time, which for one thread alone is nearly the same; the part of it that was training is told by
the script's own laps. The table's seconds are a fit to that, a + b / batch_size (a step has a fixed cost, and there
are 1 / batch_size as many): to the runs of the part `timing`, measured alone, where there are any, else to all. The
fit, what it stands on, and its residual spread are kept in `made`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.types import Benchmark, End
from surrogates.table import ENDS, TableData

TIMINGS = {"tokens_per_second", "diverged"}
Array = NDArray[np.float64]


def table_of(benchmark: Benchmark, entries: Iterable[Mapping[str, Any]]) -> TableData:
    """The table of a benchmark from the lines that `tabulate` wrote: machines and runs.

    Runs that failed are counted in `made` and left out. ValueError where no run is whole.
    """
    machines: list[Any] = []
    runs: dict[tuple[str, int], dict[int, Mapping[str, Any]]] = {}
    alone: list[Mapping[str, Any]] = []
    failed = 0
    for entry in entries:
        if "machine" in entry:
            if entry["machine"] not in machines:
                machines.append(entry["machine"])
        elif entry["end"] == "failed":
            failed += 1
        elif entry["part"] == "timing":
            alone.append(entry)
        else:
            runs.setdefault((entry["part"], entry["index"]), {})[entry["seed"]] = entry
    if not runs:
        raise ValueError(f"no whole run of {benchmark.name!r} to make a table of ({failed} failed)")
    rows = dict(sorted(runs.items()))
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
            lengths[place] = length = len(curve[benchmark.fidelity.unit])
            values[place][:length] = np.column_stack([curve[metric] for metric in metrics])
            ends[place] = ENDS.index(End(run["end"]))
    configs = tuple(dict(next(iter(by_seed.values()))["config"]) for by_seed in rows.values())
    timed = alone or [run for by_seed in rows.values() for run in by_seed.values()]
    epoch, time = _epoch_seconds(benchmark, timed, configs)
    time["measured"] = f"{len(timed)} runs, {'each alone on the machine' if alone else 'side by side'}"
    levels = np.arange(1, shape[2] + 1)
    seconds = np.where(levels <= lengths[..., None], epoch[:, None, None] * levels, np.nan)
    made = {
        "how": f"trained for real, `python -m harness tabulate {benchmark.name}`",
        "runs": sum(len(by_seed) for by_seed in rows.values()),
        "failed": failed,
        "machines": machines,
        "constants": constants,
        "time": time,
    }
    parts = tuple(part for part, _ in rows)
    return TableData(benchmark, configs, parts, seeds, metrics, values, seconds, ends, made)


def _numbers(curve: Mapping[str, Any], unit: str) -> dict[str, Array]:
    """The metrics of a run as arrays over its levels; what was the same at each was stored once."""
    levels = curve[unit] if isinstance(curve[unit], list) else [curve[unit]]
    return {
        name: np.array([float(v) for v in column] if isinstance(column, list) else [float(column)] * len(levels))
        for name, column in curve.items()
    }


def _metrics(
    benchmark: Benchmark, rows: Mapping[Any, Mapping[int, Mapping[str, Any]]]
) -> tuple[tuple[str, ...], dict[str, float]]:
    """The names of what varies along a curve and is no timing, and what is the same in all runs."""
    curves = [run["curve"] for by_seed in rows.values() for run in by_seed.values()]
    names = [n for n in curves[0] if not n.endswith("_seconds") and n not in TIMINGS and n != benchmark.fidelity.unit]
    constants = {
        n: curves[0][n]
        for n in names
        if all(c[n] == curves[0][n] for c in curves) and not isinstance(curves[0][n], list)
    }
    return tuple(name for name in names if name not in constants), constants


def _epoch_seconds(
    benchmark: Benchmark, timed: Sequence[Mapping[str, Any]], configs: tuple[Mapping[str, Any], ...]
) -> tuple[Array, dict[str, Any]]:
    """Seconds that an epoch of each config takes by a fit to the timed runs, shape (rows,), and the fit."""
    measured: list[tuple[float, float]] = []
    for run in timed:
        curve = _numbers(run["curve"], benchmark.fidelity.unit)
        if len(curve["cpu_seconds"]) > 1:
            share = curve["train_seconds"] / (curve["train_seconds"] + curve["eval_seconds"])
            epochs = (np.diff(curve["cpu_seconds"]) * share[1:]).tolist()
            measured.append((_per_step(run["config"]), float(np.median(epochs))))
    points = np.array(measured)
    features = np.column_stack([np.ones(len(points)), points[:, 0]])
    # In relative terms, twice: the second time without what a busy machine threw far off.
    fit, residuals = _relative_fit(features, points[:, 1])
    centred = np.abs(residuals - np.median(residuals))
    kept = centred <= 3 * np.median(centred)
    fit, _ = _relative_fit(features[kept], points[kept, 1])
    residuals = np.log(points[:, 1] / (features @ fit))
    seconds = np.array([fit[0] + fit[1] * _per_step(config) for config in configs])
    return seconds, {
        "fit": "seconds of an epoch = a + b / batch_size, from processor time",
        "a": float(fit[0]),
        "b": float(fit[1]),
        "residual_spread": float(np.std(residuals[kept])),
        "median_error": float(np.median(np.abs(residuals))),
    }


def _relative_fit(features: Array, seconds: Array) -> tuple[Array, Array]:
    """Least squares in relative terms: the coefficients, and the logarithms of measured over fitted."""
    fit = np.asarray(np.linalg.lstsq(features / seconds[:, None], np.ones(len(seconds)), rcond=None)[0], np.float64)
    return fit, np.log(seconds / (features @ fit))


def _per_step(config: Mapping[str, Any]) -> float:
    return 1 / float(config["batch_size"]) if "batch_size" in config else 0.0
