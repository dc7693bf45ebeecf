"""A report as a folder: a page that stands alone, the summary as Markdown and JSON, and the figures.

Each file is written whole, beside its place and then moved there. `report.json` goes first and comes back last: it
holds the digest of what the report was made from, so a report without it is not up to date, and one that was
interrupted is made again. The same inputs give the same bytes; no file holds a date.
"""

from __future__ import annotations

import base64
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from reports.incumbent import DEFAULT_RULE
from reports.markdown import markdown
from reports.outcomes import Facts, records
from reports.summary import Summary, summarise
from reports.tables import HOW_TO_READ, benchmarks, completeness, errors, notes, numbers

if TYPE_CHECKING:
    from reports.drawing import Drawn
    from reports.survival import Told

FORM = 2
"""Counts the forms of the report; one of another form is not up to date."""

PACKAGES = ("foretune", "numpy", "scipy", "pandas", "matplotlib")


def write(
    folder: Path,
    studies: pd.DataFrame,
    events: pd.DataFrame,
    facts: Facts,
    *,
    title: str,
    command: str,
    digest: str,
    rule: str = DEFAULT_RULE,
    declared: Sequence[str] = (),
    survived: Told | None = None,
) -> Summary:
    """Write the report of a comparison and return its summary.

    command: the line that makes the comparison; digest: of the inputs, for `up_to_date`; declared: what was before the
    studies ran, in words; survived: what became of its statements under other settings, where that is known. Raises
    what `summarise` does.
    """
    from reports.drawing import draw  # matplotlib takes a second to import

    summary = summarise(studies, events, facts, rule, declared)
    drawn = {name: draw(summary, events, name) for name in benchmarks(summary)}
    files = {
        "index.html": _page(summary, drawn, title, command, survived).encode(),
        "summary.md": markdown(summary, title).encode(),
        "summary.json": _json({"title": title, "command": command, **summary.numbers()}),
    }
    others = survived.figures if survived else []
    for figure in (*(figure for figures in drawn.values() for figure in figures), *others):
        files |= {f"figures/{figure.name}.{suffix}": content for suffix, content in figure.files.items()}
    publish(folder, files, digest)
    return summary


def up_to_date(folder: Path, digest: str) -> bool:
    """Whether the folder holds a whole report of this form, made from inputs with this digest."""
    stamp = _stamp(folder)
    whole = all((folder / name).is_file() for name in stamp.get("files", []))
    return stamp.get("digest") == digest and stamp.get("form") == FORM and whole


def publish(folder: Path, files: Mapping[str, bytes], digest: str) -> None:
    """Write a report whole, with a stamp of what it was made from; files of a former report are removed."""
    former = _stamp(folder).get("files", [])
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "report.json").unlink(missing_ok=True)
    for name, content in files.items():
        _write_whole(folder / name, content)
    for name in set(former) - set(files):
        (folder / name).unlink(missing_ok=True)
    _write_whole(folder / "report.json", _json({"digest": digest, "form": FORM, "files": sorted(files)}))


def _write_whole(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _stamp(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def rendered(template: str, **content: Any) -> str:
    """A page of HTML from one of the templates beside this file, in the style that all pages share."""
    here = Path(__file__)
    style = Markup(here.with_name("style.html").read_text(encoding="utf-8"))
    source = here.with_name(template).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source).render(style=style, versions=_versions(), **content)


def _page(
    summary: Summary, drawn: Mapping[str, Sequence[Drawn]], title: str, command: str, survived: Told | None
) -> str:
    return rendered(
        "page.html",
        title=title,
        command=command,
        rule=summary.rule,
        completeness=completeness(summary),
        errors=errors(summary),
        notes=notes(summary),
        how_to_read=HOW_TO_READ,
        benchmarks=[_benchmark(summary, name, drawn[name]) for name in benchmarks(summary)],
        survived=survived and {"lines": survived.lines, "figures": list(map(_figure, survived.figures))},
    )


def _benchmark(summary: Summary, name: str, drawn: Sequence[Drawn]) -> dict[str, Any]:
    facts = summary.facts[name]
    return {
        "name": name,
        "numbers": numbers(summary, name),
        "statements": records(summary.pairs[summary.pairs["benchmark"] == name]),
        "verdict": facts.get("verdict"),
        "facts": _facts(facts),
        "figures": list(map(_figure, drawn)),
    }


def _figure(figure: Drawn) -> dict[str, str]:
    return {"name": figure.name, "caption": figure.caption, "svg": base64.b64encode(figure.files["svg"]).decode()}


def _facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """What the benchmark is, in words."""
    levels = list(facts["levels"])
    spelt = ", ".join(map(str, levels)) if len(levels) <= 8 else f"{levels[0]} to {levels[-1]} ({len(levels)})"
    known = {
        "metric": facts.get("metric"),
        "world": "real training" if facts.get("real") else "simulated",
        facts.get("unit") or "level": spelt,
        "configs in the table": facts.get("configs"),
        "configs not in the table": facts.get("table"),
        "best final loss": facts.get("optimum"),
        "median final loss": facts.get("median"),
        "noise of the final loss (sd between seeds)": facts.get("noise"),
    }
    return {
        what: f"{value:.4g}" if isinstance(value, float) else str(value)
        for what, value in known.items()
        if value is not None
    }


def _versions() -> str:
    installed = {name: _version(name) for name in PACKAGES}
    return ", ".join([f"python {platform.python_version()}", *(f"{name} {v}" for name, v in installed.items() if v)])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
