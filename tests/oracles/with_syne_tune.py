"""Syne Tune's schedulers in a loop like its tuner's, one worker: python with_syne_tune.py SEED SCHEDULER.

The space is that of every domain. Choices and ordinals are numbered: what its models make of names and of values may
depend on how these sort. It prints the config of each trial, and the level at which it ended.
"""

import sys
from datetime import datetime

import numpy as np
from _toy import LEVELS, loss_of_every_domain, say
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, lograndint, loguniform, ordinal, randint, reverseloguniform, uniform
from syne_tune.optimizer import baselines

OPTIMIZERS, BATCHES = ["sgd", "adam", "lion"], [8, 16, 32, 64]
NUMBERS = {
    "rate": loguniform(1e-4, 1.0),
    "momentum": reverseloguniform(0.5, 0.999),
    "width": lograndint(4, 512),
    "layers": randint(1, 6),
}
SPACE = NUMBERS | {
    "optimizer": choice([0, 1, 2]),
    "decay": uniform(0.0, 0.1),
    "batch": ordinal([0, 1, 2, 3], kind="equal"),
}


def config_of(values: dict) -> dict:
    """The config that its values stand for; adam has no decay."""
    config = {name: inside(values, name) for name in NUMBERS}
    config |= {"optimizer": OPTIMIZERS[values["optimizer"]], "batch": BATCHES[values["batch"]]}
    return config | ({} if config["optimizer"] == "adam" else {"decay": inside(values, "decay")})


def inside(values: dict, name: str) -> float:
    """A number, which rounding may have taken out of its bounds."""
    return min(max(values[name], SPACE[name].lower), SPACE[name].upper)


# Some of its parts draw from numpy's global state, whatever seed they are given.
np.random.seed(int(sys.argv[1]))  # noqa: NPY002
name = sys.argv[2]
options = {"time_attr": "epoch", "max_t": 9, "grace_period": 1} if name == "ASHA" else {}
scheduler = getattr(baselines, name)(SPACE, metric="loss", random_seed=int(sys.argv[1]), **options)
tried = []
for number in range(24):
    values = scheduler.suggest().config
    config = config_of(values)
    tried.append([config, 0])
    trial = Trial(number, values, datetime.now())
    scheduler.on_trial_add(trial)
    for epoch in LEVELS:
        tried[-1][1] = epoch
        result = {"loss": loss_of_every_domain(config, epoch), "epoch": epoch}
        if scheduler.on_trial_result(trial, result) == "STOP":
            scheduler.on_trial_remove(trial)
            break
    else:
        scheduler.on_trial_complete(trial, result)
say(tried)
