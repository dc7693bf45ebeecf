"""Trainings whose config changes on the way, on the simulated clock, and who is refused where there is no truth."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from harness.comparison import Arm, Comparison
from harness.compose.studies import model_of, prepared, run_simulated, simulate, study_of
from harness.methods import parse_method
from harness.simulated import Simulated
from harness.space import Config
from harness.study import Study
from harness.toys import Toy, toy_benchmark
from harness.trace import check_trace
from harness.types import Delays, Event, Job
from surrogates.families import synthetic_stateful

NAME = "synthetic_stateful"


def study(method: str, seed: int = 0) -> Study:
    arm = Arm(method, method)
    return study_of(Comparison(arms=(arm,), benchmarks=(NAME,), seeds=(seed,)), arm, NAME, seed)


@pytest.mark.parametrize("seed", range(2))
def test_pbt_beats_the_best_fixed_config(seed: int) -> None:
    model = synthetic_stateful.load(NAME)
    grid = [{"lr": float(lr), "batch_size": b} for lr in np.geomspace(1e-3, 4, 30) for b in (8, 16, 64, 256)]
    best = min(min(model.curve(config, seed).losses)[0] for config in grid)
    log, _ = simulate(study("pbt", seed))
    assert not log.error
    assert min(event.report.losses[0] for event in log.events if isinstance(event, Event)) < best / 2


def test_the_trace_is_sound_and_repeats() -> None:
    spec = study("pbt:interval=2").spec()
    first, second = run_simulated(spec), run_simulated(json.loads(json.dumps(spec)))
    assert check_trace(first) == [] and first.digest() == second.digest()


def test_a_copy_goes_on_from_the_level_of_its_parent_with_its_history() -> None:
    model = synthetic_stateful.load(NAME)
    executor = Simulated(model, 1, 5, Delays(start_up=1.0, restore=2.0, save=0.5))
    a: Config = {"lr": 0.5, "batch_size": 32}
    b: Config = {"lr": 0.1, "batch_size": 32}
    c: Config = {"lr": 0.01, "batch_size": 64}
    said: list[Event] = []
    for job in (Job(0, a, 2), Job(1, b, 4, parent=0), Job(2, c, 5, parent=1), Job(0, a, 3)):
        executor.start(job)
        while (event := executor.next(10**15)) is not None:
            said.append(event)
    history = [(a, 2), (b, 4)]
    expected = model.scheduled(history, c, 5)
    assert [event.report.resource for event in said] == [1, 2, 3, 4, 5, 3]
    assert [event.report.losses for event in said[:5]] == list(expected.losses[:5])
    assert said[5].report.losses == model.curve(a, 5).losses[2]  # the parent knows nothing of its copies
    level = (expected.nanoseconds[4] - expected.nanoseconds[3]) / 1e9
    assert said[4].report.cost == pytest.approx(1.0 + 2.0 + level + 0.5)


def test_a_table_of_whole_trainings_is_no_truth_for_pbt() -> None:
    toy = Toy(replace(toy_benchmark(), table_miss="snap"))
    asked = replace(study("pbt"), benchmark=toy.benchmark)
    with pytest.raises(
        ValueError, match="pbt changes configs in the midst of a training, but what stands behind 'toy'"
    ):
        prepared(asked, toy)
    prepared(asked, None)  # for real it may
    prepared(study("pbt"), model_of(NAME, "snap"))
    executor = Simulated(toy, 1, 0, Delays())
    executor.start(Job(0, toy.benchmark.space.sample(np.random.default_rng(0), 1)[0], 1))
    executor.next(10**12)
    with pytest.raises(ValueError, match="a table holds whole trainings: trial 1 cannot start from trial 0"):
        executor.start(Job(1, toy.benchmark.space.sample(np.random.default_rng(0), 1)[0], 2, parent=0))


def test_who_needs_no_state_is_not_asked_for_it() -> None:
    assert parse_method("asha").scheduler.load().__dict__.get("NEEDS_STATE") is None
