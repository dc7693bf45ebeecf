"""What another seed would have given: luck that measured runs lend to configs near them.

Where a config was trained with several seeds, each run leaves a residual, its distance from their mean over all levels
and metrics at once. A config's noise is such a residual of one of the nearest configs that have any, with either sign:
so it is small where runs repeat and large near the edge of divergence, and its levels hang together as they did for
real. Near are configs with like hyperparameters that are predicted to end alike: the luck of a bad config says nothing
of a good one beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NEIGHBOURS = 12


def place_of(x: Array, ends: Array) -> Array:
    """Where configs stand among others, (..., d + 1), by features (..., d) and predicted last metrics (..., m).

    Of these, on their scale, the mean: a factor of e in the distance to the floor is as far as from one end of a
    hyperparameter to the other.
    """
    return np.concatenate([x, ends.mean(axis=-1, keepdims=True)], axis=-1)


def nearest(x: Array, point: Array, count: int) -> tuple[NDArray[np.intp], Array, float]:
    """The rows of x (n, d) nearest to a point (d,), rising, at most `count`; their squared distances, and the next one.

    The next one is infinite where there is none.
    """
    differences = x - point
    squares = np.einsum("rd,rd->r", differences, differences)
    if len(x) <= count:
        return np.arange(len(x)), squares, np.inf
    order = squares.argpartition(count)
    near = np.sort(order[:count])
    return near, squares[near], float(squares[order[count]])


@dataclass(frozen=True)
class Noise:
    """Measured residuals and where they were measured.

    x: (r, d), the places of configs with several seeds, as `place_of` gives them; residuals: (r, s, q), one a run,
    scaled to the spread of a single run around the truth; runs: (r,), how many of the s there are. Without repeated
    seeds r is 0: no noise.
    """

    x: Array
    residuals: Array
    runs: NDArray[np.intp]

    @staticmethod
    def of(x: Array, runs: Sequence[Array]) -> Noise:
        """The residuals of runs grouped by config: places x (n, d), runs[i] (seeds of i, q)."""
        again = [i for i, curves in enumerate(runs) if len(curves) > 1]
        most = max((len(runs[i]) for i in again), default=0)
        residuals = np.zeros((len(again), most, runs[0].shape[1]))
        for row, i in enumerate(again):
            count = len(runs[i])
            # Runs scatter less around their own mean than around the truth.
            residuals[row, :count] = np.sqrt(count / (count - 1)) * (runs[i] - runs[i].mean(axis=0))
        return Noise(x[again], residuals, np.array([len(runs[i]) for i in again], dtype=np.intp))

    def near(self, point: Array) -> NDArray[np.intp]:
        """The nearest configs that lend to a place (d,), as rows of `x` in rising order."""
        return nearest(self.x, point, NEIGHBOURS)[0]

    def drawn(self, point: Array, luck: Sequence[float]) -> Array:
        """A residual (q,) at a place, by three numbers of [0, 1): which neighbour, which of its runs, which sign."""
        if not len(self.x):
            return np.zeros(self.residuals.shape[2])
        near = self.near(point)
        row = near[int(luck[0] * len(near))]
        residual = self.residuals[row, int(luck[1] * self.runs[row])]
        return residual if luck[2] < 0.5 else -residual

    def quantiles(self, point: Array, which: int, shares: Sequence[float]) -> Array:
        """Quantiles of what `drawn` gives at a point, of the residuals' number `which`."""
        near = self.near(point)
        drawn = np.concatenate([self.residuals[row, : self.runs[row], which] for row in near])
        weights = np.concatenate([np.full(self.runs[row], 1 / self.runs[row]) for row in near])
        both, weights = np.concatenate([drawn, -drawn]), np.concatenate([weights, weights])
        order = np.argsort(both, kind="stable")
        heights = np.cumsum(weights[order])
        # In the middle of each step of their law, straight between them (Hazen's rule).
        return np.interp(shares, (heights - weights[order] / 2) / heights[-1], both[order])
