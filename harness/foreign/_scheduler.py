"""A foreign program as one of our schedulers: asked and told over the protocol that README.md in this folder states.

What it may not know is kept from it here, as from any scheduler: the time, the test metric, and which rows of a table
are taken. Where only rows may be proposed, each of its proposals becomes the nearest free row, and it is told so. What
it answers is held against the protocol here, and by the loop, like any scheduler's: nonsense fails the study.
"""

from __future__ import annotations

import math
import shlex
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.foreign._environment import python_of
from harness.foreign._process import Program, borrow, give_back
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Status

PROTOCOL = 1
PATIENCE = 300.0
"""Seconds in which an answer of one of our adapters must come; the first includes the imports of its library."""
MOST_REFUSED = 1000
"""Proposals in a row that no row is free for: more than a first rung has, 729 at eta 3 over levels 1 to 1,000."""
CHILD = Path(__file__).with_name("_child.py")
DECISIONS = {decision.name.lower(): decision for decision in Decision}
VARIABLES = {"PYTHONPATH": None, "PYTHONHOME": None, "PYTHONSTARTUP": None, "PYTHONHASHSEED": "0"}


class Adapter(NamedTuple):
    """A method of a foreign optimiser: the function of this name in a file, and the distributions that it needs."""

    name: str
    optimiser: str
    path: Path
    function: str
    requirements: tuple[str, ...]


def adapted(
    adapter: Adapter,
    benchmark: Benchmark,
    rng: np.random.Generator,
    *,
    first: Iterable[Config] = (),
    **options: Any,
) -> Foreign:
    """A method of an adapter, in the optimiser's own process; ValueError where its library is not here."""
    name, optimiser, path, function, requirements = adapter
    python = python_of(optimiser, requirements)
    if python is None:
        raise ValueError(
            f"{name} is not installed, so it cannot run on {benchmark.name!r}: `python -m harness fetch {optimiser}` "
            "makes its environment"
        )
    argv = (str(python), "-P", "-s", str(CHILD), str(path))
    program = borrow(name, argv, VARIABLES)
    release = partial(give_back, program, argv)
    return Foreign(benchmark, rng, program, release, PATIENCE, first=first, method=function, options=options)


def programmed(
    command: str, benchmark: Benchmark, rng: np.random.Generator, patience: float, first: Iterable[Config]
) -> Foreign:
    """A method that any program is, started anew for each study."""
    words = shlex.split(command)
    program = Program(words[0], words)
    return Foreign(benchmark, rng, program, program.close, patience, first=first)


class Foreign:
    """Asks a program and tells it, as README.md says; ValueError where it says that it cannot run on a benchmark.

    release: called when nobody asks any more; patience: seconds in which an answer must come; first: configs to propose
    before all others; method, options: what an adapter shall make of its library.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        rng: np.random.Generator,
        program: Program,
        release: Callable[[], None],
        patience: float,
        *,
        first: Iterable[Config] = (),
        method: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        # A scheduler has no end of its own: it is over when the study lets go of it.
        weakref.finalize(self, release).atexit = False
        self._program, self._patience = program, patience
        self._lost = (math.inf,) * len(benchmark.objectives)
        self._space, self._maximum = benchmark.space, benchmark.fidelity.maximum
        self._first = list(first)[::-1]
        self._configs: dict[int, Config] = {}
        self._running: set[int] = set()
        self._trials = 0
        answer = program.say({"study": _study(benchmark, rng) | {"method": method, "options": options or {}}}, patience)
        if why := answer.get("not_applicable"):
            raise ValueError(f"{program.name} cannot run on {benchmark.name!r}: {why}")
        if why := answer.get("bad_option"):
            raise ValueError(f"{program.name}: {why}")
        if answer.get("ready") is not True:
            raise program.nonsense(answer, '{"ready": true} or {"not_applicable": "why"}')
        self._takes: bool = answer.get("takes") is True

    def ask(self) -> Job | None:
        """What the program wants to run next.

        Where no row is free for its proposal and nothing runs, it is asked again at once: it may have to fill a rung
        before it lets any trial go on. While a trial runs it will hear of that first, and would begin rung after rung
        meanwhile; behind a full training that cannot be had nothing waits.
        """
        if self._first:
            return self._start(self._trials, self._first.pop(), self._maximum, replaced=True)
        for _ in range(MOST_REFUSED):
            answer = self._say({"ask": self._trials})
            match answer:
                case {"wait": True}:
                    return None
                case {"config": dict(config)}:
                    until = answer.get("until", self._maximum)
                    job = self._new(self._trials, config, until)
                    if job is not None or self._running or until == self._maximum:
                        return job
                case {"trial": int(known), "until": int(until)} if known in self._configs:
                    self._running.add(known)
                    return Job(known, self._configs[known], until)
                case _:
                    wanted = '{"config": {...}}, {"trial": a trial of before, "until": a level} or {"wait": true}'
                    raise self._program.nonsense(answer, wanted)
        return None

    def _new(self, trial: int, config: Config, until: Any) -> Job | None:
        try:
            self._space.check_values(config)
        except ValueError as error:
            raise self._program.nonsense(config, f"a config of the space ({error})") from None
        if self._space.rows is None:
            self._space.claim(config)
            return self._start(trial, config, until)
        row = self._space.fresh_near(self._space.encode([config])[0])
        if row is not None:
            return self._start(trial, row, until, replaced=row != config)
        # No row is free: to the program that is a trial which fails at once.
        self._trials += 1
        self._say({"tell": _plain(Report(trial, 0, self._lost, {}, 0.0, Status.FAILED), config)})
        return None

    def _start(self, trial: int, config: Config, until: Any, *, replaced: bool = False) -> Job:
        """A new trial; a program that takes configs is told of one that it did not propose."""
        if replaced and self._takes:
            until = self._say({"ask": trial, "config": dict(config)}).get("until", self._maximum)
        if not isinstance(until, int):
            raise self._program.nonsense(until, '"until": a level')
        self._trials += 1
        self._configs[trial] = config
        self._running.add(trial)
        return Job(trial, config, until)

    def tell(self, report: Report) -> Decision:
        """What the program makes of a report."""
        answer = self._say({"tell": _plain(report, self._configs[report.trial])})
        decision = DECISIONS.get(str(answer.get("decision")))
        if decision is None:
            raise self._program.nonsense(answer, '{"decision": "continue"}, or "pause", or "stop"')
        if report.status is not Status.RUNNING or decision is not Decision.CONTINUE:
            self._running.discard(report.trial)
        return decision

    def _say(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return self._program.say(message, self._patience)


def _study(benchmark: Benchmark, rng: np.random.Generator) -> dict[str, Any]:
    """What a program is told of the problem before anything else."""
    plain = benchmark.to_json()
    told = ("name", "objectives", "constraints", "fidelity", "workers", "resumable")
    space = {name: entry for name, entry in plain["space"].items() if name in benchmark.space.domains}
    seed = int(rng.integers(2**31))
    return {"protocol": PROTOCOL, "seed": seed, "space": space} | {name: plain[name] for name in told}


def _plain(report: Report, config: Config) -> dict[str, Any]:
    return {
        "trial": report.trial,
        "config": dict(config),
        "resource": report.resource,
        "losses": [_number(loss) for loss in report.losses],
        "metrics": {name: _number(value) for name, value in report.metrics.items()},
        "cost": report.cost,
        "status": report.status.name.lower(),
    }


def _number(value: float) -> float | str:
    """A number as JSON has it; what it lacks as a string, as in the reports of training scripts."""
    return value if math.isfinite(value) else str(float(value))
