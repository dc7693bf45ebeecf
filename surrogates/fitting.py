"""Fit a surrogate to a table: the regressor that predicts held-out configs best, what it misses, and seeds' noise.

Regressors are compared by cross-validation over configs, never by what it does to a comparison of methods. Rows of the
parts `held_out` and `optimum` are kept from the fit; a run that diverged teaches only that it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from surrogates.candidates import CANDIDATES, mean_of, places_of, unbounded_runs, unbounded_values
from surrogates.cross_validation import HeldOut, cross_validated, near_pairs
from surrogates.declared import Declared
from surrogates.facts import facts
from surrogates.misses import Misses, length_of, without_luck
from surrogates.noise import Noise, place_of
from surrogates.prepared import Prepared, mean_over, prepared
from surrogates.scales import Scale
from surrogates.surrogate import Failures, Fitted
from surrogates.table import TableData

Array = NDArray[np.float64]

MISSED_DIGITS = 3
"""What is missed, on the scale of logarithms, is kept with so many."""


def fit(data: TableData, declared: Declared) -> tuple[Fitted, Prepared, HeldOut]:
    """The surrogate of a table, what it was fitted to, and what it predicted of held-out configs on the way."""
    learned = prepared(data, declared)
    held_out = cross_validated(learned)
    mean = mean_of(learned, np.arange(len(learned.x)), CANDIDATES[held_out.candidate])
    runs = unbounded_runs(learned, mean.scale)
    noise = Noise.of(places_of(learned, mean, learned.x), runs)
    failed, replicate = np.nonzero(learned.diverged)
    at = learned.rows[failed], replicate
    fitted = Fitted(
        metrics=learned.metrics,
        modelled=learned.modelled,
        derived=learned.derived,
        sums=learned.sums,
        pace=learned.pace,
        products=learned.features.products,
        low=learned.features.low,
        high=learned.features.high,
        mean=mean,
        misses=_misses(learned, held_out, mean.scale, noise),
        noise=noise,
        best=_best([curves[:, -len(learned.modelled) :] for curves in runs]),
        failures=Failures(learned.x[failed], data.values[at], data.lengths()[at], data.ends[at]),
        support=learned.x,
        reach=_reach(learned.x),
        facts={},
        made={
            "regressor": held_out.candidate,
            "errors": dict(held_out.errors),
            "folds": held_out.folds,
            "configs": len(learned.x),
            "runs": int(learned.measured.sum()),
        },
    )
    return replace(fitted, facts=facts(data, fitted)), learned, held_out


def _best(ends: Sequence[Array]) -> Array:
    """The lowest last metrics (2, modelled): of the means of configs that have several runs, and of single runs.

    ends: of each config (runs, modelled). A lucky single run says nothing of a config's mean, unless there are no
    others.
    """
    means = [runs.mean(axis=0) for runs in ends if len(runs) > 1]
    single = np.concatenate(ends).min(axis=0)
    return np.array([np.min(means, axis=0) if means else single, single])


def _misses(data: Prepared, held_out: HeldOut, scale: Scale, noise: Noise) -> Misses:
    """What the mean missed of the configs that did not diverge, when each was held out."""
    kept: NDArray[np.bool_] = np.asarray(data.good.any(axis=1))
    truth = mean_over(unbounded_values(scale, data.values, data.good), data.good)[kept]
    guess = scale.unbounded(held_out.values[kept])
    missed = (truth - guess).reshape(len(truth), -1).round(MISSED_DIGITS)
    places = place_of(data.x[kept], guess[:, -1])
    residuals = without_luck(places, missed, data.good.sum(axis=1)[kept], noise)
    near, pairs = near_pairs(data.x)
    row, last = np.cumsum(kept) - 1, data.first - len(data.modelled)
    pairs = row[pairs[kept[pairs].all(axis=1)]]
    return Misses.of(places, residuals, length_of(places, missed[:, last], residuals[:, last], near, pairs))


def _reach(x: Array) -> float:
    """How far the nearest other config is from all but one in a hundred."""
    nearest = [np.partition(((x - point) ** 2).sum(axis=1), 1)[1] for point in x]
    return float(np.sqrt(np.quantile(nearest, 0.99)))
