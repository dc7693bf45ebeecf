"""A Gaussian process for each output."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from surrogates.regressors.kernel import matern

Array = NDArray[np.float64]

SUBSET = 400
"""Kernels are learned from at most so many rows: more change them little and cost the cube of their number."""


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
        from surrogates.regressors.likelihood import learned

        subset = np.linspace(0, len(x) - 1, min(len(x), SUBSET)).astype(int)
        mean, spread = y.mean(axis=0), np.maximum(y.std(axis=0), 1e-12)
        targets = (y - mean) / spread
        logarithms = [learned(x[subset], column) for column in targets[subset].T]
        return GaussianProcess.with_kernels(x, targets, np.array(logarithms), mean, spread)

    @staticmethod
    def with_kernels(x: Array, targets: Array, logarithms: Array, mean: Array, spread: Array) -> GaussianProcess:
        """The posterior for given kernels: y = mean + spread * targets (n, outputs), and as `learned` gives them."""
        from surrogates.regressors.likelihood import solve

        lengths, (signal, noise) = np.exp(logarithms[:, :-2]), np.exp(logarithms[:, -2:]).T
        weights: list[Array] = []
        for place, column in enumerate(targets.T):
            scaled = x * np.sqrt(5) / lengths[place]
            weights.append(signal[place] * spread[place] * solve(scaled, column, signal[place], noise[place]))
        return GaussianProcess(x, lengths, np.array(weights), mean)

    def predict(self, x: Array) -> Array:
        """Outputs (m, outputs) for features (m, d)."""
        return np.array([self._one(point) for point in x])

    def _one(self, point: Array) -> Array:
        differences = self._columns - point[:, None]
        differences *= differences
        kernel, _ = matern(self._inverse_squares @ differences)
        return self.mean + np.einsum("kn,kn->k", kernel, self.weights)

    @cached_property
    def _columns(self) -> Array:
        return np.ascontiguousarray(self.x.T)

    @cached_property
    def _inverse_squares(self) -> Array:
        return 5 / self.lengths**2
