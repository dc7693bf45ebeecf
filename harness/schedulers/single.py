"""Single fidelity: every config is trained to the end, whatever the sampler proposes next."""

from __future__ import annotations

import numpy as np

from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at, recommended

__all__ = ["Single"]

RUNNING, CONTINUE = Status.RUNNING, Decision.CONTINUE


class Single:
    """Train each proposed config to the highest level; the sampler learns of ends only.

    With `rs` this is random search, with `gp` Bayesian optimisation.
    """

    def __init__(self, benchmark: Benchmark, rng: np.random.Generator, *, sampler: Sampler) -> None:
        self._maximum = benchmark.fidelity.maximum
        self._sampler = sampler
        self._running: dict[int, Config] = {}
        self._trials = 0

    def ask(self) -> Job | None:
        """A new trial, until the sampler has no more configs."""
        config = self._sampler.suggest(self._running.values())
        if config is None:
            return None
        trial = self._trials
        self._trials += 1
        self._running[trial] = config
        return Job(trial, config, self._maximum)

    def tell(self, report: Report) -> Decision:
        """Go on to the end."""
        if report.status is not RUNNING:
            config = self._running.pop(report.trial)
            self._sampler.observe(config, counted_at(report, self._maximum), report.losses)
        return CONTINUE

    def recommend(self) -> Config | None:
        """What the sampler recommends, if it does."""
        return recommended(self._sampler)
