"""HEBO: heteroscedastic evolutionary Bayesian optimisation, by its own authors.

What it cannot do: pause or stop a trial; use levels below the last; several objectives; priors; follow conditions
(every hyperparameter has a value in its eyes, inactive ones are left out of what is trained); know of trials under way,
so that side by side it may propose much the same; know that a trial failed, of which it never hears. Choices and
ordinals are numbered. Its last release is of November 2024, for Python 3.11 at most.
"""

# The library is installed in its own environment, not where types are checked.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from harness.foreign._spaces import bounds, config_of_numbers, numbers_of, refuse_priors, refuse_several_objectives

__all__ = ["hebo"]

REQUIREMENTS = (
    "torch==2.13.0", "numpy==1.24.4", "scipy==1.12.0", "pandas==2.3.3", "matplotlib==3.10.9", "contourpy==1.3.2",
    "GPy==1.13.2", "HEBO==0.3.6",
)  # fmt: skip
"""It needs a numpy before 1.25; without the others pip looks for minutes for releases that go with that."""
PYTHON = "<3.12"
"""Such a numpy has no releases for later ones."""
LICENCE = "MIT"
CITATION = "Cowen-Rivers et al. 2022, HEBO: pushing the limits of sample-efficient hyperparameter optimisation, JAIR 74"

Study = dict[str, Any]


def hebo(study: Study) -> Hebo:
    """HEBO: a Gaussian process and a front of three acquisitions (Cowen-Rivers et al. 2022, JAIR 74)."""
    return Hebo(study)


class Hebo:
    """A run of HEBO, asked and told."""

    def __init__(self, study: Study) -> None:
        refuse_priors(study, "HEBO")
        refuse_several_objectives(study, "HEBO")
        self._space = study["space"]
        design = DesignSpace().parse([parameter_of(name, domain) for name, domain in self._space.items()])
        self._hebo = HEBO(design, scramble_seed=study["seed"])
        self._rows: dict[int, pd.DataFrame] = {}

    def ask(self, trial: int) -> dict[str, Any]:
        """A config that HEBO proposes."""
        self._rows[trial] = row = self._hebo.suggest()
        return {"config": config_of_numbers(self._space, row.iloc[0])}

    def take(self, trial: int, config: dict[str, Any]) -> dict[str, Any]:
        """Have a trial with this config, whatever was proposed for it."""
        proposed = dict(self._rows[trial].iloc[0]) if trial in self._rows else None
        self._rows[trial] = pd.DataFrame([numbers_of(self._space, config, proposed)])
        return {}

    def tell(self, report: dict[str, Any]) -> str:
        """Pass on what a trial came to at its end."""
        if report["status"] == "running":
            return "continue"
        row, loss = self._rows.pop(report["trial"]), report["losses"][0]
        if math.isfinite(loss):
            self._hebo.observe(row, np.array([[loss]]))
        return "continue"


def parameter_of(name: str, domain: dict[str, Any]) -> dict[str, Any]:
    """HEBO's parameter for a domain of ours; of a `reverse_loguniform` x it is 1 - x."""
    if domain["type"] == "choice":
        return {"name": name, "type": "cat", "categories": list(range(len(domain["values"])))}
    if domain["type"] == "ordinal":
        return {"name": name, "type": "int", "lb": 0, "ub": len(domain["values"]) - 1}
    lower, upper, log = bounds(domain)
    whole = domain["type"].endswith("randint")
    kind = ("pow_int" if log else "int") if whole else ("pow" if log else "num")
    return {"name": name, "type": kind, "lb": lower, "ub": upper}
