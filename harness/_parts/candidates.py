"""Candidates of samplers that score many configs and take the best: free rows of a table, else random configs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.space import Config, Space

Array = NDArray[np.float64]


def candidates(space: Space, rng: np.random.Generator, count: int) -> Array:
    """All free rows where the space is restricted to rows, else `count` random configs, shape (m, dim)."""
    free = space.free_rows()
    return space.sample_encoded(rng, count) if free is None else free


def propose_best(space: Space, rng: np.random.Generator, points: Array, scores: Array) -> Config | None:
    """The config of the highest score (m,) among points (m, dim) that was not proposed yet; equals by lot.

    Where all were proposed, a random one; None where the space is exhausted.
    """
    for index in np.lexsort((rng.random(len(scores)), -scores)).tolist():
        config = space.fresh_near(points[index])
        if config is not None:
            return config
    return space.fresh(rng)
