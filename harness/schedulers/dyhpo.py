"""DyHPO: after every step a Gaussian process chooses which trial goes on, or that a new one begins."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness._parts.candidates import best_first
from harness._parts.curve_models import Pool, Surrogate, log_improvement, new_configs
from harness._parts.pausing import Pausing
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, foreknown

__all__ = ["DyHpo"]

VERSION = 3
Array = NDArray[np.float64]


class DyHpo:
    """Dynamic multi-fidelity optimisation (Wistuba, Kadra and Grabocka 2022, arXiv 2202.09774, Algorithm 1).

    After every step, whatever promises most is trained for one step more: a paused trial, the one that just paused, or
    a new config. Promising is the expected improvement at the level that the step leads to, over the best loss seen at
    that level or, where none was, over the best seen at all (section 4.3). Trials under way are believed to come out at
    the model's mean, and of a trial that fails the model is told an infinite loss, the worst.

    What differs from the paper: its kernel sees a learned embedding of the config, the level and the curve so far;
    here it is a product of Matern-5/2 kernels over the config's hyperparameters and the logarithm of the level. There
    all configs are candidates; so are here all rows where the space is restricted to rows (up to 4,096 at a time), and
    else `candidates` configs, half of them near the best trials, drawn anew whenever the model is fitted anew. Where
    late steps gain little, one step's improvement favours ever new configs; so a share `halving` of the choices may go
    to a promotion: from the highest level down, the best paused trial that is among the share r / r' of those who came
    to its level r, its next step leading to r'. The share is 0 unless it is asked for, because Algorithm 1 has no such
    choice: it is Syne Tune's, whose DyHPO gives it a quarter, with steps of two levels.

    A trial that is chosen after its own step runs on without a restart. Where a benchmark keeps no checkpoints, whoever
    goes on after a pause is trained from the start again, which may cost more than the method saves: take a larger
    step. initial: random configs that report before the model is asked; step: levels between two choices. ValueError
    where there is nothing to pause (one level, or levels that are fresh trainings) and for several objectives.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        sampler: Sampler,
        initial: int = 3,
        step: int = 1,
        halving: float = 0.0,
        candidates: int = 512,
    ) -> None:
        if candidates < 2 or not 0 <= halving <= 1:
            raise ValueError(
                f"dyhpo needs at least 2 candidates and a share of halving in [0, 1], given {candidates} and {halving}"
            )
        self._trials = Pausing("dyhpo", benchmark, sampler, self._choose, initial=initial, step=step)
        self._space, self._rng, self._sampler, self._count = benchmark.space, rng, sampler, candidates
        self._lots = None if self._space.rows is None else rng
        """By which equals are taken, where rows are."""
        self._halving = halving
        self._ranked: list[list[float]] = [[] for _ in benchmark.fidelity.levels]
        """The losses seen at each level, sorted."""
        self._first = step - 1
        """The index of the level that a new config is trained to."""
        logarithms = np.log(np.array(benchmark.fidelity.levels) / benchmark.fidelity.levels[0])
        self._inputs: Array = logarithms / logarithms[-1]
        """The levels as inputs of the model."""
        self._model = Surrogate(self._space.dim + 1)
        self._pool: Pool | None = None
        self._fits = 0
        self._points: Array = np.empty((0, self._space.dim))
        self._new: list[int] = []
        """The places of new configs in the pool."""
        self._goals: list[int] = []
        """At each place of the pool the index of the level that it is about."""
        self._places: dict[int, int] = {}
        """The place of each trial that may go on, or is under way."""
        self._moved: set[int] = set()
        """Trials that have reported since the pool was looked at."""

    def ask(self) -> Job | None:
        """What was chosen when a trial was paused for it, else what promises most now."""
        return self._trials.ask()

    def tell(self, report: Report) -> Decision:
        """Let the trial run on if it promises most, else pause it."""
        trial, new = self._trials.trials[report.trial], self._trials.note(report)
        self._moved.add(report.trial)
        for index in new:
            self._model.add(np.append(trial.point, self._inputs[index]), trial.curve[index], report.trial, index)
            insort(self._ranked[index], trial.curve[index])
        return self._trials.decide(report, new)

    def _choose(self, paused: Sequence[int]) -> int | Config | None:
        if not len(self._model.losses):
            return self._space.fresh(self._rng)
        if float(self._rng.random()) < self._halving:
            for trial in sorted(paused, key=self._place_in_halving):
                if self._halves(trial):
                    return trial
        running = list(self._trials.running)
        pool = self._pooled([*paused, *running])
        targets = self._model.targets()
        mean, deviation = pool.predict(targets, [self._places[trial] for trial in running])
        best = self._best(targets)[self._goals]
        promise = log_improvement(mean, deviation, best)
        trials = {self._places[trial]: trial for trial in paused}
        open_places = np.array([*trials, *self._new], dtype=np.intp)
        order = open_places[best_first(promise[open_places], self._lots)].tolist()
        if order and order[0] not in trials and (config := foreknown(self._sampler)) is not None:
            return config
        for place in order:
            if place in trials:
                return trials[place]
            self._new.remove(place)
            config = self._space.fresh_near(self._points[place])
            if config is not None:
                return config
        return self._space.fresh(self._rng)

    def _place_in_halving(self, trial: int) -> tuple[int, float, int]:
        curve = self._trials.trials[trial].curve
        return -len(curve), curve[-1], trial

    def _halves(self, trial: int) -> bool:
        """Whether a paused trial is among the share of those who came to its level that halving lets go on."""
        curve, levels = self._trials.trials[trial].curve, self._trials.levels
        ranked = self._ranked[len(curve) - 1]
        count = int(len(ranked) * levels[len(curve) - 1] / levels[self._trials.goal(trial)] + 0.5)
        return count > 0 and curve[-1] <= ranked[count - 1]

    def _pooled(self, trials: Sequence[int]) -> Pool:
        """The pool after all observations, with each of the trials at the level that it comes to by its next step."""
        factor = self._model.factor()
        if self._pool is None or self._fits != self._model.fits:
            begun = sorted((trial for trial in self._trials.trials if trial.curve), key=lambda trial: min(trial.curve))
            leaders = np.array([trial.point for trial in begun[:8]])
            self._points = new_configs(self._space, self._rng, self._count, leaders)
            self._new = list(range(len(self._points)))
            self._places = {trial: len(self._points) + i for i, trial in enumerate(trials)}
            self._goals = [self._first] * len(self._points) + [self._trials.goal(trial) for trial in trials]
            points = np.concatenate([self._points, *(self._trials.trials[trial].point[None] for trial in trials)])
            self._pool, self._fits = (
                Pool(factor, np.column_stack([points, self._inputs[self._goals]])),
                self._model.fits,
            )
            return self._pool
        self._pool.follow(factor)
        for trial in trials:
            if trial in self._places and trial not in self._moved:
                continue
            place, goal = self._places.setdefault(trial, len(self._goals)), self._trials.goal(trial)
            self._goals[place : place + 1] = [goal]
            self._pool.put(place, np.append(self._trials.trials[trial].point, self._inputs[goal]))
        self._moved.clear()
        return self._pool

    def _best(self, targets: Array) -> Array:
        """The lowest target seen at each level; where none was, the lowest of all."""
        best = np.full(len(self._inputs), np.inf)
        np.minimum.at(best, np.searchsorted(self._inputs, self._model.x[:, -1]), targets)
        return np.where(np.isfinite(best), best, targets.min())
