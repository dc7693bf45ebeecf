"""When a target was reached: time to target, expected running time, and the share of targets reached over time.

A target is a level of the final loss that one in so many random configs reaches, a fact of the table. A study that
never reaches one is not dropped and not given a made-up time: a running time counts what it took, a median that it had
not come there by its budget.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHARES = (0.1, 0.01, 0.001)


def named_levels(table: Floats) -> dict[str, float]:
    """The targets of a benchmark by name, from easy to hard: what its best 10 %, 1 % and 0.1 % reach, and its two best.

    table: shape (configs,), final losses. Each target stands once and is finite; a share of less than two configs is
    left out, the two best stand for it.
    """
    known = np.sort(table)
    places = {f"best {100 * share:g} %": int(share * len(known) + 1e-9) for share in SHARES}
    found: dict[str, float] = {}
    for name, place in {**places, "two best": min(2, len(known))}.items():
        if place >= max(min(2, len(known)), 1) and np.isfinite(level := float(known[place - 1])):
            found |= {} if level in found.values() else {name: level}
    return found


def levels(table: Floats) -> Floats:
    """The values of `named_levels`: shape (targets,), from easy to hard."""
    return np.array(list(named_levels(table).values()))


def time_to(times: Floats, values: Floats, level: float, end: float) -> float:
    """When a study first held a value at most `level`, infinite if not by its end.

    times: shape (steps,), seconds, rising; values: shape (steps,); end: seconds.
    """
    hits = times[(values <= level) & (times <= end)]
    return float(hits[0]) if len(hits) else np.inf


def expected_running_time(times: Floats, ends: Floats) -> float:
    """The mean time to a target of a method that is started anew until it reaches it.

    times: shape (studies,), seconds to the target, infinite for a miss; ends: shape (studies,), seconds that each ran.
    All time spent, divided by the hits (Hansen et al., "COCO", 2021); infinite without a hit.
    """
    hit = np.isfinite(times)
    spent = float(np.where(hit, times, ends).sum())
    return spent / int(hit.sum()) if hit.any() else np.inf


def share_reached(times: Floats, grid: Floats) -> Floats:
    """The share of all pairs of a study and a target that are reached by each time.

    times: any shape, to the targets (infinite for a miss), in the unit of the grid; grid: shape (points,). Returns
    shape (points,), rising.
    """
    return np.searchsorted(np.sort(times, axis=None), grid, side="right") / max(times.size, 1)


def median_time(times: Floats, ends: Floats, weights: Floats | None = None) -> Floats:
    """The median time to a target where some studies ended without it, infinite if fewer than half would reach it.

    times, ends: shape (studies,), as for `expected_running_time`, but an end must say nothing of when the target would
    have been reached: a study that failed has its end at its budget. weights: shape (draws, studies), resampled
    counts, by default each study once. Returns shape (draws,) (Kaplan & Meier, JASA 1958); an end at the time of a hit
    counts as after it.
    """
    hit = np.isfinite(times)
    seen = np.where(hit, times, ends)
    order = np.lexsort((~hit, seen))
    counts = np.ones((1, len(times))) if weights is None else weights
    counts = counts[:, order]
    at_risk = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        stays = np.where(hit[order] & (counts > 0), 1 - counts / at_risk, 1.0)
    half = np.cumprod(stays, axis=1) <= 0.5 + 1e-12
    return np.where(half.any(axis=1), seen[order][half.argmax(axis=1)], np.inf)


def speed_up(first: tuple[Floats, Floats], second: tuple[Floats, Floats], weights: Floats | None = None) -> Floats:
    """How many times sooner the first method reaches a target than the second: the ratio of their median times.

    first, second: times and ends, each of shape (studies,), the same seeds in the same order; weights: shape
    (draws, studies), the same for both. Returns shape (draws,): NaN where neither median is reached.
    """
    one, other = median_time(*first, weights), median_time(*second, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.divide(other, one)
