"""SMAC3's own loop: python with_smac.py SEED FACADE."""

import sys
import tempfile
from pathlib import Path

import ConfigSpace as cs
import smac
from _toy import loss, say

tried = []


def objective(config: cs.Configuration, seed: int = 0, budget: float = 9.0) -> float:
    level = round(budget)
    tried.append([dict(config), level])
    return loss(config, level)


seed, facade = int(sys.argv[1]), sys.argv[2]
space = cs.ConfigurationSpace(seed=seed)
space.add(cs.UniformFloatHyperparameter("rate", 1e-4, 1.0, log=True))
space.add(cs.UniformFloatHyperparameter("share", 0.0, 1.0))
budgets = {"min_budget": 1, "max_budget": 9} if facade == "MultiFidelityFacade" else {}
folder = Path(tempfile.mkdtemp())
scenario = smac.Scenario(space, deterministic=True, n_trials=24, seed=seed, output_directory=folder, **budgets)
getattr(smac, facade)(scenario, objective, overwrite=True, logging_level=False).optimize()
say(tried)
