"""Quantities of a comparison: laws, known answers, and what scipy and rliable say of the same arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from reports import incumbent
from reports.incumbent import Events, Trajectory
from reports.regret import Scale, law_of_random_search, normalised
from reports.regret import ranks as frame_ranks
from reports.statistics import aggregates, bootstrap, scores, steps, targets
from reports.statistics.blocks import Blocks, blocks
from reports.statistics.ranks import cliques, friedman, ranks

Floats = NDArray[np.float64]
TOP = 9


# Incumbents


def random_events(seed: int, count: int = 60) -> Events:
    """Jobs of random trials in any order: pauses, failures, cuts, ties in time and in loss, recommendations."""
    rng = np.random.default_rng([seed, 1])
    rows: list[tuple[str, float, int, int, float, str]] = []
    stands = dict.fromkeys(range(12), 0)
    now = 0.0
    for _ in range(count):
        now += float(rng.integers(0, 3)) / 2
        trial = int(rng.integers(12))
        if rng.random() < 0.1:
            rows.append(("recommended", now, trial, 0, np.nan, ""))
            continue
        until = int(rng.integers(stands[trial], TOP)) + 1
        rows.append(("started", now, trial, until, np.nan, ""))
        for level in range(stands[trial] + 1, until + 1):
            loss = np.inf if rng.random() < 0.05 else float(rng.integers(0, 12)) / 12
            rows.append(("report", now, trial, level, loss, "running"))
            now += float(rng.integers(0, 2)) / 2
        reason = str(rng.choice(["reached", "paused", "stopped", "failed", "cut"]))
        rows.append(("ended", now, trial, until, np.nan, reason))
        stands[trial] = until % TOP
    kind, time, trial, level, loss, reason = map(np.array, zip(*rows, strict=True))
    return Events(kind, time, trial, level, loss, loss + 0.1, reason)


def until(events: Events, time: float) -> Events:
    """What had happened by a time."""
    return Events(*(column[events.time <= time] for column in events))


def held(events: Events, rule: str) -> tuple[int, float] | None:
    """The trial held after these events and the loss it was chosen for, straight from the words of the rule."""
    last: dict[int, float] = {}
    found: list[tuple[float, float, float, int]] = []
    recommended: tuple[int, float] | None = None
    for kind, time, trial, level, loss, _, reason in zip(*(column.tolist() for column in events), strict=True):
        if kind == "report":
            last[trial] = loss
            if rule == "anyfid" or (rule == "full" and level == TOP):
                found.append((0, loss, time, trial))
        elif kind == "ended" and reason != "cut" and rule in ("maxfid", "recommend") and trial in last:
            found.append((-level, last[trial], time, trial))
        elif kind == "recommended" and np.isfinite(last.get(trial, np.inf)):
            recommended = trial, last[trial]
    best = min((one for one in found if np.isfinite(one[1])), default=None)
    if rule == "recommend" and recommended is not None:
        return recommended
    return None if best is None else (best[3], best[1])


def now_held(path: Trajectory, time: float) -> tuple[int, float] | None:
    """The trial and the loss that a trajectory has at a time."""
    trial, loss = (
        float(incumbent.at(path.times, column.astype(float), np.array([time]))[0])
        for column in (path.trials, path.losses)
    )
    return None if np.isnan(trial) else (int(trial), loss)


@pytest.mark.parametrize("rule", incumbent.RULES)
def test_the_incumbent_is_what_the_rule_says_of_the_events_so_far(rule: str) -> None:
    for seed in range(6):
        events = random_events(seed, 40)
        path = incumbent.walk(incumbent.RULES[rule](events, TOP))
        assert (np.diff(path.times) > 0).all()
        for time in np.unique(events.time):
            past = until(events, time)
            assert now_held(path, time) == held(past, rule), (seed, time)
            seen = incumbent.walk(incumbent.RULES[rule](past, TOP))
            for whole, known in zip(path, seen, strict=True):
                np.testing.assert_array_equal(whole[: len(known)], known)
            assert len(seen.times) == np.sum(path.times <= time)


def test_a_recommendation_stands_until_the_next_whatever_is_found_meanwhile() -> None:
    rows = [
        ("report", 1.0, 0, 3, 0.5, "reached"),
        ("ended", 1.0, 0, 3, np.nan, "reached"),
        ("recommended", 2.0, 7, 0, np.nan, ""),  # of which nothing was reported: nobody can hold it
        ("report", 3.0, 1, 9, 0.4, "reached"),
        ("ended", 3.0, 1, 9, np.nan, "reached"),
        ("recommended", 4.0, 0, 0, np.nan, ""),
        ("report", 5.0, 2, 9, 0.1, "reached"),
        ("ended", 5.0, 2, 9, np.nan, "reached"),
        ("recommended", 6.0, 2, 0, np.nan, ""),
        ("recommended", 7.0, 1, 0, np.nan, ""),
    ]
    kind, time, trial, level, loss, reason = map(np.array, zip(*rows, strict=True))
    path = incumbent.walk(incumbent.recommend(Events(kind, time, trial, level, loss, loss, reason), TOP))
    assert path.times.tolist() == [1, 3, 4, 6, 7]
    assert path.trials.tolist() == [0, 1, 0, 2, 1]
    assert path.losses.tolist() == [0.5, 0.4, 0.5, 0.1, 0.4]


def test_a_method_that_never_recommends_holds_what_maxfid_holds() -> None:
    events = random_events(3)
    silent = Events(*(column[events.kind != "recommended"] for column in events))
    for one, other in zip(
        incumbent.walk(incumbent.recommend(silent, TOP)), incumbent.walk(incumbent.maxfid(silent, TOP)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rule", incumbent.RULES)
def test_a_study_without_events_holds_nothing(rule: str) -> None:
    nothing = until(random_events(0), -1.0)
    assert all(len(column) == 0 for column in incumbent.walk(incumbent.RULES[rule](nothing, TOP)))


# Steps


def random_path(rng: np.random.Generator, count: int = 12, budget: float = 100.0) -> tuple[Floats, Floats]:
    """Rising times, some of them beyond the budget, and values in [0, 1)."""
    return np.sort(rng.random(count)) * 1.3 * budget, rng.random(count)


def test_a_mean_over_log_time_is_that_of_a_fine_grid() -> None:
    rng, evenly = np.random.default_rng(0), (np.arange(200_000) + 0.5) / 200_000
    for _ in range(5):
        times, values = random_path(rng)
        seen = incumbent.at(times, values, 2 * 50**evenly)
        found = steps.mean_over_log_time(times, values, 2.0, 100.0, 0.5)
        assert found == pytest.approx(np.where(np.isnan(seen), 0.5, seen).mean(), abs=1e-4)


def test_a_step_counts_from_its_own_time_on() -> None:
    assert steps.mean_over_log_time(np.array([1.0]), np.array([3.0]), 1.0, 100.0, before=7.0) == 3
    assert steps.mean_over_log_time(np.array([100.0]), np.array([3.0]), 1.0, 100.0, before=7.0) == 7
    assert steps.mean_over_log_time(np.array([10.0]), np.array([3.0]), 1.0, 100.0, before=7.0) == pytest.approx(5)
    assert steps.mean_over_log_time(np.array([]), np.array([]), 1.0, 100.0, before=7.0) == 7


def test_no_mean_sees_what_comes_after_its_end() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        times, values = random_path(rng)
        past = times <= 100
        for later in (values, np.where(past, values, np.nan), np.where(past, values, np.inf)):
            whole = steps.mean_over_log_time(times, later, 1.0, 100.0, before=0.0)
            assert whole == steps.mean_over_log_time(times[past], values[past], 1.0, 100.0, before=0.0)


def test_means_need_a_stretch_of_time() -> None:
    one = np.array([1.0])
    for start, end in ((5.0, 5.0), (0.0, 5.0)):
        with pytest.raises(ValueError, match=f"from {start:g} to 5 s: the end must come after a start above 0"):
            steps.mean_over_log_time(one, one, start, end, before=0.0)


@pytest.mark.parametrize("budget", [1.0, 7200.0, 0.3])
def test_the_grid_of_a_curve(budget: float) -> None:
    grid = steps.grid(budget)
    assert len(grid) == 100
    assert {budget, budget / 10, budget / 100, budget / 1000} <= set(grid.tolist())
    np.testing.assert_allclose(np.diff(np.log(grid)), np.log(1000) / 99)


# Scores


def test_a_score_is_0_at_the_median_config_and_1_at_the_floor() -> None:
    found = scores.score(np.array([5.0, 1.0, 0.1, 0.01, 0.001, 0.0]), 0.01)
    np.testing.assert_allclose(found, [0, 0, 0.5, 1, 1, 1], atol=1e-15)
    assert not np.signbit(found).any()
    regrets = np.sort(np.random.default_rng(2).lognormal(-3, 2, 50))
    assert (np.diff(scores.score(regrets, 1e-4)) <= 0).all()
    assert np.isnan(scores.score(regrets, 1.0)).all()
    with pytest.raises(ValueError, match="floor must be above 0"):
        scores.score(regrets, 0.0)


def test_the_anytime_score_of_one_step_in_closed_form() -> None:
    """A regret r from time t on: the score of r for the part ln(B / t) of the ln 100 that count."""
    for time, share in ((0.01, 1.0), (1.0, 1.0), (10.0, 0.5), (31.6227766, 0.25), (100.0, 0.0)):
        found = scores.anytime_score(np.array([time]), np.array([0.1]), 100.0, 0.01)
        assert found == pytest.approx(0.5 * share)


def test_the_anytime_score_lies_in_0_to_1_and_forgets_the_unit_of_time() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        times, values = random_path(rng)
        regrets = 10 ** (2 - 6 * values)
        found = scores.anytime_score(times, regrets, 100.0, 1e-4)
        assert 0 <= found <= 1
        assert scores.anytime_score(times * 60, regrets, 6000.0, 1e-4) == pytest.approx(found)
        assert scores.anytime_score(times, regrets / 2, 100.0, 1e-4) >= found
    with_end, without = [1.0, 5.0, 5.0], [1.0, 5.0]
    early = scores.anytime_score(np.array(without), np.array([0.5, 0.1]), 100.0, 1e-4)
    assert scores.anytime_score(np.array(with_end), np.array([0.5, 0.1, 0.1]), 100.0, 1e-4) == pytest.approx(early)


def test_overtuning_is_what_was_lost_since_the_best_incumbent() -> None:
    worth = np.array([0.5, 0.1, 1.0, 2.0, 0.5, 0.0])
    np.testing.assert_allclose(scores.overtuning(worth), [0, 0, 0.9, 1.9, 0.4, 0])


def test_the_share_of_configs_as_good_is_that_of_scipy() -> None:
    rng = np.random.default_rng(4)
    table = rng.integers(0, 40, 200) / 10
    losses = np.concatenate([table[:30], rng.random(30) * 4])
    expected = stats.percentileofscore(table, losses, kind="weak") / 100
    np.testing.assert_allclose(scores.share_as_good(losses, table), np.maximum(expected, 1 / 200))
    np.testing.assert_array_equal(scores.share_as_good(np.array([np.inf, np.nan]), table), 1.0)


def test_random_search_equivalents_follow_the_law_of_order_statistics() -> None:
    """The best of N of M configs has the mean rank (M + 1) / (N + 1), so its share is that over M."""
    table = np.sort(np.random.default_rng(5).lognormal(size=80))
    shares = scores.share_as_good(table, table)
    drawn = np.arange(1, 81)
    np.testing.assert_allclose(law_of_random_search(shares, drawn), 81 / (drawn + 1) / 80)
    np.testing.assert_allclose(scores.random_search_equivalent(table, table), 80 / np.arange(1, 81))


def test_random_search_equivalents_are_mean_waiting_times() -> None:
    """Until one of K good ones of M: (M + 1) / (K + 1) without repeats, M / K where each stands there very often."""
    table, good = np.arange(20.0), 3
    for copies in (1, 20, 40):
        worse = np.repeat(np.arange(20) >= good, copies).astype(float)
        none_yet = law_of_random_search(worse, np.arange(1, len(worse) + 1))
        waiting = 1 + none_yet.sum()
        assert waiting == pytest.approx((20 * copies + 1) / (good * copies + 1))
        equivalent = float(scores.random_search_equivalent(table[good - 1 : good], table)[0])
        assert equivalent * (1 - 1 / (good * copies)) < waiting < equivalent


def test_what_only_ranks_configs_survives_any_rising_transformation() -> None:
    rng = np.random.default_rng(6)
    table, losses, times = rng.normal(size=300), rng.normal(size=25), np.sort(rng.random(25))
    hits = [targets.time_to(times, losses, level, 1.0) for level in targets.levels(table)]
    for rising in (np.exp, np.arctan, lambda x: x**3):
        np.testing.assert_array_equal(
            scores.random_search_equivalent(rising(losses), rising(table)),
            scores.random_search_equivalent(losses, table),
        )
        assert [targets.time_to(times, rising(losses), level, 1.0) for level in targets.levels(rising(table))] == hits
        values = rng.integers(0, 9, (4, 30)) / 4
        np.testing.assert_array_equal(ranks(rising(values)), ranks(values))


# Targets


def test_the_targets_of_a_table() -> None:
    assert targets.levels(np.arange(1.0, 4001.0)).tolist() == [400, 40, 4, 2]
    assert targets.levels(np.arange(1.0, 101.0)).tolist() == [10, 2]
    assert targets.levels(np.array([5.0])).tolist() == [5]
    assert targets.levels(np.array([1.0, np.inf, np.inf])).tolist() == []


def test_a_target_is_reached_when_it_is_first_held_and_not_after_the_end() -> None:
    times, values = np.array([1.0, 2.0, 3.0, 4.0]), np.array([9.0, 3.0, 5.0, 1.0])
    assert [targets.time_to(times, values, level, 3.5) for level in (10, 5, 3, 2)] == [1, 2, 2, np.inf]
    assert targets.time_to(times, values, 1.0, 4.0) == 4
    assert targets.time_to(np.array([]), np.array([]), 1.0, 4.0) == np.inf


def test_expected_running_time() -> None:
    times, ends = np.array([3.0, np.inf, 5.0, np.inf]), np.array([9.0, 10.0, 9.0, 20.0])
    assert targets.expected_running_time(times, ends) == (3 + 10 + 5 + 20) / 2
    assert targets.expected_running_time(7 * times, 7 * ends) == 7 * 19
    assert targets.expected_running_time(times[1::2], ends[1::2]) == np.inf


def censored(rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """Times to a target, some infinite, and ends of studies: with ties."""
    ends = rng.integers(5, 30, count).astype(float)
    times = rng.integers(1, 40, count).astype(float)
    return np.where(times <= ends, times, np.inf), ends


def test_the_median_time_is_that_of_kaplan_and_meier() -> None:
    rng = np.random.default_rng(10)
    for _ in range(40):
        times, ends = censored(rng, int(rng.integers(2, 25)))
        hit = np.isfinite(times)
        survival = stats.ecdf(stats.CensoredData(uncensored=times[hit], right=ends[~hit])).sf
        reached = survival.quantiles[survival.probabilities <= 0.5 + 1e-12]
        expected = reached[0] if len(reached) else np.inf
        assert targets.median_time(times, ends).tolist() == [expected]


def test_a_study_that_ends_at_the_time_of_a_hit_was_still_under_way_then() -> None:
    """So one in three hit at 5, and not one in two."""
    assert targets.median_time(np.array([5.0, np.inf, np.inf]), np.array([9.0, 5.0, 9.0])).tolist() == [np.inf]
    assert targets.median_time(np.array([5.0, np.inf, 6.0]), np.array([9.0, 5.0, 9.0])).tolist() == [6]


def test_a_weighted_study_is_a_repeated_one() -> None:
    rng = np.random.default_rng(11)
    times, ends = censored(rng, 15)
    counts = rng.multinomial(15, np.full(15, 1 / 15), size=30)
    found = targets.median_time(times, ends, counts.astype(float))
    expected = [targets.median_time(np.repeat(times, row), np.repeat(ends, row))[0] for row in counts]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(targets.median_time(times, ends, counts / 300), expected)


def test_the_speed_up_is_a_ratio_of_medians() -> None:
    ends, never = np.full(3, 100.0), np.full(3, np.inf)
    fast, slow = np.array([1.0, 2.0, 3.0]), np.array([10.0, 40.0, np.inf])
    assert targets.speed_up((fast, ends), (slow, ends)).tolist() == [20]
    assert targets.speed_up((slow, ends), (fast, ends)).tolist() == [1 / 20]
    assert targets.speed_up((fast, ends), (never, ends)).tolist() == [np.inf]
    assert targets.speed_up((never, ends), (fast, ends)).tolist() == [0]
    assert np.isnan(targets.speed_up((never, ends), (never, ends))).all()


def test_the_share_of_targets_reached_is_an_empirical_distribution() -> None:
    rng = np.random.default_rng(12)
    times = np.where(rng.random((20, 4)) < 0.3, np.inf, rng.integers(0, 30, (20, 4)))
    grid = np.linspace(-1, 40, 83)
    known = stats.ecdf(np.where(np.isinf(times), 1e9, times).ravel()).cdf
    np.testing.assert_allclose(targets.share_reached(times, grid), known.evaluate(grid))
    assert targets.share_reached(np.array([]), grid).tolist() == [0.0] * 83


# Ranks


def test_ranks_are_those_of_scipy_and_of_pandas() -> None:
    values = np.random.default_rng(13).integers(0, 5, (6, 40, 3)).astype(float)
    values[:2, :3] = np.inf
    np.testing.assert_array_equal(ranks(values), stats.rankdata(values, axis=0))
    frame = pd.DataFrame(values[..., 0].T, columns=list("abcdef"), index=range(7, 47))
    frame.iloc[5, 2] = np.nan
    pd.testing.assert_frame_equal(frame_ranks(frame), frame.dropna().rank(axis=1))
    holed = ranks(np.array([[1.0, np.nan], [2.0, 3.0]]))
    np.testing.assert_array_equal(holed, [[1, np.nan], [2, np.nan]])


def test_friedman_is_that_of_scipy_and_its_f_form_follows() -> None:
    rng = np.random.default_rng(14)
    for methods, benchmarks in ((3, 8), (5, 20), (10, 6)):
        values = rng.integers(0, 7, (methods, benchmarks)) + np.linspace(0, 1, methods)[:, None].round()
        known = stats.friedmanchisquare(*values)
        found = friedman(values)
        assert found.chi_squared == pytest.approx(known.statistic, rel=1e-9)
        f = (benchmarks - 1) * known.statistic / (benchmarks * (methods - 1) - known.statistic)
        assert found.f == pytest.approx(f, rel=1e-9)
        assert found.p == pytest.approx(stats.f.sf(f, methods - 1, (methods - 1) * (benchmarks - 1)), rel=1e-9)
    same = np.ones((3, 5))
    assert friedman(same) == (0, 0, 1)
    assert friedman(same + np.arange(3.0)[:, None]).p == 0
    assert np.isnan(friedman(same[:1]).p)


def test_cliques_are_the_largest_runs_of_neighbours_that_are_all_alike() -> None:
    rng = np.random.default_rng(15)
    for _ in range(60):
        count = int(rng.integers(2, 8))
        mean_ranks = rng.permutation(count) + 1.0
        told = rng.random((count, count)) < 0.3
        alike = ~(told | told.T)
        order = np.argsort(mean_ranks).tolist()
        runs = [
            order[start:stop]
            for start, stop in combinations(range(count + 1), 2)
            if stop - start > 1 and all(alike[pair] for pair in combinations(order[start:stop], 2))
        ]
        largest = [tuple(run) for run in runs if not any(set(run) < set(other) for other in runs)]
        assert cliques(mean_ranks, alike) == largest


# Blocks


SUITE = blocks(np.repeat(["a", "b", "c", "d"], [4, 6, 5, 9]), np.repeat(["one", "two", "one"], [10, 5, 9]))


def test_blocks_count_benchmarks_and_families_in_the_order_of_their_first_block() -> None:
    found = blocks(np.array(["z", "a", "z", "m"]), np.array(["q", "b", "q", "q"]))
    assert found.benchmark.tolist() == [0, 1, 0, 2]
    assert found.family.tolist() == [0, 1, 0]
    assert found.seeds.tolist() == [2, 1, 1]
    assert blocks(np.array(["z", "a", "z"])).family.tolist() == [0, 1]
    with pytest.raises(ValueError, match="benchmark z is given two families"):
        blocks(np.array(["z", "z"]), np.array(["q", "b"]))


def test_weights_give_benchmarks_or_families_the_same_say() -> None:
    values = np.random.default_rng(16).normal(size=24)
    per_benchmark = np.array([values[SUITE.benchmark == one].mean() for one in range(4)])
    np.testing.assert_allclose(SUITE.per_benchmark(values), per_benchmark)
    assert SUITE.suite_weights() @ values == pytest.approx(per_benchmark.mean())
    per_family = np.array([per_benchmark[[0, 1, 3]].mean(), per_benchmark[2]])
    np.testing.assert_allclose(SUITE.per_family(values), per_family)
    assert SUITE.family_weights() @ values == pytest.approx(per_family.mean())


def test_the_mean_of_a_method_has_the_same_bits_whoever_else_is_there() -> None:
    values = np.random.default_rng(38).random((50, 90))
    suite = blocks(np.tile(np.arange(3), 30), np.tile(np.array([0, 0, 1]), 30))
    for means in (suite.per_benchmark, suite.per_family):
        together = means(values)
        for row, alone in zip(together, values, strict=True):
            np.testing.assert_array_equal(row, means(alone))


# Aggregates


def once(count: int) -> Floats:
    """Each block once."""
    return np.ones((1, count))


def medians(values: Floats, weights: Floats) -> Floats:
    """The median over the benchmarks of `SUITE`."""
    return aggregates.median(values, SUITE, weights)


def rliable_metrics() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("rliable.metrics", reason="rliable is not installed", exc_type=ImportError)


@pytest.mark.parametrize("seeds", [4, 10, 20])
def test_aggregates_are_those_of_rliable(seeds: int) -> None:
    known = rliable_metrics()
    rng = np.random.default_rng([17, seeds])
    tasks = 6 if seeds % 4 else 7  # runs x tasks a multiple of 4, where rliable trims exactly a quarter
    one, other = rng.normal(0.6, 0.4, (2, seeds, tasks)).round(1)
    suite = blocks(np.tile(np.arange(tasks), seeds))
    flat, weights = one.ravel(), suite.suite_weights()[None, :]
    exact = {"rel": 1e-9, "abs": 1e-9}
    if seeds * tasks % 4 == 0:
        iqm = aggregates.interquartile_mean(flat, weights)[0]
        assert iqm == pytest.approx(float(known.aggregate_iqm(one)), **exact)
    assert aggregates.mean(flat, weights)[0] == pytest.approx(float(known.aggregate_mean(one)), **exact)
    assert aggregates.median(flat, suite, weights)[0] == pytest.approx(float(known.aggregate_median(one)), **exact)
    gap = aggregates.optimality_gap(flat, weights)[0]
    assert gap == pytest.approx(float(known.aggregate_optimality_gap(one)), **exact)
    better = aggregates.superiority(-flat, -other.ravel(), suite, weights)[0]  # theirs: higher is better
    assert better == pytest.approx(float(known.probability_of_improvement(one, other)), **exact)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 40])
def test_the_interquartile_mean_trims_by_weight(count: int) -> None:
    """As scipy's trimmed mean where each run stands there four times, so that a quarter is a whole number of them."""
    values = np.random.default_rng([18, count]).lognormal(size=count)
    found = aggregates.interquartile_mean(values, once(count))[0]
    assert found == pytest.approx(stats.trim_mean(np.repeat(values, 4), 0.25))


@pytest.mark.parametrize(
    "statistic", [aggregates.mean, aggregates.interquartile_mean, aggregates.optimality_gap, medians]
)
def test_a_weighted_run_is_a_repeated_one(statistic: bootstrap.Statistic) -> None:
    rng = np.random.default_rng(19)
    values = rng.normal(0.5, 0.5, 24)
    counts = rng.integers(0, 4, (20, 24))
    counts[0] = np.where(SUITE.benchmark == 1, 0, counts[0])  # a benchmark that is not drawn
    found = statistic(values, counts.astype(float))
    np.testing.assert_allclose(statistic(values, counts / 7), found)  # weights need not sum to one
    if statistic is medians:
        expected = [
            np.median(np.repeat([np.average(values[here], weights=row[here]) for here in drawn(row)], totals(row)))
            for row in counts
        ]
    else:
        expected = [statistic(np.repeat(values, row), once(int(row.sum())))[0] for row in counts]
    np.testing.assert_allclose(found, expected)


def drawn(counts: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """The blocks of each benchmark of which any was drawn."""
    every = [SUITE.benchmark == one for one in range(4)]
    return [here for here in every if counts[here].sum()]


def totals(counts: NDArray[np.int64]) -> list[int]:
    """How often a block of each of those benchmarks was drawn."""
    return [int(counts[here].sum()) for here in drawn(counts)]


def test_the_probability_of_improvement_of_two_methods_adds_up_to_one() -> None:
    rng = np.random.default_rng(20)
    one, other = rng.integers(0, 6, (2, 24)).astype(float)
    weights = bootstrap.over_families(SUITE, 50, rng)
    forth, back = (aggregates.superiority(*pair, SUITE, weights) for pair in ((one, other), (other, one)))
    np.testing.assert_allclose(forth + back, 1)
    assert aggregates.superiority(one, one + 10, SUITE, weights).tolist() == pytest.approx([1.0] * 50)
    expected = []
    for here in (SUITE.benchmark == benchmark for benchmark in range(4)):
        u = stats.mannwhitneyu(other[here], one[here]).statistic
        expected.append(u / here.sum() ** 2)
    assert aggregates.superiority(one, other, SUITE, SUITE.suite_weights()[None])[0] == pytest.approx(np.mean(expected))


def test_wins_count_ties_half_and_what_is_missing_not() -> None:
    found = aggregates.wins(np.array([1.0, 2.0, 3.0, np.nan, 1.0]), np.array([2.0, 2.0, 2.0, 1.0, np.nan]))
    np.testing.assert_array_equal(found, [1, 0.5, 0, np.nan, np.nan])


def test_a_profile_is_the_survival_function_of_the_scores() -> None:
    values = np.random.default_rng(21).integers(0, 11, 40) / 10
    thresholds = np.linspace(-0.05, 1.05, 23)
    found = aggregates.profile(values, thresholds, once(40))[0]
    np.testing.assert_allclose(found, stats.ecdf(values).sf.evaluate(thresholds))
    np.testing.assert_allclose(found, [(values > threshold).mean() for threshold in thresholds])
    assert aggregates.profile(values, values, once(40)).max() < 1  # above, not at


# The bootstrap


SCHEMES: list[bootstrap.Scheme] = [bootstrap.over_seeds, bootstrap.over_families]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_weights_of_a_draw(scheme: bootstrap.Scheme) -> None:
    weights = scheme(SUITE, 3000, np.random.default_rng(22))
    assert weights.shape == (3000, 24)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    plain = SUITE.suite_weights() if scheme is bootstrap.over_seeds else SUITE.family_weights()
    error = 5 * weights.std(axis=0) / np.sqrt(3000)
    assert (np.abs(weights.mean(axis=0) - plain) < error).all()  # each block is drawn as often as it counts
    per_benchmark = np.array([weights[:, SUITE.benchmark == one].sum(axis=1) for one in range(4)]).T
    if scheme is bootstrap.over_seeds:
        np.testing.assert_allclose(per_benchmark, 0.25)
    else:  # of two families; the first has three benchmarks of which three are drawn at each turn
        first = per_benchmark[:, [0, 1, 3]]
        turns = 2 * first.sum(axis=1)
        np.testing.assert_allclose(turns, turns.round(), atol=1e-9)
        np.testing.assert_allclose(6 * first, (6 * first).round(), atol=1e-9)
        assert (np.abs(np.bincount(turns.round().astype(int)) / 3000 - [0.25, 0.5, 0.25]) < 0.04).all()


def test_the_spread_of_a_mean_over_seeds_in_closed_form() -> None:
    values = np.random.default_rng(23).normal(size=24) * (1 + SUITE.benchmark)
    found = bootstrap.resample(values[None], SUITE, aggregates.mean, np.random.default_rng(24))
    expected = sum(values[SUITE.benchmark == one].var(ddof=1) / SUITE.seeds[one] for one in range(4)) / 16
    assert found.center[0] == pytest.approx(SUITE.per_benchmark(values).mean())
    assert found.draws.mean() == pytest.approx(found.center[0], abs=5 * np.sqrt(expected / 10_000))
    assert found.draws.var() == pytest.approx(expected, rel=5 * np.sqrt(2 / 10_000))


def test_the_spread_of_a_mean_over_families_in_closed_form() -> None:
    """Balanced: the variances of families, of benchmarks within, of seeds within, each over how many are drawn."""
    families, members, seeds = 5, 4, 6
    rng = np.random.default_rng(25)
    values = rng.normal(size=(families, 1, 1)) + rng.normal(size=(families, members, 1))
    values = values + rng.normal(size=(families, members, seeds))
    names = np.arange(families * members * seeds)
    suite = blocks(names // seeds, names // seeds // members)
    found = bootstrap.resample(
        values.reshape(1, -1), suite, aggregates.mean, np.random.default_rng(26), scheme=bootstrap.over_families
    )
    expected = (
        values.mean((1, 2)).var()
        + values.mean(2).var(axis=1).mean() / members
        + values.var(axis=2).mean() / members / seeds
    ) / families
    assert found.draws.var() == pytest.approx(expected, rel=5 * np.sqrt(2 / 10_000))


def test_one_benchmark_has_the_percentiles_of_means_of_one_seed_less() -> None:
    values = np.random.default_rng(27).lognormal(size=20)
    suite = blocks(np.zeros(20))
    found = bootstrap.resample(values[None], suite, aggregates.mean, np.random.default_rng(28)).interval()
    means = np.random.default_rng(29).choice(values, (10_000, 19)).mean(axis=1)
    close = 0.08 * float(means.std())  # four Monte-Carlo errors of a 2.5 % quantile of 10,000, in each
    known = stats.bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(29))
    assert means.std() == pytest.approx(float(known.standard_error) * np.sqrt(20 / 19), rel=0.03)
    assert [found.low[0], found.high[0]] == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist(), abs=close)
    assert found.center[0] == pytest.approx(values.mean())


def test_methods_are_drawn_together() -> None:
    rng = np.random.default_rng(30)
    luck = rng.normal(size=24)
    values = np.stack([luck, luck + 2, rng.normal(size=24)])
    found = bootstrap.resample(values, SUITE, aggregates.mean, rng, replicates=2000)
    assert [float(part) for part in found.difference(1, 0)] == pytest.approx([2, 2, 2])
    apart = found.difference(2, 0)
    assert apart.high - apart.low > 0.3
    assert (found.interval().low < found.center).all()
    assert (found.interval().high > found.center).all()


def test_a_missing_block_leaves_its_method_without_a_number() -> None:
    values = np.random.default_rng(31).random((2, 24))
    values[0, 3] = np.nan
    rng = np.random.default_rng(32)
    for statistic in (aggregates.mean, aggregates.interquartile_mean, aggregates.optimality_gap, medians):
        low, high = bootstrap.resample(values, SUITE, statistic, rng, replicates=50).interval()[1:]
        assert np.isnan([low[0], high[0]]).all()
        assert np.isfinite([low[1], high[1]]).all()


def test_a_suite_of_one_seed_has_no_spread_and_says_so_by_its_width() -> None:
    found = bootstrap.resample(
        np.arange(3.0)[None], blocks(np.arange(3)), aggregates.mean, np.random.default_rng(33), replicates=100
    )
    assert np.ptp(found.draws) == 0


# Adding a method


BUDGET = 60.0
METHODS = ("a", "b", "c")


def comparison(methods: tuple[str, ...]) -> pd.DataFrame:
    """Events of random studies on the benchmarks of `SUITE`."""
    frames: list[pd.DataFrame] = []
    seeds = np.concatenate([np.arange(count) for count in SUITE.seeds]).tolist()
    for method in methods:
        for benchmark, seed in zip(SUITE.benchmark.tolist(), seeds, strict=True):
            events = random_events(1000 * METHODS.index(method) + 100 * benchmark + seed, 30)
            identity = {"arm": method, "benchmark": str(benchmark), "seed": seed}
            frames.append(pd.DataFrame(events._asdict()).assign(**identity))
    return pd.concat(frames, ignore_index=True)


def quantities(methods: tuple[str, ...]) -> dict[str, Floats]:
    """Everything that is computed of some methods, a method a row."""
    table, ruler = np.arange(1, 13) / 12, Scale(1 / 12, 0.5, 0.01)
    paths = incumbent.trajectories(comparison(methods), dict.fromkeys("0123", TOP))
    finals = np.random.default_rng(34).permutation(table)
    grid = steps.grid(BUDGET)
    area = np.empty((len(methods), 24))
    hits, curve = np.empty((len(methods), 24, 3)), np.empty((len(methods), 24, len(grid)))
    found: dict[str, Floats] = {}
    for place, path in enumerate(paths.values()):
        at = divmod(place, 24)
        regrets = normalised(finals[path.trials], ruler)
        area[at] = scores.anytime_score(path.times, regrets, BUDGET, ruler.floor)
        hits[at] = [targets.time_to(path.times, finals[path.trials], level, BUDGET) for level in (0.5, 0.2, 0.1)]
        curve[at] = np.nan_to_num(incumbent.at(path.times, scores.score(regrets, ruler.floor), grid))
    found |= {"area": area, "hits": hits, "curve": curve, "per benchmark": SUITE.per_benchmark(area)}
    found["equivalents"] = scores.random_search_equivalent(area, table)
    found["running time"] = np.array([targets.expected_running_time(row, np.full(row.shape, BUDGET)) for row in hits])
    found["median time"] = np.array([targets.median_time(row[:, 0], np.full(24, BUDGET))[0] for row in hits])
    statistics: dict[str, tuple[Floats, Callable[[Floats, Floats], Floats]]] = {
        "mean": (area, aggregates.mean),
        "curve mean": (curve, aggregates.mean),
        "iqm": (area, aggregates.interquartile_mean),
        "median": (area, medians),
        "gap": (area, aggregates.optimality_gap),
        "profile": (area, lambda values, weights: aggregates.profile(values, grid / BUDGET, weights)),
    }
    for scheme in SCHEMES:
        for name, (values, statistic) in statistics.items():
            drawn = bootstrap.resample(
                values, SUITE, statistic, np.random.default_rng(35), scheme=scheme, replicates=600
            )
            found[f"{name} {scheme.__name__}"] = np.stack(drawn.interval(), axis=1)
    found["ranks"] = ranks(-area)
    return found


def test_adding_a_method_changes_ranks_and_nothing_else() -> None:
    alone, pair, all_three = (quantities(METHODS[:count]) for count in (1, 2, 3))
    for few, more in ((alone, pair), (pair, all_three), (alone, all_three)):
        for name, values in few.items():
            if name == "ranks":
                assert (values != more[name][: len(values)]).any()
            else:
                np.testing.assert_array_equal(values, more[name][: len(values)], err_msg=name)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_order_of_blocks_changes_no_estimate(scheme: bootstrap.Scheme) -> None:
    rng = np.random.default_rng(36)
    values, order = rng.random((3, 24)), rng.permutation(24)
    names, families = np.array(list("abcd"))[SUITE.benchmark], SUITE.family[SUITE.benchmark]
    shuffled: Blocks = blocks(names[order], families[order])
    for statistic in (aggregates.mean, aggregates.interquartile_mean, aggregates.optimality_gap):
        one, other = (
            bootstrap.resample(given, suite, statistic, np.random.default_rng(37), scheme=scheme, replicates=4000)
            for given, suite in ((values, SUITE), (values[:, order], shuffled))
        )
        np.testing.assert_allclose(one.center, other.center)
        np.testing.assert_allclose(one.draws.std(axis=0), other.draws.std(axis=0), rtol=0.06)
