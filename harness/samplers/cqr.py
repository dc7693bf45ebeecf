"""CQR: of each candidate one conformal quantile is drawn, and the smallest wins.

Decided here: the quantiles come from a quantile regression forest and not from the paper's gradient boosting, whose
five models of a hundred trees cost ten times as much (their pinball loss on toys was within 16 per cent either way);
the method, a conformal correction and the draw, is the paper's.
Configs under way are not proposed again and otherwise unknown: the draws keep the proposals apart.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from harness._parts.candidates import candidates as candidates_of
from harness._parts.candidates import propose_best
from harness._parts.observations import Observations, standardised
from harness._parts.refusals import refuse_several_objectives
from harness._parts.trees import QuantileForest, grow
from harness.space import Config
from harness.types import Benchmark

__all__ = ["ConformalQuantiles"]
VERSION = 3

Array = NDArray[np.float64]

LEVELS = np.arange(1, 6) / 6
"""Of the quantiles; the first and the last enclose 2 / 3 of the losses, the second and the fourth 1 / 3."""
CONFORMAL_FROM, VALIDATION = 32, 0.1
"""Beyond so many observations (Syne Tune: from so many on) this share of them is held back for the correction."""
TREES, SHARE, LEAST = 50, 0.8, 3.0


class ConformalQuantiles:
    """Propose the candidate with the smallest randomly drawn quantile (Salinas et al. 2023, ICML, section 4).

    Five quantiles are predicted for each candidate; beyond 32 observations each pair of them is widened or narrowed
    until it covers held-back losses as it should (split conformal prediction, Romano et al. 2019). Then, as in Thompson
    sampling, one of the five is drawn for each candidate. Candidates are all free rows of a table, else `candidates`
    random configs. Of several resources, each config counts with its loss at the highest that it reached.

    initial: random configs observed first. ValueError for several objectives.
    """

    def __init__(
        self, benchmark: Benchmark, rng: np.random.Generator, *, initial: int = 5, candidates: int = 2000
    ) -> None:
        refuse_several_objectives("cqr models", benchmark)
        if initial < 1 or candidates < 1:
            raise ValueError(f"cqr needs initial >= 1 and candidates >= 1, given {initial} and {candidates}")
        self._space, self._rng = benchmark.space, rng
        self._initial, self._candidates = initial, candidates
        self._observations = Observations(benchmark.space)
        self._model: ConformalForest | None = None

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Learn what `config` reached at `resource`."""
        self._observations.add(config, resource, losses[0])

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The config of the smallest draw that was not proposed yet; None where the space is exhausted."""
        if self._observations.configs < self._initial or self._space.exhausted:
            return self._space.fresh(self._rng)
        if self._observations.refit_due() or self._model is None:
            x, losses = self._observations.latest()
            self._model = ConformalForest(x, standardised(losses), self._rng)
        points = candidates_of(self._space, self._rng, self._candidates)
        quantiles = self._model.quantiles(points)
        drawn = (self._rng.random(len(points)) * len(LEVELS)).astype(np.intp)
        return propose_best(self._space, self._rng, points, -quantiles[np.arange(len(points)), drawn])


class ConformalForest:
    """Quantiles of the target at a point, corrected by observations held back from the forest."""

    def __init__(self, x: Array, targets: Array, rng: np.random.Generator) -> None:
        n = len(targets)
        order = np.argsort(rng.random(n), kind="stable")
        held = int(np.ceil(VALIDATION * n)) if n > CONFORMAL_FROM else 0
        aside, used = np.sort(order[:held]), np.sort(order[held:])
        weights = np.ones((TREES, len(used)))
        forest = grow(x[used], targets[used], weights, rng, share=SHARE, least=LEAST)
        self._quantiles = QuantileForest(forest, x[used], targets[used], weights)
        self._corrections = np.zeros(len(LEVELS))
        if held:
            self._corrections = corrections(self._quantiles.quantiles(x[aside], LEVELS), targets[aside])

    def quantiles(self, x: Array) -> Array:
        """The quantiles at LEVELS (q,) of points (m, d), shape (m, q)."""
        return self._quantiles.quantiles(x, LEVELS) + self._corrections


def corrections(quantiles: Array, targets: Array) -> Array:
    """What to add to predicted quantiles (k, q) so that each pair of them covers targets (k,) as it should: (q,).

    A target's score is how far it lies outside the pair, negative inside; the pair is moved out by the score at the
    place ceil(coverage * (k + 1)) of k, at most the last. The median stays.
    """
    k, found = len(targets), np.zeros(len(LEVELS))
    for low in range(len(LEVELS) // 2):
        high = len(LEVELS) - 1 - low
        scores = np.sort(np.maximum(quantiles[:, low] - targets, targets - quantiles[:, high]))
        coverage = LEVELS[high] - LEVELS[low]
        place = int(np.ceil(coverage * (k + 1) - 1e-9))
        found[high] = scores[min(place, k) - 1]
        found[low] = -found[high]
    return found
