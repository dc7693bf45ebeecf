"""Constrained Bayesian optimisation: expected improvement times the probability that all constraints hold.

Decided here: every config is trained to the end, and constraints are judged there, each by a Gaussian process of its
own; that of the loss learns from infeasible configs too. While no feasible config is known only feasibility is sought.
A constraint's values beyond thrice their median distance from the limit count as that far: how far off they are says
little of where the limit lies. A trial that fails says nothing of constraints, and its loss is the worst.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from harness._parts.candidates import propose_best
from harness._parts.curve_models import Surrogate, log_improvement, new_configs
from harness._parts.refusals import refuse_several_objectives
from harness.space import Config
from harness.types import Benchmark, Constraint, Decision, Job, Report, Sampler, Status, counted_at, foreknown

__all__ = ["BoConstrained"]

VERSION = 3
RUNNING, FAILED, CONTINUE = Status.RUNNING, Status.FAILED, Decision.CONTINUE
FARTHEST = 3.0

Array = NDArray[np.float64]


class BoConstrained:
    """Bayesian optimisation with inequality constraints (Gardner et al. 2014, ICML, section 3).

    Improvement is sought over the lowest posterior mean of the configs that proved feasible; trials under way are
    believed to come out at the mean. Scored are all free rows of a table, 4,096 drawn anew where there are more, else
    `candidates` configs, half of them near the best. initial: configs from `sampler` that report before the models are
    asked. ValueError for a benchmark without constraints, with one on its test metric, or with several objectives.
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
        _refuse(benchmark, initial, candidates)
        self._space, self._rng, self._sampler = benchmark.space, rng, sampler
        self._maximum = benchmark.fidelity.maximum
        self._initial, self._candidates = initial, candidates
        self._loss = Surrogate(self._space.dim)
        self._limits = [(constraint, Surrogate(self._space.dim, relative)) for constraint in benchmark.constraints]
        self._judged: list[tuple[Array, list[float]]] = []
        """Each trial that did not fail: its point, and by how much it exceeds each constraint."""
        self._feasible: list[tuple[Array, float]] = []
        self._running: dict[int, Config] = {}
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
        return Job(trial, config, self._maximum)

    def tell(self, report: Report) -> Decision:
        """Learn from the end of a trial its loss and what becomes of the constraints."""
        if report.status is RUNNING:
            return CONTINUE
        trial, loss = report.trial, report.losses[0]
        config = self._running.pop(trial)
        (point,) = self._space.encode([config])
        failed = report.status is FAILED
        self._loss.add(point, math.inf if failed else loss, trial)
        if not failed:
            excess = [_excess(constraint, report) for constraint, _ in self._limits]
            self._judged.append((point, excess))
            for (_, model), value in zip(self._limits, excess, strict=True):
                model.add(point, value, trial)
            if max(excess) <= 0 and math.isfinite(loss):
                self._feasible.append((point, loss))
        self._sampler.observe(config, counted_at(report, self._maximum), report.losses)
        self._reported += 1
        return CONTINUE

    def _propose(self) -> Config | None:
        under_way = self._space.encode(list(self._running.values()))
        points = new_configs(self._space, self._rng, self._candidates, self._leaders())
        scores = np.zeros(len(points))
        if self._feasible:
            posterior = self._loss.factor().posterior(self._loss.targets())
            best = float(posterior.mean(np.array([point for point, _ in self._feasible])).min())
            scores += log_improvement(*posterior.believing(under_way).predict(points), best)
        for _, model in self._limits:
            if len(model.losses):
                posterior = model.factor().posterior(model.targets()).believing(under_way)
                mean, deviation = posterior.predict(points)
                scores += log_ndtr(-mean / deviation)
        return propose_best(self._space, self._rng, points, scores)

    def _leaders(self) -> Array:
        """The configs (k, dim) to search around: the best feasible ones, else the least infeasible, else the best."""
        if self._feasible:
            return np.array([point for point, _ in sorted(self._feasible, key=lambda known: known[1])[:8]])
        if not self._judged:
            return self._loss.x[:8]
        points = np.array([point for point, _ in self._judged])
        excess = np.array([values for _, values in self._judged])
        worst = np.max([relative(values) for values in excess.T], axis=0)
        return points[np.argsort(worst, kind="stable")[:8]]


def relative(excess: Array) -> Array:
    """By how much a constraint is exceeded (n,), as targets of a model: of one sign with it and variance about 1."""
    finite = np.abs(excess[np.isfinite(excess)])
    unit = float(np.median(finite)) if len(finite) else 0.0
    values = np.clip(excess / (unit or 1.0), -FARTHEST, FARTHEST)
    return values / (float(values.std()) or 1.0)


def _excess(constraint: Constraint, report: Report) -> float:
    if constraint.metric not in report.metrics:
        raise ValueError(
            f"bo-constrained cannot judge {constraint.metric} <= {constraint.upper:g}: trial {report.trial} reports "
            f"{sorted(report.metrics)}"
        )
    value = report.metrics[constraint.metric]
    return math.inf if math.isnan(value) else value - constraint.upper


def _refuse(benchmark: Benchmark, initial: int, candidates: int) -> None:
    name = benchmark.name
    refuse_several_objectives("bo-constrained models", benchmark)
    if not benchmark.constraints:
        raise ValueError(f"{name!r} has no constraints for bo-constrained to keep: declare some, or use `bo`")
    if any(constraint.metric == benchmark.test_metric for constraint in benchmark.constraints):
        raise ValueError(
            f"{name!r} constrains its test metric {benchmark.test_metric!r}, which no method may see: bo-constrained "
            "needs a metric that is reported during the search"
        )
    if initial < 1 or candidates < 2:
        raise ValueError(f"bo-constrained needs initial >= 1 and candidates >= 2, given {initial} and {candidates}")
