"""A study that is killed: one trial that never reports, and has a grandchild in another session."""

import sys
from pathlib import Path

from harness.local import Command, Local
from harness.space import Space, choice
from harness.types import Benchmark, Fidelity, Job, Objective

if __name__ == "__main__":
    script = str(Path(__file__).with_name("troubled.py"))
    space = Space({"trouble": choice(["never reports", "none"])})
    benchmark = Benchmark("killed", space, (Objective("loss"),), Fidelity("epoch", (1, 2)), budget=60, workers=1)
    executor = Local(benchmark, Command((sys.executable, script), "epochs"), 1, Path(sys.argv[1]))
    executor.start(Job(0, {"trouble": "never reports"}, 2))
    executor.next(60_000_000_000)
