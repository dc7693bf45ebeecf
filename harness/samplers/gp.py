"""Bayesian optimisation with a Gaussian process over configs and resource.

One sampler for two methods: told of full trainings alone it is `bo`; told of several resources by asynchronous halving
it is `mobster`. The model and its rule for resources are those of `harness._parts.config_model`. Decided here: on a
table only its free rows are scored, and equals taken by lot; elsewhere integers and choices are relaxed, and the winner
is decoded to the nearest config.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from harness._parts.acquisition import log_expected_improvement, refine, thompson
from harness._parts.candidates import best_first
from harness._parts.config_model import ConfigModel
from harness._parts.gp import Posterior, Warping
from harness._parts.refusals import refuse_several_objectives
from harness.space import Config
from harness.types import Benchmark

__all__ = ["GaussianProcessSampler"]
VERSION = 4

Array = NDArray[np.float64]

ACQUISITIONS = ("ei", "logei", "thompson")
MOST_SAMPLED = 1000
"""Rows among which one function is drawn from the belief: its cost grows with their cube."""


class GaussianProcessSampler:
    """Bayesian optimisation by expected improvement (Snoek, Larochelle & Adams 2012, arXiv 1206.2944, section 2).

    Improvement is sought at the highest resource with at least three observations, over the best posterior mean there;
    trials under way are believed to reach their posterior mean (the Kriging believer). Where the space is a table's
    rows, all free rows are scored; else `candidates` are, and the best three are refined by gradients. Of more than 500
    observations 400 are kept: the highest resources first and, of the one that does not fit, the best quarter and the
    most recent.

    initial: configs observed before the model is asked; three, as Syne Tune's BO: the model's priors carry it from
    there, and with several workers more random ones are under way by then. acquisition: `logei` climbs the logarithm
    of expected improvement, `ei` the improvement itself, and `thompson` takes the candidate (of more than 1,000 rows,
    of the most promising ones) where one function drawn from the posterior is lowest, refines nothing and leaves it to
    chance to keep workers apart. warp: bend each number by a Kumaraswamy distribution function that is fitted with the
    kernel. independent: a process of its own for each resource, which learns from nothing that was seen at others, in
    place of one that has the resource as an input. A failure counts where improvement is sought at that time, as the
    worst that was seen there. What it recommends is the observed config with the lowest posterior mean where it seeks.
    ValueError for several objectives.

    What differs from Syne Tune's: it draws twenty fantasies for trials under way and scores 250 candidates; its
    Box-Cox transformation and its confidence bound are not here. Its MOBSTER begins with six random configs and models
    a curve by exponential decays; here the resource is one more input.

    Further sources: Klein et al., "Model-based Asynchronous Hyperparameter and Neural Architecture Search" (arXiv
    2003.10865), section 3, with the target resource of Falkner, Klein & Hutter, "BOHB" (2018); Ament et al. (2023) for
    log EI; Kandasamy et al. (2018) for Thompson sampling; Snoek, Swersky, Zemel & Adams, "Input Warping" (2014);
    independent processes are the base surrogates of Li et al., "Hyper-Tune" (arXiv 2201.06834), each alone.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        initial: int = 3,
        candidates: int = 512,
        acquisition: str = "logei",
        warp: bool = False,
        independent: bool = False,
    ) -> None:
        refuse_several_objectives("gp models", benchmark)
        if initial < 1 or candidates < 8:
            raise ValueError(f"gp needs initial >= 1 and candidates >= 8, given {initial} and {candidates}")
        if acquisition not in ACQUISITIONS:
            raise ValueError(f"the acquisition of gp must be one of {ACQUISITIONS}, given {acquisition!r}")
        self._space, self._rng = benchmark.space, rng
        self._initial, self._candidates = initial, candidates
        self._acquisition = acquisition
        self._observed: dict[bytes, Config] = {}
        """Every config by its encoding."""
        self._new_model = lambda: ConfigModel(benchmark.space, benchmark.fidelity, warp)
        self._model = self._new_model()
        """Of all resources; where each has its own, its process is never asked for."""
        self._models: defaultdict[int, ConfigModel] | None = defaultdict(self._new_model) if independent else None

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Learn what `config` reached at `resource`; a failure counts where improvement is sought at that time."""
        (encoded,) = self._space.encode([config])
        self._observed[encoded.tobytes()] = config
        if self._models is not None:
            level = resource if isfinite(losses[0]) else max(resource, self._model.target())
            self._models[level].add(encoded, level, losses[0])
        self._model.add(encoded, resource, losses[0])

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The most promising config that was not proposed yet; None where the space is exhausted."""
        free = self._space.free_rows()
        if len(self._observed) < self._initial or (free is not None and len(free) == 0):
            return self._space.fresh(self._rng)
        for point in self._promising(pending, free):
            config = self._space.fresh_near(point)
            if config is not None:
                return config
        return self._space.fresh(self._rng)

    def recommend(self) -> Config | None:
        """The observed config with the lowest posterior mean where improvement is sought; None before the first fit."""
        target = self._model.target()
        model = self._model if self._models is None else self._models.get(target)
        if model is None or (belief := model.belief()) is None:
            return None
        inputs, losses = model.at(target)
        inputs = inputs[np.isfinite(losses)]
        if not len(inputs):
            return None
        best = inputs[int(np.argmin(belief.mean(model.warping(inputs))))]
        return self._observed[best[:-1].tobytes()]

    def _promising(self, pending: Collection[Config], free: Array | None) -> Array:
        """Encoded configs (k, dim), the most promising first; from the free rows (m, dim) where there are rows."""
        target = self._model.target()
        model = self._model if self._models is None else self._models[target]
        seen, under_way = model.at(target)[0], model.inputs(self._space.encode(list(pending)), target)
        if not len(seen) and (model is not self._model or not len(under_way)):
            return np.empty((0, self._space.dim))  # all that was seen are failures at other resources
        posterior, warped, there = model.posterior(), model.warping, np.concatenate([seen, under_way])
        means = posterior.mean(warped(there))
        if free is not None:
            points = self._model.inputs(free, target)
        else:
            points = self._drawn(there[np.argsort(means, kind="stable")[:8]])
        if self._acquisition == "thompson":
            order = thompson(posterior, warped(points), self._rng, MOST_SAMPLED if free is not None else len(points))
            return points[order[:16], :-1]
        belief, best = posterior.believing(warped(under_way)), float(means.min())
        scores = log_expected_improvement(*belief.predict(warped(points)), best)
        if free is not None:
            return free[best_first(scores, self._rng, 1)]
        spares = points[np.argsort(-scores, kind="stable")[:16]]
        return np.concatenate([self._refined(belief, best, spares[:3], warped), spares])[:, :-1]

    def _drawn(self, leaders: Array) -> Array:
        """Inputs (m, dim + 1) that may be promising: random configs, points near the leaders, and the leaders."""
        resource = leaders[0, -1]
        spread = self._space.sample_encoded(self._rng, self._candidates // 2)
        near = leaders[self._rng.integers(0, len(leaders), self._candidates - len(spread)), :-1]
        scale = np.where(np.arange(len(near)) % 2 == 0, 0.1, 0.02)[:, None]
        near = np.clip(near + scale * ndtri(self._rng.random(near.shape)), 0.0, 1.0)
        points = np.concatenate([spread, near, leaders[:, :-1]])
        return np.column_stack([points, np.full(len(points), resource)])

    def _refined(self, belief: Posterior, best: float, starts: Array, warped: Warping) -> Array:
        """Where the climb from the starts (s, dim + 1) ends, best first; it climbs over warped inputs."""
        bounds = [(0.0, 1.0)] * self._space.dim + [(float(starts[0, -1]), float(starts[0, -1]))]
        logarithm = self._acquisition == "logei"
        refined, values = refine(belief, warped(starts), best, bounds, iterations=15, logarithm=logarithm)
        return warped.undone(refined[np.argsort(-values, kind="stable")])
