"""ASHA of the promotion kind: trials pause at rungs and are resumed when they prove to be among the best."""

from __future__ import annotations

import numpy as np

from harness._parts.rungs import Rung, best_left, rung_levels
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at, recommended

__all__ = ["Asha"]

VERSION = 2
RUNNING, REACHED, CONTINUE = Status.RUNNING, Status.REACHED, Decision.CONTINUE


class Asha:
    """Asynchronous successive halving with promotions (Li et al. 2020, arXiv 1810.05934, Algorithm 2).

    An idle worker resumes, from the highest rung down, the best paused trial among the best n / eta of its rung;
    where there is none, it starts a new trial, which runs to the lowest rung. (Syne Tune promotes who meets the
    interpolated quantile, which may be one more, and can spread trials over brackets: see `hypertune`.) Who fails or
    ends early counts at the rung that it was on its way to. The sampler learns of every rung.

    Decided where the paper has configs without end: where there are no more, and no promotion is due, nobody idles.
    The best trial that is paused at the highest rung is trained to the maximum, past the rungs between, then the next
    best, down to the lowest rung; not one whose loss is infinite.

    eta: the share 1 / eta of a rung is promoted; grace: the resource of the lowest rung, else the lowest level.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        sampler: Sampler,
        eta: float = 3,
        grace: int | None = None,
    ) -> None:
        levels = rung_levels(benchmark, grace, eta)
        self.rungs = [Rung(level, eta) for level in levels]
        self._next_level = dict(zip((0, *levels), levels, strict=False))
        self._rung_at = {rung.level: rung for rung in self.rungs}
        self._promoting = self.rungs[-2::-1]
        self._sampler = sampler
        self._configs: list[Config] = []
        self._running: dict[int, Config] = {}
        self._until: dict[int, int] = {}

    def ask(self) -> Job | None:
        """Promote a paused trial, or start a new one; else train the best that is paused to the end."""
        for rung in self._promoting:
            trial = rung.promote()
            if trial is not None:
                return self._job(trial, self._configs[trial], self._next_level[rung.level])
        config = self._sampler.suggest(self._running.values())
        if config is None:
            trial = best_left(self._promoting)
            return None if trial is None else self._job(trial, self._configs[trial], self.rungs[-1].level)
        self._configs.append(config)
        return self._job(len(self._configs) - 1, config, self.rungs[0].level)

    def _job(self, trial: int, config: Config, until: int) -> Job:
        self._running[trial] = config
        self._until[trial] = until
        return Job(trial, config, until)

    def tell(self, report: Report) -> Decision:
        """Note the losses of trials that come to their rung; a failed trial counts there as the worst."""
        if report.status is not RUNNING:
            trial, level = report.trial, self._until[report.trial]
            goes_on = report.status is REACHED and report.resource == level
            # A trial that ends before its rung counts there all the same, with the loss it ended with.
            self._rung_at[level].add(report.losses[0], trial, goes_on)
            self._sampler.observe(self._running.pop(trial), counted_at(report, level), report.losses)
        return CONTINUE

    def recommend(self) -> Config | None:
        """What the sampler recommends, if it does."""
        return recommended(self._sampler)
