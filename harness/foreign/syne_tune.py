"""Syne Tune: schedulers of its release 0.16, told as its own tuner tells them.

What it cannot do: several objectives; priors; follow conditions (every hyperparameter has a value in its eyes, inactive
ones are left out of what is trained). Its ASHA is the one that stops. Its BoTorch takes losses in the order in which
trials end for those of configs in the order in which they began, so where trials overtake each other it learns what is
not so; one that failed is under way for ever in its eyes. Choices and ordinals are numbered, since it casts all values
to the type of the first.
"""

# The library is installed in its own environment, not where types are checked.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from syne_tune import config_space as domains
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer import baselines

from harness.foreign._spaces import active, refuse_priors, refuse_several_objectives

__all__ = ["syne_tune_asha", "syne_tune_bore", "syne_tune_botorch", "syne_tune_cqr", "syne_tune_rea"]

REQUIREMENTS = ("torch==2.13.0", "botorch==0.18.1", "syne-tune==0.16.0", "fastparquet", "huggingface_hub")
LICENCE = "Apache-2.0"
CITATION = "Salinas et al. 2022, Syne Tune: a library for large scale hyperparameter tuning, AutoML-Conf"

Study = dict[str, Any]
METRIC, LEVEL = "loss", "level"


def syne_tune_asha(study: Study, *, eta: float = 3.0) -> SyneTune:
    """Syne Tune's ASHA, which stops what is worse than its rung (Li et al. 2018, arXiv 1810.05934).

    eta: of the trials at a rung, one in eta goes on.
    """
    fidelity = study["fidelity"]
    levels = fidelity["levels"]
    if len(levels) == 1 or not fidelity["continues"]:
        raise NotImplementedError("a training says nothing before its end, so there is nothing to stop at")
    if not eta > 1:
        raise ValueError(f"eta must be greater than 1, given {eta:g}")
    rungs = {"time_attr": LEVEL, "max_t": levels[-1], "grace_period": levels[0], "reduction_factor": eta}
    return SyneTune(study, baselines.ASHA, rungs)


def syne_tune_bore(study: Study) -> SyneTune:
    """Syne Tune's Bayesian optimisation by density-ratio estimation (Tiao et al. 2021, arXiv 2102.09009)."""
    return SyneTune(study, baselines.BORE, {})


def syne_tune_botorch(study: Study) -> SyneTune:
    """Syne Tune's Gaussian process with BoTorch's expected improvement (Balandat et al. 2020, NeurIPS 33)."""
    return SyneTune(study, baselines.BOTorch, {}, by_order=True)


def syne_tune_cqr(study: Study) -> SyneTune:
    """Syne Tune's conformal quantile regression (Salinas et al. 2023, arXiv 2305.03623)."""
    return SyneTune(study, baselines.CQR, {})


def syne_tune_rea(study: Study, *, population: int = 100, sample: int = 10) -> SyneTune:
    """Syne Tune's regularised evolution (Real et al. 2019, AAAI 33, Algorithm 1).

    population: how many live; sample: how many of them a parent is the best of.
    """
    if not 1 <= sample <= population:
        raise ValueError(f"sample must be at least 1 and at most population, given {sample} of {population}")
    return SyneTune(study, baselines.REA, {"population_size": population, "sample_size": sample})


class SyneTune:
    """A scheduler of Syne Tune, asked and told.

    by_order: whether it learns from configs that it keeps itself, by the order in which it proposed them.
    """

    def __init__(self, study: Study, scheduler: Any, options: dict[str, Any], *, by_order: bool = False) -> None:
        refuse_priors(study, "Syne Tune")
        refuse_several_objectives(study, "Syne Tune's schedulers of one objective")
        self._space = study["space"]
        space = {name: domain_of(domain) for name, domain in self._space.items()}
        self._scheduler = scheduler(space, metric=METRIC, random_seed=study["seed"], **options)
        self._by_order = by_order
        self._trials: dict[int, Any] = {}

    def ask(self, trial: int) -> dict[str, Any]:
        """A config that Syne Tune proposes."""
        suggestion = self._scheduler.suggest()
        if suggestion is None:
            return {"wait": True}
        self._add(trial, suggestion.config)
        return {"config": config_of(self._space, suggestion.config)}

    def take(self, trial: int, config: dict[str, Any]) -> dict[str, Any]:
        """Have a trial with this config, whatever was proposed for it."""
        # What is inactive keeps the value that was proposed for it, or takes the first that there is.
        if trial in self._trials:
            rest = self._trials[trial].config
        else:
            rest = {name: inside(domain, anything(domain)) for name, domain in self._space.items()}
        values = rest | {name: inside(self._space[name], value) for name, value in config.items()}
        if self._by_order:
            searcher = self._scheduler.searcher
            if trial not in self._trials:
                searcher.points_to_evaluate.append(values)
                self._scheduler.suggest()
            searcher.trial_configs[trial] = values
        self._add(trial, values)
        return {}

    def _add(self, trial: int, values: dict[str, Any]) -> None:
        self._trials[trial] = made = Trial(trial, values, datetime.now(UTC))
        self._scheduler.on_trial_add(made)

    def tell(self, report: dict[str, Any]) -> str:
        """Pass on a report, as its own tuner does."""
        trial, status = self._trials[report["trial"]], report["status"]
        if status == "failed":
            self._scheduler.on_trial_error(trial)
            return "continue"
        # Its models break off at an infinite loss.
        result = {METRIC: min(report["losses"][0], sys.float_info.max), LEVEL: report["resource"]}
        stops = self._scheduler.on_trial_result(trial, result) == "STOP"
        if stops:
            self._scheduler.on_trial_remove(trial)
        elif status == "reached":
            self._scheduler.on_trial_complete(trial, result)
        return "stop" if stops and status == "running" else "continue"


def domain_of(domain: dict[str, Any]) -> Any:
    """Syne Tune's domain for one of ours."""
    if domain["type"] == "choice":
        return domains.choice(list(range(len(domain["values"]))))
    if domain["type"] == "ordinal":
        if scale := domain.get("scale"):
            values = [float(value) for value in domain["values"]]
            return domains.ordinal(values, kind="nn-log" if scale == "log" else "nn")
        return domains.ordinal(list(range(len(domain["values"]))), kind="equal")
    made = {"reverse_loguniform": domains.reverseloguniform}.get(domain["type"]) or getattr(domains, domain["type"])
    return made(domain["lower"], domain["upper"])


def anything(domain: dict[str, Any]) -> Any:
    """Some value of a domain."""
    return domain["values"][0] if "values" in domain else domain["lower"]


def config_of(space: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The config that values of Syne Tune stand for, without what is inactive."""
    config: dict[str, Any] = {}
    for name, domain in space.items():
        if active(domain, config):
            config[name] = outside(domain, values[name])
    return config


def outside(domain: dict[str, Any], value: Any) -> Any:
    """The value that a value of Syne Tune stands for."""
    if "values" not in domain:
        return min(max(value, domain["lower"]), domain["upper"])
    return (
        next(one for one in domain["values"] if float(one) == value) if "scale" in domain else domain["values"][value]
    )


def inside(domain: dict[str, Any], value: Any) -> Any:
    """The value of Syne Tune's that stands for a value."""
    if "values" not in domain:
        return value
    return float(value) if "scale" in domain else domain["values"].index(value)
