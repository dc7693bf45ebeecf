"""How much of the variance of the expected final loss the hyperparameters account for, on the scale on which the
surrogate learns it: dark alone (Sobol's first-order index), light with all their interactions (the total index). Totals
may add up to more than 1: an interaction counts for each that takes part in it.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports import style


def draw(frame: pd.DataFrame, axes: Axes) -> None:
    """Draw how much each hyperparameter accounts for.

    frame: columns hyperparameter, alone, total; the first row is drawn at the top.
    """
    places = np.arange(len(frame))
    alone, total = (frame[name].to_numpy(dtype=float) for name in ("alone", "total"))
    axes.barh(places, total, height=0.7, color=style.COLOURS[5], alpha=0.55, label="with interactions")
    axes.barh(places, alone, height=0.35, color=style.COLOURS[0], label="alone")
    for place, share in zip(places, np.fmax(alone, total), strict=True):
        known = bool(np.isfinite(share))
        words, end = (f"{100 * share:.0f} %", share) if known else ("not known", 0)
        axes.annotate(words, (end, place), (4, 0), textcoords="offset points", va="center", fontsize=7.5)
    axes.set_yticks(places, labels=[str(name) for name in frame["hyperparameter"]])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.12 * float(np.nanmax(np.concatenate([alone, total, [0.0]]))), 0.1))
    axes.set_xlabel("share of the variance")
    axes.legend(loc="lower right")
