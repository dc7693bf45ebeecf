"""The survival of a comparison's statements as a folder: a page, all numbers as JSON, and a figure per benchmark.

Written as a report is; what it found is read back by the report of the comparison, which shows it in a section.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports import text
from reports.outcomes import DONE, FAILED, MISSING, records, unique
from reports.page_figures import files_of
from reports.publishing import as_json, plain_json, publish, standing, stems
from reports.rendering import picture, rendered
from reports.survival import (
    HOLDS,
    REVERSED,
    SAME,
    SHOWN,
    UNKNOWN,
    UNTOUCHED,
    Setting,
    Told,
    effects,
    everywhere,
    lead,
    statements,
)
from reports.table import Table, bold_rows

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from reports.drawing import Drawn

STEM = "survival"
OWN = bold_rows([True])
"""The row of the comparison itself is the first."""
PANELS = 6
"""Pairs in a figure: those told apart come first, and the table has them all."""

OUTDATED = "The studies of the comparison are others now: `survive` makes this anew."
MARKS = {HOLDS: "✓", SAME: "·", "equal": "=", "other sign": "○", REVERSED: "✗", UNTOUCHED: "", UNKNOWN: text.NONE}
HOW_TO_READ = (
    "Each setting is the whole comparison with one thing changed and everything else, the seeds included, as it was; "
    "workers change at equal worker-seconds. A pair is tested in each as the report tests it (paired t tests over "
    "seeds on logs of the regret, Holm's correction over the pairs of a benchmark), and `first` is who is ahead in "
    "the comparison. ✓ told apart, with the sign of the comparison; · that sign, not told apart; = equal; ○ the other"
    " sign, not told apart; ✗ told apart, with the other sign; – not enough data; nothing where the setting leaves "
    "what both methods hold as it was, which counts for nothing. How large a change is: 0 luck alone (other "
    "replicates of the table, other seeds), 1 the next step on its axis (twice or half the workers or the budget, "
    "another table, another rule), 2 the one after it. Settings share seeds and data, so they are no independent "
    "repetitions: a share of settings is no probability. Each is a test of its own at level 0.05, with the power of "
    "the comparison: a statement with a p just below 0.05 is expected to be told apart in about half of the settings "
    "that change only luck."
)


@dataclass(frozen=True)
class Survival:
    """What was run.

    settings: the first is the comparison itself; of: digest of the comparison's own studies, by which a report knows
    whether this is of its state; about: what else is stated, in words; verdicts: how far to trust the surrogates that
    answered, a sentence each.
    """

    settings: Sequence[Setting]
    of: str
    about: Mapping[str, str]
    verdicts: Sequence[str] = ()


def write(folder: Path, survival: Survival, *, title: str, command: str, digest: str) -> None:
    """Write the page of a survival.

    command: the line that makes it; digest: of the inputs, for `publishing.up_to_date`.
    """
    seen = effects(survival.settings)
    said = statements(seen)
    begin = lead(said, len(survival.settings) - 1)
    grid = marks(seen, said)
    drawn = draw(seen, said)
    page = rendered(
        "findings.html",
        title=f"Do the conclusions survive? {title}",
        lead=begin,
        lines=[
            *({"text": verdict, "kind": ""} for verdict in survival.verdicts),
            *({"text": row["statement"], "kind": _kind(row)} for row in records(said)),
        ],
        figures=[(picture(figure, figure.alt), False) for figure in drawn],
        tables=[("Settings and statements", grid), ("Studies", _studies(survival))],
        how_to_read=HOW_TO_READ,
        command=command,
        facts=survival.about,
        numbers=f"{STEM}.json",
    )
    content = {
        "title": title, "command": command, "of": survival.of, "lead": begin, "about": dict(survival.about),
        "verdicts": list(survival.verdicts),
        "statements": plain_json(records(said)), "settings": plain_json(records(seen)),
        "marks": {"head": grid.head, "rows": grid.rows},
        "figures": {figure.name: figure.caption for figure in drawn},
    }  # fmt: skip
    files = {"index.html": page.encode(), f"{STEM}.json": as_json(content)}
    for figure in drawn:
        files |= files_of(figure)
    publish(folder, files, digest)


def read(folder: Path, of: str) -> Told | None:
    """What was found in a folder, by this form of the page or an earlier one; None where nothing whole is there.

    of: digest of the comparison's own studies; where they are no longer those that the page is of, the lead says so.
    """
    digest = standing(folder)
    if digest is None:
        return None
    plain = json.loads((folder / f"{STEM}.json").read_text(encoding="utf-8"))
    figures = [_drawn(folder, name, caption) for name, caption in plain["figures"].items()]
    lead = plain["lead"] if plain["of"] == of else f"{OUTDATED} {plain['lead']}"
    lines = [lead, *plain.get("verdicts", ()), *(row["statement"] for row in plain["statements"])]
    digest = digest if plain["of"] == of else f"{digest} is outdated"
    grid = Table(plain["marks"]["head"], plain["marks"]["rows"], OWN)
    return Told(lines, grid, figures, digest, plain["command"])


def _drawn(folder: Path, name: str, caption: str) -> Drawn:
    """A figure as it was written, in the formats in which it is there."""
    from reports.drawing import FORMATS, Drawn

    files = {suffix: folder / f"figures/{name}.{suffix}" for suffix in (*FORMATS, "csv")}
    return Drawn(name, caption, {suffix: file.read_bytes() for suffix, file in files.items() if file.is_file()})


def marks(effects: pd.DataFrame, statements: pd.DataFrame) -> Table:
    """Settings x statements: a mark and the effect of each, the comparison itself first."""
    several = statements["benchmark"].nunique() > 1
    pairs = [tuple(row[name] for name in SHOWN) for row in records(statements)]
    heads = [f"{first} : {second}" + (f" on {benchmark}" if several else "") for benchmark, first, second in pairs]
    names = unique(effects["setting"])
    cells = {
        (str(row["setting"]), *(row[name] for name in SHOWN)): f"{MARKS[row['relation']]} {_effect(row)}".strip()
        for row in records(effects)
    }
    rows = [[name, *(cells[name, *pair] for pair in pairs)] for name in names]
    return Table(["setting", *heads], rows, OWN)


def draw(effects: pd.DataFrame, statements: pd.DataFrame) -> list[Drawn]:
    """A figure per benchmark, of the first pairs of its statements."""
    from reports import drawing  # matplotlib takes a second to import
    from reports.figures import survival

    drawn: list[Drawn] = []
    stem = stems(unique(statements["benchmark"]))
    for name, said in statements.groupby("benchmark", sort=False):
        shown, left = said[:PANELS][list(SHOWN)], len(said) - PANELS
        more = f" {text.plural(left, 'more pair')} in the table." if left > 0 else ""
        frame = shown.merge(effects, on=list(SHOWN))
        about = drawing.caption(survival, f"{name}.") + more
        drawn.append(drawing.draw(f"{STEM}-{stem[str(name)]}", about, partial(_figure, frame), frame))
    return drawn


def _figure(frame: pd.DataFrame) -> Figure:
    """A panel a pair, side by side; frame: the effects of the pairs of a benchmark."""
    from reports.drawing import figure_of
    from reports.figures import survival

    pairs = [pair for _, pair in frame.groupby(list(SHOWN), sort=False)]
    figure = figure_of(height=1.2 + 0.155 * frame["setting"].nunique())
    panels = figure.subplots(1, len(pairs), squeeze=False, sharey=True)[0]
    for place, (pair, axes) in enumerate(zip(pairs, panels, strict=True)):
        survival.draw(pair, axes)
        axes.set_title(f"{pair['first'].iloc[0]}\nagainst\n{pair['second'].iloc[0]}", fontsize=8, loc="center")
        axes.tick_params(labelsize=7, labelleft=place == 0)
    measure = str(frame["measure"].iloc[0])
    figure.supxlabel(f"{measure}, first {'less' if measure == 'difference' else '/'} second")
    return figure


def _kind(row: Mapping[str, Any]) -> str:
    """How a line is marked: where the statement holds in every setting, each with enough data, and where it turns."""
    if not row["made"]:
        return ""
    return "better" if everywhere(row) else "error" if row["turns"] else ""


def _effect(row: Mapping[str, Any]) -> str:
    if row["relation"] in (UNTOUCHED, UNKNOWN) or np.isnan(row["effect"]):
        return ""
    return ("" if row["measure"] == "difference" else "×") + text.number(row["effect"])


def _studies(survival: Survival) -> Table:
    """What each setting is, and what became of its studies."""
    rows: list[list[str]] = []
    for setting in survival.settings:
        states = setting.seen.studies["state"].value_counts()
        counts = [str(int(states.get(state, 0))) for state in (DONE, FAILED, MISSING)]
        rows.append([setting.axis, setting.name, str(setting.step), setting.seen.rule, *counts])
    return Table(["what changes", "setting", "size", "rule", DONE, FAILED, MISSING], rows)
