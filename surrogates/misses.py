"""What a mean misses of a config: a smooth field over configs, the same with every seed, as large as was measured.

A mean learned from some hundred configs is smoother than the truth: of a config it has not seen it misses something,
and on a world without that every method that models losses finds it too easy. What was missed of configs that were
held out is measured; a config misses a mixture of what those near it did, at all levels and metrics at once. The part
of it that is but the luck of the seeds with which they were trained is taken out.

Configs that hardly differ miss nearly the same. How soon they do not is measured too, by pairs of held-out configs
that are nearer to each other than a table's configs usually are; both are held out together, or one would teach the
other. Each config lends what it missed times a wave of its own, whose direction and phase are drawn at random: such a
mixture has the covariance of what is lent, and a correlation of exp(-d^2 / (2 length^2)) over a distance d (random
Fourier features: Rahimi & Recht 2007, "Random Features for Large-Scale Kernel Machines", algorithm 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.randomness import stream
from surrogates.noise import Noise, nearest

Array = NDArray[np.float64]
LENT = 12
"""So many configs lend to one."""
NEIGHBOURS = 20
"""Among so many configs it is judged how much of what is missed is luck."""
PAIRS = 20
"""So many pairs at least tell over which distance what is missed hangs together."""
MOST = 4.0
"""A pair counts as missed by so many variances at most: a few outliers would decide."""
LENGTHS = np.geomspace(0.1, 1.0, 41)
"""What is tried, in units of the distance within which pairs are near: what hung together over more, others taught."""


@dataclass(frozen=True)
class Misses:
    """What was missed of held-out configs, and how it is lent.

    x: (n, d + 1), their places, as `place_of` gives them; residuals: (n, q), what was missed on the surrogate's scale,
    without the luck of seeds; waves: (n, d) and phases: (n,), how that is lent to features near theirs.
    """

    x: Array
    residuals: Array
    waves: Array
    phases: Array

    @staticmethod
    def of(places: Array, residuals: Array, length: float) -> Misses:
        """What is missed, residuals (n, q) at places (n, d + 1), lent so that it hangs together over a length."""
        luck, (n, d) = stream("waves"), places.shape
        waves = luck.standard_normal((n, d - 1)) / length
        return Misses(places, residuals, waves, 2 * np.pi * luck.random(n))

    def at(self, place: Array) -> Array:
        """What is missed (q,) of a config at a place (d + 1,)."""
        near, weights = self._lenders(place)
        wave = np.sqrt(2.0) * np.cos(self.waves[near] @ place[:-1] + self.phases[near])
        return (weights * wave) @ self.residuals[near]

    def spread(self, place: Array, which: int, but: int | None = None) -> float:
        """The standard deviation of what may be missed at a place of the number `which`; `but`: who does not lend."""
        near, weights = self._lenders(place)
        lends = near != but
        weights = weights[lends] / np.sqrt(np.square(weights[lends]).sum() or 1.0)
        return float(np.sqrt(np.square(weights * self.residuals[near[lends], which]).sum()))

    def _lenders(self, place: Array) -> tuple[NDArray[np.intp], Array]:
        """The rows that lend to a place, and their weights of square sum 1, which fall to 0 where others are nearer."""
        near, squares, beyond = nearest(self.x, place, LENT)
        weights = 1.0 - squares / beyond if beyond > 0.0 else np.ones(len(near))
        return near, weights / np.sqrt(np.square(weights).sum() or 1.0)


def without_luck(places: Array, missed: Array, runs: NDArray[np.intp], noise: Noise) -> Array:
    """What is missed of configs, (n, q), less the part that is the luck of their seeds.

    places: of held-out configs, by what was predicted of them, (n, d + 1); missed: the means of their runs less what
    was predicted, (n, q); runs: how many those are, (n,); noise: between seeds.
    """
    sizes = np.maximum((missed**2).mean(axis=0), 1e-12)
    squares = (missed**2 / sizes).mean(axis=1)
    lucky = np.array(
        [(one[:count] ** 2 / sizes).mean() for one, count in zip(noise.residuals, noise.runs, strict=True)]
    )
    shares = np.ones(len(places))
    for row, (place, near) in enumerate(zip(places, _around(places), strict=True)) if len(lucky) else ():
        luck = lucky[noise.near(place)].mean() * (1 / runs[near]).mean()
        shares[row] = np.sqrt(max(0.0, 1 - luck / max(squares[near].mean(), 1e-12)))
    return shares[:, None] * missed


def _around(places: Array) -> list[NDArray[np.intp]]:
    """The configs nearest to each, itself among them."""
    return [np.argsort(((places - place) ** 2).sum(axis=1), kind="stable")[:NEIGHBOURS] for place in places]


def length_of(places: Array, missed: Array, residuals: Array, near: float, pairs: NDArray[np.intp]) -> float:
    """Over which distance of features what is missed at one level hangs together.

    By least squares over the products of what was missed (n,) of pairs (p, 2), which are nearer to each other than
    `near`, in units of the residuals (n,), without luck, around them: luck is in no product of two configs. Where too
    few are so near, half of that distance: what hangs together over more, others would have taught.
    """
    local = np.sqrt([np.square(residuals[rows]).mean() for rows in _around(places)])
    one, other = pairs[(local[pairs] > 0.0).all(axis=1)].T
    if len(one) < PAIRS:
        return near / 2
    squares = np.square(places[one, :-1] - places[other, :-1]).sum(axis=1)
    products = np.clip(missed[one] * missed[other] / (local[one] * local[other]), -MOST, MOST)
    errors = [np.square(products - np.exp(-squares / (2 * length**2))).sum() for length in near * LENGTHS]
    return float(near * LENGTHS[int(np.argmin(errors))])


def none_of(features: int, width: int) -> Misses:
    """Nothing missed, of configs with so many features and curves of so many numbers."""
    return Misses.of(np.empty((0, features + 1)), np.empty((0, width)), 1.0)
