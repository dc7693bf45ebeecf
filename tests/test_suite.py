"""Laws of what is said over benchmarks: nothing pooled that must not be, no number that hangs on who else is there."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console
from scipy import stats

from reports import drawing, resources, style, suite_figures, suite_tables, table, text
from reports.answer import answer, caveats
from reports.figures import critical_difference, decision_overhead, heat_map, pairwise
from reports.markdown import code, markdown
from reports.outcomes import unique
from reports.statistics.scores import anytime_score
from reports.suite import curves
from reports.suite.suite import FINAL, INFERENCE, INFERENCE_FINAL, MEAN, Suite
from reports.summary import Summary, summarise
from reports.tables import notes
from reports.terminal import terminal

TOP, BUDGET = 9, 900.0
QUALITY = {"slow": 0.0, "fast": 1.5, "middle": 0.6}
NAMES = tuple(f"task{number}" for number in range(6))
Frames = tuple[pd.DataFrame, pd.DataFrame, dict[str, dict[str, Any]]]


def facts_of(name: str, family: str) -> dict[str, Any]:
    finals = np.linspace(1.0, 3.0, 201)
    known = {"optimum": 1.0, "median": 2.0, "noise": 0.002, "final_losses": finals.tolist(), "metric": "loss"}
    return known | {"levels": [1, 3, TOP], "unit": "epoch", "family": family, "digest": name, "configs": 201}


def study(arm: str, benchmark: str, seed: int) -> list[dict[str, Any]]:
    """Full trainings on two workers, whose losses fall the faster the better the method."""
    luck = np.random.default_rng([seed, *arm.encode(), *benchmark.encode()])
    events: list[dict[str, Any]] = []
    for number in range(20):
        worker, start = number % 2, 85.0 * (number // 2)
        empty = {"worker": worker, "trial": number, "loss": np.nan, "test": np.nan, "cost": np.nan, "reason": ""}
        final = 1.0 + 2.0 * luck.random() ** (1 + QUALITY[arm] * number / 2)
        events.append({**empty, "kind": "started", "time": start, "resource": TOP})
        for place, level in enumerate((1, 3, TOP)):
            said = {"kind": "report", "time": start + 28 * (place + 1), "resource": level, "cost": 28.0}
            status = "reached" if level == TOP else "running"
            events.append({**empty, **said, "loss": final + 0.3 * (TOP - level), "reason": status})
        events.append({**empty, "kind": "ended", "time": start + 84, "resource": TOP, "reason": "reached"})
    return sorted(events, key=lambda event: event["time"])


@cache
def made(arms: tuple[str, ...] = tuple(QUALITY), names: tuple[str, ...] = NAMES, seeds: int = 4) -> Frames:
    """A made-up comparison: two benchmarks a family."""
    rows: list[dict[str, Any]] = []
    frames: list[pd.DataFrame] = []
    for name in names:
        for arm in arms:
            for seed in range(seeds):
                key = {"arm": arm, "benchmark": name, "seed": seed}
                events = pd.DataFrame(study(arm, name, seed)).assign(**key)
                about = {"why": "budget", "error": "", "workers": 2, "budget": BUDGET, "seconds": BUDGET}
                counts = {"trials": 20, "reports": 60, "real_seconds": 0.01, "simulated": True}
                rows.append({**key, **about, **counts})
                frames.append(events)
    facts = {name: facts_of(name, f"family{place // 2}") for place, name in enumerate(names)}
    return pd.DataFrame(rows), pd.concat(frames, ignore_index=True), facts


@cache
def whole() -> Summary:
    return summarise(*made())


def suite_of(frames: Frames) -> Suite:
    return summarise(*frames).suite


def test_an_added_method_changes_no_other_number_but_ranks_and_corrections() -> None:
    few, more = suite_of(made(("slow", "fast"))), whole().suite
    for name in ("aggregates", "scores", "targets"):
        one, other = getattr(few, name), getattr(more, name)
        kept = other[other["arm"].isin(few.selection.arms)].reset_index(drop=True)
        one, kept = (part.sort_values([*part.columns[:2]]).reset_index(drop=True) for part in (one, kept))
        pd.testing.assert_frame_equal(one, kept, check_exact=True)
    for over_time in (curves.regrets, curves.targets):
        one, other = over_time(few.selection), over_time(more.selection)
        kept = other[other["arm"].isin(few.selection.arms)].reset_index(drop=True)
        pd.testing.assert_frame_equal(one, kept, check_exact=True)
    pair, same = few.pairs.iloc[0], more.pairs.iloc[0]
    assert (pair["first"], pair["second"]) == (same["first"], same["second"])
    changing = ["holm", "verdict", "detectable", "statement"]
    assert pair.drop(changing).equals(same.drop(changing))


def test_the_order_of_arms_and_benchmarks_changes_no_score() -> None:
    turned = suite_of(made(("fast", "middle", "slow"), NAMES[::-1]))
    known = whole().suite.scores.set_index(["benchmark", "arm"]).sort_index()
    assert known["score"].equals(turned.scores.set_index(["benchmark", "arm"]).sort_index()["score"])


def test_the_score_of_a_study_is_the_anytime_score_of_its_incumbent() -> None:
    path = whole().trajectories["fast", "task0", 0]
    regrets = np.clip(path.losses - 1.0, 0.002, 1)
    assert whole().suite.selection.paths["fast"][0].regrets == pytest.approx(regrets)
    alone = suite_of(made(("fast",), ("task0",), 1))
    assert alone.scores["score"].item() == pytest.approx(anytime_score(path.times, regrets, BUDGET, 0.002))


def test_a_suite_counts_each_benchmark_alike_and_families_have_their_own_interval() -> None:
    suite = whole().suite
    rows = suite.aggregates[suite.aggregates["quantity"] == MEAN].set_index("arm")
    means = suite.scores.groupby("arm")["score"].mean()
    assert rows["center"].to_dict() == pytest.approx(means.to_dict())
    assert (suite.selection.families, len(suite.selection.benchmarks)) == (3, 6)
    assert (rows["low"] < rows["center"]).all() and (rows["center"] < rows["high"]).all()
    assert (rows["low_families"] < rows["center"]).all()


def test_the_better_method_leads_everywhere() -> None:
    suite = whole().suite
    assert suite.ranks.sort_values("rank")["arm"].tolist() == ["fast", "middle", "slow"]
    last = curves.ranks(suite.selection).groupby("arm")["center"].last()
    assert last["fast"] <= last["middle"] < last["slow"]
    reached = suite.targets[suite.targets["benchmark"] == "all"].groupby("arm")["reached"].sum()
    assert reached["fast"] > reached["slow"]
    pair = suite.pairs.iloc[0]
    assert (pair["first"], pair["second"], pair["wins"], pair["losses"]) == ("slow", "fast", 0, 6)
    assert pair["improvement"] < 0.2 and pair["worse"] > 0.95


def test_what_cannot_be_significant_by_design_is_said() -> None:
    suite, words = whole().suite, " ".join(suite_tables.statements(whole()))
    assert "cannot be significant by design: with 3 pairs of methods it needs at least 7 benchmarks" in words
    assert suite.impossible and (suite.pairs["verdict"] == "not told apart").all()
    enough = suite_of(made(("slow", "fast")))
    assert not enough.impossible
    assert "fast is better than slow over benchmarks" in enough.pairs["statement"][0]


def test_who_ranks_best_is_not_called_better_than_who_beats_it_pair_by_pair() -> None:
    """A mean rank depends on who else is compared, so the two may disagree."""
    summary = summarise(*made(("slow", "fast")))
    assert suite_tables.told_apart(summary) == [("fast", "slow")] and suite_tables.best(summary) == {"fast"}
    assert "fast has the best mean rank" in answer(summary) and "It is better than slow" in answer(summary)
    ranks = summary.suite.ranks.assign(rank=[1.4, 1.6])
    turned = replace(summary, suite=replace(summary.suite, ranks=ranks))
    said = answer(turned)
    assert "slow has the best mean rank" in said and "fast is better than it all the same" in said
    assert "It is better than" not in said and "told apart from fast" not in said
    assert suite_tables.best(turned) == {"slow", "fast"}


def test_nothing_is_pooled_that_must_not_be() -> None:
    studies, events, facts = made()
    unequal = studies.assign(
        budget=np.where((studies["arm"] == "slow") & (studies["benchmark"] == "task0"), 450.0, 900.0)
    )
    unmeasured = {**facts, "task1": {**facts["task1"], "optimum": None}}
    gone = unequal[(unequal["arm"] != "middle") | (unequal["benchmark"] != "task2")]
    gone = gone[(gone["arm"] != "fast") | (gone["benchmark"] != "task3") | (gone["seed"] != 2)]
    summary = summarise(gone, events, unmeasured)
    selection = summary.suite.selection
    assert selection.arms == ("slow", "fast")
    assert selection.benchmarks == ("task2", "task3", "task4", "task5")
    assert selection.where.seeds.tolist() == [4, 3, 4, 4]
    words = " ".join(suite_tables.statements(summary))
    for said in (
        "task1: no best and median config are known",
        "task0: its methods have different budgets (450, 900 s)",
        "middle: it has no study on task2",
        "1 block (a benchmark with a seed) that one of the methods misses",
    ):
        assert said in words


def test_methods_that_met_different_data_are_not_taken_together() -> None:
    studies, events, facts = made()
    other = (studies["arm"] == "slow") & (studies["benchmark"] == "task0")
    summary = summarise(studies.assign(data=np.where(other, "aa", "bb")), events, facts)
    assert summary.suite.selection.benchmarks == NAMES[1:]
    assert "task0: its methods met different data" in " ".join(suite_tables.statements(summary))
    table = summary.table.set_index(["benchmark", "arm"])
    assert table.loc["task0", "rank"].isna().all() and table.loc["task1", "rank"].notna().all()
    assert not table.loc[("task0", "slow"), "best"] and table.loc["task0", "best"].any()


def looked_up(frames: Frames, on_test: Callable[[float], float] | None = None) -> Frames:
    """The same comparison where the configs of all trials were looked up, and judged on test where that is a metric."""
    studies, events, facts = frames
    whole = events[(events["kind"] == "report") & (events["resource"] == TOP)]
    ends: dict[Any, dict[int, tuple[float, float]]] = {}
    columns = (whole[name].tolist() for name in ("arm", "benchmark", "seed", "trial", "loss"))
    for arm, benchmark, seed, trial, loss in zip(*columns, strict=True):
        ends.setdefault((arm, benchmark, seed), {})[trial] = (loss, on_test(loss) if on_test else np.nan)
    keys = studies[["arm", "benchmark", "seed"]].itertuples(index=False, name=None)
    test = {"test": {"optimum": 1.0, "median": 4.0, "noise": 0.002}} if on_test else {}
    return studies.assign(finals=[ends[key] for key in keys]), events, {name: facts[name] | test for name in facts}


def test_where_what_was_seen_is_the_truth_inference_regret_is_the_observed_one() -> None:
    suite = suite_of(looked_up(made()))
    assert suite.scores["inference"].equals(suite.scores["score"].rename("inference"))
    assert suite.ranks["inference_rank"].tolist() == suite.ranks["rank"].tolist()
    numbers = suite.aggregates.set_index(["quantity", "arm"])
    for seen, true in ((MEAN, INFERENCE), (FINAL, INFERENCE_FINAL)):
        pd.testing.assert_frame_equal(numbers.loc[seen], numbers.loc[true])
    same = suite.pairs[["difference", "low", "high"]].to_numpy()
    assert suite.pairs[["inference", "inference_low", "inference_high"]].to_numpy().tolist() == same.tolist()
    assert whole().suite.aggregates.set_index("quantity").loc[[INFERENCE, INFERENCE_FINAL], "center"].isna().all()
    assert not [head for head in suite_tables.main(whole()).head if "inference" in head]


def test_who_only_looked_good_is_found_out_by_inference_regret() -> None:
    """The lower the observed loss, the higher the loss on test."""
    summary = summarise(*looked_up(made(("slow", "fast")), lambda loss: 4 - loss))
    ranks = summary.suite.ranks.set_index("arm")
    assert (ranks["rank"].idxmin(), ranks["inference_rank"].idxmin()) == ("fast", "slow")
    (pair,) = summary.suite.pairs.to_dict("records")
    assert pair["shift"] < 0 < pair["inference"]
    assert "fast is better than slow over benchmarks: anytime score higher by" in pair["statement"]
    assert f"inference score by {text.number(-pair['inference'])} [" in pair["statement"]
    said = "Over benchmarks fast ranks best by the losses that were observed, but slow by inference regret"
    assert [caveat for caveat in caveats(summary) if caveat.startswith(said)]
    path = summary.suite.selection.paths["fast"][0]
    assert path.inference == pytest.approx((4 - path.losses - 1) / 3)


def test_what_was_not_looked_up_of_one_method_takes_no_number_of_another() -> None:
    studies, events, facts = looked_up(made())
    gone = [{} if arm == "middle" else finals for arm, finals in studies[["arm", "finals"]].itertuples(index=False)]
    suite, known = suite_of((studies.assign(finals=gone), events, facts)), suite_of((studies, events, facts))
    rows, before = (one.aggregates[one.aggregates["arm"] != "middle"] for one in (suite, known))
    pd.testing.assert_frame_equal(rows, before, check_exact=True)
    lost = suite.aggregates[(suite.aggregates["arm"] == "middle") & suite.aggregates["center"].isna()]
    assert lost["quantity"].tolist() == [INFERENCE, INFERENCE_FINAL]
    assert suite.ranks["inference_rank"].isna().all()


def test_a_failed_study_holds_the_median_config_from_its_failure_on() -> None:
    studies, events, facts = made(("slow", "fast"))
    broken = (studies["arm"] == "fast") & (studies["seed"] == 0)
    failed = studies.assign(why=np.where(broken, "error", "budget"), seconds=np.where(broken, 450.0, BUDGET))
    suite = suite_of(looked_up((failed, events, facts)))
    path = suite.selection.paths["fast"][0]
    assert (path.times[-1], path.regrets[-1], path.inference[-1], path.end) == (0.5, 1.0, 1.0, 0.5)
    assert suite.scores.groupby("arm")["failed"].sum().to_dict() == {"fast": 6, "slow": 0}


def test_one_seed_gives_no_interval_for_this_suite() -> None:
    summary = summarise(*made(seeds=1))
    suite = summary.suite
    assert suite.aggregates[["low", "high", "low_families"]].isna().all(axis=None)
    assert suite.pairs[["low", "improvement_high", "low_families"]].isna().all(axis=None)
    assert curves.regrets(suite.selection)[["low", "high"]].isna().all(axis=None)
    assert "One seed a benchmark" in " ".join(suite_tables.statements(summary))


def test_speed_ups_are_ratios_of_medians_against_the_first_method() -> None:
    frame = whole().suite.targets
    every = frame[frame["benchmark"] == "all"].set_index(["target", "arm"])
    for (target, _), row in every.iterrows():
        medians = every.loc[(target, "slow"), "median"], row["median"]
        with np.errstate(invalid="ignore"):  # where half of the studies of neither reach it
            assert row["speed_up"] == pytest.approx(np.divide(*medians), nan_ok=True)
    easy = every.loc[("best 10 %", "fast")]
    assert easy["speed_up_low"] <= easy["speed_up"] < easy["speed_up_high"]
    single = frame[frame["benchmark"] != "all"]
    assert single[["speed_up_low", "speed_up_high"]].isna().all(axis=None)
    alone = suite_of(made(seeds=1)).targets
    assert alone["speed_up"].notna().any() and alone["speed_up_low"].isna().all()
    words = suite_tables.time_to_target(whole())
    assert words.head[3:] == ["sooner than slow: best 10 %", "sooner than slow: best 1 %"]
    assert words.rows[0][3:] == ["–", "–"] and words.rows[1][4] == "only fast"
    assert words.rows[1][3].startswith(f"×{text.number(easy['speed_up'])} [")


@pytest.mark.parametrize(("speed", "said"), [(np.nan, "–"), (np.inf, "only fast"), (0.0, "only slow"), (2.0, "×2.00")])
def test_what_only_one_method_reaches_is_said(speed: float, said: str) -> None:
    row = {"arm": "fast", "speed_up": speed, "speed_up_low": np.nan, "speed_up_high": np.nan}
    assert suite_tables._sooner(row, "slow") == said


def test_who_failed_or_ended_early_counts_among_those_who_never_reach_a_target() -> None:
    """Six of ten studies end at a hundredth of the budget: half of all ten never get there, however fast four are."""
    studies, events, facts = made(("slow", "fast"), NAMES[:1], 10)
    early = (studies["arm"] == "fast") & (studies["seed"] < 6)
    events = events[(events["arm"] == "slow") | (events["seed"] >= 6) | (events["time"] <= BUDGET / 100)]
    for why in ("error", "nothing left"):
        ended = studies.assign(why=np.where(early, why, "budget"), seconds=np.where(early, BUDGET / 100, BUDGET))
        frame = suite_of((ended, events, facts)).targets.set_index(["benchmark", "target", "arm"])
        row = frame.loc[("all", "best 10 %", "fast")]
        assert (row["studies"], row["reached"], row["median"]) == (10, 4, np.inf)
        assert 4 * row["expected"] < 6 / 100 + 4  # an expected running time counts what was run


def test_the_sign_flip_test_stands_beside_the_t_test() -> None:
    summary = summarise(*made(("slow", "fast"), NAMES[:1], 12))
    regrets = summary.studies.pivot(index="seed", columns="arm", values="regret")
    apart = np.log(regrets["slow"] / regrets["fast"]).to_numpy()
    known = stats.permutation_test((apart,), np.mean, permutation_type="samples", n_resamples=2**12)
    assert summary.pairs["flip"].tolist() == pytest.approx([known.pvalue], rel=1e-9)
    few = summarise(*made(("slow", "fast"), NAMES[:1], 4))
    told = replace(few, pairs=few.pairs.assign(verdict="better", flip=0.125))
    (said,) = [note for note in notes(told) if "sign-flip" in note]
    assert said.startswith("Of 1 pair of methods that t tests tell apart on a benchmark, sign-flip tests")
    assert said.endswith("do not tell apart 1, 1 of them for want of seeds.")
    assert not [note for note in notes(replace(told, pairs=told.pairs.assign(flip=0.01))) if "sign-flip" in note]


def test_with_one_benchmark_only_what_makes_sense_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_figures, "save", lambda _: {})
    one, events = summarise(*made(names=("task0",))), made(names=("task0",))[1]
    names = [drawn.name for drawn in suite_figures.draw(one, events)]
    assert names == ["aggregates", "resource-use", "worker-time", "timeline", "decision-overhead"]
    several = [drawn.name for drawn in suite_figures.draw(whole(), made()[1])]
    assert {*several} == {
        *names, "suite-curve", "average-rank", "target-profile", "heat-map", "pairwise", "critical-difference",
        "practical-equivalence",
    }  # fmt: skip
    assert list(suite_tables.over_benchmarks(one)) == ["targets"]


def test_on_a_single_benchmark_times_to_targets_have_a_table_and_no_bootstrap_of_so_few() -> None:
    one = summarise(*made(names=("task0",)))
    words = suite_tables.time_to_target(one)
    assert words.head == [
        "method", "best 10 %", "best 1 %", "sooner than slow: best 10 %", "sooner than slow: best 1 %"
    ]  # fmt: skip
    assert [row[0] for row in words.rows] == list(QUALITY) and "interval" not in words.caption
    assert one.suite.targets[["speed_up_low", "speed_up_high"]].isna().all(axis=None)
    said = markdown(one, "one", ["python a.py", "python b.py"])
    assert said.index("## task0") < said.index("### Expected running time") < said.index("## Environment")
    assert said.endswith("## Where it comes from\n\n```sh\npython a.py\npython b.py\n```\n")
    assert len(suite_tables.time_to_target(summarise(*made(("fast",), ("task0",)))).head) == 3


def test_a_command_shows_as_it_is_in_markdown() -> None:
    assert code(["echo '```'", "b"]) == "````sh\necho '```'\nb\n````"


def test_where_the_resource_went_adds_up() -> None:
    _, events, facts = made()
    shares = resources.workers(whole().studies, events)
    assert shares[["trained", "lost", "idle"]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert shares["trained"].to_numpy() == pytest.approx(20 * 84 / (2 * BUDGET))
    used = resources.levels(events, facts)
    assert used["trials"].to_numpy() == pytest.approx(1)  # every trial is trained to the end
    assert used.groupby("level")["time"].first().to_dict() == pytest.approx({1 / 9: 1 / 3, 1 / 3: 2 / 3, 1.0: 1.0})
    studies = whole().studies
    slow = studies.assign(real_seconds=np.where(studies["seed"] == 0, 9.0, 0.01))
    overhead = resources.decisions(slow, events, facts)
    assert len(overhead) == len(QUALITY) * len(NAMES) and (overhead["jobs"] == 20).all()
    assert overhead["seconds"].to_numpy() == pytest.approx(0.01 / 20)  # of the median study


def ticks_of(axes: Axes) -> tuple[list[str], list[str]]:
    """The words at the columns and at the rows."""
    across, down = axes.get_xticklabels(), axes.get_yticklabels()
    return [label.get_text() for label in across], [label.get_text() for label in down]


def test_figures_show_what_they_are_given() -> None:
    axes = Figure().add_subplot()
    arms = unique(whole().studies["arm"])
    scores = whole().suite.scores
    image = heat_map.draw(scores.assign(failed=1), axes, arms=arms)
    assert len(axes.patches) == 18  # each cell hatched
    assert ticks_of(axes) == (arms, list(NAMES))
    wanted = scores.set_index(["benchmark", "arm"])["score"]
    shown = {(name, arm): image.get_array()[row, column] for row, name in enumerate(NAMES)
             for column, arm in enumerate(arms)}  # fmt: skip
    assert shown == wanted.to_dict()
    axes = Figure().add_subplot()
    image = pairwise.draw(whole().suite.pairs, axes, arms=arms)
    chance = image.get_array()
    assert np.allclose(chance + chance.T, 1, equal_nan=True)
    assert ticks_of(axes) == (arms, arms)
    for pair in whole().suite.pairs.to_dict("records"):
        assert chance[arms.index(pair["first"]), arms.index(pair["second"])] == pair["improvement"]
    assert chance[arms.index("slow"), arms.index("fast")] < 0.2
    axes = Figure().add_subplot()
    critical_difference.draw(whole().suite.ranks, axes, styles=style.styles(arms), cliques=[arms])
    assert {text.get_text() for text in axes.texts} >= {"1", "2", "3", f"fast  {whole().suite.ranks['rank'].min():.2f}"}


ODD = 'a<b&c=_d\\e"f\n%$#{g}~^|*'


def odd_table() -> table.Table:
    numbers = pd.DataFrame({"method": [ODD, "=1+1", "-x"], "score": [0.5, -0.25, np.nan]})
    rows = [[ODD, "0.50"], ["=1+1", "-0.25"], ["-x", "–"]]
    return table.Table(["method", "score"], rows, frozenset({(0, 1)}), ODD, numbers)


@pytest.mark.parametrize("columns", [1, 2])
def test_figures_fit_the_columns_of_a_paper_and_none_of_their_words_is_cut_or_too_small(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    beyond: list[float] = []

    def looked_at(figure: Figure) -> dict[str, bytes]:
        drawing._room_for_legends(figure)
        for _ in range(2):  # as `save` does
            figure.draw_without_rendering()
        width, height = figure.get_size_inches()
        drawn = figure.get_tightbbox()
        beyond.append(max(-drawn.x0, -drawn.y0, drawn.x1 - width, drawn.y1 - height, width - style.COLUMNS[columns]))
        words = [found for found in figure.findobj(Text) if found.get_text().strip()]
        assert min(found.get_fontsize() for found in words) >= 7
        return {}

    monkeypatch.setattr(suite_figures, "save", looked_at)
    names = {"fast": "hyperband", "middle": "tpe", "slow": "asha-stop:sampler=tpe:eta=4"}
    studies, events, facts = made()
    studies, events = (frame.replace({"arm": names}) for frame in (studies, events))
    drawn = suite_figures.draw(summarise(studies, events, facts), events, columns=columns)
    assert len(drawn) >= 11
    assert {figure.name: inches for figure, inches in zip(drawn, beyond, strict=True) if inches > 0.01} == {}


@pytest.mark.parametrize("count", [2, 40])
def test_a_legend_leaves_room_for_its_figure_and_ticks_are_plain_words(count: int) -> None:
    arms = [f"method {place}" for place in range(count)]
    frame = pd.DataFrame({"arm": arms, "jobs": np.geomspace(10, 1000, count), "seconds": np.geomspace(1e-5, 1, count)})
    figure = drawing.figure_of(style.WIDTH, 3.0)
    axes = figure.add_subplot()
    decision_overhead.draw(frame, axes, styles=style.styles(arms))
    drawing.save(figure)  # a warning, were there no room
    ticks = [tick.get_text() for tick in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    assert {"100", "0.01"} <= set(ticks) and not any("$" in tick for tick in ticks)
    assert axes.get_position().height * figure.get_figheight() > 2
    legend = axes.get_legend()
    assert legend is not None and legend.get_window_extent().y0 >= 0


def test_odd_names_show_as_text_in_every_form() -> None:
    found = pd.read_csv(io.StringIO(table.csv(odd_table())))
    assert found["method"].tolist() == [ODD, "'=1+1", "'-x"]
    assert found["score"].tolist()[:2] == [0.5, -0.25]
    latex = table.latex(odd_table())
    assert r"a\textless{}b\&c=\_d\textbackslash{}e\textquotedbl{}f \%\$\#\{g\}\textasciitilde{}" in latex
    assert r"& \textbf{0.50} \\" in latex and r"\begin{tabular}{lr}" in latex and r"\toprule" in latex
    rows = table.latex(table.Table(["a"], [["[1pt]"], ["*"], ["b [c]"]])).splitlines()
    assert [row.strip() for row in rows if row.endswith("\\\\")] == ["a \\\\", "{}[1pt] \\\\", "{}* \\\\", "b [c] \\\\"]
    assert table.frame_csv(pd.DataFrame({"a": ["\t=1"]})).splitlines()[1].startswith("'")
    markdown = table.markdown(odd_table())
    assert len(markdown.splitlines()) == 5
    assert "a&lt;b&amp;c=\\_d\\\\e" in markdown and "\\|\\*" in markdown and "**0.50**" in markdown


def test_every_number_over_benchmarks_is_in_the_json_and_every_table_has_its_files() -> None:
    plain = json.loads(json.dumps(whole().numbers(), allow_nan=False))["suite"]
    assert plain["pairs"][0]["p"] == whole().suite.pairs["p"][0]
    assert len(plain["scores"]) == 18 and plain["families"] == 3
    files = suite_tables.files(whole())
    names = ("completeness", "methods", "differences", "main", "benchmarks", "targets", "pairs", "environment")
    assert set(files) == {f"tables/{name}.{suffix}" for name in names for suffix in ("csv", "tex")}
    assert len(set(files.values())) == len(files)  # no table stands there twice
    pairs = pd.read_csv(io.BytesIO(files["tables/pairs.csv"]))
    assert pairs["holm"].tolist() == pytest.approx(whole().suite.pairs["holm"].tolist())
    regrets = pd.read_csv(io.BytesIO(files["tables/benchmarks.csv"]))
    assert regrets[["mean", "low", "high"]].to_numpy() == pytest.approx(
        whole().table[["regret", "regret_low", "regret_high"]].to_numpy()
    )
    assert regrets["best"].tolist() == whole().table["best"].tolist()


def test_the_terminal_says_it_over_benchmarks() -> None:
    console = Console(width=100, file=io.StringIO(), record=True)
    for part in terminal(whole()):
        console.print(part)
    text = console.export_text()
    assert "Methods over 6 benchmarks of 3 families" in text
    assert "cannot be significant by design" in text
    assert max(map(len, text.splitlines())) <= 100
