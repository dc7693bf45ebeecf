"""Random search: independent configs, none of them twice."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from harness.space import Config
from harness.types import Benchmark

__all__ = ["RandomSearch"]


class RandomSearch:
    """Independent draws without replacement (Bergstra and Bengio 2012, JMLR 13).

    On a space restricted to the rows of a table each free row is equally likely: there the exact law of order
    statistics holds.
    """

    def __init__(self, benchmark: Benchmark, rng: np.random.Generator) -> None:
        self._space = benchmark.space
        self._rng = rng

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """A random config that was not proposed before."""
        return self._space.fresh(self._rng)

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Nothing is learned."""
