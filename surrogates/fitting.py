"""Fit a surrogate to a table: the regressor that predicts held-out configs best, and the noise between seeds.

Regressors are compared by cross-validation over configs, never by what it does to a comparison of methods: each fold
is fitted from the start, scales and components too. Rows of the parts `held_out` and `optimum` are kept from the fit;
a run that diverged teaches only that it did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.randomness import stream
from harness.types import End
from surrogates.declared import Declared
from surrogates.features import Features
from surrogates.noise import Noise
from surrogates.regressors.gaussian_process import GaussianProcess
from surrogates.regressors.nearest import Nearest
from surrogates.regressors.trees import Trees
from surrogates.mean import Mean, Regressor
from surrogates.scales import Components, Scale
from surrogates.surrogate import Failures, Fitted, Surrogate
from surrogates.table import ENDS, KEPT_OUT, TableData

Array = NDArray[np.float64]

FOLDS = 10
Candidate = Callable[[Array, Array], Regressor]
CANDIDATES: dict[str, Candidate] = {
    "nearest": partial(Nearest.fit, k=1),
    "five nearest": partial(Nearest.fit, k=5),
    "trees": Trees.fit,
    "Gaussian process": GaussianProcess.fit,
}
SAMPLE = 10_000
"""Random configs whose expected final losses give the facts of a surrogate."""


@dataclass(frozen=True)
class Prepared:
    """A table as regressors need it: n configs, s seeds.

    rows: where the n stand in the table; x: (n, d); values: (n, s, levels, modelled), NaN where not measured;
    diverged: (n, s), and measured: (n, s), of booleans; seconds: (n, levels), the logarithms of each level's own.
    """

    features: Features
    rows: NDArray[np.intp]
    x: Array
    metrics: tuple[str, ...]
    modelled: tuple[str, ...]
    derived: Mapping[str, tuple[str | None, float]]
    signs: Array
    values: Array
    measured: NDArray[np.bool_]
    diverged: NDArray[np.bool_]
    seconds: Array


def prepared(data: TableData, declared: Declared) -> Prepared:
    """What there is to learn in a table; ValueError where curves end early without having diverged."""
    early = np.argwhere(data.ends == ENDS.index(End.EARLY))
    if len(early):
        raise ValueError(
            f"{len(early)} curves of {data.benchmark.name!r} end early (the first is of row {early[0][0]}): a "
            "surrogate is fitted to whole curves"
        )
    rows = np.array([row for row, part in enumerate(data.parts) if part not in KEPT_OUT], dtype=np.intp)
    configs = [data.configs[row] for row in rows]
    features = Features.over(data.benchmark.space, declared.products, configs)
    measured = data.ends[rows] >= 0
    final = data.final_losses()[rows]
    with np.errstate(invalid="ignore"):
        diverged = measured & ((data.ends[rows] == ENDS.index(End.DIVERGED)) | (final > declared.diverged))
    seconds = data.seconds[rows]
    steps = np.diff(seconds, axis=2, prepend=0.0) if data.benchmark.fidelity.continues else seconds
    # Seeds differ in nothing that takes time; a run that diverged may lack the last levels, not all of them do.
    with np.errstate(invalid="ignore"):
        logarithms = _mean_over(np.log(steps), measured & np.isfinite(steps).all(axis=2))
    modelled, derived = _derived(data, rows)
    maximised = {objective.metric for objective in data.benchmark.objectives if objective.maximize}
    return Prepared(
        features=features,
        rows=rows,
        x=features.of(configs),
        metrics=data.metrics,
        modelled=modelled,
        derived=derived,
        signs=np.array([-1.0 if name in maximised else 1.0 for name in modelled]),
        values=data.values[rows][..., [data.metrics.index(name) for name in modelled]],
        measured=measured,
        diverged=diverged,
        seconds=logarithms,
    )


def _mean_over(values: Array, chosen: NDArray[np.bool_]) -> Array:
    """The means over seeds (n, ...) of values (n, s, ...) where chosen (n, s); NaN where none is."""
    weights = chosen.reshape(*chosen.shape, *([1] * (values.ndim - 2)))
    total = np.where(weights, values, 0.0).sum(axis=1)
    count = weights.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _derived(data: TableData, rows: NDArray[np.intp]) -> tuple[tuple[str, ...], dict[str, tuple[str | None, float]]]:
    """Which metrics are modelled, and which are another one, or the seconds, times a factor."""
    modelled: list[str] = []
    derived: dict[str, tuple[str | None, float]] = {}
    sources: dict[str | None, Array] = {None: data.seconds[rows]}
    wanted = [objective.metric for objective in data.benchmark.objectives]
    for name in sorted(data.metrics, key=lambda name: (name not in wanted, data.metrics.index(name))):
        column = data.values[rows][..., data.metrics.index(name)]
        for source, known in sources.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                ratios = (column / known)[np.isfinite(column) & np.isfinite(known)]
            if len(ratios) and np.isfinite(ratios).all() and np.ptp(ratios) <= 1e-5 * abs(np.median(ratios)):
                derived[name] = (source, float(np.median(ratios)))
                break
        else:
            modelled.append(name)
            sources[name] = column
    return tuple(name for name in data.metrics if name in modelled), derived


def mean_of(data: Prepared, among: NDArray[np.intp], candidate: Candidate) -> Mean:
    """The mean fitted to some of the configs, from the start."""
    good = data.measured & ~data.diverged
    chosen = np.isin(np.arange(len(good)), among)
    taught = np.flatnonzero(chosen & good.any(axis=1) & np.isfinite(data.seconds).all(axis=1))
    scale = Scale.of(data.values[good & chosen[:, None]], data.signs)
    curves = _mean_over(_unbounded(scale, data.values, good), good)[taught].reshape(len(taught), -1)
    components, times = Components.of(curves), Components.of(data.seconds[taught])
    outputs = np.column_stack([components.coefficients(curves), times.coefficients(data.seconds[taught])])
    share = data.diverged[among].sum(axis=1) / data.measured[among].sum(axis=1)
    chance = candidate(data.x[among], share[:, None]) if share.any() else None
    return Mean(scale, components, times, candidate(data.x[taught], outputs), chance)


def _unbounded(scale: Scale, values: Array, chosen: NDArray[np.bool_]) -> Array:
    """Values (n, s, levels, modelled) on the scale where chosen (n, s), NaN elsewhere."""
    unbounded = np.full(values.shape, np.nan)
    unbounded[chosen] = scale.unbounded(values[chosen])
    return unbounded


@dataclass(frozen=True)
class HeldOut:
    """What was predicted of configs that the fit had not seen.

    values: (n, levels, modelled); seconds: (n, levels), of each level; chance: (n,), to diverge; candidate: the name
    of the regressor that predicted best; errors: the mean absolute error of each candidate, on the scale of the first
    objective, over all levels of all configs that did not diverge.
    """

    values: Array
    seconds: Array
    chance: Array
    candidate: str
    errors: Mapping[str, float]


def cross_validated(data: Prepared, objective: str, folds: int = FOLDS) -> HeldOut:
    """Predict every config from folds without it, by each candidate, and keep the best."""
    n, column = len(data.x), data.modelled.index(objective)
    order = np.argsort(stream("folds").random(n), kind="stable")
    fold = np.empty(n, dtype=int)
    fold[order] = np.arange(n) % min(folds, n)
    good = data.measured & ~data.diverged
    scale = Scale.of(data.values[good], data.signs)
    truth = _mean_over(_unbounded(scale, data.values, good), good)[..., column]
    kept = good.any(axis=1)
    best: HeldOut | None = None
    errors: dict[str, float] = {}
    for name, candidate in CANDIDATES.items():
        values = np.empty((n, *data.values.shape[2:]))
        seconds, chance = np.empty(data.seconds.shape), np.empty(n)
        for held in range(fold.max() + 1):
            left = fold == held
            mean = mean_of(data, np.flatnonzero(~left), candidate)
            unbounded, seconds[left] = mean.predict(data.x[left])
            values[left], chance[left] = mean.values(unbounded), mean.chance_to_diverge(data.x[left])
        errors[name] = float(np.abs(scale.unbounded(values)[..., column] - truth)[kept].mean())
        if best is None or errors[name] < errors[best.candidate]:
            best = HeldOut(values, seconds, chance, name, errors)
    assert best is not None
    return best


def fit(data: TableData, declared: Declared) -> tuple[Fitted, Prepared, HeldOut]:
    """The surrogate of a table, what it was fitted to, and what it predicted of held-out configs on the way."""
    learned = prepared(data, declared)
    held_out = cross_validated(learned, _first(data, learned))
    mean = mean_of(learned, np.arange(len(learned.x)), CANDIDATES[held_out.candidate])
    good = learned.measured & ~learned.diverged
    unbounded = _unbounded(mean.scale, learned.values, good)
    width = unbounded[0, 0].size
    runs = [unbounded[i, good[i]].reshape(-1, width) for i in range(len(good))]
    failed, replicate = np.nonzero(learned.diverged)
    rows = learned.rows[failed]
    fitted = Fitted(
        metrics=learned.metrics,
        modelled=learned.modelled,
        derived=learned.derived,
        products=learned.features.products,
        low=learned.features.low,
        high=learned.features.high,
        mean=mean,
        noise=Noise.of(learned.x, runs, width),
        failures=Failures(learned.x[failed], data.values[rows, replicate], data.ends[rows, replicate]),
        support=learned.x,
        reach=_reach(learned.x),
        facts={},
        made={
            "regressor": held_out.candidate,
            "errors": dict(held_out.errors),
            "folds": FOLDS,
            "configs": len(learned.x),
            "runs": int(learned.measured.sum()),
        },
    )
    return replace(fitted, facts=_facts(data, fitted)), learned, held_out


def _first(data: TableData, learned: Prepared) -> str:
    """The modelled metric that the first objective is, or is derived from."""
    name = data.benchmark.objectives[0].metric
    return name if name in learned.modelled else str(learned.derived[name][0])


def _reach(x: Array) -> float:
    """How far the nearest other config is from all but one in a hundred."""
    nearest = [np.sort(((x - point) ** 2).sum(axis=1))[1] for point in x]
    return float(np.sqrt(np.quantile(nearest, 0.99)))


def _facts(data: TableData, fitted: Fitted) -> dict[str, Any]:
    """Facts of the noise-free surrogate, from many random configs and a climb from the best of them."""
    model = Surrogate(data.benchmark, fitted, "")
    luck = stream("facts", data.benchmark.name)
    configs = data.benchmark.space.sample(luck, SAMPLE)
    losses = np.array([model.final_loss(config) for config in configs])
    order = np.argsort(losses, kind="stable")
    optimum, config = _climbed(model, [configs[place] for place in order[:8]])
    return {
        "configs": len(data.configs),
        "optimum": min(optimum, float(losses[order[0]])),
        "optimum_config": dict(config),
        "median": float(np.median(losses)),
        "final_losses": losses[order[:: SAMPLE // 1000]].tolist(),
        "noise": data.seed_spread(),
        "full_seconds": float(np.nanmedian(data.seconds[..., -1])),
        "made": dict(data.made) | {"surrogate": dict(fitted.made)},
    }


def _climbed(model: Surrogate, starts: Sequence[Config]) -> tuple[float, Config]:
    """The best expected final loss near some configs, and its config: a search by ever smaller random steps."""
    space, luck = model.benchmark.space, stream("climb", model.benchmark.name)
    best = (np.inf, starts[0])
    for start in starts:
        here, config = model.final_loss(start), start
        for width in np.geomspace(0.1, 0.003, 300):
            point = np.array(space.encode_one(config)) + width * (2 * luck.random(space.dim) - 1)
            moved = space.decode(np.clip(point, 0, 1)[None])[0]
            loss = model.final_loss(moved)
            if loss < here:
                here, config = loss, moved
        best = min(best, (here, config), key=lambda found: found[0])
    return best
