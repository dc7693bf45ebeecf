"""The comparison made again under other settings, a row each: how two methods differ, with the 95 % t interval. Blue
has the sign of the comparison, orange the other; filled marks are told apart, open ones are not, diamonds are equal. A
grey dot: the setting changes nothing for the two. A mark without an interval: the same at every seed, or, at the edge,
measured otherwise there. The line is where the two are equal, the band the comparison's own interval.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from reports import style

AHEAD, BEHIND = style.COLOURS[0], style.COLOURS[1]
LOOKS: Mapping[str, Mapping[str, Any]] = {
    "holds": {"color": AHEAD, "marker": "o"},
    "same sign": {"color": AHEAD, "marker": "o", "markerfacecolor": "white"},
    "equal": {"color": style.QUIET, "marker": "d"},
    "other sign": {"color": BEHIND, "marker": "s", "markerfacecolor": "white"},
    "reversed": {"color": BEHIND, "marker": "s"},
    "untouched": {"color": style.FAINT, "marker": "o", "markersize": 2},
}
"""How a row is drawn, by its relation to the comparison; one that is not here has no numbers."""
TICKS = (1.05, 1.1, 1.25, 2.0, 5.0, 10.0, 20.0, 100.0, 1000.0)
"""A ratio is labelled at 1, at the largest of these that fits, and at its inverse."""
REACH = 3.0
"""The axis goes so many times as far as the estimates, and cuts longer intervals off."""


def draw(frame: pd.DataFrame, axes: Axes) -> None:
    """Draw what the settings say of one pair, the comparison itself on top.

    frame: columns axis, setting, measure, effect, low, high, relation, a row per setting; the first is the comparison.
    """
    own, places = frame.iloc[0], places_of(frame)
    plain = own["measure"] == "difference"
    even = 0.0 if plain else 1.0
    axes.axvline(even, color=style.QUIET, linewidth=0.8, zorder=1)
    if np.isfinite([own["low"], own["high"]]).all():
        axes.axvspan(own["low"], own["high"], color=style.FAINT, alpha=0.25, linewidth=0, zorder=0)
    columns = frame[["relation", "measure", "effect", "low", "high"]]
    for place, (relation, measure, effect, low, high) in zip(places, columns.itertuples(index=False), strict=True):
        if relation not in LOOKS:
            continue
        look: dict[str, Any] = {"markersize": 4, "markeredgewidth": 1.0, "linestyle": "", **LOOKS[str(relation)]}
        if measure != own["measure"]:
            side = 0.03 if relation in ("holds", "same sign") else 0.97
            axes.plot([side], [place], transform=axes.get_yaxis_transform(), **look)
            continue
        if relation != "untouched":
            axes.plot([low, high], [place, place], color=look["color"], linewidth=1.0, zorder=2)
        axes.plot([effect], [place], zorder=3, **look)
    _effect_axis(axes, frame[frame["measure"] == own["measure"]], plain=plain)
    axes.set_yticks(places, labels=[str(name) for name in frame["setting"]])
    axes.set_ylim(places[-1] - 0.7, places[0] + 0.7)
    axes.tick_params(axis="y", length=0)


def places_of(frame: pd.DataFrame) -> list[float]:
    """Where the rows stand, from the top down, with a gap between what is changed and what is changed next."""
    begins = (frame["axis"] != frame["axis"].shift()).to_numpy()
    return (-(np.arange(len(frame)) + 0.6 * np.cumsum(begins))).tolist()


def _effect_axis(axes: Axes, frame: pd.DataFrame, *, plain: bool) -> None:
    known = frame[["effect", "low", "high"]].to_numpy(dtype=float)
    known = known if plain else np.log(np.maximum(known, np.finfo(float).tiny))
    known = known[np.isfinite(known[:, 0])]
    reach = float(np.max(np.abs(known[:, 0]), initial=0.0))
    longest = float(np.max(np.abs(known[np.isfinite(known)]), initial=0.0))
    limit = 1.08 * min(longest, max(REACH * reach, longest / REACH)) or 1.0
    axes.set_xlim(*((-limit, limit) if plain else (float(np.exp(-limit)), float(np.exp(limit)))))
    if plain:
        axes.locator_params(axis="x", nbins=3)
        return
    axes.set_xscale("log")
    tick = max((tick for tick in TICKS if np.log(tick) < 0.9 * limit), default=1.0)
    ticks = sorted({1 / tick, 1.0, tick})
    axes.set_xticks(ticks, labels=[f"{value:.3g}" for value in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
