# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
"""Curves that decay towards an asymptote, the asymptotes of all of them a Gaussian process over the configs.

The model of Swersky, Snoek & Adams, "Freeze-Thaw Bayesian Optimization" (2014, arXiv 1406.3896). Every trial's losses
are known at the lowest levels, without gaps. So the kernel of one curve is a leading block of that of the longest, one
Cholesky factor serves all, and given the curves each asymptote is seen once, with a noise of its own: the paper's exact
posterior in O(trials^3 + trials * levels^2), with nothing left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import minimize

from harness._parts import gp

Array = NDArray[np.float64]
_lapack = cast(Any, lapack)
_kernel_and_slope, _cholesky, _solve = gp._kernel_and_slope, gp._cholesky, gp._solve


def decay_kernel(a: Array, b: Array, alpha: float, beta: float) -> Array:
    """The covariance (m, n) of sums of exponential decays at times a (m,) and b (n,).

    The integral over rates of exp(-rate a) exp(-rate b), the rates having a gamma law of shape alpha and rate beta:
    beta^alpha / (a + b + beta)^alpha.
    """
    return np.exp(alpha * (np.log(beta) - np.log(np.add.outer(a, b) + beta)))


class Decay(NamedTuple):
    """What the curves about their asymptotes are fitted by: the kernel's shape and rate, its variance, the noise."""

    alpha: float
    beta: float
    scale: float
    noise: float


class Evidence(NamedTuple):
    """What curves say of their asymptotes, each (n,): the value seen, its precision, and the rest of the likelihood."""

    value: Array
    precision: Array
    rest: Array


class Curves:
    """Curves of targets, each at the first so many of the times (t,) in [0, 1].

    values (n, t), 0 beyond the length of each; lengths (n,).
    """

    def __init__(self, times: Array, values: Array, lengths: NDArray[np.intp]) -> None:
        longest = max(1, int(lengths.max(initial=0)))
        self._times, self._values = times[:longest], values[:, :longest]
        self.lengths = lengths

    def evidence(self, decay: Decay) -> Evidence:
        """The asymptotes as seen by each curve: its generalised least squares mean, under the kernel of a curve."""
        ones, solved, log_diagonal = self._solved(decay)
        precision = np.cumsum(ones * ones)[self.lengths - 1]
        value = solved @ ones / precision
        rest = np.einsum("ij,ij->i", solved, solved) - precision * value * value + np.log(precision)
        return Evidence(value, precision, -0.5 * rest - np.cumsum(log_diagonal)[self.lengths - 1])

    def _solved(self, decay: Decay) -> tuple[Array, Array, Array]:
        factor = decay_factor(self._times, decay)
        ones = _solve(factor, np.ones(len(self._times)))
        solved = _solve(factor, self._values.T).T
        solved[np.arange(len(self._times)) >= self.lengths[:, None]] = 0.0
        return ones, solved, np.log(factor.diagonal())


def decay_factor(times: Array, decay: Decay) -> Array:
    """The lower Cholesky factor (t, t) of the kernel of a noisy curve; its leading blocks are those of shorter ones."""
    kernel = decay.scale * decay_kernel(times, times, decay.alpha, decay.beta)
    kernel[np.diag_indices(len(times))] += decay.noise
    factor = _cholesky(kernel)
    assert factor is not None, "the noise keeps the kernel of a curve positive definite"
    return factor


# The priors of the logarithms of length scales and signal, then of the decay; see `gp` for what they are for. Times lie
# in [0, 1]: a beta of .1 lets half of a decay pass in the first tenth, as an epoch or few do.
DECAY_PRIORS = ((0.0, 1.0), (float(np.log(0.1)), 1.0), (0.0, 1.0), (float(np.log(1e-2)), 1.5))
DECAY_BOUNDS = (
    (float(np.log(0.1)), float(np.log(10.0))), (float(np.log(1e-3)), float(np.log(10.0))),
    (float(np.log(1e-3)), float(np.log(50.0))), (float(np.log(1e-5)), float(np.log(1.0))),
)  # fmt: skip
DIFFERENCE = 1e-5


def freeze_thaw_likelihood(logarithms: Array, x: Array, curves: Curves) -> tuple[float, Array, float]:
    """How well hyperparameters explain curves: the log likelihood, its gradient, and the constant mean.

    logarithms (d + 5,): length scales, signal, then `Decay`; x (n, d). The likelihood is exact up to a constant. The
    gradient by the first d + 1 is analytic; by the decay it is the analytic one by what the curves say of their
    asymptotes, times differences of that, which is cheap. The mean is as in `gp.log_marginal_likelihood`.
    """
    d = x.shape[1]
    decay = Decay(*np.exp(logarithms[d + 1 :]).tolist())
    seen = curves.evidence(decay)
    signal = float(np.exp(logarithms[d]))
    scaled = x / np.exp(logarithms[:d])
    kernel, slope = _kernel_and_slope(scaled, scaled, signal)
    kernel[np.diag_indices(len(x))] = signal + 1.0 / seen.precision
    factor = _cholesky(kernel)
    if factor is None:
        return -np.inf, np.zeros(len(logarithms)), 0.0
    weights, constant = gp._weights(factor, seen.value)
    residual = seen.value - constant
    value = -0.5 * float(residual @ weights) - float(np.log(factor.diagonal()).sum()) + float(seen.rest.sum())
    inverse, failed = _lapack.dpotri(factor, lower=1, overwrite_c=1)
    assert not failed, "a Cholesky factor has a positive diagonal"
    by_variance = 0.5 * (weights * weights - inverse.diagonal())
    pairs = np.outer(0.5 * weights, weights) - inverse
    pairs *= slope
    both = pairs.sum(axis=0) + pairs.sum(axis=1)
    gradient = np.empty(len(logarithms))
    gradient[:d] = both @ scaled**2 - 2.0 * np.einsum("ij,ij->j", scaled, pairs @ scaled)
    # signal dK/dsignal is K less the noise
    gradient[d] = 0.5 * (float(residual @ weights) - len(x)) - float(by_variance @ (1.0 / seen.precision))
    for place in range(4):
        moved = logarithms[d + 1 :].copy()
        moved[place] += DIFFERENCE
        other = curves.evidence(Decay(*np.exp(moved).tolist()))
        change = float((other.rest - seen.rest).sum()) - float(weights @ (other.value - seen.value))
        change += float(by_variance @ (1.0 / other.precision - 1.0 / seen.precision))
        gradient[d + 1 + place] = change / DIFFERENCE
    return value, gradient, constant


def fit_freeze_thaw(x: Array, curves: Curves, start: Array | None) -> Array:
    """The most probable hyperparameters (d + 5,) as logarithms, sought from `start` or the centre of the priors."""
    d = x.shape[1]
    priors = [gp.LENGTH_SCALE_PRIOR] * d + [gp.SIGNAL_PRIOR, *DECAY_PRIORS]
    bounds = [gp.LENGTH_SCALE_BOUNDS] * d + [gp.SIGNAL_BOUNDS, *DECAY_BOUNDS]
    means, deviations = np.array(priors).T

    def loss(logarithms: Array) -> tuple[float, Array]:
        likelihood, gradient, constant = freeze_thaw_likelihood(logarithms, x, curves)
        if likelihood == -np.inf:
            return 1e10, gradient
        offset = (logarithms - means) / deviations
        return 0.5 * float(offset @ offset) + 0.5 * constant**2 - likelihood, offset / deviations - gradient

    options = {"maxiter": 40 if start is None else 12}
    start = means if start is None else start
    found = cast(Any, minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options))
    return np.asarray(found.x)


def asymptotes(
    logarithms: Array, x: Array, curves: Curves, times: Array, expected: NDArray[np.intp]
) -> tuple[Array, Array]:
    """Mean and standard deviation, each (m,), of the asymptotes at x (m, d).

    The first of x are the trials of the curves, in their order, then come those under way without a curve, then
    others. times (t,): all levels; expected: how many levels each of the trials will have been seen at, at least one
    for those under way: they are believed to come out at their mean, so that only the deviations change.
    """
    d, seen, begun = x.shape[1], len(curves.lengths), len(expected)
    decay = Decay(*np.exp(logarithms[d + 1 :]).tolist())
    signal, evidence = float(np.exp(logarithms[d])), curves.evidence(decay)
    scaled = x / np.exp(logarithms[:d])
    cross, _ = _kernel_and_slope(scaled[:begun], scaled, signal)
    weights, constant = gp._weights(_noisy_factor(cross[:seen, :seen], 1.0 / evidence.precision), evidence.value)
    ones = _solve(decay_factor(times[: int(expected.max())], decay), np.ones(int(expected.max())))
    precision = np.cumsum(ones * ones)[expected - 1]
    half = _solve(_noisy_factor(cross[:, :begun], 1.0 / precision), cross)
    variance = signal - np.einsum("ij,ij->j", half, half)
    return weights @ cross[:seen] + constant, np.sqrt(np.maximum(variance, 1e-12 * signal))


def _noisy_factor(kernel: Array, noise: Array) -> Array:
    """The lower Cholesky factor of a kernel matrix (n, n) where each observation has a noise variance (n,)."""
    noisy = kernel.copy()
    noisy[np.diag_indices(len(noise))] += noise
    factor = _cholesky(noisy)
    assert factor is not None, "no asymptote is known exactly"
    return factor
