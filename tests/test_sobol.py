"""Laws of the Sobol sequence as a sampler; the oracle is scipy's own sequence."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import qmc

from harness.randomness import stream
from harness.samplers.sobol import DRAWN_AHEAD, Sobol
from harness.space import Config, Space, choice, logordinal, loguniform, ordinal, randint, uniform
from harness.toys import MIXED, toy_benchmark

FLOATS = Space({f"x{i}": uniform(0, 1) for i in range(5)})


def suggested(space: Space, n: int, seed: int = 0) -> list[Config]:
    """The first `n` configs of a fresh sampler."""
    sampler = Sobol(toy_benchmark(space.opened()), stream("sobol", seed))
    configs = [sampler.suggest([]) for _ in range(n)]
    assert None not in configs
    return [config for config in configs if config is not None]


def points(dimension: int, n: int, seed: int = 0) -> np.ndarray:
    """Scipy's points with the scrambling that the sampler with this seed has, n a power of two."""
    return qmc.Sobol(dimension, seed=stream("sobol", seed)).random(n)


def test_the_points_are_those_of_scipy_across_batches() -> None:
    np.testing.assert_array_equal(FLOATS.encode(suggested(FLOATS, 256)), points(5, 256))
    assert DRAWN_AHEAD < 256


def test_values_are_drawn_at_the_quantiles_and_inactive_ones_left_out() -> None:
    for config, row in zip(suggested(MIXED, 64), points(5, 64).tolist(), strict=True):
        quantiles = dict(zip(MIXED.names, row, strict=True))
        assert ("momentum" in config) == (config["optimizer"] in ("sgd", "lion"))
        assert dict(config) == {name: MIXED.domains[name].draw(quantiles[name]) for name in config}


def test_every_hyperparameter_has_its_law_exactly() -> None:
    space = Space({"u": uniform(-3, 5), "l": loguniform(1e-5, 1), "c": choice(list("abcd")), "o": ordinal([1, 2])})
    configs = suggested(space, 256)
    for name in ("u", "l"):
        cells = sorted(int(256 * space.domains[name].encode(config[name])[0] + 1e-9) for config in configs)
        assert cells == list(range(256))
    assert [[config["c"] for config in configs].count(value) for value in "abcd"] == [64] * 4
    assert [config["o"] for config in configs].count(1) == 128


def test_they_are_more_even_than_random_ones() -> None:
    for n in (50, 64, 200):
        ours = [qmc.discrepancy(FLOATS.encode(suggested(FLOATS, n, seed))) for seed in range(8)]
        random = [qmc.discrepancy(stream("random", seed).random((n, 5))) for seed in range(8)]
        assert max(ours) < 0.6 * min(random)


def test_the_scrambling_belongs_to_the_seed() -> None:
    assert suggested(MIXED, 20) == suggested(MIXED, 20)
    assert suggested(MIXED, 1) != suggested(MIXED, 1, seed=1)


@pytest.mark.parametrize(
    "space",
    [
        Space({"p": choice(list("abc")), "q": ordinal([1, 2, 3, 4])}),
        Space({"p": choice(["a", "b"]), "q": randint(0, 40)}, {"q": {"p": ["b"]}}),
        Space({"rare": logordinal([1, 1 + 1e-7, 1 + 2e-7, 1e9])}),
    ],
)
def test_a_finite_space_is_proposed_whole_and_without_repeats(space: Space) -> None:
    count = len(list(space.grid(41)))
    sampler = Sobol(toy_benchmark(space.opened()), stream("sobol", 0))
    keys = {space.key(config) for _ in range(count) if (config := sampler.suggest([])) is not None}
    assert len(keys) == count
    assert sampler.suggest([]) is None


def test_on_a_table_each_point_becomes_the_nearest_free_row() -> None:
    rows = MIXED.sample(stream("rows"), 30)
    encoded, free = MIXED.encode(rows), list(range(30))
    for point, config in zip(MIXED.encode(suggested(MIXED, 30)), suggested(MIXED.restricted(rows), 30), strict=True):
        nearest = min(free, key=lambda row: (float(((encoded[row] - point) ** 2).sum()), row))
        free.remove(nearest)
        assert config == rows[nearest]
    sampler = Sobol(toy_benchmark(MIXED.restricted(rows[:1])), stream("sobol", 0))
    assert [sampler.suggest([]), sampler.suggest([])] == [rows[0], None]


@pytest.mark.parametrize("dimension", [1, 100])
def test_it_takes_any_number_of_hyperparameters(dimension: int) -> None:
    space = Space({f"x{i}": uniform(0, 1) for i in range(dimension)})
    first = np.sort(space.encode(suggested(space, 128))[:, -1])
    assert all(b - a < 2 / 128 for a, b in pairwise(first))
