"""TuRBO: Bayesian optimisation within a trust region that grows, shrinks and starts anew.

Decided here, where the paper sees a batch of numbers in [0, 1]^d on one fidelity:

- The paper waits for a batch of q trials and counts a batch that brings a new best as a success, any other as a
  failure. Here nobody waits: of the trials that the region proposed, every q that report, in the order of their
  arrival, are a batch, where q is the number of workers. With one worker, and where all trials take equally long, that
  is the paper's count. A random config that is tried because the region has nothing new counts as well, so a region
  that is used up shrinks and ends.
- Trials under way are kept apart by the chance of Thompson sampling alone, as in the paper.
- With several resources the centre and the count are those of the highest resource with at least three losses. When
  that rises, the best is sought there anew and the batch under way is forgotten.
- Numbers and ordered values have a box. A choice has no near and far: where it is perturbed, it is drawn anew with the
  probability `length` (at most 1), so it too settles as the region shrinks. A row of a table is in the region if its
  numbers are in the box and at most a share `length` of its choices, rounded, differ from the centre.
- A new region forgets what the others saw, as in the paper; their trials that still report are not heard.
"""

from __future__ import annotations

from collections.abc import Collection
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from harness._parts.acquisition import thompson
from harness._parts.candidates import best_first
from harness._parts.config_model import ConfigModel, numeric_columns
from harness._parts.refusals import refuse_several_objectives
from harness.domains import Choice
from harness.space import Config
from harness.types import Benchmark

__all__ = ["Turbo"]
VERSION = 4

Array = NDArray[np.float64]

LENGTH, SHORTEST, LONGEST = 0.8, 2.0**-7, 1.6
SUCCESSES = 3
"""Successes in a row that double the length."""
PERTURBED = 20
"""Hyperparameters of the centre that a candidate changes on average; all, where there are not more."""
FEWEST_ROWS = 8
"""Where fewer free rows are in the region, so many that are nearest to it are candidates."""


class Turbo:
    """TuRBO-1 (Eriksson, Pearce, Gardner, Turner and Poloczek 2019, arXiv 1910.01739).

    Proposed is what looks best in one function drawn from the belief, within a box around the best config. The sides
    of the box are in the ratio of the length scales, its volume is length^d before it is cut to the space; three
    successes in a row double the length, max(4, d) / q failures halve it, and below 2^-7 a new region begins with
    random configs. In many dimensions a candidate differs from the centre in about 20 hyperparameters only.

    initial: random configs that report before a region's model is asked, else two a hyperparameter; candidates: at most
    so many, and at most 100 a hyperparameter (the paper allows 5,000, which would take seconds). They are uniform in
    the box; the paper takes a Sobol sequence. ValueError for several objectives.
    """

    def __init__(
        self, benchmark: Benchmark, rng: np.random.Generator, *, initial: int | None = None, candidates: int = 512
    ) -> None:
        refuse_several_objectives("turbo models", benchmark)
        if (initial is not None and initial < 1) or candidates < 8:
            raise ValueError(f"turbo needs initial >= 1 and candidates >= 8, given {initial} and {candidates}")
        self._space, self._rng, self._fidelity = benchmark.space, rng, benchmark.fidelity
        dimension = len(self._space.names)
        self._initial = 2 * dimension if initial is None else initial
        self._candidates = min(candidates, 100 * dimension)
        self._perturbed = min(1.0, PERTURBED / dimension)
        self._numbers = numeric_columns(self._space)
        domains = self._space.domains.items()
        self._choices = [self._space.slices[name] for name, domain in domains if isinstance(domain, Choice)]
        self._left: set[tuple[object, ...]] = set()
        """The configs of regions that are done."""
        self._known: set[tuple[object, ...]] = set()
        """The configs that the model of this region has seen."""
        self._proposed: set[tuple[object, ...]] = set()
        """The configs that count as successes or failures of this region."""
        self._model = ConfigModel(self._space, self._fidelity)
        self._region = Region(dimension, benchmark.workers)

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Learn what `config` reached at `resource`, and let the region grow or shrink by it."""
        key = self._space.key(config)
        if key in self._left:
            return
        self._known.add(key)
        (encoded,) = self._space.encode([config])
        before = self._model.target()
        reached = resource if np.isfinite(losses[0]) else max(resource, before)
        self._model.add(encoded, resource, losses[0])
        target = self._model.target()
        if target != before:
            self._region.begin_at(float(self._model.at(target)[1].min()))
        elif reached == target:
            self._region.note(losses[0], counts=key in self._proposed)

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The new config of the region whose draw is lowest; None where the space is exhausted."""
        if self._region.length < SHORTEST:
            self._begin_anew(pending)
        if len(self._known) < self._initial or not len(self._model.at(self._model.target())[1]):
            return self._space.fresh(self._rng)
        config = self._searched()
        if config is not None:
            self._proposed.add(self._space.key(config))
        return config

    def _begin_anew(self, pending: Collection[Config]) -> None:
        self._left |= self._known | self._proposed | {self._space.key(config) for config in pending}
        self._known, self._proposed = set(), set()
        self._model = ConfigModel(self._space, self._fidelity)
        self._region = Region(self._region.dimension, self._region.workers)

    def _searched(self) -> Config | None:
        free = self._space.free_rows()
        if free is not None and len(free) == 0:
            return None
        posterior, target = self._model.posterior(), self._model.target()
        inputs, losses = self._model.at(target)
        centre = inputs[np.argmin(losses), :-1]
        scales = posterior.factor.hyperparameters.length_scales[self._numbers]
        sides = box_sides(scales, self._region.length)
        points = self._around(centre, sides) if free is None else self._rows_near(free, centre, sides)
        for place in thompson(posterior, self._model.inputs(points, target), self._rng, self._candidates)[:16].tolist():
            config = self._space.fresh_near(points[place])
            if config is not None:
                return config
        return self._space.fresh(self._rng)

    def _around(self, centre: Array, sides: Array) -> Array:
        """Candidates (m, dim): the centre with some hyperparameters, at least one, drawn anew in the region."""
        rng, count, dimension = self._rng, self._candidates, len(self._space.names)
        changed = rng.random((count, dimension)) < self._perturbed
        changed[np.arange(count), rng.integers(0, dimension, count)] = True
        points = np.repeat(centre[None], count, axis=0)
        uniform = rng.random((count, dimension))
        low, high = self._box(centre, sides)
        number = choice = 0
        for place, domain in enumerate(self._space.domains.values()):
            rows, drawn = changed[:, place], uniform[:, place]
            if isinstance(domain, Choice):
                # Both lots from one uniform number: below the length the value is drawn anew, by where it lies there.
                length = min(self._region.length, 1.0)
                for row in np.flatnonzero(rows & (drawn < length)).tolist():
                    points[row, self._choices[choice]] = domain.encode(domain.draw(float(drawn[row]) / length))
                choice += 1
            else:
                column = self._numbers[number]
                points[rows, column] = low[number] + drawn[rows] * (high[number] - low[number])
                number += 1
        return points

    def _box(self, centre: Array, sides: Array) -> tuple[Array, Array]:
        """Lower and upper ends of the box over the numbers, cut to the space."""
        middle = centre[self._numbers]
        return np.maximum(middle - 0.5 * sides, 0.0), np.minimum(middle + 0.5 * sides, 1.0)

    def _rows_near(self, free: Array, centre: Array, sides: Array) -> Array:
        """The free rows (m, dim) in the region, or where those are few the nearest to it; of equals, any."""
        away = np.zeros(len(free))
        if len(self._numbers):
            away = (2.0 * np.abs(free - centre)[:, self._numbers] / sides).max(axis=1)
        if self._choices:
            differing = sum((free[:, part] != centre[part]).any(axis=1).astype(np.float64) for part in self._choices)
            away = np.maximum(away, differing / (len(self._choices) * self._region.length + 0.5))
        inside = np.flatnonzero(away <= 1.0)
        return free[inside if len(inside) >= FEWEST_ROWS else best_first(-away, self._rng, FEWEST_ROWS)]


class Region:
    """The length of a trust region, and how successes and failures change it."""

    def __init__(self, dimension: int, workers: int) -> None:
        self.dimension, self.workers = dimension, workers
        self.length = LENGTH
        self._best = inf
        self._batch: list[float] = []
        self._successes = self._failures = 0
        self._patience = ceil(max(4, dimension) / workers)
        """Failures in a row that halve the length."""

    def begin_at(self, best: float) -> None:
        """Count from here what is below `best`: the trials are judged at another resource now."""
        self._best, self._batch = best, []

    def note(self, loss: float, counts: bool) -> None:
        """Take a loss that was reached; it `counts` where the region proposed the config."""
        if not counts:
            self._best = min(self._best, loss)
            return
        self._batch.append(loss)
        if len(self._batch) < self.workers:
            return
        success, best = min(self._batch) < self._best, min(self._best, *self._batch)
        self._best, self._batch = best, []
        self._successes, self._failures = (self._successes + 1, 0) if success else (0, self._failures + 1)
        if self._successes == SUCCESSES:
            self.length, self._successes = min(2.0 * self.length, LONGEST), 0
        elif self._failures == self._patience:
            self.length, self._failures = 0.5 * self.length, 0


def box_sides(length_scales: Array, length: float) -> Array:
    """The sides (d,) of a box in the ratio of the length scales (d,), whose volume is length^d."""
    if len(length_scales) == 0:
        return length_scales
    logarithms = np.log(length_scales)
    return length * np.exp(logarithms - logarithms.mean())
