"""Laws of the Gaussian process, its acquisition and its sampler; the oracles are scikit-learn and integration."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

from harness._parts.acquisition import (
    log_expected_improvement,
    log_expected_improvement_with_gradient,
    log_improvement_of_standard,
    refine,
)
from harness._parts.config_model import ConfigModel, thinned
from harness._parts.gp import Factor, Hyperparameters, fit_hyperparameters, log_marginal_likelihood
from harness._parts.observations import standardised
from harness.plug_ins import read_plug_in
from harness.samplers.gp import GaussianProcessSampler
from harness.schedulers.asha import Asha
from harness.space import Config, Space, choice, loguniform, randint, uniform
from harness.types import Benchmark, Fidelity, Objective, Report, Status

HYPER = Hyperparameters(np.array([0.3, 0.8, 2.5]), 1.7, 0.02)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in every study; a second BLAS thread waits far longer for a busy core than matrices of this size take."""
    with threadpool_limits(1):
        yield


def problem(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, 3) and noisy targets (n,), of about unit variance."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 3))
    y = np.sin(6 * x[:, 0]) + x[:, 1] ** 2 + 0.1 * rng.standard_normal(n)
    return x, 1.3 * (y - 0.5)


def oracle(hyper: Hyperparameters, x: np.ndarray, y: np.ndarray, noisy: bool) -> GaussianProcessRegressor:
    """Scikit-learn's process with our hyperparameters; the noise as a part of the kernel where `noisy`."""
    kernel = ConstantKernel(hyper.signal) * Matern(hyper.length_scales, nu=2.5)
    if noisy:
        return GaussianProcessRegressor(kernel + WhiteKernel(hyper.noise), alpha=0, optimizer=None).fit(x, y)
    return GaussianProcessRegressor(kernel, alpha=hyper.noise, optimizer=None).fit(x, y)


def benchmark_of(space: Space, levels: tuple[int, ...] = (1,), objectives: int = 1) -> Benchmark:
    """A benchmark around a space."""
    names = tuple(Objective(f"loss{i}") for i in range(objectives))
    return Benchmark("toy", space.opened(), names, Fidelity("epoch", levels), 100.0, 2)


# -- the process ------------------------------------------------------------------------------------------------------


def test_posterior_is_that_of_scikit_learn() -> None:
    x, y = problem(40)
    points = np.random.default_rng(1).random((25, 3))
    posterior = Factor.of(HYPER, x).posterior(y)
    mean, deviation = posterior.predict(points)
    expected, expected_deviation = oracle(HYPER, x, y - posterior.constant, noisy=False).predict(
        points, return_std=True
    )
    np.testing.assert_allclose(mean, expected + posterior.constant, atol=1e-8)
    np.testing.assert_allclose(deviation, expected_deviation, atol=1e-7)
    np.testing.assert_allclose(posterior.mean(points), mean, atol=1e-12)


def test_likelihood_and_its_gradient_are_those_of_scikit_learn() -> None:
    x, y = problem(40)
    value, gradient, constant = log_marginal_likelihood(HYPER.pack(), x, y)
    theirs = oracle(HYPER, x, y - constant, noisy=True)
    expected, slopes = theirs.log_marginal_likelihood(theirs.kernel_.theta, eval_gradient=True)
    assert value == pytest.approx(expected, abs=1e-8)
    # Scikit-learn's order is signal, length scales, noise.
    np.testing.assert_allclose(gradient, np.concatenate([slopes[1:-1], slopes[:1], slopes[-1:]]), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("n", [1, 2, 30])
def test_likelihood_gradient_agrees_with_finite_differences(n: int) -> None:
    x, y = problem(n)
    logarithms = HYPER.pack()

    def objective(at: np.ndarray) -> float:
        value, _, constant = log_marginal_likelihood(at, x, y)
        return value - 0.5 * constant**2

    _, gradient, _ = log_marginal_likelihood(logarithms, x, y)
    np.testing.assert_allclose(gradient, approx_fprime(logarithms, objective, 1e-6), rtol=1e-3, atol=1e-4)


def test_mean_is_the_best_under_its_prior() -> None:
    x, y = problem(20)
    value, _, constant = log_marginal_likelihood(HYPER.pack(), x, y + 0.7)
    covariance = oracle(HYPER, x, y, noisy=True).kernel_(x)
    for other in (constant - 0.05, constant, constant + 0.05):
        residual = y + 0.7 - other
        _, log_determinant = np.linalg.slogdet(2 * np.pi * covariance)
        likelihood = -0.5 * residual @ np.linalg.solve(covariance, residual) - 0.5 * log_determinant
        assert likelihood - 0.5 * other**2 <= value - 0.5 * constant**2 + 1e-9


def test_fit_finds_what_matters_and_never_ends_below_its_start() -> None:
    x, y = problem(60)
    start = Hyperparameters.default(3)
    found = fit_hyperparameters(x, y, [start], iterations=50)
    assert log_marginal_likelihood(found.pack(), x, y)[0] > log_marginal_likelihood(start.pack(), x, y)[0]
    assert found.length_scales[0] < found.length_scales[1] < found.length_scales[2]
    twice = fit_hyperparameters(x, y, [start, found], iterations=50)
    assert twice.pack().tobytes() == fit_hyperparameters(x, y, [start, found], iterations=50).pack().tobytes()


@pytest.mark.parametrize("steps", [[1] * 12, [5, 0, 7], [12]])
def test_grown_factor_is_the_full_factor(steps: list[int]) -> None:
    x, y = problem(30)
    grown, place = Factor.of(HYPER, x[:18]), 18
    for step in steps:
        grown, place = grown.grown(x[place : place + step]), place + step
    full = Factor.of(HYPER, x)
    np.testing.assert_allclose(grown.cholesky, full.cholesky, atol=1e-10)
    np.testing.assert_allclose(grown.posterior(y).weights, full.posterior(y).weights, atol=1e-8)


def test_duplicates_are_no_trouble_even_without_noise() -> None:
    x = np.repeat(problem(3)[0], 10, axis=0)
    y = np.repeat([1.0, -1.0, 0.0], 10)
    silent = Hyperparameters(np.ones(3), 1.0, 1e-18)
    for factor in (Factor.of(silent, x), Factor.of(silent, x[:5]).grown(x[5:])):
        mean, deviation = factor.posterior(y).predict(x)
        np.testing.assert_allclose(mean, y, atol=1e-2)
        assert np.isfinite(deviation).all()
    fitted = fit_hyperparameters(x, y, [Hyperparameters.default(3)], iterations=20)
    assert np.isfinite(fitted.pack()).all()


@pytest.mark.parametrize("n", [1, 2, 7])
def test_one_point_and_equal_targets_fit(n: int) -> None:
    x, _ = problem(n)
    fitted = fit_hyperparameters(x, np.zeros(n), [Hyperparameters.default(3)], iterations=30)
    mean, deviation = Factor.of(fitted, x).posterior(np.zeros(n)).predict(problem(5, seed=3)[0])
    np.testing.assert_allclose(mean, 0.0, atol=1e-12)
    assert (deviation > 0).all() and np.isfinite(deviation).all()


def test_gradients_of_the_posterior_agree_with_finite_differences() -> None:
    x, y = problem(30)
    posterior = Factor.of(HYPER, x).posterior(y)
    points = np.random.default_rng(2).random((4, 3))
    _, _, of_mean, of_deviation = posterior.predict_with_gradient(points)
    for i, point in enumerate(points):
        slopes = approx_fprime(point, lambda p: posterior.predict(p[None])[0][0], 1e-6)
        np.testing.assert_allclose(of_mean[i], slopes, rtol=1e-3, atol=1e-4)
        slopes = approx_fprime(point, lambda p: posterior.predict(p[None])[1][0], 1e-6)
        np.testing.assert_allclose(of_deviation[i], slopes, rtol=1e-3, atol=1e-4)


def test_believing_keeps_the_mean_and_lowers_the_deviation() -> None:
    x, y = problem(25)
    posterior = Factor.of(HYPER, x).posterior(y)
    under_way = np.random.default_rng(4).random((3, 3))
    points = np.concatenate([under_way, np.random.default_rng(5).random((20, 3))])
    mean, deviation = posterior.predict(points)
    believed, surer = posterior.believing(under_way).predict(points)
    np.testing.assert_allclose(believed, mean, atol=1e-9)
    assert (surer <= deviation + 1e-9).all() and (surer[:3] < 0.5 * deviation[:3]).all()
    # It is what seeing the means would give, the hyperparameters and the constant as they are.
    theirs = oracle(
        HYPER,
        np.concatenate([x, under_way]),
        np.concatenate([y, mean[:3]]) - posterior.constant,
        noisy=False,
    )
    expected, expected_deviation = theirs.predict(points, return_std=True)
    np.testing.assert_allclose(believed, expected + posterior.constant, atol=1e-7)
    np.testing.assert_allclose(surer, expected_deviation, atol=1e-6)


# -- expected improvement ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "deviation", "best"),
    [(0.0, 1.0, 0.3), (2.0, 0.5, 0.0), (-1.0, 2.0, 0.5), (0.0, 1.0, -6.0), (0.0, 1.0, -20.0)],
)
def test_log_improvement_is_the_log_of_the_integral(mean: float, deviation: float, best: float) -> None:
    # With v = best - u, shifted by the density at `best` so that the integral does not underflow far out.
    scale = norm.logpdf(best, mean, deviation)
    z = (best - mean) / deviation
    decay = deviation / max(1.0, abs(z))
    end = 60 * decay if z < 0 else 40 * deviation + abs(best - mean)
    integral, _ = quad(
        lambda u: u * math.exp(norm.logpdf(best - u, mean, deviation) - scale),
        0,
        end,
        epsabs=0,
        epsrel=1e-10,
        limit=200,
    )
    (value,) = log_expected_improvement(np.array([mean]), np.array([deviation]), best)
    assert value == pytest.approx(math.log(integral) + scale, rel=1e-8, abs=1e-8)


def test_log_improvement_has_no_seams_and_no_underflow() -> None:
    for seam in (-1.0, -50.0):
        below, above = log_improvement_of_standard(np.array([seam - 1e-9, seam + 1e-9]))
        assert above - below == pytest.approx(2e-9 * max(1.0, -seam), abs=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        z = np.array([-1e8, -1e4, -300.0, -60.0, -50.0, -40.0, -5.0, -1.0, 0.0, 3.0, 1e4])
        values = log_improvement_of_standard(z)
    assert np.isfinite(values).all() and (np.diff(values) > 0).all()
    assert values[-1] == pytest.approx(math.log(1e4))


@pytest.mark.parametrize("best", [-3.0, -0.5, 1.0, -100.0])
def test_gradient_of_log_improvement_agrees_with_finite_differences(best: float) -> None:
    x, y = problem(30)
    posterior = Factor.of(HYPER, x).posterior(y)
    points = np.random.default_rng(6).random((4, 3))
    values, gradient = log_expected_improvement_with_gradient(posterior, points, best)

    def value(point: np.ndarray) -> float:
        mean, deviation = posterior.predict(point[None])
        return float(log_expected_improvement(mean, deviation, best)[0])

    for i, point in enumerate(points):
        assert values[i] == pytest.approx(value(point), rel=1e-9)
        slopes = np.array([(value(point + step) - value(point - step)) / 2e-6 for step in 1e-6 * np.eye(3)])
        np.testing.assert_allclose(gradient[i], slopes, rtol=1e-3, atol=1e-3)


def test_refining_climbs_and_stays_in_its_bounds() -> None:
    x, y = problem(30)
    posterior = Factor.of(HYPER, x).posterior(y)
    starts = np.random.default_rng(7).random((3, 3))
    starts[:, 2] = 0.4
    before = log_expected_improvement(*posterior.predict(starts), -1.5)
    points, values = refine(posterior, starts, -1.5, [(0.0, 1.0), (0.0, 1.0), (0.4, 0.4)], iterations=30)
    assert values.sum() > before.sum()
    assert (points >= 0).all() and (points <= 1).all() and (points[:, 2] == 0.4).all()


# -- targets and the data that is kept --------------------------------------------------------------------------------


def test_targets_are_standardised_whatever_failed() -> None:
    losses = np.array([3.5, 3.6, 3.55, 3.7, 3.65, 18.6, math.inf, math.nan])
    targets = standardised(losses)
    assert targets.mean() == pytest.approx(0.0, abs=1e-12) and targets.std() == pytest.approx(1.0)
    assert (np.argsort(targets[:5]) == np.argsort(losses[:5])).all()
    assert targets[5] == targets[6] == targets[7] == targets.max()
    assert targets[3] - targets[0] > 0.5, "a diverged loss must not flatten the good ones"
    np.testing.assert_allclose(standardised(1e6 * losses[:6] + 7), standardised(losses[:6]), atol=1e-6)


@pytest.mark.parametrize("losses", [[0.1] * 7, [math.inf] * 3, [2.0], [math.inf]])
def test_equal_losses_make_zero_targets(losses: list[float]) -> None:
    assert (standardised(np.array(losses)) == 0).all()


def test_failures_are_told_apart_where_all_else_is_equal() -> None:
    targets = standardised(np.array([2.0, 2.0, math.inf, 2.0]))
    assert targets[2] > 0 > targets[0] == targets[1] == targets[3]


def test_most_losses_equal_to_the_best_are_not_all_there_is() -> None:
    targets = standardised(np.array([0.0, 0.0, 0.0, 1.0, 2.0]))
    assert targets[0] < targets[3] < targets[4]


def test_thinning_keeps_high_resources_the_best_and_the_recent() -> None:
    resources = [1] * 100 + [9] * 10
    losses = [float((37 * i) % 100) for i in range(100)] + [5.0] * 10
    kept = thinned(resources, losses, 50)
    assert kept == sorted(set(kept)) and len(kept) == 50
    assert set(range(100, 110)) <= set(kept)
    best = sorted(range(100), key=lambda i: losses[i])[:10]
    assert set(best) <= set(kept)
    others = [i for i in range(99, -1, -1) if i not in best][:30]
    assert set(kept) == set(range(100, 110)) | set(best) | set(others)


# -- the sampler ------------------------------------------------------------------------------------------------------

SQUARE = Space({"x": uniform(0.0, 1.0), "y": uniform(0.0, 1.0)})
MIXED = Space(
    {"lr": loguniform(1e-4, 1.0), "layers": randint(1, 4), "kind": choice(["a", "b", "c"])},
)


def play(sampler: GaussianProcessSampler, trainings: int, workers: int = 2) -> list[Config]:
    """What the sampler proposes for a bowl in the unit square, each loss known `workers` suggestions later."""
    running: list[Config] = []
    proposed: list[Config] = []
    for _ in range(trainings):
        config = sampler.suggest(running)
        assert config is not None
        proposed.append(config)
        running.append(config)
        if len(running) == workers:
            done = running.pop(0)
            sampler.observe(done, 1, ((float(done["x"]) - 0.3) ** 2 + (float(done["y"]) - 0.8) ** 2,))
    return proposed


def log_improvements(
    sampler: GaussianProcessSampler, pending: list[Config], points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What points (m, dim) may gain over the lowest mean, its logarithm, and their means: by a process built anew.

    Its hyperparameters are those that the sampler fitted last. Trials under way are told of as if they had come out at
    their means. All was observed at one resource.
    """
    model = sampler._model
    assert model._factor is not None
    hyper, targets = model._factor.hyperparameters, standardised(np.array(model._losses))
    seen = model.warping(np.array(model._inputs))
    there = np.concatenate([seen, model.warping(model.inputs(sampler._space.encode(pending), 1))])
    means = Factor.of(hyper, seen).posterior(targets).mean(there)
    belief = Factor.of(hyper, there).posterior(np.concatenate([targets, means[len(seen) :]]))
    mean, deviation = belief.predict(model.warping(model.inputs(points, 1)))
    return log_expected_improvement(mean, deviation, float(means.min())), mean


def play_on_rows(sampler: GaussianProcessSampler) -> list[Config]:
    """As `play` with two workers, until no row is free; the model takes the row of highest improvement each time."""
    running, proposed, greedy = list[Config](), list[Config](), list[bool]()
    while True:
        free = sampler._space.free_rows()
        config = sampler.suggest(running)
        if config is None:
            break
        if len(sampler._observed) >= 3:
            assert free is not None
            gains, means = log_improvements(sampler, running, free)
            (place,) = np.flatnonzero((free == sampler._space.encode([config])).all(axis=1))
            assert gains[place] == pytest.approx(gains.max(), rel=1e-4, abs=1e-4)
            greedy.append(bool(means[place] == means.min()))
        proposed.append(config)
        running.append(config)
        if len(running) == 2:
            done = running.pop(0)
            sampler.observe(done, 1, ((float(done["x"]) - 0.3) ** 2 + (float(done["y"]) - 0.8) ** 2,))
    assert greedy and not all(greedy), "at times the lowest mean is another row's"
    return proposed


def test_same_inputs_same_proposals() -> None:
    runs = [play(GaussianProcessSampler(benchmark_of(SQUARE), np.random.default_rng(3)), 25) for _ in range(2)]
    assert runs[0] == runs[1]


def test_it_finds_the_bottom_of_a_bowl() -> None:
    proposed = play(GaussianProcessSampler(benchmark_of(SQUARE), np.random.default_rng(0)), 25)
    assert min((float(c["x"]) - 0.3) ** 2 + (float(c["y"]) - 0.8) ** 2 for c in proposed) < 1e-4


def test_pending_trials_are_not_proposed_again() -> None:
    sampler = GaussianProcessSampler(benchmark_of(SQUARE), np.random.default_rng(1))
    play(sampler, 12)
    running: list[Config] = []
    for _ in range(4):
        config = sampler.suggest(running)
        assert config is not None
        running.append(config)
    points = SQUARE.encode(running)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(4, 1)]
    assert apart.min() > 1e-3


def test_on_rows_it_takes_the_row_of_highest_improvement_until_none_is_free() -> None:
    rows = [{"x": i / 7, "y": j / 3} for i in range(8) for j in range(4)]
    sampler = GaussianProcessSampler(benchmark_of(SQUARE.restricted(rows)), np.random.default_rng(2))
    proposed = play_on_rows(sampler)
    assert sorted(map(SQUARE.key, proposed)) == sorted(map(SQUARE.key, rows))
    good = [(c["x"] - 0.3) ** 2 + (c["y"] - 0.8) ** 2 for c in proposed]
    assert int(np.argmin(good)) < 16


def test_integers_choices_and_failures_are_proposed_and_survived() -> None:
    sampler = GaussianProcessSampler(benchmark_of(MIXED), np.random.default_rng(5))
    seen: set[tuple[object, ...]] = set()
    for index in range(20):
        config = sampler.suggest([])
        assert config is not None
        MIXED.check(config)
        seen.add(MIXED.key(config))
        sampler.observe(config, 1, (math.inf if index % 3 == 0 else 1e3 * float(config["lr"]),))
    assert len(seen) == 20


def test_a_finite_space_is_proposed_whole_and_then_nothing() -> None:
    space = Space({"layers": randint(1, 4), "kind": choice(["a", "b", "c"])})
    sampler = GaussianProcessSampler(benchmark_of(space), np.random.default_rng(6))
    seen: set[tuple[object, ...]] = set()
    while (config := sampler.suggest([])) is not None:
        seen.add(space.key(config))
        sampler.observe(config, 1, (float(config["layers"]),))
    assert len(seen) == 12


@pytest.mark.parametrize("losses", [[math.inf] * 8, [1.0] * 8, [math.inf, 1.0, math.inf, math.inf, 2.0]])
def test_degenerate_losses_do_not_stop_it(losses: list[float]) -> None:
    sampler = GaussianProcessSampler(benchmark_of(SQUARE), np.random.default_rng(7), initial=1)
    for loss in losses:
        config = sampler.suggest([])
        assert config is not None
        sampler.observe(config, 0 if math.isinf(loss) else 1, (loss,))
    assert sampler.suggest([]) is not None


def test_improvement_is_sought_at_the_highest_resource_with_three_losses() -> None:
    sampler = GaussianProcessSampler(benchmark_of(SQUARE, (1, 3, 9)), np.random.default_rng(8))
    model, rng = sampler._model, np.random.default_rng(0)
    for resource, expected in [(1, 1)] * 5 + [(3, 1), (3, 1), (3, 3), (9, 3), (9, 3), (9, 9)]:
        sampler.observe(SQUARE.sample(rng, 1)[0], resource, (float(rng.random()),))
        assert model.target() == expected
    sampler.observe(SQUARE.sample(rng, 1)[0], 1, (math.inf,))
    assert model.target() == 9 and model._resources[-1] == 9, "a failure counts where improvement is sought"


def test_a_failure_is_the_worst_of_those_at_its_resource() -> None:
    """Losses of lower resources are higher: a failure among those of a high one would be a wall there."""
    model, rng = ConfigModel(SQUARE, Fidelity("epoch", (1, 3))), np.random.default_rng(12)
    told = [(1, 9.0), (1, 8.0), (1, math.inf), (1, 8.5), (3, 2.0), (3, 1.0), (3, 1.5), (1, math.inf), (3, math.nan)]
    for resource, loss in told:
        model.add(rng.random(2), resource, loss)
    counted = [9.0, 8.0, 9.0, 8.5, 2.0, 1.0, 1.5, 2.0, 2.0]
    assert (model._targets([*range(9)]) == standardised(np.array(counted))).all()
    assert (model._targets([5, 8]) == standardised(np.array([1.0, 2.0]))).all(), "also where few are kept"


def test_a_failure_is_told_apart_where_all_at_its_resource_are_equal() -> None:
    model, rng = ConfigModel(SQUARE, Fidelity("epoch", (1, 3))), np.random.default_rng(12)
    for resource, loss in [(1, 9.0), (1, 8.0), (3, 2.0), (3, 2.0), (3, 2.0), (3, math.inf)]:
        model.add(rng.random(2), resource, loss)
    targets = model._targets([*range(6)])
    assert targets[5] > targets[4]


def test_within_halving_the_good_region_of_the_low_rungs_is_found() -> None:
    benchmark = benchmark_of(SQUARE, (1, 3, 9))
    sampler = GaussianProcessSampler(benchmark, np.random.default_rng(9))
    scheduler = Asha(benchmark, np.random.default_rng(0), sampler=sampler)
    news: list[Config] = []
    for _ in range(60):
        job = scheduler.ask()
        assert job is not None
        if job.until == 1:
            news.append(job.config)
        loss = (float(job.config["x"]) - 0.3) ** 2 + (float(job.config["y"]) - 0.8) ** 2 + 1 / job.until
        scheduler.tell(Report(job.trial, job.until, (loss,), {}, 1.0, Status.REACHED))
    late = SQUARE.encode(news[-10:])
    assert np.median(np.linalg.norm(late - [0.3, 0.8], axis=1)) < 0.2


def test_it_goes_on_beyond_the_observations_that_it_keeps() -> None:
    sampler = GaussianProcessSampler(benchmark_of(SQUARE), np.random.default_rng(10))
    rng = np.random.default_rng(11)
    for config in SQUARE.sample(rng, 499):
        sampler.observe(config, 1, (float(config["x"]),))
    for _ in range(3):
        config = sampler.suggest([])
        assert config is not None
        sampler.observe(config, 1, (float(config["x"]),))
    assert len(sampler._model._kept) == 400
    factor = sampler._model._factor
    assert factor is not None and len(factor.scaled) == 400


def test_what_it_cannot_do_is_refused_at_the_door() -> None:
    with pytest.raises(ValueError, match="one objective, but 'toy' has 2"):
        GaussianProcessSampler(benchmark_of(SQUARE, objectives=2), np.random.default_rng(0))
    with pytest.raises(ValueError, match="initial >= 1"):
        GaussianProcessSampler(benchmark_of(SQUARE), np.random.default_rng(0), initial=0)


def test_the_catalog_reads_its_options_from_the_source() -> None:
    from harness.samplers import gp

    plug_in = read_plug_in(Path(gp.__file__))
    assert plug_in.class_name == "GaussianProcessSampler"
    assert plug_in.options == {
        "initial": ("int", 3),
        "candidates": ("int", 512),
        "acquisition": ("str", "logei"),
        "warp": ("bool", False),
        "independent": ("bool", False),
    }
