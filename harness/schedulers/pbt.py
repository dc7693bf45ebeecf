"""Population-based training: members that fall behind go on from a copy of a better one, with its config perturbed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from harness._parts.refusals import refuse_several_objectives
from harness.space import Choice, Config, Float, Ordinal, Space, Value
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at

__all__ = ["Pbt"]

RUNNING, REACHED, CONTINUE, STOP = Status.RUNNING, Status.REACHED, Decision.CONTINUE, Decision.STOP
VERSION = 3
FACTORS = (0.8, 1.2)


class Pbt:
    """Population-based training (Jaderberg et al. 2017, arXiv 1711.09846, Algorithm 1).

    Every `interval` a member compares the loss it last reported with those of the others. Who is among the worst
    `quantile` is left, and a copy of one drawn from the best `quantile` takes its place (truncation selection): a new
    trial from that trial's last checkpoint, whose hyperparameters are each drawn anew with probability `resample`, else
    multiplied by .8 or 1.2; of ordered values it is the next or the one before, an unordered choice stays.

    Decided where the paper is silent: a member that failed or ended early is replaced at once, where no better one has
    a finite loss by a new config from `sampler`; the quartiles are of those members that have reported; with fewer
    workers than members the least trained goes first; who has come to the highest level is no longer copied, and
    workers that would idle begin another population. interval: in units of the fidelity, else a tenth of the highest
    level (Syne Tune counts seconds, which no method sees here); the other numbers are Syne Tune's. ValueError where a
    quantile of the population is less than one member, and for a benchmark with several objectives, with nothing to
    copy on the way (one level, levels that are fresh trainings, no checkpoints), or restricted to rows.
    """

    NEEDS_STATE = True
    """It changes configs in the midst of a training, so a table of whole trainings cannot answer it."""

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        sampler: Sampler,
        population: int = 4,
        interval: int | None = None,
        quantile: float = 0.25,
        resample: float = 0.25,
    ) -> None:
        maximum = benchmark.fidelity.maximum
        _refuse(benchmark)
        if population < 2 or not (0 < quantile <= 0.5 and 0 <= resample <= 1):
            raise ValueError(
                f"pbt needs population >= 2, 0 < quantile <= .5 and 0 <= resample <= 1, given {population}, "
                f"{quantile:g} and {resample:g}"
            )
        if population * quantile < 1 - 1e-9:
            raise ValueError(
                f"a quantile of {quantile:g} of a population of {population} is less than one member, so nobody would "
                f"ever be copied: take a population of at least {math.ceil(1 / quantile - 1e-9)}, or a quantile of "
                f"at least {math.ceil(100 / population) / 100:g}"
            )
        interval = max(1, maximum // 10) if interval is None else interval
        if not 1 <= interval < maximum:
            unit = benchmark.fidelity.unit
            raise ValueError(f"interval must lie between 1 and {maximum - 1} {unit}s of {benchmark.name!r}: {interval}")
        self._levels, self._interval = benchmark.fidelity.levels, interval
        self._size, self._quantile, self._resample = population, quantile, resample
        self._space, self._rng, self._sampler = benchmark.space, rng, sampler
        self._populations: list[_Population] = []
        self._born: list[tuple[_Population, _Member]] = []
        """Copies that start next, before those whom they copy are trained further."""
        self._running: dict[int, tuple[_Population, _Member]] = {}
        self._trials = count()

    def ask(self) -> Job | None:
        """A copy, else the first stretch of a new member or the next one of the least trained that waits."""
        if self._born:
            return self._job(*self._born.pop(0))
        for population in self._populations:
            # Nobody goes on before all places are taken: with few workers there would never be anybody to copy.
            if len(population.members) < self._size and (job := self._begun(population)) is not None:
                return job
            waiting = [member for member in population.members if member.waits]
            if waiting:
                return self._job(population, min(waiting, key=lambda member: member.resource))
        population = _Population()
        job = self._begun(population)
        if job is not None:
            self._populations.append(population)
        return job

    def _begun(self, population: _Population) -> Job | None:
        """The first stretch of a new member; None where there are no more configs."""
        config = self._sampler.suggest([member.config for _, member in self._running.values()])
        if config is None:
            return None
        member = _Member(next(self._trials), config)
        population.members.append(member)
        return self._job(population, member)

    def _job(self, population: _Population, member: _Member) -> Job:
        goal = member.resource + self._interval
        until = next((level for level in self._levels if level >= goal), self._levels[-1])
        member.until, member.waits = until, False
        self._running[member.trial] = population, member
        parent, member.parent = member.parent, None
        return Job(member.trial, member.config, until, parent)

    def tell(self, report: Report) -> Decision:
        """Note what a member reached; at the end of its stretch let it go on, or put a copy in its place."""
        population, member = self._running[report.trial]
        member.resource, member.loss = report.resource, report.losses[0]
        if report.status is RUNNING:
            return CONTINUE
        del self._running[report.trial]
        self._sampler.observe(member.config, counted_at(report, member.until), report.losses)
        lost = report.status is not REACHED or report.resource < member.until
        if lost:
            member.loss = math.inf
        best = population.better_than(member, self._quantile, self._levels[-1], lost)
        if best:
            self._exploit(member, best[int(self._rng.random() * len(best))])
            self._born.append((population, member))
        elif lost:
            population.members.remove(member)
        else:
            member.waits = member.resource < self._levels[-1]
        self._populations = [each for each in self._populations if each.lives(self._size, self._levels[-1])]
        needed = any(copy.parent == report.trial for _, copy in self._born)
        return STOP if best and not needed else CONTINUE

    def _exploit(self, member: _Member, best: _Member) -> None:
        """Let a member be a new trial that starts from where the better one stands."""
        member.trial, member.parent = next(self._trials), best.trial
        member.config = explored(self._space, best.config, self._resample, self._rng)
        member.resource, member.loss = best.resource, best.loss


@dataclass(eq=False)
class _Member:
    """A place of a population: the trial that holds it now, and how far and how well that is trained."""

    trial: int
    config: Config
    resource: int = 0
    loss: float = math.inf
    until: int = 0
    waits: bool = False
    parent: int | None = None
    """The trial to start from, where it is new."""


@dataclass(eq=False)
class _Population:
    """Members that are compared with each other."""

    members: list[_Member] = field(default_factory=list)

    def better_than(self, member: _Member, quantile: float, maximum: int, lost: bool) -> list[_Member]:
        """Whom a member may be replaced by a copy of: the best quantile if it is among the worst, else nobody."""
        known = sorted((other for other in self.members if other.resource), key=lambda other: other.loss)
        size = int(len(known) * quantile + 1e-9)
        if lost:
            size = max(size, 1)
        elif member.resource == maximum or member not in known[len(known) - size :]:
            return []
        best = [other for other in known if other is not member and other.resource < maximum][:size]
        return [other for other in best if other.loss < member.loss]

    def lives(self, size: int, maximum: int) -> bool:
        """Whether anybody in it may still be trained, or join."""
        return len(self.members) < size or any(member.resource < maximum for member in self.members)


def explored(space: Space, config: Config, resample: float, rng: np.random.Generator) -> Config:
    """A config near another: each hyperparameter drawn anew with probability `resample`, else perturbed."""
    child: dict[str, Value] = {}
    luck = rng.random((len(space.names), 2)).tolist()
    for (name, domain), (anew, u) in zip(space.domains.items(), luck, strict=True):
        if not space.active(name, child):
            continue
        value = config.get(name)
        if value is None or anew < resample:
            child[name] = domain.draw(u)
        elif isinstance(domain, Choice):
            child[name] = value
        elif isinstance(domain, Ordinal):
            place = domain.values.index(value) + (1 if u < 0.5 else -1)
            child[name] = domain.values[min(max(place, 0), len(domain.values) - 1)]
        else:
            assert isinstance(value, int | float)
            factor = FACTORS[u < 0.5]
            if isinstance(domain, Float):
                moved = 1 - (1 - value) * factor if domain.scale == "reverse_log" else value * factor
            else:  # at least to the next number, or small ones would never move; negative ones as if mirrored
                up = (factor > 1) == (value >= 0)
                moved = max(math.ceil(value * factor), value + 1) if up else min(math.floor(value * factor), value - 1)
            child[name] = min(max(moved, domain.lower), domain.upper)
    return child


def _refuse(benchmark: Benchmark) -> None:
    name, fidelity = benchmark.name, benchmark.fidelity
    refuse_several_objectives("pbt compares", benchmark)
    if len(fidelity.levels) == 1 or not fidelity.continues or not benchmark.resumable:
        lacks = f"has no {fidelity.unit}s that continue a training" if benchmark.resumable else "keeps no checkpoints"
        raise ValueError(f"{name!r} {lacks}, so there is nothing for pbt to copy and go on with: use `asha` or `rs`")
    if benchmark.space.rows is not None:
        raise ValueError(
            f"pbt changes configs while they train, but {name!r} is restricted to the rows of a table, each a whole "
            "training of a fixed config: there is no truth to answer it; use `synthetic_stateful`, or train for real"
        )
