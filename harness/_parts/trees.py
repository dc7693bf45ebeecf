"""Forests of regression trees, all grown at once: a level of every tree is a handful of numpy calls.

What scikit-learn spends on one small tree is mostly the way to it; a forest for a hundred configs is grown here in
milliseconds, and the same bits come from the same random numbers whatever its version. Splits are searched exactly, as
in CART: for each hyperparameter the observations are kept sorted within each node, so the best split of all nodes is a
cumulative sum. Decided here: thresholds are drawn uniformly between the two neighbours that a split separates (Hutter
et al. 2014, "Algorithm runtime prediction", section 4.3: the mean of many trees then interpolates and the variance
grows with the distance from the data), and equal gains of several hyperparameters are settled by chance, for labels of
0 and 1 tie often; those within one by its lowest cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Forest:
    """Trees as flat arrays over their nodes; node t is the root of tree t.

    feature, threshold (nodes,): to the right goes what lies above the threshold; left (nodes,): the left child, whose
    right sibling follows it, or the node itself where it is a leaf; mean, variance (nodes,): of the targets there;
    depth: the most splits on a path.
    """

    trees: int
    feature: Indices
    threshold: Array
    left: Indices
    mean: Array
    variance: Array
    depth: int

    def leaves(self, x: Array) -> Indices:
        """The leaf that each point (m, d) falls into in each tree, shape (m, trees)."""
        flat = np.ascontiguousarray(x).ravel()
        row = np.repeat(np.arange(len(x)) * x.shape[1], self.trees)
        node = np.tile(np.arange(self.trees), len(x))
        for _ in range(self.depth):
            # A leaf's threshold is infinite, and its left child is itself.
            node = self.left[node] + (flat[row + self.feature[node]] > self.threshold[node])
        return node.reshape(len(x), self.trees)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """The mean and the variance (m,) at points (m, d): that of a tree drawn by lot and of a target in its leaf.

        By the law of total variance: the variance within leaves on average, and that of the means between trees.
        """
        leaves = self.leaves(x)
        means = self.mean[leaves]
        return means.mean(1), self.variance[leaves].mean(1) + means.var(1)


class QuantileForest:
    """The law of the target at a point, as a quantile regression forest (Meinshausen 2006, JMLR 7) has it.

    Each observation weighs as much as its share of the leaf that the point falls into, on average over the trees.
    """

    def __init__(self, forest: Forest, x: Array, targets: Array, weights: Array) -> None:
        from scipy.sparse import csr_array

        order = np.argsort(targets, kind="stable")
        leaves, shares = forest.leaves(x[order]), weights.T[order]
        total = np.bincount(leaves.ravel(), weights=shares.ravel(), minlength=len(forest.left))
        column = np.repeat(np.arange(len(order)), forest.trees)
        self._forest, self._targets = forest, targets[order]
        self._members: Any = csr_array(
            ((shares / total[leaves]).ravel(), (leaves.ravel(), column)), shape=(len(forest.left), len(order))
        )

    def quantiles(self, x: Array, levels: Array) -> Array:
        """The quantiles at levels (q,) of the targets at points (m, d): the smallest that reach them, shape (m, q)."""
        from scipy.sparse import csr_array

        leaves, trees = self._forest.leaves(x), self._forest.trees
        falls: Any = csr_array(
            (np.full(leaves.size, 1 / trees), leaves.ravel(), np.arange(len(x) + 1) * trees),
            shape=(len(x), len(self._forest.left)),
        )
        reached = np.cumsum((falls @ self._members).toarray(), axis=1)
        # Rounding must not carry a level that is reached exactly to the next target.
        places = np.column_stack([(reached < level - 1e-9).sum(1) for level in levels])
        return self._targets[np.minimum(places, len(self._targets) - 1)]


def bootstrap(rng: np.random.Generator, trees: int, n: int) -> Array:
    """How often each of n observations is drawn for each tree, n draws with replacement: shape (trees, n)."""
    drawn = (rng.random((trees, n)) * n).astype(np.intp) + n * np.arange(trees)[:, None]
    return np.bincount(drawn.ravel(), minlength=trees * n).reshape(trees, n).astype(np.float64)


def grow(
    x: Array, targets: Array, weights: Array, rng: np.random.Generator, *, share: float = 1.0, least: float = 1.0
) -> Forest:
    """A forest for points (n, d) and targets (n,), one tree for each row of weights (trees, n).

    share: of the hyperparameters that can split a node, so many are looked at, drawn anew for each node; least: the
    smallest weight of a leaf. Nodes are split until their targets are equal or nothing tells them apart.
    """
    (trees, n), d = weights.shape, x.shape[1]
    weight_of, sum_of, columns = weights.ravel(), (weights * targets).ravel(), np.ascontiguousarray(x.T)
    # A pair is a tree and an observation in it. `pairs` (d, p) has those of a node side by side, in the order of each
    # hyperparameter; a node has the same places in every row.
    ranked = np.argsort(columns, axis=1, kind="stable")
    pairs = (ranked[:, None] + n * np.arange(trees)[:, None]).reshape(d, -1)
    pairs = pairs[weight_of[pairs] > 0].reshape(d, -1)
    sizes = np.count_nonzero(weights, axis=1)
    nodes, count, depth = np.arange(trees), trees, -1
    parts: list[tuple[Indices, Array, Indices, Array, Array]] = []
    while len(nodes):
        depth += 1
        starts, place = np.cumsum(sizes) - sizes, np.repeat(np.arange(len(nodes)), sizes)
        here, weight = targets[pairs[0] % n], weight_of[pairs]
        mean, variance = _moments(here, weight[0], starts, place)
        values = np.take_along_axis(columns, pairs % n, axis=1)
        gain = _gains(values, weight, sum_of[pairs], (starts, place), least)
        feature, cut, splits = _chosen(gain, starts, place, share, rng)
        splits &= variance > 0
        below, above = values[feature, cut], values[feature, np.minimum(cut + 1, len(place) - 1)]
        threshold = below + rng.random(len(nodes)) * (above - below)
        threshold = np.where(threshold < above, threshold, below)
        left = np.where(splits, count + 2 * (np.cumsum(splits) - 1), nodes)
        parts.append((feature, np.where(splits, threshold, np.inf), left, mean, variance))

        stays = splits[place]
        pairs, place = pairs[:, stays], place[stays]
        right = columns[feature[place], pairs % n] > threshold[place]
        pairs = np.take_along_axis(pairs, np.argsort(2 * place + right, axis=1, kind="stable"), axis=1)
        rights = np.bincount(place[right[0]], minlength=len(nodes))
        sizes = np.column_stack([sizes - rights, rights])[splits].ravel()
        nodes = np.arange(count, count + len(sizes))
        count += len(sizes)
    feature, threshold, left, mean, variance = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Forest(trees, feature, threshold, left, mean, variance, depth)


def _moments(targets: Array, weight: Array, starts: Indices, place: Indices) -> tuple[Array, Array]:
    """The mean and the variance (nodes,) of targets (p,); exactly the target and 0 where all in a node are equal."""
    total = np.add.reduceat(weight, starts)
    low = np.minimum.reduceat(targets, starts)
    above = targets - low[place]
    mean = np.add.reduceat(weight * above, starts) / total
    return low + mean, np.add.reduceat(weight * (above - mean[place]) ** 2, starts) / total


def _gains(values: Array, weight: Array, sums: Array, nodes: tuple[Indices, Indices], least: float) -> Array:
    """What a cut after each place (d, p) leaves of the targets' squares between both sides; -inf where none can be."""
    starts, place = nodes
    ends = np.append(starts[1:], len(place)) - 1
    left, left_sum = np.cumsum(weight, axis=1), np.cumsum(sums, axis=1)
    left -= (left[:, starts] - weight[:, starts])[:, place]
    left_sum -= (left_sum[:, starts] - sums[:, starts])[:, place]
    right, right_sum = left[:, ends][:, place] - left, left_sum[:, ends][:, place] - left_sum
    possible = np.zeros(values.shape, dtype=bool)
    possible[:, :-1] = values[:, 1:] > values[:, :-1]
    possible &= (left >= least) & (right >= least)
    possible[:, ends] = False
    gain = left_sum**2 / left + right_sum**2 / np.where(possible, right, 1.0)
    return np.where(possible, gain, -np.inf)


def _chosen(
    gain: Array, starts: Indices, place: Indices, share: float, rng: np.random.Generator
) -> tuple[Indices, Indices, NDArray[np.bool_]]:
    """For each node the hyperparameter and the place of its best cut, and whether it has one, each (nodes,)."""
    best = np.maximum.reduceat(gain, starts, axis=1)
    possible = best > -np.inf
    lot = np.where(possible, rng.random(best.shape), 2.0)
    if share < 1:
        turn = np.argsort(np.argsort(lot, axis=0), axis=0)
        best = np.where(turn < np.ceil(share * possible.sum(0)), best, -np.inf)
    top = best.max(0)
    feature = np.where(best >= top - 1e-12 * np.abs(top), lot, 3.0).argmin(0)
    is_best = gain[feature[place], np.arange(len(place))] == best[feature, np.arange(len(starts))][place]
    cut = np.minimum.reduceat(np.where(is_best, np.arange(len(place)), len(place) - 1), starts)
    return feature, cut, top > -np.inf
