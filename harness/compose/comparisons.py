"""A comparison is run, kept in a folder, reported, and run again to see that it repeats."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import catalog
from harness.compose.cards import verdict
from harness.compose.declarations import comparison_of
from harness.compose.knowledge import STUDIES
from harness.compose.lookups import frames
from harness.compose.studies import (
    SURROGATE,
    data_digest,
    decision_time,
    model_of,
    overridden,
    prepared,
    run_simulated,
    studies_of,
    study_of,
)
from harness.compose.suites import family_of

if TYPE_CHECKING:
    import pandas as pd

    from harness.comparison import Comparison, Outcome
    from harness.store import Store
    from harness.types import Benchmark


REPORT = "report"
DECLARATION = "comparison.json"


@dataclass(frozen=True)
class Compared:
    """What a comparison came to: how many studies are wanted and were there, and what was run now.

    Not wanted are those of arms that cannot run on a benchmark.
    """

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
    *,
    command: str,
    jobs: int,
    on_begin: Callable[[Counter[tuple[str, str]]], None] = lambda _: None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> Compared:
    """Run what is missing of a comparison into the store in `folder`.

    command: what the user typed, kept beside the results; on_begin: told how many studies are missing of each arm and
    benchmark; on_outcome: told of each that ended.
    """
    from harness.comparison import carry_out, missing, stale
    from harness.store import Store

    store = Store(folder / STUDIES)
    refused = refusals(comparison, store)
    studies = [study for study in studies_of(comparison) if (study.source, study.arm) not in refused]
    left = missing(studies, store)
    reasons: dict[str, str] = {}
    if left:
        store.sweep()
        reasons = stale(left, store)
    _declare(comparison, command, folder)
    on_begin(Counter((study.arm, study.benchmark.name) for study in left))
    outcomes = carry_out(left, store.folder, run_simulated, jobs=jobs, on_outcome=on_outcome)
    return Compared(len(studies), len(studies) - len(left), reasons, outcomes)


def refusals(comparison: Comparison, store: Store) -> dict[tuple[str, str], str]:
    """Why an arm cannot run on a benchmark, by the names of the benchmark and of the arm.

    Each arm of which a study is missing is built once, so that an option without sense is bad usage and not forty
    failed studies: ValueError for that, and for a benchmark on which no arm can run.
    """
    from harness.comparison import missing
    from harness.types import refuses

    decision_time(comparison.decision_time)
    refused: dict[tuple[str, str], str] = {}
    for name in comparison.benchmarks:
        for arm in comparison.arms:
            studies = [study_of(comparison, arm, name, seed) for seed in comparison.seeds]
            if not missing(studies, store):
                continue
            study = studies[0]
            model = model_of(name, study.benchmark.table_miss).under(study.benchmark)
            try:
                prepared(study, model)
            except ValueError as error:
                if not refuses(error, study.benchmark):
                    raise ValueError(f"arm {arm.label!r}: {error}") from error
                refused[name, arm.label] = str(error)
        said = [
            f"arm {arm.label!r}: {refused[name, arm.label]}" for arm in comparison.arms if (name, arm.label) in refused
        ]
        if len(said) == len(comparison.arms):
            raise ValueError("; ".join(said))
    return refused


def _declare(comparison: Comparison, command: str, folder: Path) -> None:
    text = json.dumps({"command": command, "comparison": comparison.to_json()}, indent=1) + "\n"
    path = folder / DECLARATION
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)


def declared(folder: Path) -> tuple[Comparison, str]:
    """The comparison whose results lie in a folder, and the command that made them."""
    from harness.comparison import Comparison

    path = folder / DECLARATION
    if not path.exists():
        raise FileNotFoundError(f"no comparison in {folder}: `{DECLARATION}` is missing there")
    plain = json.loads(path.read_text(encoding="utf-8"))
    return Comparison.from_json(plain["comparison"]), plain["command"]


def facts_of(comparison: Comparison, refused: Mapping[tuple[str, str], str]) -> dict[str, dict[str, Any]]:
    """What is known of each benchmark of a comparison besides its studies, and which arms it has refused, and why."""
    facts: dict[str, dict[str, Any]] = {}
    for name in comparison.benchmarks:
        own = comparison.own.get(name, {})
        benchmark = overridden(catalog.find_benchmark(name).benchmark, own, comparison.overrides)
        model = model_of(name, benchmark.table_miss)
        facts[benchmark.name] = {
            "family": family_of(name),
            "metric": benchmark.objectives[0].metric,
            "unit": benchmark.fidelity.unit,
            "levels": list(benchmark.fidelity.levels),
            "workers": benchmark.workers,
            "budget": benchmark.budget,
            "table": benchmark.table_miss,
            "real": False,
            "verdict": _said_of(name, benchmark),
            "decision_time": comparison.decision_time,
            "digest": model.digest,
            "not_applicable": {arm: why for (one, arm), why in refused.items() if one == name},
        } | model.facts()
    return facts


def _said_of(name: str, benchmark: Benchmark) -> str | None:
    """What must be said of the model of a benchmark wherever results on it are shown."""
    if benchmark.table_miss != SURROGATE:
        return None
    word = verdict(name)
    if word is None:
        return f"The surrogate of {name} has not been judged: `fit {name}` makes its card."
    return f"The surrogate of {name} is {word}: `describe {name}` says why."


def report(folder: Path, out: Path | None = None, *, static: bool = False) -> tuple[Any, bool]:
    """The summary of the comparison in `folder`, and whether its report had to be drawn again into `out`.

    static: with pictures and without scripts.
    """
    import hashlib
    import shlex

    from harness.store import Store
    from reports import page, publishing
    from reports.summary import summarise

    comparison, command = declared(folder)
    store = Store(folder / STUDIES)
    refused = refusals(comparison, store)
    wanted = [study.key for study in studies_of(comparison) if (study.source, study.arm) not in refused]
    records = store.records(wanted)
    if not records:
        raise FileNotFoundError(
            f"none of the {len(wanted)} studies of {folder} is in its store yet: run `compare` first"
        )
    facts = facts_of(comparison, refused)
    digests = {key: records[key].digest() for key in wanted if key in records}
    made_by = ["python", "-m", "harness", "report", str(folder)]
    made_by += (["--out", str(out)] if out else []) + (["--static"] if static else [])
    inputs = json.dumps([digests, wanted, facts, command, made_by, store.broken])
    digest = hashlib.blake2b(inputs.encode(), digest_size=16).hexdigest()
    studies, events = frames([records[key] for key in wanted if key in records])
    place = out or folder / REPORT
    if publishing.up_to_date(place, digest):
        return summarise(studies, events, facts), False
    summary = page.write(
        place,
        studies,
        events,
        facts,
        title=f"{', '.join(arm.label for arm in comparison.arms)} on {', '.join(comparison.benchmarks)}",
        command=command,
        made_by=shlex.join(made_by),
        digest=digest,
        static=static,
    )
    return summary, True


def compared_frame(
    *,
    methods: Sequence[str],
    benchmarks: Sequence[str],
    seeds: Sequence[int],
    fields: Mapping[str, Any],
    out: str | Path | None,
    jobs: int,
) -> pd.DataFrame:
    """A comparison from Python: run what is missing, and give a row a study."""
    from tempfile import TemporaryDirectory

    from harness.store import Store
    from reports.summary import summarise

    comparison = comparison_of({}, methods=methods, benchmarks=benchmarks, seeds=seeds, overrides=fields)
    with TemporaryDirectory(prefix="foretune-") as temporary:
        folder = Path(out) if out else Path(temporary)
        done = compare(comparison, folder, command="harness.compare(...)", jobs=jobs)
        unstored = [outcome for outcome in done.failed if not outcome.stored]
        if unstored:
            raise RuntimeError(f"{len(unstored)} studies could not be run: {unstored[0].error}")
        store = Store(folder / STUDIES)
        records, refused = store.records(), refusals(comparison, store)
        wanted = [study for study in studies_of(comparison) if (study.source, study.arm) not in refused]
        studies, events = frames([records[study.key] for study in wanted])
    return studies.merge(summarise(studies, events, facts_of(comparison, refused)).studies)


def verify(folder: Path) -> dict[str, str]:
    """Run every simulated study of a store again; gives what differs, by the study's name."""
    from harness.store import Store
    from harness.study import first_difference

    differing: dict[str, str] = {}
    for key, stored in Store(store_of(folder)).records().items():
        spec = stored.spec
        name = f"{spec['arm']} on {spec['benchmark']['name']}, seed {spec['seed']}"
        if spec["data"] == "real" or spec["decision_time"] == "measured":
            continue
        if spec["data"] != data_digest(spec["source"], spec["benchmark"]["table_miss"]):
            differing[name] = "its table is not the one of today"
        elif (again := run_simulated(spec)).digest() != stored.digest():
            differing[name] = f"study {key}: {first_difference(stored, again)}"
    return differing


def store_of(folder: Path) -> Path:
    """The folder of the segments: `folder` itself, or the `studies` of a comparison."""
    if (folder / STUDIES).is_dir():
        return folder / STUDIES
    if not any(folder.glob("segment-*.parquet")):
        raise FileNotFoundError(f"no finished studies in {folder}: it has neither segments nor a folder `{STUDIES}`")
    return folder
