"""A table as regressors need it: features of configs, metrics to model, seconds of levels, and what diverged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.space import Config
from harness.types import Benchmark, End
from surrogates.declared import Declared
from surrogates.features import Features
from surrogates.table import ENDS, KEPT_OUT, TableData
from surrogates.terms import Sum, Terms, check, exact, of_levels, summed

Array = NDArray[np.float64]

FEWEST = 5
"""Configs that a surrogate needs."""
LEFT_DIGITS = 9
"""What the declared terms leave of the logarithm of seconds is kept with so many."""


@dataclass(frozen=True)
class Prepared:
    """A table as regressors need it: n configs, s seeds.

    rows: where the n stand in the table; x: (n, d); first: the place of the first objective among the modelled;
    values: (n, s, levels, modelled), NaN where not measured; measured and diverged: (n, s); sums: the metrics that are
    one of declared terms; pace: the sum of those that are declared of a level's time, empty where none are; seconds:
    (n, levels), the logarithms of each level's own, over the pace where there is one, NaN for a config of which no run
    was whole.
    """

    features: Features
    rows: NDArray[np.intp]
    x: Array
    metrics: tuple[str, ...]
    modelled: tuple[str, ...]
    derived: Mapping[str, tuple[str | None, float]]
    sums: Mapping[str, Sum]
    pace: Sum
    first: int
    signs: Array
    values: Array
    measured: NDArray[np.bool_]
    diverged: NDArray[np.bool_]
    seconds: Array

    @property
    def good(self) -> NDArray[np.bool_]:
        """Which runs teach a curve, (n, s): those that were measured and did not diverge."""
        return self.measured & ~self.diverged


def prepared(data: TableData, declared: Declared) -> Prepared:
    """What there is to learn in a table; ValueError where curves end early without having diverged, or are too few.

    A run diverged where the table says so, where its final loss is above the one declared, or a metric is infinite.
    """
    benchmark = data.benchmark
    rows = np.array([row for row, part in enumerate(data.parts) if part not in KEPT_OUT], dtype=np.intp)
    configs = [data.configs[row] for row in rows]
    features = Features.over(benchmark.space, declared.products, configs)
    ends, values, name = data.ends[rows], data.values[rows], benchmark.objectives[0].metric
    early = np.argwhere(ends == ENDS.index(End.EARLY))
    if len(early):
        raise ValueError(
            f"{len(early)} curves of {benchmark.name!r} end early (the first is of row {rows[early[0][0]]}): a "
            "surrogate is fitted to whole curves"
        )
    measured = ends >= 0
    odd = (ends == ENDS.index(End.DIVERGED)) | ~np.isfinite(values).all(axis=(2, 3))
    with np.errstate(invalid="ignore"):
        diverged = measured & (odd | (data.final_losses()[rows] > declared.diverged))
    whole = int((measured & ~diverged).any(axis=1).sum())
    if whole < FEWEST:
        raise ValueError(
            f"{whole} of the {len(rows)} configs of {benchmark.name!r} have a run that did not diverge: a surrogate "
            f"needs {FEWEST}"
        )
    seconds = data.seconds[rows]
    steps = np.diff(seconds, axis=2, prepend=0.0) if benchmark.fidelity.continues else seconds
    # Seeds differ in nothing that takes time; a run that diverged may lack the last levels, not all of them do.
    logarithms = mean_over(np.log(steps), measured & np.isfinite(steps).all(axis=2))
    pace = _pace(benchmark, declared, configs, logarithms)
    if pace:
        # What is left is nothing where the table's own seconds are such a sum.
        logarithms = (logarithms - np.log(summed(pace, configs))).round(LEFT_DIGITS)
    sums = {name: _sum(data, rows, name, terms) for name, terms in declared.metrics.items()}
    modelled, derived = _derived(data, rows, sums)
    up = {objective.metric for objective in benchmark.objectives if objective.maximize}
    if name in up and benchmark.test_metric is not None:
        up.add(benchmark.test_metric)
    return Prepared(
        features=features,
        rows=rows,
        x=features.of(configs),
        metrics=data.metrics,
        modelled=modelled,
        derived=derived,
        sums=sums,
        pace=pace,
        first=modelled.index(name),
        signs=np.array([-1.0 if metric in up else 1.0 for metric in modelled]),
        values=values[..., [data.metrics.index(metric) for metric in modelled]],
        measured=measured,
        diverged=diverged,
        seconds=logarithms,
    )


def mean_over(values: Array, chosen: NDArray[np.bool_]) -> Array:
    """The means over seeds (n, ...) of values (n, s, ...) where chosen (n, s); NaN where none is."""
    weights = chosen.reshape(*chosen.shape, *([1] * (values.ndim - 2)))
    total = np.where(weights, values, 0.0).sum(axis=1)
    count = weights.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _pace(benchmark: Benchmark, declared: Declared, configs: Sequence[Config], logarithms: Array) -> Sum:
    """The sum of declared terms that comes nearest to the seconds of each level, given as logarithms (n, levels)."""
    if not declared.time:
        return []
    level = () if benchmark.fidelity.continues else (benchmark.fidelity.unit,)
    check(declared.time, benchmark.space, f"the time of {benchmark.name!r}", *level)
    known = np.flatnonzero(np.isfinite(logarithms).all(axis=1))
    return of_levels(declared.time, [configs[row] for row in known.tolist()], np.exp(logarithms[known]))


def _sum(data: TableData, rows: NDArray[np.intp], name: str, terms: Terms) -> Sum:
    """The sum of declared terms that a metric is; ValueError where it is none, or is what methods minimise first."""
    others = [metric for metric in data.metrics if metric != data.benchmark.objectives[0].metric]
    if name not in others:
        raise ValueError(f"terms of {name!r} are declared; only of {', '.join(others)} they can be")
    check(terms, data.benchmark.space, repr(name))
    column = data.values[rows][..., data.metrics.index(name)]
    return exact(name, terms, [data.configs[row] for row in rows], column.reshape(len(rows), -1))


def _derived(
    data: TableData, rows: NDArray[np.intp], sums: Mapping[str, Sum]
) -> tuple[tuple[str, ...], dict[str, tuple[str | None, float]]]:
    """Which metrics are modelled, and which are another one, or the seconds (None), times a factor; sums are neither.

    The first objective is always modelled.
    """
    modelled: list[str] = []
    derived: dict[str, tuple[str | None, float]] = {}
    sources: dict[str | None, Array] = {None: data.seconds[rows]}
    values, wanted = data.values[rows], [objective.metric for objective in data.benchmark.objectives]
    for name in (name for name in dict.fromkeys((*wanted, *data.metrics)) if name not in sums):
        column = values[..., data.metrics.index(name)]
        for source, known in sources.items() if name != wanted[0] else ():
            with np.errstate(invalid="ignore", divide="ignore"):
                ratios = (column / known)[np.isfinite(column) & np.isfinite(known)]
            if len(ratios) and np.isfinite(ratios).all() and np.ptp(ratios) <= 1e-5 * abs(np.median(ratios)):
                derived[name] = (source, float(np.median(ratios)))
                break
        else:
            modelled.append(name)
            sources[name] = column
    return tuple(name for name in data.metrics if name in modelled), derived
