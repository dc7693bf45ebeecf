"""synthetic_curves: learning curves made up with knobs, `synthetic_curves:correlation=0.3:noise=0.02:spread=10`.

The knobs, each with what it is by default:

- correlation (0.7): Spearman's rank correlation between losses at the first and at the last level, over random configs;
- noise (0.01): standard deviation of the luck of a seed, anew at each level;
- divergence (0.05): share of the runs that diverge, at a level that chance picks;
- spread (8): how many times longer the slowest config takes a level than the fastest.

Without noise the final loss of a random config is uniform on [0, 1], so the best of n has the mean 1 / (n + 1), and
the optimum 0 is known. Four hyperparameters decide the end of a curve, two only its beginning, one only its cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.randomness import key, number_at
from harness.space import Config, Space, uniform
from harness.types import Benchmark, End, Fidelity, Objective
from surrogates._formula import Formula, Trained

LEVELS = (1, 3, 9, 27, 81)
KNOBS = {"correlation": (0.7, -1.0, 1.0), "noise": (0.01, 0.0, 10.0), "divergence": (0.05, 0.0, 1.0),
         "spread": (8.0, 1.0, 1e6)}  # fmt: skip
"""Each knob's default and bounds."""
LATE, EARLY = {"a": 0.3, "b": 0.62, "c": 0.45, "d": 0.71}, {"e": 0.4, "f": 0.66}
"""Where the best value of each hyperparameter lies."""
FALL = 1.0
"""How much a curve falls from the first level to the last, besides changes of rank."""
VERSION = 1
WORKERS, TRAININGS = 4, 40

SPACE = Space({name: uniform(0.0, 1.0) for name in (*LATE, *EARLY, "size")})


def named(name: str) -> Benchmark:
    """The benchmark with the knobs of a text, `synthetic_curves:noise=0.1`; ValueError for others than there are."""
    _knobs(name)
    return Benchmark(
        name, SPACE, (Objective("loss"),), Fidelity("level", LEVELS), TRAININGS * LEVELS[-1] / WORKERS, WORKERS
    )


def _knobs(name: str) -> dict[str, float]:
    knobs = {knob: default for knob, (default, _, _) in KNOBS.items()}
    for text in name.split(":")[1:]:
        knob, _, value = text.partition("=")
        if knob not in KNOBS:
            raise ValueError(f"{name}: unknown knob {text!r}; there are {', '.join(KNOBS)}, written knob=number")
        _, lower, upper = KNOBS[knob]
        try:
            knobs[knob] = float(value)
        except ValueError:
            raise ValueError(f"{name}: {knob} takes a number, found {value!r}") from None
        if not lower <= knobs[knob] <= upper:
            raise ValueError(f"{name}: {knob} must lie between {lower:g} and {upper:g}, found {value}")
    return knobs


BENCHMARKS = (named("synthetic_curves"),)


def quantile(config: Config, best: Mapping[str, float]) -> float:
    """How good a config is in some hyperparameters: its quantile among random ones, 0 the best.

    The distance of each from its best value, relative to the bound on its side, is uniform on [0, 1] for a random
    config; the quantile is that of their sum (the law of Irwin and Hall).
    """
    total = math.fsum(
        (centre - x) / centre if (x := float(config[name])) < centre else (x - centre) / (1 - centre)
        for name, centre in best.items()
    )
    n = len(best)
    if total > n / 2:
        return 1 - _irwin_hall(n - total, n)
    return _irwin_hall(total, n)


def _irwin_hall(total: float, n: int) -> float:
    terms = ((-1) ** k * math.comb(n, k) * (total - k) ** n for k in range(math.floor(total) + 1))
    return min(max(math.fsum(terms) / math.factorial(n), 0.0), 1.0)


def load(name: str) -> Formula:
    """The curves of a name with its knobs."""
    from scipy.special import ndtr, ndtri

    knobs = _knobs(name)
    # Between normal numbers this correlation gives ranks the wanted one.
    first = 2 * math.sin(math.pi * knobs["correlation"] / 6)
    shares = [math.log(level) / math.log(LEVELS[-1]) for level in LEVELS]

    def train(config: Config, seed: int | None) -> Trained:
        late, early = quantile(config, LATE), quantile(config, EARLY)
        losses: list[float] = []
        for share in shares:
            kept = first + (1 - first) * share
            if kept < 1:
                mixed = kept * ndtri(late) + math.sqrt(1 - kept * kept) * ndtri(early) if 0 < late < 1 else ndtri(late)
                losses.append(float(ndtr(mixed)) + FALL * (1 - share))
            else:
                losses.append(late)
        seconds = knobs["spread"] ** (float(config["size"]) - 0.5)
        end, luck = End.COMPLETE, 0
        if seed is not None:
            luck = key("synthetic curve", seed, *(float(value) for value in config.values()))
            if number_at(luck, 0) < knobs["divergence"]:
                end, losses = End.DIVERGED, losses[: 1 + int(number_at(luck, 1) * len(losses))]
            if knobs["noise"]:
                draws = [number_at(luck, 2 + level) for level in range(len(losses))]
                losses = [
                    loss + knobs["noise"] * float(ndtri(max(u, 1e-12))) for loss, u in zip(losses, draws, strict=True)
                ]
        return Trained(tuple({"loss": loss} for loss in losses), seconds, end)

    made = {
        "missing": "a run that diverges reports no more",
        "seconds": "a model: levels times a factor of the hyperparameter `size`",
        "knobs": knobs,
    }
    spelled = ":".join(f"{knob}={value!r}" for knob, value in knobs.items())
    return Formula(named(name), train, 0.0, knobs["noise"], f"synthetic_curves-{VERSION}:{spelled}", made)
