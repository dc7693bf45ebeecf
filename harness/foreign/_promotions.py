"""Which trial each config of a library is that asks for some of its configs again, at a higher budget.

A library speaks of budgets, real numbers; a trial is trained to the lowest level that is at least as high. What cannot
be trained again (a trial that failed or ended early, a level that it has already) is answered from what is known.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any


class Promotions:
    """The trials of a library by its own keys, its jobs under way, and what was told of each."""

    def __init__(self, study: dict[str, Any]) -> None:
        self._levels: list[int] = study["fidelity"]["levels"]
        self._numbers: dict[Hashable, int] = {}
        self._jobs: dict[int, tuple[Any, int]] = {}
        self._known: dict[tuple[int, int], dict[str, Any]] = {}
        self._over: dict[int, dict[str, Any]] = {}

    def level(self, budget: float | None) -> int:
        """The level to which a budget trains; None is a full training."""
        top = self._levels[-1]
        return top if budget is None else next((one for one in self._levels if one >= budget * (1 - 1e-9)), top)

    def known(self, key: Hashable, budget: float | None) -> dict[str, Any] | None:
        """The report that answers for a config at a budget without training it, where there is one."""
        number = self._numbers.get(key, -1)
        return self._over.get(number) or self._known.get((number, self.level(budget)))

    def begin(self, trial: int, key: Hashable, budget: float | None, job: Any) -> dict[str, Any]:
        """Note the job of a config; gives what the program answers, `trial` in it only where it was trained before.

        A config that is asked for while it trains is trained another time, beside.
        """
        if self._numbers.get(key) in self._jobs:
            key = (key, trial)
        new = key not in self._numbers
        number = self._numbers.setdefault(key, trial)
        level = self.level(budget)
        self._jobs[number] = (job, level)
        return {"until": level} if new else {"trial": number, "until": level}

    def until(self, trial: int) -> dict[str, Any] | None:
        """How far the job of a trial goes that has one."""
        return {"until": self._jobs[trial][1]} if trial in self._jobs else None

    def end(self, report: dict[str, Any]) -> Any:
        """The library's job that a report ends; None where it goes on, or the library never asked for it."""
        trial = report["trial"]
        if trial not in self._jobs:
            return None
        self._known[trial, report["resource"]] = report
        if report["status"] == "running":
            return None
        job, level = self._jobs.pop(trial)
        if report["status"] == "failed" or report["resource"] < level:
            self._over[trial] = report
        return job
