"""How far a loss is from the best that can be had, in units that do not depend on who is compared.

Normalised regret is 0 at the best final loss of the table and 1 at the median random config: facts of the table, so
that adding a method changes no other method's number. It is clipped at 1 above and at a floor below, the noise of the
final loss between seeds (or 1e-4): nobody can claim to be closer than that, and logs need a floor. A study without a
finite loss, or that failed, counts as the median config, and none counts as worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports.statistics.ranks import ranks as ranks_of

Floats = NDArray[np.float64]

LOWEST_FLOOR = 1e-4


class Scale(NamedTuple):
    """A benchmark's own ruler: where regret is 0 and where it is 1 (losses), and the floor (normalised regret)."""

    optimum: float
    median: float
    floor: float

    @property
    def span(self) -> float:
        """What a normalised regret of 1 is worth, in units of the loss."""
        return self.median - self.optimum


def scale(facts: Mapping[str, Any]) -> Scale | None:
    """The ruler that a benchmark's facts give, or those of one of its metrics; None without optimum or median."""
    optimum, median, noise = facts.get("optimum"), facts.get("median"), facts.get("noise")
    if optimum is None or median is None or not np.isfinite(optimum) or not optimum < median < np.inf:
        return None
    floor = max(LOWEST_FLOOR, noise / (median - optimum)) if noise is not None and np.isfinite(noise) else LOWEST_FLOOR
    return Scale(float(optimum), float(median), min(float(floor), 1.0))


def normalised(losses: Floats, ruler: Scale) -> Floats:
    """Losses as normalised regret within [floor, 1]; one that is not finite counts as 1. Any shape."""
    regret = (np.where(np.isfinite(losses), losses, ruler.median) - ruler.optimum) / ruler.span
    return np.clip(regret, ruler.floor, 1)


def counted(losses: Floats, median: float | None) -> Floats:
    """Losses as statistics count them: what is not finite, or worse than it, is the median random config.

    Where that is not known, what is not finite is NaN.
    """
    if median is None:
        return np.where(np.isfinite(losses), losses, np.nan)
    return np.where(np.isfinite(losses), np.minimum(losses, median), median)


class Measure(NamedTuple):
    """The scale on which means of losses are taken: `regret` or `loss`, both on logs, or the plain `difference`."""

    kind: str
    ruler: Scale | None

    def of(self, losses: Floats) -> Floats:
        """Losses of any shape on this scale; a regret no lower than its floor."""
        if self.ruler is not None:
            return np.log(np.maximum((losses - self.ruler.optimum) / self.ruler.span, self.ruler.floor))
        return np.log(losses) if self.kind == "loss" else losses

    def losses(self, values: Floats) -> Floats:
        """Values on this scale as losses again."""
        if self.ruler is not None:
            return self.ruler.optimum + self.ruler.span * np.exp(values)
        return np.exp(values) if self.kind == "loss" else values


def measure(losses: Floats, ruler: Scale | None) -> Measure:
    """The scale for the mean of these losses: regret where the benchmark has a ruler, else logs if all are positive."""
    if ruler is not None:
        return Measure("regret", ruler)
    return Measure("loss" if bool(np.all(losses > 0)) else "difference", None)


def ranks(losses: pd.DataFrame) -> pd.DataFrame:
    """The rank of each arm within each block, 1 the best, ties sharing their mean rank.

    losses: a row per block (a seed of a benchmark), a column per arm; a row with a NaN has no ranks and is left out.
    """
    whole = losses.dropna()
    return pd.DataFrame(ranks_of(whole.to_numpy(dtype=float).T).T, index=whole.index, columns=whole.columns)


def law_of_random_search(values: Floats, trainings: NDArray[np.int64]) -> Floats:
    """The expected best value after so many finished trainings of a random search without replacement: exact.

    values: shape (configs,), the final losses of the whole table, sorted from best to worst, on any scale (the law
    holds for logs too); trainings: shape (points,), each at least 1, more than there are configs count as all.
    With the k best of M configs left out, P(min > v_k) = C(M - k, N) / C(M, N), the product of (1 - N / (M - i))
    over i < k, which neither overflows nor cancels.
    """
    configs = len(values)
    drawn = np.minimum(np.asarray(trainings), configs)[:, None]
    factors = 1 - drawn / (configs - np.arange(configs))[None, :]
    worse = np.cumprod(np.maximum(factors, 0), axis=1)
    chance = -np.diff(worse, axis=1, prepend=1)
    return chance @ values
