"""What a mean misses of a config: luck of its own, the same with every seed, which configs near it lend.

A mean learned from some hundred configs is smoother than the truth: of a config it has not seen it misses something,
and on a world without that every method that models losses finds it too easy. What was missed of configs that were
held out is measured; a config misses what one of those near it did, at all levels and metrics at once, with either
sign. Near are those with like hyperparameters that were predicted to end alike: what is missed at the edge of
divergence is large, and says nothing of a good config beside it. The part that is but the luck of the seeds with which
they were trained is taken out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from surrogates.noise import Noise

Array = NDArray[np.float64]
NEIGHBOURS = 20
"""Among so many configs it is judged how much of what is missed is luck."""


def place_of(x: Array, ends: Array) -> Array:
    """Where configs stand among others, (..., d + 1), by features (..., d) and predicted last metrics (..., m).

    Of these, on their scale, the mean: a factor of e in the distance to the floor is as far as from one end of a
    hyperparameter to the other.
    """
    return np.concatenate([x, ends.mean(axis=-1, keepdims=True)], axis=-1)


def misses_of(x: Array, ends: Array, missed: Array, runs: NDArray[np.intp], noise: Noise) -> Noise:
    """What is missed of configs, as `Noise` that has one residual a config, at the config's place.

    x: features (n, d) of held-out configs; ends: their predicted last metrics on the scale, (n, m); missed: the means
    of their runs less what was predicted, (n, q); runs: how many those are, (n,); noise: between seeds.
    """
    places = place_of(x, ends)
    sizes = np.maximum((missed**2).mean(axis=0), 1e-12)
    squares = (missed**2 / sizes).mean(axis=1)
    lucky = np.array(
        [(one[:count] ** 2 / sizes).mean() for one, count in zip(noise.residuals, noise.runs, strict=True)]
    )
    shares = np.ones(len(x))
    for row, point in enumerate(x) if len(lucky) else ():
        near = np.argsort(((places - places[row]) ** 2).sum(axis=1), kind="stable")[:NEIGHBOURS]
        luck = lucky[noise.near(point)].mean() * (1 / runs[near]).mean()
        shares[row] = np.sqrt(max(0.0, 1 - luck / max(squares[near].mean(), 1e-12)))
    return Noise(places, (shares[:, None] * missed)[:, None], np.ones(len(x), dtype=np.intp))


def none_of(features: int, width: int) -> Noise:
    """Nothing missed, of configs with so many features and curves of so many numbers."""
    return Noise(np.empty((0, features + 1)), np.empty((0, 1, width)), np.empty(0, dtype=np.intp))
