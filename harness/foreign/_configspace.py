"""A study's space as a ConfigSpace, for the optimisers that are built on it, and its configs there and back."""

from __future__ import annotations

from typing import Any

import ConfigSpace as cs

from harness.foreign._spaces import bounds, from_axis, on_axis


def configspace_of(study: dict[str, Any]) -> cs.ConfigurationSpace:
    """The space with its conditions, seeded by the study's seed."""
    space = cs.ConfigurationSpace(seed=study["seed"])
    space.add([hyperparameter_of(name, domain) for name, domain in study["space"].items()])
    for name, domain in study["space"].items():
        parents = domain.get("if", {})
        conditions = [cs.InCondition(space[name], space[parent], values) for parent, values in parents.items()]
        if conditions:
            space.add(cs.AndConjunction(*conditions) if len(conditions) > 1 else conditions[0])
    return space


def hyperparameter_of(name: str, domain: dict[str, Any]) -> Any:
    """A hyperparameter for a domain of ours; of a `reverse_loguniform` x it is 1 - x."""
    if domain["type"] == "choice":
        return cs.CategoricalHyperparameter(name, domain["values"])
    if domain["type"] == "ordinal":
        return cs.OrdinalHyperparameter(name, domain["values"])
    lower, upper, log = bounds(domain)
    if domain["type"].endswith("randint"):
        return cs.UniformIntegerHyperparameter(name, int(lower), int(upper), log=log)
    return cs.UniformFloatHyperparameter(name, lower, upper, log=log)


def config_of(study: dict[str, Any], configuration: cs.Configuration) -> dict[str, Any]:
    """The config that a configuration stands for, in the domains' own values."""
    values = dict(configuration)
    config: dict[str, Any] = {}
    for name, domain in study["space"].items():
        if name in values:
            value = values[name]
            if "values" in domain:
                config[name] = next(one for one in domain["values"] if one == value)
            else:
                config[name] = from_axis(domain, value.item() if hasattr(value, "item") else value)
    return config


def configuration_of(study: dict[str, Any], space: cs.ConfigurationSpace, config: dict[str, Any]) -> cs.Configuration:
    """The configuration that stands for a config."""
    domains = study["space"]
    values = {n: value if "values" in domains[n] else on_axis(domains[n], value) for n, value in config.items()}
    return cs.Configuration(space, values=values)
