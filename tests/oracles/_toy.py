"""The toys of `foreign_oracle.py` by themselves: a loss that falls with the epoch, in numbers or in every domain."""

import json
import math
from collections.abc import Callable

LEVELS = range(1, 10)


def loss(config: dict, level: int) -> float:
    """As `harness.toys.falling` at the place of a config of two numbers."""
    return falling(coordinates_of(config), level)


def breaks_off(config: dict) -> bool:
    """Whether the training of a config of two numbers fails, as `foreign_oracle.breaking_off` says."""
    return 0.5 < mean(coordinates_of(config)) < 0.65


def coordinates_of(config: dict) -> list:
    """Where a config of two numbers lies in the square."""
    return [share(config["rate"], 1e-4, 1.0, math.log), config["share"]]


def loss_of_every_domain(config: dict, level: int) -> float:
    """The same of a config of every domain; a decay that is inactive lies in the middle."""
    coordinates = [
        share(config["rate"], 1e-4, 1.0, math.log),
        share(config["momentum"], 0.5, 0.999, lambda value: -math.log1p(-value)),
        share(config["width"], 3.5, 512.5, math.log),
        share(config["layers"], 0.5, 6.5),
        *(1.0, 0.0, 0.0),  # whichever optimizer it has of three
        share(config["decay"], 0.0, 0.1) if "decay" in config else 0.5,
        ([8, 16, 32, 64].index(config["batch"]) + 0.5) / 4,
    ]
    return falling(coordinates, level)


def share(value: float, lower: float, upper: float, axis: Callable[[float], float] = float) -> float:
    """How far a value lies between two on an axis."""
    start = axis(lower)
    return (axis(value) - start) / (axis(upper) - start)


def falling(coordinates: list, level: int) -> float:
    """What `harness.toys.falling` says at the mean of coordinates."""
    place = mean(coordinates)
    return place + (1 + place) / level


def mean(coordinates: list) -> float:
    """The place of a config, as the toys have it."""
    return math.fsum(coordinates) / len(coordinates)


def say(tried: list) -> None:
    """Print what was tried, as JSON; a library's numbers may be numpy's."""
    print(json.dumps(tried, default=lambda number: number.item()))
