"""Laws of Thompson's sample, of the warping and of the choice of an acquisition; the oracles are scipy and counting."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import beta, multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from test_gp import play_on_rows
from threadpoolctl import threadpool_limits

from harness._parts.acquisition import log_expected_improvement, refine, thompson
from harness._parts.config_model import ConfigModel, numeric_columns
from harness._parts.gp import (
    Factor,
    Hyperparameters,
    Posterior,
    Warping,
    fit_hyperparameters,
    fit_warped,
    log_marginal_likelihood,
    log_marginal_likelihood_of_warped,
)
from harness.samplers.gp import GaussianProcessSampler
from harness.space import Config, Space, choice, uniform
from harness.toys import MIXED
from harness.types import Benchmark, Fidelity, Objective

HYPER = Hyperparameters(np.array([0.3, 0.8, 2.5]), 1.7, 0.02)
COLUMNS = np.array([0, 2])
BENT = Warping(COLUMNS, np.log([[0.4, 3.0], [2.0, 0.7]]))
SQUARE = Space({"x": uniform(0.0, 1.0), "y": uniform(0.0, 1.0)})


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def problem(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, 3), some of them at the ends of [0, 1], and noisy targets (n,)."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 3))
    x[::5, 0], x[1::5, 2] = 0.0, 1.0
    return x, np.sin(6 * x[:, 0]) + x[:, 1] ** 2 + 0.1 * rng.standard_normal(n)


def posterior_of(n: int = 20) -> Posterior:
    x, y = problem(n)
    return Factor.of(HYPER, x).posterior(y)


def benchmark_of(space: Space, levels: tuple[int, ...] = (1,)) -> Benchmark:
    return Benchmark("toy", space.opened(), (Objective("loss"),), Fidelity("epoch", levels), 100.0, 2)


def bowl(config: Config) -> float:
    return (float(config["x"]) - 0.3) ** 2 + (float(config["y"]) - 0.8) ** 2


def play(sampler: GaussianProcessSampler, trainings: int) -> list[Config]:
    """What the sampler proposes for a bowl in the unit square, each loss known two suggestions later."""
    running: list[Config] = []
    proposed: list[Config] = []
    while len(proposed) < trainings and (config := sampler.suggest(running)) is not None:
        proposed.append(config)
        running.append(config)
        if len(running) == 2:
            done = running.pop(0)
            sampler.observe(done, 1, (bowl(done),))
    return proposed


# -- Thompson sampling ------------------------------------------------------------------------------------------------


def joint_law(posterior: Posterior, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (m,) and covariance (m, m) by scikit-learn."""
    x, y = problem(len(posterior.factor.scaled))
    kernel = ConstantKernel(HYPER.signal) * Matern(HYPER.length_scales, nu=2.5)
    theirs = GaussianProcessRegressor(kernel, alpha=HYPER.noise, optimizer=None).fit(x, y - posterior.constant)
    mean, covariance = theirs.predict(points, return_cov=True)
    return mean + posterior.constant, covariance


def test_a_drawn_function_has_the_joint_law_of_the_posterior() -> None:
    posterior, points = posterior_of(), np.random.default_rng(1).random((7, 3))
    mean, covariance = joint_law(posterior, points)
    # A draw is linear in its normals: without any it is the mean, and each one's effect is a column of a root.
    middle = posterior.sample(points, np.zeros(7))
    root = np.column_stack([posterior.sample(points, normal) - middle for normal in np.eye(7)])
    np.testing.assert_allclose(middle, mean, atol=1e-7)
    np.testing.assert_allclose(root @ root.T, covariance, atol=1e-6)


def test_the_lowest_place_follows_its_probability() -> None:
    posterior, points = posterior_of(), np.random.default_rng(2).random((5, 3))
    points[3:, 0] = 0.8
    mean, covariance = joint_law(posterior, points)
    drawn = multivariate_normal(mean, covariance, allow_singular=True, seed=3).rvs(40_000)
    expected = np.bincount(drawn.argmin(axis=1), minlength=5) / 40_000
    rng = np.random.default_rng(4)
    found = np.bincount([thompson(posterior, points, rng, 5)[0] for _ in range(3000)], minlength=5) / 3000
    assert np.sort(expected)[-2] > 0.05, "a case where chance decides"
    np.testing.assert_allclose(found, expected, atol=4 * 0.5 / np.sqrt(3000))


def test_of_too_many_points_the_most_promising_are_ordered() -> None:
    posterior, points = posterior_of(), np.random.default_rng(5).random((50, 3))
    mean, deviation = posterior.predict(points)
    order = thompson(posterior, points, np.random.default_rng(6), 10)
    assert set(order.tolist()) == set(np.argsort(mean - 2 * deviation)[:10].tolist())
    assert sorted(thompson(posterior, points, np.random.default_rng(6), 50).tolist()) == list(range(50))


def test_equal_points_and_seen_points_can_be_drawn() -> None:
    posterior = posterior_of()
    points = np.repeat(np.concatenate([problem(20)[0][:3], [[0.5, 0.5, 0.5]]]), 6, axis=0)
    drawn = posterior.sample(points, np.random.default_rng(7).standard_normal(24))
    np.testing.assert_allclose(drawn.reshape(4, 6), drawn[::6, None] @ np.ones((1, 6)), atol=1e-2)


# -- the acquisition --------------------------------------------------------------------------------------------------


def test_climbing_the_improvement_itself_is_flat_where_its_logarithm_is_not() -> None:
    posterior, starts = posterior_of(30), np.random.default_rng(8).random((2, 3))
    bounds = [(0.0, 1.0)] * 3
    before = log_expected_improvement(*posterior.predict(starts), -0.5)
    points, values = refine(posterior, starts, -0.5, bounds, 30, logarithm=False)
    assert np.exp(values).sum() > np.exp(before).sum()
    np.testing.assert_allclose(values, log_expected_improvement(*posterior.predict(points), -0.5))

    def descent(point: np.ndarray) -> float:
        return -float(np.exp(log_expected_improvement(*posterior.predict(point[None]), 0.0)[0]))

    path = {"method": "L-BFGS-B", "bounds": bounds, "options": {"maxiter": 2}}
    theirs = minimize(descent, starts[1], jac="3-point", **path).x
    np.testing.assert_allclose(refine(posterior, starts[1:], 0.0, bounds, 2, logarithm=False)[0][0], theirs, atol=1e-5)
    still, _ = refine(posterior, starts, -60.0, bounds, 30, logarithm=False)
    climbed, _ = refine(posterior, starts, -60.0, bounds, 30)
    assert (still == starts).all() and not (climbed == starts).any()


@pytest.mark.parametrize("options", [{"acquisition": "ei"}, {"acquisition": "thompson"}, {"warp": True}])
def test_every_option_finds_the_bottom_of_a_bowl_and_repeats(options: dict[str, str | bool]) -> None:
    first, second = (
        play(GaussianProcessSampler(benchmark_of(SQUARE), np.random.default_rng(0), candidates=128, **options), 24)
        for _ in range(2)
    )
    assert first == second
    assert min(map(bowl, first)) < 1e-3
    plain = GaussianProcessSampler(benchmark_of(SQUARE), np.random.default_rng(0), candidates=128)
    assert first != play(plain, 24)


@pytest.mark.parametrize("acquisition", ["ei", "logei", "thompson"])
@pytest.mark.parametrize("warp", [False, True])
def test_on_rows_every_row_is_proposed_once_and_the_good_ones_early(acquisition: str, warp: bool) -> None:
    space = SQUARE.restricted([{"x": i / 7, "y": j / 3} for i in range(8) for j in range(4)])
    benchmark = benchmark_of(space)
    sampler = GaussianProcessSampler(benchmark, np.random.default_rng(2), acquisition=acquisition, warp=warp)
    proposed = play(sampler, 40) if acquisition == "thompson" else play_on_rows(sampler)
    assert len(proposed) == len(set(map(SQUARE.key, proposed))) == 32
    assert int(np.argmin([bowl(config) for config in proposed])) < 16


def test_thompson_keeps_trials_under_way_apart_by_chance() -> None:
    sampler = GaussianProcessSampler(benchmark_of(SQUARE), np.random.default_rng(1), acquisition="thompson")
    play(sampler, 10)
    proposed = [sampler.suggest([]) for _ in range(4)]
    points = SQUARE.encode([config for config in proposed if config is not None])
    assert np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(4, 1)].min() > 1e-3


def test_independent_processes_learn_nothing_from_other_resources() -> None:
    def next_config(independent: bool, lower: float) -> Config | None:
        sampler = GaussianProcessSampler(
            benchmark_of(SQUARE, (1, 3, 9)), np.random.default_rng(0), candidates=64, independent=independent
        )
        for config in SQUARE.sample(np.random.default_rng(3), 12):
            sampler.observe(config, 1, (lower * bowl(config),))
            sampler.observe(config, 3, (bowl(config),))
        return sampler.suggest([])

    assert next_config(True, 1.0) == next_config(True, -1.0)
    assert next_config(False, 1.0) != next_config(False, -1.0)


def test_a_process_for_each_resource_is_that_of_this_resource_alone() -> None:
    sampler = GaussianProcessSampler(benchmark_of(SQUARE, (1, 3)), np.random.default_rng(0), independent=True)
    alone = ConfigModel(SQUARE, Fidelity("epoch", (1, 3)))
    for i, config in enumerate(SQUARE.sample(np.random.default_rng(3), 9)):
        sampler.observe(config, 1, (bowl(config),))
        if i % 2 == 0:
            loss = np.inf if i == 8 else -bowl(config)
            sampler.observe(config, 1 if i == 8 else 3, (loss,))  # who fails, fails where improvement is sought
            alone.add(SQUARE.encode([config])[0], 3, loss)
    assert sampler._models is not None and sampler.suggest([]) is not None
    points = np.column_stack([np.random.default_rng(4).random((6, 2)), np.ones(6)])
    np.testing.assert_allclose(sampler._models[3].posterior().predict(points), alone.posterior().predict(points))


def test_an_unknown_acquisition_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'logei', 'thompson'.*given 'ucb'"):
        GaussianProcessSampler(benchmark_of(SQUARE), np.random.default_rng(0), acquisition="ucb")


# -- input warping ----------------------------------------------------------------------------------------------------


def test_warping_is_the_law_of_kumaraswamy_column_by_column() -> None:
    x, _ = problem(50)
    warped = BENT(x)
    for place, column in enumerate(COLUMNS):
        a, b = np.exp(BENT.logarithms[:, place])
        np.testing.assert_allclose(warped[:, column], 1 - (1 - x[:, column] ** a) ** b, atol=1e-14)
    assert (warped[:, 1] == x[:, 1]).all()
    # Where one parameter is 1 it is a beta law.
    grid = np.linspace(0, 1, 101)[:, None]
    for a, b in ((0.3, 1.0), (1.0, 0.3), (7.0, 1.0), (1.0, 7.0)):
        one = Warping(np.array([0]), np.log([[a], [b]]))(grid)
        np.testing.assert_allclose(one, beta(a, b).cdf(grid), atol=1e-13)
        assert one[0, 0] == 0 and one[-1, 0] == 1 and (np.diff(one[:, 0]) > 0).all()


def test_undoing_a_warping_gives_the_inputs_back() -> None:
    x, _ = problem(200)
    np.testing.assert_allclose(BENT.undone(BENT(x)), x, atol=1e-8)
    np.testing.assert_allclose(BENT(BENT.undone(x)), x, atol=1e-8)
    assert (BENT.undone(x)[:, 1] == x[:, 1]).all()


def test_slopes_of_a_warping_agree_with_finite_differences() -> None:
    x, _ = problem(40)
    slopes = BENT.slopes(x)
    for parameter in range(2):
        for place in range(2):
            step = np.zeros((2, 2))
            step[parameter, place] = 1e-6
            up, down = (Warping(COLUMNS, BENT.logarithms + sign * step)(x)[:, COLUMNS] for sign in (1, -1))
            expected = (up - down) / 2e-6
            np.testing.assert_allclose(slopes[parameter, :, place], expected[:, place], atol=1e-8)


@pytest.mark.parametrize("n", [1, 2, 30])
def test_likelihood_gradient_of_warped_inputs_agrees_with_finite_differences(n: int) -> None:
    x, y = problem(n)
    logarithms = np.concatenate([HYPER.pack(), BENT.logarithms.ravel()])

    def objective(at: np.ndarray) -> float:
        value, _, constant = log_marginal_likelihood_of_warped(at, COLUMNS, x, y)
        return value - 0.5 * constant**2

    value, gradient, constant = log_marginal_likelihood_of_warped(logarithms, COLUMNS, x, y)
    slopes = [(objective(logarithms + step) - objective(logarithms - step)) / 2e-5 for step in 1e-5 * np.eye(9)]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-6)
    unwarped, _, mean = log_marginal_likelihood(HYPER.pack(), BENT(x), y)
    assert (value, constant) == (unwarped, mean)


def test_without_columns_nothing_changes_by_a_bit() -> None:
    x, y = problem(30)
    nothing = Warping.identity(np.empty(0, dtype=np.intp))
    assert nothing(x) is x and nothing.undone(x) is x
    value, gradient, constant = log_marginal_likelihood_of_warped(HYPER.pack(), nothing.columns, x, y)
    expected, slopes, mean = log_marginal_likelihood(HYPER.pack(), x, y)
    assert (value, constant) == (expected, mean) and gradient.tobytes() == slopes.tobytes()
    fitted, same = fit_warped(x, y, [(HYPER, nothing)], iterations=20)
    assert fitted.pack().tobytes() == fit_hyperparameters(x, y, [HYPER], iterations=20).pack().tobytes()
    assert same.logarithms.size == 0


def test_the_identity_is_where_a_warping_begins() -> None:
    x, y = problem(30)
    np.testing.assert_allclose(Warping.identity(COLUMNS)(x), x, atol=1e-15)
    value, _, _ = log_marginal_likelihood_of_warped(np.append(HYPER.pack(), np.zeros(4)), COLUMNS, x, y)
    assert value == pytest.approx(log_marginal_likelihood(HYPER.pack(), x, y)[0], abs=1e-9)


def test_fitting_finds_where_a_function_moves_and_explains_it_better() -> None:
    rng = np.random.default_rng(9)
    x = rng.random((60, 2))
    y = np.sin(9 * x[:, 0] ** 6) + x[:, 1]
    start = Hyperparameters.default(2)
    hyper, warping = fit_warped(x, y, [(start, Warping.identity(np.array([0, 1])))], iterations=60)
    plain = fit_hyperparameters(x, y, [start], iterations=60)
    better = log_marginal_likelihood(hyper.pack(), warping(x), y)[0]
    assert better > log_marginal_likelihood(plain.pack(), x, y)[0] + 5
    # What moves near 1 alone is stretched there; what moves evenly is left as it is.
    assert warping(np.array([[0.6, 0.5]]))[0, 0] < 0.3
    assert abs(warping(np.array([[0.5, 0.5]]))[0, 1] - 0.5) < 0.15


def test_numbers_are_warped_and_choices_and_the_resource_are_not() -> None:
    assert numeric_columns(MIXED).tolist() == [0, 1, 5, 6]
    assert numeric_columns(Space({"a": choice(["x", "y"]), "b": choice(["x", "y", "z"])})).size == 0
    model, rng = ConfigModel(MIXED, Fidelity("epoch", (1, 3, 9)), warp=True), np.random.default_rng(10)
    for point in MIXED.sample_encoded(rng, 30):
        model.add(point, int(rng.choice([1, 3, 9])), float(np.sin(9 * point[0] ** 6)))
    posterior = model.posterior()
    inputs, _ = model.at(9)
    moved = (model.warping(inputs) != inputs).any(axis=0)
    assert moved.tolist() == [True, True, False, False, False, True, True, False]
    # The factor grows by warped inputs too.
    model.add(MIXED.sample_encoded(rng, 1)[0], 9, 0.3)
    grown = model.posterior().factor
    scales = grown.hyperparameters.length_scales
    np.testing.assert_allclose(grown.scaled[-1] * scales, model.warping(model.at(9)[0])[-1], atol=1e-12)
    assert len(grown.scaled) == len(posterior.factor.scaled) + 1


def test_spaces_of_choices_only_can_be_warped() -> None:
    space = Space({name: choice(["a", "b", "c"]) for name in ("p", "q")})
    sampler = GaussianProcessSampler(benchmark_of(space), np.random.default_rng(11), warp=True)
    seen: set[tuple[object, ...]] = set()
    while (config := sampler.suggest([])) is not None:
        seen.add(space.key(config))
        sampler.observe(config, 1, (float(config["p"] == "a"),))
    assert len(seen) == 9


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("pending", [[], [{"x": 0.5, "y": 0.5}]])
def test_where_all_failed_further_on_it_proposes_all_the_same(independent: bool, pending: list[Config]) -> None:
    sampler = GaussianProcessSampler(benchmark_of(SQUARE, (1, 3)), np.random.default_rng(0), independent=independent)
    for config in SQUARE.sample(np.random.default_rng(3), 4):
        sampler.observe(config, 3, (np.inf,))
    assert sampler.suggest(pending) is not None
