"""yahpo:PATH: any scenario of YAHPO Gym from its files on disk: rbv2_*, iaml_*, fair_*, nb301, lcbench; any config.

`yahpo:yahpo_data/iaml_ranger:instance=40981` is one data set of the scenario in the folder `yahpo_data/iaml_ranger`,
which holds `model.onnx`, `config_space.json` and `encoding.json`, as in github.com/slds-lmu/yahpo_data. What else may
follow, each `:option=value`:

- instance: the data set; left out where there is only one;
- scenario: its name, where the folder has another.

Space and conditions are those of the file; in which order the network takes its inputs, and what its outputs mean, is
declared in `surrogates/_yahpo_scenarios.py`. Epochs are levels one by one; a level of `trainsize` is a share of the
training data, every 5 per cent, and a training of its own. `repl` of rbv2_*, the repetitions of cross-validation, is at
its most, 10.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.configspace import from_configspace
from harness.space import Choice, Integer, Space, Value
from harness.types import Benchmark, Fidelity, Objective
from surrogates._on_disk import json_object, parsed
from surrogates._yahpo import NONE, Codes, Network, Predicted, known_of
from surrogates._yahpo_scenarios import SCENARIOS, Scenario

BENCHMARKS: tuple[Benchmark, ...] = ()
OPTIONS = ("instance", "scenario")
MODEL, SPACE, ENCODING = FILES = ("model.onnx", "config_space.json", "encoding.json")
WORKERS, TRAININGS, VERSION = 4, 40, 1
STEP = 5
"""Per cent of the training data from level to level."""


def named(name: str) -> Benchmark:
    """The benchmark of a data set, `yahpo:PATH:instance=NAME`."""
    return load(name).benchmark


@cache
def load(name: str) -> Predicted:
    """The surrogate of a data set, `yahpo:PATH:instance=NAME`; ValueError with file, expected and found."""
    folder, given = parsed(name, OPTIONS)
    options = dict(given)
    for file in FILES:
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder / file} is missing: a scenario of YAHPO Gym is {', '.join(FILES)}")
    scenario_name = options.get("scenario", folder.resolve().name)
    if scenario_name not in SCENARIOS:
        raise ValueError(
            f"{name}: unknown scenario {scenario_name!r}: add :scenario=NAME, one of {', '.join(SCENARIOS)}"
        )
    scenario = SCENARIOS[scenario_name]
    whole = _space(folder / SPACE, scenario)
    instance = _instance(name, whole, scenario, options.get("instance"))
    held: dict[str, Value] = {**whole.constants, **scenario.held, scenario.instance: instance}
    network = Network(folder / MODEL, scenario, _codes(folder / ENCODING, scenario, whole))
    fidelity, levels = _levels(folder / SPACE, whole, scenario)
    benchmark = Benchmark(
        f"yahpo_{scenario_name}_{instance}",
        _searched(folder / SPACE, whole, {scenario.fidelity, *held}),
        (Objective(scenario.objective, scenario.outputs[scenario.objective].maximize),),
        fidelity,
        budget=1.0,
        workers=WORKERS,
        test_metric=scenario.test_metric,
    )
    sha256 = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in FILES}
    digest = ":".join((f"yahpo-{VERSION}", scenario_name, str(instance), *sha256.values()))
    model = Predicted(benchmark, network, held, np.array(levels, np.float32), digest, {})
    model.known = known_of(model, f"the scenario {scenario_name} of yahpo_data", sha256)
    budget = TRAININGS * model.known["full_seconds"] / WORKERS
    return replace(model, benchmark=replace(benchmark, budget=budget))


def _space(path: Path, scenario: Scenario) -> Space:
    """The space of the file, data sets and fidelity included: the inputs that are declared, no other."""
    try:
        space = from_configspace(json_object(path))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected a space of ConfigSpace ({error!r})") from None
    except ValueError as error:
        raise ValueError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    expected, found = {*scenario.categories, *scenario.numbers, scenario.instance}, {*space.names, *space.constants}
    if expected != found:
        unknown, absent = (", ".join(sorted(names)) or "none" for names in (found - expected, expected - found))
        raise ValueError(
            f"{path}: expected the hyperparameters {', '.join(sorted(expected))}; missing are {absent}, unknown are "
            f"{unknown}"
        )
    for name in scenario.categories:
        if not isinstance(space.domains.get(name), Choice) and name not in space.constants:
            raise ValueError(f"{path}: expected categories for {name!r}, found {space.domains[name]}")
    return space


def _instance(name: str, space: Space, scenario: Scenario, given: str | None) -> Value:
    """The data set that a benchmark is of."""
    domain = space.domains.get(scenario.instance)
    values = domain.values if isinstance(domain, Choice) else (space.constants[scenario.instance],)
    by_text = {str(value): value for value in values}
    if given is None and len(values) == 1:
        return values[0]
    if given not in by_text:
        said = "no :instance=NAME" if given is None else f"the instance {given!r}"
        raise ValueError(f"{name}: expected one of {len(by_text)} data sets, {', '.join(by_text)}; found {said}")
    return by_text[given]


def _codes(path: Path, scenario: Scenario, space: Space) -> Codes:
    """The number that stands for each value of each category."""
    codes = json_object(path)
    for name in scenario.categories:
        domain, of = space.domains.get(name), codes.get(name)
        values = domain.values if isinstance(domain, Choice) else (space.constants[name],)
        expected = {NONE, *map(str, values)}
        known: Mapping[str, Any] = of if isinstance(of, dict) else {}
        if absent := expected - {value for value, code in known.items() if type(code) is int and code >= 0}:
            raise ValueError(
                f"{path}: expected a code for each value of {name!r}, found none for {', '.join(sorted(absent))}"
            )
    return codes


def _levels(path: Path, space: Space, scenario: Scenario) -> tuple[Fidelity, list[float]]:
    """The levels of a scenario, and what the network takes for each."""
    domain = space.domains.get(scenario.fidelity)
    if scenario.continues and isinstance(domain, Integer):
        steps = tuple(range(domain.lower, domain.upper + 1))
        return Fidelity(scenario.fidelity, steps), list(map(float, steps))
    bounds = getattr(domain, "lower", 0.0), getattr(domain, "upper", 0.0)
    if scenario.continues or not 0 < bounds[0] < bounds[1] == 1:
        raise ValueError(f"{path}: expected levels of {scenario.fidelity!r}, found {domain}")
    first = math.ceil(bounds[0] * 100 / STEP - 1e-9) * STEP
    steps = tuple(range(first, 101, STEP))
    return Fidelity("percent", steps, continues=False), [step / 100 for step in steps]


def _searched(path: Path, space: Space, held: set[str]) -> Space:
    """The space without what is not searched; no hyperparameter may depend on that."""
    conditions = {name: parents for name, parents in space.conditions.items() if name not in held}
    if dependent := [name for name, parents in conditions.items() if held & set(parents)]:
        raise ValueError(f"{path}: {', '.join(dependent)} depends on what is not searched: {', '.join(sorted(held))}")
    return Space({name: domain for name, domain in space.domains.items() if name not in held}, conditions)
