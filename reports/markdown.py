"""The summary as Markdown: completeness, the suite, numbers of each benchmark, how to read them and to make them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.suite_tables import environment, over_benchmarks, statements
from reports.summary import Summary
from reports.table import markdown as grid
from reports.table import plain
from reports.tables import HOW_TO_READ, benchmarks, completeness, errors, notes, numbers

if TYPE_CHECKING:
    from reports.drawing import Drawn


def markdown(summary: Summary, title: str, commands: Sequence[str] = (), figures: Sequence[Drawn] = ()) -> str:
    """The whole summary as a Markdown text.

    commands: the lines that make it; figures: what stands beside it as files.
    """
    names = benchmarks(summary)
    shown = [f"![{_alt(figure)}](figures/{figure.name}.svg)" for figure in figures]
    parts = [f"# {plain(title)}", f"Incumbent rule: `{summary.rule}`.", "## Completeness", grid(completeness(summary))]
    parts.append(bullets([*map(plain, errors(summary))]))
    tables = over_benchmarks(summary).values()
    suite = [words for table in tables for words in (f"### {plain(table.caption)}", grid(table))]
    if len(names) > 1:
        parts += ["## Over all benchmarks", bullets([*map(plain, statements(summary))]), *shown, *suite]
    for benchmark in names:
        parts += [f"## {plain(benchmark)}"]
        parts += [grid(numbers(summary, benchmark)), bullets([*map(plain, summary.statements(benchmark))])]
        verdict = summary.facts[benchmark].get("verdict")
        parts += [f"> {plain(verdict)}"] if verdict else []
    parts += [*shown, *suite] if len(names) == 1 else []
    parts += ["## Environment", grid(environment(summary))]
    parts += ["## How to read this", *map(plain, notes(summary)), HOW_TO_READ]
    parts += ["## Where it comes from", code(commands)] if commands else []
    return "\n\n".join(part for part in parts if part) + "\n"


def _alt(figure: Drawn) -> str:
    """Which figure it is, in words that cannot end the link to it."""
    return re.sub(r"([\[\]])", r"\\\1", plain(figure.alt))


def bullets(lines: Sequence[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def code(commands: Sequence[str]) -> str:
    """Commands in Markdown, which show as they are whatever signs they hold."""
    lines = "\n".join(commands)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", lines)), default=0))
    return f"{fence}sh\n{lines}\n{fence}"
