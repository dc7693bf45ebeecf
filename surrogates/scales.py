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
SMALLEST_SHARE = 3e-4
"""A component that carries less of the variance than this is left out."""
LAST = 10
"""The last level weighs as much as so many others: a method is judged by it."""


@dataclass(frozen=True)
class Scale:
    """Metrics (..., m) as numbers without bounds, and back.

    signs: 1 where a metric is minimised, else -1; floors: below each signed metric, shape (m,); edges: what a signed
    metric cannot lie below and above, shape (2, m).
    """

    signs: Array
    floors: Array
    edges: Array

    @staticmethod
    def of(curves: Array, signs: Array) -> Scale:
        """The scale of measured curves (n, levels, m).

        What was never negative cannot be; a share to maximise cannot exceed one.
        """
        signed = curves * signs
        best, worst = signed.min(axis=(0, 1)), signed.max(axis=(0, 1))
        up = signs < 0
        lowest = np.where(up, np.where((best >= -1) & (worst <= 0), -1.0, -np.inf), np.where(best >= 0, 0.0, -np.inf))
        edges = np.array([lowest, np.where(up & (worst <= 0), 0.0, np.inf)])
        gap = np.median(signed[:, -1], axis=0) - best
        floors = best - MARGIN * np.where(gap > 0, gap, np.maximum(np.abs(best), 1.0))
        return Scale(signs, np.where(best > lowest, np.maximum(floors, (best + lowest) / 2), floors), edges)

    def unbounded(self, values: Array) -> Array:
        """Values as logarithms of their distance to the floor; what lies below it counts as a hair above."""
        hair = 1e-6 * np.maximum(np.abs(self.floors), 1e-6)
        return np.log(np.maximum(values * self.signs - self.floors, hair))

    def values(self, unbounded: Array) -> Array:
        """The inverse of `unbounded`, within the edges."""
        signed = np.exp(unbounded)
        signed += self.floors
        np.maximum(signed, self.edges[0], out=signed)
        np.minimum(signed, self.edges[1], out=signed)
        signed *= self.signs
        return signed


@dataclass(frozen=True)
class Components:
    """Curves in a basis of principal components.

    mean: (q,); basis: (k, q), its rows scaled so that each coefficient has variance 1 over what it was made of;
    inverse: (q, k), from a curve's difference to the mean back to coefficients.
    """

    mean: Array
    basis: Array
    inverse: Array

    @staticmethod
    def of(curves: Array) -> Components:
        """The components of curves (n, levels, metrics) that carry at least `SMALLEST_SHARE` of their variance.

        Every metric weighs the same, whatever its unit, and the last level more than others; there are at most `MOST`
        components.
        """
        spread = np.sqrt(curves.var(axis=0).mean(axis=0))
        units = np.broadcast_to(np.where(spread > 0, spread, 1.0), curves.shape[1:]).copy()
        units[-1] /= np.sqrt(LAST)
        units = units.reshape(-1)
        flat = curves.reshape(len(curves), -1)
        mean = flat.mean(axis=0)
        _, singular, directions = np.linalg.svd((flat - mean) / units, full_matrices=False)
        kept = max(1, min(MOST, int((singular**2 > SMALLEST_SHARE * (singular**2).sum()).sum())))
        # The sign of a direction is arbitrary: a rising sum, so that every machine agrees.
        signs = np.where(directions[:kept].sum(axis=1) < 0, -1.0, 1.0)
        sizes = singular[:kept] / np.sqrt(len(curves)) * signs
        basis = directions[:kept] * sizes[:, None] * units
        inverse = directions[:kept] / np.where(sizes == 0, np.inf, sizes)[:, None] / units
        return Components(mean, basis, inverse.T)

    def coefficients(self, curves: Array) -> Array:
        """Curves (n, ...), as given to `of`, as coefficients (n, k)."""
        return (curves.reshape(len(curves), -1) - self.mean) @ self.inverse

    def curves(self, coefficients: Array) -> Array:
        """Coefficients (..., k) as curves (..., q)."""
        return self.mean + coefficients @ self.basis
