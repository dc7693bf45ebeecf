"""Regularised evolution: a random one of the recent configs, the best of a few, is changed in one hyperparameter.

Decided here, where the paper has one worker, one accuracy and choices only: a mutation draws one active hyperparameter
anew from its law, any value but the one that it has, the same for numbers and choices (so there is no step size to
set); what the change makes active is drawn from its law as well. Children come from whoever was observed by then. A
config enters the population when it is first observed and grows old from there; what it reaches later at higher
resources counts as its own while it lives (who was trained further stands better, then the lower loss). The paper's
population of 100 and sample of 25 are for thousands of trainings; of 10 and 5 a study as long as 40 trainings ends with
.034 +- .006 less regret on the development half of our multi-fidelity suite, for of 100 it is random search.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from harness._parts.evolution import Standing, standing
from harness._parts.refusals import refuse_several_objectives
from harness.space import Config, Value
from harness.types import Benchmark

__all__ = ["RegularisedEvolution"]
VERSION = 3

MOST_REPEATS = 16
"""After so many children in a row that were proposed before, a random config is."""


class RegularisedEvolution:
    """Aging evolution (Real, Aggarwal, Huang and Le 2019, arXiv 1802.01548, Algorithm 1).

    population: the first so many configs are random, and the last so many observed are alive: with each that enters
    the oldest dies, however good; sample: so many of them are drawn, with replacement, and the best becomes a parent.
    On a space restricted to the rows of a table a child is moved to the nearest free row. ValueError for several
    objectives.
    """

    def __init__(
        self, benchmark: Benchmark, rng: np.random.Generator, *, population: int = 10, sample: int = 5
    ) -> None:
        refuse_several_objectives("rea minimises", benchmark)
        if population < 1 or sample < 1:
            raise ValueError(f"rea needs population >= 1 and sample >= 1, given {population} and {sample}")
        self._space, self._rng = benchmark.space, rng
        self._population, self._sample = population, sample
        self._members: list[tuple[object, ...]] = []
        """The keys of all who entered, the oldest first."""
        self._configs: dict[tuple[object, ...], Config] = {}
        self._standings: dict[tuple[object, ...], Standing] = {}

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """A child of a good member of the population; a random config until there were enough of them."""
        if not self._members or len(self._members) + len(pending) < self._population:
            return self._space.fresh(self._rng)
        if self._space.exhausted:
            return None
        for _ in range(MOST_REPEATS):
            child = self._mutated(self._parent())
            if self._space.rows is not None:
                return self._space.fresh_near(self._space.encode([child])[0])
            if self._space.claim(child):
                return child
        return self._space.fresh(self._rng)

    def _parent(self) -> Config:
        alive = self._members[-self._population :]
        drawn = [alive[int(u * len(alive))] for u in self._rng.random(self._sample).tolist()]
        return self._configs[min(drawn, key=self._standings.__getitem__)]

    def _mutated(self, parent: Config) -> Config:
        names = [name for name in self._space.names if name in parent]
        changed = names[int(self._rng.random() * len(names))]
        child: dict[str, Value] = {}
        for name, domain in self._space.domains.items():
            if self._space.active(name, child):
                value = parent.get(name)
                while value is None or (name == changed and value == parent[name]):
                    value = domain.draw(self._rng.random())
                child[name] = value
        return child

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Let a config enter the population, or note what it reached since."""
        key = self._space.key(config)
        if key not in self._standings:
            self._members.append(key)
            self._configs[key] = config
        self._standings[key] = standing(resource, losses[0])
