"""The summary as Markdown: completeness, the suite, numbers of each benchmark, statements, how to read them."""

from __future__ import annotations

from collections.abc import Sequence

from reports.suite_tables import environment, over_benchmarks, statements
from reports.summary import Summary
from reports.table import markdown as grid
from reports.table import plain
from reports.tables import HOW_TO_READ, benchmarks, completeness, errors, notes, numbers


def markdown(summary: Summary, title: str) -> str:
    """The whole summary as a Markdown text."""
    parts = [f"# {plain(title)}", f"Incumbent rule: `{summary.rule}`.", "## Completeness", grid(completeness(summary))]
    parts.append(bullets([*map(plain, errors(summary))]))
    suite = over_benchmarks(summary)
    parts += ["## Over all benchmarks", bullets([*map(plain, statements(summary))])] if suite else []
    for table in suite.values():
        parts += [f"### {plain(table.caption)}", grid(table)]
    for benchmark in benchmarks(summary):
        parts += [f"## {plain(benchmark)}"]
        parts += [grid(numbers(summary, benchmark)), bullets([*map(plain, summary.statements(benchmark))])]
        verdict = summary.facts[benchmark].get("verdict")
        parts += [f"> {plain(verdict)}"] if verdict else []
    parts += ["## Environment", grid(environment(summary))]
    parts += ["## How to read this", *map(plain, notes(summary)), HOW_TO_READ]
    return "\n\n".join(part for part in parts if part) + "\n"


def bullets(lines: Sequence[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"- {line}" for line in lines)
