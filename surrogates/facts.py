"""Facts of a surrogate: its optimum, its median, its noise, from many random configs and a climb from the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.randomness import stream
from harness.space import Config
from surrogates.misses import none_of
from surrogates.surrogate import Fitted, Surrogate
from surrogates.table import TableData, facts_of

Array = NDArray[np.float64]

SAMPLE = 10_000
"""Random configs whose expected final losses give the facts of a surrogate."""
STARTS, CLIMB = 8, 300
"""So many steps from each of so many of the best of them towards the optimum."""


def facts(data: TableData, fitted: Fitted) -> dict[str, Any]:
    """Facts of the surrogate without the luck of seeds, from many random configs and a climb from the best of them.

    The optimum is the best that a method may find, with what the mean misses. The config that is promised to be best in
    truth is that of the mean alone: what is missed is drawn, for this world only. Both are sought where measurements
    speak: beyond, a surrogate promises what nobody has seen.
    """
    taught, model = data.learned(), Surrogate(data.benchmark, fitted, "")
    width = fitted.misses.residuals.shape[1]
    mean = Surrogate(data.benchmark, replace(fitted, misses=none_of(fitted.support.shape[1], width)), "")
    luck = stream("facts", data.benchmark.name)
    configs = data.benchmark.space.sample(luck, SAMPLE)
    losses = model.final_losses(configs)
    order = np.argsort(losses, kind="stable")
    starts = _starts(model, configs, losses)
    promised, config = _climbed(mean, _starts(mean, configs, mean.final_losses(configs)))
    known: dict[str, Any] = {
        "configs": len(data.configs),
        "optimum": _climbed(model, starts)[0],
        "optimum_config": dict(config),
        "promised": promised,
        "median": float(np.median(losses)),
        "final_losses": losses[order[:: SAMPLE // 1000]].tolist(),
        "noise": taught.seed_spread(),
        "full_seconds": taught.full_seconds(),
        "made": dict(data.made) | {"surrogate": dict(fitted.made)},
    }
    judged = data.benchmark.judged_by_test()
    return known if judged is None else known | {"test": _of_test(taught, model.under(judged), configs, starts)}


def _starts(model: Surrogate, configs: Sequence[Config], losses: Array) -> list[Config]:
    """The best of some configs that measurements speak for."""
    order = np.argsort(losses, kind="stable")
    return [*islice((configs[place] for place in order if not model.outside(configs[place])), STARTS)]


def _of_test(data: TableData, model: Surrogate, configs: Sequence[Config], starts: Sequence[Config]) -> dict[str, Any]:
    """What is known of the test metric; its optimum is sought from where that of the validation metric was."""
    return {
        "optimum": _climbed(model, starts)[0],
        "median": float(np.median(model.final_losses(configs))),
        "noise": facts_of(data.final_losses(data.benchmark.test_metric))["noise"],
    }


def _climbed(model: Surrogate, starts: Sequence[Config]) -> tuple[float, Config]:
    """The best expected final loss near some configs, and its config: a search by ever smaller random steps."""
    space, luck = model.benchmark.space, stream("climb", model.benchmark.name)
    best = (np.inf, starts[0])
    for start in starts:
        here, config = model.final_loss(start), start
        for width in np.geomspace(0.1, 0.003, CLIMB):
            point = np.array(space.encode_one(config)) + width * (2 * luck.random(space.dim) - 1)
            moved = space.decode(np.clip(point, 0, 1)[None])[0]
            loss = model.final_loss(moved)
            if loss < here and not model.outside(moved):
                here, config = loss, moved
        best = min(best, (here, config), key=lambda found: found[0])
    return best
