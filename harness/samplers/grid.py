"""Grid search: every combination of a few values each, in random order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import prod

import numpy as np

from harness.space import Config, Value
from harness.types import Benchmark

__all__ = ["Grid"]

MOST_LISTED = 100_000
"""A larger grid is not listed: its points are drawn one by one, and of one so large no study comes near the end."""
TRIES = 1000
"""Unless conditions make it small after all: after so many draws in a row of points that were proposed before, what is
left is gone through in order."""


class Grid:
    """The Cartesian product of `points` values each, shuffled (Bergstra and Bengio 2012, JMLR 13, section 1).

    So many values of a number, five as in Syne Tune, and all values of the rest.

    On a space restricted to the rows of a table each point of the grid is moved to the nearest free row.
    """

    def __init__(self, benchmark: Benchmark, rng: np.random.Generator, *, points: int = 5) -> None:
        if points < 1:
            raise ValueError(f"a grid needs at least one point a number, given points={points}")
        self._space = benchmark.space
        self._rng = rng
        self._axes = {name: domain.grid(points) for name, domain in self._space.domains.items()}
        self._draws = TRIES
        self._left: Iterator[Config] = self._space.grid(points)
        if prod(map(len, self._axes.values())) <= MOST_LISTED:
            configs = list(self._left)
            shuffled = np.argsort(rng.random(len(configs)), kind="stable")
            self._draws, self._left = 0, iter([configs[i] for i in shuffled[::-1]])

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The next point of the grid; None when all were proposed."""
        if self._space.exhausted:
            return None
        for _ in range(self._draws):
            if (config := self._taken(self._drawn())) is not None:
                return config
        for point in self._left:
            if (config := self._taken(point)) is not None:
                return config
        return None

    def _taken(self, config: Config) -> Config | None:
        """A point, or the free row nearest to it; None where it was proposed before."""
        if self._space.rows is not None:
            return self._space.fresh_near(self._space.encode([config])[0])
        return config if self._space.claim(config) else None

    def _drawn(self) -> Config:
        config: dict[str, Value] = {}
        for name, values in self._axes.items():
            if self._space.active(name, config):
                config[name] = values[int(self._rng.random() * len(values))]
        return config

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Nothing is learned."""
