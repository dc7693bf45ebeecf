"""What a tutorial says of four methods, put to the test: for each claim the statistic that decides it, and a verdict.

The claims are those of the tutorial on a small transformer with which this project began (Syne Tune's on
`transformer_wikitext2`), in our words: random search (`rs`), Bayesian optimisation (`bo`), ASHA (`asha`) and MOBSTER
(`mobster`). A claim holds where the whole 95 % interval of its statistic lies within what was claimed, does not hold
where all of it lies outside, and cannot be told otherwise. The bounds were set before these statistics were first
computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.agreement import OUTSIDE, UNKNOWN, UNSETTLED, WITHIN, verdict
from reports.incumbent import Floats
from reports.intervals import ALPHA, Interval, holm, mean, paired
from reports.outcomes import DONE
from reports.statistics.blocks import blocks
from reports.statistics.bootstrap import over_seeds, percentile, weights
from reports.statistics.targets import median_time, time_to
from reports.suite.selection import Path
from reports.suite.suite import regret_at
from reports.summary import Summary

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told"
WORDS = {WITHIN: HOLDS, OUTSIDE: FAILS, UNSETTLED: OPEN, UNKNOWN: OPEN}

EARLY = 0.1
"""Of the budget: what counts as the beginning."""
HALF = (0.35, 0.7)
"""Of the budget: what counts as about half the time."""
MARGIN = 0.1
"""A share of poor configs within this is the same share."""
CHANCE = 0.5
"""Of random configs, the share that is poor: worse than the median config, without the luck of a seed."""


class Evidence(NamedTuple):
    """What the studies of one benchmark give: everything is by seed, the same seeds for all arms."""

    summary: Summary
    benchmark: str
    proposals: pd.DataFrame
    """Columns arm, benchmark, seed, place (the order in which configs were first tried, from 0), final (their loss at
    full resource without the luck of a seed)."""
    rng: np.random.Generator

    def regrets(self, arm: str, fraction: float) -> Floats:
        """The log regret that an arm holds at a fraction of the budget, by seed; before its first incumbent 0."""
        return np.log([regret_at(path, fraction) for path in self._paths(arm)])

    def poor(self, arm: str, half: int) -> Floats:
        """The share of poor configs among the first (0) or second (1) half of those that an arm tries, by seed."""
        mine = self.proposals[(self.proposals["benchmark"] == self.benchmark) & (self.proposals["arm"] == arm)]
        poor = mine["final"] > self.summary.facts[self.benchmark]["median"]
        count = mine.groupby("seed")["place"].transform("size")
        wanted = (mine["place"] >= count / 2) == bool(half)
        return poor[wanted].groupby(mine.loc[wanted, "seed"]).mean().to_numpy(dtype=float)

    def trials(self, arm: str) -> Floats:
        """How many configs an arm tries, by seed."""
        return self._studies(arm)["trials"].to_numpy(dtype=float)

    def times(self, arm: str, target: str) -> Floats:
        """When an arm first holds what `target` holds at the end, in budgets, by seed; infinite where it never does."""
        pairs = zip(self._paths(arm), self._paths(target), strict=True)
        return np.array([time_to(mine.times, mine.losses, float(goal.losses[-1]), 1.0) for mine, goal in pairs])

    def _paths(self, arm: str) -> list[Path]:
        """What each study held, on a clock on which the budget is 1."""
        self._studies(arm)
        chosen = self.summary.suite.selection
        both = zip(chosen.paths[arm], chosen.block_benchmarks(), strict=True)
        return [path for path, benchmark in both if benchmark == self.benchmark]

    def _studies(self, arm: str) -> pd.DataFrame:
        studies = self.summary.studies
        mine = studies[(studies["benchmark"] == self.benchmark) & (studies["arm"] == arm)].sort_values("seed")
        if not len(mine) or (mine["state"] != DONE).any():
            raise ValueError(f"{arm} has not done all its studies on {self.benchmark}: a claim needs every seed")
        return mine


class Decided(NamedTuple):
    """A statistic with its 95 % interval, against what, where that is not said by the claim, and the verdict."""

    found: Interval
    verdict: str
    against: str = ""


class Claim(NamedTuple):
    """What is claimed, the statistic that decides it, and where it must lie."""

    text: str
    statistic: str
    must: str
    decide: Callable[[Evidence], Decided]


def better(first: str, second: str) -> Callable[[Evidence], Decided]:
    """Decides whether one arm ends better than another."""

    def decide(seen: Evidence) -> Decided:
        apart = paired(seen.regrets(first, 1.0), seen.regrets(second, 1.0))
        found = _interval(*(np.exp(part) for part in (apart.mean, apart.low, apart.high)))
        return Decided(found, within(found, (0.0, 1.0)))

    return decide


def best(arm: str, fraction: float) -> Callable[[Evidence], Decided]:
    """Decides whether one arm is better than every other at a fraction of the budget.

    It holds where the arm is better than each, and does not where one is better, by Holm's p over the others; shown is
    the one that comes closest.
    """

    def decide(seen: Evidence) -> Decided:
        others = [other for other in ("rs", "bo", "asha", "mobster") if other != arm]
        mine = seen.regrets(arm, fraction)
        apart = {other: paired(mine, seen.regrets(other, fraction)) for other in others}
        adjusted = holm(np.array([one.p for one in apart.values()]))
        beaten = any(one.low > 0 and p <= ALPHA for one, p in zip(apart.values(), adjusted, strict=True))
        word = HOLDS if all(one.high < 0 for one in apart.values()) else FAILS if beaten else OPEN
        closest = max(apart, key=lambda other: apart[other].mean)
        one = apart[closest]
        return Decided(_interval(*(np.exp(part) for part in (one.mean, one.low, one.high))), word, closest)

    return decide


def in_half_the_time(arm: str, target: str) -> Callable[[Evidence], Decided]:
    """Decides whether one arm holds in about half the budget what another holds at its end, by the median seed."""

    def decide(seen: Evidence) -> Decided:
        times, ends = seen.times(arm, target), np.ones(len(seen.times(arm, target)))
        where = blocks(np.zeros(len(times), dtype=np.int64))
        draws = np.concatenate([median_time(times, ends, drawn) for drawn in weights(where, over_seeds, seen.rng)])
        with np.errstate(invalid="ignore"):  # where both quantiles are infinite
            center, low, high = percentile(median_time(times, ends)[0], draws)
        found = _interval(center, *(np.nan_to_num(end, nan=np.inf) for end in (low, high)))
        return Decided(found, within(found, HALF))

    return decide


def poor_at_a_constant_rate(arm: str) -> Callable[[Evidence], Decided]:
    """Decides whether poor configs are as frequent in the second half of a study as in the first."""

    def decide(seen: Evidence) -> Decided:
        found = mean(seen.poor(arm, 1) - seen.poor(arm, 0))
        return Decided(found, within(found, (-MARGIN, MARGIN)))

    return decide


def poor_in_the_second_half(arm: str, bounds: tuple[float, float]) -> Callable[[Evidence], Decided]:
    """Decides whether the share of poor configs in the second half of a study lies within bounds."""

    def decide(seen: Evidence) -> Decided:
        found = mean(seen.poor(arm, 1))
        return Decided(found, within(found, bounds))

    return decide


def explores_more(first: str, second: str) -> Callable[[Evidence], Decided]:
    """Decides whether one arm tries more configs than another."""

    def decide(seen: Evidence) -> Decided:
        found = mean(np.log(seen.trials(first)) - np.log(seen.trials(second))).exp()
        return Decided(found, within(found, (1.0, np.inf)))

    return decide


RATIO = "regret of {} / that of {} at the end, geometric mean of the same seeds"
POOR = "share of poor configs in the second half of a study of {}"
AS_CHANCE, LEARNED = (CHANCE - MARGIN, CHANCE + MARGIN), (0.0, CHANCE - MARGIN)

CLAIMS = (
    Claim("Model-based sampling helps: BO ends better than random search", RATIO.format("bo", "rs"), "below 1",
          better("bo", "rs")),
    Claim("So it does with early stopping: MOBSTER ends better than ASHA", RATIO.format("mobster", "asha"), "below 1",
          better("mobster", "asha")),
    Claim("Pausing poor trials helps: ASHA ends better than random search", RATIO.format("asha", "rs"), "below 1",
          better("asha", "rs")),
    Claim("MOBSTER falls the most at first", "regret of mobster / that of its closest rival at a tenth of the budget",
          "below 1, for each of the others", best("mobster", EARLY)),
    Claim("MOBSTER has the best performance at the end", "regret of mobster / that of its closest rival at the end",
          "below 1, for each of the others", best("mobster", 1.0)),
    Claim("MOBSTER reaches BO's final value in about half the time",
          "median time until mobster holds what bo holds at its end with the same seed, in budgets",
          f"{HALF[0]:g} to {HALF[1]:g}", in_half_the_time("mobster", "bo")),
    Claim("Random search samples poor configs at a constant rate",
          "share of poor configs of rs, second half of a study less first", f"-{MARGIN:g} to {MARGIN:g}",
          poor_at_a_constant_rate("rs")),
    Claim("BO learns to avoid poor configs", POOR.format("bo"), f"below {LEARNED[1]:g}",
          poor_in_the_second_half("bo", LEARNED)),
    Claim("ASHA explores more configs than random search", "configs of asha / those of rs", "above 1",
          explores_more("asha", "rs")),
    Claim("ASHA repeats mistakes over and over", POOR.format("asha"), f"{AS_CHANCE[0]:g} to {AS_CHANCE[1]:g}",
          poor_in_the_second_half("asha", AS_CHANCE)),
    Claim("MOBSTER learns from the past", POOR.format("mobster"), f"below {LEARNED[1]:g}",
          poor_in_the_second_half("mobster", LEARNED)),
)  # fmt: skip


def verdicts(summary: Summary, proposals: pd.DataFrame, benchmark: str, rng: np.random.Generator) -> pd.DataFrame:
    """Decide every claim on one benchmark.

    Columns: benchmark, claim, statistic, must, against, center, low, high, seeds, verdict. ValueError where an arm
    lacks a study: no seed is left out.
    """
    seeds = int(summary.studies.loc[summary.studies["benchmark"] == benchmark, "seed"].nunique())
    rows: list[dict[str, Any]] = []
    for claim in CLAIMS:
        decided = claim.decide(Evidence(summary, benchmark, proposals, rng))
        center, low, high = (float(part) for part in decided.found)
        rows.append(
            {
                "benchmark": benchmark, "claim": claim.text, "statistic": claim.statistic, "must": claim.must,
                "against": decided.against, "center": center, "low": low, "high": high, "seeds": seeds,
                "verdict": decided.verdict,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def within(found: Interval, bounds: tuple[float, float]) -> str:
    """Whether a claim holds: the whole interval lies within what was claimed."""
    return WORDS[verdict(float(found.low), float(found.high), bounds)]


def _interval(center: Any, low: Any, high: Any) -> Interval:
    return Interval(*(np.asarray(part, dtype=float) for part in (center, low, high)))
