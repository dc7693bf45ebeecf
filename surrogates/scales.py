"""Curves on a scale where a model can learn them, as a few numbers, and back.

Every metric is turned so that smaller is better and seen as the logarithm of its distance to a floor somewhat below
the best that was measured: there the differences among good configs count as much as those among bad ones. Of all
levels and metrics of a curve together the principal components are kept that carry more than noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MARGIN = 0.25
"""How far a floor lies below the best value, in units of the distance from the best to the median at the last level."""
MOST = 8
SMALLEST_SHARE = 1e-3
"""A component that carries less of the variance than this is left out."""


@dataclass(frozen=True)
class Scale:
    """Metrics (..., m) as numbers without bounds, and back.

    signs: 1 where a metric is minimised, else -1; floors: below each signed metric; both of shape (m,).
    """

    signs: Array
    floors: Array

    @staticmethod
    def of(curves: Array, signs: Array) -> Scale:
        """The scale of measured curves (n, levels, m)."""
        signed = curves * signs
        best = signed.min(axis=(0, 1))
        gap = np.median(signed[:, -1], axis=0) - best
        return Scale(signs, best - MARGIN * np.where(gap > 0, gap, np.maximum(np.abs(best), 1.0)))

    def unbounded(self, values: Array) -> Array:
        """Values as logarithms of their distance to the floor; what lies below it counts as a hair above."""
        hair = 1e-6 * np.maximum(np.abs(self.floors), 1e-6)
        return np.log(np.maximum(values * self.signs - self.floors, hair))

    def values(self, unbounded: Array) -> Array:
        """The inverse of `unbounded`."""
        return (np.exp(unbounded) + self.floors) * self.signs


@dataclass(frozen=True)
class Components:
    """Curves in a basis of principal components.

    mean: (q,); basis: (k, q), its rows scaled so that each coefficient has variance 1 over what it was made of.
    """

    mean: Array
    basis: Array

    @staticmethod
    def of(curves: Array) -> Components:
        """The components of curves (n, q) that carry at least `SMALLEST_SHARE` of their variance, at most `MOST`."""
        mean = curves.mean(axis=0)
        _, singular, directions = np.linalg.svd(curves - mean, full_matrices=False)
        kept = max(1, min(MOST, int((singular**2 > SMALLEST_SHARE * (singular**2).sum()).sum())))
        # The sign of a direction is arbitrary: a rising sum, so that every machine agrees.
        signs = np.where(directions[:kept].sum(axis=1) < 0, -1.0, 1.0)
        return Components(mean, directions[:kept] * (singular[:kept] / np.sqrt(len(curves)) * signs)[:, None])

    def coefficients(self, curves: Array) -> Array:
        """Curves (n, q) as coefficients (n, k)."""
        lengths = (self.basis**2).sum(axis=1)
        return (curves - self.mean) @ self.basis.T / np.where(lengths > 0, lengths, 1.0)

    def curves(self, coefficients: Array) -> Array:
        """Coefficients (..., k) as curves (..., q)."""
        return self.mean + coefficients @ self.basis
