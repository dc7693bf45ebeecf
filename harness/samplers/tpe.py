"""Tree-structured Parzen estimator: tries what is likelier among the good configs than among the bad ones.

Decided here, where papers differ. Densities are multivariate, as BOHB's, with the space's law as one more kernel, as
Bergstra's prior: see `_parts/parzen.py`. The good are the best tenth, at most 25, so that they follow the best as the
bad pile up (Optuna's rule; Watanabe finds small shares best). Trials under way count as bad: that is the constant liar
with the worst loss, and it keeps parallel workers apart; one that was seen at the modelled resource
before stays what it was seen as. Only finite losses' order matters; failures are the worst, at every resource.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection
from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray

from harness._parts.parzen import Axes, Parzen, Reading, Readings
from harness._parts.refusals import refuse_several_objectives
from harness.space import Config
from harness.types import Benchmark

__all__ = ["TreeParzen"]
VERSION = 5

ENOUGH = 10
"""Losses that a resource needs before it is modelled: of fewer the best tenth is one, and often one that was lucky."""
MOST_GOOD, MOST_BAD = 25, 250
"""Kernels of each density; of more bad configs so many are taken, evenly spaced in the order of their losses."""


class TreeParzen:
    """The best draw by a ratio of densities (Bergstra, Bardenet, Bengio & Kegl 2011, NeurIPS 24, section 4).

    Of some draws from the density l of good configs the one with the highest ratio to the density g of bad ones is
    proposed: the paper shows that l / g rises with expected improvement. Of several resources the highest one with
    enough observations is modelled, as by Falkner, Klein & Hutter, "BOHB" (2018), Algorithm 2; the parts are those that
    Watanabe (arXiv 2304.11127) compares.

    initial: configs observed before the first model; three, as `bo`, where Hyperopt has 20 and Optuna 10: of the 40
    trainings that a sweep has those are a quarter, and with several workers more random ones are under way by then.
    candidates: draws from l a suggestion (24, as Hyperopt and Optuna; Syne Tune's KDE has the numbers of `bohb`). On a
    space restricted to a table's rows the draws are free rows, without replacement and in proportion to l: l itself,
    where the rows follow the space's law. To take the best ratio of all rows would be another method: the ratio is
    highest far from all that is known as bad, and l is what keeps the search near the good. gamma: the share of good
    ones; univariate: Bergstra's densities, which treat each hyperparameter alone. ValueError for several objectives.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        *,
        initial: int = 3,
        candidates: int = 24,
        gamma: float = 0.1,
        univariate: bool = False,
    ) -> None:
        refuse_several_objectives("tpe models", benchmark)
        if initial < 1 or candidates < 1 or not 0 < gamma < 1:
            raise ValueError(
                "tpe needs initial >= 1, candidates >= 1 and gamma between 0 and 1, "
                f"given {initial}, {candidates} and {gamma:g}"
            )
        self._space, self._rng, self._axes = benchmark.space, rng, Axes(benchmark.space)
        self._initial, self._candidates, self._gamma, self._univariate = initial, candidates, gamma, univariate
        self._place: dict[tuple[object, ...], int] = {}
        self._readings = Readings(self._axes)
        self._losses: defaultdict[int, dict[int, float]] = defaultdict(dict)
        self._ranked: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
        """By resource, (loss, place in the order of arrival) of all that were not seen to fail, best first."""
        self._failed: dict[int, None] = {}
        self._good: list[int] | None = None
        """The places of those that `_likely`, the density l, is made of: often the same for some suggestions."""
        self._likely = Parzen(self._axes, np.empty((0, benchmark.space.dim)))
        free = benchmark.space.free_rows()
        self._rows = None if free is None else _Rows(self._axes.read(free))

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Learn what `config` reached at `resource`; what fails is bad everywhere."""
        place = self._place.setdefault(self._space.key(config), len(self._readings))
        if place == len(self._readings):
            self._readings.add(self._space.encode_one(config))
        failed = not isfinite(losses[0])
        for level in list(self._losses) if failed else [resource]:
            if (loss := self._losses[level].pop(place, None)) is not None:
                del self._ranked[level][bisect_left(self._ranked[level], (loss, place))]
        if failed:
            self._failed[place] = None
        else:
            self._failed.pop(place, None)
            self._losses[resource][place] = losses[0]
            insort(self._ranked[resource], (losses[0], place))

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The best of the candidates that was not proposed yet; None where the space is exhausted."""
        free = self._space.free_rows()
        if len(self._readings) < self._initial or (free is not None and len(free) == 0):
            return self._space.fresh(self._rng)
        good, reading = self._split(pending)
        if good != self._good:
            likely = Parzen(self._axes, reading.take(slice(len(good))), univariate=self._univariate)
            self._good, self._likely = good, likely
            if self._rows is not None:
                self._rows.weigh(likely)
        unlikely = Parzen(self._axes, reading.take(slice(len(good), None)), univariate=self._univariate)
        if free is None or self._rows is None:
            candidates = self._axes.read(self._likely.sample(self._rng, self._candidates))
            log_likely = self._likely.log_density(candidates)
        else:
            self._rows.keep(free)
            candidates, log_likely = self._rows.drawn(self._rng, self._candidates)
        ratio = log_likely - unlikely.log_density(candidates)
        for i in np.argsort(-ratio, kind="stable"):
            config = self._space.fresh_near(candidates.points[i])
            if config is not None:
                return config
        return self._space.fresh(self._rng)

    def _split(self, pending: Collection[Config]) -> tuple[list[int], Reading]:
        """The places of the good configs, and what was read of them and, behind them, of the bad ones."""
        resource = self._modelled()
        ranked, seen = self._ranked[resource], self._losses[resource]
        failed, total = list(self._failed), len(ranked) + len(self._failed)
        good = [place for _, place in ranked[: min(ceil(self._gamma * total), MOST_GOOD)]]
        order = range(len(good), total)
        if len(order) > MOST_BAD:
            order = np.linspace(len(good), total - 1, MOST_BAD).astype(np.intp).tolist()
        bad = [ranked[i][1] if i < len(ranked) else failed[i - len(ranked)] for i in order]
        under_way = [config for config in pending if self._place.get(self._space.key(config)) not in seen]
        return good, self._readings.take([*good, *bad], [self._space.encode_one(config) for config in under_way])

    def _modelled(self) -> int:
        """The highest resource with enough observations; where none has, the one with the most."""
        counts = {resource: len(ranked) for resource, ranked in self._ranked.items() if ranked}
        enough = [resource for resource, count in counts.items() if count >= ENOUGH]
        return max(enough) if enough else max(counts, key=lambda resource: (counts[resource], resource), default=0)


class _Rows:
    """The rows of a table: which are free, and how likely each is among the good."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._free: NDArray[np.intp] = np.arange(len(reading.points))
        self._log_likely = np.zeros(len(reading.points))

    def weigh(self, likely: Parzen) -> None:
        """Note the log density of all rows."""
        self._log_likely = likely.log_density(self._reading)

    def keep(self, points: NDArray[np.float64]) -> None:
        """Keep those that are free still, (m, dim), in the order of all: since the last time few have gone."""
        while len(self._free) > len(points):
            differs = (self._reading.points[self._free[: len(points)]] != points).any(axis=1)
            gone = int(differs.argmax()) if differs.any() else len(points)
            self._free = np.delete(self._free, gone)

    def drawn(self, rng: np.random.Generator, n: int) -> tuple[Reading, NDArray[np.float64]]:
        """At most `n` free rows with their log densities: without replacement, in proportion to the density."""
        places, log_likely = self._free, self._log_likely[self._free]
        if len(places) > n:
            # The largest of log weights with Gumbel noise are such a draw.
            noise = -np.log(-np.log1p(-rng.random(len(places))))
            first = np.argsort(-log_likely - noise, kind="stable")[:n]
            places, log_likely = places[first], log_likely[first]
        return self._reading.take(places), log_likely
