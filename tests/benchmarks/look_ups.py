"""What it costs to ask the data for a curve: grids, nearest rows, fitted surrogates, a network; and to open a table.

    FORETUNE_DATA=path/to/data python tests/benchmarks/look_ups.py

Tables are made up, of the sizes of the largest ones; no config is asked for twice, so that no curve is remembered. The
network is the one of lcbench, where the environment variable FORETUNE_DATA names a folder that has it. Medians of
process time, one thread; of the fresh processes of wall time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from time import process_time_ns
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.compose import fetching
from harness.compose.studies import model_of, no_garbage_collection
from harness.loop import run
from harness.samplers.rs import RandomSearch
from harness.schedulers.asha import Asha
from harness.simulated import Simulated
from harness.space import Space, uniform
from harness.types import NANOSECONDS, Benchmark, CurveModel, Fidelity, Objective
from surrogates import _converted
from surrogates.families import fcnet
from surrogates.table import Table, TableData

ROOT = Path(__file__).resolve().parents[2]
GRID = fcnet.BENCHMARKS[0]
ROWS, WIDTHS, ASKED, STUDIES = 20_000, (5, 9), 2_000, 10
LOADED = """
from time import perf_counter
from harness.compose.studies import model_of
import surrogates.families.fcnet
began = perf_counter()
model_of(%r, "restrict")
print(perf_counter() - began)
"""


def say(what: str, numbers: Iterable[float], unit: float, reach: str) -> None:
    """Print the median of some times in nanoseconds, in this unit."""
    print(json.dumps({"what": what, "median": round(statistics.median(numbers) / unit, 2), "reach": reach}), flush=True)


def times(ask: Callable[[Any], object], configs: Iterable[Any]) -> list[int]:
    """Nanoseconds of each question."""
    found: list[int] = []
    for config in configs:
        began = process_time_ns()
        ask(config)
        found.append(process_time_ns() - began)
    return found


def made_up(benchmark: Benchmark, rows: int, metrics: tuple[str, ...], seeds: int) -> dict[str, Any]:
    """The arrays of a table as `_converted.save` takes them."""
    luck, levels = np.random.default_rng(0), len(benchmark.fidelity.levels)
    return {
        "metrics": metrics,
        "seeds": tuple(range(seeds)),
        "values": luck.random((rows, seeds, levels, len(metrics))),
        "seconds": np.cumsum(1 + luck.random((rows, seeds, levels)), axis=2),
        "ends": np.zeros((rows, seeds), dtype=np.int8),
        "made": {},
    }


def grid() -> None:
    """A grid of 62,208 configs: looked up and rounded to, and opened by a fresh process."""
    _converted.save(
        _converted.cache() / "fcnet" / GRID.name, GRID, **made_up(GRID, GRID.space.size or 0, ("val_loss", "size"), 4)
    )
    model = model_of(GRID.name, "restrict")
    configs = GRID.space.sample(np.random.default_rng(1), ASKED)
    say("grid of 62,208 configs, us", times(lambda config: model.curve(config, 0), configs), 1e3, "10")
    snaps = model.under(replace(GRID, table_miss="snap"))
    near = [config | {"init_lr": config["init_lr"] * 1.01, "dropout_1": 0.07} for config in configs]  # type: ignore[operator]
    say("the same, by rounding, us", times(lambda config: snaps.curve(config, 1), near), 1e3, "10")
    command = [sys.executable, "-c", LOADED % GRID.name]
    opened = [float(subprocess.check_output(command, cwd=ROOT)) * 1e9 for _ in range(5)]
    say("a converted table in a fresh process, ms", opened, 1e6, "300")


def nearest() -> None:
    """The nearest of 20,000 rows."""
    for width in WIDTHS:
        space = Space({f"x{place}": uniform(0.0, 1.0) for place in range(width)})
        levels = Fidelity("epoch", tuple(range(1, 28)))
        benchmark = Benchmark("rows", space, (Objective("loss"),), levels, 1.0, 1, table_miss="snap")
        content = made_up(benchmark, ROWS, ("loss",), 1)
        configs = tuple(space.sample(np.random.default_rng(1), ROWS))
        table = Table(TableData(benchmark=benchmark, configs=configs, parts=("iid",) * ROWS, **content))
        asked = space.sample(np.random.default_rng(2), ASKED)
        say(f"nearest of 20,000 rows in {width} dimensions, us", times(lambda c: table.curve(c, 0), asked), 1e3, "150")  # noqa: B023


def predicted() -> None:
    """Surrogates fitted to our own tables."""
    for fitted in sorted((ROOT / "surrogates" / "data").glob("*/surrogate.json")):
        name = fitted.parent.name
        model = model_of(name, "surrogate")
        asked = model.benchmark.space.sample(np.random.default_rng(0), ASKED)
        say(f"a curve predicted for {name}, us", times(lambda config: model.curve(config, 0), asked), 1e3, "200")  # noqa: B023


def network() -> None:
    """The network of lcbench, and studies on it."""
    if _converted.shared_data("lcbench_surrogate") is None:
        print("FORETUNE_DATA names no folder with lcbench_surrogate: not timed")
        return
    name = fetching.fetch("lcbench").benchmarks[0]
    model = model_of(name, "restrict")
    asked = model.benchmark.space.sample(np.random.default_rng(0), ASKED // 4)
    say(f"a curve of 52 epochs of {name}, ms", times(lambda config: model.curve(config, 0), asked), 1e6, "1")
    say(f"a study of asha on {name}, s", times(lambda seed: study(model, seed), range(STUDIES)), 1e9, "1")


def study(model: CurveModel, seed: int) -> None:
    """One study at the default budget, nothing remembered of other studies."""
    fresh = model.under(model.benchmark)
    own = fresh.benchmark.with_space(fresh.restricted_space())
    method = Asha(own, np.random.default_rng(seed), sampler=RandomSearch(own, np.random.default_rng(seed)))
    with no_garbage_collection():
        run(own, method, Simulated(fresh, own.workers, seed, own.delays), round(own.budget * NANOSECONDS))


def main() -> None:
    """All of it, with a cache folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FORETUNE_CACHE"] = folder
        for part in (grid, nearest, predicted, network):
            part()


if __name__ == "__main__":
    main()
