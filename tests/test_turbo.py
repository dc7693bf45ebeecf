"""Laws of the trust region and its sampler: the box, the counters by a replay, the candidates by counting."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from math import ceil

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from harness import checks
from harness.methods import parse_method
from harness.samplers.rs import RandomSearch
from harness.samplers.turbo import FEWEST_ROWS, LENGTH, LONGEST, SHORTEST, Region, Turbo, box_sides
from harness.space import Config, Space, choice, ordinal, randint, uniform
from harness.toys import MIXED
from harness.types import Benchmark, Fidelity, Objective

SQUARE = Space({"x": uniform(0.0, 1.0), "y": uniform(0.0, 1.0)})
TEN = Space({f"x{i}": uniform(0.0, 1.0) for i in range(10)})


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def benchmark_of(space: Space, levels: tuple[int, ...] = (1,), workers: int = 1, objectives: int = 1) -> Benchmark:
    names = tuple(Objective(f"loss{i}") for i in range(objectives))
    return Benchmark("toy", space.opened(), names, Fidelity("epoch", levels), 100.0, workers)


def turbo_of(space: Space, seed: int = 0, workers: int = 1, **options: int) -> Turbo:
    return Turbo(benchmark_of(space, workers=workers), np.random.default_rng(seed), **options)


def played(
    sampler: Turbo | RandomSearch, loss: Callable[[Config], float], count: int, workers: int = 1
) -> list[Config]:
    """What a sampler proposes where each loss is known `workers` suggestions later."""
    running: list[Config] = []
    proposed: list[Config] = []
    while len(proposed) < count and (config := sampler.suggest(running)) is not None:
        proposed.append(config)
        running.append(config)
        if len(running) == workers:
            done = running.pop(0)
            sampler.observe(done, 1, (loss(done),))
    return proposed


def bowl(config: Config) -> float:
    return (float(config["x"]) - 0.3) ** 2 + (float(config["y"]) - 0.8) ** 2


# -- the region -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [1, 2, 7, 100])
@pytest.mark.parametrize("length", [LENGTH, SHORTEST, LONGEST])
def test_the_box_has_the_ratio_of_the_length_scales_and_its_volume(dimension: int, length: float) -> None:
    scales = np.exp(np.random.default_rng(dimension).uniform(-3, 3, dimension))
    sides = box_sides(scales, length)
    np.testing.assert_allclose(sides / sides[0], scales / scales[0])
    assert np.log(sides).sum() == pytest.approx(dimension * math.log(length), abs=1e-9)
    np.testing.assert_allclose(box_sides(17 * scales, length), sides)


def lengths_by_replay(losses: list[float], best: float, dimension: int, workers: int) -> list[float]:
    """The length after each loss, from the list of all batches so far: nothing is carried along."""
    lengths: list[float] = []
    for end in range(1, len(losses) + 1):
        whole = [losses[i : i + workers] for i in range(0, end - end % workers, workers)]
        lows = [best, *(min(batch) for batch in whole)]
        outcomes = "".join("s" if lows[i + 1] < min(lows[: i + 1]) else "f" for i in range(len(whole)))
        length = LENGTH
        while outcomes:
            run = len(outcomes) - len(outcomes.lstrip(outcomes[0]))
            enough = 3 if outcomes[0] == "s" else ceil(max(4, dimension) / workers)
            if run >= enough:
                length = min(1.6, 2 * length) if outcomes[0] == "s" else length / 2
            outcomes = outcomes[min(run, enough) :]
        lengths.append(length)
    return lengths


@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize("dimension", [1, 6, 20])
def test_counters_are_those_of_a_replay(workers: int, dimension: int) -> None:
    rng = np.random.default_rng(10 * dimension + workers)
    for drift in (0.0, 0.05, 1.0):
        losses = [float(u) - drift * i for i, u in enumerate(rng.random(90))]
        losses[5:9] = [math.inf] * 4
        region = Region(dimension, workers)
        region.begin_at(0.5)
        found: list[float] = []
        for loss in losses:
            region.note(loss, counts=True)
            found.append(region.length)
        assert found == lengths_by_replay(losses, 0.5, dimension, workers)
        if drift == 1.0:
            assert found[-1] == LONGEST, "it grows, and no further"


def test_three_successes_double_and_failures_halve_the_length() -> None:
    region = Region(5, 1)
    for loss in (3.0, 2.0):
        region.note(loss, counts=True)
    assert region.length == LENGTH
    region.note(1.0, counts=True)
    assert region.length == LONGEST
    for loss in (1.0, 1.0, 1.0, 2.0):
        region.note(loss, counts=True)
    assert region.length == LONGEST
    region.note(math.inf, counts=True)
    assert region.length == LENGTH


def test_what_the_region_did_not_propose_raises_the_bar_and_does_not_count() -> None:
    region = Region(4, 1)
    for _ in range(50):
        region.note(-1.0, counts=False)
    assert region.length == LENGTH
    for _ in range(4):
        region.note(-0.5, counts=True)
    assert region.length == LENGTH / 2


def test_where_nothing_gets_better_the_region_ends_and_forgets() -> None:
    sampler = turbo_of(SQUARE, initial=2, candidates=20)
    running: list[Config] = []
    shortest = 0
    for _ in range(2 + 7 * 4):
        config = sampler.suggest([])
        assert config is not None
        running.append(config)
        sampler.observe(config, 1, (1.0,))
        shortest += sampler._region.length < SHORTEST
    assert shortest == 1 and sampler._region.length == LENGTH / 2**7
    late = sampler._space.fresh(np.random.default_rng(1))
    assert late is not None and sampler.suggest([late]) is not None
    assert sampler._region.length == LENGTH and not sampler._known and not sampler._proposed
    # Who was under way, or is trained further, belongs to the region before.
    for config in (late, running[0]):
        sampler.observe(config, 1, (-9.0,))
    assert sampler._model.at(1)[1].size == 0 and not sampler._known
    assert {sampler._space.key(config) for config in running} <= sampler._left


# -- candidates -------------------------------------------------------------------------------------------------------


def test_candidates_lie_in_the_box_and_change_about_twenty_hyperparameters() -> None:
    space = Space({f"x{i}": uniform(0.0, 1.0) for i in range(50)})
    sampler = turbo_of(space, candidates=4000)
    rng = np.random.default_rng(2)
    centre, sides = rng.random(50), box_sides(np.exp(rng.uniform(-1, 1, 50)), 0.4)
    points = sampler._around(centre, sides)
    assert (np.abs(points - centre) <= sides / 2 + 1e-12).all()
    assert (points >= 0).all() and (points <= 1).all()
    changed = points != centre
    assert changed.any(axis=1).all()
    # Twenty of fifty by their own lot, and one of the other thirty now and then by the one that always changes.
    assert changed.sum(axis=1).mean() == pytest.approx(20 + 30 / 50, abs=0.3)
    # They fill the box evenly.
    low, high = np.maximum(centre - sides / 2, 0), np.minimum(centre + sides / 2, 1)
    filled = ((points - low) / (high - low))[changed]
    np.testing.assert_allclose(np.quantile(filled, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.01)


def test_few_hyperparameters_are_all_drawn_anew() -> None:
    points = turbo_of(SQUARE)._around(np.array([0.5, 0.5]), np.array([0.2, 0.4]))
    assert points.shape == (200, 2) and (points != 0.5).all()


@pytest.mark.parametrize("length", [0.1, 0.8, 1.6])
def test_choices_are_drawn_anew_with_the_probability_of_the_length(length: float) -> None:
    space = Space({"kind": choice(["a", "b", "c", "d"]), "flag": choice([False, True]), "x": uniform(0.0, 1.0)})
    sampler = turbo_of(space, candidates=300)
    sampler._region.length = length
    centre = space.encode([{"kind": "b", "flag": True, "x": 0.5}])[0]
    points = np.concatenate([sampler._around(centre, np.array([length])) for _ in range(20)])
    configs = space.decode(points)
    for name, values in (("kind", 4), ("flag", 2)):
        seen = [config[name] for config in configs]
        centred = "b" if name == "kind" else True
        expected = min(length, 1.0) * (1 - 1 / values)
        assert np.mean([value != centred for value in seen]) == pytest.approx(expected, abs=0.03)
        others = [seen.count(value) for value in set(seen) - {centred}]
        assert len(others) == values - 1 and max(others) < 1.5 * min(others)
    assert set(np.unique(points[:, :5])) <= {0.0, 1.0}


def test_rows_are_those_in_the_region_or_the_nearest() -> None:
    space = Space(
        {"x": uniform(0.0, 1.0), "y": uniform(0.0, 1.0), "kind": choice(["a", "b", "c"]), "flag": choice([0, 1])}
    )
    rows = space.sample(np.random.default_rng(3), 300)
    sampler = turbo_of(space.restricted(rows))
    free, centre = space.encode(rows), space.encode(rows[:1])[0]
    for length, sides in (
        (1.6, [3.2, 0.8]),
        (0.8, [1.6, 0.4]),
        (0.4, [0.8, 0.2]),
        (0.2, [2.0, 1.0]),
        (0.02, [0.04, 0.01]),
    ):
        sampler._region.length = length
        points = sampler._rows_near(free, centre, np.array(sides))
        inside = [
            row
            for row in rows
            if abs(row["x"] - rows[0]["x"]) <= sides[0] / 2
            and abs(row["y"] - rows[0]["y"]) <= sides[1] / 2
            and (row["kind"] != rows[0]["kind"]) + (row["flag"] != rows[0]["flag"]) <= 2 * length + 0.5
        ]
        if len(inside) >= FEWEST_ROWS:
            assert points.tolist() == space.encode(inside).tolist()
        else:
            assert len(points) == FEWEST_ROWS
            assert {tuple(row) for row in space.encode(inside)} <= {tuple(point) for point in points}
    assert len(inside) < FEWEST_ROWS


# -- the sampler ------------------------------------------------------------------------------------------------------


def test_after_its_random_configs_it_stays_around_the_best() -> None:
    sampler = turbo_of(SQUARE, seed=4, candidates=100)
    first = played(sampler, bowl, 4)
    assert len(sampler._known) == 4 and not sampler._proposed
    for _ in range(30):
        best = SQUARE.encode([min(first, key=bowl)])[0]
        sampler._region.length = 0.05
        config = sampler.suggest([])
        assert config is not None
        scales = sampler._model.posterior().factor.hyperparameters.length_scales[:2]
        assert (np.abs(SQUARE.encode([config])[0] - best) <= box_sides(scales, 0.05) / 2 + 1e-12).all()
        sampler.observe(config, 1, (bowl(config),))
        first.append(config)
    assert len(sampler._proposed) == 30


def test_better_than_random_search_in_ten_dimensions() -> None:
    gains: list[float] = []
    for seed in range(4):
        optimum = np.random.default_rng(100 + seed).random(10)

        def loss(config: Config, optimum: np.ndarray = optimum) -> float:
            away = 6 * (TEN.encode([config])[0] - optimum)
            return float((away**2).sum() / 10 + (1 - np.cos(2 * away)).sum() / 3)

        ours = played(turbo_of(TEN, seed, workers=4, candidates=100), loss, 70, workers=4)
        theirs = played(RandomSearch(benchmark_of(TEN), np.random.default_rng(seed)), loss, 70, workers=4)
        gains.append(min(map(loss, theirs)) - min(map(loss, ours)))
    assert min(gains) > 0 and np.mean(gains) > 1.5


def test_same_seed_same_proposals() -> None:
    first, second = (played(turbo_of(SQUARE, seed=5, workers=3), bowl, 20, workers=3) for _ in range(2))
    assert first == second


def test_the_count_is_that_of_the_highest_resource_with_three_losses() -> None:
    sampler = Turbo(benchmark_of(SQUARE, (1, 3, 9)), np.random.default_rng(6), initial=1)
    configs = SQUARE.sample(np.random.default_rng(7), 40)
    sampler._proposed = {SQUARE.key(config) for config in configs}
    for config in configs[:3]:
        sampler.observe(config, 1, (5.0,))
    for loss in (4.0, 3.0, 2.0):  # three successes at the lowest level
        sampler.observe(configs.pop(), 1, (loss,))
    assert sampler._region.length == LONGEST
    for loss in (0.5, 0.4, 0.3):
        sampler.observe(configs.pop(), 3, (loss,))
    assert sampler._model.target() == 3 and sampler._region._best == 0.3
    for _ in range(9):  # better than anything there, and of no account now
        sampler.observe(configs.pop(), 1, (-1.0,))
    assert sampler._region.length == LONGEST
    for _ in range(4):
        sampler.observe(configs.pop(), 1, (math.inf,))  # a failure is one, wherever it happens
    assert sampler._region.length == LENGTH


@pytest.mark.parametrize(
    "space",
    [
        Space({"x": uniform(0.0, 1.0)}),
        Space({f"x{i}": uniform(0.0, 1.0) for i in range(100)}),
        Space({name: choice(["a", "b", "c"]) for name in ("p", "q", "r")}),
        Space({"layers": randint(1, 4), "batch": ordinal([8, 16, 32])}),
        MIXED,
    ],
    ids=["one", "hundred", "choices", "steps", "conditions"],
)
def test_every_space_is_searched_legally_and_without_repeats(space: Space) -> None:
    sampler = turbo_of(space, seed=8, workers=2, initial=4, candidates=40)

    def loss(config: Config) -> float:
        return float(space.encode([config])[0].sum()) if len(config) % 2 else math.inf

    proposed = played(sampler, loss, 30, workers=2)
    for config in proposed:
        space.check(config)
    count = 30 if space.size is None else min(30, space.size)
    assert len({space.key(config) for config in proposed}) == len(proposed) == count


def test_restricted_it_proposes_every_row_once() -> None:
    rows = MIXED.sample(np.random.default_rng(9), 45)
    sampler = turbo_of(MIXED.restricted(rows), workers=2, initial=5)
    proposed = played(sampler, lambda config: float(MIXED.encode([config])[0].sum()), 60, workers=2)
    assert sorted(map(repr, map(MIXED.key, proposed))) == sorted(map(repr, map(MIXED.key, rows)))


def test_what_it_cannot_do_is_refused_at_the_door() -> None:
    with pytest.raises(ValueError, match="one objective, but 'toy' has 2"):
        Turbo(benchmark_of(SQUARE, objectives=2), np.random.default_rng(0))
    with pytest.raises(ValueError, match="initial >= 1 and candidates >= 8, given 0"):
        turbo_of(SQUARE, initial=0)


def test_within_halving_it_keeps_the_contract() -> None:
    method = parse_method("asha:sampler=turbo:initial=4:candidates=60")
    for law in (
        checks._is_legal,
        checks._survives_infinite_losses,
        checks._works_with_many,
        checks._ends_with_the_space,
    ):
        assert law(method) == ""
