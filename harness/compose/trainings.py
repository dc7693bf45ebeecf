"""Real trainings: studies of a benchmark's script, of anyone's script, of a function."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from harness import catalog
from harness.compose.comparisons import STUDIES
from harness.compose.studies import prepared

if TYPE_CHECKING:
    from harness.command import Command
    from harness.loop import Log, Watch
    from harness.space import Space
    from harness.study import Record, Study


def run_real(study: Study, folder: Path, watch: Watch | None = None) -> tuple[Log, Record]:
    """Run a study for real, its trials as processes on this machine; at its end it goes to the store in `folder`."""
    from harness.command import Command

    entry = catalog.find_benchmark(study.source)
    if entry.script is None:
        real = ", ".join(name for name, found in catalog.benchmarks().items() if found.script)
        raise ValueError(f"benchmark {study.benchmark.name!r} has no training script; those with one are {real}")
    script = (sys.executable, "-m", f"real_benchmarks.{entry.script}")
    command = Command((*script, "--benchmark", study.benchmark.name, "--seed", str(study.seed)), "epochs")
    return _run_for_real(study, command, folder, watch)


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
    finished = record(study, log, perf_counter() - began, executor.failures)
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
    """Run one study of a script or function for real; gives the best config at the highest resource reached."""
    from harness.command import Command
    from harness.space import Space
    from harness.study import Study
    from harness.types import Benchmark, Event, Fidelity, Objective

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
        if isinstance(event, Event) and math.isfinite(event.report.losses[0]):
            standing = (-event.report.resource, event.report.losses[0], event.report.trial)
            best = standing if best is None else min(best, standing)
    if log.error:
        raise RuntimeError(f"the study ended with an error, what it has is in {folder}:\n{log.error}")
    if best is None:
        return Tuned(None, math.nan, 0, record)
    config = dict(json.loads(text) for text in record.configs)[best[2]]
    return Tuned(config, -best[1] if maximize else best[1], -best[0], record)


def _call_of(script: str | Path | Callable[..., None]) -> tuple[tuple[str, ...], str]:
    if callable(script):
        file = getattr(sys.modules.get(script.__module__), "__file__", None)
        if file is None or "." in script.__qualname__:
            raise ValueError(
                f"{script.__qualname__} runs in processes of its own, so it must stand at the top of a file"
            )
        call = (sys.executable, "-m", "harness.call", str(Path(file).resolve()), script.__qualname__)
        return call, script.__qualname__
    path = Path(script)
    if not path.is_file():
        raise FileNotFoundError(f"no training script at {path}")
    return (sys.executable, str(path.resolve())), path.stem


def _new_folder(wanted: Path) -> Path:
    number = 1
    while (folder := wanted.with_name(f"{wanted.name}-{number}")).exists():
        number += 1
    return folder
