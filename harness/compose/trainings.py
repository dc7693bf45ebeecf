"""Real trainings: studies of a benchmark's script, of anyone's script, of a function."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from harness import catalog
from harness.compose.knowledge import STUDIES
from harness.compose.studies import prepared
from harness.methods import parse_method

if TYPE_CHECKING:
    from harness.command import Command
    from harness.loop import Happening, Log
    from harness.space import Config, Space
    from harness.study import Record, Study
    from harness.types import Benchmark


JOURNAL = "journal.lines"


class View(Protocol):
    """Who watches a real study."""

    def show(self, event: Happening) -> None:
        """Something happened; also what the journal of an interrupted study says, before that goes on."""
        ...

    def failed(self, trial: int, reason: str) -> None:
        """A trial has just failed, for this reason."""
        ...

    def takes_up(self, events: int, seconds: float, over: bool, changed: bool) -> None:
        """The folder has a journal of the study, with so many events, up to some time.

        over: nothing is left to do; changed: the script, or how it is called, is not what it was.
        """
        ...


def run_real(
    study: Study,
    folder: Path,
    view: View | None = None,
    *,
    follow_journal: bool = False,
    options: Mapping[str, Any] | None = None,
) -> tuple[Log, Record]:
    """Run a study for real, its trials as processes on this machine; at its end it goes to the store in `folder`.

    A study that was interrupted in this folder goes on where it was, and so does one that is given another budget;
    one that is over is read back.
    follow_journal: go on as the journal says even where the scheduler would decide otherwise now; options: of the
    executor, such as `retries`. Workers are warm where the study's delays say so.
    """
    return run_for_real(study, command_of(study), folder, view, follow_journal=follow_journal, options=options)


def command_of(study: Study) -> Command:
    """How the training script of a study's benchmark is called; ValueError where it has none."""
    from harness.command import Command

    _, name = catalog.scripted(study.source)
    script = (sys.executable, "-m", f"real_benchmarks.{name}")
    return Command((*script, "--benchmark", study.benchmark.name, "--seed", str(study.seed)), "epochs")


def run_for_real(
    study: Study,
    command: Command,
    folder: Path,
    view: View | None,
    *,
    follow_journal: bool = False,
    options: Mapping[str, Any] | None = None,
) -> tuple[Log, Record]:
    """Run a study whose trials are called so. See `run_real`."""
    from harness.journal import Journal, begun
    from harness.local import Local, check_new
    from harness.loop import Why, run
    from harness.rehearsal import Follower, Rehearsal
    from harness.types import NANOSECONDS, Event, Executor, Standing

    benchmark, scheduler = prepared(study, None)
    executor: Local | None = None
    before = begun(folder / JOURNAL)
    if before is None:
        check_new(folder)
    else:
        _check_same_script(folder, before.get("source", ""), study.source)

    def workers(standing: Standing) -> Executor:
        nonlocal executor
        known = standing if journal.goes_on else None
        told: dict[str, Any] = {"standing": known, "on_warning": journal.warn, **(options or {})}
        executor = Local(benchmark, command, benchmark.workers, folder, **told)
        return executor

    def record_and_show(event: Happening) -> None:
        failed = executor.failures.get(event.report.trial) if executor and isinstance(event, Event) else None
        journal.watch(event, failed)
        if view is not None:
            if failed and isinstance(event, Event):
                view.failed(event.report.trial, failed)
            view.show(event)

    with Journal(folder / JOURNAL, study.spec(), digest_of(study, command)) as journal:
        if view is not None and journal.goes_on:
            reached, over = journal.events[-1].time if journal.events else 0, journal.log is not None
            view.takes_up(len(journal.events), reached / NANOSECONDS, over=over, changed=journal.script_changed)
        if journal.log is None:
            log = run(
                benchmark,
                Follower(scheduler, journal) if follow_journal else scheduler,
                Rehearsal(journal, benchmark.workers, workers),
                round(benchmark.budget * NANOSECONDS),
                watch=record_and_show,
            )
            if log.why not in (Why.INTERRUPTED, Why.ERROR):
                journal.seal(log)
        else:
            log = journal.log
            if view is not None:
                for event in log.events:
                    view.show(event)
    finished = _record(study, log, {**journal.failures, **(executor.failures if executor else {})})
    if journal.log is not None:
        _publish(finished, folder)
    return log, finished


def digest_of(study: Study, command: Command) -> str:
    """What tells whether a script, and how it is called, is what it was; a benchmark's comes with the benchmark."""
    script = Path(study.source)
    text = script.read_bytes() if script.is_file() else b""
    call = json.dumps([command.max_arg, command.as_json])
    return hashlib.blake2b(call.encode() + text, digest_size=16).hexdigest()


def _check_same_script(folder: Path, before: str, now: str) -> None:
    """Refuse a folder with the study of another script; one that is no longer there was perhaps moved."""
    if Path(before).is_file() and Path(before).resolve() != Path(now).resolve():
        raise ValueError(f"{folder} holds a study of {before}, not of {now}: give another folder with --out")


def _record(study: Study, log: Log, failures: Mapping[int, str]) -> Record:
    from harness.study import record
    from harness.types import NANOSECONDS

    return record(study, log, log.time / NANOSECONDS, failures)


def _publish(finished: Record, folder: Path) -> None:
    """Put the study of a journal that is over into the store, in place of what it was with another budget."""
    from harness.store import Store
    from harness.study import key_of, with_budget

    store = Store(folder / STUDIES)
    if finished.key not in store.digests():
        store.publish([finished])
    budget = finished.spec["benchmark"]["budget"]
    alike = {key for key, spec in store.specs().items() if key_of(with_budget(spec, budget)) == finished.key}
    store.drop(alike - {finished.key})


def warnings_in(folder: Path) -> dict[int, list[str]]:
    """What went wrong with trials of the study in a folder that did not fail for it, by trial."""
    from harness.journal import warnings

    return warnings(folder / JOURNAL)


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
    warm: bool = False,
) -> Tuned:
    """Run one study of a script or function for real; gives the best config at the highest resource reached.

    warm: whether a worker keeps its process, and what that has imported, from trial to trial.
    """
    from harness.report import PIPE_VARIABLE
    from harness.space import Space
    from harness.study import Study
    from harness.types import Benchmark, Delays, Fidelity, Objective

    if PIPE_VARIABLE in os.environ:
        raise RuntimeError(
            "tune was called inside of a trial, where the file of a tuned function is run again: call it below "
            'if __name__ == "__main__":'
        )
    command, name, source = _call_of(script, max_arg)
    benchmark = Benchmark(
        name=name,
        space=space if isinstance(space, Space) else Space(space),
        objectives=(Objective(metric, maximize),),
        fidelity=Fidelity(resource, tuple(range(1, maximum + 1))),
        budget=float(budget),
        workers=workers,
        delays=Delays(warm=warm),
    )
    study = Study(method, parse_method(method).to_json(), benchmark, "real", seed, source=source)
    folder = Path(out) if out else new_folder(Path("results") / f"tune-{name}")
    log, record = run_for_real(study, command, folder, None)
    if log.error:
        last = [f"trial {trial} failed: {reason}" for trial, reason in map(json.loads, record.failures[-1:])]
        said = "\n".join([f"the study ended with an error, what it has is in {folder}:", log.error, *last])
        raise RuntimeError(said)
    best = found(benchmark, log)
    if not best:
        return Tuned(None, math.nan, 0, record)
    return Tuned(dict(best[0].config), best[0].value, best[0].resource, record)


def _call_of(script: str | Path | Callable[..., None], max_arg: str | None) -> tuple[Command, str, str]:
    """How a script or a function is called, its name, and its file; a function is given its values as they are."""
    from harness.command import Command, prefix_of

    if not callable(script):
        return Command(prefix_of(Path(script)), max_arg), Path(script).stem, str(Path(script).resolve())
    file = getattr(sys.modules.get(script.__module__), "__file__", None)
    if file is None or "." in script.__qualname__:
        raise ValueError(f"{script.__qualname__} runs in processes of its own, so it must stand at the top of a file")
    call = (sys.executable, "-m", "harness.call", str(Path(file).resolve()), script.__qualname__)
    return Command(call, max_arg, as_json=True), script.__qualname__, file


def new_folder(wanted: Path) -> Path:
    """The first of `wanted`-1, `wanted`-2 and so on that is not there."""
    number = 1
    while (folder := wanted.with_name(f"{wanted.name}-{number}")).exists():
        number += 1
    return folder


# -- what was found -------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """Where a trial came to: its config, how far it was trained, and its metric there, as the script says it."""

    trial: int
    config: Config
    resource: int
    value: float


def found(benchmark: Benchmark, log: Log) -> list[Found]:
    """Where every trial came to, the best first: those trained furthest, by their loss there; last those that failed.

    A trial that failed stands where it last had a loss; one that never had any is not there.
    """
    from harness.loop import Started
    from harness.types import Event, Status

    configs: dict[int, Config] = {}
    stands: dict[int, tuple[bool, int, float]] = {}
    for event in log.events:
        if isinstance(event, Started):
            configs.setdefault(event.job.trial, event.job.config)
        elif isinstance(event, Event):
            report = event.report
            if report.status is not Status.FAILED:
                stands[report.trial] = (False, -report.resource, report.losses[0])
            elif report.trial in stands:
                stands[report.trial] = (True, *stands[report.trial][1:])
    sign = -1 if benchmark.objectives[0].maximize else 1
    ranked = sorted(stands.items(), key=lambda standing: (standing[1], standing[0]))
    return [Found(trial, configs[trial], -level, sign * loss) for trial, (_, level, loss) in ranked]
