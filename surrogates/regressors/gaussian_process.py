"""A Gaussian process for each output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs
from scipy.optimize import minimize
from scipy.spatial.distance import pdist, squareform

Array = NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]
_LAPACK: Any = get_lapack_funcs(("potrf", "potri", "potrs"), dtype=np.float64)
FACTOR, INVERT, SOLVE = _LAPACK

SUBSET = 400
"""Kernels are learned from at most so many rows: more change them little and cost the cube of their number."""
BOUNDS = {"length": (-3.0, 3.5), "signal": (-4.0, 4.0), "noise": (-12.0, 0.5)}
"""Of the logarithms: length scales of features in [0, 1], and variances of outputs with variance 1."""
PRIOR = {"length": (0.5, 1.5), "signal": (0.0, 2.0), "noise": (-4.0, 4.0)}
"""Weak normal laws of the logarithms, mean and deviation: what the data say nothing of stays near the middle."""
STEPS = 60


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior mean under a Matern-5/2 kernel with a length scale a feature (Rasmussen and Williams 2006, 2.2).

    x: features (n, d); lengths: (outputs, d); weights: (outputs, n), the signal's variance in them; mean: (outputs,).
    """

    x: Array
    lengths: Array
    weights: Array
    mean: Array

    @staticmethod
    def fit(x: Array, y: Array) -> GaussianProcess:
        """Fit features (n, d) and outputs (n, outputs), each by the maximum of its marginal likelihood."""
        subset = np.linspace(0, len(x) - 1, min(len(x), SUBSET)).astype(int)
        mean, spread = y.mean(axis=0), np.maximum(y.std(axis=0), 1e-12)
        targets = (y - mean) / spread
        logarithms = [learned(x[subset], column) for column in targets[subset].T]
        return GaussianProcess.with_kernels(x, targets, np.array(logarithms), mean, spread)

    @staticmethod
    def with_kernels(x: Array, targets: Array, logarithms: Array, mean: Array, spread: Array) -> GaussianProcess:
        """The posterior for given kernels: y = mean + spread * targets (n, outputs), and as `learned` gives them."""
        lengths, (signal, noise) = np.exp(logarithms[:, :-2]), np.exp(logarithms[:, -2:]).T
        weights: list[Array] = []
        for place, column in enumerate(targets.T):
            kernel, _ = _matern(pdist(x * np.sqrt(5) / lengths[place], "sqeuclidean"))
            factor = _factor(signal[place] * kernel, signal[place] + noise[place])
            weights.append(signal[place] * spread[place] * SOLVE(factor, column, lower=1)[0])
        return GaussianProcess(x, lengths, np.array(weights), mean)

    def predict(self, x: Array) -> Array:
        """Outputs (m, outputs) for features (m, d)."""
        return np.array([self._one(point) for point in x])

    def _one(self, point: Array) -> Array:
        differences = self._columns - point[:, None]
        differences *= differences
        kernel, _ = _matern(self._inverse_squares @ differences)
        return self.mean + np.einsum("kn,kn->k", kernel, self.weights)

    @cached_property
    def _columns(self) -> Array:
        return np.ascontiguousarray(self.x.T)

    @cached_property
    def _inverse_squares(self) -> Array:
        return 5 / self.lengths**2


def _matern(squares: Any) -> tuple[Array, Array]:
    """The kernel of 5 r^2, which is overwritten, and exp(-sqrt(5) r)."""
    far = np.sqrt(squares)
    kernel = np.multiply(squares, 1 / 3, out=squares)
    kernel += far
    kernel += 1
    decay = np.exp(np.negative(far, out=far), out=far)
    kernel *= decay
    return kernel, decay


def _factor(between: Array, diagonal: float) -> Array:
    """The lower Cholesky factor of a matrix by its pairs of rows; nothing above its diagonal means anything."""
    matrix = squareform(between, checks=False)
    np.fill_diagonal(matrix, diagonal)
    factor, fault = FACTOR(matrix.T, lower=1, clean=0, overwrite_a=1)
    if fault:
        raise np.linalg.LinAlgError(f"the kernel matrix of {len(matrix)} rows is not positive definite")
    return factor


def learned(x: Array, y: Array) -> Array:
    """The logarithms of length scales, signal and noise variance at the maximum of the marginal likelihood."""
    d = x.shape[1]
    start = np.array([PRIOR["length"][0]] * d + [PRIOR["signal"][0], PRIOR["noise"][0]])
    bounds = [BOUNDS["length"]] * d + [BOUNDS["signal"], BOUNDS["noise"]]
    options = {"maxiter": STEPS}
    return minimize(likelihood(x, y), start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x


def likelihood(x: Array, y: Array) -> Objective:
    """What is minimised: minus the logarithm of marginal likelihood and prior, up to a constant, and its gradient."""
    d, differences = x.shape[1], np.array([pdist(column[:, None], "sqeuclidean") for column in x.T])
    centre = np.array([PRIOR["length"][0]] * d + [PRIOR["signal"][0], PRIOR["noise"][0]])
    spread = np.array([PRIOR["length"][1]] * d + [PRIOR["signal"][1], PRIOR["noise"][1]])

    def objective(theta: Array) -> tuple[float, Array]:
        inverse_squares, signal, noise = 5 * np.exp(-2 * theta[:-2]), np.exp(theta[-2]), np.exp(theta[-1])
        squares = inverse_squares @ differences
        kernel, slope = _matern(squares.copy())
        # d kernel / d log length = signal / 3 (1 + sqrt5 r) exp(-sqrt5 r) * 5 (difference / length)^2
        slope *= 1 + np.sqrt(squares, out=squares)
        factor = _factor(signal * kernel, signal + noise)
        fit, loss = SOLVE(factor, y, lower=1)[0], np.log(np.diag(factor)).sum()
        inward = INVERT(factor, lower=1, overwrite_c=1)[0].T
        inward -= np.outer(fit, fit)
        trace = float(np.trace(inward))
        inward = squareform(inward, checks=False)
        slopes = differences @ np.multiply(slope, inward, out=slope)
        gradient = np.empty(d + 2)
        gradient[:-2] = signal / 3 * inverse_squares * slopes
        gradient[-2] = signal * (kernel @ inward + 0.5 * trace)
        gradient[-1] = 0.5 * noise * trace
        pull = (theta - centre) / spread
        return float(0.5 * y @ fit + loss + 0.5 * pull @ pull), gradient + pull / spread

    return objective
