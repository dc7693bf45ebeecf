"""Candidates of methods that score many configs and take the best: free rows of a table, else random configs.

Where a row stands in its table must not matter, so equals are taken by lot. Equal is what is so to nine decimals, of
scores that are logarithms or in units of about 1: rounding makes a difference between rows that are alike, and where
they stand decides which.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.space import Config, Space

Array = NDArray[np.float64]

DECIMALS = 9


def candidates(space: Space, rng: np.random.Generator, count: int) -> Array:
    """All free rows where the space is restricted to rows, else `count` random configs, shape (m, dim)."""
    free = space.free_rows()
    return space.sample_encoded(rng, count) if free is None else free


def best_first(scores: Array, rng: np.random.Generator | None, most: int | None = None) -> NDArray[np.intp]:
    """The places of scores (m,), the highest first and equals by lot; at most so many.

    rng: None leaves equals in their order, where that says nothing anyway.
    """
    rounded = np.round(scores, DECIMALS)
    places = np.arange(len(scores))
    if most is not None and most < len(scores):
        places = np.flatnonzero(rounded >= np.partition(rounded, -most)[-most])
    lots = np.zeros(len(places)) if rng is None else rng.random(len(places))
    return places[np.lexsort((lots, -rounded[places]))][:most]


def propose_best(space: Space, rng: np.random.Generator, points: Array, scores: Array) -> Config | None:
    """The config of the highest score (m,) among points (m, dim) that was not proposed yet; equals by lot.

    Where all were proposed, a random one; None where the space is exhausted.
    """
    for index in best_first(scores, rng).tolist():
        config = space.fresh_near(points[index])
        if config is not None:
            return config
    return space.fresh(rng)
