"""How often measured runs lie in the band of what a surrogate may draw: of new seeds, and of configs not seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import ndtri

from surrogates.candidates import CANDIDATES, mean_of, places_of, unbounded_runs
from surrogates.cross_validation import HeldOut
from surrogates.noise import Noise
from surrogates.prepared import Prepared
from surrogates.surrogate import Surrogate

BAND = 0.9
FEWEST = 10
STEPS = 40
"""So many evenly likely values stand for a normal law."""


def of_new_seeds(learned: Prepared, candidate: str) -> dict[str, Any]:
    """How often a seed that was left out lies in the band around what the others predict, at the last level.

    The last seed of every config that has several is left out of the mean; the noise comes from the other configs'
    folds, wider by what a mean over so few runs does not know itself.
    """
    good = learned.good
    again = np.flatnonzero(good.sum(axis=1) > 1)
    if len(again) < FEWEST:
        return {"share": None, "configs": len(again), "band": BAND}
    measured = learned.measured.copy()
    for row in again:
        measured[row, np.flatnonzero(good[row])[-1]] = False
    mean = mean_of(replace(learned, measured=measured), np.arange(len(learned.x)), CANDIDATES[candidate])
    place = (len(mean.times.mean) - 1) * len(learned.modelled) + learned.first
    expected, places = mean.predict(learned.x[again])[0][:, place], places_of(learned, mean, learned.x[again])
    every = unbounded_runs(learned, mean.scale)
    runs = [every[row] for row in again]
    inside, widths = 0, []
    for fold in range(5):
        there = np.arange(len(again)) % 5 == fold
        noise = Noise.of(places[~there], [runs[i] for i in np.flatnonzero(~there)])
        for i in np.flatnonzero(there):
            wider = np.sqrt(1 + 1 / (len(runs[i]) - 1))
            low, high = wider * noise.quantiles(places[i], place, [(1 - BAND) / 2, (1 + BAND) / 2])
            inside += bool(low <= runs[i][-1, place] - expected[i] <= high)
            widths.append(high - low)
    return {"share": inside / len(again), "configs": len(again), "band": BAND, "median_width": float(np.median(widths))}


def of_unseen_configs(learned: Prepared, held_out: HeldOut, model: Surrogate) -> float:
    """How often a run of a config that was held out lies in the band of what the surrogate may draw, at the last level.

    What the mean misses is lent by other configs, not by the one that is judged.
    """
    fitted, kept = model.fitted, np.flatnonzero(learned.good.any(axis=1))
    place = (len(fitted.mean.times.mean) - 1) * len(learned.modelled) + learned.first
    expected = fitted.mean.scale.unbounded(held_out.values[kept])[:, -1, learned.first]
    every = unbounded_runs(learned, fitted.mean.scale)
    inside, steps = 0, ndtri((np.arange(STEPS) + 0.5) / STEPS)
    for i, row in enumerate(kept):
        stands = fitted.misses.x[i]
        missed = fitted.misses.spread(stands, place, but=i) * steps
        lucky = fitted.noise.near(stands)
        drawn = [fitted.noise.residuals[one, : fitted.noise.runs[one], place] for one in lucky]
        luck = np.concatenate(drawn or [np.zeros(1)])
        both = np.add.outer(missed, np.concatenate([luck, -luck]))
        low, high = np.quantile(both, [(1 - BAND) / 2, (1 + BAND) / 2])
        inside += bool(low <= every[row][0, place] - expected[i] <= high)
    return inside / len(kept)
