"""Spaces: one law for sampling and encoding, conditions, rows, and what is said to a user who is wrong."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from harness.domains import Domain, Ordinal, domain_from_json
from harness.randomness import stream
from harness.report import add_to_argparse
from harness.samplers.rs import RandomSearch
from harness.space import (
    Prior,
    Space,
    choice,
    finrange,
    logfinrange,
    logordinal,
    lograndint,
    loguniform,
    ordinal,
    randint,
    reverse_loguniform,
    uniform,
)
from harness.toys import toy_benchmark

FINITE: list[Domain] = [
    randint(-3, 4),
    lograndint(1, 12),
    ordinal(["s", "m", "l"]),
    logordinal([1, 2, 16]),
    finrange(0.0, 1.0, 5),
    logfinrange(1, 1000, 4, cast_int=True),
    choice(["a", "b"]),
    choice(["a", "b", "c"]),
]
CONTINUOUS: list[Domain] = [uniform(-2, 3), loguniform(1e-5, 10), reverse_loguniform(0.5, 0.999)]
CONDITIONAL = Space(
    {"opt": choice(["sgd", "adam", "none"]), "momentum": uniform(0, 1), "nesterov": choice([True, False]), "seed": 7},
    {"momentum": {"opt": ["sgd"]}, "nesterov": {"momentum": [0.5]}},
)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    domains = draw(st.lists(st.sampled_from(FINITE + CONTINUOUS), min_size=1, max_size=5))
    names = [f"h{i}" for i in range(len(domains))]
    conditions: dict[str, dict[str, list[Any]]] = {}
    for i, name in enumerate(names[1:], 1):
        parent = draw(st.integers(0, i - 1))
        if draw(st.booleans()) and domains[parent] in FINITE:
            conditions[name] = {names[parent]: domains[parent].grid(9)[:1]}
    return Space(dict(zip(names, domains, strict=True)) | {"constant": 3}, conditions)


@given(spaces(), seeds)
def test_a_sample_is_legal_and_decoding_gives_it_back(space: Space, seed: int) -> None:
    configs = space.sample(np.random.default_rng(seed), 5)
    encoded = space.encode(configs)
    assert encoded.shape == (5, space.dim)
    assert ((encoded >= 0) & (encoded <= 1)).all()
    for config, again in zip(configs, space.decode(encoded), strict=True):
        space.check(config)
        assert config.keys() == again.keys()
        for name, value in config.items():
            if isinstance(value, float):
                assert again[name] == pytest.approx(value, rel=1e-9, abs=1e-9)
            else:
                assert again[name] == value


@given(spaces(), seeds)
def test_every_point_of_the_cube_is_a_legal_config(space: Space, seed: int) -> None:
    points = np.random.default_rng(seed).random((4, space.dim))
    for config in space.decode(np.concatenate([points, np.round(points)])):
        space.check(config)


@given(spaces())
def test_json_gives_an_equal_space_in_the_same_order(space: Space) -> None:
    again = Space.from_json(json.loads(json.dumps(space.to_json())))
    assert again == space
    assert again.names == space.names
    assert again.constants == {"constant": 3}


@given(spaces(), seeds)
def test_the_first_of_many_samples_are_those_of_few(space: Space, seed: int) -> None:
    few, many = (space.sample(np.random.default_rng(seed), n) for n in (3, 8))
    assert many[:3] == few


@pytest.mark.parametrize("domain", FINITE, ids=str)
def test_a_value_is_drawn_as_often_as_its_cell_is_large(domain: Domain) -> None:
    values = domain.grid(10**6)
    fine = np.linspace(0, 1, 40_001)[:-1] + 1 / 80_000
    if domain.width > 1:
        cells = {value: 1 / len(values) for value in values}
    else:
        counts = Counter(domain.decode([u]) for u in fine.tolist())
        cells = {value: counts[value] / len(fine) for value in values}
    drawn = Counter(config["x"] for config in Space({"x": domain}).sample(stream("chi", str(domain)), 20_000))
    assert set(drawn) == set(values)
    assert chisquare([drawn[v] for v in values], [20_000 * cells[v] for v in values], sum_check=False).pvalue > 1e-4


@pytest.mark.parametrize("domain", CONTINUOUS, ids=str)
def test_a_continuous_sample_is_uniform_where_it_is_encoded(domain: Domain) -> None:
    space = Space({"x": domain})
    encoded = space.encode(space.sample(stream("ks", str(domain)), 5000))
    assert kstest(encoded[:, 0], "uniform").pvalue > 1e-4


def test_the_ends_of_a_logarithmic_integer_have_whole_cells() -> None:
    drawn = Counter(lograndint(1, 3).draw(u) for u in np.linspace(0, 1, 100_001)[:-1].tolist())
    whole = np.log([1.5 / 0.5, 2.5 / 1.5, 3.5 / 2.5]) / np.log(3.5 / 0.5)
    assert [drawn[i] / 100_000 for i in (1, 2, 3)] == pytest.approx(whole.tolist(), abs=1e-3)


def test_whole_bounds_written_as_floats_draw_whole_numbers() -> None:
    for made in (randint, lograndint):
        domain = made(1.0, 3.0)  # type: ignore[arg-type]
        assert domain == made(1, 3) and str(domain) == str(made(1, 3))
        drawn = [domain.draw(u) for u in (0.0, 0.5, 1.0)]
        assert drawn[0] == 1 and drawn[-1] == 3 and all(type(value) is int for value in [*drawn, *domain.grid(9)])
        assert Space({"n": domain}).size == 3


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (finrange(0.1, 0.5, 5), (0.1, 0.2, 0.3, 0.4, 0.5)),
        (logfinrange(1e-4, 1, 5), (1e-4, 1e-3, 1e-2, 1e-1, 1.0)),
        (logfinrange(0.3, 30, 3), (0.3, 3.0, 30.0)),
        (logfinrange(8, 64, 4, cast_int=True), (8, 16, 32, 64)),
    ],
)
def test_a_range_holds_its_numbers_as_one_writes_them(domain: Ordinal, values: tuple[float, ...]) -> None:
    assert domain.values == values and list(map(type, domain.values)) == list(map(type, values))
    for value in values:
        Space({"x": replace(domain, prior=Prior(value))}).check({"x": value})


def test_an_inactive_hyperparameter_is_absent_and_lies_in_the_middle() -> None:
    config = {"opt": "adam"}
    CONDITIONAL.check(config)
    assert CONDITIONAL.encode_one(config) == [0, 1, 0, 0.5, 0.5]
    assert CONDITIONAL.decode(np.array([0, 1, 0, 0.9, 0.9])) == [config]
    with pytest.raises(ValueError, match="'momentum' is given but inactive: it needs opt in \\['sgd'\\]"):
        CONDITIONAL.check({"opt": "adam", "momentum": 0.5})
    with pytest.raises(ValueError, match="'momentum' is missing"):
        CONDITIONAL.check({"opt": "sgd"})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"x": 0.5}, "'n' is missing; it takes randint"),
        ({"x": 2.0, "n": 1}, r"x = 2.0 is outside the space: it takes uniform\(0, 1\)"),
        ({"x": float("nan"), "n": 1}, "x = nan is outside"),
        ({"x": True, "n": 1}, "x = True is outside"),
        ({"x": 0.5, "n": 1.5}, "n = 1.5 is outside"),
        ({"x": 0.5, "n": 10**400}, "n = 1000"),
        ({"x": 0.5, "n": [1]}, r"n = \[1\] is outside"),
        ({"x": 0.5, "n": 1, "y": 2}, "unknown hyperparameter 'y'; there are x, n"),
    ],
)
def test_a_config_outside_is_refused_in_words(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Space({"x": uniform(0, 1), "n": randint(1, 3)}).check(config)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: uniform(1, 1), "must be finite and rise, given 1.0 and 1.0"),
        (lambda: loguniform(0, 1), "positive lower bound, given 0"),
        (lambda: reverse_loguniform(0, 1), r"lies in \[0, 1\)"),
        (lambda: randint(1, 2.5), "whole numbers"),  # type: ignore[arg-type]
        (lambda: lograndint(0, 5), "at least 1, given 0"),
        (lambda: choice(["a"]), "at least two different values"),
        (lambda: choice(["a", "a"]), "at least two different values"),
        (lambda: logordinal([2, 1]), "must rise"),
        (lambda: Space({"a": 1}), "at least one hyperparameter"),
        (lambda: Space({"a": uniform(0, 1)}, {"b": {"a": [1]}}), r"unknown hyperparameters \['b'\]"),
        (lambda: Space({"a": uniform(0, 1), "b": randint(0, 1)}, {"a": {"b": [1]}}), "one of those before it"),
        (lambda: Space({"a": randint(0, 1), "b": randint(0, 1)}, {"b": {"a": [5]}}), "not values of 'a'"),
        (lambda: Space({"a": replace(uniform(0, 1), prior=Prior(3.0))}), "prior of 'a' is 3.0, but it takes"),
        (lambda: Prior(1.0, 0.0), "must be positive"),
        (lambda: domain_from_json("a", {"type": "gauss"}), "possible are uniform, loguniform"),
        (lambda: domain_from_json("a", {"type": "uniform", "low": 1}), "'a' of type 'uniform'"),
        (lambda: domain_from_json("a", {"type": "uniform", "lower": 1, "upper": 2, "scale": "log"}), "only an ordinal"),
        (lambda: domain_from_json("a", {"type": "ordinal", "values": [1, 2], "scale": "cubic"}), "the scale 'cubic'"),
        (lambda: domain_from_json("a", {"type": "uniform", "lower": 0, "upper": 1, "prior": 0.5}), "is written .value"),
        (
            lambda: domain_from_json("a", {"type": "choice", "values": [1, 2], "prior": {"spread": 0.1}}),
            r"'a': a prior is written .*, given \{'spread': 0.1\}",
        ),
        (
            lambda: domain_from_json("a", {"type": "choice", "values": [1, 2], "prior": {"value": 1, "spread": 0}}),
            "'a': the spread of a prior must be positive",
        ),
        (lambda: Space({"a": uniform(0, 1), "b": [1, 2]}), "neither a constant nor"),  # type: ignore[dict-item]
    ],
)
def test_a_space_without_sense_is_refused_in_words(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    "space",
    [
        Space({"a": choice(["x", "y", "z"]), "b": randint(1, 40), "c": lograndint(1, 30)}),
        Space({"a": choice([1, 2]), "b": lograndint(1, 60)}, {"b": {"a": [2]}}),
        Space({"n": lograndint(1, 3000)}),
    ],
    ids=str,
)
def test_a_finite_space_is_proposed_whole_and_nothing_twice(space: Space) -> None:
    rng, opened = stream("whole"), space.opened()
    configs = list(iter(lambda: opened.fresh(rng), None))
    keys = {space.key(config) for config in configs}
    assert len(keys) == len(configs) == len(list(space.grid(10**4)))


@given(spaces(), st.integers(1, 3))
def test_a_grid_is_every_combination_of_what_is_active_in_order(space: Space, points: int) -> None:
    combinations = []
    for values in product(*(domain.grid(points) for domain in space.domains.values())):
        config: dict[str, Any] = {}
        for name, value in zip(space.names, values, strict=True):
            if space.active(name, config):
                config[name] = value
        combinations.append(space.key(config))
    assert [space.key(config) for config in space.grid(points)] == list(dict.fromkeys(combinations))


@given(spaces())
def test_the_size_counts_what_is_active_once(space: Space) -> None:
    sizes = [domain.size for domain in space.domains.values()]
    if None in sizes:  # with one parent each, everything can be active
        assert space.size is None
    else:
        assume(math.prod(size for size in sizes if size is not None) <= 5000)
        assert space.size == len({space.key(config) for config in space.grid(12)})


def test_the_size_knows_what_is_never_active_and_what_follows_from_several() -> None:
    two = choice([1, 2])
    never = Space({"a": two, "b": two, "x": uniform(0, 1)}, {"b": {"a": [1]}, "x": {"a": [2], "b": [1]}})
    assert never.size == 3
    opened = never.opened()
    search = RandomSearch(toy_benchmark(opened), stream("finite"))
    assert len([config for config in (search.suggest([]) for _ in range(5)) if config is not None]) == 3
    assert opened.exhausted
    wide = randint(1, 10**6)
    several = Space({"a": wide, "b": wide, "c": two}, {"c": {"a": [7, 7], "b": [1, 2, 3]}})
    assert several.size == 10**12 + 3
    switches: dict[str, Any] = {f"s{i}": two for i in range(30)} | {f"x{i}": ordinal([1, 2, 3]) for i in range(30)}
    tangled = Space(switches, {f"x{i}": {f"s{i}": [1]} for i in range(30)})
    assert tangled.size == 2**30 * 3**30  # a bound: there are 4**30


def test_rows_are_drawn_uniformly_and_without_repeats() -> None:
    space = Space({"n": randint(0, 99)})
    rows = [{"n": n} for n in range(0, 60, 10)]
    restricted = space.restricted(rows)
    firsts = Counter()
    for seed in range(3000):
        opened, rng = restricted.opened(), stream("rows", seed)
        order = [config["n"] for config in iter(lambda: opened.fresh(rng), None)]  # noqa: B023
        assert sorted(order) == [row["n"] for row in rows]
        firsts[order[0], order[1]] += 1
    assert len(firsts) == 30
    assert chisquare(list(firsts.values())).pvalue > 1e-4


def test_the_nearest_free_row_answers_and_a_claim_takes_it() -> None:
    space = Space({"x": uniform(0, 1)}).restricted([{"x": 0.1}, {"x": 0.5}, {"x": 0.9}])
    assert space.claim({"x": 0.5})
    assert not space.claim({"x": 0.5})
    assert not space.claim({"x": 0.3})
    assert space.fresh_near(np.array([0.55])) == {"x": 0.9}
    assert space.free_rows().tolist() == [[0.1]]  # type: ignore[union-attr]
    assert space.fresh_near(np.array([0.55])) == {"x": 0.1}
    assert space.fresh_near(np.array([0.55])) is None
    with pytest.raises(ValueError, match=r"\{'x': 0.3\} is none of the 3 rows of the table"):
        space.check({"x": 0.3})


def test_a_prior_gathers_samples_around_its_value() -> None:
    rate, act = replace(loguniform(1e-4, 1), prior=Prior(1e-2, 0.05)), choice(["a", "b", "c"])
    space = Space({"lr": rate, "act": replace(act, prior=Prior("b", 0.1))})
    assert Space.from_json(space.to_json()).domains["lr"].prior == Prior(1e-2, 0.05)
    configs = space.sample_prior(stream("prior"), 2000)
    assert np.mean([config["act"] == "b" for config in configs]) > 0.9
    places = space.encode(configs)[:, 0]
    assert places.mean() == pytest.approx(0.5, abs=0.01)
    assert places.std() == pytest.approx(0.05, abs=0.005)


def test_texts_become_values_and_arguments_of_a_script() -> None:
    space = Space({"lr": loguniform(1e-4, 1), "n": randint(1, 3), "act": choice(["a", 2]), "seed": 7})
    assert space.cast({"lr": "0.01", "n": "2", "act": "2"}) == {"lr": 0.01, "n": 2, "act": 2}
    for texts, words in (
        ({"lr": "fast"}, "lr = 'fast' is outside the space: it takes loguniform"),
        ({"act": "c"}, "act = 'c' is outside the space: it takes choice"),
        ({"what": "1"}, "unknown hyperparameter 'what'"),
    ):
        with pytest.raises(ValueError, match=words):
            space.cast(texts)
    parser = argparse.ArgumentParser()
    add_to_argparse(parser, space)
    found = parser.parse_args(["--lr", "0.01", "--n", "3", "--act", "a"])
    assert vars(found) == {"lr": 0.01, "n": 3, "act": "a", "seed": 7}


def test_configs_at_quantiles_are_those_of_each_law_and_respect_conditions() -> None:
    space = Space({"act": choice(["a", "b"]), "x": uniform(0, 2)}, {"x": {"act": ["b"]}})
    assert space.at_quantiles([[0.2, 0.9], [0.7, 0.25]]) == [{"act": "a"}, {"act": "b", "x": 0.5}]
