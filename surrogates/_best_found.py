"""What is known of a benchmark that answers every config, where nobody can tell the best: the best that was found.

The median and the rest of the random configs are what they are. The best of them, and what a search from them finds, is
no optimum: a method may find a better config, and reports say so where it happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.randomness import stream
from harness.space import Choice, Config, Space

SAMPLE, KEPT = 10_000, 1_000
"""So many random configs are asked, and of so many, spread evenly over their order, the final losses are facts."""
STARTS, ROUNDS, STEPS = 8, 60, 16
"""From so many of the best, so many rounds of so many steps each."""
WIDEST, NARROWEST = 0.1, 0.003
"""Of a step along each encoded axis, in the first round and in the last."""
HOW = (
    f"the best of {SAMPLE:,} random configs, refined by {ROUNDS} rounds of {STEPS} ever smaller steps from each of the "
    f"best {STARTS}"
)

Facts = dict[str, Any]
FinalLosses = Callable[[Sequence[Config]], NDArray[np.float64]]


def best_found(name: str, space: Space, final_losses: FinalLosses) -> Facts:
    """The facts `optimum`, `optimum_config` and `optimum_is` (how it was found), `median` and `final_losses`.

    name: of the benchmark, from which the random numbers follow; final_losses: those of configs, all in one call.
    """
    configs = space.sample(stream("facts", name), SAMPLE)
    losses = final_losses(configs)
    order = np.argsort(losses, kind="stable")
    best = _refined(name, space, final_losses, [configs[place] for place in order[:STARTS]])
    return {
        "optimum": float(final_losses([best])[0]),
        "optimum_config": dict(best),
        "optimum_is": HOW,
        "median": float(np.median(losses)),
        "final_losses": losses[order[:: SAMPLE // KEPT]].tolist(),
    }


def _refined(name: str, space: Space, final_losses: FinalLosses, starts: Sequence[Config]) -> Config:
    """The best config that is found from some: each moves to the best of its steps where that is better."""
    luck, held = stream("refine", name), list(starts)
    losses = final_losses(held)
    for width in np.geomspace(WIDEST, NARROWEST, ROUNDS):
        points = np.repeat(space.encode(held), STEPS, axis=0)
        points = np.clip(points + width * (2 * luck.random(points.shape) - 1), 0, 1)
        _redraw_choices(space, points, luck)
        moved = space.decode(points)
        found = final_losses(moved).reshape(len(held), STEPS)
        for place, step in enumerate(found.argmin(axis=1).tolist()):
            if found[place, step] < losses[place]:
                losses[place], held[place] = found[place, step], moved[place * STEPS + step]
    return held[int(losses.argmin())]


def _redraw_choices(space: Space, points: NDArray[np.float64], luck: np.random.Generator) -> None:
    """Draw one hyperparameter in `len(space.names)` anew where it is a choice, in place: small steps never leave it."""
    for name, domain in space.domains.items():
        if isinstance(domain, Choice):
            drawn = luck.random(len(points)) < 1 / len(space.names)
            points[drawn, space.slices[name]] = luck.random((int(drawn.sum()), domain.width))
