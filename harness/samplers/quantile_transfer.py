"""Quantile transfer: losses of past tasks as Gaussian quantiles, a forest over them, a Gaussian process on the rest.

The ranks of losses are comparable between tasks where losses are not: a Gaussian copula turns each task's losses into
normal scores, and one model is fitted to all of them. Decided here: that model is a forest with the mean and the
variance of its leaves, where the paper trains a network by its likelihood (a forest is grown in milliseconds from the
same bits everywhere); its deviation is at least 0.3, for where past configs tie, as where all diverged, it would be 0,
and one score of a study, whose fewer configs are cut lower, would outweigh all others; the scores of a study that has
just begun are those of the little it has seen, so the Gaussian process has a constant mean of its own.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from harness._parts.acquisition import log_expected_improvement
from harness._parts.candidates import candidates as candidates_of
from harness._parts.candidates import propose_best
from harness._parts.gp import Factor, Hyperparameters, fit_hyperparameters
from harness._parts.observations import Observations
from harness._parts.refusals import refuse_several_objectives
from harness._parts.trees import Forest, bootstrap, grow
from harness.history import History
from harness.space import Config
from harness.types import Benchmark

__all__ = ["QuantileTransfer"]
VERSION = 3

Array = NDArray[np.float64]

TREES, LEAST = 20, 5.0
MOST_PAST = 4000
"""Past configs that the forest learns from, an equal share of each task, evenly spaced in the order of its losses."""
LEAST_DEVIATION = 0.3


class QuantileTransfer:
    """Gaussian copula with a prior from past tasks (Salinas, Shen & Perrone 2020, ICML, Algorithms 1 and 2).

    "A quantile-based approach for hyperparameter transfer learning": the forest says, for any config, mean and
    deviation of the normal score that past tasks lead one to expect. Until `initial` configs of the running study are
    observed, the candidate is taken whose drawn score is lowest (copula Thompson sampling); from then on a Gaussian
    process is fitted to what the study's own scores differ from that, in deviations, and the candidate with the highest
    expected improvement is taken, trials under way being believed to reach their mean (the Gaussian copula process).
    Candidates are all free rows of a table, else `candidates` random configs. Of several resources, improvement is
    sought at the highest with at least three losses.

    history: past tasks; without any, nothing is expected. ValueError for several objectives, or a task that has no
    config in the space.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        history: History | None = None,
        initial: int = 5,
        candidates: int = 1000,
    ) -> None:
        refuse_several_objectives("quantile-transfer models", benchmark)
        if initial < 1 or candidates < 1:
            raise ValueError(f"quantile-transfer needs initial and candidates >= 1, given {initial} and {candidates}")
        self._space, self._rng = benchmark.space, rng
        self._initial, self._candidates = initial, candidates
        self._observations = Observations(benchmark.space)
        self._hyperparameters = Hyperparameters.default(benchmark.space.dim)
        self._forest = self._learned(History(()) if history is None else history)

    def _learned(self, history: History) -> Forest | None:
        if not history.tasks:
            return None
        points: list[Array] = []
        scores: list[Array] = []
        for task in history.within(self._space):
            order = np.argsort(task.losses, kind="stable")
            count = min(len(order), MOST_PAST // len(history.tasks) + 1)
            kept = order[np.linspace(0, len(order) - 1, count).astype(np.intp)]
            points.append(self._space.encode([task.configs[place] for place in kept.tolist()]))
            scores.append(normal_scores(np.array(task.losses))[kept])
        x = np.concatenate(points)
        return grow(x, np.concatenate(scores), bootstrap(self._rng, TREES, len(x)), self._rng, least=LEAST)

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Learn what `config` reached at `resource`."""
        self._observations.add(config, resource, losses[0])

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The most promising config that was not proposed yet; None where the space is exhausted."""
        space, rng = self._space, self._rng
        if space.exhausted:
            return None
        points = candidates_of(space, rng, self._candidates)
        mean, deviation = self._expected(points)
        if self._observations.configs < self._initial:
            drawn = mean + deviation * ndtri(np.maximum(rng.random(len(points)), 2.0**-54))
            return propose_best(space, rng, points, -drawn)
        x, losses = self._observations.at_target()
        expected, deviations = self._expected(x)
        residuals = (normal_scores(losses) - expected) / deviations
        if self._observations.refit_due():
            starts = [self._hyperparameters]
            self._hyperparameters = fit_hyperparameters(x, residuals, starts, iterations=12)
        posterior = Factor.of(self._hyperparameters, x).posterior(residuals)
        best = float((expected + deviations * posterior.mean(x)).min())
        belief = posterior.believing(space.encode(list(pending)))
        shift, scale = belief.predict(points)
        scores = log_expected_improvement(mean + deviation * shift, deviation * scale, best)
        return propose_best(space, rng, points, scores)

    def _expected(self, points: Array) -> tuple[Array, Array]:
        """Mean and deviation (m,) of the normal scores that past tasks let expect at points (m, dim)."""
        if self._forest is None:
            return np.zeros(len(points)), np.ones(len(points))
        mean, variance = self._forest.predict(points)
        return mean, np.maximum(np.sqrt(variance), LEAST_DEVIATION)


def normal_scores(losses: Array) -> Array:
    """Losses (n,) as quantiles of the standard normal law: by their share of losses no higher, cut at both ends.

    The cut is that of the paper, 1 / (4 n^(1/4) sqrt(pi log n)), at most 1/2: infinite losses are the worst, no more.
    """
    n = len(losses)
    if n < 2:
        return np.zeros(n)
    cut = min(1 / (4 * n**0.25 * np.sqrt(np.pi * np.log(n))), 0.5)
    shares = np.searchsorted(np.sort(losses), losses, side="right") / n
    return ndtri(np.clip(shares, cut, 1 - cut))
