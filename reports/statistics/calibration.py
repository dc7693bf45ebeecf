"""Whether the statistics keep what they promise: random search against itself, over many simulated suites.

Two methods that are the same differ by luck only: every significant difference is a false one, and every interval of a
difference should hold 0. The luck is exact: what random search holds after so many trainings has a known law on a
finite table (`reports.regret.law_of_random_search`), so no study needs to be run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.intervals import ALPHA, mean
from reports.regret import law_of_random_search
from reports.statistics.blocks import blocks
from reports.statistics.bootstrap import REPLICATES, over_families, over_seeds, percentile, weights
from reports.statistics.signed_rank import signed_rank

Floats = NDArray[np.float64]


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
    suite_difference: float
    """In which this suite's interval of the difference holds 0."""
    family_difference: float
    """In which the interval for benchmarks like these of the difference holds 0."""


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
    families: of each. All suites are resampled by the same draws of weights.
    """
    known = list(zip(tables, trainings, strict=True))
    held = np.stack([draw(table, most, (2, suites, seeds), rng) for table, most in known], axis=2)
    truth = float(np.mean([law_of_random_search(table, np.array([most]))[0] for table, most in known]))
    apart = held[0] - held[1]  # (suites, benchmarks, seeds)
    p = np.array([signed_rank(suite).p for suite in apart.mean(axis=2)])
    pairs = mean(np.moveaxis(apart, 2, 0))
    name = np.arange(len(tables)).repeat(seeds)
    where = blocks(name, np.asarray(families)[name])
    difference, level = apart.reshape(suites, -1), held[0].reshape(suites, -1)
    return Calibration(
        suites=suites,
        wilcoxon=float((p <= ALPHA).mean()),
        t=float(((pairs.low > 0) | (pairs.high < 0)).mean()),
        suite=_coverage(level, truth, weights(where, over_seeds, rng, replicates)),
        suite_difference=_coverage(difference, 0.0, weights(where, over_seeds, rng, replicates)),
        family_difference=_coverage(difference, 0.0, weights(where, over_families, rng, replicates)),
    )


def draw(table: Floats, trainings: int, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """What random search holds after so many trainings without repeats, drawn by its exact law.

    table: shape (configs,), from best to worst; trainings: at least 1. Returns the given shape.
    """
    configs = len(table)
    none_so_good = np.cumprod(np.maximum(1 - min(trainings, configs) / np.arange(configs, 0, -1), 0))
    return table[np.searchsorted(-none_so_good, -rng.random(shape))]


def _coverage(values: Floats, truth: float, weights: Iterable[Floats]) -> float:
    """How often the bootstrap interval of the mean holds the truth; values: shape (suites, blocks)."""
    found = percentile(values.mean(axis=1), np.concatenate([chunk @ values.T for chunk in weights]))
    return float(((found.low <= truth) & (truth <= found.high)).mean())
