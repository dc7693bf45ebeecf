"""The mean incumbent over time, with its interval: exact on the steps, not on a grid.

A study that has no incumbent yet, or a worse one, or that has failed, counts as the median random config; on a
benchmark whose median is not known a curve begins where each of the arm's studies has a loss, and failed ones are left
out (and counted in `failed`). Where there are several objectives the mean hypervolume beside it, of which nothing and a
failure are 0.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.fronts import NOTHING
from reports.incumbent import Floats, at
from reports.intervals import mean
from reports.outcomes import FAILED, MISSING
from reports.regret import Measure, counted, law_of_random_search, measure, scale
from reports.summary import Summary

SPREAD = 30
"""A time axis whose curves begin before budget / SPREAD is logarithmic."""
FEWEST = 3
"""The fewest seeds for which a band is drawn: that of two seeds covers the whole figure."""

COLUMNS = ["arm", "time", "loss", "low", "high", "own", "seeds", "failed"]


def anytime(summary: Summary, benchmark: str) -> pd.DataFrame:
    """The anytime curve of each arm on a benchmark, a row per change.

    Columns: arm, time (seconds), loss, low, high (NaN with one seed), own (whether every study has had a loss of its
    own by then, or has failed), seeds, failed (studies).
    """
    here = summary.studies[(summary.studies["benchmark"] == benchmark) & (summary.studies["state"] != MISSING)]
    curves = [_curve(summary, benchmark, str(arm), mine) for arm, mine in here.groupby("arm", sort=False)]
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=COLUMNS)


def hypervolume(summary: Summary, benchmark: str) -> pd.DataFrame:
    """The hypervolume of each arm on a benchmark over time, a row per change.

    Columns: arm, time (seconds), hypervolume, low, high (NaN with one seed), seeds, failed (studies).
    """
    here = summary.studies[(summary.studies["benchmark"] == benchmark) & (summary.studies["state"] != MISSING)]
    return pd.concat(
        [_shares(summary, benchmark, str(arm), mine) for arm, mine in here.groupby("arm", sort=False)],
        ignore_index=True,
    )


def random_search_law(summary: Summary, benchmark: str) -> pd.DataFrame:
    """What random search would have at each time if all trainings took the mean time: columns time (seconds), loss.

    Exact for a finite table without repeats; on the scale of the curves. Empty where there is no such table, its losses
    or the time of a full training are not known, or the arms have different workers.
    """
    facts = summary.facts[benchmark]
    here = summary.studies[(summary.studies["benchmark"] == benchmark) & (summary.studies["state"] != MISSING)]
    finals, seconds, ruler = facts.get("final_losses"), facts.get("full_seconds"), scale(facts)
    workers, budget = here["workers"].unique(), float(here["budget"].max())
    finite = facts.get("configs") and facts.get("table") == "restrict"
    if not finals or not seconds or not finite or len(workers) != 1:
        return pd.DataFrame({"time": [], "loss": []})
    losses = counted(np.sort(np.asarray(finals, dtype=float)), facts.get("median"))
    rounds = np.arange(1, int(budget / seconds) + 1)
    on = measure(losses, ruler)
    expected = law_of_random_search(on.of(losses), rounds * int(workers[0]))
    return pd.DataFrame({"time": rounds * seconds, "loss": on.losses(expected)})


def window(frame: pd.DataFrame, optimum: float | None, median: float | None) -> tuple[float, float, float]:
    """What is worth showing: the time (seconds) from which a curve has losses below the median config, and the losses.

    Before that lie only the first low levels of methods that stop early. Without a median all that every seed has a
    loss for is shown.
    """
    shown = frame[frame["own"].astype(bool)]
    if median is not None:
        shown = shown[shown["loss"] < median - 1e-9 * abs(median)]  # what counts as it may be rounded below it
    if shown.empty:
        shown = frame
    losses = shown[["loss", "low"]].to_numpy(dtype=float)
    top = float(shown["loss"].max()) if median is None else median
    bottom = np.nanmin(losses) if optimum is None else min(optimum, np.nanmin(losses))
    room = 0.05 * (top - float(bottom)) or 0.5
    return float(shown["time"].min()), float(bottom) - room, top + room


def shares_window(frame: pd.DataFrame) -> tuple[float, float]:
    """What is worth showing of hypervolumes: the time (seconds) from which there is some, and the top of their axis."""
    some = frame.loc[frame["hypervolume"] > 0, "time"]
    return float(some.min()) if len(some) else 0.0, 1.05 * max(1.0, float(frame["hypervolume"].max()))


def _curve(summary: Summary, benchmark: str, arm: str, mine: pd.DataFrame) -> pd.DataFrame:
    facts = summary.facts[benchmark]
    median, ruler = facts.get("median"), scale(facts)
    failed = mine["state"] == FAILED
    used = mine.loc[~failed if median is None else mine.index]
    budget = float(mine["budget"].max())
    found = [summary.trajectories.get((arm, benchmark, int(seed))) for seed in used["seed"]]
    until = np.where(used["state"] == FAILED, used["seconds"], np.inf)
    changes = [steps.times for steps in found if steps is not None]
    times = np.unique(np.concatenate([*changes, until, [0.0 if median is not None else np.inf, budget]]))
    times = times[times <= budget]
    rows: list[Floats] = []
    for steps, end in zip(found, until, strict=True):
        values = np.full(len(times), np.nan) if steps is None else at(steps.times, steps.losses, times)
        rows.append(np.where(times < end, values, np.nan))
    losses = np.array(rows).reshape(-1, len(times))
    own = np.all(np.isfinite(losses) | (times >= until[:, None]), axis=0)
    losses = counted(losses, median)
    known = np.all(np.isfinite(losses), axis=0) & (len(rows) > 0)
    shown = _interval(losses[:, known], measure(losses[:, known], ruler))
    about = {"seeds": len(mine), "failed": int(np.sum(failed))}
    return pd.DataFrame({"arm": arm, "time": times[known], **shown, "own": own[known], **about}, columns=COLUMNS)


def _shares(summary: Summary, benchmark: str, arm: str, mine: pd.DataFrame) -> pd.DataFrame:
    failed, budget = mine["state"] == FAILED, float(mine["budget"].max())
    until = np.where(failed, mine["seconds"], np.inf)
    found = [summary.hypervolumes.get((arm, benchmark, int(seed)), NOTHING) for seed in mine["seed"]]
    times = np.unique(np.concatenate([*(steps.times for steps in found), until, [0.0, budget]]))
    times = times[times <= budget]
    rows = [np.where(times < end, steps.by(times), 0.0) for steps, end in zip(found, until, strict=True)]
    center, low, high = mean(np.array(rows))
    numbers = {"arm": arm, "time": times, "hypervolume": center, "low": np.maximum(low, 0), "high": high}
    return pd.DataFrame({**numbers, "seeds": len(mine), "failed": int(failed.sum())})


def _interval(losses: Floats, on: Measure) -> dict[str, Floats]:
    estimate = mean(on.of(losses))
    return dict(zip(("loss", "low", "high"), (on.losses(part) for part in estimate), strict=True))
