# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
"""Gaussian processes for methods that choose at every step of every trial, and so must be asked cheaply.

`Surrogate` keeps observations and a process that follows them: fitted anew at every observation up to twenty, then
whenever those grew by a tenth; in between its factor grows. `Pool` keeps candidates whose mean and deviation follow
the factor: a new observation costs one pass over them and not a triangular solve. `Ensemble` joins several processes,
weighted by how well they rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.special import ndtri

from harness._parts import gp
from harness._parts.acquisition import log_improvement_of_standard
from harness._parts.gp import Factor, Hyperparameters, Posterior, fit_hyperparameters
from harness._parts.observations import standardised
from harness.space import Space

Array = NDArray[np.float64]
_lapack = cast(Any, lapack)
_kernel_and_slope, _cholesky, _solve = gp._kernel_and_slope, gp._cholesky, gp._solve

ALWAYS_REFIT = 20
MOST_OBSERVATIONS, THINNED_TO = 500, 400
MOST_CANDIDATES = 4096
"""Rows of a table that are compared at a time; of more, so many are drawn."""


def log_improvement(mean: Array, deviation: Array, best: Array | float) -> Array:
    """The log of how much normal values (m,) are expected to fall below `best`, one for all or one each (m,)."""
    return np.log(deviation) + log_improvement_of_standard((best - mean) / deviation)


def new_configs(space: Space, rng: np.random.Generator, count: int, leaders: Array) -> Array:
    """Points (m, dim) at which a new config may lie.

    All free rows where the space is restricted to rows, as far as they are not too many; else `count` points, half of
    them random and half near the leaders (k, dim).
    """
    free = space.free_rows()
    if free is not None:
        if len(free) > MOST_CANDIDATES:
            free = free[np.sort(np.argsort(rng.random(len(free)), kind="stable")[:MOST_CANDIDATES])]
        return free
    if space.exhausted:
        return np.empty((0, space.dim))
    spread = space.sample_encoded(rng, count - count // 2)
    return np.concatenate([spread, near(rng, leaders, count // 2)])


def near(rng: np.random.Generator, leaders: Array, count: int) -> Array:
    """Points (count, dim) near the leaders (k, dim), half of them very near."""
    points = leaders[rng.integers(0, len(leaders), count)]
    scale = np.where(np.arange(count) % 2 == 0, 0.1, 0.02)[:, None]
    return np.clip(points + scale * normals(rng, points.shape), 0.0, 1.0)


def normals(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Independent standard normal numbers."""
    return ndtri(np.maximum(rng.random(shape), 2.0**-54))


def refit_due(count: int) -> int:
    """The number of observations at which a model that was fitted to `count` of them is fitted anew."""
    return count + (1 if count < ALWAYS_REFIT else count // 10)


def thinned(losses: Sequence[float], levels: Sequence[int], ages: Sequence[int], size: int) -> list[int]:
    """Which observations to keep, at most `size`, in the order of their arrival.

    The best up to a quarter and, up to a half with them, the best of each level; of the others those first that are the
    latest of their trial, or 1, 2, 4, 8, ... before it; among equals the most recent. ages: how many later ones there
    are of the same trial.
    """
    ranking = sorted(range(len(losses)), key=lambda i: (losses[i], i))
    best_of: dict[int, int] = {}
    for i in ranking:
        best_of.setdefault(levels[i], i)
    best = list(dict.fromkeys([*ranking[: size // 4], *best_of.values()]))[: size // 2]
    chosen = set(best)
    rest = [i for i in range(len(losses)) if i not in chosen]
    rest.sort(key=lambda i: (ages[i] & (ages[i] - 1) != 0, ages[i], -i))
    return sorted(best + rest[: size - len(best)])


class Surrogate:
    """Observations and the Gaussian process that follows them; of more than 500, 400 are kept (see `thinned`).

    scaled: from the losses (n,) to the targets (n,) that the process is fitted to and asked with.
    """

    def __init__(self, dim: int, scaled: Callable[[Array], Array] = standardised) -> None:
        self._scaled = scaled
        self.x: Array = np.empty((0, dim))
        self.losses: Array = np.empty(0)
        self._trials: list[int] = []
        self._levels: list[int] = []
        self._in_factor = 0
        self._next_fit = 0
        self._factor: Factor | None = None
        self.fits = 0
        """How often the factor was made anew, so that all that was derived from it is void."""

    def add(self, x: Array, loss: float, trial: int, level: int = 0) -> None:
        """Note an observation at x (dim,), of trials at several levels with its level; nothing is computed yet."""
        self.x = np.concatenate([self.x, x[None]])
        self.losses = np.append(self.losses, loss)
        self._trials.append(trial)
        self._levels.append(level)

    def targets(self) -> Array:
        """The losses (n,) as targets."""
        return self._scaled(self.losses)

    def factor(self) -> Factor:
        """The factor of all observations so far, its hyperparameters refitted if it is time."""
        if len(self.losses) > MOST_OBSERVATIONS:
            self._thin()
        n = len(self.losses)
        if self._factor is None or n >= self._next_fit:
            self._factor = Factor.of(self._fitted(self.x, self.targets()), self.x)
            self._next_fit, self.fits = refit_due(n), self.fits + 1
        elif n > self._in_factor:
            hyperparameters = self._factor.hyperparameters
            self._factor = self._factor.grown(self.x[self._in_factor :])
            self.fits += self._factor.hyperparameters is not hyperparameters
        self._in_factor = n
        return self._factor

    def with_median(self, pending: Array) -> Posterior:
        """The belief if configs under way (k, dim) come out at the median loss so far."""
        factor, targets = self.factor(), self.targets()
        return factor.grown(pending).posterior(np.append(targets, np.full(len(pending), np.median(targets))))

    def _fitted(self, x: Array, targets: Array) -> Hyperparameters:
        if self._factor is None:
            return fit_hyperparameters(x, targets, [Hyperparameters.default(x.shape[1])], iterations=40)
        return fit_hyperparameters(x, targets, [self._factor.hyperparameters], iterations=12)

    def _thin(self) -> None:
        seen: dict[int, int] = {}
        ages = [0] * len(self._trials)
        for i in range(len(ages) - 1, -1, -1):
            ages[i] = seen[self._trials[i]] = seen.get(self._trials[i], -1) + 1
        kept = thinned(self.losses.tolist(), self._levels, ages, THINNED_TO)
        self.x, self.losses = self.x[kept], self.losses[kept]
        self._trials = [self._trials[i] for i in kept]
        self._levels = [self._levels[i] for i in kept]
        self._next_fit = 0


@dataclass(frozen=True)
class Ensemble:
    """Independent beliefs about one function, each with a weight (k,) of a sum of 1."""

    weights: Array
    members: Sequence[Posterior]

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation, each (m,), at x (m, d): of the sum of weight times member."""
        mean, variance = np.zeros(len(x)), np.zeros(len(x))
        for weight, member in zip(self.weights.tolist(), self.members, strict=True):
            member_mean, deviation = member.predict(x)
            mean += weight * member_mean
            variance += (weight * deviation) ** 2
        return mean, np.sqrt(variance)


DRAWS, MOST_RANKED = 100, 100


def ranking_weights(
    rng: np.random.Generator, factors: Sequence[Factor], targets: Sequence[Array], x: Array, losses: Array
) -> Array:
    """The probability (k,) that each of k processes ranks configs at x (n, d) best, by their losses (n,).

    By Monte Carlo: each process is drawn from at x, the last, which has seen these losses, from its leave-one-out
    distributions; a draw goes to who orders the fewest pairs wrongly, in equal parts where several do. Sources: Li et
    al. 2022 (arXiv 2201.06834), equations 1 and 2; Rasmussen & Williams (2006), equations 5.10 to 5.12.
    """
    ranked = np.argsort(losses, kind="stable")
    if len(ranked) > MOST_RANKED:
        ranked = ranked[np.linspace(0, len(ranked) - 1, MOST_RANKED).astype(np.intp)]
    x, ordered = x[ranked], losses[ranked]
    better, worse = np.nonzero(ordered[:, None] < ordered)
    wrong = np.empty((len(factors), DRAWS))
    for place, (factor, values) in enumerate(zip(factors, targets, strict=True)):
        normal = normals(rng, (DRAWS, len(x)))
        if place == len(factors) - 1:
            mean, deviation = leave_one_out(factor, values)
            draws = mean[ranked] + normal * deviation[ranked]
        else:
            mean, root = _joint(factor.posterior(values), x)
            draws = mean + normal @ root.T
        wrong[place] = (draws[:, better] >= draws[:, worse]).sum(axis=1)
    wins = (wrong == wrong.min(axis=0)).astype(np.float64)
    return (wins / wins.sum(axis=0)).mean(axis=1)


def leave_one_out(factor: Factor, targets: Array) -> tuple[Array, Array]:
    """Mean and standard deviation, each (n,), of the noiseless function at each input, without its own target."""
    inverse, failed = _lapack.dpotri(factor.cholesky, lower=1)
    assert not failed, "a Cholesky factor has a positive diagonal"
    precision = inverse.diagonal()
    posterior, noise = factor.posterior(targets), factor.hyperparameters.noise
    variance = np.maximum(1.0 / precision - noise, 1e-12 * factor.hyperparameters.signal)
    return targets - posterior.weights / precision, np.sqrt(variance)


def _joint(posterior: Posterior, x: Array) -> tuple[Array, Array]:
    """The mean (m,) of the noiseless function at x (m, d), and a root (m, m) of its covariance."""
    factor = posterior.factor
    hyper = factor.hyperparameters
    scaled = x / hyper.length_scales
    half = _solve(factor.cholesky, _kernel_and_slope(factor.scaled, scaled, hyper.signal)[0])
    covariance = _kernel_and_slope(scaled, scaled, hyper.signal)[0] - half.T @ half
    root = None
    jitter = 1e-10
    while root is None:
        jitter *= 10.0
        trial = 0.5 * (covariance + covariance.T)
        trial[np.diag_indices(len(x))] += jitter * hyper.signal
        root = _cholesky(trial)
    return posterior.mean(x), root


class Pool:
    """Candidates whose mean and deviation follow a growing factor.

    Of each candidate its solved cross-covariance with the observations is kept; room is made ahead for both.
    """

    def __init__(self, factor: Factor, points: Array) -> None:
        self._factor = factor
        self._m = len(points)
        m, n = _roomy(self._m), _roomy(len(factor.scaled))
        self._scaled = np.zeros((m, points.shape[1]))
        self._half = np.zeros((m, n))
        """L^-1 k(observations, candidate), a row each."""
        self._explained = np.zeros(m)
        """Of each candidate the variance that the observations explain."""
        self._write(slice(0, self._m), points)

    def put(self, place: int, point: Array) -> None:
        """Set the candidate at a place to a point (d,); the place after the last is a new one."""
        if place == len(self._scaled):
            room = _roomy(place) - place
            self._scaled = np.concatenate([self._scaled, np.zeros((room, self._scaled.shape[1]))])
            self._half = np.concatenate([self._half, np.zeros((room, self._half.shape[1]))])
            self._explained = np.pad(self._explained, (0, room))
        self._m = max(self._m, place + 1)
        self._write(slice(place, place + 1), point[None])

    def _write(self, places: slice, points: Array) -> None:
        hyper, n = self._factor.hyperparameters, len(self._factor.scaled)
        self._scaled[places] = points / hyper.length_scales
        cross, _ = _kernel_and_slope(self._factor.scaled, self._scaled[places], hyper.signal)
        half = _solve(self._factor.cholesky, cross).T
        self._half[places, :n] = half
        self._explained[places] = np.einsum("ij,ij->i", half, half)

    def follow(self, factor: Factor) -> None:
        """Take in the observations that a factor has more than the one before, of which it grew."""
        n, more = len(self._factor.scaled), len(factor.scaled)
        if more == n:
            return
        if more > self._half.shape[1]:
            self._half = np.concatenate(
                [self._half, np.zeros((len(self._half), _roomy(more) - self._half.shape[1]))], axis=1
            )
        cross, _ = _kernel_and_slope(factor.scaled[n:], self._scaled[: self._m], factor.hyperparameters.signal)
        cross -= factor.cholesky[n:, :n] @ self._half[: self._m, :n].T
        rows = _solve(np.asfortranarray(factor.cholesky[n:, n:]), cross).T
        self._half[: self._m, n:more] = rows
        self._explained[: self._m] += np.einsum("ij,ij->i", rows, rows)
        self._factor = factor

    def predict(self, targets: Array, believed: Sequence[int]) -> tuple[Array, Array]:
        """Mean and standard deviation (m,) of all candidates after the targets (n,).

        believed: places of candidates under way, which are taken to come out at their mean (the Kriging believer).
        """
        factor, m, n = self._factor, self._m, len(targets)
        hyper, half = factor.hyperparameters, self._half[: self._m, :n]
        posterior = factor.posterior(targets)
        residual = _solve(factor.cholesky, targets - posterior.constant)
        products = half @ np.column_stack([residual, half[believed].T])
        explained = self._explained[:m].copy()
        if len(believed):
            covariance, _ = _kernel_and_slope(self._scaled[believed], self._scaled[:m], hyper.signal)
            covariance -= products[:, 1:].T
            corner = covariance[:, believed]
            corner[np.diag_indices(len(believed))] += hyper.noise
            believer = _cholesky(0.5 * (corner + corner.T))
            assert believer is not None, "a posterior covariance with noise is positive definite"
            rows = _solve(believer, covariance)
            explained += np.einsum("ij,ij->j", rows, rows)
        variance = np.maximum(hyper.signal - explained, 1e-12 * hyper.signal)
        return products[:, 0] + posterior.constant, np.sqrt(variance)


def _roomy(count: int) -> int:
    return count + count // 4 + 32
