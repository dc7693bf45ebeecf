"""Studies as data frames: one row a study, one row an event; times in seconds, losses to be minimised."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from harness.loop import Reason
from harness.study import KINDS, Record
from harness.types import NANOSECONDS, Status


def frames(records: Iterable[Record]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The studies and the events of some records."""
    rows: list[dict[str, Any]] = []
    events: list[pd.DataFrame] = []
    for one in records:
        benchmark = one.spec["benchmark"]
        identity = {"arm": one.spec["arm"], "benchmark": benchmark["name"], "seed": one.spec["seed"]}
        happened = {
            "why": one.why,
            "error": one.error,
            "workers": benchmark["workers"],
            "budget": float(benchmark["budget"]),
            "seconds": one.end / NANOSECONDS,
            "real_seconds": one.real_seconds,
            "trials": len(one.configs),
            "reports": len(one.cost),
            "simulated": one.spec["data"] != "real",
            "data": one.spec["data"],
        }
        rows.append(identity | happened)
        events.append(_events(one).assign(**identity))
    return pd.DataFrame(rows), pd.concat(events, ignore_index=True) if events else pd.DataFrame()


def _events(one: Record) -> pd.DataFrame:
    benchmark = one.spec["benchmark"]
    objective = benchmark["objectives"][0]
    reports = one.kind == KINDS.index("report")
    columns: dict[str, Any] = {
        "kind": np.array(KINDS)[one.kind],
        "time": one.time / NANOSECONDS,
        "worker": one.worker,
        "trial": one.trial,
        "resource": _resources(one),
        "reason": _reasons(one),
        "cost": np.full(len(one.kind), math.nan),
    }
    columns["cost"][reports] = one.cost
    for name, metric in (("loss", objective["metric"]), ("test", benchmark["test_metric"])):
        column = columns[name] = np.full(len(one.kind), math.nan)
        if metric in one.metrics:
            said = one.values[:, one.metrics.index(metric)]
            said = -said if objective["maximize"] else said
            column[reports] = np.where(np.isnan(said), math.inf, said)
    return pd.DataFrame(columns)


def _resources(one: Record) -> np.ndarray[Any, Any]:
    """The level of a report, where a started job shall go, where the trial stands at an end."""
    resources = one.resource.copy()
    stands: dict[int, int] = {}
    for place, (kind, trial) in enumerate(zip(one.kind.tolist(), one.trial.tolist(), strict=True)):
        if KINDS[kind] == "report":
            stands[trial] = int(resources[place])
        elif KINDS[kind] == "ended":
            resources[place] = stands.get(trial, 0)
    return resources


def _reasons(one: Record) -> np.ndarray[Any, Any]:
    statuses = np.array([status.name.lower() for status in Status])
    reasons = np.array([reason.name.lower() for reason in Reason])
    code = np.maximum(one.code, 0)
    said = np.where(one.kind == KINDS.index("report"), statuses[np.minimum(code, len(statuses) - 1)], "")
    return np.where(one.kind == KINDS.index("ended"), reasons[np.minimum(code, len(reasons) - 1)], said)
