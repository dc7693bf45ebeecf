"""What the tests share: a tiny table, a benchmark for it, a scheduler that follows a script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness.loop import Log, run
from harness.methods import build, method_from_json, parse_method
from harness.randomness import stream
from harness.simulated import Simulated
from harness.space import Space, choice, loguniform, randint
from harness.study import Record, Study, record
from harness.types import NANOSECONDS, Benchmark, Decision, End, Fidelity, Job, Objective, Report
from surrogates.table import ENDS, Table, TableData

SPACE = Space({"lr": loguniform(1e-4, 1.0), "layers": randint(1, 4), "act": choice(["relu", "tanh", "gelu"])})
LEVELS = (1, 2, 3, 4)


def toy_benchmark(**fields: Any) -> Benchmark:
    """A benchmark of four epochs for two workers."""
    plain = Benchmark("toy", SPACE, (Objective("loss"),), Fidelity("epoch", LEVELS), 60.0, 2, test_metric="test_loss")
    return replace(plain, **fields)


def toy_data(rows: int = 12, seeds: int = 3, **fields: Any) -> TableData:
    """A complete table: the loss falls with the epoch, an epoch takes between one and two seconds."""
    rng = stream("toy table")
    benchmark = toy_benchmark(**fields)
    levels = np.array(benchmark.fidelity.levels, dtype=float)
    loss = rng.random((rows, seeds, 1)) + 1 / levels
    seconds = (1 + rng.random((rows, seeds, 1))) * levels
    values = np.stack([loss, loss + 0.5], axis=-1)
    configs = tuple(benchmark.space.sample(rng, rows))
    ends = np.zeros((rows, seeds), dtype=np.int8)
    return TableData(
        benchmark,
        configs,
        ("iid",) * rows,
        tuple(range(1, seeds + 1)),
        ("loss", "test_loss"),
        values,
        seconds,
        ends,
        {},
    )


def ending(data: TableData, row: int, level: int, end: End) -> TableData:
    """The table where every replicate of a row ends after so many levels."""
    values, seconds, ends = data.values.copy(), data.seconds.copy(), data.ends.copy()
    values[row, :, level:], seconds[row, :, level:] = np.nan, np.nan
    ends[row] = ENDS.index(end)
    if end is End.DIVERGED:
        values[row, :, level - 1] = np.nan
    return replace(data, values=values, seconds=seconds, ends=ends)


def study(method: str = "rs", seed: int = 0, benchmark: Benchmark | None = None, **fields: Any) -> Study:
    """A study on the toy table."""
    benchmark = toy_benchmark() if benchmark is None else benchmark
    arm = fields.pop("arm", method)
    return Study(arm, parse_method(method).to_json(), benchmark, "toy data", seed, **fields)


def run_study(spec: Mapping[str, Any]) -> Record:
    """Run a study on the toy table, as `comparison.carry_out` wants it done."""
    return run_on(toy_data(), spec)


def run_on(data: TableData, spec: Mapping[str, Any]) -> Record:
    """Run a study on a table."""
    wanted = Study.from_spec(spec)
    model = Table(data).under(wanted.benchmark)
    benchmark = wanted.benchmark.with_space(model.restricted_space())
    method = method_from_json(wanted.method)
    scheduler = build(method, benchmark, stream(wanted.arm, wanted.seed))
    executor = Simulated(model, benchmark.workers, wanted.seed, benchmark.delays)
    log = run(benchmark, scheduler, executor, nanoseconds(benchmark.budget), finished_trials=wanted.finished_trials)
    return record(wanted, log, 0.5)


def nanoseconds(seconds: float) -> int:
    """Seconds as the clock counts them."""
    return round(seconds * NANOSECONDS)


class Scripted:
    """A scheduler that asks for given jobs in order and answers as a function says; it keeps what it was told."""

    def __init__(
        self, jobs: Iterable[Any], answer: Callable[[Report], Decision] = lambda report: Decision.CONTINUE
    ) -> None:
        self.jobs = list(jobs)
        self.answer = answer
        self.told: list[Report] = []

    def ask(self) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def tell(self, report: Report) -> Decision:
        self.told.append(report)
        return self.answer(report)


def play(scheduler: Any, data: TableData | None = None, seconds: float = 60.0, **options: Any) -> Log:
    """Run a scheduler on a table."""
    model = Table(toy_data() if data is None else data)
    benchmark = model.benchmark
    executor = Simulated(model, benchmark.workers, 0, benchmark.delays)
    return run(benchmark, scheduler, executor, nanoseconds(seconds), **options)
