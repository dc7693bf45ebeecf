"""Studies as data frames: one row a study, one row an event; times in seconds, losses to be minimised."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.loop import Reason
from harness.study import KINDS, Record
from harness.types import NANOSECONDS, Status

SAID = ("", *dict.fromkeys(word.name.lower() for word in (*Status, *Reason)))
"""What a column `reason` may hold."""
Columns = dict[str, np.ndarray[Any, Any]]
More = Callable[[Record, Columns], tuple[Mapping[str, Any], Columns]]
"""From a study and the columns of its events to further columns of its row, and of its events."""


def frames(
    records: Iterable[Record], *, order: Sequence[str] | None = None, more: More | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The studies and the events of some records, each of which is needed only while it is read.

    order: the keys of the studies in the order in which they shall stand, by default that of the records; more: what
    else is known of a study and of its events. Names that repeat (arm, benchmark, kind, reason) are categories, so that
    millions of events fit.
    """
    keys: list[str] = []
    rows: list[dict[str, Any]] = []
    events: list[Columns] = []
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
        columns = _events(one)
        of_study, of_events = more(one, columns) if more else ({}, {})
        keys.append(one.key)
        rows.append({**identity, **happened, **of_study})
        events.append({**columns, **of_events})
    if order is not None:
        place = {key: number for number, key in enumerate(order)}
        places = sorted(range(len(keys)), key=lambda number: place[keys[number]])
        rows, events = [rows[number] for number in places], [events[number] for number in places]
    studies = pd.DataFrame(rows)
    return studies, _joined(studies, events) if events else pd.DataFrame()


def _joined(studies: pd.DataFrame, events: list[Columns]) -> pd.DataFrame:
    """The events of all studies, a column after the other, so that none is held twice for long."""
    lengths = [len(columns["kind"]) for columns in events]
    joined: dict[str, Any] = {}
    for name in list(events[0]):
        joined[name] = np.concatenate([columns.pop(name) for columns in events])
    categories: Any = pd.Categorical
    for name, known in (("kind", KINDS), ("reason", SAID)):
        joined[name] = categories.from_codes(joined[name], list(known))
    for name in ("arm", "benchmark"):
        codes, known = pd.factorize(studies[name])
        joined[name] = categories.from_codes(np.repeat(codes.astype(np.int16), lengths), [*known])
    joined["seed"] = np.repeat(studies["seed"].to_numpy(dtype=np.int64), lengths)
    return pd.DataFrame(joined, copy=False)


def _events(one: Record) -> Columns:
    benchmark = one.spec["benchmark"]
    objective = benchmark["objectives"][0]
    reports = one.kind == KINDS.index("report")
    columns: dict[str, Any] = {
        "kind": one.kind.copy(),  # copies, lest a view keep all of a segment in memory
        "time": one.time / NANOSECONDS,
        "worker": one.worker.copy(),
        "trial": one.trial.copy(),
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
    return columns


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
    """The status of a report, the reason of an end, nothing for a start: places in `SAID`."""
    code = np.maximum(one.code, 0)
    statuses = np.array([SAID.index(status.name.lower()) for status in Status], dtype=np.int8)
    reasons = np.array([SAID.index(reason.name.lower()) for reason in Reason], dtype=np.int8)
    said = np.where(one.kind == KINDS.index("report"), statuses[np.minimum(code, len(statuses) - 1)], 0)
    ended = reasons[np.minimum(code, len(reasons) - 1)]
    return np.where(one.kind == KINDS.index("ended"), ended, said).astype(np.int8)
