"""The nearest measured configs, weighted by their closeness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Nearest:
    """The mean over the `k` nearest rows, weighted by 1 / distance; a config that is there gives itself.

    x: features (n, d); y: (n, outputs).
    """

    x: Array
    y: Array
    k: int

    @staticmethod
    def fit(x: Array, y: Array, k: int) -> Nearest:
        """Keep the rows."""
        return Nearest(x, y, min(k, len(x)))

    def predict(self, x: Array) -> Array:
        """Outputs (m, outputs) for features (m, d)."""
        squares = ((x[:, None] - self.x) ** 2).sum(axis=2)
        near = np.argpartition(squares, self.k - 1, axis=1)[:, : self.k]
        weights = 1 / (np.sqrt(np.take_along_axis(squares, near, axis=1)) + 1e-9)
        weights /= weights.sum(axis=1, keepdims=True)
        return np.einsum("mk,mko->mo", weights, self.y[near])
