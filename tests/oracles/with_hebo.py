"""HEBO's own loop: python with_hebo.py SEED."""

import sys

import numpy as np
import torch
from _toy import loss, say
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

seed = int(sys.argv[1])
# Its Sobol sequence is seeded by itself, all else draws from the global states.
np.random.seed(seed)  # noqa: NPY002
torch.manual_seed(seed)
space = DesignSpace().parse(
    [{"name": "rate", "type": "pow", "lb": 1e-4, "ub": 1.0}, {"name": "share", "type": "num", "lb": 0.0, "ub": 1.0}]
)
optimiser = HEBO(space, scramble_seed=seed)
tried = []
for _ in range(20):
    row = optimiser.suggest(n_suggestions=1)
    config = {"rate": min(max(float(row["rate"].iloc[0]), 1e-4), 1.0), "share": float(row["share"].iloc[0])}
    tried.append([config, 9])
    optimiser.observe(row, np.array([[loss(config, 9)]]))
say(tried)
