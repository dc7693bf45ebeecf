"""Grid search: every combination of a few values each, in random order."""

from __future__ import annotations

from collections.abc import Collection
from math import prod

import numpy as np

from harness.space import Config, Value
from harness.types import Benchmark

__all__ = ["Grid"]

MOST_LISTED = 100_000
"""A larger grid is not listed: its points are drawn one by one, and of one so large no study comes near the end."""


class Grid:
    """The Cartesian product of `points` values each, shuffled (Bergstra and Bengio 2012, JMLR 13, section 1).

    So many values of a number, all values of the rest.

    On a space restricted to the rows of a table each point of the grid is moved to the nearest free row.
    """

    def __init__(self, benchmark: Benchmark, rng: np.random.Generator, *, points: int = 5) -> None:
        if points < 1:
            raise ValueError(f"a grid needs at least one point a number, given points={points}")
        self._space = benchmark.space
        self._rng = rng
        self._axes = {name: domain.grid(points) for name, domain in self._space.domains.items()}
        self._waiting: list[Config] | None = None
        if prod(map(len, self._axes.values())) <= MOST_LISTED:
            configs = list(benchmark.space.grid(points))
            self._waiting = [configs[i] for i in np.argsort(rng.random(len(configs)), kind="stable")]

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The next point of the grid; None when all were proposed."""
        while self._waiting is None or self._waiting:
            config = self._drawn() if self._waiting is None else self._waiting.pop()
            if self._space.rows is not None:
                return self._space.fresh_near(self._space.encode([config])[0])
            if self._space.claim(config):
                return config
        return None

    def _drawn(self) -> Config:
        config: dict[str, Value] = {}
        for name, values in self._axes.items():
            if self._space.active(name, config):
                config[name] = values[int(self._rng.random() * len(values))]
        return config

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Nothing is learned."""
