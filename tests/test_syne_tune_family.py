"""syne_tune:PATH against the package itself, number by number, and against folders written by hand in its layouts."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import catalog
from harness.domains import logfinrange
from harness.foreign._environment import python_of
from harness.plug_ins import optimisers
from harness.space import Choice, Float, Integer, Ordinal
from harness.types import CurveModel, End, Fidelity, Objective
from surrogates._converted import Grid
from surrogates.families import syne_tune
from surrogates.table import Table

PYTHON = os.environ.get("FORETUNE_SYNE_TUNE_PYTHON") or python_of("syne-tune", optimisers()["syne-tune"].requirements)
PACKAGE = pytest.mark.skipif(
    PYTHON is None,
    reason="syne-tune is not installed: `python -m harness fetch syne-tune` makes its place, or "
    "FORETUNE_SYNE_TUNE_PYTHON names a Python that has it, fastparquet and huggingface_hub",
)

# -- the package writes and reads, ours reads --------------------------------------------------------------------------

WRITES = """
import itertools, json, sys
from pathlib import Path
import numpy as np, pandas as pd
from syne_tune.config_space import *
from syne_tune.blackbox_repository import blackbox_offline, blackbox_tabular
from syne_tune.blackbox_repository.blackbox_offline import BlackboxOffline
from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
from syne_tune.blackbox_repository.conversion_scripts.scripts import pd1_import

here, rng = Path(sys.argv[1]), np.random.default_rng(7)
names = ["metric_valid_loss", "metric_size", "metric_elapsed_time"]
about = {"metric_elapsed_time": names[2], "metric_default": names[0], "time_attr": "hp_epoch"}
grid = {
    "hp_act": choice(["tanh", "relu"]), "hp_batch": logfinrange(8, 64, 4, cast_int=True),
    "hp_dropout": finrange(0.0, 0.6, 3), "hp_lr": ordinal([0.0005, 0.001, 0.1], kind="nn-log"),
}
other = {
    "lr": loguniform(1e-4, 1.0), "momentum": reverseloguniform(0.0, 0.99), "drop": uniform(0, 1), "n": randint(1, 5),
    "units": lograndint(8, 128), "layers": choice(["1", "2", "3"]), "depth": ordinal([4, 1, 2]),
    "width": ordinal([1, 2, 8]), "size": logfinrange(1e-4, 1, 5), "only": choice(["one"]),
}

def evaluations(count, seeds, levels):
    values = rng.random((count, seeds, levels, 3))
    values[..., 2] = np.cumsum(values[..., 2] + 0.1, axis=2)
    return values

def frame(space, count):
    if count is None:
        values = [d.values if hasattr(d, "values") else d.categories for d in space.values()]
        rows = list(itertools.product(*values))
        rng.shuffle(rows)
        return pd.DataFrame(rows, columns=list(space)).infer_objects()
    state = np.random.RandomState(3)
    draws = [{name: d.sample(random_state=state) for name, d in space.items() if name != "momentum"}
             for _ in range(count)]
    return pd.DataFrame([draw | {"momentum": 1 - 10 ** -state.uniform(0, 2)} for draw in draws])[list(space)]

def tabular(space, count, levels, seeds=2):
    table = frame(space, count)
    return BlackboxTabular(table, space, {"hp_epoch": randint(1, int(max(levels)))},
        evaluations(len(table), seeds, len(levels)), np.array(levels), names)

def offline(task):
    table = frame(other, 5)
    lines = [dict(zip(other, row)) | {"epoch": epoch, "seed": seed} for row in table.itertuples(index=False)
             for seed in (3, 11) for epoch in (1, 3)]
    data = pd.DataFrame(lines)
    for name, column in zip(names, evaluations(5, 2, 2).reshape(-1, 3).T):
        data[name] = column
    return BlackboxOffline(data.sample(frac=1, random_state=5), dict(other), {"epoch": randint(1, 3)}, names, "seed")

first = tabular(grid, None, (1, 4))
second = BlackboxTabular(first.hyperparameters, grid, first.fidelity_space,
    evaluations(len(first.hyperparameters), 2, 2), first.fidelity_values, names)
blackbox_tabular.serialize({"naval": first, "protein": second}, here / "together", about)
pd1_import.serialize({"a_b": tabular(other, 6, (1, 2, 3), 1), "c": tabular(other, 4, (1,), 1)}, here / "apart", about)
blackbox_offline.serialize({"x": offline("x"), "y": offline("y")}, here / "lines")

said = []
for folder, module in (("together", blackbox_tabular), ("apart", pd1_import), ("lines", blackbox_offline)):
    for task, box in module.deserialize(here / folder).items():
        table = box.hyperparameters if folder != "lines" else box.df.reset_index()[list(box.configuration_space)]
        fidelity = next(iter(box.fidelity_space))
        levels = (1, 3) if folder == "lines" else box.fidelity_values.tolist()
        seeds = (3, 11) if folder == "lines" else range(box.num_seeds)
        for config in table.drop_duplicates().to_dict("records"):
            for seed, level in itertools.product(seeds, levels):
                values = box.objective_function(dict(config), {fidelity: level}, seed)
                said.append([folder, task, config, list(seeds).index(seed), level, values])
print(json.dumps(said, default=lambda value: value.item()))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A folder of blackboxes that the package wrote, and every number that it reads there."""
    folder = tmp_path_factory.mktemp("blackboxes")
    assert PYTHON
    env = {**os.environ, "PYTHONWARNINGS": "ignore", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([PYTHON, "-c", WRITES, str(folder)], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


@PACKAGE
@pytest.mark.parametrize("layout", ["together", "apart", "lines"])
def test_every_number_is_the_one_that_the_package_reads(written: tuple[Path, list[Any]], layout: str) -> None:
    folder, everything = written
    said = [entry for entry in everything if entry[0] == layout]
    options = ":minimize=metric_valid_loss:seconds=metric_elapsed_time" if layout == "lines" else ""
    models = {
        task: catalog_model(f"syne_tune:{folder / layout}:task={task}{options}")
        for task in dict.fromkeys(e[1] for e in said)
    }
    compared = 0
    for _, task, config, seed, level, values in said:
        model = models[task]
        for name, value in model.benchmark.space.constants.items():
            assert config.pop(name) == value
        read = metrics_at(model, config, seed, level)
        assert read == values and list(read) == list(values)
        compared += len(values)
    assert compared == sum(numbers(model) for model in models.values()) > 50
    for model in models.values():
        assert isinstance(model, Grid) == (layout == "together")
        assert model.benchmark.objectives == (Objective("metric_valid_loss"),)
        assert model.benchmark.fidelity.unit == ("epoch" if layout == "lines" else "hp_epoch")


@PACKAGE
def test_the_spaces_are_those_of_the_package(written: tuple[Path, list[Any]]) -> None:
    folder, _ = written
    grid = syne_tune.load(f"syne_tune:{folder / 'together'}:task=naval").benchmark
    assert grid.space.domains == {
        "hp_act": Choice(("tanh", "relu")),
        "hp_batch": Ordinal((8, 16, 32, 64)),
        "hp_dropout": Ordinal((0.0, 0.3, 0.6)),
        "hp_lr": Ordinal((0.0005, 0.001, 0.1), "log"),
    }
    assert grid.name == "syne_tune_together_naval" and grid.fidelity == Fidelity("hp_epoch", (1, 4))
    space = syne_tune.load(f"syne_tune:{folder / 'apart'}:task=c").benchmark.space
    sizes = space.domains.pop("size")
    assert isinstance(sizes, Ordinal) and sizes.values == pytest.approx(logfinrange(1e-4, 1, 5).values, rel=1e-12)
    assert space.constants == {"only": "one"}
    assert space.domains == {
        "lr": Float(1e-4, 1.0, "log"),
        "momentum": Float(0.0, 0.99, "reverse_log"),
        "drop": Float(0.0, 1.0),
        "n": Integer(1, 5),
        "units": Integer(8, 128, log=True),
        "layers": Choice(("1", "2", "3")),
        "depth": Ordinal((4, 1, 2)),
        "width": Ordinal((1, 2, 8), "linear"),
    }


def catalog_model(name: str) -> CurveModel:
    model = syne_tune.load(name)
    assert catalog.find_benchmark(name).benchmark == model.benchmark
    return model


def arrays(model: CurveModel) -> tuple[np.ndarray, tuple[str, ...]]:
    if isinstance(model, Grid):
        return np.asarray(model.values), model.metrics
    assert isinstance(model, Table)
    return model.data.values, model.data.metrics


def numbers(model: CurveModel) -> int:
    return arrays(model)[0].size


def metrics_at(model: CurveModel, config: dict[str, Any], seed: int, level: int) -> dict[str, float]:
    assert isinstance(model, Grid | Table)
    curve = model._curve_at(model.row(config), seed)
    return dict(curve.metrics[model.benchmark.fidelity.levels.index(level)])


# -- folders written by hand -------------------------------------------------------------------------------------------

METRICS = ("metric_valid_loss", "metric_elapsed_time")
SPACE = {
    "lr": {
        "domain_cls": "Float",
        "domain_kwargs": {"lower": 0.001, "upper": 1.0},
        "sampler_cls": "LogUniform",
        "sampler_kwargs": {"base": 2.718281828459045},
    },
    "act": {"domain_cls": "Categorical", "domain_kwargs": {"categories": ["relu", "tanh"]}, "sampler_cls": "Uniform"},
}
EPOCHS = {"hp_epoch": {"domain_cls": "Integer", "domain_kwargs": {"lower": 1, "upper": 3}, "sampler_cls": "Uniform"}}
COLUMNS = {"lr": [0.01, 0.1, 0.5], "act": ["relu", "relu", "tanh"]}
ABOUT = {
    "metric_elapsed_time": METRICS[1],
    "metric_default": METRICS[0],
    "objectives_names": list(METRICS),
    "task_names": ["one", "two"],
}


def evaluations() -> np.ndarray:
    """(tasks, configs, seeds, levels, objectives)"""
    values = np.random.default_rng(2).random((2, 3, 2, 3, 2))
    values[..., 1] = np.cumsum(values[..., 1] + 1, axis=3)
    return values.astype(np.float32)


def folder_of(place: Path, values: np.ndarray | None = None, **files: Any) -> Path:
    """A blackbox in the layout of all tasks together; `files` replace or, where None, leave out a file's content."""
    place.mkdir()
    content: dict[str, Any] = {"metadata": ABOUT, "configspace": SPACE, "fidelityspace": EPOCHS, "parquet": COLUMNS}
    content |= {"levels": np.arange(1, 4)} | files
    for name in ("metadata", "configspace", "fidelityspace"):
        if content[name] is not None:
            (place / f"{name}.json").write_text(json.dumps(content[name]))
    if content["parquet"] is not None:
        pq.write_table(pa.table(content["parquet"]), place / "hyperparameters.parquet", compression="gzip")
    np.save(place / "fidelities_values.npy", content["levels"])
    np.save(place / "objectives_evaluations.npy", evaluations() if values is None else values)
    return place


def test_a_folder_written_by_hand_is_read_number_by_number(tmp_path: Path) -> None:
    folder, values = folder_of(tmp_path / "box"), evaluations().astype(float)
    for place, task in enumerate(("one", "two")):
        model = catalog_model(f"syne_tune:{folder}:task={task}")
        assert isinstance(model, Table)
        for row, seed, level in itertools.product(range(3), range(2), range(3)):
            config = {name: column[row] for name, column in COLUMNS.items()}
            read = metrics_at(model, config, seed, level + 1)
            assert read == dict(zip(METRICS, values[place, row, seed, level].tolist(), strict=True))
            assert model.data.seconds[row, seed, level] == values[place, row, seed, level, 1]
        full = np.median(values[place, :, :, -1, 1])
        assert model.benchmark.budget == pytest.approx(40 * full / 4)
        assert model.benchmark.fidelity == Fidelity("hp_epoch", (1, 2, 3))


def test_what_the_files_do_not_say_is_said_in_the_name(tmp_path: Path) -> None:
    names = {name: value for name, value in ABOUT.items() if not name.startswith("metric_")} | {"task_names": ["one"]}
    folder = folder_of(tmp_path / "box", evaluations()[:1], metadata=names)
    name = f"syne_tune:{folder}:maximize=metric_elapsed_time:minimize=metric_valid_loss:seconds=2.5"
    model = catalog_model(f"{name}:test=metric_valid_loss")
    assert model.benchmark.objectives == (Objective(METRICS[1], maximize=True), Objective(METRICS[0]))
    assert model.benchmark.test_metric == METRICS[0]
    assert model.curve({"lr": 0.1, "act": "relu"}, 0).nanoseconds == (2_500_000_000, 5_000_000_000, 7_500_000_000)
    assert "a model" in model.facts()["made"]["seconds"]


def with_holes() -> np.ndarray:
    """Task one: run (0, 1) ends after a level, with its time known at the next; (1, 0) and all of row 2 say nothing."""
    values = evaluations()
    values[0, 0, 1, 1:, 0] = np.nan
    values[0, 0, 1, 2, 1] = np.nan
    values[0, 1, 0], values[0, 2] = np.nan, np.nan
    return values


@pytest.mark.parametrize(("policy", "length"), [("early", 1), ("diverged", 2)])
def test_holes_mean_what_is_declared(tmp_path: Path, policy: str, length: int) -> None:
    folder = folder_of(tmp_path / "box", with_holes())
    with pytest.raises(ValueError, match=r"row 0, seed 1: a number is missing at hp_epoch 2; say .*missing=early"):
        syne_tune.load(f"syne_tune:{folder}:task=one")
    model = catalog_model(f"syne_tune:{folder}:task=one:missing={policy}")
    assert isinstance(model, Table)
    assert model.data.lengths().tolist() == [[3, length], [0, 3]]
    assert model.data.configs == ({"lr": 0.01, "act": "relu"}, {"lr": 0.1, "act": "relu"})
    assert {model.curve(model.data.configs[0], seed).end for seed in range(20)} == {End.COMPLETE, End(policy)}
    assert model.facts()["made"]["left_out"] == 1 and model.facts()["made"]["missing"] == policy
    # Modelled seconds are known everywhere; a run without any number was not measured all the same.
    modelled = syne_tune.load(f"syne_tune:{folder}:task=one:missing={policy}:seconds=1:test=metric_elapsed_time")
    assert isinstance(modelled, Table) and modelled.data.lengths().tolist() == [[3, length], [0, 3]]


def test_a_hole_before_a_number_is_refused_whatever_is_declared(tmp_path: Path) -> None:
    values = evaluations()
    values[0, 1, 1, 1, 0] = np.nan
    folder = folder_of(tmp_path / "box", values)
    for policy in ("early", "diverged"):
        with pytest.raises(ValueError, match=f"row 1, seed 1: .* hp_epoch 2; which :missing={policy} does not cover"):
            syne_tune.load(f"syne_tune:{folder}:task=one:missing={policy}")
    values[0, 1, 1] = np.nan
    values[0, 1, 1, 0, 0] = 0.5  # a loss without a time
    for policy in ("early", "diverged"):
        broken = folder_of(tmp_path / policy, values)
        with pytest.raises(ValueError, match=r"row 1, seed 1: .* hp_epoch 1"):
            syne_tune.load(f"syne_tune:{broken}:task=one:missing={policy}")


NAN = float("nan")
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no metadata": ({"metadata": None}, r"metadata\.json is missing"),
    "no space": ({"configspace": None}, r"configspace\.json is missing"),
    "no levels": ({"fidelityspace": None}, r"fidelityspace\.json is missing"),
    "no configs": ({"parquet": None}, r"expected hyperparameters\.parquet, one-hyperparameters\.parquet or data-one"),
    "two fidelities": ({"fidelityspace": EPOCHS | {"b": 1}}, r"fidelityspace\.json: expected one fidelity, found hp"),
    "no tasks": ({"metadata": ABOUT | {"task_names": []}}, r"metadata\.json: expected different names as task_names"),
    "another count": ({"values": evaluations()[:, :2]}, r"evaluations\.npy: expected .*\(3 configs, .*found \(2, 2, 3"),
    "fewer tasks": ({"values": evaluations()[:1]}, r"evaluations\.npy: expected 5 axes, 2 tasks the first"),
    "levels fall": ({"levels": np.array([1, 3, 2])}, r"fidelities_values\.npy: expected levels, whole numbers"),
    "half levels": ({"levels": np.array([0.5, 1, 2])}, r"fidelities_values\.npy: expected levels, whole numbers"),
    "no column": ({"parquet": {"lr": COLUMNS["lr"]}}, r"parquet: expected the columns act, found lr"),
    "outside": ({"parquet": COLUMNS | {"lr": [0.01, 7.0, 0.5]}}, r"parquet, row 1: lr = 7\.0 is outside the space"),
    "empty": ({"parquet": COLUMNS | {"lr": [0.01, None, 0.5]}}, r"parquet, row 1: lr = None is outside the space"),
    "twice": (
        {"parquet": {"lr": [0.1, 0.5, 0.1], "act": ["relu"] * 3}},
        r"parquet, row 2: the same config as in row 0",
    ),
    "text": ({"values": np.array(["a"])}, r"evaluations\.npy: expected an array of numbers"),
    "unknown law": ({"configspace": SPACE | {"lr": SPACE["lr"] | {"sampler_cls": "Normal"}}}, "'lr': .* by 'Normal'"),
    "unknown domain": ({"configspace": SPACE | {"lr": {"domain_cls": "Tree"}}}, "'lr': it is a 'Tree'"),
    "no bounds": ({"configspace": SPACE | {"lr": {"domain_cls": "Float", "domain_kwargs": {}}}}, "it lacks 'lower'"),
    "constant": ({"configspace": SPACE | {"act": "relu"}}, r"parquet, row 2: act is always 'relu', found 'tanh'"),
    "time falls": ({"values": np.ones((2, 3, 2, 3, 2), np.float32)}, "row 0, seed 0: the seconds must be finite and r"),
    "objects": ({"values": np.array([None, 1])}, r"evaluations\.npy: expected a whole array of numbers"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_refused_with_its_file(tmp_path: Path, name: str) -> None:
    files, said = BROKEN[name]
    folder = folder_of(tmp_path / "box", **files)
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        syne_tune.load(f"syne_tune:{folder}:task=one")


@pytest.mark.parametrize("file", ["metadata.json", "hyperparameters.parquet", "objectives_evaluations.npy"])
def test_a_file_cut_off_is_refused_with_its_name(tmp_path: Path, file: str) -> None:
    path = folder_of(tmp_path / "box") / file
    whole = path.read_bytes()
    for kept in (len(whole) - 9, 20, 0):
        path.write_bytes(whole[:kept])
        with pytest.raises(ValueError, match=f"{file}: expected"):
            syne_tune.load(f"syne_tune:{path.parent}:task=one")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "no task is given; say :task=NAME, one of one, two"),
        (":task=three", "there is no task 'three'"),
        (":task=one:mising=early", "unknown option 'mising=early'; there are task, minimize"),
        (":task=one:missing=late", "missing must be one of refuse, early, diverged"),
        (":task=one:minimize=loss", "there is no metric 'loss'; there are metric_valid_loss"),
        (":task=one:seconds=soon", "there is no metric 'soon': add :seconds=METRIC"),
        (":task=one:seconds=-1", "add :seconds=METRIC"),
    ],
)
def test_wrong_options_are_refused_with_what_is_possible(tmp_path: Path, options: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        catalog.find_benchmark(f"syne_tune:{folder_of(tmp_path / 'box')}{options}")


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"metric_default": "metric_elapsed_time"}, "names 'metric_elapsed_time', no metric whose direction is known"),
        ({"metric_default": None}, "names no metric_default whose direction is known: add :minimize=METRIC"),
        ({"metric_elapsed_time": None}, "names no metric_elapsed_time: add :seconds=METRIC"),
    ],
)
def test_an_undeclared_direction_or_time_is_refused(tmp_path: Path, about: dict[str, Any], said: str) -> None:
    folder = folder_of(tmp_path / "box", metadata=ABOUT | about)
    with pytest.raises(ValueError, match=said):
        syne_tune.load(f"syne_tune:{folder}:task=one")


def test_a_folder_that_is_not_there_is_said() -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder nowhere"):
        catalog.find_benchmark("syne_tune:nowhere")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Folders change within a test."""
    syne_tune.load.cache_clear()
    yield
    syne_tune.load.cache_clear()
