"""A Gaussian process for each output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.optimize import minimize

Array = NDArray[np.float64]

ROOT5 = np.sqrt(5.0)
SUBSET = 400
"""Kernels are learned from at most so many rows: more change them little and cost the cube of their number."""
BOUNDS = {"scale": (-3.0, 3.5), "signal": (-4.0, 4.0), "noise": (-12.0, 0.5)}
"""Of the logarithms: length scales of features in [0, 1], and variances of outputs with variance 1."""


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior mean under a Matern-5/2 kernel with a length scale a feature (Rasmussen and Williams 2006, 2.2).

    scaled: features over length scales (outputs, n, d); lengths: (outputs, d); weights: (outputs, n), the signal's
    variance in them; mean: (outputs,). Fitted by maximum marginal likelihood, a weak prior on the logarithms.
    """

    lengths: Array
    scaled: Array
    squares: Array
    weights: Array
    mean: Array

    @staticmethod
    def fit(x: Array, y: Array) -> GaussianProcess:
        """Fit features (n, d) and outputs (n, outputs)."""
        mean, spread = y.mean(axis=0), np.maximum(y.std(axis=0), 1e-12)
        subset = np.linspace(0, len(x) - 1, min(len(x), SUBSET)).astype(int)
        lengths, weights = [], []
        for targets in ((y - mean) / spread).T:
            fitted = _learned(x[subset], targets[subset])
            length, signal, noise = fitted[:-2], fitted[-2], fitted[-1]
            covariance = np.exp(signal) * _matern(_distances(x / np.exp(length)))
            factor = cholesky(covariance + np.exp(noise) * np.eye(len(x)), lower=True)
            lengths.append(np.exp(length))
            weights.append(np.exp(signal) * cho_solve((factor, True), targets))
        lengths = np.array(lengths)
        scaled = x / lengths[:, None]
        squares = (scaled**2).sum(axis=2)
        return GaussianProcess(lengths, scaled, squares, np.array(weights) * spread[:, None], mean)

    def predict(self, x: Array) -> Array:
        """Outputs (m, outputs) for features (m, d)."""
        return np.array([self._one(point) for point in x])

    def _one(self, point: Array) -> Array:
        at = point / self.lengths
        squares = self.squares - 2 * (self.scaled @ at[:, :, None])[:, :, 0] + (at**2).sum(axis=1)[:, None]
        return self.mean + (_matern(np.sqrt(np.maximum(squares, 0.0))) * self.weights).sum(axis=1)


def _distances(x: Array) -> Array:
    squares = (x**2).sum(axis=1)
    return np.sqrt(np.maximum(squares[:, None] - 2 * (x @ x.T) + squares, 0.0))


def _matern(distance: Array) -> Array:
    far = ROOT5 * distance
    return (1 + far + far**2 / 3) * np.exp(-far)


def _learned(x: Array, y: Array) -> Array:
    """The logarithms of length scales, signal and noise variance at the maximum of the marginal likelihood."""
    differences = [(column[:, None] - column) ** 2 for column in x.T]
    eye = np.eye(len(x))

    def objective(theta: Array) -> tuple[float, Array]:
        inverse_squares = np.exp(-2 * theta[:-2])
        distance = np.sqrt(sum(w * d for w, d in zip(inverse_squares, differences, strict=True)))
        signal, noise = np.exp(theta[-2]), np.exp(theta[-1])
        decay = np.exp(-ROOT5 * distance)
        kernel = signal * (1 + ROOT5 * distance + 5 / 3 * distance**2) * decay
        factor = cholesky(kernel + (noise + 1e-10) * eye, lower=True)
        solved = cho_solve((factor, True), y)
        inward = cho_solve((factor, True), eye) - np.outer(solved, solved)
        # d kernel / d log length = signal * 5/3 (1 + sqrt5 r) exp(-sqrt5 r) * (difference / length)^2
        shared = inward * (signal * 5 / 3 * (1 + ROOT5 * distance) * decay)
        slopes = [0.5 * w * np.vdot(shared, d) for w, d in zip(inverse_squares, differences, strict=True)]
        gradient = np.array([*slopes, 0.5 * np.vdot(inward, kernel), 0.5 * noise * np.trace(inward)])
        loss = 0.5 * y @ solved + np.log(np.diag(factor)).sum()
        # A weak normal prior keeps what the data say nothing of near the middle.
        pull = (theta - start) / np.array([1.5] * x.shape[1] + [2.0, 4.0])
        return float(loss + 0.5 * pull @ pull), gradient + pull / np.array([1.5] * x.shape[1] + [2.0, 4.0])

    start = np.array([0.5] * x.shape[1] + [0.0, -4.0])
    bounds = [BOUNDS["scale"]] * x.shape[1] + [BOUNDS["signal"], BOUNDS["noise"]]
    return minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}).x
