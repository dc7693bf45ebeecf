"""SMAC3: its facades for hyperparameter optimisation and for several fidelities.

What it cannot do: stop a trial; several objectives as we state them; priors. Of a table's rows it learns as if each had
been its own proposal. First configs are full trainings that it is told of. Its multi-fidelity facade is Hyperband with
a random forest: what it promotes is a paused trial that goes on. At the infinite cost that it gives a crash by itself
its forest breaks off, and by one far above all losses the forest learns little else. So a failure costs the next number
above the worst loss so far, and is told anew where a worse one comes: what did not fail is always promoted before it.
"""

# The library is installed in its own environment, not where types are checked.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import smac
from smac.constants import MAXINT
from smac.main.exceptions import ConfigurationSpaceExhaustedException
from smac.runhistory import StatusType, TrialInfo, TrialValue

from harness.foreign._configspace import config_of, configspace_of, configuration_of
from harness.foreign._promotions import Promotions
from harness.foreign._spaces import refuse_priors, refuse_several_objectives

__all__ = ["smac_hpo", "smac_multifidelity"]
VERSION = 3

REQUIREMENTS = ("smac==2.4.1", "ConfigSpace>=1.2")
LICENCE = "BSD-3-Clause"
CITATION = (
    "Lindauer et al. 2022, SMAC3: a versatile Bayesian optimization package for hyperparameter optimization, JMLR 23"
)

Study = dict[str, Any]
UNKNOWN = float(MAXINT)
"""What SMAC notes as the cost of a trial that has none yet: that of failures before there is any loss."""


def smac_hpo(study: Study, *, trials: int = 100) -> Smac:
    """SMAC3's random forest with expected improvement, every config trained to the end (Lindauer et al. 2022, JMLR 23).

    trials: trainings that it shall plan for: a quarter of them at most begin from a Sobol sequence.
    """
    return Smac(study, smac.HyperparameterOptimizationFacade, trials, {})


def smac_multifidelity(study: Study, *, trials: int = 100) -> Smac:
    """SMAC3's Hyperband whose configs a random forest proposes (Lindauer et al. 2022, JMLR 23).

    trials: jobs that it shall plan for.
    """
    levels = study["fidelity"]["levels"]
    if len(levels) == 1:
        raise NotImplementedError("there is one level, so there is nothing to promote to: use smac-hpo")
    return Smac(study, smac.MultiFidelityFacade, trials, {"min_budget": levels[0], "max_budget": levels[-1]})


class Smac:
    """A facade, asked and told."""

    def __init__(self, study: Study, facade: Any, trials: int, budgets: dict[str, int]) -> None:
        if trials < 1:
            raise ValueError(f"trials must be at least 1, given {trials}")
        refuse_priors(study, "SMAC3")
        refuse_several_objectives(study, "SMAC3")
        self._study, self._space = study, configspace_of(study)
        scenario = smac.Scenario(
            self._space,
            deterministic=True,
            n_trials=trials,
            seed=study["seed"],
            output_directory=Path(tempfile.mkdtemp(dir=".")),
            **budgets,
        )
        self._smac = facade(scenario, unasked, overwrite=True, logging_level=False)
        self._full = budgets.get("max_budget")
        self._promotions = Promotions(study)
        self._worst: float | None = None
        self._failures: list[tuple[TrialInfo, float]] = []

    def ask(self, trial: int) -> dict[str, Any]:
        """What SMAC wants to run: a new config, or one that it promotes."""
        while True:
            try:
                info = self._smac.ask()
            except (StopIteration, ConfigurationSpaceExhaustedException):  # it finds no config that it has not tried
                return {"wait": True}
            known = self._promotions.known(info.config, info.budget)
            if known is None:
                break
            self._answer(info, known)
        answer = self._promotions.begin(trial, info.config, info.budget, info)
        return answer if "trial" in answer else answer | {"config": config_of(self._study, info.config)}

    def take(self, trial: int, config: dict[str, Any]) -> dict[str, Any]:
        """Have a trial with this config: one that replaces a proposal is told of as if it were that proposal."""
        if answer := self._promotions.until(trial):
            return answer
        configuration = configuration_of(self._study, self._space, config)
        info = TrialInfo(configuration, seed=0, budget=self._full)
        return self._promotions.begin(trial, configuration, self._full, info)

    def tell(self, report: dict[str, Any]) -> str:
        """Pass on what a job came to."""
        info = self._promotions.end(report)
        if info is not None:
            self._answer(info, report)
        return "continue"

    def _answer(self, info: TrialInfo, report: dict[str, Any]) -> None:
        loss, seconds = report["losses"][0], report["cost"]
        if not math.isfinite(loss):
            self._failures.append((info, seconds))
            self._fail(info, seconds)
            return
        self._smac.tell(info, TrialValue(cost=loss, time=seconds), save=False)
        if self._worst is None or loss > self._worst:
            self._worst = loss
            for failure in self._failures:
                self._fail(*failure)

    def _fail(self, info: TrialInfo, seconds: float) -> None:
        cost = UNKNOWN if self._worst is None else math.nextafter(self._worst, math.inf)
        self._smac.tell(info, TrialValue(cost=cost, time=seconds, status=StatusType.CRASHED), save=False)


def unasked(config: Any, seed: int = 0, budget: float | None = None) -> float:
    """The target function that a facade needs and that nobody calls."""
    raise AssertionError
