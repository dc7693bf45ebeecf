"""What the selected config is truly worth: looked up without luck, for incumbents only, and never flattered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats
from toys import ending, run_on, study, toy_data

from harness.compose import lookups
from harness.types import End
from reports import style, tables
from reports.figures import validation_test
from reports.incumbent import RULES, trajectories
from reports.summary import Summary, summarise
from surrogates.table import Table, TableData

ARMS = ("rs", "asha:grace=1:eta=2")


def noisy() -> TableData:
    """A table whose test metric orders configs otherwise than validation does."""
    data = toy_data(rows=24)
    values = data.values.copy()
    values[..., 1] += np.linspace(1, 0, 24)[:, None, None]
    return replace(data, values=values)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Iterator[TableData]:
    table = ending(noisy(), 3, 2, End.DIVERGED)
    monkeypatch.setattr(lookups, "model_of", lambda *_: Table(table))
    lookups._models.cache_clear()
    yield table
    lookups._models.cache_clear()


def frames(data: TableData, seeds: int = 4) -> tuple[pd.DataFrame, pd.DataFrame]:
    records = [run_on(data, study(arm, seed, data.benchmark).spec()) for arm in ARMS for seed in range(seeds)]
    return lookups.frames(records)


def summary(data: TableData, **facts: Any) -> Summary:
    known = {"levels": list(data.benchmark.fidelity.levels), "metric": "loss", **Table(data).facts(), **facts}
    return summarise(*frames(data), {"toy": known})


def test_the_facts_of_the_test_metric_are_those_of_the_table(data: TableData) -> None:
    final = np.where(np.isnan(data.values[:, :, -1, 1]), np.inf, data.values[:, :, -1, 1]).mean(axis=1)
    known = Table(data).facts()["test"]
    assert (known["optimum"], known["median"]) == pytest.approx((final.min(), np.median(final)))
    assert known["noise"] == pytest.approx(np.median(data.values[final < np.inf, :, -1, 1].std(axis=1, ddof=1)))
    assert "test" not in Table(replace(data, benchmark=replace(data.benchmark, test_metric=None))).facts()


def test_incumbents_are_looked_up_and_nothing_else_changes(data: TableData) -> None:
    studies, events = frames(data)
    found, plain = summarise(studies, events, {"toy": {"levels": [1, 2, 3, 4]}}), trajectories(events, {"toy": 4})
    for arm, seed, finals in studies[["arm", "seed", "finals"]].itertuples(index=False):
        path = found.trajectories[arm, "toy", seed]
        assert path.trials.tolist() == plain[arm, "toy", seed].trials.tolist()
        assert set(finals) == set(path.trials.tolist())
        assert list(zip(path.finals, path.final_tests, strict=True)) == [finals[trial] for trial in path.trials]
        assert np.isnan(plain[arm, "toy", seed].finals).all()


def test_an_incumbent_whose_curve_ended_early_is_looked_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    table, early = noisy(), range(0, 24, 2)
    for row in early:
        table = ending(table, row, 2, End.EARLY)
    monkeypatch.setattr(lookups, "model_of", lambda *_: Table(table))
    lookups._models.cache_clear()
    records = [run_on(table, study(arm, seed, table.benchmark).spec()) for arm in ARMS for seed in range(4)]
    studies, events = lookups.frames(records)
    lookups._models.cache_clear()
    paths = trajectories(events, {"toy": 4})
    ended = 0
    for record, finals in zip(records, studies["finals"], strict=True):
        held = set(paths[record.spec["arm"], "toy", record.spec["seed"]].trials.tolist())
        assert set(finals) == held
        rows = {trial: Table(table).row(config) for trial, config in map(json.loads, record.configs)}
        ended += sum(rows[trial] in early for trial in held)
    assert ended > 0


def test_what_is_looked_up_follows_the_rule(data: TableData) -> None:
    records = [run_on(data, study(ARMS[1], seed, data.benchmark).spec()) for seed in range(4)]
    for rule in RULES:
        studies, events = lookups.frames(records, rule=rule)
        paths = trajectories(events, {"toy": 4}, rule)
        for arm, seed, finals in studies[["arm", "seed", "finals"]].itertuples(index=False):
            assert set(finals) == set(paths[arm, "toy", seed].trials.tolist())


def test_a_final_loss_is_the_mean_over_the_replicates_of_the_config(data: TableData) -> None:
    records = [run_on(data, study("rs", seed, data.benchmark).spec()) for seed in range(3)]
    studies, _ = lookups.frames(records)
    seen = 0
    for record, finals in zip(records, studies["finals"], strict=True):
        rows = {trial: Table(data).row(config) for trial, config in map(json.loads, record.configs)}
        for trial, known in finals.items():
            assert known == pytest.approx(tuple(data.values[rows[trial], :, -1].mean(axis=0)))
        seen += len(finals)
    assert seen > 3


def test_inference_regret_is_on_the_rulers_of_the_table_and_never_the_best_so_far_on_test(data: TableData) -> None:
    found = summary(data)
    known = found.facts["toy"]
    for metric, ruler in (("", known), ("_test", known["test"])):
        regret = (found.studies[f"final{metric}"] - ruler["optimum"]) / (ruler["median"] - ruler["optimum"])
        floor = max(1e-4, ruler["noise"] / (ruler["median"] - ruler["optimum"]))
        assert found.studies[f"inference{metric}"].to_numpy() == pytest.approx(regret.clip(floor, 1).to_numpy())
    for row in found.studies.itertuples():
        path = found.trajectories[row.arm, "toy", row.seed]
        assert row.final_test == path.final_tests[-1]
        assert row.overtuned == pytest.approx(path.final_tests[-1] - path.final_tests.min())
    assert (found.studies["overtuned"] > 0).any()
    table = np.array(known["final_losses"])
    for row in found.table.itertuples():
        mine = found.studies[found.studies["arm"] == row.arm]
        assert row.inference_test == pytest.approx(np.exp(np.log(mine["inference_test"]).mean()))
        assert row.inference_test_low < row.inference_test < row.inference_test_high <= 1
        shares = [np.mean(table <= min(final, known["median"]) + 1e-9) for final in mine["final"]]
        assert row.equivalent == pytest.approx(stats.gmean(1 / np.array(shares)))
        assert 1 <= row.equivalent_low <= row.equivalent <= row.equivalent_high
        assert row.overtuned == (mine["overtuned"] > 0).sum()


def test_failures_count_as_the_median_config_and_what_was_not_looked_up_as_unknown(data: TableData) -> None:
    studies, events = frames(data)
    studies.loc[0, "why"] = "error"
    nothing = (events["arm"] == "rs") & (events["seed"] == 1)
    known = {"toy": {"levels": [1, 2, 3, 4], **Table(data).facts()}}
    found = summarise(studies, events[~nothing], known).studies
    assert found.loc[0, ["inference", "inference_test"]].tolist() == [1, 1]
    assert found.loc[1, ["inference", "inference_test"]].tolist() == [1, 1]
    studies["finals"] = [{} if place == 2 else finals for place, finals in enumerate(studies["finals"])]
    found = summarise(studies, events, known).studies
    assert found.loc[2, ["inference", "inference_test"]].isna().all()
    without = summarise(studies.drop(columns="finals"), events, known)
    assert without.studies[["final", "inference", "inference_test", "overtuned"]].isna().all(axis=None)
    assert not any("inference" in head for head in tables.numbers(without, "toy").head)


def test_a_config_better_than_the_best_known_is_said(data: TableData) -> None:
    assert not any("no optimum" in note for note in tables.notes(summary(data)))
    better = summary(data, optimum=Table(data).facts()["median"] * 0.99)
    assert sum("hold a config that is better than the best known one" in note for note in tables.notes(better)) == 1
    assert (better.studies["inference"] > 0).all()
    searched = summary(data, optimum_is="the best of <7> random configs")
    said = "No optimum is known of toy: a regret of 0 is the best of <7> random configs."
    assert tables.notes(searched).count(said) == 1
    assert searched.numbers()["benchmarks"]["toy"]["optimum_is"] == "the best of <7> random configs"


def test_the_figure_shows_every_study_and_what_tuning_went_past(data: TableData) -> None:
    studies = summary(data).studies
    shown = pd.concat([studies, studies.iloc[:1].assign(final=np.inf)])
    axes = Figure().add_subplot()
    validation_test.draw(shown, axes, styles=style.styles(list(ARMS)), metric="loss", optimum=0.2, test_optimum=0.9)
    points = [line for line in axes.lines if line.get_linestyle() == "None"]
    drawn = np.concatenate([np.column_stack(line.get_data()) for line in points])
    assert {tuple(row) for row in drawn} == set(zip(studies["final"], studies["final_test"], strict=True))
    ends = [segment for lines in axes.collections for segment in lines.get_segments()]  # type: ignore[attr-defined]
    past = studies[studies["overtuned"] > 0]
    assert sorted(segment[1, 1] - segment[0, 1] for segment in ends) == pytest.approx(sorted(past["overtuned"]))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[0].endswith("1 without a loss") and "overtuned" in labels[1]
