"""Population-based training by hand, how configs are explored, and the model of training that carries its state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from harness import catalog
from harness.methods import build, parse_method
from harness.samplers.rs import RandomSearch
from harness.schedulers.pbt import Pbt, explored
from harness.space import Config, Space, choice, ordinal, randint, reverse_loguniform, uniform
from harness.toys import toy_benchmark
from harness.types import Decision, End, Fidelity, Job, Objective, Report, Status
from surrogates.families import synthetic_stateful
from surrogates.families.synthetic_stateful import CURVATURES, EXAMPLES, NOISE, SyntheticStateful

LINE = Space({"x": uniform(0, 1)})


def pbt(space: Space = LINE, seed: int = 0, **options: float) -> Pbt:
    benchmark = toy_benchmark(space)
    rng = np.random.default_rng(seed)
    return Pbt(benchmark, rng, sampler=RandomSearch(benchmark, rng), **options)  # type: ignore[arg-type]


def asked(scheduler: Pbt, count: int) -> list[Job]:
    jobs = [scheduler.ask() for _ in range(count)]
    assert all(job is not None for job in jobs)
    return jobs  # type: ignore[return-value]


def told(scheduler: Pbt, job: Job, loss: float, resource: int | None = None, status: Status | None = None) -> Decision:
    resource = job.until if resource is None else resource
    status = (Status.REACHED if resource == job.until else Status.RUNNING) if status is None else status
    return scheduler.tell(Report(job.trial, resource, (loss,), {}, 1.0, status))


# -- the scheduler -----------------------------------------------------------------------------------------------------


def test_the_worst_quarter_goes_on_from_a_copy_of_the_best_quarter() -> None:
    scheduler = pbt(population=8, interval=2)
    jobs = asked(scheduler, 8)
    assert [(job.trial, job.until, job.parent) for job in jobs] == [(trial, 2, None) for trial in range(8)]
    for place, trial in enumerate([5, 6, 0, 2, 1, 3]):  # each better than all before
        assert told(scheduler, jobs[trial], 0.6 - place / 10) is Decision.CONTINUE
    assert told(scheduler, jobs[4], 0.8) is Decision.STOP  # seven have reported: one is the worst quarter
    born = scheduler.ask()
    assert born is not None and (born.trial, born.parent, born.until) == (8, 3, 4)
    scheduler._space.check(born.config)
    assert told(scheduler, jobs[7], 0.9) is Decision.STOP  # eight: the copy counts as good as its parent
    again = scheduler.ask()
    assert again is not None and (again.trial, again.until) == (9, 4) and again.parent in (3, 8)
    # All others go on as they are, the least trained first; nobody asks for those who were left.
    rest = asked(scheduler, 6)
    assert [job.trial for job in rest] == [0, 1, 2, 3, 5, 6]
    assert all(job.until == 4 and job.parent is None and job.config == jobs[job.trial].config for job in rest)
    later = scheduler.ask()
    assert later is not None and later.until == 2 and later.trial == 10  # workers left over begin another population


def test_fewer_workers_than_members_take_turns_so_that_there_is_somebody_to_copy() -> None:
    scheduler = pbt(population=4, interval=2)
    running = asked(scheduler, 2)
    for loss in (0.5, 0.4):  # the places that are left come before the next stretch of who waits
        told(scheduler, running.pop(0), loss)
        running += asked(scheduler, 1)
    assert [(job.trial, job.until) for job in running] == [(2, 2), (3, 2)]
    told(scheduler, running.pop(0), 0.3)
    running += asked(scheduler, 1)
    assert (running[-1].trial, running[-1].until) == (0, 4)
    assert told(scheduler, running.pop(0), 0.9) is Decision.STOP
    born = scheduler.ask()
    assert born is not None and (born.trial, born.parent, born.until) == (4, 2, 4)


def test_a_copy_starts_where_its_parent_stands() -> None:
    scheduler = pbt(population=4, interval=3)
    jobs = asked(scheduler, 4)
    for trial in range(3):
        told(scheduler, jobs[trial], 0.1 * (1 + trial))
    ahead = asked(scheduler, 1)[0]
    assert ahead.trial == 0 and ahead.until == 6
    told(scheduler, ahead, 0.05, resource=5)
    told(scheduler, jobs[3], 0.9)
    born = scheduler.ask()
    assert born is not None and born.parent == 0 and born.until == 8


def test_parents_are_drawn_from_the_best_quarter_alone_and_each_of_it() -> None:
    parents = set()
    for seed in range(30):
        scheduler = pbt(population=8, interval=2, seed=seed)
        jobs = asked(scheduler, 8)
        for trial in range(7):
            told(scheduler, jobs[trial], -float(trial))
        told(scheduler, jobs[7], 1.0)
        parents.add(scheduler._born[-1][1].parent)
    assert parents == {5, 6}


def test_who_failed_gives_way_at_once_and_without_anyone_better_to_a_new_config() -> None:
    scheduler = pbt(population=4, interval=2)
    jobs = asked(scheduler, 4)
    told(scheduler, jobs[0], math.inf, 1, Status.FAILED)
    fresh = scheduler.ask()
    assert fresh is not None and fresh.parent is None and (fresh.trial, fresh.until) == (4, 2)
    told(scheduler, jobs[1], 0.5)
    told(scheduler, jobs[2], math.inf, 1, Status.FAILED)
    born = scheduler.ask()
    assert born is not None and born.parent == 1 and born.until == 4
    told(scheduler, jobs[3], 0.1, 1, Status.REACHED)  # it ended early, however well
    born = scheduler.ask()
    assert born is not None and born.parent in (1, 5)


def test_nobody_copies_who_is_at_the_end_or_not_better() -> None:
    scheduler = pbt(population=4, interval=8)
    jobs = asked(scheduler, 4)
    for job in jobs:
        assert told(scheduler, job, 1.0) is Decision.CONTINUE  # all alike
    jobs = asked(scheduler, 4)
    assert [job.until for job in jobs] == [9] * 4
    for place, job in enumerate(jobs):
        assert told(scheduler, job, float(place)) is Decision.CONTINUE
    following = scheduler.ask()
    assert following is not None and following.until == 8  # the next population
    assert len(scheduler._populations) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"objectives": (Objective("loss"), Objective("size"))}, "one objective, but 'toy' has 2"),
        ({"resumable": False}, "'toy' keeps no checkpoints, so there is nothing for pbt to copy"),
        ({"fidelity": Fidelity("epoch", (9,))}, "has no epochs that continue"),
        ({"fidelity": Fidelity("width", (1, 9), continues=False)}, "has no widths that continue"),
        ({"space": LINE.restricted([{"x": 0.5}])}, "restricted to the rows of a table"),
    ],
)
def test_what_cannot_be_copied_is_refused(change: dict[str, object], words: str) -> None:
    benchmark = replace(toy_benchmark(LINE), **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        build(parse_method("pbt"), benchmark, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"population": 1}, "population >= 2"),
        ({"quantile": 0.6}, "quantile <= .5"),
        ({"resample": -1}, "resample <= 1, given 4, 0.25 and -1"),
        ({"interval": 9}, "between 1 and 8 epochs of 'toy': 9"),
        ({"population": 3}, "0.25 of a population of 3 is less .* a population of at least 4, or .* at least 0.34"),
        ({"population": 9, "quantile": 0.1}, "population of at least 10, or a quantile of at least 0.12"),
    ],
)
def test_options_without_sense_are_refused(options: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pbt(**options)


# -- exploring ---------------------------------------------------------------------------------------------------------

WIDE = Space(
    {
        "rate": uniform(0.0, 10.0),
        "momentum": reverse_loguniform(0.5, 0.999),
        "layers": randint(1, 100),
        "batch": ordinal([8, 16, 32]),
        "kind": choice(["a", "b"]),
        "decay": uniform(0, 1),
    },
    {"decay": {"kind": ["b"]}},
)
START: Config = {"rate": 5.0, "momentum": 0.9, "layers": 2, "batch": 16, "kind": "a"}


def test_a_config_is_perturbed_by_the_factors_each_half_the_time() -> None:
    rng = np.random.default_rng(0)
    children = [explored(WIDE, START, 0.0, rng) for _ in range(400)]
    for name, expected in (
        ("rate", (4.0, 6.0)), ("momentum", (0.88, 0.92)), ("layers", (1, 3)), ("batch", (8, 32)), ("kind", ("a",)),
    ):  # fmt: skip
        values = sorted(child[name] for child in children)  # type: ignore[type-var]
        assert sorted(set(values)) == pytest.approx(list(expected)) if name != "kind" else set(values) == {"a"}
        if len(expected) == 2:
            assert values.count(values[0]) == pytest.approx(200, abs=60)
    assert all(set(child) == set(START) for child in children)


def test_every_whole_number_moves_and_negative_ones_as_their_mirror_images() -> None:
    line = Space({"x": randint(-20, 20)})

    def moved(x: int) -> set[object]:
        rng = np.random.default_rng(0)
        return {explored(line, {"x": x}, 0.0, rng)["x"] for _ in range(40)}

    for x in range(1, 17):
        assert len(moved(x)) == 2 and x not in moved(x)
        assert moved(-x) == {-child for child in moved(x)}  # type: ignore[operator]
    assert moved(0) == {-1, 1} and moved(1) == {0, 2} and moved(20) == {16, 20}


def test_a_quarter_is_drawn_anew_and_all_stay_in_the_space() -> None:
    rng = np.random.default_rng(1)
    children = [explored(WIDE, START, 0.25, rng) for _ in range(2000)]
    for child in children:
        WIDE.check(child)
    anew = np.mean([abs(float(child["rate"]) - 5.0) not in (1.0,) for child in children])  # type: ignore[arg-type]
    assert anew == pytest.approx(0.25, abs=0.04)
    # A choice that is drawn anew changes half the time, and what it makes active is drawn.
    assert np.mean(["decay" in child for child in children]) == pytest.approx(0.125, abs=0.03)
    edge: Config = {"rate": 10.0, "momentum": 0.999, "layers": 100, "batch": 32, "kind": "b", "decay": 0.0}
    for _ in range(100):
        edge = explored(WIDE, edge, 0.1, rng)
        WIDE.check(edge)


# -- the model whose state carries over --------------------------------------------------------------------------------


def model() -> SyntheticStateful:
    return synthetic_stateful.load("synthetic_stateful")


def descended(rates: Sequence[float], batch: int, start: float) -> list[float]:
    """The loss after each epoch, step by step."""
    state, losses = np.full(len(CURVATURES), start), list[float]()
    for rate in rates:
        for _ in range(EXAMPLES // batch):
            state = (1 - rate * CURVATURES) ** 2 * state + (rate * CURVATURES) ** 2 * NOISE / batch
        losses.append(0.5 * float(CURVATURES @ state))
    return losses


def test_the_formula_is_what_single_steps_give() -> None:
    schedule: list[tuple[Config, int]] = [({"lr": 0.5, "batch_size": 32}, 3), ({"lr": 0.1, "batch_size": 32}, 7)]
    curve = model()._trained(schedule, {"lr": 0.01, "batch_size": 32}, np.ones(len(CURVATURES)))
    rates = [0.5] * 3 + [0.1] * 4 + [0.01] * 33
    assert [loss for (loss,) in curve.losses] == pytest.approx(descended(rates, 32, 1.0))
    assert model().final_loss({"lr": 0.3, "batch_size": 64}) == pytest.approx(descended([0.3] * 40, 64, 1.0)[-1])


def test_a_schedule_that_changes_nothing_is_the_fixed_config_and_the_past_stays() -> None:
    config: Config = {"lr": 0.2, "batch_size": 16}
    fixed = model().curve(config, 3)
    assert model().scheduled([(config, 4), (config, 11)], config, 3) == fixed
    changed = model().scheduled([(config, 11)], {"lr": 0.01, "batch_size": 256}, 3)
    assert changed.losses[:11] == fixed.losses[:11] and changed.losses[11:] != fixed.losses[11:]
    assert changed.nanoseconds[:11] == fixed.nanoseconds[:11]
    assert all(a < b for a, b in zip(changed.nanoseconds, changed.nanoseconds[1:], strict=False))
    assert model().curve(config, 4).losses != fixed.losses


def test_a_falling_rate_beats_the_best_fixed_config_by_far() -> None:
    grid = [{"lr": float(lr), "batch_size": b} for lr in np.geomspace(1e-3, 4, 40) for b in (8, 16, 32, 64, 128, 256)]
    best = min(model().final_loss(config) for config in grid)
    rates = np.geomspace(0.5, 0.002, 40).tolist()
    schedule: list[tuple[Config, int]] = [
        ({"lr": rate, "batch_size": 8}, level + 1) for level, rate in enumerate(rates)
    ]
    curve = model()._trained(schedule, schedule[-1][0], np.ones(len(CURVATURES)))
    assert curve.losses[-1][0] < best / 3


def test_it_diverges_beyond_two_over_the_largest_curvature() -> None:
    assert model().curve({"lr": 1.9, "batch_size": 8}, 0).end is End.COMPLETE
    curve = model().curve({"lr": 2.1, "batch_size": 8}, 0)
    assert curve.end is End.DIVERGED and curve.losses == ((math.inf,),) and math.isfinite(curve.metrics[0]["loss"])


def test_the_benchmark_is_found_and_every_config_answered() -> None:
    entry = catalog.find_benchmark("synthetic_stateful")
    assert entry.family == "synthetic_stateful" and entry.ways == "table"
    for config in entry.benchmark.space.sample(np.random.default_rng(0), 50):
        assert not model().outside(config)
        assert len(model().curve(config, 0).losses) in (*range(1, 40), 40)
    assert model().facts()["median"] > 0
