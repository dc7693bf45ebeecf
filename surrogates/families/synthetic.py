"""hartmann3, hartmann6, branin: the classic functions with known optima, and with fidelities that mislead a little.

At full resource each is the published function, to be minimised. Below it the function is bent: at the share z of the
full resource, each of Hartmann's weights is lowered by .1 times 1 - z (as Kandasamy et al. 2017,
Multi-fidelity Bayesian Optimisation with Continuous Approximations, with one fidelity for all weights)
and Branin's three coefficients are shifted as there. A level takes a second: a time model, the same for every config.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from harness.space import Config, Space, uniform
from harness.types import Benchmark, Fidelity, Objective
from surrogates._formula import Formula, Trained

LEVELS = (1, 3, 9, 27)
VERSION = 1
WORKERS, TRAININGS = 4, 40

WEIGHTS = (1.0, 1.2, 3.0, 3.2)
STEP = 0.1
"""By how much each of Hartmann's weights is lowered at no resource."""
SCALES = {
    3: ((3.0, 10.0, 30.0), (0.1, 10.0, 35.0), (3.0, 10.0, 30.0), (0.1, 10.0, 35.0)),
    6: (
        (10.0, 3.0, 17.0, 3.5, 1.7, 8.0),
        (0.05, 10.0, 17.0, 0.1, 8.0, 14.0),
        (3.0, 3.5, 1.7, 10.0, 17.0, 8.0),
        (17.0, 8.0, 0.05, 10.0, 0.1, 14.0),
    ),
}
CENTRES = {
    3: ((3689, 1170, 2673), (4699, 4387, 7470), (1091, 8732, 5547), (381, 5743, 8828)),
    6: (
        (1312, 1696, 5569, 124, 8283, 5886),
        (2329, 4135, 8307, 3736, 1004, 9991),
        (2348, 1451, 3522, 2883, 3047, 6650),
        (4047, 8828, 8732, 5743, 1091, 381),
    ),
}
"""In steps of 1 / 10,000."""


def hartmann(x: Sequence[float], share: float = 1.0) -> float:
    """Hartmann's function of three or six numbers of [0, 1] at a share of the full resource."""
    weights = [weight - STEP * (1 - share) for weight in WEIGHTS]
    terms = zip(weights, SCALES[len(x)], CENTRES[len(x)], strict=True)
    return -math.fsum(
        weight * math.exp(-math.fsum(a * (value - p / 1e4) ** 2 for a, value, p in zip(scale, x, centre, strict=True)))
        for weight, scale, centre in terms
    )


def branin(x: Sequence[float], share: float = 1.0) -> float:
    """Branin's function on [-5, 10] x [0, 15] at a share of the full resource."""
    a, b = x
    lack = 1 - share
    curved = 5.1 / (4 * math.pi**2) - 0.01 * lack
    sloped = 5 / math.pi - 0.1 * lack
    flat = 1 / (8 * math.pi) + 0.05 * lack
    return (b - curved * a * a + sloped * a - 6) ** 2 + 10 * (1 - flat) * math.cos(a) + 10


def _benchmark(name: str, space: Space) -> Benchmark:
    budget = TRAININGS * LEVELS[-1] / WORKERS
    return Benchmark(name, space, (Objective("value"),), Fidelity("level", LEVELS), budget=budget, workers=WORKERS)


FUNCTIONS: dict[str, tuple[Callable[[Sequence[float], float], float], float]] = {
    "hartmann3": (hartmann, -3.8627797873326624),
    "hartmann6": (hartmann, -3.322368011415515),
    "branin": (branin, 0.39788735772973816),
}
"""Each function with its optimum."""

BENCHMARKS = (
    _benchmark("hartmann3", Space({f"x{i}": uniform(0.0, 1.0) for i in range(3)})),
    _benchmark("hartmann6", Space({f"x{i}": uniform(0.0, 1.0) for i in range(6)})),
    _benchmark("branin", Space({"x0": uniform(-5.0, 10.0), "x1": uniform(0.0, 15.0)})),
)


def load(name: str) -> Formula:
    """The function of this name."""
    benchmark = next(one for one in BENCHMARKS if one.name == name)
    function, optimum = FUNCTIONS[name]
    names = benchmark.space.names

    def train(config: Config, seed: int | None) -> Trained:
        x = [float(config[name]) for name in names]
        values = tuple({"value": function(x, level / LEVELS[-1])} for level in LEVELS)
        return Trained(values, seconds=1.0)

    made = {
        "citation": "Hartmann; Branin; with fidelities after Kandasamy et al. 2017",
        "missing": "nothing is missing",
        "seconds": "a model: one second a level for every config",
    }
    return Formula(benchmark, train, optimum, 0.0, f"{name}-{VERSION}", made)
