"""A training script as a study: a space from TOML, how it is called, and what to make of what was found."""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.compose import trainings
from harness.compose.knowledge import with_priors
from harness.methods import parse_method
from harness.names import UnknownName

if TYPE_CHECKING:
    from harness.command import Command
    from harness.compose.trainings import Found, View
    from harness.loop import Log
    from harness.space import Config, Space
    from harness.study import Record, Study
    from harness.types import Decision, Job, Report

BESIDE = ("prior", "if")
NEEDED = 10
"""Trials that importances need at a level, at least."""
TREES = 64
POINTS = 10


# -- what is declared -----------------------------------------------------------------------------------------------


def read_space(path: Path) -> Space:
    """The space that a TOML file declares as `[space]`; ValueError names what is wrong and what is possible."""
    import tomllib

    from harness.space import Space

    if not path.is_file():
        raise FileNotFoundError(f"no space at {path}: write one, such as\n[space]\n{_EXAMPLE}")
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    for name in plain:
        if name != "space":
            raise UnknownName(f"field of {path}", name, ["space"], "(hyperparameters stand below a line [space])")
    entries = plain.get("space")
    if not isinstance(entries, dict) or not entries:
        raise ValueError(f"{path} needs a table [space] of hyperparameters, such as\n[space]\n{_EXAMPLE}")
    try:
        for name, entry in entries.items():
            _check_entry(name, entry, list(entries))
        return Space.from_json(entries)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


_EXAMPLE = 'lr = {type = "loguniform", lower = 1e-4, upper = 1.0}'


def _check_entry(name: str, entry: Any, names: Sequence[str]) -> None:
    """Refuse what `Space.from_json` would not understand, with the nearest that it would."""
    from harness.space import CONSTRUCTORS

    if not re.fullmatch(r"[A-Za-z_][\w.-]{0,63}", name):
        raise ValueError(f"{name!r} cannot name a hyperparameter: letters, digits, '_', '-', '.', a letter first")
    if not isinstance(entry, dict):
        if not isinstance(entry, int | float | str | bool):
            raise ValueError(f"{name} = {entry!r} is neither a constant nor a domain such as {_EXAMPLE}")
        return
    kind = entry.get("type")
    if not isinstance(kind, str):
        raise ValueError(f"hyperparameter {name!r} needs a type, one of {', '.join(CONSTRUCTORS)}; given {entry}")
    if kind not in CONSTRUCTORS:
        raise UnknownName(f"type of {name!r}", kind, CONSTRUCTORS)
    fields = inspect.signature(CONSTRUCTORS[kind]).parameters
    for field, value in entry.items():
        if field not in (*fields, "type", *BESIDE):
            raise UnknownName(f"field of {name!r} ({kind})", field, (*fields, *BESIDE))
        wanted = list if field == "values" else bool if field == "cast_int" else (int, float)
        if field in fields and (not isinstance(value, wanted) or (field != "cast_int" and isinstance(value, bool))):
            raise ValueError(f"{field} of {name!r} must be {_SPELLED.get(field, 'a number')}, given {value!r}")
        if isinstance(value, list) and not all(isinstance(one, int | float | str | bool) for one in value):
            raise ValueError(f"values of {name!r} must be numbers, texts, true or false, given {value!r}")
    _check_beside(name, entry, names)
    if missing := [f for f, p in fields.items() if f not in entry and p.default is inspect.Parameter.empty]:
        raise ValueError(f"hyperparameter {name!r} of type {kind!r} needs {' and '.join(missing)}; given {entry}")


def _check_beside(name: str, entry: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse a prior or a condition that is not written as one."""
    prior = entry.get("prior", {"value": 0})
    if not isinstance(prior, dict) or "value" not in prior or not {"value", "spread"} >= set(prior):
        raise ValueError(f"the prior of {name!r} is written {{value = 0.1, spread = 0.25}}, given {prior!r}")
    parents = entry.get("if", {})
    if not isinstance(parents, dict) or not all(isinstance(values, list) for values in parents.values()):
        raise ValueError(f'the condition of {name!r} is written if = {{optimizer = ["sgd"]}}, given {parents!r}')
    for parent in parents:
        if parent not in names:
            raise UnknownName(f"hyperparameter that {name!r} depends on", parent, set(names) - {name})


_SPELLED = {"values": "a list", "cast_int": "true or false"}


class Script(NamedTuple):
    """A study of a script, somebody's or a benchmark's, and how to call it."""

    study: Study
    command: Command
    options: Mapping[str, Any]
    """Of the executor."""
    seed_arg: str | None = None
    of_benchmark: bool = False

    @property
    def takes_seed(self) -> bool:
        """Whether the script is told its seed."""
        return self.of_benchmark or self.seed_arg is not None

    def seeded(self, seed: int) -> Script:
        """The same with another seed, which the script is given where it takes one."""
        study = replace(self.study, seed=seed)
        if self.of_benchmark:
            return self._replace(study=study, command=trainings.command_of(study))
        if self.seed_arg:
            from harness.space import Space

            space = Space.from_json({**study.benchmark.space.to_json(), self.seed_arg: seed})
            study = replace(study, benchmark=study.benchmark.with_space(space))
        return self._replace(study=study)

    def line(self, config: Config) -> str:
        """What to type to train a config to the end."""
        benchmark = self.study.benchmark
        return shlex.join(self.command.arguments(config, benchmark.space.constants, benchmark.fidelity.maximum))


def declare(
    script: Path,
    space: Space,
    *,
    metric: str,
    maximize: bool,
    resource: str,
    maximum: int,
    max_arg: str | None,
    seed_arg: str | None,
    as_json: bool,
    method: str,
    workers: int,
    budget: float,
    warm: bool,
    seed: int,
    options: Mapping[str, Any],
    priors: Mapping[str, str],
) -> Script:
    """A study of a script; every name is checked before anything runs. priors: name to `VALUE` or `VALUE:SPREAD`."""
    from harness.command import Command, prefix_of
    from harness.space import Space
    from harness.study import Study
    from harness.types import Benchmark, Delays, Fidelity, Objective

    command = Command(prefix_of(script), max_arg, as_json)
    if warm:
        command.check_can_stay()
    if priors:
        space = Space.from_json(with_priors(space.to_json(), priors))
    for given, what in ((max_arg, "--max-arg"), (seed_arg, "--seed-arg")):
        if given is not None and (given in space.domains or given in space.constants):
            raise ValueError(f"{given!r} is in the space already: take it out, or leave out {what}")
    if metric == resource:
        raise ValueError(f"{metric!r} cannot be both the metric and the resource")
    benchmark = Benchmark(
        name=script.stem,
        space=space,
        objectives=(Objective(metric, maximize),),
        fidelity=Fidelity(resource, tuple(range(1, maximum + 1))),
        budget=budget,
        workers=workers,
        delays=Delays(warm=warm),
    )
    study = Study(method, parse_method(method).to_json(), benchmark, "real", seed, source=str(script.resolve()))
    return Script(study, command, options, seed_arg).seeded(seed)


def of_benchmark(study: Study, options: Mapping[str, Any]) -> Script:
    """The training script of a study's benchmark; ValueError where it has none."""
    return Script(study, trainings.command_of(study), options, of_benchmark=True)


def run(script: Script, folder: Path, view: View | None, *, follow_journal: bool = False) -> tuple[Log, Record]:
    """Run the study for real; in the folder of one that was interrupted, or had less budget, it goes on."""
    return trainings.run_for_real(
        script.study, script.command, folder, view, follow_journal=follow_journal, options=script.options
    )


def start_up(script: Script, log: Log) -> tuple[float, float]:
    """What starting a cold Python process took: median seconds, and their share of all that workers spent; else 0."""
    from harness.compose.delays import measured, stretches
    from harness.types import NANOSECONDS, Delays

    benchmark = script.study.benchmark
    if benchmark.delays.warm or not script.command.can_stay or not log.time:
        return 0.0, 0.0
    jobs = stretches(log, warm=False)
    # What a resumed one needs to its first report may be training: where there are no checkpoints.
    seconds = measured([job for job in jobs if not job.resumed], Delays()).start_up
    return seconds, seconds * len(jobs) / (benchmark.workers * log.time / NANOSECONDS)


def has_gpus() -> bool:
    """Whether workers have GPUs."""
    from harness.gpus import visible_devices

    return bool(visible_devices(os.environ))


# -- what to make of what was found ---------------------------------------------------------------------------------


def importances(script: Script, log: Log) -> tuple[int, dict[str, float]]:
    """The share of the variance of losses that each hyperparameter accounts for, with its interactions.

    Of a forest's prediction of the ranks of losses, at the highest level that enough trials reached, which comes
    first; nothing where there is none. By Jansen's estimator (1999) of Sobol's total index.
    """
    import numpy as np

    from harness._parts.trees import bootstrap, grow
    from harness.loop import Started
    from harness.randomness import stream
    from harness.types import Event

    space = script.study.benchmark.space
    configs = {event.job.trial: event.job.config for event in log.events if isinstance(event, Started)}
    losses: dict[int, dict[int, float]] = {}
    for event in log.events:
        if isinstance(event, Event) and event.report.resource:
            # The first that it said there: a crash on the way further repeats the level with an infinite loss.
            losses.setdefault(event.report.resource, {}).setdefault(event.report.trial, event.report.losses[0])
    enough = [level for level, of in losses.items() if len(of) >= max(NEEDED, 2 * len(space.names))]
    if not enough:
        return 0, {}
    here = losses[max(enough)]
    x = np.array([space.encode_one(configs[trial]) for trial in here])
    ranks = np.searchsorted(np.sort(list(here.values())), list(here.values())).astype(float)
    luck = stream("importances", script.study.benchmark.name)
    forest = grow(x, ranks, bootstrap(luck, TREES, len(x)), luck, least=2.0)

    def predicted(quantiles: Any) -> Any:
        return forest.predict(np.array([space.encode_one(c) for c in space.at_quantiles(quantiles.tolist())]))[0]

    first, second = luck.random((2, 1 << POINTS, len(space.names)))
    base, shares = predicted(first), {}
    for place, name in enumerate(space.names):
        exchanged = first.copy()
        exchanged[:, place] = second[:, place]
        moved = predicted(exchanged)
        spread = float(np.concatenate([base, moved]).var())
        shares[name] = min(float(((base - moved) ** 2).mean() / 2 / spread), 1.0) if spread > 0 else 0.0
    return max(enough), dict(sorted(shares.items(), key=lambda share: -share[1]))


class _Each:
    """Trains given configs to the end, each once."""

    def __init__(self, jobs: list[Job]) -> None:
        self._waiting = jobs[::-1]

    def ask(self) -> Job | None:
        return self._waiting.pop() if self._waiting else None

    def tell(self, report: Report) -> Decision:
        from harness.types import Decision

        return Decision.CONTINUE


class Again(NamedTuple):
    """A config trained again: its metric at the end by seed, NaN where it failed."""

    found: Found
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return sum(self.values) / len(self.values)


AGAIN = "again.lines"


def retrain(
    script: Script, best: Sequence[Found], seeds: Sequence[int], folder: Path, say: Callable[[str], None]
) -> list[Again]:
    """Train configs to the end again, over seeds that the search did not see; the best mean comes first.

    Each training is kept in `folder` as it ends and not done twice, so an interrupted call goes on. say: told of each.
    """
    from harness.lines import LineWriter

    folder.mkdir(parents=True, exist_ok=True)
    metric, digest = script.study.benchmark.objectives[0].metric, trainings.digest_of(script.study, script.command)
    with LineWriter(folder / AGAIN) as kept:

        def end(one: Found, seed: int, value: float | None, reason: str) -> None:
            kept.append({"config": dict(one.config), "seed": seed, "value": value, "script": digest})
            came = f"failed: {reason}" if value is None else f"{metric} {value:.6g}"
            say(f"again with seed {seed}: trial {one.trial}, {came}")

        for seed in seeds:
            known = _trained_again(folder, digest)
            missing = [one for one in best if (_text(one.config), seed) not in known]
            if missing and (error := _train_again(script, missing, seed, folder, end)):
                say(f"again with seed {seed}: {error}")
    values = _trained_again(folder, digest)
    again = [Again(one, tuple(values.get((_text(one.config), seed), math.nan) for seed in seeds)) for one in best]
    sign = -1 if script.study.benchmark.objectives[0].maximize else 1
    return sorted(again, key=lambda one: (math.isnan(one.mean), sign * one.mean))


def _trained_again(folder: Path, digest: str) -> dict[tuple[str, int], float]:
    """By config and seed, the metric of what the script as it is was trained to so far; NaN where it failed."""
    from harness.lines import read_lines

    values: dict[tuple[str, int], float] = {}
    for line in read_lines(folder / AGAIN):
        if line.get("script", digest) == digest:
            values[_text(line["config"]), line["seed"]] = math.nan if line["value"] is None else line["value"]
    return values


def _text(config: Config) -> str:
    return json.dumps(dict(config), sort_keys=True)


def _train_again(
    script: Script,
    best: Sequence[Found],
    seed: int,
    folder: Path,
    end: Callable[[Found, int, float | None, str], None],
) -> str:
    """Train configs to the end with a seed; gives why it ended before that, where it did.

    end: told the metric that each comes to, or None and why it failed.
    """
    from harness.local import Local
    from harness.loop import Happening
    from harness.loop import run as run_loop
    from harness.types import Event, Job, Status

    script = script.seeded(seed)
    benchmark = script.study.benchmark
    sign = -1 if benchmark.objectives[0].maximize else 1
    of_trial = {one.trial: one for one in best}
    jobs = [Job(one.trial, one.config, benchmark.fidelity.maximum) for one in best]
    place = trainings.new_folder(folder / f"seed-{seed}")
    executor = Local(benchmark, script.command, benchmark.workers, place, **script.options)

    def watch(event: Happening) -> None:
        if isinstance(event, Event) and event.report.status is not Status.RUNNING:
            trial, reached = event.report.trial, event.report.status is Status.REACHED
            value = sign * event.report.losses[0] if reached else None
            end(of_trial[trial], seed, value, executor.failures.get(trial, ""))

    log = run_loop(benchmark, _Each(jobs), executor, 1 << 62, watch=watch)
    if log.why == "interrupted":
        raise KeyboardInterrupt
    return log.error


def written(script: Script, best: Sequence[Found], folder: Path) -> Path:
    """Keep the best configs and how to train them as `best.json` in the folder; gives its path."""
    entries = [{**one._asdict(), "config": dict(one.config), "command": script.line(one.config)} for one in best]
    path = folder / "best.json"
    path.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    return path
