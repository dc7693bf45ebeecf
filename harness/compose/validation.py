"""The same studies for real and simulated, from the same seeds: does the simulation agree with reality?

Each real study is a journal in a folder of its own, so a validation goes on after any kill where it stood. Just before
each, the machine's speed is taken: a fixed config of the table is trained by the same script, on as many workers as the
study has; what a level takes is divided by what the table says, and what a process takes to begin and to leave is
measured beside it. The simulated study is run with times multiplied by the first and with the other two, and once more
as it is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from harness import catalog
from harness.compose import trainings
from harness.compose.cards import verdict
from harness.compose.declarations import comparison_of
from harness.compose.delays import measured, stretches
from harness.compose.studies import SURROGATE, model_of, prepared, simulate, studies_of, study_of

if TYPE_CHECKING:
    from harness.comparison import Comparison
    from harness.lines import LineWriter
    from harness.space import Config
    from harness.study import Record, Study
    from harness.types import Benchmark, Curve, CurveModel, Decision, Delays, Job, Report
    from reports.agreement import World

STUDIES, PROBES, REPORT = "real", "probes.lines", "report"
REPEATS = tuple(1000 * luck for luck in range(1, 11))
"""What is added to the seeds by which curves have their luck, in further simulations of each study."""


class Validated(NamedTuple):
    """What a validation came to: its statements, and the real studies that failed."""

    lines: list[str]
    failed: list[str]


def validate(
    name: str,
    folder: Path,
    *,
    methods: Sequence[str],
    seeds: Sequence[int],
    workers: int,
    budget: float,
    table: str | None,
    warm: bool = False,
    probe: float,
    command: str,
    say: Callable[[str], None] = lambda _: None,
) -> Validated:
    """Run what is missing of the real studies of a benchmark, simulate all, and write the page into `folder`.

    budget: seconds of each study; table: what simulates, `surrogate` or `snap`, by default a surrogate where one is
    fitted; warm: whether workers keep their processes; probe: seconds for which the speed is taken; command: what the
    user typed; say: told of each real study.
    ValueError where the benchmark has no script or no table, or cannot simulate a method. Ctrl-C raises
    KeyboardInterrupt, the study kept as it is.
    """
    from harness.lines import LineWriter

    overrides: dict[str, Any] = {"workers": workers, "budget": budget, "table_miss": _answering(name, table)}
    overrides |= {"delays": {"warm": True}} if warm else {}
    comparison = comparison_of({}, methods=methods, benchmarks=[name], seeds=seeds, overrides=overrides, real=True)
    studies = sorted(studies_of(comparison, real=True), key=lambda study: study.seed)
    _check_at_the_door(comparison, studies)
    folder.mkdir(parents=True, exist_ok=True)
    records: list[Record] = []
    with LineWriter(folder / PROBES) as probes:
        for number, study in enumerate(studies, 1):
            records.append(_real(study, folder, probe, probes))
            say(f"{number}/{len(studies)}  {study.arm} seed {study.seed}  {len(records[-1].cost)} reports")
    return _report(comparison, studies, records, folder, command)


def _answering(name: str, table: str | None) -> str:
    """What answers for any config of a benchmark in the simulation."""
    entry = catalog.find_benchmark(name)
    if entry.table is None:
        raise ValueError(f"benchmark {name!r} has no table, so nothing simulates it: `tabulate {name}` makes one")
    if table not in (None, "snap", SURROGATE):
        raise ValueError(
            f"a real study trains any config of the space, so any must be answered for: --table {SURROGATE} or "
            f"--table snap, given {table!r}"
        )
    return table or (SURROGATE if (entry.table / "surrogate.json").exists() else "snap")


def _check_at_the_door(comparison: Comparison, studies: Sequence[Study]) -> None:
    """Refuse what would fail after hours: no script, a method that the simulation cannot serve, no ruler for regret."""
    name = comparison.benchmarks[0]
    trainings.command_of(studies[0])
    for arm in comparison.arms:
        twin = study_of(comparison, arm, name, studies[0].seed)
        prepared(twin, model_of(name, twin.benchmark.table_miss).under(twin.benchmark))
    facts = _facts(name, studies[0].benchmark)
    if not facts["optimum"] < facts["median"]:
        raise ValueError(f"best and median of the table of {name!r} are the same, so nothing measures regret")


# -- for real -------------------------------------------------------------------------------------------------------


def _real(study: Study, folder: Path, probe: float, probes: LineWriter) -> Record:
    """The record of a real study, which is run, or goes on, or is read back where it is over."""
    from harness.journal import begun
    from harness.loop import Why

    place = folder / STUDIES / f"{study.arm}-{study.seed}".replace("/", "_")
    journal = place / trainings.JOURNAL
    known = begun(journal)
    if known is None or _goes_on(journal, study):
        taken = probed(study, probe)._asdict()
        of = {"arm": study.arm, "seed": study.seed, "machine": _machine()}
        probes.append({**of, **taken, "continues": known is not None})
    log, record = trainings.run_real(study, place)
    if log.why is Why.INTERRUPTED:
        raise KeyboardInterrupt
    return record


def _goes_on(journal: Path, study: Study) -> bool:
    """Whether a journal is that of a study which was interrupted, or has another budget now."""
    from harness.journal import read
    from harness.loop import Why

    spec, log, _ = read(journal)
    return log.why is Why.INTERRUPTED or spec["benchmark"]["budget"] != study.benchmark.budget


class _Again:
    """Trains one config to the end, again and again."""

    def __init__(self, config: Config, until: int) -> None:
        self._config, self._until, self._trials = config, until, 0

    def ask(self) -> Job | None:
        from harness.types import Job

        self._trials += 1
        return Job(self._trials - 1, self._config, self._until)

    def tell(self, report: Report) -> Decision:
        from harness.types import Decision

        return Decision.CONTINUE


class Probe(NamedTuple):
    """What the machine took just before a study.

    pace: how many times as long as the table says a level takes; start_up and leave: seconds of a process before its
    first training step, and after its last report.
    """

    pace: float
    start_up: float
    leave: float

    def on(self, declared: Delays) -> Delays:
        """The delays of a machine that takes that."""
        return replace(declared.times(self.pace), start_up=self.start_up, leave=self.leave)


def probed(study: Study, seconds: float) -> Probe:
    """What the machine takes now, with all workers at work.

    Of the first config of the table that was trained to the end, over so many seconds; a job's first and last level,
    which have its start and its end in them, say nothing of the pace. ValueError where that was too short to see
    another.
    """
    from harness.local import Local
    from harness.loop import Why, run
    from harness.types import NANOSECONDS

    benchmark = study.benchmark.with_space(study.benchmark.space.opened())
    config, expected = trained_by_probes(study)
    with TemporaryDirectory(prefix="foretune-probe-") as temporary:
        executor = Local(benchmark, trainings.command_of(study), benchmark.workers, Path(temporary))
        log = run(benchmark, _Again(config, benchmark.fidelity.maximum), executor, round(seconds * NANOSECONDS))
    if log.why is Why.INTERRUPTED:
        raise KeyboardInterrupt
    jobs = stretches(log, benchmark.delays.warm)
    last = benchmark.fidelity.maximum
    between = [event.report for job in jobs for event in job.events[1:] if event.report.resource < last]
    if not between:
        reasons = "; ".join(dict.fromkeys(reason.splitlines()[0] for reason in executor.failures.values()))
        raise ValueError(
            f"in {seconds:g} s no training came to its second {benchmark.fidelity.unit}"
            + (f" ({reasons})" if reasons else "")
            + ": give a longer --probe"
        )
    took, told = (
        sum(numbers) for numbers in zip(*((one.cost, expected[one.resource]) for one in between), strict=True)
    )
    delays = measured(jobs, study.benchmark.delays)
    return Probe(took / told, delays.start_up, delays.leave)


def trained_by_probes(study: Study) -> tuple[Config, dict[int, float]]:
    """The config by which speed is taken, and the seconds that the table has for each level above the first."""
    from harness.types import NANOSECONDS, End

    table = model_of(study.source, "restrict")
    delays, levels = study.benchmark.delays, table.benchmark.fidelity.levels
    for config in table.restricted_space().rows or ():
        curve = table.curve(config, study.seed)
        if curve.end is End.COMPLETE:
            break
    else:
        raise ValueError(f"no training in the table of {study.benchmark.name!r} came to its end: nothing to compare")
    steps = zip(levels[1:], curve.nanoseconds[1:], curve.nanoseconds[:-1], strict=True)
    beside = delays.evaluate + delays.save
    return config, {level: (time - before) / NANOSECONDS + beside for level, time, before in steps}


def _machine() -> str:
    """The processor and the system of this machine, in words."""
    from harness.tabulate import machine

    here = machine()
    return f"{here['processor']}, {here['cores']} cores, {here['system']}"


def _probes(folder: Path) -> tuple[dict[tuple[str, int], list[Probe]], dict[tuple[str, int], str]]:
    """What was taken before each real study, several where it was interrupted and went on; and on which machine."""
    from harness.lines import read_lines

    probes: dict[tuple[str, int], list[Probe]] = {}
    machines: dict[tuple[str, int], str] = {}
    for line in read_lines(folder / PROBES):
        key = line["arm"], line["seed"]
        probes[key] = [
            *(probes.get(key, []) if line["continues"] else []),
            Probe(*(line[name] for name in Probe._fields)),
        ]
        machines[key] = line.get("machine", "not recorded")
    return probes, machines


# -- simulated ------------------------------------------------------------------------------------------------------


class Paced:
    """A curve model on a machine that takes so many times as long."""

    def __init__(self, model: CurveModel, pace: float) -> None:
        self.benchmark = model.benchmark
        self.digest = model.digest
        self._model = model
        self._pace = pace

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve, its times multiplied."""
        curve = self._model.curve(config, seed)
        return curve._replace(nanoseconds=tuple(round(time * self._pace) for time in curve.nanoseconds))


def simulated(study: Study, probe: Probe | None, luck: int = 0) -> Record:
    """The record of a study on the simulated clock of a machine as a probe has found it, else as it is declared.

    luck: added to the seed where it chooses the luck of curves; all else stays.
    """
    from harness.study import record

    study = replace(study, replicates=luck)

    pace = 1.0 if probe is None else probe.pace
    delays = study.benchmark.delays if probe is None else probe.on(study.benchmark.delays)
    slowed = replace(study.benchmark, delays=delays)
    model = model_of(study.source, study.benchmark.table_miss).under(slowed)
    paced: Any = Paced(model, pace)
    return record(study, *simulate(replace(study, benchmark=slowed), curves=paced))


# -- the page -------------------------------------------------------------------------------------------------------


def _report(
    comparison: Comparison, studies: Sequence[Study], real: Sequence[Record], folder: Path, command: str
) -> Validated:
    from reports import validation

    name = comparison.benchmarks[0]
    probes, machines = _probes(folder)
    arms = {arm.label: arm for arm in comparison.arms}
    twins = [study_of(comparison, arms[study.arm], name, study.seed) for study in studies]
    means = [Probe(*map(mean, zip(*probes[study.arm, study.seed], strict=True))) for study in studies]
    records = {
        "real": list(real),
        "simulated": [simulated(twin, probe) for twin, probe in zip(twins, means, strict=True)],
        "uncorrected": [simulated(twin, None) for twin in twins],
    }
    repeats = [[simulated(twin, probe, luck) for twin, probe in zip(twins, means, strict=True)] for luck in REPEATS]
    benchmark = studies[0].benchmark
    order = {label: place for place, label in enumerate(arms)}
    continued = sum(len(probes[study.arm, study.seed]) > 1 for study in studies)
    failed = [
        f"{study.arm} seed {study.seed}: {one.error}" for study, one in zip(studies, real, strict=True) if one.error
    ]
    found = validation.Validation(
        benchmark.name,
        {world: _world(of, order) for world, of in records.items()},
        [_world(of, order) for of in repeats],
        _facts(name, benchmark),
        benchmark.fidelity.continues,
        _about(name, benchmark, means, comparison)
        | {"machine": _counted([machines[study.arm, study.seed] for study in studies])},
        _notes(len(studies), continued, len(failed)),
    )
    said = validation.write(folder / REPORT, found, command=command)
    return Validated([line.text for line in said], failed)


def _world(records: Sequence[Record], order: Mapping[str, int]) -> World:
    """Studies as frames, by their arms in the declared order."""
    import pandas as pd

    from harness.frames import frames
    from reports.agreement import World

    ordered = sorted(records, key=lambda one: order[one.spec["arm"]])
    studies, events = frames(ordered)
    configs = [
        {"arm": one.spec["arm"], "seed": one.spec["seed"], "trial": trial, "config": json.dumps(config)}
        for one in ordered
        for trial, config in map(json.loads, one.configs)
    ]
    return World(studies, events, pd.DataFrame(configs, columns=["arm", "seed", "trial", "config"]))


def _facts(name: str, benchmark: Benchmark) -> dict[str, Any]:
    """What is known of the benchmark; best and median are those of the table, whatever simulates."""
    facts = model_of(name, "restrict").facts()
    return {
        "metric": benchmark.objectives[0].metric,
        "unit": benchmark.fidelity.unit,
        "levels": list(benchmark.fidelity.levels),
        **{fact: facts[fact] for fact in ("optimum", "median", "noise")},
    }


def _about(name: str, benchmark: Benchmark, probes: Sequence[Probe], comparison: Comparison) -> dict[str, str]:
    def spread(values: Sequence[float], unit: str = "") -> str:
        return f"{min(values):.3f} to {max(values):.3f}, mean {mean(values):.3f}{unit}"

    words = {"snap": "the nearest rows of the table", SURROGATE: f"the surrogate ({verdict(name) or 'not judged'})"}
    return {
        "simulated by": words[benchmark.table_miss],
        "methods": ", ".join(arm.method for arm in comparison.arms),
        "seeds": ", ".join(map(str, comparison.seeds)),
        "workers": str(benchmark.workers),
        "budget of a study": f"{benchmark.budget:g} s",
        "time of a level over that of the table": spread([probe.pace for probe in probes]),
        "start of a process as probed": spread([probe.start_up for probe in probes], " s"),
        "leaving as probed": spread([probe.leave for probe in probes], " s"),
        "delays as declared": ", ".join(f"{delay} {value:g} s" for delay, value in benchmark.delays.seconds.items())
        + ", a start-up once for each worker" * benchmark.delays.warm,
    }


def _counted(machines: Sequence[str]) -> str:
    """Each machine once, with how many of the studies ran there where there are several."""
    counts = Counter(machines)
    if len(counts) == 1:
        return machines[0]
    return "; ".join(f"{machine}: {count} of {len(machines)} studies" for machine, count in counts.items())


def _notes(studies: int, continued: int, failed: int) -> list[str]:
    notes = [f"{studies} real studies, each with its simulated twin."]
    if continued:
        notes.append(f"Interrupted and continued, with restarts in their times: {continued} of them.")
    if failed:
        notes.append(f"Failed, and counted as the median random config: {failed} of them.")
    return notes
