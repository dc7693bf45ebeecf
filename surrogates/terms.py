"""Terms: products of powers of hyperparameters, of which a quantity that a config alone decides is a sum.

What a level takes, how many parameters a network has: people know the form and measurements give the coefficients.
Terms are declared as `{"layers": {"depth": 1, "width": 2}}`; the constant is always among them. A hyperparameter that
is inactive in a config counts as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.space import Choice, Config, Space

Array = NDArray[np.float64]
Powers = Mapping[str, float]
Terms = Mapping[str, Powers]
Sum = Sequence[tuple[Any, Powers]]
"""As plain JSON: each term's coefficient, or one for each level, and its powers."""
CONSTANT: Powers = {}
DIGITS = 9
"""Of a coefficient; what follows differs between machines."""
NOTHING = 1e-9
"""A term that never has a larger share of a metric is but rounding."""
EXACT = 1e-6
"""So far, relatively, a metric may lie from the sum that it is said to be."""


def numbers(space: Space) -> list[str]:
    """The hyperparameters that are numbers."""
    return [name for name, domain in space.domains.items() if not isinstance(domain, Choice)]


def check(terms: Terms, space: Space, of: str, *more: str) -> None:
    """Refuse a term of what is no number of a space, nor one `more`; of: the quantity, in words."""
    known = [*numbers(space), *more]
    for name, powers in terms.items():
        if unknown := [factor for factor in powers if factor not in known]:
            raise ValueError(
                f"{of} has the term {name!r} of {unknown[0]!r}, which is no number of its space; there are "
                f"{', '.join(known)}"
            )


def products(terms: Sequence[Powers], configs: Sequence[Config]) -> Array:
    """The terms without their coefficients, shape (n, terms)."""
    rows = [
        [prod(float(config.get(factor, 1)) ** power for factor, power in powers.items()) for powers in terms]
        for config in configs
    ]
    return np.array(rows).reshape(len(configs), len(terms))


def relative_fit(features: Array, measured: Array) -> Array:
    """The coefficients of products (n, terms) by least squares in relative terms; none of them is negative."""
    from scipy.optimize import nnls

    relative, ones = features / measured[:, None], np.ones(len(measured))
    fit = np.asarray(np.linalg.lstsq(relative, ones, rcond=None)[0], np.float64)
    if (fit < 0).any():
        scale = relative.max(axis=0)
        fit = np.asarray(nnls(relative / scale, ones)[0], np.float64) / scale
    return fit


def rounded(fit: Array) -> Array:
    """Coefficients in so many digits as all machines share."""
    return np.array([float(f"{coefficient:.{DIGITS}g}") for coefficient in fit])


def summed(parts: Sum, configs: Sequence[Config]) -> Array:
    """The sums of some configs: (n, levels) where each level has its coefficients, else (n,)."""
    return products([powers for _, powers in parts], configs) @ np.array([coefficients for coefficients, _ in parts])


def of_levels(terms: Terms, configs: Sequence[Config], measured: Array) -> Sum:
    """Sums that come nearest to what was measured at each level, (n, levels), in relative terms."""
    powers = [CONSTANT, *terms.values()]
    features = products(powers, configs)
    fits = np.array([rounded(relative_fit(features, level)) for level in measured.T])
    return list(zip(fits.T.tolist(), map(dict, powers), strict=True))


def exact(name: str, terms: Terms, configs: Sequence[Config], measured: Array) -> Sum:
    """The sum that a metric is at every level of every run: measured (n, runs * levels), NaN where it was not.

    ValueError where it is none, or the configs do not tell its terms apart.
    """
    powers = [CONSTANT, *terms.values()]
    known = np.flatnonzero(np.isfinite(measured).any(axis=1))
    configs, measured = [configs[row] for row in known.tolist()], measured[known]
    features, values = products(powers, configs), np.nanmean(measured, axis=1)
    sizes = np.abs(features).max(axis=0)
    fit, _, rank, _ = np.linalg.lstsq(features / sizes, values, rcond=None)
    if rank < len(powers):
        raise ValueError(f"{len(configs)} configs do not tell the {len(powers)} terms of {name!r} apart: declare fewer")
    fit = np.where(np.abs(fit) > NOTHING * np.abs(values).max(), fit, 0.0)
    parts: Sum = list(zip(rounded(fit / sizes).tolist(), map(dict, powers), strict=True))
    sums = summed(parts, configs)
    missed = np.nanmax(np.abs(measured - sums[:, None]), axis=1)
    if (missed > EXACT * np.abs(values)).any():
        row = int(np.argmax(missed))
        raise ValueError(
            f"{name!r} is not the sum that is declared: {sums[row]:.9g} for {dict(configs[row])}, measured "
            f"{values[row]:.9g}"
        )
    return parts
