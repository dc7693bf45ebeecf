"""The summary as Markdown: completeness, numbers, statements, how to read them."""

from __future__ import annotations

from collections.abc import Sequence

from reports.summary import Summary
from reports.tables import HOW_TO_READ, Words, benchmarks, completeness, errors, notes, numbers


def markdown(summary: Summary, title: str) -> str:
    """The whole summary as a Markdown text."""
    parts = [f"# {title}", f"Incumbent rule: `{summary.rule}`.", "## Completeness", grid(completeness(summary))]
    parts.append(bullets(errors(summary)))
    for benchmark in benchmarks(summary):
        parts += [f"## {benchmark}", grid(numbers(summary, benchmark)), bullets(summary.statements(benchmark))]
        verdict = summary.facts[benchmark].get("verdict")
        parts += [f"> {verdict}"] if verdict else []
    parts += ["## How to read this", *notes(summary), HOW_TO_READ]
    return "\n\n".join(part for part in parts if part) + "\n"


def grid(table: Words) -> str:
    """A table in Markdown."""
    rows = [[f"**{cell}**" if i == 0 and bold else cell for i, cell in enumerate(row)]
            for row, bold in zip(table.rows, table.bold, strict=True)]  # fmt: skip
    return "\n".join(_line(cells) for cells in (table.head, ["---"] * len(table.head), *rows))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def bullets(lines: Sequence[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"- {line}" for line in lines)
