"""Ax: Bayesian optimisation with BoTorch, through its Client, which asks and tells.

What it cannot do: pause a trial; priors; follow conditions (every hyperparameter has a value in its eyes, inactive ones
are left out of what is trained: in its own hierarchical spaces one hangs on a single value of a single other). Its
rules for stopping early are not used, so it learns from ends alone. It waits where too few of its first configs are
known yet. What failed is not proposed again. Choices and ordinals are numbered; an ordinal keeps its order, not its
distances.
"""

# The library is installed in its own environment, not where types are checked.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import logging
import math
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.exceptions.core import DataRequiredError, OptimizationComplete
from ax.exceptions.generation_strategy import MaxParallelismReachedException

from harness.foreign._spaces import bounds, config_of_numbers, numbers_of, refuse_priors

__all__ = ["ax"]

REQUIREMENTS = ("torch==2.13.0", "botorch==0.18.1", "ax-platform==1.3.1")
LICENCE = "MIT"
CITATION = "Olson et al. 2025, Ax: a platform for adaptive experimentation, AutoML-Conf"

Study = dict[str, Any]

logging.disable(logging.WARNING)  # it tells the standard error of every trial


def ax(study: Study) -> Ax:
    """Ax's Gaussian process with BoTorch's qLogNoisyExpectedImprovement (Ament et al. 2023, arXiv 2310.20708).

    With several objectives it maximises the noisy expected hypervolume improvement instead.
    """
    return Ax(study)


class Ax:
    """A client of Ax, asked and told."""

    def __init__(self, study: Study) -> None:
        refuse_priors(study, "Ax")
        self._space = study["space"]
        self._losses = [f"loss{i}" for i in range(len(study["objectives"]))]
        self._client = Client(random_seed=study["seed"])
        self._client.configure_experiment([parameter_of(name, domain) for name, domain in self._space.items()])
        self._client.configure_optimization(", ".join(f"-{loss}" for loss in self._losses))
        self._client.configure_generation_strategy(initialization_random_seed=study["seed"])
        self._trials: dict[int, int] = {}
        self._proposed: dict[int, dict[str, Any]] = {}

    def ask(self, trial: int) -> dict[str, Any]:
        """A config that Ax proposes."""
        try:
            proposals = self._client.get_next_trials(max_trials=1)
        except (DataRequiredError, MaxParallelismReachedException, OptimizationComplete):
            proposals = {}
        if not proposals:
            return {"wait": True}
        [(self._trials[trial], self._proposed[trial])] = proposals.items()
        return {"config": config_of_numbers(self._space, self._proposed[trial])}

    def take(self, trial: int, config: dict[str, Any]) -> dict[str, Any]:
        """Have a trial with this config, whatever was proposed for it."""
        if trial in self._trials:
            # Abandoned, it would be pending for ever.
            self._client.mark_trial_failed(self._trials[trial])
        numbers = numbers_of(self._space, config, self._proposed.get(trial))
        self._trials[trial] = self._client.attach_trial(numbers)
        return {}

    def tell(self, report: dict[str, Any]) -> str:
        """Pass on what a trial came to at its end."""
        if report["status"] == "running":
            return "continue"
        theirs, losses = self._trials.pop(report["trial"]), report["losses"]
        self._proposed.pop(report["trial"], None)
        if all(map(math.isfinite, losses)):
            self._client.complete_trial(theirs, dict(zip(self._losses, losses, strict=True)))
        else:
            self._client.mark_trial_abandoned(theirs)
        return "continue"


def parameter_of(name: str, domain: dict[str, Any]) -> Any:
    """Ax's parameter for a domain of ours; of a `reverse_loguniform` x it is 1 - x."""
    if "values" in domain:
        numbers = list(range(len(domain["values"])))
        return ChoiceParameterConfig(name, numbers, "int", is_ordered=domain["type"] == "ordinal")
    lower, upper, log = bounds(domain)
    kind = "int" if domain["type"].endswith("randint") else "float"
    return RangeParameterConfig(name, (lower, upper), kind, scaling="log" if log else "linear")
