"""Freeze-thaw: its kernel against the integral, its posterior against the dense one, its choices by brute force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import block_diag
from scipy.optimize import approx_fprime
from scipy.stats import gamma, multivariate_normal, norm

from harness._parts.decaying import Curves, asymptotes, decay_kernel, freeze_thaw_likelihood
from harness._parts.gp import Factor, Hyperparameters
from harness.known_answers import _rows
from harness.loop import Why, run
from harness.randomness import stream
from harness.samplers.rs import RandomSearch
from harness.schedulers.freeze_thaw import MOST_TIMES, FreezeThawOptimization
from harness.simulated import Simulated
from harness.space import Config
from harness.toys import Toy, toy_benchmark
from harness.types import Benchmark, Event

Array = np.ndarray
TIMES = np.arange(1, 8) / 7
LENGTHS = np.array([3, 1, 7, 2, 5])
LOGARITHMS = np.log([0.4, 0.8, 1.3, 1.2, 0.3, 0.9, 0.05])
"""Two length scales, the signal, then alpha, beta, scale and noise of the curves."""
SHAPES = st.floats(0.05, 20.0)


@given(alpha=SHAPES, beta=SHAPES, a=st.floats(0.0, 5.0), b=st.floats(0.0, 5.0))
def test_the_kernel_is_the_integral_of_exponential_decays(alpha: float, beta: float, a: float, b: float) -> None:
    # Over the logarithm of the rate the integrand is smooth and dies out at both ends: the trapezoid rule is exact.
    logarithm = np.linspace(-30.0 / alpha, np.log(alpha + 60.0), 20_001) - np.log(beta)
    rates = np.exp(logarithm)
    law = gamma(alpha, scale=1.0 / beta).pdf(rates) * rates
    expected = float((law * np.exp(-rates * a) * np.exp(-rates * b)).sum()) * float(logarithm[1] - logarithm[0])
    assert decay_kernel(np.array([a]), np.array([b]), alpha, beta)[0, 0] == pytest.approx(expected, abs=1e-4)


@given(alpha=SHAPES, beta=SHAPES, count=st.integers(1, 40))
def test_the_kernel_is_positive_definite(alpha: float, beta: float, count: int) -> None:
    times = np.arange(count) / 7
    kernel = decay_kernel(times, times, alpha, beta)
    np.testing.assert_allclose(kernel, kernel.T)
    assert np.linalg.eigvalsh(kernel).min() > -1e-12 * count


def matern(a: Array, b: Array) -> Array:
    """The kernel of the asymptotes, written out."""
    d = np.sqrt(5 * (((a[:, None] - b) / np.exp(LOGARITHMS[:2])) ** 2).sum(axis=2))
    return np.exp(LOGARITHMS[2]) * (1 + d + d * d / 3) * np.exp(-d)


def dense(logarithms: Array, x: Array, lengths: Array) -> Array:
    """The covariance of all observations, curve after curve."""
    alpha, beta, scale, noise = np.exp(logarithms[3:])
    blocks = [scale * decay_kernel(TIMES[:n], TIMES[:n], alpha, beta) + noise * np.eye(n) for n in lengths]
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return matern(x, x)[np.ix_(owner, owner)] + block_diag(*blocks)


def observed() -> tuple[Array, Array, Curves]:
    rng = stream("curves")
    x, values = rng.random((5, 2)), rng.random((5, 7)) + 1.0
    known = np.arange(7) < LENGTHS[:, None]
    return x, values[known], Curves(TIMES, np.where(known, values, 0.0), LENGTHS)


def test_the_likelihood_is_that_of_all_observations_at_once() -> None:
    x, targets, curves = observed()
    value, _, constant = freeze_thaw_likelihood(LOGARITHMS, x, curves)
    covariance = dense(LOGARITHMS, x, LENGTHS)
    weights = np.linalg.solve(covariance, np.column_stack([targets, np.ones(len(targets))])).sum(axis=0)
    assert constant == pytest.approx(weights[0] / (weights[1] + 1.0))
    expected = multivariate_normal(np.full(len(targets), constant), covariance).logpdf(targets)
    assert value == pytest.approx(expected + 0.5 * len(targets) * np.log(2 * np.pi))


def test_the_gradient_is_that_of_the_likelihood_and_the_mean_s_prior() -> None:
    x, _, curves = observed()

    def penalised(logarithms: Array) -> float:
        value, _, constant = freeze_thaw_likelihood(logarithms, x, curves)
        return value - 0.5 * constant**2

    _, gradient, _ = freeze_thaw_likelihood(LOGARITHMS, x, curves)
    np.testing.assert_allclose(gradient, approx_fprime(LOGARITHMS, penalised, 1e-6), rtol=1e-3, atol=1e-4)


def test_the_asymptotes_are_those_of_the_dense_process() -> None:
    x, targets, curves = observed()
    others = stream("others").random((6, 2))
    everywhere = np.concatenate([x, others])
    constant = freeze_thaw_likelihood(LOGARITHMS, x, curves)[2]
    owner = np.repeat(np.arange(5), LENGTHS)
    cross, covariance = matern(everywhere, x)[:, owner], dense(LOGARITHMS, x, LENGTHS)
    mean, deviation = asymptotes(LOGARITHMS, everywhere, curves, TIMES, LENGTHS)
    np.testing.assert_allclose(mean, constant + cross @ np.linalg.solve(covariance, targets - constant))
    variance = np.exp(LOGARITHMS[2]) - np.einsum("ij,ji->i", cross, np.linalg.solve(covariance, cross.T))
    np.testing.assert_allclose(deviation**2, variance)
    # One trial makes two steps, and the first of the others is under way: only what is known of them changes.
    expected = np.append(LENGTHS + np.array([0, 2, 0, 0, 0]), 1)
    believed, believer = asymptotes(LOGARITHMS, everywhere, curves, TIMES, expected)
    np.testing.assert_allclose(believed, mean)
    owner = np.repeat(np.arange(6), expected)
    cross, covariance = matern(everywhere, everywhere[:6])[:, owner], dense(LOGARITHMS, everywhere[:6], expected)
    variance = np.exp(LOGARITHMS[2]) - np.einsum("ij,ji->i", cross, np.linalg.solve(covariance, cross.T))
    np.testing.assert_allclose(believer**2, variance)


def test_curves_seen_for_ever_leave_an_ordinary_process() -> None:
    """Where decays have no variance, a curve is its asymptote with independent noise."""
    x, _, _ = observed()
    curves = Curves(TIMES, np.linspace(0, 1, 5)[:, None] * np.ones(7), np.full(5, 7))
    logarithms = np.append(LOGARITHMS[:5], [np.log(1e-12), np.log(0.07)])
    mean, deviation = asymptotes(logarithms, x, curves, TIMES, np.full(5, 7))
    hyper = Hyperparameters(np.exp(logarithms[:2]), float(np.exp(logarithms[2])), 0.01)
    np.testing.assert_allclose((mean, deviation), Factor.of(hyper, x).posterior(np.linspace(0, 1, 5)).predict(x))


def freeze_thaw(benchmark: Benchmark, **options: int) -> FreezeThawOptimization:
    rng = stream("freeze-thaw")
    return FreezeThawOptimization(benchmark, rng, sampler=RandomSearch(benchmark, rng), **options)


def test_the_choice_is_that_of_the_highest_expected_improvement_of_the_asymptote() -> None:
    toy = _rows(14, tuple(range(1, 8)), 3, 20)
    benchmark = toy.benchmark.with_space(toy.benchmark.space.opened())
    scheduler = freeze_thaw(benchmark)
    choose, chosen = scheduler._choose, Counter[bool]()

    def watched(paused: Sequence[int]) -> int | Config | None:
        rows = benchmark.space.free_rows()
        assert rows is not None
        fresh = not len(scheduler._basket) or scheduler._observations >= scheduler._next_fit
        answer = choose(paused)
        if answer is not None and fresh:
            chosen[isinstance(answer, int)] += 1
            promise = by_brute_force(scheduler, paused, rows)
            place = answer if isinstance(answer, int) else tuple(benchmark.space.encode([answer])[0])
            assert promise[place] == pytest.approx(max(promise.values()), rel=1e-5)
        return answer

    scheduler._trials._choose = watched
    played(scheduler, toy, benchmark)
    assert min(chosen.values()) > 3


def by_brute_force(scheduler: FreezeThawOptimization, paused: Sequence[int], rows: Array) -> dict[object, float]:
    """The expected improvement of the asymptote of each paused trial and of each free row."""
    trials, running = scheduler._trials.trials, scheduler._trials.running
    seen = [number for number, trial in enumerate(trials) if trial.curve]
    begun = [*seen, *(number for number in running if number not in seen)]
    expected = np.array([len(trials[number].curve) + (number in running) for number in begun])
    x = np.concatenate([np.array([trials[number].point for number in begun]), rows])
    assert scheduler._logarithms is not None
    mean, deviation = asymptotes(scheduler._logarithms, x, scheduler._curves(seen), scheduler._times, expected)
    z = (mean[: len(seen)].min() - mean) / deviation
    improvement = deviation * (z * norm.cdf(z) + norm.pdf(z))
    old = {number: improvement[begun.index(number)] for number in paused}
    return old | {tuple(row): value for row, value in zip(rows, improvement[len(begun) :], strict=True)}


def played(scheduler: FreezeThawOptimization, toy: Toy, benchmark: Benchmark) -> list[Event]:
    executor = Simulated(toy, benchmark.workers, 0, benchmark.delays)
    log = run(benchmark, scheduler, executor, round(benchmark.budget * 1e9))
    assert log.why in (Why.BUDGET, Why.NOTHING_LEFT), log.error
    return [event for event in log.events if isinstance(event, Event)]


def test_epochs_go_into_good_configs() -> None:
    toy = _rows(100, tuple(range(1, 10)), 4, 60)
    benchmark = toy.benchmark.with_space(toy.benchmark.space.opened())
    scheduler = freeze_thaw(benchmark)
    events = played(scheduler, toy, benchmark)
    rows = [int(scheduler._trials.trials[event.report.trial].config["row"]) for event in events]
    assert sum(row >= 50 for row in rows) < 0.25 * len(rows)


def test_of_many_levels_some_are_modelled() -> None:
    toy = Toy(toy_benchmark(levels=tuple(range(1, 301)), epochs=60))
    benchmark = toy.benchmark.with_space(toy.benchmark.space.opened())
    scheduler = freeze_thaw(benchmark, step=20)
    assert len(scheduler._times) <= MOST_TIMES
    assert scheduler._modelled[[0, -1]].tolist() == [1, 300]
    assert len(played(scheduler, toy, benchmark)) > 100
