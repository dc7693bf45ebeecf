"""The words of the house as types: what a benchmark is, and what a scheduler asks and is told.

Nothing here knows which world a study lives in. A scheduler sees jobs and reports; a report carries no time and no
test metric, so no scheduler can look at either. Several objectives and constraints are here from the first day;
losses are always minimised, the direction of each objective is turned once, in `Benchmark.losses`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

from harness.space import Config, Space

NANOSECONDS = 1_000_000_000


class Status(IntEnum):
    """How the job stands that a report comes from."""

    RUNNING = 0
    REACHED = 1
    FAILED = 2


class Decision(IntEnum):
    """What a scheduler answers to a report; anything but CONTINUE frees the worker."""

    CONTINUE = 0
    PAUSE = 1
    STOP = 2


class Job(NamedTuple):
    """Train `trial` until the resource `until`; asking for a paused trial again resumes it."""

    trial: int
    config: Config
    until: int
    parent: int | None = None
    """Start from a copy of this trial's last checkpoint (population-based training)."""


class Report(NamedTuple):
    """What a worker says at a level, as a scheduler is told it: no time, no test metric."""

    trial: int
    resource: int
    losses: tuple[float, ...]
    metrics: Mapping[str, float]
    cost: float
    """Seconds that the worker was occupied since this trial's report before."""
    status: Status


@dataclass(frozen=True)
class Objective:
    """A metric to minimise, or with `maximize` to maximise."""

    metric: str
    maximize: bool = False


@dataclass(frozen=True)
class Constraint:
    """A config is feasible where `metric` is at most `upper`."""

    metric: str
    upper: float = 0.0


@dataclass(frozen=True)
class Fidelity:
    """How far a trial can be trained: a unit and its levels, in rising order.

    continues: False where a higher level is a fresh training (samples, folds, width), its seconds not cumulative.
    """

    unit: str
    levels: tuple[int, ...]
    continues: bool = True

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.levels, self.levels[1:], strict=False))
        if not self.levels or self.levels[0] < 1 or not rising:
            raise ValueError(f"levels of fidelity {self.unit!r} must be positive and rise, given {self.levels}")

    @property
    def maximum(self) -> int:
        """The highest level: a full training."""
        return self.levels[-1]

    @property
    def span(self) -> str:
        """The levels in words: all of them, or where there are many without a gap such as "1 to 40"."""
        first, last = self.levels[0], self.levels[-1]
        if len(self.levels) > 8 and self.levels == tuple(range(first, last + 1)):
            return f"{first} to {last}"
        return ", ".join(map(str, self.levels))


@dataclass(frozen=True)
class Delays:
    """What occupies a worker besides training, in seconds.

    start_up: from the start of a job to its first training step; restore: beside it, where a trial is resumed;
    evaluate and save: at each level that a trial reports; leave: from the last report of a job until its process has
    left; warm: whether a worker keeps its process, and what that has imported, so that it pays for the start-up once
    and not for each job, and for leaving never.
    """

    start_up: float = 0.0
    restore: float = 0.0
    evaluate: float = 0.0
    save: float = 0.0
    leave: float = 0.0
    warm: bool = False

    def __post_init__(self) -> None:
        for name, value in self.seconds.items():
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"delay {name} must be finite seconds of at least 0, given {value}")
        if type(self.warm) is not bool:
            raise ValueError(f"whether workers are warm must be true or false, given {self.warm!r}")

    @property
    def seconds(self) -> dict[str, float]:
        """The delays by name."""
        return {name: getattr(self, name) for name in ("start_up", "restore", "evaluate", "save", "leave")}

    def times(self, pace: float) -> Delays:
        """The delays on a machine that takes `pace` times as long."""
        return replace(self, **{name: pace * value for name, value in self.seconds.items()})

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; `leave` and `warm` stand there only where they are not nothing."""
        plain: dict[str, Any] = {name: value for name, value in self.seconds.items() if name != "leave" or value}
        return plain | {"warm": True} if self.warm else plain


TABLE_MISS = ("restrict", "snap", "surrogate")


@dataclass(frozen=True)
class Benchmark:
    """A tuning problem with its defaults, however it is evaluated.

    budget: seconds; table_miss: what happens when a method asks a table for a config that it does not hold
    (`restrict`: rows only and without repeats; `snap`: the nearest row; `surrogate`: a fitted model);
    resumable: whether a paused trial goes on from its checkpoint (else it starts over).
    """

    name: str
    space: Space
    objectives: tuple[Objective, ...]
    fidelity: Fidelity
    budget: float
    workers: int
    test_metric: str | None = None
    constraints: tuple[Constraint, ...] = ()
    delays: Delays = field(default_factory=Delays)
    table_miss: str = "restrict"
    resumable: bool = True

    def __post_init__(self) -> None:
        if self.table_miss not in TABLE_MISS:
            raise ValueError(f"table_miss of {self.name!r} must be one of {TABLE_MISS}, given {self.table_miss!r}")
        if not (math.isfinite(self.budget) and self.budget > 0):
            raise ValueError(f"the budget of {self.name!r} must be positive seconds, given {self.budget}")
        if self.workers < 1:
            raise ValueError(f"{self.name!r} needs at least one worker, given {self.workers}")
        if not self.objectives:
            raise ValueError(f"{self.name!r} needs at least one objective")

    def losses(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """The objectives of a report, all to be minimised; NaN becomes infinity, whatever the direction."""
        losses: list[float] = []
        for objective in self.objectives:
            if objective.metric not in metrics:
                raise ValueError(
                    f"a report of {self.name!r} lacks the metric {objective.metric!r}; it has {sorted(metrics)}"
                )
            loss = -metrics[objective.metric] if objective.maximize else metrics[objective.metric]
            losses.append(math.inf if math.isnan(loss) else loss)
        return tuple(losses)

    def visible(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The metrics that a scheduler may see: all but the test metric."""
        return {name: value for name, value in metrics.items() if name != self.test_metric}

    def judged_by_test(self) -> Benchmark | None:
        """The benchmark with its test metric in the place of the first objective, for looking up what no method sees.

        None where there is no test metric.
        """
        if self.test_metric is None:
            return None
        first = replace(self.objectives[0], metric=self.test_metric)
        return replace(self, objectives=(first, *self.objectives[1:]), test_metric=None)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; `from_json` gives an equal benchmark."""
        return {
            "name": self.name,
            "space": self.space.to_json(),
            "objectives": [dict(vars(objective)) for objective in self.objectives],
            "fidelity": vars(self.fidelity) | {"levels": list(self.fidelity.levels)},
            "budget": self.budget,
            "workers": self.workers,
            "test_metric": self.test_metric,
            "constraints": [dict(vars(constraint)) for constraint in self.constraints],
            "delays": self.delays.to_json(),
            "table_miss": self.table_miss,
            "resumable": self.resumable,
        }

    @staticmethod
    def from_json(plain: Mapping[str, Any]) -> Benchmark:
        """A benchmark from what `to_json` gave."""
        fields: dict[str, Any] = dict(plain)
        fidelity: dict[str, Any] = dict(plain["fidelity"])
        fidelity["levels"] = tuple(fidelity["levels"])
        fields["space"] = Space.from_json(plain["space"])
        fields["objectives"] = tuple(Objective(**objective) for objective in plain["objectives"])
        fields["fidelity"] = Fidelity(**fidelity)
        fields["constraints"] = tuple(Constraint(**constraint) for constraint in plain["constraints"])
        fields["delays"] = Delays(**plain["delays"])
        return Benchmark(**fields)

    def with_space(self, space: Space) -> Benchmark:
        """The same problem over another space."""
        return replace(self, space=space)


class End(Enum):
    """Why a curve ends where it does."""

    COMPLETE = "complete"
    EARLY = "early"
    DIVERGED = "diverged"


class Curve(NamedTuple):
    """One training run, recorded or predicted: what it says at each level.

    nanoseconds: cumulative training time at each level where the fidelity continues, else each level's own;
    losses: one tuple of objectives a level; metrics: all metrics a level, test metric included;
    visible: the same without the test metric. All four have one entry a level that was reached.
    """

    nanoseconds: tuple[int, ...]
    losses: tuple[tuple[float, ...], ...]
    metrics: Sequence[Mapping[str, float]]
    visible: Sequence[Mapping[str, float]]
    end: End


class CurveModel(Protocol):
    """A table or a surrogate: from a config to its curve.

    benchmark: the problem that it answers for; digest: a hash of all that a study can see of it.
    """

    benchmark: Benchmark
    digest: str

    def under(self, benchmark: Benchmark) -> CurveModel:
        """The same data under a benchmark with other defaults (budget, delays, what a miss means)."""
        ...

    def restricted_space(self) -> Space:
        """The benchmark's space, restricted to the configs that the data holds."""
        ...

    def facts(self) -> dict[str, Any]:
        """What reports may state of the data: `configs`, `optimum`, `median`, `final_losses`, `noise`, and so on.

        Where a test metric is known, `test` holds its `optimum`, `median` and `noise`, in the objective's direction.
        """
        ...

    def outside(self, config: Config) -> bool:
        """Whether `config` lies so far from what was measured that its answer is a guess."""
        ...

    def final_loss(self, config: Config) -> float:
        """The first objective of `config` at the last level, to be minimised, without the luck of a seed."""
        ...

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve of `config` in the replicate that `seed` chooses; ValueError for a config it cannot answer."""
        ...


@runtime_checkable
class StatefulModel(Protocol):
    """A curve model of trainings whose config may change on the way: what was trained before carries over."""

    def scheduled(self, schedule: Sequence[tuple[Config, int]], config: Config, seed: int) -> Curve:
        """The curve of a training that follows a schedule of configs, each up to a level, and from there `config`."""
        ...


def refuses(error: ValueError, benchmark: Benchmark) -> bool:
    """Whether a method's error at the door refuses the benchmark, which it then names, and not an option alone."""
    return repr(benchmark.name) in str(error)


class Scheduler(Protocol):
    """Decides what runs next, in two verbs.

    What cannot run on a benchmark says so at the door: a ValueError that names the benchmark and what is possible.
    """

    def ask(self) -> Job | None:
        """The next job, or None: nothing to start until another report arrives."""
        ...

    def tell(self, report: Report) -> Decision:
        """Take note of a report and say what becomes of its trial."""
        ...


class Sampler(Protocol):
    """Proposes configs; composed into schedulers, injected by their text."""

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """A config to try while `pending` ones are under way; None where the space is exhausted."""
        ...

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Learn what `config` reached at `resource`; losses may be infinite.

        A training that ends early, by its plan, is told of at the level that its job went to (`counted_at`).
        """
        ...


def counted_at(report: Report, until: int) -> int:
    """The level at which a sampler is told of a report; until: the level that its job goes to.

    A training that ended early has no more to come, so it counts where it was going to: at the level where it happened
    to end there may be nobody to compare it with.
    """
    return until if report.status is Status.REACHED else report.resource


@runtime_checkable
class Recommends(Protocol):
    """A scheduler, or the sampler in it, that says by itself which config it would hand over, as a model can."""

    def recommend(self) -> Config | None:
        """The best of the configs that it was told of, as it sees them; None while it cannot say.

        Being asked changes nothing of what it does.
        """
        ...


def recommended(by: object) -> Config | None:
    """What a scheduler or a sampler recommends, if it recommends anything."""
    return by.recommend() if isinstance(by, Recommends) else None


@runtime_checkable
class Foreknows(Protocol):
    """A sampler with configs that a user knows of, for schedulers whose own models propose configs beside it."""

    def given(self) -> Config | None:
        """The next start config, to be tried before all else; None once all were."""
        ...

    def foreknown(self) -> Config | None:
        """A config to try in place of the next one of the model: a start config, else a draw from the user's prior.

        None where it is the model's turn; so this is asked once for each config that is wanted.
        """
        ...


def given(by: Sampler) -> Config | None:
    """The next start config, where a sampler has one."""
    return by.given() if isinstance(by, Foreknows) else None


def foreknown(by: Sampler) -> Config | None:
    """What a user knows of that is to be tried in place of the next config of a scheduler's own model, if anything."""
    return by.foreknown() if isinstance(by, Foreknows) else None


class Event(NamedTuple):
    """What an executor hands to the loop: a report with its place and its full metrics, test metric included."""

    time: int
    """Nanoseconds since the study began."""
    worker: int
    report: Report
    metrics: Mapping[str, float]


class Executor(Protocol):
    """Workers together with the clock that they live by."""

    @property
    def idle(self) -> int:
        """How many workers have nothing to do."""
        ...

    @property
    def now(self) -> int:
        """Nanoseconds since the study began."""
        ...

    def start(self, job: Job) -> tuple[int, int]:
        """Put a job on an idle worker; gives the time at which it starts and the worker's number."""
        ...

    def next(self, deadline: int) -> Event | None:
        """The next event up to `deadline`, or None at the deadline or where no worker is busy."""
        ...

    def pause(self, trial: int) -> None:
        """Free the worker of a running trial, keeping its checkpoint."""
        ...

    def stop(self, trial: int) -> None:
        """Free the worker of a trial, if it has one, for good: its checkpoint may go."""
        ...

    def spend(self, nanoseconds: int) -> None:
        """Let a decision take time: the next job starts no sooner than it is made, one decision after another."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


@dataclass
class Standing:
    """Where a study stands that goes on: the clock, how far each trial is, and the jobs that run.

    running: of each trial its job, the worker, and when the loop last heard of it, in nanoseconds; stopped: trials
    whose checkpoints may go; failures: why trials failed.
    """

    now: int = 0
    reached: dict[int, int] = field(default_factory=dict)
    running: dict[int, tuple[Job, int, int]] = field(default_factory=dict)
    stopped: set[int] = field(default_factory=set)
    failures: dict[int, str] = field(default_factory=dict)
