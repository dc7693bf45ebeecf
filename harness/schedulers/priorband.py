"""PriorBand: Hyperband whose configs come from the space, from the user's prior, or from around the best so far."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from harness._parts.brackets import Brackets, Place, hyperband, ladder
from harness._parts.refusals import refuse_several_objectives
from harness.space import Choice, Config, Prior, Space, Value
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at

__all__ = ["PriorBand"]

VERSION = 3
Array = NDArray[np.float64]
CONTINUE, REACHED = Decision.CONTINUE, Status.REACHED
PERTURBED, SPREAD = 0.5, 0.25
"""The share of hyperparameters that differ from the incumbent's, and by how much: deviations on the encoded axis."""
MOST_REPEATS = 16
"""After so many draws in a row of configs proposed before, a random config is."""


class PriorBand:
    """PriorBand (Mallik et al. 2023, arXiv 2306.12370, Algorithms 1 to 3), without a model.

    Hyperband, whose new configs at the rung r are random, from `sampler`, with probability 1 / (1 + eta^r): the higher
    the rung, the more the prior is trusted. Else they come from the prior, or, once a trial has come to the highest
    level, from around the best one there, the incumbent. Which of the two follows from how likely each makes the best
    trials: over the best 1 / eta, eta at least, of the highest rung with eta trials, the densities of the prior and of
    the incumbent's normal law are summed, the best weighted most, and the sums are the odds. Around the incumbent half
    of the hyperparameters are moved by a normal deviate of .25 on the encoded axis, cut to the space; a choice is drawn
    anew.

    Priors are those of the space (`Prior`); where a hyperparameter has none, its prior is the space's own law, so
    without any prior this is Hyperband with an incumbent, and nothing is refused. Decided where the paper is silent:
    what is conditional follows its parents, and is drawn from the space where the incumbent does not have it; who
    failed or ended early is neither incumbent nor counted; restricted to rows the nearest free row is proposed; start
    configs take the turns of random ones; without more configs it goes on as `hyperband`.

    eta: the share 1 / eta of a rung goes on; grace: the least resource of a rung, else the lowest level. ValueError
    for a benchmark with a single level or several objectives.
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
        refuse_several_objectives("priorband minimises", benchmark)
        self._levels = ladder(benchmark, grace, eta)
        self._brackets = Brackets(hyperband(self._levels, eta))
        self._space, self._rng, self._sampler, self._eta = benchmark.space, rng, sampler, eta
        self._prior = {name: domain.prior for name, domain in self._space.domains.items() if domain.prior is not None}
        self._reached: dict[int, list[tuple[float, int]]] = {level: [] for level in self._levels}
        """Loss and trial of all that came to each level, the best first."""
        self._configs: dict[int, Config] = {}
        self._by_prior: dict[int, float] = {}
        """The log density of the prior at each trial that counted."""
        self._by_incumbent: tuple[int, dict[int, float]] = -1, {}
        """The incumbent trial, and the log density of the law around it at each trial that counted since."""
        self._shares: tuple[float, float] | None = None
        """The odds of the prior and of the incumbent, until they may have changed."""
        self._decisive = self._levels[-1]
        """The level of the lowest rung whose trials have a say in them."""

    def ask(self) -> Job | None:
        """Let a trial of a full rung go on, or start a new one."""
        return self._brackets.ask(self._propose)

    def tell(self, report: Report) -> Decision:
        """Note who came to its rung."""
        job, loss = self._brackets.tell(report), report.losses[0]
        if job is None:
            return CONTINUE
        self._sampler.observe(job.config, counted_at(report, job.until), report.losses)
        if report.status is REACHED and report.resource == job.until and loss < math.inf:
            insort(self._reached[job.until], (loss, job.trial))
            self._configs[job.trial] = job.config
            if job.until >= self._decisive:
                self._shares = None
        return CONTINUE

    def shares(self, rung: int) -> tuple[float, float, float]:
        """The probabilities of a random config, one from the prior, one from around the incumbent, at a rung."""
        random = 1 / (1 + self._eta**rung)
        if self._shares is None:
            self._shares = self._odds()
        prior, incumbent = self._shares
        return random, (1 - random) * prior, (1 - random) * incumbent

    def _odds(self) -> tuple[float, float]:
        if not self._reached[self._levels[-1]]:
            return 1.0, 0.0
        enough = [level for level, ranking in self._reached.items() if len(ranking) >= self._eta]
        self._decisive = enough[-1] if enough else self._levels[-1]
        ranking = self._reached[self._decisive]
        best = ranking[: math.ceil(max(self._eta, len(ranking) / self._eta))]
        trials, weights = list(map(itemgetter(1), best)), np.log(np.arange(len(best), 0, -1))
        if self._by_incumbent[0] != self._incumbent:
            self._by_incumbent = self._incumbent, {}
        around = {name: Prior(value, SPREAD) for name, value in self._configs[self._incumbent].items()}
        laws = (self._prior, self._by_prior), (around, self._by_incumbent[1])
        sums = [_log_sum(weights + self._log_densities(law, known, trials)) for law, known in laws]
        prior = math.exp(sums[0] - _log_sum(np.array(sums)))
        return prior, 1 - prior

    def _log_densities(self, law: Mapping[str, Prior], known: dict[int, float], trials: list[int]) -> Array:
        """The log density of a law at each of the trials; `known` keeps them, for they come again."""
        if new := sorted(set(trials).difference(known)):
            places = np.array([place(self._space, self._configs[trial]) for trial in new])
            known.update(zip(new, log_density(self._space, places, law).tolist(), strict=True))
        return np.array(list(map(known.__getitem__, trials)))

    @property
    def _incumbent(self) -> int:
        """The trial with the lowest loss at the highest level."""
        return self._reached[self._levels[-1]][0][1]

    def _propose(self, wanted: Place) -> Config | None:
        if self._space.exhausted:
            return self._sampler.suggest(self._brackets.running.values())
        random, prior, _ = self.shares(self._levels.index(wanted.level))
        source = float(self._rng.random())
        for _ in range(MOST_REPEATS if source >= random else 0):
            if source < random + prior:
                config = self._space.sample_prior(self._rng, 1)[0]
            else:
                config = self._around(self._configs[self._incumbent])
            config = self._space.fresh_near(self._space.encode([config])[0])
            if config is not None:
                return config
        return self._sampler.suggest(self._brackets.running.values())

    def _around(self, incumbent: Config) -> Config:
        """A config that differs from the incumbent in about half of its hyperparameters."""
        space, config = self._space, dict[str, Value]()
        for (name, domain), (moves, u) in zip(
            space.domains.items(), self._rng.random((len(space.names), 2)).tolist(), strict=True
        ):
            if not space.active(name, config):
                continue
            if name not in incumbent or (isinstance(domain, Choice) and moves < PERTURBED):
                config[name] = domain.draw(u)
            elif moves < PERTURBED:
                centre = domain.encode(incumbent[name])[0]
                low, high = ndtr(-centre / SPREAD), ndtr((1 - centre) / SPREAD)
                config[name] = domain.decode([centre + SPREAD * float(ndtri(low + u * (high - low)))])
            else:
                config[name] = incumbent[name]
        return config


def place(space: Space, config: Config) -> list[float]:
    """Where a config lies, one number a hyperparameter: encoded, of a choice the index, NaN where inactive."""
    numbers: list[float] = []
    for name, domain in space.domains.items():
        if name not in config:
            numbers.append(math.nan)
        elif isinstance(domain, Choice):
            numbers.append(domain.values.index(config[name]))
        else:
            numbers.append(domain.encode(config[name])[0])
    return numbers


def log_density(space: Space, places: Array, law: Mapping[str, Prior]) -> Array:
    """The logarithm of a law's density at `places` (n, h), on the encoded axes; the space's law where none is given.

    A number's law is normal around the prior's value, cut to [0, 1]; a choice takes the prior's value with probability
    1 - spread, else any with the same one. What is inactive counts for nothing.
    """
    total = np.zeros(len(places))
    for column, (name, domain) in zip(places.T, space.domains.items(), strict=True):
        prior = law.get(name)
        if isinstance(domain, Choice):
            spread = 1.0 if prior is None else min(prior.spread, 1.0)
            chosen = -1 if prior is None else domain.values.index(prior.value)
            terms = np.log(spread / len(domain.values) + (1 - spread) * (column == chosen))
        elif prior is not None:
            centre = domain.encode(prior.value)[0]
            mass = float(ndtr((1 - centre) / prior.spread) - ndtr(-centre / prior.spread))
            terms = -0.5 * ((column - centre) / prior.spread) ** 2
            terms -= math.log(prior.spread * math.sqrt(2 * math.pi) * mass)
        else:
            continue
        total += np.where(np.isnan(column), 0.0, terms)
    return total


def _log_sum(logarithms: Array) -> float:
    top = float(logarithms.max())
    return top + math.log(float(np.exp(logarithms - top).sum()))
