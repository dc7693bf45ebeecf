"""BORE: a classifier tells the best quarter from the rest, and the surest config of the best is tried.

Decided here: the classifier is a random forest (one of the paper's three), for it is fitted in milliseconds where
boosted trees need a hundred; at equal probability, which trees give often, the lot decides. Configs under way are not
proposed again and otherwise unknown to the classifier: random candidates keep the proposals apart.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from harness._parts.candidates import candidates as candidates_of
from harness._parts.candidates import propose_best
from harness._parts.observations import Observations
from harness._parts.refusals import refuse_several_objectives
from harness._parts.trees import Forest, bootstrap, grow
from harness.space import Config
from harness.types import Benchmark

__all__ = ["Bore"]
VERSION = 3

Array = NDArray[np.float64]

TREES = 50
SHARE = 0.8
"""Of the hyperparameters, looked at for each split."""


class Bore:
    """Propose the candidate that most probably is among the best `gamma` (Tiao et al. 2021, ICML, Algorithm 1).

    Expected improvement over the gamma quantile of the losses rises with this probability (their section 3), so no
    density or regression is needed and only the order of the losses counts. Scored are all free rows of a table, else
    `candidates` random configs. Of several resources, the highest with at least three losses is modelled.

    gamma: the share of the observations called good; initial: random configs observed first; as Syne Tune's.
    ValueError for several objectives.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        gamma: float = 0.25,
        initial: int = 6,
        candidates: int = 500,
    ) -> None:
        refuse_several_objectives("bore models", benchmark)
        if not 0 < gamma < 1 or initial < 1 or candidates < 1:
            raise ValueError(
                f"bore needs 0 < gamma < 1, initial >= 1 and candidates >= 1, given {gamma}, {initial}, {candidates}"
            )
        self._space, self._rng = benchmark.space, rng
        self._gamma, self._initial, self._candidates = gamma, initial, candidates
        self._observations = Observations(benchmark.space)
        self._forest: Forest | None = None

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Learn what `config` reached at `resource`."""
        self._observations.add(config, resource, losses[0])

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The config most probably good that was not proposed yet; None where the space is exhausted."""
        if self._observations.configs < self._initial or self._space.exhausted:
            return self._space.fresh(self._rng)
        if self._observations.refit_due() or self._forest is None:
            x, losses = self._observations.at_target()
            weights = bootstrap(self._rng, TREES, len(x))
            self._forest = grow(x, labels(losses, self._gamma), weights, self._rng, share=SHARE)
        points = candidates_of(self._space, self._rng, self._candidates)
        return propose_best(self._space, self._rng, points, self._forest.predict(points)[0])


def labels(losses: Array, gamma: float) -> Array:
    """1 for the finite losses (n,) up to the ceil(gamma n)-th best, equals included; else 0."""
    threshold = np.sort(losses)[int(np.ceil(gamma * len(losses))) - 1]
    return ((losses <= threshold) & np.isfinite(losses)).astype(np.float64)
