"""NePS: PriorBand by its own authors, and ifBO where the weights of its network are.

What it cannot do: stop a trial; several objectives; follow conditions (every hyperparameter has a value in its eyes,
inactive ones are left out of what is trained); learn from first configs, which are full trainings that it hears nothing
of. Priors it takes, with a spread of .1, .25 or .5, whichever is nearest. Choices and ordinals are numbered. Its ifBO
breaks off at a loss outside [0, 1], and what failed has the loss 1 for it.
"""

# The library is installed in its own environment, not where types are checked.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import neps
from neps.optimizers import algorithms
from neps.optimizers.ask_and_tell import AskAndTell

from harness.foreign._promotions import Promotions
from harness.foreign._spaces import bounds, config_of_numbers, number_of, numbers_of, refuse_several_objectives

__all__ = ["neps_ifbo", "neps_priorband"]
VERSION = 2

REQUIREMENTS = ("torch==2.13.0", "neural-pipeline-search==0.17.0")
LICENCE = "Apache-2.0"
CITATION = (
    "Mallik et al. 2023, PriorBand: practical hyperparameter optimization in the age of deep learning, NeurIPS 36"
)

Study = dict[str, Any]
LEVEL = "level"
CONFIDENCES = {0.1: "high", 0.25: "medium", 0.5: "low"}
"""What NePS calls a prior of this spread, a standard deviation on the axis [0, 1]."""


def neps_ifbo(study: Study, *, weights: str = "") -> Neps:
    """NePS's ifBO: a network that continues curves says what to train on (Rakotoarison et al. 2024, ICML 41).

    weights: the folder of `python -m ifbo.download --path FOLDER/.model`, `ifbo` in NePS's environment unless given.
    """
    if len(study["fidelity"]["levels"]) == 1:
        raise NotImplementedError("there is one level, so there is no curve to continue")
    refuse_several_objectives(study, "NePS's ifBO")
    folder = Path(weights or Path(sys.prefix) / "ifbo")
    if not any(folder.glob(".model/*.pt")):
        raise NotImplementedError(f"weights absent from {folder}")
    priors = any("prior" in domain for domain in study["space"].values())
    return Neps(study, algorithms.ifbo(space_of(study), use_priors=priors, surrogate_path=folder), 1.0)


def neps_priorband(study: Study, *, eta: int = 3) -> Neps:
    """NePS's PriorBand: Hyperband that draws from priors and around the best (Mallik et al. 2023, arXiv 2306.12370).

    eta: of the configs at a level, one in eta goes on to the next.
    """
    if len(study["fidelity"]["levels"]) == 1:
        raise NotImplementedError("there is one level, so there is nothing to promote to")
    if eta < 2:
        raise ValueError(f"eta must be at least 2, given {eta}")
    refuse_several_objectives(study, "NePS's PriorBand")
    return Neps(study, algorithms.priorband(space_of(study), eta=eta), RuntimeError("the training broke off"))


class Neps:
    """An optimiser of NePS, asked and told; what failed is told as this."""

    def __init__(self, study: Study, optimiser: Any, failed: float | Exception) -> None:
        self._space = study["space"]
        self._neps = AskAndTell(optimiser)
        self._failed = failed
        self._promotions = Promotions(study)
        self._proposed: dict[int, dict[str, Any]] = {}

    def ask(self, trial: int) -> dict[str, Any]:
        """What NePS wants to run: a new config, or one that it promotes."""
        while True:
            theirs = self._neps.ask()
            key, budget = theirs.id.partition("_")[0], theirs.config[LEVEL]
            known = self._promotions.known(key, budget)
            if known is None:
                break
            self._answer(theirs, known)
        answer = self._promotions.begin(trial, key, budget, theirs)
        if "trial" in answer:
            return answer
        self._proposed[trial] = theirs.config
        return answer | {"config": config_of_numbers(self._space, numbers_in(self._space, theirs.config))}

    def take(self, trial: int, config: dict[str, Any]) -> dict[str, Any]:
        """Have a trial with this config: what NePS has proposed becomes this."""
        if proposed := self._proposed.get(trial):
            numbers = numbers_of(self._space, config, numbers_in(self._space, proposed))
            proposed.update({alias: numbers[name] for alias, name in aliases(self._space).items()})
        return self._promotions.until(trial) or {}

    def tell(self, report: dict[str, Any]) -> str:
        """Pass on what a job came to."""
        theirs = self._promotions.end(report)
        if theirs is not None:
            self._answer(theirs, report)
        return "continue"

    def _answer(self, theirs: Any, report: dict[str, Any]) -> None:
        loss = report["losses"][0]
        self._neps.tell(theirs, loss if math.isfinite(loss) else self._failed)


def aliases(space: dict[str, Any]) -> dict[str, str]:
    """Our names by those of the attributes in NePS, which has reserved some."""
    return {f"h{i:03}": name for i, name in enumerate(space)}


def numbers_in(space: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What a config of NePS says of each hyperparameter."""
    return {name: values[alias] for alias, name in aliases(space).items()}


def space_of(study: Study) -> neps.PipelineSpace:
    """The space with its fidelity, as NePS has it."""
    space, levels = neps.PipelineSpace(), study["fidelity"]["levels"]
    for alias, name in aliases(study["space"]).items():
        setattr(space, alias, parameter_of(study["space"][name]))
    setattr(space, LEVEL, neps.IntegerFidelity(levels[0], levels[-1]))
    return space


def parameter_of(domain: dict[str, Any]) -> Any:
    """NePS's parameter for a domain of ours; of a `reverse_loguniform` x it is 1 - x, of a single value a constant."""
    options: dict[str, Any] = {}
    if prior := domain.get("prior"):
        nearest = min(CONFIDENCES, key=lambda spread: abs(math.log(spread / prior["spread"])))
        options = {"prior": number_of(domain, prior["value"]), "prior_confidence": CONFIDENCES[nearest]}
    if "values" in domain:
        last = len(domain["values"]) - 1
        if last == 0:
            return 0
        return (
            neps.Integer(0, last, **options)
            if domain["type"] == "ordinal"
            else neps.Categorical(tuple(range(last + 1)), **options)
        )
    lower, upper, log = bounds(domain)
    kind = neps.Integer if domain["type"].endswith("randint") else neps.Float
    return kind(lower, upper, log=log, **options)
