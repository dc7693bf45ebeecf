"""Random search: independent configs, none of them twice."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from harness.space import Config
from harness.types import Benchmark

__all__ = ["RandomSearch"]

DRAWN_AHEAD = 16
"""Configs of an infinite space are drawn so many at a time: it is faster, and nobody can tell."""


class RandomSearch:
    """Independent draws without replacement (Bergstra and Bengio 2012, JMLR 13, section 1).

    On a space restricted to the rows of a table each free row is equally likely: there the exact law of order
    statistics holds.
    """

    def __init__(self, benchmark: Benchmark, rng: np.random.Generator) -> None:
        self._space = benchmark.space
        self._rng = rng
        self._drawn: list[Config] = []

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """A random config that was not proposed before."""
        if self._space.size is not None:
            return self._space.fresh(self._rng)
        while True:
            if not self._drawn:
                self._drawn.extend(self._space.sample(self._rng, DRAWN_AHEAD))
            if self._space.claim(config := self._drawn.pop()):
                return config

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Nothing is learned."""
