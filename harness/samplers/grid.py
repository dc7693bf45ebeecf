"""Grid search: every combination of a few values each, in random order."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from harness.space import Config
from harness.types import Benchmark

__all__ = ["Grid"]


class Grid:
    """The Cartesian product of `points` values a number and of all values of the rest, shuffled.

    On a space restricted to the rows of a table each point of the grid is moved to the nearest free row.
    """

    def __init__(self, benchmark: Benchmark, rng: np.random.Generator, *, points: int = 5) -> None:
        if points < 1:
            raise ValueError(f"a grid needs at least one point a number, given points={points}")
        self._space = benchmark.space
        configs = list(benchmark.space.grid(points))
        order = np.argsort(rng.random(len(configs)), kind="stable")
        self._waiting = [configs[i] for i in order]

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The next point of the grid; None when all were proposed."""
        while self._waiting:
            config = self._waiting.pop()
            if self._space.rows is not None:
                return self._space.fresh_near(self._space.encode([config])[0])
            if self._space.claim(config):
                return config
        return None

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Nothing is learned."""
