"""Laws of the kernel densities and of the sampler that lives on them; the oracles are integration and scipy.stats."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid
from scipy.stats import binomtest, chisquare, kstest, truncnorm
from threadpoolctl import threadpool_limits

from harness._parts import parzen
from harness._parts.parzen import Axes, Parzen, Reading, Readings
from harness.plug_ins import read_plug_in
from harness.randomness import stream
from harness.samplers.rs import RandomSearch
from harness.samplers.tpe import TreeParzen, _Rows
from harness.space import (
    Choice,
    Config,
    Float,
    Integer,
    Space,
    choice,
    logordinal,
    lograndint,
    loguniform,
    ordinal,
    randint,
    uniform,
)
from harness.types import Benchmark, Fidelity, Objective

SPACES = {
    "one float": Space({"x": uniform(-3, 5)}),
    "two floats": Space({"x": uniform(0, 1), "y": loguniform(1e-3, 1)}),
    "integers": Space({"n": lograndint(1, 60), "m": randint(-2, 2)}),
    "ordinals": Space({"o": logordinal([1, 2, 16]), "p": ordinal(["s", "m", "l"])}),
    "choices": Space({"c": choice(["a", "b", "c"]), "d": choice([True, False])}),
    "conditions": Space(
        {
            "kind": choice(["sgd", "adam", "lion"]),
            "size": lograndint(2, 40),
            "few": randint(1, 3),
            "momentum": uniform(0, 1),
            "shape": choice(["x", "y", "z"]),
        },
        {"momentum": {"kind": ["sgd", "lion"]}, "few": {"size": [2, 3, 4]}, "shape": {"few": [2], "kind": ["sgd"]}},
    ),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in every study."""
    with threadpool_limits(1):
        yield


def law(space: Space, nodes: int = 80) -> tuple[list[Config], np.ndarray]:
    """Every config with its probability by the space's law; of floats the nodes and weights of Gauss and Legendre."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    found: list[tuple[dict, float]] = [({}, 1.0)]
    for name, domain in space.domains.items():
        if isinstance(domain, Float):
            values = [(domain.draw(u), p) for u, p in zip((x + 1) / 2, w / 2, strict=True)]
        elif isinstance(domain, Integer):
            scale = math.log if domain.log else float
            whole = scale(domain.upper + 0.5) - scale(domain.lower - 0.5)
            cells = ((v, scale(v + 0.5) - scale(v - 0.5)) for v in range(domain.lower, domain.upper + 1))
            values = [(v, width / whole) for v, width in cells]
        elif domain.values == (1, 2, 16):  # log 2 to the middle of 1 and 2, of 2 and 16; the gap is 2 log 2
            values = [(1, 1.5 / 6), (2, 2 / 6), (16, 2.5 / 6)]
        else:
            values = [(v, 1 / len(domain.values)) for v in domain.values]
        found = [
            (config | {name: value} if space.active(name, config) else config, p * q)
            for config, p in found
            for value, q in (values if space.active(name, config) else [(None, 1.0)])
        ]
    return [config for config, _ in found], np.array([p for _, p in found])


def fitted(space: Space, n: int = 6, univariate: bool = False, **options: object) -> Parzen:
    return Parzen(
        Axes(space),
        space.encode(space.sample(stream("points"), n)),
        univariate=univariate,
        **options,  # type: ignore
    )


# -- densities --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("univariate", [False, True])
@pytest.mark.parametrize("name", SPACES)
def test_a_density_is_one_on_average(name: str, univariate: bool) -> None:
    space = SPACES[name]
    configs, probability = law(space)
    points = space.encode(configs)
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    wide = np.full(len(space.names), 0.3)
    for density in (
        fitted(space, univariate=univariate, bandwidths=wide),
        fitted(space, univariate=univariate, bandwidths=wide, prior=0.0, weights=np.array([1, 0, 2, 0.5, 1, 3])),
        fitted(space, n=0, univariate=univariate),
        fitted(space, n=1, univariate=univariate),
    ):
        assert probability @ np.exp(density.log_density(points)) == pytest.approx(1, abs=1e-9)


def by_hand(space: Space, config: Config, other: Config, name: str, bandwidth: float) -> float:
    """What the kernel at `other` says of one hyperparameter of `config`, over the space's law."""
    domain = space.domains[name]
    if name not in config or name not in other:
        return 1.0
    if isinstance(domain, Choice):
        size = len(domain.values)
        return size * (1 - bandwidth if config[name] == other[name] else bandwidth / (size - 1))
    (mean,) = domain.encode(other[name])
    normal = truncnorm(-mean / bandwidth, (1 - mean) / bandwidth, mean, bandwidth)
    if isinstance(domain, Float):
        return float(normal.pdf(domain.encode(config[name])[0]))
    if isinstance(domain, Integer):
        low, high = (domain.encode(config[name] + half)[0] for half in (-0.5, 0.5))
    else:
        edges = [0, 1 / 4, 7 / 12, 1] if domain.scale else [0, 1 / 3, 2 / 3, 1]
        low, high = edges[domain.values.index(config[name]) :][:2]
    return float(normal.cdf(high) - normal.cdf(low)) / (high - low)


@pytest.mark.parametrize("univariate", [False, True])
@pytest.mark.parametrize("name", SPACES)
def test_a_density_is_the_mixture_of_its_kernels(name: str, univariate: bool) -> None:
    space = SPACES[name]
    others, configs = space.sample(stream("others"), 7), space.sample(stream("configs"), 8)
    weights, prior, bandwidths = np.array([1, 2, 0.5, 1, 1, 3, 0]), 0.7, 0.1 + 0.05 * np.arange(len(space.names))
    density = Parzen(
        Axes(space), space.encode(others), weights=weights, prior=prior, bandwidths=bandwidths, univariate=univariate
    )
    expected: list[float] = []
    for config in configs:
        factors = np.array(
            [
                [by_hand(space, config, other, name, b) for name, b in zip(space.names, bandwidths, strict=True)]
                for other in others
            ]
        )
        if univariate:
            known = np.array([[name in other for name in space.names] for other in others])
            share = weights[:, None] * known
            each = ((share * factors).sum(0) + prior) / (share.sum(0) + prior)
            expected.append(float(each[[name in config for name in space.names]].prod()))
        else:
            expected.append(float((weights @ factors.prod(1) + prior) / (weights.sum() + prior)))
    np.testing.assert_allclose(density.log_density(space.encode(configs)), np.log(expected), rtol=1e-9, atol=1e-9)


def test_the_ratio_of_two_points_is_known() -> None:
    axes, at = Axes(SPACES["one float"]), np.array([[0.4]])
    wide = np.array([0.2])
    good, bad = (Parzen(axes, np.array([[x]]), bandwidths=wide) for x in (0.3, 0.9))
    densities = [truncnorm(-x / 0.2, (1 - x) / 0.2, x, 0.2).pdf(0.4) for x in (0.3, 0.9)]
    expected = (densities[0] + 1) / (densities[1] + 1)
    assert math.exp(good.log_density(at)[0] - bad.log_density(at)[0]) == pytest.approx(expected, rel=1e-12)


def test_tails_far_from_all_kernels_keep_their_digits() -> None:
    space = Space({"n": randint(0, 999)})
    density = Parzen(Axes(space), space.encode([{"n": 500}]), prior=0.0, bandwidths=np.array([0.015]))
    left, right = density.log_density(space.encode([{"n": 100}, {"n": 900}]))
    assert left == pytest.approx(right, rel=1e-9)
    assert left == pytest.approx(-0.5 * (0.4 / 0.015) ** 2 - math.log(0.015 * math.sqrt(2 * math.pi)), rel=1e-2)


def test_indicators_and_integrals_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    space = SPACES["conditions"]
    points = space.encode(space.sample(stream("there"), 50))
    for univariate in (False, True):
        known = fitted(space, univariate=univariate).log_density(points)
        for few in (2, 1000):
            monkeypatch.setattr(parzen, "FEW", few)
            np.testing.assert_allclose(fitted(space, univariate=univariate).log_density(points), known, atol=1e-9)


def test_whole_numbers_of_very_many_values_are_nearly_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    space = Space({"n": lograndint(1000, 3000)})
    points = space.encode(space.sample(stream("there"), 50))
    exact = fitted(space).log_density(points)
    monkeypatch.setattr(parzen, "MANY", 1000)
    as_floats = fitted(space)
    np.testing.assert_allclose(as_floats.log_density(points), exact, atol=1e-3)
    assert (exact != as_floats.log_density(points)).any()
    assert space.fresh_near(as_floats.sample(stream("draw"), 1)[0]) is not None


def test_with_one_hyperparameter_or_one_kernel_both_forms_are_one() -> None:
    space = SPACES["one float"]
    points = space.encode(space.sample(stream("there"), 50))
    np.testing.assert_allclose(fitted(space).log_density(points), fitted(space, univariate=True).log_density(points))
    space = SPACES["two floats"]
    points, wide = space.encode(space.sample(stream("there"), 50)), np.full(2, 0.2)
    both = [fitted(space, n=1, univariate=form, prior=0.0, bandwidths=wide) for form in (False, True)]
    np.testing.assert_allclose(both[0].log_density(points), both[1].log_density(points))


def test_of_points_on_a_grid_both_forms_are_one() -> None:
    space = SPACES["two floats"]
    grid = np.array([[x, y] for x in (0.2, 0.5, 0.7) for y in (0.1, 0.4)])
    wide, points = np.full(2, 0.2), space.encode(space.sample(stream("there"), 50))
    both = [Parzen(Axes(space), grid, prior=0.0, bandwidths=wide, univariate=form) for form in (False, True)]
    np.testing.assert_allclose(both[0].log_density(points), both[1].log_density(points))


@pytest.mark.parametrize("univariate", [False, True])
def test_samples_of_floats_follow_the_density(univariate: bool) -> None:
    space = SPACES["one float"]
    density = fitted(space, n=4, univariate=univariate)
    at = np.linspace(0, 1, 2001)
    below = cumulative_trapezoid(np.exp(density.log_density(at[:, None])), at, initial=0)
    drawn = density.sample(stream("draws"), 3000)[:, 0]
    assert kstest(drawn, lambda x: np.interp(x, at, below)).pvalue > 0.01


@pytest.mark.parametrize("univariate", [False, True])
@pytest.mark.parametrize("name", ["integers", "ordinals", "choices", "conditions"])
def test_samples_of_the_rest_follow_the_density(name: str, univariate: bool) -> None:
    space = SPACES[name]
    density = fitted(space, n=4, univariate=univariate)
    configs, probability = law(space)
    expected = dict[tuple, float]()
    for config, p in zip(configs, probability * np.exp(density.log_density(space.encode(configs))), strict=True):
        key = cell(config)
        expected[key] = expected.get(key, 0.0) + p
    drawn = density.sample(stream("draws", name), 5000)
    decoded = space.decode(drawn)
    np.testing.assert_allclose(space.encode(decoded), drawn, atol=1e-12)
    counts = dict.fromkeys(expected, 0)
    for config in decoded:
        space.check(config)
        counts[cell(config)] += 1
    often = [key for key, p in expected.items() if p * 5000 >= 5]
    seen, due = [counts[key] for key in often], [5000 * expected[key] for key in often]
    rest = 5000 - sum(due)
    if rest > 1:  # of less, so few draws say nothing
        seen, due = [*seen, 5000 - sum(seen)], [*due, rest]
    assert chisquare(seen, due, sum_check=False).pvalue > 0.01


def cell(config: Config) -> tuple:
    """A config with its floats cut into four parts."""
    return tuple((k, int(4 * v) if isinstance(v, float) else v) for k, v in config.items())


def test_widened_samples_are_of_wider_kernels() -> None:
    space = SPACES["one float"]
    narrow, wide = (fitted(space, n=3, bandwidths=np.array([b])) for b in (0.05, 0.15))
    np.testing.assert_allclose(narrow.sample(stream("a"), 50, widened=3.0), wide.sample(stream("a"), 50))
    assert (narrow.sample(stream("a"), 50) != wide.sample(stream("a"), 50)).any()


def test_a_density_of_nothing_is_the_law_of_the_space_or_refused() -> None:
    space = SPACES["conditions"]
    empty = np.empty((0, space.dim))
    points = space.encode(space.sample(stream("there"), 50))
    np.testing.assert_allclose(Parzen(Axes(space), empty).log_density(points), 0.0, atol=1e-12)
    with pytest.raises(ValueError, match="one above 0"):
        Parzen(Axes(space), empty, prior=0.0)


# -- the sampler ------------------------------------------------------------------------------------------------------


def benchmark_of(space: Space, levels: tuple[int, ...] = (1,), objectives: int = 1) -> Benchmark:
    names = tuple(Objective(f"loss{i}") for i in range(objectives))
    return Benchmark("toy", space.opened(), names, Fidelity("epoch", levels), 100.0, 2)


def sampler_of(space: Space, seed: int = 0, levels: tuple[int, ...] = (1,), **options: object) -> TreeParzen:
    return TreeParzen(benchmark_of(space, levels), stream("tpe", seed), **options)  # type: ignore[arg-type]


def split(sampler: TreeParzen, pending: Sequence[Config] = ()) -> tuple[Reading, Reading]:
    """What was read of the good configs and of the bad ones."""
    good, reading = sampler._split(pending)
    return reading.take(slice(len(good))), reading.take(slice(len(good), None))


def proposals(sampler: TreeParzen | RandomSearch, loss: object, count: int) -> tuple[list[Config], list[float]]:
    configs: list[Config] = []
    losses: list[float] = []
    for _ in range(count):
        config = sampler.suggest([])
        assert config is not None
        configs.append(config)
        losses.append(loss(config))  # type: ignore[operator]
        sampler.observe(config, 1, (losses[-1],))
    return configs, losses


def bowl(config: Config) -> float:
    return sum((float(v) - 0.3) ** 2 for v in config.values())


def conditional(config: Config) -> float:
    """A loss on the space with conditions: best at sgd, where momentum is .9 and the size 20."""
    away = abs(math.log(config["size"] / 20)) + {"sgd": 0.0, "adam": 0.5, "lion": 1.0}[config["kind"]]  # type: ignore
    return away + abs(config.get("momentum", 0.5) - 0.9)  # type: ignore[operator]


FLOATS = Space({f"x{i}": uniform(0, 1) for i in range(5)})
LETTERS = Space({f"c{i}": choice(list("abcd")) for i in range(8)})
TOYS = {
    "floats": (FLOATS, bowl),
    "conditions": (SPACES["conditions"], conditional),
    "choices": (LETTERS, lambda config: -sum(v == "b" for v in config.values())),
    "rows": (FLOATS.restricted(FLOATS.sample(stream("rows"), 600)), bowl),
}  # fmt: skip


@pytest.mark.parametrize("toy", TOYS)
def test_it_beats_random_search(toy: str) -> None:
    """Of 20 pairs of seeds it has the lower best loss after 40 configs so often that it is no chance."""
    space, loss = TOYS[toy]
    won = lost = 0
    for seed in range(20):
        ours = min(proposals(sampler_of(space, seed), loss, 40)[1])
        theirs = min(proposals(RandomSearch(benchmark_of(space), stream("rs", seed)), loss, 40)[1])
        won += ours < theirs
        lost += ours > theirs
    assert binomtest(won, won + lost, alternative="greater").pvalue < 0.01


def test_the_univariate_form_finds_what_is_separable() -> None:
    best = [min(proposals(sampler_of(FLOATS, seed, univariate=True), bowl, 50)[1]) for seed in range(5)]
    random = [min(proposals(RandomSearch(benchmark_of(FLOATS), stream("rs", s)), bowl, 50)[1]) for s in range(5)]
    assert np.mean(best) < 0.5 * np.mean(random)


@pytest.mark.parametrize("univariate", [False, True])
def test_only_the_order_of_losses_matters(univariate: bool) -> None:
    space = SPACES["conditions"]
    first, _ = proposals(sampler_of(space, univariate=univariate), conditional, 25)
    second, _ = proposals(sampler_of(space, univariate=univariate), lambda c: -1e6 * math.exp(-conditional(c)), 25)
    assert first == second
    other, _ = proposals(sampler_of(space, univariate=univariate), lambda c: -conditional(c), 25)
    assert first != other


def test_a_failure_is_a_very_bad_loss() -> None:
    def failing(config: Config, loss: float) -> float:
        return loss if config["x0"] > 0.5 else bowl(config)  # type: ignore[operator]

    first, _ = proposals(sampler_of(FLOATS), lambda c: failing(c, math.inf), 25)
    second, _ = proposals(sampler_of(FLOATS), lambda c: failing(c, math.nan), 25)
    assert first == second
    assert sum(config["x0"] > 0.5 for config in first[10:]) <= 3  # type: ignore[operator]


@pytest.mark.parametrize("loss", [math.inf, 1.0])
def test_equal_losses_are_no_trouble(loss: float) -> None:
    configs, _ = proposals(sampler_of(SPACES["conditions"]), lambda config: loss, 25)
    assert len({tuple(config.items()) for config in configs}) == 25


def test_who_fails_is_bad_at_every_resource() -> None:
    space = SPACES["one float"]
    failed, sound = sampler_of(space, levels=(1, 3)), sampler_of(space, levels=(1, 3))
    for i in range(12):
        for sampler in (failed, sound):
            sampler.observe({"x": i / 4}, 1, (float(i),))
    failed.observe({"x": 0.0}, 2, (math.inf,))
    good, bad = split(failed)
    assert good.points.shape == (2, 1) and len(bad.points) == 10
    assert good.points.min() > split(sound)[0].points.min()
    failed.observe({"x": 0.0}, 1, (0.0,))
    np.testing.assert_array_equal(split(failed)[0].points, split(sound)[0].points)


def test_the_highest_resource_with_enough_observations_is_modelled() -> None:
    sampler = sampler_of(SPACES["one float"], levels=(1, 3, 9))
    modelled: list[int] = []
    for i in range(24):
        sampler.observe({"x": i / 8}, 1, (float(i),))
        if i % 2:
            sampler.observe({"x": i / 8}, 3, (-float(i),))
        if i % 12 == 11:
            sampler.observe({"x": i / 8}, 9, (math.inf,))
        modelled.append(sampler._modelled())
    assert modelled == [1] * 21 + [3] * 3  # with the 22nd ten have losses at 3, for the 12th failed
    assert split(sampler)[0].points[0, 0] == pytest.approx((21 / 8 + 3) / 8)  # the best at 3, the 24th, failed at 9


def test_a_loss_told_again_replaces_the_first() -> None:
    sampler = sampler_of(SPACES["one float"])
    for i in range(12):
        sampler.observe({"x": i / 4}, 1, (float(i),))
    sampler.observe({"x": 11 / 4}, 1, (-1.0,))
    good, bad = split(sampler)
    assert len(good.points) + len(bad.points) == 12
    assert good.points[0, 0] == pytest.approx((11 / 4 + 3) / 8)


def test_trials_under_way_are_bad_unless_they_are_known() -> None:
    sampler = sampler_of(SPACES["one float"])
    for i in range(20):
        sampler.observe({"x": i / 10}, 1, (float(i),))
    good, bad = split(sampler, [{"x": 4.0}, {"x": 0.0}, {"x": 0.1}])
    assert len(good.points) == 2 and len(bad.points) == 19
    assert bad.points[-1, 0] == pytest.approx(7 / 8)


@pytest.mark.parametrize("restricted", [False, True])
def test_what_is_kept_between_suggestions_changes_none(restricted: bool) -> None:
    space = SPACES["conditions"]
    space = space.restricted(space.sample(stream("rows"), 60)) if restricted else space
    asked = sampler_of(space)
    configs, losses = proposals(asked, conditional, 40)
    told = TreeParzen(benchmark_of(asked._space), asked._rng)
    for config, loss in zip(configs, losses, strict=True):
        told.observe(config, 1, (loss,))
    proposed, state = set(asked._space._proposed), asked._rng.bit_generator.state
    free, place = list(asked._space._free), dict(asked._space._place)
    first = asked.suggest(configs[:3])
    assert asked._rows is None or asked._rows._free.tolist() == sorted(free)
    asked._rng.bit_generator.state = state
    told._space._proposed, told._space._free, told._space._place = proposed, free, place
    assert told.suggest(configs[:3]) == first


@pytest.mark.parametrize(("univariate", "rate"), [(False, 6), (True, 5)])
def test_few_points_have_wide_kernels_and_many_have_narrow_ones(univariate: bool, rate: int) -> None:
    space = SPACES["two floats"]
    axes = Axes(space)
    for n, bandwidth in ((0, 1 / 2), (1, 1 / 3), (6, 1 / 8), (100, 0.07 * 100 ** (-1 / rate))):
        reading = axes.read(space.encode(space.sample(stream("points"), n)))
        np.testing.assert_allclose(parzen.default_bandwidths(axes, reading, univariate), bandwidth)


def test_rows_that_are_gone_are_not_drawn() -> None:
    space = SPACES["two floats"]
    points = space.encode(space.sample(stream("rows"), 30))
    rows = _Rows(Axes(space).read(points.copy()))
    for gone in ([29], [0, 1, 2], [7, 20, 28], list(range(3, 27))):
        points[gone] = np.nan
        free = points[~np.isnan(points[:, 0])]
        rows.keep(free)
        np.testing.assert_array_equal(rows.drawn(stream("draws"), 30)[0].points, free)


@pytest.mark.parametrize("name", ["integers", "conditions"])
def test_configs_read_one_by_one_are_read_as_together(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parzen, "FEW", 3)
    space = SPACES[name]
    axes, points = Axes(space), space.encode(space.sample(stream("points"), 50))
    readings, whole, chosen = Readings(axes), axes.read(points), [3, 0, 17, 17]
    for count, point in enumerate(points.tolist()):
        readings.add(point)
        if count >= 17 and count % 4 == 0:
            taken = readings.take(chosen, [points[1].tolist(), points[2].tolist()])
            for found, expected in zip(taken, whole.take(np.array([*chosen, 1, 2])), strict=True):
                np.testing.assert_array_equal(found, expected)
    assert len(readings) == 50


def test_workers_are_kept_apart() -> None:
    space = SPACES["two floats"]
    apart: list[float] = []
    for told in (False, True):
        sampler = sampler_of(space)
        proposals(sampler, lambda c: abs(c["x"] - 0.5), 20)  # type: ignore[operator]
        pending: list[Config] = []
        for _ in range(12):
            config = sampler.suggest(pending if told else [])
            assert config is not None
            pending.append(config)
        points = space.encode(pending)
        gaps = np.abs(points[:, None] - points).max(-1) + np.eye(12)
        apart.append(float(gaps.min(1).mean()))
    assert apart[1] > 1.3 * apart[0]


def test_many_observations_are_thinned() -> None:
    sampler = sampler_of(SPACES["two floats"])
    for i in range(2000):
        sampler.observe({"x": (i + 0.5) / 2000, "y": 0.1}, 1, (i / 2000,))
    good, bad = split(sampler)
    assert len(good.points) == 25 and len(bad.points) == 250
    np.testing.assert_array_equal(good.points[:, 0], (np.arange(25) + 0.5) / 2000)
    assert bad.points[-1, 0] == 1999.5 / 2000 and np.ptp(np.diff(bad.points[:, 0])) < 1e-3


def test_rows_are_drawn_in_proportion_to_the_density_of_the_good() -> None:
    space = SPACES["one float"]
    rows = space.restricted(space.sample(stream("rows"), 15))
    likely = Parzen(Axes(space), np.array([[0.2], [0.6]]), bandwidths=np.array([0.2]))
    free = rows.free_rows()
    assert free is not None
    kept, rng = _Rows(Axes(space).read(free)), stream("draws")
    kept.weigh(likely)
    drawn = np.array([kept.drawn(rng, 1)[0].points[0, 0] for _ in range(3000)])
    counts = [(drawn == x).sum() for x in free[:, 0]]
    weights = np.exp(likely.log_density(free))
    assert chisquare(counts, 3000 * weights / weights.sum()).pvalue > 0.01


def test_a_table_is_proposed_row_by_row_to_its_end() -> None:
    space = SPACES["conditions"]
    rows = space.sample(stream("rows"), 40)
    sampler = sampler_of(space.restricted(rows))
    configs, _ = proposals(sampler, conditional, 40)
    assert sorted(map(str, configs)) == sorted(map(str, rows))
    assert sampler.suggest([]) is None


def test_a_finite_space_is_proposed_to_its_end() -> None:
    space = Space({"c": choice(["a", "b", "c"]), "n": randint(1, 5)})
    sampler = sampler_of(space)
    configs, _ = proposals(sampler, lambda c: c["n"], 15)
    assert len({tuple(config.items()) for config in configs}) == 15
    assert sampler.suggest([]) is None


def test_a_hundred_hyperparameters_are_no_trouble() -> None:
    kinds = (uniform(0, 1), randint(1, 9), choice(["a", "b", "c"]), lograndint(1, 1000), ordinal([1, 2, 3]))
    space = Space({f"x{i}": kinds[i % 5] for i in range(100)})
    configs, losses = proposals(sampler_of(space), lambda c: sum(c[f"x{i}"] for i in range(0, 100, 5)), 40)
    for config in configs:
        space.check(config)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])


def test_options_without_sense_are_refused() -> None:
    for options in ({"initial": 0}, {"candidates": 0}, {"gamma": 0.0}, {"gamma": 1.0}):
        with pytest.raises(ValueError, match="tpe needs initial >= 1"):
            sampler_of(FLOATS, **options)
    with pytest.raises(ValueError, match="models one objective, but 'toy' has 2"):
        TreeParzen(benchmark_of(FLOATS, objectives=2), np.random.default_rng(0))


def test_it_is_found_by_its_name() -> None:
    plug_in = read_plug_in(Path(__file__).parents[1] / "harness" / "samplers" / "tpe.py")
    assert plug_in.kind == "sampler" and plug_in.options["univariate"] == ("bool", False)
