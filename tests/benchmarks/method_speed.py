"""What methods cost: a suggestion, a report told, many workers, and whole studies of those that model curves.

    python tests/benchmarks/method_speed.py tell
    python tests/benchmarks/method_speed.py suggestion wide studies --reference path/to/reference

One line of JSON a number, beside what is allowed; process time, one thread, on a made-up mixed space of five
hyperparameters with 27 levels. tell: microseconds a report, of each call the least of three equal runs, so that what
else the machine does is left out; suggestion: milliseconds from 100 observations on, one more after each; wide: the
cost of a report, loop included, with 64 workers and 10,000 trials over that with 4 workers and 100; studies: seconds on
the table of `study_speed.py`.
"""

import argparse
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter_ns, process_time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness import catalog
from harness.compose.studies import no_garbage_collection
from harness.loop import run
from harness.simulated import Simulated
from harness.space import Space, choice, lograndint, loguniform, ordinal, uniform
from harness.toys import StatefulToy, Toy, toy_benchmark
from harness.types import NANOSECONDS, Event, Job, Objective, Report, Scheduler

MIXED = Space(
    {
        "rate": loguniform(1e-4, 1.0),
        "width": lograndint(4, 512),
        "optimizer": choice(["sgd", "adam", "lion"]),
        "momentum": uniform(0.0, 0.99),
        "batch": ordinal([8, 16, 32, 64]),
    }
)
SUGGESTIONS = {"sobol": 0.3, "rea": 0.3, "cmaes": 0.3, "de": 0.3, "tpe": 1, "bore": 25, "rf": 60, "cqr": 120}
MODEL_FREE = (
    "rs", "grid", "sobol", "rea", "cmaes", "de", "asha", "asha-stop", "sh", "hyperband", "pasha", "median", "dehb",
    "bohb", "priorband", "nsga2", "moasha", "pbt",
)  # fmt: skip
SEVERAL_OBJECTIVES = {"nsga2", "moasha"}
STUDIES = {"mobster": 3, "hypertune": 4, "dyhpo": 6}
TELL_US, WIDER = 5.0, 2.0


class Timed:
    """A scheduler that starts at most so many trials and notes the nanoseconds of each `tell`."""

    def __init__(self, scheduler: Scheduler, trials: int) -> None:
        self._scheduler, self._trials = scheduler, trials
        self.told: list[int] = []

    def ask(self) -> Job | None:
        """The method's next job, until it would start one trial too many."""
        job = self._scheduler.ask() if self._trials >= 0 else None
        if job is not None and job.trial >= self._trials:
            self._trials = -1
            return None
        return job

    def tell(self, report: Report) -> Any:
        """Pass a report on."""
        began = perf_counter_ns()
        decision = self._scheduler.tell(report)
        self.told.append(perf_counter_ns() - began)
        return decision


def study(method: str, workers: int, trials: int, seed: int) -> tuple[list[int], float, int]:
    """Nanoseconds of each `tell`, seconds of the whole, reports."""
    space = MIXED.opened()
    benchmark = toy_benchmark(space, tuple(range(1, 28)), 1e9, workers)
    if method in SEVERAL_OBJECTIVES:
        benchmark = replace(benchmark, objectives=(*benchmark.objectives, Objective("size")))
    toy = (StatefulToy if method == "pbt" else Toy)(benchmark)
    scheduler = Timed(catalog.build(catalog.parse_method(method), benchmark, np.random.default_rng(seed)), trials)
    executor = Simulated(toy, workers, seed, benchmark.delays)
    with no_garbage_collection():
        began = process_time()
        log = run(benchmark, scheduler, executor, 10**18)
        spent = process_time() - began
    return scheduler.told, spent, sum(isinstance(event, Event) for event in log.events)


def tell(method: str) -> float:
    """Microseconds a report, over a study of 1,000 trials with 4 workers."""
    runs = [study(method, 4, 1000, 0)[0] for _ in range(3)]
    return 1e-3 * float(np.min(runs, axis=0).mean())


def wide(method: str) -> float:
    """How many times the cost of a report with 4 workers and 100 trials is that with 64 and 10,000."""
    small = [spent / reports for _, spent, reports in (study(method, 4, 100, seed) for seed in range(10))]
    _, spent, reports = study(method, 64, 10_000, 0)
    return spent / reports / statistics.median(small)


def suggestion(name: str, restricted: bool) -> float:
    """Milliseconds a suggestion, over 50 consecutive ones."""
    luck = np.random.default_rng(0)
    space = MIXED.restricted(MIXED.sample(luck, 600)) if restricted else MIXED.opened()
    benchmark = toy_benchmark(space, (1,))
    sampler = catalog.find_plug_in(name).load()(benchmark, np.random.default_rng(1))
    spent = 0.0
    for number in range(150):
        began = process_time()
        config = sampler.suggest([])
        spent += (process_time() - began) * (number >= 100)
        sampler.observe(config, 1, (float(np.square(space.encode_one(config)).sum() + 0.05 * luck.random()),))
    return 1e3 * spent / 50


def on_reference(method: str, reference: Path) -> float:
    """Seconds of a study with 4 workers and 5 hours, proposals restricted to the table's rows."""
    from study_speed import reference_table

    table = reference_table(reference / "table.npz")
    model = table.under(replace(table.benchmark, table_miss="restrict"))
    benchmark = model.benchmark.with_space(model.restricted_space())
    scheduler = catalog.build(catalog.parse_method(method), benchmark, np.random.default_rng(0))
    began = process_time()
    run(benchmark, scheduler, Simulated(model, 4, 0, benchmark.delays), round(benchmark.budget * NANOSECONDS))
    return process_time() - began


def show(what: str, method: str, value: float, allowed: float, **more: Any) -> None:
    """Print one number."""
    line = {"what": what, "method": method, **more, "value": round(value, 3), "allowed": allowed}
    print(json.dumps(line | {"holds": value <= allowed}), flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["suggestion", "tell", "wide", "studies"])
    parser.add_argument("--methods", default="", help="only these, by commas")
    parser.add_argument("--reference", type=Path)
    arguments = parser.parse_args()
    if "studies" in arguments.what and arguments.reference is None:
        parser.error("studies need --reference, the folder of table.npz")
    chosen = set(arguments.methods.split(",")) - {""}
    with threadpool_limits(1):
        for what in arguments.what:
            methods = {"suggestion": SUGGESTIONS, "studies": STUDIES}.get(what, MODEL_FREE)
            for method in [method for method in methods if not chosen or method in chosen]:
                if what == "suggestion":
                    for restricted in (False, True):
                        value = suggestion(method, restricted)
                        show(what, method, value, SUGGESTIONS[method], restricted=restricted)
                elif what == "tell":
                    show(what, method, tell(method), TELL_US)
                elif what == "wide":
                    show(what, method, wide(method), WIDER)
                else:
                    show(what, method, on_reference(method, arguments.reference), STUDIES[method])


if __name__ == "__main__":
    main()
