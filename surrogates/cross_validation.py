"""Predict each config of a table from others, and choose the regressor that does so best.

Each fold is fitted from the start, scales and components too, and configs that hardly differ are held out together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from harness.randomness import stream
from surrogates.candidates import CANDIDATES, Candidate, mean_of, unbounded_values
from surrogates.prepared import Prepared, mean_over
from surrogates.scales import Scale

Array = NDArray[np.float64]

FOLDS = 10


@dataclass(frozen=True)
class HeldOut:
    """What was predicted of configs that the fit had not seen.

    values: (n, levels, modelled); seconds: (n, levels), of each level; chance: (n,), to diverge; candidate: the name
    of the regressor that predicted best; folds: how many there were; errors: the mean absolute error of each candidate,
    on the scale of the first objective, over all levels of all configs that did not diverge.
    """

    values: Array
    seconds: Array
    chance: Array
    candidate: str
    folds: int
    errors: Mapping[str, float]


def cross_validated(data: Prepared) -> HeldOut:
    """Predict every config from folds without it, by each candidate, and keep the best."""
    good = data.good
    kept: NDArray[np.bool_] = np.asarray(good.any(axis=1))
    scale = Scale.of(data.values[good], data.signs)
    truth = mean_over(unbounded_values(scale, data.values, good), good)[kept, ..., data.first]
    best: HeldOut | None = None
    errors: dict[str, float] = {}
    for name, candidate in CANDIDATES.items():
        values, seconds, chance = predicted_by_others(data, candidate)
        errors[name] = float(np.abs(scale.unbounded(values)[kept, ..., data.first] - truth).mean())
        if best is None or errors[name] < errors[best.candidate]:
            best = HeldOut(values, seconds, chance, name, min(FOLDS, len(kept)), errors)
    assert best is not None
    return best


def predicted_by_others(data: Prepared, candidate: Candidate, share: float = 1.0) -> tuple[Array, Array, Array]:
    """What a candidate predicts of every config from the folds without it, or from a share of their configs.

    Gives values (n, levels, modelled), the seconds of each level (n, levels), and chances to diverge (n,).
    """
    fold = _folds(data.x, np.asarray(data.good.any(axis=1)))
    values, seconds = np.empty((len(fold), *data.values.shape[2:])), np.empty(data.seconds.shape)
    chance = np.empty(len(fold))
    for held in range(fold.max() + 1):
        left = fold == held
        mean = mean_of(data, _some(np.flatnonzero(~left), share), candidate)
        unbounded, seconds[left] = mean.predict(data.x[left])
        values[left], chance[left] = mean.values(unbounded), mean.chance_to_diverge(data.x[left])
    return values, seconds, chance


def _some(rows: NDArray[np.intp], share: float) -> NDArray[np.intp]:
    """A share of some rows, at random; a larger share holds all of a smaller one."""
    drawn = stream("some configs").permutation(rows)[: round(share * len(rows))]
    return np.sort(drawn)


def near_pairs(x: Array) -> tuple[float, NDArray[np.intp]]:
    """Half the median distance to the nearest other of features x (n, d), and the pairs (p, 2) that are nearer."""
    tree = KDTree(x)
    near = float(np.median(tree.query(x, k=2)[0][:, 1])) / 2
    pairs = np.reshape(tree.query_pairs(near, output_type="ndarray"), (-1, 2)).astype(np.intp)
    return near, pairs[np.lexsort(pairs.T)]


def _folds(x: Array, good: NDArray[np.bool_]) -> NDArray[np.intp]:
    """A fold for each config, at random, one for those that hardly differ, with equal shares of who has a good run."""
    pairs = near_pairs(x)[1]
    links = csr_array((np.ones(len(pairs)), pairs.T), shape=(len(x), len(x)))
    groups, group = connected_components(links, directed=False)
    best = np.zeros(groups, dtype=np.bool_)
    np.logical_or.at(best, group, good)
    order = np.lexsort((stream("folds").random(groups), ~best))
    fold = np.empty(groups, dtype=np.intp)
    fold[order] = np.arange(groups) % min(FOLDS, groups)
    return fold[group]
