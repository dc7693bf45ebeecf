"""Cost-aware Bayesian optimisation: expected improvement per second that a training is predicted to take.

Decided here: every config is trained to the end, and its cost is what its worker was occupied for, in all. What a
failed trial cost is not what a training costs, so the model of costs does not hear of it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from harness._parts.candidates import propose_best
from harness._parts.curve_models import Surrogate, log_improvement, new_configs
from harness._parts.refusals import refuse_several_objectives
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at, foreknown

__all__ = ["BoCost"]

VERSION = 3
RUNNING, REACHED, FAILED, CONTINUE = Status.RUNNING, Status.REACHED, Status.FAILED, Decision.CONTINUE

Array = NDArray[np.float64]


class BoCost:
    """Expected improvement per second (Snoek, Larochelle & Adams 2012, arXiv 1206.2944, section 3.2).

    The logarithm of the seconds has a Gaussian process of its own, apart from that of the loss: the whole training's,
    as Syne Tune's coarse-grained variant, not an epoch's. Improvement is sought over the lowest posterior mean; trials
    under way are believed to come out at the mean. Scored are all free rows of a table, 4,096 drawn anew where there
    are more, else `candidates` configs, half of them near the best. initial: configs from `sampler` that report before
    the models are asked. ValueError for several objectives.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        sampler: Sampler,
        initial: int = 3,
        candidates: int = 512,
    ) -> None:
        refuse_several_objectives("bo-cost models", benchmark)
        if initial < 1 or candidates < 2:
            raise ValueError(f"bo-cost needs initial >= 1 and candidates >= 2, given {initial} and {candidates}")
        self._space, self._rng, self._sampler = benchmark.space, rng, sampler
        self._maximum = benchmark.fidelity.maximum
        self._initial, self._candidates = initial, candidates
        self._loss, self._seconds = Surrogate(self._space.dim), Surrogate(self._space.dim, unit)
        self._running: dict[int, Config] = {}
        self._spent: dict[int, float] = {}
        self._trials = self._reported = 0

    def ask(self) -> Job | None:
        """A new trial, which is trained to the end."""
        config = None
        if self._reported >= self._initial and not self._space.exhausted:
            config = foreknown(self._sampler) or self._propose()
        config = config or self._sampler.suggest(self._running.values())
        if config is None:
            return None
        trial = self._trials
        self._trials += 1
        self._running[trial] = config
        self._spent[trial] = 0.0
        return Job(trial, config, self._maximum)

    def tell(self, report: Report) -> Decision:
        """Add up what a trial costs, and learn from its end."""
        trial = report.trial
        self._spent[trial] += report.cost
        if report.status is RUNNING:
            return CONTINUE
        config, spent = self._running.pop(trial), self._spent.pop(trial)
        (point,) = self._space.encode([config])
        failed = report.status is FAILED
        self._loss.add(point, math.inf if failed else report.losses[0], trial)
        if not failed and spent > 0:
            self._seconds.add(point, math.log(spent), trial)
        self._sampler.observe(config, counted_at(report, self._maximum), report.losses)
        self._reported += 1
        return CONTINUE

    def _propose(self) -> Config | None:
        under_way = self._space.encode(list(self._running.values()))
        posterior = self._loss.factor().posterior(self._loss.targets())
        best = float(posterior.mean(np.concatenate([self._loss.x, under_way])).min())
        leaders = self._loss.x[np.argsort(self._loss.losses, kind="stable")[:8]]
        points = new_configs(self._space, self._rng, self._candidates, leaders)
        scores = log_improvement(*posterior.believing(under_way).predict(points), best)
        return propose_best(self._space, self._rng, points, scores - self._log_seconds(points))

    def _log_seconds(self, points: Array) -> Array:
        """The predicted logarithm of the seconds (m,) of a training at points (m, dim), up to a constant."""
        if not len(self._seconds.losses) or not self._seconds.losses.std():
            return np.zeros(len(points))
        belief = self._seconds.factor().posterior(self._seconds.targets())
        return float(self._seconds.losses.std()) * belief.mean(points)


def unit(logarithms: Array) -> Array:
    """Logarithms (n,) as targets of a model: of mean 0 and variance 1, all 0 where they are equal."""
    return (logarithms - logarithms.mean()) / (float(logarithms.std()) or 1.0)
