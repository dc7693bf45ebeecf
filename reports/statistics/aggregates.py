"""One number for a whole suite: means that take weights, so that a bootstrap can reweigh them.

Every statistic takes the values of one method, shape (blocks,), and weights, shape (draws, blocks), and gives one
number a draw, shape (draws,); some must also know which benchmark each block belongs to. Weights need not sum to one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reports.statistics.blocks import Blocks

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], Floats]

ROUNDING = 1e-9


def mean(values: Floats, weights: Floats) -> Floats:
    """The mean. values: shape (blocks,) or (blocks, points): then the result has shape (draws, points)."""
    total = weights.sum(axis=1)
    return weights @ values / (total if values.ndim == 1 else total[:, None])


def median(values: Floats, blocks: Blocks, weights: Floats) -> Floats:
    """The median over benchmarks of each one's mean over its seeds: nothing that happens on a few of them moves it.

    values: shape (blocks,). Benchmarks count by their weight; where one half of it ends between two, their middle.
    """
    if np.isnan(values).any():
        return np.full(len(weights), np.nan)
    member = (blocks.benchmark[:, None] == np.arange(blocks.benchmarks)).astype(float)
    share = weights @ member
    means = np.divide((weights * values) @ member, share, out=np.full_like(share, np.inf), where=share > 0)
    order = np.argsort(means, axis=1)
    means, reached = np.take_along_axis(means, order, 1), np.cumsum(np.take_along_axis(share, order, 1), axis=1)
    half, draw = reached[:, -1:] / 2, np.arange(len(weights))
    low, high = (reached >= half * (1 - ROUNDING)).argmax(axis=1), (reached > half * (1 + ROUNDING)).argmax(axis=1)
    return (means[draw, low] + means[draw, high]) / 2


def interquartile_mean(values: Floats, weights: Floats) -> Floats:
    """The mean of the middle half: neither the best quarter of runs nor the worst moves it.

    Trimmed by weight, not by count: where a quarter of the weight ends inside a run, that run counts in part (Agarwal
    et al., "Deep RL at the edge of the statistical precipice", NeurIPS 2021, who drop whole runs; equal where the
    number of runs is a multiple of 4). It hides hard benchmarks by design, so the mean and the optimality gap belong
    beside it.
    """
    if np.isnan(values).any():
        return np.full(len(weights), np.nan)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    total = reached[:, -1:]
    inside = np.clip(reached, 0.25 * total, 0.75 * total)
    kept = np.diff(inside, axis=1, prepend=0.25 * total)
    return kept @ values[order] / (0.5 * total[:, 0])


def optimality_gap(values: Floats, weights: Floats) -> Floats:
    """How far scores fall short of 1 on average; what a score has above 1 makes up for nothing.

    values: scores, higher better (Agarwal et al., NeurIPS 2021).
    """
    return mean(np.maximum(1 - values, 0), weights)


def wins(first: Floats, second: Floats) -> Floats:
    """Where the first method is better: 1, where they tie 0.5, else 0; the mean is the paired win rate.

    first, second: shape (blocks,), lower better. NaN where one has no value.
    """
    better = (first < second) + 0.5 * (first == second)
    return np.where(np.isnan(first) | np.isnan(second), np.nan, better)


def superiority(first: Floats, second: Floats, blocks: Blocks, weights: Floats) -> Floats:
    """The probability that a run of the first method is better than a run of the second on the same benchmark.

    first, second: shape (blocks,), lower better; weights: shape (draws, blocks). Every seed of the one against every
    seed of the other, ties half: Mann-Whitney's U / (n m) of each benchmark, averaged over benchmarks by their weight
    (Agarwal et al., NeurIPS 2021). Returns shape (draws,).
    """
    if np.isnan(first).any() or np.isnan(second).any():
        return np.full(len(weights), np.nan)
    found, total = np.zeros(len(weights)), weights.sum(axis=1)
    for benchmark in range(blocks.benchmarks):
        here = blocks.benchmark == benchmark
        better = wins(first[here][:, None], second[here][None, :])
        mine = weights[:, here]
        share = mine.sum(axis=1)
        u = np.sum((mine @ better) * mine, axis=1)
        found += np.divide(u, share, out=np.zeros_like(u), where=share > 0)
    return found / total


def profile(values: Floats, thresholds: Floats, weights: Floats) -> Floats:
    """The share of runs with a score above each threshold.

    values: shape (blocks,), scores; thresholds: shape (points,). Returns shape (draws, points), falling (Dolan & More
    2002; Agarwal et al., NeurIPS 2021).
    """
    return mean((values[:, None] > thresholds[None, :]).astype(float), weights)
