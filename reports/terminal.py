"""The summary for a terminal of 100 columns."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports import text
from reports.pairs import BETTER
from reports.summary import Summary
from reports.survival import Told
from reports.tables import benchmarks, errors, notes, numbers

PAIRS = 6
"""Pairs of methods that have room side by side."""
LEGEND = (
    "✓ told apart with the sign of the comparison, · that sign, = equal, ○ the other sign, ✗ told apart with the other "
    "sign, – not enough data; empty: what both methods hold is as in the comparison"
)
LEFT_OUT = ("inference regret [95 %]", "on test [95 %]", "test [95 %]", "reports")
"""What has no room here; it stands in the other forms."""


def terminal(summary: Summary) -> list[RenderableType]:
    """The summary as things that rich prints: for each benchmark a table and the statements about pairs."""
    parts: list[RenderableType] = []
    for benchmark in benchmarks(summary):
        parts += [_table(summary, benchmark), _statements(summary, benchmark), Text()]
    parts += [Text(f"failed: {error}", style="red") for error in errors(summary)]
    return [*parts, Text(" ".join(notes(summary)), style="dim")]


def survived(told: Told) -> list[RenderableType]:
    """What became of a comparison's statements: settings x statements, and a line for each."""
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for head in told.marks.head[: PAIRS + 1]:
        grid.add_column(Text(head), overflow="fold", min_width=10)
    for row, bold in zip(told.marks.rows, told.marks.bold, strict=True):
        grid.add_row(*map(Text, row[: PAIRS + 1]), style="bold" if bold else "")
    left = len(told.marks.head) - 1 - PAIRS
    more = [Text(f"{text.plural(left, 'more pair')} on the page", style="dim")] if left > 0 else []
    return [grid, *more, Text(), *map(Text, told.lines), Text(), Text(LEGEND, style="dim")]


def _table(summary: Summary, benchmark: str) -> Table:
    words = numbers(summary, benchmark)
    kept = [i for i, head in enumerate(words.head) if head not in LEFT_OUT]
    table = Table(box=SIMPLE_HEAD, title_justify="left", title_style="", show_edge=False, pad_edge=False)
    table.padding = (0, 1, 0, 0)
    seeds = summary.table.loc[summary.table["benchmark"] == benchmark, "wanted"].iloc[0]
    table.title = Text.assemble(
        (benchmark, "bold"),
        (f"   n = {text.plural(int(seeds), 'seed')}, incumbent rule: {summary.rule}, [95 % intervals]", "dim"),
    )
    for i in kept:
        head = words.head[i]
        justify = "left" if i == 0 or "[" in head else "right"
        table.add_column(head.removesuffix(" [95 %]"), justify=justify, no_wrap=i > 0, min_width=4, overflow="fold")
    for row, bold in zip(words.rows, words.bold, strict=True):
        table.add_row(*(_cell(words.head[i], row[i]) for i in kept), style="bold" if bold else "")
    return table


def _cell(head: str, cell: str) -> Text:
    whole, _, wanted = cell.partition("/")
    return Text(cell, style="red" if head == "done" and whole != wanted else "")


def _statements(summary: Summary, benchmark: str) -> Padding:
    pairs = summary.pairs[summary.pairs["benchmark"] == benchmark]
    marks = [Text("✓", style="green") if said == BETTER else Text("·", style="dim") for said in pairs["verdict"]]
    verdict = summary.facts[benchmark].get("verdict")
    lines = Table.grid(padding=(0, 1))
    for mark, statement in zip(marks, pairs["statement"], strict=True):
        lines.add_row(mark, Text(str(statement)))
    if verdict:
        lines.add_row(Text("!", style="yellow"), Text(str(verdict), style="yellow"))
    return Padding(lines, (1, 0, 0, 0))
