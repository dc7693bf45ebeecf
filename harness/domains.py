"""Hyperparameters: what values one may take, and where each value lies in [0, 1].

A domain has one law, said once: a value is drawn by decoding a uniform number, so a sample follows exactly what the
encoding says (a rounded log-uniform integer has no half-sized end values here). Everything is scalar Python floats:
one path for one config and for a thousand, the same bits for both.

Every domain answers the same calls; `size` is the number of its values, None where infinite, `width` of its
coordinates.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

Value = float | int | str | bool
Scale = Literal["linear", "log", "reverse_log"]


@dataclass(frozen=True)
class Prior:
    """Where a user expects the optimum: a value, and a standard deviation on the encoded axis [0, 1]."""

    value: Value
    spread: float = 0.25

    def __post_init__(self) -> None:
        if not (math.isfinite(self.spread) and self.spread > 0):
            raise ValueError(f"the spread of a prior must be positive, given {self.spread}")


def _to_reverse_log(value: float) -> float:
    return -math.log1p(-value)


def _from_reverse_log(position: float) -> float:
    return -math.expm1(-position)


# From a value to its place on the axis on which it is uniform, and back.
TO_AXIS: dict[Scale, Callable[[float], float]] = {"linear": float, "log": math.log, "reverse_log": _to_reverse_log}
FROM_AXIS: dict[Scale, Callable[[float], float]] = {"linear": float, "log": math.exp, "reverse_log": _from_reverse_log}
NUMBERS = (int, float)
AXIS = ("_start", "_length", "_to_axis", "_from_axis")


@dataclass(frozen=True)
class Float:
    """A number of a closed interval, uniform on a linear, logarithmic or reversed logarithmic scale."""

    lower: float
    upper: float
    scale: Scale = "linear"
    prior: Prior | None = None
    width = 1
    size = None
    _start: float = field(init=False, repr=False, compare=False)
    _length: float = field(init=False, repr=False, compare=False)
    _to_axis: Callable[[Any], float] = field(init=False, repr=False, compare=False)
    _from_axis: Callable[[float], float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lower) and math.isfinite(self.upper) and self.lower < self.upper):
            raise ValueError(f"bounds must be finite and rise, given {self.lower} and {self.upper}")
        if self.scale == "log" and self.lower <= 0:
            raise ValueError(f"a logarithmic scale needs a positive lower bound, given {self.lower}")
        if self.scale == "reverse_log" and not (self.lower >= 0 and self.upper < 1):
            raise ValueError(f"a reversed logarithmic scale lies in [0, 1), given {self.lower} to {self.upper}")
        to_axis, from_axis = TO_AXIS[self.scale], FROM_AXIS[self.scale]
        start = to_axis(self.lower)
        for name, part in zip(AXIS, (start, to_axis(self.upper) - start, to_axis, from_axis), strict=True):
            object.__setattr__(self, name, part)

    def encode(self, value: Value) -> tuple[float]:
        """Where a value lies: `width` coordinates in [0, 1]."""
        return ((self._to_axis(value) - self._start) / self._length,)

    def decode(self, position: Sequence[float]) -> float:
        """The value nearest to coordinates."""
        return self.draw(min(max(position[0], 0.0), 1.0))

    def draw(self, quantile: float) -> float:
        """The value at a quantile of the law."""
        value = self._from_axis(self._start + quantile * self._length)
        lower, upper = self.lower, self.upper
        return lower if value < lower else upper if value > upper else value

    def contains(self, value: object) -> bool:
        """Whether a value may be taken."""
        return isinstance(value, NUMBERS) and value.__class__ is not bool and self.lower <= value <= self.upper

    def cast(self, text: str) -> float:
        """The value that a command line means; ValueError for none."""
        return float(text)

    def grid(self, points: int) -> list[float]:
        """Evenly spread values, `points` of them where there are so many."""
        return [self.draw(i / (points - 1) if points > 1 else 0.5) for i in range(points)]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, for `domain_from_json`."""
        kind = {"linear": "uniform", "log": "loguniform", "reverse_log": "reverse_loguniform"}[self.scale]
        return {"type": kind, "lower": self.lower, "upper": self.upper}

    def __str__(self) -> str:
        return f"{self.to_json()['type']}({self.lower:g}, {self.upper:g})"


@dataclass(frozen=True)
class Integer:
    """A whole number, both ends included, in equal cells on a linear or logarithmic scale."""

    lower: int
    upper: int
    log: bool = False
    prior: Prior | None = None
    width = 1
    _start: float = field(init=False, repr=False, compare=False)
    _length: float = field(init=False, repr=False, compare=False)
    _to_axis: Callable[[Any], float] = field(init=False, repr=False, compare=False)
    _from_axis: Callable[[float], float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (float(self.lower).is_integer() and float(self.upper).is_integer() and self.lower < self.upper):
            raise ValueError(f"bounds must be whole numbers and rise, given {self.lower} and {self.upper}")
        # Whole numbers that are written as floats would make floats of what is drawn at the ends.
        object.__setattr__(self, "lower", int(self.lower))
        object.__setattr__(self, "upper", int(self.upper))
        if self.log and self.lower < 1:
            raise ValueError(f"a logarithmic scale needs a lower bound of at least 1, given {self.lower}")
        scale: Scale = "log" if self.log else "linear"
        to_axis, from_axis = TO_AXIS[scale], FROM_AXIS[scale]
        start = to_axis(self.lower - 0.5)
        for name, part in zip(AXIS, (start, to_axis(self.upper + 0.5) - start, to_axis, from_axis), strict=True):
            object.__setattr__(self, name, part)

    @property
    def size(self) -> int:
        """How many values there are."""
        return self.upper - self.lower + 1

    def encode(self, value: Value) -> tuple[float]:
        """Where a value lies: `width` coordinates in [0, 1]."""
        return ((self._to_axis(value) - self._start) / self._length,)

    def decode(self, position: Sequence[float]) -> int:
        """The value nearest to coordinates."""
        return self.draw(min(max(position[0], 0.0), 1.0))

    def draw(self, quantile: float) -> int:
        """The value at a quantile of the law."""
        value = math.floor(self._from_axis(self._start + quantile * self._length) + 0.5)
        lower, upper = self.lower, self.upper
        return lower if value < lower else upper if value > upper else value

    def contains(self, value: object) -> bool:
        """Whether a value may be taken."""
        inside = isinstance(value, NUMBERS) and value.__class__ is not bool and self.lower <= value <= self.upper
        return inside and float(value).is_integer()  # type: ignore[arg-type]

    def cast(self, text: str) -> int:
        """The value that a command line means; ValueError for none."""
        return int(text)

    def grid(self, points: int) -> list[int]:
        """Evenly spread values, `points` of them where there are so many."""
        if points >= self.size:
            return list(range(self.lower, self.upper + 1))
        count = points
        return list(dict.fromkeys(self.draw((i + 0.5) / count) for i in range(count)))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, for `domain_from_json`."""
        return {"type": "lograndint" if self.log else "randint", "lower": self.lower, "upper": self.upper}

    def __str__(self) -> str:
        return f"{self.to_json()['type']}({self.lower}, {self.upper})"


@dataclass(frozen=True)
class Ordinal:
    """One of some values in their order: in equal cells, or where `scale` is given each nearest in value."""

    values: tuple[Value, ...]
    scale: Literal["linear", "log"] | None = None
    prior: Prior | None = None
    width = 1
    _edges: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _centres: dict[Value, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.values) < 2 or len(set(self.values)) != len(self.values):
            raise ValueError(f"an ordinal needs at least two different values, given {list(self.values)}")
        count = len(self.values)
        if self.scale is None:
            edges = [i / count for i in range(count + 1)]
            centres = [(i + 0.5) / count for i in range(count)]
        else:
            numbers = [TO_AXIS[self.scale](float(value)) for value in self.values]
            if any(a >= b for a, b in pairwise(numbers)):
                raise ValueError(f"values on a {self.scale} scale must rise, given {list(self.values)}")
            gap = (numbers[-1] - numbers[0]) / (count - 1)
            start, length = numbers[0] - gap / 2, (numbers[-1] - numbers[0]) + gap
            edges = [0.0, *(((a + b) / 2 - start) / length for a, b in pairwise(numbers)), 1.0]
            centres = [(number - start) / length for number in numbers]
        object.__setattr__(self, "_edges", tuple(edges[1:-1]))
        object.__setattr__(self, "_centres", dict(zip(self.values, centres, strict=True)))

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    def encode(self, value: Value) -> tuple[float]:
        """Where a value lies: `width` coordinates in [0, 1]."""
        return (self._centres[value],)

    def decode(self, position: Sequence[float]) -> Value:
        """The value nearest to coordinates."""
        return self.draw(position[0])

    def draw(self, quantile: float) -> Value:
        """The value at a quantile of the law."""
        return self.values[bisect_right(self._edges, quantile)]

    def contains(self, value: object) -> bool:
        """Whether a value may be taken."""
        return value in self.values

    def cast(self, text: str) -> Value:
        """The value that a command line means; ValueError for none."""
        return _cast_to_one_of(text, self.values)

    def grid(self, points: int) -> list[Value]:
        """All values, however many `points` are wanted of numbers."""
        return list(self.values)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, for `domain_from_json`."""
        plain: dict[str, Any] = {"type": "ordinal", "values": list(self.values)}
        return plain | ({"scale": self.scale} if self.scale else {})

    def __str__(self) -> str:
        return f"ordinal({', '.join(map(str, self.values))})"


@dataclass(frozen=True)
class Choice:
    """One of some values without an order; one coordinate a value, or a single one where there are two."""

    values: tuple[Value, ...]
    prior: Prior | None = None

    def __post_init__(self) -> None:
        if len(self.values) < 2 or len(set(self.values)) != len(self.values):
            raise ValueError(f"a choice needs at least two different values, given {list(self.values)}")

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.values)

    @property
    def width(self) -> int:
        """How many coordinates a value has."""
        return 1 if len(self.values) == 2 else len(self.values)

    def encode(self, value: Value) -> tuple[float, ...]:
        """Where a value lies: `width` coordinates in [0, 1]."""
        index = self.values.index(value)
        if self.width == 1:
            return (float(index),)
        return tuple(float(i == index) for i in range(self.width))

    def decode(self, position: Sequence[float]) -> Value:
        """The value nearest to coordinates."""
        if self.width == 1:
            return self.values[position[0] > 0.5]
        return self.values[max(range(self.width), key=lambda i: (position[i], -i))]

    def draw(self, quantile: float) -> Value:
        """The value at a quantile of the law."""
        return self.values[min(int(quantile * len(self.values)), len(self.values) - 1)]

    def contains(self, value: object) -> bool:
        """Whether a value may be taken."""
        return value in self.values

    def cast(self, text: str) -> Value:
        """The value that a command line means; ValueError for none."""
        return _cast_to_one_of(text, self.values)

    def grid(self, points: int) -> list[Value]:
        """All values, however many `points` are wanted of numbers."""
        return list(self.values)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, for `domain_from_json`."""
        return {"type": "choice", "values": list(self.values)}

    def __str__(self) -> str:
        return f"choice({', '.join(map(str, self.values))})"


Domain = Float | Integer | Ordinal | Choice


def _cast_to_one_of(text: str, values: tuple[Value, ...]) -> Value:
    for value in values:
        if str(value) == text:
            return value
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool):
            with suppress(ValueError):
                if float(text) == value:
                    return value
    raise ValueError(f"must be one of {list(values)}, given {text!r}")


def uniform(lower: float, upper: float) -> Float:
    """A float, uniform between both ends."""
    return Float(float(lower), float(upper))


def loguniform(lower: float, upper: float) -> Float:
    """A float whose logarithm is uniform."""
    return Float(float(lower), float(upper), "log")


def reverse_loguniform(lower: float, upper: float) -> Float:
    """A float of [0, 1) such that 1 - value is log-uniform, as for momenta near 1."""
    return Float(float(lower), float(upper), "reverse_log")


def randint(lower: int, upper: int) -> Integer:
    """A whole number, both ends included."""
    return Integer(lower, upper)


def lograndint(lower: int, upper: int) -> Integer:
    """A whole number on a logarithmic scale, both ends included."""
    return Integer(lower, upper, log=True)


def choice(values: Sequence[Value]) -> Choice:
    """One of some values without an order."""
    return Choice(tuple(values))


def ordinal(values: Sequence[Value]) -> Ordinal:
    """One of some ordered values, each with the same probability."""
    return Ordinal(tuple(values))


def logordinal(values: Sequence[float]) -> Ordinal:
    """One of some rising positive numbers, nearest on a logarithmic scale."""
    return Ordinal(tuple(values), "log")


def finrange(lower: float, upper: float, size: int, cast_int: bool = False) -> Ordinal:
    """`size` equally spaced numbers from `lower` to `upper`, to 12 digits, each with the same probability."""
    return _range_of(Float(float(lower), float(upper)), size, cast_int)


def logfinrange(lower: float, upper: float, size: int, cast_int: bool = False) -> Ordinal:
    """`size` numbers equally spaced on a logarithmic scale, to 12 digits, each with the same probability."""
    return _range_of(Float(float(lower), float(upper), "log"), size, cast_int)


def _range_of(domain: Float, size: int, cast_int: bool) -> Ordinal:
    values = domain.grid(size)
    if cast_int:
        return Ordinal(tuple(dict.fromkeys(round(value) for value in values)))
    # As one would write them, so that a config with 0.3 is one: rounding would make 0.30000000000000004 of it.
    inner = (float(f"{value:.12g}") for value in values[1:-1])
    return Ordinal((domain.lower, *inner, domain.upper)[:size])


CONSTRUCTORS = {
    "uniform": uniform,
    "loguniform": loguniform,
    "reverse_loguniform": reverse_loguniform,
    "randint": randint,
    "lograndint": lograndint,
    "choice": choice,
    "ordinal": ordinal,
    "logordinal": logordinal,
    "finrange": finrange,
    "logfinrange": logfinrange,
}


def domain_from_json(name: str, plain: dict[str, Any]) -> Domain:
    """A domain from `{"type": "loguniform", "lower": ..., "upper": ...}`; a prior may stand beside."""
    arguments = dict(plain)
    kind = arguments.pop("type", None)
    prior = arguments.pop("prior", None)
    scale = arguments.pop("scale", None)
    if kind not in CONSTRUCTORS:
        raise ValueError(f"hyperparameter {name!r} has the type {kind!r}; possible are {', '.join(CONSTRUCTORS)}")
    if scale is not None and (kind != "ordinal" or scale not in ("linear", "log")):
        raise ValueError(
            f"hyperparameter {name!r} of type {kind!r} has the scale {scale!r}: only an ordinal has one, linear or "
            "log; a number on a logarithmic scale is of the type loguniform or lograndint"
        )
    try:
        domain: Domain = CONSTRUCTORS[kind](**arguments)
        if scale is not None:
            domain = replace(domain, scale=scale)
        return domain if prior is None else replace(domain, prior=_prior_from_json(prior))
    except TypeError as error:
        raise ValueError(f"hyperparameter {name!r} of type {kind!r}: {error}") from None
    except ValueError as error:
        raise ValueError(f"hyperparameter {name!r}: {error}") from None


def _prior_from_json(plain: Any) -> Prior:
    if not isinstance(plain, Mapping) or not {"value"} <= set(plain) <= {"value", "spread"}:
        raise ValueError(f"a prior is written {{value = 0.1, spread = 0.25}}, given {plain!r}")
    return Prior(**plain)
