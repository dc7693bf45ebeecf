"""What the tests of foreign optimisers share: a space with every domain, and what one tries in our loop, alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.loop import Ended, Started, run
from harness.methods import build, parse_method
from harness.simulated import Simulated
from harness.space import Config, Space, choice, lograndint, loguniform, ordinal, randint, reverse_loguniform, uniform
from harness.toys import Toy
from harness.types import NANOSECONDS, Benchmark, Curve, End

SEED = int(np.random.default_rng(7).integers(2**31))
"""What a scheduler made with this generator tells the program."""

EVERY_DOMAIN = Space(
    {
        "rate": loguniform(1e-4, 1.0),
        "momentum": reverse_loguniform(0.5, 0.999),
        "width": lograndint(4, 512),
        "layers": randint(1, 6),
        "optimizer": choice(["sgd", "adam", "lion"]),
        "decay": uniform(0.0, 0.1),
        "batch": ordinal([8, 16, 32, 64]),
    },
    {"decay": {"optimizer": ["sgd", "lion"]}},
)
NUMBERS = Space({"rate": loguniform(1e-4, 1.0), "share": uniform(0.0, 1.0)})


Tried = list[tuple[Config, int]]
"""Configs, and the level at which each ended."""


class AtOnce(Toy):
    """A toy whose trainings end at the first level, where they are not complete."""

    def _computed(self, config: Config, cut: int = 1) -> Curve:
        return super()._computed(config, cut)


def breaking_off(place: float) -> End:
    """How a training ends where some fail that would be neither the best nor the worst."""
    return End.DIVERGED if 0.5 < place < 0.65 else End.COMPLETE


def made(text: str, benchmark: Benchmark, first: tuple[Config, ...] = ()) -> Any:
    return build(parse_method(text), benchmark, np.random.default_rng(7), first)


def our_loop(toy: Toy, text: str, n: int) -> Tried:
    """The same over the pipe, in the loop that every method runs in."""
    log = run(
        toy.benchmark,
        made(text, toy.benchmark.with_space(toy.benchmark.space.opened())),
        Simulated(toy, 1, 0, toy.benchmark.delays),
        10**6 * NANOSECONDS,
        finished_trials=n,
    )
    reached: dict[int, tuple[Config, int]] = {}
    for event in log.events:
        if isinstance(event, Started):
            reached[event.job.trial] = (event.job.config, 0)
        elif not isinstance(event, Ended):
            reached[event.report.trial] = (reached[event.report.trial][0], event.report.resource)
    assert not log.error
    return list(reached.values())
