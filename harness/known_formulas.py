# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
"""Formulas of the engines whose values are known another way: by a library, by integration, by differences, by a rate.

Each check says what is computed and gives an empty text, or how far it is from what it should be.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness._parts.acquisition import log_expected_improvement
from harness._parts.cma import Cma, default_offspring
from harness._parts.gp import Factor, Hyperparameters, log_marginal_likelihood
from harness._parts.parzen import Axes, Parzen
from harness.randomness import stream
from harness.space import Space, choice, uniform

Array = NDArray[np.float64]

HYPERPARAMETERS = Hyperparameters(np.array([0.3, 0.8, 2.5]), 1.7, 0.02)


def _problem(n: int) -> tuple[Array, Array]:
    """Inputs (n, 3) and noisy targets (n,), of about unit variance."""
    luck = stream("targets", n)
    x = luck.random((n, 3))
    return x, 1.3 * (np.sin(6 * x[:, 0]) + x[:, 1] ** 2 - 0.5) + 0.1 * luck.standard_normal(n)


def _posterior() -> str:
    """mean and deviation of the Gaussian process are those of scikit-learn's"""
    from sklearn import gaussian_process

    theirs: Any = gaussian_process  # what it takes is wider than what its defaults let guess
    hyper, (x, y), (points, _) = HYPERPARAMETERS, _problem(40), _problem(25)
    posterior = Factor.of(hyper, x).posterior(y)
    kernel = theirs.kernels.ConstantKernel(hyper.signal) * theirs.kernels.Matern(hyper.length_scales, nu=2.5)
    process = theirs.GaussianProcessRegressor(kernel, alpha=hyper.noise, optimizer=None)
    wanted = process.fit(x, y - posterior.constant).predict(points, return_std=True)
    mean, deviation = posterior.predict(points)
    apart = max(float(np.abs(mean - posterior.constant - wanted[0]).max()), float(np.abs(deviation - wanted[1]).max()))
    return "" if apart < 1e-6 else f"they lie up to {apart:.1e} apart"


def _likelihood_gradient() -> str:
    """the gradient of the Gaussian process's likelihood is that of finite differences"""
    (x, y), at, step = _problem(30), HYPERPARAMETERS.pack(), 1e-5

    def value(logarithms: Array) -> float:
        likelihood, _, constant = log_marginal_likelihood(logarithms, x, y)
        return likelihood - 0.5 * constant**2

    _, gradient, _ = log_marginal_likelihood(at, x, y)
    moves = step * np.eye(len(at))
    slopes = np.array([(value(at + move) - value(at - move)) / (2 * step) for move in moves])
    apart = float(np.abs(gradient - slopes).max() / np.abs(slopes).max())
    return "" if apart < 1e-5 else f"it lies {apart:.1e} of the largest slope from them"


def _improvement() -> str:
    """expected improvement and its logarithm are what integration gives, where it is likely and far out"""
    from scipy.integrate import quad

    deviation = 2.0
    for z in (-30.0, -8.0, -2.0, -0.5, 0.0, 1.0, 4.0):
        # Below the best, z deviations above the mean of 0: the density of the best stands before the integral.
        end = 12 + max(z, 0.0) if z > -5 else -60 / z
        integral: Any = quad(lambda t, z=z: t * math.exp(z * t - t * t / 2), 0, end, epsabs=0, epsrel=1e-10, limit=200)
        exact = math.log(deviation * integral[0]) - z * z / 2 - 0.5 * math.log(2 * math.pi)
        found = float(log_expected_improvement(np.zeros(1), np.array([deviation]), z * deviation)[0])
        if abs(found - exact) > 1e-8 * max(1.0, abs(exact)):
            return f"with the best at z = {z:g} the logarithm is {found!r}, by integration {exact!r}"
    return ""


def _density_ratio() -> str:
    """the ratio of the densities of one good and one bad config is the one in closed form"""
    space, width, leaves = Space({"x": uniform(0, 1), "c": choice(["a", "b", "c"])}), 0.2, 0.3
    axes, bandwidths = Axes(space), np.array([width, leaves])
    good, bad = {"x": 0.3, "c": "a"}, {"x": 0.9, "c": "b"}
    likely, unlikely = (Parzen(axes, space.encode([one]), bandwidths=bandwidths) for one in (good, bad))

    def below(z: float) -> float:
        return 0.5 * (1 + math.erf(z / math.sqrt(2)))

    def density(x: float, value: str, centre: float, kept: str) -> float:
        """Half a kernel, cut to [0, 1] and kept with probability .7, and half the space's law, which is 1."""
        inside = width * math.sqrt(2 * math.pi) * (below((1 - centre) / width) - below(-centre / width))
        kernel = math.exp(-0.5 * ((x - centre) / width) ** 2) / inside
        return (kernel * 3 * (1 - leaves if value == kept else leaves / 2) + 1) / 2

    for x in (0.05, 0.4, 0.7):
        for value in ("a", "b", "c"):
            point = space.encode([{"x": x, "c": value}])
            found = math.exp(float((likely.log_density(point) - unlikely.log_density(point))[0]))
            exact = density(x, value, 0.3, "a") / density(x, value, 0.9, "b")
            if abs(found - exact) > 1e-9 * exact:
                return f"at x = {x:g}, c = {value} it is {found!r}, in closed form {exact!r}"
    return ""


def _sphere() -> str:
    """CMA-ES comes closer to the bottom of a sphere at the known rate"""
    n, studies, needed = 10, 4, 0
    for seed in range(studies):
        luck, lowest = stream("sphere", seed), math.inf
        law = Cma(np.ones(n), 0.5, default_offspring(n), np.zeros(n))
        for _ in range(2000):
            points = law.points(luck.standard_normal((law.offspring, n)))
            losses = (points * points).sum(axis=1)
            law.update(points[np.argsort(losses)], np.zeros(law.offspring, dtype=bool))
            lowest = min(lowest, float(losses.min()))
            needed += law.offspring * (lowest < 1e-5)
            if lowest < 1e-15:
                break
        else:
            return f"after 2,000 generations it is {math.sqrt(lowest):.1e} away, seed {seed}"
    # In these evaluations the distance, the root of the loss, falls by five powers of ten.
    rate = studies * n * 5 * math.log(10) / needed
    return "" if 0.06 < rate < 0.12 else f"n times the fall of log(distance) an evaluation is {rate:.3f}, known is .08"


CHECKS: tuple[Callable[[], str], ...] = (_posterior, _likelihood_gradient, _improvement, _density_ratio, _sphere)
