"""A family of benchmarks as a folder: a page that stands alone, the same as Markdown, and the figures.

Written as a report is: each file whole, the same bytes for the same inputs, `report.json` with the digest last.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from reports import table, text
from reports.card import sentences, tables
from reports.markdown import bullets
from reports.member import Member
from reports.page_figures import files_of
from reports.publishing import publish, stems
from reports.rendering import picture, rendered
from reports.table import Table

if TYPE_CHECKING:
    from reports.drawing import Drawn

JUDGED = "neither diverged nor on a plateau"
"""The configs for which the page states one correlation and one R2."""
LARGE = ("measured-curves", "landscape")
"""The figures that need the whole width of a page."""

HOW_TO_READ = (
    "Verdict: how far to trust what is concluded on the surrogate, the worst line of its card. Configs and runs: all "
    "that were measured. Best and median: final losses of independent random configs, means over their seeds, to be "
    "minimised. Noise: the median standard deviation of the final loss between seeds of one config; no smaller "
    f"difference means anything. Spearman and R2: of the final loss of configs that the fit had not seen, {JUDGED}."
)


def write(folder: Path, members: Sequence[Member], *, command: str, digest: str) -> None:
    """Write the page of some benchmarks.

    command: the line that makes the page; digest: of the inputs, for `publishing.up_to_date`.
    """
    from reports.portraits import draw  # matplotlib takes a second to import

    stem = stems([member.name for member in members])
    drawn = {member.name: draw(member, stem[member.name]) for member in members}
    files = {
        "index.html": _page(members, drawn, command).encode(),
        "card.md": _markdown(members, drawn, command).encode(),
    }
    for figure in (figure for figures in drawn.values() for figure in figures):
        files |= files_of(figure)
    publish(folder, files, digest)


def title(members: Sequence[Member]) -> str:
    """What the page is called."""
    return f"{', '.join(member.name for member in members)}: what was measured, and how far to trust it"


def overview(members: Sequence[Member]) -> Table:
    """The family in one table, a row a benchmark."""
    head = ["benchmark", "verdict", "configs", "runs", "best", "median", "noise", "Spearman", "R2"]
    bits = any(member.facts.get("bits_per_byte") is not None for member in members)
    rows: list[list[str]] = []
    for member in members:
        facts, card = member.facts, member.card or {}
        judged: Mapping[str, Any] = card.get("final", {}).get(JUDGED, {})
        counts = [str(facts.get(name, text.NONE)) for name in ("configs", "runs")]
        losses = [_number(facts.get(name), 4) for name in ("best", "median")]
        fit = [_number(judged.get(name)) for name in ("spearman", "r2")]
        row = [member.name, card.get("verdict", text.NONE), *counts, *losses, _number(facts.get("noise"), 2), *fit]
        rows.append([*row, _number(facts.get("bits_per_byte"))] if bits else row)
    return Table([*head, "bits per byte of the best"] if bits else head, rows)


def verdict(card: Mapping[str, Any]) -> str:
    """The verdict of a card in a sentence, and the lines that hold it back."""
    lines: Sequence[Mapping[str, Any]] = card["lines"]
    lacking = [line for line in lines if line["verdict"] != "trusted"]
    trusted = f"{len(lines) - len(lacking)} of {len(lines)} lines of its card are trusted"
    said = f"Its surrogate is {card['verdict']}: {trusted}."
    if not lacking:
        return said
    return f"{said} Not: {'; '.join(map(_lacking, lacking))}."


def _lacking(line: Mapping[str, Any]) -> str:
    if line["value"] is None:
        return f"{line['line']} (not measured yet)"
    return f"{line['line']} ({_number(line['value'])}, {line['verdict']}; trusted: {line['trusted']})"


def _number(value: float | None, digits: int = 3) -> str:
    return text.number(math.nan if value is None else value, digits)


def _page(members: Sequence[Member], drawn: Mapping[str, Sequence[Drawn]], command: str) -> str:
    return rendered(
        "family.html",
        title=title(members),
        command=command,
        family=overview(members),
        how_to_read=HOW_TO_READ,
        benchmarks=[_benchmark(member, drawn[member.name]) for member in members],
    )


def _benchmark(member: Member, drawn: Sequence[Drawn]) -> dict[str, Any]:
    return {
        "name": member.name,
        "verdict": verdict(member.card) if member.card else None,
        "notes": [_coded(note) for note in member.notes],
        "sentences": [_coded(said) for said in sentences(member.card)] if member.card else [],
        "figures": [
            (picture(figure, _alt(figure, member.name)), not figure.name.startswith(LARGE)) for figure in drawn
        ],
        "tables": tables(member.card) if member.card else [],
    }


def _coded(words: str) -> Markup:
    """Table for HTML, with what stands in backticks set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words))))


def _alt(figure: Drawn, name: str) -> str:
    """What a figure shows: the beginning of its caption."""
    return f"{name}. {re.split(r'[.:;] ', figure.caption.removeprefix(f'{name}. '))[0]}"


def _markdown(members: Sequence[Member], drawn: Mapping[str, Sequence[Drawn]], command: str) -> str:
    tick = "``" if "`" in command else "`"
    made = f"Made by {tick}{command}{tick}."
    parts = [f"# {_escaped(title(members))}", table.markdown(overview(members)), HOW_TO_READ, made]
    for member in members:
        parts += [f"## {_escaped(member.name)}"]
        parts += [f"> {_escaped(verdict(member.card))}"] if member.card else []
        parts += [_escaped(note) for note in member.notes]
        parts += [bullets([_escaped(said) for said in sentences(member.card)])] if member.card else []
        for figure in drawn[member.name]:
            parts += [f"![{_escaped(_alt(figure, member.name))}](figures/{figure.name}.svg)"]
            parts += [f"{_escaped(figure.caption)} {made}"]
        for head, shown in tables(member.card) if member.card else []:
            parts += [f"### {_escaped(head)}", table.markdown(shown)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _escaped(words: str) -> str:
    """Words in which Markdown sees no HTML and no link."""
    for sign, spelt in (("&", "&amp;"), ("<", "&lt;"), ("[", "\\["), ("]", "\\]")):
        words = words.replace(sign, spelt)
    return words
