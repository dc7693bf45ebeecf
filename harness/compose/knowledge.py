"""What a user knows beforehand: past tasks, from tables and stores, and priors of hyperparameters, from texts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import catalog
from harness.names import UnknownName

if TYPE_CHECKING:
    from harness.history import PastTask
    from harness.space import Config
    from harness.study import Record
    from harness.types import CurveModel

STUDIES = "studies"
"""Where a comparison's folder has its store."""
MOST_CONFIGS = 5000
"""Of a larger table: so many configs, drawn by lot, the same of each table of as many rows."""


def past_tasks(source: str, own: str, model_of: Callable[[str, str], CurveModel]) -> list[PastTask]:
    """The past tasks in a source: the table of a benchmark, or a folder of results, a task for each benchmark there.

    own: the benchmark that is to be tuned. Its own table is left out, for that is the answer; studies of it in a folder
    are taken as they are, for those are what one would know. ValueError where there is neither.
    """
    folder = Path(source)
    if folder.is_dir() and not (folder / "table.json").exists():
        return _stored(folder)
    known = [name for name, entry in catalog.benchmarks().items() if entry.table or entry.family]
    if source not in known and not folder.is_dir():
        raise UnknownName("past task, no folder of results and no benchmark with a table:", source, known)
    entry = catalog.find_benchmark(source)
    if entry.benchmark.name == own:
        return []
    return [_tabulated(entry.benchmark.name, model_of(source, "restrict"))]


def _tabulated(name: str, model: CurveModel) -> PastTask:
    import numpy as np

    from harness.history import PastTask
    from harness.randomness import stream

    rows = model.restricted_space().rows
    if rows is None:
        raise ValueError(f"benchmark {name!r} answers for any config and holds none: it is no past task")
    if len(rows) > MOST_CONFIGS:
        lots = stream("past task", len(rows)).random(len(rows))
        rows = [rows[place] for place in np.sort(np.argsort(lots, kind="stable")[:MOST_CONFIGS]).tolist()]
    constants = model.benchmark.space.constants
    return PastTask(name, tuple({**constants, **row} for row in rows), tuple(map(model.final_loss, rows)))


def _stored(folder: Path) -> list[PastTask]:
    from harness.history import PastTask
    from harness.store import Store

    records = Store(folder / STUDIES if (folder / STUDIES).is_dir() else folder).records()
    found: dict[str, dict[str, tuple[Config, list[tuple[int, float]]]]] = {}
    for record in records.values():
        task = found.setdefault(record.spec["benchmark"]["name"], {})
        for config, resource, loss in _reached(record):
            task.setdefault(json.dumps(config, sort_keys=True), (config, []))[1].append((resource, loss))
    tasks: list[PastTask] = []
    for name, seen in sorted(found.items()):
        configs = [config for config, _ in seen.values()]
        if configs:
            tasks.append(PastTask(name, tuple(configs), tuple(_at_the_highest(said) for _, said in seen.values())))
    if not tasks:
        raise ValueError(f"--history {folder}: no finished studies there, and it is no table of a benchmark")
    return tasks


def _reached(record: Record) -> list[tuple[Config, int, float]]:
    """Each config of a study with the highest resource that it reached and its loss there."""
    from harness.types import Benchmark, Status

    benchmark = Benchmark.from_json(record.spec["benchmark"])
    configs: dict[int, dict[str, Any]] = dict(map(json.loads, record.configs))
    last: dict[int, tuple[int, float]] = {}
    reports = record.kind == 1
    columns = (record.trial[reports], record.resource[reports], record.code[reports])
    for (trial, resource, code), values in zip(
        zip(*(column.tolist() for column in columns), strict=True), record.values.tolist(), strict=True
    ):
        if code == Status.FAILED:
            loss = math.inf
        else:
            said = zip(record.metrics, values, strict=True)
            loss = benchmark.losses(dict(said))[0]
        last[trial] = (resource, loss)
    return [({**benchmark.space.constants, **configs[trial]}, *reached) for trial, reached in last.items()]


def _at_the_highest(said: Sequence[tuple[int, float]]) -> float:
    highest = max(resource for resource, _ in said)
    losses = [loss for resource, loss in said if resource == highest]
    return sum(losses) / len(losses)


def with_priors(space: Mapping[str, Any], priors: Mapping[str, Any]) -> dict[str, Any]:
    """A space in JSON with a user's priors, each `VALUE` or `VALUE:SPREAD`; ValueError where one makes no sense.

    spread: a standard deviation on the encoded axis [0, 1], by default .25; of a choice the probability of any other
    draw.
    """
    from harness.space import Space

    plain, domains = dict(space), Space.from_json(space).domains
    for name, given in priors.items():
        if name not in domains:
            raise UnknownName("hyperparameter", name, domains)
        plain[name] = {**plain[name], "prior": _prior(name, str(given), domains[name].cast, str(domains[name]))}
    Space.from_json(plain)
    return plain


def _prior(name: str, text: str, cast: Callable[[str], Any], domain: str) -> dict[str, Any]:
    value, colon, spread = text.rpartition(":")
    for attempt, deviation in ((text, None), (value, spread)) if colon else ((text, None),):
        try:
            return {"value": cast(attempt)} | ({} if deviation is None else {"spread": float(deviation)})
        except ValueError:
            continue
    raise ValueError(f"the prior of {name!r} is written VALUE or VALUE:SPREAD, given {text!r}; it takes {domain}")
