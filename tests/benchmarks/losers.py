"""Why methods lose to random search: what the studies of a comparison began, and what they trained to the end.

    python tests/benchmarks/losers.py results/methods --benchmark transformer_wikitext2_adamw

Prints a table, the lowest regret first; a method is paired by seed with `--against`. Means over studies: geometric ones
of normalised regrets, which lie within the benchmark's floor and 1.

regret: of the incumbent at the budget, as the comparison's report has it; times: that over the regret of `--against`,
with its 95 % t interval on logs, not corrected for many comparisons; begun, finished: the regret that the best config
begun, and the best that was trained to the end, ends with, looked up without the luck of a seed; typical: the same of
all that were trained to the end; trials, full: how many were begun, and trained to the end; none: the studies in which
nothing was; first: the share of the budget that was spent when the first was.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.compose.comparisons import facts_of
from harness.compose.declarations import declared
from harness.compose.knowledge import STUDIES
from harness.compose.lookups import frames
from harness.compose.studies import model_of, studies_of
from harness.store import Store
from harness.study import KINDS, Record
from harness.types import NANOSECONDS, Benchmark
from reports.intervals import paired
from reports.regret import Scale, normalised, scale
from reports.summary import observed

REPORT = KINDS.index("report")


def trained(record: Record, ruler: Scale) -> dict[str, Any]:
    """What a study began and trained to the end; the logarithms of regrets, NaN where nothing was."""
    benchmark = Benchmark.from_json(record.spec["benchmark"])
    model = model_of(record.spec["source"], benchmark.table_miss).under(benchmark)
    configs = dict(map(json.loads, record.configs))
    regrets = normalised(np.array([model.final_loss(config) for config in configs.values()]), ruler)
    logs = dict(zip(configs, np.log(regrets).tolist(), strict=True))
    ends = (record.kind == REPORT) & (record.resource == benchmark.fidelity.maximum)
    full = [logs[trial] for trial in set(record.trial[ends].tolist())]
    return {
        "arm": record.spec["arm"],
        "begun": min(logs.values()),
        "finished": min(full, default=np.nan),
        "typical": np.mean(full) if full else np.nan,
        "trials": len(configs),
        "full": len(full),
        "none": not full,
        "first": record.time[ends][0] / NANOSECONDS / benchmark.budget if full else np.nan,
    }


def table(folder: Path, benchmark: str, against: str) -> pd.DataFrame:
    """A row an arm: see the head of this file."""
    comparison = declared(folder).comparison
    studies = [study for study in studies_of(comparison) if study.benchmark.name == benchmark]
    stored = Store(folder / STUDIES).records([study.key for study in studies])
    records = [stored[study.key] for study in studies if study.key in stored]
    facts = facts_of(comparison, {})
    if not records:
        raise SystemExit(f"{folder} has no studies on {benchmark!r}, but on: {', '.join(facts)}")
    ruler = scale(facts[benchmark])
    if ruler is None:
        raise SystemExit(f"{benchmark} has no known optimum and median, so there is no regret to explain")
    outcomes = observed(*frames(records), facts).studies
    regrets = outcomes.pivot(index="seed", columns="arm", values="regret").transform(np.log)
    found = pd.DataFrame([trained(record, ruler) for record in records]).groupby("arm")
    means = found.mean(numeric_only=True).assign(none=found["none"].sum(), seeds=found.size(), regret=regrets.mean())
    means[["begun", "finished", "typical", "regret"]] = np.exp(means[["begun", "finished", "typical", "regret"]])
    for arm in means.index.drop(against):
        ratio = paired(regrets[arm].to_numpy(), regrets[against].to_numpy())
        means.loc[arm, ["times", "low", "high"]] = np.exp([ratio.mean, ratio.low, ratio.high])
    return means.sort_values("regret")


def show(rows: pd.DataFrame) -> None:
    """Print the table in Markdown."""
    columns = ["seeds", "regret", "times [95 %]", "begun", "finished", "typical", "trials", "full", "none", "first"]
    print("|", " | ".join(["method", *columns]), "|")
    print("|", " | ".join(["---"] * (len(columns) + 1)), "|")
    for arm, row in rows.iterrows():
        times = f"{row['times']:.2f}" if np.isfinite(row["times"]) else ""
        times += f" [{row['low']:.2f}, {row['high']:.2f}]" if np.isfinite(row["low"]) else ""
        regrets = [f"{row[name]:.3f}" for name in ("begun", "finished", "typical")]
        counts = [f"{row['trials']:.0f}", f"{row['full']:.1f}", f"{row['none']:.0f}", f"{row['first']:.2f}"]
        print("|", " | ".join([str(arm), f"{row['seeds']:.0f}", f"{row['regret']:.3f}", times, *regrets, *counts]), "|")


def main() -> None:
    """Print the table of one benchmark of a comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a comparison")
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--against", default="rs", metavar="METHOD")
    arguments = parser.parse_args()
    show(table(arguments.folder, arguments.benchmark, arguments.against))


if __name__ == "__main__":
    main()
