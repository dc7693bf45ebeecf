"""DEHB: differential evolution over the brackets of Hyperband, by its own authors.

What it cannot do: stop a trial; several objectives; priors; follow conditions (every hyperparameter is a coordinate in
its eyes, inactive ones are left out of what is trained); learn from first configs, which are full trainings that it
hears nothing of. Of a table's rows it learns as if each had been its own proposal. It is given [0, 1]^d, choices and
ordinals in equal cells: its own reading of a ConfigSpace needs a version that is no longer installed.
"""

# The library is installed in its own environment, not where types are checked.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import math
import sys
import tempfile
from typing import Any

import dehb as library

from harness.foreign._promotions import Promotions
from harness.foreign._spaces import active, bounds, from_axis, refuse_priors, refuse_several_objectives

__all__ = ["dehb_authors"]
VERSION = 2

REQUIREMENTS = ("dehb==0.1.2", "numpy<2")
LICENCE = "Apache-2.0"
CITATION = "Awad, Mallik & Hutter 2021, DEHB: evolutionary hyperband for scalable hyperparameter optimization, IJCAI"

Study = dict[str, Any]


def dehb_authors(study: Study, *, eta: int = 3) -> Dehb:
    """DEHB in its authors' own package (Awad, Mallik & Hutter 2021, IJCAI, Algorithm 1).

    eta: of the configs at a level, one in eta goes on to the next.
    """
    return Dehb(study, eta)


class Dehb:
    """A run of DEHB, asked and told."""

    def __init__(self, study: Study, eta: int) -> None:
        refuse_priors(study, "DEHB")
        refuse_several_objectives(study, "DEHB")
        levels = study["fidelity"]["levels"]
        if len(levels) == 1:
            raise NotImplementedError("there is one level, and DEHB needs at least two")
        if eta < 2:
            raise ValueError(f"eta must be at least 2, given {eta}")
        self._space = study["space"]
        self._dehb = library.DEHB(
            dimensions=len(study["space"]),
            min_fidelity=levels[0],
            max_fidelity=levels[-1],
            eta=eta,
            seed=study["seed"],
            n_workers=1,  # that is of its own loop; asked, it keeps any number of trials apart
            output_path=tempfile.mkdtemp(dir="."),
            save_freq="end",
            log_level="ERROR",
        )
        self._promotions = Promotions(study)

    def ask(self, trial: int) -> dict[str, Any]:
        """What DEHB wants to run: a new config, or one that it promotes."""
        while True:
            job = self._dehb.ask()
            known = self._promotions.known(job["config_id"], job["fidelity"])
            if known is None:
                break
            self._answer(job, known)
        answer = self._promotions.begin(trial, job["config_id"], job["fidelity"], job)
        return answer if "trial" in answer else answer | {"config": config_at(self._space, job["config"].tolist())}

    def take(self, trial: int, config: dict[str, Any]) -> dict[str, Any]:
        """Have a trial with this config: one that replaces a proposal is told of as if it were that proposal."""
        return self._promotions.until(trial) or {}

    def tell(self, report: dict[str, Any]) -> str:
        """Pass on what a job came to."""
        job = self._promotions.end(report)
        if job is not None:
            self._answer(job, report)
        return "continue"

    def _answer(self, job: dict[str, Any], report: dict[str, Any]) -> None:
        # Where all losses are infinite it finds nothing to promote, and breaks off.
        loss = min(report["losses"][0], sys.float_info.max)
        self._dehb.tell(job, {"fitness": loss, "cost": report["cost"]})


def config_at(space: dict[str, Any], point: list[float]) -> dict[str, Any]:
    """The config at a point of [0, 1]^d, without what is inactive."""
    config: dict[str, Any] = {}
    for (name, domain), place in zip(space.items(), point, strict=True):
        if active(domain, config):
            config[name] = value_at(domain, place)
    return config


def value_at(domain: dict[str, Any], place: float) -> Any:
    """The value at a place in [0, 1] of a domain's axis; whole numbers are rounded to."""
    if "values" in domain:
        return domain["values"][min(int(place * len(domain["values"])), len(domain["values"]) - 1)]
    lower, upper, log = bounds(domain)
    if log:
        value = math.exp(math.log(lower) + place * (math.log(upper) - math.log(lower)))
    else:
        value = lower + (upper - lower) * place
    return from_axis(domain, round(value) if domain["type"].endswith("randint") else value)
