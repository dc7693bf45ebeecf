"""ParEGO: Bayesian optimisation of several objectives, by a new weighing of them at each suggestion.

Decided here, where the paper has one worker and one resource: trials under way are believed to come out at their
posterior mean; of several resources the highest that at least three configs reached is modelled. The weights are
uniform on the simplex, where the paper draws them from a lattice on it. Where the paper's objectives have known limits,
here the front so far and the median tell them. Of more than 200 observations the best half under the weighing is
modelled, and of the rest some evenly spaced in the order of their losses (the paper: random ones).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from harness._parts.acquisition import log_expected_improvement
from harness._parts.candidates import propose_best
from harness._parts.curve_models import new_configs
from harness._parts.gp import Factor, Hyperparameters, fit_hyperparameters
from harness._parts.observations import modelled_resource, standardised
from harness._parts.pareto import front, usable
from harness.space import Config
from harness.types import Benchmark

__all__ = ["ParEgo"]
VERSION = 3

Array = NDArray[np.float64]

MOST_MODELLED = 200
LINEAR = 0.05
"""Rho, the weight of the sum beside the maximum: it tells those apart that are equal in the worst objective."""


class ParEgo:
    """Efficient global optimisation of random augmented Tchebycheff scalarisations (Knowles 2006, IEEE TEC 10, eq. 2).

    Each suggestion draws weights, makes one loss of the objectives, each normalised by what of it was good (equation
    2), fits a Gaussian process to it, and proposes the config with the highest expected improvement: of all free rows
    of a table, 4,096 drawn anew where there are more, else of `candidates` configs, half of them near the best.
    initial: random configs observed first. ValueError for a single objective.
    """

    def __init__(
        self, benchmark: Benchmark, rng: np.random.Generator, *, initial: int = 6, candidates: int = 512
    ) -> None:
        if len(benchmark.objectives) == 1:
            raise ValueError(
                f"parego weighs several objectives, but {benchmark.name!r} has only "
                f"{benchmark.objectives[0].metric!r}: use `bo`, which models one loss"
            )
        if initial < 1 or candidates < 2:
            raise ValueError(f"parego needs initial >= 1 and candidates >= 2, given {initial} and {candidates}")
        self._space, self._rng = benchmark.space, rng
        self._initial, self._candidates = initial, candidates
        self._seen: set[tuple[object, ...]] = set()
        self._at: defaultdict[int, list[tuple[Array, tuple[float, ...]]]] = defaultdict(list)
        self._failed: list[tuple[Array, tuple[float, ...]]] = []
        self._hyperparameters = Hyperparameters.default(self._space.dim)

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Learn what `config` reached at `resource`; a failure counts wherever the model looks."""
        self._seen.add(self._space.key(config))
        (point,) = self._space.encode([config])
        losses = usable(losses)
        (self._at[resource] if np.isfinite(losses[0]) else self._failed).append((point, losses))

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The most promising config under a new weighing; None where the space is exhausted."""
        if len(self._seen) < self._initial or self._space.exhausted:
            return self._space.fresh(self._rng)
        x, losses = self._modelled()
        targets = standardised(losses)
        self._hyperparameters = fit_hyperparameters(x, targets, [self._hyperparameters], iterations=12)
        posterior = Factor.of(self._hyperparameters, x).posterior(targets)
        under_way = self._space.encode(list(pending))
        best = float(posterior.mean(np.concatenate([x, under_way])).min())
        leaders = x[np.argsort(targets, kind="stable")[:8]]
        points = new_configs(self._space, self._rng, self._candidates, leaders)
        scores = log_expected_improvement(*posterior.believing(under_way).predict(points), best)
        return propose_best(self._space, self._rng, points, scores)

    def _modelled(self) -> tuple[Array, Array]:
        """The configs (n, dim) to model, and their losses (n,) under new weights; all failures are among them."""
        target = modelled_resource({resource: len(seen) for resource, seen in self._at.items()}, 0)
        observed = [*self._at.get(target, []), *self._failed]
        x, several = np.array([point for point, _ in observed]), np.array([losses for _, losses in observed])
        weights = -np.log(1.0 - self._rng.random(several.shape[1]))
        losses = scalarised(several, weights / weights.sum())
        if len(x) > MOST_MODELLED:
            order = np.argsort(losses, kind="stable")
            best, rest = order[: MOST_MODELLED // 2], order[MOST_MODELLED // 2 :]
            spread = rest[np.linspace(0, len(rest) - 1, MOST_MODELLED - len(best)).astype(np.intp)]
            kept = np.sort(np.concatenate([best, spread]))
            x, losses = x[kept], losses[kept]
        return x, losses


def scalarised(losses: Array, weights: Array) -> Array:
    """One loss (n,) of several (n, m): the augmented Tchebycheff function of what is normalised.

    Of each objective 0 is the best and 1 the worse of the median and of the worst on the front. Over all that was
    observed a single training that diverged would leave nothing to weigh between the others.
    """
    scalar = np.full(len(losses), np.inf)
    worked = np.isfinite(losses).all(axis=1)
    finite = losses[worked]
    if len(finite):
        above = finite - finite.min(axis=0)
        width = np.maximum(np.median(above, axis=0), front(above).max(axis=0))
        weighed = weights * above / np.where(width > 0, width, 1.0)
        scalar[worked] = weighed.max(axis=1) + LINEAR * weighed.sum(axis=1)
    return scalar
