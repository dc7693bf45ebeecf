"""How well final losses are predicted of configs that the fit had not seen, by how many others it had: over configs
that neither diverged nor stayed on a plateau, and over the best quarter of all. Dotted is what a trusted surrogate
reaches. Where a line still rises at its end, more configs would help.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from reports import style


def draw(frame: pd.DataFrame, axes: Axes, *, trusted: Mapping[str, float]) -> None:
    """Draw what is reached with so many configs.

    frame: columns configs, then one a line of the card; trusted: the least that is trusted of a line.
    """
    lines = [str(name) for name in frame.columns if name != "configs"]
    for line, look in style.styles(lines).items():
        axes.plot(
            frame["configs"].to_numpy(dtype=float), frame[line].to_numpy(dtype=float), color=look.colour,
            marker=look.marker, markersize=4, linewidth=1.4, clip_on=False, label=line,
        )  # fmt: skip
        axes.axhline(trusted[line], color=look.colour, linestyle=":", linewidth=1.1)
    axes.set_xlim(left=0)
    axes.set_xlabel("configs that it was fitted to")
    axes.set_ylabel("reached on others")
    axes.legend(loc="lower right")
