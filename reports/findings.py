"""A page of findings: a lead, statements, figures and tables, how to read them, and the command that makes it again."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reports.markdown import bullets, code
from reports.page_figures import files_of
from reports.publishing import as_json, publish
from reports.rendering import picture, rendered
from reports.table import Table, plain
from reports.table import markdown as grid

if TYPE_CHECKING:
    from reports.drawing import Drawn


class Line(NamedTuple):
    """A statement, and how it stands: `better` where all is well, `error` where it is not, else nothing."""

    text: str
    kind: str = ""


class Findings(NamedTuple):
    """What a page says; numbers: all of them, as plain JSON; small: the names of figures shown small."""

    title: str
    lead: str
    lines: Sequence[Line]
    figures: Sequence[Drawn]
    tables: Sequence[tuple[str, Table]]
    how_to_read: str
    facts: Mapping[str, str]
    numbers: Mapping[str, Any]
    small: Collection[str] = ()


def write(folder: Path, found: Findings, *, command: str, stem: str) -> None:
    """Write the page, its words as `stem`.md, its numbers as `stem`.json and its figures.

    command: the line that makes them.
    """
    content = {"title": found.title, "command": command, "statements": [line.text for line in found.lines]}
    numbers = as_json({**content, **found.numbers})
    page = rendered(
        "findings.html",
        title=found.title,
        lead=found.lead,
        lines=found.lines,
        figures=[(picture(figure, figure.alt), figure.name in found.small) for figure in found.figures],
        tables=found.tables,
        how_to_read=found.how_to_read,
        command=command,
        facts=found.facts,
        numbers=f"{stem}.json",
    )
    files = {"index.html": page.encode(), f"{stem}.json": numbers, f"{stem}.md": markdown(found, command).encode()}
    for figure in found.figures:
        files |= files_of(figure)
    publish(folder, files, hashlib.blake2b(numbers, digest_size=16).hexdigest())


def markdown(found: Findings, command: str) -> str:
    """The page as a Markdown text, its figures as links to their files."""
    parts = [f"# {plain(found.title)}", plain(found.lead), bullets([plain(line.text) for line in found.lines])]
    for figure in found.figures:
        parts += [f"![{plain(figure.alt)}](figures/{figure.name}.svg)", plain(figure.caption)]
    for name, table in found.tables:
        parts += [f"## {plain(name)}", grid(table)]
    parts += ["## How to read this", plain(found.how_to_read), "## Where it comes from", code([command])]
    parts.append(bullets([plain(f"{what}: {value}") for what, value in found.facts.items()]))
    return "\n\n".join(parts) + "\n"
