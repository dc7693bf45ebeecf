"""The page of one study: its learning curves, what its workers did, its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from reports import outcomes, style, text, trials
from reports.incumbent import rows_of_studies
from reports.outcomes import records
from reports.summary import Summary
from reports.table import Table

HEAD = Table(["trial", "worker", "start", "end", "level", "reached", "loss", "reason"], [])
"""The columns of the table of jobs."""


class Study(NamedTuple):
    """One study that has a page: its names and seed, its row among the outcomes, its events, and what they tell."""

    benchmark: str
    arm: str
    seed: int
    outcome: Mapping[str, Any]
    events: pd.DataFrame
    jobs: pd.DataFrame
    """As `trials.jobs` gives them."""
    points: pd.DataFrame
    """Of its learning curves, as `trials.points` gives them."""


def shown(summary: Summary, events: pd.DataFrame) -> list[Study]:
    """One study of each method on each benchmark, all of a benchmark with the same seed."""
    of = rows_of_studies(events)
    found: list[Study] = []
    for benchmark, here in summary.studies.groupby("benchmark", sort=False):
        seed, arms = outcomes.shown(here)
        for row in records(here[(here["seed"] == seed) & here["arm"].isin(arms)]):
            mine = events.iloc[of.get((row["arm"], str(benchmark), seed), slice(0))]
            names = (str(benchmark), str(row["arm"]), seed)
            found.append(Study(*names, row, mine, trials.jobs(mine), trials.points(mine)))
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


def table(study: Study) -> Table:
    """The jobs of a study as words."""
    unit, _ = style.time_unit(float(study.outcome["budget"]))
    rows = [
        [
            *(str(row[name]) for name in ("trial", "worker")),
            *(text.number(row[name] / unit, 4) for name in ("start", "end")),
            *(str(row[name]) for name in ("level", "reached")),
            text.number(row["loss"], 5),
            str(row["reason"]) or text.NONE,
        ]
        for row in records(study.jobs)
    ]
    return Table(HEAD.head, rows)
