"""Made-up benchmarks whose curves are a formula: what the contract is checked on.

A config has a place in [0, 1], how far it lies from a corner of the space, and its curve follows from the place alone.
Everything is exact and costs nothing, so a law can be checked on thousands of studies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness._toy_training import falling
from harness.space import Config, Space, choice, lograndint, loguniform, ordinal, uniform
from harness.types import NANOSECONDS, Benchmark, Curve, End, Fidelity, Objective


@dataclass
class Toy:
    """A made-up table: a config's curve follows from its place in [0, 1], here its distance from a corner.

    loss: from place and level; seconds: a level's, from the place; ends: how a curve of this place ends, at the
    second level unless it is complete.
    """

    benchmark: Benchmark
    loss: Callable[[float, int], float] = falling
    seconds: Callable[[float], float] = lambda place: 1 + place / 8
    ends: Callable[[float], End] = lambda place: End.COMPLETE
    digest: str = "toy"
    _curves: dict[tuple[object, ...], Curve] = field(default_factory=dict)

    def under(self, benchmark: Benchmark) -> Toy:
        """The same curves under another benchmark."""
        return replace(self, benchmark=benchmark, _curves={})

    def restricted_space(self) -> Space:
        """The benchmark's space as it is: restricted to rows where it was made so."""
        return self.benchmark.space.opened()

    def facts(self) -> dict[str, Any]:
        """Nothing that a report may state."""
        return {}

    def outside(self, config: Config) -> bool:
        """Nothing is a guess: all is made up."""
        return False

    def final_loss(self, config: Config) -> float:
        """The loss that a config's curve ends with."""
        return self.curve(config, 0).losses[-1][0]

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve of a config, the same for every seed."""
        key = self.benchmark.space.key(config)
        curve = self._curves.get(key)
        if curve is None:
            curve = self._curves[key] = self._computed(config)
        return curve

    def _computed(self, config: Config, cut: int = 2) -> Curve:
        """The curve of a config, which has `cut` levels unless it is complete."""
        coordinates = self.benchmark.space.encode_one(config)
        place = math.fsum(coordinates) / len(coordinates)
        levels, end = self.benchmark.fidelity.levels, self.ends(place)
        levels = levels if end is End.COMPLETE else levels[:cut]
        size = 1.0 - coordinates[0]
        visible = tuple({"loss": self.loss(place, level), "size": size} for level in levels)
        lost = (math.inf,) * len(self.benchmark.objectives)
        return Curve(
            nanoseconds=tuple(round(level * self.seconds(place) * NANOSECONDS) for level in levels),
            losses=tuple(
                lost if end is End.DIVERGED and level == levels[-1] else self.benchmark.losses(metrics)
                for level, metrics in zip(levels, visible, strict=True)
            ),
            metrics=tuple(metrics | {"test": 1.0} for metrics in visible),
            visible=visible,
            end=end,
        )


class StatefulToy(Toy):
    """A toy for methods that change configs in the midst of a training: from then on the new config's own curve."""

    def scheduled(self, schedule: Sequence[tuple[Config, int]], config: Config, seed: int) -> Curve:
        """The curve of a config, whatever was trained before; one that is not complete ends where it would go on."""
        stands = self.benchmark.fidelity.levels.index(schedule[-1][1]) + 1 if schedule else 0
        return self._computed(config, max(2, stands + 1))


MIXED = Space(
    {
        "rate": loguniform(1e-4, 1.0),
        "width": lograndint(4, 512),
        "optimizer": choice(["sgd", "adam", "lion"]),
        "momentum": uniform(0.0, 0.99),
        "batch": ordinal([8, 16, 32, 64]),
    },
    {"momentum": {"optimizer": ["sgd", "lion"]}},
)


def toy_benchmark(
    space: Space = MIXED, levels: tuple[int, ...] = tuple(range(1, 10)), epochs: float = 11, workers: int = 4
) -> Benchmark:
    """A benchmark for toys whose budget is a time in which each worker trains about so many epochs."""
    return Benchmark("toy", space, (Objective("loss"),), Fidelity("epoch", levels), epochs, workers, test_metric="test")
