"""A page of findings: a lead, statements, figures and tables, how to read them, and the command that makes it again."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reports.page import publish, rendered
from reports.tables import Words

if TYPE_CHECKING:
    from reports.drawing import Drawn


class Line(NamedTuple):
    """A statement, and how it stands: `better` where all is well, `error` where it is not, else nothing."""

    text: str
    kind: str = ""


class Findings(NamedTuple):
    """What a page says; numbers: all of them, as plain JSON."""

    title: str
    lead: str
    lines: Sequence[Line]
    figures: Sequence[Drawn]
    tables: Sequence[tuple[str, Words]]
    how_to_read: str
    facts: Mapping[str, str]
    numbers: Mapping[str, Any]


def write(folder: Path, found: Findings, *, command: str, stem: str) -> None:
    """Write the page, its numbers as `stem`.json, and its figures; command: the line that makes them."""
    content = {"title": found.title, "command": command, "statements": [line.text for line in found.lines]}
    numbers = _bytes({**content, **found.numbers})
    page = rendered(
        "findings.html",
        title=found.title,
        lead=found.lead,
        lines=found.lines,
        figures=[
            {
                "name": figure.name,
                "alt": figure.caption.partition(".")[0],
                "caption": figure.caption,
                "svg": base64.b64encode(figure.files["svg"]).decode(),
                "small": False,
            }
            for figure in found.figures
        ],
        tables=found.tables,
        how_to_read=found.how_to_read,
        command=command,
        facts=found.facts,
        numbers=f"{stem}.json",
    )
    files = {"index.html": page.encode(), f"{stem}.json": numbers}
    for figure in found.figures:
        files |= {f"figures/{figure.name}.{suffix}": drawn for suffix, drawn in figure.files.items()}
    publish(folder, files, hashlib.blake2b(numbers, digest_size=16).hexdigest())


def _bytes(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
