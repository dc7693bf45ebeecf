"""DyHPO: its choices by brute force, the pool of candidates against the process itself, pausing, and refusals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from harness import checks
from harness._parts.curve_models import Pool, Surrogate, new_configs, thinned
from harness._parts.gp import Factor, Hyperparameters
from harness._parts.pausing import Pausing, Trial
from harness.known_answers import _play, _rows
from harness.loop import Ended, Log, Reason, Started, Why, run
from harness.methods import build, parse_method
from harness.randomness import stream
from harness.samplers.rs import RandomSearch
from harness.schedulers.dyhpo import DyHpo
from harness.simulated import Simulated
from harness.space import Config, Space
from harness.toys import Toy, toy_benchmark
from harness.types import Benchmark, Decision, Event, Fidelity, Objective, Report, Status

LEVELS = tuple(range(1, 10))


def dyhpo(benchmark: Benchmark, seed: int = 0, **options: float) -> DyHpo:
    rng = stream("dyhpo", seed)
    return DyHpo(benchmark, rng, sampler=RandomSearch(benchmark, rng), **options)  # type: ignore[arg-type]


def opened(toy: Toy) -> Benchmark:
    return toy.benchmark.with_space(toy.benchmark.space.opened())


def played(scheduler: DyHpo, toy: Toy, benchmark: Benchmark) -> Log:
    executor = Simulated(toy, benchmark.workers, 0, benchmark.delays)
    log = run(benchmark, scheduler, executor, round(benchmark.budget * 1e9))
    assert not log.error, log.error
    return log


def test_a_pool_follows_the_process() -> None:
    rng = stream("pool")
    x, points, targets = rng.random((60, 3)), rng.random((17, 3)), rng.random(60)
    hyper = Hyperparameters(np.array([0.3, 0.5, 0.8]), 0.7, 0.01)
    factor = Factor.of(hyper, x[:3])
    pool = Pool(factor, points)
    for n in (4, 9, 10, 60):
        factor = factor.grown(x[len(factor.scaled) : n])
        pool.follow(factor)
        points[n % 17] = rng.random(3)
        pool.put(n % 17, points[n % 17])
        for _ in range(20):
            points = np.concatenate([points, rng.random((1, 3))])
            pool.put(len(points) - 1, points[-1])
        for believed in ([], [5], [1, 7, len(points) - 1]):
            belief = factor.posterior(targets[:n]).believing(points[believed])
            found = pool.predict(targets[:n], believed)
            np.testing.assert_allclose(found, belief.predict(points), rtol=1e-6, atol=1e-8)


def test_an_empty_pool_promises_nothing() -> None:
    pool = Pool(Factor.of(Hyperparameters.default(2), np.zeros((1, 2))), np.empty((0, 2)))
    assert [len(values) for values in pool.predict(np.zeros(1), [])] == [0, 0]


def test_thinning_keeps_the_best_and_of_each_trial_the_latest_and_some_before() -> None:
    losses, ages = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 9.5, 1.0], [6, 5, 4, 3, 2, 1, 0, 0, 9]
    assert thinned(losses, [0] * 9, ages, 4) == [5, 6, 7, 8]
    assert thinned(losses, [0] * 9, ages, 6) == [2, 4, 5, 6, 7, 8]  # the ages 4, 2, 1, 0, 0, and the best
    assert thinned(losses, [0] * 9, ages, 7) == [2, 3, 4, 5, 6, 7, 8]
    surrogate, rng = Surrogate(1), stream("thin")
    for trial in range(101):
        for level in range(5):
            surrogate.add(np.array([trial + level / 10]), float(rng.random()), trial)
    surrogate.factor()
    assert len(surrogate.losses) == len(surrogate.x) == 400
    assert {trial + 0.4 for trial in range(101)} <= set(surrogate.x[:, 0].round(6))


def test_thinning_keeps_the_lowest_loss_of_each_level() -> None:
    surrogate, rng, lowest = Surrogate(1), stream("thin levels"), dict[int, float]()
    for trial in range(101):
        for level in range(5):  # all at the last level are better than any before it
            loss = float(rng.random()) - level
            lowest[level] = min(loss, lowest.get(level, math.inf))
            surrogate.add(np.array([level / 10]), loss, trial, level)
    surrogate.factor()
    assert len(surrogate.losses) == 400
    for level, loss in lowest.items():
        assert surrogate.losses[surrogate.x[:, 0] == level / 10].min() == loss
    # Of more levels than there is room for, others have half of it.
    assert len(set(thinned([0.0] * 80, range(80), [*range(40), *[0] * 40], 40)) & set(range(40, 80))) >= 20


@pytest.mark.parametrize("seed", range(2))
def test_the_choice_is_that_of_the_highest_expected_improvement(seed: int) -> None:
    toy = _rows(14, LEVELS, 3, 40)
    benchmark = opened(toy)
    scheduler = dyhpo(benchmark, seed)
    choose, chosen = scheduler._choose, Counter[bool]()

    def watched(paused: Sequence[int]) -> int | Config | None:
        rows = benchmark.space.free_rows()
        assert rows is not None
        answer = choose(paused)
        if answer is not None:
            chosen[isinstance(answer, int)] += 1
            promise = by_brute_force(scheduler, paused, rows, benchmark)
            place = answer if isinstance(answer, int) else tuple(benchmark.space.encode([answer])[0])
            assert promise[place] == pytest.approx(max(promise.values()), rel=1e-5)
        return answer

    scheduler._trials._choose = watched
    played(scheduler, toy, benchmark)
    assert min(chosen.values()) > 3


def test_new_configs_are_sought_near_eight_trials_not_near_the_best_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(toy_benchmark(epochs=30))
    benchmark, sought = opened(toy), list[tuple[np.ndarray, list[Trial]]]()
    scheduler = dyhpo(benchmark)

    def watched(space: Space, rng: np.random.Generator, count: int, leaders: np.ndarray) -> np.ndarray:
        sought.append((leaders, [trial for trial in scheduler._trials.trials if trial.curve]))
        best = min(sought[-1][1], key=lambda trial: min(trial.curve))
        assert np.array_equal(leaders[0], best.point)
        return new_configs(space, rng, count, leaders)

    monkeypatch.setattr("harness.schedulers.dyhpo.new_configs", watched)
    played(scheduler, toy, benchmark)
    assert max(len(trials) for _, trials in sought) > 3
    for leaders, trials in sought:
        assert len(np.unique(leaders, axis=0)) == len(leaders) == min(8, len(trials))


def by_brute_force(
    scheduler: DyHpo, paused: Sequence[int], rows: np.ndarray, benchmark: Benchmark
) -> dict[object, float]:
    """The expected improvement of each paused trial and of each free row, as the paper defines it."""
    model, trials = scheduler._model, scheduler._trials.trials

    def at(point: np.ndarray, level: int) -> np.ndarray:
        return np.append(point, math.log(level) / math.log(9))

    under_way = [at(trials[number].point, len(trials[number].curve) + 1) for number in scheduler._trials.running]
    factor, targets = Factor.of(model.factor().hyperparameters, model.x), model.targets()
    belief = factor.posterior(targets).believing(np.reshape(under_way, (-1, 2)))
    seen = [round(9**place) for place in model.x[:, -1]]

    def improvement(point: np.ndarray, level: int) -> float:
        (mean,), (deviation,) = belief.predict(at(point, level)[None])
        there = [target for target, one in zip(targets, seen, strict=True) if one == level]
        z = (min(there or targets) - mean) / deviation
        return float(deviation * (z * norm.cdf(z) + norm.pdf(z)))

    old = {number: improvement(trials[number].point, len(trials[number].curve) + 1) for number in paused}
    return old | {tuple(row): improvement(row, 1) for row in rows}


def epochs_on_the_worse_half(method: str, seed: int) -> float:
    toy = _rows(100, LEVELS, 4, 30)
    _, log = _play(parse_method(method), toy, seed)
    configs = {event.job.trial: event.job.config for event in log.events if isinstance(event, Started)}
    rows = [int(configs[event.report.trial]["row"]) for event in log.events if isinstance(event, Event)]
    return sum(row >= 50 for row in rows) / len(rows)


def test_fewer_epochs_go_into_bad_configs_than_in_random_search() -> None:
    """Where curves do not cross, a bad config shows at its first level."""
    random = np.mean([epochs_on_the_worse_half("rs", seed) for seed in range(9)])
    assert random == pytest.approx(0.5, abs=0.05)
    for method in ("dyhpo", "dyhpo:halving=0.25"):
        assert np.mean([epochs_on_the_worse_half(method, seed) for seed in range(3)]) < 0.7 * random


def test_who_is_chosen_again_runs_on_without_a_restart() -> None:
    toy = _rows(2, LEVELS, 2, 100)
    benchmark = opened(toy)
    log = played(dyhpo(benchmark), toy, benchmark)
    # Two workers and two configs: nobody has a reason to pause.
    assert sum(isinstance(event, Started) for event in log.events) == 2
    assert sum(isinstance(event, Event) for event in log.events) == 18
    assert log.why == Why.NOTHING_LEFT


@pytest.mark.parametrize("method", ["dyhpo:step=4", "freeze-thaw:step=4"])
def test_trials_pause_after_whole_steps_only(method: str) -> None:
    _, log = _play(parse_method(method), _rows(60, LEVELS, 3, 60), 0)
    stands, paused = dict[int, int](), Counter[int]()
    for event in log.events:
        if isinstance(event, Event):
            stands[event.report.trial] = event.report.resource
        elif isinstance(event, Ended) and event.reason is Reason.PAUSED:
            paused[stands[event.trial]] += 1
    assert set(paused) == {4, 8}


def test_halving_lets_on_the_share_of_the_levels() -> None:
    benchmark = toy_benchmark()
    scheduler = dyhpo(benchmark, halving=1)
    for loss in [5.0, 4.0, 3.0, 2.0]:
        scheduler._trials.trials.append(scheduler_trial(benchmark, [loss]))
        scheduler._ranked[0].append(loss)
    scheduler._ranked[0].sort()
    # Of four at level 1 the best two may go on to level 2, of two at level 2 the best 2 * 2 / 3.
    assert [scheduler._halves(trial) for trial in range(4)] == [False, False, True, True]
    scheduler._trials.trials[2].curve.append(2.5)
    scheduler._trials.trials[3].curve.append(2.6)
    scheduler._ranked[1] = [2.5, 2.6]
    assert [scheduler._halves(trial) for trial in (2, 3)] == [True, False]
    assert sorted(range(4), key=scheduler._place_in_halving) == [2, 3, 1, 0]


def scheduler_trial(benchmark: Benchmark, curve: list[float]) -> Trial:
    trial = Trial({}, np.zeros(benchmark.space.dim))
    trial.curve.extend(curve)
    return trial


def test_the_books_of_a_trial() -> None:
    benchmark = replace(toy_benchmark(), fidelity=Fidelity("epoch", (2, 4, 6, 8)))
    sampler = RandomSearch(benchmark, stream("books"))
    books = Pausing("books", benchmark, sampler, lambda paused: paused[0] if paused else None, initial=3, step=2)

    def told(trial: int, level: int, loss: float, status: Status = Status.RUNNING) -> Decision:
        report = Report(trial, level, (loss,), {}, 1.0, status)
        return books.decide(report, books.note(report))

    assert [job.trial for job in (books.ask(), books.ask()) if job] == [0, 1]
    assert told(0, 2, 5.0) is Decision.CONTINUE  # half a step
    assert told(0, 6, 3.0) is Decision.PAUSE  # a level was left out; the sampler proposes
    assert books.trials[0].curve == [5.0, 3.0, 3.0]
    assert books.goal(0) == 3
    job = books.ask()
    assert job is not None
    assert (job.trial, job.until) == (2, 8)
    told(1, 0, np.inf, Status.FAILED)
    assert books.trials[1].curve == [np.inf]
    assert told(2, 4, 1.0) is Decision.PAUSE  # three have reported: who waits longest goes on
    job = books.ask()
    assert job is not None
    assert job.trial == 0
    told(0, 6, 3.0, Status.REACHED)  # it ended early
    assert books.trials[0].curve == [5.0, 3.0, 3.0]
    job = books.ask()
    assert job is not None
    assert job.trial == 2
    assert told(2, 8, 0.5, Status.REACHED) is Decision.CONTINUE
    assert books.ask() is None


@pytest.mark.parametrize("method", ["dyhpo:step=2:halving=0.5:candidates=16", "freeze-thaw:step=2:initial=1"])
def test_the_contract_is_kept_with_other_options(method: str) -> None:
    laws = (checks._is_legal, checks._survives_failures, checks._works_with_many, checks._ends_with_the_space)
    assert [problem for law in laws if (problem := law(parse_method(method)))] == []


@pytest.mark.parametrize("name", ["dyhpo", "freeze-thaw"])
def test_what_it_cannot_do_is_refused(name: str) -> None:
    def built(benchmark: Benchmark, options: str = "") -> None:
        build(parse_method(name + options), benchmark, stream("refused"))

    benchmark = toy_benchmark()
    with pytest.raises(ValueError, match=f"a higher width of 'toy' is a fresh training.*{name} to pause"):
        built(replace(benchmark, fidelity=Fidelity("width", (16, 32), continues=False)))
    with pytest.raises(ValueError, match="trained to epoch 7 at once"):
        built(replace(benchmark, fidelity=Fidelity("epoch", (7,))))
    with pytest.raises(ValueError, match="models one objective, but 'toy' has 2"):
        built(replace(benchmark, objectives=(Objective("loss"), Objective("size"))))
    with pytest.raises(ValueError, match="a step of 1 to 9 levels"):
        built(benchmark, ":step=10")
    with pytest.raises(ValueError, match="at least 2 candidates"):
        built(benchmark, ":candidates=1")
    built(replace(benchmark, resumable=False))
