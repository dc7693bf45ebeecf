"""What adapters share about a study's space, as the protocol writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def refuse_priors(study: dict[str, Any], library: str) -> None:
    """NotImplementedError where a user says where the optimum is expected, for a library that cannot be told."""
    priors = [name for name, domain in study["space"].items() if "prior" in domain]
    if priors:
        raise NotImplementedError(f"{library} takes no priors, here of {', '.join(priors)}")


def refuse_several_objectives(study: dict[str, Any], library: str) -> None:
    """NotImplementedError where there is more than one objective, for a library that has one."""
    if len(study["objectives"]) > 1:
        raise NotImplementedError(f"{library} has one objective, here are {len(study['objectives'])}")


def active(domain: dict[str, Any], config: dict[str, Any]) -> bool:
    """Whether a hyperparameter is active in a config, whose earlier ones are set."""
    conditions = domain.get("if", {}).items()
    return all(parent in config and config[parent] in values for parent, values in conditions)


def bounds(domain: dict[str, Any]) -> tuple[float, float, bool]:
    """The ends of a number's axis and whether it is logarithmic: of a `reverse_loguniform` x that of 1 - x."""
    lower, upper = domain["lower"], domain["upper"]
    if domain["type"] == "reverse_loguniform":
        return 1 - upper, 1 - lower, True
    return lower, upper, "log" in domain["type"]


def from_axis(domain: dict[str, Any], value: Any) -> Any:
    """The number that lies at a place of that axis; rounding may have left the bounds, and is brought back."""
    value = 1 - value if domain["type"] == "reverse_loguniform" else value
    return min(max(value, domain["lower"]), domain["upper"])


def on_axis(domain: dict[str, Any], value: Any) -> Any:
    """Where a number lies on that axis."""
    if domain["type"] != "reverse_loguniform":
        return value
    lower, upper, _ = bounds(domain)
    return min(max(1 - value, lower), upper)


def number_of(domain: dict[str, Any], value: Any) -> float:
    """A value for a library that sees numbers alone: choices and ordinals counted from 0, numbers on their axes."""
    if "values" in domain:
        return domain["values"].index(value)
    return value if domain["type"].endswith("randint") else float(on_axis(domain, value))


def numbers_of(space: dict[str, Any], config: dict[str, Any], rest: dict[str, float] | None) -> dict[str, float]:
    """A config in such numbers; what is inactive has those of the rest, or the first that there are."""
    firsts = {name: domain["values"][0] if "values" in domain else domain["lower"] for name, domain in space.items()}
    rest = rest or {name: number_of(space[name], value) for name, value in firsts.items()}
    return rest | {name: number_of(space[name], value) for name, value in config.items()}


def config_of_numbers(space: dict[str, Any], numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The config that such numbers stand for, without what is inactive; whole ones may have become floats."""
    config: dict[str, Any] = {}
    for name, domain in space.items():
        if active(domain, config):
            number = numbers[name]
            if "values" in domain:
                config[name] = domain["values"][int(number)]
            else:
                config[name] = from_axis(domain, int(number) if domain["type"].endswith("randint") else float(number))
    return config
