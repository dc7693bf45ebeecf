"""From names to studies, and from studies to what happened in them on the simulated clock."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from harness import catalog
from harness.compose.knowledge import past_tasks, with_priors
from harness.methods import Method, build, method_from_json, parse_method
from harness.names import UnknownName

if TYPE_CHECKING:
    from harness.comparison import Arm, Comparison
    from harness.history import History
    from harness.loop import Log, Watch
    from harness.space import Config
    from harness.study import Record, Study
    from harness.types import Benchmark, CurveModel, Scheduler


SURROGATE = "surrogate"
KNOWLEDGE = ("prior", "history")
"""What an arm may set besides the fields of its benchmark."""


@cache
def model_of(name: str, table_miss: str) -> CurveModel:
    """What stands behind a benchmark on the simulated clock: its table, or the surrogate; loaded once a process."""
    from surrogates import surrogate, table

    entry = catalog.find_benchmark(name)
    if entry.table is not None and table_miss == SURROGATE:
        benchmark, digests = catalog.table_entry(entry.table).benchmark, _digests(entry.table)
        return surrogate.load(entry.table, benchmark, digests["learned"])
    if entry.table is not None:
        return table.load(entry.table)
    if entry.family is not None:
        return import_module(f"surrogates.families.{entry.family}").load(name)
    tabulated = ", ".join(other for other, found in catalog.benchmarks().items() if found.table or found.family)
    raise ValueError(
        f"benchmark {name!r} has no table yet, so it cannot be simulated: `tabulate {name}` makes one, `run {name}` "
        f"runs it for real; tables there are for {tabulated}"
    )


def _digests(folder: Path) -> dict[str, str]:
    return json.loads((folder / "table.json").read_text(encoding="utf-8"))


@cache
def data_digest(name: str, table_miss: str) -> str:
    """The digest of what a study meets, without loading it where it is written down."""
    entry = catalog.find_benchmark(name)
    if entry.table is None:
        return model_of(name, table_miss).digest
    path = entry.table / "surrogate.json"
    if table_miss == SURROGATE and path.exists():
        return json.loads(path.read_text(encoding="utf-8"))["digest"]
    if table_miss == SURROGATE:
        return model_of(name, table_miss).digest
    return _digests(entry.table)["looked_up"]


def overridden(benchmark: Benchmark, *overrides: Mapping[str, Any]) -> Benchmark:
    """A benchmark with some fields set otherwise, later ones first; ValueError for a field it does not have.

    `prior` sets priors of its space; `history` is none of its fields and passed over.
    """
    from harness.types import Benchmark

    plain = benchmark.to_json()
    priors: dict[str, Any] = {}
    for fields in overrides:
        for name, value in fields.items():
            if name in KNOWLEDGE:
                priors |= value if name == "prior" else {}
                continue
            if name not in plain or name == "name":
                known = (field for field in (*plain, *KNOWLEDGE) if field != "name")
                raise UnknownName("field of a benchmark", name, known)
            plain[name] = {**plain[name], **value} if name == "delays" else value
    if priors:
        plain["space"] = with_priors(plain["space"], priors)
    try:
        return Benchmark.from_json(plain)
    except TypeError as error:
        raise ValueError(f"benchmark {benchmark.name!r} cannot be set so: {error}") from None


def study_of(comparison: Comparison, arm: Arm, name: str, seed: int, *, real: bool = False) -> Study:
    """One study of a comparison."""
    from harness.study import Study

    entry = catalog.find_benchmark(name)
    benchmark = overridden(entry.benchmark, comparison.own.get(name, {}), comparison.overrides, arm.overrides)
    method = parse_method(arm.method)
    past = tuple({**comparison.overrides, **arm.overrides}.get("history", ())) if method.learns else ()
    return Study(
        arm=arm.label,
        method=method.to_json(),
        benchmark=benchmark,
        data="real" if real else data_digest(name, benchmark.table_miss),
        seed=seed,
        decision_time=comparison.decision_time,
        shared=benchmark.workers if comparison.shared is None else comparison.shared,
        points=arm.points,
        finished_trials=comparison.finished_trials,
        source=name,
        history=history_of(past, benchmark.name).digest if past else "",
        past=past,
    )


@cache
def history_of(past: tuple[str, ...], own: str) -> History:
    """The past tasks in tables and folders of results, for a benchmark whose own table is left out."""
    from harness.history import History

    return History(tuple(task for source in past for task in past_tasks(source, own, model_of)))


def studies_of(comparison: Comparison, *, real: bool = False) -> list[Study]:
    """Every study that a comparison wants; all seeds of an arm share one benchmark."""
    first = [
        study_of(comparison, arm, name, comparison.seeds[0], real=real)
        for name in comparison.benchmarks
        for arm in comparison.arms
    ]
    return [replace(study, seed=seed) for study in first for seed in comparison.seeds]


def prepared(study: Study, model: CurveModel | None) -> tuple[Benchmark, Scheduler]:
    """The benchmark of a study with a space that has proposed nothing yet, and the study's scheduler."""
    from harness.randomness import stream

    method = method_from_json(study.method)
    if model is not None:
        _demand_state(method, model)
    space = study.benchmark.space.opened()
    if model is not None and study.benchmark.table_miss == "restrict":
        space = model.restricted_space()
    benchmark = study.benchmark.with_space(space)
    first: list[Config] = []
    for point in study.points:
        space.check(point)
        if space.claim(point):
            first.append(point)
    luck = stream("first configs", benchmark.name, study.seed)
    for _ in range(study.shared):
        config = space.fresh(luck)
        if config is not None:
            first.append(config)
    rng = stream("scheduler", study.arm, benchmark.name, study.seed)
    history = history_of(study.past, benchmark.name) if study.history else None
    if history is not None and history.digest != study.history:
        raise ValueError(f"the past tasks in {', '.join(study.past)} are no longer those that this study learned from")
    return benchmark, build(method, benchmark, rng, first, history)


def _demand_state(method: Method, model: CurveModel) -> None:
    """Refuse a method that changes configs in the midst of a training where only whole trainings are known."""
    from harness.types import StatefulModel

    if getattr(method.scheduler.load(), "NEEDS_STATE", False) and not isinstance(model, StatefulModel):
        raise ValueError(
            f"{method.scheduler.name} changes configs in the midst of a training, but what stands behind "
            f"{model.benchmark.name!r} are whole trainings of fixed configs, so there is no truth to answer it: "
            "simulate it on `synthetic_stateful`, or `run` it for real"
        )


def simulate(study: Study, watch: Watch | None = None, curves: CurveModel | None = None) -> tuple[Log, float]:
    """Run a study on the simulated clock; gives its log and the real seconds that this took.

    curves: what answers for the configs in place of the benchmark's own data. ValueError where that data is no longer
    what the study was declared with: its record would stand under the name of another.
    A foreign program that breaks off before it was asked anything has failed the study, which is then without events.
    """
    from harness.foreign._process import ForeignError
    from harness.loop import Log, Why, run
    from harness.simulated import Simulated
    from harness.types import NANOSECONDS

    model = model_of(study.source, study.benchmark.table_miss).under(study.benchmark)
    if curves is None and model.digest != study.data:
        raise ValueError(f"the data of {study.benchmark.name!r} has changed since this was declared: run it again")
    began = perf_counter()
    try:
        benchmark, scheduler = prepared(study, model)
    except ForeignError as error:
        return Log(why=Why.ERROR, error=str(error)), perf_counter() - began
    with no_garbage_collection():
        log = run(
            benchmark,
            scheduler,
            Simulated(curves or model, benchmark.workers, study.seed + study.replicates, benchmark.delays),
            round(benchmark.budget * NANOSECONDS),
            decision_time=decision_time(study.decision_time),
            finished_trials=study.finished_trials,
            recommends=study.recommends,
            watch=watch,
        )
    return log, perf_counter() - began


@contextmanager
def no_garbage_collection() -> Generator[None]:
    """Let nothing look for circles while a study records its events: it makes none, and the search costs a fifth."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            # What was recorded counts as old at once: the first search afterwards does not go through all of it.
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def run_simulated(spec: Mapping[str, Any]) -> Record:
    """The record of a study on the simulated clock, from the study's ingredients."""
    from harness.study import Study, record

    study = Study.from_spec(spec)
    return record(study, *simulate(study))


def decision_time(declared: str) -> Callable[[int], int] | None:
    """How long a decision takes in a study: `none`, `constant:SECONDS` or `measured`."""
    from harness.types import NANOSECONDS

    kind, _, seconds = declared.partition(":")
    if declared == "none":
        return None
    if declared == "measured":
        return lambda nanoseconds: nanoseconds
    if kind == "constant":
        try:
            fixed = round(float(seconds) * NANOSECONDS)
        except (ValueError, OverflowError):
            fixed = -1
        if fixed >= 0:
            return lambda _: fixed
    raise ValueError(f"decision time must be none, constant:SECONDS or measured, given {declared!r}")
