"""What the surrogate predicts of configs that the fit had not seen, against what was measured. The band around equality
is twice the spread between seeds of one config: no prediction can be relied on to be nearer. Diverged configs are the
crosses at the right edge, at the loss that was predicted in case they did not.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from reports import style

DIVERGED = "#D55E00"


def draw(frame: pd.DataFrame, axes: Axes, *, metric: str, noise: float | None = None, cap: float | None = None) -> None:
    """Draw predictions of held-out configs.

    frame: columns measured, predicted, diverged, a row a config; noise: the standard deviation between seeds; cap: the
    loss at which both axes end.
    """
    measured, predicted = (frame[name].to_numpy(dtype=float) for name in ("measured", "predicted"))
    gone = frame["diverged"].to_numpy(dtype=bool) | ~np.isfinite(measured)
    shown = np.concatenate([measured[~gone], predicted[~gone & np.isfinite(predicted)]])
    low, high = (float(shown.min()), float(shown.max())) if len(shown) else (0.0, 1.0)
    high = high if cap is None else min(high, cap)
    room = 0.05 * (high - low) or 0.5
    low, high = low - room, high + room
    line = np.array([low, high])
    if noise is not None:
        axes.fill_between(line, line - 2 * noise, line + 2 * noise, color=style.FAINT, alpha=0.6, linewidth=0, zorder=1)
    axes.plot(line, line, color=style.QUIET, linewidth=0.9, zorder=2)
    inside = np.clip(predicted, low, high)
    axes.scatter(
        np.minimum(measured[~gone], high), inside[~gone], s=9, color=style.COLOURS[0], alpha=0.6, linewidths=0, zorder=3
    )
    known = gone & ~np.isnan(predicted)
    axes.scatter(
        np.full(int(known.sum()), high), inside[known], s=16, marker="x", color=DIVERGED, linewidths=0.9, zorder=4,
        clip_on=False,
    )  # fmt: skip
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6))
    axes.set_xlabel(f"measured {metric}")
    axes.set_ylabel(f"predicted {metric}")
    counts = {"configs": int((~gone).sum()), "diverged (×)": int(gone.sum())}
    axes.annotate(
        ", ".join(f"{count} {what}" for what, count in counts.items() if count),
        (0, 1), (0, 4), "axes fraction", "offset points", va="bottom", fontsize=7.5, color=style.QUIET,
    )  # fmt: skip
