"""Comparisons: what is missing is run and nothing else, and it does not matter in which processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toys import run_study, study, toy_benchmark

from harness.comparison import Arm, Comparison, Outcome, carry_out, missing, run_batch, stale
from harness.store import Store
from harness.study import Record, Study, key_of
from harness.types import Delays

STUDIES = [study(method, seed) for method in ("rs", "asha") for seed in range(6)]


def nothing(outcome: Outcome) -> None:
    """Nobody is told."""


def run_but_one(spec: Mapping[str, Any]) -> Record:
    if spec["seed"] == 3:
        raise MemoryError("seed 3")
    return run_study(spec)


def run_until_interrupted(spec: Mapping[str, Any]) -> Record:
    if spec["seed"] == 2:
        raise KeyboardInterrupt
    return run_study(spec)


def run_until_killed(spec: Mapping[str, Any]) -> Record:
    if spec["seed"] == 0:
        raise MemoryError("seed 0")
    if (spec["arm"], spec["seed"]) == ("asha", 5):
        time.sleep(1.0)  # the others have ended by then
        os.kill(os.getpid(), signal.SIGKILL)
    return run_study(spec)


def test_any_number_of_processes_gives_the_same_store(tmp_path: Path) -> None:
    digests = set()
    for jobs in (1, 2):
        told: list[Outcome] = []
        outcomes = carry_out(STUDIES, tmp_path / str(jobs), run_study, jobs=jobs, on_outcome=told.append)
        assert outcomes == told
        assert {(o.arm, o.seed) for o in outcomes if o.stored} == {(s.arm, s.seed) for s in STUDIES}
        digests.add(Store(tmp_path / str(jobs)).logical_digest())
    backwards = tmp_path / "backwards"
    for one in reversed(STUDIES):
        run_batch(backwards, [one.spec()], run_study)
    assert digests == {Store(backwards).logical_digest()}


def test_only_what_is_missing_is_missing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert missing(STUDIES, store) == STUDIES
    carry_out(STUDIES[:5], tmp_path, run_study, jobs=1, on_outcome=nothing)
    assert missing(STUDIES, store) == STUDIES[5:]
    assert stale(STUDIES, store) == {}
    carry_out(missing(STUDIES, store), tmp_path, run_study, jobs=1, on_outcome=nothing)
    assert missing(STUDIES, store) == []


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (study("rs", 0, toy_benchmark(budget=30.0)), "benchmark.budget changed"),
        (study("rs", 0, toy_benchmark(workers=4, delays=Delays(1.0))), "benchmark.workers, benchmark.delays.start_up"),
        (study("asha:eta=2", 0, arm="rs"), "method.name, method.version, method.options.eta changed"),
        (replace(STUDIES[0], data="another table"), "data changed"),
        (replace(STUDIES[0], decision_time="constant:1"), "decision_time changed"),
        (replace(STUDIES[0], points=({"lr": 0.1},)), "points changed"),
    ],
)
def test_a_stale_study_names_what_changed(tmp_path: Path, other: Study, reason: str) -> None:
    run_batch(tmp_path, [STUDIES[0].spec()], run_study)
    store = Store(tmp_path)
    assert missing([other], store) == [other]
    assert stale([other], store)["rs on toy, seed 0"].startswith(reason.removesuffix(" changed"))


def test_a_study_that_cannot_be_run_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    outcomes = carry_out(STUDIES[:6], tmp_path, run_but_one, jobs=1, on_outcome=nothing)
    assert [o.seed for o in outcomes if o.error] == [3]
    (lost,) = (o for o in outcomes if not o.stored)
    assert lost.error == "MemoryError: seed 3"
    assert [one.seed for one in missing(STUDIES[:6], Store(tmp_path))] == [3]


def test_where_a_process_is_killed_each_study_is_told_of_once(tmp_path: Path) -> None:
    outcomes = carry_out(STUDIES, tmp_path, run_until_killed, jobs=2, on_outcome=nothing)
    assert sorted((one.arm, one.seed) for one in outcomes) == sorted((one.arm, one.seed) for one in STUDIES)
    assert {(one.arm, one.seed) for one in outcomes if not one.stored} == {("rs", 0), ("asha", 0), ("asha", 5)}


def test_an_interrupt_keeps_what_is_finished(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_batch(tmp_path, [one.spec() for one in STUDIES[:6]], run_until_interrupted)
    assert {spec["seed"] for spec in Store(tmp_path).specs().values()} == {0, 1}


def test_a_key_is_the_hash_of_all_ingredients_and_of_nothing_else() -> None:
    changes: list[dict[str, Any]] = [
        {"arm": "b"}, {"data": "x"}, {"seed": 1}, {"shared": 2}, {"finished_trials": 9}, {"method": {"name": "x"}},
        {"benchmark": toy_benchmark(table_miss="snap")},
    ]  # fmt: skip
    keys = {replace(STUDIES[0], **change).key for change in changes}
    assert len(keys | {STUDIES[0].key}) == len(changes) + 1
    for one in STUDIES:
        assert Study.from_spec(one.spec()) == one
        assert key_of(one.spec()) == one.key


def test_a_comparison_survives_json_and_refuses_what_has_no_sense() -> None:
    arms = (Arm("a", "rs", {"workers": 2}, ({"lr": 0.1},)), Arm("b", "asha"))
    comparison = Comparison(arms, ("toy",), (0, 1), {"budget": 5}, finished_trials=3)
    assert Comparison.from_json(comparison.to_json()) == comparison
    with pytest.raises(ValueError, match="two arms have the label 'a'"):
        replace(comparison, arms=(arms[0], arms[0]))
    with pytest.raises(ValueError, match="at least one arm"):
        replace(comparison, seeds=())
    with pytest.raises(ValueError, match="seeds start at 0, given -1"):
        replace(comparison, seeds=(-1, 2))
