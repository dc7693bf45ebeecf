"""What a surrogate misses most, trained again: does the surrogate not know better, or was one run (un)lucky?

    python tests/benchmarks/missed.py transformer_wikitext2_adamw --out reports/published/transformer_wikitext2_family

Of the card's held-out predictions of configs that neither diverged nor stayed on a plateau the farthest off are taken,
among those measured with one seed, and trained for real with further seeds (20 s a run, kept in results/missed and not
done twice). They serve no fit. Writes missed-NAME.md.

R2 is that of the card, over all such configs: with the one run in the table as the truth, and with the mean over all
runs in its place. That only the worst are trained again favours the second: the others' luck stays.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.compose.cards import described
from harness.compose.tables import Maker
from harness.tabulate import Run, read_runs, tabulate
from surrogates import declared, table
from surrogates.quality.prediction import errors
from surrogates.table import IID

DATA = Path(__file__).resolve().parents[2] / "surrogates" / "data"
PART = "missed"


class Missed(NamedTuple):
    """A config whose held-out prediction is far off: its row, what was measured and predicted, what came again."""

    row: int
    measured: float
    predicted: float
    again: tuple[float, ...] = ()


def far_off(
    data: table.TableData, held_out: Sequence[tuple[float, float, bool]], plateau: float, count: int
) -> list[Missed]:
    """The configs measured with one seed that are predicted worst, the worst first; the card has a line a config."""
    rows = [row for row, part in enumerate(data.parts) if part == IID]
    once = (data.lengths() > 0).sum(axis=1) == 1
    found = [
        Missed(row, measured, predicted)
        for row, (measured, predicted, diverged) in zip(rows, held_out, strict=True)
        if once[row] and not diverged and measured <= plateau
    ]
    return sorted(found, key=lambda one: -abs(one.measured - one.predicted))[:count]


def trained_again(name: str, missed: Sequence[Missed], data: table.TableData, seeds: int, out: Path) -> list[Missed]:
    """Each with the final losses of the seeds from 2 to `seeds`; what is in `out` is not trained again."""
    maker = Maker(name, out)
    wanted = [Run(PART, one.row, dict(data.configs[one.row]), seed) for seed in range(2, seeds + 1) for one in missed]
    how = {"processes": maker.workers, "devices": maker.devices, "problem": maker.problem}
    tabulate(maker.benchmark, maker.script, wanted, out, **how)
    metric = data.benchmark.objectives[0].metric
    ends = {
        (run["index"], run["seed"]): run["curve"][metric][-1] if run["end"] == "complete" else np.nan
        for run in read_runs(out)
    }
    return [one._replace(again=tuple(ends[one.row, seed] for seed in range(2, seeds + 1))) for one in missed]


def text(
    name: str, missed: Sequence[Missed], held_out: Sequence[tuple[float, float, bool]], plateau: float, seeds: int
) -> str:
    """The page."""
    truth, guess = np.array([line[:2] for line in held_out if not line[2] and line[0] <= plateau]).T
    means = truth.copy()
    for one in missed:
        means[(truth == one.measured) & (guess == one.predicted)] = np.nanmean([one.measured, *one.again])
    before, after = (errors(values, guess)["r2"] for values in (truth, means))
    lines = [
        f"# What the surrogate of {name} misses most",
        "",
        f"    python tests/benchmarks/missed.py {name} --configs {len(missed)} --seeds {seeds} --out THIS-FOLDER",
        "",
        f"R2 of the final loss over the {len(truth)} held-out i.i.d. configs that learn: {before:.3f} "
        f"against the runs in the table, {after:.3f} with these {len(missed)} at their means over {seeds} seeds. Only "
        "the worst were trained again, which favours the second number: the luck of the others stays as it was.",
        "",
        "| row | predicted | seed 1, in the table | " + " | ".join(f"seed {s}" for s in range(2, seeds + 1)) + " |",
        "| --- " * (3 + seeds - 1) + "|",
    ]
    for one in missed:
        values = " | ".join(f"{value:.3f}" for value in (one.predicted, one.measured, *one.again))
        lines.append(f"| {one.row} | {values} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the card, train, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a benchmark with a training script, a table and a card")
    parser.add_argument("--configs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5, help="of each config, the one in the table among them")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    data = table.load_data(DATA / given.name)
    held_out = described(given.name)["held_out"]
    plateau = declared.read(DATA / given.name, given.name).plateau
    missed = far_off(data, held_out, plateau, given.configs)
    missed = trained_again(given.name, missed, data, given.seeds, Path("results") / "missed" / given.name)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"missed-{given.name}.md").write_text(
        text(given.name, missed, held_out, plateau, given.seeds), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
