"""Ours beside the peers: the plan makes sense, its studies are run once whatever gets lost, its intervals are right."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from toys import toy_data

from harness.comparison import Arm, Comparison
from harness.compose.comparisons import compare, facts_of
from harness.compose.declarations import comparison_from_toml, comparison_of
from harness.compose.knowledge import STUDIES
from harness.compose.lookups import frames
from harness.compose.studies import study_of
from harness.compose.suites import family_of, suites
from harness.methods import parse_method
from harness.randomness import stream
from harness.store import Store
from reports.summary import observed, summarise
from surrogates.table import save

PROJECT = Path(__file__).resolve().parents[1]
PLAN = PROJECT / "reports" / "published" / "peers" / "plan"


@pytest.fixture(scope="module")
def peers() -> ModuleType:
    specification = importlib.util.spec_from_file_location("peers", PROJECT / "tests" / "benchmarks" / "peers.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


# -- the published plan ------------------------------------------------------------------------------------------------


def declared() -> dict[str, dict[str, Any]]:
    """The parts of the published plan by their files' names, as they are declared."""
    return {path.name: comparison_from_toml(path) for path in sorted(PLAN.glob("[0-9]*.toml"))}


def method_of(label: str, fields: dict[str, Any]) -> str:
    return fields.get("method", label)


def test_an_arm_is_the_same_method_under_the_same_conditions_in_every_part() -> None:
    methods: dict[str, set[tuple[str, int | None]]] = {}
    for plain in declared().values():
        for label, fields in plain["arms"].items():
            assert set(fields) <= {"method"}
            parse_method(method_of(label, fields))
            methods.setdefault(label, set()).add((method_of(label, fields), plain.get("shared")))
    assert all(len(of) == 1 for of in methods.values())


def test_every_pair_is_one_of_ours_with_one_of_theirs_and_meets_in_a_part_that_is_judged() -> None:
    pairs = tomllib.loads((PLAN / "pairs.toml").read_text())["pairs"]
    judged = {name: plain for name, plain in declared().items() if "development" not in name}
    for ours, others in pairs.items():
        for theirs in others:
            (arms, *_) = [plain["arms"] for plain in judged.values() if {ours, theirs} <= set(plain["arms"])]
            kinds = [parse_method(method_of(label, arms[label])).scheduler.kind for label in (ours, theirs)]
            assert kinds[0] != "foreign" and kinds[1] == "foreign"
    named = {label for others in pairs.values() for label in others}
    foreign = {label for plain in judged.values() for label, fields in plain["arms"].items()
               if parse_method(method_of(label, fields)).scheduler.kind == "foreign"}  # fmt: skip
    # Whose algorithm is none of ours, also of several objectives.
    others = {"optuna-tpe-objectives", "optuna-gp-objectives", "nevergrad-objectives", "ax-objectives"}
    assert foreign - named == {"nevergrad", *others}


def test_tables_smaller_than_a_first_rung_count_for_nobody_who_fills_rungs(peers: ModuleType) -> None:
    declared_here = tomllib.loads((PLAN / "pairs.toml").read_text())["uncounted"]
    uncounted = peers.Uncounted(*(frozenset(declared_here[what]) for what in ("arms", "families")))
    assert uncounted.arms <= {label for plain in declared().values() for label in plain["arms"]}
    assert uncounted.families < {family_of(name) for name in suites()["multi-fidelity/test"]}
    plan = peers.Plan([], [], {}, {}, uncounted)
    seeds = {"lcdb_3": 20, "llama_lr": 20, "lcbench_3945": 20}
    for arm in uncounted.arms:
        assert plan.counted(seeds, "rs", arm) == plan.counted(seeds, arm, "rs") == {"lcbench_3945": 20}
    assert plan.counted(seeds, "rs", "asha") == seeds


def test_the_plan_has_the_size_that_was_promised(peers: ModuleType) -> None:
    test = [name for suite in ("multi-fidelity", "single-fidelity") for name in suites()[f"{suite}/test"]]
    assert len(test) >= 20 and len(set(map(family_of, test))) >= 5
    parts = declared()
    development = {label for name in parts if "development" in name for label in parts[name]["arms"]}
    for name, plain in parts.items():
        if "development" in name:
            continue
        if plain["seeds"] == 20:
            assert set(plain["benchmarks"]) <= {f"{suite}/test" for suite in peers.SUITES}
            assert set(plain["arms"]) <= development
        else:  # what needs more than 30 seconds a study
            assert plain["seeds"] == 5 and len(plain["benchmarks"]) == 8
            assert set(plain["benchmarks"]) <= set(suites()["multi-fidelity/test"])


# -- a plan is carried out ---------------------------------------------------------------------------------------------

FIRST = """
benchmarks = ["branin", "hartmann3"]
seeds = 6
[benchmark]
budget = 54.0
[arms.rs]
[arms.other]
method = "rs"
[arms.pbt]
"""
SECOND = """
benchmarks = ["branin"]
seeds = 2
[benchmark]
budget = 54.0
[arms.rs]
[arms.sobol]
"""
HALVES = {
    "multi-fidelity/test": {"branin": {}, "hartmann3": {}},
    "multi-fidelity/development": {"hartmann6": {}},
    "single-fidelity/test": {"fcnet_naval_propulsion": {}},
    "single-fidelity/development": {"hpobench_car": {}},
    "multi-objective/test": {"fcnet_slice_localization": {}},
    "multi-objective/development": {"hpobench_segment": {}},
}


@pytest.fixture
def plan(peers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(peers, "suites", lambda: HALVES)
    folder = tmp_path / "plan"
    folder.mkdir()
    for name, content in (("pairs", '[pairs]\nrs = ["other"]\n'), ("1-first", FIRST), ("2-second", SECOND)):
        (folder / f"{name}.toml").write_text(content)
    return folder


@pytest.fixture
def carried(peers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """The studies that are run, in the order in which they are asked for."""
    studies: list[tuple[str, str, int]] = []
    carry_out: Callable[..., Any] = peers.carry_out

    def noted(wanted: Sequence[Any], *given: Any, **also: Any) -> Any:
        studies.extend((study.arm, study.benchmark.name, study.seed) for study in wanted)
        return carry_out(wanted, *given, **also)

    monkeypatch.setattr(peers, "carry_out", noted)
    return studies


def ran(peers: ModuleType, plan: Path) -> str:
    """The page, once all that the plan wants was run."""
    folder, whole = plan.parent, peers.plan_of(plan)
    peers.run(whole, folder / "results", folder / "studies.jsonl", folder / "suites.md", 1)
    return peers.text(whole, peers.gathered(whole, whole.parts, folder / "results", folder / "studies.jsonl"))


def test_regrets_are_those_of_a_comparison_and_each_study_is_run_once(
    peers: ModuleType, plan: Path, carried: list[Any]
) -> None:
    page, folder = ran(peers, plan), plan.parent
    assert len(carried) == len(set(carried)) == 2 * 2 * 6 + 2  # of the second part sobol alone is new
    kept = peers.read(folder / "studies.jsonl")
    assert {arm for arm, _ in kept} == {"rs", "other", "pbt", "sobol"}
    comparison = comparison_of(comparison_from_toml(plan / "1-first.toml"))
    compare(comparison, folder / "alone", command="", jobs=1)
    records = Store(folder / "alone" / STUDIES).records().values()
    seen = observed(*frames(records), facts_of(comparison, {})).studies
    assert len(seen) == 24
    for row in seen.itertuples():
        end = kept[row.arm, row.benchmark].ends[row.seed]
        assert end.regret == pytest.approx(row.regret, abs=1e-8) and not end.failed
    assert "| rs | other | 2 | 6 |" in page and "| so far: " not in page
    # PBT has no truth to run on here, which is no study that lacks; sobol is in one part, on one benchmark.
    assert "| [1-first](plan/1-first.toml) | 3 | 2 | 24 | 24 | 0 |" in page
    assert "| [2-second](plan/2-second.toml) | 2 | 1 | 4 | 4 | 0 |" in page
    assert "there is no truth to answer it" in kept["pbt", "branin"].refused
    del kept["other", "branin"].ends[4]
    page = peers.text(peers.plan_of(plan), kept)
    assert "| rs | other | 2 | 5 to 6 of 6 |" in page and "| so far: " in page


def test_of_several_objectives_it_is_told_what_of_the_front_was_not_held(peers: ModuleType, tmp_path: Path) -> None:
    """As a comparison's report has it, beside studies of one objective on the same table."""
    data = toy_data(rows=24, seeds=1)
    speed = 10 * stream("speed").random((24, 1, 1)) + np.zeros(data.seconds.shape)
    values = np.concatenate([data.values, speed[..., None]], axis=-1)
    save(replace(data, metrics=(*data.metrics, "speed"), values=values), tmp_path / "toy")
    folder, head = tmp_path / "plan", f'benchmarks = ["{tmp_path / "toy"}"]\nseeds = 3\n[benchmark]\nbudget = 20.0\n'
    two = 'objectives = [{metric = "loss"}, {metric = "speed", maximize = true}]\n'
    folder.mkdir()
    (folder / "pairs.toml").write_text("[pairs]\n")
    (folder / "1-one.toml").write_text(f"{head}[arms.rs]\n")
    (folder / "2-two.toml").write_text(f"{head}{two}[arms.two]\nmethod = 'rs'\n")
    whole = peers.plan_of(folder)
    peers.run(whole, tmp_path / "results", tmp_path / "studies.jsonl", tmp_path / "suites.md", 1)
    kept = peers.read(tmp_path / "studies.jsonl")
    for number, (arm, column) in enumerate((("rs", "regret"), ("two", "hypervolume"))):
        comparison = comparison_of(comparison_from_toml(whole.parts[number].path))
        records = whole.parts[number].store(tmp_path / "results").records().values()
        seen = summarise(*frames(records), facts_of(comparison, {})).studies.set_index("seed")[column].to_dict()
        told = {seed: end.regret for seed, end in kept[arm, "toy"].ends.items()}
        assert len(told) == 3 and 0 < np.mean(list(told.values())) < 1
        wanted = seen if column == "regret" else {seed: 1 - share for seed, share in seen.items()}
        assert told == pytest.approx(wanted, abs=1e-7)


def test_what_was_kept_is_never_run_again_though_the_results_are_lost(
    peers: ModuleType, plan: Path, carried: list[Any]
) -> None:
    page, folder = ran(peers, plan), plan.parent
    carried.clear()
    shutil.rmtree(folder / "results")
    assert ran(peers, plan) == page and carried == []
    # What lacks is run alone: one seed that was never kept, and the two of a changed method.
    path = folder / "studies.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if (line["arm"], line["benchmark"]) == ("other", "branin"):
            del line["ends"]["4"]
        if line["arm"] == "sobol":
            line["study"] = "of another version"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ran(peers, plan)
    assert sorted(carried) == [("other", "branin", 4), ("sobol", "branin", 0), ("sobol", "branin", 1)]


def test_studies_that_a_kill_left_in_the_store_are_gathered(peers: ModuleType, plan: Path, carried: list[Any]) -> None:
    ran(peers, plan)
    folder, whole = plan.parent, peers.plan_of(plan)
    before = (folder / "studies.jsonl").read_bytes()
    (folder / "studies.jsonl").unlink()
    carried.clear()
    peers.gathered(whole, whole.parts, folder / "results", folder / "studies.jsonl")
    without_refusals = [line for line in before.splitlines() if b'"arm":"pbt"' not in line]
    assert (folder / "studies.jsonl").read_bytes().splitlines() == without_refusals and carried == []


def test_parts_that_contradict_each_other_are_refused(peers: ModuleType, plan: Path) -> None:
    (plan / "2-second.toml").write_text(SECOND.replace("54.0", "27.0"))
    with pytest.raises(SystemExit, match=r"2-second\.toml wants rs on branin otherwise than a part before it"):
        peers.plan_of(plan)


def test_another_numpy_is_the_same_study_and_another_release_of_the_library_is_not(peers: ModuleType) -> None:
    comparison = Comparison((Arm("optuna-tpe", "optuna-tpe"),), ("branin",), (3,))
    study = study_of(comparison, comparison.arms[0], "branin", 3)
    name, plan = ("optuna-tpe", "branin"), peers.Plan([], [], {("optuna-tpe", "branin"): study}, {})
    versions = {"cmaes": "0.13.1", "numpy": "1.26.4", "optuna": "5.0.0", "scipy": "1.11.4", "torch": "2.13.0+cpu"}
    for changed, same in (({}, True), ({"numpy": "2.4.6"}, True), ({"optuna": "4.5.0"}, False)):
        ran_with = versions | changed
        kept = {name: peers.Kept(peers.identity(study, ran_with), ran_with, "", {3: peers.End(0.1, 1.0, False)})}
        assert (peers.current(plan, kept) == kept) is same
    # What was run on another benchmark, or otherwise, is another study whatever the versions.
    kept = {name: peers.Kept("of another budget", versions, "", {3: peers.End(0.1, 1.0, False)})}
    assert peers.current(plan, kept) == {}


# -- intervals and choices ---------------------------------------------------------------------------------------------


def test_the_interval_of_one_benchmark_is_that_of_a_paired_t_test(peers: ModuleType) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(2, 20))
    found = peers.over_benchmarks([ours - theirs])
    low, high = stats.ttest_rel(ours, theirs).confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high)) and found.mean == pytest.approx(np.mean(ours - theirs))


def test_the_interval_of_two_benchmarks_is_that_of_welch(peers: ModuleType) -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(0.3, 1.0, 20), rng.normal(0.1, 4.0, 5)
    found = peers.over_benchmarks([one, other])
    low, high = stats.ttest_ind(one, -other, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((low / 2, high / 2))


def test_a_difference_that_is_the_same_at_every_seed_settles_nothing(peers: ModuleType) -> None:
    found = peers.over_benchmarks([np.full(10, -0.7), np.full(10, -0.1)])
    assert (str(found), found.verdict) == ("-0.4000 at every seed", "not settled")
    none = peers.over_benchmarks([np.zeros(10)])
    assert (str(none), none.verdict) == ("+0.0000 [+0.0000, +0.0000]", "no worse by the margin")
    assert not np.isnan(peers.over_benchmarks([np.full(10, -0.7), np.arange(10.0)]).low)


def test_verdicts_say_what_the_interval_allows(peers: ModuleType) -> None:
    verdicts = {
        (-0.1, 0.01): "no worse by the margin",
        (0.001, 0.01): "worse, but no worse by the margin",
        (0.03, 0.1): "worse",
        (-0.01, 0.03): "not settled",
    }
    assert {span: peers.Difference(0.0, *span).verdict for span in verdicts} == verdicts


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ({"a": 10, "b": 10}, ["2", "10", "no worse by the margin"]),
        ({"a": 20, "b": 20}, ["2", "10 of 20", "so far: no worse by the margin"]),
        ({"a": 10, "b": 10, "c": 10}, ["2 of 3", "10", "so far: no worse by the margin"]),
    ],
)
def test_a_verdict_before_all_seeds_are_there_is_one_so_far(
    peers: ModuleType, wanted: dict[str, int], shown: list[str]
) -> None:
    grid = pd.DataFrame({"mine": np.zeros(10), "theirs": [0.001, -0.001] * 5})
    kept = peers.Kept("", {}, "", {seed: peers.End(0.0, 1.0, False) for seed in range(10)})
    now = {(arm, name): kept for arm in ("mine", "theirs") for name in ("a", "b")}
    row = peers.row_of(now, "mine", "theirs", {"a": grid, "b": grid}, wanted)
    assert [row[place] for place in (2, 3, 7)] == shown


def test_the_best_are_chosen_on_the_development_half_among_those_that_have_all_of_it(
    peers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "suites", lambda: {"one/development": {"a": {}, "b": {}}, "one/test": {"c": {}}})
    arms = {"mine:eta=4": 0.3, "other": 0.4, "theirs": 0.2, "worse": 0.5}
    grid = pd.DataFrame({arm: [regret, regret] for arm, regret in arms.items()}, index=[0, 1])
    lacking = grid.assign(other=[0.0, np.nan], worse=[0.0, np.nan])
    foreign = {"theirs", "worse"}
    assert peers.best({"a": grid, "b": lacking}, "one", foreign) == ("mine:eta=4", "theirs")
    assert peers.best({"a": grid, "b": grid.assign(other=0.0)}, "one", foreign) == ("other", "theirs")
    assert peers.best({"a": grid}, "one", foreign) is None
    assert peers.best({"a": grid[["other"]], "b": grid[["other"]]}, "one", foreign) is None
