"""DEHB: its subpopulations, where its parents come from, the law of its children, and the contract."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness._parts.brackets import hyperband
from harness.methods import parse_method
from harness.randomness import number, stream
from harness.samplers.rs import RandomSearch
from harness.schedulers import dehb as module
from harness.schedulers.dehb import Dehb, Subpopulation
from harness.schedulers.hyperband import Hyperband
from harness.space import Space, choice, uniform
from harness.toys import MIXED, toy_benchmark
from harness.types import Benchmark, Objective, Report, Status

METHOD = parse_method("dehb")
LEVELS = (1, 3, 9, 27, 81)
LINE = Space({"x": uniform(0, 1), "y": uniform(0, 1), "z": uniform(0, 1)})


def made(benchmark: Benchmark | None = None, **options: Any) -> Dehb:
    benchmark = toy_benchmark(LINE, LEVELS) if benchmark is None else benchmark
    benchmark = benchmark.with_space(benchmark.space.opened())
    rng = stream("dehb")
    return Dehb(benchmark, rng, sampler=RandomSearch(benchmark, rng), **options)


def carried_out(dehb: Dehb | Hyperband, jobs: int, loss: Any = lambda job: job.config["x"]) -> list[Any]:
    """Jobs one after the other, each told at once."""
    found: list[Any] = []
    for _ in range(jobs):
        job = dehb.ask()
        assert job is not None
        found.append(job)
        dehb.tell(Report(job.trial, job.until, (loss(job),), {}, 1.0, Status.REACHED))
    return found


def test_what_it_cannot_do_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="no rung below it"):
        made(toy_benchmark(levels=(7,)))
    with pytest.raises(ValueError, match=r"dehb minimises one objective, but 'toy' has 2: \['loss', 'size'\]"):
        made(replace(toy_benchmark(), objectives=(Objective("loss"), Objective("size"))))
    with pytest.raises(ValueError, match=r"given 0 and 0\.5"):
        made(mutation=0)
    with pytest.raises(ValueError, match=r"given 0\.5 and 1\.5"):
        made(cross=1.5)


def test_subpopulations_are_as_large_as_hyperbands_largest_rungs() -> None:
    assert {level: population.size for level, population in made().populations.items()} == {
        1: 81, 3: 34, 9: 15, 27: 8, 81: 5,
    }  # fmt: skip


def test_the_rungs_are_hyperbands_and_only_the_first_round_resumes() -> None:
    rounds = 121 + 49 + 21 + 10 + 5
    jobs = carried_out(made(), 2 * rounds)
    levels = [job.until for job in jobs]
    assert levels[:rounds] == [s.level for plan in hyperband(LEVELS, 3) for s in plan for _ in range(s.size)]
    trials, begun = [job.trial for job in jobs], 81 + 34 + 15 + 8 + 5
    resumed = [i for i, trial in enumerate(trials) if trial in trials[:i]]
    assert len(resumed) == rounds - begun and max(resumed) < rounds
    assert trials[rounds:] == list(range(begun, begun + rounds))


def test_a_child_stays_if_it_is_not_worse_than_its_target() -> None:
    population = Subpopulation(2)
    points = [np.full(2, i / 10) for i in range(6)]
    for point, loss in zip(points, [3.0, math.inf, 4.0, 1.0, 3.0, 1.0], strict=True):
        population.select(population.turn(), loss, point)
    assert population.losses == [3.0, 1.0]
    assert population.points[0] is points[4] and population.points[1] is points[5]
    assert population.best(1) == [points[5]] and population.best(5, without=1) == [points[4]]


def test_at_each_level_the_members_are_the_best_of_what_was_compared() -> None:
    """Selection replayed from outside: places take turns over the jobs of a level in the order of asking."""
    dehb = made()
    losses: dict[int, list[float]] = {level: [math.inf] * p.size for level, p in dehb.populations.items()}
    asked = dict.fromkeys(LEVELS, 0)
    for job in carried_out(dehb, 500, lambda job: number("loss", job.trial, job.until)):
        place = asked[job.until] % len(losses[job.until])
        asked[job.until] += 1
        losses[job.until][place] = min(losses[job.until][place], number("loss", job.trial, job.until))
    assert {level: population.losses for level, population in dehb.populations.items()} == losses


def test_parents_come_from_the_own_level_at_the_lowest_rung_and_else_from_the_best_below(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dehb, made_of = made(), list[tuple[np.ndarray, ...]]()

    def recorded(*points: Any) -> Any:
        made_of.append(points[:3])
        return points[0]

    monkeypatch.setattr(module, "mutant", recorded)
    carried_out(dehb, 121)
    assert not made_of
    carried_out(dehb, 49 + 21 + 10 + 5 + 121)
    made_of.clear()
    for rung, (size, level) in enumerate([(34, 3), (11, 9), (3, 27), (1, 81)]):
        for _ in range(size):
            population, below = dehb.populations[level], dehb.populations[LEVELS[LEVELS.index(level) - 1]]
            target = population._next % population.size
            pool = population.best(99, without=target) if rung == 0 else below.best(size)
            everybody = [point for other in dehb.populations.values() for point in other.best(99)]
            carried_out(dehb, 1)
            parents = made_of[-1]
            assert len({id(point) for point in parents}) == 3
            inside = [any(point is member for member in pool) for point in parents]
            if size >= 3:
                assert all(inside)
            else:
                assert sum(inside) == size and all(any(p is m for m in everybody) for p in parents)


def test_children_follow_the_law_of_mutation_and_crossover() -> None:
    """rand/1/bin by hand on points whose coordinates tell where they come from: F = .5, CR = .5."""
    space = Space({"x": uniform(0, 1), "c": choice(["a", "b", "c"]), "y": uniform(0, 1)})
    dehb = made(toy_benchmark(space, LEVELS), mutation=0.25)
    population = dehb.populations[1]
    parents = [np.full(5, 0.5), np.full(5, 0.6), np.full(5, 0.9)]
    for loss, point in enumerate([np.full(5, 0.01), *parents]):
        population.select(population.turn(), float(loss), point)
    possible = {round(a + 0.25 * (b - c), 6) for a in (0.5, 0.6, 0.9) for b in (0.5, 0.6, 0.9) for c in (0.5, 0.6, 0.9)}
    place = module.Place(4, 0, 81, 1)
    crossed: list[tuple[bool, ...]] = []
    for _ in range(4000):
        child = dehb._evolved(place, population, 0)
        assert child[1] == child[2] == child[3]  # a choice crosses over as a whole
        crossed.append(tuple(bool(value != 0.01) for value in child[[0, 1, 4]]))
        assert all(value == 0.01 or round(float(value), 6) in possible for value in child)
    # One of three crosses for certain, the others each with probability 1/2.
    counts = np.bincount([sum(one) for one in crossed], minlength=4) / len(crossed)
    assert np.allclose(counts, [0, 0.25, 0.5, 0.25], atol=0.03)
    assert np.allclose(np.mean(crossed, axis=0), 2 / 3, atol=0.03)


def test_the_first_population_has_the_law_of_the_space() -> None:
    dehb = made(toy_benchmark(LINE, tuple(3**k for k in range(7))))
    configs = [job.config for job in carried_out(dehb, 729)]
    for name in ("x", "y", "z"):
        values = np.sort([config[name] for config in configs])
        assert np.abs(values - (np.arange(729) + 0.5) / 729).max() < 1.63 / math.sqrt(729)  # Kolmogorov, 1%


def test_who_failed_is_no_parent_and_few_parents_are_filled_up() -> None:
    dehb = made()
    for _ in range(300):
        job = dehb.ask()
        assert job is not None
        dehb.tell(Report(job.trial, 0, (math.inf,), {}, 1.0, Status.FAILED))
    assert all(population.best(99) == [] for population in dehb.populations.values())
    assert dehb.ask() is not None


def test_evolution_gets_closer_than_random_configs_do() -> None:
    space = Space({f"x{i}": uniform(0, 1) for i in range(6)})
    benchmark = toy_benchmark(space, (1, 3, 9))
    sampler = RandomSearch(benchmark.with_space(space.opened()), stream("rs"))
    found: list[float] = []
    for scheduler in (made(benchmark), Hyperband(benchmark, stream("hyperband"), sampler=sampler)):
        jobs = carried_out(scheduler, 1500, lambda job: math.dist(job.config.values(), [0.3] * 6))
        found.append(min(math.dist(job.config.values(), [0.3] * 6) for job in jobs))
    assert found[0] < found[1] / 5


def test_rows_are_proposed_once_each() -> None:
    rows = MIXED.sample(stream("rows"), 60)
    dehb = made(toy_benchmark(MIXED.restricted(rows)))
    trials: set[int] = set()
    while (job := dehb.ask()) is not None:
        trials.add(job.trial)
        dehb.tell(Report(job.trial, job.until, (number("loss", job.trial),), {}, 1.0, Status.REACHED))
    assert len(trials) == 60
