"""MO-ASHA: asynchronous halving by several objectives, where rungs are ranked by who dominates whom.

Decided here, where the paper promotes any config of the best share: the best of them is promoted first. A rung is in
order by rank, and within a rank as an epsilon-net, so the front that only partly belongs to the best share is covered
by those of it that do. Who failed, in whatever objective, stands behind all others and is never promoted. Where no
promotion is due and there are no more configs, the first in that order of those that are paused at the highest rung is
trained to the maximum, as in `asha`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import isfinite

import numpy as np

from harness._parts.pareto import Ranks, epsilon_net, usable
from harness._parts.rungs import rung_levels
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at

__all__ = ["MoAsha"]

VERSION = 2
RUNNING, REACHED, CONTINUE = Status.RUNNING, Status.REACHED, Decision.CONTINUE


class MoAsha:
    """Multi-objective asynchronous successive halving (Schmucker et al. 2021, arXiv 2106.12639, Algorithm 1).

    As `asha` of the promotion kind, with non-dominated sorting and the epsilon-net within fronts in place of the order
    of one loss (their section 3.2). The sampler learns of every rung and should itself be one for several objectives:
    `rs`, `nsga2`, `parego`.
    eta: the share 1 / eta of a rung is promoted; grace: the resource of the lowest rung, else the lowest level.
    ValueError for a single objective.
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
        if len(benchmark.objectives) == 1:
            raise ValueError(
                f"moasha weighs several objectives, but {benchmark.name!r} has only "
                f"{benchmark.objectives[0].metric!r}: use `asha`, which orders by one loss"
            )
        levels = rung_levels(benchmark, grace, eta)
        self.rungs = [_Rung(level, eta, len(benchmark.objectives)) for level in levels]
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
                return self._job(trial, self._next_level[rung.level])
        config = self._sampler.suggest(self._running.values())
        if config is None:
            return self._left()
        self._configs.append(config)
        return self._job(len(self._configs) - 1, self.rungs[0].level)

    def _left(self) -> Job | None:
        for rung in self._promoting:
            trial = rung.best_left()
            if trial is not None:
                return self._job(trial, self.rungs[-1].level)
        return None

    def _job(self, trial: int, until: int) -> Job:
        self._running[trial] = config = self._configs[trial]
        self._until[trial] = until
        return Job(trial, config, until)

    def tell(self, report: Report) -> Decision:
        """Note the losses of trials that come to their rung; a failed trial counts there as the worst."""
        if report.status is not RUNNING:
            trial, level = report.trial, self._until[report.trial]
            goes_on = report.status is REACHED and report.resource == level
            self._rung_at[level].add(report.losses, trial, goes_on)
            self._sampler.observe(self._running.pop(trial), counted_at(report, level), report.losses)
        return CONTINUE


class _Rung:
    """The losses of all trials that came to one level, ranked, and which of them wait there."""

    def __init__(self, level: int, eta: float, objectives: int) -> None:
        self.level = level
        self._eta = eta
        self._new: list[tuple[tuple[float, ...], int, bool]] = []
        """Who came since this rung was last asked: being told must not take long."""
        self._ranks = Ranks(objectives)
        self._trials: list[int] = []
        self._waits = np.empty(0, dtype=np.bool_)
        """Whether each of them waits."""
        self._front = np.empty(0, dtype=np.intp)
        """The front that was ordered last, often the same for some trials, and of its order as much as was needed."""
        self._ordered: list[int] = []
        self._net: Iterator[int] = iter(())
        self._settled = True
        """Whether nobody can be promoted until another trial comes."""

    def add(self, losses: tuple[float, ...], trial: int, waits: bool) -> None:
        """Note a trial's losses; `waits` where it may be promoted from here."""
        self._new.append((usable(losses), trial, waits))
        self._settled = False

    def promote(self) -> int | None:
        """The best trial that waits, if it is among the best n / eta of this rung; it waits no longer."""
        if self._settled:
            return None
        self._rank_new()
        trial = self._leave(int(len(self._waits) / self._eta + 1e-9))
        self._settled = trial is None
        return trial

    def best_left(self) -> int | None:
        """The best trial that waits, whatever its place; it waits no longer."""
        self._rank_new()
        return self._leave(len(self._waits))

    def _rank_new(self) -> None:
        for losses, trial, _ in self._new:
            self._ranks.add(losses)
            self._trials.append(trial)
        waits = [waits and isfinite(losses[0]) for losses, _, waits in self._new]
        self._waits = np.append(self._waits, np.array(waits, dtype=np.bool_))
        self._new.clear()

    def _leave(self, among: int) -> int | None:
        """The best trial that waits, if it is among the best so many; it waits no longer."""
        place = self._best(among)
        if place is None:
            return None
        self._waits[place] = False
        return self._trials[place]

    def _best(self, among: int) -> int | None:
        count = len(self._waits)
        rank = int(np.where(self._waits, self._ranks.ranks, count).min(initial=count))
        room = among - self._ranks.before(rank)
        if room <= 0 or rank == count:
            return None
        front = self._ranks.front(rank)
        waiting = front[self._waits[front]].tolist()
        if len(waiting) == 1 and room >= len(front):
            return waiting[0]
        if not np.array_equal(front, self._front):
            self._front, self._ordered, self._net = front, [], epsilon_net(self._ranks.losses[front])
        self._ordered += front[list(islice(self._net, max(0, room - len(self._ordered))))].tolist()
        return next((place for place in self._ordered[:room] if self._waits[place]), None)
