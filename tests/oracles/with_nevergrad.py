"""Nevergrad's own loop: python with_nevergrad.py SEED OPTIMISER."""

import sys

import nevergrad as ng
from _toy import loss, say

tried = []


def objective(config: dict) -> float:
    config = dict(config)
    tried.append([config, 9])
    return loss(config, 9)


space = ng.p.Dict(rate=ng.p.Log(lower=1e-4, upper=1.0), share=ng.p.Scalar(lower=0.0, upper=1.0))
space.random_state.seed(int(sys.argv[1]))
ng.optimizers.registry[sys.argv[2]](space, budget=20, num_workers=1).minimize(objective)
say(tried)
