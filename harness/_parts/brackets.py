"""Brackets of synchronous halving: rungs that must fill before the best of them go on.

Shared by every method that halves rung by rung. A plan says how many trials stand on each rung, as data; one engine
carries plans out. Decided here:

 - A worker without work in the open brackets starts the next bracket: nobody waits at the end of a rung while there
   are configs. Older brackets come first, so brackets end in their order as far as they can.
 - A rung is complete when all of its trials have reported. Of its n trials the share that the plan says goes on, at
   least one: who failed counts as the worst, who ended early keeps its place in the ranking, and neither goes on, so
   the next rung may be smaller than planned. Equal losses are ordered by the trial's number.
 - Where there are no more configs, a rung is complete with those that it has, and the shares are taken of them. A
   worker that would idle then resumes a trial that was left behind: of those at the highest level the one with the
   lowest loss, none with an infinite one. It belongs to no bracket any more and is trained to the highest level at
   once, for at a rung between it would be the first to go on. Who stands at a rung that is not complete waits for
   that, since the rung may still let it go on.

So of every trial that was left behind its place, its loss and its config are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from harness._parts.rungs import TINY, refuse_one_rung, rung_levels_from_the_top
from harness.space import Config
from harness.types import Benchmark, Job, Report, Status

RUNNING, REACHED, FAILED = Status.RUNNING, Status.REACHED, Status.FAILED


class Step(NamedTuple):
    """One rung of a plan: how many trials are trained to which level."""

    size: int
    level: int


Plan = tuple[Step, ...]


def ladder(benchmark: Benchmark, grace: int | None, eta: float) -> tuple[int, ...]:
    """The levels of the rungs, from the top as in the papers, two at least; ValueError where there is none to halve at.

    So each step is one of eta. From the bottom the last would be a shorter one wherever the highest level is no power
    of eta above the lowest (1, 3, 9, 27, 40), and there would be a rung and a bracket more.
    """
    levels = rung_levels_from_the_top(benchmark, grace, eta)
    refuse_one_rung(benchmark, grace, levels)
    return levels


def halving(configs: int, levels: Sequence[int], eta: float) -> Plan:
    """The plan of one bracket: floor(configs / eta^k) trials at the k-th of `levels`, at least one."""
    return tuple(Step(max(1, int(configs / eta**k + TINY)), level) for k, level in enumerate(levels))


def hyperband(levels: Sequence[int], eta: float, ceilings: bool = False) -> list[Plan]:
    """The brackets of Hyperband over rungs at `levels`, the most aggressive first (Li et al. 2018, Algorithm 1).

    Of K + 1 rungs the bracket s = K, ..., 0 begins at the rung K - s with n = ceil((K + 1) / (s + 1) eta^s) trials and
    keeps floor(n / eta^k) at its k-th rung: the paper's table, K its s_max.
    ceilings: ceil((K + 1) / (s + 1) eta^(s - k)) at the k-th rung instead, as Syne Tune.
    """
    top = len(levels) - 1
    plans: list[Plan] = []
    for s in range(top, -1, -1):
        sizes = [math.ceil((top + 1) / (s + 1) * eta ** (s - k) - TINY) for k in range(s + 1)]
        used = levels[top - s :]
        plans.append(tuple(map(Step, sizes, used)) if ceilings else halving(sizes[0], used, eta))
    return plans


class Place(NamedTuple):
    """Where a new config is wanted: on a rung of a bracket, both counted from 0, to be trained to a level.

    size: how many places the rung had for new configs.
    """

    bracket: int
    rung: int
    size: int
    level: int


class _Bracket:
    """One plan being carried out: the rung at which it stands, and who is through with it."""

    __slots__ = ("free", "number", "plan", "promoted", "rung", "running", "size", "through")

    def __init__(self, number: int, plan: Plan) -> None:
        self.number = number
        self.plan = plan
        self.rung = 0
        self.size = self.free = plan[0].size
        """Places of this rung for new configs, and how many of them are left."""
        self.promoted: list[tuple[int, Config]] = []
        """Trials that may go on to this rung, the best last."""
        self.running = 0
        self.through: list[tuple[bool, float, int, Config | None]] = []
        """Failed or not, loss, trial, and the config of a trial that may go on."""


class Brackets:
    """Plans carried out one after another, for ever in turn, several at a time where workers would idle.

    promoting: brackets of a number below it let trials go on; later ones fill their upper rungs with new configs.
    """

    def __init__(self, plans: Sequence[Plan], promoting: float = math.inf) -> None:
        self._plans = plans
        self._promoting = promoting
        self._opened = 0
        self._ready: list[tuple[int, _Bracket]] = []
        """A heap of the brackets in which something can be started."""
        self._bracket_of: dict[int, _Bracket] = {}
        """Of each running trial, where it was not left behind before."""
        self._left: list[tuple[int, float, int, Config]] = []
        """A heap of who was left behind: its level below zero, loss, trial, config."""
        self._top = max(plan[-1].level for plan in plans)
        self._trials = 0
        self.running: dict[int, Config] = {}
        """The configs being trained, by trial."""

    def ask(self, propose: Callable[[Place], Config | None]) -> Job | None:
        """The next job: a promotion, else what `propose` says for the place that is open.

        Where it says None, who was left behind; None where nobody was.
        """
        while True:
            if not self._ready:
                bracket = _Bracket(self._opened, self._plans[self._opened % len(self._plans)])
                self._ready.append((bracket.number, bracket))
                self._opened += 1
            bracket = self._ready[0][1]
            level = bracket.plan[bracket.rung].level
            if bracket.promoted:
                trial, config = bracket.promoted.pop()
                break
            config = propose(Place(bracket.number, bracket.rung, bracket.size, level))
            if config is not None:
                trial = self._trials
                self._trials += 1
                bracket.free -= 1
                break
            self._make_do()
            if not self._ready:
                return self._resume()
        if not bracket.free and not bracket.promoted:
            heappop(self._ready)
        bracket.running += 1
        self._bracket_of[trial] = bracket
        self.running[trial] = config
        return Job(trial, config, level)

    def _resume(self) -> Job | None:
        """The best of those that were left behind, trained to the end outside of all brackets."""
        if not self._left:
            return None
        _, _, trial, config = heappop(self._left)
        self.running[trial] = config
        return Job(trial, config, self._top)

    def tell(self, report: Report) -> Job | None:
        """Note the end of a job; gives that job, None where it is still running."""
        if report.status is RUNNING:
            return None
        trial, failed = report.trial, report.status is FAILED
        config, bracket = self.running.pop(trial), self._bracket_of.pop(trial, None)
        if bracket is None:
            return Job(trial, config, self._top)
        level = bracket.plan[bracket.rung].level
        goes_on = not failed and report.resource == level
        bracket.through.append((failed, report.losses[0], trial, config if goes_on else None))
        bracket.running -= 1
        if not bracket.running and not bracket.free and not bracket.promoted:
            self._complete(bracket)
        return Job(trial, config, level)

    def _complete(self, bracket: _Bracket) -> None:
        """Go on to the next rung, if there is one and somebody for it."""
        ranking, bracket.through = sorted(bracket.through), []
        planned, level = bracket.plan[bracket.rung]
        bracket.rung += 1
        if bracket.rung == len(bracket.plan):
            return
        size = max(1, bracket.plan[bracket.rung].size * len(ranking) // planned)
        if bracket.number >= self._promoting:
            bracket.size = bracket.free = size
            going = 0
        else:
            best = ranking[size - 1 :: -1]
            bracket.promoted = [(trial, config) for _, _, trial, config in best if config is not None]
            going = size
        for _, loss, trial, config in ranking[going:]:
            if config is not None and loss < math.inf:
                heappush(self._left, (-level, loss, trial, config))
        if bracket.free or bracket.promoted:
            heappush(self._ready, (bracket.number, bracket))

    def _make_do(self) -> None:
        """There are no more configs: rungs are complete without those that they still wanted."""
        wanting = [bracket for _, bracket in self._ready if bracket.free]
        self._ready = [(number, bracket) for number, bracket in self._ready if not bracket.free]
        heapify(self._ready)
        for bracket in wanting:
            bracket.free = 0
            if bracket.through and not bracket.running:
                self._complete(bracket)
            elif bracket.rung == 0 and not bracket.through and not bracket.running:
                self._opened -= 1  # only the newest can be without a trial
