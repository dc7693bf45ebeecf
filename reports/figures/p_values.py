"""The share of tests whose p is at most so large. Where two methods are the same and the tests keep their level, it is
the diagonal, and 5 % of the tests lie left of the grey line; a test with few possible values goes up in steps, which
should touch the diagonal from below.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports import style

LEVEL = 0.05


def draw(frame: pd.DataFrame, axes: Axes, *, styles: Mapping[str, style.Style]) -> None:
    """Draw the law of the p-values of each test; frame: columns test, p."""
    axes.plot([0, 1], [0, 1], color=style.QUIET, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.axvline(LEVEL, color=style.FAINT, linewidth=0.9, zorder=1)
    for test, mine in frame.groupby("test", sort=False):
        p = np.sort(mine["p"].to_numpy(dtype=float))
        share = np.arange(1, len(p) + 1) / len(p)
        axes.plot(
            np.concatenate([[0], p, [1]]), np.concatenate([[0], share, [1]]), drawstyle="steps-post", linewidth=1.4,
            color=styles[str(test)].colour, label=f"{test}\n{100 * np.mean(p <= LEVEL):.1f} %", zorder=2,
        )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_xlabel("p")
    axes.set_ylabel("share of tests with at most this p")
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0,
        title=f"with p at most {LEVEL:g}",
        alignment="left",
    )
