"""The best loss so far against time, for real and simulated from the same seeds: means over seeds with their pointwise
95 % t intervals on logs (drawn from three seeds on). Simulated times are corrected by the speed that the machine
had just before each real study; the dotted line is the simulation as it is. A seed without an incumbent counts as the
median random config, and above that the axis ends. The grey line is the best final loss of the table.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports import style

FEWEST = 3
"""The fewest seeds for which a band is drawn: that of two seeds covers the whole figure."""
LOOKS: Mapping[str, Mapping[str, Any]] = {
    "real": {"color": style.COLOURS[0], "linewidth": 1.6},
    "simulated": {"color": style.COLOURS[1], "linewidth": 1.6, "linestyle": (0, (4, 1.5))},
    "uncorrected": {"color": style.QUIET, "linewidth": 1.1, "linestyle": ":"},
}


def draw(
    frame: pd.DataFrame, axes: Axes, *, budget: float, metric: str, limits: tuple[float, float], optimum: float | None
) -> None:
    """Draw one method in both worlds.

    frame: columns world, time (seconds), loss, low, high, seeds; budget: seconds; limits: of the loss axis.
    """
    unit, name = style.time_unit(budget)
    for world, look in LOOKS.items():
        curve = frame[frame["world"] == world]
        if curve.empty:
            continue
        time = np.append(curve["time"].to_numpy(dtype=float), budget) / unit
        loss, low, high = (np.append(of := curve[end].to_numpy(dtype=float), of[-1]) for end in ("loss", "low", "high"))
        if world != "uncorrected" and int(curve["seeds"].iloc[0]) >= FEWEST:
            axes.fill_between(time, low, high, step="post", color=look["color"], alpha=0.15, linewidth=0)
        axes.plot(time, loss, drawstyle="steps-post", label=world, **look)
    if optimum is not None:
        axes.axhline(optimum, color=style.FAINT, linewidth=1.0, zorder=0)
    axes.set_xlim(0, budget / unit)
    axes.set_ylim(*limits)
    axes.set_xlabel(f"time [{name}]")
    axes.set_ylabel(f"best {metric} so far")
