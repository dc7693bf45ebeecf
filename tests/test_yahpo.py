"""yahpo:PATH: networks made here answer what numpy says they must, for every scenario; what is wrong is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import catalog
from harness.cache import published
from harness.comparison import Arm, Comparison
from harness.compose.studies import model_of, simulate, study_of
from harness.space import Config, Value
from harness.types import Event, Objective
from surrogates import _converted
from surrogates._yahpo_scenarios import SCENARIOS, Scenario
from surrogates.families import lcbench, yahpo

pytestmark = pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
LCBENCH = pytest.mark.skipif(
    _converted.shared_data("lcbench_surrogate") is None, reason="FORETUNE_DATA holds no lcbench_surrogate"
)
ORDERS = "189c9c5990510a2cb67c3268bc0c2715bde67c507a537273043075cec6590064"
"""Of the inputs and outputs of all scenarios as yahpo_gym 1.0.2 and, of fair_*, its repository declare them."""
VALUES = ("b", "a", "c")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No surrogate is remembered from another folder of the same name."""
    yield
    yahpo.load.cache_clear()


def weights(scenario: Scenario, scale: float = 0.1) -> np.ndarray:
    """Of a network that multiplies the codes and the numbers, all of them in their order, by these."""
    inputs = len(scenario.categories) + len(scenario.numbers)
    return (np.random.default_rng(inputs).random((inputs, len(scenario.outputs))) * scale).astype(np.float32)


def write_network(path: Path, tables: list[int], matrix: np.ndarray) -> None:
    """A network that looks each code up in a table of its category and multiplies all inputs by a matrix."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    helper, kinds = onnx.helper, onnx.TensorProto
    numbers = len(matrix) - len(tables)
    inputs = [
        helper.make_tensor_value_info("x_cat", kinds.INT32, ["n", len(tables)]),
        helper.make_tensor_value_info("x_cont", kinds.FLOAT, ["n", numbers]),
    ]
    output = helper.make_tensor_value_info("output", kinds.FLOAT, ["n", matrix.shape[1]])
    nodes, constants = [], [onnx.numpy_helper.from_array(matrix, "matrix")]
    for place, rows in enumerate(tables):
        constants += [
            onnx.numpy_helper.from_array(np.arange(rows, dtype=np.float32), f"table{place}"),
            onnx.numpy_helper.from_array(np.array([place]), f"place{place}"),
        ]
        nodes += [
            helper.make_node("Gather", ["x_cat", f"place{place}"], [f"code{place}"], axis=1),
            helper.make_node("Gather", [f"table{place}", f"code{place}"], [f"seen{place}"], axis=0),
        ]
    seen = [f"seen{place}" for place in range(len(tables))]
    nodes += [
        helper.make_node("Concat", [*seen, "x_cont"], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "matrix"], ["output"]),
    ]
    graph = helper.make_graph(nodes, "small", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def space_of(scenario: Scenario) -> dict[str, Any]:
    """A space as in the scenario's folder; its last category and number depend on the first category, if it has one."""
    entries: list[dict[str, Any]] = []
    searched: list[str] = []
    for name in dict.fromkeys((*scenario.categories, scenario.instance)):
        choices = ["31", "7"] if name == scenario.instance and name in scenario.categories else list(VALUES)
        if name == scenario.instance and name not in scenario.categories:
            choices = ["CIFAR10"]
        elif name != scenario.instance:
            searched.append(name)
        entries.append({"name": name, "type": "categorical", "choices": choices, "probabilities": None})
    for name in scenario.numbers:
        if name == "epoch":
            entries.append({"name": name, "type": "uniform_int", "lower": 1, "upper": 7, "log": False})
        elif name == "repl":
            entries.append({"name": name, "type": "uniform_int", "lower": 1, "upper": 10, "log": False})
        else:
            lower = 0.111 if name == "trainsize" else 0.05
            entries.append({"name": name, "type": "uniform_float", "lower": lower, "upper": 1.0, "log": False})
            searched += [name] * (name != "trainsize")
    parent, *others = searched
    categories = [name for name in others if name in scenario.categories]
    numbers = [name for name in others if name in scenario.numbers]
    children = [*categories[-1:], *numbers[-1:]] if parent in scenario.categories else []
    conditions = [{"type": "IN", "child": name, "parent": parent, "values": ["a", "c"]} for name in children]
    return {"hyperparameters": entries, "conditions": conditions, "forbiddens": [], "json_format_version": 0.2}


def codes_of(scenario: Scenario, space: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Codes as in the scenario's folder: `#na#` first, then the values sorted."""
    values = {entry["name"]: sorted(entry["choices"]) for entry in space["hyperparameters"] if "choices" in entry}
    return {
        name: {"#na#": 0, **{value: place + 1 for place, value in enumerate(values[name])}}
        for name in scenario.categories
    }


def write(folder: Path, name: str, matrix: np.ndarray | None = None) -> Path:
    """The folder of a scenario, with a small network."""
    scenario, place = SCENARIOS[name], folder / name
    place.mkdir(parents=True)
    space = space_of(scenario)
    codes = codes_of(scenario, space)
    (place / "config_space.json").write_text(json.dumps(space))
    (place / "encoding.json").write_text(json.dumps(codes))
    tables = [len(codes[category]) for category in scenario.categories]
    write_network(place / "model.onnx", tables, weights(scenario) if matrix is None else matrix)
    return place


def instance_of(scenario: Scenario) -> str:
    return "CIFAR10" if scenario.instance not in scenario.categories else "31"


def expected(scenario: Scenario, config: Config, level: float, matrix: np.ndarray) -> dict[str, float]:
    """What the network must say of a config, with inactive hyperparameters as yahpo_gym feeds them."""
    codes = codes_of(scenario, space_of(scenario))
    whole: dict[str, Value] = {**config, scenario.instance: instance_of(scenario), "repl": 10, scenario.fidelity: level}
    inputs = [
        *(codes[name][str(whole.get(name, "#na#"))] for name in scenario.categories),
        *(float(whole.get(name, 0)) for name in scenario.numbers),
    ]
    return dict(zip(scenario.outputs, (np.array(inputs) @ matrix).tolist(), strict=True))


# -- what is answered --------------------------------------------------------------------------------------------------


def test_the_orders_of_inputs_and_outputs_are_those_of_the_package() -> None:
    declared = {name: [s.categories, s.numbers, list(s.outputs)] for name, s in SCENARIOS.items()}
    assert hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest() == ORDERS


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_curve_is_what_the_network_says_at_each_level(tmp_path: Path, name: str) -> None:
    scenario, folder = SCENARIOS[name], write(tmp_path, name)
    model = yahpo.load(f"yahpo:{folder}:instance={instance_of(scenario)}")
    benchmark = model.benchmark
    assert benchmark.name == f"yahpo_{name}_{instance_of(scenario)}"
    assert not {scenario.instance, scenario.fidelity, "repl"} & set(benchmark.space.names)
    assert benchmark.fidelity.levels == (tuple(range(1, 8)) if scenario.continues else tuple(range(15, 101, 5)))
    assert benchmark.fidelity.continues is scenario.continues
    lengths: set[int] = set()
    for config in benchmark.space.sample(np.random.default_rng(0), 20):
        lengths.add(len(config))
        curve, last = model.curve(config, 3), 0.0
        for place, level in enumerate(benchmark.fidelity.levels):
            said = expected(scenario, config, level if scenario.continues else level / 100, weights(scenario))
            for metric in scenario.metrics:
                of = scenario.outputs[metric]
                wanted = min(max(said[metric], of.lowest), of.highest)
                assert curve.metrics[place][metric] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
            spent = max(said[scenario.seconds], last + 0.001 if scenario.continues else 0.001)
            assert curve.nanoseconds[place] / 1e9 == pytest.approx(spent, rel=1e-4)
            last = curve.nanoseconds[place] / 1e9
            sign = -1 if scenario.outputs[scenario.objective].maximize else 1
            assert curve.losses[place] == (sign * curve.metrics[place][scenario.objective],)
        hidden = {scenario.test_metric} - {None}
        assert set(curve.visible[0]) == set(scenario.metrics) - hidden
        assert model.final_loss(config) == curve.losses[-1][0]
    assert len(lengths) == (2 if benchmark.space.conditions else 1)
    assert benchmark.budget == pytest.approx(40 * model.facts()["full_seconds"] / 4)


def test_what_no_training_can_give_is_mended_and_counted(tmp_path: Path) -> None:
    scenario = SCENARIOS["iaml_glmnet"]
    matrix = weights(scenario)
    matrix[:, 1], matrix[:, 2], matrix[:, 7] = -1.0, 50.0, -1.0  # f1 below 0, auc above 1, seconds below 0
    model = yahpo.load(f"yahpo:{write(tmp_path, 'iaml_glmnet', matrix)}:instance=31")
    (config,) = model.benchmark.space.sample(np.random.default_rng(1), 1)
    curve = model.curve(config, 0)
    assert {(m["f1"], m["auc"], m["timetrain"]) for m in curve.metrics} == {(0.0, 1.0, 0.0)}
    assert set(curve.nanoseconds) == {1_000_000}
    made = model.facts()["made"]
    assert made["missing"] == f"nothing; on 101 random configs {3 / 12:.2%} of numbers were clipped"
    assert made["seconds"] == "predicted; on 101 random configs 100.00% of times were raised"
    nb301 = yahpo.load(f"yahpo:{write(tmp_path, 'nb301', -weights(SCENARIOS['nb301']))}")
    (config,) = nb301.benchmark.space.sample(np.random.default_rng(1), 1)
    assert all(b - a == 1_000_000 for a, b in pairwise(nb301.curve(config, 0).nanoseconds))


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_many_final_losses_in_one_call_are_those_of_each_curve(name: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    model = yahpo.load(f"yahpo:{write(tmp_path, name)}:instance={instance_of(scenario)}")
    configs = model.benchmark.space.sample(np.random.default_rng(1), 50)
    losses = [model.final_loss(config) for config in configs]
    assert model.final_losses(configs) == pytest.approx(np.array(losses), rel=1e-5)


def test_the_best_found_is_sought_once_when_somebody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = yahpo.load(f"yahpo:{write(tmp_path, 'rbv2_svm')}:instance=7")
    assert model.known["optimum"] is None
    facts = model.facts()
    assert facts["optimum"] == model.final_loss(facts["optimum_config"]) <= facts["final_losses"][0]
    assert facts["median"] == np.median(facts["final_losses"]) != 0
    monkeypatch.setattr(type(model), "best_found", None)
    assert model.facts() == facts


def test_other_objectives_and_a_study_on_a_scenario(tmp_path: Path) -> None:
    name = f"yahpo:{write(tmp_path, 'rbv2_svm')}:instance=7"
    model = yahpo.load(name)
    assert catalog.find_benchmark(name).benchmark == model.benchmark == model_of(name, "restrict").benchmark
    both = {"objectives": [{"metric": "auc", "maximize": True}, {"metric": "memory"}]}
    wanted = Comparison((Arm("asha", "asha"),), (name,), (0,), own={name: both})
    study = study_of(wanted, wanted.arms[0], name, 0)
    log, _ = simulate(study)
    events = [event for event in log.events if isinstance(event, Event)]
    assert not log.error and len(events) > 20
    assert study.benchmark.objectives == (Objective("auc", maximize=True), Objective("memory"))
    assert all(e.report.losses == (-e.metrics["auc"], e.metrics["memory"]) for e in events)
    with pytest.raises(ValueError, match="has no metric 'mse'; it has acc, bac"):
        simulate(study_of(Comparison(wanted.arms, (name,), (0,), {"objectives": [{"metric": "mse"}]}), wanted.arms[0],
                          name, 0))  # fmt: skip


@LCBENCH
def test_the_published_network_of_lcbench_answers_as_the_family_of_that_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path))
    monkeypatch.setattr(lcbench, "SECONDS", {3945: lcbench.SECONDS[3945]})
    monkeypatch.setattr(lcbench, "BENCHMARKS", lcbench.BENCHMARKS[:1])
    with published("lcbench") as making:
        lcbench.convert(lcbench.find(), making)
    theirs = lcbench.load("lcbench_3945")
    name = f"yahpo:{lcbench.find()}:scenario=lcbench:instance=3945"
    model = yahpo.load(name)
    assert set(model.benchmark.space.names) == set(theirs.benchmark.space.names)
    assert model.benchmark.fidelity == theirs.benchmark.fidelity
    for config in theirs.benchmark.space.sample(np.random.default_rng(0), 5):
        assert model.curve(config, 0) == theirs.curve(config, 1)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "expected one of 2 data sets, 31, 7; found no :instance=NAME"),
        (":instance=8", "found the instance '8'"),
        (":scenario=iaml:instance=7", "unknown scenario 'iaml': add :scenario=NAME, one of lcbench, nb301, "),
        (":task=7", "unknown option 'task=7'; there are instance, scenario"),
        (":scenario=iaml_rpart:instance=7", "config_space.json: expected the hyperparameters cp, .* missing are cp"),
    ],
)
def test_wrong_names_are_refused_with_what_is_possible(tmp_path: Path, options: str, said: str) -> None:
    folder = write(tmp_path, "iaml_ranger")
    with pytest.raises(ValueError, match=said):
        catalog.find_benchmark(f"yahpo:{folder}{options}")


def changed(folder: Path, file: str, change: dict[str, Any]) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_files_that_do_not_fit_are_refused_with_what_was_expected_and_found(tmp_path: Path) -> None:
    scenario = SCENARIOS["iaml_ranger"]
    whole = write(tmp_path, "iaml_ranger")
    space = space_of(scenario)["hyperparameters"]
    codes = codes_of(scenario, space_of(scenario))
    other = [{**entry, "name": "colour"} if entry["name"] == "num.trees" else entry for entry in space]
    weighted = [{**entry, "probabilities": [0.8, 0.1, 0.1]} if entry["name"] == "replace" else entry for entry in space]
    ordered = [
        {"name": entry["name"], "type": "ordinal", "sequence": entry["choices"]}
        if entry["name"] == "replace"
        else entry
        for entry in space
    ]
    fixed = [{**entry, "lower": 0.5, "upper": 0.9} if entry["name"] == "trainsize" else entry for entry in space]
    on_task = [{"type": "EQ", "child": "num.trees", "parent": "task_id", "value": "7"}]
    for case, (file, change, said) in enumerate(
        [
            ("config_space.json", {"hyperparameters": other}, "missing are num.trees, unknown are colour"),
            ("config_space.json", {"hyperparameters": weighted}, "'replace' has weights"),
            ("config_space.json", {"hyperparameters": ordered}, "expected categories for 'replace', found"),
            ("config_space.json", {"hyperparameters": fixed}, "expected levels of 'trainsize', found"),
            ("config_space.json", {"hyperparameters": [{"name": "x"}]}, "expected a space of ConfigSpace"),
            ("config_space.json", {"conditions": on_task}, "num.trees depends on what is not searched"),
            ("encoding.json", {"splitrule": {"#na#": 0, "a": 1}}, "value of 'splitrule', found none for b, c"),
            ("encoding.json", {"replace": {**codes["replace"], "c": "3"}}, "value of 'replace', found none for c"),
            ("encoding.json", {"replace": 3}, "value of 'replace', found none for #na#, a, b, c"),
            ("encoding.json", {"replace": {**codes["replace"], "d": 4}}, "takes the codes of task_id up to 2, replace"),
        ]
    ):
        folder = tmp_path / str(case) / "iaml_ranger"
        shutil.copytree(whole, folder)
        changed(folder, file, change)
        named = "model.onnx" if "takes the codes" in said else file
        with pytest.raises(ValueError, match=rf"{case}/iaml_ranger/{named}: .*{said}"):
            yahpo.load(f"yahpo:{folder}:instance=7")
    for file in yahpo.FILES:
        folder = tmp_path / f"without {file}" / "iaml_ranger"
        shutil.copytree(whole, folder)
        (folder / file).write_text("[1]")
        with pytest.raises(ValueError, match=f"{file}: (expected an object, found list|not a network that can be run)"):
            yahpo.load(f"yahpo:{folder}:instance=7")
        (folder / file).unlink()
        with pytest.raises(FileNotFoundError, match=f"{file} is missing"):
            yahpo.load(f"yahpo:{folder}:instance=7")


def test_a_network_from_other_inputs_or_without_numbers_is_refused(tmp_path: Path) -> None:
    scenario, folder = SCENARIOS["iaml_ranger"], write(tmp_path, "iaml_ranger")
    tables = [len(codes) for codes in codes_of(scenario, space_of(scenario)).values()]
    matrix = weights(scenario)
    for wrong_tables, wrong in ((tables[1:], matrix), (tables, matrix[1:]), (tables, matrix[:, 1:])):
        write_network(folder / "model.onnx", wrong_tables, wrong)
        with pytest.raises(ValueError, match=r"model\.onnx: expected a network from .*x_cat.* found one from"):
            yahpo.load(f"yahpo:{folder}:instance=7")
    write_network(folder / "model.onnx", [tables[0] - 1, *tables[1:]], matrix)
    with pytest.raises(ValueError, match="expected a network that takes the codes of task_id up to 2"):
        yahpo.load(f"yahpo:{folder}:instance=7")
    matrix[0, 0] = np.inf
    write_network(folder / "model.onnx", tables, matrix)
    with pytest.raises(ValueError, match="predicts what is no number for"):
        yahpo.load(f"yahpo:{folder}:instance=7")
