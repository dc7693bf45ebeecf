"""The lines of a quality card that have thresholds, and the verdict: the word of its worst line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

TRUSTED, USABLE, DOUBTFUL = "trusted", "usable", "not for conclusions"
INF = float("inf")


@dataclass(frozen=True)
class Line:
    """A line of the card that has a threshold.

    trusted, usable: the worst values that still deserve the word; a range where both too small and too large is wrong.
    """

    name: str
    trusted: tuple[float, float]
    usable: tuple[float, float]

    def judged(self, value: float | None) -> str:
        """The word that a value deserves; `usable` where it was not measured."""
        if value is None or not np.isfinite(value):
            return USABLE
        if self.trusted[0] <= value <= self.trusted[1]:
            return TRUSTED
        return USABLE if self.usable[0] <= value <= self.usable[1] else DOUBTFUL


TIME = Line("median error of the time of a level", (0.0, 0.05), (0.0, 0.15))
LINES = (
    Line("Spearman of the final loss", (0.95, 1.0), (0.85, 1.0)),
    Line("R2 of the final loss", (0.90, 1.0), (0.75, 1.0)),
    Line("Spearman in the best quarter", (0.75, 1.0), (0.50, 1.0)),
    Line("regret of its optimum, trained again", (-INF, 0.05), (-INF, 0.15)),
    Line("Kendall tau of methods, on tables drawn from it", (0.8, 1.0), (0.6, 1.0)),
    Line("coverage of the 90 % band of seeds", (0.85, 0.95), (0.75, 0.99)),
    Line("diverged share, predicted less true", (-0.02, 0.02), (-0.05, 0.05)),
    TIME,
)
PREDICTED = tuple(line.name for line in LINES[:3])
"""The lines that say how well final losses are predicted."""


def judged(values: Sequence[float | None]) -> list[dict[str, Any]]:
    """The lines as plain values, with what was measured of each."""
    return [
        {
            "line": line.name,
            "value": value,
            "trusted": _spelt(line.trusted),
            "bounds": line.trusted,
            "verdict": line.judged(value),
        }
        for line, value in zip(LINES, values, strict=True)
    ]


def verdict(words: Sequence[str]) -> str:
    """The worst of some words."""
    return max(words, key=(TRUSTED, USABLE, DOUBTFUL).index)


def _spelt(bounds: tuple[float, float]) -> str:
    low, high = bounds
    if low == -INF or (low == 0.0 and high < 1):
        return f"at most {high:g}"
    return f"at least {low:g}" if high == 1.0 else f"{low:g} to {high:g}"
