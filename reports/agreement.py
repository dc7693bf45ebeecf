"""How far real studies and simulated ones of the same seeds agree: numbers of each study, and their differences.

What is measured in time is compared as ratios real / simulated, on logs and paired by seed; final regret as a
difference of the normalised regret, 0 at the best of the table and 1 at the median random config, where nothing counts
as worse than that. Whether two worlds agree is asked the other way round than whether methods differ: an interval must
lie inside a stated margin, and one that is too wide settles nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.intervals import Interval, mean, paired, smallest_detectable
from reports.outcomes import records, unique

MARGIN = 0.1
"""Of the gap from the median random config to the best of the table: so much regret may differ."""
TOLERANCE = 0.03
"""So much may what is measured in time differ."""
QUANTITIES = {
    "epochs": "trained",
    "occupancy": "occupancy of the workers",
    "start_up": "seconds to start a job",
    "per_epoch": "seconds per level",
    "trials": "trials",
    "promotions": "resumed jobs",
}
TIMED = ("epochs", "occupancy", "start_up", "per_epoch")
TOGETHER = "all methods"
WITHIN, OUTSIDE, UNSETTLED, UNKNOWN = "within", "outside", "not settled", "not enough data"
BY_CHOICE = ("reached", "paused", "stopped")


class World(NamedTuple):
    """Studies of one world as frames.

    studies and events: as of a comparison; configs: columns arm, seed, trial, config (any value that tells whether two
    are the same).
    """

    studies: pd.DataFrame
    events: pd.DataFrame
    configs: pd.DataFrame


def verdict(low: float, high: float, bounds: tuple[float, float]) -> str:
    """Whether an interval lies within bounds, outside of them, or settles neither."""
    if np.isnan(low) or np.isnan(high):
        return UNKNOWN
    if bounds[0] <= low and high <= bounds[1]:
        return WITHIN
    return OUTSIDE if high < bounds[0] or low > bounds[1] else UNSETTLED


def counts(world: World, *, continues: bool = True) -> pd.DataFrame:
    """Of each study, a row: arm, seed, and its `QUANTITIES`; NaN where a study does not tell.

    epochs: levels trained, in units of the resource; occupancy: the share of the workers' time in which they had a
    job; per_epoch: the mean cost of a unit of the resource in all reports of a job but its first, which has the start
    in it, and its last, which has the end; start_up: the median over jobs of what the first cost above that, restoring
    included; promotions: jobs that resume a trial.
    """
    rows: list[dict[str, Any]] = []
    for study in records(world.studies):
        events = _of(world.events, study)
        available = float(study["workers"]) * float(study["seconds"])
        rows.append({"arm": study["arm"], "seed": study["seed"], **_counted(events, available, continues)})
    return pd.DataFrame(rows)


def _counted(events: pd.DataFrame, available: float, continues: bool) -> dict[str, float]:
    stands: dict[int, int] = {}
    jobs: dict[int, list[tuple[int, float]]] = {}
    since: dict[int, float] = {}
    above: list[float] = []
    epochs = resumed = busy = between_cost = between_epochs = 0.0
    for event in records(events):
        trial, resource = event["trial"], event["resource"]
        if event["kind"] == "started":
            resumed += trial in since
            since[trial], jobs[trial] = event["time"], []
        elif event["kind"] == "report":
            gained = resource - stands.get(trial, 0) if continues else resource
            stands[trial] = resource
            epochs += gained
            jobs[trial].append((gained, event["cost"]))
        elif event["kind"] == "ended":
            busy += event["time"] - since[trial]
            between = [job for job in jobs[trial][1:-1] if job[0] > 0]
            cost, gained = sum(cost for _, cost in between), sum(gained for gained, _ in between)
            between_cost, between_epochs = between_cost + cost, between_epochs + gained
            if between:
                first, spent = jobs[trial][0]
                above.append(spent - first * cost / gained)
    return {
        "epochs": epochs,
        "occupancy": busy / available if available > 0 else np.nan,
        "start_up": float(np.median(above)) if above else np.nan,
        "per_epoch": between_cost / between_epochs if between_epochs else np.nan,
        "trials": float(len(since)),
        "promotions": resumed,
    }


def ratios(real: pd.DataFrame, simulated: pd.DataFrame) -> pd.DataFrame:
    """Real against simulated counts, a row an arm and quantity; of several arms, what is `TIMED` of them together too.

    Columns: arm (`TOGETHER` of all), quantity, real, simulated (means over the seeds of which both worlds tell it),
    ratio, low, high (of the geometric mean, NaN where a number is not positive; of arms together, of each seed's
    geometric mean over the arms), seeds (how many those are), verdict (of what is measured in time: against
    `TOLERANCE`; else nothing).
    """
    arms = unique(real["arm"])
    asked = [(arm, [arm], quantity) for arm in arms for quantity in QUANTITIES]
    if len(arms) > 1:
        asked += [(TOGETHER, arms, quantity) for quantity in TIMED]
    rows: list[dict[str, Any]] = []
    for label, of, quantity in asked:
        mine, theirs = (world.pivot(index="seed", columns="arm", values=quantity)[of] for world in (real, simulated))
        both = mine.dropna().index.intersection(theirs.dropna().index)
        mine, theirs = (wide.loc[both].to_numpy(dtype=float) for wide in (mine, theirs))
        told = len(mine) > 0 and bool(np.all((mine > 0) & (theirs > 0)))
        unknown = Interval(*(np.array(np.nan) for _ in range(3)))
        ratio = mean(np.log(mine / theirs).mean(axis=1)).exp() if told else unknown
        center, low, high = (float(part) for part in ratio)
        bounds = (1 / (1 + TOLERANCE), 1 + TOLERANCE)
        rows.append(
            {
                "arm": label,
                "quantity": quantity,
                "real": float(mine.mean()) if len(mine) else np.nan,
                "simulated": float(theirs.mean()) if len(mine) else np.nan,
                **{"ratio": center, "low": low, "high": high, "seeds": len(mine)},
                "verdict": verdict(low, high, bounds) if quantity in TIMED else "",
            }
        )
    return pd.DataFrame(rows)


def regrets(losses: pd.DataFrame, optimum: float, median: float) -> pd.DataFrame:
    """Final normalised regret, a row a seed and a column an arm; losses: columns arm, seed, counted."""
    regret = np.minimum((losses["counted"] - optimum) / (median - optimum), 1.0)
    wide = losses.assign(regret=regret).pivot(index="seed", columns="arm", values="regret")
    return wide[unique(losses["arm"])]


def differences(real: pd.DataFrame, simulated: pd.DataFrame) -> pd.DataFrame:
    """Final regret, real less simulated, a row an arm: both are frames of regrets, seeds by arms.

    Columns: arm, real, simulated (means), difference, low, high, seeds, detectable (the smallest difference that so
    many seeds would have shown), enough (about how many seeds it takes until the interval lies within `MARGIN`, if the
    difference stays; NaN where it never does), verdict (against `MARGIN`). A difference that is the same at every seed,
    and not 0, has no interval: NaN.
    """
    rows: list[dict[str, Any]] = []
    for arm in real.columns:
        both = pd.concat([real[arm], simulated[arm]], axis=1, keys=["real", "simulated"]).dropna()
        one, other = (both[world].to_numpy(dtype=float) for world in ("real", "simulated"))
        found = paired(one, other)
        room, half = MARGIN - abs(found.mean), (found.high - found.low) / 2
        rows.append(
            {
                **{"arm": arm, "real": float(np.mean(one)), "simulated": float(np.mean(other))},
                **{"difference": found.mean, "low": found.low, "high": found.high, "seeds": found.n},
                "detectable": smallest_detectable(found.deviation, found.n),
                "enough": float(np.ceil(found.n * (half / room) ** 2)) if room > 0 else np.nan,
                "verdict": verdict(found.low, found.high, (-MARGIN, MARGIN)),
            }
        )
    return pd.DataFrame(rows)


def ranking(real: pd.DataFrame, simulated: pd.DataFrame) -> tuple[float, pd.DataFrame]:
    """Kendall's tau-b between the orders of the arms by mean regret, and what each pair differs by in each world.

    NaN with fewer than two arms. Columns: first, second; real, real_low, real_high, simulated, simulated_low,
    simulated_high (regret of first less that of second, paired by seed), same (whether the signs agree).
    """
    from scipy.stats import kendalltau

    arms = list(real.columns)
    rows: list[dict[str, Any]] = []
    for first, second in combinations(arms, 2):
        row: dict[str, Any] = {"first": first, "second": second}
        for name, world in (("real", real), ("simulated", simulated)):
            both = world[[first, second]].dropna()
            found = paired(both[first].to_numpy(dtype=float), both[second].to_numpy(dtype=float))
            row |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
        rows.append(row | {"same": bool(np.sign(row["real"]) == np.sign(row["simulated"]))})
    if len(arms) < 2:
        return np.nan, pd.DataFrame(rows)
    means = [[float(world[arm].mean()) for arm in arms] for world in (real, simulated)]
    tau: Any = kendalltau(*means)
    return float(tau.statistic), pd.DataFrame(rows)


def decisions(real: World, simulated: World, top: int) -> pd.DataFrame:
    """Where both worlds stood before the same choice, and how often they chose the same; a row an arm.

    Both have the same choice where a trial has the same number and config in both and has reported the same level,
    below the highest (`top`), at which the scheduler ended its job in one of them. They chose the same if both let the
    trial go on from there before the study ended, or neither. Columns: arm, configs (trials of the same number and
    config), trials (that both worlds have numbers of), choices, same.
    """
    rows: list[dict[str, Any]] = []
    for arm in unique(real.studies["arm"]):
        found = {"configs": 0, "trials": 0, "choices": 0, "same": 0}
        for study in records(real.studies[real.studies["arm"] == arm]):
            configs = [_configs(world, study) for world in (real, simulated)]
            common = configs[0].keys() & configs[1].keys()
            alike = {trial for trial in common if configs[0][trial] == configs[1][trial]}
            ways = [_ways(_of(world.events, study)) for world in (real, simulated)]
            choices = [
                (ways[0][place], ways[1][place])
                for place in ways[0].keys() & ways[1].keys()
                if place[0] in alike and place[1] < top and not (ways[0][place] is ways[1][place] is None)
            ]
            found["configs"] += len(alike)
            found["trials"] += len(common)
            found["choices"] += len(choices)
            found["same"] += sum((mine is not False) == (theirs is not False) for mine, theirs in choices)
        rows.append({"arm": arm, **found})
    return pd.DataFrame(rows)


def _ways(events: pd.DataFrame) -> dict[tuple[int, int], bool | None]:
    """Of each trial and level that it reported: None where it simply went on, else whether it was resumed from there.

    A failure is nobody's choice and is left out.
    """
    ways: dict[tuple[int, int], bool | None] = {}
    stands: dict[int, int] = {}
    for event in records(events):
        trial = event["trial"]
        if event["kind"] == "report":
            stands[trial] = event["resource"]
            ways[trial, stands[trial]] = None
        elif trial in stands and event["kind"] == "started":
            ways[trial, stands[trial]] = True
        elif trial in stands and event["reason"] in BY_CHOICE:
            ways[trial, stands[trial]] = False
        elif trial in stands and event["reason"] == "failed":
            ways.pop((trial, stands[trial]), None)
    return ways


def _configs(world: World, study: Mapping[str, Any]) -> dict[int, Any]:
    own = _of(world.configs, study)
    return dict(zip(own["trial"].tolist(), own["config"].tolist(), strict=True))


def _of(frame: pd.DataFrame, study: Mapping[str, Any]) -> pd.DataFrame:
    return frame[(frame["arm"] == study["arm"]) & (frame["seed"] == study["seed"])]
