"""All numbers over the benchmarks of a comparison, as frames.

Every study counts with its anytime score: the mean over log time, from a hundredth of the budget to all of it, of its
log regret, 0 as good as the median random config and 1 at the floor. It is the endpoint on which methods are compared.
Beside it stands the same score of the inference regret: of the configs that the study held, looked up at full resource
without the luck of a seed, on the test metric where there is one. All else is there to look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reports.fronts import COLUMN
from reports.incumbent import Floats, Key, Trajectory
from reports.outcomes import Facts
from reports.statistics import ranks as ranking
from reports.statistics.aggregates import interquartile_mean, mean, optimality_gap
from reports.statistics.ranks import Friedman, friedman
from reports.statistics.scores import anytime_score, score
from reports.suite import aggregates, pairs, targets
from reports.suite.aggregates import ENOUGH, Quantity
from reports.suite.selection import Ground, Path, Selection, select

AT = (0.1, 1.0)
"""Fractions of the budget at which regrets are given."""


def anytime(path: Path, ground: Ground) -> float:
    """The anytime score of a study."""
    return anytime_score(path.times, path.regrets, 1.0, ground.ruler.floor)


def inference(path: Path, ground: Ground) -> float:
    """The anytime score of a study's inference regret; NaN where that is not known."""
    return anytime_score(path.times, path.inference, 1.0, ground.truth.floor)


def regret_at(path: Path, share: float) -> float:
    """The normalised regret of a study at a fraction of its budget; 1 before its first incumbent."""
    return _held(path.times, path.regrets, share)


def inference_at(path: Path, share: float) -> float:
    """The inference regret of a study at a fraction of its budget; 1 before its first incumbent, NaN if not known."""
    return _held(path.times, path.inference, share)


def final_score(path: Path, ground: Ground) -> float:
    """The score at the budget."""
    return float(score(np.array(regret_at(path, 1.0)), ground.ruler.floor))


IQM, MEAN, GAP, TENTH, FINAL, INFERENCE, INFERENCE_FINAL, HYPERVOLUME = (
    "anytime score, IQM", "anytime score, mean", "optimality gap", "regret at a tenth", "regret at the budget",
    "inference score, mean", "inference regret at the budget", "hypervolume at the budget",
)  # fmt: skip
QUANTITIES = (
    Quantity(IQM, anytime, interquartile_mean, smooth=False),
    Quantity(MEAN, anytime, mean),
    Quantity(GAP, final_score, optimality_gap),
    Quantity(TENTH, lambda path, _: float(np.log(regret_at(path, AT[0]))), mean, np.exp),
    Quantity(FINAL, lambda path, _: float(np.log(regret_at(path, AT[1]))), mean, np.exp),
    Quantity(INFERENCE, inference, mean),
    Quantity(INFERENCE_FINAL, lambda path, _: float(np.log(inference_at(path, AT[1]))), mean, np.exp),
)
WEIGHED = Quantity(HYPERVOLUME, lambda path, _: path.hypervolume)
"""What there is besides where benchmarks have several objectives, of which all else takes the first."""


@dataclass(frozen=True)
class Suite:
    """What the benchmarks say together; empty frames where there is nothing to say."""

    selection: Selection
    aggregates: pd.DataFrame
    """A row per arm and quantity: see `aggregates.table`."""
    ranks: pd.DataFrame
    """Columns arm, rank, inference_rank: mean ranks over benchmarks, of the anytime and of the inference score."""
    scores: pd.DataFrame
    """A row per benchmark and arm: benchmark, family, arm; score, inference (its scores' means) and regret (geometric
    mean at the budget) over its seeds; failed."""
    pairs: pd.DataFrame
    """A row per pair of arms: see `pairs.table`."""
    targets: pd.DataFrame
    """A row per benchmark, target and arm: see `targets.table`."""
    cliques: tuple[tuple[str, ...], ...]
    """Groups of arms, neighbours in rank, that cannot be told apart."""
    friedman: Friedman
    impossible: str
    """Why no pair can be significant, in words; empty where one can."""

    @property
    def few(self) -> str:
        """In words that so few seeds make intervals of this suite too narrow; empty where there are enough."""
        seeds = int(self.selection.where.seeds.min(initial=ENOUGH))
        if seeds >= ENOUGH or len(self.selection.benchmarks) < 2:
            return ""
        if seeds == 1:
            return (
                "One seed a benchmark tells nothing of how seeds differ: there are no intervals for these benchmarks."
            )
        return f"With {seeds} seeds a benchmark intervals for these benchmarks are somewhat too narrow."

    def numbers(self) -> dict[str, Any]:
        """Every number as dicts and lists."""
        frames = ("aggregates", "ranks", "scores", "pairs", "targets")
        return {
            "methods": list(self.selection.arms),
            "benchmarks": list(self.selection.benchmarks),
            "families": self.selection.families,
            "left_out": list(self.selection.left_out),
            "cannot_be_significant": self.impossible,
            "friedman": self.friedman._asdict(),
            "cliques": [list(clique) for clique in self.cliques],
            **{name: getattr(self, name).to_dict("records") for name in frames},
        }


def over_benchmarks(outcomes: pd.DataFrame, trajectories: Mapping[Key, Trajectory], facts: Facts) -> Suite:
    """Compute what the benchmarks of a comparison say together.

    outcomes: a row per wanted study; trajectories: of each; facts: of each benchmark.
    """
    selection = select(outcomes, trajectories, facts)
    quantities = (*QUANTITIES, WEIGHED) if COLUMN in outcomes else QUANTITIES
    scores, inferred = (selection.each(of) if selection.arms else np.empty((0, 0)) for of in (anytime, inference))
    means, worth = (selection.where.per_benchmark(each) if selection.arms else each for each in (scores, inferred))
    placed, truly = (ranking.ranks(-each).mean(axis=1) if selection.arms else np.empty(0) for each in (means, worth))
    return Suite(
        selection=selection,
        aggregates=aggregates.table(selection, quantities),
        ranks=pd.DataFrame({"arm": selection.arms, "rank": placed, "inference_rank": truly}),
        scores=_scores(selection, means, worth, outcomes),
        pairs=pairs.table(selection, scores, inferred),
        targets=targets.table(selection),
        cliques=tuple(pairs.cliques(selection, scores)),
        friedman=friedman(-means) if selection.arms else Friedman(np.nan, np.nan, np.nan),
        impossible=pairs.impossible(selection),
    )


def _held(times: Floats, values: Floats, share: float) -> float:
    """The value of a step function at a fraction of the budget, 1 before its first step."""
    step = int(np.searchsorted(times, share, side="right")) - 1
    return float(values[step]) if step >= 0 else 1.0


def _scores(selection: Selection, means: Floats, worth: Floats, outcomes: pd.DataFrame) -> pd.DataFrame:
    """The numbers of each arm on each benchmark, and how many studies failed; means, worth: (arms, benchmarks)."""
    if not selection.arms:
        return pd.DataFrame(columns=["benchmark", "family", "arm", "score", "inference", "regret", "failed"])
    logs = selection.where.per_benchmark(selection.each(lambda path, _: np.log(regret_at(path, 1.0))))
    failed = outcomes[outcomes["state"] == "failed"].groupby(["benchmark", "arm"]).size()
    return pd.DataFrame(
        [
            {
                "benchmark": name,
                "family": selection.grounds[name].family,
                "arm": arm,
                "score": float(means[row, column]),
                "inference": float(worth[row, column]),
                "regret": float(np.exp(logs[row, column])),
                "failed": int(failed.get((name, arm), 0)),
            }
            for column, name in enumerate(selection.benchmarks)
            for row, arm in enumerate(selection.arms)
        ]
    )
