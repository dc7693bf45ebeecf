"""Synchronous successive halving: the best of each full rung go on, then it begins again with new configs."""

from __future__ import annotations

import math

import numpy as np

from harness._parts.brackets import Brackets, halving, ladder
from harness._parts.rungs import TINY
from harness.types import Benchmark, Decision, Job, Report, Sampler, counted_at

__all__ = ["SuccessiveHalving"]

VERSION = 2
CONTINUE = Decision.CONTINUE


class SuccessiveHalving:
    """Successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943), with a factor other than two.

    `configs` new trials are trained to the lowest rung; when all have reported, the best floor(configs / eta) go on to
    the second, the best floor(configs / eta^2) of these to the third, until the highest level; then it begins again
    with new configs, and already before where workers would idle at a rung's end. Once there are no more configs, such
    workers train who was left behind to the highest level, from the highest rung down and the best first. Where a
    benchmark keeps no checkpoints or its levels are fresh trainings, to go on is to train anew. The sampler learns of
    every rung.

    eta: the share 1 / eta of a rung goes on; grace: the least resource of a rung, else the lowest level; configs:
    else eta^(rungs above the lowest), which leaves one for the highest level, as Hyperband's most aggressive bracket.
    ValueError for a benchmark with a single level.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        sampler: Sampler,
        eta: float = 3,
        grace: int | None = None,
        configs: int | None = None,
    ) -> None:
        levels = ladder(benchmark, grace, eta)
        if configs is None:
            configs = math.ceil(eta ** (len(levels) - 1) - TINY)
        if configs < 2:
            raise ValueError(f"sh needs at least two configs to compare, given {configs}")
        self._brackets = Brackets([halving(configs, levels, eta)])
        self._sampler = sampler

    def ask(self) -> Job | None:
        """Let a trial of a full rung go on, or start a new one."""
        return self._brackets.ask(lambda place: self._sampler.suggest(self._brackets.running.values()))

    def tell(self, report: Report) -> Decision:
        """Note who came to its rung."""
        job = self._brackets.tell(report)
        if job is not None:
            self._sampler.observe(job.config, counted_at(report, job.until), report.losses)
        return CONTINUE
