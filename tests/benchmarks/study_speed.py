"""Microseconds a report of one simulated study in process, all events kept; set-up timed apart.

    python tests/benchmarks/study_speed.py path/to/reference

The folder holds `table.npz` (1,000 configs x 3 seeds x 40 epochs) and `floor.py`, a bare heap loop over the same table,
which is run beside. Medians over 100 seeds, process time, one thread.
"""

import argparse
import importlib.util
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.compose.studies import no_garbage_collection
from harness.loop import run
from harness.samplers.rs import RandomSearch
from harness.schedulers.asha import Asha
from harness.schedulers.asha_stop import AshaStop
from harness.schedulers.single import Single
from harness.simulated import Simulated
from harness.space import Space, loguniform, randint, uniform
from harness.types import NANOSECONDS, Benchmark, Event, Fidelity, Objective
from surrogates.table import Table, TableData


def reference_table(path: Path) -> Table:
    """The synthetic table of the reference measurements as one of ours."""
    with np.load(path) as arrays:
        names, hp, losses, seconds = (arrays[k] for k in ("hp_names", "hp", "val_loss", "elapsed_time"))
    space = Space(
        {
            "lr": loguniform(1e-6, 1e-3),
            "dropout": uniform(0, 0.99),
            "batch_size": randint(16, 48),
            "momentum": uniform(0, 0.99),
            "clip": uniform(0, 1),
        }
    )
    configs = [dict(zip(names.tolist(), row, strict=True)) | {"batch_size": int(row[2])} for row in hp.tolist()]
    benchmark = Benchmark(
        "reference", space, (Objective("val_loss"),), Fidelity("epoch", tuple(range(1, 41))), 18000.0, 4,
        table_miss="snap",
    )  # fmt: skip
    ends = np.zeros((1000, 3), dtype=np.int8)
    data = TableData(
        benchmark, tuple(configs), ("iid",) * 1000, (1, 2, 3), ("val_loss",), losses[..., None], seconds, ends, {}
    )
    return Table(data)


def main() -> None:
    """Time the three schedulers beside the bare loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--seeds", type=int, default=100)
    arguments = parser.parse_args()
    table = reference_table(arguments.reference / "table.npz")
    specification = importlib.util.spec_from_file_location("floor", arguments.reference / "floor.py")
    assert specification and specification.loader
    floor = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(floor)
    for config in table.data.configs:
        for seed in range(20):
            table.curve(config, seed)
    for scheduler, workers, bare in (
        (Single, 4, "rs"), (Asha, 4, None), (AshaStop, 4, "asha"),
        (Single, 32, "rs"), (Asha, 32, None), (AshaStop, 32, "asha"),
    ):  # fmt: skip
        benchmark = replace(table.benchmark, workers=workers)
        times, set_ups, bares, reports, trials = [], [], [], [], []
        for seed in range(-3, arguments.seeds):
            began = process_time()
            space = benchmark.space.opened()
            own = benchmark.with_space(space)
            sampler = RandomSearch(own, np.random.default_rng(seed + 10))
            method = scheduler(own, np.random.default_rng(0), sampler=sampler)
            executor = Simulated(table, workers, seed, benchmark.delays)
            ready = process_time()
            with no_garbage_collection():
                log = run(own, method, executor, round(benchmark.budget * NANOSECONDS))
            if seed < 0:
                continue
            times.append(process_time() - ready)
            set_ups.append(ready - began)
            reports.append(sum(isinstance(event, Event) for event in log.events))
            trials.append(sum(getattr(event, "job", None) is not None for event in log.events))
            if bare:
                began = process_time()
                counts = floor.play(bare, seed, workers)
                bares.append((process_time() - began) / counts[1])
        per_report = [1e6 * t / r for t, r in zip(times, reports, strict=True)]
        print(
            json.dumps(
                {
                    "method": scheduler.__name__,
                    "workers": workers,
                    "reports": statistics.mean(reports),
                    "jobs": statistics.mean(trials),
                    "us_per_report": round(statistics.median(per_report), 2),
                    "bare_loop_us": round(1e6 * statistics.median(bares), 2) if bares else None,
                    "set_up_us": round(1e6 * statistics.median(set_ups), 1),
                    "why": log.why,
                }
            )
        )


if __name__ == "__main__":
    main()
