"""Figures that the browser draws from their data: what `templates/page.js` needs of each, as plain JSON.

The data is the frame that the static figure draws, thinned to what a screen can show, so that a report of many
benchmarks stays small; where it is thinned, the figure says so. Losses that are not finite are the text "inf".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports import curves, style, text, trials
from reports.incumbent import Floats
from reports.outcomes import unique
from reports.regret import scale
from reports.study_page import Study
from reports.summary import Summary

DIGITS = 5
"""Significant ones of a number: a ten-thousandth of a figure is less than a pixel, and hovering shows no more."""
CLASSES = len(style.SHADES)
"""Groups of levels that a reader can tell apart by their shade."""
BEGIN = 0.01
"""The share of the budget from which curves over benchmarks are shown, as anytime scores count from it."""
DASHES = {"-": "solid", "--": "dash", ":": "dot"}
"""What the plotting library calls the dashes of a style."""
ENDS = {"stopped": "|", "failed": "×"}
"""What is marked at the end of a trial, and how."""


class Room(NamedTuple):
    """How many rows of data a report shows of each thing, so that it stays small however much it compares."""

    curve: int
    """Points of one method's curve over time."""
    panel: int
    """Points of one method's learning curves among others."""
    study: int
    """Points of the learning curves on a study's own page."""
    jobs: int
    """Jobs on a study's own page."""

    @staticmethod
    def of(studies: int) -> Room:
        """What a report of so many methods x benchmarks has room for."""
        shares = ((24_000, 120, 2000), (20_000, 100, 3000), (44_000, 220, 8000), (20_000, 100, 4000))
        return Room(*(min(max(total // max(studies, 1), least), most) for total, least, most in shares))


def columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """A frame as lists by column: numbers of few digits, None for what is not known, infinities as text."""
    return {str(name): [_plain(value) for value in frame[name].tolist()] for name in frame}


def anytime(summary: Summary, benchmark: str, room: int, *, name: str) -> dict[str, Any]:
    """The best loss so far against time, a group per arm."""
    facts, frame = summary.facts[benchmark], curves.anytime(summary, benchmark)
    begin, bottom, top = curves.window(frame, facts.get("optimum"), facts.get("median")) if len(frame) else (0.0, 0, 1)
    return _over_time(
        summary, benchmark, frame, room, name=name, begin=begin, references=_references(summary, benchmark),
        y={"column": "loss", "title": f"best {facts.get('metric', 'loss')} so far", "range": [bottom, top]},
    )  # fmt: skip


def hypervolume(summary: Summary, benchmark: str, room: int, *, name: str) -> dict[str, Any]:
    """The hypervolume against time, a group per arm."""
    frame = curves.hypervolume(summary, benchmark)
    begin, top = curves.shares_window(frame)
    return _over_time(
        summary, benchmark, frame.assign(own=True), room, name=name, begin=begin,
        y={"column": "hypervolume", "title": "hypervolume, share of the front's", "range": [0.0, top]},
        references=[{"name": "front of the benchmark", "kind": "line", "axis": "y", "value": 1}],
    )  # fmt: skip


def _over_time(
    summary: Summary,
    benchmark: str,
    frame: pd.DataFrame,
    room: int,
    *,
    name: str,
    begin: float,
    y: dict[str, Any],
    references: list[dict[str, Any]],
) -> dict[str, Any]:
    """Means with bands against time, a group per arm, from `begin` to the budget.

    frame: columns arm, time, the column that `y` names, low, high, seeds, and own: whether every study has a value of
    its own by then.
    """
    here = summary.studies[summary.studies["benchmark"] == benchmark]
    budget = float(here["budget"].max())
    log = bool(0 < begin < budget / curves.SPREAD)
    looks = style.styles(unique(summary.studies["arm"]))
    groups = [
        {
            "name": str(arm),
            "note": _count(curve),
            **_look(looks[str(arm)]),
            "own": int(np.argmax(curve["own"])) if curve["own"].any() else len(curve),
            "band": bool(curve["seeds"].iloc[0] >= curves.FEWEST),
            "columns": columns(curve[["time", y["column"], "low", "high"]]),
        }
        for arm, curve in ((arm, sampled(curve, room, log=log)) for arm, curve in frame.groupby("arm", sort=False))
    ]
    x = _time(summary.facts[benchmark], budget)
    return {
        "name": name,
        "kind": "curves",
        "x": x | {"log": True, "range": [begin, budget]} if log else x,
        "y": y,
        "groups": groups,
        "references": references,
    }


def over_budget(frame: pd.DataFrame, looks: Mapping[str, style.Style], *, name: str, title: str) -> dict[str, Any]:
    """A quantity over all benchmarks against the share of the budget, a group per arm.

    frame: columns arm, time, center, low, high.
    """
    frame = frame[frame["time"] >= BEGIN * (1 - 1e-9)]
    ends = frame[["center", "low", "high"]].to_numpy(dtype=float)
    known = ends[np.isfinite(ends)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    y: dict[str, Any] = {"column": "center", "title": title, "range": [low, high]}
    if name == "suite-curve":
        y |= {"log": True, "range": [low / 1.05, 1.05]}
    elif name == "average-rank":
        y |= {"range": [frame["arm"].nunique() + 0.15, 0.85]}  # the best at the top
    else:
        y |= {"range": [0.0, 1.02]}
    groups = [
        {
            "name": str(arm),
            "note": "",
            **_look(looks[str(arm)]),
            "own": 0,
            "band": True,
            "columns": columns(curve[["time", "center", "low", "high"]]),
        }
        for arm, curve in frame.groupby("arm", sort=False)
    ]
    return {
        "name": name,
        "kind": "curves",
        "x": {"column": "time", "title": "share of the budget", "unit": 1, "log": True, "range": [BEGIN, 1.0]},
        "y": y,
        "groups": groups,
        "references": [],
    }


def validation_test(summary: Summary, benchmark: str, *, name: str) -> dict[str, Any]:
    """What the selected configs are worth on validation and on test, a group per arm, a point per study."""
    facts, here = summary.facts[benchmark], summary.studies[summary.studies["benchmark"] == benchmark]
    best = (facts.get("optimum"), facts.get("test", {}).get("optimum"))
    finite = here[np.isfinite(here["final"].astype(float)) & np.isfinite(here["final_test"].astype(float))]
    looks = style.styles(unique(summary.studies["arm"]))
    groups = [
        {
            "name": str(arm),
            "note": f"{int((mine['overtuned'] > 0).sum())} of {len(mine)} overtuned",
            **_look(looks[str(arm)]),
            "columns": columns(mine[["seed", "final", "final_test", "overtuned"]]),
        }
        for arm, mine in finite.groupby("arm", sort=False)
    ]
    reached = np.concatenate([finite["final_test"], finite["final_test"] - finite["overtuned"].fillna(0)])
    metric = facts.get("metric", "loss")
    names, axes = ("best known", "best known on test"), ("x", "y")
    return {
        "name": name,
        "kind": "points",
        "x": {"column": "final", "title": f"final {metric} of the selected config", "unit": 1, "log": False,
              "range": _span(finite["final"].to_numpy(dtype=float), best[0])},
        "y": {"column": "final_test", "title": "its final loss on test", "range": _span(reached, best[1])},
        "groups": groups,
        "references": [
            {"name": words, "kind": "line", "axis": axis, "value": value}
            for words, axis, value in zip(names, axes, best, strict=True)
            if value is not None
        ],
    }  # fmt: skip


def learning_curves(studies: Sequence[Study], facts: Mapping[str, Any], room: int, *, name: str) -> dict[str, Any]:
    """Each trial's losses against time, a panel per study, shaded by the level that the trial reached in the end."""
    losses = np.concatenate([study.points["loss"].to_numpy(dtype=float) for study in studies])
    bottom, top = trials.limits(losses)
    return {
        "name": name,
        "kind": "trials",
        "x": _time(facts, max(float(study.outcome["budget"]) for study in studies)),
        "y": {"title": str(facts.get("metric", "loss")), "range": [bottom, top]},
        **_levels(studies, facts),
        "panels": [_panel(study, top, room) for study in studies],
    }


def workers(study: Study, facts: Mapping[str, Any], room: int, *, name: str) -> dict[str, Any]:
    """What each worker did when: its jobs as bars, shaded by the level at which the trial then stood."""
    budget, done = float(study.outcome["budget"]), study.jobs
    step = trials.every(done, room)
    shown = done[done["trial"] % step == 0].drop(columns="job")
    return {
        "name": name,
        "kind": "workers",
        "x": _time(facts, budget),
        **_levels([study], facts),
        "columns": columns(shown.assign(end=shown["end"].fillna(budget))),
        "note": _left_out(len(done), "job", step),
    }


def _time(facts: Mapping[str, Any], budget: float) -> dict[str, Any]:
    """The axis of a time up to the budget."""
    unit, name = style.time_unit(budget)
    clock = "wall-clock" if facts.get("real") else "simulated"
    return {"column": "time", "title": f"{clock} time [{name}]", "unit": unit, "log": False, "range": [0.0, budget]}


def _levels(studies: Sequence[Study], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The levels at which jobs ended, in at most as many groups as shades can be told apart."""
    ended = np.unique(np.concatenate([study.jobs["level"].to_numpy(dtype=int) for study in studies]))
    parts = [part.tolist() for part in np.array_split(ended[ended > 0], CLASSES) if len(part)]
    places = [-1] if len(parts) == 1 else [round(i * (CLASSES - 1) / (len(parts) - 1)) for i in range(len(parts))]
    classes = [
        {
            "name": str(part[0]) if len(part) == 1 else f"{part[0]} to {part[-1]}",
            "last": part[-1],
            "colour": style.SHADES[place],
        }
        for part, place in zip(parts, places, strict=True)
    ]
    return {"level": str(facts.get("unit", "level")), "classes": classes}


def _panel(study: Study, top: float, room: int) -> dict[str, Any]:
    done, curve = study.jobs, study.points
    ended = done[done["reason"].isin(list(ENDS))]
    step = trials.every(done, room // 2)
    whole = curve[curve["trial"] % step == 0]
    shown = trials.thinned(whole, room)
    counts = {f"{how} ({mark})": int((ended["reason"] == how).sum()) for how, mark in ENDS.items()}
    counts["above the top"] = curve.loc[curve["loss"] > top, "trial"].nunique()
    said = [text.plural(done["trial"].nunique(), "trial"), *(f"{n} {how}" for how, n in counts.items() if n)]
    between = "Points between are left out." if len(shown) < len(whole) else ""
    return {
        "name": study.arm,
        "note": ", ".join(said),
        "thinned": f"{_left_out(len(done), 'job', step)} {between}".strip(),
        "columns": columns(shown),
        "marks": columns(ended.loc[ended["trial"] % step == 0, ["end", "loss", "reason"]]),
    }


def _span(values: Floats, best: float | None) -> list[float]:
    """Limits that show some values and, where it is known, the best that there is."""
    low, high = float(values.min()), float(values.max())
    low = low if best is None else min(low, best)
    room = 0.06 * (high - low) or 0.5
    return [low - room, high + room]


def _references(summary: Summary, benchmark: str) -> list[dict[str, Any]]:
    """What is known without any study: the law of random search, the best known, the noise above it."""
    facts, drawn = summary.facts[benchmark], []
    law, ruler = curves.random_search_law(summary, benchmark), scale(summary.facts[benchmark])
    if len(law):
        drawn.append({"name": "random search (exact law)", "kind": "law", "columns": columns(law)})
    if facts.get("optimum") is not None:
        drawn.append({"name": "best known", "kind": "line", "axis": "y", "value": facts["optimum"]})
    if ruler is not None and facts.get("noise"):
        ends = [ruler.optimum, ruler.optimum + ruler.floor * ruler.span]
        drawn.append({"name": "noise of the final loss", "kind": "strip", "ends": ends})
    return drawn


def sampled(curve: pd.DataFrame, room: int, *, log: bool) -> pd.DataFrame:
    """A curve at so many of its changes: the last before each place of a grid, so that no value is early."""
    if len(curve) <= room:
        return curve
    times = curve["time"].to_numpy(dtype=float)
    first = max(float(times[0]), float(times[-1]) * 1e-3)
    grid = np.geomspace(first, times[-1], room) if log else np.linspace(times[0], times[-1], room)
    kept = np.unique(np.maximum(np.searchsorted(times, grid, side="right") - 1, 0))
    return curve.iloc[kept]


def _look(look: style.Style) -> dict[str, str]:
    return {"colour": look.colour, "marker": look.marker, "dash": DASHES[look.dashes]}


def _count(curve: pd.DataFrame) -> str:
    seeds, failed = int(curve["seeds"].iloc[0]), int(curve["failed"].iloc[0])
    return f"n = {seeds}" + (f", {failed} failed" if failed else "")


def _left_out(rows: int, what: str, step: int) -> str:
    return f"Of {text.plural(rows, what)} those of every {_ordinal(step)} trial are shown." if step > 1 else ""


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _plain(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    if math.isfinite(value):
        return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.{DIGITS}g}")
    return None if math.isnan(value) else "inf" if value > 0 else "-inf"
