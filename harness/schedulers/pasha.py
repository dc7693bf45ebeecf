"""PASHA: ASHA whose highest rung grows only as long as the two highest ones rank the trials differently."""

from __future__ import annotations

from array import array
from bisect import bisect
from collections.abc import Mapping

import numpy as np

from harness._parts.quantile import RunningQuantile
from harness._parts.rungs import Rung, best_left, refuse_one_rung, rung_levels
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at

__all__ = ["Pasha"]

VERSION = 2
RUNNING, REACHED, CONTINUE = Status.RUNNING, Status.REACHED, Decision.CONTINUE
PERCENTILE = 0.9
PAIRED = 100
"""Epsilon comes from the first trials at a rung, so many: more than the paper's studies of 256 trials take there."""


class Pasha:
    """Progressive ASHA (Bohdal et al. 2023, arXiv 2207.06940, Algorithm 1).

    ASHA with promotions over the two lowest rungs; whenever a trial comes to the highest rung in use and the rankings
    of the trials there and at the rung below are not alike, one more rung comes into use. Alike are rankings (soft
    ranking, section 4.1) where the trial at each place above differs, in its loss below, by at most epsilon from the
    trial at that place below. Epsilon is the noise in the losses (section 4.2): the 90th percentile of the gaps, at the
    highest rung in use, of the pairs of trials whose order there changed back and forth over the levels; 0 where there
    are none. Trials that failed or ended early are not compared. The sampler learns of every rung.

    Decided where the paper has configs without end: where there are no more, and no promotion is due, the best trial
    that is paused at the highest rung is trained to the maximum, past the highest rung in use, as in `asha`. It is not
    compared, so no rung comes into use by it.

    eta: the share 1 / eta of a rung is promoted; grace: the resource of the lowest rung, else the lowest level.
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
    ) -> None:
        self.levels = rung_levels(benchmark, grace, eta)
        refuse_one_rung(benchmark, grace, self.levels)
        self.top = 1
        """The index of the highest rung in use."""
        self._grows = len(self.levels) > 2
        self._rungs = [Rung(level, eta) for level in self.levels]
        self._comparison = _Comparison(self.levels[0], self.levels[1])
        self._curves: dict[int, dict[int, float]] = {}
        """Loss by level of each trial, as long as rankings are compared."""
        self._sampler = sampler
        self._configs: list[Config] = []
        self._running: dict[int, Config] = {}
        self._going_to: dict[int, int] = {}

    def ask(self) -> Job | None:
        """Promote a paused trial below the highest rung in use, or start a new one; else train the best to the end."""
        for index in range(self.top - 1, -1, -1):
            trial = self._rungs[index].promote()
            if trial is not None:
                return self._job(trial, self._configs[trial], index + 1)
        config = self._sampler.suggest(self._running.values())
        if config is None:
            trial = best_left(self._rungs[:-1])
            return None if trial is None else self._job(trial, self._configs[trial], len(self.levels) - 1)
        if self._grows:
            self._curves[len(self._configs)] = {}
        self._configs.append(config)
        return self._job(len(self._configs) - 1, config, 0)

    def _job(self, trial: int, config: Config, index: int) -> Job:
        self._running[trial] = config
        self._going_to[trial] = index
        return Job(trial, config, self.levels[index])

    def tell(self, report: Report) -> Decision:
        """Note the losses of trials that come to their rung, and see whether one more rung is needed."""
        trial, level, loss = report.trial, report.resource, report.losses[0]
        if self._grows:
            self._curves[trial][level] = loss
        if report.status is not RUNNING:
            config, index = self._running.pop(trial), self._going_to[trial]
            reached = report.status is REACHED and level == self.levels[index]
            self._rungs[index].add(loss, trial, reached)
            self._sampler.observe(config, counted_at(report, self.levels[index]), report.losses)
            if reached and index == self.top and self._grows and not self._comparison.add(self._curves[trial]):
                self._grow()
        return CONTINUE

    def _grow(self) -> None:
        self.top += 1
        self._comparison = _Comparison(self.levels[self.top - 1], self.levels[self.top])
        self._grows = self.top < len(self.levels) - 1
        if not self._grows:
            self._curves.clear()


class _Comparison:
    """Two rungs compared over the trials that came to both: how they rank them, and how noisy their losses are."""

    def __init__(self, lower: int, upper: int) -> None:
        self._levels = lower, upper
        self._below, self._above = array("d"), array("d")
        self._below_as_above = array("d")
        """The losses at the lower level in the order of the upper ranking."""
        self._same = True
        self._curves: list[list[float]] = []
        self._gaps = RunningQuantile(PERCENTILE)
        self._paired = 0

    def add(self, curve: Mapping[int, float]) -> bool:
        """Note a trial's losses by level, up to the upper rung; gives whether the rankings are alike."""
        below, above = (curve[level] for level in self._levels)
        # Who came first stands first among equals, at both rungs.
        places = bisect(self._below, below), bisect(self._above, above)
        self._below.insert(places[0], below)
        self._above.insert(places[1], above)
        self._below_as_above.insert(places[1], below)
        self._same = self._same and places[0] == places[1]
        if len(self._curves) < PAIRED:
            self._curves.append(list(curve.values()))
        return self._same or self._deviation() <= self._noise()

    def _deviation(self) -> float:
        ranked, below = np.frombuffer(self._below_as_above), np.frombuffer(self._below)
        unequal = ranked != below
        return float(np.abs(ranked[unequal] - below[unequal]).max(initial=0.0))

    def _noise(self) -> float:
        """Epsilon; it is asked for only once the rankings differ, so curves are paired only then."""
        for number in range(self._paired, len(self._curves)):
            if number:
                for gap in gaps_of_crossing(np.array(self._curves[:number]), np.array(self._curves[number])):
                    self._gaps.add(gap)
        self._paired = len(self._curves)
        return self._gaps.value()


def gaps_of_crossing(curves: np.ndarray, curve: np.ndarray) -> list[float]:
    """How far the last losses of `curves` (n, levels) lie from that of `curve`, where the two cross back and forth."""
    leads = (curves < curve).astype(np.int8) - (curves > curve)
    # Where two losses are equal, who led before still leads.
    last = np.maximum.accumulate(np.where(leads != 0, np.arange(leads.shape[1]), 0), axis=1)
    leads = np.take_along_axis(leads, last, axis=1)
    crosses = (leads[:, 1:] * leads[:, :-1] < 0).sum(axis=1) >= 2
    ends = curves[crosses, -1]
    return np.abs(ends[np.isfinite(ends)] - curve[-1]).tolist() if np.isfinite(curve[-1]) else []
