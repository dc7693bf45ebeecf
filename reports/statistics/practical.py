"""Whether a method is better, worse or practically equal: the Bayesian signed-rank test with a region of equivalence.

A p-value can only fail to tell two methods apart; this can say that a difference is too small to matter. What is too
small is declared before, in the unit of the differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.statistics.differences import known

Floats = NDArray[np.float64]

DRAWS = 50_000
CHUNK = 5_000
PRIOR = 0.5
"""What the prior weighs: half a pair without any difference."""
SURE = 0.95
BETTER, EQUAL, WORSE, UNDECIDED = "better", "practically equal", "worse", "undecided"


@dataclass(frozen=True)
class Practical:
    """The probabilities that the first method is better (lower), practically equal to the second, or worse."""

    better: float
    equal: float
    worse: float

    @property
    def verdict(self) -> str:
        """In words; undecided unless one of the three has a probability of at least 95 %."""
        shares = {BETTER: self.better, EQUAL: self.equal, WORSE: self.worse}
        return next((word for word, share in shares.items() if share >= SURE), UNDECIDED)


def practical(differences: Floats, region: float, rng: np.random.Generator) -> Practical:
    """How probable it is that the first method is better, practically equal or worse on a benchmark like these.

    differences: shape (benchmarks,), first - second, lower better, infinite for a failure; region: differences of at
    most this size do not matter. A draw of the posterior weighs the three possibilities, and counts for the heaviest
    (Benavoli et al., ICML 2014; Benavoli, Corani, Demsar, Zaffalon, JMLR 18(77), 2017).
    """
    weighed = posterior(differences, region, rng)
    heaviest = weighed == weighed.max(axis=1, keepdims=True)
    better, equal, worse = (heaviest / heaviest.sum(axis=1, keepdims=True)).mean(axis=0)
    return Practical(float(better), float(equal), float(worse))


def posterior(differences: Floats, region: float, rng: np.random.Generator) -> Floats:
    """Draws of the posterior: how likely the mean of two new differences is below the region, in it, above it.

    Arguments as for `practical`. Returns shape (draws, 3), rows of sum 1: the points of a simplex. A Dirichlet process
    with half a pair at 0 as its prior: its draws weigh the pairs by a Dirichlet distribution. Two failures on different
    sides cancel, and count as in the region.
    """
    if region < 0:
        raise ValueError(f"a region of practical equivalence of {region:g}: a size, at least 0")
    seen = np.append(known(differences), 0.0)
    with np.errstate(invalid="ignore"):
        means = (seen[:, None] + seen[None, :]) / 2
    below = (means < -region) + 0.5 * (means == -region)
    above = (means > region) + 0.5 * (means == region)
    found: list[Floats] = []
    for _ in range(DRAWS // CHUNK):
        weights = _dirichlet(len(differences), rng)
        better, worse = (((weights @ side) * weights).sum(axis=1) for side in (below, above))
        found.append(np.stack([better, 1 - better - worse, worse], axis=1))
    return np.clip(np.concatenate(found), 0, 1)


def _dirichlet(pairs: int, rng: np.random.Generator) -> Floats:
    """Weights of the pairs and of the prior, the last: shape (CHUNK, pairs + 1), rows of sum 1.

    A pair's is an exponential, the prior's a gamma variable of shape 1/2: an exponential times a beta(1/2, 1/2), the
    squared cosine of a random angle.
    """
    weights = -np.log1p(-rng.random((CHUNK, pairs + 1)))
    weights[:, -1] *= np.cos(2 * np.pi * rng.random(CHUNK)) ** 2
    return weights / weights.sum(axis=1, keepdims=True)
