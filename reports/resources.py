"""Where the resource of studies went: how far trials were trained, what workers did, and what decisions took.

All of it is read off the events. A worker's time is trained (it ended in a report), lost (of a job that was cut or
failed, after its last report) or idle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from reports.incumbent import Floats, rows_of_studies
from reports.outcomes import MISSING, Facts, records, unique

POINTS = 60
"""Levels, as shares of the highest, at which curves over levels are given at most."""


def levels(events: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """How far trials were trained and where the training time went: means over studies, then over benchmarks.

    Columns: arm, level (share of the benchmark's highest), trials (the share of them that reached at least that level),
    time (the share of the training time that was spent up to that level).
    """
    shares = np.unique(np.concatenate([_shares(facts[name]) for name in unique(events["benchmark"])]))
    shares = shares[np.unique(np.linspace(0, len(shares) - 1, POINTS).astype(np.int64))]
    resource, cost, trial = (events[name].to_numpy() for name in ("resource", "cost", "trial"))
    told = (events["kind"] == "report").to_numpy()
    found: dict[str, dict[str, list[Floats]]] = {}
    for (arm, benchmark, _), rows in rows_of_studies(events).items():
        here = told[rows]
        if not here.any():
            continue
        level = resource[rows][here] / max(facts[benchmark]["levels"])
        trials, costs = trial[rows][here], cost[rows][here]
        furthest = np.zeros(int(trials.max()) + 1)
        np.maximum.at(furthest, trials, level)
        trained = np.sort(furthest[furthest > 0])
        order = np.argsort(level, kind="stable")
        spent = np.concatenate([[0.0], np.cumsum(costs[order])])
        reached = 1 - np.searchsorted(trained, shares - 1e-12) / len(trained)
        used = spent[np.searchsorted(level[order], shares + 1e-12)] / (spent[-1] or 1.0)
        found.setdefault(arm, {}).setdefault(benchmark, []).append(np.stack([reached, used]))
    means = {arm: np.mean([np.mean(studies, axis=0) for studies in of.values()], axis=0) for arm, of in found.items()}
    parts = [
        pd.DataFrame({"arm": arm, "level": shares, "trials": trials, "time": time})
        for arm, (trials, time) in means.items()
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["arm", "level", "trials", "time"])


def workers(studies: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """What workers did, as shares of all their time until the budget: columns arm, trained, lost, idle.

    studies: outcomes. Means over studies, then over benchmarks.
    """
    started, ended = ((events["kind"] == kind).to_numpy() for kind in ("started", "ended"))
    sign = ended.astype(np.int8) - started.astype(np.int8)
    time, cost = (events[name].to_numpy() for name in ("time", "cost"))
    ran = studies[studies["state"] != MISSING]
    whole = {(row["arm"], row["benchmark"], row["seed"]): float(row["workers"] * row["budget"]) for row in records(ran)}
    rows: list[dict[str, Any]] = []
    for key, places in rows_of_studies(events).items():
        available = whole.get(key, 0.0)
        if available > 0:
            used = float((sign[places] * time[places]).sum()) / available
            reported = float(np.nansum(cost[places])) / available
            row = {"trained": reported, "lost": max(used - reported, 0.0), "idle": max(1 - used, 0.0)}
            rows.append({"arm": key[0], "benchmark": key[1], **row})
    columns = ["trained", "lost", "idle"]
    frame = pd.DataFrame(rows, columns=["arm", "benchmark", *columns])
    by_benchmark = frame.groupby(["arm", "benchmark"], sort=False)[columns].mean()
    return by_benchmark.groupby("arm", sort=False).mean().reset_index()


def decisions(studies: pd.DataFrame, events: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """What this machine took for a simulated study over the jobs that it started.

    studies: outcomes. A row for each arm on each benchmark, medians over its studies: columns arm, benchmark, jobs,
    seconds (a job). Real ones are left out, since their seconds are those of trainings.
    """
    started = (events["kind"] == "started").to_numpy()
    counts = [(*key, int(started[rows].sum())) for key, rows in rows_of_studies(events).items()]
    jobs = pd.DataFrame(counts, columns=["arm", "benchmark", "seed", "jobs"])
    real = [name for name in facts if facts[name].get("real")]
    simulated = studies[~studies["benchmark"].isin(real) & (studies["real_seconds"] > 0)]
    frame = simulated.merge(jobs[jobs["jobs"] > 0], on=["arm", "benchmark", "seed"])
    each = frame[["arm", "benchmark"]].assign(jobs=frame["jobs"], seconds=frame["real_seconds"] / frame["jobs"])
    return each.groupby(["arm", "benchmark"], sort=False, as_index=False).median()


def _shares(facts: Any) -> Floats:
    known = np.asarray(facts["levels"], dtype=float)
    return known / known.max()
