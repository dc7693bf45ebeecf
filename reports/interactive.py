"""Figures that the browser draws from their data: what `templates/page.js` needs of each, as plain JSON.

The data is the frame that the static figure draws, thinned to what a screen can show, so that a report of many
benchmarks stays small; where it is thinned, the figure says so. Losses that are not finite are the text "inf".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports import curves, style, text, trials
from reports.outcomes import unique
from reports.regret import scale
from reports.summary import Summary

CLASSES = len(style.SHADES)
"""Groups of levels that a reader can tell apart by their shade."""
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
        shares = ((40_000, 150, 2000), (40_000, 150, 3000), (80_000, 350, 8000), (40_000, 150, 4000))
        return Room(*(min(max(total // max(studies, 1), least), most) for total, least, most in shares))


def columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """A frame as lists by column: numbers of six digits, None for what is not known, infinities as text."""
    return {str(name): [_plain(value) for value in frame[name].tolist()] for name in frame}


def anytime(summary: Summary, benchmark: str, room: int, *, name: str) -> dict[str, Any]:
    """The best loss so far against time, a group per arm."""
    facts, here = summary.facts[benchmark], summary.studies[summary.studies["benchmark"] == benchmark]
    frame, budget = curves.anytime(summary, benchmark), float(here["budget"].max())
    unit, unit_name = style.time_unit(budget)
    begin, bottom, top = curves.window(frame, facts.get("optimum"), facts.get("median")) if len(frame) else (0.0, 0, 1)
    log = bool(0 < begin < budget / curves.SPREAD)
    looks = style.styles(unique(summary.studies["arm"]))
    groups = [
        {
            "name": str(arm),
            "note": _count(curve),
            **_look(looks[str(arm)]),
            "own": int(np.argmax(curve["own"])) if curve["own"].any() else len(curve),
            "band": bool(curve["seeds"].iloc[0] >= curves.FEWEST),
            "columns": columns(curve[["time", "loss", "low", "high"]]),
        }
        for arm, curve in ((arm, sampled(curve, room, log=log)) for arm, curve in frame.groupby("arm", sort=False))
    ]
    clock = "wall-clock" if facts.get("real") else "simulated"
    return {
        "name": name,
        "kind": "curves",
        "x": {"column": "time", "title": f"{clock} time [{unit_name}]", "unit": unit, "log": log,
              "range": [begin if log else 0.0, budget]},
        "y": {"column": "loss", "title": f"best {facts.get('metric', 'loss')} so far", "range": [bottom, top]},
        "groups": groups,
        "references": _references(summary, benchmark),
    }  # fmt: skip


def learning_curves(
    events: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], budget: float, room: int, *, name: str
) -> dict[str, Any]:
    """Each trial's losses against time, a panel per arm, shaded by the level that the trial reached in the end."""
    every = {arm: trials.points(frame) for arm, frame in events.items()}
    reached = [curve.groupby("trial")["level"].max() for curve in every.values() if len(curve)]
    classes = _classes(np.unique(np.concatenate(reached)).tolist() if reached else [])
    losses = np.concatenate([curve["loss"].to_numpy(dtype=float) for curve in every.values()] or [np.empty(0)])
    bottom, top = trials.limits(losses)
    unit, unit_name = style.time_unit(budget)
    clock = "wall-clock" if facts.get("real") else "simulated"
    return {
        "name": name,
        "kind": "trials",
        "x": {"title": f"{clock} time [{unit_name}]", "unit": unit, "range": [0.0, budget]},
        "y": {"title": str(facts.get("metric", "loss")), "range": [bottom, top]},
        "level": str(facts.get("unit", "level")),
        "classes": classes,
        "panels": [_panel(arm, events[arm], curve, top, room) for arm, curve in every.items()],
    }


def workers(events: pd.DataFrame, facts: Mapping[str, Any], budget: float, room: int, *, name: str) -> dict[str, Any]:
    """What each worker did when: its jobs as bars, shaded by the level that the trial reached in the end."""
    done = trials.jobs(events)
    step = trials.every(done, room)
    shown = done[done["trial"] % step == 0].drop(columns="job")
    unit, unit_name = style.time_unit(budget)
    clock = "wall-clock" if facts.get("real") else "simulated"
    return {
        "name": name,
        "kind": "workers",
        "x": {"title": f"{clock} time [{unit_name}]", "unit": unit, "range": [0.0, budget]},
        "level": str(facts.get("unit", "level")),
        "classes": _classes(np.unique(done.loc[done["reached"] > 0, "reached"]).tolist()),
        "columns": columns(shown.assign(end=shown["end"].fillna(budget))),
        "note": _left_out(len(done), "job", step),
    }


def _panel(arm: str, events: pd.DataFrame, curve: pd.DataFrame, top: float, room: int) -> dict[str, Any]:
    done = trials.jobs(events)
    ended = done[done["ended"].isin(list(ENDS))]
    step = trials.every(done, room // 2)
    shown = trials.thinned(curve[curve["trial"] % step == 0], room)
    counts = {f"{how} ({mark})": int((ended["ended"] == how).sum()) for how, mark in ENDS.items()}
    counts["above the top"] = curve.loc[curve["loss"] > top, "trial"].nunique()
    said = [text.plural(done["trial"].nunique(), "trial"), *(f"{n} {how}" for how, n in counts.items() if n)]
    marks = ended[ended["trial"] % step == 0][["trial", "end", "loss", "ended"]]
    return {
        "name": arm,
        "note": ", ".join(said),
        "thinned": " ".join(
            part
            for part in (
                _left_out(len(done), "job", step),
                "" if len(shown) == int((curve["trial"] % step == 0).sum()) else "Points between are left out.",
            )
            if part
        ),
        "columns": columns(shown),
        "marks": columns(marks),
    }


def _references(summary: Summary, benchmark: str) -> list[dict[str, Any]]:
    """What is known without any study: the law of random search, the best of the table, the noise above it."""
    facts, drawn = summary.facts[benchmark], []
    law, ruler = curves.random_search_law(summary, benchmark), scale(summary.facts[benchmark])
    if len(law):
        drawn.append({"name": "random search (exact law)", "kind": "law", "columns": columns(law)})
    if facts.get("optimum") is not None:
        drawn.append({"name": "best of the table", "kind": "line", "value": facts["optimum"]})
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


def _classes(levels: Sequence[int]) -> list[dict[str, Any]]:
    """Levels in at most as many groups as shades can be told apart: each with its last level, its name, its shade."""
    parts = [part.tolist() for part in np.array_split(np.asarray(levels, dtype=int), CLASSES) if len(part)]
    shades = [style.SHADES[round(i * (CLASSES - 1) / max(len(parts) - 1, 1))] for i in range(len(parts))]
    shades = shades if len(parts) != 1 else [style.SHADES[-1]]
    return [
        {"name": str(part[0]) if len(part) == 1 else f"{part[0]} to {part[-1]}", "last": int(part[-1]), "colour": shade}
        for part, shade in zip(parts, shades, strict=True)
    ]


def _look(look: style.Style) -> dict[str, str]:
    return {"colour": look.colour, "marker": look.marker}


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
    if np.isfinite(value):
        return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.6g}")
    return None if np.isnan(value) else "inf" if value > 0 else "-inf"
