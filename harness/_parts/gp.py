# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
"""A Gaussian process of our own: fast enough to be asked hundreds of times in one simulated study.

Decided here: Matern-5/2 with one length scale per dimension, a signal and a noise variance, and a constant mean that is
profiled out. The hyperparameters maximise the marginal likelihood times weak log-normal priors (analytic gradients,
L-BFGS-B); between two such fits the Cholesky factor only grows, O(n^2) per observation. A factor knows the inputs
and not the targets, so a rescaling of the targets costs two triangular solves. All arrays are float64; nothing here
draws random numbers. Oracle in the tests: scikit-learn's GaussianProcessRegressor.

A process may see some inputs through a `Warping`, which is fitted with the kernel (`fit_warped`). A warping maps [0, 1]
to itself and has an inverse, so nothing else knows of it: who uses one gives and takes warped inputs.

Sources: Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), algorithm 2.1 and section 5.4.1;
Snoek, Swersky, Zemel & Adams, "Input Warping for Bayesian Optimization of Non-stationary Functions" (2014).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import minimize

Array = NDArray[np.float64]
_lapack = cast(Any, lapack)

# Log-normal priors, as (mean, standard deviation) of the logarithm, for inputs in [0, 1] and targets of unit variance:
# wide enough that some dozen observations overrule them, narrow enough that three observations give a sane model.
LENGTH_SCALE_PRIOR = (0.0, 1.0)
SIGNAL_PRIOR = (0.0, 1.0)
NOISE_PRIOR = (float(np.log(1e-3)), 2.0)
LENGTH_SCALE_BOUNDS = (float(np.log(0.02)), float(np.log(50.0)))
SIGNAL_BOUNDS = (float(np.log(0.05)), float(np.log(50.0)))
NOISE_BOUNDS = (float(np.log(1e-6)), float(np.log(1.0)))
WARPING_DEVIATION = 0.75
"""Of the log-normal prior of a warping's parameters, whose centre is the identity (after Snoek et al. 2014)."""
WARPING_BOUNDS = (-float(np.log(10.0)), float(np.log(10.0)))
_LOG_2_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Hyperparameters:
    """What a kernel is fitted by: length scales (d,), the signal's and the noise's variance."""

    length_scales: Array
    signal: float
    noise: float

    @staticmethod
    def default(dimension: int) -> Hyperparameters:
        """The centre of the priors."""
        return Hyperparameters.unpack(np.array([LENGTH_SCALE_PRIOR[0]] * dimension + [SIGNAL_PRIOR[0], NOISE_PRIOR[0]]))

    @staticmethod
    def unpack(logarithms: Array) -> Hyperparameters:
        """From logarithms (d + 2,): length scales, signal, noise."""
        values = np.exp(logarithms)
        return Hyperparameters(values[:-2], float(values[-2]), float(values[-1]))

    def pack(self) -> Array:
        """As logarithms (d + 2,), the inverse of `unpack`."""
        return np.log(np.concatenate([self.length_scales, [self.signal, self.noise]]))


@dataclass(frozen=True)
class Warping:
    """Bends some columns of [0, 1]^d by the distribution function of Kumaraswamy's law, w = 1 - (1 - x^a)^b.

    columns: which, shape (w,); logarithms: of a and of b, shape (2, w), zero for the identity.
    """

    columns: NDArray[np.intp]
    logarithms: Array

    @staticmethod
    def identity(columns: NDArray[np.intp]) -> Warping:
        """The warping that changes nothing yet; without columns it never will."""
        return Warping(columns, np.zeros((2, len(columns))))

    def __call__(self, x: Array) -> Array:
        """The inputs (n, d) as the process sees them."""
        a, b = np.exp(self.logarithms)
        return self._with(x, lambda column: _kumaraswamy(column, a, b))

    def undone(self, warped: Array) -> Array:
        """The inputs (n, d) that look like `warped`."""
        a, b = np.exp(-self.logarithms)
        # w = 1 - (1 - x^a)^b is solved by 1 - x = 1 - (1 - (1 - w)^(1 / b))^(1 / a).
        return self._with(warped, lambda column: 1.0 - _kumaraswamy(1.0 - column, b, a))

    def _with(self, x: Array, change: Callable[[Array], Array]) -> Array:
        if len(self.columns) == 0:
            return x
        changed = x.copy()
        changed[:, self.columns] = change(x[:, self.columns])
        return changed

    def slopes(self, x: Array) -> Array:
        """How the warped columns of x (n, d) change with the logarithms of a and of b, shape (2, n, w)."""
        a, b = np.exp(self.logarithms)
        log_power, log_rest = _powers(x[:, self.columns], a)
        by_a = b * np.exp((b - 1.0) * log_rest + log_power) * log_power
        by_b = -b * np.exp(b * log_rest) * log_rest
        inside = (x[:, self.columns] > 0.0) & (x[:, self.columns] < 1.0)
        return np.where(inside, [by_a, by_b], 0.0)


def _kumaraswamy(x: Array, a: Array, b: Array) -> Array:
    """1 - (1 - x^a)^b for x (n, w) in [0, 1], exact at both ends."""
    _, log_rest = _powers(x, a)
    return np.where((x > 0.0) & (x < 1.0), -np.expm1(b * log_rest), x)


def _powers(x: Array, a: Array) -> tuple[Array, Array]:
    """log x^a and log(1 - x^a) for x (n, w) within (0, 1)."""
    log_power = a * np.log(np.clip(x, 1e-300, 1.0 - 2.0**-53))
    return log_power, np.log(-np.expm1(log_power))


def _kernel_and_slope(a: Array, b: Array, signal: float) -> tuple[Array, Array]:
    """Matern-5/2 between scaled inputs (m, d) and (n, d), and minus its derivative by half the squared distance."""
    distance = a @ b.T
    distance *= -2.0
    distance += np.einsum("ij,ij->i", a, a)[:, None]
    distance += np.einsum("ij,ij->i", b, b)
    np.maximum(distance, 0.0, out=distance)
    distance *= 5.0
    np.sqrt(distance, out=distance)
    slope = np.exp(-distance)
    slope *= signal
    kernel = distance * distance
    kernel /= 3.0
    kernel += distance
    kernel += 1.0
    kernel *= slope  # signal (1 + r + r^2 / 3) exp(-r), where r = sqrt(5) * distance
    distance += 1.0
    slope *= distance
    slope *= 5.0 / 3.0
    return kernel, slope


def _cholesky(matrix: Array) -> Array | None:
    """The lower factor of a symmetric matrix, which is overwritten; None where it is not positive definite."""
    factor, failed = _lapack.dpotrf(matrix.T, lower=1, clean=1, overwrite_a=1)
    return None if failed else factor


def _solve(factor: Array, right: Array, transposed: bool = False) -> Array:
    """factor^-1 right, or factor^-T right; right has shape (n,) or (n, m)."""
    solution, failed = _lapack.dtrtrs(factor, right, lower=1, trans=int(transposed))
    assert not failed, "a Cholesky factor has a positive diagonal"
    return solution


def log_marginal_likelihood(logarithms: Array, x: Array, targets: Array) -> tuple[float, Array, float]:
    """How well hyperparameters explain the targets: the log likelihood, its gradient, and the constant mean.

    logarithms: (d + 2,), see `Hyperparameters.unpack`; x: (n, d); targets: (n,). The mean has a standard normal prior
    and takes its best value; the likelihood is that of the targets less the mean. The gradient, by the logarithms,
    holds the mean fixed, and so it is also the gradient of likelihood - mean^2 / 2, which is at its best in the mean.
    -inf where the kernel matrix is numerically singular. Source: Rasmussen & Williams (2006), equation 5.9, all length
    scales from one weight matrix by matrix products.
    """
    value, gradient, constant, _ = _likelihood(logarithms, x, targets, by_inputs=False)
    return value, gradient, constant


def _likelihood(logarithms: Array, x: Array, targets: Array, by_inputs: bool) -> tuple[float, Array, float, Array]:
    """As `log_marginal_likelihood`, and where asked for the gradient by the inputs, (n, d), else zeros."""
    hyper = Hyperparameters.unpack(logarithms)
    n = len(x)
    scaled = x / hyper.length_scales
    kernel, slope = _kernel_and_slope(scaled, scaled, hyper.signal)
    kernel[np.diag_indices(n)] = hyper.signal + hyper.noise
    factor = _cholesky(kernel)
    if factor is None:
        return -np.inf, np.zeros(len(logarithms)), 0.0, np.zeros(x.shape)
    weights, constant = _weights(factor, targets)
    residual = targets - constant
    half_log_determinant = float(np.log(factor.diagonal()).sum())
    value = -0.5 * float(residual @ weights) - half_log_determinant - 0.5 * n * _LOG_2_PI
    inverse, failed = _lapack.dpotri(factor, lower=1, overwrite_c=1)
    assert not failed, "a Cholesky factor has a positive diagonal"
    trace, square = float(inverse.trace()), float(weights @ weights)
    # The upper triangle of `inverse` is empty: it holds each pair of observations once, the outer product twice.
    pairs = np.outer(0.5 * weights, weights)
    pairs -= inverse
    pairs *= slope
    both = pairs.sum(axis=0) + pairs.sum(axis=1)
    gradient = np.empty(len(logarithms))
    pulled = pairs @ scaled
    gradient[:-2] = both @ scaled**2 - 2.0 * np.einsum("ij,ij->j", scaled, pulled)
    gradient[-2] = 0.5 * (float(residual @ weights) - hyper.noise * square - n + hyper.noise * trace)
    gradient[-1] = 0.5 * hyper.noise * (square - trace)
    if not by_inputs:
        return value, gradient, constant, np.zeros(x.shape)
    return value, gradient, constant, (pulled + pairs.T @ scaled - both[:, None] * scaled) / hyper.length_scales


def log_marginal_likelihood_of_warped(
    logarithms: Array, columns: NDArray[np.intp], x: Array, targets: Array
) -> tuple[float, Array, float]:
    """As `log_marginal_likelihood` where some columns (w,) are warped.

    logarithms: (d + 2 + 2 w,), those of the kernel and then of each column's a and each column's b.
    """
    kernel = x.shape[1] + 2
    warping = Warping(columns, logarithms[kernel:].reshape(2, -1))
    value, gradient, constant, by_inputs = _likelihood(
        logarithms[:kernel], warping(x), targets, by_inputs=len(columns) > 0
    )
    if len(columns) == 0:
        return value, gradient, constant
    by_warping = (warping.slopes(x) * by_inputs[:, columns]).sum(axis=1)
    return value, np.concatenate([gradient, by_warping.ravel()]), constant


def _weights(factor: Array, targets: Array) -> tuple[Array, float]:
    """K^-1 (targets - mean) and the mean, the best one under a standard normal prior."""
    columns = np.empty((len(targets), 2), order="F")
    columns[:, 0] = targets
    columns[:, 1] = 1.0
    columns = _solve(factor, _solve(factor, columns), transposed=True)
    constant = float(columns[:, 0].sum() / (columns[:, 1].sum() + 1.0))
    return columns[:, 0] - constant * columns[:, 1], constant


def _priors(dimension: int, warped: int) -> tuple[Array, Array, list[tuple[float, float]]]:
    """Prior means and standard deviations of the logarithms, and the bounds within which they are sought."""
    priors = [LENGTH_SCALE_PRIOR] * dimension + [SIGNAL_PRIOR, NOISE_PRIOR] + [(0.0, WARPING_DEVIATION)] * (2 * warped)
    bounds = [LENGTH_SCALE_BOUNDS] * dimension + [SIGNAL_BOUNDS, NOISE_BOUNDS] + [WARPING_BOUNDS] * (2 * warped)
    means, deviations = zip(*priors, strict=True)
    return np.array(means), np.array(deviations), bounds


def fit_hyperparameters(x: Array, targets: Array, starts: list[Hyperparameters], iterations: int) -> Hyperparameters:
    """The most probable hyperparameters for targets (n,) at x (n, d), the best of those found from several starts.

    iterations: the most that L-BFGS-B makes from each start.
    """
    unwarped = Warping.identity(np.empty(0, dtype=np.intp))
    return fit_warped(x, targets, [(start, unwarped) for start in starts], iterations)[0]


def fit_warped(
    x: Array, targets: Array, starts: Sequence[tuple[Hyperparameters, Warping]], iterations: int
) -> tuple[Hyperparameters, Warping]:
    """As `fit_hyperparameters`, with the most probable warping of the columns that all starts warp."""
    columns = starts[0][1].columns
    kernel = x.shape[1] + 2
    means, deviations, bounds = _priors(x.shape[1], len(columns))

    def loss(logarithms: Array) -> tuple[float, Array]:
        likelihood, gradient, constant = log_marginal_likelihood_of_warped(logarithms, columns, x, targets)
        if likelihood == -np.inf:
            return 1e10, np.zeros(len(logarithms))
        offset = (logarithms - means) / deviations
        return 0.5 * float(offset @ offset) + 0.5 * constant**2 - likelihood, offset / deviations - gradient

    best, lowest = starts[0], np.inf
    for hyperparameters, warping in starts:
        start = np.concatenate([hyperparameters.pack(), warping.logarithms.ravel()])
        found = cast(
            Any, minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": iterations})
        )
        if found.fun < lowest:
            bent = Warping(columns, found.x[kernel:].reshape(2, -1))
            best, lowest = (Hyperparameters.unpack(found.x[:kernel]), bent), float(found.fun)
    return best


@dataclass(frozen=True)
class Factor:
    """A kernel matrix, factorised: hyperparameters, inputs over their length scales (n, d), lower Cholesky (n, n)."""

    hyperparameters: Hyperparameters
    scaled: Array
    cholesky: Array

    @staticmethod
    def of(hyperparameters: Hyperparameters, x: Array) -> Factor:
        """The factor for inputs x (n, d); the noise is raised where rounding would make the matrix singular."""
        scaled = x / hyperparameters.length_scales
        while True:
            kernel, _ = _kernel_and_slope(scaled, scaled, hyperparameters.signal)
            kernel[np.diag_indices(len(x))] = hyperparameters.signal + hyperparameters.noise
            cholesky = _cholesky(kernel)
            if cholesky is not None:
                return Factor(hyperparameters, scaled, cholesky)
            hyperparameters = Hyperparameters(
                hyperparameters.length_scales, hyperparameters.signal, 10.0 * hyperparameters.noise
            )

    def grown(self, x: Array) -> Factor:
        """The factor with further inputs x (k, d) at the end, in O(k n^2): only the new rows are computed."""
        hyper, n, k = self.hyperparameters, len(self.scaled), len(x)
        if k == 0:
            return self
        added = x / hyper.length_scales
        scaled = np.concatenate([self.scaled, added])
        border, _ = _kernel_and_slope(added, self.scaled, hyper.signal)
        border = _solve(self.cholesky, border.T).T
        corner, _ = _kernel_and_slope(added, added, hyper.signal)
        corner[np.diag_indices(k)] = hyper.signal + hyper.noise
        corner = _cholesky(corner - border @ border.T)
        if corner is None:
            return Factor.of(hyper, scaled * hyper.length_scales)
        cholesky = np.zeros((n + k, n + k), order="F")
        cholesky[:n, :n], cholesky[n:, :n], cholesky[n:, n:] = self.cholesky, border, corner
        return Factor(hyper, scaled, cholesky)

    def posterior(self, targets: Array) -> Posterior:
        """What is believed once the targets (n,) are seen."""
        weights, constant = _weights(self.cholesky, targets)
        return Posterior(self, weights, constant)


@dataclass(frozen=True)
class Posterior:
    """A belief about a function: a factor with the weights (n,) of its kernel functions and the constant mean."""

    factor: Factor
    weights: Array
    constant: float

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation, each (m,), of the noiseless function at x (m, d)."""
        hyper = self.factor.hyperparameters
        cross, _ = _kernel_and_slope(x / hyper.length_scales, self.factor.scaled, hyper.signal)
        half = _solve(self.factor.cholesky, cross.T)
        return cross @ self.weights + self.constant, self._deviation(np.einsum("ij,ij->j", half, half))

    def mean(self, x: Array) -> Array:
        """The mean (m,) alone, at x (m, d): no triangular solve."""
        hyper = self.factor.hyperparameters
        cross, _ = _kernel_and_slope(x / hyper.length_scales, self.factor.scaled, hyper.signal)
        return cross @ self.weights + self.constant

    def predict_with_gradient(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """Mean and standard deviation, each (m,), at x (m, d), and the gradient of each, (m, d)."""
        hyper = self.factor.hyperparameters
        scaled = x / hyper.length_scales
        cross, slope = _kernel_and_slope(scaled, self.factor.scaled, hyper.signal)
        half = _solve(self.factor.cholesky, cross.T)
        deviation = self._deviation(np.einsum("ij,ij->j", half, half))
        mean = cross @ self.weights + self.constant
        full = _solve(self.factor.cholesky, half, transposed=True).T

        def pulled(weighted: Array) -> Array:  # sum over j of weighted_ij dk(x_i, x_j) / dx_i
            return (weighted @ self.factor.scaled - scaled * weighted.sum(axis=1)[:, None]) / hyper.length_scales

        mean_gradient = pulled(slope * self.weights)
        deviation_gradient = -pulled(slope * full) / deviation[:, None]
        return mean, deviation, mean_gradient, deviation_gradient

    def sample(self, x: Array, normals: Array) -> Array:
        """One function drawn from the belief, at x (m, d), shape (m,), from independent standard normals (m,)."""
        hyper = self.factor.hyperparameters
        scaled = x / hyper.length_scales
        cross, _ = _kernel_and_slope(scaled, self.factor.scaled, hyper.signal)
        half = _solve(self.factor.cholesky, cross.T)
        covariance, _ = _kernel_and_slope(scaled, scaled, hyper.signal)
        covariance -= half.T @ half
        # Points that lie close together make it singular: a jitter far below what a loss is known to mends that.
        jitter = 1e-9 * hyper.signal
        while True:
            covariance[np.diag_indices(len(x))] += jitter
            root = _cholesky(covariance.copy())
            if root is not None:
                return cross @ self.weights + self.constant + root @ normals
            jitter *= 10.0

    def believing(self, x: Array) -> Posterior:
        """The belief after seeing its own mean at x (k, d): the mean stays as it is, the deviation falls.

        For trials under way. Source: the Kriging believer of Ginsbourger, Le Riche & Carraro, "Kriging is well-suited
        to parallelize optimization" (2010), algorithm 1; a fantasy equal to the mean has weight zero.
        """
        if len(x) == 0:
            return self
        grown = self.factor.grown(x)
        return Posterior(grown, np.concatenate([self.weights, np.zeros(len(x))]), self.constant)

    def _deviation(self, explained: Array) -> Array:
        signal = self.factor.hyperparameters.signal
        return np.sqrt(np.maximum(signal - explained, 1e-12 * signal))
