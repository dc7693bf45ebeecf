"""The figures over all benchmarks of a comparison, those for which there is what they show."""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, cast

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from reports import resources, style, trials
from reports.drawing import Drawn, caption, figure_of, save, timeline_figure
from reports.figures import (
    aggregates,
    average_rank,
    critical_difference,
    decision_overhead,
    heat_map,
    pairwise,
    practical_equivalence,
    resource_use,
    suite_curve,
    target_profile,
    timeline,
    worker_time,
)
from reports.outcomes import shown, unique
from reports.suite import curves
from reports.suite.pairs import REGION
from reports.suite.suite import FINAL, GAP, HYPERVOLUME, IQM, MEAN, Suite
from reports.summary import Summary

Styles = Mapping[str, style.Style]
Made = tuple[ModuleType, Figure, pd.DataFrame, str]
"""The file of a figure, the figure, the numbers in it, and what must be said of it besides its caption."""

STUDIES = 4
"""How many studies the timeline shows; each has a page of its own besides."""
PANELS = (
    (IQM, True, False), (MEAN, True, False), (GAP, False, False), (FINAL, False, True), (HYPERVOLUME, True, False),
)  # fmt: skip
"""Quantities that have a panel where they are known, whether higher is better, and whether they may need logs."""


def draw(summary: Summary, events: pd.DataFrame, *, columns: int = 2) -> list[Drawn]:
    """The figures over all benchmarks; columns: of a paper, 1 or 2."""
    looks = style.styles(unique(summary.studies["arm"]))
    drawn: list[Drawn] = []
    with matplotlib.rc_context(cast(Any, style.rc(columns))):
        for module, figure, frame, said in (
            *_of_suite(summary.suite, looks, columns),
            *_of_events(summary, events, looks, columns),
        ):
            name = module.__name__.rpartition(".")[2].replace("_", "-")
            drawn.append(Drawn(name, caption(module, said).strip(), save(figure), frame))
    return drawn


def _of_suite(suite: Suite, looks: Styles, columns: int) -> Iterator[Made]:
    """What stands on the numbers of the suite; with one benchmark only its aggregates."""
    selection = suite.selection
    if not selection.arms:
        return
    what = _what(suite)
    yield aggregates, _aggregates(suite, looks, columns), suite.aggregates, what
    if len(selection.benchmarks) < 2:
        return
    over_time: tuple[tuple[ModuleType, Callable[[Any], pd.DataFrame]], ...] = (
        (suite_curve, curves.regrets), (average_rank, curves.ranks), (target_profile, curves.targets),
    )  # fmt: skip
    for module, numbers in over_time[: None if len(selection.arms) > 1 else 1]:
        frame = numbers(selection)
        if len(frame):
            figure = figure_of()
            module.draw(frame, figure.add_subplot(), styles=looks)
            yield module, figure, frame, what
    yield heat_map, _heat_map(suite, columns), suite.scores, what
    if len(selection.arms) > 1:
        yield from _of_pairs(suite, looks, f"{what}{f' It {suite.impossible}.' if suite.impossible else ''}", columns)


def _what(suite: Suite) -> str:
    """What a figure is of."""
    selection = suite.selection
    said = f"{len(selection.benchmarks)} benchmarks of {selection.families} families"
    if len(selection.benchmarks) == 1:
        said = selection.benchmarks[0]
    left = f" Left out: {'; '.join(selection.left_out)}." if selection.left_out else ""
    return " ".join(part for part in (f"{said}.{left}", suite.few) if part)


def _aggregates(suite: Suite, looks: Styles, columns: int) -> Figure:
    arms = len(suite.selection.arms)
    known = set(suite.aggregates.loc[suite.aggregates["center"].notna(), "quantity"])
    shown = [panel for panel in PANELS if panel[0] in known]
    beside = len(shown) if columns == 2 else 2
    rows = -(-len(shown) // beside)
    figure = figure_of(height=rows * (0.9 + 0.2 * max(arms, 3)))
    panels = figure.subplots(rows, beside, squeeze=False, sharey=True).flat
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    for axes, (name, higher, logs) in zip(panels, shown, strict=False):
        frame = suite.aggregates[suite.aggregates["quantity"] == name]
        aggregates.draw(frame, axes, styles=looks, higher_is_better=higher, logs=logs)
        axes.set_title(name.replace(", ", ",\n").replace(" at ", "\nat "), loc="left", fontsize="medium")
    return figure


def _heat_map(suite: Suite, columns: int) -> Figure:
    arms, benchmarks = list(suite.selection.arms), len(suite.selection.benchmarks)
    figure = figure_of(height=1.5 + 0.21 * max(benchmarks, 4))
    axes = figure.add_subplot()
    image = heat_map.draw(suite.scores.sort_values("family", kind="stable"), axes, arms=arms)
    side = "right" if columns == 2 else "top"
    bar = figure.colorbar(image, ax=axes, aspect=30, pad=0.02, location=side)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.set_label("score")
    return figure


def _of_pairs(suite: Suite, looks: Styles, what: str, columns: int) -> Iterator[Made]:
    """What stands on the comparison of pairs of arms over benchmarks."""
    ranked = [str(arm) for arm in suite.ranks.sort_values("rank", kind="stable")["arm"]]
    size = 1.9 + 0.36 * max(len(ranked), 4)
    width = min(size + 0.9, style.COLUMNS[columns])
    figure = figure_of(width, width - 0.9)
    axes = figure.add_subplot()
    image = pairwise.draw(suite.pairs, axes, arms=ranked)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.03)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.set_label("P(row is better)")
    yield pairwise, figure, suite.pairs, what
    figure = figure_of(height=0.7 + 0.16 * len(ranked) + 0.12 * len(suite.cliques))
    critical_difference.draw(suite.ranks, figure.add_subplot(), styles=looks, cliques=suite.cliques)
    yield critical_difference, figure, suite.ranks, what
    frame = _against(suite.pairs, ranked)
    figure = figure_of(height=0.9 + 0.24 * len(frame))
    practical_equivalence.draw(frame, figure.add_subplot(), best=ranked[0], region=REGION)
    yield practical_equivalence, figure, frame, what


def _against(pairs: pd.DataFrame, ranked: list[str]) -> pd.DataFrame:
    """The probabilities of the best-ranked arm against each other one: columns arm, better, equal, worse."""
    best, rows = ranked[0], []
    for arm in ranked[1:]:
        pair = pairs[pairs["first"].isin([best, arm]) & pairs["second"].isin([best, arm])].iloc[0]
        better, worse = ("better", "worse") if pair["first"] == best else ("worse", "better")
        rows.append({"arm": arm, "better": pair[better], "equal": pair["equal"], "worse": pair[worse]})
    return pd.DataFrame(rows)


def _of_events(summary: Summary, events: pd.DataFrame, looks: Styles, columns: int) -> Iterator[Made]:
    """What stands on the events themselves."""
    if events.empty:
        return
    used = resources.levels(events, summary.facts)
    if used["level"].nunique() > 1:
        beside = (1, 2) if columns == 2 else (2, 1)
        figure = figure_of(height=beside[0] * style.rc(columns)["figure.figsize"][1])
        resource_use.draw(used, figure.subplots(*beside, sharex=True), styles=looks)
        yield resource_use, figure, used, ""
    time = resources.workers(summary.studies, events)
    if len(time):
        figure = figure_of(height=0.8 + 0.24 * len(time))
        worker_time.draw(time, figure.add_subplot())
        yield worker_time, figure, time, ""
    yield from _timeline(summary, events)
    overhead = resources.decisions(summary.studies, events, summary.facts)
    if len(overhead):
        figure = figure_of()
        decision_overhead.draw(overhead, figure.add_subplot(), styles=looks)
        yield decision_overhead, figure, overhead, ""


def _timeline(summary: Summary, events: pd.DataFrame) -> Iterator[Made]:
    """The workers of up to four arms on the first benchmark, with one seed."""
    benchmark = unique(summary.studies["benchmark"])[0]
    here = summary.studies[summary.studies["benchmark"] == benchmark]
    seed, ran = shown(here)
    arms = ran[:STUDIES]
    if not arms:
        return
    facts, budget = summary.facts[benchmark], float(here["budget"].max())
    mine = events[(events["benchmark"] == benchmark) & (events["seed"] == seed)]
    frames = {arm: trials.jobs(mine[mine["arm"] == arm]) for arm in arms}
    workers = {arm: int(here.loc[here["arm"] == arm, "workers"].max()) for arm in arms}
    figure = timeline_figure(frames, workers, facts, budget)
    whole = pd.concat([frame.assign(arm=arm) for arm, frame in frames.items()], ignore_index=True)
    left = f" The first {STUDIES} methods of {len(ran)}." if len(ran) > STUDIES else ""
    yield timeline, figure, whole, f"{benchmark}, seed {seed}.{left}"
