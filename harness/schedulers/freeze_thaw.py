"""Freeze-thaw: curves are extrapolated to their ends, and what promises the best end is trained for one step more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness._parts.candidates import best_first
from harness._parts.curve_models import log_improvement, new_configs, refit_due, thinned
from harness._parts.decaying import Curves, asymptotes, fit_freeze_thaw
from harness._parts.observations import standardised
from harness._parts.pausing import Pausing
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, foreknown

__all__ = ["FreezeThawOptimization"]

VERSION = 2
Array = NDArray[np.float64]
MOST_TIMES = 64
"""Of more levels so many are modelled, ever wider apart."""
BASKET = 32
MOST_TRIALS = 400
"""Of more trials so many are modelled and may go on, the best quarter by their last loss and else the most recent."""


class FreezeThawOptimization:
    """Freeze-thaw Bayesian optimisation (Swersky, Snoek and Adams 2014, arXiv 1406.3896).

    The asymptotes of all curves are a Gaussian process over the configs, and each curve is one about its asymptote, a
    sum of exponential decays. The posterior is the paper's exact one, in O(trials^3 + trials * levels^2). After every
    step, the trial or new config with the highest expected improvement of its asymptote, over the lowest mean of those
    begun, is trained for one step more; trials under way are believed to come out at their mean.

    What differs from the paper: it chooses by entropy search, what one more step of each is expected to tell of where
    the minimum is, among a basket of ten old and three new configs, themselves picked by expected improvement of the
    asymptote. Here that improvement decides, among all paused trials and a basket of 32 new configs: whenever the model
    is fitted anew, the most promising of all free rows where the space is restricted to rows (up to 4,096 at a time),
    and else of `candidates` configs, half of them near the best trials. Hyperparameters are the most probable ones, not
    drawn by slice sampling; losses far above the median are capped, and a failure counts as the worst.

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
        candidates: int = 512,
    ) -> None:
        if candidates < 2:
            raise ValueError(f"freeze-thaw needs at least 2 candidates, given {candidates}")
        self._trials = Pausing("freeze-thaw", benchmark, sampler, self._choose, initial=initial, step=step)
        self._space, self._rng, self._sampler, self._count = benchmark.space, rng, sampler, candidates
        self._lots = None if self._space.rows is None else rng
        """By which equals are taken, where rows are."""
        levels = benchmark.fidelity.levels
        self._modelled = np.arange(1, len(levels) + 1)
        if len(levels) > MOST_TIMES:
            self._modelled = np.unique(np.geomspace(1, len(levels), MOST_TIMES).round().astype(np.intp))
        """How many levels a curve has when it comes to one that is modelled."""
        self._times: Array = np.array(levels)[self._modelled - 1] / levels[-1]
        self._observations = self._next_fit = 0
        self._logarithms: Array | None = None
        self._basket: Array = np.empty((0, self._space.dim))
        """New configs that promise most, by the model as it was fitted last."""

    def ask(self) -> Job | None:
        """What was chosen when a trial was paused for it, else what promises most now."""
        return self._trials.ask()

    def tell(self, report: Report) -> Decision:
        """Let the trial run on if it promises most, else pause it."""
        new = self._trials.note(report)
        self._observations += len(new)
        return self._trials.decide(report, new)

    def _choose(self, paused: Sequence[int]) -> int | Config | None:
        seen = self._seen()
        if not seen:
            return self._space.fresh(self._rng)
        may = set(paused).intersection(seen) or set(paused)
        # In this order: the trials that are modelled, those under way, those paused, of the latter two who is not yet.
        begun = list(dict.fromkeys([*seen, *self._trials.running]))
        old = list(dict.fromkeys([*begun, *sorted(may)]))
        promise = self._promise(self._curves(seen), seen, begun, old)
        new = self._basket
        places = np.array([*(i for i, n in enumerate(old) if n in may), *range(len(old), len(promise))], dtype=np.intp)
        order = places[best_first(promise[places], self._lots)].tolist()
        if order and order[0] >= len(old) and (config := foreknown(self._sampler)) is not None:
            return config
        for place in order:
            if place < len(old):
                return old[place]
            point = new[place - len(old)]
            self._basket = self._basket[(self._basket != point).any(axis=1)]
            config = self._space.fresh_near(point)
            if config is not None:
                return config
        return self._space.fresh(self._rng)

    def _seen(self) -> list[int]:
        """The trials that are modelled."""
        trials = self._trials.trials
        seen = [number for number, trial in enumerate(trials) if trial.curve]
        if len(seen) <= MOST_TRIALS:
            return seen
        alike = [0] * len(seen)
        return [seen[i] for i in thinned([trials[n].curve[-1] for n in seen], alike, alike, MOST_TRIALS)]

    def _promise(self, curves: Curves, seen: Sequence[int], begun: Sequence[int], old: Sequence[int]) -> Array:
        """What each old trial promises, and then each config of the basket, which is filled where it is empty."""
        points, expected = self._points(old), self._expected(begun)
        if self._logarithms is None or self._observations >= self._next_fit:
            self._logarithms = fit_freeze_thaw(points[: len(seen)], curves, self._logarithms)
            self._next_fit = refit_due(self._observations)
            self._basket = self._basket[:0]
        filled = len(self._basket) > 0
        x = np.concatenate([points, self._basket])
        mean, deviation = asymptotes(self._logarithms, x, curves, self._times, expected)
        best = float(mean[: len(seen)].min())
        promise = log_improvement(mean, deviation, best)
        if filled:
            return promise
        leaders = points[np.argsort(mean[: len(seen)], kind="stable")[:8]]
        new = new_configs(self._space, self._rng, self._count, leaders)
        both = np.concatenate([points[: len(begun)], new])
        mean, deviation = asymptotes(self._logarithms, both, curves, self._times, expected)
        promise_new = log_improvement(mean, deviation, best)[len(begun) :]
        basket = best_first(promise_new, self._lots, BASKET)
        self._basket = new[basket]
        return np.concatenate([promise, promise_new[basket]])

    def _curves(self, seen: Sequence[int]) -> Curves:
        """The losses of trials at the levels that are modelled, as targets."""
        curves = [self._trials.trials[number].curve for number in seen]
        lengths = np.searchsorted(self._modelled, [len(curve) for curve in curves], side="right")
        values = np.zeros((len(seen), len(self._times)))
        known = np.arange(len(self._times)) < lengths[:, None]
        at = (self._modelled - 1).tolist()
        losses = [curve[i] for curve, length in zip(curves, lengths.tolist(), strict=True) for i in at[:length]]
        values[known] = standardised(np.array(losses))
        return Curves(self._times, values, lengths)

    def _expected(self, begun: Sequence[int]) -> NDArray[np.intp]:
        """At how many modelled levels each trial will have been seen once those under way have made their step."""
        trials, running = self._trials, self._trials.running
        stand = [trials.goal(n) + 1 if n in running else len(trials.trials[n].curve) for n in begun]
        return np.searchsorted(self._modelled, stand, side="right")

    def _points(self, numbers: Sequence[int]) -> Array:
        return np.reshape([self._trials.trials[number].point for number in numbers], (-1, self._space.dim))
