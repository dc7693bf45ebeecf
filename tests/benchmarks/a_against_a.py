"""Random search against itself on the benchmarks that need no data: do the statistics keep what they promise?

    python tests/benchmarks/a_against_a.py --suites 1600 --out reports/published/calibration

Two arms, `one` and `other`, are both `rs`, with streams of their own and no first configs in common. Studies run on the
simulated clock as those of a comparison do, and their incumbents and losses are those of its report. A pool of blocks
is run once, 2 studies of each benchmark with each seed; a suite draws its seeds from the pool without repeats.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import process_time
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.comparison import Arm, Comparison
from harness.compose.comparisons import facts_of
from harness.compose.studies import run_simulated, studies_of
from harness.compose.suites import family_of
from harness.frames import frames
from harness.randomness import stream
from reports import calibration
from reports.incumbent import trajectories
from reports.outcomes import outcomes
from reports.suite.selection import select
from reports.suite.suite import anytime

SEED = 20261129
"""Of the suites' draws; set before the first run and never changed."""
BENCHMARKS = (
    "transformer_wikitext2_small", "transformer_wikitext2_adamw", "hartmann3", "hartmann6", "branin",
    "synthetic_curves", "synthetic_curves:correlation=0.3", "synthetic_curves:noise=0.05",
    "synthetic_curves:spread=50", "synthetic_curves:divergence=0.3",
)  # fmt: skip
ARMS = (Arm("one", "rs"), Arm("other", "rs"))
MEASURED = {f"transformer_wikitext2_{name}": {"table_miss": "restrict"} for name in ("small", "adamw")}
"""Our own tables answer with their rows, whatever their surrogates are worth."""
CHUNK = 250
"""Seeds whose events are in memory together."""


def pool(benchmark: str, seeds: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What both arms held at the budget with each seed, as `outcomes` gives it and with `score`; and the facts."""
    found: list[pd.DataFrame] = []
    comparison = Comparison(ARMS, (benchmark,), (0,), shared=0, own=MEASURED)
    (facts,) = facts_of(comparison, {}).values()
    for first in range(0, seeds, CHUNK):
        chunk = tuple(range(first, min(first + CHUNK, seeds)))
        comparison = Comparison(ARMS, (benchmark,), chunk, shared=0, own=MEASURED)
        wanted = studies_of(comparison)
        name, top = wanted[0].benchmark.name, wanted[0].benchmark.fidelity.maximum
        studies, events = frames([run_simulated(study.spec()) for study in wanted])
        paths = trajectories(events, {name: top})
        held = outcomes(studies, paths, {name: facts})
        scores = select(held, paths, {name: facts}).each(anytime)
        found.append(held.assign(score=scores.ravel()))
    return pd.concat(found, ignore_index=True), facts


def main() -> None:
    """Run the pool, draw the suites, judge, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", type=int, default=1600)
    parser.add_argument("--pool", type=int, default=1000, help="seeds that are run of each benchmark")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    began = process_time()
    pools = {name: pool(name, arguments.pool) for name in BENCHMARKS}
    print(f"{len(BENCHMARKS) * 2 * arguments.pool} studies in {process_time() - began:.0f} s of processor time")
    families = [family_of(name) for name in BENCHMARKS]
    found = calibration.calibrated(
        {name: held for name, (held, _) in pools.items()}, {name: facts for name, (_, facts) in pools.items()},
        families, suites=arguments.suites, rng=stream("a against a", SEED),
    )  # fmt: skip
    print(f"judged after {process_time() - began:.0f} s")
    command = f"python tests/benchmarks/a_against_a.py --suites {arguments.suites} --out {arguments.out}"
    if arguments.pool != parser.get_default("pool"):
        command += f" --pool {arguments.pool}"
    calibration.write(arguments.out, found, command=command)


if __name__ == "__main__":
    main()
