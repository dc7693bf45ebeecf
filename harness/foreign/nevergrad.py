"""Nevergrad: the wizard that chooses among its optimisers, or any of them by name.

What it cannot do: pause or stop a trial; use levels below the last; follow conditions (every hyperparameter has a
value in its eyes, inactive ones are left out of what is trained); use priors. A failed trial is an infinite loss, which
it cuts. Of several objectives infinite losses would make its hypervolume no number for the rest of the study: there a
failed trial has the worst loss of each that was told so far, and before there are any it is not told. Where an
optimiser cannot learn from configs that it did not propose, as its CMA, it is told what came of the row in place of its
own proposal, and learns nothing from first configs.
"""

# The library is installed in its own environment, not where types are checked.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import math
from typing import Any

import nevergrad as ng
from nevergrad.common.errors import TellNotAskedNotSupportedError

from harness.foreign._spaces import active, bounds, from_axis, on_axis, refuse_priors

__all__ = ["nevergrad"]
VERSION = 2

REQUIREMENTS = ("nevergrad==1.0.12",)
LICENCE = "MIT"
CITATION = "Rapin & Teytaud 2018, Nevergrad: a gradient-free optimization platform"

Study = dict[str, Any]


def nevergrad(study: Study, *, optimiser: str = "NGOpt", trials: int = 100) -> Nevergrad:
    """Nevergrad's NGOpt, which chooses an optimiser for the problem (Meunier et al. 2022, IEEE TEVC 26:3).

    optimiser: another of its registry, such as TwoPointsDE or CMA; trials: trainings that it shall plan for.
    """
    if optimiser not in ng.optimizers.registry:
        raise ValueError(f"Nevergrad has no optimiser {optimiser!r}; among others it has NGOpt, TwoPointsDE, CMA")
    if trials < 1:
        raise ValueError(f"trials must be at least 1, given {trials}")
    refuse_priors(study, "Nevergrad")
    parameters = ng.p.Dict(**{name: parameter_of(domain) for name, domain in study["space"].items()})
    parameters.random_state.seed(study["seed"])
    made = ng.optimizers.registry[optimiser](parameters, budget=trials, num_workers=study["workers"])
    return Nevergrad(study["space"], made)


class Nevergrad:
    """An optimiser of Nevergrad, asked and told."""

    def __init__(self, space: dict[str, Any], optimiser: Any) -> None:
        self._space, self._optimiser = space, optimiser
        self._proposed: dict[int, Any] = {}
        self._given: dict[int, Any] = {}
        self._worst: list[float] | None = None

    def ask(self, trial: int) -> dict[str, Any]:
        """A config that Nevergrad proposes."""
        self._proposed[trial] = candidate = self._optimiser.ask()
        return {"config": config_of(self._space, candidate.value)}

    def take(self, trial: int, config: dict[str, Any]) -> dict[str, Any]:
        """Have a trial with this config, whatever was proposed for it."""
        # What is inactive keeps the value that was proposed for it, or that Nevergrad begins from.
        rest = self._proposed[trial].value if trial in self._proposed else self._optimiser.parametrization.value
        domains = self._space
        values = {n: value if "values" in domains[n] else on_axis(domains[n], value) for n, value in config.items()}
        self._given[trial] = self._optimiser.parametrization.spawn_child(new_value=rest | values)
        return {}

    def tell(self, report: dict[str, Any]) -> str:
        """Pass on what a trial came to at its end."""
        if report["status"] == "running":
            return "continue"
        trial, losses = report["trial"], report["losses"]
        proposed, given = self._proposed.pop(trial, None), self._given.pop(trial, None)
        loss = losses[0] if len(losses) == 1 else self._finite(losses)
        if loss is None:
            return "continue"
        try:
            self._optimiser.tell(proposed if given is None else given, loss)
        except TellNotAskedNotSupportedError:
            if proposed is not None:
                self._optimiser.tell(proposed, loss)
        return "continue"

    def _finite(self, losses: list[float]) -> list[float] | None:
        """Several losses as they are, or the worst so far where one is not finite; None before there are any."""
        if all(map(math.isfinite, losses)):
            self._worst = [max(pair) for pair in zip(losses, self._worst or losses, strict=True)]
            return losses
        return self._worst


def parameter_of(domain: dict[str, Any]) -> Any:
    """Nevergrad's parameter for a domain of ours."""
    kind = domain["type"]
    if kind == "choice":
        return ng.p.Choice(domain["values"])
    if kind == "ordinal":
        return ng.p.TransitionChoice(domain["values"])
    lower, upper, log = bounds(domain)
    parameter = (ng.p.Log if log else ng.p.Scalar)(lower=lower, upper=upper)
    return parameter.set_integer_casting() if kind.endswith("randint") else parameter


def config_of(space: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The config that values of Nevergrad stand for, without what is inactive."""
    config: dict[str, Any] = {}
    for name, domain in space.items():
        if active(domain, config):
            value = values[name]
            config[name] = value if "values" in domain else from_axis(domain, value)
    return config
