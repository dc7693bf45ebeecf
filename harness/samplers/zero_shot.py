"""Zero-shot transfer: first a portfolio of configs that together were good on all past tasks, then random ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from harness._parts.refusals import refuse_several_objectives
from harness.history import History, PastTask
from harness.space import Config, Space
from harness.types import Benchmark

__all__ = ["ZeroShot"]
VERSION = 2

Array = NDArray[np.float64]

MOST_CANDIDATES = 2000
"""Over all past tasks, an equal share of each."""


class ZeroShot:
    """Propose the configs of past tasks in the order of a greedy portfolio (Wistuba et al. 2015, section 4).

    "Sequential model-free hyperparameter tuning" (ICDM 2015): the next config is the one with which the best rank so
    far on each past task, averaged over the tasks, becomes smallest. Candidates are the configs of the past tasks, or
    the best of each where together they are more than 2,000; a task that does not hold a candidate answers with its
    nearest config on the encoded axes. Ranks are among a task's configs, equals share theirs. Nothing is learned from
    the running study.

    Decided where the paper is silent: equal gains are settled by the mean rank, then by the order of the history; once
    no candidate gains anything the rest follows by mean rank; after the last of them configs are random. Restricted to
    rows, the free row nearest to each candidate is proposed.

    history: past tasks; without any, every config is random. ValueError for several objectives, or a task that has no
    config in the space.
    """

    def __init__(self, benchmark: Benchmark, rng: np.random.Generator, *, history: History | None = None) -> None:
        refuse_several_objectives("zero-shot ranks by", benchmark)
        self._space, self._rng = benchmark.space, rng
        tasks = [] if history is None else history.within(benchmark.space)
        points = _candidates(benchmark.space, tasks)
        order = portfolio(ranks(benchmark.space, tasks, points))
        self._waiting = [points[place] for place in reversed(order)]

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The next config of the portfolio, then random ones; None where the space is exhausted."""
        while self._waiting:
            config = self._space.fresh_near(self._waiting.pop())
            if config is not None:
                return config
        return self._space.fresh(self._rng)

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Nothing is learned."""


def _candidates(space: Space, tasks: Sequence[PastTask]) -> Array:
    """The configs of the tasks, of too many the best of each, none twice, encoded: shape (c, dim)."""
    configs: dict[tuple[object, ...], Config] = {}
    total = sum(len(task.configs) for task in tasks)
    most = total if total <= MOST_CANDIDATES else max(1, MOST_CANDIDATES // len(tasks))
    for task in tasks:
        for place in np.argsort(task.losses, kind="stable")[:most].tolist():
            configs.setdefault(space.key(task.configs[place]), task.configs[place])
    return space.encode(list(configs.values()))


def ranks(space: Space, tasks: Sequence[PastTask], points: Array) -> Array:
    """The rank of each candidate (c, dim) on each task, from 0 for the best to 1: shape (tasks, c)."""
    from scipy.spatial import KDTree
    from scipy.stats import rankdata

    rows: list[Array] = []
    for task in tasks:
        own = (rankdata(task.losses) - 1) / max(len(task.losses) - 1, 1)
        rows.append(own[KDTree(space.encode(task.configs)).query(points)[1]])
    return np.reshape(rows, (len(tasks), len(points)))


def portfolio(ranks: Array) -> list[int]:
    """All candidates of ranks (tasks, c) in the order in which they are worth trying."""
    count = ranks.shape[1]
    if not ranks.size:
        return []
    by_mean = np.lexsort((np.arange(count), ranks.mean(0))).tolist()
    columns, best = ranks[:, by_mean], np.full((len(ranks), 1), np.inf)
    chosen: list[int] = []
    while True:
        reached = np.minimum(columns, best)
        # The candidates stand in the order of their mean ranks, so the first of equals is the right one.
        place = int(np.argmin(reached.mean(0)))
        if (reached[:, [place]] >= best).all():
            break
        chosen.append(by_mean[place])
        best = reached[:, [place]]
    there = set(chosen)
    return chosen + [place for place in by_mean if place not in there]
