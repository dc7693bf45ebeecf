"""DEHB: Hyperband's brackets, whose configs evolve by differential evolution from rung to rung."""

from __future__ import annotations

import math

import numpy as np

from harness._parts.brackets import Brackets, Place, hyperband, ladder
from harness._parts.evolution import Array, crossover, distinct, mutant, settled, widths
from harness._parts.refusals import refuse_several_objectives
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at, foreknown

__all__ = ["Dehb"]

VERSION = 3
RUNNING, FAILED, CONTINUE = Status.RUNNING, Status.FAILED, Decision.CONTINUE
PARENTS = 3
"""That rand/1 mutation needs."""
MOST_REPEATS = 16
"""After so many children in a row that decode to configs proposed before, a random config is."""


class Dehb:
    """Evolutionary Hyperband (Awad, Mallik and Hutter 2021, arXiv 2105.09821, Algorithms 1 and 2).

    Each rung level has a subpopulation, as large as the largest rung of Hyperband's table there. The first bracket is
    successive halving of random configs, from `sampler`. In every later one a place of its lowest rung goes to a new
    config: the child of the member whose turn it is there, the target, by rand/1 mutation and binomial crossover, and
    the better of the two stays. In the first round of brackets the best of a full rung go on (are resumed) and join the
    subpopulation above; from the second round on each place there goes to a child as well, a fresh training. Mutants
    come from the subpopulation itself at a bracket's lowest rung, and above it from the parent pool: as many of the
    best of the level below as the rung has places. Where these are fewer than three, members of all subpopulations
    fill them up. A child whose config was proposed before gives way to another one.

    In the paper's algorithm only the first bracket lets trials go on, in its authors' program the first round: measured
    on the development half of our suite, a study as long as 40 trainings ends with .012 +- .007 less regret by that.
    Decided where the paper is silent: a member that was not evaluated yet is a random point and worse than any child;
    who failed or diverged is no parent; children are told of asynchronously, so a child is compared with who is the
    target by then; workers that would idle at a rung's end begin the next bracket, and once there are no more configs
    they train who was left behind to the highest level, as in `hyperband`. Points evolve in the encoded space, a choice
    with one coordinate a value, which cross over together; restricted to rows a child moves to the nearest free row.

    eta: the share 1 / eta of a rung goes on; grace: the least resource of a rung, else the lowest level; mutation:
    the factor of differences; cross: the probability of crossing over. ValueError for a benchmark with a single level
    or several objectives.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        sampler: Sampler,
        eta: float = 3,
        grace: int | None = None,
        mutation: float = 0.5,
        cross: float = 0.5,
    ) -> None:
        refuse_several_objectives("dehb minimises", benchmark)
        if not (0 < mutation <= 2 and 0 <= cross <= 1):
            raise ValueError(f"dehb needs 0 < mutation <= 2 and 0 <= cross <= 1, given {mutation} and {cross}")
        levels = ladder(benchmark, grace, eta)
        plans = hyperband(levels, eta)
        self._brackets = Brackets(plans, promoting=len(plans))
        sizes = [max(step.size for plan in plans for step in plan if step.level == level) for level in levels]
        self.populations = {level: Subpopulation(size) for level, size in zip(levels, sizes, strict=True)}
        self._below = dict(zip(levels[1:], levels, strict=False))
        self._space, self._rng, self._sampler = benchmark.space, rng, sampler
        self._widths = widths(self._space)
        self._mutation, self._cross = mutation, cross
        self._points: dict[int, Array] = {}
        self._targets: dict[int, tuple[int, int]] = {}
        """Of each running trial the level and the place there of the member that it is compared with."""
        self._child: tuple[Array, int] | None = None
        """The point and the target of the config proposed last, until its trial has a number."""

    def ask(self) -> Job | None:
        """Let a trial go on, or start a new config: random at first, later a child."""
        job = self._brackets.ask(self._propose)
        if job is None:
            return None
        if self._child is None:  # a promotion, or who was left behind
            target = self.populations[job.until].turn()
        else:
            (self._points[job.trial], target), self._child = self._child, None
        self._targets[job.trial] = job.until, target
        return job

    def tell(self, report: Report) -> Decision:
        """Compare who has come to its rung with its target."""
        if report.status is not RUNNING:
            level, target = self._targets.pop(report.trial)
            loss = math.inf if report.status is FAILED else report.losses[0]
            self.populations[level].select(target, loss, self._points[report.trial])
            job = self._brackets.tell(report)
            assert job is not None
            self._sampler.observe(job.config, counted_at(report, level), report.losses)
        return CONTINUE

    def _propose(self, place: Place) -> Config | None:
        population, config = self.populations[place.level], None
        target = population.turn()
        if place.bracket > 0 and not self._space.exhausted:
            config = foreknown(self._sampler)
            for _ in range(MOST_REPEATS if config is None else 0):
                point = self._evolved(place, population, target)
                child = self._space.fresh_near(point)
                if child is not None:
                    return self._known(child, point, target)
        config = config or self._sampler.suggest(self._brackets.running.values())
        return None if config is None else self._known(config, self._rng.random(self._space.dim), target)

    def _known(self, config: Config, point: Array, target: int) -> Config:
        self._child = settled(self._space, point, config), target
        return config

    def _evolved(self, place: Place, population: Subpopulation, target: int) -> Array:
        if place.rung == 0:
            pool = population.best(population.size, without=target)
        else:
            pool = self.populations[self._below[place.level]].best(place.size)
        if len(pool) < PARENTS:
            chosen = {id(point) for point in pool}
            members = {id(point): point for other in self.populations.values() for point in other.best(other.size)}
            rest = [point for identity, point in members.items() if identity not in chosen]
            pool += [rest[i] for i in distinct(self._rng, len(rest), PARENTS - len(pool))]
            pool += [self._rng.random(self._space.dim) for _ in range(PARENTS - len(pool))]
        base, plus, minus = (pool[i] for i in distinct(self._rng, len(pool), PARENTS))
        current = population.points[target]
        if current is None:
            current = self._rng.random(self._space.dim)
        donor = mutant(base, plus, minus, self._mutation, self._rng)
        return crossover(current, donor, self._cross, self._widths, self._rng)


class Subpopulation:
    """The members that evolve at one level: their points of [0, 1]^dim and losses, infinite until evaluated."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.points: list[Array | None] = [None] * size
        self.losses = [math.inf] * size
        self._next = 0

    def turn(self) -> int:
        """The member whose turn it is to be a target."""
        self._next += 1
        return (self._next - 1) % self.size

    def select(self, target: int, loss: float, point: Array) -> None:
        """Put a child in its target's place, if it is not worse."""
        if loss <= self.losses[target]:
            self.points[target], self.losses[target] = point, loss

    def best(self, count: int, without: int | None = None) -> list[Array]:
        """The points of the best `count` members with finite losses, best first; `without`: leave this one out."""
        ranking = sorted((loss, i) for i, loss in enumerate(self.losses) if loss < math.inf and i != without)
        return [point for _, i in ranking[:count] if (point := self.points[i]) is not None]
