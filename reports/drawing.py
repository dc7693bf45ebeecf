"""Figures as files, the same bytes for the same numbers.

Figures are built on matplotlib's objects with the Agg canvas: no pyplot, no state that outlives a call. Dates and
versions are left out of the files and the names inside an SVG come from a fixed salt.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, cast

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from PIL import Image

from reports import curves, style, trials
from reports.figures import anytime, hypervolume, learning_curves, timeline, validation_test
from reports.figures._column import narrow
from reports.figures._shades import scale_of
from reports.outcomes import MISSING
from reports.regret import scale
from reports.summary import Summary

PNG_DPI = 160
LEVEL_BAR = 2.0
"""Inches of height below which the label of the bar of levels would be cut off."""
AROUND_LEGEND = 0.5
"""Inches of a figure's height that a legend beside its axes leaves to the title and the axis below."""
FORMATS: dict[str, dict[str, Any]] = {
    "svg": {"metadata": {"Date": None, "Creator": None}},
    "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
    "png": {"metadata": {"Software": None}, "dpi": PNG_DPI},
}


class Drawn(NamedTuple):
    """A figure as it is shown: the stem of its files' names, its caption, the files by suffix, and its data."""

    name: str
    caption: str
    files: dict[str, bytes]
    frame: pd.DataFrame | None = None

    @property
    def inches(self) -> float:
        """How wide it is."""
        found = re.search(rb'width="([\d.]+)pt"', self.files["svg"])
        return float(found[1]) / 72 if found else style.WIDTH

    @property
    def alt(self) -> str:
        """Which figure it is, and what of, for who cannot see it."""
        return f"{self.name.replace('-', ' ')}: {self.caption.partition('.')[0]}"


def draw(name: str, caption: str, make: Callable[[], Figure], frame: pd.DataFrame, *, columns: int = 2) -> Drawn:
    """A figure as files in the style of all figures; frame: its data; columns: of a paper, 1 or 2."""
    with matplotlib.rc_context(cast(Any, style.rc(columns))):
        return Drawn(name, caption, save(make()), frame)


def caption(module: ModuleType, what: str) -> str:
    """What stands under a figure: what it is of, and the docstring of the file that draws it."""
    return f"{what} {' '.join((module.__doc__ or '').split())}"


def anytime_figure(summary: Summary, benchmark: str) -> Figure:
    """The anytime figure of one benchmark."""
    facts, here = summary.facts[benchmark], summary.studies[summary.studies["benchmark"] == benchmark]
    ruler = scale(facts)
    figure = figure_of()
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
        noise=ruler.floor * ruler.span if ruler is not None and facts.get("noise") else None,
    )
    axes.set_title(benchmark, loc="left")
    return figure


def hypervolume_figure(summary: Summary, benchmark: str) -> Figure:
    """The hypervolume of one benchmark over time."""
    here = summary.studies[summary.studies["benchmark"] == benchmark]
    figure = figure_of()
    axes = figure.add_subplot()
    hypervolume.draw(
        curves.hypervolume(summary, benchmark),
        axes,
        styles=style.styles([str(arm) for arm in summary.studies["arm"].unique()]),
        budget=float(here["budget"].max()),
        rule=summary.rule,
        clock="wall-clock" if summary.facts[benchmark].get("real") else "simulated",
    )
    axes.set_title(benchmark, loc="left")
    return figure


def validation_test_figure(summary: Summary, benchmark: str) -> Figure:
    """The selected configs of one benchmark on validation and on test."""
    here = summary.studies[(summary.studies["benchmark"] == benchmark) & (summary.studies["state"] != MISSING)]
    facts = summary.facts[benchmark]
    figure = figure_of()
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


def learning_curves_figure(
    events: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], budget: float, *, columns: int = 2
) -> Figure:
    """The learning curves of studies of one benchmark, a panel each with its name.

    events: of each study by the name that stands above it; budget: seconds; columns: of panels, at most.
    """
    losses = [frame.loc[frame["kind"] == "report", "loss"].to_numpy(dtype=float) for frame in events.values()]
    each = 2.1 if columns > 1 else 1.6
    columns = min(len(events), columns)
    rows = -(-len(events) // columns)
    figure = figure_of(height=0.9 + each * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    levels, bounds = list(facts["levels"]), trials.limits(np.concatenate(losses))
    for (name, frame), axes in zip(events.items(), panels.flat, strict=False):
        learning_curves.draw(frame, axes, levels=levels, limits=bounds, budget=budget, title=name)
    for place, axes in enumerate(panels.flat):
        if place >= len(events):
            axes.set_axis_off()
            panels.flat[place - columns].tick_params(labelbottom=True)  # the shared axis has none below it
    figure.supxlabel(_time_label(facts, budget))
    figure.supylabel(str(facts.get("metric", "loss")))
    level_bar(figure, panels, levels, str(facts.get("unit", "level")))
    return figure


def timeline_figure(
    jobs: Mapping[str, pd.DataFrame], workers: Mapping[str, int], facts: Mapping[str, Any], budget: float
) -> Figure:
    """What each worker did when, a panel a study.

    jobs and workers: of each study by the name that stands above it; budget: seconds.
    """
    heights = [0.35 + 0.13 * min(max(workers[name], 2), 32) for name in jobs]
    figure = figure_of(height=max(0.6 + sum(heights), LEVEL_BAR))
    panels = figure.subplots(len(jobs), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    levels = list(facts["levels"])
    for (name, frame), axes in zip(jobs.items(), panels, strict=True):
        timeline.draw(frame, axes, levels=levels, workers=workers[name], budget=budget, title=name)
    panels[-1].set_xlabel(_time_label(facts, budget))
    figure.supylabel("worker")
    level_bar(figure, panels, levels, str(facts.get("unit", "level")))
    return figure


def _time_label(facts: Mapping[str, Any], budget: float) -> str:
    return f"{'wall-clock' if facts.get('real') else 'simulated'} time [{style.time_unit(budget)[1]}]"


def save(figure: Figure) -> dict[str, bytes]:
    """The figure as SVG, PDF and PNG, by suffix."""
    files: dict[str, bytes] = {}
    _room_for_legends(figure)
    if layout := figure.get_layout_engine():  # laid out here, not again for each format
        for _ in range(2):  # where an image keeps its aspect, names would stand a little outside after the first time
            layout.execute(figure)
    figure.set_layout_engine(None)
    for axes in figure.axes:  # the solver's last digits vary from run to run, and names in an SVG follow from them
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6).tolist())
    for suffix, options in FORMATS.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, **options)
        files[suffix] = _SMALLER.get(suffix, bytes)(buffer.getvalue())
    return files


def _room_for_legends(figure: Figure) -> None:
    """Make the figure taller where a legend beside or below its axes needs that: else they would have no room left."""
    legends = [legend for axes in figure.axes if (legend := axes.get_legend())]
    tallest = max((legend.get_window_extent().height / figure.dpi for legend in legends), default=0.0)
    below = sum(legend.get_window_extent().height / figure.dpi for legend in figure.legends)
    figure.set_figheight(max(figure.get_figheight(), tallest + AROUND_LEGEND) + below)


def _compact(svg: bytes) -> bytes:
    """An SVG in hundredths of a point, finer than any screen or printer, without comments and indents."""
    svg = re.sub(rb"<!--.*?-->", b"", svg, flags=re.DOTALL)
    svg = re.sub(rb'(?<= [xy]=")[^"]*|(?<=translate\()[^)]*', _hundredths, svg)
    svg = re.sub(rb'(?<= d=")[^"]*', _path, svg)
    svg = re.sub(rb'(?<= style=")[^"]*', lambda style: re.sub(rb"([:;]) ", rb"\1", style[0]), svg)
    return re.sub(rb"\n\s+", b"\n", svg)


def _hundredths(places: re.Match[bytes]) -> bytes:
    return re.sub(rb"(\.\d\d)\d+", rb"\1", places[0])


def _path(path: re.Match[bytes]) -> bytes:
    """A path without spaces around its letters: a line a step would be a fifth of a figure's bytes."""
    return re.sub(rb"\s*([A-Za-z])\s*", rb"\1", _hundredths(path)).strip()


def _few_colours(png: bytes) -> bytes:
    """A PNG with a palette of 256 colours, a third of the bytes."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(buffer, format="png", optimize=True, dpi=(PNG_DPI, PNG_DPI))
    return buffer.getvalue()


_SMALLER: dict[str, Callable[[bytes], bytes]] = {"svg": _compact, "png": _few_colours}


def figure_of(width: float | None = None, height: float | None = None) -> Figure:
    """An empty figure of a size in inches, by default that of the style in force."""
    usual = matplotlib.rcParams["figure.figsize"]
    figure = Figure(figsize=(width or usual[0], height or usual[1]), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def level_bar(figure: Figure, panels: Any, levels: Sequence[int], unit: str) -> None:
    """A bar of the colours of levels beside some panels, above them where the figure is narrow."""
    colours, norm = scale_of(levels)
    above = narrow(np.ravel(panels)[0])
    room = int(figure.get_figwidth() / 0.4 if above else figure.get_figheight() / 0.25)
    bar = figure.colorbar(
        ScalarMappable(norm, colours), ax=panels, aspect=30, pad=0.02, spacing="uniform",
        location="top" if above else "right",
    )  # fmt: skip
    middles = [(a + b) / 2 for a, b in zip(norm.boundaries[:-1], norm.boundaries[1:], strict=True)]
    step = -(-len(levels) // min(10, room))
    kept = sorted(range(len(levels) - 1, -1, -step))
    bar.set_ticks([middles[i] for i in kept], labels=[str(levels[i]) for i in kept])
    bar.ax.minorticks_off()
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.set_label(f"{unit} reached in the end")
