"""syne_tune:PATH: any blackbox in the layout of Syne Tune's repository on disk, replayed number by number.

`syne_tune:blackboxes/fcnet:task=protein_structure` is one task of the blackbox in the folder `blackboxes/fcnet`. What
else may follow, each `:option=value`:

- task: by its name; left out where there is only one;
- minimize, maximize: a metric of the blackbox as an objective; given more than once, there are several. Left out where
  the folder names a default metric that Syne Tune itself publishes, whose direction is known;
- test: a metric that no method sees;
- seconds: the metric that holds the seconds since the start of a run, by default the one that the folder names; or a
  number: so many a level, as a model;
- missing: `refuse` (the default), or `early`: a run without numbers at its last levels ended there by plan, or
  `diverged`: it diverged there. What has no numbers at all was not measured and is left out.

The layout has neither licence nor citation. Every metric is kept, the seconds among them.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.space import Choice, Ordinal
from harness.types import Benchmark, CurveModel, End, Fidelity, Objective
from surrogates._converted import Grid, places_of
from surrogates._on_disk import parsed
from surrogates._syne_tune import Blackbox, read
from surrogates.table import ENDS, Table, TableData

BENCHMARKS: tuple[Benchmark, ...] = ()
OPTIONS = ("task", "minimize", "maximize", "test", "seconds", "missing")
PUBLISHED = {
    "metric_valid_loss": False,
    "metric_valid_error": False,
    "metric_valid_error_rate": False,
    "val_accuracy": True,
}
"""Whether to maximize the default metrics of FCNet, NAS-Bench-201, PD1 and LCBench, as Syne Tune declares them."""
DIRECTIONS = ("minimize", "maximize")
POLICIES = ("refuse", "early", "diverged")
WORKERS, TRAININGS = 4, 40

Array = NDArray[np.float64]


class Named(NamedTuple):
    """What a benchmark's name says."""

    folder: Path
    options: dict[str, str]
    objectives: tuple[Objective, ...]


def named(name: str) -> Benchmark:
    """The benchmark of a task, `syne_tune:PATH:task=NAME`."""
    return load(name).benchmark


@cache
def load(name: str) -> CurveModel:
    """The table of a task, `syne_tune:PATH:task=NAME`; ValueError with file and reason where it cannot be trusted."""
    given = _named(name)
    box = read(given.folder, given.options.get("task"))
    objectives = given.objectives or _published(name, box)
    for metric in (*(one.metric for one in objectives), *filter(None, [given.options.get("test")])):
        if metric not in box.metrics:
            raise ValueError(f"{name}: there is no metric {metric!r}; there are {', '.join(box.metrics)}")
    seconds, how = _seconds(name, box, given.options.get("seconds"))
    policy = given.options.get("missing", "refuse")
    values, seconds, ends = _ended(name, box, seconds, policy)
    kept = np.flatnonzero((ends >= 0).any(axis=1))
    if not len(kept):
        raise ValueError(f"{name}: expected runs, found numbers for none of {len(ends)} configs")
    full = float(np.median(np.nanmax(seconds[ends >= 0], axis=1)))
    benchmark = Benchmark(
        f"syne_tune_{given.folder.resolve().name}_{box.task}",
        box.space,
        objectives,
        Fidelity(box.unit, box.levels),
        budget=TRAININGS * full / WORKERS,
        workers=WORKERS,
        test_metric=given.options.get("test"),
    )
    made = {
        "source": f"task {box.task!r} of the folder {given.folder.resolve().name!r}, as Syne Tune keeps blackboxes",
        "missing": policy,
        "left_out": len(ends) - len(kept),
        "seconds": how,
    }
    if (ends == ENDS.index(End.COMPLETE)).all() and (order := _grid_order(box)) is not None:
        return Grid(
            benchmark,
            metrics=box.metrics,
            seeds=range(values.shape[1]),
            values=values[order],
            seconds=seconds[order],
            ends=ends[order],
            made=made,
        ).check(name)
    data = TableData(
        benchmark=benchmark,
        configs=tuple(box.configs[row] for row in kept),
        parts=("iid",) * len(kept),
        seeds=tuple(range(values.shape[1])),
        metrics=box.metrics,
        values=values[kept],
        seconds=seconds[kept],
        ends=ends[kept],
        made=made,
    )
    data.check(name)
    return Table(data)


def _named(name: str) -> Named:
    folder, given = parsed(name, OPTIONS)
    options = dict(given)
    if options.get("missing", "refuse") not in POLICIES:
        raise ValueError(f"{name}: missing must be one of {', '.join(POLICIES)}, found {options['missing']!r}")
    objectives = [Objective(metric, maximize=way == "maximize") for way, metric in given if way in DIRECTIONS]
    return Named(folder, options, tuple(objectives))


def _published(name: str, box: Blackbox) -> tuple[Objective, ...]:
    metric = box.metadata.get("metric_default")
    if metric not in PUBLISHED:
        said = f"metadata.json names {metric!r}, no metric" if metric else "metadata.json names no metric_default"
        raise ValueError(
            f"{name}: {said} whose direction is known: add :minimize=METRIC or :maximize=METRIC, one of "
            f"{', '.join(box.metrics)}"
        )
    return (Objective(metric, maximize=PUBLISHED[metric]),)


def _seconds(name: str, box: Blackbox, given: str | None) -> tuple[Array, str]:
    """Seconds since the start of each run, shape (configs, seeds, levels), and where they come from."""
    metric = given or box.metadata.get("metric_elapsed_time")
    if metric in box.metrics:
        return box.values[..., box.metrics.index(str(metric))].copy(), f"measured: the metric {metric}"
    try:
        each = float(metric or "")
    except ValueError:
        each = math.nan
    if not (math.isfinite(each) and each > 0):
        said = f"there is no metric {metric!r}" if metric else "metadata.json names no metric_elapsed_time"
        raise ValueError(
            f"{name}: {said}: add :seconds=METRIC with the seconds since the start of a run, one of "
            f"{', '.join(box.metrics)}, or :seconds=NUMBER, so many a level"
        )
    levels = np.array(box.levels, dtype=np.float64)
    return np.broadcast_to(each * levels, box.values.shape[:3]).copy(), f"a model: {each:g} a level"


def _ended(name: str, box: Blackbox, seconds: Array, policy: str) -> tuple[Array, Array, NDArray[np.int8]]:
    """Values, seconds and ends as the declared policy reads them; ValueError for holes that it does not cover."""
    places, count = np.arange(len(box.levels)), len(box.levels)
    timeless = np.isnan(seconds)
    hole = timeless | np.isnan(box.values).any(axis=3)
    first = np.where(hole.any(axis=2), hole.argmax(axis=2), count)
    length = first.copy()
    if policy == "diverged":
        # Where a metric is no number any more but the time at which it was lost is known, that level was reached.
        at = np.minimum(first, count - 1)[..., None]
        length += (first < count) & ~np.take_along_axis(timeless, at, axis=2)[..., 0]
    unmeasured = np.isnan(box.values).all(axis=(2, 3))
    length[unmeasured] = 0
    uncovered = hole if policy == "refuse" else ~hole & (places > first[..., None])
    uncovered |= ((length == 0) & ~unmeasured)[..., None]
    if uncovered.any():
        row, seed, _ = np.argwhere(uncovered)[0]
        level = box.levels[first[row, seed]]
        say = "say what that means with :missing=early or :missing=diverged"
        why = say if policy == "refuse" else f"which :missing={policy} does not cover"
        raise ValueError(f"{name}: row {row}, seed {seed}: a number is missing at {box.unit} {level}; {why}")
    beyond = places >= length[..., None]
    ends = np.full(length.shape, ENDS.index(End.COMPLETE), dtype=np.int8)
    if policy != "refuse":
        ends[first < count] = ENDS.index(End(policy))
        ends[unmeasured] = -1
    if not beyond.any():
        return box.values, seconds, ends
    return np.where(beyond[..., None], np.nan, box.values), np.where(beyond, np.nan, seconds), ends


def _grid_order(box: Blackbox) -> list[int] | None:
    """The row of each config of the space, in the order of a grid; None where the rows are not the whole space."""
    domains = box.space.domains.values()
    if box.space.size != len(box.configs) or not all(isinstance(domain, Ordinal | Choice) for domain in domains):
        return None
    order = [0] * len(box.configs)
    for row, config in enumerate(box.configs):
        order[sum(place[config[name]] for name, place in places_of(box.space).items())] = row
    return order
