"""Inference: tests and intervals agree with other libraries, with brute force, and with what they promise."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports import intervals
from reports.regret import law_of_random_search
from reports.statistics import aggregates, practical, sequential, sign_flip
from reports.statistics.agreement import agreement, orders, tau_b
from reports.statistics.blocks import blocks
from reports.statistics.bootstrap import Resampled, over_families, resample
from reports.statistics.calibration import calibrate, draw
from reports.statistics.detectable import by_design, by_signed_rank
from reports.statistics.differences import differences
from reports.statistics.improvement import improvement, win_rate
from reports.statistics.signed_rank import signed_rank
from reports.statistics.wilcoxon_holm import bars, wilcoxon_holm

INF = np.inf
whole_numbers = st.lists(st.integers(-3, 3), min_size=1, max_size=9).map(lambda drawn: np.array(drawn, dtype=float))


def rng(*key: int) -> np.random.Generator:
    return np.random.default_rng([77, *key])


def all_signs(values: np.ndarray) -> np.ndarray:
    """Every change of sign of some values: shape (2^values, values)."""
    return np.array(list(product((1, -1), repeat=len(values)))) * values


# The door


def test_failures_are_outcomes_and_missing_values_are_refused() -> None:
    found = differences(np.array([1.0, INF, 2.0, INF]), np.array([3.0, 1.0, INF, INF]))
    assert found.tolist() == [-2, INF, -INF, 0]
    with pytest.raises(ValueError, match="pair 1 has no value for one of the two"):
        differences(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"\(2,\) values against \(3,\)"):
        differences(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="there is no pair"):
        differences(np.array([]), np.array([]))


def test_what_has_no_mean_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"1 of 3 differences are infinite .* count a failure as the median config"):
        sign_flip.sign_flip(np.array([1.0, INF, 2.0]))
    with pytest.raises(ValueError, match="an infinite loss has no mean"):
        intervals.paired(np.array([1.0, INF]), np.array([INF, INF]))


# Signed ranks


@pytest.mark.parametrize("n", [1, 2, 5, 8, 20, 50])
def test_signed_ranks_without_ties_are_those_of_scipy(n: int) -> None:
    values = rng(n).normal(0.4, 1, n)
    known = stats.wilcoxon(values, method="exact")
    assert signed_rank(values).p == pytest.approx(known.pvalue, rel=1e-12)


@given(whole_numbers)
def test_signed_ranks_with_ties_and_zeros_are_those_of_all_signs(values: np.ndarray) -> None:
    ranks = stats.rankdata(np.abs(values))
    every = np.abs(np.sign(all_signs(values)) @ ranks)
    found = signed_rank(values)
    assert found.p == pytest.approx(np.mean(every >= every[0] - 1e-9), rel=1e-12)
    assert found.biserial == pytest.approx(np.sign(values) @ ranks / ranks.sum())
    assert (found.wins, found.ties, found.losses) == tuple(int((np.sign(values) == sign).sum()) for sign in (-1, 0, 1))


def test_signed_ranks_with_ties_are_those_of_a_permutation_test_of_scipy() -> None:
    values = np.array([0.0, 1, 1, -1, 2, 2, 3, -2, 5, 0])
    method = stats.PermutationMethod(n_resamples=10_000)
    known: Any = stats.wilcoxon(values, zero_method="zsplit", method=method)
    assert signed_rank(values).p == pytest.approx(known.pvalue, rel=1e-12)


@pytest.mark.parametrize("n", [1, 5, 6, 9, 15])
def test_the_shift_is_the_median_of_walsh_averages_and_its_interval_what_the_test_leaves(n: int) -> None:
    values = rng(1, n).laplace(size=n)
    found = signed_rank(values)
    walsh = [(one + other) / 2 for place, one in enumerate(values) for other in values[place:]]
    assert found.shift == pytest.approx(np.median(walsh))
    if n < 6:
        assert (found.low, found.high) == (-INF, INF)
        return
    for center, inside in ((found.low, 1e-9), (found.high, -1e-9)):
        assert signed_rank(values - center - inside).p > 0.05
        assert signed_rank(values - center + inside).p <= 0.05


def test_a_failure_is_the_largest_difference() -> None:
    with_failures = np.array([INF, 0.2, -0.1, INF, 0.3, -INF, 0.4, 0.5])
    found, known = signed_rank(with_failures), signed_rank(np.clip(with_failures, -99, 99))
    assert (found.p, found.biserial, found.shift) == (known.p, known.biserial, known.shift)
    cancelled = signed_rank(np.array([INF, -INF]))
    assert (cancelled.p, cancelled.shift) == (1, 0)
    assert signed_rank(np.full(7, INF)).low == INF


def test_signed_ranks_without_spread() -> None:
    equal, shifted, one = signed_rank(np.zeros(8)), signed_rank(np.full(8, -2.0)), signed_rank(np.array([3.0]))
    assert (equal.p, equal.low, equal.shift, equal.high, equal.biserial, equal.ties) == (1, 0, 0, 0, 0, 8)
    assert (shifted.p, shifted.low, shifted.high, shifted.biserial) == (2**-7, -2, -2, -1)
    assert (one.p, one.low, one.shift, one.high) == (1, -INF, 3, INF)
    with pytest.raises(ValueError, match="no value"):
        signed_rank(np.array([1.0, np.nan]))


def test_the_interval_of_signed_ranks_covers_as_it_says() -> None:
    drawn = rng(2).laplace(size=(600, 9))
    found = [signed_rank(values) for values in drawn]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert covered == pytest.approx(1 - 2 * 10 / 512, abs=4 * np.sqrt(0.04 * 0.96 / 600))  # cut: P(W <= 5) = 10 / 512
    assert covered == np.mean([one.p > 0.05 for one in found])


# Sign flips


@pytest.mark.parametrize("n", [2, 3, 7, 10])
def test_sign_flips_are_those_of_a_permutation_test_of_scipy(n: int) -> None:
    values = rng(3, n).exponential(size=n) - 0.6
    known = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=2**n)
    assert sign_flip.sign_flip(values) == pytest.approx(known.pvalue, rel=1e-12)


@given(whole_numbers)
def test_sign_flips_with_ties_are_those_of_all_signs(values: np.ndarray) -> None:
    every = np.abs(all_signs(values).sum(axis=1))
    assert sign_flip.sign_flip(values) == pytest.approx(np.mean(every >= every[0] - 1e-9), rel=1e-12)
    assert sign_flip.sign_flip(-values) == sign_flip.sign_flip(values)


@pytest.mark.parametrize("sign", [1, -1])
def test_drawn_sign_flips_agree_with_all_of_them(monkeypatch: pytest.MonkeyPatch, sign: int) -> None:
    values = sign * (rng(5).exponential(size=14) - 0.6)
    exact = sign_flip.sign_flip(values)
    monkeypatch.setattr(sign_flip, "MOST_EXACT", 10)
    found = sign_flip.sign_flip(values)
    assert 0.01 < exact < 0.5
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact / sign_flip.DRAWS))
    assert sign_flip.sign_flip(values) == found


def test_more_pairs_than_are_counted_are_drawn_and_less_than_a_draw_is_never_claimed() -> None:
    assert sign_flip.sign_flip(rng(7).normal(3, 1, 40)) == 1 / (sign_flip.DRAWS + 1)
    assert sign_flip.sign_flip(np.zeros(30)) == 1


def test_sign_flips_without_spread() -> None:
    assert sign_flip.sign_flip(np.full(6, 0.1)) == 1 / 32
    assert sign_flip.sign_flip(np.zeros(6)) == sign_flip.sign_flip(np.array([2.0])) == 1


def test_sign_flips_keep_their_level() -> None:
    found = [sign_flip.sign_flip(values) for values in rng(10).uniform(-1, 1, (400, 8))]
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(2 * 6 / 256, abs=4 * np.sqrt(0.047 * 0.953 / 400))


# Pairs over benchmarks


def suite(methods: int = 5, benchmarks: int = 14) -> np.ndarray:
    return rng(11).normal(size=(methods, benchmarks)) + np.array([0.0, 0.1, 0.2, 1.6, 1.7])[:methods, None]


def test_wilcoxon_with_holm_is_that_of_scipy_with_statsmodels() -> None:
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests

    values = suite()
    tested = wilcoxon_holm(values)
    known = [
        stats.wilcoxon(values[one], values[other], method="exact").pvalue for one, other in combinations(range(5), 2)
    ]
    assert [pair.ranks.p for pair in tested] == pytest.approx(known, rel=1e-9)
    rejected, adjusted, _, _ = multipletests(known, method="holm")
    assert [pair.holm for pair in tested] == pytest.approx(adjusted, rel=1e-9)
    assert [pair.told_apart for pair in tested] == rejected.tolist()
    assert any(rejected) and not all(rejected)


def test_wilcoxon_with_holm_and_its_bars_are_those_of_scikit_posthocs() -> None:
    posthocs, plotting = map(pytest.importorskip, ("scikit_posthocs", "scikit_posthocs._plotting"))

    values = suite()
    tested = wilcoxon_holm(values)
    long = pd.DataFrame(values.T).melt(var_name="method", value_name="value")
    known = posthocs.posthoc_wilcoxon(long, val_col="value", group_col="method", p_adjust="holm")
    for pair in tested:
        assert pair.holm == pytest.approx(known.loc[pair.first, pair.second], rel=1e-9)
    alike = (known > 0.05).astype(int)
    groups = [group for group in plotting._find_maximal_cliques(alike) if len(group) > 1]
    assert {frozenset(group) for group in bars(values, tested)} == {frozenset(group) for group in groups}
    assert len(groups) > 1


def test_against_a_baseline_only_its_pairs_count() -> None:
    values = suite()
    declared = wilcoxon_holm(values, [(0, other) for other in range(1, 5)])
    whole = {(pair.first, pair.second): pair for pair in wilcoxon_holm(values)}
    for pair in declared:
        assert pair.ranks == whole[pair.first, pair.second].ranks
        assert pair.holm <= whole[pair.first, pair.second].holm
    assert wilcoxon_holm(values[:1]) == ()


def test_a_method_more_changes_no_ranks_of_a_pair() -> None:
    few, more = wilcoxon_holm(suite(3)), wilcoxon_holm(suite(5))
    known = {(pair.first, pair.second): pair.ranks for pair in more}
    assert [pair.ranks for pair in few] == [known[pair.first, pair.second] for pair in few]


def test_methods_that_fail_together_tie() -> None:
    values = np.full((2, 8), INF)
    (pair,) = wilcoxon_holm(values)
    assert (pair.holm, pair.told_apart) == (1, False)
    assert bars(values, [pair]) == [(0, 1)]


# Practical equivalence


@pytest.mark.parametrize("region", [0.0, 0.1, 0.5])
def test_practical_equivalence_is_that_of_baycomp(region: float) -> None:
    baycomp = pytest.importorskip("baycomp")
    first, second = rng(12).normal(size=(2, 12)) * 0.5 + np.array([[0.0], [0.25]])
    found = practical.practical(first - second, region, rng(13))
    probable = baycomp.SignedRankTest.sample(second, first, region, nsamples=4_000, random_state=1)
    known = np.bincount(probable.argmax(axis=1), minlength=3) / 4_000
    assert (found.better, found.equal, found.worse) == pytest.approx(known, abs=4 * np.sqrt(0.25 / 4_000))
    assert found.better + found.equal + found.worse == pytest.approx(1)


def test_the_posterior_has_the_moments_of_its_dirichlet_process() -> None:
    values, region = rng(14).normal(0.3, 1, 9), 0.4
    seen, alpha = np.append(values, 0), np.append(np.ones(9), 0.5)
    total = alpha.sum()
    moments = (np.outer(alpha, alpha) + np.diag(alpha)) / (total * (total + 1))
    means = (seen[:, None] + seen[None, :]) / 2
    known = [(moments * where).sum() for where in (means < -region, np.abs(means) <= region, means > region)]
    drawn = practical.posterior(values, region, rng(15))
    error = drawn.std(axis=0) / np.sqrt(practical.DRAWS)
    assert (np.abs(drawn.mean(axis=0) - known) < 4 * error).all()
    assert drawn.sum(axis=1) == pytest.approx(1)


def test_practical_verdicts_on_plain_cases() -> None:
    def verdict(values: list[float], region: float = 0.1) -> str:
        return practical.practical(np.array(values), region, rng(16)).verdict

    assert verdict([-1.0] * 12) == "better"
    assert verdict([1.0] * 12) == "worse"
    assert verdict([0.01, -0.02, 0.0] * 6) == "practically equal"
    assert verdict([INF] * 12) == "worse"
    assert verdict([-1.0, 1.0] * 6) == "undecided"


def test_two_methods_that_are_the_same_are_as_probably_better_as_worse_without_a_region() -> None:
    found = practical.practical(np.zeros(6), 0.0, rng(17))
    assert (found.better, found.equal, found.worse) == (0.5, 0, 0.5)
    with pytest.raises(ValueError, match="a size, at least 0"):
        practical.practical(np.zeros(6), -0.1, rng())


# The probability of improvement


def test_the_win_rate_has_the_interval_of_wilson() -> None:
    proportion_confint = pytest.importorskip("statsmodels.stats.proportion").proportion_confint

    first, second = np.array([1.0, 2, 3, 4, 5, INF, 7]), np.array([2.0, 2, 4, 5, 1, INF, 9])
    found = [float(part) for part in win_rate(first, second)]
    assert found == pytest.approx([5 / 7, *proportion_confint(5, 7, method="wilson")], rel=1e-9)
    assert [float(part) for part in win_rate(first[:1], second[:1])][::2] == [1, 1]
    assert float(win_rate(first, first).center) == 0.5


def test_the_probability_of_improvement_is_that_of_mann_and_whitney() -> None:
    where = blocks(np.repeat(np.arange(4), 6), np.repeat([0, 0, 0, 1], 6))
    first, second = np.round(rng(18).normal(size=(2, 24)), 1)
    shares = [
        stats.mannwhitneyu(second[where.benchmark == one], first[where.benchmark == one]).statistic / 36
        for one in range(4)
    ]
    found = improvement(first, second, where, rng(19), replicates=500)
    assert float(found.center) == pytest.approx(np.mean(shares), rel=1e-9)
    assert found.low < found.center < found.high
    by_family = improvement(first, second, where, rng(19), scheme=over_families, replicates=500)
    assert float(by_family.center) == pytest.approx((np.mean(shares[:3]) + shares[3]) / 2, rel=1e-9)
    back = improvement(second, first, where, rng(19), replicates=500)
    assert [float(part) for part in back] == pytest.approx(
        [1 - float(part) for part in (found.center, found.high, found.low)]
    )
    with pytest.raises(ValueError, match="pair 3 has no value"):
        improvement(np.where(np.arange(24) == 3, np.nan, first), second, where, rng())


# What could have been shown


@pytest.mark.parametrize("tests", [1, 6])
@pytest.mark.parametrize("pairs", [4, 9, 12])
def test_what_cannot_be_significant_by_design_cannot(pairs: int, tests: int) -> None:
    clear = np.full((4 if tests == 6 else 2, pairs), 1.0) * np.arange(4 if tests == 6 else 2)[:, None]
    possible = any(pair.told_apart for pair in wilcoxon_holm(clear))
    assert possible == (by_design(pairs, tests, "benchmark") == "")
    assert possible == np.isfinite(by_signed_rank(1.0, pairs, tests))


def test_by_design_in_words() -> None:
    said = "cannot be significant by design: with 6 pairs of methods it needs at least 8 benchmarks, and there are 7"
    assert by_design(7, 6, "benchmark") == said


@pytest.mark.parametrize(("pairs", "tests"), [(6, 1), (9, 3), (10, 1)])
def test_the_smallest_detectable_shift_has_its_power(pairs: int, tests: int) -> None:
    normal = rng(20, pairs).normal(size=(400, pairs))
    ranks = [signed_rank(values).p <= 0.05 / tests for values in normal + by_signed_rank(1.0, pairs, tests)]
    assert np.mean(ranks) == pytest.approx(0.8, abs=0.05)


def test_several_tests_can_show_only_larger_differences() -> None:
    shifts = [by_signed_rank(1.0, 20, tests) for tests in (1, 6, 45)]
    assert shifts == sorted(shifts)
    known = intervals.smallest_detectable(1.0, 20, 0.05 / 6)
    assert stats.nct.sf(stats.t.ppf(1 - 0.025 / 6, 19), 19, known * np.sqrt(20)) == pytest.approx(0.8, abs=1e-4)


# Looking several times


@pytest.mark.parametrize(
    ("looks", "shape", "known"),
    [  # Jennison & Turnbull 2000, tables 2.1 and 2.3
        (1, sequential.POCOCK, 1.960),
        (2, sequential.POCOCK, 2.178),
        (5, sequential.POCOCK, 2.413),
        (10, sequential.POCOCK, 2.555),
        (2, sequential.OBRIEN_FLEMING, 1.977),
        (5, sequential.OBRIEN_FLEMING, 2.040),
        (10, sequential.OBRIEN_FLEMING, 2.087),
    ],
)
def test_boundaries_are_those_of_the_tables(looks: int, shape: float, known: float) -> None:
    found = sequential.boundary(range(1, looks + 1), shape)
    assert found[-1] == pytest.approx(known, abs=6e-4)
    assert found[0] == pytest.approx(found[-1] * looks ** (0.5 - shape))


def test_the_chance_to_pass_at_uneven_looks_is_that_of_a_normal_vector() -> None:
    critical, information = np.array([2.4, 2.2, 2.1]), np.array([0.2, 0.3, 1.0])
    spread = np.sqrt(np.minimum.outer(information, information) / np.maximum.outer(information, information))
    vector = stats.multivariate_normal(cov=spread, abseps=1e-7, releps=1e-7, maxpts=10**6, seed=21)
    inside: Any = vector.cdf(critical, lower_limit=-critical)
    assert sequential.chance_to_pass(critical, information) == pytest.approx(1 - inside, abs=1e-6)


def test_all_looks_together_hold() -> None:
    """With 95 %, whatever the look at which one stops; single intervals hold far less."""
    declared = sequential.plan(0.1)
    for drawn in (rng(22).normal(size=(3000, 50)), rng(23).laplace(size=(3000, 50))):
        held = {name: np.ones(3000, dtype=bool) for name in ("planned", "single")}
        for seeds in declared.looks:
            seen = drawn[:, :seeds]
            _, low, high = sequential.look(declared, seen).contrasts
            held["planned"] &= (low <= 0) & (high >= 0)
            single = intervals.mean(seen.T)
            held["single"] &= (single.low <= 0) & (single.high >= 0)
        assert held["planned"].mean() == pytest.approx(0.95, abs=0.015)
        assert held["single"].mean() < 0.9


def test_seeds_are_added_in_whole_blocks_until_all_contrasts_are_narrow() -> None:
    declared = sequential.plan(0.5, (5, 10, 15))
    drawn = rng(24).normal(0, 1, (2, 15)) * np.array([[0.01], [0.7]])
    seen = [sequential.look(declared, drawn[:, :seeds]) for seeds in (5, 10, 15)]
    assert [look.next for look in seen] == [10, 15, 0]
    assert seen[0].narrow.tolist() == [True, False]
    assert str(seen[0]) == "1 of 2 contrasts are wider than asked for after 5 seeds: on to 10"
    assert str(sequential.look(declared, drawn[:1, :5])) == (
        "enough: all 1 contrasts are as narrow as asked for after 5 seeds"
    )
    wide = sequential.look(sequential.plan(1e-6, (5,)), drawn[:, :5])
    assert (wide.next, str(wide)) == (
        0,
        "2 of 2 contrasts are wider than asked for after 5 seeds, and no more are planned",
    )


def test_whether_to_go_on_does_not_depend_on_who_leads() -> None:
    declared, drawn = sequential.plan(0.6, (5, 10)), rng(25).normal(size=(3, 5))
    looks = [sequential.look(declared, moved) for moved in (drawn, drawn + 7, -drawn)]
    assert all(look.narrow.tolist() == looks[0].narrow.tolist() for look in looks)


def test_equal_seeds_are_narrow_at_once() -> None:
    found = sequential.look(sequential.plan(0.1), np.zeros((1, 10)))
    assert (found.next, found.contrasts.low.tolist(), found.contrasts.high.tolist()) == (0, [0], [0])


def test_bad_plans_and_undeclared_looks_are_refused() -> None:
    with pytest.raises(ValueError, match="say how narrow they shall be, above 0"):
        sequential.plan(0.0)
    with pytest.raises(ValueError, match="a first look after 1 seed: an interval needs at least 2"):
        sequential.plan(0.1, (1, 2))
    for looks in ((), (10, 10), (20, 10)):
        with pytest.raises(ValueError, match="their numbers must rise, and there must be one"):
            sequential.plan(0.1, looks)
    declared = sequential.plan(0.1)
    with pytest.raises(ValueError, match=r"a look after 7 seeds was not declared: those are after \[10, 20"):
        sequential.look(declared, np.zeros((1, 7)))
    with pytest.raises(ValueError, match="infinite"):
        sequential.look(declared, np.full((1, 10), INF))
    with pytest.raises(ValueError, match="pair 0, 0 has no value"):
        sequential.look(declared, np.full((1, 10), np.nan))


# Agreement of rankings


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12))
def test_tau_b_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, dtype=float).T
    found, known = tau_b(orders(first, 0.5), orders(second, 0.5)), stats.kendalltau(first, second).statistic
    assert found == pytest.approx(known, nan_ok=True)


def test_practically_equal_methods_and_joint_failures_tie() -> None:
    assert orders(np.array([1.0, 1.4, 3.0, INF, INF]), 0.5).tolist() == [0, -1, -1, -1, -1, -1, -1, -1, -1, 0]
    with pytest.raises(ValueError, match="a method has no number"):
        orders(np.array([1.0, np.nan]), 0.5)


def world(values: list[float], noise: float, key: int) -> Resampled:
    """A world of made-up methods, over two benchmarks with ten seeds each."""
    where = blocks(np.repeat([0, 1], 10))
    drawn = np.array(values)[:, None] + noise * rng(26, key).normal(size=(len(values), 20))
    return resample(drawn, where, aggregates.mean, rng(27, key), replicates=400)


def test_agreement_of_two_worlds() -> None:
    clear = agreement(world([1, 2, 3, 4], 0.1, 0), world([10, 20, 30, 40], 0.1, 1), equal=0.5)
    assert (clear.tau, clear.low, clear.high) == (1, 1, 1)
    assert (clear.agreed, clear.opposed, clear.undecided) == (6, 0, 0)
    reverse = agreement(world([1, 2, 3, 4], 0.1, 0), world([4, 3, 2, 1], 0.1, 1), equal=0.5)
    assert (reverse.tau, reverse.opposed) == (-1, 6)
    vague = agreement(world([1, 2, 3, 4], 4.0, 0), world([1, 2, 3, 4], 4.0, 1), equal=0.5)
    assert vague.low < vague.tau <= vague.high
    assert vague.low < 0.5
    assert vague.agreed + vague.opposed + vague.undecided == 6


def test_worlds_without_an_order_and_worlds_that_do_not_fit() -> None:
    level = agreement(world([1, 1, 1], 0.0, 0), world([1, 2, 3], 0.1, 1), equal=0.5)
    assert np.isnan([level.tau, level.low, level.high]).all()
    assert level.undecided == 3
    with pytest.raises(ValueError, match="3 methods and 400 draws in one world, 2 and 400 in the other"):
        agreement(world([1, 2, 3], 0.1, 0), world([1, 2], 0.1, 1), equal=0.5)


# Random search against itself


def test_random_search_is_drawn_by_its_exact_law() -> None:
    table = np.sort(rng(28).normal(size=30))
    for trainings in (1, 4, 29, 30, 99):
        drawn = draw(table, trainings, (20_000,), rng(29, trainings))
        (known,) = law_of_random_search(table, np.array([trainings]))
        assert drawn.mean() == pytest.approx(known, abs=max(5 * drawn.std() / np.sqrt(20_000), 1e-12))
    drawn = draw(table, 4, (20_000,), rng(30))
    assert np.mean(drawn == table[0]) == pytest.approx(4 / 30, abs=0.012)


def test_random_search_against_itself() -> None:
    """The statistics keep their promises; the bounds are four standard errors of 400 suites around them."""
    tables = [np.sort(np.log(rng(31, place).beta(1.3, 3, 200))) for place in range(12)]
    families = np.repeat(["a", "b", "c", "d"], 3)
    found = calibrate(tables, [12] * 12, families.tolist(), seeds=10, suites=400, rng=rng(32), replicates=500)
    assert found.suites == 400
    assert 0.006 <= found.wilcoxon <= 0.094
    assert found.t == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 4800))
    assert found.suite > 0.90
    assert found.suite_difference > 0.90
    assert found.family_difference > 0.90
