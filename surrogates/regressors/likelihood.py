"""How the kernel of a Gaussian process is learned: the maximum of its marginal likelihood.

Apart from the process itself, since only a fit needs it, and what it imports is slow to load.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs
from scipy.optimize import minimize
from scipy.spatial.distance import pdist, squareform

from surrogates.regressors.kernel import matern

Array = NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]
_LAPACK: Any = get_lapack_funcs(("potrf", "potri", "potrs"), dtype=np.float64)
FACTOR, INVERT, SOLVE = _LAPACK

BOUNDS = {"length": (-3.0, 3.5), "signal": (-4.0, 4.0), "noise": (-12.0, 0.5)}
"""Of the logarithms: length scales of features in [0, 1], and variances of outputs with variance 1."""
PRIOR = {"length": (0.5, 1.5), "signal": (0.0, 2.0), "noise": (-4.0, 4.0)}
"""Weak normal laws of the logarithms, mean and deviation: what the data say nothing of stays near the middle."""
STEPS = 60


def solve(scaled: Array, y: Array, signal: float, noise: Array) -> Array:
    """(signal * kernel + noise)^-1 y, for features (n, d) times sqrt(5) / length and a noise variance a row."""
    kernel, _ = matern(pdist(scaled, "sqeuclidean"))
    return SOLVE(_factor(signal * kernel, signal + noise), y, lower=1)[0]


def left_out(scaled: Array, y: Array, signal: float, noise: Array) -> Array:
    """How far each row lies from what the others predict of it (Rasmussen and Williams 2006, 5.4.2)."""
    kernel, _ = matern(pdist(scaled, "sqeuclidean"))
    factor = _factor(signal * kernel, signal + noise)
    fit = SOLVE(factor, y, lower=1)[0]
    return fit / np.diag(INVERT(factor, lower=1, overwrite_c=1)[0])


def _factor(between: Array, diagonal: Array) -> Array:
    """The lower Cholesky factor of a matrix by its pairs of rows; nothing above its diagonal means anything."""
    matrix = squareform(between, checks=False)
    np.fill_diagonal(matrix, diagonal)
    factor, fault = FACTOR(matrix.T, lower=1, clean=0, overwrite_a=1)
    if fault:
        raise np.linalg.LinAlgError(f"the kernel matrix of {len(matrix)} rows is not positive definite")
    return factor


def learned(x: Array, y: Array, relative: Array, start: Array | None = None) -> Array:
    """The logarithms of length scales, signal and noise variance at the maximum of the marginal likelihood.

    relative: a row's noise variance is the learned one times this, (n,); start: where the climb begins, by default in
    the middle of the prior.
    """
    d = x.shape[1]
    if start is None:
        start = np.array([PRIOR["length"][0]] * d + [PRIOR["signal"][0], PRIOR["noise"][0]])
    bounds = [BOUNDS["length"]] * d + [BOUNDS["signal"], BOUNDS["noise"]]
    options = {"maxiter": STEPS}
    return minimize(likelihood(x, y, relative), start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x


def likelihood(x: Array, y: Array, relative: Array) -> Objective:
    """What is minimised: minus the logarithm of marginal likelihood and prior, up to a constant, and its gradient."""
    d, differences = x.shape[1], np.array([pdist(column[:, None], "sqeuclidean") for column in x.T])
    centre = np.array([PRIOR["length"][0]] * d + [PRIOR["signal"][0], PRIOR["noise"][0]])
    spread = np.array([PRIOR["length"][1]] * d + [PRIOR["signal"][1], PRIOR["noise"][1]])

    def objective(theta: Array) -> tuple[float, Array]:
        inverse_squares, signal, noise = 5 * np.exp(-2 * theta[:-2]), np.exp(theta[-2]), np.exp(theta[-1]) * relative
        squares = inverse_squares @ differences
        kernel, slope = matern(squares.copy())
        # d kernel / d log length = signal / 3 (1 + sqrt5 r) exp(-sqrt5 r) * 5 (difference / length)^2
        slope *= 1 + np.sqrt(squares, out=squares)
        factor = _factor(signal * kernel, signal + noise)
        fit, loss = SOLVE(factor, y, lower=1)[0], np.log(np.diag(factor)).sum()
        inward = INVERT(factor, lower=1, overwrite_c=1)[0].T
        inward -= np.outer(fit, fit)
        diagonal = np.diag(inward).copy()
        inward = squareform(inward, checks=False)
        slopes = differences @ np.multiply(slope, inward, out=slope)
        gradient = np.empty(d + 2)
        gradient[:-2] = signal / 3 * inverse_squares * slopes
        gradient[-2] = signal * (kernel @ inward + 0.5 * diagonal.sum())
        gradient[-1] = 0.5 * noise @ diagonal
        pull = (theta - centre) / spread
        return float(0.5 * y @ fit + loss + 0.5 * pull @ pull), gradient + pull / spread

    return objective
