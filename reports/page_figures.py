"""The figures of a report's pages, as the browser draws them or, in a static report, as pictures with their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports import interactive
from reports.publishing import as_csv
from reports.study_page import Study
from reports.summary import Summary

if TYPE_CHECKING:
    from reports.drawing import Drawn

TO_SWITCH = "A click on a method switches it off, or on again, in all figures of the page."
WIDE = 6
"""More panels than this stand in three columns instead of two."""


@dataclass(frozen=True)
class Figures:
    """The figures of a page: those that the browser draws, each with its caption, and the pictures."""

    live: Sequence[tuple[dict[str, Any], str]] = ()
    pictures: Sequence[Drawn] = ()

    def __add__(self, other: Figures) -> Figures:
        return Figures([*self.live, *other.live], [*self.pictures, *other.pictures])

    @property
    def data(self) -> dict[str, Any] | None:
        """What stands in the page for the browser, None where it has nothing to draw."""
        return {"figures": [figure for figure, _ in self.live]} if self.live else None

    @property
    def files(self) -> dict[str, bytes]:
        """The files of the pictures, by their places in the report."""
        return {place: content for figure in self.pictures for place, content in files_of(figure).items()}

    def shown(self, root: str) -> dict[str, Any]:
        """As the templates take them; root: from the page to the report's folder."""
        return {
            "interactive": [{"name": figure["name"], "caption": caption} for figure, caption in self.live],
            "pictures": [picture(figure, root) for figure in self.pictures],
        }


def picture(figure: Drawn, root: str) -> dict[str, Any]:
    """A drawn figure as the templates take it."""
    links = {place.rpartition(".")[2]: f"{root}{place}" for place in files_of(figure)}
    files = [(suffix.upper(), links[suffix]) for suffix in ("pdf", "svg", "png", "csv") if suffix in links]
    return {"alt": figure.caption.partition(".")[0], "caption": figure.caption, "source": links["svg"], "files": files}


def files_of(figure: Drawn) -> dict[str, bytes]:
    """The files of a figure, its data among them, by their places in the report."""
    data = {} if figure.frame is None else {"csv": as_csv(figure.frame)}
    return {f"figures/{figure.name}.{suffix}": content for suffix, content in {**figure.files, **data}.items()}


def anytime(summary: Summary, benchmark: str, name: str, room: int | None) -> Figures:
    """The best so far over time; room: points of a curve that the browser draws, None for a picture."""
    from reports import curves, drawing  # matplotlib takes a second to import
    from reports.figures import anytime as module

    caption = drawing.caption(module, f"{benchmark}.")
    if room is None:
        frame = curves.anytime(summary, benchmark)
        return Figures((), [drawing.draw(name, caption, lambda: drawing.anytime_figure(summary, benchmark), frame)])
    return Figures([(interactive.anytime(summary, benchmark, room, name=name), f"{caption} {TO_SWITCH}")])


def learning_curves(studies: Sequence[Study], facts: Mapping[str, Any], name: str, room: int | None) -> Figures:
    """The learning curves of studies of one benchmark and seed, a panel each; room: as for `anytime`."""
    from reports import drawing, trials
    from reports.figures import learning_curves as module

    if not studies:
        return Figures()
    events = {study.arm: study.events for study in studies}
    budget, several = max(float(study.outcome["budget"]) for study in studies), len(studies) > 1
    what = studies[0].benchmark if several else f"{studies[0].arm} on {studies[0].benchmark}"
    caption = drawing.caption(module, f"{what}, seed {studies[0].seed}.")
    if room is None:
        columns = 3 if len(studies) > WIDE else 2
        frame = pd.concat([trials.points(part).assign(arm=arm) for arm, part in events.items()])
        make = partial(drawing.learning_curves_figure, events, facts, budget, columns=columns)
        return Figures((), [drawing.draw(name, caption, make, frame)])
    figure = interactive.learning_curves(events, facts, budget, room, name=name)
    return Figures([(figure, f"{caption} {TO_SWITCH}" if several else caption)])


def workers(study: Study, facts: Mapping[str, Any], name: str, room: int | None) -> Figures:
    """What each worker did when in one study; room: jobs that the browser draws, None for a picture."""
    from reports import drawing, trials
    from reports.figures import workers as module

    budget = float(study.outcome["budget"])
    caption = drawing.caption(module, f"{study.arm} on {study.benchmark}, seed {study.seed}.")
    if room is None:
        make = partial(drawing.workers_figure, study.events, facts, budget)
        return Figures((), [drawing.draw(name, caption, make, trials.jobs(study.events))])
    figure = interactive.workers(study.events, facts, budget, room, name=name)
    return Figures([(figure, f"{caption} {figure['note']}".strip())])
