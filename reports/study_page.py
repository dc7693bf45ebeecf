"""The page of one study: its learning curves, what its workers did, its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports import style, text, trials
from reports.outcomes import DONE, MISSING, records
from reports.summary import Summary
from reports.tables import Words

HEAD = Words(["trial", "worker", "start", "end", "level", "reached", "loss", "ended"], [], [])
"""The columns of the table of jobs."""


class Study(NamedTuple):
    """One study that has a page: its names, its seed, its row among the outcomes and its events."""

    benchmark: str
    arm: str
    seed: int
    outcome: Mapping[str, Any]
    events: pd.DataFrame


def shown(summary: Summary, events: pd.DataFrame) -> list[Study]:
    """One study of each method on each benchmark: that of the first seed that most methods finished."""
    ran = summary.studies[summary.studies["state"] != MISSING]
    of = dict(list(events.groupby(["benchmark", "arm", "seed"]))) if len(events) else {}
    found: list[Study] = []
    for benchmark, here in ran.groupby("benchmark", sort=False):
        done = here[here["state"] == DONE].groupby("seed").size()
        seed = int(done.index[int(np.argmax(done))] if len(done) else here["seed"].iloc[0])
        for row in records(here[here["seed"] == seed]):
            part = of.get((benchmark, row["arm"], seed), events.iloc[:0])
            found.append(Study(str(benchmark), str(row["arm"]), seed, row, part))
    return found


def content(study: Study, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says of a study in words."""
    row = study.outcome
    _, name = style.time_unit(float(row["budget"]))
    spent = f"{text.plural(int(row['trials']), 'trial')}, {text.plural(int(row['reports']), 'report')}"
    workers, took = text.plural(int(row["workers"]), "worker"), text.seconds(float(row["seconds"]))
    metric = facts.get("metric", "loss")
    held = "It held no finite loss." if pd.isna(row["loss"]) else (
        f"At the end it held trial {int(row['trial'])}, {metric} {text.number(float(row['loss']), 5)}."
    )  # fmt: skip
    clock = "wall-clock time" if facts.get("real") else "simulated time"
    return {
        "lead": f"{spent} over {took} of {clock} with {workers}; ended by {row['why']}. {held}",
        "error": str(row["error"]) if row["error"] else "",
        "unit": name,
    }


def table(study: Study) -> Words:
    """The jobs of a study as words."""
    unit, _ = style.time_unit(float(study.outcome["budget"]))
    rows = [
        [
            *(str(row[name]) for name in ("trial", "worker")),
            *(text.number(row[name] / unit, 4) for name in ("start", "end")),
            *(str(row[name]) for name in ("level", "reached")),
            text.number(row["loss"], 5),
            str(row["ended"]) or text.NONE,
        ]
        for row in records(trials.jobs(study.events))
    ]
    return Words(HEAD.head, rows, [False] * len(rows))
