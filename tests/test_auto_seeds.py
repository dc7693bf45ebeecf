"""As many seeds as are needed: whole blocks until the contrasts are narrow, whoever leads, and the same again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toys import toy_data

import harness
from harness.comparison import Arm, Comparison, Endpoint, Outcome, Until, in_blocks
from harness.compose import comparisons
from harness.compose.declarations import Declared, comparison_from_toml, comparison_of, name_of
from harness.compose.studies import model_of
from harness.store import Store
from harness.types import Fidelity
from reports import contrasts, declared, intervals, page
from reports.incumbent import DEFAULT_RULE
from reports.regret import scale
from reports.statistics import sequential
from reports.summary import Summary, summarise
from reports.tables import notes
from surrogates import table

FACTS = {"optimum": 0.0, "median": 1.0, "noise": 1e-3, "levels": [1]}


def rng(key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(key))


def outcomes(losses: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Losses of each arm on each benchmark, one a seed, as the report counts them."""
    return pd.DataFrame(
        [
            {"benchmark": benchmark, "arm": arm, "seed": seed, "counted": loss, "data": benchmark}
            for benchmark, arms in losses.items()
            for arm, values in arms.items()
            for seed, loss in enumerate(values)
        ]
    )


# -- blocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("enough", "ran"), [(1, [2]), (4, [2, 4]), (5, [2, 4, 6]), (99, [2, 4, 6])])
def test_blocks_are_added_until_it_is_decided_or_no_more_are_planned(enough: int, ran: list[int]) -> None:
    called: list[int] = []

    def run(seeds: int) -> int:
        called.append(seeds)
        return seeds

    assert in_blocks((2, 4, 6), run, lambda seeds: seeds >= enough) == ran[-1]
    assert called == ran


# -- contrasts ---------------------------------------------------------------------------------------------------------


def test_a_contrast_is_the_mean_over_benchmarks_of_what_the_report_compares() -> None:
    a, b, c = (0.1 * np.exp(rng(key).normal(size=4)) for key in (1, 2, 3))
    facts = {"x": FACTS, "y": {**FACTS, "median": 2.0}}
    seen = outcomes({"x": {"a": a, "b": b}, "y": {"a": b, "b": c, "alone": a}})
    found = contrasts.contrasts(seen, facts, [("a", "b"), ("b", "a"), ("a", "alone"), ("nobody", "a")])
    assert list(found) == [("a", "b"), ("b", "a"), ("a", "alone")]
    assert found["a", "b"] == pytest.approx((np.log(a) - np.log(b) + np.log(b) - np.log(c)) / 2)
    assert found["b", "a"] == pytest.approx(-found["a", "b"])
    assert found["a", "alone"] == pytest.approx(np.log(b) - np.log(a))
    above = outcomes({"x": {"a": [5.0], "b": [0.5]}})
    assert contrasts.contrasts(above, facts, [("a", "b")])["a", "b"] == pytest.approx(np.log(2))


def test_arms_that_met_other_data_have_no_contrast_there() -> None:
    seen = outcomes({"x": {"a": [0.1, 0.2], "b": [0.2, 0.2]}, "y": {"a": [0.1, 0.1], "b": [0.3, 0.3]}})
    other = seen.assign(data=seen["data"].where((seen["arm"] != "a") | (seen["benchmark"] != "x"), "another table"))
    found = contrasts.contrasts(other, {"x": FACTS, "y": FACTS}, [("a", "b")])["a", "b"]
    assert found == pytest.approx([np.log(1 / 3)] * 2)
    nowhere = seen.assign(data=seen["arm"])
    assert contrasts.contrasts(nowhere, {"x": FACTS, "y": FACTS}, [("a", "b")]) == {}
    gone = seen.assign(counted=seen["counted"].where(seen["arm"] != "a"), data=seen["data"].where(seen["arm"] != "a"))
    assert np.isnan(contrasts.contrasts(gone, {"x": FACTS, "y": FACTS}, [("a", "b")])["a", "b"]).all()


def test_without_a_ruler_losses_are_compared_on_logs_where_all_are_positive() -> None:
    plain: dict[str, Any] = {"x": {}, "y": {}}
    positive = {"x": {"a": [1.0, 2.0], "b": [2.0, 2.0]}, "y": {"a": [1.0, 1.0], "b": [1.0, 1.0]}}
    found = contrasts.contrasts(outcomes(positive), plain, [("a", "b")])["a", "b"]
    assert found == pytest.approx([-np.log(2) / 2, 0])
    negative = {**positive, "y": {"a": [-1.0, 0.0], "b": [0.0, 0.0]}}
    assert contrasts.contrasts(outcomes(negative), plain, [("a", "b")])["a", "b"] == pytest.approx([-1.0, 0.0])


def test_the_default_width_is_half_of_what_does_not_matter() -> None:
    ruler = scale({**FACTS, "noise": 0.0})
    assert ruler is not None
    score = contrasts.HALF_REGION / abs(np.log(ruler.floor))
    assert score == pytest.approx(0.01)


def test_what_cannot_be_waited_for_is_refused() -> None:
    contrasts.check({"x": FACTS}, contrasts.HALF_REGION)
    contrasts.check({"x": {}}, 0.05)
    with pytest.raises(ValueError, match=r"x are measured by regret, y by loss.*compare them apart"):
        contrasts.check({"x": FACTS, "y": {}}, 0.1)
    with pytest.raises(ValueError, match="say how narrow the contrasts shall be"):
        contrasts.check({"x": {}}, contrasts.HALF_REGION)
    with pytest.raises(ValueError, match="above 0"):
        contrasts.check({"x": FACTS}, 0.0)


def test_a_look_sees_widths_and_not_who_leads() -> None:
    a, b = (0.1 * np.exp(0.1 * rng(key).normal(size=10)) for key in (4, 5))
    seen = [
        contrasts.look(0.3, (10, 20), outcomes({"x": {"a": first, "b": second}}), {"x": FACTS}, [("a", "b")])
        for first, second in ((a, b), (b, a), (a / 3, b), (a, b / 3))
    ]
    widths = [half for one in seen for _, _, half in one["half_widths"]]
    assert widths == pytest.approx([widths[0]] * 4)
    assert all(one["enough"] and one["seeds"] == 10 for one in seen)
    narrower = contrasts.look(1e-3, (10, 20), outcomes({"x": {"a": a, "b": b}}), {"x": FACTS}, [("a", "b")])
    assert narrower["enough"] is False


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_a_study_without_a_number_ends_it_with_the_reason(hole: float) -> None:
    seen = outcomes({"x": {"a": [hole, *[0.1] * 9], "b": [0.2] * 10}})
    look = contrasts.look(0.1, (10, 20), seen, {"x": {}}, [("a", "b")])
    assert look["enough"] is None and ("infinite" in look["error"] or "NaN" in look["error"])
    assert "it cannot be said" in declared.looks(0.1, (10, 20), [look])


def test_where_one_stops_by_width_intervals_hold_and_nothing_is_biased() -> None:
    """Of 4,000 comparisons each: the declared intervals cover more than they say, the report's own nearly as much."""
    looks, suites = sequential.LOOKS, 4000
    draws = (rng(6).normal(size=(suites, 50)), rng(7).laplace(size=(suites, 50)) / np.sqrt(2))
    for drawn in draws:
        plan = sequential.plan(0.6, looks)
        stopped = np.full(suites, looks[-1])
        seen = {seeds: sequential.look(plan, drawn[:, :seeds]) for seeds in looks}
        for seeds in reversed(looks):
            stopped[seen[seeds].narrow] = seeds
        assert 0.05 < np.mean(stopped == looks[0]) < 0.95  # so that when to stop is left to chance
        at = {seeds: stopped == seeds for seeds in looks}
        planned = sum(np.sum((seen[n].contrasts.low <= 0) & (seen[n].contrasts.high >= 0) & at[n]) for n in looks)
        single = {n: intervals.mean(drawn[:, :n].T) for n in looks}
        plain = sum(np.sum((single[n].low <= 0) & (single[n].high >= 0) & at[n]) for n in looks)
        means = np.concatenate([drawn[at[n], :n].mean(axis=1) for n in looks])
        assert planned / suites > 0.965
        assert 0.925 < plain / suites < 0.965
        assert abs(means.mean()) < 3 * means.std() / np.sqrt(suites)


# -- declarations ------------------------------------------------------------------------------------------------------


def test_declared_on_the_command_line_or_in_toml(tmp_path: Path) -> None:
    plain = comparison_of({}, methods=["rs", "asha"], seeds="auto")
    assert plain.until == Until(contrasts.HALF_REGION, sequential.LOOKS) and plain.seeds == tuple(range(10))
    (tmp_path / "a.toml").write_text(
        'seeds = "auto:0.05"\ncontrasts = [["mine", "rs"]]\n[arms.rs]\n[arms.mine]\nmethod = "asha"\n'
    )
    toml = comparison_of(comparison_from_toml(tmp_path / "a.toml"))
    assert toml.until == Until(0.05, sequential.LOOKS, (("mine", "rs"),))
    assert Comparison.from_json(json.loads(json.dumps(toml.to_json()))) == toml
    assert comparison_of(comparison_from_toml(tmp_path / "a.toml"), seeds=[3]).until is None
    # However many seeds there are, they belong to the same results.
    assert name_of(plain) == name_of(comparison_of({}, methods=["rs", "asha"], seeds=[0, 1]))


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"seeds": "autos"}, "auto:WIDTH"),
        ({"seeds": "auto:wide"}, "auto:WIDTH"),
        ({"seeds": "auto:-1"}, "a width above 0"),
        ({"seeds": "auto:nan"}, "a width above 0"),
        ({"seeds": "auto", "contrasts": "some"}, "pairs of labels"),
        ({"seeds": "auto", "contrasts": [["rs", "asha", "bo"]]}, "pairs of labels"),
        ({"seeds": "auto", "contrasts": [["rs", "ashaa"]]}, "names two of the arms rs, bo"),
        ({"seeds": "auto", "contrasts": [["rs", "rs"]]}, "names two of the arms"),
        ({"seeds": 5, "contrasts": "all"}, 'what `seeds = "auto"` waits for'),
    ],
)
def test_what_makes_no_sense_is_refused(plain: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        comparison_of(plain)


def test_an_older_declaration_has_the_endpoint_of_today() -> None:
    comparison = Comparison((Arm("rs", "rs"),), ("toy",), (0,))
    plain = {name: value for name, value in comparison.to_json().items() if name not in ("endpoint", "until")}
    assert Comparison.from_json(plain) == comparison
    assert Endpoint().rule == DEFAULT_RULE


def test_what_was_declared_without_inference_regret_does_not_claim_it() -> None:
    comparison = Comparison((Arm("rs", "rs"),), ("toy",), (0,))
    plain = comparison.to_json()
    assert "inference regret" in Declared(Comparison.from_json(plain), "", ()).said()[0]
    del plain["endpoint"]["beside"]
    assert "inference regret" not in Declared(Comparison.from_json(plain), "", ()).said()[0]


def test_over_several_benchmarks_the_endpoint_is_another_and_single_ones_explore() -> None:
    wanted = (Comparison((Arm("rs", "rs"),), names, (0,)) for names in (("toy",), ("toy", "other")))
    one, several = (Declared(comparison, "", ()).said()[0] for comparison in wanted)
    assert "the observed regret of the incumbent (rule maxfid) at the budget" in one and "over benchmarks" not in one
    assert "over benchmarks, the anytime score of the observed regret of the incumbent (rule maxfid)" in several
    assert "single benchmarks" in several and several.endswith("is exploratory.")
    plain = Comparison((Arm("rs", "rs"),), ("toy", "other"), (0,)).to_json()
    del plain["endpoint"]["together"]
    assert "at the budget" in Declared(Comparison.from_json(plain), "", ()).said()[0]


# -- the whole ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tables") / "toy"
    table.save(toy_data(rows=200, budget=12.0), folder)  # too short to find the best row
    return str(folder)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a comparison is run, two seeds more each time."""
    if "problem" in request.fixturenames:
        monkeypatch.setattr(contrasts, "LOOKS", (2, 4, 6))
    yield
    model_of.cache_clear()


def wanted(problem: str, width: float) -> Comparison:
    return comparison_of({}, methods=["rs", "asha"], benchmarks=[problem], seeds=f"auto:{width}")


def run(comparison: Comparison, folder: Path, on_outcome: Callable[[Outcome], None] = lambda _: None) -> Any:
    return comparisons.compare(comparison, folder, command="compare", jobs=1, on_outcome=on_outcome)


def files(folder: Path) -> dict[str, bytes]:
    """All but the segments, whose real times and cuts differ."""
    kept = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def without_pages(
    folder: Path, studies: Any, events: Any, facts: Any, *, rule: str, declared: Sequence[str], **_: Any
) -> Summary:
    """What a report says, without its figures."""
    return summarise(studies, events, facts, rule, declared)


def test_it_stops_where_the_contrast_is_narrow_and_the_same_again_does_nothing(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = wanted(problem, 1e9)
    assert run(wide, tmp_path / "wide").wanted == 4
    known = comparisons.declared(tmp_path / "wide")
    assert known.comparison == replace(wide, seeds=(0, 1))
    assert [(look["seeds"], look["enough"]) for look in known.looks] == [(2, True)]

    done = run(wanted(problem, 1e-6), tmp_path / "narrow")
    assert (done.wanted, done.there, len(done.outcomes)) == (12, 0, 12)
    known = comparisons.declared(tmp_path / "narrow")
    assert [(look["seeds"], look["enough"]) for look in known.looks] == [(2, False), (4, False), (6, False)]
    monkeypatch.setattr(page, "write", without_pages)
    summary, _ = comparisons.report(tmp_path / "narrow")
    said = " ".join(notes(summary))
    assert "the observed regret of the incumbent (rule maxfid) at the budget" in said
    assert "wider than asked for, and no more are planned" in said and "with 6 seeds" in said
    assert len(summary.studies) == 12

    before = files(tmp_path / "narrow")
    again = run(wanted(problem, 1e-6), tmp_path / "narrow")
    assert (again.wanted, again.there, again.outcomes) == (12, 12, [])
    assert files(tmp_path / "narrow") == before
    # The looks of the report's own statistics: each half-width is that of the declared plan.
    last = sequential.look(sequential.plan(1e-6, (2, 4, 6)), np.array([differences(summary.studies)]))
    assert known.looks[-1]["half_widths"][0][2] == pytest.approx(
        float(last.contrasts.high[0] - last.contrasts.center[0])
    )


def differences(studies: pd.DataFrame) -> np.ndarray:
    regrets = studies.pivot(index="seed", columns="arm", values="regret")
    return np.log(regrets["rs"].to_numpy()) - np.log(regrets["asha"].to_numpy())


def test_an_interruption_in_the_second_block_leaves_no_trace(problem: str, tmp_path: Path) -> None:
    comparison = wanted(problem, 1e-6)
    run(comparison, tmp_path / "whole")
    ended: list[Outcome] = []

    def interrupt(outcome: Outcome) -> None:
        ended.append(outcome)
        if len(ended) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(comparison, tmp_path / "killed", interrupt)
    known = comparisons.declared(tmp_path / "killed")
    assert known.comparison.seeds == (0, 1, 2, 3) and [look["seeds"] for look in known.looks] == [2]
    run(comparison, tmp_path / "killed")
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    one, other = (Store(tmp_path / name / "studies").logical_digest() for name in ("killed", "whole"))
    assert one == other


def test_the_endpoint_stands_there_before_the_first_study(problem: str, tmp_path: Path) -> None:
    def interrupt(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(comparison_of({}, methods=["rs"], benchmarks=[problem], seeds=[0]), tmp_path, interrupt)
    plain = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert plain["comparison"]["endpoint"] == {
        "rule": "maxfid", "metric": "observed regret", "time": "budget", "beside": "inference regret",
        "together": "anytime score",
    }  # fmt: skip


def test_from_python(problem: str) -> None:
    frame = harness.compare(["rs", "asha"], [problem], seeds="auto:1e9")
    assert sorted(frame["seed"].unique()) == [0, 1] and len(frame) == 4


def test_an_endpoint_stays_what_it_was_when_the_first_study_ran(problem: str, tmp_path: Path) -> None:
    first = comparison_of({}, methods=["rs"], benchmarks=[problem], seeds=[0])
    run(first, tmp_path)
    path = tmp_path / "comparison.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    plain["comparison"]["endpoint"] |= {"beside": "", "together": ""}
    path.write_text(json.dumps(plain), encoding="utf-8")
    run(replace(first, seeds=(0, 1)), tmp_path)
    known = comparisons.declared(tmp_path).comparison
    assert (known.seeds, known.endpoint) == ((0, 1), Endpoint(beside="", together=""))


def test_an_arm_that_cannot_run_on_a_benchmark_keeps_no_contrast_waiting(problem: str, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    table.save(toy_data(rows=200, budget=12.0, fidelity=Fidelity("epoch", (4,))), flat)
    both = comparison_of({}, methods=["rs", "bohb"], benchmarks=[problem, str(flat)], seeds="auto:1e9")
    assert run(both, tmp_path / "out").wanted == 2 + 2 + 2
    (look,) = comparisons.declared(tmp_path / "out").looks
    assert (look["seeds"], look["enough"]) == (2, True) and [*look["half_widths"][0][:2]] == ["rs", "bohb"]
