"""Composition happens here and nowhere else: names become objects, objects become studies, studies become frames.

Everything below is independent of everything else below; this module knows them all. The command line and the Python
entry points call only what is here.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
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
    import pandas as pd

    from harness.comparison import Arm, Comparison, Outcome
    from harness.local import Command
    from harness.loop import Log, Watch
    from harness.space import Config, Space
    from harness.study import Record, Study
    from harness.types import Benchmark, CurveModel, Scheduler

STUDIES = "studies"
REPORT = "report"
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


TOML_FIELDS = ("arms", "benchmarks", "seeds", "benchmark", "decision_time", "shared", "finished_trials")
ARM_FIELDS = ("method", "points")


def comparison_from_toml(path: Path) -> dict[str, Any]:
    """The declaration in a TOML file, its names checked.

    `[arms.LABEL]` has a `method`, start configs as `points` and any field of a benchmark; `[benchmark]` sets fields
    for all arms; beside them stand `benchmarks`, `seeds`, `decision_time`, `shared` and `finished_trials`.
    """
    import tomllib

    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    for name in plain:
        if name not in TOML_FIELDS:
            raise catalog.UnknownName(f"field of {path}", name, TOML_FIELDS)
    return plain


def comparison_of(
    plain: Mapping[str, Any],
    *,
    methods: Sequence[str] = (),
    benchmarks: Sequence[str] = (),
    seeds: Sequence[int] = (),
    overrides: Mapping[str, Any] | None = None,
    decision_time: str | None = None,
) -> Comparison:
    """A comparison from a declaration, from what is given beside it, and from the defaults; the names are checked.

    methods: each a method's text, or `LABEL=TEXT`.
    """
    from harness.comparison import Arm, Comparison

    arms = [_arm(text) for text in methods]
    if not arms:
        for label, fields in plain.get("arms", {}).items():
            own = {name: value for name, value in fields.items() if name not in ARM_FIELDS}
            arms.append(Arm(label, fields.get("method", label), _coerced(own), tuple(fields.get("points", ()))))
    wanted = plain.get("seeds", DEFAULT_SEEDS)
    comparison = Comparison(
        arms=tuple(arms) or tuple(_arm(name) for name in DEFAULT_METHODS),
        benchmarks=tuple(benchmarks) or tuple(plain.get("benchmarks", (DEFAULT_BENCHMARK,))),
        seeds=tuple(seeds) or (tuple(range(wanted)) if isinstance(wanted, int) else tuple(wanted)),
        overrides=_coerced(plain.get("benchmark", {})) | dict(overrides or {}),
        decision_time=decision_time or plain.get("decision_time", "none"),
        shared=plain.get("shared"),
        finished_trials=plain.get("finished_trials"),
    )
    studies_of(comparison)  # raises for every name that is not there
    return comparison


def _arm(text: str) -> Arm:
    from harness.comparison import Arm

    label, equals, method = text.partition("=")
    # In `asha:eta=4` the first equals sign belongs to an option, not to a label.
    return Arm(label, method) if equals and ":" not in label else Arm(text, text)


def _coerced(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: seconds_of(v) if name == "budget" and isinstance(v, str) else v for name, v in fields.items()}


def seconds_of(text: str) -> float:
    """A duration such as 90s, 30m, 2h or 1d, in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?", text.strip())
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"a duration is written 90s, 30m, 2h or 1d; given {text!r}")
    return float(match[1]) * {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def name_of(comparison: Comparison) -> str:
    """A folder's name for a comparison: what is compared, and a hash where conditions are not the defaults."""
    import hashlib

    arms, benchmarks = (
        "-".join(re.sub(r"[^\w.+]+", "_", Path(name).stem) for name in names)
        for names in ((arm.label for arm in comparison.arms), comparison.benchmarks)
    )
    name = f"{arms}-on-{benchmarks}"
    conditions = {**comparison.to_json(), "seeds": [], "arms": [arm for arm in comparison.to_json()["arms"]]}
    plain = comparison_of({}, methods=[arm.method for arm in comparison.arms], benchmarks=comparison.benchmarks)
    if conditions != {**plain.to_json(), "seeds": []} or len(name) > 120:
        digest = hashlib.blake2b(json.dumps(conditions).encode(), digest_size=4).hexdigest()
        name = f"{name[:100]}-{digest}"
    return name


def single_study(benchmark: str, method: str, seed: int, overrides: Mapping[str, Any], *, real: bool = False) -> Study:
    """One study, as `replay` and `run` want it: the same that a comparison with this arm would hold."""
    comparison = comparison_of({}, methods=[method], benchmarks=[benchmark], seeds=[seed], overrides=overrides)
    return study_of(comparison, comparison.arms[0], benchmark, seed, real=real)


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
    comparison: Comparison,
    folder: Path,
    jobs: int,
    on_begin: Callable[[Counter[tuple[str, str]]], None] = lambda _: None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> Compared:
    """Run what is missing of a comparison into the store in `folder`.

    on_begin: told how many studies are missing of each arm and benchmark; on_outcome: told of each that ended.
    """
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
    on_begin(Counter((study.arm, study.benchmark.name) for study in left))
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


def compared_frame(
    methods: Sequence[str],
    benchmarks: Sequence[str],
    seeds: Sequence[int],
    fields: Mapping[str, Any],
    out: str | Path | None,
    jobs: int,
) -> pd.DataFrame:
    """A comparison from Python: run what is missing, and give a row a study."""
    from tempfile import TemporaryDirectory

    from harness.frames import frames
    from harness.store import Store
    from reports.summary import summarise

    comparison = comparison_of({}, methods=methods, benchmarks=benchmarks, seeds=seeds, overrides=fields)
    with TemporaryDirectory(prefix="foretune-") as temporary:
        folder = Path(out) if out else Path(temporary)
        done = compare(comparison, folder, jobs)
        unstored = [outcome for outcome in done.failed if not outcome.stored]
        if unstored:
            raise RuntimeError(f"{len(unstored)} studies could not be run: {unstored[0].error}")
        records = Store(folder / STUDIES).records()
        wanted = [records[study.key] for study in studies_of(comparison)]
        studies, events = frames(wanted)
    return studies.merge(summarise(studies, events, facts_of(comparison)).studies)


# -- what there is ----------------------------------------------------------------------------------------------------


def listed(what: str) -> dict[str, str]:
    """Every method, benchmark or figure with one sentence."""
    match what:
        case "methods":
            return catalog.method_names()
        case "benchmarks":
            return {name: _sentence(entry) for name, entry in catalog.benchmarks().items()}
        case "figures":
            return catalog.figures()
        case _:
            raise catalog.UnknownName("list", what, ("methods", "benchmarks", "figures"))


def _sentence(entry: catalog.Entry) -> str:
    benchmark = entry.benchmark
    names, unit = ", ".join(benchmark.space.names), benchmark.fidelity.unit
    objectives = ", ".join(objective.metric for objective in benchmark.objectives)
    return f"{entry.ways}: {objectives} over {names}; up to {benchmark.fidelity.maximum} {unit}s"


# -- real studies -----------------------------------------------------------------------------------------------------


def run_real(study: Study, folder: Path, watch: Watch | None = None) -> Log:
    """Run a study for real, its trials as processes on this machine; at its end it goes to the store in `folder`."""
    import sys

    from harness.local import Command

    entry = catalog.find_benchmark(study.benchmark.name)
    if entry.script is None:
        real = ", ".join(name for name, found in catalog.benchmarks().items() if found.script)
        raise ValueError(f"benchmark {study.benchmark.name!r} has no training script; those with one are {real}")
    script = (sys.executable, "-m", f"real_benchmarks.{entry.script}")
    command = Command((*script, "--benchmark", study.benchmark.name, "--seed", str(study.seed)), "epochs")
    return _run_for_real(study, command, folder, watch)[0]


def _run_for_real(study: Study, command: Command, folder: Path, watch: Watch | None) -> tuple[Log, Record]:
    from harness.local import Local
    from harness.loop import run
    from harness.store import Store
    from harness.study import record
    from harness.types import NANOSECONDS

    benchmark, scheduler = prepared(study, None)
    began = perf_counter()
    executor = Local(benchmark, command, benchmark.workers, folder)
    log = run(benchmark, scheduler, executor, round(benchmark.budget * NANOSECONDS), watch=watch)
    finished = record(study, log, perf_counter() - began)
    Store(folder / STUDIES).publish([finished])
    return log, finished


@dataclass(frozen=True)
class Tuned:
    """What tuning found: the best config, its loss, how far it was trained, and the study's record.

    config is None where no trial reported; the loss is as the script reports it.
    """

    config: Mapping[str, Any] | None
    value: float
    resource: int
    record: Record


def tune(
    script: str | Path | Callable[..., None],
    space: Space | Mapping[str, Any],
    *,
    metric: str,
    maximize: bool,
    resource: str,
    maximum: int,
    max_arg: str | None,
    method: str,
    workers: int,
    budget: float,
    seed: int,
    out: str | Path | None,
) -> Tuned:
    """Run one study of a training script or function for real; gives the best config at the highest resource reached."""
    from harness.local import Command
    from harness.space import Space
    from harness.study import Study
    from harness.types import Benchmark, Fidelity, Objective

    prefix, name = _call_of(script)
    benchmark = Benchmark(
        name=name,
        space=space if isinstance(space, Space) else Space(space),
        objectives=(Objective(metric, maximize),),
        fidelity=Fidelity(resource, tuple(range(1, maximum + 1))),
        budget=budget,
        workers=workers,
    )
    study = Study(method, catalog.parse_method(method).to_json(), benchmark, "real", seed)
    folder = Path(out) if out else _new_folder(Path("results") / f"tune-{name}")
    log, record = _run_for_real(study, Command(prefix, max_arg), folder, None)
    best: tuple[int, float, int] | None = None
    for event in log.events:
        if hasattr(event, "report") and math.isfinite(event.report.losses[0]):
            standing = (-event.report.resource, event.report.losses[0], event.report.trial)
            best = standing if best is None else min(best, standing)
    if log.error:
        raise RuntimeError(f"the study ended with an error, what it has is in {folder}:\n{log.error}")
    if best is None:
        return Tuned(None, math.nan, 0, record)
    config = dict(json.loads(text) for text in record.configs)[best[2]]
    return Tuned(config, -best[1] if maximize else best[1], -best[0], record)


def _call_of(script: str | Path | Callable[..., None]) -> tuple[tuple[str, ...], str]:
    import sys

    if callable(script):
        file = getattr(sys.modules.get(script.__module__), "__file__", None)
        if file is None or "." in script.__qualname__:
            raise ValueError(
                f"{script.__qualname__} runs in processes of its own, so it must stand at the top of a file: put it in one"
            )
        call = str(Path(__file__).with_name("call.py"))
        return (sys.executable, call, str(Path(file).resolve()), script.__qualname__), script.__qualname__
    path = Path(script)
    if not path.is_file():
        raise FileNotFoundError(f"no training script at {path}")
    return (sys.executable, str(path.resolve())), path.stem


def _new_folder(wanted: Path) -> Path:
    number = 1
    while (folder := wanted.with_name(f"{wanted.name}-{number}")).exists():
        number += 1
    return folder


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


# -- reports ----------------------------------------------------------------------------------------------------------


def report(folder: Path, *, command: str, out: Path | None = None) -> tuple[Any, bool]:
    """The summary of the comparison in `folder`, and whether its report had to be drawn again into `out`."""
    import hashlib

    from harness.frames import frames
    from harness.store import Store
    from reports import page
    from reports.summary import summarise

    comparison = declared(folder)
    wanted = [study.key for study in studies_of(comparison)]
    store = Store(folder / STUDIES)
    records = store.records(wanted)
    if not records:
        raise FileNotFoundError(
            f"none of the {len(wanted)} studies of {folder} is in its store yet: run `compare` first"
        )
    facts = facts_of(comparison)
    digests = {key: records[key].digest() for key in wanted if key in records}
    inputs = json.dumps([digests, wanted, facts, command, store.broken])
    digest = hashlib.blake2b(inputs.encode(), digest_size=16).hexdigest()
    studies, events = frames(records[key] for key in wanted if key in records)
    place = out or folder / REPORT
    if page.up_to_date(place, digest):
        return summarise(studies, events, facts), False
    title = f"{', '.join(arm.label for arm in comparison.arms)} on {', '.join(comparison.benchmarks)}"
    return page.write(place, studies, events, facts, title, command, digest), True


# -- checks of what is stored -----------------------------------------------------------------------------------------


def verify(folder: Path) -> dict[str, str]:
    """Run every simulated study of a store again; gives what differs, by the study's name."""
    from harness.store import Store

    differing: dict[str, str] = {}
    for key, stored in Store(store_of(folder)).records().items():
        spec = stored.spec
        name = f"{spec['arm']} on {spec['benchmark']['name']}, seed {spec['seed']}"
        if spec["data"] == "real" or spec["decision_time"] == "measured":
            continue
        if spec["data"] != _data_digest(spec["benchmark"]["name"]):
            differing[name] = "its table is not the one of today"
        elif (again := run_simulated(spec)).digest() != stored.digest():
            differing[name] = f"study {key}: {first_difference(stored, again)}"
    return differing


def first_difference(one: Record, other: Record) -> str:
    """Where two records of one study part, in words."""
    import numpy as np

    for name in ("kind", "time", "worker", "trial", "resource", "code"):
        mine, theirs = getattr(one, name), getattr(other, name)
        shared = min(len(mine), len(theirs))
        apart = np.nonzero(mine[:shared] != theirs[:shared])[0]
        if len(apart):
            return f"event {apart[0]} differs in {name}: {mine[apart[0]]} was stored, {theirs[apart[0]]} came now"
    if len(one.kind) != len(other.kind):
        return f"{len(one.kind)} events were stored, {len(other.kind)} came now"
    return "the events agree, but not all that was reported"


def store_of(folder: Path) -> Path:
    """The folder of the segments: `folder` itself, or the `studies` of a comparison."""
    if (folder / STUDIES).is_dir():
        return folder / STUDIES
    if not any(folder.glob("segment-*.parquet")):
        raise FileNotFoundError(f"no finished studies in {folder}: it has neither segments nor a folder `{STUDIES}`")
    return folder


def check(what: Path | None) -> dict[str, Any]:
    """Check all methods and the known answers, one method's file, or a store."""
    from harness import checks

    if what is not None and what.is_dir():
        return checks.check_store(store_of(what))
    texts = [str(what)] if what is not None else list(catalog.method_names())
    found = {text: checks.check_method(catalog.parse_method(text)) for text in texts}
    if what is None:
        found["known answers"] = checks.known_answers()
    said = {
        text: "; ".join(f"{finding.check}: {finding.problem}" for finding in findings if finding.problem) or "holds"
        for text, findings in found.items()
    }
    return said | {"broken": [text for text, words in said.items() if words != "holds"]}
