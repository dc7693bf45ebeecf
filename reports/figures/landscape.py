"""How the expected final loss depends on the hyperparameters, those that matter most first. Above: the two with the
largest importance; the surface is what the best tenth of random settings of all others reach there, and points are
measured configs, in the same colours (a cross: diverged). Below: each other one; the line is the median over random
settings of the rest, the band reaches from the best tenth to the worst, and above the top edge lies what diverged.
Where a hyperparameter is inactive, nothing is drawn.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.colors import BoundaryNorm, Colormap
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from reports import style

Floats = NDArray[np.float64]
Hyperparameter = tuple[str, Mapping[str, Any]]
"""A name, and the domain as its space writes it: `{"type": "loguniform", "lower": 1e-3, "upper": 1}`."""

DIVERGED = "#D55E00"
CATEGORIES = ("choice", "ordinal")
MOST_LABELS = 9
CHARACTERS = 20
"""Of the words below a narrow panel that fit side by side."""
GOLDEN = (0.6180339887498949, 0.7548776662466927)
"""Multiples of these modulo 1 fill an interval evenly, and the two together a square."""
FEW = 12
"""Whole numbers with fewer values are drawn as cells, and points spread in them, lest equal values hide each other."""


def draw(
    frame: pd.DataFrame,
    axes: Axes,
    *,
    hyperparameters: Sequence[Hyperparameter],
    colours: Colormap,
    norm: BoundaryNorm,
    limits: tuple[float, float],
) -> None:
    """Draw how the final loss depends on one hyperparameter or two.

    frame: columns x, with two also y, in the hyperparameters' units (the place of a category among its values), and
    loss; rows that were `measured` and rows that are expected, these with one hyperparameter also with low and high;
    colours and norm: of losses; limits: of the loss axis.
    """
    measured = frame["measured"].to_numpy(dtype=bool)
    if len(hyperparameters) == 2:
        _surface(frame[~measured], axes, hyperparameters, colours, norm)
        _scale(axes.yaxis, *hyperparameters[1], room=2)
    else:
        _line(frame[~measured], axes, hyperparameters[0][1])
        axes.set_ylim(*limits)
    _scale(axes.xaxis, *hyperparameters[0], room=len(hyperparameters))
    points = frame[measured]
    losses = points["loss"].to_numpy(dtype=float)
    x = _spread(points["x"].to_numpy(dtype=float), hyperparameters[0][1], GOLDEN[0])
    y = np.minimum(losses, limits[1])
    if len(hyperparameters) == 2:
        y = _spread(points["y"].to_numpy(dtype=float), hyperparameters[1][1], GOLDEN[1])
    _points(axes, x, y, colours(norm(np.minimum(losses, norm.boundaries[-1]))), gone=~(losses < limits[1]))


def _surface(
    expected: pd.DataFrame, axes: Axes, across: Sequence[Hyperparameter], colours: Colormap, norm: BoundaryNorm
) -> None:
    grid = expected.pivot(index="y", columns="x", values="loss")
    x, y = grid.columns.to_numpy(dtype=float), grid.index.to_numpy(dtype=float)
    losses = np.ma.masked_invalid(np.minimum(grid.to_numpy(dtype=float), norm.boundaries[-1]))
    if any(_stepped(domain) for _, domain in across) or min(losses.shape) < 2:
        edges = [_edges(values, domain) for values, (_, domain) in zip((x, y), across, strict=True)]
        axes.pcolormesh(*edges, losses, cmap=colours, norm=norm, rasterized=True)
        return
    axes.contourf(x, y, losses, levels=norm.boundaries, cmap=colours, norm=norm, extend="both")


def _points(axes: Axes, x: Floats, y: Floats, shades: Floats, *, gone: NDArray[np.bool_]) -> None:
    """Measured configs, those that are gone as crosses."""
    every: dict[str, Any] = {"zorder": 3, "clip_on": False}
    axes.scatter(x[~gone], y[~gone], s=13, color=shades[~gone], edgecolors="white", linewidths=0.4, **every)
    axes.scatter(x[gone], y[gone], s=10, marker="x", color=DIVERGED, linewidths=0.8, **every)


def _line(expected: pd.DataFrame, axes: Axes, domain: Mapping[str, Any]) -> None:
    expected = expected.sort_values("x")
    x, middle, low, high = (expected[name].to_numpy(dtype=float) for name in ("x", "loss", "low", "high"))
    if _stepped(domain):
        axes.bar(x, high - low, bottom=low, width=0.7, color=style.FAINT, alpha=0.45, zorder=1)
        axes.hlines(middle, x - 0.35, x + 0.35, color=style.INK, linewidth=1.6, zorder=4)
        return
    axes.fill_between(x, low, high, color=style.FAINT, alpha=0.45, linewidth=0, zorder=1)
    axes.plot(x, middle, color=style.INK, linewidth=1.6, zorder=4)


def _spread(values: Floats, domain: Mapping[str, Any], step: float) -> Floats:
    """Values of few steps moved by up to .3 of a step, evenly and the same each time."""
    if not _stepped(domain):
        return values
    return values + 0.6 * ((np.arange(len(values)) + 0.5) * step % 1 - 0.5)


def _stepped(domain: Mapping[str, Any]) -> bool:
    """Whether a hyperparameter has few values, each with a cell of its own."""
    return domain["type"] in CATEGORIES or (domain["type"] == "randint" and domain["upper"] - domain["lower"] < FEW)


def _to_axis(values: Floats, domain: Mapping[str, Any]) -> Floats:
    match domain["type"]:
        case "loguniform" | "lograndint":
            return np.log(values)
        case "reverse_loguniform":
            return -np.log1p(-values)
        case _:
            return values


def _from_axis(values: Floats, domain: Mapping[str, Any]) -> Floats:
    match domain["type"]:
        case "loguniform" | "lograndint":
            return np.exp(values)
        case "reverse_loguniform":
            return -np.expm1(-values)
        case _:
            return values


def _edges(values: Floats, domain: Mapping[str, Any]) -> Floats:
    """The edges of cells around rising values, halfway on the hyperparameter's own axis."""
    if domain["type"] in CATEGORIES:
        return np.append(values, values[-1] + 1) - 0.5
    inner = _to_axis(values, domain)
    ends = _to_axis(np.array(_bounds(domain)), domain)
    return _from_axis(np.concatenate([ends[:1], (inner[:-1] + inner[1:]) / 2, ends[1:]]), domain)


def _bounds(domain: Mapping[str, Any]) -> tuple[float, float]:
    if domain["type"] in CATEGORIES:
        return -0.5, len(domain["values"]) - 0.5
    half = 0.5 if domain["type"].endswith("randint") else 0.0
    return domain["lower"] - half, domain["upper"] + half


def _scale(axis: Axis, name: str, domain: Mapping[str, Any], *, room: int) -> None:
    """Set an axis as its domain wants it: scale, limits, ticks, name; room: 1 in a narrow panel, else 2."""
    across = isinstance(axis, XAxis)
    low, high = _bounds(domain)
    axes = axis.axes
    axis.set_label_text(name)
    if domain["type"] in CATEGORIES:
        _categories(axis, list(map(str, domain["values"])), turned=across, room=room)
    elif domain["type"] in ("loguniform", "lograndint"):
        (axes.set_xscale if across else axes.set_yscale)("log")
        axis.set_major_locator(LogLocator(subs=(1.0,) if high / low >= 100 else (1.0, 2.0, 5.0), numticks=4 * room))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        if high / low < 100:
            axis.set_minor_locator(NullLocator())
    elif domain["type"] == "reverse_loguniform":
        functions = (lambda v: -np.log1p(-np.minimum(v, 1 - 1e-12)), lambda v: -np.expm1(-v))  # pyright: ignore[reportUnknownLambdaType]
        (axes.set_xscale if across else axes.set_yscale)("function", functions=functions)
        axis.set_major_locator(FixedLocator(_near_one(low, high)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(nbins=5, integer=domain["type"] == "randint"))
    (axes.set_xlim if across else axes.set_ylim)(low, high)


def _categories(axis: Axis, words: Sequence[str], *, turned: bool, room: int) -> None:
    step = -(-len(words) // MOST_LABELS)
    axis.set_ticks(list(range(0, len(words), step)), labels=words[::step])
    if turned and sum(map(len, words[::step])) > CHARACTERS * (1 if room == 1 else 3):
        for label in axis.get_ticklabels():
            label.set(rotation=30, ha="right", rotation_mode="anchor", fontsize=7)
    axis.set_tick_params(length=0)


def _near_one(low: float, high: float) -> list[float]:
    """Round numbers of an interval that ends near 1: its nines, and where those are few also halves between them."""
    for steps in ((1.0,), (1.0, 5.0), (1.0, 2.0, 5.0)):
        found = sorted(1 - step * 10.0**-k for k in range(8) for step in steps)
        inside = [round(value, 9) for value in found if low <= value <= high]
        if len(inside) > 2:
            return inside
    return [low, high]
