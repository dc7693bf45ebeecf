"""Figures as files, the same bytes for the same numbers.

Figures are built on matplotlib's objects with the Agg canvas: no pyplot, no state that outlives a call. Dates and
versions are left out of the files and the names inside an SVG come from a fixed salt.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple, cast

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from reports import curves, style
from reports.figures import anytime, learning_curves, validation_test
from reports.outcomes import DONE, MISSING
from reports.summary import Summary

PANELS = 4
FORMATS: dict[str, dict[str, Any]] = {
    "svg": {"metadata": {"Date": None, "Creator": None}},
    "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
    "png": {"metadata": {"Software": None}, "dpi": 160},
}


class Drawn(NamedTuple):
    """A figure as it is shown: the stem of its files' names, its caption, the files by suffix, the numbers in it."""

    name: str
    caption: str
    files: dict[str, bytes]
    frame: pd.DataFrame | None = None


def draw(summary: Summary, events: pd.DataFrame, benchmark: str) -> list[Drawn]:
    """The figures of one benchmark."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", benchmark)
    with matplotlib.rc_context(cast(Any, style.RC)):
        overall = save(anytime_figure(summary, benchmark))
        figure, seed = learning_curves_figure(summary, events, benchmark)
        trials = save(figure)
        held = validation_test_figure(summary, benchmark)
        on_test = (
            [Drawn(f"validation-test-{stem}", caption(validation_test, f"{benchmark}."), save(held))] if held else []
        )
    return [
        Drawn(f"anytime-{stem}", caption(anytime, f"{benchmark}."), overall),
        *on_test,
        Drawn(f"learning-curves-{stem}", caption(learning_curves, f"{benchmark}, seed {seed}."), trials),
    ]


def caption(module: ModuleType, what: str) -> str:
    """What stands under a figure: what it is of, and the docstring of the file that draws it."""
    return f"{what} {' '.join((module.__doc__ or '').split())}"


def anytime_figure(summary: Summary, benchmark: str) -> Figure:
    """The anytime figure of one benchmark."""
    facts, here = summary.facts[benchmark], summary.studies[summary.studies["benchmark"] == benchmark]
    figure = figure_of(style.WIDTH, 3.3)
    axes = figure.add_subplot()
    anytime.draw(
        curves.anytime(summary, benchmark),
        axes,
        styles=style.styles([str(arm) for arm in summary.studies["arm"].unique()]),
        budget=float(here["budget"].max()),
        rule=summary.rule,
        metric=str(facts.get("metric", "loss")),
        clock="wall-clock" if facts.get("real") else "simulated",
        law=curves.random_search_law(summary, benchmark),
        optimum=facts.get("optimum"),
        median=facts.get("median"),
    )
    axes.set_title(benchmark, loc="left")
    return figure


def validation_test_figure(summary: Summary, benchmark: str) -> Figure | None:
    """The selected configs of one benchmark on validation and on test; None where no test loss was looked up."""
    here = summary.studies[(summary.studies["benchmark"] == benchmark) & (summary.studies["state"] != MISSING)]
    if not np.isfinite(here["final_test"].to_numpy(dtype=float)).any():
        return None
    facts = summary.facts[benchmark]
    figure = figure_of(style.WIDTH, 3.6)
    axes = figure.add_subplot()
    validation_test.draw(
        here,
        axes,
        styles=style.styles([str(arm) for arm in summary.studies["arm"].unique()]),
        metric=str(facts.get("metric", "loss")),
        optimum=facts.get("optimum"),
        test_optimum=facts.get("test", {}).get("optimum"),
    )
    axes.set_title(benchmark, loc="left")
    return figure


def learning_curves_figure(summary: Summary, events: pd.DataFrame, benchmark: str) -> tuple[Figure, int]:
    """The learning curves of up to four arms on one benchmark, and the seed that they are of."""
    facts, here = summary.facts[benchmark], summary.studies[summary.studies["benchmark"] == benchmark]
    seed, arms = shown(here)
    frames = _events_of(events, benchmark, seed, arms)
    losses = np.concatenate([frame.loc[frame["kind"] == "report", "loss"].to_numpy(dtype=float) for frame in frames])
    budget, columns = float(here["budget"].max()), min(len(arms), 2)
    rows = -(-len(arms) // 2)
    figure = figure_of(style.WIDTH, 0.9 + 2.1 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    levels, bounds = list(facts["levels"]), learning_curves.limits(losses)
    for arm, frame, axes in zip(arms, frames, panels.flat, strict=False):
        learning_curves.draw(frame, axes, levels=levels, limits=bounds, budget=budget, title=arm)
    for axes in panels.flat[len(arms) :]:
        axes.set_axis_off()
        panels[-2, 1].tick_params(labelbottom=True)  # the shared axis has none below it
    clock = "wall-clock" if facts.get("real") else "simulated"
    figure.supxlabel(f"{clock} time [{style.time_unit(budget)[1]}]", fontsize=8.5)
    figure.supylabel(str(facts.get("metric", "loss")), fontsize=8.5)
    level_bar(figure, panels, levels, str(facts.get("unit", "level")))
    return figure, seed


def save(figure: Figure) -> dict[str, bytes]:
    """The figure as SVG, PDF and PNG, by suffix."""
    files: dict[str, bytes] = {}
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, not again for each format
    for suffix, options in FORMATS.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, **options)
        files[suffix] = buffer.getvalue()
    return files


def figure_of(width: float, height: float) -> Figure:
    """An empty figure of a size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def shown(here: pd.DataFrame) -> tuple[int, list[str]]:
    """The first seed that most arms finished, and the first arms that ran with it."""
    done = here[here["state"] == DONE].groupby("seed").size()
    seed = int(done.index[int(np.argmax(done))] if len(done) else here["seed"].iloc[0])
    ran = here[(here["seed"] == seed) & (here["state"] != MISSING)]
    return seed, [str(arm) for arm in ran["arm"]][:PANELS]


def _events_of(events: pd.DataFrame, benchmark: str, seed: int, arms: Sequence[str]) -> list[pd.DataFrame]:
    block = events[(events["seed"] == seed) & (events["benchmark"] == benchmark)]
    return [block[block["arm"] == arm] for arm in arms]


def level_bar(figure: Figure, panels: Any, levels: Sequence[int], unit: str) -> None:
    """A bar of the colours of levels beside some panels."""
    colours, norm = learning_curves.scale_of(levels)
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=panels, aspect=30, pad=0.02, spacing="uniform")
    middles = [(a + b) / 2 for a, b in zip(norm.boundaries[:-1], norm.boundaries[1:], strict=True)]
    step = -(-len(levels) // 10)
    kept = sorted(range(len(levels) - 1, -1, -step))
    bar.set_ticks([middles[i] for i in kept], labels=[str(levels[i]) for i in kept])
    bar.ax.minorticks_off()
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.set_label(f"{unit} reached in the end")
