"""Laws of the reports: no look-ahead, nothing dropped, no number that depends on who else is compared."""

from __future__ import annotations

import base64
import heapq
import io
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from scipy import stats

from reports import (
    curves,
    drawing,
    incumbent,
    interactive,
    intervals,
    page,
    publishing,
    regret,
    style,
    tables,
    text,
    trials,
)
from reports.figures import anytime, learning_curves
from reports.pairs import compare
from reports.statistics.sign_flip import sign_flip
from reports.summary import Summary, _mark_best, summarise
from reports.terminal import terminal

ROOT = Path(__file__).parents[1]

TOP = 27
RUNGS = {1: 3, 3: 9, 9: TOP}


def fake_facts(rng: np.random.Generator, name: str = "lm", configs: int = 400) -> dict[str, Any]:
    """A made-up table: the final losses of its configs, sorted; one in twenty diverges."""
    finals = np.sort(4.2 + 2.2 * rng.beta(2.2, 2.5, configs))
    finals[-configs // 20 :] = np.inf
    return {
        "metric": "validation loss",
        "unit": "epoch",
        "levels": list(range(1, TOP + 1)),
        "optimum": float(finals[0]),
        "median": float(np.median(finals)),
        "configs": configs,
        "final_losses": finals.tolist(),
        "noise": 0.01,
        "table": "restrict",
        "real": False,
        "verdict": None,
        "full_seconds": 30.0 * TOP,
    }


def fake_study(
    rng: np.random.Generator, finals: np.ndarray, halving: bool, clever: float, *, budget: float = 7200.0
) -> list[dict[str, Any]]:
    """Events of one study on a made-up table: random search to the top, or asynchronous halving that promotes."""
    events: list[dict[str, Any]] = []
    rungs: dict[int, list[tuple[float, int]]] = {rung: [] for rung in RUNGS}
    promoted: dict[int, set[int]] = {rung: set() for rung in RUNGS}
    ends: list[float] = []
    speed: list[float] = []
    stands: list[int] = []

    def event(kind: str, time: float, worker: int, trial: int, resource: int, **more: Any) -> None:
        empty = {"loss": np.nan, "test": np.nan, "cost": np.nan, "reason": ""}
        events.append(
            {"kind": kind, "time": time, "worker": worker, "trial": trial, "resource": resource, **empty, **more}
        )

    def ask() -> tuple[int, int]:
        for rung in sorted(rungs, reverse=True) if halving else []:
            best = sorted(rungs[rung])[: len(rungs[rung]) // 3]
            for loss, trial in best:
                if trial not in promoted[rung] and np.isfinite(loss):
                    promoted[rung].add(trial)
                    return trial, RUNGS[rung]
        quality = rng.random() ** (1 + clever * min(len(ends), 40) / 10)
        ends.append(float(finals[int(quality * len(finals))]))
        speed.append(float(rng.lognormal(np.log(30), 0.25)))
        stands.append(0)
        return len(ends) - 1, min(RUNGS) if halving else TOP

    def loss_of(trial: int, level: int) -> float:
        if not np.isfinite(ends[trial]):
            return 12.0 + level if level < 6 else np.inf
        return float(ends[trial] + 4.5 * (level**-0.6 - TOP**-0.6) + 0.02 * rng.standard_normal())

    busy: list[tuple[float, int, int, int]] = []

    def start(time: float, worker: int) -> None:
        trial, until = ask()
        event("started", time, worker, trial, until)
        heapq.heappush(busy, (time + speed[trial], worker, trial, until))

    for worker in range(4):
        start(0.0, worker)
    while busy and busy[0][0] <= budget:
        time, worker, trial, until = heapq.heappop(busy)
        stands[trial] += 1
        level, loss = stands[trial], loss_of(trial, stands[trial])
        failed = not np.isfinite(loss)
        status = "failed" if failed else "reached" if level == until else "running"
        more = {"loss": loss, "test": loss + 0.1, "cost": speed[trial], "reason": status}
        event("report", time, worker, trial, level, **more)
        if status == "running":
            heapq.heappush(busy, (time + speed[trial], worker, trial, until))
            continue
        if level in rungs and not failed:
            rungs[level].append((loss, trial))
        event("ended", time, worker, trial, level, reason=status)
        start(time, worker)
    for _, worker, trial, _ in sorted(busy):
        event("ended", budget, worker, trial, stands[trial], reason="cut")
    return events


ARMS = {"rs": (False, 0.0), "bo": (False, 0.45), "asha": (True, 0.0), "mobster": (True, 0.35)}


def fake(
    seeds: int = 10,
    arms: dict[str, tuple[bool, float]] = ARMS,
    benchmarks: tuple[str, ...] = ("lm",),
    failed: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, dict[str, Any]]]:
    """Frames of a made-up comparison; with `failed`, the last arm's study with seed 3 raised an error half-way."""
    studies: list[dict[str, Any]] = []
    frames: list[pd.DataFrame] = []
    facts: dict[str, dict[str, Any]] = {}
    for benchmark in benchmarks:
        facts[benchmark] = fake_facts(np.random.default_rng([7, len(benchmark)]))
        finals = np.array(facts[benchmark]["final_losses"])
        for arm, (halving, clever) in arms.items():
            for seed in range(seeds):
                rng = np.random.default_rng([seed, *arm.encode(), *benchmark.encode()])
                events = pd.DataFrame(fake_study(rng, finals, halving, clever))
                broken = failed and seed == 3 and arm == list(arms)[-1]
                if broken:
                    events = events[events["time"] < 3500]
                name = {"arm": arm, "benchmark": benchmark, "seed": seed}
                frames.append(events.assign(**name))
                study = {"why": "budget", "error": "", "workers": 4, "budget": 7200.0, "seconds": 7200.0}
                study |= (
                    {
                        "why": "error",
                        "error": "Traceback:\n  line 7\nLinAlgError: not positive definite",
                        "seconds": 3500.0,
                    }
                    if broken
                    else {}
                )
                counts = {"trials": events["trial"].nunique(), "reports": int((events["kind"] == "report").sum())}
                studies.append({**name, **study, **counts, "real_seconds": 0.2, "simulated": True})
    return pd.DataFrame(studies), pd.concat(frames, ignore_index=True), facts


SMALL = {"rs": ARMS["rs"], "asha": ARMS["asha"], "mobster": ARMS["mobster"]}


@cache
def comparison(seeds: int = 5, failed: bool = True) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, dict[str, Any]]]:
    return fake(seeds, SMALL, failed=failed)


@cache
def summary(rule: str = "maxfid") -> Summary:
    return summarise(*comparison(), rule)


# The incumbent


def events_of(*rows: tuple[str, float, int, int, float, str]) -> incumbent.Events:
    """Events from (kind, time, trial, resource, loss, reason)."""
    kind, time, trial, resource, loss, reason = map(np.array, zip(*rows, strict=True))
    return incumbent.Events(kind, time, trial, resource, loss, loss + 0.1, reason)


LADDER = events_of(
    ("started", 0.0, 0, 1, np.nan, ""),
    ("report", 1.0, 0, 1, 0.9, "reached"),
    ("ended", 1.0, 0, 1, np.nan, "reached"),
    ("report", 2.0, 1, 1, 0.5, "reached"),
    ("ended", 2.0, 1, 1, np.nan, "paused"),
    ("report", 3.0, 0, 2, 0.2, "running"),  # better, but its job has not ended
    ("report", 4.0, 0, 3, 0.8, "reached"),
    ("ended", 4.0, 0, 3, np.nan, "stopped"),
    ("report", 5.0, 2, 3, np.inf, "failed"),
    ("ended", 5.0, 2, 3, np.nan, "failed"),
    ("report", 6.0, 3, 9, 0.85, "reached"),
    ("ended", 6.0, 3, 9, np.nan, "reached"),
    ("report", 7.0, 4, 3, 0.1, "running"),
    ("ended", 8.0, 4, 3, np.nan, "cut"),
)


@pytest.mark.parametrize(
    ("rule", "times", "trials", "losses"),
    [
        ("maxfid", [1, 2, 4, 6], [0, 1, 0, 3], [0.9, 0.5, 0.8, 0.85]),
        ("anyfid", [1, 2, 3, 7], [0, 1, 0, 4], [0.9, 0.5, 0.2, 0.1]),
        ("full", [6], [3], [0.85]),
    ],
)
def test_each_rule_on_a_known_study(rule: str, times: list[float], trials: list[int], losses: list[float]) -> None:
    steps = incumbent.walk(incumbent.RULES[rule](LADDER, 9))
    assert steps.times.tolist() == times
    assert steps.trials.tolist() == trials
    assert steps.losses.tolist() == losses
    assert steps.tests == pytest.approx(np.array(losses) + 0.1)


@pytest.mark.parametrize(
    ("rule", "times", "trials"), [("maxfid", [2, 4], [0, 1]), ("anyfid", [1, 3], [0, 1]), ("full", [2, 4], [0, 1])]
)
def test_a_training_that_ended_early_by_itself_is_a_whole_one(rule: str, times: list[float], trials: list[int]) -> None:
    study = events_of(
        ("started", 0.0, 0, 9, np.nan, ""),
        ("report", 1.0, 0, 8, 0.5, "running"),
        ("report", 2.0, 0, 9, 0.5, "reached"),
        ("ended", 2.0, 0, 9, np.nan, "reached"),
        ("started", 2.0, 1, 9, np.nan, ""),
        ("report", 3.0, 1, 3, 0.3, "running"),
        ("report", 4.0, 1, 4, 0.3, "reached"),  # there is no more of it
        ("ended", 4.0, 1, 4, np.nan, "reached"),
        ("started", 4.0, 2, 4, np.nan, ""),
        ("report", 5.0, 2, 4, 0.1 if rule != "anyfid" else 0.4, "reached"),  # as far as its job, not as its training
        ("ended", 5.0, 2, 4, np.nan, "reached"),
    )
    frame = pd.DataFrame(study._asdict()).assign(arm="a", benchmark="b", seed=0)
    steps = incumbent.trajectories(frame, {"b": 9}, rule)["a", "b", 0]
    assert (steps.times.tolist(), steps.trials.tolist()) == (times, trials)


def test_ties_go_to_the_earlier_arrival_then_to_the_lower_trial() -> None:
    rows = [("report", time, trial, 9, 0.5, "reached") for time, trial in ((1.0, 7), (1.0, 3), (2.0, 1))]
    steps = incumbent.walk(incumbent.full(events_of(*rows), 9))
    assert (steps.times.tolist(), steps.trials.tolist()) == ([1.0], [3])


@pytest.mark.parametrize("rule", incumbent.RULES)
def test_no_look_ahead(rule: str) -> None:
    """The value at t is the same whether or not anything happens after t."""
    _, events, _ = comparison()
    study = events[(events["arm"] == "asha") & (events["seed"] == 1)]
    whole = incumbent.trajectories(study, {"lm": TOP}, rule)["asha", "lm", 1]
    for time in np.random.default_rng(0).uniform(0, 7200, 12):
        past = incumbent.trajectories(study[study["time"] <= time], {"lm": TOP}, rule)
        known = past.get(("asha", "lm", 1))
        now = np.array([time])
        expected = np.array([np.nan]) if known is None else incumbent.at(known.times, known.losses, now)
        np.testing.assert_array_equal(incumbent.at(whole.times, whole.losses, now), expected)


def test_steps_are_right_continuous_and_carried_forward() -> None:
    times, values = np.array([1.0, 2.0, 5.0]), np.array([3.0, 1.0, 2.0])
    found = incumbent.at(times, values, np.array([0.0, 1.0, 1.5, 2.0, 4.999, 5.0, 1e9]))
    np.testing.assert_array_equal(found, [np.nan, 3, 3, 1, 1, 2, 2])
    assert np.isnan(incumbent.at(np.array([]), np.array([]), np.array([1.0]))).all()


@pytest.mark.parametrize("rule", ["anyfid", "full"])
def test_the_incumbent_of_one_level_never_gets_worse(rule: str) -> None:
    for steps in summary(rule).trajectories.values():
        assert (np.diff(steps.losses) < 0).all()
        assert (np.diff(steps.times) > 0).all()


def test_the_rules_agree_where_every_trial_is_trained_to_the_top() -> None:
    rows: list[tuple[str, float, int, int, float, str]] = []
    for trial, loss in enumerate(np.random.default_rng(1).random(50)):
        time = float(trial)
        rows += [("report", time, trial, 9, loss, "reached"), ("ended", time, trial, 9, np.nan, "reached")]
    found = [incumbent.walk(rule(events_of(*rows), 9)) for rule in incumbent.RULES.values()]
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_an_unknown_rule_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"no incumbent rule 'best': there are maxfid, anyfid, full"):
        summarise(*comparison(), "best")


# Intervals and tests


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(2).lognormal(size=(9, 4))
    low, high = stats.t.interval(0.95, 8, loc=values.mean(axis=0), scale=stats.sem(values, axis=0))
    found = intervals.mean(values)
    np.testing.assert_allclose(found.low, low)
    np.testing.assert_allclose(found.high, high)
    assert all(part.shape == (4,) for part in found)


def test_one_value_has_a_mean_and_no_interval() -> None:
    center, low, high = (float(part) for part in intervals.mean(np.array([2.0])))
    assert center == 2.0
    assert np.isnan([low, high]).all()
    assert np.isnan([float(part) for part in intervals.mean(np.array([]))]).all()


def test_intervals_on_logs_cover_the_median_of_a_lognormal() -> None:
    logs = np.random.default_rng(3).normal(size=(10, 4000))
    found = intervals.mean(logs).exp()
    assert 0.94 < np.mean((found.low < 1) & (found.high > 1)) < 0.96


def test_the_paired_test_is_that_of_scipy() -> None:
    one, other = np.random.default_rng(4).normal(size=(2, 12))
    found, known = intervals.paired(one, other), stats.ttest_rel(one, other)
    ends = known.confidence_interval()
    assert found[:4] == pytest.approx((float(np.mean(one - other)), ends.low, ends.high, known.pvalue))
    back = intervals.paired(other, one)
    assert (back.mean, back.p) == pytest.approx((-found.mean, found.p))


def test_paired_differences_without_spread() -> None:
    same, shifted = np.ones(5), np.full(5, 2.0)
    assert intervals.paired(same, same) == (0, 0, 0, 1, 0, 5)
    assert np.isnan(intervals.paired(same[:1], shifted[:1]).p)
    assert np.isnan(intervals.paired(np.full(5, np.nan), shifted).p)


@pytest.mark.parametrize("n", [2, 5, 6, 12])
def test_a_difference_that_is_the_same_in_every_pair_is_as_sure_as_its_signs(n: int) -> None:
    """The values are no round numbers, so that each difference is rounded in its own way."""
    values = np.random.default_rng(n).normal(size=n)
    found = intervals.paired(values, values + 0.1)
    assert (found.mean, found.p) == (pytest.approx(-0.1), 2.0 ** (1 - n))
    assert found.p == sign_flip(np.full(n, -0.1))
    assert np.isnan([found.low, found.high, found.deviation]).all()
    assert intervals.paired(values, values + 0.1 - 0.1) == (0, 0, 0, 1, 0, n)


def test_holm() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(intervals.holm(p), [0.03, np.nan, 0.06, 0.06, 0.02])
    assert len(intervals.holm(np.array([]))) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_between_p_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    given_p = np.array(p)
    adjusted = intervals.holm(given_p)
    assert (adjusted >= given_p).all()
    assert (adjusted <= np.minimum(given_p * len(p), 1) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(given_p, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("n", [3, 5, 10, 20, 50])
def test_the_smallest_detectable_difference_has_its_power(n: int) -> None:
    shift = intervals.smallest_detectable(2.0, n) / 2.0 * np.sqrt(n)
    critical = stats.t.ppf(0.975, n - 1)
    power = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_benchmarks_needed_for_an_exact_wilcoxon_test() -> None:
    """The table of the protocol: after Holm with 1, 6, 15, 28, 45 pairs."""
    assert [intervals.benchmarks_needed(pairs) for pairs in (1, 6, 15, 28, 45)] == [6, 8, 10, 11, 11]


# Regret


def test_normalised_regret_is_clipped_and_counts_failures_as_the_median() -> None:
    ruler = regret.scale({"optimum": 1.0, "median": 3.0, "noise": 0.02})
    assert ruler == regret.Scale(1.0, 3.0, 0.01)
    found = regret.normalised(np.array([0.9, 1.0, 2.0, 3.0, 18.6, np.inf, np.nan]), ruler)
    np.testing.assert_allclose(found, [0.01, 0.01, 0.5, 1, 1, 1, 1])


@pytest.mark.parametrize(("median", "known"), [(3.0, [2.0, 3.0, 3.0, 3.0]), (None, [2.0, 9.0, np.nan, np.nan])])
def test_no_loss_counts_as_worse_than_the_median_config(median: float | None, known: list[float]) -> None:
    found = regret.counted(np.array([2.0, 9.0, np.inf, np.nan]), median)
    np.testing.assert_array_equal(found, known)


@pytest.mark.parametrize("facts", [{}, {"optimum": 1.0}, {"optimum": 1.0, "median": None}, {"optimum": 2, "median": 2}])
def test_without_optimum_and_median_there_is_no_ruler(facts: dict[str, Any]) -> None:
    assert regret.scale(facts) is None


def test_the_floor_is_a_ten_thousandth_where_no_noise_is_known() -> None:
    ruler = regret.scale({"optimum": 0.0, "median": 1.0, "noise": None})
    assert ruler is not None
    assert ruler.floor == 1e-4


@pytest.mark.parametrize("ruler", [regret.Scale(1.0, 3.0, 0.01), None])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_measure_can_be_undone(ruler: regret.Scale | None, sign: int) -> None:
    losses = sign * np.array([1.5, 2.0, 7.0]) if ruler is None else np.array([1.5, 2.0, 7.0])
    on = regret.measure(losses, ruler)
    assert on.kind == ("regret" if ruler else "loss" if sign > 0 else "difference")
    np.testing.assert_allclose(on.losses(on.of(losses)), losses)


def test_the_law_of_random_search_is_that_of_all_draws() -> None:
    values = np.sort(np.random.default_rng(5).normal(size=7))
    exact = [np.mean([min(draw) for draw in combinations(values, n)]) for n in range(1, 8)]
    np.testing.assert_allclose(regret.law_of_random_search(values, np.arange(1, 8)), exact)
    np.testing.assert_allclose(regret.law_of_random_search(values, np.array([7, 8, 900])), values[0])


def test_the_law_of_random_search_on_a_large_table() -> None:
    """Stable where binomial coefficients overflow: the minimum of ranks 0..M-1 has mean (M - N) / (N + 1)."""
    configs, trainings = 100_000, np.array([1, 10, 1000, 99_999])
    found = regret.law_of_random_search(np.arange(configs, dtype=float), trainings)
    np.testing.assert_allclose(found, (configs - trainings) / (trainings + 1), rtol=1e-9)


def test_ranks_share_ties_and_leave_out_blocks_that_someone_misses() -> None:
    losses = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": [1.0, 1.0, 1.0], "c": [3.0, np.inf, 1.0]})
    assert regret.ranks(losses).to_numpy().tolist() == [[1.5, 1.5, 3.0], [2.0, 1.0, 3.0]]


# The summary


def test_a_failed_study_counts_as_the_median_config_and_is_shown() -> None:
    _, _, facts = comparison()
    mobster = summary().table.set_index("arm").loc["mobster"]
    assert (mobster["wanted"], mobster["done"], mobster["failed"], mobster["missing"]) == (5, 4, 1, 0)
    failed = summary().studies.query("state == 'failed'").iloc[0]
    assert (failed["regret"], failed["counted"]) == (1.0, facts["lm"]["median"])
    assert "mobster on lm, seed 3: LinAlgError: not positive definite" in tables.errors(summary())
    assert "1 failed study counted as the median random config." in tables.notes(summary())


def test_who_always_fails_ranks_as_who_always_ends_worse_than_the_median_config() -> None:
    studies, events, facts = fake(3, {"rs": SMALL["rs"], "asha": SMALL["asha"]}, failed=False)
    failing = studies.assign(why=np.where(studies["arm"] == "rs", "error", "budget"))
    bad = events.assign(loss=events["loss"] + np.where(events["arm"] == "asha", 10.0, 0.0))
    found = summarise(failing, bad, facts)
    table, median = found.table.set_index("arm"), facts["lm"]["median"]
    assert table["rank"].tolist() == [1.5, 1.5]
    for name in ("loss", "loss_mean"):
        assert table[name].tolist() == pytest.approx([median] * 2)
    assert curves.anytime(found, "lm").groupby("arm")["loss"].last().tolist() == pytest.approx([median] * 2)


def test_missing_and_interrupted_studies_are_counted() -> None:
    studies, events, facts = comparison(failed=False)
    studies = studies[~((studies["arm"] == "rs") & (studies["seed"] == 2))].copy()
    studies.loc[(studies["arm"] == "asha") & (studies["seed"] == 0), "why"] = "interrupted"
    table = summarise(studies, events, facts).table.set_index("arm")
    assert table["missing"].to_dict() == {"rs": 1, "asha": 1, "mobster": 0}
    assert set(table["rank_blocks"]) == {3}
    assert table["rank"].sum() == pytest.approx(6)


def test_a_study_given_twice_is_refused() -> None:
    studies, events, facts = comparison()
    with pytest.raises(ValueError, match=r"study \('rs', 'lm', 0\) .* is given twice"):
        summarise(pd.concat([studies, studies.head(1)]), events, facts)


def test_no_study_at_all_is_refused() -> None:
    studies, events, facts = comparison()
    with pytest.raises(ValueError, match="there is no study to report"):
        summarise(studies.head(0), events.head(0), facts)


def test_a_benchmark_without_levels_is_refused() -> None:
    studies, events, _ = comparison()
    with pytest.raises(ValueError, match="without levels in their facts: lm"):
        summarise(studies, events, {})


def test_a_method_more_changes_no_number_of_the_others() -> None:
    """Only ranks and Holm's correction may know who else is compared."""
    studies, events, facts = comparison()
    fewer = summarise(studies[studies["arm"] != "rs"], events[events["arm"] != "rs"], facts)
    shared = ["rank", "best"]
    whole = summary().table[summary().table["arm"] != "rs"].drop(columns=shared).reset_index(drop=True)
    pd.testing.assert_frame_equal(fewer.table.drop(columns=shared), whole)
    pair = summary().pairs[(summary().pairs["first"] != "rs") & (summary().pairs["second"] != "rs")]
    told = ["holm", "flip", "verdict", "statement"]
    pd.testing.assert_frame_equal(fewer.pairs.drop(columns=told), pair.drop(columns=told).reset_index(drop=True))


def test_the_order_of_seeds_changes_nothing() -> None:
    studies, events, facts = comparison()
    mixed = studies.iloc[np.random.default_rng(6).permutation(len(studies))]
    mixed = mixed.sort_values("arm", key=lambda arms: arms.map(list(SMALL).index), kind="stable")
    backwards = pd.concat([mine for _, mine in reversed(list(events.groupby(["arm", "seed"])))])
    again = summarise(mixed, backwards, facts)
    assert again.numbers() == summary().numbers()


def test_a_clear_difference_is_found_and_the_better_named_first() -> None:
    frame = outcomes_of(
        {"good": [0.01, 0.02, 0.015, 0.012], "bad": [0.5, 0.4, 0.6, 0.55], "none": [0.5, 0.5, 0.5, 0.5]}
    )
    pairs = compare(frame, regret.Scale(0.0, 1.0, 1e-4)).set_index(["first", "second"])
    found = pairs.loc[("good", "bad")]
    ratio = stats.gmean([0.01, 0.02, 0.015, 0.012]) / stats.gmean([0.5, 0.4, 0.6, 0.55])
    assert (found["verdict"], found["measure"], found["seeds"]) == ("better", "regret", 4)
    assert found["effect"] == pytest.approx(ratio)
    assert found["low"] < ratio < found["high"] < 1
    assert re.fullmatch(r"good is better than bad \(regret ×\S+ \[\S+, \S+\], Holm p .*, 4 seeds\)", found["statement"])
    alike = pairs[pairs["verdict"] == "not told apart"].iloc[0]
    assert "could not be told apart: regret ×" in alike["statement"]
    assert f"the smallest detectable with 4 seeds is ×{text.number(alike['detectable'])}" in alike["statement"]


def outcomes_of(losses: dict[str, list[float]]) -> pd.DataFrame:
    rows = [(arm, seed, loss) for arm, mine in losses.items() for seed, loss in enumerate(mine)]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "counted"])
    return frame.assign(benchmark="b", state="done", data="digest")


def test_statements_without_data() -> None:
    ruler = regret.Scale(0.0, 1.0, 1e-4)
    one = compare(outcomes_of({"a": [0.1], "b": [0.2]}), ruler)["statement"][0]
    assert one == "a and b: not enough data (1 seed that both have)"
    unknown = compare(outcomes_of({"a": [0.1, 0.2], "b": [0.2, np.nan]}), None)["statement"][0]
    assert "a study without a loss" in unknown
    equal = compare(outcomes_of({"a": [0.0, 0.0], "b": [0.0, 0.0]}), ruler)["statement"][0]
    assert equal == "a and b could not be told apart: they are equal at each of 2 seeds"


def test_where_every_seed_says_the_same_there_is_no_interval_and_few_seeds_tell_nothing_apart() -> None:
    ruler = regret.Scale(0.0, 1.0, 1e-4)
    two = compare(outcomes_of({"a": [0.2, 0.2], "b": [1.0, 3.0]}), ruler)
    assert two["statement"][0] == (
        "a and b could not be told apart: regret ×0.200 at every seed, Holm p = .50; without a spread over seeds no "
        "smallest detectable difference is known"
    )
    words = tables.differences(replace(summary(), pairs=two)).rows[0]
    assert words[4:] == ["×0.200", ".50", ".50", "–", "2", "not told apart"]
    seven = compare(outcomes_of({"a": [0.2] * 7, "b": [3.0] * 7}), ruler)
    assert seven["statement"][0] == "a is better than b (regret ×0.200 at every seed, Holm p = .016, 7 seeds)"


def test_losses_below_zero_are_compared_by_their_difference() -> None:
    pair = compare(outcomes_of({"a": [-0.9, -0.91, -0.92], "b": [-0.5, -0.52, -0.51]}), None).iloc[0]
    assert (pair["measure"], pair["first"], pair["verdict"]) == ("difference", "a", "better")
    assert pair["effect"] == pytest.approx(-0.4)
    assert "difference -0.400 [" in pair["statement"]


def test_the_best_and_those_not_told_apart_from_it_are_marked() -> None:
    arms = {"rs": (False, 0.0), "asha": (True, 0.3)}
    result = summarise(*fake(8, arms, failed=False))
    best = result.table.set_index("arm")["best"]
    assert best["asha"]
    assert best["rs"] == (result.pairs["verdict"][0] != "better")


@pytest.mark.parametrize(("verdict", "marked"), [("better", {"asha"}), ("not told apart", {"asha", "rs"})])
def test_the_lead_is_marked_and_only_those_tested_against_it_and_not_told_apart(verdict: str, marked: set[str]) -> None:
    """Of two with a lower loss one is in no pair, and the other in none that could be tested."""
    losses = {"rs": 0.5, "asha": 0.3, "alone": 0.1, "untested": 0.2}
    entries: list[dict[str, Any]] = [{"arm": arm, "loss": loss, "regret": loss} for arm, loss in losses.items()]
    columns = ["first", "second", "holm", "verdict"]
    rows = [("asha", "rs", 0.04, verdict), ("untested", "asha", np.nan, "not enough data")]
    pairs = pd.DataFrame(rows, columns=columns)
    _mark_best(entries, pairs, set(losses))
    assert {entry["arm"] for entry in entries if entry["best"]} == marked
    _mark_best(entries, pairs, {"asha"})
    assert {entry["arm"] for entry in entries if entry["best"]} == {"asha"}, "rs has no loss of its own"


def test_what_met_other_data_than_the_best_is_not_marked_with_it() -> None:
    studies, events, facts = fake(4, failed=False)
    data = studies["arm"].map({"rs": "one", "bo": "one", "asha": "other", "mobster": "other"})
    best = set(summarise(studies.assign(data=data), events, facts).table.query("best")["arm"])
    assert best and (best <= {"rs", "bo"} or best <= {"asha", "mobster"})


# Numbers in words


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (np.nan, "–"), (0.30512, "0.305"), (12.345, "12.3"), (1234.5, "1234"), (1.2e-7, "1.20e-07")],
)
def test_numbers(value: float, shown: str) -> None:
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.213, "0.21 s"), (42.0, "42 s"), (720, "12 min"), (5400, "1.5 h"), (9000, "2.5 h"), (2.9e6, "34 d")],
)
def test_seconds(value: float, shown: str) -> None:
    assert text.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 %"), (0.004, "< 1 %"), (0.994, "99 %"), (0.995, "> 99 %"), (0.9999, "> 99 %"), (1, "100 %")],
)
def test_no_share_is_rounded_to_nothing_or_to_all(value: float, shown: str) -> None:
    assert text.share(value) == shown


def test_intervals_and_p_values_in_words() -> None:
    exact = text.decimals([5.1234, 4.0], [5.08, np.nan], [5.20, np.nan])
    assert text.interval(5.1234, 5.08, 5.20, exact) == "5.123 [5.080, 5.200]"
    assert text.interval(4.0, np.nan, np.nan, exact) == "4.000"
    assert [text.p_value(p) for p in (0.0001, 0.003, 0.21, 1.0)] == ["< .001", "= .003", "= .21", "= 1.00"]
    assert [text.plural(n, "study") for n in (1, 2)] == ["1 study", "2 studies"]


# Curves and figures


def test_curves_end_at_the_final_losses_and_see_nothing_ahead() -> None:
    frame = curves.anytime(summary(), "lm")
    table = summary().table.set_index("arm")
    for arm, curve in frame.groupby("arm"):
        assert curve["loss"].iloc[-1] == pytest.approx(table.loc[arm, "loss"])
        assert curve["time"].is_monotonic_increasing
        assert curve["time"].iloc[-1] == 7200
        assert (curve["low"] <= curve["loss"]).all()
        assert (curve["loss"] <= curve["high"]).all()


def test_curves_begin_at_the_median_config() -> None:
    _, _, facts = comparison()
    first = curves.anytime(summary(), "lm").groupby("arm").first()
    assert first["loss"].to_numpy() == pytest.approx(facts["lm"]["median"])
    assert not first["own"].any()


def test_without_a_median_a_curve_begins_where_every_seed_has_a_loss() -> None:
    studies, events, facts = comparison()
    unknown = {"lm": facts["lm"] | {"optimum": None, "median": None}}
    result = summarise(studies, events, unknown)
    frame = curves.anytime(result, "lm")
    assert frame["own"].all()
    assert set(frame.loc[frame["arm"] == "mobster", "failed"]) == {1}
    assert result.table.set_index("arm")["loss"].isna().to_dict() == {"rs": False, "asha": False, "mobster": True}
    assert result.table.set_index("arm")["rank"].notna().all()


def test_the_law_of_random_search_falls_to_the_mean_of_random_search() -> None:
    law = curves.random_search_law(summary(), "lm")
    assert (np.diff(law["loss"]) < 0).all()
    assert law["time"].iloc[0] == 30.0 * TOP
    studies, events, facts = comparison()
    for changed in ({"table": "snap"}, {"configs": None}):
        other = summarise(studies, events, {"lm": facts["lm"] | changed})
        assert curves.random_search_law(other, "lm").empty


def axes() -> Axes:
    return Figure().add_subplot()


def draw_anytime(frame: pd.DataFrame, **more: Any) -> Axes:
    panel = axes()
    looks = style.styles(list(frame["arm"].unique()))
    anytime.draw(frame, panel, styles=looks, budget=7200.0, rule="maxfid", metric="loss", **more)
    return panel


def test_the_anytime_figure_holds_the_curves_and_names_its_rule() -> None:
    frame = curves.anytime(summary(), "lm")
    panel = draw_anytime(frame, optimum=4.2, median=5.2)
    assert any("maxfid" in words.get_text() for words in panel.texts)
    assert [entry.get_text() for entry in panel.get_legend().get_texts()][:2] == ["rs (n = 5)", "asha (n = 5)"]
    assert any("1 failed" in entry.get_text() for entry in panel.get_legend().get_texts())
    drawn = [np.asarray(line.get_ydata())[-1] for line in panel.lines if line.get_marker() != "None"]
    assert drawn == pytest.approx(summary().table["loss"].tolist())


def test_a_method_whose_name_begins_with_an_underscore_has_its_entry_in_the_legend() -> None:
    frame = curves.anytime(summary(), "lm").replace({"arm": {"asha": "_mine"}})
    entries = [entry.get_text() for entry in draw_anytime(frame).get_legend().get_texts()]
    assert [entry.strip() for entry in entries] == ["rs (n = 5)", "_mine (n = 5)", "mobster (n = 5, 1 failed)"]


def test_an_svg_in_fewer_bytes_draws_the_same() -> None:
    figure = drawing.figure_of(4, 3)
    panel = figure.add_subplot()
    panel.plot(np.linspace(0, 1, 50), np.sin(np.arange(50)), marker="o")
    panel.scatter([0.5], [0.123456], rasterized=True)
    panel.set_xlabel('a -- b & <c> " d="1.23456"')
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", **drawing.FORMATS["svg"])
    whole, few = buffer.getvalue(), drawing._compact(buffer.getvalue())
    assert len(few) < 0.9 * len(whole)
    for one, other in zip(ElementTree.fromstring(whole).iter(), ElementTree.fromstring(few).iter(), strict=True):
        assert one.tag == other.tag and one.keys() == other.keys()
        for name, value in one.items():
            mine, theirs = (re.findall(r"-?\d+(?:\.\d+)?|[^\s\d]", words) for words in (value, other.get(name) or ""))
            assert len(mine) == len(theirs)
            for part, same in zip(mine, theirs, strict=True):
                assert part == same or abs(float(part) - float(same)) < 0.01


def test_a_method_has_the_same_style_whoever_is_added_behind_it() -> None:
    names = [f"arm{i}" for i in range(20)]
    assert style.styles(names[:3]).items() <= style.styles(names).items()
    assert len(set(style.styles(names).values())) == 20


def test_with_more_methods_than_colours_curves_differ_by_their_dashes_on_paper_and_in_the_browser() -> None:
    names = [f"arm{i}" for i in range(20)]
    looks = [interactive._look(look) for look in style.styles(names).values()]
    assert len({(look["colour"], look["dash"]) for look in looks}) == 20
    curve = curves.anytime(summary(), "lm").query("arm == 'rs'")
    entries = draw_anytime(pd.concat([curve.assign(arm=name) for name in names[:8]])).get_legend().get_lines()
    assert [entry.get_linestyle() for entry in entries] == ["-"] * 7 + ["--"]


def test_a_paused_trial_is_a_broken_line_and_colour_follows_the_final_level() -> None:
    frame = pd.DataFrame(
        [
            ("started", 0.0, 0, 1, np.nan, ""),
            ("report", 1.0, 0, 1, 3.0, "reached"),
            ("ended", 1.0, 0, 1, np.nan, "reached"),
            ("started", 5.0, 0, 3, np.nan, ""),
            ("report", 6.0, 0, 2, 2.0, "running"),
            ("report", 7.0, 0, 3, np.inf, "failed"),
            ("ended", 7.0, 0, 3, np.nan, "failed"),
            ("started", 7.0, 1, 1, np.nan, ""),
        ],
        columns=["kind", "time", "trial", "resource", "loss", "reason"],
    )
    points, jobs = trials.points(frame), trials.jobs(frame.assign(worker=0))
    lines = [job[["time", "loss"]].to_numpy().tolist() for _, job in points.groupby("job")]
    assert lines == [[[1, 3]], [[5, 3], [6, 2], [7, np.inf]]]
    assert jobs["reached"].tolist() == [3, 3, 0]
    assert jobs["reason"].tolist() == ["reached", "failed", ""]
    panel = axes()
    learning_curves.draw(frame, panel, levels=[1, 2, 3], limits=(0, 2.5), budget=10.0, title="asha")
    assert panel.texts[0].get_text() == "2 trials, 1 cut at the top, 1 failed (×)"


def test_limits_show_the_bulk_of_the_losses() -> None:
    losses = np.concatenate([np.linspace(4, 9, 200), [np.inf, 1e6, np.nan, 1e30]])
    low, high = trials.limits(losses)
    assert low < 4
    assert 9 < high < 25
    assert trials.limits(np.array([np.inf])) == (0.0, 1.0)


# The page


def write_page(folder: Path, frames: tuple[Any, Any, Any], digest: str = "abc", **more: Any) -> Summary:
    names = {
        "title": "Three methods",
        "command": "python -m harness compare",
        "made_by": "python -m harness report out",
    }
    return page.write(folder, *frames, **names, digest=digest, **more)


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


PAGES = ["index.html", "benchmarks/lm.html", *(f"studies/lm/{arm}.html" for arm in SMALL)]
SUMMARIES = ["report.json", "summary.json", "summary.md"]


def test_the_report_is_written_whole_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert not publishing.up_to_date(one, "abc")
    for folder in (one, two):
        write_page(folder, comparison())
    pages = [name for name in names_in(one) if not name.startswith(("figures/", "tables/"))]
    assert pages == sorted([*PAGES, *SUMMARIES, "page.js", "plotly.min.js", "style.css"])
    assert [name for name in names_in(one) if (one / name).read_bytes() != (two / name).read_bytes()] == []
    assert publishing.up_to_date(one, "abc")
    assert not publishing.up_to_date(one, "other")
    (one / "benchmarks/lm.html").unlink()
    assert not publishing.up_to_date(one, "abc")


def test_a_static_report_has_no_script_and_every_figure_as_files_with_its_data(tmp_path: Path) -> None:
    write_page(tmp_path, fake(3, {"rs": SMALL["rs"], "asha": SMALL["asha"]}, failed=False), static=True)
    of_studies = [f"{figure}-lm-{arm}" for figure in ("trials", "workers") for arm in ("rs", "asha")]
    figures = ["anytime-lm", "learning-curves-lm", *of_studies]
    drawn = [f"figures/{figure}.{suffix}" for figure in figures for suffix in (*drawing.FORMATS, "csv")]
    pages = [name for name in PAGES if "mobster" not in name]
    assert {*pages, *SUMMARIES, *drawn, "tables/methods.csv", "tables/methods.tex"} <= {*names_in(tmp_path)}
    for name in pages:
        html = (tmp_path / name).read_text(encoding="utf-8")
        assert "<script" not in html
        for place in re.findall(r'(?:href|src)="([^"]*)"', html):
            assert ((tmp_path / name).parent / place).is_file(), place
        assert html.count("<figure") == html.count(".csv") == html.count("<code>python -m harness report out</code>")
    frame = pd.read_csv(tmp_path / "figures/anytime-lm.csv")
    assert frame.groupby("arm")["loss"].last().to_dict() == pytest.approx(
        summarise(*fake(3, {"rs": SMALL["rs"], "asha": SMALL["asha"]}, failed=False))
        .table.set_index("arm")["loss"]
        .to_dict()
    )


def data_of(path: Path) -> list[dict[str, Any]]:
    """The data that a page holds for the figures which the browser draws."""
    found = re.search(r'<script type="text/plain" id="data">([^<]*)</script>', path.read_text(encoding="utf-8"))
    assert found is not None
    return json.loads(zlib.decompress(base64.b64decode(found[1])))["figures"]


def test_the_browser_is_given_what_the_static_figures_draw(tmp_path: Path) -> None:
    _, events, _ = comparison()
    write_page(tmp_path, comparison())
    overall, panels = data_of(tmp_path / "benchmarks/lm.html")
    whole = curves.anytime(summary(), "lm")
    for group in overall["groups"]:
        curve = whole[whole["arm"] == group["name"]]
        assert group["columns"]["loss"][-1] == pytest.approx(curve["loss"].iloc[-1], rel=1e-4)
        assert set(group["columns"]["time"]) <= {float(f"{time:.{interactive.DIGITS}g}") for time in curve["time"]}
    assert [known["kind"] for known in overall["references"]] == ["law", "line", "strip"]
    assert data_of(tmp_path / "index.html")[0] == overall
    assert [panel["name"] for panel in panels["panels"]] == list(SMALL)
    curve, workers = data_of(tmp_path / "studies/lm/asha.html")
    study = events[(events["arm"] == "asha") & (events["seed"] == 0)]
    assert len(workers["columns"]["trial"]) == (study["kind"] == "started").sum()
    assert set(curve["panels"][0]["columns"]["trial"]) == set(study.loc[study["kind"] == "report", "trial"])


def test_what_a_report_shows_of_each_thing_shrinks_with_what_it_compares() -> None:
    small, large = interactive.Room.of(4), interactive.Room.of(200)
    assert all(few >= many for few, many in zip(small, large, strict=True))
    curve = pd.DataFrame({"time": np.arange(1.0, 1001), "loss": -np.arange(1000.0), "seeds": 1, "failed": 0})
    for log in (False, True):
        kept = interactive.sampled(curve, 100, log=log)
        assert len(kept) <= 100
        assert kept["time"].iloc[[0, -1]].tolist() == [1, 1000]
    points = pd.DataFrame({"job": np.repeat(np.arange(20), 50), "trial": np.repeat(np.arange(20), 50), "time": 1.0})
    kept = trials.thinned(points.assign(time=np.tile(np.arange(50.0), 20)), 100)
    assert len(kept) <= 100 + 20
    assert set(kept.groupby("job")["time"].agg(["min", "max"]).itertuples(index=False, name=None)) == {(0.0, 49.0)}


def test_files_of_any_names_have_stems_of_their_own() -> None:
    names = ["a b", "a/b", "A-b", "../..", "", "x" * 300, "x" * 301]
    found = publishing.stems(names)
    assert list(found) == names
    assert len({stem.casefold() for stem in found.values()}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,70}", stem) for stem in found.values())


def test_the_page_tells_what_failed_and_holds_its_figures(tmp_path: Path) -> None:
    write_page(tmp_path, comparison())
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    for words in ("LinAlgError: not positive definite", "python -m harness compare", "budget 4, error 1", "maxfid"):
        assert words in html
    assert html.count('<figure class="interactive"') == 1
    assert html.index("Completeness") < html.index("regret [95 %]")
    numbers = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert numbers["table"][0]["loss"] == pytest.approx(summary().table["loss"][0], rel=1e-7)
    markdown = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert markdown.index("## Completeness") < markdown.index("## lm")
    assert all(statement in markdown for statement in summary().statements("lm"))


@pytest.fixture
def svg_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save time where it is not the files that are tested."""
    monkeypatch.setattr(drawing, "FORMATS", {"svg": drawing.FORMATS["svg"]})


@pytest.mark.usefixtures("svg_only")
def test_files_of_a_former_report_are_removed_and_no_others(tmp_path: Path) -> None:
    write_page(tmp_path, fake(2, {"rs": SMALL["rs"]}, ("old", "lm"), failed=False), static=True)
    among = (tmp_path / "benchmarks/lm.html").read_text(encoding="utf-8")
    (tmp_path / "figures/mine.txt").write_text("mine")
    write_page(tmp_path, fake(2, {"rs": SMALL["rs"]}, failed=False))
    alone = (tmp_path / "benchmarks/lm.html").read_text(encoding="utf-8")
    assert "is exploratory" not in alone and "is exploratory" in among
    assert not [name for name in names_in(tmp_path) if "old" in name]
    assert not (tmp_path / "studies/old").exists()
    assert (tmp_path / "figures/mine.txt").exists()


@pytest.mark.parametrize("benchmarks", [("lm",), ("lm", "other")], ids=["one", "several"])
def test_a_brief_report_is_one_page_each_figure_and_table_in_one_form(
    benchmarks: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "FORMATS", {suffix: drawing.FORMATS[suffix] for suffix in ("svg", "png")})
    arms = {"rs": SMALL["rs"], "asha": SMALL["asha"]}
    write_page(tmp_path, fake(3, arms, benchmarks, failed=False), brief=True)
    names = [Path(name) for name in names_in(tmp_path)]
    assert {str(name) for name in names if name.parent == Path()} == {
        "index.html", "report.json", "style.css", "summary.md"
    }  # fmt: skip
    assert {(name.parent.name, name.suffix) for name in names if name.parent != Path()} == {
        ("figures", ".csv"), ("figures", ".svg"), ("tables", ".csv")
    }  # fmt: skip
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script" not in html and html.count("<figure") == html.count(".csv")
    told = (tmp_path / "summary.md").read_text(encoding="utf-8")
    places = [*re.findall(r'(?:href|src)="([^"]*)"', html), *re.findall(r"\]\(([^)]*)\)", told)]
    assert {place for place in places if not (tmp_path / place).is_file()} == set()
    drawn = {name.as_posix() for name in names if name.suffix == ".svg"}
    assert drawn <= set(places) and ("figures/anytime-lm.svg" in drawn) == (len(benchmarks) == 1)
    assert told.rstrip().endswith("python -m harness compare\npython -m harness report out\n```")


def one_seed() -> tuple[Any, Any, Any]:
    return fake(1, SMALL)


def one_arm() -> tuple[Any, Any, Any]:
    return fake(2, {"rs": SMALL["rs"]}, failed=False)


def all_failed() -> tuple[Any, Any, Any]:
    studies, events, facts = comparison()
    return studies.assign(why="error", seconds=0.0), events[events["time"] < 0], facts


def nothing_known() -> tuple[Any, Any, Any]:
    studies, events, _ = comparison()
    return studies, events, {"lm": {"levels": [1, TOP]}}


def all_failed_and_nothing_known() -> tuple[Any, Any, Any]:
    studies, events, _ = all_failed()
    return studies, events, {"lm": {"levels": [1, TOP]}}


def nothing_finite() -> tuple[Any, Any, Any]:
    studies, events, facts = comparison()
    return studies, events.assign(loss=events["loss"].where(events["kind"] != "report", np.inf)), facts


def odd_names() -> tuple[Any, Any, Any]:
    studies, events, facts = fake(
        2, {"a_method:with=many:options=set": SMALL["rs"], "<b>": SMALL["asha"]}, failed=False
    )
    name = "lcbench/a b|c"
    return studies.assign(benchmark=name), events.assign(benchmark=name), {name: facts["lm"] | {"real": True}}


@pytest.mark.usefixtures("svg_only")
@pytest.mark.parametrize(
    "make",
    [one_seed, one_arm, all_failed, nothing_known, all_failed_and_nothing_known, nothing_finite, odd_names],
)
def test_every_report_can_be_written_and_printed(make: Callable[[], tuple[Any, Any, Any]], tmp_path: Path) -> None:
    write_page(tmp_path, make(), static=True)
    result = write_page(tmp_path, make())
    assert publishing.up_to_date(tmp_path, "abc")
    lines = printed(result).splitlines()
    assert max((len(line.rstrip()) for line in lines), default=0) <= 100
    assert "<b>" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def printed(result: Summary) -> str:
    console = Console(width=100, file=io.StringIO())
    for part in terminal(result):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_shows_the_numbers_unbroken() -> None:
    shown = printed(summary())
    assert "maxfid" in shown
    assert "n = 5 seeds" in shown
    for row in tables.numbers(summary(), "lm").rows:
        line = next(line for line in shown.splitlines() if line.strip().startswith(f"{row[0]} "))
        assert all(cell in line for cell in row[:4])


@pytest.mark.usefixtures("svg_only")
@pytest.mark.parametrize(("seeds", "promised"), [(1, False), (2, True)])
def test_one_seed_promises_no_intervals(tmp_path: Path, seeds: int, promised: bool) -> None:
    assert ("95 % intervals" in printed(write_page(tmp_path, fake(seeds, SMALL)))) == promised


def test_reports_imports_nothing_of_ours_and_matplotlib_only_to_draw() -> None:
    code = (
        "import sys, reports.page, reports.terminal; print([m for m in sys.modules if m.partition('.')[0] in {names}])"
    )
    names = {"matplotlib", "harness", "surrogates", "real_benchmarks"}
    told = subprocess.run(
        [sys.executable, "-c", code.format(names=names)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.strip() == "[]"
