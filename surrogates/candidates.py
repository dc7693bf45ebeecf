"""What may predict a config from others, and the mean of a surrogate that is fitted with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surrogates.mean import Mean, Regressor
from surrogates.noise import place_of
from surrogates.prepared import Prepared, mean_over
from surrogates.regressors.gaussian_process import GaussianProcess
from surrogates.regressors.nearest import Nearest
from surrogates.regressors.trees import Trees
from surrogates.scales import Components, Scale

Array = NDArray[np.float64]

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


def mean_of(data: Prepared, among: NDArray[np.intp], candidate: Candidate) -> Mean:
    """The mean fitted to some of the configs, from the start."""
    chosen = np.isin(np.arange(len(data.x)), among)
    good = data.good & chosen[:, None]
    taught = good.any(axis=1)
    scale = Scale.of(data.values[good], data.signs)
    curves = mean_over(unbounded_values(scale, data.values, good), good)[taught]
    components, times = Components.of(curves), Components.of(data.seconds[taught])
    outputs = np.column_stack([components.coefficients(curves), times.coefficients(data.seconds[taught])])
    share = data.diverged[among].sum(axis=1) / data.measured[among].sum(axis=1)
    chance = candidate.chance(data.x[among], share[:, None]) if share.any() else None
    return Mean(scale, components, times, candidate.curves(data.x[taught], outputs), chance)


def unbounded_values(scale: Scale, values: Array, chosen: NDArray[np.bool_]) -> Array:
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
