"""The summary as Markdown: completeness, numbers, statements, what they stand on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reports import text
from reports.outcomes import DONE, FAILED, MISSING
from reports.summary import Summary

HOW_TO_READ = (
    "Loss: the incumbent's observed loss at the budget; its mean over seeds is taken on logs of the regret (of the loss "
    "where the best of the table is not known) and transformed back, with a 95 % t interval. "
    "Regret: 0 is the best final loss of the table, 1 the median random config, clipped at 1 and at the noise of the "
    "final loss; geometric mean. A failed study counts as the median random config. "
    "Rank: mean over the seeds that all methods have. Trials, reports and times: means per study. "
    "Pairs: paired t tests over the same seeds, with Holm's correction over the pairs of a benchmark; the smallest "
    "detectable difference is for power 0.8 at level 0.05, before that correction. Bold: the best method, and all that "
    "could not be told apart from it."
)


def markdown(summary: Summary, title: str) -> str:
    """The whole summary as a Markdown text."""
    parts = [f"# {title}", f"Incumbent rule: `{summary.rule}`.", "## Completeness", _grid(*completeness(summary))]
    parts += [f"- {error}" for error in errors(summary)]
    for benchmark in benchmarks(summary):
        parts += [f"## {benchmark}", _grid(*numbers(summary, benchmark))]
        parts.append("\n".join(f"- {statement}" for statement in summary.statements(benchmark)))
        verdict = summary.facts[benchmark].get("verdict")
        parts += [f"> {verdict}"] if verdict else []
    parts += [summary.across, HOW_TO_READ]
    return "\n\n".join(part for part in parts if part) + "\n"


def benchmarks(summary: Summary) -> list[str]:
    """The benchmarks in their declared order."""
    return [str(name) for name in summary.table["benchmark"].unique()]


def completeness(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the completeness table: what became of the studies of each method on each benchmark."""
    head = ["benchmark", "method", "wanted", DONE, FAILED, MISSING, "ended by"]
    rows: list[list[str]] = []
    for row in summary.table.to_dict("records"):
        mine = summary.studies[(summary.studies["benchmark"] == row["benchmark"]) & (summary.studies["arm"] == row["arm"])]
        reasons = mine.loc[mine["why"] != "", "why"].value_counts()
        ended = ", ".join(f"{why} {count}" for why, count in reasons.items())
        counts = [str(row[name]) for name in ("wanted", DONE, FAILED, MISSING)]
        rows.append([str(row["benchmark"]), str(row["arm"]), *counts, ended])
    return head, rows


def errors(summary: Summary) -> list[str]:
    """One line for each study that failed: which, and the last line of its error."""
    failed = summary.studies[summary.studies["state"] == FAILED]
    return [
        f"{row['arm']} on {row['benchmark']}, seed {row['seed']}: {_last_line(str(row['error']))}"
        for row in failed.to_dict("records")
    ]


def numbers(summary: Summary, benchmark: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a benchmark's main table; the method in bold where it is the best or not told apart from it."""
    here = summary.table[summary.table["benchmark"] == benchmark].to_dict("records")
    metric = str(summary.facts[benchmark].get("metric", "loss"))
    estimates = {f"{metric} [95 %]": "loss", "regret [95 %]": "regret", "test [95 %]": "test"}
    shown = {head: name for head, name in estimates.items() if any(row[name] == row[name] for row in here)}
    rows = [[_bold(row), *_estimates(row, shown.values()), *_counts(row)] for row in here]
    return ["method", *shown, "rank", "trials", "reports", "time", "took"], rows


def _estimates(row: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [text.interval(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in names]


def _counts(row: Mapping[str, Any]) -> list[str]:
    numbers = [text.number(row[name], 2) if name == "rank" else _whole(row[name]) for name in ("rank", "trials", "reports")]
    return [*numbers, text.seconds(row["seconds"]), text.seconds(row["real_seconds"])]


def _whole(value: float) -> str:
    return text.NONE if value != value else f"{value:.0f}"


def _bold(row: Mapping[str, Any]) -> str:
    return f"**{row['arm']}**" if row["best"] else str(row["arm"])


def _last_line(error: str) -> str:
    lines = [line for line in error.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
