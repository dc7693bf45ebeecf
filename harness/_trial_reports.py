"""What the lines that a training script sends mean: reports in the order of their levels, and nothing else."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from harness.report import decode_metrics
from harness.types import Benchmark, Job, Status


class Heard(NamedTuple):
    """What the loop is going to hear from a job."""

    resource: int
    losses: tuple[float, ...]
    metrics: Mapping[str, float]
    status: Status
    farewell: str | None = None
    """What the script is answered where this is its last word."""
    reason: str = ""
    """Why the trial failed, where it did."""


class Reports:
    """The reports of one process that works on a job; warn: told where it trains again what had been trained."""

    def __init__(self, benchmark: Benchmark, job: Job, warn: Callable[[str], None]) -> None:
        self._benchmark = benchmark
        self._job = job
        self._warn = warn
        self._levels = benchmark.fidelity.levels
        self._index_of = {level: index for index, level in enumerate(self._levels)}
        self._last = -1
        """The index of the level that was reported last."""
        self._said: bytes | None = None
        """The line with which it was."""

    @property
    def any(self) -> bool:
        """Whether the process has said a thing that fits."""
        return self._last >= 0

    def understand(self, line: bytes, known: int) -> Heard | None:
        """A report; None for what the loop knows or has just heard, ValueError for nonsense.

        known: the level at which the loop has seen the trial, 0 for none.
        """
        if line == self._said:
            return None
        fidelity, until, first = self._benchmark.fidelity, self._job.until, not self.any
        metrics = decode_metrics(line.decode())
        level = self._level(metrics, known)
        self._said = line
        if not fidelity.continues:
            # A higher level is a training of its own: nothing is said on the way to it.
            if level < until:
                return None
        elif level <= known:
            if first and self._benchmark.resumable:
                stood = f"{fidelity.unit} {level} again, having stood at {fidelity.unit} {known}"
                self._warn(f"trained {stood}: no later checkpoint to go on from")
            return None
        losses = self._benchmark.losses(metrics)
        if not all(map(math.isfinite, losses)):
            said = (f"{one.metric} {metrics[one.metric]:g}" for one in self._benchmark.objectives)
            reason = f"diverged at {fidelity.unit} {level}: {', '.join(said)}"
            return Heard(level, (math.inf,) * len(losses), metrics, Status.FAILED, "stop", reason)
        if level == until:
            return Heard(level, losses, metrics, Status.REACHED, "pause")
        return Heard(level, losses, metrics, Status.RUNNING)

    def _level(self, metrics: dict[str, float], known: int) -> int:
        """Take the resource out of a report; ValueError where it cannot come next."""
        fidelity, levels, last = self._benchmark.fidelity, self._levels, self._last
        unit = fidelity.unit
        if unit not in metrics:
            raise ValueError(f"a report lacks the resource {unit!r}; it has {sorted(metrics)}")
        value = metrics.pop(unit)
        index = self._index_of.get(value)  # type: ignore[arg-type]  # 3.0 finds 3
        if index is None:
            raise ValueError(f"{unit} {value:g} is no level of {self._benchmark.name!r}: those are {fidelity.span}")
        if levels[index] > self._job.until:
            raise ValueError(f"{unit} {value:g} was reported in a job that ends at {unit} {self._job.until}")
        if index <= last:
            raise ValueError(f"{unit} {value:g} was reported after {unit} {levels[last]}")
        reached = self._index_of.get(known, -1)
        following = (last if last >= 0 else reached) + 1
        inherits = self._job.parent is not None and reached < 0 and last < 0
        if fidelity.continues and index > following and not inherits:
            raise ValueError(f"{unit} {value:g} was reported, but {unit} {levels[following]} was not")
        self._last = index
        return levels[index]
