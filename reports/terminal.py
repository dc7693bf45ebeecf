"""The summary for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from reports import text
from reports.pairs import BETTER
from reports.suite.suite import FINAL, HYPERVOLUME, INFERENCE, INFERENCE_FINAL, IQM, TENTH
from reports.suite_tables import over_benchmarks, statements
from reports.summary import Summary
from reports.survival import Told
from reports.table import Table
from reports.tables import benchmarks, errors, notes, numbers

PAIRS = 6
"""Pairs of methods that have room side by side."""
LEGEND = (
    "✓ told apart with the sign of the comparison, · that sign, = equal, ○ the other sign, ✗ told apart with the other "
    "sign, – not enough data; empty: what both methods hold is as in the comparison"
)
LEFT_OUT = (
    f"{IQM} [95 %]",
    f"{TENTH} [95 %]",
    f"{INFERENCE} [95 %]",
    f"{INFERENCE_FINAL} [95 %]",
    "P(equal)",
    "inference regret [95 %]",
    "random configs [95 %]",
    "on test [95 %]",
    "test [95 %]",
    "reports",
)
"""What has no room here; it stands in the other forms."""
INSTEAD = {
    "hypervolume [95 %]": "regret [95 %]",
    f"{HYPERVOLUME} [95 %]": f"{FINAL} [95 %]",
    "outside": "time",
}
"""What has no room either, by what stands in its place where there are several objectives, or a surrogate answers."""
MOST = 4
"""Benchmarks of which each has a table and statements of its own."""


def terminal(summary: Summary) -> list[RenderableType]:
    """The summary as things that rich prints: over all benchmarks a table and statements, then of each benchmark.

    Where there are many benchmarks, a row of one table each.
    """
    parts: list[RenderableType] = []
    suite, names = over_benchmarks(summary), benchmarks(summary)
    if len(names) > 1:
        parts += [grid(suite[name]) for name in ("main", "benchmarks") if name in suite]
        parts += [_lines([(Text("·", style="dim"), Text(said)) for said in statements(summary)]), Text()]
    if len(names) <= MOST:
        for benchmark in names:
            parts += [_table(summary, benchmark), _statements(summary, benchmark), Text()]
    parts += [Text(f"failed: {error}", style="red") for error in errors(summary)]
    return [*parts, Text(" ".join(notes(summary)), style="dim")]


def survived(told: Told) -> list[RenderableType]:
    """What became of a comparison's statements: settings x statements, and a line for each."""
    grid = RichTable(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for head in told.marks.head[: PAIRS + 1]:
        grid.add_column(Text(head), overflow="fold", min_width=10)
    for place, row in enumerate(told.marks.rows):
        grid.add_row(*map(Text, row[: PAIRS + 1]), style="bold" if (place, 0) in told.marks.bold else "")
    left = len(told.marks.head) - 1 - PAIRS
    more = [Text(f"{text.plural(left, 'more pair')} on the page", style="dim")] if left > 0 else []
    return [grid, *more, Text(), *map(Text, told.lines), Text(), Text(LEGEND, style="dim")]


def grid(table: Table) -> RenderableType:
    """A table as rich prints it, its caption above, without what has no room."""
    shown = _empty(None)
    kept = _kept(table.head)
    for place in kept:
        head = Text(table.head[place].removesuffix(" [95 %]"))
        shown.add_column(head, justify="right" if place else "left", overflow="fold")
    for row, cells in enumerate(table.rows):
        shown.add_row(*(Text(cells[place], style="bold" if (row, place) in table.bold else "") for place in kept))
    return Group(Text(table.caption), Padding(shown, (1, 0, 1, 0)))


def _kept(head: Sequence[str]) -> list[int]:
    """The places of the columns that have room."""
    left_out = {*LEFT_OUT, *(other for name, other in INSTEAD.items() if name in head)}
    return [place for place, name in enumerate(head) if name not in left_out]


def _empty(title: Text | None) -> RichTable:
    shown = RichTable(
        box=SIMPLE_HEAD, title=title, title_justify="left", title_style="", show_edge=False, pad_edge=False
    )
    shown.padding = (0, 1, 0, 0)
    return shown


def _table(summary: Summary, benchmark: str) -> RichTable:
    words = numbers(summary, benchmark)
    kept = _kept(words.head)
    seeds = summary.table.loc[summary.table["benchmark"] == benchmark, "wanted"].iloc[0]
    bounds = ", [95 % intervals]" if seeds > 1 else ""
    about = f"   n = {text.plural(int(seeds), 'seed')}, incumbent rule: {summary.rule}{bounds}"
    title = Text.assemble((benchmark, "bold"), (about, "dim"))
    table = _empty(title)
    for i in kept:
        head = words.head[i]
        justify = "left" if i == 0 or "[" in head else "right"
        table.add_column(head.removesuffix(" [95 %]"), justify=justify, no_wrap=i > 0, min_width=4, overflow="fold")
    for place, row in enumerate(words.rows):
        style = "bold" if (place, 0) in words.bold else ""
        table.add_row(*(_cell(words.head[i], row[i]) for i in kept), style=style)
    return table


def _cell(head: str, cell: str) -> Text:
    whole, _, wanted = cell.partition("/")
    return Text(cell, style="red" if head == "done" and whole != wanted else "")


def _statements(summary: Summary, benchmark: str) -> Padding:
    pairs = summary.pairs[summary.pairs["benchmark"] == benchmark]
    marks = [Text("✓", style="green") if said == BETTER else Text("·", style="dim") for said in pairs["verdict"]]
    verdict = summary.facts[benchmark].get("verdict")
    lines = [*zip(marks, (Text(str(statement)) for statement in pairs["statement"]), strict=True)]
    if verdict:
        lines.append((Text("!", style="yellow"), Text(str(verdict), style="yellow")))
    return _lines(lines)


def _lines(lines: Sequence[tuple[Text, Text]]) -> Padding:
    """Lines of words, each with its mark before it."""
    shown = RichTable.grid(padding=(0, 1))
    for line in lines:
        shown.add_row(*line)
    return Padding(shown, (1, 0, 0, 0))
