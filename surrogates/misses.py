"""What a mean misses of a config: luck of its own, the same with every seed, which configs near it lend.

A mean learned from some hundred configs is smoother than the truth: of a config it has not seen it misses something,
and on a world without that every method that models losses finds it too easy. What was missed of configs that were
held out is measured; a config misses what one of those near it did, at all levels and metrics at once, with either
sign. The part of it that is but the luck of the seeds with which they were trained is taken out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from surrogates.noise import Noise

Array = NDArray[np.float64]
NEIGHBOURS = 20
"""Among so many configs it is judged how much of what is missed is luck."""


def misses_of(places: Array, missed: Array, runs: NDArray[np.intp], noise: Noise) -> Noise:
    """What is missed of configs, as `Noise` that has one residual a config.

    places: of held-out configs, by what was predicted of them, (n, d); missed: the means of their runs less what was
    predicted, (n, q); runs: how many those are, (n,); noise: between seeds.
    """
    sizes = np.maximum((missed**2).mean(axis=0), 1e-12)
    squares = (missed**2 / sizes).mean(axis=1)
    lucky = np.array(
        [(one[:count] ** 2 / sizes).mean() for one, count in zip(noise.residuals, noise.runs, strict=True)]
    )
    shares = np.ones(len(places))
    for row, place in enumerate(places) if len(lucky) else ():
        near = np.argsort(((places - place) ** 2).sum(axis=1), kind="stable")[:NEIGHBOURS]
        luck = lucky[noise.near(place)].mean() * (1 / runs[near]).mean()
        shares[row] = np.sqrt(max(0.0, 1 - luck / max(squares[near].mean(), 1e-12)))
    return Noise(places, (shares[:, None] * missed)[:, None], np.ones(len(places), dtype=np.intp))


def none_of(features: int, width: int) -> Noise:
    """Nothing missed, of configs with so many features and curves of so many numbers."""
    return Noise(np.empty((0, features + 1)), np.empty((0, 1, width)), np.empty(0, dtype=np.intp))
