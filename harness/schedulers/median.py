"""The median stopping rule: a trial is stopped where its best loss is worse than the median of the others' averages."""

from __future__ import annotations

import math

import numpy as np

from harness._parts.quantile import RunningQuantile
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at

__all__ = ["MedianStopping"]

RUNNING, FAILED, CONTINUE, STOP = Status.RUNNING, Status.FAILED, Decision.CONTINUE, Decision.STOP


class MedianStopping:
    """The median stopping rule (Golovin et al. 2017, "Google Vizier", section 3.2.2) over any sampler.

    Every trial may run to the end. At each level it is stopped if its best loss so far is strictly worse than the
    median, over the completed trials that reported there, of the averages of their losses up to there. Completed is
    who has come to its end, has failed, or was stopped by this rule: each counts at the levels that it reached, who
    failed with infinity at its last. Averages are over reports, whatever lies between their levels. (Syne Tune compares
    not a trial's best loss but its own average.) The sampler learns of each trial's last loss.

    grace: no trial is stopped below this resource, else from the lowest level on any may be; population: nor where
    fewer completed trials have reported, five as in Syne Tune. ValueError for a benchmark on whose trainings there is
    nothing to stop at.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        sampler: Sampler,
        grace: int | None = None,
        population: int = 5,
    ) -> None:
        fidelity = benchmark.fidelity
        if not fidelity.continues or len(fidelity.levels) == 1:
            raise ValueError(
                f"a training of {benchmark.name!r} says nothing before its end at {fidelity.unit} {fidelity.maximum}, "
                "so there is nothing to stop at: use a method that trains to the end, such as `rs`"
            )
        lowest = fidelity.levels[0]
        grace = lowest if grace is None else grace
        if grace < 1:
            raise ValueError(f"grace must be at least 1, given {grace}")
        if not lowest <= grace < fidelity.maximum:
            raise ValueError(
                f"grace must be at least {lowest} and below {fidelity.maximum} {fidelity.unit}s of {benchmark.name!r}, "
                f"given {grace}"
            )
        if population < 1:
            raise ValueError(f"population must be at least 1, given {population}")
        self._maximum, self._grace, self._population = fidelity.maximum, grace, population
        self._sampler = sampler
        self._completed = {level: RunningQuantile(0.5) for level in fidelity.levels}
        """At each level the averages of the completed trials that reported there."""
        self._running: dict[int, Config] = {}
        self._curves: dict[int, _Curve] = {}
        self._trials = 0

    def ask(self) -> Job | None:
        """A new trial, which may run to the end."""
        config = self._sampler.suggest(self._running.values())
        if config is None:
            return None
        trial = self._trials
        self._trials += 1
        self._running[trial] = config
        self._curves[trial] = _Curve()
        return Job(trial, config, self._maximum)

    def tell(self, report: Report) -> Decision:
        """Stop what is worse than the median."""
        trial, level, loss, ended = report.trial, report.resource, report.losses[0], report.status is not RUNNING
        curve = self._curves[trial]
        if report.status is FAILED:
            curve.averages[level] = math.inf
        else:
            curve.add(level, loss)
        stops = not ended and level >= self._grace and self._is_worse(curve.best, self._completed[level])
        if not ended and not stops:
            return CONTINUE
        del self._curves[trial]
        for reached, average in curve.averages.items():
            if reached:  # a trial may fail before its first level
                self._completed[reached].add(average)
        self._sampler.observe(self._running.pop(trial), counted_at(report, self._maximum), report.losses)
        return STOP if stops else CONTINUE

    def _is_worse(self, best: float, averages: RunningQuantile) -> bool:
        return averages.count >= self._population and best > averages.value()


class _Curve:
    """What a running trial has said: its best loss, and the average of its losses up to each level."""

    __slots__ = ("_sum", "averages", "best")

    def __init__(self) -> None:
        self.best = math.inf
        self.averages: dict[int, float] = {}
        self._sum = 0.0

    def add(self, level: int, loss: float) -> None:
        """Note a report; a level that was heard of already is what a curve that ended there says again."""
        if level not in self.averages:
            self.best = min(self.best, loss)
            self._sum += loss
            self.averages[level] = self._sum / (len(self.averages) + 1)
