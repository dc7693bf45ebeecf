"""A comparison is run, kept in a folder, reported, and run again to see that it repeats."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import catalog
from harness.compose.cards import verdict
from harness.compose.declarations import Declared, comparison_of, declare, declared
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
)
from harness.compose.suites import family_of
from harness.methods import parse_method

if TYPE_CHECKING:
    import pandas as pd

    from harness.comparison import Comparison, Outcome
    from harness.space import Space
    from harness.store import Store
    from harness.study import Study
    from harness.types import Benchmark


REPORT = "report"
SURVIVAL = "survival"
NAMED = 6
"""Arms, and benchmarks, that the title of a report names."""
OF_ITS_OBJECTIVE = ("optimum", "optimum_config", "optimum_is", "median", "noise", "final_losses", "test")
"""What a model states of the first objective that it was made with, and cannot of another."""


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
    from harness.comparison import Outcome, carry_out, in_blocks, missing, stale
    from harness.store import Store

    comparison = _as_once_declared(comparison, folder)
    store, until = Store(folder / STUDIES), comparison.until
    reasons, outcomes, looks = dict[str, str](), list[Outcome](), list[dict[str, Any]]()

    def run(now: Comparison) -> tuple[list[Study], dict[tuple[str, str], str]]:
        studies, refused = wanted(now, store)
        left = missing(studies, store)
        if left:
            store.sweep()
            reasons.update(stale(left, store))
        if left or until is None:
            declare(Declared(now, command, looks), folder)
        on_begin(Counter((study.arm, study.benchmark.name) for study in left))
        outcomes.extend(carry_out(left, store.folder, run_simulated, jobs=jobs, on_outcome=on_outcome))
        return studies, refused

    if until is None:
        studies, _ = run(comparison)
    else:
        _check_contrasts(comparison)
        blocks = {seeds: replace(comparison, seeds=tuple(range(seeds))) for seeds in until.looks}
        seeds = in_blocks(
            until.looks,
            lambda seeds: _studied(blocks[seeds], *run(blocks[seeds]), store),
            lambda outcomes: _decided(comparison, outcomes, looks),
        )
        declare(Declared(blocks[seeds], command, looks), folder)
        studies, _ = wanted(blocks[seeds], store)
    return Compared(len(studies), len(studies) - len(outcomes), reasons, outcomes)


def _as_once_declared(comparison: Comparison, folder: Path) -> Comparison:
    """The comparison with the endpoint that stands beside results, where there are any: it was there before them."""
    try:
        return replace(comparison, endpoint=declared(folder).comparison.endpoint)
    except FileNotFoundError:
        return comparison


def _check_contrasts(comparison: Comparison) -> None:
    from reports import contrasts

    assert comparison.until is not None
    contrasts.check(facts_of(comparison, {}), comparison.until.width)


def _studied(
    comparison: Comparison, studies: Sequence[Study], refused: Mapping[tuple[str, str], str], store: Store
) -> pd.DataFrame:
    """What became of the studies that a comparison wants: a row a study; refused: as `refusals` has it."""
    from harness.frames import frames, with_missing
    from reports.summary import observed

    records = store.records([study.key for study in studies])
    seen, events = frames([records[study.key] for study in studies if study.key in records])
    rule = comparison.endpoint.rule
    return observed(with_missing(seen, studies), events, facts_of(comparison, refused), rule).studies


def _decided(comparison: Comparison, outcomes: pd.DataFrame, looks: list[dict[str, Any]]) -> bool:
    """Whether the contrasts are as narrow as was asked for, or never will be; what is seen goes to `looks`."""
    from itertools import combinations

    from reports import contrasts

    until = comparison.until
    assert until is not None
    pairs = until.contrasts or tuple(combinations((arm.label for arm in comparison.arms), 2))
    looks.append(contrasts.look(until.width, until.looks, outcomes, facts_of(comparison, {}), pairs))
    return looks[-1]["enough"] is not False


def wanted(
    comparison: Comparison, store: Store, *, as_there: bool = False
) -> tuple[list[Study], dict[tuple[str, str], str]]:
    """The studies that a comparison wants, and which arms it has refused, and why: see `refusals`.

    as_there: of a study that was run only where something else was installed, that one.
    """
    from harness.comparison import as_stored

    decision_time(comparison.decision_time)
    studies = studies_of(comparison)
    studies = as_stored(studies, store) if as_there else studies
    refused = refusals(studies, store)
    return [study for study in studies if (study.source, study.arm) not in refused], refused


def refusals(studies: Sequence[Study], store: Store) -> dict[tuple[str, str], str]:
    """Why an arm cannot run on a benchmark, by the names of the benchmark and of the arm.

    Each arm of which a study is missing is built once, so that an option without sense is bad usage and not forty
    failed studies: ValueError for that, and for a benchmark on which no arm can run.
    A foreign program that breaks off here is not refused: its studies are run, fail as it did, and hold its last words.
    """
    from harness.comparison import missing
    from harness.foreign._process import ForeignError
    from harness.types import refuses

    first = {(study.source, study.arm): study for study in reversed(studies)}
    lacking = {(study.source, study.arm) for study in missing(studies, store)}
    refused: dict[tuple[str, str], str] = {}
    for (name, arm), study in reversed(first.items()):
        if (name, arm) not in lacking:
            continue
        model = model_of(name, study.benchmark.table_miss).under(study.benchmark)
        try:
            prepared(study, model)
        except ForeignError:
            continue
        except ValueError as error:
            if not refuses(error, study.benchmark):
                raise ValueError(f"arm {arm!r}: {error}") from error
            refused[name, arm] = str(error)
    for benchmark in dict.fromkeys(name for name, _ in first):
        arms = [arm for name, arm in reversed(first) if name == benchmark]
        if all((benchmark, arm) in refused for arm in arms):
            raise ValueError("; ".join(f"arm {arm!r}: {refused[benchmark, arm]}" for arm in arms))
    return refused


def facts_of(comparison: Comparison, refused: Mapping[tuple[str, str], str]) -> dict[str, dict[str, Any]]:
    """What is known of each benchmark of a comparison besides its studies, and which arms it has refused, and why."""
    facts: dict[str, dict[str, Any]] = {}
    for name in comparison.benchmarks:
        own = comparison.own.get(name, {})
        benchmark = overridden(catalog.find_benchmark(name).benchmark, own, comparison.overrides)
        facts[benchmark.name] = {
            **facts_under(name, benchmark, refused),
            "decision_time": comparison.decision_time,
        }
    return facts


def facts_under(name: str, benchmark: Benchmark, refused: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """What is known of a benchmark, given by its name and with its fields as they are set."""
    from harness.compose import fronts

    model = model_of(name, benchmark.table_miss)
    known = model.facts() | fronts.facts(name, benchmark)
    if benchmark.objectives[0] != model.benchmark.objectives[0]:
        known = {fact: value for fact, value in known.items() if fact not in OF_ITS_OBJECTIVE}
    if _without_priors(benchmark.space) != _without_priors(model.benchmark.space):
        known.pop("final_losses", None)  # what random configs come to is another law there
    return {
        "family": family_of(name),
        "metric": benchmark.objectives[0].metric,
        "unit": benchmark.fidelity.unit,
        "levels": list(benchmark.fidelity.levels),
        "workers": benchmark.workers,
        "budget": benchmark.budget,
        "table": benchmark.table_miss,
        "real": False,
        "verdict": said_of(name, benchmark),
        "digest": model.digest,
        "not_applicable": {arm: why for (one, arm), why in refused.items() if one == name},
    } | known


def _without_priors(space: Space) -> dict[str, Any]:
    """A space in plain words, without what is expected of it."""
    return {
        name: {key: value for key, value in entry.items() if key != "prior"} if isinstance(entry, Mapping) else entry
        for name, entry in space.to_json().items()
    }


def said_of(name: str, benchmark: Benchmark) -> str | None:
    """What must be said of the model of a benchmark wherever results on it are shown."""
    if benchmark.table_miss != SURROGATE:
        return None
    word = verdict(name)
    if word is None:
        return f"The surrogate of {name} has not been judged: `fit {name}` makes its card."
    return f"The surrogate of {name} is {word}: `describe {name}` says why."


def report(
    folder: Path, out: Path | None = None, *, static: bool = False, brief: bool = False, columns: int = 2
) -> tuple[Any, bool]:
    """The summary of the comparison in `folder`, and whether its report had to be drawn again into `out`.

    static: with pictures and without scripts; brief: so and of the first page only, in few and small files; columns:
    of a paper, 1 or 2, that pictures are as wide as.
    """
    import hashlib
    import shlex

    from harness.frames import with_missing
    from harness.store import Store
    from reports import page, publishing, survival_page
    from reports.summary import summarise

    known = declared(folder)
    comparison, said = known.comparison, known.said()
    store = Store(folder / STUDIES)
    studies_wanted, refused = wanted(comparison, store, as_there=True)
    keys = [study.key for study in studies_wanted]
    there = store.digests()
    digests = {key: there[key] for key in keys if key in there}
    if not digests:
        raise FileNotFoundError(f"none of the {len(keys)} studies of {folder} is in its store yet: run `compare` first")
    facts = facts_of(comparison, refused)
    known_lengths = store.lengths()
    lengths = {key: known_lengths[key] for key in digests if key in known_lengths}  # a segment may break in any column
    seen, events = frames(store.each(lengths), lengths, comparison.endpoint.rule)
    elsewhere = _elsewhere(comparison, studies_wanted)
    remarks = elsewhere + [
        f"{name} cannot be read ({why}): what it alone holds is missing, and `compare` runs it again once that file is "
        "gone."
        for name, why in store.broken.items()
    ]
    survived = survival_page.read(folder / SURVIVAL, of_studies(studies_wanted, digests))
    made_by = ["python", "-m", "harness", "report", str(folder), *(["--out", str(out)] if out else [])]
    made_by += [option for option, given in (("--static", static), ("--brief", brief)) if given]
    made_by += [] if columns == 2 else ["--columns", str(columns)]
    told = [said, survived and survived.digest, made_by, *elsewhere]
    inputs = json.dumps([digests, keys, facts, known.command, store.broken, *told])
    digest = hashlib.blake2b(inputs.encode(), digest_size=16).hexdigest()
    studies = with_missing(seen, studies_wanted)
    place, rule = out or folder / REPORT, comparison.endpoint.rule
    if publishing.up_to_date(place, digest):
        return summarise(studies, events, facts, rule, said, remarks=remarks), False
    written = page.write(
        place, studies, events, facts,
        title=title_of(comparison), command=known.command, made_by=shlex.join(made_by), digest=digest, rule=rule,
        declared=said, remarks=remarks, static=static, brief=brief, columns=columns, survived=survived,
    )  # fmt: skip
    return written, True


def _elsewhere(comparison: Comparison, studies: Sequence[Study]) -> list[str]:
    """What must be said of arms that were run where something else was installed."""
    here = {arm.label: parse_method(arm.method).to_json() for arm in comparison.arms}
    said: dict[str, None] = {}
    for study in studies:
        if study.method != here[study.arm]:
            versions = ", ".join(f"{name} {version}" for name, version in study.method.get("versions", {}).items())
            what = f"{versions}: other versions" if versions else "other files of its program"
            said[f"{study.arm} was run with {what} than there are here."] = None
    return list(said)


def title_of(comparison: Comparison) -> str:
    """What pages about a comparison are called: its arms on its benchmarks, of many the first."""
    return " on ".join(map(_named, ([arm.label for arm in comparison.arms], comparison.benchmarks)))


def _named(names: Sequence[str]) -> str:
    left = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {left} more" if left > 0 else "")


def of_studies(studies: Sequence[Study], digests: Mapping[str, str]) -> str:
    """The digest of a comparison's own studies, from the digests of those that are there, by key."""
    import hashlib

    there = [[study.key, digests.get(study.key)] for study in studies]
    return hashlib.blake2b(json.dumps(there).encode(), digest_size=16).hexdigest()


def compared_frame(
    *,
    methods: Sequence[str],
    benchmarks: Sequence[str],
    seeds: Sequence[int] | str,
    fields: Mapping[str, Any],
    out: str | Path | None,
    jobs: int,
) -> pd.DataFrame:
    """A comparison from Python: run what is missing, and give a row a study."""
    from tempfile import TemporaryDirectory

    from harness.store import Store
    from reports.summary import rank_of_each, summarise

    comparison = comparison_of({}, methods=methods, benchmarks=benchmarks, seeds=seeds, overrides=fields)
    with TemporaryDirectory(prefix="foretune-") as temporary:
        folder = Path(out) if out else Path(temporary)
        done = compare(comparison, folder, command="harness.compare(...)", jobs=jobs)
        unstored = [outcome for outcome in done.failed if not outcome.stored]
        if unstored:
            raise RuntimeError(f"{len(unstored)} studies could not be run: {unstored[0].error}")
        comparison, store = declared(folder).comparison, Store(folder / STUDIES)
        records, (kept, refused) = store.records(), wanted(comparison, store)
        studies, events = frames([records[study.key] for study in kept])
    told = summarise(studies, events, facts_of(comparison, refused)).studies
    return studies.drop(columns="finals").merge(told.assign(rank=rank_of_each(told)))


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
