"""Hyper-Tune: ASHA over several brackets, with a Gaussian process for each level, trusted as far as it ranks well."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness._parts.candidates import best_first
from harness._parts.curve_models import Ensemble, Surrogate, log_improvement, near, new_configs, ranking_weights
from harness._parts.refusals import refuse_several_objectives
from harness._parts.rungs import Rung, best_left, rung_levels
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at, foreknown

__all__ = ["HyperTune"]

VERSION = 3
Array = NDArray[np.float64]
RUNNING, REACHED, CONTINUE = Status.RUNNING, Status.REACHED, Decision.CONTINUE
ENOUGH = 3
"""Finite losses that a level needs before its process is asked, and before the others are compared with it."""


class HyperTune:
    """Hyper-Tune (Li et al. 2022, arXiv 2201.06834, section 4): bracket selection, D-ASHA, multi-fidelity optimizer.

    A bracket a level: its trials begin there. An idle worker resumes, from the highest level down and within a level
    from the first bracket on, the best paused trial among the best n / eta of its rung, but only where the rung has
    eta trials for each that was let on from it and for this one (D-ASHA, Algorithm 1: promotion is delayed, so that
    rungs keep the proportions of halving). Else it starts a new trial in a bracket drawn with weights theta / level
    (section 4.1): theta is the probability that a level's process ranks best the configs that reached the highest
    level, so cheap levels are used as far as they can be trusted. As long as fewer than three came there, the
    brackets have the shares of Hyperband.

    The config is that of the highest expected improvement under the processes of all levels together, of mean sum theta
    mean and variance sum theta^2 variance (section 4.3), theta taken for the highest level that has three finite
    losses; trials under way count at every level with its median loss (Algorithm 3). Improvement is over the lowest
    mean of the configs that came to that level.

    Decided where the paper is silent: a trial that was let on counts at the next rung as soon as it runs; theta comes
    from 100 draws of the processes at the configs in question (at most 100 of them, evenly spaced in their ranking),
    at the highest level of the distributions that leave each out; draws that rank equally well share. Who failed counts
    at the rung that it was on its way to as the worst, who ended early with its last loss; neither is resumed. Where
    there are no more configs, and no promotion is due, the best trial that is paused at the highest level, of whatever
    bracket, is trained to the maximum, as in `asha`; it counts for no delay.

    eta: the share 1 / eta of a rung goes on; grace: the resource of the lowest rung, else the lowest level; initial:
    random configs that report before the processes are asked. ValueError for several objectives.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        sampler: Sampler,
        eta: float = 3,
        grace: int | None = None,
        initial: int = 3,
        candidates: int = 512,
    ) -> None:
        refuse_several_objectives("hypertune models", benchmark)
        if initial < 1 or candidates < 8:
            raise ValueError(f"hypertune needs initial >= 1 and candidates >= 8, given {initial} and {candidates}")
        self.levels = rung_levels(benchmark, grace, eta)
        self.brackets = [_Bracket(self.levels[index:], eta) for index in range(len(self.levels))]
        self._space, self._rng, self._sampler = benchmark.space, rng, sampler
        self._initial, self._candidates = initial, candidates
        self._surrogates = [Surrogate(self._space.dim) for _ in self.levels]
        self._weights: tuple[tuple[int, ...], Array] = ((), np.empty(0))
        """Theta, behind the state of the processes from which it was computed."""
        self._configs: list[Config] = []
        self._bracket_of: list[int] = []
        self._reported = 0
        self._running: dict[int, Config] = {}
        self._until: dict[int, int] = {}
        """Of each running trial the index of the level that it goes to."""

    def ask(self) -> Job | None:
        """Let a paused trial go on, or start a new one; else train the best that is paused to the end."""
        for index in range(len(self.levels) - 2, -1, -1):
            for bracket in self.brackets[: index + 1]:
                trial = bracket.promote(self.levels[index])
                if trial is not None:
                    return self._job(trial, index + 1)
        config = self._propose()
        if config is None:
            trial = best_left(rung for bracket in self.brackets for rung in bracket.lower)
            return None if trial is None else self._job(trial, len(self.levels) - 1)
        self._configs.append(config)
        bracket = self._draw_bracket()
        self._bracket_of.append(bracket)
        return self._job(len(self._configs) - 1, bracket)

    def _job(self, trial: int, index: int) -> Job:
        self._running[trial] = config = self._configs[trial]
        self._until[trial] = index
        return Job(trial, config, self.levels[index])

    def tell(self, report: Report) -> Decision:
        """Note the losses of trials that come to their rung."""
        if report.status is RUNNING:
            return CONTINUE
        trial, loss = report.trial, report.losses[0]
        config, index = self._running.pop(trial), self._until.pop(trial)
        level = self.levels[index]
        goes_on = report.status is REACHED and report.resource == level
        self.brackets[self._bracket_of[trial]].add(level, loss, trial, goes_on)
        self._surrogates[index].add(self._space.encode([config])[0], loss, trial)
        self._sampler.observe(config, counted_at(report, level), report.losses)
        self._reported += 1
        return CONTINUE

    def shares(self) -> Array:
        """The probabilities (levels,) with which a new trial begins in each bracket."""
        levels, count = np.array(self.levels, dtype=float), len(self.levels)
        if _finite(self._surrogates[-1]) >= ENOUGH:
            shares = self._theta() / levels
        else:
            shares = count / (np.arange(count, 0, -1) * levels)
        return shares / shares.sum()

    def _draw_bracket(self) -> int:
        sums = np.cumsum(self.shares())
        return bisect(sums.tolist(), float(self._rng.random()) * float(sums[-1]), hi=len(sums) - 1)

    def _theta(self) -> Array:
        """The weight (levels,) of each level's process, 0 of those without one."""
        usable = [index for index, surrogate in enumerate(self._surrogates) if _finite(surrogate) >= ENOUGH]
        factors = [self._surrogates[index].factor() for index in usable]
        # They are new with each refit, and with each config at the level that they are compared at.
        state = (*usable, *(self._surrogates[index].fits for index in usable), len(self._surrogates[usable[-1]].losses))
        if self._weights[0] != state:
            theta = np.zeros(len(self.levels))
            top = self._surrogates[usable[-1]]
            targets = [self._surrogates[index].targets() for index in usable]
            theta[usable] = ranking_weights(self._rng, factors, targets, top.x, top.losses)
            self._weights = state, theta
        return self._weights[1]

    def _propose(self) -> Config | None:
        known = any(_finite(surrogate) >= ENOUGH for surrogate in self._surrogates)
        if self._reported < self._initial or not known or self._space.exhausted:
            return self._sampler.suggest(self._running.values())
        if (config := foreknown(self._sampler)) is not None:
            return config
        theta, pending = self._theta(), self._space.encode(list(self._running.values()))
        used = np.flatnonzero(theta)
        ensemble = Ensemble(theta[used], [self._surrogates[index].with_median(pending) for index in used.tolist()])
        seen = self._surrogates[max(i for i, s in enumerate(self._surrogates) if _finite(s) >= ENOUGH)].x
        means = ensemble.predict(seen)[0]
        leaders = seen[np.argsort(means, kind="stable")[:8]]
        for point in self._promising(ensemble, float(means.min()), leaders):
            config = self._space.fresh_near(point)
            if config is not None:
                return config
        return self._space.fresh(self._rng)

    def _promising(self, ensemble: Ensemble, best: float, leaders: Array) -> Array:
        """Points (m, dim) where a config may lie, the highest expected improvement first; equal rows by lot."""
        points = new_configs(self._space, self._rng, self._candidates, leaders)
        promise = log_improvement(*ensemble.predict(points), best)
        if self._space.rows is not None:
            return points[best_first(promise, self._rng)]
        top = points[np.argsort(-promise, kind="stable")[:4]]
        closer = near(self._rng, top, self._candidates // 4)
        points = np.concatenate([points, closer])
        promise = np.concatenate([promise, log_improvement(*ensemble.predict(closer), best)])
        return points[np.argsort(-promise, kind="stable")]


class _Bracket:
    """Asynchronous halving whose trials begin at one level: its rungs, and how many were let on from each."""

    def __init__(self, levels: Sequence[int], eta: float) -> None:
        self._eta = eta
        self._rungs = {level: Rung(level, eta) for level in levels}
        self.lower = list(self._rungs.values())[:-1]
        """All rungs but that at the maximum."""
        self._let_on = dict.fromkeys(levels, 0)

    def add(self, level: int, loss: float, trial: int, waits: bool) -> None:
        """Note who came to a level."""
        self._rungs[level].add(loss, trial, waits)

    def promote(self, level: int) -> int | None:
        """The trial that goes on from a level, if the rung above it may grow and there is one among the best."""
        rung = self._rungs[level]
        if len(rung) < self._eta * (self._let_on[level] + 1) - 1e-9:
            return None
        trial = rung.promote()
        self._let_on[level] += trial is not None
        return trial


def _finite(surrogate: Surrogate) -> int:
    return int(np.isfinite(surrogate.losses).sum())
