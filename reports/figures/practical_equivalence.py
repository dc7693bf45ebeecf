"""The best-ranked method against each other one: the probabilities that on a benchmark like these it is better,
practically equal (mean anytime scores that differ by at most the stated region) or worse. Bayesian signed-rank test;
with one of the three at 95 % or more there is a verdict, otherwise the pair is undecided.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports import style
from reports.figures._column import legend, narrow

PARTS = (("better", "#0072B2"), ("equal", "#cfd6dc"), ("worse", "#D55E00"))
SURE = 0.95
NARROW = 0.08
"""A part below this has no room for its number; in a narrow figure it takes twice as much."""


def draw(frame: pd.DataFrame, axes: Axes, *, best: str, region: float) -> None:
    """Draw a bar of three parts for each other arm.

    frame: columns arm, better, equal, worse (of the best against it), in order from the top; region: of scores.
    """
    places = np.arange(len(frame))[::-1]
    begin = np.zeros(len(frame))
    words = {"better": "better", "equal": f"practically equal (±{region:g})", "worse": "worse"}
    for part, colour in PARTS:
        shares = frame[part].to_numpy(dtype=float)
        axes.barh(
            places, shares, left=begin, height=0.62, color=colour, edgecolor="white", linewidth=0.6, label=words[part]
        )
        for place, start, share in zip(places, begin, shares, strict=True):
            if share >= (2 if narrow(axes) else 1) * NARROW:
                axes.text(start + share / 2, place, f"{share:.2f}", ha="center", va="center", fontsize=7.5,
                          color=style.INK if part == "equal" else "white",
                          fontweight="bold" if share >= SURE else "normal")  # fmt: skip
        begin = begin + shares
    axes.set_yticks(places, labels=[style.name(str(arm)) for arm in frame["arm"]])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(frame) - 0.4)
    axes.set_xlabel(f"probability that {style.name(best)} is ...")
    legend(axes, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, handlelength=1.2)
