"""Comparisons: arms x benchmarks x seeds, and carrying out what is missing of them.

A comparison is a plain declaration. What it wants is a list of studies; what the store has by the same key is never
run again, and a study that stands there under another key is stale: the ingredient that changed is named. Missing
studies are run in batches over processes, each of which publishes its own: nothing but names and numbers travels.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from harness.store import Store
from harness.study import Record, Study, as_installed, differences, identity, key_of

MOST_IN_A_BATCH = 8
"""Studies that a process runs before it publishes them: what a kill can cost, and what Ctrl-C waits for."""

RunStudy = Callable[[Mapping[str, Any]], Record]
Frame = TypeVar("Frame")


@dataclass(frozen=True)
class Arm:
    """What is compared: a method, with fields of the benchmark that it sets for itself, and its start configs."""

    label: str
    method: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    points: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """What the statements of a comparison are about, declared before it runs; whatever else is looked at explores.

    rule: says which trial is the incumbent; metric: what is taken of it; time: when; beside: what stands beside it, of
    the same config, and leads to no verdict of its own; together: what of the metric is compared over several
    benchmarks, in place of its value at one time. The last two are empty in what was declared without them.
    """

    rule: str = "maxfid"
    metric: str = "observed regret"
    time: str = "budget"
    beside: str = "inference regret"
    together: str = "anytime score"


@dataclass(frozen=True)
class Until:
    """How many seeds are enough, declared before the first runs: whole blocks of them are added.

    width: contrasts shall be known to plus or minus this; looks: so many seeds there are each time that one looks, and
    no more than the last; contrasts: pairs of labels, all pairs where there are none.
    """

    width: float
    looks: tuple[int, ...]
    contrasts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Comparison:
    """A declaration of what shall be compared.

    overrides: fields of every benchmark, as JSON; own: fields of single benchmarks, by name, which `overrides` and arms
    set anew; shared: how many first configs all arms have in common, by default as many as workers; finished_trials:
    end each study after so many; until: where seeds are added as they are needed, when to stop: `seeds` are then those
    that there are by now.
    """

    arms: tuple[Arm, ...]
    benchmarks: tuple[str, ...]
    seeds: tuple[int, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    decision_time: str = "none"
    shared: int | None = None
    finished_trials: int | None = None
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    endpoint: Endpoint = field(default_factory=Endpoint)
    until: Until | None = None

    def __post_init__(self) -> None:
        labels = [arm.label for arm in self.arms]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"two arms have the label {twice[0]!r}: give one of them another, LABEL=METHOD")
        if not (self.arms and self.benchmarks and self.seeds):
            raise ValueError("a comparison needs at least one arm, one benchmark and one seed")
        if any(seed < 0 for seed in self.seeds):
            raise ValueError(f"seeds start at 0, given {min(self.seeds)}")
        for one, other in self.until.contrasts if self.until else ():
            if one == other or not {one, other} <= set(labels):
                raise ValueError(f"contrast {one!r} with {other!r}: each names two of the arms {', '.join(labels)}")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "arms": [
                {"label": arm.label, "method": arm.method, "overrides": dict(arm.overrides), "points": list(arm.points)}
                for arm in self.arms
            ],
            "benchmarks": list(self.benchmarks),
            "seeds": list(self.seeds),
            "overrides": dict(self.overrides),
            "decision_time": self.decision_time,
            "shared": self.shared,
            "finished_trials": self.finished_trials,
            "own": {name: dict(fields) for name, fields in self.own.items()},
            "endpoint": asdict(self.endpoint),
            "until": self.until and asdict(self.until),
        }

    @staticmethod
    def from_json(plain: Mapping[str, Any]) -> Comparison:
        """A comparison from what `to_json` gave."""
        fields: dict[str, Any] = dict(plain)
        fields["arms"] = tuple(
            Arm(arm["label"], arm["method"], arm["overrides"], tuple(arm["points"])) for arm in plain["arms"]
        )
        fields["benchmarks"], fields["seeds"] = tuple(plain["benchmarks"]), tuple(plain["seeds"])
        if "endpoint" in plain:
            fields["endpoint"] = Endpoint(**{"beside": "", "together": "", **plain["endpoint"]})
        if until := plain.get("until"):
            contrasts = tuple((one, other) for one, other in until["contrasts"])
            fields["until"] = Until(until["width"], tuple(until["looks"]), contrasts)
        return Comparison(**fields)


@dataclass(frozen=True)
class Outcome:
    """What became of one study that was run now.

    seconds: what it took; error: empty where it ended as studies do; stored: whether the store has it.
    """

    arm: str
    benchmark: str
    seed: int
    seconds: float
    error: str
    stored: bool


def missing(studies: Sequence[Study], store: Store) -> list[Study]:
    """The studies whose keys the store does not have.

    Nothing else is read, since that takes long: a segment that is damaged elsewhere is found by a report.
    """
    there = store.digests()
    return [study for study in studies if study.key not in there]


def as_stored(studies: Sequence[Study], store: Store) -> list[Study]:
    """The studies, those that were run only where something else was installed as the store has them."""
    there = store.digests()
    if all(study.key in there for study in studies):
        return list(studies)
    methods: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for spec in store.specs().values():
        methods.setdefault((spec["arm"], spec["benchmark"]["name"], spec["seed"]), []).append(spec["method"])
    found: list[Study] = []
    for study in studies:
        named = methods.get((study.arm, study.benchmark.name, study.seed), [])
        known = (one for one in (study, *(as_installed(study, method) for method in named)) if one.key in there)
        found.append(next(known, study))
    return found


def stale(studies: Sequence[Study], store: Store) -> dict[str, str]:
    """For each missing study that the store has with other ingredients: its name, and what changed."""
    there = store.specs()
    named: dict[tuple[str, str, int], dict[str, Any]] = {
        (spec["arm"], spec["benchmark"]["name"], spec["seed"]): spec for spec in there.values()
    }
    reasons: dict[str, str] = {}
    for study in studies:
        old = named.get((study.arm, study.benchmark.name, study.seed))
        if study.key not in there and old is not None:
            changed = ", ".join(place for place, _, _ in differences(identity(old), identity(study.spec())))
            reasons[f"{study.arm} on {study.benchmark.name}, seed {study.seed}"] = f"{changed} changed"
    return reasons


def in_blocks(looks: Sequence[int], run: Callable[[int], Frame], decided: Callable[[Frame], bool]) -> int:
    """Have whole blocks of seeds run until it is decided, or to the last look; gives how many seeds there are then.

    run: called with how many there shall be, gives what came of all of them.
    """
    for seeds in looks:
        if decided(run(seeds)):
            return seeds
    return looks[-1]


def carry_out(
    studies: Sequence[Study], folder: Path, run: RunStudy, *, jobs: int, on_outcome: Callable[[Outcome], None]
) -> list[Outcome]:
    """Run studies over `jobs` processes, each publishing to the store in `folder`; gives what became of each.

    run: a function at the top of a module, called with a study's ingredients. A KeyboardInterrupt ends the processes;
    what they published is kept.
    """
    outcomes: list[Outcome] = []
    batches = _batches(studies, jobs)
    for outcome in _outcomes(batches, folder, run, jobs):
        outcomes.append(outcome)
        on_outcome(outcome)
    return outcomes


def _outcomes(batches: list[list[dict[str, Any]]], folder: Path, run: RunStudy, jobs: int) -> Iterator[Outcome]:
    if jobs == 1 or len(batches) == 1:
        for batch in batches:
            yield from run_batch(folder, batch, run)
        return
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    left = dict(enumerate(batches))
    try:
        for place, ended in _in_processes(batches, folder, run, jobs):
            del left[place]
            yield from ended
    except TerminatedWorkerError:
        # Nobody knows whose fault it was: what is left is run one by one, and only who kills again is given up.
        there = Store(folder).digests()
        for spec in (spec for batch in left.values() for spec in batch if key_of(spec) not in there):
            try:
                for _, ended in _in_processes([[spec]], folder, run, 1):
                    yield from ended
            except TerminatedWorkerError:
                name = (spec["arm"], spec["benchmark"]["name"], spec["seed"])
                yield Outcome(*name, 0.0, "its process was killed, perhaps for want of memory", stored=False)


def _in_processes(
    batches: list[list[dict[str, Any]]], folder: Path, run: RunStudy, jobs: int
) -> Iterator[tuple[int, list[Outcome]]]:
    """What became of each batch, with its place; where a process is killed, its error after all that had ended."""
    from concurrent.futures import as_completed

    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    # Ctrl-C reaches every process of a terminal: the workers leave it to us, and finish the batch they are at.
    executor: Any = ProcessPoolExecutor(max_workers=jobs, initializer=ignore_interrupts)
    futures = {executor.submit(run_batch, folder, batch, run): place for place, batch in enumerate(batches)}
    killed: Exception | None = None
    try:
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except TerminatedWorkerError as error:
                killed = error
    finally:
        for future in futures:
            future.cancel()
        executor.shutdown(wait=True)
    if killed is not None:
        raise killed


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that hands out the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_batch(folder: Path, specs: Sequence[Mapping[str, Any]], run: RunStudy) -> list[Outcome]:
    """Run some studies in this process on one thread and publish them together."""
    from threadpoolctl import threadpool_limits

    records: list[Record] = []
    outcomes: list[Outcome] = []
    with threadpool_limits(1):
        for spec in specs:
            name = (spec["arm"], spec["benchmark"]["name"], spec["seed"])
            try:
                record = run(spec)
            except KeyboardInterrupt:
                break
            except Exception as error:
                # Not the method's doing (data that is not here, memory): another try may go well, so nothing is kept.
                outcomes.append(Outcome(*name, 0.0, f"{type(error).__name__}: {error}", stored=False))
                continue
            if record.why == "interrupted":
                break
            records.append(record)
            outcomes.append(Outcome(*name, record.real_seconds, record.error, stored=True))
    Store(folder).publish(records)
    if len(outcomes) < len(specs):
        raise KeyboardInterrupt
    return outcomes


def _batches(studies: Sequence[Study], jobs: int) -> list[list[dict[str, Any]]]:
    """Studies of different arms together, so that batches last alike; several batches a process, so that few wait."""
    ordered = sorted(studies, key=lambda study: (study.benchmark.name, study.seed))
    size = max(1, min(MOST_IN_A_BATCH, len(ordered) // (4 * jobs)))
    specs = [study.spec() for study in ordered]
    return [specs[start : start + size] for start in range(0, len(specs), size)]
