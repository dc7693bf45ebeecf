"""Surrogates: their parts against oracles, their whole against a benchmark whose every curve is known."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import spearmanr
from test_table import Trap

from harness.randomness import stream
from harness.space import Config, Space, choice, loguniform, uniform
from harness.types import Benchmark, End, Fidelity, Objective
from surrogates import cross_validation, declared, facts, fitting, surrogate
from surrogates.candidates import CANDIDATES, Candidate
from surrogates.declared import Declared
from surrogates.drawn import drawn_table
from surrogates.features import Features
from surrogates.misses import LENT, Misses, length_of, none_of, without_luck
from surrogates.noise import NEIGHBOURS, Noise, place_of
from surrogates.prepared import prepared
from surrogates.regressors.gaussian_process import GaussianProcess
from surrogates.regressors.kernel import matern
from surrogates.regressors.likelihood import left_out, likelihood, solve
from surrogates.regressors.nearest import Nearest
from surrogates.regressors.trees import Trees
from surrogates.scales import Components, Scale
from surrogates.surrogate import Surrogate
from surrogates.table import ENDS, TableData
from surrogates.terms import exact, summed

SPACE = Space(
    {
        "rate": loguniform(1e-3, 1.0),
        "width": uniform(0.0, 1.0),
        "rule": choice(["plain", "heavy"]),
        "momentum": uniform(0.0, 0.9),
    },
    {"momentum": {"rule": ["heavy"]}},
)
LEVELS = (1, 2, 3, 5, 8)
METRICS = ("loss", "accuracy", "test_loss", "bits", "seconds", "parameters")
EDGE = 0.3
"""A rate above it diverges at the third level."""


def benchmark(**fields: Any) -> Benchmark:
    fidelity = Fidelity("epoch", LEVELS)
    plain = Benchmark(
        "smooth", SPACE, (Objective("loss"),), fidelity, 100.0, 2, test_metric="test_loss", table_miss="surrogate"
    )
    return replace(plain, **fields)


def truth(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Losses at each level, and cumulative seconds: smooth in the encoded space."""
    rate, width = math.log10(float(config["rate"])) / 3 + 1, float(config["width"])
    momentum = float(config.get("momentum", -0.3))
    final = 0.2 + (rate - 0.5) ** 2 + 0.5 * (width - 0.3) ** 2 + 0.2 * (momentum - 0.5) ** 2
    levels = np.array(LEVELS, dtype=float)
    return final + (0.5 + rate) / levels, (1 + width) * levels


def made(rows: int = 60, seeds: int = 2, spread: float = 0.02, edge: float = EDGE, **fields: Any) -> TableData:
    """A table whose runs lie around the truth, a seed's luck the same at all levels, in terms of the loss's scale."""
    luck = stream("smooth", rows, seeds)
    configs = tuple(SPACE.sample(luck, rows))
    values, seconds = np.empty((rows, seeds, len(LEVELS), len(METRICS))), np.empty((rows, seeds, len(LEVELS)))
    ends = np.zeros((rows, seeds), dtype=np.int8)
    for row, config in enumerate(configs):
        for seed in range(seeds):
            loss, seconds[row, seed] = truth(config)
            loss = loss * np.exp(spread * float(ndtri(luck.random())))
            size = np.full(len(LEVELS), 100 + 900 * float(config["width"]))
            values[row, seed] = np.column_stack(
                [loss, 1 - loss / 3, loss + 0.1, loss / math.log(2), seconds[row, seed] * 2, size]
            )
            if float(config["rate"]) > edge:
                ends[row, seed] = ENDS.index(End.DIVERGED)
                values[row, seed, 2:], seconds[row, seed, 3:] = np.nan, np.nan
    parts, names = ("iid",) * rows, tuple(range(seeds))
    return TableData(benchmark(**fields), configs, parts, names, METRICS, values, seconds, ends, {"how": "by hand"})


def quick(patch: pytest.MonkeyPatch, *kept: str) -> None:
    """Few folds and candidates, facts of few configs."""
    patch.setattr(cross_validation, "FOLDS", 3)
    patch.setattr(facts, "SAMPLE", 1000)
    patch.setattr(facts, "CLIMB", 20)
    for name in CANDIDATES.keys() - {*kept}:
        patch.delitem(CANDIDATES, name)


GP = "Gaussian process"


Learnt = tuple[TableData, Surrogate, cross_validation.HeldOut]


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    data = made(rows=100)
    with pytest.MonkeyPatch.context() as patch:
        quick(patch, "five nearest", GP)
        fitted, _, held_out = fitting.fit(data, Declared())
    return data, Surrogate(data.benchmark, fitted, "digest"), held_out


def fit(data: TableData, known: Declared | None = None, *candidates: str) -> Surrogate:
    """A surrogate by a cheap regressor."""
    with pytest.MonkeyPatch.context() as patch:
        quick(patch, *(candidates or ("five nearest",)))
        return Surrogate(data.benchmark, fitting.fit(data, known or Declared())[0], "digest")


def mean_alone(model: Surrogate) -> Surrogate:
    """The surrogate without what its mean misses of configs."""
    fitted, width = model.fitted, model.fitted.misses.residuals.shape[1]
    return Surrogate(model.benchmark, replace(fitted, misses=none_of(fitted.support.shape[1], width)), model.digest)


# -- regressors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 3])
def test_trees_are_those_of_scikit_learn(outputs: int) -> None:
    from sklearn.ensemble import ExtraTreesRegressor

    luck = np.random.default_rng(0)
    x, new = luck.random((80, 4)), luck.random((50, 4))
    y = np.column_stack([x[:, 0] ** 2 + place * x[:, 1] for place in range(outputs)])
    forest = ExtraTreesRegressor(30, max_features=1.0, random_state=0).fit(x, y if outputs > 1 else y[:, 0])
    assert np.array_equal(Trees.fit(x, y, 30).predict(new), forest.predict(new).reshape(50, outputs))


def test_a_gaussian_process_is_that_of_scikit_learn() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    luck = np.random.default_rng(0)
    x, y, new = luck.random((60, 3)), luck.standard_normal((60, 2)), luck.random((40, 3))
    logarithms = np.array([[-0.5, 0.2, 1.0, 0.3, -3.0], [0.4, -1.0, 2.0, -1.0, -5.0]])
    mean, spread = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    relative = luck.lognormal(size=(2, 60))
    given = {"logarithms": logarithms, "relative": relative, "mean": mean, "spread": spread}
    ours = GaussianProcess.with_kernels(x, y, **given).predict(new)
    for place, (*lengths, signal, noise) in enumerate(np.exp(logarithms).tolist()):
        kernel, uneven = ConstantKernel(signal) * Matern(lengths, nu=2.5), noise * relative[place]
        theirs = GaussianProcessRegressor(kernel, alpha=uneven, optimizer=None).fit(x, y[:, place]).predict(new)
        assert ours[:, place] == pytest.approx(mean[place] + spread[place] * theirs, abs=1e-8)


def test_the_slope_of_the_likelihood_is_that_of_differences() -> None:
    luck = np.random.default_rng(1)
    objective = likelihood(luck.random((30, 3)), luck.standard_normal(30), luck.lognormal(size=30))
    for _ in range(5):
        theta = luck.standard_normal(5)
        steps = 1e-5 * np.eye(5)
        slopes = [(objective(theta + step)[0] - objective(theta - step)[0]) / 2e-5 for step in steps]
        assert objective(theta)[1] == pytest.approx(slopes, rel=1e-6, abs=1e-6)


def test_a_gaussian_process_learns_a_smooth_function_and_what_does_not_matter() -> None:
    luck = np.random.default_rng(2)
    x, new = luck.random((80, 3)), luck.random((200, 3))

    def smooth(x: np.ndarray) -> np.ndarray:
        return np.column_stack([np.sin(4 * x[:, 0]), x[:, 0] * x[:, 1], np.full(len(x), 7.0)])

    process = GaussianProcess.fit(x, smooth(x))
    assert process.predict(new) == pytest.approx(smooth(new), abs=0.01)
    assert process.lengths[0, 0] < process.lengths[0, 1] / 3


def test_what_is_missed_of_rows_left_out_is_what_the_others_leave() -> None:
    luck = np.random.default_rng(5)
    x, y, noise = luck.random((12, 2)), luck.standard_normal(12), luck.lognormal(size=12)
    for row, missed in enumerate(left_out(x, y, 0.7, noise)):
        rest = np.arange(12) != row
        fit = solve(x[rest], y[rest], 0.7, noise[rest])
        kernel, _ = matern(((x[rest] - x[row]) ** 2).sum(axis=1))
        assert missed == pytest.approx(y[row] - 0.7 * kernel @ fit, abs=1e-9)


def test_a_gaussian_process_trusts_noisy_rows_less() -> None:
    luck = np.random.default_rng(6)
    x = luck.random((200, 1))
    noisy, truth = x[:, 0] > 0.5, np.sin(6 * x)
    y = truth + np.where(noisy, 0.5, 0.005)[:, None] * luck.standard_normal((200, 1))
    missed = np.abs(GaussianProcess.fit(x, y).predict(x) - truth)[:, 0]
    assert missed[x[:, 0] < 0.4].max() < 0.01 < missed[noisy].max()


@pytest.mark.parametrize("fitted", [GaussianProcess.fit, Trees.fit, lambda x, y: Nearest.fit(x, y, 3)])
def test_many_rows_at_once_give_what_each_gives(fitted: Callable[..., Any]) -> None:
    luck = np.random.default_rng(3)
    x, new = luck.random((40, 3)), luck.random((30, 3))
    model = fitted(x, np.column_stack([x[:, 0], x[:, 1] * x[:, 2]]))
    assert np.concatenate([model.predict(point[None]) for point in new]) == pytest.approx(model.predict(new), abs=1e-12)


def test_the_nearest_rows_interpolate() -> None:
    luck = np.random.default_rng(4)
    x, y = luck.random((30, 3)), luck.random((30, 2))
    assert Nearest.fit(x, y, 5).predict(x) == pytest.approx(y, abs=1e-6)
    assert Nearest.fit(x, y, 99).k == 30
    new = luck.random((20, 3))
    closest = ((new[:, None] - x) ** 2).sum(axis=2).argmin(axis=1)
    assert Nearest.fit(x, y, 1).predict(new) == pytest.approx(y[closest])


# -- scales and features ----------------------------------------------------------------------------------------------


def test_a_scale_inverts_and_keeps_what_is_possible() -> None:
    luck = np.random.default_rng(5)
    curves = luck.random((20, 4, 3)) * [1.0, 0.9, 5.0] + [0.0, 0.05, -2.0]
    scale = Scale.of(curves, np.array([1.0, -1.0, 1.0]))
    assert scale.values(scale.unbounded(curves)) == pytest.approx(curves)
    wild = scale.values(20 * luck.standard_normal((500, 4, 3)))
    assert wild[..., 0].min() >= 0 and wild[..., 1].min() >= 0 and wild[..., 1].max() <= 1
    assert wild[..., 2].min() < -2 and np.isfinite(scale.unbounded(-wild)).all()
    assert scale.unbounded(np.array([0.2, 0.2, 0.2]))[0] < scale.unbounded(np.array([0.3, 0.3, 0.3]))[0]
    assert scale.unbounded(np.array([0.2, 0.2, 0.2]))[1] > scale.unbounded(np.array([0.3, 0.3, 0.3]))[1]


def test_what_may_be_nought_is_never_less() -> None:
    curves = np.linspace(0, 1, 20).reshape(10, 2, 1)
    scale = Scale.of(curves, np.ones(1))
    assert scale.values(scale.unbounded(curves)) == pytest.approx(curves)
    assert scale.values(np.full((1, 1, 1), -9.0)) == 0


def test_a_scale_of_what_never_changes_inverts() -> None:
    curves = np.broadcast_to([3.0, 0.0, -4.0], (5, 2, 3))
    scale = Scale.of(curves, np.ones(3))
    assert scale.values(scale.unbounded(curves)) == pytest.approx(curves, abs=1e-12)


def test_components_invert_whatever_the_units() -> None:
    luck = np.random.default_rng(6)
    curves = np.einsum("nk,klm->nlm", luck.standard_normal((50, 3)), luck.standard_normal((3, 6, 2))) + 5
    parts = Components.of(curves)
    coefficients = parts.coefficients(curves)
    assert parts.curves(coefficients) == pytest.approx(curves.reshape(50, -1))
    assert parts.coefficients(parts.curves(coefficients)) == pytest.approx(coefficients)
    assert coefficients.var(axis=0) == pytest.approx(1)
    in_other_units = curves * [1.0, 1000.0]
    assert Components.of(in_other_units).coefficients(in_other_units) == pytest.approx(coefficients)
    constant = Components.of(np.ones((4, 6, 2)))
    assert constant.curves(constant.coefficients(np.ones((4, 6, 2)))) == pytest.approx(1)


def test_features_are_the_encoding_and_scaled_products() -> None:
    products = {"step": {"rate": 1.0, "1-momentum": -1.0}, "width": {"width": 2.0}, "always": {"rate": 0.0}}
    configs: list[Config] = [
        {"rate": 0.1, "width": 0.5, "rule": "plain"},
        {"rate": 0.1, "width": 0.25, "rule": "heavy", "momentum": 0.9},
        {"rate": 0.01, "width": 0.0, "rule": "heavy", "momentum": 0.0},
    ]
    features = Features.over(SPACE, products, configs)
    x = features.of(configs)
    assert x[:, : SPACE.dim] == pytest.approx(SPACE.encode(configs))
    # lr / (1 - momentum): 0.1 where there is no momentum, then 1, then 0.01; a width of nought counts as a thousandth.
    assert x[:, SPACE.dim] == pytest.approx([0.5, 1, 0])
    assert x[:, SPACE.dim + 1] == pytest.approx([1, math.log(0.25 / 1e-3) / math.log(0.5 / 1e-3), 0])
    assert x[:, SPACE.dim + 2] == pytest.approx(0)
    assert np.array_equal(features.one(configs[1]), x[1])
    again = Features(SPACE, products, features.low, features.high)
    assert np.array_equal(again.of(configs), x)


@pytest.mark.parametrize("factor", ["speed", "rule", "1-speed", "1-rule"])
def test_a_product_of_what_is_no_number_of_the_space_is_refused(factor: str) -> None:
    with pytest.raises(ValueError, match=f"'step' is made of '{factor}'.*there are rate, width, momentum"):
        Features(SPACE, {"step": {factor: 1.0}})


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"products": []}',
        '{"products": {"step": 1}}',
        '{"products": {"a": {"b": "c"}}}',
        '{"metrics": {"parameters": {"layers": 2}}}',
        '{"plateau": "high"}',
        '{"plateau": [1]}',
        '{"diverges": 1}',
    ],
)
def test_what_is_declared_wrongly_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    assert declared.read(tmp_path) == Declared()
    (tmp_path / declared.FILE).write_text(text)
    with pytest.raises(ValueError, match=r"declared\.json: expected products .*plateau and diverged"):
        declared.read(tmp_path)


def test_what_is_declared_is_read(tmp_path: Path) -> None:
    (tmp_path / declared.FILE).write_text('{"products": {"step": {"lr": 1, "1-momentum": -1}}, "diverged": 6.5}')
    assert declared.read(tmp_path) == Declared({"step": {"lr": 1.0, "1-momentum": -1.0}}, math.inf, 6.5)
    (tmp_path / declared.FILE).write_text('{"metrics": {"parameters": {"layers": {"depth": 1, "width": 2}}}}')
    assert declared.read(tmp_path) == Declared(metrics={"parameters": {"layers": {"depth": 1.0, "width": 2.0}}})


# -- what a config alone decides --------------------------------------------------------------------------------------

BY_WIDTH = {"by width": {"width": 1.0}}


def test_declared_sums_are_exact_whatever_is_missed_or_diverges(tmp_path: Path) -> None:
    known = Declared(time=BY_WIDTH, metrics={"parameters": BY_WIDTH})
    fitted = fit(made(rows=60), known).fitted
    assert "parameters" not in fitted.modelled and fitted.derived["seconds"] == (None, pytest.approx(2.0))
    surrogate.save(fitted, "table", tmp_path)
    model = surrogate.load(tmp_path, benchmark(), "table")
    ends = set()
    for config in fresh(200):
        curve, width = model.curve(config, 3), float(config["width"])
        ends.add(curve.end)
        assert [said["parameters"] for said in curve.metrics] == pytest.approx([100 + 900 * width] * len(curve.metrics))
        spent = truth(config)[1][: len(curve.nanoseconds)]
        assert np.array(curve.nanoseconds) / 1e9 == pytest.approx(spent, rel=1e-6)
        assert [said["seconds"] for said in curve.metrics] == pytest.approx(2 * spent, rel=1e-6)
    assert ends == {End.COMPLETE, End.DIVERGED}
    smallest = model.under(benchmark(objectives=(Objective("parameters"), Objective("loss"))))
    calm = [config for config in fresh(50) if float(config["rate"]) < EDGE / 10]
    assert smallest.final_losses(calm) == pytest.approx([100 + 900 * float(config["width"]) for config in calm])


def test_a_sum_of_whole_numbers_gives_whole_numbers() -> None:
    configs = [{"depth": depth, "width": width} for depth in (1, 2, 3) for width in (16, 24, 64)]
    layers = {"head": {"width": 1.0}, "layers": {"depth": 1.0, "width": 2.0}, "none": {"depth": 1.0}}
    sizes = np.array([[1001.0 * c["width"] + 12 * c["depth"] * c["width"] ** 2] for c in configs])
    parts = exact("parameters", layers, configs, sizes)
    assert [coefficient for coefficient, _ in parts] == [0, 1001, 12, 0]
    assert summed(parts, [{"depth": 4, "width": 48}]).tolist() == [1001 * 48 + 12 * 4 * 48**2]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"parameters": {"by rate": {"rate": 1.0}}}, "'parameters' is not the sum that is declared: "),
        ({"parameters": BY_WIDTH | {"again": {"width": 1.0}}}, "do not tell the 3 terms of 'parameters' apart"),
        ({"parameters": {"rules": {"rule": 1.0}}}, "'parameters' has the term 'rules' of 'rule'"),
        ({"loss": BY_WIDTH}, "terms of 'loss' are declared; only of "),
        ({"error": BY_WIDTH}, "terms of 'error' are declared; only of accuracy, test_loss, bits, seconds, parameters"),
    ],
)
def test_a_sum_that_a_metric_is_not_is_refused(metrics: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        prepared(made(), Declared(metrics=metrics))


def test_seconds_that_are_nearly_the_declared_sum_are_learned_around_it() -> None:
    data = made(rows=60, edge=1.0)
    odd = np.array([1.5 if config["rule"] == "heavy" else 1.0 for config in data.configs])
    data = replace(data, seconds=data.seconds * odd[:, None, None])
    learned = prepared(data, Declared(time=BY_WIDTH))
    left = np.exp(learned.seconds[:, -1])
    assert left[odd > 1].min() > 1.3 * left[odd == 1].max()


# -- noise ------------------------------------------------------------------------------------------------------------


def test_noise_gives_back_the_spread_of_seeds() -> None:
    luck = np.random.default_rng(7)
    x, counts = luck.random((300, 2)), luck.integers(1, 5, 300)
    runs = [x[i].sum() + 0.3 * luck.standard_normal((n, 1)) * np.ones(4) for i, n in enumerate(counts)]
    noise = Noise.of(x, runs)
    assert len(noise.x) == (counts > 1).sum()
    drawn = np.array([noise.drawn(point, luck.random(3).tolist()) for point in luck.random((4000, 2))])
    assert drawn.std(axis=0) == pytest.approx(0.3, rel=0.05)
    assert abs(drawn.mean()) < 0.02
    assert (drawn == drawn[:, :1]).all(), "the levels of a run hang together"


def test_noise_is_what_was_measured_nearby() -> None:
    luck = np.random.default_rng(8)
    x = luck.random((200, 1))
    runs = [np.where(point > 0.5, 1.0, 0.01) * luck.standard_normal((3, 1)) for point in x]
    noise = Noise.of(x, runs)
    spread = [np.std([noise.drawn(np.array([at]), luck.random(3).tolist()) for _ in range(300)]) for at in (0.2, 0.8)]
    assert spread[0] < 0.02 and spread[1] > 0.5
    near = noise.near(np.array([0.3]))
    assert set(near) == set(np.argsort(abs(x[:, 0] - 0.3))[:NEIGHBOURS])


def test_quantiles_of_noise_are_those_of_its_draws() -> None:
    luck = np.random.default_rng(9)
    x = luck.random((20, 2))
    noise = Noise.of(x, [luck.standard_normal((2 + i % 3, 1)) for i in range(20)])
    point = np.array([0.5, 0.5])
    drawn = [noise.drawn(point, luck.random(3).tolist())[0] for _ in range(20_000)]
    shares = [0.1, 0.25, 0.5, 0.9]
    below = [np.mean(np.array(drawn) <= value) for value in noise.quantiles(point, 0, shares)]
    assert below == pytest.approx(shares, abs=0.03)


def test_without_repeated_seeds_there_is_no_noise() -> None:
    noise = Noise.of(np.random.default_rng(0).random((5, 2)), [np.ones((1, 3))] * 5)
    assert (noise.drawn(np.zeros(2), [0.9, 0.9, 0.9]) == 0).all()
    model = fit(made(rows=20, seeds=1))
    config = model.benchmark.space.sample(stream("one"), 1)[0] | {"rate": 0.01}
    assert model.curve(config, 0) == model.curve(config, 1) == model.expected(config)


# -- what a mean misses of a config -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "runs"), [(0.0, 1), (0.3, 1), (0.3, 3), (0.05, 3)])
def test_what_is_missed_is_told_from_luck(own: float, runs: int) -> None:
    rng, luck = np.random.default_rng(0), 0.1
    x = rng.random((400, 2))
    offsets = own * rng.standard_normal((400, 1)) + luck / np.sqrt(runs) * rng.standard_normal((400, 1))
    noise = Noise.of(x[:100], [*luck * rng.standard_normal((100, 3, 1))])
    missed = without_luck(x, offsets, np.full(400, runs), noise)
    spread, allowed = np.sqrt((missed**2).mean()), 0.45 * luck / np.sqrt(runs)
    assert abs(spread - own) < (allowed if own < luck else 0.1 * own)


def test_what_is_missed_of_bad_configs_says_nothing_of_good_ones() -> None:
    """Configs predicted to end badly, everywhere among the good ones, are missed by a hundred times as much."""
    rng, none = np.random.default_rng(0), Noise.of(np.zeros((1, 3)), [np.zeros((1, 1))])
    bad = np.arange(400) % 4 == 0
    places = place_of(rng.random((400, 2)), np.where(bad, 3.0, 0.0)[:, None])
    residuals = without_luck(places, np.where(bad, 1.0, 0.01)[:, None], np.ones(400, dtype=np.intp), none)
    field = Misses.of(places, residuals, 0.02)
    missed = [field.at(place_of(one, np.zeros(1)))[0] for one in rng.random((300, 2))]
    assert np.sqrt(np.square(missed).mean()) == pytest.approx(0.01, rel=0.15)
    assert max(map(abs, missed)) <= 0.01 * np.sqrt(2 * LENT)
    assert field.spread(place_of(np.full(2, 0.5), np.zeros(1)), 0) == pytest.approx(0.01)


def test_what_is_missed_hangs_together_over_its_length() -> None:
    luck, length = np.random.default_rng(4), 0.05
    residuals = luck.choice([-1.0, 1.0], (100, 1)) * np.array([1.0, 3.0])
    field = Misses.of(place_of(luck.random((100, 2)), np.zeros((100, 1))), residuals, length)
    x, turn = luck.random((2000, 2)), 2 * np.pi * luck.random(2000)
    at = lambda points: np.array([field.at(place_of(one, np.zeros(1))) for one in points])  # noqa: E731
    here = at(x)
    assert np.sqrt(np.square(here).mean(axis=0)) == pytest.approx([1.0, 3.0], rel=0.1)
    assert here[:, 1] == pytest.approx(3 * here[:, 0]), "levels and metrics hang together"
    for far in (0.25, 1.0, 1.5, 4.0):
        there = at(x + far * length * np.column_stack([np.cos(turn), np.sin(turn)]))
        alike = np.mean(here[:, 0] * there[:, 0]) / np.mean(np.square(here[:, 0]))
        assert alike == pytest.approx(np.exp(-(far**2) / 2), abs=0.1)


@pytest.mark.parametrize("length", [0.05, 0.1, 0.2])
def test_over_which_distance_it_hangs_together_is_told_by_near_pairs(length: float) -> None:
    """Fields of a known length at 60 places with four moves around each, with luck as large as the field itself."""
    luck, near = np.random.default_rng(1), 0.25
    moves = np.concatenate([np.zeros((60, 1, 3)), 0.2 * (2 * luck.random((60, 4, 3)) - 1)], axis=1)
    x = np.reshape(10.0 * np.arange(60)[:, None, None] + moves, (-1, 3))
    squares = np.square(x[:, None] - x).sum(axis=2)
    pairs = np.argwhere(np.triu(squares < near**2, 1))
    factor = np.linalg.cholesky(np.exp(-squares / (2 * length**2)) + 1e-9 * np.eye(len(x)))
    missed = factor @ luck.standard_normal(len(x)) + luck.standard_normal(len(x))
    places, ones = place_of(x, np.zeros((len(x), 1))), np.ones(len(x))
    assert length_of(places, missed, ones, near, pairs) == pytest.approx(length, rel=0.35)
    assert length_of(places, missed, ones, near, pairs[:5]) == near / 2, "five pairs tell nothing"
    assert length_of(places, missed, 0 * ones, near, pairs) == near / 2, "where all is luck nothing is told"


def test_configs_that_hardly_differ_are_held_out_together() -> None:
    luck = np.random.default_rng(2)
    x = luck.random((300, 4))
    x[260:] = x[:40] + 0.01 * luck.random((40, 4))
    good = luck.random(300) < 0.8
    fold = cross_validation._folds(x, good)
    assert (fold[:40] == fold[260:]).all()
    assert np.bincount(fold).min() >= 20 and set(fold) == set(range(10))
    assert (np.bincount(fold[good]) / np.bincount(fold)).min() > 0.6


def test_configs_that_hardly_differ_end_nearly_alike(learnt: Learnt) -> None:
    """Along a line the expected loss takes no jump: methods meet a landscape, not a lottery."""
    _, model, _ = learnt
    for config in fresh(10):
        line = [config | {"rate": 0.01, "width": width} for width in np.linspace(0.0, 1.0, 400).tolist()]
        losses = model.final_losses(line)
        assert np.abs(np.diff(losses)).max() < 0.06 * np.ptp(losses)


def test_a_config_is_missed_as_measured() -> None:
    """Every config lies off the mean by five times the luck of a seed; so do those that the table does not hold."""
    own, spread = 0.1, 0.02
    data, luck = made(rows=150, edge=2.0, spread=spread), np.random.default_rng(1)
    factors = np.exp(own * luck.standard_normal((150, 1, 1)))
    values = data.values.copy()
    for name in ("loss", "test_loss", "bits"):
        values[..., METRICS.index(name)] *= factors
    model = fit(replace(data, values=values), None, GP)
    mean = mean_alone(model)
    configs = fresh(300)
    moved = [math.log(model.final_loss(one) / mean.final_loss(one)) for one in configs]
    assert np.sqrt(np.square(moved).mean()) == pytest.approx(own, rel=0.35)
    assert model.final_losses(configs) == pytest.approx([model.final_loss(one) for one in configs])
    finals = np.array([[model.curve(one, seed).losses[-1][0] for seed in range(10)] for one in configs[:100]])
    assert np.median(np.log(finals).std(axis=1, ddof=1)) == pytest.approx(spread, rel=0.5)
    about = [model.final_loss(one) for one in configs[:100]]
    assert np.corrcoef(np.log(finals).mean(axis=1), np.log(about))[0, 1] > 0.99


def test_no_luck_ends_better_than_the_mean_and_all_that_was_measured(learnt: Learnt) -> None:
    data, model, _ = learnt
    best, mean = np.nanmin(data.final_losses()), mean_alone(model)
    for config in fresh(200):
        if len(expected := mean.expected(config).losses) == len(LEVELS):
            lowest = min(best, expected[-1][0])
            assert all(model.curve(config, seed).losses[-1][0] > lowest - 1e-9 for seed in range(10))


@pytest.mark.parametrize("luck", [0, 2])
def test_a_table_is_drawn_run_by_run(learnt: Learnt, luck: int) -> None:
    data, model, _ = learnt
    best, ends = np.argsort(data.final_losses()[:, 0])[:20], np.where([True, False], data.ends, -1).astype(np.int8)
    ends[best] = data.ends[best]
    drawn = drawn_table(model, replace(data, ends=ends), luck)
    assert drawn.configs == data.configs and (drawn.ends[:, 0] >= 0).all()
    again = np.argsort(drawn.final_losses()[:, 0])[:20]
    assert sorted(np.flatnonzero(drawn.ends[:, 1] >= 0)) == sorted(again), "the best here were trained again"
    assert set(again) != set(best)
    for row, seed in ((0, 0), (1, 0), (int(again[0]), 1)):
        curve = model.curve(data.configs[row], 1 + 2 * luck + seed)
        length = len(curve.losses)
        assert drawn.values[row, seed, : length - 1, 0].tolist() == [one for (one,) in curve.losses[: length - 1]]
        assert np.isnan(drawn.values[row, seed, length:]).all() and ENDS[drawn.ends[row, seed]] is curve.end
    lacking = drawn.ends < 0
    assert np.isnan(drawn.values[lacking]).all() and np.isnan(drawn.seconds[lacking]).all()
    finals, raw = drawn.final_losses()[:, 0], data.final_losses()[:, 0]
    both = np.isfinite(finals) & np.isfinite(raw)
    assert spearmanr(finals[both], raw[both]).statistic > 0.9


# -- the whole --------------------------------------------------------------------------------------------------------


def fresh(count: int, space: Space = SPACE) -> list[dict[str, Any]]:
    return space.sample(stream("fresh"), count)


def test_it_predicts_configs_that_it_has_not_seen(learnt: Learnt) -> None:
    data, model, held_out = learnt
    assert held_out.candidate == GP
    alive = [row for row, config in enumerate(data.configs) if config["rate"] <= EDGE]
    true = np.array([truth(data.configs[row]) for row in alive])
    assert spearmanr(true[:, 0, -1], held_out.values[alive, -1, 0]).statistic > 0.95
    configs = [config for config in fresh(300) if config["rate"] <= 0.8 * EDGE]
    expected = [mean_alone(model).expected(config) for config in configs]
    errors = [
        np.abs(np.array(curve.losses)[:, 0] / truth(config)[0] - 1).max()
        for config, curve in zip(configs, expected, strict=True)
        if len(curve.losses) == len(LEVELS)
    ]
    assert np.median(errors) < 0.02
    for config, curve in zip(configs[:50], expected[:50], strict=True):
        assert np.array(curve.nanoseconds) == pytest.approx(truth(config)[1] * 1e9, rel=0.02)


def test_as_many_runs_diverge_as_did(learnt: Learnt) -> None:
    _, model, held_out = learnt
    configs = fresh(1500)
    share = np.mean([model.curve(config, 3).end is End.DIVERGED for config in configs])
    assert share == pytest.approx(-math.log10(EDGE) / 3, abs=0.02)
    assert held_out.chance.min() >= 0 and held_out.chance.max() <= 1
    safe = [config for config in configs if config["rate"] < 0.03]
    assert all(model.curve(config, 3).end is End.COMPLETE for config in safe)


def test_runs_that_diverge_are_like_those_that_did_nearby(learnt: Learnt) -> None:
    _, model, _ = learnt
    config = {"rate": 1.0, "width": 0.4, "rule": "plain"}
    failures, point = model.fitted.failures, model.features(config)
    near = np.argsort(((failures.x - point) ** 2).sum(axis=1), kind="stable")[: surrogate.LENDERS].tolist()
    lucks = [(place + part) / surrogate.LENDERS for place in range(surrogate.LENDERS) for part in (0.0, 0.999)]
    assert [failures.drawn(point, luck) for luck in lucks] == [row for row in near for _ in range(2)]
    first = failures.values[:, 0, model.fitted.metrics.index("loss")]
    met = {model.curve(config, seed).losses[0][0] for seed in range(100)}
    assert len(met) > 2, "seeds differ where runs diverge, too"
    assert met == {first[row] for row in near}
    assert model.expected(config).losses[0] == (first[near[0]],)


def test_every_curve_is_possible(learnt: Learnt) -> None:
    _, model, _ = learnt
    for config in fresh(300):
        curve = model.curve(config, 1)
        assert (np.diff([0, *curve.nanoseconds]) > 0).all()
        assert len(curve.nanoseconds) == len(curve.losses) == len(curve.metrics) == len(curve.visible)
        for level, said in enumerate(curve.metrics):
            assert tuple(said) == METRICS
            assert tuple(curve.visible[level]) == METRICS[:2] + METRICS[3:]
            assert said["seconds"] == pytest.approx(2e-9 * curve.nanoseconds[level])
            if not math.isnan(said["loss"]):
                assert min(said[name] for name in METRICS if name != "accuracy") >= 0
                assert said["bits"] == pytest.approx(said["loss"] / math.log(2))
                assert curve.losses[level] == (said["loss"],)
        if curve.end is End.DIVERGED:
            assert len(curve.losses) == 3 and math.isnan(curve.metrics[2]["loss"])
            assert curve.losses[-1] == (math.inf,) and math.isfinite(curve.losses[-2][0])
            assert math.isinf(model.final_loss(config)) or config["rate"] < 2 * EDGE
        else:
            assert len(curve.losses) == len(LEVELS)
            sizes = {round(said["parameters"], 6) for said in curve.metrics}
            assert len(sizes) == 1, "what no level changes, no level changes"


def test_the_modelled_metrics_are_those_that_no_factor_explains(
    learnt: Learnt,
) -> None:
    _, model, _ = learnt
    assert model.fitted.modelled == ("loss", "accuracy", "test_loss", "parameters")
    assert set(model.fitted.derived) == {"bits", "seconds"}
    assert model.fitted.derived["seconds"] == (None, pytest.approx(2))
    assert model.fitted.derived["bits"] == ("loss", pytest.approx(1 / math.log(2)))


def test_a_seed_is_a_curve_and_another_seed_another(learnt: Learnt) -> None:
    _, model, _ = learnt
    spreads: list[float] = []
    for config in fresh(30):
        if config["rate"] < 0.1:
            curves = [model.curve(config, seed) for seed in range(100)]
            assert model.curve(dict(reversed(config.items())), 2) == curves[2]
            assert len({curve.losses for curve in curves[:5]}) > 2
            assert len({curve.nanoseconds for curve in curves}) == 1
            spreads.append(float(np.std([curve.losses[-1][0] for curve in curves])) / model.final_loss(config))
    assert np.median(spreads) == pytest.approx(0.02, rel=0.5)


def test_an_inactive_hyperparameter_says_nothing(learnt: Learnt) -> None:
    _, model, _ = learnt
    plain = {"rate": 0.02, "width": 0.3, "rule": "plain"}
    best = model.final_loss(plain | {"rule": "heavy", "momentum": 0.5})
    assert best < model.final_loss(plain | {"rule": "heavy", "momentum": 0.0}) < model.final_loss(plain)


def test_many_final_losses_are_those_of_each(learnt: Learnt) -> None:
    _, model, _ = learnt
    configs = fresh(60)
    assert model.final_losses(configs) == pytest.approx([model.final_loss(config) for config in configs], abs=1e-9)
    facts = model.facts()
    assert facts["optimum"] <= min(facts["final_losses"])
    assert facts["promised"] == mean_alone(model).final_loss(facts["optimum_config"])
    best = min(0.2 + (rate - 0.5) ** 2 + (0.5 + rate) / 8 for rate in np.linspace(0, 1, 100))
    assert facts["optimum"] == pytest.approx(best, abs=0.02)


def test_the_facts_of_the_test_metric_are_those_of_its_own_losses(
    learnt: Learnt,
) -> None:
    data, model, _ = learnt
    judged = data.benchmark.judged_by_test()
    assert judged is not None and judged.test_metric is None
    known, losses = model.facts()["test"], model.under(judged).final_losses(fresh(2000))
    assert known["optimum"] <= losses.min() + 1e-3  # of another sample, and configs have luck of their own
    assert known["median"] == pytest.approx(np.median(losses), abs=0.02)
    assert known["noise"] == pytest.approx(data.seed_spread())  # the test loss lies a fixed step above


def test_the_optimum_lies_where_measurements_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(rows=400, edge=math.inf)
    wide = [row for row, config in enumerate(data.configs) if float(config["width"]) > 0.7]
    data = replace(
        data, configs=tuple(data.configs[row] for row in wide), parts=("iid",) * len(wide), values=data.values[wide],
        seconds=data.seconds[wide], ends=data.ends[wide],
    )  # fmt: skip
    quick(monkeypatch, GP)
    fitted, _, _ = fitting.fit(data, Declared())
    model, facts = Surrogate(data.benchmark, fitted, ""), fitted.facts
    assert not model.outside(facts["optimum_config"])
    monkeypatch.setattr(Surrogate, "outside", lambda *_: False)
    anywhere = fitting.fit(data, Declared())[0].facts
    monkeypatch.undo()
    assert model.outside(anywhere["optimum_config"]) and anywhere["optimum"] < facts["optimum"]


def test_far_from_what_was_measured_is_outside(learnt: Learnt) -> None:
    data, model, _ = learnt
    assert not any(model.outside(config) for config in data.configs)
    assert np.mean([model.outside(config) for config in fresh(200)]) < 0.2
    rows = [row for row, config in enumerate(data.configs) if config["width"] < 0.5]
    half = replace(model.fitted, support=model.fitted.support[rows])
    assert Surrogate(data.benchmark, half, "").outside({"rate": 0.1, "width": 1.0, "rule": "plain"})


def test_it_stands_under_other_declarations(learnt: Learnt) -> None:
    data, model, _ = learnt
    config = {"rate": 0.02, "width": 0.3, "rule": "heavy", "momentum": 0.5}
    part = Space.from_json({**SPACE.to_json(), "width": 0.3})
    narrow = model.under(data.benchmark.with_space(part))
    rest = {name: value for name, value in config.items() if name != "width"}
    assert narrow.curve(rest, 4) == model.curve(config, 4)
    assert narrow.final_loss(rest) == model.final_loss(config)
    assert narrow.restricted_space() == part
    objectives = (Objective("accuracy", maximize=True), Objective("seconds"))
    other = model.under(replace(data.benchmark, objectives=objectives, test_metric=None))
    curve = other.expected(config)
    assert curve.losses[-1] == (-curve.metrics[-1]["accuracy"], curve.metrics[-1]["seconds"])
    assert other.final_losses([config])[0] == pytest.approx(other.final_loss(config), abs=1e-12)
    assert curve.visible[0] == curve.metrics[0]
    with pytest.raises(ValueError, match="has no metric 'speed'; it has loss, accuracy"):
        model.under(replace(data.benchmark, objectives=(Objective("speed"),)))
    with pytest.raises(ValueError, match=r"the surrogate of .* has its own levels"):
        model.under(replace(data.benchmark, fidelity=replace(data.benchmark.fidelity, levels=LEVELS[:2])))


def test_a_maximised_metric_is_modelled_and_stays_a_share() -> None:
    model = fit(made(rows=40, objectives=(Objective("accuracy", maximize=True),), test_metric=None), None, GP)
    accuracies = [model.curve(config, 0).metrics[-1]["accuracy"] for config in fresh(200) if config["rate"] < 0.1]
    assert all(0 <= accuracy <= 1 for accuracy in accuracies)
    config = {"rate": 0.03, "width": 0.3, "rule": "heavy", "momentum": 0.5}
    assert model.final_loss(config) == pytest.approx(-(1 - (0.2 + 1 / 8) / 3), abs=0.02)


def test_a_fidelity_that_does_not_continue_has_seconds_of_its_own() -> None:
    data = made(rows=30, edge=2.0, fidelity=Fidelity("fold", LEVELS, continues=False))
    falling = replace(
        data, seconds=data.seconds[..., ::-1].copy(), values=data.values[..., :4].copy(), metrics=METRICS[:4]
    )
    model = fit(falling, None, "nearest")
    for row in range(5):
        spent = np.array(model.curve(falling.configs[row], 0).nanoseconds) / 1e9
        assert spent == pytest.approx(falling.seconds[row, 0], rel=1e-4)


def test_what_is_declared_to_diverge_does_and_teaches_no_curve() -> None:
    data = made(rows=40, edge=2.0)
    ceiling = float(np.quantile(data.final_losses(), 0.8))
    model = fit(data, Declared(diverged=ceiling), GP)
    assert len(model.fitted.failures.x) == (data.final_losses() > ceiling).sum()
    finals = [mean_alone(model).curve(config, 0).losses[-1][0] for config in fresh(200)]
    assert np.mean(np.array(finals) > ceiling) == pytest.approx(0.2, abs=0.1)
    assert all(model.curve(config, 0).end is End.COMPLETE for config in fresh(50))


def test_five_rows_are_enough_and_fewer_refused() -> None:
    five = made(rows=5, seeds=1, edge=2.0)
    assert math.isfinite(fit(five, None, "nearest", GP).final_loss(five.configs[0]))
    with pytest.raises(ValueError, match=r"4 of the 4 configs of 'smooth' have a run that did not diverge.* needs 5"):
        fit(made(rows=4, edge=2.0))
    early = made(rows=8, edge=2.0)
    early.ends[6, 1] = ENDS.index(End.EARLY)
    with pytest.raises(ValueError, match=r"1 curves of 'smooth' end early \(the first is of row 6\)"):
        fit(early)


def test_a_run_that_diverged_at_once_is_a_curve_of_one_level() -> None:
    data = made(rows=30)
    gone = data.ends == ENDS.index(End.DIVERGED)
    data.values[gone], data.seconds[gone, 1:] = np.nan, np.nan
    data.check("here")
    model = fit(data, None, "nearest")
    row = int(np.argmax(gone.any(axis=1)))
    curve = model.curve(data.configs[row], 0)
    assert curve.losses == ((math.inf,),) and curve.end is End.DIVERGED and len(curve.nanoseconds) == 1


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_config_is_predicted_from_others_alone(share: float) -> None:
    data, nearest = prepared(made(rows=40, edge=2.0), Declared()), CANDIDATES["nearest"]
    held = cross_validation._folds(data.x, np.ones(40, dtype=bool)) == 0
    spoilt = replace(data, values=np.where(held[:, None, None, None], 0.5 * data.values, data.values))
    before, after = (cross_validation.predicted_by_others(one, nearest, share)[0] for one in (data, spoilt))
    assert np.array_equal(after[held], before[held]) and not np.array_equal(after[~held], before[~held])


def test_a_larger_share_of_the_configs_holds_all_of_a_smaller_one() -> None:
    rows = np.arange(7, 47)
    few, more = (set(cross_validation._some(rows, share).tolist()) for share in (0.25, 0.5))
    assert few < more < set(rows.tolist()) and (len(few), len(more)) == (10, 20)
    assert cross_validation._some(rows, 1.0).tolist() == rows.tolist()


def test_rows_that_test_it_teach_it_nothing() -> None:
    data = made(rows=30)
    parts = ("iid",) * 24 + ("held_out",) * 3 + ("optimum",) * 3
    kept = fit(replace(data, parts=parts), None, "nearest")
    alone = fit(data.of_parts(lambda _: True), None, "nearest")
    assert len(kept.fitted.support) == 24 and len(alone.fitted.support) == 30
    spoilt = replace(data, parts=parts, values=data.values.copy())
    spoilt.values[24:] *= 3
    spoilt.values[24:, 1] *= 3
    spoilt.seconds[24:] *= 7
    again = fit(spoilt, None, "nearest")
    assert again.expected(data.configs[0]) == kept.expected(data.configs[0])
    assert again.facts() == kept.facts()


# -- on disk ----------------------------------------------------------------------------------------------------------


def test_saved_and_read_again_it_answers_bit_for_bit(learnt: Learnt, tmp_path: Path) -> None:
    data, model, _ = learnt
    surrogate.save(model.fitted, "table", tmp_path)
    again = surrogate.load(tmp_path, data.benchmark, "table")
    for config in fresh(40):
        ours, theirs = model.curve(config, 5), again.curve(config, 5)
        assert repr(list(ours.metrics)) == repr(list(theirs.metrics))
        assert ours._replace(metrics=(), visible=()) == theirs._replace(metrics=(), visible=())
        assert again.outside(config) == model.outside(config)
    assert again.facts() == model.facts()
    surrogate.save(again.fitted, "table", tmp_path)
    assert surrogate.load(tmp_path, data.benchmark, "table").digest == again.digest


@pytest.mark.parametrize("candidate", ["trees", "nearest"])
def test_every_regressor_is_saved(tmp_path: Path, candidate: str) -> None:
    grown = Candidate(partial(Trees.fit, trees=10), partial(Trees.fit, trees=10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CANDIDATES, "trees", grown)
        model = fit(made(rows=25), None, candidate)
    surrogate.save(model.fitted, "table", tmp_path)
    again = surrogate.load(tmp_path, model.benchmark, "table")
    assert [again.curve(config, 0).losses for config in fresh(20)] == [model.curve(c, 0).losses for c in fresh(20)]


def test_what_cannot_be_trusted_is_refused(tmp_path: Path) -> None:
    model = fit(made(rows=20), None, "nearest")
    with pytest.raises(FileNotFoundError, match="no surrogate of 'smooth' is fitted: `fit smooth` makes one"):
        surrogate.load(tmp_path, model.benchmark, "table")
    surrogate.save(model.fitted, "table", tmp_path)
    with pytest.raises(ValueError, match="'smooth' was fitted to another state of its table"):
        surrogate.load(tmp_path, model.benchmark, "grown")
    npz, text = tmp_path / surrogate.NPZ, tmp_path / surrogate.JSON
    whole, said = npz.read_bytes(), json.loads(text.read_text())
    with np.load(npz) as stored:
        arrays = dict(stored)
    marker = tmp_path / "PWNED"
    trap = np.array([Trap(marker)], dtype=object)

    def refused(words: str, **changed: Any) -> None:
        np.savez(npz, **(arrays | changed))
        with pytest.raises(ValueError, match=words):
            surrogate.load(tmp_path, model.benchmark, "table")

    refused("do not have the digest", support=arrays["support"] + 1e-9)
    refused("are not a surrogate.*[Oo]bject array", support=trap)
    refused("are not a surrogate.*[Oo]bject array", extra=trap)
    assert not marker.exists()
    for raw in (whole[:-300], b"", b"garbage"):
        npz.write_bytes(raw)
        with pytest.raises(ValueError, match=r"surrogate\.json and surrogate\.npz are not a surrogate"):
            surrogate.load(tmp_path, model.benchmark, "table")
    npz.unlink()
    with pytest.raises(FileNotFoundError, match=r"surrogate\.npz"):
        surrogate.load(tmp_path, model.benchmark, "table")
    npz.write_bytes(whole)
    without: Mapping[str, Any] = {name: value for name, value in said.items() if name != "modelled"}
    for wrong in ("{", "[]", json.dumps(without)):
        text.write_text(wrong)
        with pytest.raises(ValueError, match=r"are not a surrogate"):
            surrogate.load(tmp_path, model.benchmark, "table")
    text.write_text(json.dumps(said | {"reach": 9.0}))
    with pytest.raises(ValueError, match="do not have the digest"):
        surrogate.load(tmp_path, model.benchmark, "table")


def test_what_was_fitted_to_be_read_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit(made(rows=20), None, "nearest")
    surrogate.save(model.fitted, "table", tmp_path)
    monkeypatch.setattr(surrogate, "VERSION", surrogate.VERSION + 1)
    words = f"'smooth' is of version {surrogate.VERSION - 1}, and version {surrogate.VERSION} is read: `fit smooth`"
    with pytest.raises(ValueError, match=words):
        surrogate.load(tmp_path, model.benchmark, "table")


STUDIES = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_surrogates import benchmark, digests
from surrogates import surrogate
print(json.dumps(digests(surrogate.load(Path(sys.argv[1]), benchmark(), "table"))))
"""


def digests(model: Surrogate) -> dict[str, str]:
    """Of studies on a surrogate by the ordinary loop."""
    from toys import nanoseconds, study

    from harness.loop import run
    from harness.methods import build, parse_method
    from harness.simulated import Simulated
    from harness.study import record

    found: dict[str, str] = {}
    for method in ("rs", "asha", "asha-stop"):
        wanted = study(method, 1, model.benchmark)
        problem = model.benchmark.with_space(model.restricted_space())
        scheduler = build(parse_method(method), problem, stream(method))
        log = run(problem, scheduler, Simulated(model, 2, 1, problem.delays), nanoseconds(100))
        assert not log.error and len(log.events) > 20
        found[method] = record(wanted, log, 0.0).digest()
    return found


def test_studies_on_it_are_the_same_in_every_process(learnt: Learnt, tmp_path: Path) -> None:
    _, model, _ = learnt
    surrogate.save(model.fitted, "table", tmp_path)
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-c", STUDIES, str(tmp_path), str(Path(__file__).parent)],
        env={**os.environ, "PYTHONHASHSEED": other},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == digests(model)


@given(st.floats(1e-3, 0.2), st.floats(0, 1), st.integers(0, 3))
def test_a_level_is_read_as_if_all_were(rate: float, width: float, level: int) -> None:
    data = made(rows=12, edge=2.0)
    curve = _cached(data).curve({"rate": rate, "width": width, "rule": "plain"}, 0)
    assert curve.metrics[level] == list(curve.metrics)[level] == curve.metrics[level:][0]
    assert curve.visible[-1] == {name: value for name, value in curve.metrics[-1].items() if name != "test_loss"}


_MODELS: list[Surrogate] = []


def _cached(data: TableData) -> Surrogate:
    if not _MODELS:
        _MODELS.append(fit(data, None, "nearest"))
    return _MODELS[0]
