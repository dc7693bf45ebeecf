"""How figures look: one colour and one marker for each method, everywhere, told apart by colour-blind readers too.

The palette is Okabe and Ito's (Color Universal Design, 2008) without its yellow, which vanishes on white. An arm's
style follows from its place in the declared order, so that an arm added at the end changes no other's colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SHADES = ("#b9c9d3", "#7fb2c4", "#3f8fa8", "#1f5f8b", "#1b2a6b")
"""Light to dark: how far a trial was trained."""
FAILURE = "#D55E00"
INK = "#222222"
QUIET = "#777777"
FAINT = "#bbbbbb"

COLUMNS = {1: 3.3, 2: 6.8}
"""Inches of a figure as wide as one column of a paper, and as two."""
WIDTH = COLUMNS[2]

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 8.5,
    "figure.labelsize": 8.5,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.color": INK,
    "text.parse_math": False,
    "text.hinting": "none",  # words are as wide in every format as they were when the figure was laid out
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "svg.hashsalt": "foretune",
    "svg.fonttype": "path",
    "savefig.facecolor": "white",
    "figure.facecolor": "white",
    "figure.figsize": (WIDTH, 3.3),
}
SMALLER: dict[str, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 8.0,
    "axes.labelsize": 7.5,
    "figure.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "figure.figsize": (COLUMNS[1], 2.6),
}
"""What is smaller in one column, in which a paper sets its captions smaller too."""


class Style(NamedTuple):
    """How one arm is drawn."""

    colour: str
    marker: str
    dashes: str = "-"
    """Of its curves: with more arms than colours the second round is dashed."""


def rc(columns: int) -> dict[str, Any]:
    """The settings of figures as wide as so many columns of a paper; no letters are below 7 points."""
    return RC | SMALLER if columns == 1 else RC


def styles(arms: Sequence[str]) -> dict[str, Style]:
    """A style for each arm by its place in the declared order."""
    return {
        arm: Style(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], DASHES[i // len(COLOURS) % len(DASHES)])
        for i, arm in enumerate(arms)
    }


def name(words: str, most: int = 26) -> str:
    """A name as a figure has room for it: in one line, cut in its middle where it is longer than so many characters.

    A name that begins with an underscore is set off by a thin space, since matplotlib leaves it out of legends.
    """
    line = " ".join(str(words).split())
    if len(line) > most:
        line = f"{line[: most // 2]}…{line[len(line) - most + most // 2 + 1 :]}"
    return f"\u2009{line}" if line.startswith("_") else line


def time_unit(budget: float) -> tuple[float, str]:
    """The unit in which a time axis up to `budget` seconds reads best: its seconds and its name."""
    for seconds, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if budget >= 3 * seconds:
            return seconds, name
    return 1.0, "s"
