"""What the pipe to a foreign optimiser costs, an ask and a tell, above the optimiser's own time.

    python tests/benchmarks/foreign_pipe.py

The optimiser takes no time, so all that is measured is the pipe: JSON there and back, two switches between processes,
and our books. Medians; on a busy machine they are too high.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from harness.foreign._process import close_all
from harness.foreign._scheduler import Adapter, adapted
from harness.space import Space, uniform
from harness.toys import toy_benchmark
from harness.types import Report, Status

ADAPTER = """
class Still:
    def ask(self, trial):
        return {"config": {f"x{i}": trial % 97 / 97 for i in range(10)}}
    def take(self, trial, config):
        return {}
    def tell(self, report):
        return "continue"
def still(study):
    return Still()
"""
ASKS = 2000


def main() -> None:
    """Print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "still.py"
        path.write_text(ADAPTER)
        benchmark = toy_benchmark(Space({f"x{i}": uniform(0, 1) for i in range(10)}))
        began = perf_counter()
        scheduler = adapted(Adapter("still", "still", path, "still", ("numpy",)), benchmark, np.random.default_rng(0))
        print(f"start of a process that imports nothing   {1e3 * (perf_counter() - began):8.1f} ms")
        asks, tells = list[float](), list[float]()
        for trial in range(ASKS):
            began = perf_counter()
            scheduler.ask()
            asked = perf_counter()
            scheduler.tell(Report(trial, 9, (0.5,), {"loss": 0.5, "size": 0.5}, 1.0, Status.REACHED))
            asks.append(asked - began)
            tells.append(perf_counter() - asked)
        for name, taken in (("an ask", asks), ("a tell", tells)):
            tenth = statistics.quantiles(taken, n=10)[-1]
            print(f"{name}, median and 90th percentile   {1e3 * statistics.median(taken):8.3f} {1e3 * tenth:8.3f} ms")
        del scheduler
        close_all()


if __name__ == "__main__":
    sys.exit(main())
