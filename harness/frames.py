"""Studies as data frames: one row a study, one row an event; times in seconds, losses to be minimised."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.loop import Reason
from harness.study import KINDS, Record, Study
from harness.types import NANOSECONDS, Status

SAID = ("", *dict.fromkeys(word.name.lower() for word in (*Status, *Reason)))
"""What a column `reason` may hold."""
Columns = dict[str, np.ndarray[Any, Any]]
More = Callable[[Record, Columns], tuple[Mapping[str, Any], Columns]]
"""From a study and the columns of its events to further columns of its row, and of its events."""


def loss_columns(objectives: int) -> list[str]:
    """What the columns of the losses of so many objectives are called: loss, loss_2, loss_3 and so on."""
    return ["loss", *(f"loss_{place}" for place in range(2, objectives + 1))]


def frames(
    records: Iterable[Record], *, lengths: Mapping[str, int] | None = None, more: More | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The studies and the events of some records.

    lengths: how many events each study has, by its key, in the order in which the studies shall stand; each record is
    then needed only while it is read, and one that does not come is left out. By default as the records are and stand.
    more: what else is known of a study and of its events; a column that some studies lack is NaN there. Columns are
    filled in place and names that repeat (arm, benchmark, kind, reason) are categories, so that millions of events fit.
    """
    if lengths is None:
        records = list(records)
        lengths = {one.key: len(one.kind) for one in records}
    ends = dict(zip(lengths, np.cumsum([*lengths.values()]).tolist(), strict=True))
    rows: dict[str, dict[str, Any]] = {}
    events: Columns = {}
    for one in records:
        columns = _events(one)
        of_study, of_events = more(one, columns) if more else ({}, {})
        rows[one.key] = {**_study(one), **of_study}
        for name, column in {**columns, **of_events}.items():
            if name not in events:
                nothing = math.nan if column.dtype.kind == "f" else 0
                events[name] = np.full(sum(lengths.values()), nothing, column.dtype)
            events[name][ends[one.key] - lengths[one.key] : ends[one.key]] = column
    if not rows:
        return pd.DataFrame(), pd.DataFrame()
    came = [key in rows for key in lengths]
    if not all(came):
        there = np.repeat(came, [*lengths.values()])
        events = {name: column[there] for name, column in events.items()}
    kept = [key for key in lengths if key in rows]
    studies = pd.DataFrame([rows[key] for key in kept])
    return studies, _frame(events, studies, [lengths[key] for key in kept])


def with_missing(studies: pd.DataFrame, wanted: Iterable[Study]) -> pd.DataFrame:
    """The rows of all wanted studies, in their order; of one that is not there only its names, workers and budget.

    studies: as `frames` gives them, with whatever columns more; those that nobody wants are left out.
    """
    if studies.empty:
        return studies
    names, fields = ["arm", "benchmark", "seed"], ["workers", "budget"]
    asked = [(one.arm, one.benchmark.name, one.seed, one.benchmark.workers, one.benchmark.budget) for one in wanted]
    frame = pd.DataFrame(asked, columns=[*names, *fields]).astype({"budget": float})
    whole = frame.merge(studies.drop(columns=fields), how="left", on=names)
    return whole.fillna({"why": "", "error": ""})


def _frame(events: dict[str, Any], studies: pd.DataFrame, lengths: Sequence[int]) -> pd.DataFrame:
    """The events of all studies with what says whose each is; lengths: how many each study has."""
    categories: Any = pd.Categorical
    for name, known in (("kind", KINDS), ("reason", SAID)):
        events[name] = categories.from_codes(events[name], list(known))
    for name in ("arm", "benchmark"):
        codes, known = pd.factorize(studies[name])
        events[name] = categories.from_codes(np.repeat(codes.astype(np.int16), lengths), [*known])
    seeds = studies["seed"].to_numpy(dtype=np.int64)
    events["seed"] = np.repeat(seeds.astype(np.min_scalar_type(-1 - int(seeds.max()))), lengths)  # a byte where few
    return pd.DataFrame(events, copy=False)


def _study(one: Record) -> dict[str, Any]:
    benchmark = one.spec["benchmark"]
    return {
        "arm": one.spec["arm"],
        "benchmark": benchmark["name"],
        "seed": one.spec["seed"],
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


def _events(one: Record) -> Columns:
    benchmark = one.spec["benchmark"]
    objectives = benchmark["objectives"]
    said_as = [(objective["metric"], objective["maximize"]) for objective in objectives]
    wanted = dict(zip(loss_columns(len(objectives)), said_as, strict=True))
    wanted["test"] = benchmark["test_metric"], objectives[0]["maximize"]
    reports = one.kind == KINDS.index("report")
    columns: dict[str, Any] = {
        "kind": one.kind,
        "time": one.time / NANOSECONDS,
        "worker": one.worker,
        "trial": one.trial,
        "resource": _resources(one),
        "reason": _reasons(one),
        "cost": np.full(len(one.kind), math.nan),
    }
    columns["cost"][reports] = one.cost
    for name, (metric, maximize) in wanted.items():
        column = columns[name] = np.full(len(one.kind), math.nan)
        if metric in one.metrics:
            said = one.values[:, one.metrics.index(metric)]
            said = -said if maximize else said
            column[reports] = np.where(np.isnan(said), math.inf, said)
    return columns


def _resources(one: Record) -> np.ndarray[Any, Any]:
    """The level of a report, where a started job shall go, where the trial stands at an end."""
    order = np.argsort(one.trial, kind="stable")  # by trial, and in order within each
    kind, resource, places = one.kind[order], one.resource[order], np.arange(len(order))
    begins = np.maximum.accumulate(np.where(np.diff(one.trial[order], prepend=-1) != 0, places, 0))
    reported = np.maximum.accumulate(np.where(kind == KINDS.index("report"), places, -1))
    stands = np.where(reported >= begins, resource[reported], 0)
    resources = one.resource.copy()
    resources[order] = np.where(kind == KINDS.index("ended"), stands, resource)
    return resources


def _reasons(one: Record) -> np.ndarray[Any, Any]:
    """The status of a report, the reason of an end, nothing for a start: places in `SAID`."""
    code = np.maximum(one.code, 0)
    statuses = np.array([SAID.index(status.name.lower()) for status in Status], dtype=np.int8)
    reasons = np.array([SAID.index(reason.name.lower()) for reason in Reason], dtype=np.int8)
    said = np.where(one.kind == KINDS.index("report"), statuses[np.minimum(code, len(statuses) - 1)], 0)
    ended = reasons[np.minimum(code, len(reasons) - 1)]
    return np.where(one.kind == KINDS.index("ended"), ended, said).astype(np.int8)
