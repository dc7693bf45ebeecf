"""Whether the statistics keep what they promise: random search against itself, over many simulated suites.

Two methods that are the same differ by luck only: every significant difference is a false one, and every interval of a
difference should hold 0. Where the luck comes from is open: `calibrate` draws it by an exact law (what random search
holds after so many trainings of a finite table, `reports.regret.law_of_random_search`), so that no study needs to be
run; `judge` takes what studies held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.intervals import ALPHA, mean
from reports.statistics import aggregates
from reports.statistics.blocks import Blocks, blocks
from reports.statistics.bootstrap import REPLICATES, over_families, over_seeds, percentile, weights
from reports.statistics.sequential import Plan, look
from reports.statistics.signed_rank import signed_rank

Floats = NDArray[np.float64]

FEW_REPLICATES = 2_000
"""For the interquartile mean, which sorts each draw of each suite anew."""


@dataclass(frozen=True)
class Calibration:
    """Shares of the simulated suites; each has a standard error of sqrt(share (1 - share) / suites)."""

    suites: int
    wilcoxon: float
    """In which the signed-rank test over benchmarks rejects."""
    t: float
    """Of pairs on one benchmark, in which the paired t test rejects."""
    suite: float
    """In which this suite's interval of a method's mean holds the true one."""
    interquartile: float
    """The same of the interquartile mean."""
    suite_difference: float
    """In which this suite's interval of the difference holds 0."""
    family_difference: float
    """In which the interval for benchmarks like these of the difference, a cluster bootstrap, holds 0."""
    family_t: float
    """In which the t interval over the families' means of the difference holds 0."""


@dataclass(frozen=True)
class Stopping:
    """What came of stopping when a contrast is narrow; shares of the simulated suites."""

    ever: float
    """In which the interval of some look, stopped there or not, leaves 0 out."""
    stopped: float
    """In which the interval where one stops leaves 0 out."""
    seeds: float
    """How many seeds one stops at, on average."""


def calibrate(
    tables: Sequence[Floats],
    trainings: Sequence[int],
    families: Sequence[str],
    *,
    seeds: int,
    suites: int,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> Calibration:
    """Compare random search with itself on so many suites, and count how often the statistics are wrong.

    tables: of each benchmark the final values of all configs, shape (configs,), from best to worst, finite, on the
    scale on which methods are compared (log regret); trainings: full ones that a study has time for, of each;
    families: of each.
    """
    known = list(zip(tables, trainings, strict=True))
    held = np.stack([draw(table, most, (2, suites, seeds), rng) for table, most in known], axis=2)
    chances = [-np.diff(_none_so_good(len(table), most), prepend=1) for table, most in known]
    return judge(held, tables, chances, families, rng=rng, replicates=replicates)


def judge(
    held: Floats,
    values: Sequence[Floats],
    chances: Sequence[Floats],
    families: Sequence[str],
    *,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> Calibration:
    """Count how often the statistics are wrong about two methods that are the same.

    held: shape (2, suites, benchmarks, seeds), what the two held, on the scale on which methods are compared; values,
    chances: of each benchmark, what a study can hold, and the chance of each, sum 1: the truth; families: of each. All
    suites are resampled by the same draws of weights.
    """
    _, suites, benchmarks, seeds = held.shape
    truth, chance = np.concatenate(values), np.concatenate(chances)[None, :] / benchmarks
    apart = held[0] - held[1]
    p = signed_rank_p(held)
    pairs = mean(np.moveaxis(apart, 2, 0))
    name = np.arange(benchmarks).repeat(seeds)
    where = blocks(name, np.asarray(families)[name])
    difference, level = apart.reshape(suites, -1), held[0].reshape(suites, -1)
    over_t = mean(where.per_family(difference).T)
    return Calibration(
        suites=suites,
        wilcoxon=float((p <= ALPHA).mean()),
        t=float(((pairs.low > 0) | (pairs.high < 0)).mean()),
        suite=_coverage(level, aggregates.mean(truth, chance)[0], weights(where, over_seeds, rng, replicates)),
        interquartile=_interquartile(level, aggregates.interquartile_mean(truth, chance)[0], where, rng),
        suite_difference=_coverage(difference, 0.0, weights(where, over_seeds, rng, replicates)),
        family_difference=_coverage(difference, 0.0, weights(where, over_families, rng, replicates)),
        family_t=float(((over_t.low <= 0) & (over_t.high >= 0)).mean()),
    )


def signed_rank_p(held: Floats) -> Floats:
    """The p of the signed-rank test over benchmarks of each suite; held: as for `judge`. Shape (suites,)."""
    return np.array([signed_rank(suite).p for suite in (held[0] - held[1]).mean(axis=2)])


def stop_when_narrow(held: Floats, declared: Plan) -> Stopping:
    """Add seeds to two methods that are the same until their contrast is narrow, in each suite.

    held: shape (2, suites, benchmarks, seeds), with all seeds that are planned; declared: in the unit of `held`.
    """
    contrasts = (held[0] - held[1]).mean(axis=1)
    wrong = np.zeros((len(contrasts), len(declared.looks)), dtype=bool)
    stop = np.full(len(contrasts), len(declared.looks) - 1)
    for place, contrast in enumerate(contrasts):
        for number, seeds in enumerate(declared.looks):
            seen = look(declared, contrast[None, :seeds])
            wrong[place, number] = seen.contrasts.low[0] > 0 or seen.contrasts.high[0] < 0
            if not seen.next:
                stop[place] = min(int(stop[place]), number)
    at_stop = wrong[np.arange(len(wrong)), stop]
    seeds = np.take(declared.looks, stop)
    return Stopping(float(wrong.any(axis=1).mean()), float(at_stop.mean()), float(seeds.mean()))


def draw(table: Floats, trainings: int, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """What random search holds after so many trainings without repeats, drawn by its exact law.

    table: shape (configs,), from best to worst; trainings: at least 1. Returns the given shape.
    """
    return table[np.searchsorted(-_none_so_good(len(table), trainings), -rng.random(shape))]


def _none_so_good(configs: int, trainings: int) -> Floats:
    """The chance that none of the first k configs was among those trained, for k from 1 on: shape (configs,)."""
    drawn = float(min(trainings, configs))
    return np.cumprod(np.maximum(1 - drawn / np.arange(configs, 0, -1), 0.0), dtype=np.float64)


def _interquartile(values: Floats, truth: float, where: Blocks, rng: np.random.Generator) -> float:
    """How often the bootstrap interval of the interquartile mean holds the truth; values: shape (suites, blocks)."""
    drawn = np.concatenate([*weights(where, over_seeds, rng, FEW_REPLICATES)])
    held = [percentile(np.zeros(()), aggregates.interquartile_mean(suite, drawn)) for suite in values]
    return float(np.mean([found.low <= truth <= found.high for found in held]))


def _coverage(values: Floats, truth: float, drawn: Iterable[Floats]) -> float:
    """How often the bootstrap interval of the mean holds the truth; values: shape (suites, blocks)."""
    found = percentile(values.mean(axis=1), np.concatenate([chunk @ values.T for chunk in drawn]))
    return float(((found.low <= truth) & (truth <= found.high)).mean())
