"""Composition happens here and nowhere else: names become objects, objects become studies, studies become frames.

Everything below is independent of everything else below; this module knows them all. The command line and the Python
entry points call only what is here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from harness import catalog

# Everything heavier is imported where it is used: `list methods` shall not wait for numpy.
if TYPE_CHECKING:
    from harness.comparison import Arm, Comparison, Outcome
    from harness.loop import Log, Watch
    from harness.space import Config
    from harness.study import Record, Study
    from harness.types import Benchmark, CurveModel, Scheduler

STUDIES = "studies"
DECLARATION = "comparison.json"
DEFAULT_METHODS = ("rs", "bo", "asha", "mobster")
DEFAULT_BENCHMARK = "transformer_wikitext2_small"
DEFAULT_SEEDS = 10


# -- names become objects ---------------------------------------------------------------------------------------------


@cache
def model_of(name: str) -> CurveModel:
    """The table behind a benchmark; loaded once a process."""
    from surrogates import table

    entry = catalog.find_benchmark(name)
    if entry.table is not None:
        return table.load(entry.table)
    if entry.family is not None:
        return import_module(f"surrogates.families.{entry.family}").load(name)
    tabulated = ", ".join(other for other, found in catalog.benchmarks().items() if found.table or found.family)
    raise ValueError(
        f"benchmark {name!r} has no table yet, so it cannot be simulated: `tabulate {name}` makes one, `run {name}` "
        f"runs it for real; tables there are for {tabulated}"
    )


def overridden(benchmark: Benchmark, *overrides: Mapping[str, Any]) -> Benchmark:
    """A benchmark with some fields set otherwise, later ones first; ValueError for a field it does not have."""
    from harness.types import Benchmark

    plain = benchmark.to_json()
    for fields in overrides:
        for name, value in fields.items():
            if name not in plain or name == "name":
                raise catalog.UnknownName("field of a benchmark", name, (field for field in plain if field != "name"))
            plain[name] = {**plain[name], **value} if name == "delays" else value
    try:
        return Benchmark.from_json(plain)
    except TypeError as error:
        raise ValueError(f"benchmark {benchmark.name!r} cannot be set so: {error}") from None


def study_of(comparison: Comparison, arm: Arm, name: str, seed: int, *, real: bool = False) -> Study:
    """One study of a comparison."""
    from harness.study import Study

    entry = catalog.find_benchmark(name)
    benchmark = overridden(entry.benchmark, comparison.overrides, arm.overrides)
    method = catalog.parse_method(arm.method)
    return Study(
        arm=arm.label,
        method=method.to_json(),
        benchmark=benchmark,
        data="real" if real else _data_digest(name),
        seed=seed,
        decision_time=comparison.decision_time,
        shared=benchmark.workers if comparison.shared is None else comparison.shared,
        points=arm.points,
        finished_trials=comparison.finished_trials,
    )


@cache
def _data_digest(name: str) -> str:
    entry = catalog.find_benchmark(name)
    if entry.table is not None:
        return json.loads((entry.table / "table.json").read_text(encoding="utf-8"))["digest"]
    return model_of(name).digest


def studies_of(comparison: Comparison) -> list[Study]:
    """Every study that a comparison wants."""
    return [
        study_of(comparison, arm, name, seed)
        for name in comparison.benchmarks
        for arm in comparison.arms
        for seed in comparison.seeds
    ]


# -- objects become studies -------------------------------------------------------------------------------------------


def prepared(study: Study, model: CurveModel | None) -> tuple[Benchmark, Scheduler]:
    """The benchmark of a study with a space that has proposed nothing yet, and the study's scheduler."""
    from harness.randomness import stream

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
    return benchmark, catalog.build(catalog.method_from_json(study.method), benchmark, rng, first)


def simulate(study: Study, watch: Watch | None = None) -> tuple[Log, float]:
    """Run a study on the simulated clock; gives its log and the real seconds that this took."""
    from harness.loop import run
    from harness.simulated import Simulated
    from harness.types import NANOSECONDS

    model = model_of(study.benchmark.name).under(study.benchmark)
    began = perf_counter()
    benchmark, scheduler = prepared(study, model)
    log = run(
        benchmark,
        scheduler,
        Simulated(model, benchmark.workers, study.seed, benchmark.delays),
        round(benchmark.budget * NANOSECONDS),
        decision_time=decision_time(study.decision_time),
        finished_trials=study.finished_trials,
        watch=watch,
    )
    return log, perf_counter() - began


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


# -- comparisons ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """What a comparison came to: how many studies are wanted and were there, and what was run now."""

    wanted: int
    there: int
    stale: Mapping[str, str]
    outcomes: Sequence[Outcome]

    @property
    def failed(self) -> list[Outcome]:
        """The studies run now that did not end as studies do."""
        return [outcome for outcome in self.outcomes if outcome.error]


def compare(
    comparison: Comparison, folder: Path, jobs: int, on_outcome: Callable[[Outcome], None] = lambda _: None
) -> Compared:
    """Run what is missing of a comparison into the store in `folder`."""
    from harness.comparison import carry_out, missing, stale
    from harness.store import Store

    studies = studies_of(comparison)
    store = Store(folder / STUDIES)
    left = missing(studies, store)
    reasons: dict[str, str] = {}
    if left:
        _try_methods(comparison)
        store.sweep()
        reasons = stale(left, store)
    _declare(comparison, folder)
    outcomes = carry_out(left, store.folder, run_simulated, jobs=jobs, on_outcome=on_outcome)
    return Compared(len(studies), len(studies) - len(left), reasons, outcomes)


def _try_methods(comparison: Comparison) -> None:
    """Build each arm once, so that an option without sense is bad usage and not forty failed studies."""
    for name in comparison.benchmarks:
        for arm in comparison.arms:
            study = study_of(comparison, arm, name, comparison.seeds[0])
            decision_time(study.decision_time)
            try:
                prepared(study, model_of(name).under(study.benchmark))
            except ValueError as error:
                raise ValueError(f"arm {arm.label!r}: {error}") from error


def _declare(comparison: Comparison, folder: Path) -> None:
    text = json.dumps(comparison.to_json(), indent=1) + "\n"
    path = folder / DECLARATION
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)


def declared(folder: Path) -> Comparison:
    """The comparison whose results lie in a folder."""
    from harness.comparison import Comparison

    path = folder / DECLARATION
    if not path.exists():
        raise FileNotFoundError(f"no comparison in {folder}: `{DECLARATION}` is missing there")
    return Comparison.from_json(json.loads(path.read_text(encoding="utf-8")))


def facts_of(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """What is known of each benchmark of a comparison besides its studies: facts of its table only."""
    import numpy as np

    facts: dict[str, dict[str, Any]] = {}
    for name in comparison.benchmarks:
        benchmark = overridden(catalog.find_benchmark(name).benchmark, comparison.overrides)
        data = model_of(name).data
        final = data.final_losses()
        mean = np.sort(np.nanmean(final, axis=1))
        facts[name] = {
            "metric": benchmark.objectives[0].metric,
            "unit": benchmark.fidelity.unit,
            "levels": list(benchmark.fidelity.levels),
            "workers": benchmark.workers,
            "budget": benchmark.budget,
            "table": benchmark.table_miss,
            "real": False,
            "verdict": None,
            "digest": model_of(name).digest,
            "configs": len(mean),
            "optimum": float(mean[0]),
            "median": float(np.median(mean)),
            "final_losses": mean.tolist(),
            "noise": data.seed_spread(),
            "full_seconds": float(np.nanmedian(data.seconds[..., -1])),
            "made": dict(data.made),
        }
    return facts


# -- tables -----------------------------------------------------------------------------------------------------------


def tabulate(
    name: str, configs: int, seeds: int, folder: Path, *, jobs: int, on_run: Callable[..., None] | None = None
) -> int:
    """Train configs of a benchmark for real into a table in `folder`, going on where it stands; gives the new runs."""
    from harness import tabulate as tables
    from harness.lines import read_lines
    from surrogates import measured, table

    entry = catalog.find_benchmark(name)
    if entry.script is None:
        real = ", ".join(other for other, found in catalog.benchmarks().items() if found.script)
        raise ValueError(f"benchmark {name!r} has no training script to tabulate; those with one are {real}")
    wanted = tables.plan(entry.benchmark, configs, seeds)
    new = tables.tabulate(entry.benchmark, entry.script, wanted, folder, processes=jobs, on_run=on_run)
    table.save(measured.table_of(entry.benchmark, read_lines(folder / tables.RUNS)), folder)
    return new
