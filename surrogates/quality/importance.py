"""What the loss depends on, as a surrogate has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.randomness import stream
from surrogates.surrogate import Surrogate

Array = NDArray[np.float64]

POINTS = 11
"""Importances come from 2^11 points for each hyperparameter, and as many twice besides."""


def importance(model: Surrogate) -> dict[str, dict[str, float]]:
    """Shares of the variance of the expected final loss, on the model's scale, that hyperparameters account for.

    alone: without the others (Sobol's first-order index by Janon et al. 2014); total: with all interactions (Jansen
    1999). Both from the points of a Sobol sequence, moved at random; one hyperparameter at a time is exchanged.
    """
    from scipy.stats.qmc import Sobol

    space, luck = model.benchmark.space, stream("importance", model.benchmark.name)
    count = len(space.names)
    points = (Sobol(2 * count, scramble=False).random_base2(POINTS) + luck.random(2 * count)) % 1
    first, second = points[:, :count], points[:, count:]
    base, other = _scores(model, first), _scores(model, second)
    shares: dict[str, dict[str, float]] = {}
    for place, name in enumerate(space.names):
        exchanged = first.copy()
        exchanged[:, place] = second[:, place]
        moved = _scores(model, exchanged)
        centre = (other.mean() + moved.mean()) / 2
        pair = other - centre, moved - centre
        alone = 2 * (pair[0] * pair[1]).mean() / (pair[0] ** 2 + pair[1] ** 2).mean()
        total = ((base - moved) ** 2).mean() / 2 / np.concatenate([base, moved]).var()
        shares[name] = {"alone": max(float(alone), 0.0), "total": float(total)}
    return dict(sorted(shares.items(), key=lambda share: -share[1]["total"]))


def _scores(model: Surrogate, quantiles: Array) -> Array:
    """Expected final losses on the mean's scale, where differences among good configs count too, shape (n,).

    quantiles: (n, hyperparameters), of configs; those of inactive hyperparameters change nothing.
    """
    configs = model.benchmark.space.at_quantiles(quantiles.tolist())
    unbounded, seconds = model.fitted.mean.predict(np.array([model.features(config) for config in configs]))
    place = model.fitted.modelled.index(model.benchmark.objectives[0].metric)
    return unbounded.reshape(*seconds.shape, -1)[:, -1, place]
