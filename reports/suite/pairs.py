"""What can be said about two methods over benchmarks: which is better, practically equal, or what could not be seen.

The unit is the benchmark: each is one difference of mean anytime scores, and benchmarks that share a family are no
independent witnesses, so the interval for benchmarks like these draws families. Wilcoxon's signed-rank test with Holm's
correction says whether two methods can be told apart; the Bayesian signed-rank test whether they are practically equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from reports.incumbent import Floats
from reports.intervals import Interval
from reports.statistics.aggregates import mean
from reports.statistics.bootstrap import over_families, resample, resample_each
from reports.statistics.detectable import by_design, by_signed_rank
from reports.statistics.improvement import improvement
from reports.statistics.practical import EQUAL, Practical, practical
from reports.statistics.wilcoxon_holm import Tested, bars, wilcoxon_holm
from reports.suite.aggregates import SEED
from reports.suite.selection import Selection
from reports.text import number, p_value

REGION = 0.02
"""Anytime scores that differ by less are practically equal."""
FEWEST = 2
"""Benchmarks, below which nothing is said over them."""
REPLICATES = 2000
"""Of probabilities of improvement, each of which looks at every two runs of a benchmark."""

COLUMNS = [
    *("first", "second", "verdict", "difference", "low", "high", "low_families", "high_families", "shift", "shift_low"),
    *("shift_high", "p", "holm", "biserial", "wins", "ties", "losses", "detectable", "better", "equal", "worse"),
    *("practically", "improvement", "improvement_low", "improvement_high", "inference", "inference_low"),
    *("inference_high", "benchmarks", "statement"),
]
OF_SEEDS = ("low", "high", "improvement_low", "improvement_high", "inference_low", "inference_high")
OF_FAMILIES = ("low_families", "high_families")
"""What is not known of one seed, and of one family."""
SHIFT = ("shift", "shift_low", "shift_high")
INFERENCE = ("inference", "inference_low", "inference_high")
BETTER, ALIKE = "better", "not told apart"


def table(selection: Selection, scores: Floats, inferred: Floats) -> pd.DataFrame:
    """Every pair of arms over the benchmarks, in the order of the arms, first against second.

    scores, inferred: anytime scores of the observed and of the inference regret, shape (arms, blocks), higher better;
    tests are of the first. Columns: difference (mean score of first less that of second; low, high of this suite, with
    _families of benchmarks like these), shift (Hodges and Lehmann's), p, holm, biserial (above 0 where first is
    better), wins, ties, losses (benchmarks, of first), detectable (the smallest shift that so many benchmarks would
    have shown), better, equal, worse (probabilities), improvement (the probability that a run of first is better),
    inference (the difference of mean inference scores, NaN where those are not known).
    """
    if len(selection.benchmarks) < FEWEST or len(selection.arms) < 2:
        return pd.DataFrame(columns=COLUMNS)
    means = selection.where.per_benchmark(scores)
    tested = wilcoxon_holm(-means)
    pairs = list(combinations(range(len(scores)), 2))
    where, drawn = selection.where, [(scores, mean), (inferred, mean)]
    suite, truly = resample_each(drawn, where, np.random.default_rng(SEED))
    families = resample(scores, where, mean, np.random.default_rng(SEED), scheme=over_families)
    one_seed, one_family = int(where.seeds.min()) < 2, selection.families < 2
    chances = _improvements(selection, scores, pairs)
    rows: list[dict[str, Any]] = []
    for test, (first, second), chance in zip(tested, pairs, chances, strict=True):
        apart = means[second] - means[first]  # lower is better
        equal = practical(apart, REGION, np.random.default_rng(SEED))
        intervals = [level.difference(first, second) for level in (suite, families)]
        row = {"first": selection.arms[first], "second": selection.arms[second]}
        row |= _numbers(test, apart, intervals, equal, len(pairs)) | chance
        row |= dict(zip(INFERENCE, map(float, truly.difference(first, second)), strict=True))
        row |= dict.fromkeys(OF_SEEDS if one_seed else (), np.nan)
        row |= dict.fromkeys(OF_FAMILIES if one_seed or one_family else (), np.nan)
        rows.append(row | {"benchmarks": len(apart), "statement": _statement(row, len(apart), len(pairs))})
    return pd.DataFrame(rows, columns=COLUMNS)


def cliques(selection: Selection, scores: Floats) -> list[tuple[str, ...]]:
    """The groups of arms, neighbours in mean rank over benchmarks, of which no two can be told apart."""
    if len(selection.benchmarks) < FEWEST or len(selection.arms) < 2:
        return []
    means = -selection.where.per_benchmark(scores)
    return [tuple(selection.arms[place] for place in group) for group in bars(means, wilcoxon_holm(means))]


def impossible(selection: Selection) -> str:
    """In words that no pair can be significant, however its differences fall out; else empty."""
    count = len(selection.arms)
    if len(selection.benchmarks) < FEWEST or count < 2:
        return ""
    return by_design(len(selection.benchmarks), count * (count - 1) // 2, "benchmark")


def _improvements(selection: Selection, scores: Floats, pairs: list[tuple[int, int]]) -> list[dict[str, float]]:
    """The probability of improvement of each pair, all on the same draws."""
    first, second = (-scores[list(side)] for side in zip(*pairs, strict=True))
    found = improvement(first, second, selection.where, np.random.default_rng(SEED), replicates=REPLICATES)
    names = ("improvement", "improvement_low", "improvement_high")
    return [dict(zip(names, map(float, parts), strict=True)) for parts in zip(*found, strict=True)]


def _numbers(test: Tested, apart: Floats, intervals: list[Interval], equal: Practical, tests: int) -> dict[str, Any]:
    suite, families = intervals
    ranks = test.ranks
    return {
        "verdict": BETTER if test.told_apart else ALIKE,
        "difference": float(suite.center),
        "low": float(suite.low),
        "high": float(suite.high),
        "low_families": float(families.low),
        "high_families": float(families.high),
        "shift": -ranks.shift,
        "shift_low": -ranks.high,
        "shift_high": -ranks.low,
        "p": ranks.p,
        "holm": test.holm,
        "biserial": -ranks.biserial,
        "wins": ranks.wins,
        "ties": ranks.ties,
        "losses": ranks.losses,
        "detectable": by_signed_rank(float(apart.std(ddof=1)), len(apart), tests),
        "better": equal.better,
        "equal": equal.equal,
        "worse": equal.worse,
        "practically": equal.verdict,
    }


def _statement(row: dict[str, Any], benchmarks: int, tests: int) -> str:
    """What can be said about a pair, in words."""
    first, second, p = row["first"], row["second"], p_value(row["holm"])
    if row["verdict"] == BETTER:
        small = "; practically equal all the same" if row["practically"] == EQUAL else ""
        ahead = row["shift"] > 0
        better, worse = (first, second) if ahead else (second, first)
        shift, inference = (_by(row, names, ahead=ahead) for names in (SHIFT, INFERENCE))
        truly = "" if np.isnan(row["inference"]) else f", inference score by {inference}"
        return (
            f"{better} is better than {worse} over benchmarks: anytime score higher by {shift}{truly}, Holm p {p}, "
            f"better on {row['wins' if ahead else 'losses']} of {benchmarks}{small}"
        )
    if row["practically"] == EQUAL:
        return f"{first} and {second} are practically equal over benchmarks (probability {row['equal']:.3f})"
    said = f"{first} and {second} could not be told apart over benchmarks, Holm p {p}"
    if by_design(benchmarks, tests, "benchmark"):  # which is said once, of all pairs
        return said
    return f"{said}: the smallest detectable shift of the anytime score is {number(row['detectable'])}"


def _by(row: dict[str, Any], names: Sequence[str], *, ahead: bool) -> str:
    """A number of a pair and its interval, in favour of the first or else of the second."""
    center, low, high = (row[name] for name in names)
    center, low, high = (center, low, high) if ahead else (-center, -high, -low)
    return f"{number(center)} [{number(low)}, {number(high)}]"
