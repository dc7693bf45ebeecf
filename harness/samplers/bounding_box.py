"""Bounding box: random search in the smallest box that holds the best configs of all past tasks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from harness._parts.refusals import refuse_several_objectives
from harness.history import History
from harness.space import Choice, Config, Domain, Ordinal, Value
from harness.types import Benchmark

__all__ = ["BoundingBox"]

TRIES = 1000
"""A box in which so many draws in a row find nothing new counts as exhausted."""


class BoundingBox:
    """Random search in a box learned from past tasks (Perrone et al. 2019, arXiv 1909.12552, section 4.1).

    The box runs in each number and ordered value from the smallest to the largest that the best `top` configs of the
    past tasks have; of a choice it holds the values that they have. A hyperparameter that no task has keeps its whole
    domain. Inside, configs follow the space's law (an ordinal on a scale that of an ordinal of the kept values alone),
    none twice, only rows where the space is restricted to rows; once the box is exhausted, they come from the whole
    space. As the sampler of a scheduler (`asha:sampler=bounding-box`) it shrinks that method's space.

    top: configs of each task that the box must hold; fewer where fewer are finite. history: past tasks; without any,
    the box is the space. ValueError for several objectives, or a task that has no config in the space.
    """

    def __init__(
        self, benchmark: Benchmark, rng: np.random.Generator, *, history: History | None = None, top: int = 1
    ) -> None:
        refuse_several_objectives("bounding-box ranks by", benchmark)
        if top < 1:
            raise ValueError(f"bounding-box needs top >= 1, given {top}")
        self._space, self._rng = benchmark.space, rng
        values = _best_values(History(()) if history is None else history, benchmark, top)
        self._box = {name: _box(domain, values.get(name, [])) for name, domain in benchmark.space.domains.items()}
        rows = benchmark.space.rows
        self._inside = None if rows is None else [row for row in rows if self._holds(row)]
        self._left = False

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """A random config of the box that was not proposed yet, then of the space; None where that is exhausted."""
        config = None if self._left else self._drawn() if self._inside is None else self._row(self._inside)
        if config is not None:
            return config
        self._left = True
        return self._space.fresh(self._rng)

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Nothing is learned."""

    def _holds(self, config: Config) -> bool:
        return all(self._box[name][1](value) for name, value in config.items())

    def _drawn(self) -> Config | None:
        for _ in range(TRIES):
            config: dict[str, Value] = {}
            for (name, (draw, _)), u in zip(self._box.items(), self._rng.random(len(self._box)).tolist(), strict=True):
                if self._space.active(name, config):
                    config[name] = draw(u)
            if self._space.claim(config):
                return config
        return None

    def _row(self, inside: list[Config]) -> Config | None:
        while inside:
            # The last row moves into the gap, so that each is equally likely.
            place = int(self._rng.random() * len(inside))
            row, inside[place] = inside[place], inside[-1]
            inside.pop()
            if self._space.claim(row):
                return row
        return None


def _best_values(history: History, benchmark: Benchmark, top: int) -> dict[str, list[Value]]:
    """The values of each hyperparameter in the best configs of the past tasks that have it."""
    values: dict[str, list[Value]] = {}
    for task, inside in zip(history.tasks, history.within(benchmark.space), strict=True):
        shared = task.shared(benchmark.space)
        order = np.argsort(inside.losses, kind="stable")[:top].tolist()
        for config in (inside.configs[place] for place in order if inside.losses[place] < np.inf):
            for name in shared:
                if name in config:
                    values.setdefault(name, []).append(config[name])
    return values


def _box(domain: Domain, values: list[Value]) -> tuple[Callable[[float], Value], Callable[[object], bool]]:
    """How a value of the box is drawn from a number of [0, 1), and whether the box holds a value."""
    if not values:
        return domain.draw, domain.contains
    if isinstance(domain, Choice):
        kept = tuple(value for value in domain.values if value in values)
    elif isinstance(domain, Ordinal):
        places = [domain.values.index(value) for value in values]
        kept = domain.values[min(places) : max(places) + 1]
    else:
        numbers = [value for value in values if not isinstance(value, str)]
        kept = tuple(sorted({min(numbers), max(numbers)}))
    if len(kept) == 1:
        return lambda u: kept[0], lambda value: value == kept[0]
    if isinstance(domain, Choice | Ordinal):
        domain = replace(domain, values=kept, prior=None)
    else:
        domain = replace(domain, lower=kept[0], upper=kept[-1], prior=None)
    return domain.draw, domain.contains
