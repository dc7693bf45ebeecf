"""Spaces from and to the JSON of ConfigSpace, the field's exchange format (format version 0.4).

What our spaces cannot say (forbidden clauses, weights, normal laws, conditions other than equality and membership) is
refused by name. What ConfigSpace cannot say (a reversed logarithm, the scale of an ordinal) is too. Priors stay behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.space import (
    Choice,
    Domain,
    Float,
    Integer,
    Ordinal,
    Space,
    Value,
    choice,
    lograndint,
    loguniform,
    ordinal,
    randint,
    uniform,
)

FORMAT_VERSION = 0.4


def from_configspace(plain: Mapping[str, Any]) -> Space:
    """A space from ConfigSpace's JSON; ValueError for what a space here cannot say."""
    if plain.get("forbiddens"):
        raise ValueError(f"forbidden clauses are not supported; the space {plain.get('name')!r} has some")
    hyperparameters = {entry["name"]: _domain(entry) for entry in plain["hyperparameters"]}
    conditions: dict[str, dict[str, Sequence[Value]]] = {}
    for condition in plain.get("conditions", []):
        parts = condition["conditions"] if condition["type"] == "AND" else [condition]
        for part in parts:
            child, parent, values = part.get("child", ""), part.get("parent", ""), _values(part)
            for name in (child, parent):
                if isinstance(hyperparameters.get(name), int | float | str):
                    raise ValueError(f"a condition of {child!r} on {parent!r} is not supported: {name!r} is a constant")
            known = conditions.setdefault(child, {})
            known[parent] = [value for value in known.get(parent, values) if value in values]
    return Space(_parents_first(hyperparameters, conditions), conditions)


def _domain(entry: Mapping[str, Any]) -> Domain | Value:
    if entry.get("q") is not None:
        raise ValueError(
            f"hyperparameter {entry['name']!r} is rounded to steps of {entry['q']}, which is not supported"
        )
    match entry["type"]:
        case "uniform_float":
            return (loguniform if entry.get("log") else uniform)(entry["lower"], entry["upper"])
        case "uniform_int":
            return (lograndint if entry.get("log") else randint)(entry["lower"], entry["upper"])
        case "categorical":
            weights = entry.get("weights", entry.get("probabilities"))  # their name up to format version 0.2
            if weights is not None and len(set(weights)) > 1:
                raise ValueError(f"hyperparameter {entry['name']!r} has weights {weights}, which are not supported")
            return choice(entry["choices"]) if len(entry["choices"]) > 1 else entry["choices"][0]
        case "ordinal":
            return ordinal(entry["sequence"]) if len(entry["sequence"]) > 1 else entry["sequence"][0]
        case "constant":
            return entry["value"]
        case other:
            raise ValueError(f"hyperparameter {entry['name']!r} of type {other!r} is not supported")


def _values(condition: Mapping[str, Any]) -> list[Value]:
    match condition["type"]:
        case "EQ":
            return [condition["value"]]
        case "IN":
            return list(condition["values"])
        case other:
            raise ValueError(
                f"the condition {other!r} of {condition.get('child')!r} is not supported; possible are EQ, IN and AND"
            )


def _parents_first(
    hyperparameters: Mapping[str, Domain | Value], conditions: Mapping[str, Mapping[str, Any]]
) -> dict[str, Domain | Value]:
    """The same hyperparameters in an order in which each stands behind its parents."""
    ordered: dict[str, Domain | Value] = {}
    waiting = dict(hyperparameters)
    while waiting:
        ready = [name for name in waiting if all(parent in ordered for parent in conditions.get(name, {}))]
        if not ready:
            raise ValueError(f"the conditions of {', '.join(waiting)} run in a circle or name an unknown parent")
        ordered |= {name: waiting.pop(name) for name in ready}
    return ordered


def to_configspace(space: Space, name: str = "") -> dict[str, Any]:
    """A space as ConfigSpace's JSON; ValueError for what ConfigSpace cannot say."""
    hyperparameters = [_entry(name, domain) for name, domain in space.domains.items()]
    hyperparameters += [{"type": "constant", "name": key, "value": value} for key, value in space.constants.items()]
    conditions: list[dict[str, Any]] = []
    for child, parents in space.conditions.items():
        parts = [
            {"type": "IN", "child": child, "parent": parent, "values": list(values)}
            if len(values) > 1
            else {"type": "EQ", "child": child, "parent": parent, "value": next(iter(values))}
            for parent, values in parents.items()
        ]
        conditions.append(parts[0] if len(parts) == 1 else {"type": "AND", "child": child, "conditions": parts})
    return {
        "name": name,
        "hyperparameters": hyperparameters,
        "conditions": conditions,
        "forbiddens": [],
        "format_version": FORMAT_VERSION,
    }


def _entry(name: str, domain: Domain) -> dict[str, Any]:
    match domain:
        case Float(scale="reverse_log"):
            raise ValueError(f"hyperparameter {name!r} has a reversed logarithm, which ConfigSpace does not know")
        case Float():
            plain = {
                "type": "uniform_float",
                "lower": domain.lower,
                "upper": domain.upper,
                "log": domain.scale == "log",
            }
        case Integer():
            plain = {"type": "uniform_int", "lower": domain.lower, "upper": domain.upper, "log": domain.log}
        case Ordinal(scale="linear" | "log"):
            raise ValueError(f"hyperparameter {name!r} is an ordinal on a {domain.scale} scale; ConfigSpace knows none")
        case Ordinal():
            plain = {"type": "ordinal", "sequence": list(domain.values)}
        case Choice():
            plain = {"type": "categorical", "choices": list(domain.values), "weights": None}
    return {"name": name, **plain, "default_value": domain.grid(1)[0]}
