"""ASHA of the stopping kind: trials run on until a rung finds them not among the best."""

from __future__ import annotations

import numpy as np

from harness._parts.rungs import Rung, rung_levels
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at

__all__ = ["AshaStop"]

VERSION = 2
RUNNING, CONTINUE, STOP = Status.RUNNING, Decision.CONTINUE, Decision.STOP


class AshaStop:
    """Asynchronous successive halving that stops (after Li et al. 2020, arXiv 1810.05934).

    At each rung a trial goes on if its loss lies at or below the 1 / eta quantile of all losses seen there, the first
    always: the rule of Syne Tune's stopping kind. A rung counts each trial once: who fails at one counts there as the
    worst, unless it was counted before it crashed. Nothing is paused, so no checkpoint is needed. The sampler learns of
    every rung.
    eta: the share 1 / eta of a rung goes on; grace: the resource of the lowest rung, else the lowest level.
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
        if not benchmark.fidelity.continues:
            raise ValueError(
                f"a training of {benchmark.name!r} says nothing on its way to a higher {benchmark.fidelity.unit}, so "
                "there is nothing to stop at: use `asha`, which promotes"
            )
        self._maximum = benchmark.fidelity.maximum
        self._rungs = {level: Rung(level, eta) for level in rung_levels(benchmark, grace, eta)}
        self._sampler = sampler
        self._running: dict[int, Config] = {}
        self._counted: dict[int, int] = {}
        """Of each running trial the last rung that counts it."""
        self._trials = 0

    def ask(self) -> Job | None:
        """A new trial, which may run to the end."""
        config = self._sampler.suggest(self._running.values())
        if config is None:
            return None
        trial = self._trials
        self._trials += 1
        self._running[trial] = config
        self._counted[trial] = 0
        return Job(trial, config, self._maximum)

    def tell(self, report: Report) -> Decision:
        """Stop at a rung what is not among the best."""
        level, ended = report.resource, report.status is not RUNNING
        rung = self._rungs.get(level)
        if rung is None and not ended:
            return CONTINUE
        trial, loss = report.trial, report.losses[0]
        self._sampler.observe(self._running[trial], counted_at(report, self._maximum), report.losses)
        keeps = True
        if rung is not None and self._counted[trial] != level:
            self._counted[trial] = level
            rung.add(loss, trial, waits=False)
            keeps = ended or rung.keeps(loss)  # what has come to its end is not stopped
        if ended or not keeps:
            del self._running[trial], self._counted[trial]
        return CONTINUE if keeps else STOP
