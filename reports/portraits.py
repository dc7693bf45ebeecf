"""The figures of one benchmark: what was measured of it, and what its surrogate makes of that."""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, cast

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports import style, trials
from reports.drawing import Drawn, caption, figure_of, save
from reports.figures import fewer_configs, held_out, importance, landscape, levels, measured_curves
from reports.member import Member, Panel

Floats = NDArray[np.float64]

SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
"""The shares of the configs between which the colour of a final loss changes: what matters is at the beginning."""
SMALL = 4.6
"""Inches: a figure that needs no more than one column of a page."""
COLUMNS = 3


def draw(member: Member, stem: str) -> list[Drawn]:
    """The figures of one benchmark for which there is what they show; stem: of its files."""
    drawn: list[Drawn] = []
    with matplotlib.rc_context(cast(Any, style.RC)):
        for module, figure in figures(member):
            name = module.__name__.rpartition(".")[2].replace("_", "-")
            figure.suptitle(member.name, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
            drawn.append(Drawn(f"{name}-{stem}", caption(module, f"{member.name}."), save(figure)))
    return drawn


def figures(member: Member) -> Iterator[tuple[ModuleType, Figure]]:
    """The modules of the figures that can be drawn, and the figures."""
    metric, card = str(member.facts.get("metric", "loss")), member.card or {}
    if member.curves is not None and len(member.curves):
        finals = final_losses(member.curves)
        top = cap(member.curves["loss"].to_numpy(dtype=float), member.facts.get("diverged"))
        yield measured_curves, curves_figure(member, metric, ranked(finals, top), top)
        if member.panels:
            top = cap(finals, member.facts.get("diverged"))
            yield landscape, landscape_figure(member.panels, metric, ranked(finals, top), _limits(finals, top))
    if card.get("importance"):
        shares = pd.DataFrame([{"hyperparameter": name, **share} for name, share in card["importance"].items()])
        yield importance, small_figure(0.9 + 0.26 * len(shares), lambda axes: importance.draw(shares, axes))
    if card.get("levels agree with the last"):
        agreement, unit = pd.DataFrame(card["levels agree with the last"]), str(member.facts.get("unit", "level"))
        yield levels, small_figure(3.0, lambda axes: levels.draw(agreement, axes, unit=unit))
    if card.get("held_out"):
        frame = pd.DataFrame(card["held_out"], columns=["measured", "predicted", "diverged"])
        noise, top = member.facts.get("noise"), member.facts.get("diverged")
        yield held_out, small_figure(4.4, lambda axes: held_out.draw(frame, axes, metric=metric, noise=noise, cap=top))
    if card.get("with fewer configs"):
        frame = pd.DataFrame(card["with fewer configs"])
        least = {line["line"]: line["bounds"][0] for line in card["lines"]}
        yield fewer_configs, small_figure(3.0, lambda axes: fewer_configs.draw(frame, axes, trusted=least))


def final_losses(curves: pd.DataFrame) -> Floats:
    """The last loss of each run (runs,), infinite where it diverged."""
    last = curves.groupby("run", sort=True)[["loss", "diverged"]].last()
    loss = last["loss"].to_numpy(dtype=float)
    return np.where(last["diverged"].to_numpy(dtype=bool) | np.isnan(loss), np.inf, loss)


def cap(losses: Floats, diverged: float | None) -> float:
    """The loss at which axes end: where a run counts as diverged if any went so far, else above the bulk or all."""
    if diverged is None:
        return trials.limits(losses)[1]
    least, worst = float(np.nanmin(losses)), float(np.nanmax(losses))
    return diverged if worst >= diverged else min(diverged, worst + 0.04 * (worst - least or 1.0))


def ranked(finals: Floats, top: float) -> tuple[Colormap, BoundaryNorm]:
    """Dark to light over final losses (runs,) by their rank, in the steps of `SHARES`; what diverged is lightest."""
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.94, 256))
    edges = np.unique(np.quantile(np.minimum(finals, top), SHARES))
    if len(edges) < 2:
        edges = edges[0] + np.array([-0.5, 0.5])
    return LinearSegmentedColormap.from_list("rank", shades, N=256), BoundaryNorm(edges, 256)


def _limits(finals: Floats, top: float) -> tuple[float, float]:
    low = float(min(finals.min(), top))
    return low - 0.04 * (top - low or 1.0), top


def curves_figure(member: Member, metric: str, shades: tuple[Colormap, BoundaryNorm], top: float) -> Figure:
    """All measured curves of a benchmark."""
    assert member.curves is not None
    plateau = member.facts.get("plateau")
    figure = figure_of(height=4.0)
    axes = figure.add_subplot()
    colours, norm = shades
    losses = member.curves["loss"].to_numpy(dtype=float)
    measured_curves.draw(
        member.curves,
        axes,
        colours=colours,
        norm=norm,
        limits=_limits(losses[np.isfinite(losses)] if np.isfinite(losses).any() else np.array([top - 1]), top),
        metric=metric,
        unit=str(member.facts.get("unit", "level")),
        plateau=plateau if plateau is not None and plateau <= top else None,
    )
    _rank_bar(figure, axes, shades, metric)
    return figure


def landscape_figure(
    panels: Sequence[Panel], metric: str, shades: tuple[Colormap, BoundaryNorm], limits: tuple[float, float]
) -> Figure:
    """The surface over the two hyperparameters that matter most, and below it a panel for each other one."""
    colours, norm = shades
    wide = [panel for panel in panels if len(panel.hyperparameters) == 2]
    narrow = [panel for panel in panels if len(panel.hyperparameters) == 1]
    columns = COLUMNS if wide else 1
    heights = [3.2] * len(wide) + [1.8 if wide else 3.2] * -(-len(narrow) // columns)
    figure = figure_of(height=0.5 + sum(heights))
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    places = [figure.add_subplot(grid[0, :]) for _ in wide]
    for place in range(len(narrow)):
        beside = places[len(wide)] if place % columns else None
        axes = figure.add_subplot(grid[len(wide) + place // columns, place % columns], sharey=beside)
        axes.tick_params(labelleft=place % columns == 0)
        places.append(axes)
    for panel, axes in zip([*wide, *narrow], places, strict=True):
        landscape.draw(
            panel.frame, axes, hyperparameters=panel.hyperparameters, colours=colours, norm=norm, limits=limits
        )
    for axes in places[len(wide) :: columns]:
        axes.set_ylabel(metric)
    _rank_bar(figure, places, shades, metric)
    return figure


def small_figure(height: float, drawing: Callable[[Any], None]) -> Figure:
    """A figure of one panel, narrow enough for a column."""
    figure = figure_of(SMALL, height)
    drawing(figure.add_subplot())
    return figure


def _rank_bar(figure: Figure, panels: Any, shades: tuple[Colormap, BoundaryNorm], metric: str) -> None:
    colours, norm = shades
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=panels, aspect=35, pad=0.02, spacing="uniform")
    edges = [float(edge) for edge in norm.boundaries]
    said = [f"{edge:.4g}" for edge in edges]
    if len(edges) == len(SHARES):
        said = [f"{words}  {100 * share:.0f} %" for words, share in zip(said, SHARES, strict=True)]
    bar.set_ticks(edges, labels=said)
    bar.ax.minorticks_off()
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.set_label(f"final {metric}, and the share of runs that are better")
