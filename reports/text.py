"""How numbers are written for a reader: the digits that matter, and times in the unit that fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

NONE = "–"

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, with an exponent only where it would be long without."""
    if math.isnan(value):
        return NONE
    if math.isinf(value) or value == 0:
        return "0" if value == 0 else "inf" if value > 0 else "-inf"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size > 5:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(digits - 1 - size, 0)}f}"


def interval(center: float, low: float, high: float, decimals: int) -> str:
    """An estimate and its interval, "0.31 [0.18, 0.52]"; the estimate alone where no interval is known."""
    if math.isnan(center):
        return NONE
    if abs(center) >= 1e6:
        return number(center) if math.isnan(low) else f"{number(center)} [{number(low)}, {number(high)}]"
    if math.isnan(low):
        return f"{center:.{decimals}f}"
    return f"{center:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def decimals(centers: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> int:
    """The decimals that suit a column: two digits of the median half-width, but three of the largest estimate."""
    widths = [(high - low) / 2 for low, high in zip(lows, highs, strict=True) if 0 < high - low < math.inf]
    sizes = [abs(center) for center in centers if 0 < abs(center) < math.inf]
    by_width = 1 - math.floor(math.log10(median(widths))) if widths else 0
    by_size = (2 if widths else 3) - math.floor(math.log10(max(sizes))) if sizes else 0
    return min(max(by_width, by_size, 0), 4)


def estimates(centers: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> list[str]:
    """A column of estimates with their intervals, all with the decimals that suit it."""
    exact = decimals(centers, lows, highs)
    return [interval(*parts, exact) for parts in zip(centers, lows, highs, strict=True)]


def p_value(p: float) -> str:
    """What stands behind a p: "= .012", "= .35" or "< .001"."""
    if p < 0.001:
        return "< .001"
    shown = f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
    return f"= {shown.removeprefix('0')}"


def p_cell(p: float) -> str:
    """A p as a cell of a table shows it: ".012", ".35" or "< .001"."""
    return p_value(p).removeprefix("= ")


def seconds(value: float) -> str:
    """A time in the unit that fits: "0.21 s", "42 s", "12 min", "2.5 h", "33 d"."""
    if math.isnan(value):
        return NONE
    size, name = next(((size, name) for size, name in _UNITS if value >= 1.5 * size), (1.0, "s"))
    amount = value / size
    return f"{amount:.2g} {name}" if amount < 9.95 else f"{amount:.0f} {name}"


def share(value: float) -> str:
    """A share in per cent: "0 %", "3 %", "41 %"; "< 1 %" where it is not quite 0, "> 99 %" where not quite 1."""
    if math.isnan(value):
        return NONE
    if 0.995 <= value < 1:
        return "> 99 %"
    return "< 1 %" if 0 < value < 0.01 else f"{100 * value:.0f} %"


def plural(count: int, word: str) -> str:
    """A count of things: "1 seed", "2 seeds", "2 studies"."""
    many = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{count} {word if count == 1 else many}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names in a row, "a, b and c"; where there are many, the first of them and how many there are more."""
    shown, more = list(names[:most]), len(names) - most
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)
