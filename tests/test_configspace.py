"""Spaces to ConfigSpace's JSON and back; its own package is the oracle where it is installed."""

import json

import pytest

from harness.configspace import from_configspace, to_configspace
from harness.space import Space, choice, logordinal, lograndint, loguniform, ordinal, reverse_loguniform, uniform

SPACE = Space(
    {
        "optimizer": choice(["sgd", "adam", "lion"]),
        "lr": loguniform(1e-4, 1.0),
        "batch": lograndint(8, 128),
        "depth": ordinal([1, 2, 4]),
        "momentum": uniform(0.0, 0.99),
        "layers": 2,
    },
    {"momentum": {"optimizer": ["sgd", "lion"], "depth": [1]}},
)


UNEVEN = {"type": "categorical", "name": "x", "choices": ["a", "b"]}


def test_there_and_back_is_the_same_space() -> None:
    assert from_configspace(json.loads(json.dumps(to_configspace(SPACE)))) == SPACE


def test_parents_may_stand_behind_their_children() -> None:
    plain = to_configspace(SPACE)
    plain["hyperparameters"].reverse()
    assert from_configspace(plain).domains == SPACE.domains


def test_two_conditions_on_one_parent_hold_both() -> None:
    plain = to_configspace(SPACE)
    twice = [
        {"type": "IN", "child": "momentum", "parent": "optimizer", "values": values}
        for values in (["sgd", "adam"], ["adam", "lion"])
    ]
    plain["conditions"] = [{"type": "AND", "child": "momentum", "conditions": twice}]
    assert from_configspace(plain).conditions == {"momentum": {"optimizer": ("adam",)}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"forbiddens": [{"type": "EQ"}]}, "forbidden clauses"),
        ({"hyperparameters": [{"type": "normal_float", "name": "x"}]}, "'normal_float' is not supported"),
        ({"hyperparameters": [UNEVEN | {"weights": [0.9, 0.1]}]}, r"'x' has weights \[0.9, 0.1\]"),
        ({"hyperparameters": [UNEVEN | {"probabilities": [0.9, 0.1]}]}, r"'x' has weights \[0.9, 0.1\]"),
        ({"hyperparameters": [{"type": "uniform_int", "name": "x", "q": 4}]}, "'x' is rounded to steps of 4"),
        ({"conditions": [{"type": "GT", "child": "lr", "parent": "depth", "value": 1}]}, "possible are EQ, IN and AND"),
        ({"conditions": [{"type": "EQ", "child": "lr", "parent": "layers", "value": 2}]}, "'layers' is a constant"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_configspace({**to_configspace(SPACE), **change})


def test_a_reversed_logarithm_is_refused() -> None:
    with pytest.raises(ValueError, match="reversed logarithm"):
        to_configspace(Space({"momentum": reverse_loguniform(0.0, 0.99)}))


def test_the_scale_of_an_ordinal_is_refused() -> None:
    with pytest.raises(ValueError, match="'depth' is an ordinal on a log scale"):
        to_configspace(Space({"depth": logordinal([1, 2, 8])}))


def test_the_package_reads_what_we_write() -> None:
    package = pytest.importorskip("ConfigSpace", reason="the package ConfigSpace is not installed")
    read = package.ConfigurationSpace.from_serialized_dict(to_configspace(SPACE))
    assert set(read) == {*SPACE.names, *SPACE.constants}
    for config in read.sample_configuration(50):
        SPACE.check({name: value for name, value in dict(config).items() if name in SPACE.domains})
