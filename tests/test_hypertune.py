"""Hyper-Tune: weights from ranking, delayed promotion, the choice of a config by brute force, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from harness._parts.curve_models import Ensemble, leave_one_out, ranking_weights
from harness._parts.gp import Factor, Hyperparameters
from harness.known_answers import _play, _rows
from harness.loop import Started, Why, run
from harness.methods import parse_method
from harness.randomness import stream
from harness.samplers.rs import RandomSearch
from harness.schedulers.hypertune import HyperTune, _Bracket
from harness.simulated import Simulated
from harness.toys import Toy, toy_benchmark
from harness.types import Benchmark, Event, Objective, Report, Status

LOSSES = np.linspace(0.0, 1.0, 12)
X = LOSSES[:, None]
SMOOTH = Hyperparameters(np.array([0.5]), 1.0, 1e-4)
BLIND = Hyperparameters(np.array([1e-3]), 1.0, 1e-4)
"""Where no input tells anything of another, whoever is left out cannot be ranked."""


def hypertune(benchmark: Benchmark, seed: int = 0, **options: float) -> HyperTune:
    rng = stream("hypertune", seed)
    return HyperTune(benchmark, rng, sampler=RandomSearch(benchmark, rng), **options)  # type: ignore[arg-type]


def test_only_the_process_that_ranks_perfectly_has_weight() -> None:
    luck = stream("luck").permutation(12)
    factors = [Factor.of(SMOOTH, X), Factor.of(SMOOTH, X), Factor.of(BLIND, X)]
    perfect, shuffled = LOSSES - 0.5, LOSSES[luck] - 0.5
    theta = ranking_weights(stream("theta"), factors, [perfect, shuffled, perfect], X, LOSSES)
    np.testing.assert_allclose(theta, [1.0, 0.0, 0.0], atol=1e-12)
    theta = ranking_weights(stream("theta"), factors, [shuffled, -perfect, perfect], X, LOSSES)
    assert theta.sum() == pytest.approx(1.0)
    assert theta[1] == 0.0 < theta[2]


def test_processes_that_rank_equally_well_share() -> None:
    factors = [Factor.of(SMOOTH, X)] * 3
    theta = ranking_weights(stream("theta"), factors, [LOSSES] * 3, X, np.ones(12))
    np.testing.assert_allclose(theta, 1 / 3)


def test_the_level_itself_is_judged_by_what_it_says_of_who_is_left_out() -> None:
    theta = ranking_weights(stream("theta"), [Factor.of(BLIND, X)] * 2, [LOSSES, LOSSES], X, LOSSES)
    assert theta[0] == 1.0  # it was told of them
    rng = stream("x")
    x, targets = rng.random((9, 2)), rng.random(9)
    hyper = Hyperparameters(np.array([0.4, 0.7]), 0.8, 0.05)
    factor = Factor.of(hyper, x)
    mean, deviation = leave_one_out(factor, targets)
    constant = factor.posterior(targets).constant
    for i in range(9):
        rest = np.arange(9) != i
        others = Factor.of(hyper, x[rest])
        expected = others.posterior(np.zeros(8)).predict(x[[i]])[1]
        weights = np.linalg.solve(others.cholesky @ others.cholesky.T, targets[rest] - constant)
        predicted = replace(others.posterior(targets[rest]), weights=weights, constant=constant).mean(x[[i]])
        assert (mean[i], deviation[i]) == pytest.approx((predicted[0], expected[0]), rel=1e-8)


def test_an_ensemble_is_the_weighted_sum_of_independent_processes() -> None:
    one, two = Factor.of(SMOOTH, X).posterior(LOSSES), Factor.of(BLIND, X).posterior(-LOSSES)
    at = np.array([[0.31], [1.4]])
    mean, deviation = Ensemble(np.array([0.25, 0.75]), [one, two]).predict(at)
    (m1, s1), (m2, s2) = one.predict(at), two.predict(at)
    np.testing.assert_allclose(mean, 0.25 * m1 + 0.75 * m2)
    np.testing.assert_allclose(deviation**2, (0.25 * s1) ** 2 + (0.75 * s2) ** 2)


def test_promotion_is_delayed_until_the_rung_has_enough_for_one_more() -> None:
    bracket, promoted = _Bracket((1, 3, 9), 3), list[int | None]()
    for trial, loss in enumerate([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0]):
        bracket.add(1, loss, trial, waits=True)
        promoted.append(bracket.promote(1))
    # Without the delay every trial after the third would go on at once: each is the best so far.
    assert promoted == [None, None, 2, None, None, 5, None]
    assert bracket.promote(3) is None


@pytest.mark.parametrize("seed", range(2))
def test_rungs_keep_the_proportions_of_halving(seed: int) -> None:
    toy = Toy(replace(toy_benchmark(epochs=40, levels=tuple(range(1, 28))), workers=9))
    benchmark = toy.benchmark.with_space(toy.benchmark.space.opened())
    scheduler = hypertune(benchmark, seed)
    _play_scheduler(scheduler, toy, benchmark)
    let_on = [bracket._let_on for bracket in scheduler.brackets]
    assert sum(sum(counts.values()) for counts in let_on) > 5
    for bracket, counts in zip(scheduler.brackets, let_on, strict=True):
        for level, count in counts.items():
            assert 3 * count <= len(bracket._rungs[level])


def _play_scheduler(scheduler: HyperTune, toy: Toy, benchmark: Benchmark) -> None:

    log = run(
        benchmark, scheduler, Simulated(toy, benchmark.workers, 0, benchmark.delays), round(benchmark.budget * 1e9)
    )
    assert log.why == Why.BUDGET, log.error


def test_brackets_have_the_shares_of_hyperband_and_then_those_of_trust_by_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = hypertune(toy_benchmark())
    assert scheduler.levels == (1, 3, 9)
    expected = np.array([3 / (3 * 1), 3 / (2 * 3), 3 / (1 * 9)])
    np.testing.assert_allclose(scheduler.shares(), expected / expected.sum())
    for trial, loss in enumerate((1.0, np.inf, 2.0, 3.0)):
        assert scheduler.shares()[0] == pytest.approx(expected[0] / expected.sum())
        scheduler._surrogates[2].add(np.full(7, 0.1 * trial), loss, trial)
    monkeypatch.setattr(scheduler, "_theta", lambda: np.array([0.5, 0.1, 0.4]))
    weights = np.array([0.5, 0.1 / 3, 0.4 / 9])
    np.testing.assert_allclose(scheduler.shares(), weights / weights.sum())
    drawn = np.bincount([scheduler._draw_bracket() for _ in range(4000)], minlength=3) / 4000
    np.testing.assert_allclose(drawn, weights / weights.sum(), atol=0.03)


def test_new_trials_begin_in_every_bracket() -> None:
    _, log = _play(parse_method("hypertune"), _rows(200, (1, 3, 9), 4, 100), seed=1)
    first = {}
    for event in log.events:
        if isinstance(event, Started):
            first.setdefault(event.job.trial, event.job.until)
    assert set(first.values()) == {1, 3, 9}
    assert list(first.values()).count(1) > list(first.values()).count(9)


def test_the_row_of_the_highest_expected_improvement_is_proposed() -> None:
    toy = _rows(40, (1, 3, 9), 4, 100)
    benchmark = toy.benchmark.with_space(toy.benchmark.space.opened())
    scheduler = hypertune(benchmark)
    compared = 0
    for turn in range(24):
        rows, begun = benchmark.space.free_rows(), len(scheduler._configs)
        job = scheduler.ask()
        assert rows is not None
        assert job is not None
        if turn >= 12 and job.trial == begun:
            del scheduler._running[job.trial]
            theta, used = scheduler._theta(), np.flatnonzero(scheduler._theta())
            running = benchmark.space.encode(list(scheduler._running.values()))
            mean, variance = np.zeros(len(rows)), np.zeros(len(rows))
            means = np.zeros(0)
            for index in used:
                surrogate = scheduler._surrogates[index]
                targets = surrogate.targets()
                belief = Factor.of(
                    surrogate.factor().hyperparameters, np.concatenate([surrogate.x, running])
                ).posterior(np.append(targets, [np.median(targets)] * len(running)))
                m, s = belief.predict(rows)
                mean, variance = mean + theta[index] * m, variance + (theta[index] * s) ** 2
                top = max(i for i, one in enumerate(scheduler._surrogates) if len(one.losses) >= 3)
                there = belief.mean(scheduler._surrogates[top].x)
                means = theta[index] * there + (means if len(means) else 0.0)
            deviation = np.sqrt(variance)
            z = (means.min() - mean) / deviation
            improvement = deviation * (z * norm.cdf(z) + norm.pdf(z))
            place = np.flatnonzero((rows == benchmark.space.encode([job.config])[0]).all(axis=1))[0]
            assert improvement[place] == pytest.approx(improvement.max(), rel=1e-6)
            scheduler._running[job.trial] = job.config
            compared += 1
        if turn % 4:  # some are under way while the next is proposed
            loss = toy.curve(job.config, 0).losses[job.until // 4][0]
            scheduler.tell(Report(job.trial, job.until, (loss,), {}, 1.0, Status.REACHED))
    assert compared > 3


def test_it_finds_what_random_search_does_not() -> None:
    best = {}
    for text in ("hypertune", "rs"):
        found: list[float] = []
        for seed in range(3):
            _, log = _play(parse_method(text), _rows(200, (1, 3, 9), 4, 30), seed)
            found.append(min(event.report.losses[0] for event in log.events if isinstance(event, Event)))
        best[text] = np.mean(found)
    assert best["hypertune"] < best["rs"]


def test_a_failed_trial_is_not_resumed_and_counts_as_the_worst() -> None:
    scheduler = hypertune(toy_benchmark(), eta=2)
    jobs = [scheduler.ask() for _ in range(6)]
    for job in jobs:
        assert job is not None
        loss, status = (np.inf, Status.FAILED) if job.trial else (1.0, Status.REACHED)
        scheduler.tell(Report(job.trial, job.until if job.trial == 0 else 0, (loss,), {}, 1.0, status))
    following = [scheduler.ask() for _ in range(4)]
    assert all(job is not None and (job.trial > 5 or job.trial == 0) for job in following)


def test_what_it_cannot_do_is_refused() -> None:
    benchmark = toy_benchmark()
    with pytest.raises(ValueError, match="models one objective, but 'toy' has 2"):
        hypertune(replace(benchmark, objectives=(Objective("loss"), Objective("size"))))
    with pytest.raises(ValueError, match="initial >= 1"):
        hypertune(benchmark, initial=0)
    with pytest.raises(ValueError, match="eta must be greater than 1"):
        hypertune(benchmark, eta=1)
