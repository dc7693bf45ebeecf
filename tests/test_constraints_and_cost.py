"""Bayesian optimisation under constraints and by cost: known optima, the contract, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from harness import checks
from harness._parts import curve_models
from harness._parts.gp import Hyperparameters, fit_hyperparameters
from harness._parts.observations import standardised
from harness.loop import Started, run
from harness.methods import build, parse_method
from harness.randomness import stream
from harness.schedulers.bo_constrained import BoConstrained, relative
from harness.schedulers.bo_cost import BoCost, unit
from harness.simulated import Simulated
from harness.space import Config, Space, choice, uniform
from harness.toys import Toy, toy_benchmark
from harness.types import NANOSECONDS, Benchmark, Constraint, Curve, End, Event, Objective, Report, Scheduler, Status

SQUARE = Space({"x": uniform(0, 1), "y": uniform(0, 1)})
SIZE = (Constraint("size", 0.7),)


def constrained(*args: object, **options: object) -> Benchmark:
    return replace(toy_benchmark(*args, **options), constraints=SIZE)  # type: ignore[arg-type]


@dataclass
class Sized(Toy):
    """A toy that reports a size beside its loss."""

    size: Callable[[list[float]], float] = lambda point: 1 - point[0]
    formula: Callable[[list[float]], float] | None = None
    time: Callable[[list[float]], float] = lambda point: 1.0

    def _computed(self, config: Config) -> Curve:
        point = self.benchmark.space.encode_one(config)
        curve = super()._computed(config)
        added = {"size": self.size(point)} | ({"loss": self.formula(point)} if self.formula else {})
        visible = [dict(each) | added for each in curve.visible]
        losses = curve.losses if self.formula is None else tuple((each["loss"],) for each in visible)
        seconds = tuple(round(n * self.time(point)) for n in curve.nanoseconds)
        return curve._replace(nanoseconds=seconds, losses=losses, metrics=visible, visible=visible)


def play(text: str, toy: Toy, seed: int = 0) -> tuple[list[Config], list[Event]]:
    """The configs in the order of their start, and all reports."""
    benchmark = toy.benchmark.with_space(toy.benchmark.space.opened())
    scheduler: Scheduler = build(parse_method(text), benchmark, stream("play", seed))
    executor = Simulated(toy, benchmark.workers, seed, benchmark.delays)
    log = run(benchmark, scheduler, executor, round(benchmark.budget * NANOSECONDS))
    assert not log.error
    started = [event.job.config for event in log.events if isinstance(event, Started)]
    return started, [event for event in log.events if isinstance(event, Event)]


HERE = [law for law in checks.LAWS if law is not checks._repeats_elsewhere]


@pytest.mark.parametrize("law", HERE)
def test_the_contract_is_kept_under_constraints(law: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "toy_benchmark", constrained)
    monkeypatch.setattr(checks, "Toy", Sized)
    assert law(parse_method("bo-constrained")) == ""  # type: ignore[operator]


@pytest.mark.parametrize("law", HERE)
def test_the_contract_is_kept_by_cost(law: object) -> None:
    assert law(parse_method("bo-cost")) == ""  # type: ignore[operator]


# -- constraints -------------------------------------------------------------------------------------------------------


def bowl(point: list[float]) -> float:
    return (point[0] - 0.2) ** 2 + (point[1] - 0.2) ** 2


def diagonal(point: list[float]) -> float:
    return 1.4 - point[0] - point[1]


@pytest.mark.parametrize("seed", range(2))
def test_the_constrained_optimum_is_found_where_the_free_one_is_infeasible(seed: int) -> None:
    # Free the optimum is (.2, .2); where x + y >= 1.4 it is (.7, .7), and the loss there .5.
    benchmark = replace(toy_benchmark(SQUARE, levels=(1,), workers=2), budget=14.0, constraints=(Constraint("size"),))
    toy = Sized(benchmark, size=diagonal, formula=bowl)
    _, events = play("bo-constrained", toy, seed)
    feasible = [event.report.losses[0] for event in events if event.metrics["size"] <= 0]
    assert 0.5 - 1e-9 <= min(feasible) < 0.505
    share = [
        np.mean([event.metrics["size"] <= 0.05 for event in told[6:]]) for told in (events, play("bo", toy, seed)[1])
    ]
    assert share[0] > 0.5 > 2 * share[1]


def test_feasibility_is_sought_while_none_is_feasible() -> None:
    # A corner of one percent is feasible, and the loss points the other way.
    benchmark = replace(toy_benchmark(SQUARE, levels=(1,), workers=1), budget=30.0, constraints=(Constraint("size"),))
    toy = Sized(benchmark, size=lambda point: max(0.9 - point[0], 0.9 - point[1]), formula=bowl)
    _, events = play("bo-constrained:initial=5", toy)
    first = next(n for n, event in enumerate(events) if event.metrics["size"] <= 0)
    assert first < 20


def test_several_constraints_hold_together() -> None:
    limits = (Constraint("size", 0.5), Constraint("loss", 0.3))
    benchmark = replace(toy_benchmark(SQUARE, levels=(1,), workers=1), budget=30.0, constraints=limits)
    toy = Sized(benchmark, size=lambda point: 1 - point[0], formula=lambda point: point[0] * point[1])
    _, events = play("bo-constrained", toy)
    late = events[-8:]
    assert np.mean([event.metrics["size"] <= 0.55 and event.metrics["loss"] <= 0.35 for event in late]) > 0.7


def test_relative_excess_keeps_its_sign_and_has_a_scale_of_its_own() -> None:
    excess = np.array([-2.0, -0.1, 0.0, 0.5, 1e6, math.inf])
    values = relative(excess)
    assert np.sign(values).tolist() == [-1, -1, 0, 1, 1, 1]
    assert values[4] == values[5] == values.max()
    assert values == pytest.approx(relative(1000 * excess))
    assert values.std() == pytest.approx(1.0)
    assert relative(np.zeros(3)).tolist() == [0, 0, 0]
    assert (relative(np.full(3, math.inf)) > 0).all()


def test_the_least_infeasible_is_known_however_much_the_models_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_models, "MOST_OBSERVATIONS", 8)
    monkeypatch.setattr(curve_models, "THINNED_TO", 6)
    benchmark = replace(toy_benchmark(SQUARE.opened()), constraints=(Constraint("size"), Constraint("depth")))
    scheduler: BoConstrained = build(  # type: ignore[assignment]
        parse_method("bo-constrained"), benchmark, np.random.default_rng(0)
    )
    points: list[list[float]] = []
    for n in range(20):
        job = scheduler.ask()
        assert job is not None
        points.append(SQUARE.encode_one(job.config))
        metrics = {"size": 1.0 + n, "depth": 20.0 - n}
        scheduler.tell(Report(job.trial, 9, (1.0,), metrics, 1.0, Status.REACHED))
    assert sorted(scheduler._leaders()[:2].tolist()) == sorted(points[9:11])


def test_what_cannot_be_constrained_is_refused() -> None:
    rng, method = np.random.default_rng(0), parse_method("bo-constrained")
    benchmark = toy_benchmark()
    with pytest.raises(ValueError, match="'toy' has no constraints"):
        build(method, benchmark, rng)
    with pytest.raises(ValueError, match="constrains its test metric 'test'"):
        build(method, replace(benchmark, constraints=(Constraint("test"),)), rng)
    with pytest.raises(ValueError, match="one objective, but 'toy' has 2"):
        build(method, replace(constrained(), objectives=(Objective("loss"), Objective("size"))), rng)
    with pytest.raises(ValueError, match="candidates >= 2, given 3 and 1"):
        build(parse_method("bo-constrained:candidates=1"), constrained(), rng)


def test_a_report_without_the_metric_of_a_constraint_is_named() -> None:
    scheduler: BoConstrained = build(  # type: ignore[assignment]
        parse_method("bo-constrained"), constrained(), np.random.default_rng(0)
    )
    assert scheduler.ask() is not None and scheduler.ask() is not None
    with pytest.raises(ValueError, match=r"size <= 0.7: trial 0 reports \['loss'\]"):
        scheduler.tell(Report(0, 9, (1.0,), {"loss": 1.0}, 1.0, Status.REACHED))
    scheduler.tell(Report(1, 3, (1.0,), {}, 1.0, Status.FAILED))  # a failure may say nothing


# -- cost --------------------------------------------------------------------------------------------------------------

SIDES = Space({"side": choice(["dear", "cheap"]), "x": uniform(0, 1)})


def two_bowls(point: list[float]) -> float:
    return (point[1] - 0.6) ** 2


@pytest.mark.parametrize("seed", range(2))
def test_the_cheaper_of_two_equal_regions_is_preferred(seed: int) -> None:
    benchmark = replace(toy_benchmark(SIDES, levels=(1,), workers=1), budget=40.0)
    toy = Sized(benchmark, formula=two_bowls, time=lambda point: 1.0 if point[0] > 0.5 else 8.0)
    cheap = {}
    for text in ("bo-cost", "bo"):
        configs, _ = play(text, toy, seed)
        cheap[text] = np.mean([config["side"] == "cheap" for config in configs[3:]])
    assert cheap["bo-cost"] > 0.85
    assert cheap["bo-cost"] > cheap["bo"] + 0.1


def test_seconds_are_predicted_from_all_that_a_trial_cost() -> None:
    scheduler: BoCost = build(  # type: ignore[assignment]
        parse_method("bo-cost"), toy_benchmark(SQUARE), np.random.default_rng(0)
    )
    jobs = [scheduler.ask() for _ in range(12)]
    for job in jobs:
        assert job is not None
        x = float(job.config["x"])  # type: ignore[arg-type]
        scheduler.tell(Report(job.trial, 1, (1.0,), {}, math.exp(x), Status.RUNNING))
        scheduler.tell(Report(job.trial, 9, (1.0,), {}, 0.01, Status.REACHED))
    points = np.array([[0.2, 0.5], [0.8, 0.5]])
    low, high = scheduler._log_seconds(points)
    assert high - low == pytest.approx(0.6, abs=0.1)
    job = scheduler.ask()
    assert job is not None
    scheduler.tell(Report(job.trial, 1, (math.inf,), {}, 1e-6, Status.FAILED))
    assert scheduler._log_seconds(points).tolist() == pytest.approx([low, high])


def test_costs_that_never_differ_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = replace(toy_benchmark(SQUARE, levels=(1,), workers=1), budget=15.0)
    toy = Sized(benchmark, seconds=lambda place: 1.0, formula=bowl)
    log_seconds, predicted = BoCost._log_seconds, list[np.ndarray]()

    def recorded(self: BoCost, points: np.ndarray) -> np.ndarray:
        predicted.append(log_seconds(self, points))
        return predicted[-1]

    monkeypatch.setattr(BoCost, "_log_seconds", recorded)
    configs, _ = play("bo-cost", toy)
    assert len(predicted) > 5 and not any(seconds.any() for seconds in predicted)
    monkeypatch.setattr(BoCost, "_log_seconds", lambda self, points: np.zeros(len(points)))
    assert play("bo-cost", toy)[0] == configs


def test_all_trainings_may_fail_where_costs_are_modelled() -> None:
    benchmark = replace(toy_benchmark(SQUARE, workers=1), budget=20.0)
    assert len(play("bo-cost", Toy(benchmark, ends=lambda place: End.DIVERGED))[0]) > 3


@pytest.mark.parametrize(("text", "scaled"), [("bo-constrained", relative), ("bo-cost", unit)])
def test_a_process_is_fitted_to_the_targets_that_it_is_asked_with(
    text: str, scaled: Callable[[np.ndarray], np.ndarray]
) -> None:
    benchmark = replace(toy_benchmark(SQUARE.opened()), constraints=SIZE)
    scheduler: Any = build(parse_method(text), benchmark, np.random.default_rng(0))
    for job in [scheduler.ask() for _ in range(15)]:
        x = job.config["x"]
        size, seconds = 0.7 + 100 * (x - 0.5) ** 3, math.exp(4 * x**3)
        scheduler.tell(Report(job.trial, 9, (1.0,), {"size": size}, seconds, Status.REACHED))
    model = scheduler._limits[0][1] if text == "bo-constrained" else scheduler._seconds

    def fitted(targets: np.ndarray) -> np.ndarray:
        return fit_hyperparameters(model.x, targets, [Hyperparameters.default(2)], iterations=40).pack()

    known = model.factor().hyperparameters.pack()
    assert np.allclose(known, fitted(scaled(model.losses)))
    assert not np.allclose(known, fitted(standardised(model.losses)))


def test_several_objectives_have_no_cost_model() -> None:
    benchmark = replace(toy_benchmark(), objectives=(Objective("loss"), Objective("size")))
    with pytest.raises(ValueError, match="bo-cost models one objective, but 'toy' has 2"):
        build(parse_method("bo-cost"), benchmark, np.random.default_rng(0))
