"""SMAC's random forest: expected improvement by the mean and the variance over trees, found by local search.

Decided here: bad losses are capped and the rest is standardised, where SMAC takes logarithms, which losses of either
sign do not have; the local search treats integers as continuous and its finds are scored again as the configs that
they are. Configs under way are not proposed again and otherwise unknown to the forest: believing their predicted means
made no clear difference on toys, and random configs are interleaved anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from harness._parts.acquisition import log_expected_improvement
from harness._parts.candidates import candidates as candidates_of
from harness._parts.candidates import propose_best
from harness._parts.observations import Observations, standardised
from harness._parts.refusals import refuse_several_objectives
from harness._parts.trees import Forest, bootstrap, grow
from harness.space import Choice, Config, Space
from harness.types import Benchmark

__all__ = ["RandomForestSampler"]
VERSION = 3

Array = NDArray[np.float64]

TREES = 10
STARTS, STEPS = 5, 10
"""Local searches from so many random candidates and as many of the best observed, each of at most so many steps."""
LEAST_VARIANCE = 1e-10
NUMERIC_NEIGHBOURS, NEIGHBOUR_DEVIATION = 4, 0.2


class RandomForestSampler:
    """Expected improvement under a random forest (Hutter, Hoos & Leyton-Brown 2011, LION 5).

    The config with the highest one is proposed, or now and then a random one.

    Scored are all free rows of a table, else `candidates` random configs and what local searches find: neighbours
    differ in one hyperparameter, a choice by any other value, a number by four normal steps of deviation 0.2.
    Improvement is sought over the best predicted mean of the observed configs, at the highest resource with at least
    three losses. Ten bootstrapped trees that see all hyperparameters, leaves of one observation.

    interleave: the probability of a random config, which keeps the search from ending where the forest errs;
    initial: random configs observed first. ValueError for several objectives.

    The source is "Sequential Model-based Optimization for General Algorithm Configuration"; the mean and the variance
    are by Hutter et al. 2014, section 4.3.2, the settings by Lindauer et al., "SMAC3" (JMLR 2022), its facade for
    hyperparameters.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        interleave: float = 0.2,
        initial: int = 8,
        candidates: int = 1000,
    ) -> None:
        refuse_several_objectives("rf models", benchmark)
        if not 0 <= interleave <= 1 or initial < 1 or candidates < STARTS:
            raise ValueError(
                f"rf needs 0 <= interleave <= 1, initial >= 1 and candidates >= {STARTS}, "
                f"given {interleave}, {initial}, {candidates}"
            )
        self._space, self._rng = benchmark.space, rng
        self._interleave, self._initial, self._candidates = interleave, initial, candidates
        self._observations = Observations(benchmark.space)
        self._neighbourhood = Neighbourhood(benchmark.space)
        self._forest: Forest | None = None
        self._leaders, self._best = np.zeros((0, benchmark.space.dim)), 0.0

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Learn what `config` reached at `resource`."""
        self._observations.add(config, resource, losses[0])

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The most promising config that was not proposed yet; None where the space is exhausted."""
        space, rng = self._space, self._rng
        if self._observations.configs < self._initial or space.exhausted or rng.random() < self._interleave:
            return space.fresh(rng)
        if self._observations.refit_due() or self._forest is None:
            x, losses = self._observations.at_target()
            targets = standardised(losses)
            self._forest = grow(x, targets, bootstrap(rng, TREES, len(x)), rng)
            self._leaders = x[np.argsort(targets, kind="stable")[:STARTS]]
            self._best = float(self._forest.predict(x)[0].min())
        forest, best = self._forest, self._best

        def improvement(points: Array) -> Array:
            mean, variance = forest.predict(points)
            return log_expected_improvement(mean, np.sqrt(np.maximum(variance, LEAST_VARIANCE)), best)

        points = candidates_of(space, rng, self._candidates)
        scores = improvement(points)
        if space.rows is None:
            starts = np.concatenate([points[np.argsort(-scores, kind="stable")[:STARTS]], self._leaders])
            climbed = space.encode(space.decode(self._neighbourhood.climb(starts, improvement, rng)))
            points = np.concatenate([climbed, points])
            scores = np.concatenate([improvement(climbed), scores])
        return propose_best(space, rng, points, scores)


class Neighbourhood:
    """The neighbours of encoded configs: each differs in one hyperparameter."""

    def __init__(self, space: Space) -> None:
        changes: list[tuple[str, Array | None]] = []
        for name, domain in space.domains.items():
            if isinstance(domain, Choice):
                changes += [(name, np.array(domain.encode(value))) for value in domain.values]
            else:
                changes += [(name, None)] * NUMERIC_NEIGHBOURS
        # One row a neighbour: which coordinates change, what they become, and whether by a normal step instead.
        self._changed = np.zeros((len(changes), space.dim), dtype=bool)
        self._becomes = np.zeros((len(changes), space.dim))
        self._steps = np.array([[float(value is None)] for _, value in changes])
        for row, (name, value) in enumerate(changes):
            self._changed[row, space.slices[name]] = True
            self._becomes[row, space.slices[name]] = 0.0 if value is None else value

    def of(self, points: Array, rng: np.random.Generator) -> Array:
        """The neighbours (k, r, dim) of points (k, dim)."""
        normal = ndtri(rng.random((len(points), len(self._steps), 1)))
        moved = np.clip(points[:, None] + NEIGHBOUR_DEVIATION * normal, 0.0, 1.0)
        new = np.where(self._steps > 0, moved, self._becomes)
        return np.where(self._changed, new, points[:, None])

    def climb(self, starts: Array, score: Callable[[Array], Array], rng: np.random.Generator) -> Array:
        """Where searches from the starts (k, dim) end: each goes to its best neighbour as long as that is better."""
        points, scores = starts, score(starts)
        every = np.arange(len(starts))
        for _ in range(STEPS):
            near = self.of(points, rng)
            values = score(near.reshape(-1, near.shape[-1])).reshape(near.shape[:2])
            best = values.argmax(1)
            better = values[every, best] > scores
            if not better.any():
                break
            points = np.where(better[:, None], near[every, best], points)
            scores = np.where(better, values[every, best], scores)
        return points
