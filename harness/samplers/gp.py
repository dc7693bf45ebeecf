# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
"""Bayesian optimisation with a Gaussian process over configs and resource.

One sampler for two methods: told of full trainings alone it is `bo`; told of several resources by asynchronous halving
it is `mobster`. Decided here: the resource, on a log scale in [0, 1], is one more input of the kernel (it costs nothing
where it never varies); bad losses are capped before they are modelled, for a Gaussian process believes outliers; the
hyperparameters are refitted at every suggestion up to `ALWAYS_REFIT` observations and from then on whenever those grew
by a tenth, from where they stand; the rest of the time the Cholesky factor grows. On a table only its free rows are
scored; elsewhere integers and choices are relaxed, and the winner is decoded to the nearest config.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from harness._parts.acquisition import log_expected_improvement, refine
from harness._parts.gp import Factor, Hyperparameters, Posterior, fit_hyperparameters
from harness.space import Config
from harness.types import Benchmark

__all__ = ["GaussianProcessSampler"]

Array = NDArray[np.float64]

ALWAYS_REFIT = 20
FROM_TWO_STARTS = 40
"""Up to so many observations a fit starts from the priors' centre too; beyond, one optimum dominates."""
MOST_OBSERVATIONS, THINNED_TO = 500, 400
RESOURCE_THRESHOLD = 3
"""Observations that a resource needs before improvement is sought there (as Syne Tune's MOBSTER)."""


class GaussianProcessSampler:
    """Propose the config with the highest expected improvement under a Gaussian process.

    Improvement is sought at the highest resource with at least three observations, over the best posterior mean there;
    trials under way are believed to reach their posterior mean (the Kriging believer). Where the space is a table's
    rows, all free rows are scored; else `candidates` are, and the best three are refined by gradients. Of more than 500
    observations 400 are kept: the highest resources first and, of the one that does not fit, the best quarter and the
    most recent.

    initial: configs observed before the model is asked; three, as Syne Tune's BO: the model's priors carry it from
    there, and with several workers more random ones are under way by then. ValueError for several objectives.

    Sources: Snoek, Larochelle & Adams, "Practical Bayesian Optimization of Machine Learning Algorithms" (2012);
    Klein et al., "Model-based Asynchronous Hyperparameter and Neural Architecture Search" (arXiv 2003.10865), section
    3, with the target resource of Falkner, Klein & Hutter, "BOHB" (2018); Ament et al. (2023) for log EI.
    """

    def __init__(
        self, benchmark: Benchmark, rng: np.random.Generator, *, initial: int = 3, candidates: int = 512
    ) -> None:
        if len(benchmark.objectives) > 1:
            names = [objective.metric for objective in benchmark.objectives]
            raise ValueError(f"gp models one objective, but {benchmark.name!r} has {len(names)}: {names}")
        if initial < 1 or candidates < 8:
            raise ValueError(f"gp needs initial >= 1 and candidates >= 8, given {initial} and {candidates}")
        self._space, self._rng = benchmark.space, rng
        self._initial, self._candidates = initial, candidates
        self._lowest, self._highest = benchmark.fidelity.levels[0], benchmark.fidelity.levels[-1]
        self._observed: set[bytes] = set()
        self._model = _Model()

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Learn what `config` reached at `resource`; a failure counts where improvement is sought at that time."""
        (encoded,) = self._space.encode([config])
        if not np.isfinite(losses[0]):
            resource = max(resource, self._model.target(self._lowest))
        self._observed.add(encoded.tobytes())
        self._model.add(self._at(encoded[None], resource)[0], max(resource, self._lowest), losses[0])

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The most promising config that was not proposed yet; None where the space is exhausted."""
        free = self._space.free_rows()
        if len(self._observed) < self._initial or (free is not None and len(free) == 0):
            return self._space.fresh(self._rng)
        target = self._model.target(self._lowest)
        posterior = self._model.posterior()
        under_way = self._at(self._space.encode(list(pending)), target)
        there = np.concatenate([self._model.at(target), under_way])
        means = posterior.mean(there)
        belief, best = posterior.believing(under_way), float(means.min())
        if free is not None:
            mean, deviation = belief.predict(self._at(free, target))
            promising = free[[int(np.argmax(log_expected_improvement(mean, deviation, best)))]]
        else:
            promising = self._search(belief, best, there[np.argsort(means, kind="stable")[:8]])[:, :-1]
        for point in promising:
            config = self._space.fresh_near(point)
            if config is not None:
                return config
        return self._space.fresh(self._rng)

    def _at(self, encoded: Array, resource: int) -> Array:
        """Inputs of the model: encoded configs (n, dim) with the resource as last column, on a log scale in [0, 1]."""
        span = np.log(self._highest / self._lowest)
        place = np.log(max(resource, self._lowest) / self._lowest) / span if span > 0 else 0.0
        return np.column_stack([np.reshape(encoded, (-1, self._space.dim)), np.full(len(encoded), place)])

    def _search(self, belief: Posterior, best: float, leaders: Array) -> Array:
        """Points (k, dim + 1) of high expected improvement, best first: refined ones and then candidates as spares."""
        resource = leaders[0, -1]
        spread = self._space.sample_encoded(self._rng, self._candidates // 2)
        near = leaders[self._rng.integers(0, len(leaders), self._candidates - len(spread)), :-1]
        scale = np.where(np.arange(len(near)) % 2 == 0, 0.1, 0.02)[:, None]
        near = np.clip(near + scale * ndtri(self._rng.random(near.shape)), 0.0, 1.0)
        points = np.concatenate([spread, near, leaders[:, :-1]])
        points = np.column_stack([points, np.full(len(points), resource)])
        mean, deviation = belief.predict(points)
        order = np.argsort(-log_expected_improvement(mean, deviation, best), kind="stable")
        spares = points[order[:16]]
        bounds = [(0.0, 1.0)] * self._space.dim + [(float(resource), float(resource))]
        refined, values = refine(belief, spares[:3], best, bounds, iterations=15)
        return np.concatenate([refined[np.argsort(-values, kind="stable")], spares])


class _Model:
    """The observations, and the Gaussian process that follows them."""

    def __init__(self) -> None:
        self._inputs: list[Array] = []
        self._resources: list[int] = []
        self._losses: list[float] = []
        self._kept: list[int] = []
        """Which observations the factor holds, in its order; those from `_seen` on are new to it."""
        self._seen = 0
        self._factor: Factor | None = None
        self._next_fit = 0

    def add(self, inputs: Array, resource: int, loss: float) -> None:
        """Note an observation; nothing is computed before a posterior is asked for."""
        self._inputs.append(inputs)
        self._resources.append(resource)
        self._losses.append(loss)

    def at(self, resource: int) -> Array:
        """The inputs (n, d) observed at `resource`."""
        found = [x for x, r in zip(self._inputs, self._resources, strict=True) if r == resource]
        return np.reshape(found, (-1, len(self._inputs[0])))

    def target(self, lowest: int) -> int:
        """The highest resource with enough finite observations; where none has, the one with the most."""
        levels, counts = np.unique(
            [r for r, loss in zip(self._resources, self._losses, strict=True) if np.isfinite(loss)] or [lowest],
            return_counts=True,
        )
        enough = levels[counts >= RESOURCE_THRESHOLD]
        return int(enough[-1] if len(enough) else levels[np.argmax(counts)])

    def posterior(self) -> Posterior:
        """The belief after all observations so far, the hyperparameters refitted if it is time."""
        fresh = list(range(self._seen, len(self._losses)))
        kept = self._kept + fresh
        if len(kept) > MOST_OBSERVATIONS:
            kept, self._next_fit = thinned(self._resources, self._losses, THINNED_TO), 0
        targets = standardised(np.array(self._losses)[kept])
        n = len(kept)
        if self._factor is None or n >= self._next_fit:
            x = np.array([self._inputs[i] for i in kept])
            self._factor = Factor.of(self._fitted(x, targets), x)
            self._next_fit = n + (1 if n < ALWAYS_REFIT else n // 10)
        elif fresh:
            self._factor = self._factor.grown(np.array([self._inputs[i] for i in fresh]))
        self._kept, self._seen = kept, len(self._losses)
        return self._factor.posterior(targets)

    def _fitted(self, x: Array, targets: Array) -> Hyperparameters:
        default = Hyperparameters.default(x.shape[1])
        if self._factor is None:
            return fit_hyperparameters(x, targets, [default], iterations=40)
        last = self._factor.hyperparameters
        return fit_hyperparameters(x, targets, [last, default] if len(x) <= FROM_TWO_STARTS else [last], iterations=12)


def standardised(losses: Array) -> Array:
    """Losses (n,) as targets of mean 0 and variance 1, such that failed and diverged trainings do not rule the fit.

    Losses further above the median than twice the distance from the median to the best count as that far: a diverged
    18 among 3.5s is bad and not a hundred deviations off. Infinite losses and NaN count as the worst that is left;
    where all finite losses are equal, only who failed is told apart.
    """
    finite = losses[np.isfinite(losses)]
    filled = np.zeros(len(losses))
    if len(finite):
        best, median, worst = float(finite.min()), float(np.median(finite)), float(finite.max())
        cap = min(worst, 3.0 * median - 2.0 * best) if median > best else worst
        filled = np.clip(np.nan_to_num(losses, nan=np.inf, posinf=cap), best, cap)
    failed = np.where(np.isfinite(losses), 0.0, 1.0)
    for values in (filled, failed):
        low, width = float(values.min()), float(np.ptp(values))
        if width > 0:
            unit = (values - low) / width
            return (unit - unit.mean()) / float(unit.std())
    return np.zeros(len(losses))


def thinned(resources: Sequence[int], losses: Sequence[float], size: int) -> list[int]:
    """Which observations to keep, at most `size`, in the order of their arrival.

    The highest resources are kept whole; of the one that does not fit, the best are kept up to a quarter of the room
    that is left, and the most recent for the rest.
    """
    kept: list[int] = []
    for resource in sorted(set(resources), reverse=True):
        members = [i for i, r in enumerate(resources) if r == resource]
        room = size - len(kept)
        if len(members) > room:
            best = sorted(members, key=lambda i: (losses[i], i))[: room // 4]
            rest = [i for i in members if i not in set(best)]
            members = best + rest[len(rest) - (room - len(best)) :]
        kept += members
    return sorted(kept)
