"""Benchmarks whose curves are a formula: any config is answered, and the optimum is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.randomness import stream
from harness.space import Config, Space
from harness.types import NANOSECONDS, Benchmark, Curve, End
from surrogates._under import check_under

SAMPLE = 1001
"""So many random configs tell what configs come to."""
OF_A_FORMULA = {"source": "a formula, computed here", "licence": "none needed", "citation": "none, it is made up here"}


@dataclass(frozen=True)
class Trained:
    """One run by the formula: the metrics at each level that it reaches, the seconds of a level, and how it ends."""

    metrics: tuple[Mapping[str, float], ...]
    seconds: float
    end: End = End.COMPLETE


@dataclass
class Formula:
    """A made-up benchmark: `train` gives the run of a config in the luck of a seed, None being without luck.

    optimum: the lowest value of the first objective at the last level; noise: the standard deviation of any
    config's value there between seeds; digest: names the formula, its version and its knobs.
    """

    benchmark: Benchmark
    train: Callable[[Config, int | None], Trained]
    optimum: float
    noise: float
    digest: str
    made: Mapping[str, Any]
    _curves: dict[tuple[object, ...], Curve] = field(default_factory=dict[tuple[object, ...], Curve], repr=False)

    def under(self, benchmark: Benchmark) -> Formula:
        """The same formula under a benchmark with other defaults (budget, delays, a part of the space)."""
        check_under(benchmark, self.benchmark, [self.benchmark.objectives[0].metric], "formula")
        return replace(self, benchmark=benchmark, _curves={})

    def restricted_space(self) -> Space:
        """The benchmark's space as it is: the formula answers every config."""
        return self.benchmark.space.opened()

    def facts(self) -> dict[str, Any]:
        """What reports may state: the optimum that the formula has, and what random configs come to without luck."""
        configs = self.benchmark.space.sample(stream("facts", self.benchmark.name), SAMPLE)
        losses = sorted(self.final_loss(config) for config in configs)
        median = losses[SAMPLE // 2]
        about = {"optimum": self.optimum, "median": median, "final_losses": losses, "noise": self.noise}
        return about | {"made": OF_A_FORMULA | dict(self.made)}

    def outside(self, config: Config) -> bool:
        """Never: the formula is the truth."""
        return False

    def final_loss(self, config: Config) -> float:
        """The first objective at the last level, without the luck of a seed."""
        return self.benchmark.losses(self.train(self._whole(config), None).metrics[-1])[0]

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve of a config in the luck of a seed."""
        whole = self._whole(config)
        identity = (seed, *whole.values())
        curve = self._curves.get(identity)
        if curve is None:
            curve = self._curves[identity] = self._curve(self.train(whole, seed))
        return curve

    def _whole(self, config: Config) -> Config:
        return {**self.benchmark.space.constants, **config} if self.benchmark.space.constants else config

    def _curve(self, run: Trained) -> Curve:
        levels = self.benchmark.fidelity.levels[: len(run.metrics)]
        losses = [self.benchmark.losses(metrics) for metrics in run.metrics]
        if run.end is End.DIVERGED:
            losses[-1] = tuple(float("inf") for _ in losses[-1])
        return Curve(
            nanoseconds=tuple(round(level * run.seconds * NANOSECONDS) for level in levels),
            losses=tuple(losses),
            metrics=run.metrics,
            visible=tuple(map(self.benchmark.visible, run.metrics)),
            end=run.end,
        )
