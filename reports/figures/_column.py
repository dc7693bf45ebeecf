"""What is otherwise where a figure is as narrow as one column of a paper: legends go below, names are cut shorter."""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import style

NARROW = 4.5
"""Inches: a narrower figure has no room for anything beside its axes."""
SHORT = 20
"""Characters of a name for which there is room beside the axes of a narrow figure."""


def narrow(axes: Axes) -> bool:
    """Whether the figure has no room beside its axes."""
    return cast(Figure, axes.get_figure(root=True)).get_figwidth() < NARROW


def name(words: str, axes: Axes, most: int = 26) -> str:
    """A name as there is room for it beside the axes, in a wide figure with so many characters."""
    return style.name(words, min(most, SHORT) if narrow(axes) else most)


def legend(axes: Axes, handles: Sequence[Artist] | None = None, **wide: Any) -> None:
    """Name the methods beside the axes, or below a narrow figure in as many columns as it has room for.

    handles: by default those of all that is drawn with a label; wide: where the legend of a wide figure goes and how
    it looks, if not at the upper right.
    """
    entries = axes.get_legend_handles_labels()[0] if handles is None else handles
    if not narrow(axes):
        beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0}
        axes.legend(handles=entries, **{**beside, **wide})
        return
    figure = cast(Figure, axes.get_figure(root=True))
    for columns in range(len(entries), 0, -1):
        below = figure.legend(
            handles=entries, loc="outside lower left", ncols=columns, columnspacing=1.2, handlelength=1.5
        )
        if columns == 1 or below.get_window_extent().width <= figure.bbox.width:
            return
        below.remove()
