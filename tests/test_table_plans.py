"""The parts of a table, a budget, several machines: what is chosen is chosen once and changes nothing that is there."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from toys import toy_benchmark
from typer.testing import CliRunner

from harness import catalog
from harness import tabulate as runs
from harness.__main__ import app
from harness.compose import merging, tables
from harness.compose.tables import STANDARD, Step
from harness.lines import read_lines
from harness.space import Space, choice, loguniform, uniform
from harness.tabulate import RUNS, read_runs
from harness.types import Benchmark, Fidelity
from surrogates import cross_validation, declared, facts, fitting, measured, table
from surrogates.candidates import CANDIDATES
from surrogates.table import KEPT_OUT, TableData

PROJECT = Path(__file__).resolve().parents[1]
SPACE = Space({"lr": loguniform(1e-3, 1), "drop": uniform(0, 1), "batch_size": choice([16, 32, 64])})
BENCHMARK = toy_benchmark(space=SPACE)
TWIN = replace(BENCHMARK, name="twin")
GAUSSIAN_PROCESS = CANDIDATES["Gaussian process"]
OTHER = replace(TWIN, name="other")


class Script:
    """A training script in this process: a bowl around lr = .03 without dropout; it can be told to die."""

    def __init__(self) -> None:
        self.trained = 0
        self.dies_after = 10**9

    def train(self, benchmark: str, config: dict[str, Any], *, seed: int, until: int | None, report: Any) -> None:
        if self.trained == self.dies_after:
            raise KeyboardInterrupt
        self.trained += 1
        bowl = (np.log10(config["lr"]) + 1.5) ** 2 + config["drop"]
        for epoch in range(1, (until or 4) + 1):
            loss = bowl + 1 / epoch + seed / 1000
            report(epoch=epoch, loss=loss, test_loss=loss + 0.1, train_seconds=1.0, eval_seconds=0.5)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """The script of three benchmarks, on clocks that tick once a reading, where there is no GPU."""
    script, module = Script(), ModuleType("real_benchmarks.toy_script")
    module.train, module.TWINS = script.train, {"twin": "toy"}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "real_benchmarks.toy_script", module)
    known = {known.name: known for known in (BENCHMARK, TWIN, OTHER)}
    monkeypatch.setattr(catalog, "scripted", lambda name: (known[name], "toy_script"))
    monkeypatch.setattr(catalog, "find_benchmark", lambda name: catalog.Entry(known[name], "toy_script", None))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(tables, "SAMPLE", 500)
    monkeypatch.setattr(facts, "SAMPLE", 1000)
    monkeypatch.setattr(cross_validation, "FOLDS", 2)
    monkeypatch.setattr(facts, "_climbed", lambda model, starts: (model.final_loss(starts[0]), starts[0]))
    monkeypatch.setitem(CANDIDATES, "Gaussian process", CANDIDATES["five nearest"])
    for name in CANDIDATES.keys() - {"Gaussian process"}:
        monkeypatch.delitem(CANDIDATES, name)
    for clock in ("process_time", "perf_counter"):
        ticks = iter(np.arange(1.0, 10**6).tolist())
        monkeypatch.setattr(runs, clock, lambda ticks=ticks: next(ticks))
    yield script


def made(folder: Path, part: str, configs: int, seeds: int = 1, name: str = "toy", **options: Any) -> int:
    return tables.tabulate(name, folder, Step(part, configs, seeds), workers=1, **options)


def configs_of(folder: Path, part: str) -> dict[int, Any]:
    return {run["index"]: run["config"] for run in read_runs(folder) if run["part"] == part}


# -- parts -------------------------------------------------------------------------------------------------------------


def test_parts_are_added_and_change_nothing_that_is_there(script: Script, tmp_path: Path) -> None:
    made(tmp_path, "iid", 40)
    made(tmp_path, "iid", 10, 3)
    before = table.load_data(tmp_path)
    assert (before.ends >= 0).sum() == 40 + 2 * 10
    for step in (("near_best", 6), ("held_out", 7, 2), ("optimum", 1, 3), ("best", 4, 3), ("timing", 3)):
        assert made(tmp_path, *step) > 0
    data = table.load_data(tmp_path)
    kept = np.isfinite(before.values)
    np.testing.assert_array_equal(data.looked_up().values[kept], before.values[kept])
    assert data.looked_up().configs == before.configs
    assert {part: data.parts.count(part) for part in dict.fromkeys(data.parts)} == {
        "held_out": 7, "iid": 40, "near_best": 6, "optimum": 1,
    }  # fmt: skip
    assert data.learned().parts.count("near_best") == 6
    assert not set(data.learned().parts) & set(KEPT_OUT)
    assert data.made["time"]["measured"] == "3 runs, each alone on the machine"
    keys = [SPACE.key(config) for config in data.configs]
    assert len(set(keys)) == len(keys)


def test_what_is_near_the_best_is_good(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CANDIDATES, "Gaussian process", GAUSSIAN_PROCESS)
    made(tmp_path, "iid", 60)
    made(tmp_path, "near_best", 20)
    final = {part: [] for part in ("iid", "near_best")}
    for run in read_runs(tmp_path):
        final[run["part"]].append(run["curve"]["loss"][-1])
    assert np.median(final["near_best"]) < np.quantile(final["iid"], 0.1)


def test_a_choice_is_written_down_before_it_is_measured_and_only_extended(script: Script, tmp_path: Path) -> None:
    made(tmp_path, "iid", 40)
    script.dies_after = script.trained + 2
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, "near_best", 6)
    script.dies_after = 10**9
    first = runs.planned(tmp_path, "near_best")
    assert len(first) == 6 and len(configs_of(tmp_path, "near_best")) == 2
    # What else is measured meanwhile would lead to another choice.
    made(tmp_path, "iid", 50)
    assert made(tmp_path, "near_best", 6) == 4
    assert [config for _, config in sorted(configs_of(tmp_path, "near_best").items())] == first
    assert made(tmp_path, "near_best", 4) == 0
    assert made(tmp_path, "near_best", 9) == 3
    assert runs.planned(tmp_path, "near_best")[:6] == first
    lines = [*read_lines(tmp_path / RUNS)]
    choices = [place for place, line in enumerate(lines) if "planned" in line]
    measured_at = [place for place, line in enumerate(lines) if line.get("part") == "near_best"]
    assert choices[0] < measured_at[0] < choices[1] < measured_at[6]


def test_the_best_rows_get_more_seeds(script: Script, tmp_path: Path) -> None:
    made(tmp_path, "iid", 30)
    made(tmp_path, "held_out", 30)
    assert made(tmp_path, "best", 3, 4) == 3 * 3
    data = table.load_data(tmp_path)
    final = data.final_losses()
    iid = [row for row, part in enumerate(data.parts) if part == "iid"]
    best = sorted(iid, key=lambda row: final[row, 0])[:3]
    assert sorted(best) == [row for row in range(60) if (data.ends[row] >= 0).sum() == 4]
    assert made(tmp_path, "best", 3, 4) == 0
    assert made(tmp_path, "best", 5, 4) == 2 * 3


def test_an_optimum_is_chosen_anew_where_the_surrogate_has_another(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, "iid", 40)
    assert made(tmp_path, "optimum", 1, 3) == 3
    data = table.load_data(tmp_path)
    (config,) = {index: c for index, c in configs_of(tmp_path, "optimum").items()}.values()
    assert config == fitting.fit(data, declared.Declared())[0].facts["optimum_config"]
    assert made(tmp_path, "optimum", 1, 4) == 1
    other = data.configs[0]
    monkeypatch.setattr(tables.Maker, "_optimum", lambda self: other)
    assert made(tmp_path, "optimum", 1, 2) == 2
    assert configs_of(tmp_path, "optimum") == {0: config, 1: other}


def test_a_twin_trains_the_same_configs(script: Script, tmp_path: Path) -> None:
    for part in ("iid", "held_out"):
        made(tmp_path / "toy", part, 5)
        made(tmp_path / "twin", part, 5, name="twin")
        made(tmp_path / "other", part, 5, name="other")
        assert configs_of(tmp_path / "twin", part) == configs_of(tmp_path / "toy", part)
        assert configs_of(tmp_path / "other", part) != configs_of(tmp_path / "toy", part)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("near", None, None), "unknown part of a table 'near': did you mean near_best"),
        (("optimum", 2, None), "has one optimum"),
        (("timing", None, 2), "--configs only"),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tables.step_of(*arguments)


def test_a_step_has_the_numbers_of_the_standard_plan_where_none_are_given() -> None:
    assert tables.step_of("iid") == Step("iid", 600, 1)
    assert tables.step_of("best", 7) == Step("best", 7, 5)
    assert {step.part for step in STANDARD} == set(tables.PARTS)


# -- a budget ----------------------------------------------------------------------------------------------------------


def test_a_budget_is_divided_kept_and_used_up(script: Script, tmp_path: Path) -> None:
    plans: list[tables.Plan] = []
    options: dict[str, Any] = {"workers": 1, "on_plan": plans.append}
    script.dies_after = 100
    with pytest.raises(KeyboardInterrupt):
        tables.tabulate_within("toy", tmp_path, 160.0, **options)
    script.dies_after = 10**9
    new = tables.tabulate_within("toy", tmp_path, 160.0, **options)
    assert plans[0] == plans[1]
    assert plans[0].seconds == 1.0
    # Timing runs of a benchmark with four levels are whole runs.
    assert abs(100 + new - 160) <= 8
    assert [step.part for step in plans[0].steps] == [step.part for step in STANDARD]
    sizes = {step[:1] + step[2:]: step.configs for step in plans[0].steps}
    assert sizes["iid", 1] == round(600 * (160 - 17) / 1260)
    assert tables.tabulate_within("toy", tmp_path, 160.0, **options) == 0
    assert 30 <= tables.tabulate_within("toy", tmp_path, 200.0, **options) <= 50


def test_a_budget_that_affords_no_table_is_refused_with_what_would(script: Script, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="50 s on 1 workers are 50 trainings of 1 s each, too few") as refused:
        tables.tabulate_within("toy", tmp_path, 50.0, workers=1)
    enough = re.search(r"at least (\d+) s", str(refused.value))
    assert enough
    maker = tables.Maker("toy", tmp_path, 1)
    assert maker.planned(float(enough[1])).steps[1].configs >= tables.FEWEST
    with pytest.raises(ValueError, match="too few"):
        maker.planned(float(enough[1]) - 2)


def test_where_workers_have_gpus_no_run_is_measured_alone(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, "iid", 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    maker = tables.Maker("toy", tmp_path)
    assert maker.workers == 3
    assert "timing" not in [step.part for step in maker.planned(1e4).steps]


# -- several machines --------------------------------------------------------------------------------------------------


def test_shares_of_several_machines_merge_into_the_same_table(script: Script, tmp_path: Path) -> None:
    folders = [tmp_path / str(machine) for machine in (1, 2, 3)]
    for machine, folder in enumerate(folders, 1):
        made(folder, "iid", 20, 2, share=(machine, 3))
    made(tmp_path / "whole", "iid", 20, 2)
    assert merging.merge(folders, tmp_path / "merged") == (40, 0)
    assert table.load_data(tmp_path / "merged").digest() == table.load_data(tmp_path / "whole").digest()
    assert merging.merge(folders, tmp_path / "merged") == (0, 40)
    assert merging.merge([tmp_path / "whole"], tmp_path / "merged") == (0, 40)
    assert made(tmp_path / "merged", "iid", 20, 2) == 0


def test_what_depends_on_all_rows_is_chosen_once(script: Script, tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    for folder in (one, two):
        made(folder, "iid", 30)
    with pytest.raises(ValueError, match=r"near_best is not chosen in .*2 yet"):
        made(two, "near_best", 6, share=(2, 2))
    assert made(one, "near_best", 6, share=(1, 2)) == 3
    (two / RUNS).write_bytes((one / RUNS).read_bytes())
    assert made(two, "near_best", 6, share=(2, 2)) == 3
    assert merging.merge([one, two], tmp_path / "merged") == (36, 33)
    assert made(tmp_path / "merged", "near_best", 6) == 0
    with pytest.raises(ValueError, match="optimum is a few runs that belong together"):
        made(one, "optimum", 1, share=(1, 2))


def test_tables_that_do_not_belong_together_are_refused_and_nothing_is_written(script: Script, tmp_path: Path) -> None:
    toy, other, out = tmp_path / "toy", tmp_path / "other", tmp_path / "out"
    made(toy, "iid", 30)
    made(other, "iid", 3, name="other")
    with pytest.raises(
        ValueError, match=r"toy and .*other are not tables of the same benchmark, their name differs: toy"
    ):
        merging.merge([toy, other], out)
    lines = [*read_lines(toy / RUNS)]
    swapped = [line | {"index": 29 - line["index"]} if "index" in line else line for line in lines]
    write(tmp_path / "swapped", swapped)
    with pytest.raises(ValueError, match="different configs as iid 29"):
        merging.merge([toy, tmp_path / "swapped"], out)
    write(tmp_path / "chosen", [{"planned": "near_best", "chosen": [lines[1]["config"]]}, *lines])
    made(toy, "near_best", 2)
    with pytest.raises(ValueError, match=r"near_best was chosen in .*chosen otherwise"):
        merging.merge([toy, tmp_path / "chosen"], out)
    with pytest.raises(FileNotFoundError, match=r"no table in the making in .*nowhere"):
        merging.merge([toy, tmp_path / "nowhere"], out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("space", SPACE.to_json() | {"drop": uniform(0, 0.5).to_json()}),
        ("fidelity", {"unit": "epoch", "levels": [1, 2, 4], "continues": True}),
        ("objectives", [{"metric": "test_loss", "maximize": False}]),
        ("test_metric", None),
    ],
)
def test_tables_of_other_problems_are_refused_by_what_differs(
    script: Script, tmp_path: Path, field: str, other: Any
) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    made(one, "iid", 3)
    machine, *lines = read_lines(one / RUNS)
    write(two, [machine | {"benchmark": machine["benchmark"] | {field: other}}, *lines])
    for first, second in ((one, two), (two, one)):
        words = f"{first} and {second} are not tables of the same benchmark, their {field} differs: "
        with pytest.raises(ValueError, match=re.escape(words)):
            merging.merge([first, second], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tables_of_another_task_are_refused_unless_they_do_not_say_theirs(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, (one, two, old) = {"toy": {"tokens": 5}}, [tmp_path / name for name in ("1", "2", "old")]
    monkeypatch.setattr(sys.modules["real_benchmarks.toy_script"], "TASKS", tasks, raising=False)
    made(one, "iid", 3)
    tasks["toy"] = {"tokens": 6}
    made(two, "iid", 4)
    with pytest.raises(ValueError, match=r"1 and .*2 are not tables of the same benchmark, their task differs"):
        merging.merge([one, two], tmp_path / "out")
    with pytest.raises(ValueError, match=r"the runs in .*1 were measured with another task"):
        merging.merge([one], tmp_path / "out")
    with pytest.raises(ValueError, match=r"the runs in .*1 were measured with another task.*give another --out"):
        made(one, "iid", 5)
    assert not (tmp_path / "out").exists() and len([*read_runs(one)]) == 3
    write(old, [{name: said for name, said in line.items() if name != "problem"} for line in read_lines(one / RUNS)])
    assert merging.merge([old, two], tmp_path / "out") == (4, 3)
    with pytest.raises(ValueError, match="their task differs"):
        merging.merge([one], tmp_path / "out")


def test_the_digest_of_a_problem_is_that_of_what_is_trained() -> None:
    name = "transformer_wikitext2_adamw"
    benchmark, name_of_script = catalog.scripted(name)
    task = sys.modules[f"real_benchmarks.{name_of_script}"].TASKS[name]
    digest = runs.digest_of(benchmark, task)
    assert tables.problem_of(benchmark, name_of_script) == digest
    assert runs.digest_of(replace(benchmark, budget=1.0, workers=1, test_metric=None), task) == digest
    others = [replace(task, train_tokens=1), replace(task, tokeniser="words"), None]
    assert len({digest, *(runs.digest_of(benchmark, other) for other in others)}) == 4
    assert runs.digest_of(replace(benchmark, name="other"), task) != digest


def test_tables_of_which_one_lacks_a_metric_are_refused_and_nothing_is_written(script: Script, tmp_path: Path) -> None:
    one, two, out = (tmp_path / name for name in ("1", "2", "out"))
    made(one, "iid", 8, share=(1, 2))
    made(tmp_path / "as it was", "iid", 8, share=(2, 2))
    lines = [*read_lines(tmp_path / "as it was" / RUNS)]
    for line in lines:
        line.get("curve", {}).pop("test_loss", None)
    write(two, lines)
    with pytest.raises(ValueError, match="iid 1, seed 1, reported no test_loss, which objectives of 'toy' or other"):
        merging.merge([one, two], out)
    assert not out.exists()
    merging.merge([one], out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ValueError, match="reported no test_loss"):
        merging.merge([two], out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_what_is_declared_goes_with_the_runs_and_must_not_differ(script: Script, tmp_path: Path) -> None:
    one, two, out = (tmp_path / name for name in ("1", "2", "out"))
    for number, folder in enumerate((one, two), 1):
        made(folder, "iid", 8, share=(number, 2))
    text = json.dumps({"time": {"steps": {"lr": 1}}, "plateau": 3.0})
    (two / declared.FILE).write_text(text)
    merging.merge([one, two], out)
    assert (out / declared.FILE).read_text() == text
    assert "steps * lr" in table.load_data(out).made["time"]["fit"]
    (one / declared.FILE).write_text(json.dumps({"plateau": 4.0}))
    for folders in ([one, two], [one]):
        with pytest.raises(ValueError, match=r"and .* declare different things in their declared\.json"):
            merging.merge(folders, out)
    assert (out / declared.FILE).read_text() == text


def test_a_table_elsewhere_has_what_we_declare_of_its_benchmark_unless_it_has_its_own(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(declared, "OURS", tmp_path / "ours")
    (tmp_path / "ours" / "toy").mkdir(parents=True)
    (tmp_path / "ours" / "toy" / declared.FILE).write_text(json.dumps({"time": {"steps": {"lr": 1}}}))
    made(tmp_path / "1", "iid", 8)
    assert "steps * lr" in table.load_data(tmp_path / "1").made["time"]["fit"]
    made(tmp_path / "other", "iid", 8, name="other")
    assert "steps" not in table.load_data(tmp_path / "other").made["time"]["fit"]
    (tmp_path / "1" / declared.FILE).write_text(json.dumps({"time": {"drops": {"drop": 1}}}))
    made(tmp_path / "1", "iid", 9)
    assert "drops * drop" in table.load_data(tmp_path / "1").made["time"]["fit"]


def test_our_declarations_are_found_by_the_name_of_their_benchmark(tmp_path: Path) -> None:
    for path in sorted(declared.OURS.glob(f"*/{declared.FILE}")):
        assert declared.read(tmp_path, path.parent.name) == declared.read(path.parent) != declared.Declared()
    assert declared.read(tmp_path, "another") == declared.read(tmp_path) == declared.Declared()


def write(folder: Path, lines: list[dict[str, Any]]) -> None:
    from harness.lines import LineWriter

    folder.mkdir()
    with LineWriter(folder / RUNS) as writer:
        for line in lines:
            writer.append(line)


# -- seconds -----------------------------------------------------------------------------------------------------------


def entries(benchmark: Benchmark, seconds: Any, count: int = 30, **more: Any) -> list[dict[str, Any]]:
    """Runs whose levels take what `seconds(config, level)` says."""
    levels, found = benchmark.fidelity.levels, []
    for run in runs.plan(benchmark, count, 1):
        own = [seconds(run.config, level) for level in levels]
        clock = np.cumsum(own).tolist()
        curve = {
            benchmark.fidelity.unit: list(levels), "loss": [1 / (i + 1) + run.index for i in range(len(levels))],
            "train_seconds": own, "eval_seconds": 0.0, "cpu_seconds": clock,
        }  # fmt: skip
        curve |= {name: made(own) for name, made in more.pop("curve", {}).items()}
        line = {"part": "iid", "index": run.index, "seed": 1, "config": run.config, "end": "complete"}
        found.append(line | {"wall_seconds": clock[-1], "curve": curve} | more)
    return found


NUMBERS = Space({"batch_size": uniform(16, 64), "depth": uniform(1, 4), "width": uniform(1, 9)})


def test_the_seconds_are_the_sum_of_the_declared_terms() -> None:
    benchmark = toy_benchmark(space=NUMBERS, test_metric=None)
    time = {"steps": {"batch_size": -1}, "layers": {"depth": 1, "width": 2}, "nothing": {"width": 1}}

    def true(config: Any, level: int) -> float:
        return 0.3 + 5 / config["batch_size"] + 0.01 * config["depth"] * config["width"] ** 2

    data = measured.table_of(benchmark, entries(benchmark, true), time)
    wanted = [np.arange(1, 5) * true(config, 1) for config in data.configs]
    np.testing.assert_allclose(data.seconds[:, 0], wanted, rtol=1e-9)
    fit = data.made["time"]
    assert fit["fit"].startswith(
        "seconds of an epoch = a + steps / batch_size + layers * depth * width^2 + nothing * width"
    )
    np.testing.assert_allclose([fit["a"], fit["steps"], fit["layers"]], [0.3, 5, 0.01])
    assert abs(fit["nothing"]) < 1e-9
    with pytest.raises(ValueError, match="the term 'heads' of 'head', which is no number of its space"):
        measured.table_of(benchmark, entries(benchmark, true), {"heads": {"head": 1}})


def test_the_error_of_a_fit_of_time_is_of_runs_that_it_has_not_seen() -> None:
    benchmark = toy_benchmark(space=Space({"width": uniform(1, 9)}), test_metric=None)
    took = np.array([1.0, 1.1, 1.2, 1.35])
    place = {run.config["width"]: run.index for run in runs.plan(benchmark, 4, 1)}
    data = measured.table_of(benchmark, entries(benchmark, lambda config, _: took[place[config["width"]]], 4))
    others = [np.delete(took, row) for row in range(4)]
    told = [(1 / other).sum() / (1 / other**2).sum() for other in others]
    assert data.made["time"]["median_error"] == pytest.approx(np.median(np.abs(np.log(took / told))), abs=1e-8)
    alone = measured.table_of(benchmark, entries(benchmark, lambda *_: 1.0, 1))
    assert alone.made["time"]["median_error"] is None


def test_no_term_takes_negative_time() -> None:
    benchmark = toy_benchmark(space=NUMBERS, test_metric=None)
    data = measured.table_of(
        benchmark, entries(benchmark, lambda config, _: 2 - 0.1 * config["width"]), {"w": {"width": 1}}
    )
    assert data.made["time"]["w"] == 0
    assert (data.seconds > 0).all()


def test_a_metric_of_seconds_is_the_time_column() -> None:
    benchmark = toy_benchmark(space=NUMBERS, test_metric=None)
    raw = {"seconds": lambda own: np.cumsum(own).tolist()}
    lines = entries(benchmark, lambda config, _: 1 + config["batch_size"] % 0.1)
    for line in lines:
        line["curve"]["seconds"] = raw["seconds"](line["curve"]["train_seconds"])
    data = measured.table_of(benchmark, lines)
    np.testing.assert_array_equal(data.values[..., data.metrics.index("seconds")], data.seconds)


def test_on_a_gpu_the_laps_of_the_script_count_or_the_clock() -> None:
    benchmark = toy_benchmark(space=NUMBERS, test_metric=None)
    lines = entries(benchmark, lambda config, _: 1.0, device="GPU-1")
    for line in lines:
        line["curve"]["cpu_seconds"] = [0.1, 0.2, 0.3, 0.4]
    np.testing.assert_allclose(measured.table_of(benchmark, lines).seconds[:, 0], [[1, 2, 3, 4]] * 30)
    for line in lines:
        del line["curve"]["train_seconds"], line["curve"]["eval_seconds"]
        line["curve"]["clock_seconds"] = [9.0, 11.0, 13.0, 15.0]
    data = measured.table_of(benchmark, lines)
    np.testing.assert_allclose(data.seconds[:, 0], [[2, 4, 6, 8]] * 30)
    assert data.made["time"]["fit"].endswith("from the clock, each on a GPU of its own")


def test_a_level_that_is_a_fresh_training_has_its_own_seconds() -> None:
    benchmark = toy_benchmark(space=NUMBERS, test_metric=None, fidelity=Fidelity("size", (1, 2, 4), continues=False))
    lines = entries(benchmark, lambda config, level: (0.5 + 8 / config["batch_size"]) * level)
    data = measured.table_of(benchmark, lines, {"size": {"size": 1}, "steps": {"size": 1, "batch_size": -1}})
    wanted = [[(0.5 + 8 / c["batch_size"]) * level for level in (1, 2, 4)] for c in data.configs]
    np.testing.assert_allclose(data.seconds[:, 0], wanted, rtol=1e-9)
    data.check("here")
    assert data.made["time"]["fit"].startswith("seconds of a size = a + size * size")


def level_table(level: int, rows: list[int], diverged: int | None = None) -> TableData:
    """A table of some of twelve configs, whose final loss is the row's number and whose seconds are the level."""
    benchmark = toy_benchmark(name=f"ladder_w{level}", space=SPACE, test_metric=None)
    lines = [line for line in entries(benchmark, lambda *_: float(level), 12) if line["index"] in rows]
    drawn = runs.plan(toy_benchmark(space=SPACE), 12, 1)
    for line in lines:
        line["config"] = drawn[line["index"]].config
        if line["index"] == diverged:
            line["end"] = "diverged"
            line["curve"] = {
                name: column[:2] if isinstance(column, list) else column for name, column in line["curve"].items()
            }
    return measured.table_of(benchmark, lines)


def test_a_table_is_assembled_from_those_of_its_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fidelity = Fidelity("width", (16, 32), continues=False)
    ladder = toy_benchmark(name="ladder", space=SPACE, fidelity=fidelity, test_metric=None, resumable=False)
    low, high = level_table(16, [*range(10)], diverged=3), level_table(32, [11, 10, *range(1, 9)], diverged=5)
    table.save(low, tmp_path / "ladder_w16")
    table.save(high, tmp_path / "ladder_w32")
    monkeypatch.setattr(catalog, "scripted", lambda name: (ladder, "toy_script"))
    assert merging.assemble("ladder", tmp_path / "ladder") == 8
    data = table.load_data(tmp_path / "ladder")
    assert data.configs == low.configs[1:9]
    assert data.made["time"]["measured"] == "10 runs, side by side at each width"
    assert data.made["time"]["median_error"] == max(one.made["time"]["median_error"] for one in (low, high))
    np.testing.assert_allclose(data.seconds[0, 0], [16 * 4, 32 * 4])
    np.testing.assert_allclose(data.values[0, 0, :, 0], [1.25, 1.25])
    assert data.lengths()[:, 0].tolist() == [2, 2, 1, 2, 2, 2, 2, 2]
    assert [row for row in range(8) if data.ends[row, 0] == table.ENDS.index(table.End.DIVERGED)] == [2, 4]
    (tmp_path / "ladder" / RUNS).touch()
    with pytest.raises(ValueError, match="holds runs of its own"):
        merging.assemble("ladder", tmp_path / "ladder")
    with pytest.raises(ValueError, match="another space"):
        measured.assembled(toy_benchmark(fidelity=fidelity, test_metric=None), {16: low, 32: high})
    monkeypatch.setattr(catalog, "scripted", lambda name: (BENCHMARK, "toy_script"))
    with pytest.raises(ValueError, match="a higher epoch of 'toy' goes on from the lower"):
        merging.assemble("toy", tmp_path / "toy")


def test_what_is_the_same_in_all_runs_is_so_where_one_ended_at_its_first_level() -> None:
    """A number that never changes along a run is stored once, but as a list where the run has one level."""
    tables_of: dict[int, TableData] = {}
    for width, gone in ((16, None), (32, 7)):
        benchmark = toy_benchmark(name=f"ladder_w{width}", space=SPACE, test_metric=None)
        lines = entries(benchmark, lambda *_: 1.0, 12)
        for line, run in zip(lines, runs.plan(toy_benchmark(space=SPACE), 12, 1), strict=True):
            line["config"] = run.config
            line["curve"]["parameters"] = 100.0 * width
            if line["index"] == gone:
                line["end"] = "diverged"
                line["curve"] = {
                    name: column[:1] if isinstance(column, list) else [column] for name, column in line["curve"].items()
                }
        tables_of[width] = measured.table_of(benchmark, lines)
    for width, one in tables_of.items():
        assert one.metrics == ("loss",) and one.made["constants"] == {"parameters": 100.0 * width}
    fidelity = Fidelity("width", (16, 32), continues=False)
    ladder = toy_benchmark(name="ladder", space=SPACE, fidelity=fidelity, test_metric=None)
    data = measured.assembled(ladder, tables_of)
    assert len(data.configs) == 12 and data.lengths()[7, 0] == 2
    assert np.flatnonzero(data.ends[:, 0] == table.ENDS.index(table.End.DIVERGED)).tolist() == [7]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"epoch": [1.0, 2.0, 4.0]}, "reported epoch 1, 2, 4: a run reports its levels, 1, 2, 3, 4, from the first on"),
        ({"epoch": [1.0, 2.0, 2.0]}, "reported epoch 1, 2, 2: .* none left out and none twice"),
        ({"epoch": 1.0}, "reported epoch 1, 1, 1: "),
        ({"epoch": [2.0, 3.0, 4.0]}, "reported epoch 2, 3, 4: "),
        ({"accuracy": None}, "reported no accuracy, which objectives of 'toy' or other runs have"),
        ({"loss": None}, "reported no loss, which objectives"),
        ({"epoch": None}, "reported no epoch, which objectives"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_run_that_lacks_a_metric_or_a_level_is_refused_by_its_name(
    changed: dict[str, Any], words: str, first: bool
) -> None:
    benchmark = toy_benchmark(space=SPACE, test_metric=None)
    lines = entries(benchmark, lambda *_: 1.0, 5)
    for line in lines:
        line["curve"]["accuracy"] = [0.1, 0.2, 0.3, 0.4]
    odd = lines[0 if first else 3]
    odd["end"] = "diverged"
    odd["curve"] = {name: column[:3] if isinstance(column, list) else column for name, column in odd["curve"].items()}
    assert len(measured.table_of(benchmark, lines).configs) == 5
    odd["curve"] = {name: column for name, column in (odd["curve"] | changed).items() if column is not None}
    with pytest.raises(ValueError, match=f"iid {0 if first else 3}, seed 1, {words}"):
        measured.table_of(benchmark, lines)


def test_a_table_that_was_not_made_of_runs_is_not_measured_over(tmp_path: Path) -> None:
    data = level_table(16, [*range(10)], diverged=3)
    table.save(data, tmp_path)
    with pytest.raises(ValueError, match="grows with the tables of its levels"):
        tables.tabulate("transformer_wikitext2_ladder", tmp_path, tables.step_of("optimum"))
    assert table.load_data(tmp_path).digest() == data.digest()


def test_terms_of_time_are_read_and_refused(tmp_path: Path) -> None:
    (tmp_path / declared.FILE).write_text(json.dumps({"time": {"steps": {"batch_size": -1}}, "plateau": 3}))
    known = declared.read(tmp_path)
    assert (known.time, known.products, known.plateau) == ({"steps": {"batch_size": -1.0}}, {}, 3.0)
    (tmp_path / declared.FILE).write_text(json.dumps({"time": {"steps": 3}}))
    with pytest.raises(ValueError, match="expected products and time"):
        declared.read(tmp_path)


# -- the command line --------------------------------------------------------------------------------------------------


SMALL, WHOLE = Path("tables/mine"), Path("tables/wikitext2")
PLAIN = {"workers": None, "share": (1, 1)}
ASKED: dict[str, tuple[Any, ...]] = {
    "transformer_wikitext2_small --configs 2 --out tables/mine":
        ("tabulate", "transformer_wikitext2_small", SMALL, Step("iid", 2, 1), PLAIN),
    "transformer_wikitext2 --budget 24h --workers 8 --out tables/wikitext2":
        ("tabulate_within", "transformer_wikitext2", WHOLE, 24 * 3600.0, {"workers": 8}),
    "transformer_wikitext2 --out tables/wikitext2 --configs 600":
        ("tabulate", "transformer_wikitext2", WHOLE, Step("iid", 600, 1), PLAIN),
    "transformer_wikitext2 --out tables/wikitext2 --configs 150 --seeds 3":
        ("tabulate", "transformer_wikitext2", WHOLE, Step("iid", 150, 3), PLAIN),
    "transformer_wikitext2 --out tables/wikitext2 --part near_best --configs 100":
        ("tabulate", "transformer_wikitext2", WHOLE, Step("near_best", 100, 1), PLAIN),
    "transformer_wikitext2 --out tables/wikitext2 --part best --configs 50 --seeds 5":
        ("tabulate", "transformer_wikitext2", WHOLE, Step("best", 50, 5), PLAIN),
    "transformer_wikitext2 --out tables/wikitext2 --part held_out --configs 60":
        ("tabulate", "transformer_wikitext2", WHOLE, Step("held_out", 60, 1), PLAIN),
    "transformer_wikitext2 --out tables/wikitext2 --part optimum --seeds 5":
        ("tabulate", "transformer_wikitext2", WHOLE, Step("optimum", 1, 5), PLAIN),
    "transformer_wikitext2 --configs 600 --share 1/2 --out tables/first":
        ("tabulate", "transformer_wikitext2", Path("tables/first"), Step("iid", 600, 1), PLAIN | {"share": (1, 2)}),
    "transformer_wikitext2 --configs 600 --share 2/2 --out tables/second":
        ("tabulate", "transformer_wikitext2", Path("tables/second"), Step("iid", 600, 1), PLAIN | {"share": (2, 2)}),
    "--merge tables/first tables/second --out tables/wikitext2":
        ("merge", [Path("tables/first"), Path("tables/second")], WHOLE, {}),
}  # fmt: skip
"""What each line of the README asks of which function: its arguments, and its options but for those that are told."""


def test_the_readme_tabulates_what_stands_here() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"python -m harness tabulate (.*)", text)
    assert {line.partition("#")[0].strip() for line in lines} == ASKED.keys()


@pytest.mark.parametrize("line", ASKED)
def test_what_the_readme_tabulates_is_what_is_asked(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def called(name: str) -> Any:
        def answered(*given: Any, **options: Any) -> Any:
            asked.append((name, *given, {key: value for key, value in options.items() if not callable(value)}))
            return merging.Merged(1, 2) if name == "merge" else 3

        return answered

    for module, name in ((tables, "tabulate"), (tables, "tabulate_within"), (merging, "merge"), (merging, "assemble")):
        monkeypatch.setattr(module, name, called(name))
    done = CliRunner().invoke(app, ["tabulate", *line.split()], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert asked == [ASKED[line]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("toy --out here --share 3/2", "--share takes which of how many machines"),
        ("toy --out here --share half", "given 'half'"),
        ("toy --out here --budget 1h --part best", "--budget plans all parts by itself"),
        ("toy twin --out here", "one benchmark is tabulated at a time"),
    ],
)
def test_a_wrong_call_is_refused(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CliRunner().invoke(app, ["tabulate", *line.split()], catch_exceptions=False)


def test_ctrl_c_says_what_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*given: Any, **options: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(tables, "tabulate", interrupted)
    done = CliRunner().invoke(app, ["tabulate", "toy", "--out", str(tmp_path)])
    assert done.exit_code == 130
    assert "the same command continues" in done.output
