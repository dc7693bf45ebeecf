"""SMAC3's own loop: python with_smac.py SEED FACADE [failures]."""

import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import ConfigSpace as cs
import smac
from _toy import breaks_off, loss, say
from smac.runhistory import StatusType, TrialInfo

tried = []


def objective(config: cs.Configuration, seed: int = 0, budget: float = 9.0) -> float:
    level = round(budget)
    tried.append([dict(config), level])
    if "failures" in sys.argv and breaks_off(config):
        raise RuntimeError
    return loss(config, level)


class Failures(smac.Callback):
    """A crash costs a little more than the worst that did not crash; so do those before, once a worse one is known."""

    worst = -math.inf

    def on_tell_end(self, smbo: smac.main.smbo.SMBO, info: TrialInfo, value: smac.runhistory.TrialValue) -> None:
        if value.status == StatusType.SUCCESS and value.cost > self.worst:
            self.worst = value.cost
            smbo._runner._crash_cost = math.nextafter(self.worst, math.inf)
            for key, trial in list(smbo.runhistory.items()):
                if trial.status == StatusType.CRASHED:
                    known = TrialInfo(smbo.runhistory.get_config(key.config_id), seed=key.seed, budget=key.budget)
                    smbo.tell(known, replace(trial, cost=smbo._runner._crash_cost))


seed, facade = int(sys.argv[1]), sys.argv[2]
space = cs.ConfigurationSpace(seed=seed)
space.add(cs.UniformFloatHyperparameter("rate", 1e-4, 1.0, log=True))
space.add(cs.UniformFloatHyperparameter("share", 0.0, 1.0))
budgets = {"min_budget": 1, "max_budget": 9} if facade == "MultiFidelityFacade" else {}
folder = Path(tempfile.mkdtemp())
scenario = smac.Scenario(
    space, deterministic=True, n_trials=24, seed=seed, output_directory=folder, crash_cost=2.0**31 - 1, **budgets
)
getattr(smac, facade)(scenario, objective, callbacks=[Failures()], overwrite=True, logging_level=False).optimize()
say(tried)
