"""What a model-based sampler has seen, and which of it a model should learn from.

Two rules for several resources. `target`: model the highest resource that at least three configs reached (Falkner,
Klein & Hutter 2018, "BOHB", with Syne Tune's threshold). `latest`: model each config by its loss at the highest
resource that it reached (Salinas et al. 2023): what was stopped early was bad for its time, so the order holds.
A failure counts wherever the model looks, as the worst. Models are refitted at
every new observation up to fifty, from then on whenever those grew by a fiftieth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.space import Config, Space

Array = NDArray[np.float64]

RESOURCE_THRESHOLD = 3
"""Finite losses that a resource needs before it is the target."""
MOST_MODELLED = 400
"""Of more observations so many are modelled, evenly spaced in the order of their losses."""


class Observations:
    """Configs with the losses that they reached, by resource, in the order of their arrival."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._at: defaultdict[int, list[tuple[Array, float]]] = defaultdict(list)
        self._failed: list[tuple[Array, float]] = []
        self._latest: dict[tuple[object, ...], tuple[int, Array, float]] = {}
        self._count = self._fitted = 0

    @property
    def configs(self) -> int:
        """How many configs were observed."""
        return len(self._latest)

    def add(self, config: Config, resource: int, loss: float) -> None:
        """Note what `config` reached at `resource`."""
        (encoded,) = self._space.encode([config])
        self._count += 1
        if np.isfinite(loss):
            self._at[resource].append((encoded, loss))
        else:
            self._failed.append((encoded, np.inf))
        key = self._space.key(config)
        if key not in self._latest or resource >= self._latest[key][0]:
            self._latest[key] = (resource, encoded, loss)

    def refit_due(self) -> bool:
        """Whether a model should be fitted anew; the caller who is told so does it."""
        due = self._count - self._fitted >= max(1, self._count // 50)
        self._fitted = self._count if due else self._fitted
        return due

    def target(self) -> int:
        """The resource to model, 0 where there is no finite loss."""
        return modelled_resource({resource: len(seen) for resource, seen in self._at.items()}, 0)

    def at_target(self) -> tuple[Array, Array]:
        """The configs (n, dim) observed at the target, then those that failed anywhere, and their losses (n,)."""
        seen = [*self._at.get(self.target(), []), *self._failed]
        return _modelled([x for x, _ in seen], [loss for _, loss in seen], self._space.dim)

    def latest(self) -> tuple[Array, Array]:
        """Each config (n, dim) once, with its loss (n,) at the highest resource that it reached."""
        seen = self._latest.values()
        return _modelled([x for _, x, _ in seen], [loss for _, _, loss in seen], self._space.dim)


def modelled_resource(counts: Mapping[int, int], default: int) -> int:
    """The highest resource with enough finite losses; where none has, the lowest of those with the most.

    counts: finite losses at each resource; default: what is said where there are none.
    """
    enough = [resource for resource, count in counts.items() if count >= RESOURCE_THRESHOLD]
    if enough:
        return max(enough)
    return min(counts, key=lambda resource: (-counts[resource], resource), default=default)


def _modelled(x: list[Array], losses: list[float], dim: int) -> tuple[Array, Array]:
    points, values = np.reshape(x, (-1, dim)), np.array(losses)
    if len(values) > MOST_MODELLED:
        spaced = np.linspace(0, len(values) - 1, MOST_MODELLED).astype(np.intp)
        kept = np.sort(np.argsort(values, kind="stable")[spaced])
        points, values = points[kept], values[kept]
    return points, values


def worst_believed(losses: Array) -> float:
    """The worst of some finite losses, at most twice as far above the median as that is above the best.

    So a diverged 18 among 3.5s is bad and not a hundred deviations off.
    """
    best, median, worst = float(losses.min()), float(np.median(losses)), float(losses.max())
    return min(worst, 3.0 * median - 2.0 * best) if median > best else worst


def standardised(losses: Array) -> Array:
    """Losses (n,) as targets of mean 0 and variance 1, such that failed and diverged trainings do not rule the fit.

    What is worse than the `worst_believed` counts as that, infinite losses and NaN too; where all finite losses are
    equal, only who failed is told apart.
    """
    finite = losses[np.isfinite(losses)]
    filled = np.zeros(len(losses))
    if len(finite):
        best, cap = float(finite.min()), worst_believed(finite)
        filled = np.clip(np.nan_to_num(losses, nan=np.inf, posinf=cap), best, cap)
    failed = np.where(np.isfinite(losses), 0.0, 1.0)
    for values in (filled, failed):
        low, width = float(values.min()), float(np.ptp(values))
        if width > 0:
            unit = (values - low) / width
            return (unit - unit.mean()) / float(unit.std())
    return np.zeros(len(losses))
