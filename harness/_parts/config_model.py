"""A Gaussian process over configs and resource, with the observations that it follows.

Decided here: the resource, on a log scale in [0, 1], is one more input of the kernel (it costs nothing where it never
varies); what is sought is sought at the highest resource with at least three finite losses; a failure counts where was
sought at the time, as the worst that was seen at that resource, for losses of lower ones would be a wall there; bad
losses are capped before they are modelled, for a Gaussian process believes outliers; the hyperparameters are refitted
at every posterior up to `ALWAYS_REFIT` observations and from then on whenever those grew by a tenth, from where they
stand; the rest of the time the Cholesky factor grows. Where warped, each number of a config has a warping of its own,
choices and the resource have none; the posterior is then one over warped inputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness._parts.gp import Factor, Hyperparameters, Posterior, Warping, fit_warped
from harness._parts.observations import modelled_resource, standardised, worst_believed
from harness.domains import Choice
from harness.space import Space
from harness.types import Fidelity

Array = NDArray[np.float64]

ALWAYS_REFIT = 20
FROM_TWO_STARTS = 40
"""Up to so many observations a fit starts from the priors' centre too; beyond, one optimum dominates."""
MOST_OBSERVATIONS, THINNED_TO = 500, 400


def numeric_columns(space: Space) -> NDArray[np.intp]:
    """The coordinates of numbers and of ordered values, which have near and far."""
    numbers = [space.slices[name].start for name, domain in space.domains.items() if not isinstance(domain, Choice)]
    return np.array(numbers, dtype=np.intp)


class ConfigModel:
    """The observations of configs at resources, and the Gaussian process that follows them.

    warp: whether the inputs are warped (Snoek et al. 2014); `warping` is the one of the last posterior.
    """

    def __init__(self, space: Space, fidelity: Fidelity, warp: bool = False) -> None:
        self._dim = space.dim
        self._lowest, self._highest = fidelity.levels[0], fidelity.levels[-1]
        self.warping = Warping.identity(numeric_columns(space) if warp else np.empty(0, dtype=np.intp))
        self._inputs: list[Array] = []
        self._resources: list[int] = []
        self._losses: list[float] = []
        self._finite: Counter[int] = Counter()
        self._kept: list[int] = []
        """Which observations the factor holds, in its order; those from `_seen` on are new to it."""
        self._seen = 0
        self._factor: Factor | None = None
        self._next_fit = 0

    def add(self, encoded: Array, resource: int, loss: float) -> None:
        """Note what an encoded config (dim,) reached; a failure counts where is sought at that time.

        Nothing is computed before a posterior is asked for.
        """
        if np.isfinite(loss):
            self._finite[max(resource, self._lowest)] += 1
        else:
            resource = max(resource, self.target())
        self._inputs.append(self.inputs(encoded[None], resource)[0])
        self._resources.append(max(resource, self._lowest))
        self._losses.append(loss)

    def inputs(self, encoded: Array, resource: int) -> Array:
        """Inputs of the model: encoded configs (n, dim) with the resource as last column, on a log scale in [0, 1]."""
        span = np.log(self._highest / self._lowest)
        place = np.log(max(resource, self._lowest) / self._lowest) / span if span > 0 else 0.0
        return np.column_stack([np.reshape(encoded, (-1, self._dim)), np.full(len(encoded), place)])

    def at(self, resource: int) -> tuple[Array, Array]:
        """The inputs (n, dim + 1) observed at `resource`, and their losses (n,)."""
        found = [i for i, r in enumerate(self._resources) if r == resource]
        inputs = np.reshape([self._inputs[i] for i in found], (-1, self._dim + 1))
        return inputs, np.array([self._losses[i] for i in found])

    def target(self) -> int:
        """The resource at which is sought: the highest with enough finite losses, else the lowest with the most."""
        return modelled_resource(self._finite, self._lowest)

    def posterior(self) -> Posterior:
        """The belief after all observations so far, over warped inputs; refitted if it is time."""
        fresh = list(range(self._seen, len(self._losses)))
        kept = self._kept + fresh
        if len(kept) > MOST_OBSERVATIONS:
            kept, self._next_fit = thinned(self._resources, self._losses, THINNED_TO), 0
        targets, n = self._targets(kept), len(kept)
        if self._factor is None or n >= self._next_fit:
            x = np.array([self._inputs[i] for i in kept])
            hyperparameters, self.warping = self._fitted(x, targets)
            self._factor = Factor.of(hyperparameters, self.warping(x))
            self._next_fit = n + (1 if n < ALWAYS_REFIT else n // 10)
        elif fresh:
            self._factor = self._factor.grown(self.warping(np.array([self._inputs[i] for i in fresh])))
        self._kept, self._seen = kept, len(self._losses)
        return self._factor.posterior(targets)

    def belief(self) -> Posterior | None:
        """The belief after all observations so far by what was fitted last, leaving all as it is; None before that."""
        if self._factor is None:
            return None
        fresh = list(range(self._seen, len(self._losses)))
        targets = self._targets(self._kept + fresh)
        x = np.reshape([self._inputs[i] for i in fresh], (-1, self._dim + 1))
        return (self._factor.grown(self.warping(x)) if fresh else self._factor).posterior(targets)

    def _targets(self, kept: list[int]) -> Array:
        """What the process models of some observations, standardised; each failure as the worst at its resource."""
        losses, resources = np.array(self._losses), np.array(self._resources)
        finite = np.isfinite(losses)
        for resource in np.unique(resources[~finite]):
            there = finite & (resources == resource)
            if there.any() and np.ptp(losses[there]) > 0:
                losses[~finite & (resources == resource)] = worst_believed(losses[there])
        return standardised(losses[kept])

    def _fitted(self, x: Array, targets: Array) -> tuple[Hyperparameters, Warping]:
        default = Hyperparameters.default(x.shape[1]), Warping.identity(self.warping.columns)
        if self._factor is None:
            return fit_warped(x, targets, [default], iterations=40)
        last = self._factor.hyperparameters, self.warping
        return fit_warped(x, targets, [last, default] if len(x) <= FROM_TWO_STARTS else [last], iterations=12)


def thinned(resources: Sequence[int], losses: Sequence[float], size: int) -> list[int]:
    """Which observations to keep, at most `size`, in the order of their arrival.

    The highest resources are kept whole; of the one that does not fit, the best are kept up to a quarter of the room
    that is left, and the most recent for the rest.
    """
    kept: list[int] = []
    for resource in sorted(set(resources), reverse=True):
        members = [i for i, r in enumerate(resources) if r == resource]
        room = size - len(kept)
        if len(members) > room:
            best = sorted(members, key=lambda i: (losses[i], i))[: room // 4]
            rest = [i for i in members if i not in set(best)]
            members = best + rest[len(rest) - (room - len(best)) :]
        kept += members
    return sorted(kept)
