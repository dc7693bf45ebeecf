"""Configs that a user knows of, proposed before those of a sampler or among them.

A scheduler that only asks its sampler gets them without knowing of them. One whose own model proposes configs asks for
them by `given` and `foreknown` of `harness.types`, or a start config would never be tried once the model has begun, and
a prior would be heard no more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from harness.space import Config, Space
    from harness.types import Sampler

PRIOR_WEIGHT = 10
"""After so many proposals half of them come from the prior; the weight of Hvarfner et al. 2022 (arXiv 2204.11051)."""
PRIOR_TRIES = 16
"""After so many draws of the prior in a row that were proposed before, the sampler is asked."""


class FirstConfigs:
    """Proposes given configs before the sampler does: a user's start configs, or those that all arms share."""

    def __init__(self, sampler: Sampler, configs: Iterable[Config]) -> None:
        self._sampler = sampler
        self._waiting = list(configs)[::-1]
        self._expected: Callable[[], Config | None] = getattr(sampler, "expected", lambda: None)
        self.observe = sampler.observe
        self.recommend: Callable[[], Config | None] = getattr(sampler, "recommend", lambda: None)

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The next of the given configs, then what the sampler says."""
        return self._waiting.pop() if self._waiting else self._sampler.suggest(pending)

    def given(self) -> Config | None:
        """The next of the given configs."""
        return self._waiting.pop() if self._waiting else None

    def foreknown(self) -> Config | None:
        """The next of the given configs, then one from the prior as often as that has its turn."""
        return self._waiting.pop() if self._waiting else self._expected()


class PriorConfigs:
    """Proposes configs from a user's prior among those of the sampler, ever fewer of them.

    The n-th proposal comes from the prior with probability w / (w + n - 1), w = 10: the first always does, and a prior
    that misleads costs a share of the proposals that goes to nothing. The sampler learns from all of them.
    """

    def __init__(self, sampler: Sampler, space: Space, rng: np.random.Generator) -> None:
        self._sampler, self._space, self._rng = sampler, space, rng
        self._proposed = 0
        self.observe = sampler.observe
        self.recommend: Callable[[], Config | None] = getattr(sampler, "recommend", lambda: None)

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """A config from the prior that was not proposed yet, or what the sampler says."""
        config = self.expected()
        return self._sampler.suggest(pending) if config is None else config

    def expected(self) -> Config | None:
        """A config from the prior that was not proposed yet; None where it is another's turn to propose."""
        space, share = self._space, PRIOR_WEIGHT / (PRIOR_WEIGHT + self._proposed)
        self._proposed += 1
        if self._rng.random() < share:
            for _ in range(PRIOR_TRIES):
                config = space.fresh_near(space.encode(space.sample_prior(self._rng, 1))[0])
                if config is not None:
                    return config
        return None
