"""The claims of the tutorial that this project began from, decided on our own tables, and the ranking on larger ones.

    python -m harness fetch nmt_transformer; python -m harness fetch llama_lr
    python tests/benchmarks/tutorial_claims.py --out reports/published/claims

Random search, BO, ASHA and MOBSTER with 4 workers: 30 seeds on `transformer_wikitext2_small` and
`transformer_wikitext2_adamw`, 10 on the tables of trainings on GPUs. Studies are kept under `--results`; what is there
already is not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.comparison import Arm, Comparison
from harness.compose import comparisons
from harness.compose.knowledge import STUDIES
from harness.compose.lookups import frames
from harness.compose.studies import model_of, studies_of
from harness.compose.suites import suites
from harness.randomness import stream
from harness.store import Store
from harness.study import Record
from harness.types import Benchmark
from reports import claims_page
from reports.claims_page import World
from reports.summary import summarise

ARMS = tuple(Arm(name, name) for name in ("rs", "bo", "asha", "mobster"))
SMALL = ("transformer_wikitext2_small", "transformer_wikitext2_adamw")
SEEDS, LARGE_SEEDS = 30, 10


def world(name: str, comparison: Comparison, folder: Path, jobs: int) -> tuple[World, list[Record]]:
    """Run what is missing of a comparison; gives its summary and the records of its studies."""
    done = comparisons.compare(comparison, folder, command=f"tutorial_claims.py: {name}", jobs=jobs)
    if done.failed:
        raise RuntimeError(f"{len(done.failed)} studies failed, the first with: {done.failed[0].error}")
    stored = Store(folder / STUDIES).records()
    records = [stored[study.key] for study in studies_of(comparison)]
    summary = summarise(*frames(records), comparisons.facts_of(comparison, {}))
    return World(name, summary), records


def proposals(records: list[Record]) -> pd.DataFrame:
    """Every config that a study tried, in their order, with the loss that it ends with without luck."""
    rows: list[dict[str, Any]] = []
    for record in records:
        spec = record.spec
        benchmark = Benchmark.from_json(spec["benchmark"])
        model = model_of(spec["source"], benchmark.table_miss).under(benchmark)
        identity = {"arm": spec["arm"], "benchmark": benchmark.name, "seed": spec["seed"]}
        rows += [
            {**identity, "place": place, "final": model.final_loss(config)}
            for place, (_, config) in enumerate(map(json.loads, record.configs))
        ]
    return pd.DataFrame(rows)


def main() -> None:
    """Run the studies, decide the claims, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=Path("results/claims"))
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    gpus = [name for name in suites()["multi-fidelity/development"] if name.startswith("nmt_transformer")]
    small, records = world(
        "our small family", Comparison(ARMS, SMALL, tuple(range(SEEDS)), {"table_miss": "restrict"}),
        arguments.results / "small", arguments.jobs,
    )  # fmt: skip
    large, _ = world(
        "tables made on GPUs", Comparison(ARMS, (*gpus, "llama_lr"), tuple(range(LARGE_SEEDS))),
        arguments.results / "large", arguments.jobs,
    )  # fmt: skip
    decided = claims_page.write(
        arguments.out, small, large, proposals(records), stream("claims"),
        command=f"python tests/benchmarks/tutorial_claims.py --out {arguments.out}",
    )  # fmt: skip
    print(decided[["benchmark", "claim", "center", "low", "high", "verdict"]].to_string(index=False))


if __name__ == "__main__":
    main()
