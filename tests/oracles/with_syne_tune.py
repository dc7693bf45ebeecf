"""Syne Tune's schedulers in a loop like its tuner's, one worker: python with_syne_tune.py SEED SCHEDULER."""

import sys
from datetime import datetime

import numpy as np
from _toy import LEVELS, loss, say
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import loguniform, uniform
from syne_tune.optimizer import baselines

# Some of its parts draw from numpy's global state, whatever seed they are given.
np.random.seed(int(sys.argv[1]))  # noqa: NPY002
name = sys.argv[2]
options = {"time_attr": "epoch", "max_t": 9, "grace_period": 1} if name == "ASHA" else {}
space = {"rate": loguniform(1e-4, 1.0), "share": uniform(0.0, 1.0)}
scheduler = getattr(baselines, name)(space, metric="loss", random_seed=int(sys.argv[1]), **options)
tried = []
for number in range(24):
    config = scheduler.suggest().config
    tried.append([config, 9])
    trial = Trial(number, config, datetime.now())
    scheduler.on_trial_add(trial)
    for epoch in LEVELS:
        result = {"loss": loss(config, epoch), "epoch": epoch}
        if scheduler.on_trial_result(trial, result) == "STOP":
            scheduler.on_trial_remove(trial)
            break
    else:
        scheduler.on_trial_complete(trial, result)
say(tried)
