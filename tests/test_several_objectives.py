"""Methods for several objectives: they keep the contract there, find fronts, and refuse what they cannot weigh."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import islice, product
from typing import Any

import numpy as np
import pytest

from harness import checks
from harness._parts.pareto import epsilon_net, hypervolume, ranks
from harness._parts.rungs import Rung
from harness.loop import Started, run
from harness.methods import build, parse_method
from harness.randomness import stream
from harness.samplers import nsga2, parego
from harness.samplers.nsga2 import Nsga2
from harness.samplers.parego import scalarised
from harness.schedulers.moasha import _Rung
from harness.simulated import Simulated
from harness.space import Config, Space, choice, randint, uniform
from harness.toys import Toy, toy_benchmark
from harness.types import NANOSECONDS, Benchmark, Event, Job, Objective, Report, Scheduler, Status

TWO = (Objective("loss"), Objective("size"))
METHODS = ["nsga2", "parego", "moasha", "moasha:sampler=nsga2", "moasha:sampler=parego:eta=2"]


def two_objectives(*args: object, **options: object) -> Benchmark:
    return replace(toy_benchmark(*args, **options), objectives=TWO)  # type: ignore[arg-type]


@pytest.mark.parametrize("law", [law for law in checks.LAWS if law is not checks._repeats_elsewhere])
@pytest.mark.parametrize("text", METHODS)
def test_the_contract_is_kept_with_two_objectives(text: str, law: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "toy_benchmark", two_objectives)
    assert law(parse_method(text)) == ""  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "words"), [("moasha", "only 'loss': use `asha`"), ("parego", "only 'loss': use `bo`")]
)
def test_one_objective_is_nothing_to_weigh(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(parse_method(text), toy_benchmark(), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nsga2:population=1", "population >= 2, given 1"),
        ("parego:initial=0", "initial >= 1"),
        ("moasha:eta=1", "greater than 1"),
    ],
)
def test_options_without_sense_are_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(parse_method(text), two_objectives(), np.random.default_rng(0))


# -- nsga2 -------------------------------------------------------------------------------------------------------------

ZDT = Space({**{f"x{i}": uniform(0, 1) for i in range(5)}, "kind": choice(["a", "b", "c"]), "n": randint(0, 20)})


def zdt1(config: Config) -> tuple[float, float]:
    """ZDT1 (Zitzler, Deb & Thiele 2000), where a wrong choice and a large number count as distance from the front."""
    rest = [float(config[f"x{i}"]) for i in range(1, 5)]  # type: ignore[arg-type]
    rest += [0.0 if config["kind"] == "b" else 0.5, config["n"] / 20]  # type: ignore[operator]
    first, distance = float(config["x0"]), 1 + 9 * sum(rest) / len(rest)  # type: ignore[arg-type]
    return first, distance * (1 - math.sqrt(first / distance))


def front_of(text: str, seed: int, count: int, workers: int = 4) -> np.ndarray:
    """The losses of `count` configs that a sampler proposes, told of late, as with several workers."""
    benchmark = replace(toy_benchmark(ZDT), objectives=TWO).with_space(ZDT.opened())
    method = parse_method(text)
    assert method.sampler
    sampler = method.sampler.load()(benchmark, stream("front", seed), **method.sampler_options)
    under_way: list[Config] = []
    losses: list[tuple[float, float]] = []
    for _ in range(count):
        config = sampler.suggest(under_way)
        assert config is not None
        under_way.append(config)
        if len(under_way) == workers:
            losses.append(zdt1(under_way[0]))
            sampler.observe(under_way.pop(0), 9, losses[-1])
    return np.array(losses)


def test_nsga2_beats_random_search_by_hypervolume() -> None:
    reference = np.array([1.1, 8.0])
    random = [hypervolume(front_of("rs", seed, 200), reference) for seed in range(5)]
    gains = [hypervolume(front_of("nsga2:population=20", seed, 200), reference) - random[seed] for seed in range(5)]
    assert min(gains) > 0.5


def test_parego_beats_random_search_by_hypervolume() -> None:
    reference = np.array([1.1, 8.0])
    for seed in range(2):
        volumes = [hypervolume(front_of(text, seed, 40), reference) for text in ("parego", "rs")]
        assert volumes[0] > volumes[1] + 0.5


def test_nsga2_keeps_the_first_fronts_and_of_the_last_who_has_most_room() -> None:
    benchmark = two_objectives(Space({"x": uniform(0, 1)}))
    sampler = Nsga2(benchmark, np.random.default_rng(0), population=4)
    line = [(0.0, 1.0), (0.1, 0.9), (0.5, 0.5), (1.0, 0.0), (0.45, 0.55)]
    for place, losses in enumerate([(2.0, 2.0), *line]):
        sampler.observe({"x": place / 10}, 9, losses)
    sampler.suggest([])
    kept = [member.losses for member in sampler._members.values()]
    assert set(kept[:2]) == {(0.0, 1.0), (1.0, 0.0)}
    assert len(kept) == 4 and (2.0, 2.0) not in kept
    gaps = {(0.1, 0.9): 0.9, (0.45, 0.55): 0.8, (0.5, 0.5): 1.1}
    assert kept[2:] == sorted(gaps, key=gaps.get, reverse=True)[:2]  # type: ignore[arg-type]


def test_nsga2_puts_who_was_trained_further_first_and_who_failed_last() -> None:
    sampler = Nsga2(two_objectives(Space({"x": uniform(0, 1)})), np.random.default_rng(0), population=3)
    sampler.observe({"x": 0.1}, 1, (0.0, 0.0))
    sampler.observe({"x": 0.2}, 9, (math.inf, 0.0))
    sampler.observe({"x": 0.3}, 9, (5.0, 5.0))
    sampler.suggest([])
    assert [member.losses for member in sampler._members.values()] == [(5.0, 5.0), (0.0, 0.0), (math.inf, math.inf)]


@pytest.mark.parametrize("lower", [True, False])
def test_simulated_binary_crossover_follows_its_law(lower: bool) -> None:
    # Far from the bounds: the spread is (2u)^(1/21) below u = .5 and (1 / (2 - 2u))^(1/21) above, so its median is 1.
    rng = np.random.default_rng(0)
    n = 20_000
    mother, father = np.full(n, 0.52), np.full(n, 0.48)
    child = nsga2._bred(mother, father, np.full(n, lower), rng)
    spread = np.abs(child - 0.5) / 0.02
    assert np.median(spread) == pytest.approx(1.0, abs=0.002)
    assert np.mean(spread < 0.5 ** (1 / 21)) == pytest.approx(0.25, abs=0.01)
    assert np.mean(spread > 2 ** (1 / 21)) == pytest.approx(0.25, abs=0.01)
    assert ((child < 0.5) == lower).all()


def test_crossover_and_mutation_stay_inside_and_equal_parents_have_equal_children() -> None:
    rng = np.random.default_rng(1)
    mother, father = rng.random(5000) ** 9, 1 - rng.random(5000) ** 9
    sides = rng.random(5000) < 0.5
    for values in (nsga2._bred(mother, father, sides, rng), nsga2._mutated(mother, rng.random(5000))):
        assert (values >= 0).all() and (values <= 1).all()
    assert nsga2._bred(mother, mother, sides, rng) == pytest.approx(mother)


def test_polynomial_mutation_follows_its_law() -> None:
    u = np.linspace(0.001, 0.999, 999)
    moved = nsga2._mutated(np.full(999, 0.5), u)
    # The quantile function: no move at the median, monotone, symmetric, the whole range at the ends.
    assert (np.diff(moved) >= 0).all()
    assert moved + moved[::-1] == pytest.approx(1.0)
    assert moved[499] == pytest.approx(0.5)
    assert nsga2._mutated(np.array([0.3, 0.3]), np.array([0.0, 1.0])) == pytest.approx([0.0, 1.0])
    # Far from the bounds Deb's density (index + 1) / 2 (1 - |d|)^index: half of it lies within 1 - .5^(1/21).
    assert abs(moved[249] - 0.5) == pytest.approx(1 - (0.502) ** (1 / 21), abs=1e-3)


# -- moasha ------------------------------------------------------------------------------------------------------------


def test_a_rung_promotes_by_rank_and_then_as_a_net() -> None:
    rung = _Rung(1, 2, 2)
    line = [(0.0, 1.0), (0.1, 0.9), (0.5, 0.5), (1.0, 0.0), (2.0, 2.0), (3.0, 3.0)]
    for trial, losses in enumerate(line):
        rung.add(losses, trial, waits=True)
    # Half of six are three: both ends of the line and who lies farthest from them.
    assert [rung.promote() for _ in range(4)] == [0, 3, 2, None]
    rung.add((-1.0, -1.0), 6, waits=False)
    rung.add((4.0, 4.0), 7, waits=True)
    # Now four: the one that waits for nothing, and three of the line, which have gone.
    assert rung.promote() is None
    for trial in (8, 9):
        rung.add((5.0, 5.0), trial, waits=True)
    assert [rung.promote() for _ in range(2)] == [1, None]


def best_by_definition(losses: np.ndarray, waits: list[bool], eta: float) -> int | None:
    """Who is promoted of all that came (n, 2), every front and its net found anew."""
    rank = ranks(losses)
    lowest = rank[waits].min(initial=len(losses))
    front = np.flatnonzero(rank == lowest)
    room = int(len(losses) / eta + 1e-9) - int((rank < lowest).sum())
    net = front[list(islice(epsilon_net(losses[front]), max(0, room)))] if len(front) else front
    return next((place for place in net.tolist() if waits[place]), None)


@pytest.mark.parametrize("spread", [0.02, 0.3])
def test_what_a_rung_remembers_of_fronts_changes_no_promotion(spread: float) -> None:
    rng = np.random.default_rng(1)
    first = rng.random(120)
    losses = np.column_stack([first, 1 - first + spread * rng.random(120)])
    rung, waits, promoted = _Rung(1, 3, 2), list[bool](), 0
    for trial, point in enumerate(losses):
        rung.add(tuple(point.tolist()), trial, waits=trial % 5 > 0)
        waits.append(trial % 5 > 0)
        for _ in range(trial % 3):
            best = best_by_definition(losses[: trial + 1], waits, 3)
            assert rung.promote() == best
            if best is not None:
                waits[best], promoted = False, promoted + 1
    assert promoted > 20


def test_a_front_that_has_lost_room_promotes_no_more() -> None:
    rung = _Rung(1, 2, 2)
    rung.add((0.9, 0.9), 0, waits=False)
    for trial in (1, 2, 3, 4):
        rung.add((float(trial), 5.0 - trial), trial, waits=True)
    for trial in (5, 6, 7, 8):
        rung.add((float(trial + 4), float(trial + 4)), trial, waits=False)
    # Half of nine, less the one before them, are three: both ends and one between.
    assert [rung.promote(), rung.promote()] == [1, 4]
    for trial, losses in ((9, (0.5, 5.0)), (10, (0.4, 6.0))):
        rung.add(losses, trial, waits=False)
    assert rung.promote() is None  # half of eleven, less three, are two


def test_who_failed_is_never_promoted() -> None:
    rung = _Rung(1, 2, 2)
    rung.add((0.0, math.inf), 0, waits=True)
    rung.add((1.0, 1.0), 1, waits=False)
    assert rung.promote() is None
    rung.add((9.0, 9.0), 2, waits=True)
    rung.add((8.0, 8.0), 3, waits=True)
    assert [rung.promote() for _ in range(2)] == [3, None]


def test_who_is_left_goes_on_by_rank_and_then_as_a_net() -> None:
    rung = _Rung(1, 2, 2)
    for trial, losses in enumerate([(0.0, 1.0), (0.5, 0.5), (1.0, 0.0), (2.0, 2.0), (0.0, math.inf), (3.0, 3.0)]):
        rung.add(losses, trial, waits=trial != 3)
    assert rung.promote() == 0
    assert [rung.best_left() for _ in range(4)] == [2, 1, 5, None]
    assert rung.promote() is None
    rung.add((4.0, 4.0), 6, waits=True)
    assert rung.best_left() == 6


def test_with_one_loss_twice_it_promotes_as_asha_does() -> None:
    rng = np.random.default_rng(0)
    rung, oracle = _Rung(1, 3, 2), Rung(1, 3)
    for trial, loss in enumerate(rng.random(200).tolist()):
        rung.add((loss, loss), trial, waits=True)
        oracle.add(loss, trial, waits=True)
        while (promoted := oracle.promote()) is not None:
            assert rung.promote() == promoted
        assert rung.promote() is None


def play(text: str, toy: Toy, seed: int = 0) -> list[Started | Event]:
    benchmark = toy.benchmark.with_space(toy.benchmark.space.opened())
    scheduler: Scheduler = build(parse_method(text), benchmark, stream("play", seed))
    executor = Simulated(toy, benchmark.workers, seed, benchmark.delays)
    log = run(benchmark, scheduler, executor, round(benchmark.budget * NANOSECONDS))
    assert not log.error
    return [event for event in log.events if isinstance(event, Started | Event)]


def test_moasha_trains_a_third_of_each_rung_on_and_its_best_are_non_dominated() -> None:
    space = Space({"x": uniform(0, 1), "y": uniform(0, 1)})
    toy = Toy(replace(two_objectives(space, levels=(1, 3, 9)), budget=250.0))
    events = play("moasha", toy)
    reached = Counter(event.report.resource for event in events if isinstance(event, Event))
    assert reached[1] > 100
    assert 1 / 3 - 0.02 < reached[3] / reached[1] < 0.45
    first = {e.report.trial: e.report.losses for e in events if isinstance(e, Event) and e.report.resource == 1}
    rank = dict(zip(first, ranks(np.array(list(first.values()))).tolist(), strict=True))
    further = {e.report.trial for e in events if isinstance(e, Event) and e.report.resource == 3}
    left = set(first) - further
    assert np.mean([rank[trial] for trial in further]) < np.mean([rank[trial] for trial in left]) / 2


# -- parego ------------------------------------------------------------------------------------------------------------


def test_scalarisation_is_the_augmented_tchebycheff_function() -> None:
    losses = np.array([[0.0, 30.0], [10.0, 10.0], [5.0, 20.0], [np.inf, 0.0]])
    weights = np.array([0.25, 0.75])
    expected = [0.75 + 0.05 * 0.75, 0.25 + 0.05 * 0.25, 0.375 + 0.05 * 0.5, np.inf]
    assert scalarised(losses, weights) == pytest.approx(expected)
    assert np.isinf(scalarised(np.full((2, 2), np.inf), weights)).all()


def test_what_diverged_changes_nothing_between_the_others() -> None:
    losses = np.array([[0.0, 30.0], [10.0, 10.0], [5.0, 20.0], [6.0, 25.0], [11.0, 31.0]])
    weights = np.array([0.4, 0.6])
    diverged = losses.copy()
    diverged[-1] *= 1000
    before, after = scalarised(losses, weights), scalarised(diverged, weights)
    assert after[:-1] == pytest.approx(before[:-1])
    assert before.argmax() == after.argmax() == 4


def test_where_the_front_is_one_config_the_median_tells_the_scale() -> None:
    losses = np.array([[0.0, 0.0], [2.0, 10.0], [4.0, 40.0]])
    assert scalarised(losses, np.array([1.0, 0.0])) == pytest.approx([0.0, 1.05, 2.1])
    assert scalarised(losses, np.array([0.0, 1.0])) == pytest.approx([0.0, 1.05, 4.2])


def test_parego_forgets_no_good_config_when_it_thins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parego, "MOST_MODELLED", 10)
    sampler = parego.ParEgo(two_objectives(Space({"x": uniform(0, 1)})), np.random.default_rng(0))
    for place in range(40):
        sampler.observe({"x": place / 40}, 9, (float(place), 2.0 * place))
    x, losses = sampler._modelled()
    assert len(x) == 10
    assert sorted(x[:, 0])[:5] == pytest.approx([place / 40 for place in range(5)])
    assert losses.argmin() == x[:, 0].argmin()


def test_samplers_see_the_highest_resource_that_enough_reached() -> None:
    sampler = parego.ParEgo(two_objectives(Space({"x": uniform(0, 1)})), np.random.default_rng(0))
    for resource, place in product((1, 3), range(3)):
        sampler.observe({"x": place / 4}, resource, (float(resource), float(place)))
    sampler.observe({"x": 0.9}, 9, (1.0, 1.0))
    sampler.observe({"x": 0.8}, 1, (math.inf, 1.0))
    x, losses = sampler._modelled()
    assert x[:, 0].tolist() == [0.0, 0.25, 0.5, 0.8]
    assert np.isinf(losses).tolist() == [False, False, False, True]


def test_who_failed_or_ended_early_counts_at_its_rung_and_does_not_go_on() -> None:
    """Two alone promote nobody; with the one that failed they are three, of whom the best goes on."""
    scheduler: Any = build(parse_method("moasha"), two_objectives(), np.random.default_rng(0))
    jobs = [scheduler.ask() for _ in range(3)]
    assert all(isinstance(job, Job) and job.until == 1 for job in jobs)
    for trial in (1, 2):
        scheduler.tell(Report(trial, 1, (float(trial), 0.0), {}, 1.0, Status.REACHED))
    assert scheduler.ask().trial == 3
    scheduler.tell(Report(0, 1, (math.inf, math.inf), {}, 1.0, Status.FAILED))
    resumed = scheduler.ask()
    assert (resumed.trial, resumed.until) == (1, 3)
    scheduler.tell(Report(1, 2, (0.5, 0.0), {}, 1.0, Status.REACHED))
    assert scheduler.rungs[1]._new == [((0.5, 0.0), 1, False)]
