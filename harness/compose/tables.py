"""Tables made of real trainings: the parts of a plan, what is chosen for what was measured, a budget, several machines.

A table has parts, and later ones depend on earlier ones. `iid`: independent configs, the law of random search.
`near_best`: what a surrogate of the rows so far finds good, and small moves around the best of them; a surrogate
learns from it. `best`: more seeds for the best rows so far. `held_out`: independent configs that no surrogate learns
from. `optimum`: the surrogate's best config, trained again for real. `timing`: short runs, one at a time, for the time
column. A plan is a list of steps, each so many configs of a part with so many seeds: a step measures what is missing
and changes nothing that is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness import catalog
from harness.names import UnknownName

if TYPE_CHECKING:
    from harness.space import Config
    from harness.tabulate import Run
    from harness.types import Benchmark
    from surrogates.table import TableData

OnRun = Callable[[int, int, dict[str, Any]], None]
Choose = Callable[[list[Any], int], list[Any]]
SAMPLE, GOOD_SHARE = 10_000, 0.01
"""Of so many random configs this share is near the best, as the surrogate sees it."""
AROUND, MOVE = 10, 0.05
"""Small moves are made around so many of the best rows, at most so far in each encoded coordinate."""
ALONE = ("optimum", "timing")
TRIES = 100
PILOT = 8
"""So many configs at least tell how long a training takes."""
FEWEST = 40
"""A budget that affords fewer i.i.d. configs is refused: a surrogate would know nothing."""


class Step(NamedTuple):
    """So many configs of a part of the plan, with the seeds from 1 to `seeds` each."""

    part: str
    configs: int
    seeds: int


STANDARD = (
    Step("timing", 12, 1),
    Step("iid", 600, 1),
    Step("iid", 150, 3),
    Step("near_best", 100, 1),
    Step("best", 50, 5),
    Step("held_out", 60, 1),
    Step("optimum", 1, 5),
)
"""The plan of our own tables; a budget scales the numbers of configs, so it is also how a budget is divided."""
PARTS = {step.part: step for step in reversed(STANDARD)}
"""The parts, each with what is measured of it where nothing else is said."""


def step_of(part: str, configs: int | None = None, seeds: int | None = None) -> Step:
    """A step as a user asks for it; ValueError where there is no such part, or it has no such number."""
    if part not in PARTS:
        raise UnknownName("part of a table", part, PARTS)
    usual = PARTS[part]
    if part == "optimum" and configs not in (None, 1):
        raise ValueError("a surrogate has one optimum: --part optimum takes --seeds only")
    if part == "timing" and seeds not in (None, 1):
        raise ValueError("seeds take the same time: --part timing takes --configs only")
    return Step(part, configs or usual.configs, seeds or usual.seeds)


def _new_runs(step: Step) -> int:
    """How many runs a step of the standard plan adds to those before it."""
    again = step.part == "best" or (step.part == "iid" and step.seeds > 1)
    return step.configs * (step.seeds - again)


class Plan(NamedTuple):
    """What a budget affords, where a training takes so many seconds."""

    seconds: float
    steps: tuple[Step, ...]


class Maker:
    """The table of a benchmark in the making: a folder, and who measures into it.

    workers: processes side by side, each on a GPU of its own where there are GPUs; by default one a GPU, else two.
    """

    def __init__(self, name: str, folder: Path, workers: int | None = None, on_run: OnRun | None = None) -> None:
        from harness.gpus import visible_devices
        from harness.tabulate import RUNS, check_same_problem

        self.benchmark, self.script = catalog.scripted(name)
        self.folder, self.on_run = folder, on_run
        self.twin = self._twin()
        self.devices = visible_devices(os.environ)
        self.workers = workers or len(self.devices) or 2
        self.problem = problem_of(self.benchmark, self.script)
        check_same_problem(self.benchmark.to_json(), folder, self.problem)
        if (folder / "table.json").exists() and not (folder / RUNS).exists():
            raise ValueError(
                f"the table in {folder} was not made of runs that lie beside it, and measuring would put another in "
                "its place: give another --out (what was assembled grows with the tables of its levels)"
            )

    def _twin(self) -> str:
        """The benchmark whose configs are trained here too, if the script names one in `TWINS`."""
        name = self.benchmark.name
        twin = getattr(import_module(f"real_benchmarks.{self.script}"), "TWINS", {}).get(name, name)
        if twin != name and catalog.scripted(twin)[0].space != self.benchmark.space:
            raise ValueError(f"{name!r} cannot train the configs of its twin {twin!r}: their spaces differ")
        return twin

    def measure(self, step: Step, share: tuple[int, int] = (1, 1)) -> int:
        """Measure what is missing of a step; gives how many runs that were.

        share: (k, n) for the k-th of n machines that measure one plan, each into a folder of its own.
        """
        from harness.tabulate import tabulate

        if step.part in ALONE and share != (1, 1):
            raise ValueError(f"{step.part} is a few runs that belong together: measure it on one machine")
        runs = [run for run in self._runs(step, share) if run.index % share[1] == share[0] - 1]
        workers = 1 if step.part == "timing" else self.workers
        return tabulate(
            self.benchmark,
            self.script,
            runs,
            self.folder,
            processes=workers,
            devices=self.devices,
            on_run=self.on_run,
            problem=self.problem,
        )

    def _runs(self, step: Step, share: tuple[int, int]) -> list[Run]:
        from harness import tabulate as runs

        match step.part:
            case "iid":
                return runs.plan(self.benchmark, step.configs, step.seeds, twin=self.twin)
            case "held_out":
                return runs.held_out_plan(self.benchmark, step.configs, step.seeds, twin=self.twin)
            case "timing":
                return runs.timing_plan(self.benchmark, step.configs, twin=self.twin)
            case "near_best":
                return runs.seeded_runs("near_best", self._chosen(step, share, self._near_best), step.seeds)
            case "best":
                rows, seeds = self._chosen(step, share, self._best), range(2, step.seeds + 1)
                return [runs.Run(part, index, config, seed) for seed in seeds for part, index, config in rows]
            case "optimum":
                config = self._optimum()
                there = runs.chosen(self.folder, "optimum", lambda there: [] if config in there else [config])
                return [run for run in runs.seeded_runs("optimum", there, step.seeds) if run.config == config]
            case part:
                raise UnknownName("part of a table", part, PARTS)

    def _chosen(self, step: Step, share: tuple[int, int], choose: Choose) -> list[Any]:
        from harness import tabulate as runs

        if share[0] > 1 and len(runs.planned(self.folder, step.part)) < step.configs:
            raise ValueError(
                f"{step.part} is not chosen in {self.folder} yet, and two machines might choose differently: begin "
                f"share 1/{share[1]} where all rows were merged, and copy that folder here"
            )

        def more(there: list[Any]) -> list[Any]:
            return choose(there, step.configs - len(there)) if len(there) < step.configs else []

        return runs.chosen(self.folder, step.part, more)[: step.configs]

    def _near_best(self, there: list[Config], lacking: int) -> list[Config]:
        """More configs near the best: half of them good ones as a surrogate sees it, half small moves of good rows."""
        import numpy as np

        from harness.randomness import stream
        from surrogates import declared
        from surrogates.candidates import CANDIDATES, mean_of
        from surrogates.prepared import prepared

        data = _rows(self.benchmark, self.folder).learned()
        learned = prepared(data, declared.read(self.folder, self.benchmark.name))
        model = mean_of(learned, np.arange(len(learned.x)), CANDIDATES["Gaussian process"])
        space, luck = self.benchmark.space.opened(), stream("near_best", self.benchmark.name, len(there))
        for config in (*data.configs, *there):
            space.claim(config)
        drawn = space.sample(luck, max(SAMPLE, ceil(lacking / GOOD_SHARE)))
        x = learned.features.of(drawn)
        loss = model.values(model.predict(x)[0])[:, -1, learned.first] * learned.signs[learned.first]
        loss[model.chance_to_diverge(x) > 0.5] = np.inf
        good = np.argsort(loss, kind="stable")[: ceil(len(drawn) * GOOD_SHARE)]
        at_random = good[np.argsort(luck.random(len(good)))]
        found = [drawn[place] for place in at_random if space.claim(drawn[place])][: lacking // 2]
        best = np.argsort(np.nanmean(data.final_losses(), axis=1), kind="stable")[:AROUND]
        for attempt in range(TRIES * lacking):
            if len(found) == lacking:
                break
            start = np.array(space.encode_one(data.configs[best[attempt % len(best)]]))
            moved = space.decode(np.clip(start + MOVE * (2 * luck.random(space.dim) - 1), 0, 1)[None])[0]
            if space.claim(moved):
                found.append(moved)
        return found

    def _best(self, there: list[Any], lacking: int) -> list[Any]:
        """More of the best rows that a surrogate may learn from, each as part, index and config."""
        import numpy as np

        from harness.lines import read_lines
        from harness.tabulate import RUNS
        from surrogates.measured import rows_of
        from surrogates.table import KEPT_OUT

        data = _rows(self.benchmark, self.folder)
        keys = [*rows_of(read_lines(self.folder / RUNS))]
        known = {(part, index) for part, index, _ in there}
        order = np.argsort(np.nanmean(data.final_losses(), axis=1), kind="stable")
        free = [row for row in order.tolist() if keys[row] not in known and keys[row][0] not in KEPT_OUT]
        return [[*keys[row], dict(data.configs[row])] for row in free[:lacking]]

    def _optimum(self) -> Config:
        """The best config of the surrogate that is fitted to today's rows, else of one that is fitted now."""
        from surrogates import declared, fitting, surrogate

        data = _rows(self.benchmark, self.folder)
        try:
            facts = surrogate.load(self.folder, self.benchmark, data.learned().digest()).facts()
        except (FileNotFoundError, ValueError):
            facts = fitting.fit(data, declared.read(self.folder, self.benchmark.name))[0].facts
        return dict(facts["optimum_config"])

    def planned(self, budget: float) -> Plan:
        """The plan that was written down for this budget, else one made now of how long trainings took so far."""
        from harness import tabulate as runs

        def afresh(there: list[Any]) -> list[Any]:
            if there and (there[-1]["budget"], there[-1]["workers"]) == (budget, self.workers):
                return []
            took = [run["wall_seconds"] for run in runs.read_runs(self.folder) if run["part"] != runs.TIMING]
            made = self._affordable(budget, sum(took) / len(took))
            return [{"budget": budget, "workers": self.workers} | made._asdict()]

        last = runs.chosen(self.folder, "budget", afresh)[-1]
        return Plan(last["seconds"], tuple(Step(*step) for step in last["steps"]))

    def _affordable(self, budget: float, seconds: float) -> Plan:
        """The standard plan, larger or smaller; what a training takes is known, so is what timing takes alone."""
        from harness.tabulate import TIMED

        timing, *scaled, optimum = STANDARD
        levels = self.benchmark.fidelity.levels
        # On a GPU of its own every run is alone: its time is told by all of them.
        before = () if self.devices else (timing,)
        fixed = optimum.seeds + len(before) * timing.configs * len(levels[:TIMED]) / len(levels) * self.workers
        runs = budget * self.workers / seconds
        least = FEWEST / scaled[0].configs
        factor = (runs - fixed) / sum(map(_new_runs, scaled))
        if factor < least:
            enough = (least * sum(map(_new_runs, scaled)) + fixed) * seconds / self.workers
            raise ValueError(
                f"{budget:.0f} s on {self.workers} workers are {runs:.0f} trainings of {seconds:.3g} s each, too few "
                f"for all parts of a table: give at least {ceil(enough)} s, or measure parts by themselves with --part"
            )
        steps = (step._replace(configs=round(step.configs * factor)) for step in scaled)
        return Plan(seconds, (*before, *steps, optimum))


def tabulate(
    name: str,
    folder: Path,
    step: Step,
    *,
    workers: int | None = None,
    share: tuple[int, int] = (1, 1),
    on_run: OnRun | None = None,
) -> int:
    """Measure what is missing of one step of a table, and write the table; gives the number of new runs."""
    maker = Maker(name, folder, workers, on_run)
    new = maker.measure(step, share)
    build(maker.benchmark, folder)
    return new


def tabulate_within(
    name: str,
    folder: Path,
    budget: float,
    *,
    workers: int | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_run: OnRun | None = None,
) -> int:
    """Measure all parts of a table, as much of each as about `budget` seconds afford; gives the number of new runs.

    The first configs are trained to see how long that takes; then the plan is made, and kept in the folder.
    """
    maker = Maker(name, folder, workers, on_run)
    new = maker.measure(Step("iid", max(PILOT, maker.workers), 1))
    plan = maker.planned(budget)
    if on_plan:
        on_plan(plan)
    new += sum(maker.measure(step) for step in plan.steps)
    build(maker.benchmark, folder)
    return new


def problem_of(benchmark: Benchmark, script: str) -> str:
    """The digest of what a script trains for a benchmark, as far as it says so in `TASKS`."""
    from harness.tabulate import digest_of

    return digest_of(benchmark, getattr(import_module(f"real_benchmarks.{script}"), "TASKS", {}).get(benchmark.name))


def _rows(benchmark: Benchmark, folder: Path) -> TableData:
    """The table of what is measured in a folder by now."""
    from harness.lines import read_lines
    from harness.tabulate import RUNS
    from surrogates import declared, measured

    return measured.table_of(benchmark, read_lines(folder / RUNS), declared.read(folder, benchmark.name).time)


def build(benchmark: Benchmark, folder: Path) -> None:
    """Write the table of what is measured by now beside its runs, where anything is."""
    from harness.tabulate import read_runs
    from surrogates import table

    if gives_rows(read_runs(folder)):
        table.save(_rows(benchmark, folder), folder)


def gives_rows(lines: Iterable[Mapping[str, Any]]) -> bool:
    """Whether there are runs among some lines that a table may be made of."""
    from harness.tabulate import TIMING

    return any(line["part"] != TIMING for line in lines if "curve" in line)
