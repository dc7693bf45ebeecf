"""What another seed would have given: luck that measured runs lend to configs near them.

Where a config was trained with several seeds, each run leaves a residual, its distance from their mean over all levels
and metrics at once. A config's noise is such a residual of one of the nearest configs that have any, with either sign:
so it is small where runs repeat and large near the edge of divergence, and its levels hang together as they did for
real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NEIGHBOURS = 12


@dataclass(frozen=True)
class Noise:
    """Measured residuals and where they were measured.

    x: (r, d), the features of configs with several seeds; residuals: (r, s, q), one a run, scaled to the spread of a
    single run around the truth; runs: (r,), how many of the s there are. Without repeated seeds r is 0: no noise.
    """

    x: Array
    residuals: Array
    runs: NDArray[np.intp]

    @staticmethod
    def of(x: Array, curves: Sequence[Array], width: int) -> Noise:
        """The residuals of runs grouped by config: x (n, d), curves[i] (seeds of i, width)."""
        again = [i for i, runs in enumerate(curves) if len(runs) > 1]
        most = max((len(curves[i]) for i in again), default=0)
        residuals = np.zeros((len(again), most, width))
        for row, i in enumerate(again):
            count = len(curves[i])
            # Runs scatter less around their own mean than around the truth.
            residuals[row, :count] = np.sqrt(count / (count - 1)) * (curves[i] - curves[i].mean(axis=0))
        return Noise(x[again], residuals, np.array([len(curves[i]) for i in again], dtype=np.intp))

    def near(self, point: Array) -> NDArray[np.intp]:
        """The nearest configs that lend to a point (d,), as rows of `x`."""
        squares = ((self.x - point) ** 2).sum(axis=1)
        if len(squares) <= NEIGHBOURS:
            return np.arange(len(squares))
        return np.argpartition(squares, NEIGHBOURS - 1)[:NEIGHBOURS]

    def drawn(self, point: Array, luck: Sequence[float]) -> Array | None:
        """A residual (q,) by three numbers of [0, 1): which neighbour, which of its runs, which sign."""
        if not len(self.x):
            return None
        near = np.sort(self.near(point))
        row = near[int(luck[0] * len(near))]
        residual = self.residuals[row, int(luck[1] * self.runs[row])]
        return residual if luck[2] < 0.5 else -residual

    def around(self, point: Array) -> Array:
        """All that could be drawn at a point, shape (draws, q), each neighbour with the same weight in total or none.

        Neighbours with fewer runs are repeated, so that every one weighs the same.
        """
        rows = self.near(point)
        parts = [np.resize(self.residuals[row, : self.runs[row]], self.residuals.shape[1:]) for row in rows]
        every = np.concatenate(parts) if parts else np.zeros((1, self.residuals.shape[2]))
        return np.concatenate([every, -every])
