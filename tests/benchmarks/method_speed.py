"""What methods cost: a suggestion, a report told, many workers, whole studies of those that model curves, and peers.

    python tests/benchmarks/method_speed.py tell
    python tests/benchmarks/method_speed.py suggestion wide studies --reference path/to/reference
    python tests/benchmarks/method_speed.py wide ratios --reference FOLDER --python optuna=PATH --python smac=PATH
    python tests/benchmarks/method_speed.py ratios --methods bore,cqr --reference FOLDER --python syne-tune-0.16=PATH

One line of JSON a number, beside what is allowed; process time, one thread, on a made-up mixed space of five
hyperparameters with 27 levels. tell: microseconds a report, of each call the least of three equal runs, so that what
else the machine does is left out; suggestion: milliseconds from 100 observations on, one more after each; wide: the
cost of a report, loop included, with 64 workers and 10,000 trials over that with 4 workers and 100; studies: seconds on
the table of `study_speed.py`; ratios: how many times our seconds a peer takes for the same suggestion or study, by its
script in the reference and in turn with ours, each by the Python of its environment, `optuna`, `smac`,
`syne-tune-0.13` or `syne-tune-0.16`; peers without one are left out. What `python -m harness fetch syne-tune` makes is
one of 0.16: `~/.cache/foretune/environments/syne-tune/bin/python`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter_ns, process_time
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.compose.studies import no_garbage_collection
from harness.loop import run
from harness.methods import build, parse_method
from harness.plug_ins import find_plug_in
from harness.simulated import Simulated
from harness.space import Space, choice, lograndint, loguniform, ordinal, uniform
from harness.toys import StatefulToy, Toy, toy_benchmark
from harness.types import NANOSECONDS, Event, Job, Objective, Report, Scheduler
from harness.watched import past_tasks

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
    "rs", "grid", "sobol", "rea", "cmaes", "de", "zero-shot", "bounding-box", "asha", "asha-stop", "sh", "hyperband",
    "pasha", "median", "dehb", "bohb", "priorband", "nsga2", "moasha", "pbt",
)  # fmt: skip
SEVERAL_OBJECTIVES = {"nsga2", "moasha"}
STUDIES = {"mobster": 3, "hypertune": 4, "dyhpo": 6}
TELL_US, WIDER = 5.0, 2.0
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}


class Peer(NamedTuple):
    """What another system needs for the same: its environment, its script with arguments, and the least ratio wanted.

    seconds: the name of the CPU seconds in what the script says; what SMAC takes on average it has by the wall clock
    alone, so that ratio holds on an idle machine only. The ratios wanted are those of the numbers to reach.
    """

    python: str
    script: tuple[str, ...]
    wanted: float
    seconds: str = "cpu"


SUGGESTING = {
    "tpe": Peer("optuna", ("optuna_run.py", "cost", "TPE-mv", "--ns", "100"), 2.5),
    "bore": Peer("syne-tune-0.16", ("suggestion_cost.py", "st16-bore", "--ns", "100"), 160 / 25),
    "cqr": Peer("syne-tune-0.16", ("suggestion_cost.py", "st16-cqr", "--ns", "100"), 566 / 120),
    "rf": Peer("smac", ("suggestion_cost.py", "smac", "--ns", "100"), 526 / 60, "mean_ask"),
}
STUDYING = {
    "mobster": Peer("syne-tune-0.13", ("syne_tune_run.py", "MOBSTER-prom"), 11.7 / 3),
    "hypertune": Peer("syne-tune-0.13", ("syne_tune_run.py", "HyperTune-prom"), 30.1 / 4),
    "dyhpo": Peer("syne-tune-0.13", ("syne_tune_run.py", "DyHPO-prom"), 146 / 6),
}
REPEATS = 3


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
    space, parsed = MIXED.opened(), parse_method(method)
    benchmark = toy_benchmark(space, tuple(range(1, 28)), 1e9, workers)
    if method in SEVERAL_OBJECTIVES:
        benchmark = replace(benchmark, objectives=(*benchmark.objectives, Objective("size")))
    toy = (StatefulToy if method == "pbt" else Toy)(benchmark)
    past = past_tasks(space) if parsed.learns else None
    scheduler = Timed(build(parsed, benchmark, np.random.default_rng(seed), history=past), trials)
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
    sampler = find_plug_in(name).load()(benchmark, np.random.default_rng(1))
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
    scheduler = build(parse_method(method), benchmark, np.random.default_rng(0))
    began = process_time()
    run(benchmark, scheduler, Simulated(model, 4, 0, benchmark.delays), round(benchmark.budget * NANOSECONDS))
    return process_time() - began


def of_peer(peer: Peer, python: str, reference: Path) -> float:
    """The CPU seconds that a script of the reference says."""
    command = [python, str(reference / peer.script[0]), *peer.script[1:]]
    said = subprocess.run(command, env=os.environ | ONE_THREAD, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(said.strip().splitlines()[-1])[peer.seconds]


def ratio(ours: Callable[[], float], peer: Peer, python: str, reference: Path) -> tuple[float, float]:
    """Our seconds and those of a peer: the medians of some runs in turn, so that both meet the same machine."""
    pairs = [(ours(), of_peer(peer, python, reference)) for _ in range(REPEATS)]
    return statistics.median(mine for mine, _ in pairs), statistics.median(theirs for _, theirs in pairs)


def show(what: str, method: str, value: float, allowed: float, **more: Any) -> None:
    """Print one number, which is at most what is allowed; of ratios at least what is wanted."""
    holds = value >= allowed if what == "ratios" else value <= allowed
    bound = "wanted" if what == "ratios" else "allowed"
    print(
        json.dumps(
            {"what": what, "method": method, **more, "value": round(value, 3), bound: round(allowed, 3), "holds": holds}
        ),
        flush=True,
    )


def show_ratios(chosen: set[str], pythons: dict[str, str], reference: Path) -> None:
    """Print how many times our seconds each peer takes that there is an environment for."""
    for method, peer in {**SUGGESTING, **STUDYING}.items():
        if peer.python not in pythons or (chosen and method not in chosen):
            continue

        def ours(method: str = method) -> float:
            return 1e-3 * suggestion(method, False) if method in SUGGESTING else on_reference(method, reference)

        mine, theirs = ratio(ours, peer, pythons[peer.python], reference)
        seconds = {"peer": f"{peer.python}: {' '.join(peer.script)}", "ours_s": mine, "theirs_s": theirs}
        show("ratios", method, theirs / mine, peer.wanted, **seconds)


def pythons_of(parser: argparse.ArgumentParser, texts: list[str]) -> dict[str, str]:
    """The Python of each environment, from ENVIRONMENT=PATH."""
    known = sorted({peer.python for peer in (*SUGGESTING.values(), *STUDYING.values())})
    found: dict[str, str] = {}
    for text in texts:
        name, _, path = text.partition("=")
        python = Path(path).expanduser()
        if name not in known or not python.is_file():
            parser.error(f"--python is ENVIRONMENT=PATH, of {', '.join(known)}; PATH is a Python; given {text}")
        found[name] = str(python)
    return found


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["suggestion", "tell", "wide", "studies", "ratios"])
    parser.add_argument("--methods", default="", help="only these, by commas")
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--python", action="append", default=[], metavar="ENVIRONMENT=PATH")
    arguments = parser.parse_args()
    if {"studies", "ratios"} & set(arguments.what) and arguments.reference is None:
        parser.error("studies and ratios need --reference, the folder of table.npz and of the peers' scripts")
    pythons = pythons_of(parser, arguments.python)
    if "ratios" in arguments.what and not pythons:
        parser.error("ratios need a --python of a peer's environment")
    chosen = set(arguments.methods.split(",")) - {""}
    if unknown := chosen - {*MODEL_FREE, *SUGGESTIONS, *STUDIES}:
        parser.error(f"nothing is measured of {', '.join(sorted(unknown))}")
    with threadpool_limits(1):
        for what in arguments.what:
            if what == "ratios":
                show_ratios(chosen, pythons, arguments.reference)
                continue
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
