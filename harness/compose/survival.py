"""The comparison again under other settings, one thing changed at a time: do its conclusions survive?

A setting is a list of studies that the comparison's own become by one change, or the same studies read by another
incumbent rule. All of them go into one store beside the comparison's: what is missing is run, so it goes on after any
kill, and a setting more costs its own studies only.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import catalog
from harness.compose.comparisons import SURVIVAL, declared, facts_under, of_studies, refusals, said_of, title_of, wanted
from harness.compose.knowledge import STUDIES
from harness.compose.studies import SURROGATE, data_digest, model_of, run_simulated
from harness.methods import method_from_json

if TYPE_CHECKING:
    from harness.comparison import Comparison, Outcome
    from harness.store import Store
    from harness.study import Record, Study
    from reports.summary import Observed
    from reports.survival_page import Told

AS_COMPARED, RULE, RECOMMEND = "as compared", "incumbent rule", "recommend"
FEW, MANY = (1, 2, 4, 8, 16), (32, 64)
"""Numbers of workers; of many, each must still get so many full trainings:"""
TRAININGS = 3
BUDGETS = {"budget × 1/10": (0.1, 3), "budget × 1/4": (0.25, 2), "budget × 1/2": (0.5, 1), "budget × 2": (2.0, 1)}
"""The budget's factor, and how large the change is."""
DECISIONS = {"decision = budget/1000": (1e-3, 1), "decision = budget/100": (1e-2, 2)}
"""The share of the budget that each decision takes, one after another."""
REPLICATES = (1_000_003, 2_000_003, 3_000_003)
"""Added to the seeds that choose replicates: beyond any that a user counts to."""


@dataclass(frozen=True)
class Setting:
    """What is changed, to what, how large the change is (0: luck alone), the studies, and the rule they are read by."""

    axis: str
    name: str
    step: int
    studies: Sequence[Study]
    rule: str
    refused: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """Why an arm cannot run on a benchmark, as `refusals` has it."""


@dataclass(frozen=True)
class Survived:
    """What came of it: what was found, whether its page had to be drawn, and what was run now."""

    told: Told
    drawn: bool
    outcomes: Sequence[Outcome]

    @property
    def failed(self) -> list[Outcome]:
        """The studies run now that did not end as studies do."""
        return [outcome for outcome in self.outcomes if outcome.error]


def survive(
    folder: Path,
    *,
    command: str,
    jobs: int,
    on_begin: Callable[[Counter[tuple[str, str]]], None] = lambda _: None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> Survived:
    """Run what is missing of the settings of the comparison in `folder`, and write the page into its `survival`.

    command, on_begin and on_outcome: as for `compare`. FileNotFoundError where a study of the comparison itself is
    missing. What a setting cannot do (a method that refuses it, data that is not here) is said on the page.
    """
    from harness.comparison import carry_out, missing
    from harness.store import Store
    from reports import publishing, survival_page

    comparison = declared(folder).comparison
    own = Store(folder / STUDIES)
    studies, refused = wanted(comparison, own)
    if lacking := missing(studies, own):
        raise FileNotFoundError(
            f"{len(lacking)} of {len(studies)} studies of {folder} are missing: run `compare` first"
        )
    store = Store(folder / SURVIVAL / STUDIES)
    possible: list[Setting] = [Setting(AS_COMPARED, AS_COMPARED, 0, studies, comparison.endpoint.rule, refused)]
    impossible = silent(studies)
    for setting in settings_of(comparison, studies):
        try:
            possible.append(_without_refused(setting, store, refused))
        except (ValueError, FileNotFoundError, ImportError) as error:
            impossible[f"not possible: {setting.name}"] = str(error)
    store.sweep()
    there = own.digests() | store.digests()
    left = list({study.key: study for one in possible for study in one.studies if study.key not in there}.values())
    on_begin(Counter((study.arm, study.benchmark.name) for study in left))
    outcomes = carry_out(left, store.folder, run_simulated, jobs=jobs, on_outcome=on_outcome)
    verdicts = _verdicts(possible)
    of, digest = _digests(possible, own.digests() | store.digests(), [impossible, command, verdicts])
    drawn = not publishing.up_to_date(folder / SURVIVAL, digest)
    if drawn:
        found = _found(possible, own, store, of, impossible)
        survival_page.write(folder / SURVIVAL, found, title=title_of(comparison), command=command, digest=digest)
    told = survival_page.read(folder / SURVIVAL, of)
    assert told is not None
    return Survived(told, drawn, outcomes)


def settings_of(comparison: Comparison, studies: Sequence[Study]) -> list[Setting]:
    """The settings of a comparison besides its own, each with its studies; `studies` are the comparison's.

    What arms set for themselves is what they are compared in, and stays. A change that leaves every study as it is, or
    as another setting has it, is no setting.
    """
    from reports.incumbent import RULES

    rule = comparison.endpoint.rule
    set_by_arms = {field for arm in comparison.arms for field in arm.overrides}
    found: list[Setting] = []
    own, seen = {study.key for study in studies}, set[tuple[str, ...]]()
    for axis, name, step, change in _changes(comparison, studies):
        if axis in set_by_arms:
            continue
        changed = [other for study in studies if (other := change(study)) is not None]
        keys = tuple(study.key for study in changed)
        if keys not in seen and not own.issuperset(keys):
            seen.add(keys)
            found.append(Setting(axis.replace("_", " "), name, step, changed, rule))
    recommending = _recommending(studies)
    for other in RULES:
        if other == RECOMMEND and recommending and other != rule:
            asked = [replace(study, recommends=study.arm in recommending) for study in studies]
            found.append(Setting(RULE, f"rule {other}", 1, asked, other))
        elif other not in (RECOMMEND, rule):
            found.append(Setting(RULE, f"rule {other}", 1, studies, other))
    return found


def _recommending(studies: Sequence[Study]) -> list[str]:
    """The arms whose methods say by themselves which config they would hand over."""
    methods = {study.arm: study.method for study in studies}
    return [arm for arm, method in methods.items() if method_from_json(method).recommends]


def silent(studies: Sequence[Study]) -> dict[str, str]:
    """What must be said of the rule `recommend` where methods recommend nothing; else nothing."""
    recommending = _recommending(studies)
    named = ", ".join(dict.fromkeys(study.arm for study in studies if study.arm not in recommending))
    if not recommending:
        return {f"not possible: rule {RECOMMEND}": f"no method says which config it would hand over: {named}"}
    if not named:
        return {}
    return {f"rule {RECOMMEND}": f"{named}: says nothing, so held is what the rule maxfid says"}


Change = Callable[["Study"], "Study | None"]
"""From a study to what it becomes under a setting; None where it has no place in it."""


def _changes(comparison: Comparison, studies: Sequence[Study]) -> Iterator[tuple[str, str, int, Change]]:
    """Every change with its axis, which is a field of benchmarks where it sets one, its name and its size."""
    for number, replicates in enumerate(REPLICATES, 1):
        yield "luck", f"other table seeds {number}", 0, lambda study, n=replicates: replace(study, replicates=n)
    seeds = max(comparison.seeds) + 1
    name = f"fresh seeds {min(comparison.seeds) + seeds} to {max(comparison.seeds) + seeds}"
    yield "luck", name, 0, lambda study: replace(study, seed=study.seed + seeds)
    for miss in ("restrict", "snap", SURROGATE):
        yield "table_miss", f"table: {miss}", 1, lambda study, miss=miss: _answered(study, miss)
    step = _doublings(studies)
    for workers in (*FEW, *MANY):
        name = f"{workers} worker{'s' * (workers > 1)}"
        yield "workers", name, step(workers), lambda study, n=workers: _manned(study, n, comparison.shared)
    yield from _delay_changes(studies)
    for name, (share, size) in DECISIONS.items():
        yield "decision_time", name, size, lambda study, share=share: _deciding(study, share)
    yield "decision_time", "decision as measured", 1, lambda study: replace(study, decision_time="measured")
    for name, (factor, size) in BUDGETS.items():
        yield "budget", name, size, lambda study, factor=factor: _with(study, budget=factor * study.benchmark.budget)


def _delay_changes(studies: Sequence[Study]) -> Iterator[tuple[str, str, int, Change]]:
    total: Counter[str] = Counter()
    for study in studies:
        total.update(study.benchmark.delays.seconds)
    largest = max(total, key=total.__getitem__)

    def without_largest(study: Study) -> Study:
        return _with(study, delays=replace(study.benchmark.delays, **{largest: 0.0}))

    yield "delays", f"no {largest} delay", 1, without_largest
    yield "delays", "no delays", 2, lambda study: _with(study, delays=study.benchmark.delays.times(0.0))
    yield "delays", "delays doubled", 1, lambda study: _with(study, delays=study.benchmark.delays.times(2.0))
    yield "resumable", "paused start over", 1, lambda study: _with(study, resumable=False)


def _with(study: Study, **fields: Any) -> Study:
    """A study whose benchmark has other fields."""
    return replace(study, benchmark=replace(study.benchmark, **fields))


def _deciding(study: Study, share: float) -> Study:
    """A study in which each decision takes a share of the budget."""
    return replace(study, decision_time=f"constant:{share * study.benchmark.budget:.6g}")


def _answered(study: Study, miss: str) -> Study | None:
    """A study whose table answers otherwise, where the benchmark has such an answer."""
    entry = catalog.find_benchmark(study.source)
    if miss == SURROGATE:
        possible = entry.table is not None and (entry.table / "surrogate.json").exists()
    else:
        possible = model_of(study.source, "restrict").restricted_space().rows is not None
    return replace(_with(study, table_miss=miss), data=data_digest(study.source, miss)) if possible else None


def _manned(study: Study, workers: int, shared: int | None) -> Study | None:
    """A study with another number of workers at as many worker-seconds, where these are enough."""
    benchmark = study.benchmark
    budget = benchmark.budget * benchmark.workers / workers
    if workers in MANY:
        full = model_of(study.source, benchmark.table_miss).facts().get("full_seconds")
        if full is None or budget < TRAININGS * full:
            return None
    return replace(_with(study, workers=workers, budget=budget), shared=workers if shared is None else study.shared)


def _doublings(studies: Sequence[Study]) -> Callable[[int], int]:
    """How many doublings or halvings away a number of workers is, at most over the studies, rounded up."""
    from math import ceil, log2

    return lambda workers: ceil(max(abs(log2(workers / study.benchmark.workers)) for study in studies))


def _without_refused(setting: Setting, store: Store, refused: Mapping[tuple[str, str], str]) -> Setting:
    """A setting without the studies of arms that cannot run so; ValueError where on a benchmark none can."""
    if setting.axis != RULE:
        refused = {**refused, **refusals(setting.studies, store)}
    kept = [study for study in setting.studies if (study.source, study.arm) not in refused]
    return replace(setting, studies=kept, refused=refused)


def _digests(settings: Sequence[Setting], there: Mapping[str, str], rest: Any) -> tuple[str, str]:
    """The digest of the comparison's own studies, and that of all that the page is made from."""
    plain = [
        [one.axis, one.name, one.step, one.rule, [[study.key, there.get(study.key)] for study in one.studies]]
        for one in settings
    ]
    text = json.dumps([plain, rest])
    return of_studies(settings[0].studies, there), hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _verdicts(settings: Sequence[Setting]) -> list[str]:
    """What must be said of each surrogate that answers in any of the settings."""
    models = {(study.source, study.benchmark.table_miss): study for one in settings for study in one.studies}
    said = (said_of(study.source, study.benchmark) for study in models.values())
    return list(dict.fromkeys(filter(None, said)))


def _found(settings: Sequence[Setting], own: Store, store: Store, of: str, impossible: Mapping[str, str]) -> Any:
    from reports.survival import Setting as Reported
    from reports.survival_page import Survival

    records = own.records() | store.records()
    reported: list[Reported] = []
    about = dict(impossible)
    for setting in settings:
        kept = [records[study.key] for study in setting.studies if study.key in records]
        if kept:
            reported.append(Reported(setting.axis, setting.name, setting.step, _observed(setting, kept)))
        else:
            about[f"not possible: {setting.name}"] = "none of its studies could be run"
    broken = {**own.broken, **store.broken}
    about |= {"studies in all": str(len(records)), **broken}
    return Survival(reported, of, about, _verdicts(settings))


def _observed(setting: Setting, records: Sequence[Record]) -> Observed:
    from harness.frames import frames, with_missing
    from reports.summary import observed

    seen, events = frames(records)
    benchmarks = {study.benchmark.name: study for study in reversed(setting.studies)}
    facts = {name: facts_under(study.source, study.benchmark, setting.refused) for name, study in benchmarks.items()}
    return observed(with_missing(seen, setting.studies), events, facts, setting.rule)
