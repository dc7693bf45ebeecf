"""Scrambled Sobol sequence: configs that fill the space more evenly than random ones.

Each hyperparameter is one dimension of the sequence, whose number is the quantile at which its value is drawn: each
follows exactly the law of random search, and only together they are more even. An inactive hyperparameter's number is
not used.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from harness.space import Config
from harness.types import Benchmark

__all__ = ["Sobol"]

DRAWN_AHEAD = 64
"""Points drawn at a time: a power of two, as the balance of the sequence wants it."""
MOST_REPEATS = 1024
"""After so many points in a row whose configs were all proposed before, a random one of what is left is proposed."""


class Sobol:
    """The points of a scrambled Sobol sequence in their order (Sobol 1967, USSR Comp. Math. and Math. Phys. 7).

    Points whose config was proposed before are left out. The direction numbers are those of Joe and Kuo (2008), the
    scrambling is Matousek's (1998), linear with a digital shift, as scipy has them. On a space restricted to the rows
    of a table each point is moved to the nearest free row.
    """

    def __init__(self, benchmark: Benchmark, rng: np.random.Generator) -> None:
        from scipy.stats.qmc import Sobol as Sequence

        self._space = benchmark.space
        self._rng = rng
        # Older releases of scipy call the generator `seed`, and the newer ones still take it.
        self._sequence = Sequence(len(self._space.names), seed=rng)  # pyright: ignore[reportCallIssue]
        self._drawn: list[Config] = []

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The config at the next point; None where the space is exhausted."""
        if self._space.exhausted:
            return None
        for _ in range(MOST_REPEATS):
            config = self._next()
            if self._space.rows is not None:
                return self._space.fresh_near(self._space.encode([config])[0])
            if self._space.claim(config):
                return config
        return self._space.fresh(self._rng)

    def _next(self) -> Config:
        if not self._drawn:
            self._drawn.extend(self._space.at_quantiles(self._sequence.random(DRAWN_AHEAD).tolist())[::-1])
        return self._drawn.pop()

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Nothing is learned."""
