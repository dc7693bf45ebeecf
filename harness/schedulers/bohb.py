"""BOHB: Hyperband whose configs come from a kernel density of the good ones at the highest resource that has enough."""

from __future__ import annotations

import math
from bisect import insort

import numpy as np
from numpy.typing import NDArray

from harness._parts.brackets import Brackets, Place, hyperband, ladder
from harness._parts.parzen import Axes, Parzen, Reading, Readings, default_bandwidths
from harness._parts.refusals import refuse_several_objectives
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at, foreknown

__all__ = ["Bohb"]

Array = NDArray[np.float64]
FAILED, CONTINUE = Status.FAILED, Decision.CONTINUE
GOOD, CANDIDATES, WIDENED, LEAST_BANDWIDTH = 0.15, 64, 3.0, 1e-3
"""The paper's q, N_s and b_w. Its text names no least bandwidth that we found: this is the default of its authors'
HpBandSter, where it stands in for zero when all good configs share a value. (Syne Tune: .1 for several resources.)"""
MOST_KERNELS = 250
"""Of each density: of more trials so many are taken, evenly spaced in their ranking, and a suggestion costs no more."""
VERSION = 3


class Bohb:
    """Synchronous BOHB (Falkner, Klein and Hutter 2018, arXiv 1807.01774, Algorithm 2, over Hyperband's brackets).

    A share of all new configs is random, from `sampler`. For the others the trials of the highest rung level with
    d + 3 of them, d hyperparameters, are split into the best 15% and the rest, d + 1 at least on each side; 64 configs
    are drawn from the density of the good, its kernels of numbers three times as wide, and the one with the highest
    ratio of the density of the good to that of the rest is proposed. Who failed counts as the worst at its rung, who
    ended early with its last loss.

    What differs from `hyperband:sampler=tpe`: these shares, numbers and bandwidths, no kernel for the space's own law,
    and no regard for trials under way. What differs from the paper: an inactive hyperparameter is left to the space's
    law where the paper's implementation makes a value up; the bandwidth of a choice shrinks with the number of trials;
    restricted to rows, draws are moved to the nearest free ones before they are compared; of more than 250 good or
    other trials so many stand for all, with the bandwidths of all. Without more configs it goes on as `hyperband`.

    eta: the share 1 / eta of a rung goes on; grace: the least resource of a rung, else the lowest level; random: the
    share of random configs. ValueError for a benchmark with a single level or several objectives.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        sampler: Sampler,
        eta: float = 3,
        grace: int | None = None,
        random: float = 0.3333,
    ) -> None:
        refuse_several_objectives("bohb models", benchmark)
        if not 0 <= random <= 1:
            raise ValueError(f"random is a share between 0 and 1, given {random}")
        levels = ladder(benchmark, grace, eta)
        self._brackets = Brackets(hyperband(levels, eta))
        self._space, self._rng, self._axes = benchmark.space, rng, Axes(benchmark.space)
        self._sampler, self._random = sampler, random
        self._least = len(benchmark.space.names) + 1
        self._place: dict[int, int] = {}
        """Of each trial that came to a rung the place among `_readings`."""
        self._readings = Readings(self._axes)
        self._ranked: dict[int, list[tuple[bool, float, int]]] = {level: [] for level in levels}
        """Failed or not, loss and trial of all that came to each rung, the best first."""
        self._modelled: list[tuple[bool, float, int]] = []
        self._seen = 0
        """Which ranking the densities are of, and how long it was: often the same for some suggestions."""
        self._likely = self._unlikely = Parzen(self._axes, np.empty((0, benchmark.space.dim)))

    def ask(self) -> Job | None:
        """Let a trial of a full rung go on, or start a new one."""
        return self._brackets.ask(self._propose)

    def tell(self, report: Report) -> Decision:
        """Note who came to its rung."""
        job, trial = self._brackets.tell(report), report.trial
        if job is not None:
            if trial not in self._place:
                self._place[trial] = len(self._readings)
                self._readings.add(self._space.encode_one(job.config))
            insort(self._ranked[job.until], (report.status is FAILED, report.losses[0], trial))
            self._sampler.observe(job.config, counted_at(report, job.until), report.losses)
        return CONTINUE

    def _propose(self, place: Place) -> Config | None:
        enough = [ranking for ranking in self._ranked.values() if len(ranking) >= self._least + 2]
        if float(self._rng.random()) >= self._random and enough and not self._space.exhausted:
            if (config := foreknown(self._sampler)) is not None:
                return config
            for point in self._promising(enough[-1]):
                config = self._space.fresh_near(point)
                if config is not None:
                    return config
        return self._sampler.suggest(self._brackets.running.values())

    def _promising(self, ranking: list[tuple[bool, float, int]]) -> Array:
        """Draws from the density of the good (n, dim), those of the highest ratio first."""
        if ranking is not self._modelled or len(ranking) != self._seen:
            self._modelled, self._seen = ranking, len(ranking)
            good = max(self._least, math.floor(GOOD * len(ranking)))
            reading = self._readings.take([self._place[trial] for _, _, trial in ranking])
            self._likely = self._density(reading.take(slice(good)))
            self._unlikely = self._density(reading.take(slice(min(good, len(ranking) - self._least), None)))
        drawn, free = self._likely.sample(self._rng, CANDIDATES, widened=WIDENED), self._space.free_rows()
        if free is not None:
            drawn = free[[int(np.argmin(((free - point) ** 2).sum(axis=1))) for point in drawn]]
        candidates = self._axes.read(drawn)
        ratio = self._likely.log_density(candidates) - self._unlikely.log_density(candidates)
        return drawn[np.argsort(-ratio, kind="stable")]

    def _density(self, reading: Reading) -> Parzen:
        """The kernel density of what was read of some trials, bandwidths of numbers by the normal reference rule."""
        axes = self._axes
        bandwidths = default_bandwidths(axes, reading, univariate=False)
        numbers, _ = axes.numbers_and_choices(reading.points)
        for h, values in zip(axes.numbers, numbers.T, strict=True):
            known = values if reading.active is None else values[reading.active[:, h]]
            width = 1.06 * known.std() * len(known) ** (-1 / (4 + len(axes.widths))) if len(known) else 0.0
            bandwidths[h] = max(LEAST_BANDWIDTH, width)
        if len(reading.points) > MOST_KERNELS:
            reading = reading.take(np.linspace(0, len(reading.points) - 1, MOST_KERNELS).astype(np.intp))
        return Parzen(axes, reading, prior=0.0, bandwidths=bandwidths)
