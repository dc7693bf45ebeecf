"""The summary for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports import text
from reports.outcomes import MISSING, Facts
from reports.pairs import BETTER
from reports.summary import Summary


def terminal(summary: Summary) -> list[RenderableType]:
    """The summary as things that rich prints: for each benchmark a table and the statements about pairs."""
    parts: list[RenderableType] = []
    for benchmark in summary.table["benchmark"].unique():
        here = summary.table[summary.table["benchmark"] == benchmark].to_dict("records")
        parts += [_table(str(benchmark), here, summary.facts), _statements(summary, str(benchmark)), Text()]
    notes = [f"Incumbent rule: {summary.rule}. {_legend(summary)}", _totals(summary), summary.across]
    return [*parts, *(Text(note, style="dim") for note in notes if note)]


def _table(benchmark: str, rows: list[Any], facts: Facts) -> Table:
    metric = str(facts[benchmark].get("metric", "loss"))
    table = Table(title=f"{benchmark}: {metric}", title_style="bold", title_justify="left", box=SIMPLE_HEAD)
    table.pad_edge, table.padding = False, (0, 1, 0, 0)
    table.add_column("method", overflow="fold", min_width=8)
    table.add_column("done", justify="right", no_wrap=True)
    shown = [("loss", "loss [95 %]")]
    if any(row["regret"] == row["regret"] for row in rows):
        shown.append(("regret", "regret [95 %]"))
    for _, head in shown:
        table.add_column(head, justify="left", no_wrap=True)
    for head in ("rank", "trials", "reports", "time", "took"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        estimates = [text.interval(*(row[f"{name}{end}"] for end in ("", "_low", "_high"))) for name, _ in shown]
        table.add_row(row["arm"], _done(row), *estimates, *_counts(row), style="bold" if row["best"] else "")
    return table


def _done(row: Mapping[str, Any]) -> Text:
    whole = row["done"] == row["wanted"]
    return Text(f"{row['done']}/{row['wanted']}", style="" if whole else "red")


def _counts(row: Mapping[str, Any]) -> list[str]:
    rank = text.NONE if row["rank"] != row["rank"] else f"{row['rank']:.1f}"
    counts = [text.NONE if row[name] != row[name] else f"{row[name]:.0f}" for name in ("trials", "reports")]
    return [rank, *counts, text.seconds(row["seconds"]), text.seconds(row["real_seconds"])]


def _statements(summary: Summary, benchmark: str) -> Padding:
    pairs = summary.pairs[summary.pairs["benchmark"] == benchmark]
    lines: list[Text] = []
    for verdict, statement in zip(pairs["verdict"], pairs["statement"], strict=True):
        mark = Text("✓ ", style="green") if verdict == BETTER else Text("· ", style="dim")
        lines.append(mark + Text(str(statement)))
    verdict = summary.facts[benchmark].get("verdict")
    return Padding(Group(*lines, *([Text(f"! {verdict}", style="yellow")] if verdict else [])), (0, 0, 0, 1))


def _legend(summary: Summary) -> str:
    failed, missing = int(summary.table["failed"].sum()), int(summary.table["missing"].sum())
    counted = [
        f"{text.plural(failed, 'failed study')} counted as the median random config" if failed else "",
        f"{text.plural(missing, 'study')} missing" if missing else "",
    ]
    bold = "Bold: the best, and all that could not be told apart from it." if summary.table["best"].any() else ""
    return " ".join(note for note in (bold, ", ".join(note for note in counted if note)) if note)


def _totals(summary: Summary) -> str:
    ran = summary.studies[summary.studies["state"] != MISSING]
    spent, took = (text.seconds(float(ran[name].sum())) for name in ("seconds", "real_seconds"))
    real = [bool(about.get("real")) for about in summary.facts.values()]
    simulated = "of wall-clock time" if all(real) else "simulated" if not any(real) else "simulated and real"
    return f"{text.plural(len(ran), 'study')}: {spent} {simulated}, in {took} of computing. Times are means per study."
