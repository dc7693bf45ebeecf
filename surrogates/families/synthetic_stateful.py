"""A small model of training whose state carries over when the config changes: for population-based training.

Stochastic gradient descent on a quadratic with eight curvatures, followed in expectation: in the direction of
curvature h the mean square distance m from the minimum becomes, by a step of rate r with gradients of noise s^2 /
batch,

    m <- (1 - r h)^2 m + r^2 h^2 s^2 / batch

and the loss is the sum of h m / 2 (the noisy quadratic model of Zhang et al., "Which Algorithmic Choices Matter at
Which Batch Sizes?", arXiv 1907.04164, section 3). A large rate falls fast and stays high, a small one falls low and
slowly, so a rate that falls in the course of a training beats every fixed one. Beyond 2 / max h it diverges. A level is
a fixed number of examples. The seed chooses where a training starts. All is a formula, nothing was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.randomness import number, stream
from harness.space import Config, Space, lograndint, loguniform
from harness.types import NANOSECONDS, Benchmark, Curve, End, Fidelity, Objective
from surrogates._formula import OF_A_FORMULA
from surrogates._under import check_under

Array = NDArray[np.float64]

CURVATURES: Array = np.geomspace(0.02, 1.0, 8)
NOISE = 4.0
EXAMPLES = 1024
DIVERGED = 1e4
SECONDS, SECONDS_A_STEP = 4.0, 0.02

BENCHMARKS = (
    Benchmark(
        name="synthetic_stateful",
        space=Space({"lr": loguniform(1e-3, 4.0), "batch_size": lograndint(8, 256)}),
        objectives=(Objective("loss"),),
        fidelity=Fidelity("epoch", tuple(range(1, 41))),
        budget=2400.0,
        workers=4,
        table_miss="snap",  # every config is answered as it is
    ),
)


class SyntheticStateful:
    """A curve model that also answers for trainings whose config changes on the way."""

    digest = "synthetic_stateful 2"

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark

    def under(self, benchmark: Benchmark) -> SyntheticStateful:
        """The same trainings under a benchmark with other defaults."""
        check_under(benchmark, self.benchmark, ["loss"], "formula")
        model = copy(self)
        model.benchmark = benchmark
        return model

    def restricted_space(self) -> Space:
        """The benchmark's space: any config of it can be asked for."""
        return self.benchmark.space.opened()

    def facts(self) -> dict[str, Any]:
        """What reports may state: no optimum, for schedules are better than every fixed config."""
        configs = self.benchmark.space.sample(stream("facts", self.benchmark.name), 501)
        median = float(np.median([self.final_loss(config) for config in configs]))
        made = {
            "citation": "Zhang et al., Which Algorithmic Choices Matter at Which Batch Sizes?, 2019",
            "missing": "a run that diverges reports no more",
            "seconds": "a model: of an epoch a fixed part, and a part for each of its steps",
        }
        return {"median": median, "noise": None, "made": OF_A_FORMULA | made}

    def outside(self, config: Config) -> bool:
        """Never: the formula holds everywhere."""
        return False

    def final_loss(self, config: Config) -> float:
        """The loss of a fixed config at the last level, from the mean start."""
        return self._trained((), config, np.ones(len(CURVATURES))).losses[-1][0]

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve of a config from the start that the seed chooses."""
        return self.scheduled((), config, seed)

    def scheduled(self, schedule: Sequence[tuple[Config, int]], config: Config, seed: int) -> Curve:
        """The curve of a training that follows a schedule of configs, each up to a level, and from there `config`."""
        name = self.benchmark.name
        start = np.array([0.5 + number("start", name, seed, place) for place in range(len(CURVATURES))])
        return self._trained(schedule, config, start)

    def _trained(self, schedule: Sequence[tuple[Config, int]], config: Config, state: Array) -> Curve:
        stages = iter([*schedule, (config, self.benchmark.fidelity.maximum)])
        current, until = next(stages)
        before, seconds = 0, 0.0
        nanoseconds: list[int] = []
        metrics: list[dict[str, float]] = []
        end = End.COMPLETE
        for level in self.benchmark.fidelity.levels:
            while level > until:
                current, until = next(stages)
            state, spent = _level(current, state, level - before)
            seconds += spent
            before = level
            loss = 0.5 * float(CURVATURES @ state)
            nanoseconds.append(round(seconds * NANOSECONDS))
            metrics.append({"loss": min(loss, DIVERGED)})
            if not loss < DIVERGED:
                end = End.DIVERGED
                break
        losses = [self.benchmark.losses(each) for each in metrics]
        if end is End.DIVERGED:
            losses[-1] = (math.inf,) * len(losses[-1])
        return Curve(tuple(nanoseconds), tuple(losses), metrics, metrics, end)


def _level(config: Config, state: Array, epochs: int) -> tuple[Array, float]:
    """The state (8,) after some epochs, and the seconds that they take: a fixed part and one that counts steps."""
    rate, batch = float(config["lr"]), float(config["batch_size"])  # pyright: ignore[reportArgumentType]
    steps = EXAMPLES * epochs / batch
    shrink = (1.0 - rate * CURVATURES) ** 2
    noise = (rate * CURVATURES) ** 2 * NOISE / batch
    floor = noise / np.where(shrink == 1.0, 1.0, 1.0 - shrink)
    with np.errstate(over="ignore", invalid="ignore"):
        state = floor + (state - floor) * shrink**steps
    return np.where(np.isfinite(state), state, np.inf), SECONDS * epochs + SECONDS_A_STEP * steps


def load(name: str) -> SyntheticStateful:
    """The model behind a benchmark of this family."""
    return SyntheticStateful(next(benchmark for benchmark in BENCHMARKS if benchmark.name == name))
