"""The contract, checked: of a method on made-up benchmarks, of a stored study, of a whole store.

A law is one small function whose docstring says it; `check_method` runs them all on a method, ours or a stranger's.
A law knows nothing of the method: it lets the method run studies on toys and looks at what they became
(`harness.watched`).
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from harness._toy_training import diverges
from harness.command import Command
from harness.known_answers import CHECKS as KNOWN_ANSWERS
from harness.local import Local
from harness.loop import Started, Why, run
from harness.methods import Method, build, method_from_json
from harness.names import PROJECT
from harness.randomness import stream
from harness.simulated import Simulated
from harness.space import Space, choice, loguniform, ordinal, randint, uniform
from harness.store import Store
from harness.study import KINDS
from harness.toys import MIXED, Toy, falling, toy_benchmark
from harness.trace import check_trace
from harness.types import NANOSECONDS, Benchmark, Decision, Delays, End, Executor, Job, Report
from harness.watched import Refusal, Watched, past_tasks, studied, suited, watched
from harness.weight import Weight, weight


class Finding(NamedTuple):
    """What became of one check; an empty problem: it holds, or, where a reason is given, it does not apply."""

    check: str
    problem: str
    refusal: str = ""


CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")


# -- the laws ---------------------------------------------------------------------------------------------------------


def _is_legal(method: Method) -> str:
    """configs lie in the space and meet its conditions, trials are fresh, resources rise"""
    return studied(method, Toy(toy_benchmark()))[1]


def _repeats(method: Method) -> str:
    """the same seed gives the same study, whatever the random state of others and whatever a clock says"""
    first = studied(method, Toy(toy_benchmark()))[0]
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        before = random.getstate(), repr(np.random.get_state())  # noqa: NPY002
        with _hurrying_clocks():
            second = studied(method, Toy(toy_benchmark()))[0]
        if before != (random.getstate(), repr(np.random.get_state())):  # noqa: NPY002
            return "it draws from a global random state"
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
    return "" if first.digest() == second.digest() else "two runs with one seed differ"


@contextmanager
def _hurrying_clocks() -> Generator[None]:
    """Let all clocks of `time` run a thousand times as fast, so that it is another year too."""
    clocks = {name: getattr(time, name) for name in CLOCKS}
    try:
        for name, clock in clocks.items():
            setattr(time, name, lambda clock=clock: 1000 * clock())
        yield
    finally:
        for name, clock in clocks.items():
            setattr(time, name, clock)


def _repeats_elsewhere(method: Method) -> str:
    """the same seed gives the same study in another process with other string hashes"""
    code = "import json, sys; from harness import checks; print(checks.digest_of(json.loads(sys.argv[1])))"
    environment = os.environ | {
        "PYTHONHASHSEED": "12345",
        "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]),
    }
    here = digest_of(method.to_json())
    command = [sys.executable, "-c", code, json.dumps(method.to_json())]
    other = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if other.returncode:
        return other.stderr.strip().splitlines()[-1]
    return (
        ""
        if other.stdout.strip() == here
        else "another process gives another study: sets, hashes, identities or a clock decide"
    )


def digest_of(method: dict[str, Any]) -> str:
    """The digest of a method's study on the first toy, from what `Method.to_json` gave."""
    return studied(method_from_json(method), Toy(toy_benchmark()))[0].digest()


def _survives_failures(method: Method) -> str:
    """failing trials, all of them failing, with many workers or one, and curves that end early are survived"""
    kinds: tuple[Callable[[float], End], ...] = (
        lambda place: End.DIVERGED if place < 0.5 else End.COMPLETE,
        lambda place: End.DIVERGED,
        lambda place: End.EARLY,
    )
    toys = [Toy(toy_benchmark(epochs=4), ends=ends) for ends in kinds]
    return _first(studied(method, toy)[1] for toy in (*toys, Toy(toy_benchmark(workers=1), ends=kinds[1])))


def _survives_infinite_losses(method: Method) -> str:
    """losses that are infinite without an end of the trial are survived"""
    some = Toy(toy_benchmark(epochs=6), lambda place, level: math.inf if place < 0.5 else falling(place, level))
    return _first(studied(method, toy)[1] for toy in (some, Toy(some.benchmark, lambda place, level: math.inf)))


def _survives_ties(method: Method) -> str:
    """equal losses and equal durations are survived"""
    return studied(method, Toy(toy_benchmark(epochs=7), lambda place, level: 1.0, lambda place: 1.0))[1]


def _works_alone(method: Method) -> str:
    """one worker is enough"""
    return studied(method, Toy(toy_benchmark(workers=1, epochs=40)))[1]


def _works_with_many(method: Method) -> str:
    """64 workers are kept apart"""
    return studied(method, Toy(toy_benchmark(workers=64, epochs=2.15, levels=(1, 2))))[1]


def _works_on_every_space(method: Method) -> str:
    """spaces of one hyperparameter, of a hundred, of choices only, are searched"""
    spaces = (
        Space({"x": uniform(0, 1)}),
        Space({f"x{i}": (uniform(0, 1), randint(1, 9), loguniform(1e-3, 1))[i % 3] for i in range(100)}),
        Space({name: choice(["a", "b", "c", "d"]) for name in ("p", "q", "r")}),
    )
    return _first(studied(method, Toy(toy_benchmark(space, epochs=7)))[1] for space in spaces)


def _works_on_every_fidelity(method: Method) -> str:
    """levels that start high and have gaps; or a refusal in words: one level, no checkpoints, fresh trainings"""
    benchmark = toy_benchmark(epochs=10)
    if problem := studied(method, Toy(toy_benchmark(levels=(5, 6, 20, 50), epochs=60)))[1]:
        return problem
    kinds = {
        "a single level": toy_benchmark(levels=(7,), epochs=16),
        "trials that cannot be resumed": replace(benchmark, resumable=False),
        "fresh trainings": replace(benchmark, fidelity=replace(benchmark.fidelity, continues=False)),
    }
    for name, kind in kinds.items():
        try:
            if problem := studied(method, Toy(kind))[1]:
                return problem
        except ValueError as refusal:  # at the door, as of a method that lives on what is said on the way
            if not str(refusal):
                return f"it refuses {name} without a reason"
    return ""


def _ends_with_the_space(method: Method) -> str:
    """a space with a dozen configs, or fewer by conditions, ends without an error, and not before all were tried"""
    domains = {"p": choice(["a", "b", "c"]), "q": ordinal([1, 2, 3, 4])}
    for space in (Space(domains), Space(domains, {"q": {"p": ["a", "b"]}})):
        done, problem = studied(method, Toy(toy_benchmark(space, epochs=400)))
        tried = len({json.dumps(json.loads(text)[1]) for text in done.configs})
        if problem or (tried != space.size and done.why != Why.BUDGET):
            return problem or f"it ends when it has tried {tried} of {space.size} configs"
    return ""


def _keeps_to_rows(method: Method) -> str:
    """restricted to the rows of a table it proposes rows only, and none twice"""
    rows = MIXED.sample(stream("rows"), 40)
    done, problem = studied(method, Toy(toy_benchmark(MIXED.restricted(rows), epochs=14)))
    configs = [json.dumps(json.loads(text)[1]) for text in done.configs]
    if strange := set(configs) - {json.dumps(row) for row in rows}:
        return f"{strange.pop()} is no row of the table"
    return problem or ("" if len(set(configs)) == len(configs) else "it proposes a row twice")


def _tries_start_configs(method: Method) -> str:
    """the start configs that a user gives are tried, all of them"""
    toy = suited(method, Toy(toy_benchmark(epochs=25)))
    space = toy.restricted_space()
    first = [config for config in space.sample(stream("start configs"), 6) if space.claim(config)]
    benchmark = toy.benchmark.with_space(space)
    scheduler = build(method, benchmark, stream("check"), first, past_tasks(space) if method.learns else None)
    executor = Simulated(toy, benchmark.workers, 0, benchmark.delays)
    log = run(benchmark, scheduler, executor, round(benchmark.budget * NANOSECONDS))
    if log.error:
        return log.error.splitlines()[-1]
    tried = {space.key(event.job.config) for event in log.events if isinstance(event, Started)}
    left = (f"it never tries {dict(config)}, which was given" for config in first if space.key(config) not in tried)
    return next(left, "")


def _recommends_what_it_knows(method: Method) -> str:
    """what it recommends, where it does, has reported, and being asked changes nothing that it does"""
    toy = Toy(toy_benchmark(epochs=40), ends=lambda place: End.DIVERGED if place > 0.6 else End.COMPLETE)
    toy = suited(method, toy)  # who runs nowhere says so here too
    if not method.recommends:
        return ""
    (plain, _), (asked, problem) = (studied(method, toy, recommends=recommends) for recommends in (False, True))
    said = asked.kind == KINDS.index("recommended")
    if not said.any():
        return "it has a `recommend` that never recommends anything"
    names = ("kind", "time", "worker", "trial", "resource", "code")
    same = all(np.array_equal(getattr(asked, name)[~said], getattr(plain, name)) for name in names)
    return problem or ("" if same and asked.configs == plain.configs else "being asked changes what it does")


REPORTS = 100
"""So many, and four times as many, are told to a scheduler that is weighed."""
GROWTH, ENTRIES, BYTES = 6, 5_000, 2**24
"""How many times as much may be held after four times the reports, and beside that so many entries and bytes: a model
may be made in between, and a matrix over a capped number of observations grows until it has them."""
JOBS = 16
TRAINING = Path(__file__).with_name("_toy_training.py")


@dataclass
class _Weighed:
    """A scheduler that is weighed after so many reports, and asks for nothing more after the last of them."""

    watched: Watched
    after: tuple[int, ...]
    weights: list[Weight] = field(default_factory=list)
    told: int = 0

    def ask(self) -> Job | None:
        return self.watched.ask() if len(self.weights) < len(self.after) else None

    def tell(self, report: Report) -> Decision:
        decision = self.watched.tell(report)
        self.told += 1
        if self.told in self.after:
            self.weights.append(weight(self.watched.scheduler))
        return decision


def _holds_in_proportion(method: Method) -> str:
    """what it holds in memory grows no faster than the number of its reports"""
    toy = suited(method, Toy(toy_benchmark()))
    benchmark = toy.benchmark.with_space(toy.restricted_space())
    weighed = _Weighed(watched(method, benchmark, stream("check")), (REPORTS, 4 * REPORTS))
    log = run(benchmark, weighed, Simulated(toy, benchmark.workers, 0, benchmark.delays), 10**18)
    if log.error:
        return log.error.splitlines()[-1]
    if len(weighed.weights) < len(weighed.after):
        return f"its study ends after {weighed.told} reports, too few to weigh what it holds"
    for few, many in pairwise(weighed.weights):
        for name, allowed in (("entries", ENTRIES), ("bytes", BYTES)):
            before, after = getattr(few, name), getattr(many, name)
            if after > GROWTH * before + allowed:
                return f"after {REPORTS} reports it holds {before:,} {name}, after {4 * REPORTS} {after:,}"
    return ""


@dataclass
class _Noted:
    """A scheduler that asks for so many jobs and is told declared costs; all that it decides is noted."""

    watched: Watched
    left: int = JOBS
    decisions: list[tuple[object, ...]] = field(default_factory=list)

    def ask(self) -> Job | None:
        job = self.watched.ask() if self.left else None
        if job is not None:
            self.left -= 1
            self.decisions.append(("asks for", job.trial, dict(job.config), job.until, job.parent))
        return job

    def tell(self, report: Report) -> Decision:
        decision = self.watched.tell(report._replace(cost=report.metrics.get("size", 0.0)))
        said = (report.trial, report.resource, report.losses, report.status.name, decision)
        self.decisions.append(("answers", *said))
        return decision


def _decides_alike_for_real(method: Method) -> str:
    """it decides the same whether a process trains or the clock is simulated"""
    square = Space({"x": uniform(0, 1), "y": uniform(0, 1)})
    toy = suited(
        method,
        Toy(toy_benchmark(square, workers=1), ends=lambda place: End.DIVERGED if diverges(place) else End.COMPLETE),
    )
    simulated = _decisions(method, toy.benchmark, Simulated(toy, 1, 0, toy.benchmark.delays))
    warm = replace(toy.benchmark, delays=Delays(warm=True))
    script = Command((sys.executable, str(TRAINING)), "epochs")
    with TemporaryDirectory() as folder, closing(Local(warm, script, 1, Path(folder))) as processes:
        real = _decisions(method, toy.benchmark, processes)
    for number, (one, other) in enumerate(zip_longest(simulated, real), start=1):
        if one != other:
            return f"decision {number} is {one} on the simulated clock, and {other} where a process trains"
    return ""


def _decisions(method: Method, benchmark: Benchmark, executor: Executor) -> list[tuple[object, ...]]:
    """What a method decides where trials are trained one at a time, and how its study ends."""
    benchmark = benchmark.with_space(benchmark.space.opened())
    noted = _Noted(watched(method, benchmark, stream("check")))
    log = run(benchmark, noted, executor, 10**18)
    return [*noted.decisions, (log.why, log.error)]


# One small function a law; its docstring is the law in words.
LAWS: tuple[Callable[[Method], str], ...] = (
    _is_legal,
    _repeats,
    _repeats_elsewhere,
    _survives_failures,
    _survives_infinite_losses,
    _survives_ties,
    _works_alone,
    _works_with_many,
    _works_on_every_space,
    _works_on_every_fidelity,
    _ends_with_the_space,
    _keeps_to_rows,
    _tries_start_configs,
    _recommends_what_it_knows,
    _holds_in_proportion,
    _decides_alike_for_real,
)


def _first(problems: Iterator[str]) -> str:
    return next((problem for problem in problems if problem), "")


def check_method(method: Method) -> list[Finding]:
    """Whether a method keeps the contract: one finding a law."""
    findings: list[Finding] = []
    for law in LAWS:
        refusal = ""
        try:
            problem = law(method)
        except Refusal as reason:
            problem, refusal = "", str(reason)
        except Exception as error:  # a stranger's constructor may raise anything
            problem = f"{type(error).__name__}: {error}"
        findings.append(Finding((law.__doc__ or "").strip(), problem, refusal))
    if all(finding.refusal for finding in findings):
        findings = [finding._replace(problem=f"it runs on no toy: {finding.refusal}") for finding in findings]
    return findings


def known_answers() -> list[Finding]:
    """Whether the machine gives the answers that are known without it: one finding each."""
    from harness.known_formulas import CHECKS as KNOWN_FORMULAS  # not before: what they need takes long to import

    return [Finding((check.__doc__ or "").strip(), check()) for check in (*KNOWN_ANSWERS, *KNOWN_FORMULAS)]


# -- what is stored ----------------------------------------------------------------------------------------------------


def check_store(folder: Path) -> dict[str, Any]:
    """What a store holds, and what is wrong with it: broken segments with the reason, violations by study."""
    store = Store(folder)
    digests, violations = store.digests(), dict[str, list[str]]()
    for key, done in store.records().items():
        problems = check_trace(done)
        if done.key != key:
            problems.append(f"its ingredients have the key {done.key}, it is stored as {key}")
        if done.digest() != digests[key]:
            problems.append(f"its events have the digest {done.digest()}, recorded was {digests[key]}")
        if problems:
            name = f"{done.spec['arm']} on {done.spec['benchmark']['name']}, seed {done.spec['seed']} ({key})"
            violations[name] = problems
    return {
        "studies": len(digests),
        "digest": store.logical_digest(),
        "broken": store.broken,
        "violations": violations,
    }
