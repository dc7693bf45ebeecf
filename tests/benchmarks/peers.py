"""Is ours worse than theirs? Pairs of one algorithm, the house's method and a peer's, in a stored comparison.

    python tests/benchmarks/peers.py results/peers --pair tpe=optuna-tpe --pair cmaes=optuna-cmaes

Prints tables in Markdown. Endpoint: the normalised regret of the incumbent at the budget, as the comparison's report
has it (0 the best of the benchmark, 1 its median random config; failures count as that). A pair's difference, ours less
theirs, is taken at each seed; its mean over the benchmarks weighs them alike, its interval is for these benchmarks (t,
with the degrees of freedom of Welch and Satterthwaite). `no worse` where the 95 % interval ends below the margin,
`worse` where it begins above 0, both where it lies between: worse, but by less than matters.

Last the best of ours against the best of theirs: chosen on the benchmarks of development halves of suites, compared on
the others. A method of ours is one that runs in our own process.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.compose.comparisons import facts_of
from harness.compose.declarations import declared
from harness.compose.knowledge import STUDIES
from harness.compose.lookups import frames
from harness.compose.studies import studies_of
from harness.compose.suites import suites
from harness.methods import own_methods
from harness.store import Store
from reports.intervals import LEVEL, t_quantile
from reports.summary import observed

MARGIN = 0.02
Floats = NDArray[np.float64]


class Difference(NamedTuple):
    """A mean difference over benchmarks with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What may be said of ours less theirs."""
        words = ["worse"] * (self.low > 0) + ["no worse by the margin"] * (self.high < MARGIN)
        return ", but ".join(words) or "not settled"

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def over_benchmarks(differences: list[Floats]) -> Difference:
    """The mean over benchmarks of means over seeds; differences: of each benchmark those at its seeds, two at least."""
    means = np.array([one.mean() for one in differences])
    variances = np.array([one.var(ddof=1) / len(one) for one in differences])
    mean, variance = float(means.mean()), float(variances.sum())
    if variance == 0:
        return Difference(mean, mean, mean)
    degrees = variance**2 / float(sum(v**2 / (len(d) - 1) for v, d in zip(variances, differences, strict=True)))
    half = float(t_quantile(1 - (1 - LEVEL) / 2, degrees) * np.sqrt(variance) / len(differences))
    return Difference(mean, mean - half, mean + half)


def regrets_of(folder: Path) -> dict[str, pd.DataFrame]:
    """Normalised regrets at the budget, by benchmark: a row a seed, a column an arm; NaN where a study is missing."""
    comparison = declared(folder).comparison
    studies = studies_of(comparison)
    stored = Store(folder / STUDIES).records([study.key for study in studies])
    records = [stored[study.key] for study in studies if study.key in stored]
    if not records:
        raise SystemExit(f"{folder} has no studies yet")
    outcomes = observed(*frames(records), facts_of(comparison, {})).studies
    return {
        str(name): here.pivot(index="seed", columns="arm", values="regret").astype(float)
        for name, here in outcomes.groupby("benchmark", sort=False)
    }


def met(regrets: dict[str, pd.DataFrame], ours: str, theirs: str) -> dict[str, pd.DataFrame]:
    """The two arms' regrets at the seeds that both have, on the benchmarks where there are two such seeds at least."""
    both = {
        name: grid[[ours, theirs]].dropna() for name, grid in regrets.items() if {ours, theirs} <= set(grid.columns)
    }
    return {name: grid for name, grid in both.items() if len(grid) > 1}


def differences(grids: dict[str, pd.DataFrame]) -> list[Floats]:
    """Ours less theirs at each seed, of grids as `met` gives them."""
    return [grid.iloc[:, 0].to_numpy() - grid.iloc[:, 1].to_numpy() for grid in grids.values()]


def row_of(ours: str, theirs: str, grids: dict[str, pd.DataFrame]) -> list[str]:
    """The row of a pair in the table."""
    if not grids:
        return [ours, theirs, "0", "–", "–", "–", "–", "no study yet"]
    found = over_benchmarks(differences(grids))
    means = np.mean([grid.mean().to_numpy() for grid in grids.values()], axis=0)
    seeds = sorted({len(grid) for grid in grids.values()})
    spans = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return [ours, theirs, str(len(grids)), spans, *(f"{mean:.4f}" for mean in means), str(found), found.verdict]


def best(regrets: dict[str, pd.DataFrame]) -> tuple[str, str, dict[str, pd.DataFrame]] | None:
    """The arms of ours and of theirs that are best on the development benchmarks, and how they compare on the others.

    None where the comparison has no benchmark of one kind, or no arm of one side that has all studies.
    """
    development = {name for half, names in suites().items() if half.endswith("/development") for name in names}
    seen = [grid for name, grid in regrets.items() if name in development]
    rest = {name: grid for name, grid in regrets.items() if name not in development}
    if not seen or not rest:
        return None
    means = pd.DataFrame([grid.mean(skipna=False) for grid in seen]).mean(skipna=False).dropna()
    house = set(own_methods())
    own = [str(arm) for arm in means.index if arm in house]
    foreign = [str(arm) for arm in means.index if arm not in house]
    if not own or not foreign:
        return None
    ours, theirs = str(means[own].idxmin()), str(means[foreign].idxmin())
    return ours, theirs, met(rest, ours, theirs)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a comparison")
    parser.add_argument("--pair", action="append", required=True, metavar="OURS=THEIRS")
    arguments = parser.parse_args()
    regrets = regrets_of(arguments.folder)
    pairs = [tuple(pair.split("=")) for pair in arguments.pair]
    head = ["ours", "theirs", "benchmarks", "seeds", "regret, ours", "theirs' regret", "difference [95 %]", "verdict"]
    grids = {(ours, theirs): met(regrets, ours, theirs) for ours, theirs in pairs}
    print(markdown(head, [row_of(*pair, found) for pair, found in grids.items()]))
    for (ours, theirs), found in grids.items():
        worse = [
            [name, f"{grid[ours].mean():.4f}", f"{grid[theirs].mean():.4f}", str(one), one.verdict]
            for name, grid in found.items()
            if (one := over_benchmarks(differences({name: grid}))).low > 0
        ]
        if worse:
            print(f"\nWhere {ours} is worse than {theirs}, not corrected for many benchmarks:\n")
            print(markdown(["benchmark", ours, theirs, "difference [95 %]", "verdict"], worse))
    chosen = best(regrets)
    if chosen is not None:
        print("\nThe best of ours and of theirs, chosen on the development benchmarks, on the others:\n")
        print(markdown(head, [row_of(*chosen)]))


if __name__ == "__main__":
    main()
