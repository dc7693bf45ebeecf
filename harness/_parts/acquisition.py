# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
"""Where to look next: the logarithm of expected improvement, kept exact where the improvement itself underflows.

Everything is for minimisation. The logarithm has the maximisers of expected improvement and, unlike it, a gradient
everywhere; the improvement itself is here to be compared with it. Several starts are refined as one problem, as in
BoTorch: their sum has a gradient a start. Thompson sampling looks where one function, drawn from the belief, is lowest;
its own chance keeps workers apart.

Sources: Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian Optimization" (2023), equations 8
and 9; Kandasamy et al., "Parallelised Bayesian Optimisation via Thompson Sampling" (2018), algorithm 2.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr, ndtr, ndtri

from harness._parts.candidates import best_first
from harness._parts.gp import Posterior

Array = NDArray[np.float64]

_LOG_SQRT_2_PI = 0.5 * float(np.log(2 * np.pi))
_SQRT_HALF, _SQRT_HALF_PI = float(np.sqrt(0.5)), float(np.sqrt(0.5 * np.pi))


def log_improvement_of_standard(z: Array) -> Array:
    """log(phi(z) + z Phi(z)), elementwise: the log expected improvement of a standard normal over -z.

    Three branches: as it stands above -1; by the scaled error function down to -50; by the asymptotic series of Mills'
    ratio below, where the second would cancel. Relative error at most 1e-10.
    """
    near, middle = np.maximum(z, -1.0), np.clip(z, -50.0, -1.0)
    density = np.exp(-0.5 * near * near - _LOG_SQRT_2_PI)
    above = np.log(density + near * ndtr(near))
    between = np.log1p(middle * _SQRT_HALF_PI * erfcx(-_SQRT_HALF * middle))
    inverse_square = np.minimum(z, -50.0) ** -2.0
    below = np.log(inverse_square * (1.0 - inverse_square * (3.0 - inverse_square * (15.0 - 105.0 * inverse_square))))
    return np.where(z > -1.0, above, np.where(z > -50.0, between, below) - 0.5 * z * z - _LOG_SQRT_2_PI)


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """The log of how much normal values are expected to fall below `best`; mean and deviation (m,)."""
    return np.log(deviation) + log_improvement_of_standard((best - mean) / deviation)


def log_expected_improvement_with_gradient(posterior: Posterior, x: Array, best: float) -> tuple[Array, Array]:
    """The log expected improvement (m,) at x (m, d), and its gradient (m, d)."""
    mean, deviation, mean_gradient, deviation_gradient = posterior.predict_with_gradient(x)
    z = (best - mean) / deviation
    log_h = log_improvement_of_standard(z)
    by_mean = -np.exp(log_ndtr(z) - log_h) / deviation
    by_deviation = np.exp(-0.5 * z * z - _LOG_SQRT_2_PI - log_h) / deviation
    gradient = by_mean[:, None] * mean_gradient + by_deviation[:, None] * deviation_gradient
    return np.log(deviation) + log_h, gradient


def thompson(posterior: Posterior, x: Array, rng: np.random.Generator, most: int) -> NDArray[np.intp]:
    """The places in x (m, d) from lowest to highest in one function drawn from the belief.

    Of more than `most` points only the most promising are looked at, those of lowest mean less two deviations; equals
    by lot.
    """
    places = np.arange(len(x))
    if len(x) > most:
        mean, deviation = posterior.predict(x)
        places = best_first(2.0 * deviation - mean, rng, most)
    drawn = posterior.sample(x[places], ndtri(np.maximum(rng.random(len(places)), 2.0**-54)))
    return places[np.argsort(drawn, kind="stable")]


def refine(
    posterior: Posterior,
    starts: Array,
    best: float,
    bounds: list[tuple[float, float]],
    iterations: int,
    *,
    logarithm: bool = True,
) -> tuple[Array, Array]:
    """Climb from the starts (s, d) to where expected improvement is highest: points (s, d), the logs of theirs (s,).

    bounds: one pair a dimension, equal where it is to stay; iterations: the most that L-BFGS-B makes; logarithm:
    whether it climbs the logarithm or the improvement itself, which is flat where nothing is likely to be gained.
    """

    def descent(flat: Array) -> tuple[float, Array]:
        values, gradient = log_expected_improvement_with_gradient(posterior, flat.reshape(starts.shape), best)
        if not logarithm:
            values = np.exp(values)
            gradient = values[:, None] * gradient
        return -float(values.sum()), -gradient.ravel()

    found = cast(
        Any,
        minimize(
            descent,
            starts.ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds * len(starts),
            options={"maxiter": iterations, "maxcor": 10},
        ),
    )
    points: Array = np.reshape(found.x, starts.shape)
    mean, deviation = posterior.predict(points)
    return points, log_expected_improvement(mean, deviation, best)
