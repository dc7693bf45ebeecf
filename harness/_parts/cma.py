"""The covariance matrix adaptation evolution strategy: a normal law that follows the better of what was tried.

Equations and table are those of Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv 1604.00772v2, 2023), negative
weights included. Two things stand beside it. Points that were not drawn from the law as it is now (moved to a row of a
table, from an earlier law, a user's) are injected: their step is cut to a length that the law itself would hardly
exceed (Hansen, "Injecting External Solutions Into CMA-ES", arXiv 1110.4181). And each coordinate has a least standard
deviation, so that whole numbers and choices never freeze on one value: a simple form of the margin of Hamano et al.
2022 (arXiv 2205.13482), a diagonal matrix between the law that adapts and the law that is drawn from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """What table 1 of the tutorial says for a dimension and a number of offspring.

    weights: (offspring,), best first, the positive ones with sum 1; mu_eff: the variance-effective selection mass;
    c_sigma, d_sigma: of the step size; c_c, c_1, c_mu: of the covariance matrix; chi: the expected length of a
    standard normal vector.
    """

    weights: Array
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float

    @staticmethod
    def of(n: int, offspring: int) -> Parameters:
        """The parameters for dimension `n`; offspring >= 3."""
        raw = np.log((offspring + 1) / 2) - np.log(np.arange(1, offspring + 1))
        mu = offspring // 2
        better, worse = raw[:mu], raw[mu:]
        mu_eff = float(better.sum() ** 2 / (better**2).sum())
        mu_eff_worse = float(worse.sum() ** 2 / (worse**2).sum())
        c_1 = 2 / ((n + 1.3) ** 2 + mu_eff)
        c_mu = min(1 - c_1, 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((n + 2) ** 2 + mu_eff))
        alpha = min(1 + c_1 / c_mu, 1 + 2 * mu_eff_worse / (mu_eff + 2), (1 - c_1 - c_mu) / (n * c_mu))
        c_sigma = (mu_eff + 2) / (n + mu_eff + 5)
        return Parameters(
            weights=np.where(raw >= 0, raw / raw[raw >= 0].sum(), alpha * raw / -raw[raw < 0].sum()),
            mu_eff=mu_eff,
            c_sigma=c_sigma,
            d_sigma=1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma,
            c_c=(4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n),
            c_1=c_1,
            c_mu=c_mu,
            chi=math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2)),
        )


def default_offspring(n: int) -> int:
    """How many offspring a generation has in dimension `n`, unless said otherwise."""
    return 4 + math.floor(3 * math.log(n))


class Cma:
    """A normal law on R^n with mean (n,), step size and covariance matrix, updated once a generation.

    least: (n,), the standard deviation that each coordinate keeps at least.
    """

    def __init__(self, mean: Array, step: float, offspring: int, least: Array) -> None:
        n = len(mean)
        self.parameters = Parameters.of(n, offspring)
        self.mean, self.step, self.offspring = mean, step, offspring
        self.generation = 0
        self._least = least
        self._covariance = np.eye(n)
        self._path_step, self._path = np.zeros(n), np.zeros(n)
        # An eigendecomposition holds for so many generations that it costs no more than all else.
        self._lasts = max(1, int(1 / (10 * n * (self.parameters.c_1 + self.parameters.c_mu))))
        self._decompose()

    def _decompose(self) -> None:
        values, self._axes = np.linalg.eigh(self._covariance)
        self._lengths = np.sqrt(np.maximum(values, 1e-28 * values[-1]))
        self._widen()

    def _widen(self) -> None:
        deviations = self.step * np.sqrt(np.diag(self._covariance))
        self._scale = self.step * np.maximum(1.0, self._least / deviations)

    @property
    def extent(self) -> float:
        """The standard deviation of the law that adapts, along its longest axis."""
        return self.step * float(self._lengths[-1])

    @property
    def condition(self) -> float:
        """The condition number of the covariance matrix."""
        return float(self._lengths[-1] / self._lengths[0]) ** 2

    def points(self, normals: Array) -> Array:
        """Points (k, n) of the law from standard normal numbers (k, n)."""
        return self.mean + self._scale * ((normals * self._lengths) @ self._axes.T)

    def update(self, points: Array, injected: NDArray[np.bool_]) -> None:
        """Learn from one generation: points (offspring, n), the best first; injected: which the law did not draw."""
        p, n = self.parameters, len(self.mean)
        steps = (points - self.mean) / self._scale
        whitened = (steps @ self._axes) / self._lengths
        norms = np.sqrt(np.einsum("ij,ij->i", whitened, whitened))
        longest = math.sqrt(n) + 2 * n / (n + 2)
        cut = np.where(injected & (norms > longest), longest / np.maximum(norms, longest), 1.0)
        steps, whitened, norms = steps * cut[:, None], whitened * cut[:, None], norms * cut
        better = np.maximum(p.weights, 0.0)
        step = better @ steps
        self.mean = self.mean + self._scale * step
        self._path_step = (1 - p.c_sigma) * self._path_step + math.sqrt(
            p.c_sigma * (2 - p.c_sigma) * p.mu_eff
        ) * self._axes @ (better @ whitened)
        self.generation += 1
        length = float(np.linalg.norm(self._path_step)) / p.chi
        unbiased = length / math.sqrt(1 - (1 - p.c_sigma) ** (2 * self.generation))
        goes_on = unbiased < 1.4 + 2 / (n + 1)
        self._path = (1 - p.c_c) * self._path
        if goes_on:
            self._path += math.sqrt(p.c_c * (2 - p.c_c) * p.mu_eff) * step
        lost = 0.0 if goes_on else p.c_c * (2 - p.c_c)
        weights = np.where(p.weights >= 0, p.weights, p.weights * n / np.maximum(norms, 1e-12) ** 2)
        self._covariance = (
            (1 + p.c_1 * lost - p.c_1 - p.c_mu * float(p.weights.sum())) * self._covariance
            + p.c_1 * np.outer(self._path, self._path)
            + p.c_mu * (steps.T * weights) @ steps
        )
        # More than e-fold at once would be an injected point's doing.
        self.step *= math.exp(min(1.0, p.c_sigma / p.d_sigma * (length - 1)))
        if self.generation % self._lasts == 0:
            self._decompose()
        else:
            self._widen()
