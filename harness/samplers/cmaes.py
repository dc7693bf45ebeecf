"""CMA-ES: a normal law over the encoded space that moves and stretches towards the better half of its offspring.

Decided here, for a law on R^n that proposes configs to workers who never wait for each other:

- The law knows no bounds: what lies outside [0, 1]^n is reflected at them before it is decoded, as if the loss went
  on beyond them in mirror images. So an optimum at a bound looks like one inside. Drawing again until a point lies
  inside would never end in a hundred dimensions, and clipped points would gather at the bounds.
- A generation is over when as many configs as it has offspring were observed, from whichever law they came. Late ones
  of older laws, start configs and points moved to a row of a table count as injected, with their steps cut: nothing is
  thrown away, and larger generations for many workers proved to be worse.
- A config counts once, in the generation in which it is first observed. What it reaches later counts only while that
  generation lasts: who was trained further stands better, then the lower loss.
- A choice of many is one coordinate a value, the largest wins; whole numbers, ordered values and choices keep a least
  standard deviation, such that other values keep a probability of about 1 / (n * offspring) a coordinate (the margin
  of Hamano et al. 2022, arXiv 2205.13482, in a simple form).
- When the law has shrunk to nothing, or to nothing in some direction, it starts again at a random place with twice the
  offspring (IPOP).
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from harness._parts.cma import Cma, default_offspring
from harness._parts.evolution import Array, Standing, settled, standing
from harness._parts.refusals import refuse_several_objectives
from harness.space import Choice, Config, Float, Space
from harness.types import Benchmark

__all__ = ["CmaEs"]
VERSION = 2

FIRST_STEP = 0.2
"""The tutorial's 0.3 is meant for a random start; from the centre this reaches every bound in 2.5 deviations."""
SMALLEST, WORST_CONDITION = 1e-9, 1e14
"""A law narrower than this, or with a worse condition number, is over."""
MOST_REPEATS = 16
"""After so many points in a row that decode to configs proposed before, a random config is."""
NEVER = -1
"""The number of no law: a point so marked counts as injected."""


class CmaEs:
    """CMA-ES with cumulative step-size adaptation and negative weights (Hansen 2016, arXiv 1604.00772, appendix A).

    Restarted as IPOP-CMA-ES (Auger and Hansen 2005). offspring: of the first generation, three or more; else
    4 + 3 ln n. On a space restricted to the rows of a table each point is moved to the nearest free row. ValueError
    for several objectives.
    """

    def __init__(self, benchmark: Benchmark, rng: np.random.Generator, *, offspring: int | None = None) -> None:
        refuse_several_objectives("cmaes minimises", benchmark)
        if offspring is not None and offspring < 3:
            raise ValueError(f"cmaes needs offspring >= 3, given {offspring}")
        self._space, self._rng = benchmark.space, rng
        self._born = 0
        self._start(np.full(benchmark.space.dim, 0.5), offspring or default_offspring(benchmark.space.dim))
        self._proposed: dict[tuple[object, ...], tuple[Array, int]] = {}
        """By key the point of each config that was not observed yet, and the number of the law that drew it."""
        self._learned: set[tuple[object, ...]] = set()
        self._observed: dict[tuple[object, ...], tuple[Standing, Array, int]] = {}
        """Those of the generations not yet learned from, in the order of their first observation."""

    def _start(self, mean: Array, offspring: int) -> None:
        self._law = Cma(mean, FIRST_STEP, offspring, least_deviations(self._space, offspring))
        self._drawn: list[Array] = []
        self._born += 1

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The config at a point of the present law; None where the space is exhausted."""
        if self._space.exhausted:
            return None
        while len(self._observed) >= self._law.offspring:
            self._learn()
        for _ in range(MOST_REPEATS):
            point = self._next()
            config = self._space.fresh_near(reflected(point))
            if config is not None:
                return self._known(config, point, NEVER if self._space.rows is not None else self._born)
        config = self._space.fresh(self._rng)
        return None if config is None else self._known(config, self._rng.random(self._space.dim), NEVER)

    def _known(self, config: Config, point: Array, law: int) -> Config:
        inside = reflected(point)
        towards = np.where(point % 2.0 > 1.0, -1.0, 1.0)
        point = point + towards * (settled(self._space, inside, config) - inside)
        self._proposed[self._space.key(config)] = point, law
        return config

    def _next(self) -> Array:
        if not self._drawn:
            uniform = self._rng.random((self._law.offspring, self._space.dim))
            self._drawn = list(self._law.points(ndtri(np.maximum(uniform, 2.0**-54))))[::-1]
        return self._drawn.pop()

    def _learn(self) -> None:
        keys = list(islice(self._observed, self._law.offspring))
        generation = [self._observed.pop(key) for key in keys]
        self._learned.update(keys)
        generation.sort(key=lambda entry: entry[0])
        points = np.array([point for _, point, _ in generation])
        injected = np.array([law != self._born for _, _, law in generation])
        self._law.update(points, injected)
        self._drawn.clear()
        self._born += 1
        if self._law.extent < SMALLEST or self._law.condition > WORST_CONDITION:
            self._start(self._rng.random(self._space.dim), 2 * self._law.offspring)

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Count a config into the generation, or note what it reached since."""
        key = self._space.key(config)
        if key in self._learned:
            return
        if key in self._observed:
            _, point, law = self._observed[key]
        else:
            if key not in self._proposed:
                self._known(config, self._rng.random(self._space.dim), NEVER)
            point, law = self._proposed.pop(key)
        self._observed[key] = standing(resource, losses[0]), point, law


def reflected(points: Array) -> Array:
    """Points folded into [0, 1] at its bounds, as often as it takes."""
    return 1.0 - np.abs(1.0 - points % 2.0)


def least_deviations(space: Space, offspring: int) -> NDArray[np.float64]:
    """The least standard deviation (dim,) of each coordinate: 0 for floats.

    With it a law around the centre of a value's cell leaves it with probability 1 / (dim * offspring), with half of
    that where one side is a bound. For a choice of many it is a guess: its cells are taken as those of a choice of two.
    """
    least = np.zeros(space.dim)
    quantile = float(ndtri(1.0 - 0.5 / (space.dim * offspring)))
    for name, domain in space.domains.items():
        if not isinstance(domain, Float):
            cells = 2 if isinstance(domain, Choice) else domain.size
            least[space.slices[name]] = 0.5 / cells / quantile
    return least
