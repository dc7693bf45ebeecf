"""Where a row stands in its table must not matter: among equals a method chooses by lot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2
from threadpoolctl import threadpool_limits

from harness._parts.acquisition import thompson
from harness._parts.candidates import best_first
from harness._parts.gp import Factor, Hyperparameters
from harness.methods import build, parse_method
from harness.randomness import stream
from harness.space import Space, choice
from harness.toys import toy_benchmark
from harness.types import Benchmark, Constraint, Decision, Objective, Report, Status

SEEDS, ROWS, BEFORE = 200, 12, 3
SPACE = Space({"kind": choice(list(range(ROWS)))})
"""Who was not tried is as far from all that were as any other."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def assert_even(drawn: list[int], places: int) -> None:
    """Fails by chance once in 10,000 times."""
    counts, expected = np.bincount(drawn, minlength=places), len(drawn) / places
    assert len(counts) == places
    assert ((counts - expected) ** 2 / expected).sum() < chi2(places - 1).ppf(1 - 1e-4), counts


def test_the_highest_come_first_and_equals_by_lot() -> None:
    rng = np.random.default_rng(0)
    scores = np.array([0.0, 2.0, -1e6, 2.0 + 1e-12, 1.0, 2.0 - 1e-12, 1.0 + 1e-6])
    orders = [best_first(scores, rng).tolist() for _ in range(SEEDS)]
    assert {tuple(order[3:]) for order in orders} == {(6, 4, 0, 2)}
    assert_even([[1, 3, 5].index(order[0]) for order in orders], 3)
    assert best_first(scores, None).tolist() == [1, 3, 5, 6, 4, 0, 2]


@pytest.mark.parametrize("most", [1, 2, 3, 4, 7, 9])
def test_of_all_the_first_are_those_that_come_first(most: int) -> None:
    scores = np.array([0.0, 2.0, 2.0, 2.0, 1.0, -1.0, 1.0])
    rng = np.random.default_rng(1)
    firsts = [best_first(scores, rng, most) for _ in range(SEEDS)]
    assert all(scores[first].tolist() == sorted(scores, reverse=True)[:most] for first in firsts)
    assert all(len(set(first.tolist())) == len(first) for first in firsts)
    assert_even([int(first[0]) - 1 for first in firsts], 3)
    assert best_first(np.empty(0), rng).tolist() == best_first(np.empty(0), rng, most).tolist() == []


def test_of_too_many_equal_rows_any_are_drawn_from() -> None:
    posterior = Factor.of(Hyperparameters.default(20), np.eye(20)[:2]).posterior(np.array([-1.0, 1.0]))
    rng = np.random.default_rng(2)
    firsts = [int(thompson(posterior, np.eye(20)[2:], rng, 6)[0]) for _ in range(SEEDS)]
    assert_even(firsts, 18)


def place_of_the_next(method: str, seed: int) -> int:
    """Where a method's next new row stands among those that are free, when all that was tried was equal."""
    rows = [{"kind": kind} for kind in range(ROWS)]
    benchmark = toy_benchmark(SPACE.restricted(rows), (1, 2, 3), workers=1)
    if method.startswith("parego"):
        benchmark = replace(benchmark, objectives=(Objective("loss"), Objective("size")))
    if method == "bo-constrained":
        benchmark = replace(benchmark, constraints=(Constraint("size", 1.0),))
    return _next(method, benchmark, seed)


def _next(method: str, benchmark: Benchmark, seed: int) -> int:
    scheduler = build(parse_method(method), benchmark, stream("ties", seed))
    free, stands = list(range(ROWS)), dict[int, int]()
    while True:
        job = scheduler.ask()
        assert job is not None
        if job.trial not in stands:
            place = free.index(int(job.config["kind"]))
            if len(stands) == BEFORE:
                return place
            del free[place]
        for level in range(stands.get(job.trial, 0) + 1, job.until + 1):
            stands[job.trial] = level
            status = Status.REACHED if level == job.until else Status.RUNNING
            losses = (1.0,) * len(benchmark.objectives)
            report = Report(job.trial, level, losses, {"loss": 1.0, "size": 0.5}, 1.0, status)
            if scheduler.tell(report) is not Decision.CONTINUE:
                break


@pytest.mark.parametrize(
    "method",
    [
        "bo", "bo:acquisition=thompson", "mobster", "turbo", "hypertune", "dyhpo", "freeze-thaw", "bo-cost",
        "bo-constrained", "parego:initial=3",
    ],
)  # fmt: skip
def test_no_row_is_favoured_for_where_it_stands(method: str) -> None:
    assert_even([place_of_the_next(method, seed) for seed in range(SEEDS)], ROWS - BEFORE)
