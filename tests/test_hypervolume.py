"""Several objectives in reports: hypervolume over time, on a ruler of the benchmark's own configs, sees no future."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from rich.console import Console
from scipy import stats
from test_quantities import TOP, random_events, until
from test_reports import data_of, events_of, write_page
from toys import ending, run_on, study, toy_data

from harness.comparison import Arm, Comparison
from harness.compose import fronts, lookups
from harness.compose.comparisons import facts_of
from harness.compose.fronts import Ruler
from harness.frames import frames as plain_frames
from harness.randomness import stream
from harness.study import KINDS, Record
from harness.toys import Toy
from harness.toys import toy_benchmark as toy_problem
from harness.types import End, Objective, Status
from reports import answer, curves, style, suite_tables, tables
from reports.figures import hypervolume
from reports.incumbent import Events, at
from reports.markdown import markdown
from reports.suite.suite import FINAL, HYPERVOLUME
from reports.summary import Summary, summarise
from reports.terminal import _kept, terminal
from surrogates import table
from surrogates.table import Table, TableData

ARMS = ("rs", "nsga2:population=4", "parego:initial=3", "moasha:grace=1:eta=2")
TWO = (Objective("loss"), Objective("speed", maximize=True))
UNIT = Ruler(np.zeros(2), np.ones(2), np.zeros((1, 2)), 1.0, "nothing")
"""Where the hypervolume is what the points dominate in the unit square."""


def two_objectives(rows: int = 24, seeds: int = 2, **fields: Any) -> TableData:
    """A table with a loss and a speed, of which more is better; neither tells the other."""
    data = toy_data(rows=rows, seeds=seeds, objectives=TWO, **fields)
    speed = 10 * stream("speed").random((rows, 1, 1)) + np.zeros(data.seconds.shape)
    values = np.concatenate([data.values, speed[..., None]], axis=-1)
    return replace(data, metrics=(*data.metrics, "speed"), values=values)


def known_as(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    """Let a model answer for whatever name is asked for."""
    for module in (lookups, fronts):
        monkeypatch.setattr(module, "model_of", lambda *_: model)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Nothing is kept of what answered in another test."""
    for known in (lookups._models, fronts.ruler):
        known.cache_clear()
    yield
    for known in (lookups._models, fronts.ruler):
        known.cache_clear()


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> TableData:
    made = two_objectives()
    known_as(monkeypatch, Table(made))
    return made


def records_on(data: TableData, arms: tuple[str, ...] = ARMS, seeds: int = 3) -> list[Record]:
    return [run_on(data, study(arm, seed, data.benchmark).spec()) for arm in arms for seed in range(seeds)]


def facts_on(data: TableData) -> dict[str, Any]:
    """What a report knows of the benchmark."""
    known = {"levels": list(data.benchmark.fidelity.levels), "metric": "loss", "table": "restrict"}
    return known | Table(data).facts() | fronts.facts("toy", data.benchmark)


def ruler_of(data: TableData) -> Ruler:
    found = fronts.ruler("toy", data.benchmark.table_miss, data.benchmark.objectives)
    assert found is not None
    return found


def summary(data: TableData, arms: tuple[str, ...] = ARMS) -> Summary:
    return summarise(*lookups.frames(records_on(data, arms)), {"toy": facts_on(data)})


# The ruler


def finals_of(data: TableData) -> np.ndarray:
    """What the configs of a table end with, both to be minimised, means over replicates: (configs, 2)."""
    return data.values[:, :, -1, [0, 2]].mean(axis=1) * [1, -1]


def test_the_ruler_is_made_of_the_table_alone(data: TableData) -> None:
    finals, found = finals_of(data), ruler_of(data)
    best = [one for one in finals if not any((other <= one).all() and (other != one).any() for other in finals)]
    np.testing.assert_allclose(found.front, sorted(map(tuple, best)))
    worst = np.maximum(np.median(finals, axis=0), np.max(best, axis=0))
    np.testing.assert_allclose(found.best, finals.min(axis=0))
    np.testing.assert_allclose(found.reference, found.best + 1.1 * (worst - found.best))
    assert found.share(finals) == pytest.approx(1)
    for point in finals:
        sides = np.maximum(1 - (point - found.best) / (found.reference - found.best), 0)
        assert found.share(point[None]) * found.whole == pytest.approx(np.prod(sides))
        assert found.share(point[None]) <= 1
    assert found.of == "the 24 configs of its table"


def test_a_short_front_is_measured_from_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    """One config is the best by both: its front has no width."""
    made = two_objectives()
    values = made.values.copy()
    values[..., 2] = -values[..., 0]
    known_as(monkeypatch, Table(replace(made, values=values)))
    found = ruler_of(made)
    assert len(found.front) == 1
    finals = finals_of(replace(made, values=values))
    np.testing.assert_allclose(found.reference - found.best, 1.1 * (np.median(finals, axis=0) - finals.min(axis=0)))
    assert found.share(finals) == pytest.approx(1)


def test_configs_that_diverge_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = two_objectives()
    fastest = int(np.argmax(made.values[:, 0, 0, 2]))
    broken = ending(made, fastest, 2, End.DIVERGED)
    known_as(monkeypatch, Table(broken))
    assert ruler_of(broken).best[1] == pytest.approx(-np.sort(made.values[:, 0, 0, 2])[-2])


def test_without_a_scale_there_is_no_ruler(monkeypatch: pytest.MonkeyPatch) -> None:
    made = two_objectives()
    values = made.values.copy()
    values[..., 2] = 7.0
    known_as(monkeypatch, Table(replace(made, values=values)))
    assert fronts.facts("toy", made.benchmark) == {"objectives": ["loss", "speed"]}
    studies, events = lookups.frames(records_on(replace(made, values=values), ("rs",)))
    assert "hypervolume" not in events
    assert "hypervolume" not in summarise(studies, events, {"toy": facts_on(made)}).studies


def test_where_any_config_is_answered_random_ones_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = replace(toy_problem(), objectives=(Objective("loss"), Objective("size")))
    known_as(monkeypatch, Toy(benchmark))
    known = fronts.facts("toy", benchmark)["front"]
    assert known["of"] == "1,000 random configs" and known["configs"] >= 1
    configs = benchmark.space.sample(stream("front", "toy"), 1000)
    losses = np.array([Toy(benchmark).curve(config, 0).losses[-1] for config in configs])
    np.testing.assert_allclose(known["best"], losses.min(axis=0))
    fronts.ruler.cache_clear()
    assert fronts.facts("toy", benchmark)["front"] == known


def test_one_objective_has_no_front() -> None:
    assert fronts.facts("toy", toy_data().benchmark) == {}


def test_nothing_is_stated_of_another_first_objective_than_the_model_was_made_with(tmp_path: Path) -> None:
    table.save(two_objectives(), tmp_path / "toy")
    comparison = Comparison((Arm("rs", "rs"),), (str(tmp_path / "toy"),), (0,))
    own = facts_of(comparison, {})["toy"]
    backwards = [{"metric": one.metric, "maximize": one.maximize} for one in reversed(TWO)]
    other = facts_of(replace(comparison, overrides={"objectives": backwards}), {})["toy"]
    assert {*own} - {*other} == {"optimum", "median", "noise", "final_losses", "test"}
    assert (own["objectives"], other["objectives"]) == (["loss", "speed"], ["speed", "loss"])
    assert own["front"]["reference"] == pytest.approx(other["front"]["reference"][::-1])
    assert (own["metric"], other["metric"]) == ("loss", "speed")


def test_a_part_of_the_space_has_another_law_of_random_search(tmp_path: Path) -> None:
    table.save(toy_data(), tmp_path / "toy")
    comparison = Comparison((Arm("rs", "rs"),), (str(tmp_path / "toy"),), (0,))
    plain = toy_data().benchmark.space.to_json()
    part = facts_of(replace(comparison, overrides={"space": plain | {"layers": 2}}), {})["toy"]
    assert "final_losses" not in part and "optimum" in part
    prior = facts_of(replace(comparison, overrides={"prior": {"layers": "2:0.3"}}), {})["toy"]
    assert "final_losses" in prior


# The steps


def shares_of(events: Events, second: np.ndarray, rule: str) -> np.ndarray:
    return UNIT.shares(events, [events.loss, second], TOP, rule)


def counted(events: Events, second: np.ndarray, rule: str) -> float:
    """What is held after these events by the words of the rule: the cells of the unit square, 12 x 12, dominated."""
    last: dict[int, tuple[float, float]] = {}
    found: list[tuple[int, float, float]] = []
    columns = (column.tolist() for column in (events.kind, events.trial, events.resource, events.loss, second))
    for (kind, trial, level, *losses), reason in zip(zip(*columns, strict=True), events.reason, strict=True):
        if kind == "report":
            last[trial] = (losses[0], losses[1])
            if rule == "anyfid" or (rule == "full" and level == TOP):
                found.append((0, *losses))
        elif kind == "ended" and reason != "cut" and rule == "maxfid" and trial in last:
            found.append((level, *last[trial]))
    found = [one for one in found if np.isfinite(one[1:]).all()]
    highest = max((level for level, *_ in found), default=0)
    points = np.array([point for level, *point in found if level == highest]).reshape(-1, 2)
    lower = np.stack(np.meshgrid(np.arange(12), np.arange(12)), axis=-1).reshape(-1, 2) / 12
    return float((points[:, None] <= lower + 1e-9).all(axis=2).any(axis=0).mean())


@pytest.mark.parametrize("rule", ["maxfid", "anyfid", "full"])
def test_what_is_held_is_what_the_rule_says_of_the_events_so_far(rule: str) -> None:
    falls = 0
    for seed in range(6):
        events = random_events(seed, 40)
        rng = np.random.default_rng([seed, 2])
        second = np.where(events.kind == "report", rng.integers(0, 12, len(events.kind)) / 12, np.nan)
        second[rng.random(len(second)) < 0.05] = np.inf
        changes = shares_of(events, second, rule)
        told = ~np.isnan(changes)
        assert (np.diff(events.time[told]) > 0).all()
        for time in np.unique(events.time):
            past = until(events, time)
            now = second[: len(past.time)]
            (held,) = np.nan_to_num(at(events.time[told], changes[told], np.array([time])))
            assert held == pytest.approx(counted(past, now, rule), abs=1e-12), (seed, time)
            np.testing.assert_array_equal(shares_of(past, now, rule), changes[: len(past.time)])
        falls += int((np.diff(changes[told]) < 0).sum())
    assert (falls > 0) == (rule == "maxfid")  # where a new level is reached, and nowhere else


def test_who_failed_is_no_compromise_and_an_early_end_is_a_whole_training() -> None:
    events = events_of(
        ("started", 0.0, 0, 9, np.nan, ""),
        ("report", 1.0, 0, 9, 0.5, "reached"),
        ("ended", 1.0, 0, 9, np.nan, "reached"),
        ("started", 1.0, 1, 9, np.nan, ""),
        ("report", 2.0, 1, 9, 0.9, "failed"),  # fast, but it diverged
        ("ended", 2.0, 1, 9, np.nan, "failed"),
        ("started", 2.0, 2, 9, np.nan, ""),
        ("report", 3.0, 2, 4, 0.75, "reached"),  # there is no more of it
        ("ended", 3.0, 2, 4, np.nan, "reached"),
        ("started", 3.0, 3, 9, np.nan, ""),
        ("report", 4.0, 3, 4, 0.0, "running"),
        ("ended", 4.0, 3, 4, np.nan, "cut"),
    )
    second = np.select([events.trial == 0, events.trial == 2], [0.5, 0.25], 0.0)
    changes = UNIT.shares(events, [events.loss, second], 9, "maxfid")
    assert changes[~np.isnan(changes)].tolist() == [0.25, 0.25 + 0.25 * 0.25]
    assert events.time[~np.isnan(changes)].tolist() == [1, 3]


def test_three_objectives_are_weighed_too() -> None:
    cube = Ruler(np.zeros(3), np.ones(3), np.zeros((1, 3)), 1.0, "nothing")
    rows = [("report", float(time), time, 9, loss, "reached") for time, loss in enumerate([0.5, 0.0])]
    events = events_of(*rows)
    changes = cube.shares(events, [events.loss, np.array([0.5, 0.75]), np.array([0.5, 0.5])], 9, "full")
    assert changes.tolist() == [0.125, 0.125 + 0.5 * 0.25 * 0.5]


# Frames and numbers


def test_frames_hold_every_objective_to_be_minimised(data: TableData) -> None:
    (record,) = records_on(data, ("rs",), 1)
    _, events = plain_frames([record])
    said = events["kind"] == "report"
    assert events.loc[said, "loss_2"].tolist() == (-record.values[:, record.metrics.index("speed")]).tolist()
    assert events.loc[~said, "loss_2"].isna().all()
    assert "loss_3" not in events


def test_studies_of_one_and_of_several_objectives_stand_together(data: TableData) -> None:
    single = replace(data, benchmark=replace(data.benchmark, name="single", objectives=TWO[:1]))
    records = [*records_on(data, ("rs",), 1), run_on(single, study("rs", 0, single.benchmark).spec())]
    for ordered in (records, records[::-1]):
        _, events = lookups.frames(ordered)
        alone = events[events["benchmark"] == "single"]
        assert alone[["loss_2", "hypervolume"]].isna().all(axis=None)
        assert events.loc[events["benchmark"] == "toy", "hypervolume"].notna().any()
        whole = lookups.frames(records[1:])[1]
        pd.testing.assert_series_equal(alone["loss"], whole["loss"], check_index=False)


def test_with_one_objective_nothing_is_said_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    made = toy_data()
    known_as(monkeypatch, Table(made))
    found = summary(made, ("rs", "asha:grace=1:eta=2"))
    assert "hypervolume" not in json.dumps(found.numbers()) + markdown(found, "one") + " ".join(answer.caveats(found))


def dominated(record: Record, ruler: Ruler) -> float:
    """The share that the trials dominate which came to the highest level that any came to, straight from the record."""
    reached = record.code[record.kind == KINDS.index("report")] == Status.REACHED
    levels = record.resource[record.kind == KINDS.index("report")]
    losses = record.values[:, [record.metrics.index(name) for name in ("loss", "speed")]] * [1, -1]
    return ruler.share(losses[reached & (levels == levels[reached].max())])


def test_each_study_holds_what_its_trials_dominate(data: TableData) -> None:
    found, records = summary(data), records_on(data)
    wanted = [dominated(record, ruler_of(data)) for record in records]
    assert found.studies["hypervolume"].tolist() == pytest.approx(wanted)
    assert 0 < min(wanted) < max(wanted)
    for row in found.table.itertuples():
        mine = found.studies.loc[found.studies["arm"] == row.arm, "hypervolume"]
        low, high = stats.t.interval(0.95, 2, loc=mine.mean(), scale=stats.sem(mine))
        ends = (row.hypervolume, row.hypervolume_low, row.hypervolume_high)
        assert ends == pytest.approx((mine.mean(), max(low, 0), high))


def test_a_method_more_changes_no_hypervolume(data: TableData) -> None:
    whole, fewer = summary(data), summary(data, ARMS[1:])
    kept = whole.table[whole.table["arm"] != "rs"].reset_index(drop=True)
    columns = ["arm", "hypervolume", "hypervolume_low", "hypervolume_high"]
    pd.testing.assert_frame_equal(fewer.table[columns], kept[columns])


def test_who_trained_the_whole_table_holds_its_front(monkeypatch: pytest.MonkeyPatch) -> None:
    made = two_objectives(rows=8, seeds=1, budget=1000.0)
    known_as(monkeypatch, Table(made))
    found = summary(made, ("rs", "moasha:grace=1:eta=2"))
    shares = found.studies.set_index(["arm", "seed"])["hypervolume"]
    assert shares["rs"].tolist() == pytest.approx([1, 1, 1])
    assert (shares <= 1 + 1e-12).all()


def test_failed_studies_hold_nothing_and_missing_ones_are_not_counted(data: TableData) -> None:
    studies, events = lookups.frames(records_on(data, ("rs", "nsga2:population=4")))
    studies.loc[0, "why"] = "error"
    studies.loc[0, "seconds"] = 30.0
    studies.loc[1, "why"] = "interrupted"
    found = summarise(studies, events, {"toy": facts_on(data)})
    assert found.studies["hypervolume"].isna().tolist() == [False, True, False, False, False, False]
    assert found.studies["hypervolume"][0] == 0
    assert found.table["hypervolume"][0] == pytest.approx(found.studies["hypervolume"][2] / 2)
    curve = curves.hypervolume(found, "toy")
    mine = curve[curve["arm"] == "rs"]
    before = found.hypervolumes["rs", "toy", 0].by(np.array([29.9]))[0]
    assert before > 0
    steps = np.array([0.0, 29.9, 30.0])
    other = found.hypervolumes["rs", "toy", 2].by(steps)
    shown = at(mine["time"].to_numpy(), mine["hypervolume"].to_numpy(), steps)
    np.testing.assert_allclose(shown, [0, (before + other[1]) / 2, other[2] / 2])
    assert (mine["seeds"].iloc[0], mine["failed"].iloc[0]) == (2, 1)


# The figure and the page


def test_curves_begin_at_nothing_and_end_at_the_numbers_of_the_table(data: TableData) -> None:
    found = summary(data)
    curve = curves.hypervolume(found, "toy")
    assert (curve.groupby("arm")["hypervolume"].first() == 0).all()
    ends = curve.groupby("arm", sort=False)["hypervolume"].last()
    assert ends.tolist() == pytest.approx(found.table["hypervolume"].tolist())
    assert (curve.groupby("arm")["time"].last() == 60).all()
    assert (curve["low"] <= curve["hypervolume"]).all() and (curve["low"] >= 0).all()


def test_the_figure_holds_the_curves_names_its_rule_and_shows_the_front(data: TableData) -> None:
    found = summary(data)
    frame = curves.hypervolume(found, "toy")
    axes = Figure().add_subplot()
    hypervolume.draw(frame, axes, styles=style.styles(list(ARMS)), budget=60.0, rule="maxfid")
    drawn = [np.asarray(line.get_ydata())[-1] for line in axes.lines if line.get_marker() != "None"]
    assert drawn == pytest.approx(found.table["hypervolume"].tolist())
    labels = [entry.get_text() for entry in axes.get_legend().get_texts()]
    assert labels == [*(f"{arm} (n = 3)" for arm in ARMS), "front of the benchmark"]
    assert any("maxfid" in words.get_text() for words in axes.texts)
    bottom, top = axes.get_ylim()
    assert bottom == 0 and top > max(1, frame["hypervolume"].max())


@pytest.mark.parametrize("static", [False, True])
def test_the_page_shows_it_where_there_are_several_objectives(data: TableData, static: bool, tmp_path: Path) -> None:
    found = write_page(tmp_path, (*lookups.frames(records_on(data)), {"toy": facts_on(data)}), static=static)
    html = (tmp_path / "benchmarks/toy.html").read_text(encoding="utf-8")
    assert "the luck of a seed may lift it above the line" in html
    assert "hypervolume [95 %]" in html and "configs of the 24 configs of its table" in html
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "toy: of loss and speed losses, regrets and what is said of pairs are of the first" in index
    wanted = curves.hypervolume(found, "toy")
    if static:
        drawn = pd.read_csv(tmp_path / "figures/hypervolume-toy.csv")
        pd.testing.assert_frame_equal(drawn, wanted, rtol=1e-5, check_dtype=False)
        assert (tmp_path / "figures/hypervolume-toy.svg").is_file()
    else:
        (figure,) = [one for one in data_of(tmp_path / "index.html") if one["name"] == "hypervolume-toy"]
        ends = [group["columns"]["hypervolume"][-1] for group in figure["groups"]]
        assert ends == pytest.approx(found.table["hypervolume"].tolist(), rel=1e-4)
    numbers = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert [row["hypervolume"] for row in numbers["table"]] == pytest.approx(found.table["hypervolume"].tolist())
    assert numbers["benchmarks"]["toy"]["front"]["reference"] == pytest.approx(ruler_of(data).reference.tolist())
    methods = pd.read_csv(tmp_path / "tables/methods.csv")
    assert methods["hypervolume"].tolist() == pytest.approx(found.table["hypervolume"].tolist())
    assert any(note.startswith("Hypervolume: ") for note in tables.notes(found))


def test_over_benchmarks_it_is_a_mean_with_an_interval_and_the_answer_says_who_is_ahead(data: TableData) -> None:
    other = replace(data, benchmark=replace(data.benchmark, name="other"))
    records = [*records_on(data), *records_on(other)]
    found = summarise(*lookups.frames(records), {name: facts_on(data) for name in ("toy", "other")})
    numbers = found.suite.aggregates
    rows = numbers[numbers["quantity"] == HYPERVOLUME].set_index("arm")
    means = found.studies.groupby(["arm", "benchmark"])["hypervolume"].mean().groupby("arm").mean()
    assert rows["center"].to_dict() == pytest.approx(means.to_dict())
    assert (rows["low"] <= rows["center"]).all() and (rows["center"] <= rows["high"]).all()
    assert f"{HYPERVOLUME} [95 %]" in suite_tables.main(found).head
    for frames_of in (found, summary(data)):
        ahead = frames_of.suite.aggregates.query("quantity == @HYPERVOLUME").sort_values("center")["arm"].iloc[-1]
        assert f"By the hypervolume of all objectives the first is {ahead} with " in answer.answer(frames_of)
    console = Console(width=100, file=io.StringIO(), record=True)
    for part in terminal(found):
        console.print(part)
    assert max(map(len, console.export_text().splitlines())) <= 100
    head = suite_tables.main(found).head
    kept = [head[place] for place in _kept(head)]
    assert f"{HYPERVOLUME} [95 %]" in kept and f"{FINAL} [95 %]" not in kept and f"{FINAL} [95 %]" in head
