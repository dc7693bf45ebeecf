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
NEIGHBOURS = 20
"""A row's noise is seen in so many rows around it."""
SMALLEST_NOISE = 1e-12
"""A variance, of outputs with variance 1: where all residuals are smaller, there is no noise."""
WIDEST = 1e3
"""By which factor a row's noise variance may differ from the mean of them all."""


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
    def fit(x: Array, y: Array, *, even: bool = False) -> GaussianProcess:
        """Fit features (n, d) and outputs (n, outputs), each by the maximum of its marginal likelihood.

        Twice, unless noise is `even`: what the first fit misses of a row that it has not seen tells where outputs are
        noisy, as near the edge of divergence, and the second trusts those rows less.
        """
        from surrogates.regressors.likelihood import learned, left_out

        subset = np.linspace(0, len(x) - 1, min(len(x), SUBSET)).astype(int)
        mean, spread = y.mean(axis=0), np.maximum(y.std(axis=0), 1e-12)
        targets = (y - mean) / spread
        alike = np.ones(len(x))
        kernels: list[Array] = []
        noises: list[Array] = []
        for column in targets.T:
            kernel, relative = learned(x[subset], column[subset], alike[subset]), alike
            if not even:
                scaled, (signal, noise) = x * np.sqrt(5) / np.exp(kernel[:-2]), np.exp(kernel[-2:])
                relative = noise_around(scaled, left_out(scaled, column, signal, noise * alike))
                kernel = learned(x[subset], column[subset], relative[subset], kernel)
            kernels.append(kernel)
            noises.append(relative)
        return GaussianProcess.with_kernels(
            x, targets, logarithms=np.array(kernels), relative=np.array(noises), mean=mean, spread=spread
        )

    @staticmethod
    def with_kernels(
        x: Array, targets: Array, *, logarithms: Array, relative: Array, mean: Array, spread: Array
    ) -> GaussianProcess:
        """The posterior for given kernels: y = mean + spread * targets (n, outputs), and as `learned` gives them.

        relative: each row's noise variance, times the learned one, (outputs, n).
        """
        from surrogates.regressors.likelihood import solve

        lengths, (signal, noise) = np.exp(logarithms[:, :-2]), np.exp(logarithms[:, -2:]).T
        weights: list[Array] = []
        for place, column in enumerate(targets.T):
            scaled = x * np.sqrt(5) / lengths[place]
            fit = solve(scaled, column, signal[place], noise[place] * relative[place])
            weights.append(signal[place] * spread[place] * fit)
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


def noise_around(x: Array, residuals: Array) -> Array:
    """Noise variances of rows (n,), up to a common factor: the means of squared residuals nearby.

    x: (n, d), scaled as the kernel sees it. The step from residuals to noise of Kersting et al. 2007 (Most likely
    heteroscedastic Gaussian process regression), with nearest rows in place of a second process.
    """
    from scipy.spatial.distance import cdist

    count = min(NEIGHBOURS, len(x))
    near = np.argpartition(cdist(x, x, "sqeuclidean"), count - 1, axis=1)[:, :count]
    around = (residuals**2)[near].mean(axis=1)
    return np.clip(around / max(float(around.mean()), SMALLEST_NOISE), 1 / WIDEST, WIDEST)
