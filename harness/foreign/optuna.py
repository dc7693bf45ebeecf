"""Optuna: its samplers, each with one of its pruners.

What it cannot do: pause a trial; use priors; prune where there are several objectives. Conditions are followed, as in
its own define-by-run, but its GP and its CMA-ES draw what is not in every trial from other samplers of Optuna, and its
CMA-ES also what is categorical. Ordinals are numbered, so that their order is kept. A failed trial is told as failed.
"""

from __future__ import annotations

from typing import Any

import optuna

from harness.foreign._spaces import active, bounds, from_axis, on_axis, refuse_priors, refuse_several_objectives

__all__ = ["optuna_cmaes", "optuna_gp", "optuna_tpe"]
VERSION = 2

REQUIREMENTS = ("optuna==5.0.0", "cmaes==0.13.1", "scipy>=1.11", "torch==2.13.0")
LICENCE = "MIT"
CITATION = (
    "Akiba, Sano, Yanase, Ohta & Koyama 2019, Optuna: a next-generation hyperparameter optimization framework, KDD"
)

Study = dict[str, Any]
State = optuna.trial.TrialState


def optuna_tpe(study: Study, *, pruner: str = "none") -> Optuna:
    """Optuna's tree-structured Parzen estimator (Watanabe 2023, arXiv 2304.11127, section 3).

    pruner: none, median, halving or hyperband.
    """
    return Optuna(study, optuna.samplers.TPESampler(seed=study["seed"]), pruner)


def optuna_gp(study: Study, *, pruner: str = "none") -> Optuna:
    """Optuna's Gaussian process with the logarithm of expected improvement (Ament et al. 2023, arXiv 2310.20708).

    pruner: none, median, halving or hyperband.
    """
    return Optuna(study, optuna.samplers.GPSampler(seed=study["seed"], warn_independent_sampling=False), pruner)


def optuna_cmaes(study: Study, *, pruner: str = "none") -> Optuna:
    """Optuna's CMA-ES (Nomura & Shibata 2024, arXiv 2402.01373, the package cmaes).

    pruner: none, median, halving or hyperband.
    """
    refuse_several_objectives(study, "Optuna's CMA-ES")
    return Optuna(study, optuna.samplers.CmaEsSampler(seed=study["seed"], warn_independent_sampling=False), pruner)


class Optuna:
    """A study of Optuna, asked and told."""

    def __init__(self, study: Study, sampler: optuna.samplers.BaseSampler, pruner: str) -> None:
        refuse_priors(study, "Optuna")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = study["space"]
        self._prunes = pruner != "none"
        self._by_generation = isinstance(sampler, optuna.samplers.CmaEsSampler)
        self._study = optuna.create_study(
            study_name=f"foretune-{study['seed']}",  # by whose hash Hyperband gives trials to brackets
            sampler=sampler,
            pruner=pruner_of(study, pruner),
            directions=[optuna.study.StudyDirection.MINIMIZE] * len(study["objectives"]),
        )
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self, trial: int) -> dict[str, Any]:
        """A config that Optuna proposes."""
        self._trials[trial] = theirs = self._study.ask()
        return {"config": suggested(theirs, self._space)}

    def take(self, trial: int, config: dict[str, Any]) -> dict[str, Any]:
        """Have a trial with this config, whatever was proposed for it."""
        if trial in self._trials:
            self._study.tell(self._trials[trial], state=State.FAIL)
        self._study.enqueue_trial({name: inside(self._space[name], value) for name, value in config.items()})
        self.ask(trial)
        if self._by_generation:
            # A trial without a proposal belongs to no generation, and CMA-ES would learn nothing from it.
            assert self._trials[trial].relative_params is not None
        return {}

    def tell(self, report: dict[str, Any]) -> str:
        """Pass on a report; `stop` where the pruner prunes."""
        theirs, losses = self._trials[report["trial"]], report["losses"]
        if report["status"] == "failed":
            self._study.tell(theirs, state=State.FAIL)
            return "continue"
        if self._prunes:
            theirs.report(losses[0], report["resource"])
            if theirs.should_prune():
                self._study.tell(theirs, state=State.PRUNED)
                return "stop" if report["status"] == "running" else "continue"
        if report["status"] == "reached":
            self._study.tell(theirs, losses)
        return "continue"


def pruner_of(study: Study, name: str) -> optuna.pruners.BasePruner:
    """A pruner by its name, for the levels of a study."""
    levels = study["fidelity"]["levels"]
    made: dict[str, Any] = {
        "none": optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "halving": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=levels[0]),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=levels[0], max_resource=levels[-1]),
    }
    if name not in made:
        raise ValueError(f"pruner must be one of {', '.join(made)}, given {name!r}")
    if name != "none" and len(study["objectives"]) > 1:
        raise NotImplementedError(f"Optuna prunes by one objective, here are {len(study['objectives'])}")
    if name != "none" and (len(levels) == 1 or not study["fidelity"]["continues"]):
        raise NotImplementedError("a training says nothing before its end, so there is nothing to prune at")
    return made[name]()


def suggested(trial: optuna.Trial, space: dict[str, Any]) -> dict[str, Any]:
    """The config of a trial, suggested one hyperparameter after the other as in a user's objective."""
    config: dict[str, Any] = {}
    for name, domain in space.items():
        if active(domain, config):
            config[name] = outside(domain, suggest(trial, name, domain))
    return config


def suggest(trial: optuna.Trial, name: str, domain: dict[str, Any]) -> Any:
    """A value of Optuna's for a domain of ours."""
    if domain["type"] == "choice":
        return trial.suggest_categorical(name, domain["values"])
    if domain["type"] == "ordinal":
        return trial.suggest_int(name, 0, len(domain["values"]) - 1)
    lower, upper, log = bounds(domain)
    if domain["type"].endswith("randint"):
        return trial.suggest_int(name, domain["lower"], domain["upper"], log=log)
    return trial.suggest_float(name, lower, upper, log=log)


def outside(domain: dict[str, Any], value: Any) -> Any:
    """The value that a value of Optuna's stands for."""
    if domain["type"] == "ordinal":
        return domain["values"][value]
    return value if domain["type"] == "choice" else from_axis(domain, value)


def inside(domain: dict[str, Any], value: Any) -> Any:
    """The value of Optuna's that stands for a value."""
    if domain["type"] == "ordinal":
        return domain["values"].index(value)
    return value if domain["type"] == "choice" else on_axis(domain, value)
