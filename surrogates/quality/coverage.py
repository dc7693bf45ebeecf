"""How often measured runs lie in the band of what a surrogate may draw: of new seeds, and of configs not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from surrogates.candidates import unbounded_runs
from surrogates.cross_validation import HeldOut
from surrogates.noise import Noise, place_of
from surrogates.prepared import Prepared
from surrogates.surrogate import Surrogate

BAND = 0.9
FEWEST = 10
STEPS = 40
"""So many evenly likely values stand for a normal law."""


def of_new_seeds(learned: Prepared, held_out: HeldOut, model: Surrogate) -> dict[str, Any]:
    """How often a seed that was left out lies in the noise band around the config's other seeds, at the last level.

    The last seed of every config that has several is left out; the noise comes from the other configs' folds, wider by
    what a mean over so few runs does not know itself. What the surrogate's mean misses is judged elsewhere.
    """
    again, mean = np.flatnonzero(learned.good.sum(axis=1) > 1), model.fitted.mean
    if len(again) < FEWEST:
        return {"share": None, "configs": len(again), "band": BAND}
    place = (len(mean.times.mean) - 1) * len(learned.modelled) + learned.first
    places = place_of(learned.x[again], mean.scale.unbounded(held_out.values[again])[:, -1])
    every = unbounded_runs(learned, mean.scale)
    runs = [every[row] for row in again]
    inside, widths = 0, []
    for fold in range(5):
        there = np.arange(len(again)) % 5 == fold
        noise = Noise.of(places[~there], [runs[i] for i in np.flatnonzero(~there)])
        for i in np.flatnonzero(there):
            wider = np.sqrt(1 + 1 / (len(runs[i]) - 1))
            low, high = wider * noise.quantiles(places[i], place, [(1 - BAND) / 2, (1 + BAND) / 2])
            inside += bool(low <= runs[i][-1, place] - runs[i][:-1, place].mean() <= high)
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
