"""Laws of the forests and of the samplers on them; the oracles are scikit-learn's trees, counting, and chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from harness._parts.observations import MOST_MODELLED, Observations, standardised
from harness._parts.trees import QuantileForest, bootstrap, grow
from harness.samplers.bore import Bore, labels
from harness.samplers.cqr import LEVELS, ConformalForest, ConformalQuantiles, corrections
from harness.samplers.rf import Neighbourhood, RandomForestSampler
from harness.samplers.rs import RandomSearch
from harness.space import Config, Space, choice, loguniform, ordinal, randint, uniform
from harness.toys import MIXED
from harness.types import Benchmark, Fidelity, Objective

SAMPLERS: list[Any] = [Bore, RandomForestSampler, partial(ConformalQuantiles, candidates=400)]
SQUARE = Space({"x": uniform(0.0, 1.0), "y": uniform(0.0, 1.0)})
CHOICES = Space({name: choice(["a", "b", "c", "d"]) for name in ("p", "q", "r")})


def problem(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 4), one column with few values, and noisy targets (n,)."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 4))
    x[:, 2] = np.round(3 * x[:, 2]) / 3
    return x, np.sin(6 * x[:, 0]) + x[:, 1] ** 2 + 0.1 * rng.standard_normal(n)


def benchmark_of(space: Space, levels: tuple[int, ...] = (1,), objectives: int = 1) -> Benchmark:
    names = tuple(Objective(f"loss{i}") for i in range(objectives))
    return Benchmark("toy", space.opened(), names, Fidelity("epoch", levels), 100.0, 2)


def played(sampler: Any, loss: Callable[[Config], float], trainings: int, workers: int = 2) -> list[Config]:
    """What a sampler proposes where each loss is known `workers` suggestions later."""
    running: list[Config] = []
    proposed: list[Config] = []
    while len(proposed) < trainings and (config := sampler.suggest(running)) is not None:
        proposed.append(config)
        running.append(config)
        if len(running) == workers:
            done = running.pop(0)
            sampler.observe(done, 1, (loss(done),))
    return proposed


def bowl(config: Config) -> float:
    return (float(config["x"]) - 0.3) ** 2 + (float(config["y"]) - 0.8) ** 2


# -- forests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("least", [1, 3, 10])
def test_a_tree_has_the_leaves_of_scikit_learn(least: int) -> None:
    x, y = problem(100)
    forest = grow(x, y, np.ones((1, 100)), np.random.default_rng(0), least=least)
    theirs = DecisionTreeRegressor(min_samples_leaf=least, random_state=0).fit(x, y)
    np.testing.assert_allclose(forest.predict(x)[0], theirs.predict(x), atol=1e-12)
    assert forest.depth == theirs.get_depth()


def test_bootstrapped_trees_are_those_of_scikit_learn_with_the_same_weights() -> None:
    x, y = problem(80)
    weights = bootstrap(np.random.default_rng(1), 6, 80)
    assert (weights.sum(1) == 80).all()
    forest = grow(x, y, weights, np.random.default_rng(0))
    leaves = forest.leaves(x)
    for tree in range(6):
        theirs = DecisionTreeRegressor(random_state=0).fit(x, y, sample_weight=weights[tree])
        used = weights[tree] > 0
        np.testing.assert_allclose(forest.mean[leaves[used, tree]], theirs.predict(x[used]), atol=1e-12)


def test_mean_and_variance_follow_the_law_of_total_variance() -> None:
    x, y = problem(90)
    weights = (np.random.default_rng(2).random((5, 90)) < 0.9).astype(float)
    forest = grow(x, y, weights, np.random.default_rng(0), least=8)
    # Only where a tree was grown from is its leaf the same as scikit-learn's: our thresholds are random in their gaps.
    everywhere = np.flatnonzero(weights.all(0))
    drawn: list[list[float]] = [[] for _ in everywhere]
    squares = np.zeros(len(everywhere))
    for used in weights > 0:
        theirs = DecisionTreeRegressor(min_samples_leaf=8, random_state=0).fit(x[used], y[used])
        leaf_of = theirs.apply(x[used])
        for place, leaf in enumerate(theirs.apply(x[everywhere])):
            members = y[used][leaf_of == leaf]
            drawn[place].append(members.mean())
            squares[place] += (members**2).mean() / 5
    mean, variance = forest.predict(x[everywhere])
    np.testing.assert_allclose(mean, np.mean(drawn, axis=1), atol=1e-12)
    np.testing.assert_allclose(variance, squares - np.mean(drawn, axis=1) ** 2, atol=1e-12)


def test_thresholds_are_spread_over_the_gap_that_they_split() -> None:
    x, y = np.array([[0.2], [0.6]]), np.array([0.0, 1.0])
    forest = grow(x, y, np.ones((2000, 2)), np.random.default_rng(3))
    mean, _ = forest.predict(np.array([[0.2], [0.3], [0.5], [0.6]]))
    np.testing.assert_allclose(mean, [0.0, 0.25, 0.75, 1.0], atol=0.04)


def test_equal_gains_and_shares_are_settled_by_chance() -> None:
    x = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    for share in (1.0, 0.3):
        forest = grow(x, np.array([0.0, 1.0]), np.ones((3000, 2)), np.random.default_rng(4), share=share)
        shares = np.bincount(forest.feature[:3000], minlength=3) / 3000
        np.testing.assert_allclose(shares, 1 / 3, atol=0.04)
    # A constant hyperparameter does not use up the share.
    still = grow(x * [1, 0, 0], np.array([0.0, 1.0]), np.ones((50, 2)), np.random.default_rng(4), share=0.3)
    assert (still.feature[:50] == 0).all() and still.depth == 1


@pytest.mark.parametrize("targets", [[2.0], [0.1] * 7, [0.0, 1.0, 1.0]])
def test_what_cannot_be_split_is_a_leaf(targets: list[float]) -> None:
    y = np.array(targets)
    forest = grow(np.full((len(y), 2), 0.4), y, np.ones((3, len(y))), np.random.default_rng(0))
    mean, variance = forest.predict(np.random.default_rng(1).random((5, 2)))
    assert forest.depth == 0
    np.testing.assert_allclose(mean, y.mean(), atol=1e-15)
    np.testing.assert_allclose(variance, y.var(), atol=1e-15)


def test_quantiles_are_those_of_the_weighted_observations() -> None:
    x, y = problem(60)
    weights = bootstrap(np.random.default_rng(5), 7, 60)
    forest = grow(x, y, weights, np.random.default_rng(0), least=4)
    points = np.random.default_rng(6).random((20, 4))
    found = QuantileForest(forest, x, y, weights).quantiles(points, LEVELS)
    leaves, order = forest.leaves(x), np.argsort(y)
    for point, row in zip(points, found, strict=True):
        share = np.zeros(60)
        for tree, leaf in enumerate(forest.leaves(point[None])[0]):
            inside = (leaves[:, tree] == leaf) * weights[tree]
            share += inside / inside.sum() / 7
        reached = np.cumsum(share[order])
        expected = [y[order][np.argmax(reached >= level - 1e-9)] for level in LEVELS]
        np.testing.assert_array_equal(row, expected)


def test_a_level_that_is_reached_exactly_is_the_quantile() -> None:
    x, y, weights = np.zeros((6, 1)), np.arange(6.0), np.ones((3, 6))
    forest = QuantileForest(grow(x, y, weights, np.random.default_rng(0)), x, y, weights)
    assert forest.quantiles(x[:1], LEVELS).tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0]]


# -- what is modelled -------------------------------------------------------------------------------------------------


def test_the_target_is_the_highest_resource_with_three_losses() -> None:
    seen, rng = Observations(SQUARE), np.random.default_rng(0)
    assert seen.target() == 0
    for resource, expected in [(1, 1)] * 5 + [(3, 1), (3, 1), (3, 3), (9, 3), (9, 3), (9, 9)]:
        seen.add(SQUARE.sample(rng, 1)[0], resource, float(rng.random()))
        assert seen.target() == expected
    seen.add(SQUARE.sample(rng, 1)[0], 1, math.inf)
    assert np.isinf(seen.at_target()[1]).sum() == 1, "a failure counts where the model looks"
    assert len(seen.at_target()[1]) == 4


def test_the_latest_loss_of_a_config_is_that_at_its_highest_resource() -> None:
    seen = Observations(SQUARE)
    one, other = {"x": 0.1, "y": 0.2}, {"x": 0.3, "y": 0.4}
    for config, resource, loss in [(one, 1, 5.0), (other, 1, 4.0), (one, 9, 3.0), (one, 3, 4.5)]:
        seen.add(config, resource, loss)
    x, losses = seen.latest()
    assert losses.tolist() == [3.0, 4.0] and seen.configs == 2
    np.testing.assert_allclose(x, [[0.1, 0.2], [0.3, 0.4]])


def test_of_many_observations_the_best_the_worst_and_the_quantiles_are_kept() -> None:
    seen, rng = Observations(SQUARE), np.random.default_rng(1)
    losses = rng.random(3 * MOST_MODELLED)
    for config, loss in zip(SQUARE.sample(rng, len(losses)), losses.tolist(), strict=True):
        seen.add(config, 1, loss)
    _, kept = seen.at_target()
    assert len(kept) == MOST_MODELLED and {losses.min(), losses.max()} <= set(kept)
    np.testing.assert_allclose(np.quantile(kept, LEVELS), np.quantile(losses, LEVELS), atol=0.005)


def test_a_refit_is_due_at_each_observation_and_later_at_every_fiftieth_part() -> None:
    seen, due = Observations(SQUARE), []
    for count, config in enumerate(SQUARE.sample(np.random.default_rng(2), 220), 1):
        seen.add(config, 1, 0.0)
        if seen.refit_due():
            due.append(count)
        assert not seen.refit_due()
    assert due[:99] == list(range(1, 100)) and due[99:102] == [101, 103, 105]
    assert set(np.diff([count for count in due if count >= 200])) == {4}


def test_targets_do_not_let_failures_rule() -> None:
    targets = standardised(np.array([3.5, 3.6, 3.55, 3.7, 3.65, 18.6, math.inf, math.nan]))
    assert targets.mean() == pytest.approx(0.0, abs=1e-12) and targets.std() == pytest.approx(1.0)
    assert targets[5] == targets[6] == targets[7] == targets.max() and targets[3] - targets[0] > 0.5
    assert (standardised(np.full(4, 0.1)) == 0).all() and (standardised(np.full(3, math.inf)) == 0).all()
    assert standardised(np.array([2.0, 2.0, math.inf]))[2] > 0


# -- bore -------------------------------------------------------------------------------------------------------------


def test_probabilities_order_candidates_as_the_density_ratio_does() -> None:
    # Good ones have the density 2x, the others 2(1 - x): the ratio rises with x, the probability of good is x. The
    # points are the quantiles of both laws, so that no luck of a sample stands between.
    quantiles = np.sqrt((np.arange(1000) + 0.5) / 1000)
    x, good = np.concatenate([quantiles, 1 - quantiles])[:, None], np.repeat([1.0, 0.0], 1000)
    forest = grow(x, good, np.ones((50, 2000)), np.random.default_rng(7), least=100)
    places = np.linspace(0.1, 0.9, 9)
    probability, _ = forest.predict(places[:, None])
    assert (np.diff(probability) > 0).all()
    np.testing.assert_allclose(probability, places, atol=0.06)


def test_labels_are_the_best_share_with_its_equals_and_no_failures() -> None:
    assert labels(np.array([4.0, 1.0, 3.0, 2.0, 9.0]), 0.25).tolist() == [0, 1, 0, 1, 0]
    assert labels(np.array([1.0, 1.0, 1.0, 2.0]), 0.25).tolist() == [1, 1, 1, 0]
    assert labels(np.array([math.inf, math.inf, 5.0]), 0.5).tolist() == [0, 0, 1]


def test_only_the_order_of_losses_counts_for_bore() -> None:
    plain = played(Bore(benchmark_of(SQUARE), np.random.default_rng(0)), bowl, 40)
    bent = played(Bore(benchmark_of(SQUARE), np.random.default_rng(0)), lambda c: 7 + math.log(bowl(c)), 40)
    assert plain == bent


# -- rf ---------------------------------------------------------------------------------------------------------------


def test_neighbours_differ_in_one_hyperparameter() -> None:
    rng = np.random.default_rng(8)
    points = MIXED.encode(MIXED.sample(rng, 5))
    near = Neighbourhood(MIXED).of(points, rng)
    assert near.shape == (5, 4 * 4 + 3, MIXED.dim) and (near >= 0).all() and (near <= 1).all()
    for point, others in zip(points, near, strict=True):
        for other in others:
            assert sum((point[part] != other[part]).any() for part in MIXED.slices.values()) <= 1
        spot = MIXED.slices["optimizer"]
        assert {tuple(other[spot]) for other in others} >= set(map(tuple, np.eye(3)))


def test_a_climb_ends_at_the_top() -> None:
    space = Space({"x": uniform(0, 1), "kind": choice(["a", "b", "c"])})
    rng = np.random.default_rng(9)

    def score(points: np.ndarray) -> np.ndarray:
        return points[:, 3] - (points[:, 0] - 0.7) ** 2

    starts = space.encode(space.sample(rng, 20))
    ends = Neighbourhood(space).climb(starts, score, rng)
    assert (score(ends) >= score(starts)).all() and (ends[:, 3] == 1).all()
    assert np.median(np.abs(ends[:, 0] - 0.7)) < 0.05


def test_interleaving_everything_is_random_search() -> None:
    drawn = played(RandomForestSampler(benchmark_of(SQUARE), np.random.default_rng(0), interleave=1.0), bowl, 300)
    points = SQUARE.encode(drawn)
    assert np.abs(points.mean(0) - 0.5).max() < 0.06
    led = SQUARE.encode(played(RandomForestSampler(benchmark_of(SQUARE), np.random.default_rng(0)), bowl, 60)[20:])
    far = np.linalg.norm(led - [0.3, 0.8], axis=1) > 0.3
    assert 0.02 < far.mean() < 0.5, "about a fifth is random"


# -- cqr --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [-0.6, 0.0, 0.8])
def test_corrected_pairs_cover_at_least_what_they_should(shift: float) -> None:
    # Of exchangeable scores, at most one in k + 1 more than promised: coverage in [c, c + 1 / (k + 1)], exactly.
    rng, k, repeats = np.random.default_rng(10), 4, 2000
    wrong = np.sort(rng.standard_normal(5)) * 0.3 + shift
    inside = np.zeros(2)
    for _ in range(repeats):
        y = rng.standard_normal(k + 1)
        pairs = wrong + corrections(np.tile(wrong, (k, 1)), y[:k])
        inside += [pairs[low] <= y[k] <= pairs[4 - low] for low in (0, 1)]
    for coverage, promised in zip(inside / repeats, (2 / 3, 1 / 3), strict=True):
        error = 3 * math.sqrt(promised * (1 - promised) / repeats)
        assert promised - error <= coverage <= promised + 1 / (k + 1) + error


def test_forests_that_believe_too_much_are_corrected() -> None:
    covered, plain = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x, y = rng.random((200, 3)), rng.standard_normal(200)
        model = ConformalForest(x[:60], y[:60], rng)
        quantiles = model.quantiles(x[60:])
        covered.append(((quantiles[:, 0] <= y[60:]) & (y[60:] <= quantiles[:, 4])).mean())
        raw = quantiles - model._corrections
        plain.append(((raw[:, 0] <= y[60:]) & (y[60:] <= raw[:, 4])).mean())
        assert model._corrections[2] == 0
    least, most = 2 / 3, 2 / 3 + 1 / 7  # of six held back
    error, error_of_plain = (3 * np.std(one) / math.sqrt(30) for one in (covered, plain))
    assert least - error <= np.mean(covered) <= most + error
    assert np.mean(plain) < least - error_of_plain


def test_few_observations_are_not_held_back() -> None:
    x, y = problem(33)
    assert not ConformalForest(x[:32], y[:32], np.random.default_rng(0))._corrections.any()
    assert ConformalForest(x, y, np.random.default_rng(0))._corrections.any()


# -- all three --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["bore", "rf", "cqr"])
def test_it_beats_random_search_on_a_bowl(sampler: Any) -> None:
    gains, late = [], []
    for seed in range(4):
        ours, theirs = (
            [bowl(config) for config in played(kind(benchmark_of(SQUARE), np.random.default_rng(seed)), bowl, 35)]
            for kind in (sampler, RandomSearch)
        )
        gains.append(math.log(min(theirs) / min(ours)))
        late += ours[20:]
    assert np.mean(gains) > 0
    # Of random configs the median is at 0.18.
    assert np.median(late) < 0.06


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["bore", "rf", "cqr"])
def test_same_stream_same_proposals(sampler: Any) -> None:
    runs = [
        played(sampler(benchmark_of(MIXED), np.random.default_rng(3)), lambda c: float(c["rate"]), 36) for _ in "ab"
    ]
    assert runs[0] == runs[1]
    for config in runs[0]:
        MIXED.check(config)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["bore", "rf", "cqr"])
def test_a_finite_space_of_choices_is_proposed_whole_with_the_good_half_first(sampler: Any) -> None:
    proposed = played(sampler(benchmark_of(CHOICES), np.random.default_rng(4)), lambda c: "abcd".index(str(c["q"])), 65)
    assert len({CHOICES.key(config) for config in proposed}) == len(proposed) == 64
    good = [place for place, config in enumerate(proposed) if config["q"] == "a"]
    assert np.mean(good) < 24, "by chance 31.5"


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["bore", "rf", "cqr"])
def test_on_rows_it_proposes_rows_until_none_is_free(sampler: Any) -> None:
    rows = [{"x": i / 9, "y": j / 5} for i in range(10) for j in range(6)]
    proposed = played(sampler(benchmark_of(SQUARE.restricted(rows)), np.random.default_rng(5)), bowl, 61)
    assert sorted(map(SQUARE.key, proposed)) == sorted(map(SQUARE.key, rows))
    assert np.argmin([bowl(config) for config in proposed]) < 30


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["bore", "rf", "cqr"])
@pytest.mark.parametrize("loss", [lambda c: math.inf, lambda c: 1.0, lambda c: math.inf if c["x"] < 0.5 else c["y"]])
def test_failures_and_ties_do_not_stop_it(sampler: Any, loss: Callable[[Config], float]) -> None:
    assert len(played(sampler(benchmark_of(SQUARE), np.random.default_rng(6)), loss, 45)) == 45


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["bore", "rf", "cqr"])
def test_where_half_the_space_fails_the_rest_is_searched(sampler: Any) -> None:
    space = Space({"lr": loguniform(1e-4, 1.0), "layers": randint(1, 4), "batch": ordinal([8, 16, 32])})
    proposed = played(
        sampler(benchmark_of(space), np.random.default_rng(7)),
        lambda c: math.inf if c["lr"] > 1e-2 else float(c["layers"]) + (math.log10(c["lr"]) + 3) ** 2,
        50,
    )
    assert np.mean([float(config["lr"]) > 1e-2 for config in proposed[20:]]) < 0.35


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["bore", "rf", "cqr"])
def test_what_it_cannot_do_is_refused_at_the_door(sampler: Any) -> None:
    with pytest.raises(ValueError, match="one objective, but 'toy' has 2"):
        sampler(benchmark_of(SQUARE, objectives=2), np.random.default_rng(0))
    with pytest.raises(ValueError, match="initial >= 1"):
        sampler(benchmark_of(SQUARE), np.random.default_rng(0), initial=0)
