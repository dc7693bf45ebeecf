"""The figures of a report's pages, as the browser draws them or, in a static report, as pictures with their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports import fronts, interactive
from reports.outcomes import unique
from reports.study_page import Study
from reports.summary import Summary
from reports.table import frame_csv

if TYPE_CHECKING:
    from reports.drawing import Drawn

TO_SWITCH = "A click on a method switches it off, or on again, in all figures of the page."
OVER_TIME = {
    "suite-curve": "normalised regret (geometric mean)",
    "average-rank": "mean rank",
    "target-profile": "share of targets reached",
}
"""The figures over benchmarks that are curves, with what stands on their axis."""
DIGITS = 6
"""Of the numbers in the CSV of a figure: more than any figure shows."""
WIDE = 6
"""More panels than this stand in three columns instead of two."""


@dataclass(frozen=True)
class Figures:
    """The figures of a page: those that the browser draws, each with its caption, and the pictures."""

    live: Sequence[tuple[dict[str, Any], str]] = ()
    pictures: Sequence[Drawn] = ()
    beside: Sequence[Drawn] = ()
    """Drawn figures whose files lie beside a live one."""

    def __add__(self, other: Figures) -> Figures:
        return Figures([*self.live, *other.live], [*self.pictures, *other.pictures], [*self.beside, *other.beside])

    @property
    def data(self) -> dict[str, Any] | None:
        """What stands in the page for the browser, None where it has nothing to draw."""
        return {"figures": [figure for figure, _ in self.live]} if self.live else None

    @property
    def drawn(self) -> list[Drawn]:
        """All of which there are pictures."""
        return [*self.pictures, *self.beside]

    @property
    def files(self) -> dict[str, bytes]:
        """The files of the pictures, by their places in the report."""
        return {place: content for figure in self.drawn for place, content in files_of(figure).items()}

    def slim(self) -> Figures:
        """The same, each picture in the one form that a page shows."""
        pictures, beside = (
            [figure._replace(files={"svg": figure.files["svg"]}) for figure in drawn]
            for drawn in (self.pictures, self.beside)
        )
        return replace(self, pictures=pictures, beside=beside)

    def shown(self, root: str) -> dict[str, Any]:
        """As the templates take them; root: from the page to the report's folder."""
        links = {figure.name: picture(figure, root)["files"] for figure in self.beside}
        return {
            "interactive": [
                {"name": figure["name"], "caption": caption, "files": links.get(figure["name"], [])}
                for figure, caption in self.live
            ],
            "pictures": [picture(figure, root) for figure in self.pictures],
        }


def picture(figure: Drawn, root: str) -> dict[str, Any]:
    """A drawn figure as the templates take it."""
    links = {place.rpartition(".")[2]: f"{root}{place}" for place in files_of(figure)}
    files = [(suffix.upper(), links[suffix]) for suffix in ("pdf", "svg", "png", "csv") if suffix in links]
    return {
        "alt": figure.alt, "caption": figure.caption, "source": links["svg"], "files": files,
        "inches": figure.inches,
    }  # fmt: skip


def files_of(figure: Drawn) -> dict[str, bytes]:
    """The files of a figure, its data among them, by their places in the report."""
    data = {} if figure.frame is None else {"csv": frame_csv(figure.frame, DIGITS).encode()}
    return {f"figures/{figure.name}.{suffix}": content for suffix, content in {**figure.files, **data}.items()}


def anytime(summary: Summary, benchmark: str, name: str, room: int | None, *, columns: int) -> Figures:
    """The best so far over time.

    room: points of a curve that the browser draws, None for a picture; columns: of a paper, that a picture is wide.
    """
    from reports import curves, drawing  # matplotlib takes a second to import
    from reports.figures import anytime as module

    caption = drawing.caption(module, f"{benchmark}.")
    if room is None:
        frame = curves.anytime(summary, benchmark)
        make = partial(drawing.anytime_figure, summary, benchmark)
        return Figures((), [drawing.draw(name, caption, make, frame, columns=columns)])
    return Figures([(interactive.anytime(summary, benchmark, room, name=name), f"{caption} {TO_SWITCH}")])


def hypervolume(summary: Summary, benchmark: str, name: str, room: int | None, *, columns: int) -> Figures:
    """The hypervolume over time, where a benchmark has several objectives; room, columns: as for `anytime`."""
    from reports import curves, drawing
    from reports.figures import hypervolume as module

    here = summary.studies[summary.studies["benchmark"] == benchmark]
    if fronts.COLUMN not in here or here[fronts.COLUMN].isna().all():
        return Figures()
    caption = drawing.caption(module, f"{benchmark}: {' and '.join(summary.facts[benchmark]['objectives'])}.")
    if room is None:
        make = partial(drawing.hypervolume_figure, summary, benchmark)
        frame = curves.hypervolume(summary, benchmark)
        return Figures((), [drawing.draw(name, caption, make, frame, columns=columns)])
    return Figures([(interactive.hypervolume(summary, benchmark, room, name=name), f"{caption} {TO_SWITCH}")])


def learning_curves(
    studies: Sequence[Study], facts: Mapping[str, Any], name: str, room: int | None, *, columns: int
) -> Figures:
    """The learning curves of studies of one benchmark and seed, a panel each; room, columns: as for `anytime`."""
    from reports import drawing
    from reports.figures import learning_curves as module

    if not studies:
        return Figures()
    several = len(studies) > 1
    what = studies[0].benchmark if several else f"{studies[0].arm} on {studies[0].benchmark}"
    caption = drawing.caption(module, f"{what}, seed {studies[0].seed}.")
    if room is None:
        events = {study.arm: study.events for study in studies}
        budget = max(float(study.outcome["budget"]) for study in studies)
        beside = 1 if columns == 1 else 3 if len(studies) > WIDE else 2
        make = partial(drawing.learning_curves_figure, events, facts, budget, columns=beside)
        frame = pd.concat([study.points.assign(arm=study.arm) for study in studies])
        return Figures((), [drawing.draw(name, caption, make, frame, columns=columns)])
    figure = interactive.learning_curves(studies, facts, room, name=name)
    return Figures([(figure, f"{caption} {TO_SWITCH}" if several else caption)])


def workers(study: Study, facts: Mapping[str, Any], name: str, room: int | None, *, columns: int) -> Figures:
    """What each worker did when in one study; room: jobs that the browser draws, None for a picture; columns: its."""
    from reports import drawing
    from reports.figures import timeline

    caption = drawing.caption(timeline, f"{study.arm} on {study.benchmark}, seed {study.seed}.")
    if room is None:
        jobs, number = {study.arm: study.jobs}, {study.arm: int(study.outcome["workers"])}
        make = partial(drawing.timeline_figure, jobs, number, facts, float(study.outcome["budget"]))
        return Figures((), [drawing.draw(name, caption, make, study.jobs, columns=columns)])
    figure = interactive.workers(study, facts, room, name=name)
    return Figures([(figure, f"{caption} {figure['note']}".strip())])


def validation_test(summary: Summary, benchmark: str, name: str, room: int | None, *, columns: int) -> Figures:
    """What the selected configs are worth on validation and on test, where that was looked up; as `anytime`."""
    from reports import drawing
    from reports.figures import validation_test as module

    here = summary.studies[summary.studies["benchmark"] == benchmark]
    if not np.isfinite(here[["final", "final_test"]].astype(float)).all(axis=1).any():
        return Figures()
    caption = drawing.caption(module, f"{benchmark}.")
    if room is None:
        frame = here[["arm", "seed", "final", "final_test", "overtuned"]]
        make = partial(drawing.validation_test_figure, summary, benchmark)
        return Figures((), [drawing.draw(name, caption, make, frame, columns=columns)])
    return Figures([(interactive.validation_test(summary, benchmark, name=name), f"{caption} {TO_SWITCH}")])


def over_benchmarks(summary: Summary, events: pd.DataFrame, *, static: bool, columns: int) -> Figures:
    """The figures over all benchmarks, files of each; those over time are drawn in the browser too."""
    from reports import style, suite_figures

    looks = style.styles(unique(summary.studies["arm"]))
    found = Figures()
    for figure in suite_figures.draw(summary, events, columns=columns):
        if static or figure.name not in OVER_TIME or figure.frame is None:
            found += Figures((), [figure])
        else:
            live = interactive.over_budget(figure.frame, looks, name=figure.name, title=OVER_TIME[figure.name])
            found += Figures([(live, f"{figure.caption} {TO_SWITCH}")], (), [figure])
    return found
