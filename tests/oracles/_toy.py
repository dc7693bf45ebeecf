"""The toy of `foreign_oracle.py` by itself: two numbers, a loss that falls with the epoch."""

import json
import math

LEVELS = range(1, 10)


def loss(config: dict, level: int) -> float:
    """As `harness.toys.falling` at the place of a config."""
    start = math.log(1e-4)
    place = math.fsum([(math.log(config["rate"]) - start) / (math.log(1.0) - start), config["share"]]) / 2
    return place + (1 + place) / level


def say(tried: list) -> None:
    """Print what was tried, as JSON."""
    print(json.dumps(tried))
