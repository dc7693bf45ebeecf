"""Fit a surrogate to a table: the regressor that predicts held-out configs best, what it misses, and seeds' noise.

Regressors are compared by cross-validation over configs, never by what it does to a comparison of methods: each fold
is fitted from the start, scales and components too, and configs that hardly differ are held out together. Rows of the
parts `held_out` and `optimum` are kept from the fit; a run that diverged teaches only that it did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from harness.randomness import stream
from harness.space import Config
from harness.types import Benchmark, End
from surrogates.declared import Declared
from surrogates.features import Features
from surrogates.mean import Mean, Regressor
from surrogates.misses import Misses, length_of, none_of, without_luck
from surrogates.noise import Noise, place_of
from surrogates.regressors.gaussian_process import GaussianProcess
from surrogates.regressors.nearest import Nearest
from surrogates.regressors.trees import Trees
from surrogates.scales import Components, Scale
from surrogates.surrogate import Failures, Fitted, Surrogate
from surrogates.table import ENDS, KEPT_OUT, TableData, facts_of
from surrogates.terms import Sum, Terms, check, exact, of_levels, summed

Array = NDArray[np.float64]

FOLDS = 10
FEWEST = 5
"""Configs that a surrogate needs."""
Fit = Callable[[Array, Array], Regressor]


class Candidate(NamedTuple):
    """What may predict a config from others: its curve, and its chance to diverge, whose noise is alike everywhere."""

    curves: Fit
    chance: Fit


CANDIDATES = {
    "nearest": Candidate(partial(Nearest.fit, k=1), partial(Nearest.fit, k=1)),
    "five nearest": Candidate(partial(Nearest.fit, k=5), partial(Nearest.fit, k=5)),
    "trees": Candidate(Trees.fit, Trees.fit),
    "Gaussian process": Candidate(GaussianProcess.fit, partial(GaussianProcess.fit, even=True)),
}
SAMPLE = 10_000
"""Random configs whose expected final losses give the facts of a surrogate."""
LEFT_DIGITS = 9
"""What the declared terms leave of the logarithm of seconds is kept with so many."""
MISSED_DIGITS = 3
"""What is missed, on the scale of logarithms, is kept with so many."""
STARTS, CLIMB = 8, 300
"""So many steps from each of so many of the best of them towards the optimum."""


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


def mean_of(data: Prepared, among: NDArray[np.intp], candidate: Candidate) -> Mean:
    """The mean fitted to some of the configs, from the start."""
    chosen = np.isin(np.arange(len(data.x)), among)
    good = data.good & chosen[:, None]
    taught = good.any(axis=1)
    scale = Scale.of(data.values[good], data.signs)
    curves = mean_over(_unbounded(scale, data.values, good), good)[taught]
    components, times = Components.of(curves), Components.of(data.seconds[taught])
    outputs = np.column_stack([components.coefficients(curves), times.coefficients(data.seconds[taught])])
    share = data.diverged[among].sum(axis=1) / data.measured[among].sum(axis=1)
    chance = candidate.chance(data.x[among], share[:, None]) if share.any() else None
    return Mean(scale, components, times, candidate.curves(data.x[taught], outputs), chance)


def _unbounded(scale: Scale, values: Array, chosen: NDArray[np.bool_]) -> Array:
    """Values (n, s, levels, modelled) on the scale where chosen (n, s), NaN elsewhere."""
    unbounded = np.full(values.shape, np.nan)
    unbounded[chosen] = scale.unbounded(values[chosen])
    return unbounded


def places_of(data: Prepared, mean: Mean, x: Array) -> Array:
    """Where configs with features x (n, d) stand among others, by what is predicted of them, (n, d + 1)."""
    return place_of(x, mean.predict(x)[0][:, -len(data.modelled) :])


def unbounded_runs(data: Prepared, scale: Scale) -> list[Array]:
    """The good runs of each config on the scale, each (runs, levels * modelled)."""
    width = data.values[0, 0].size
    runs = [values[good] for values, good in zip(data.values, data.good, strict=True)]
    return [scale.unbounded(curves).reshape(-1, width) for curves in runs]


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


def cross_validated(data: Prepared) -> HeldOut:
    """Predict every config from folds without it, by each candidate, and keep the best."""
    good = data.good
    kept: NDArray[np.bool_] = np.asarray(good.any(axis=1))
    scale = Scale.of(data.values[good], data.signs)
    truth = mean_over(_unbounded(scale, data.values, good), good)[kept, ..., data.first]
    best: HeldOut | None = None
    errors: dict[str, float] = {}
    for name, candidate in CANDIDATES.items():
        values, seconds, chance = predicted_by_others(data, candidate)
        errors[name] = float(np.abs(scale.unbounded(values)[kept, ..., data.first] - truth).mean())
        if best is None or errors[name] < errors[best.candidate]:
            best = HeldOut(values, seconds, chance, name, errors)
    assert best is not None
    return best


def predicted_by_others(data: Prepared, candidate: Candidate, share: float = 1.0) -> tuple[Array, Array, Array]:
    """What a candidate predicts of every config from the folds without it, or from a share of their configs.

    Gives values (n, levels, modelled), the seconds of each level (n, levels), and chances to diverge (n,).
    """
    fold = _folds(data.x, np.asarray(data.good.any(axis=1)))
    values, seconds = np.empty((len(fold), *data.values.shape[2:])), np.empty(data.seconds.shape)
    chance = np.empty(len(fold))
    for held in range(fold.max() + 1):
        left = fold == held
        mean = mean_of(data, _some(np.flatnonzero(~left), share), candidate)
        unbounded, seconds[left] = mean.predict(data.x[left])
        values[left], chance[left] = mean.values(unbounded), mean.chance_to_diverge(data.x[left])
    return values, seconds, chance


def _some(rows: NDArray[np.intp], share: float) -> NDArray[np.intp]:
    """A share of some rows, at random; a larger share holds all of a smaller one."""
    drawn = stream("some configs").permutation(rows)[: round(share * len(rows))]
    return np.sort(drawn)


def _pairs(x: Array) -> tuple[float, NDArray[np.intp]]:
    """Half the median distance to the nearest other of features x (n, d), and the pairs (p, 2) that are nearer."""
    tree = KDTree(x)
    near = float(np.median(tree.query(x, k=2)[0][:, 1])) / 2
    pairs = np.reshape(tree.query_pairs(near, output_type="ndarray"), (-1, 2)).astype(np.intp)
    return near, pairs[np.lexsort(pairs.T)]


def _folds(x: Array, good: NDArray[np.bool_]) -> NDArray[np.intp]:
    """A fold for each config, at random, one for those that hardly differ, with equal shares of who has a good run."""
    pairs = _pairs(x)[1]
    links = csr_array((np.ones(len(pairs)), pairs.T), shape=(len(x), len(x)))
    groups, group = connected_components(links, directed=False)
    best = np.zeros(groups, dtype=np.bool_)
    np.logical_or.at(best, group, good)
    order = np.lexsort((stream("folds").random(groups), ~best))
    fold = np.empty(groups, dtype=np.intp)
    fold[order] = np.arange(groups) % min(FOLDS, groups)
    return fold[group]


def fit(data: TableData, declared: Declared) -> tuple[Fitted, Prepared, HeldOut]:
    """The surrogate of a table, what it was fitted to, and what it predicted of held-out configs on the way."""
    learned = prepared(data, declared)
    held_out = cross_validated(learned)
    mean = mean_of(learned, np.arange(len(learned.x)), CANDIDATES[held_out.candidate])
    noise = Noise.of(places_of(learned, mean, learned.x), unbounded_runs(learned, mean.scale))
    best = _best([runs[:, -len(learned.modelled) :] for runs in unbounded_runs(learned, mean.scale)])
    failed, replicate = np.nonzero(learned.diverged)
    runs = learned.rows[failed], replicate
    fitted = Fitted(
        metrics=learned.metrics,
        modelled=learned.modelled,
        derived=learned.derived,
        sums=learned.sums,
        pace=learned.pace,
        products=learned.features.products,
        low=learned.features.low,
        high=learned.features.high,
        mean=mean,
        misses=_misses(learned, held_out, mean.scale, noise),
        noise=noise,
        best=best,
        failures=Failures(learned.x[failed], data.values[runs], data.lengths()[runs], data.ends[runs]),
        support=learned.x,
        reach=_reach(learned.x),
        facts={},
        made={
            "regressor": held_out.candidate,
            "errors": dict(held_out.errors),
            "folds": min(FOLDS, len(learned.x)),
            "configs": len(learned.x),
            "runs": int(learned.measured.sum()),
        },
    )
    return replace(fitted, facts=_facts(data, fitted)), learned, held_out


def _best(ends: Sequence[Array]) -> Array:
    """The lowest last metrics (2, modelled): of the means of configs that have several runs, and of single runs.

    ends: of each config (runs, modelled). A lucky single run says nothing of a config's mean, unless there are no
    others.
    """
    means = [runs.mean(axis=0) for runs in ends if len(runs) > 1]
    single = np.concatenate(ends).min(axis=0)
    return np.array([np.min(means, axis=0) if means else single, single])


def _misses(data: Prepared, held_out: HeldOut, scale: Scale, noise: Noise) -> Misses:
    """What the mean missed of the configs that did not diverge, when each was held out."""
    kept: NDArray[np.bool_] = np.asarray(data.good.any(axis=1))
    truth = mean_over(_unbounded(scale, data.values, data.good), data.good)[kept]
    guess = scale.unbounded(held_out.values[kept])
    missed = (truth - guess).reshape(len(truth), -1).round(MISSED_DIGITS)
    places = place_of(data.x[kept], guess[:, -1])
    residuals = without_luck(places, missed, data.good.sum(axis=1)[kept], noise)
    near, pairs = _pairs(data.x)
    row, last = np.cumsum(kept) - 1, data.first - len(data.modelled)
    pairs = row[pairs[kept[pairs].all(axis=1)]]
    return Misses.of(places, residuals, length_of(places, missed[:, last], residuals[:, last], near, pairs))


def _reach(x: Array) -> float:
    """How far the nearest other config is from all but one in a hundred."""
    nearest = [np.partition(((x - point) ** 2).sum(axis=1), 1)[1] for point in x]
    return float(np.sqrt(np.quantile(nearest, 0.99)))


def _facts(data: TableData, fitted: Fitted) -> dict[str, Any]:
    """Facts of the surrogate without the luck of seeds, from many random configs and a climb from the best of them.

    The optimum is the best that a method may find, configs' own luck included. The config that is promised to be best
    in truth is that of the mean alone: the luck is of this world only. Both are sought where measurements speak:
    beyond, a surrogate promises what nobody has seen.
    """
    model = Surrogate(data.benchmark, fitted, "")
    width = fitted.misses.residuals.shape[1]
    mean = Surrogate(data.benchmark, replace(fitted, misses=none_of(fitted.support.shape[1], width)), "")
    luck = stream("facts", data.benchmark.name)
    configs = data.benchmark.space.sample(luck, SAMPLE)
    losses = model.final_losses(configs)
    order = np.argsort(losses, kind="stable")
    starts = _starts(model, configs, losses)
    promised, config = _climbed(mean, _starts(mean, configs, mean.final_losses(configs)))
    facts: dict[str, Any] = {
        "configs": len(data.configs),
        "optimum": _climbed(model, starts)[0],
        "optimum_config": dict(config),
        "promised": promised,
        "median": float(np.median(losses)),
        "final_losses": losses[order[:: SAMPLE // 1000]].tolist(),
        "noise": data.seed_spread(),
        "full_seconds": data.full_seconds(),
        "made": dict(data.made) | {"surrogate": dict(fitted.made)},
    }
    judged = data.benchmark.judged_by_test()
    return facts if judged is None else facts | {"test": _of_test(data, model.under(judged), configs, starts)}


def _starts(model: Surrogate, configs: Sequence[Config], losses: Array) -> list[Config]:
    """The best of some configs that measurements speak for."""
    order = np.argsort(losses, kind="stable")
    return [*islice((configs[place] for place in order if not model.outside(configs[place])), STARTS)]


def _of_test(data: TableData, model: Surrogate, configs: Sequence[Config], starts: Sequence[Config]) -> dict[str, Any]:
    """What is known of the test metric; its optimum is sought from where that of the validation metric was."""
    return {
        "optimum": _climbed(model, starts)[0],
        "median": float(np.median(model.final_losses(configs))),
        "noise": facts_of(data.final_losses(data.benchmark.test_metric))["noise"],
    }


def _climbed(model: Surrogate, starts: Sequence[Config]) -> tuple[float, Config]:
    """The best expected final loss near some configs, and its config: a search by ever smaller random steps."""
    space, luck = model.benchmark.space, stream("climb", model.benchmark.name)
    best = (np.inf, starts[0])
    for start in starts:
        here, config = model.final_loss(start), start
        for width in np.geomspace(0.1, 0.003, CLIMB):
            point = np.array(space.encode_one(config)) + width * (2 * luck.random(space.dim) - 1)
            moved = space.decode(np.clip(point, 0, 1)[None])[0]
            loss = model.final_loss(moved)
            if loss < here and not model.outside(moved):
                here, config = loss, moved
        best = min(best, (here, config), key=lambda found: found[0])
    return best
