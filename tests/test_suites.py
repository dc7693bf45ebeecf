"""Suites: what they hold, that their budgets follow the rule, and what a comparison makes of their names."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness import catalog
from harness.__main__ import app
from harness.comparison import Arm, Comparison
from harness.compose import cards, fetching, suites
from harness.compose.comparisons import compare, declared, facts_of, title_of
from harness.compose.declarations import comparison_from_toml, comparison_of
from harness.compose.studies import model_of, overridden, simulate, studies_of, study_of
from harness.methods import parse_method
from harness.names import PROJECT, ROOT, UnknownName
from harness.types import Event, Objective
from surrogates import _converted
from surrogates._yahpo_scenarios import LCBENCH
from surrogates.families import fcnet, hpobench, nasbench201, nmt_transformer

DATA = pytest.mark.skipif(
    _converted.shared_data("nmt_transformer.json.gz") is None, reason="FORETUNE_DATA holds no nmt_transformer.json.gz"
)
SMALL = {"one/test": {"branin": {}, "hartmann3": {}}, "one/development": {"hartmann6": {}}}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No family is converted, whatever the user has, or another test has loaded."""
    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path / "cache"))
    model_of.cache_clear()
    yield
    model_of.cache_clear()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suites of formulas, which need no data."""
    monkeypatch.setattr(suites, "suites", lambda: SMALL)


# -- what is declared --------------------------------------------------------------------------------------------------


def test_no_family_is_in_both_halves_of_a_suite() -> None:
    names = {half.partition("/")[0] for half in suites.suites()}
    assert names == {"multi-fidelity", "single-fidelity", "multi-objective"}
    for name in names:
        halves = [set(map(suites.family_of, suites.suites()[f"{name}/{half}"])) for half in suites.HALVES]
        assert all(halves) and not halves[0] & halves[1]


def test_the_suites_hold_what_their_names_say() -> None:
    for half, benchmarks in suites.suites().items():
        for name, fields in benchmarks.items():
            benchmark = overridden(catalog.find_benchmark(name).benchmark, fields)
            several_levels, several_objectives = len(benchmark.fidelity.levels) > 1, len(benchmark.objectives) > 1
            assert several_levels == half.startswith("multi-fidelity") or half.startswith("multi-objective")
            assert several_objectives == half.startswith("multi-objective")
    assert all(20 <= len(suites.suites()[f"multi-fidelity/{half}"]) <= 30 for half in suites.HALVES)
    families = set(map(suites.family_of, suites.suites()["multi-fidelity/test"]))
    assert len(families) >= 5


def test_every_table_of_final_values_is_in_the_single_fidelity_suite() -> None:
    final = {
        name
        for name, entry in catalog.benchmarks().items()
        if entry.family and len(entry.benchmark.fidelity.levels) == 1
    }
    assert final == {n for half in suites.HALVES for n in suites.suites()[f"single-fidelity/{half}"]}


def test_every_field_is_set_for_something() -> None:
    for suite, parts in tomllib.loads((ROOT / "suites.toml").read_text()).items():
        names = [name for half in suites.HALVES for name in parts[half]]
        assert len(names) == len(set(names))
        for of in parts.get(suites.FIELDS, {}):
            assert of in names or of in map(suites.family_of, names), f"{suite}: nothing is {of}"


def test_the_objectives_of_a_suite_are_metrics_of_its_families() -> None:
    metrics = {
        "fcnet": fcnet.FAMILY.metrics,
        "hpobench": hpobench.FAMILY.metrics,
        "nasbench201": nasbench201.FAMILY.metrics,
        "lcbench": LCBENCH.metrics,
        "nmt_transformer": nmt_transformer.BLEU,
    }
    for half in suites.HALVES:
        for name, fields in suites.suites()[f"multi-objective/{half}"].items():
            assert {one["metric"] for one in fields["objectives"]} <= set(metrics[suites.family_of(name)])
            own = catalog.find_benchmark(name).benchmark
            assert overridden(own, fields).objectives[0] == own.objectives[0]


def trainings(name: str, fields: dict[str, Any]) -> float:
    """How many full trainings of median length a budget is enough for."""
    benchmark = overridden(catalog.find_benchmark(name).benchmark, fields)
    facts = model_of(name, benchmark.table_miss).facts()
    return benchmark.budget * benchmark.workers / facts["full_seconds"]


@DATA
def test_budgets_are_forty_median_trainings_a_worker() -> None:
    for family in ("nmt_transformer", "nbnlp", "llama_lr"):
        fetching.fetch(family)
    held = ("nmt_transformer", "nbnlp", "llama_lr", "transformer_wikitext2_small")
    checked = 0
    for benchmarks in suites.suites().values():
        for name, fields in benchmarks.items():
            if suites.family_of(name) in held:
                # Of our own table, which grows, the median moves a little.
                tolerance = 0.05 if suites.family_of(name) == name else 0.01
                assert trainings(name, fields) == pytest.approx(40, rel=tolerance), name
                checked += 1
    assert checked == 12 + 1 + 2 + 3 + 3


@pytest.mark.slow
@DATA
def test_budgets_of_all_families_are_forty_median_trainings_a_worker() -> None:
    for family in fetching.families():
        try:
            fetching.fetch(family)
        except (FileNotFoundError, ImportError) as error:
            pytest.skip(str(error))
    for half, benchmarks in suites.suites().items():
        assert suites.absent(half) == {}
        for name, fields in benchmarks.items():
            if "full_seconds" in model_of(name, catalog.find_benchmark(name).benchmark.table_miss).facts():
                assert trainings(name, fields) == pytest.approx(40, rel=0.05), name


# -- what a comparison makes of them -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("small")
def test_a_suite_stands_for_its_benchmarks_in_its_place() -> None:
    wanted = comparison_of({}, methods=["rs"], benchmarks=["synthetic_curves", "one/test", "branin"], seeds=[0])
    assert wanted.benchmarks == ("synthetic_curves", "branin", "hartmann3")
    in_toml = comparison_of({"benchmarks": ["one/development"]}, methods=["rs"], seeds=[0])
    assert in_toml.benchmarks == ("hartmann6",)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("multi-fidelity", "unknown suite 'multi-fidelity': did you mean multi-fidelity/test"),
        ("multi-fidelity/tset", "unknown suite .* multi-fidelity/test"),
        ("multi-fidelty/test", r"unknown benchmark .*csv:PATH .*syne_tune:PATH"),
        ("nothing", r"unknown benchmark 'nothing': .*csv:PATH .*syne_tune:PATH"),
    ],
)
def test_names_that_are_none_are_refused_with_what_there_is(name: str, said: str) -> None:
    with pytest.raises(UnknownName, match=said):
        comparison_of({}, methods=["rs"], benchmarks=[name], seeds=[0])


def test_a_suite_whose_data_is_absent_says_what_lacks_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    half = {"fcnet_naval_propulsion": {}, "branin": {}, "taskset_imdb_patch128_LSTM128_bs64": {}}
    half |= {"fcnet_slice_localization": {}}
    monkeypatch.setattr(suites, "suites", lambda: {"one/test": half})
    with pytest.raises(FileNotFoundError) as refused:
        comparison_of({}, methods=["rs"], benchmarks=["one/test"], seeds=[0])
    said = str(refused.value)
    assert said.startswith("one/test: 3 of 4 benchmarks are absent (fcnet_naval_propulsion, fcnet_slice_localization: ")
    assert "`python -m harness fetch fcnet` makes it" in said and "`python -m harness fetch taskset`" in said
    assert said.endswith("; what is here: --benchmarks branin") and "\n" not in said
    done = CliRunner().invoke(app, ["compare", "--methods", "rs", "--benchmarks", "one/test"])
    assert isinstance(done.exception, FileNotFoundError)


def test_a_benchmark_wanted_with_different_fields_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"one/test": {"branin": {"budget": 10.0}}, "two/test": {"branin": {}, "hartmann3": {}}}
    monkeypatch.setattr(suites, "suites", lambda: both)
    with pytest.raises(ValueError, match="'branin' is wanted twice, with different fields"):
        suites.expanded(["one/test", "two/test"], {})
    assert suites.expanded(["two/test", "two/test", "hartmann3"], {}) == both["two/test"]


@pytest.mark.usefixtures("small")
def test_with_other_workers_the_budget_is_still_forty_trainings() -> None:
    wanted = suites.expanded(["one/test", "hartmann6"], {"workers": 8})
    assert wanted == {"branin": {"budget": 135.0}, "hartmann3": {"budget": 135.0}, "hartmann6": {}}


@pytest.mark.usefixtures("small")
def test_a_suite_is_compared_as_one(tmp_path: Path) -> None:
    wanted = comparison_of({}, methods=["rs"], benchmarks=["one/test"], seeds=[0, 1])
    done = compare(wanted, tmp_path / "out", command="", jobs=1)
    assert {(outcome.benchmark, outcome.error) for outcome in done.outcomes} == {("branin", ""), ("hartmann3", "")}
    assert done.wanted == 4 and declared(tmp_path / "out")[0].benchmarks == ("branin", "hartmann3")


@DATA
def test_the_fields_of_a_suite_reach_its_studies() -> None:
    fetching.fetch("nmt_transformer")
    name, budget = "nmt_transformer_sw_en_bleu", {"budget": 1e4}
    fields = suites.suites()["multi-objective/development"][name]
    wanted = Comparison((Arm("rs", "rs"), Arm("few", "rs", budget)), (name, "branin"), (0,), own={name: fields})
    assert Comparison.from_json(json.loads(json.dumps(wanted.to_json()))) == wanted
    of = {(study.arm, study.benchmark.name): study.benchmark for study in studies_of(wanted)}
    two = (Objective("bleu", maximize=True), Objective("decode_seconds"))
    assert of["rs", name].objectives == of["few", name].objectives == two and of["few", name].budget == 1e4
    assert of["rs", "branin"].objectives == (Objective("value"),)
    log, _ = simulate(study_of(wanted, wanted.arms[0], name, 0))
    assert not log.error and all(len(event.report.losses) == 2 for event in log.events if isinstance(event, Event))
    assert facts_of(wanted, {})[name]["metric"] == "bleu"


@pytest.mark.usefixtures("small")
def test_what_is_set_for_a_comparison_stands_above_what_a_suite_sets() -> None:
    given: dict[str, Any] = {"methods": ["rs"], "benchmarks": ["one/test"], "seeds": [0]}
    wanted = comparison_of({}, **given, overrides={"workers": 8})
    assert wanted.own == {"branin": {"budget": 135.0}, "hartmann3": {"budget": 135.0}}
    assert {(study.benchmark.budget, study.benchmark.workers) for study in studies_of(wanted)} == {(135.0, 8)}
    wanted = comparison_of({}, **given, overrides={"workers": 8, "budget": 20.0})
    assert {study.benchmark.budget for study in studies_of(wanted)} == {20.0}


# -- what is listed ----------------------------------------------------------------------------------------------------


def test_suites_are_listed_and_named_with_their_benchmarks() -> None:
    done = CliRunner().invoke(app, ["list", "suites", "--json"])
    listed = json.loads(done.output)
    assert list(listed) == list(suites.suites())
    assert "24 benchmarks of 5 families: lcbench (14), taskset (4), nbnlp" in listed["multi-fidelity/test"]
    benchmarks = json.loads(CliRunner().invoke(app, ["list", "benchmarks", "--json"]).output)
    assert benchmarks["fcnet_naval_propulsion"].endswith("; in single-fidelity/test, multi-objective/test")
    assert benchmarks["transformer_wikitext2_ladder"].endswith("decay_share; up to width 64")
    judged = f"table + real, its surrogate {cards.verdict('transformer_wikitext2_small')}: val_loss over lr,"
    assert benchmarks["transformer_wikitext2_small"].startswith(judged)
    assert "surrogate" not in benchmarks["lcdb_1000"]
    assert " in " not in benchmarks["lcdb_1000"].rpartition(";")[2]


# -- what is published -------------------------------------------------------------------------------------------------


def test_published_comparisons_name_methods_and_benchmarks_that_there_are() -> None:
    paths = sorted((PROJECT / "reports" / "published").glob("*/*.toml"))
    assert {path.parent.name for path in paths} >= {half.partition("/")[0] for half in suites.suites()}
    for path in paths:
        plain = comparison_from_toml(path)
        assert all(parse_method(fields.get("method", label)) for label, fields in plain["arms"].items())
        assert all(name in suites.suites() or catalog.find_benchmark(name) for name in plain["benchmarks"])


def test_the_title_of_a_report_names_the_first_of_many() -> None:
    many = Comparison(tuple(Arm(f"arm{place}", "rs") for place in range(8)), ("branin", "hartmann3"), (0,))
    assert title_of(many) == "arm0, arm1, arm2, arm3, arm4, arm5 and 2 more on branin, hartmann3"
