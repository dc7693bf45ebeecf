"""Extremely randomised trees, grown by scikit-learn, kept as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trees:
    """The mean over an ensemble of trees (Geurts, Ernst and Wehenkel 2006, Machine Learning 63).

    All trees' nodes stand in one list: feature, threshold, left and right child (a leaf is its own child), value
    (nodes, outputs); roots: the first node of each tree.
    """

    roots: NDArray[np.intp]
    feature: NDArray[np.intp]
    threshold: Array
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    value: Array
    depth: int

    @staticmethod
    def fit(x: Array, y: Array, trees: int = 200) -> Trees:
        """Grow an ensemble on features (n, d) and outputs (n, outputs)."""
        from sklearn.ensemble import ExtraTreesRegressor

        forest = ExtraTreesRegressor(trees, max_features=1.0, random_state=0, n_jobs=1)
        forest.fit(x, y if y.shape[1] > 1 else y[:, 0])
        grown: list[Any] = [tree.tree_ for tree in forest.estimators_]
        offsets = np.cumsum([0, *(tree.node_count for tree in grown)])
        leaf = np.concatenate([tree.children_left < 0 for tree in grown])
        own = np.arange(offsets[-1])

        def children(side: str) -> NDArray[np.intp]:
            every = [getattr(tree, f"children_{side}") + offset for tree, offset in zip(grown, offsets, strict=False)]
            return np.where(leaf, own, np.concatenate(every))

        return Trees(
            roots=offsets[:-1],
            feature=np.where(leaf, 0, np.concatenate([tree.feature for tree in grown])),
            threshold=np.concatenate([tree.threshold for tree in grown]),
            left=children("left"),
            right=children("right"),
            value=np.concatenate([tree.value[:, :, 0] for tree in grown]),
            depth=max(tree.max_depth for tree in grown),
        )

    def predict(self, x: Array) -> Array:
        """Outputs (m, outputs) for features (m, d)."""
        narrow = x.astype(np.float32)  # as scikit-learn compares
        nodes = np.broadcast_to(self.roots, (len(x), len(self.roots)))
        rows = np.arange(len(x))[:, None]
        for _ in range(self.depth):
            left = narrow[rows, self.feature[nodes]] <= self.threshold[nodes]
            nodes = np.where(left, self.left[nodes], self.right[nodes])
        # One tree after another, as scikit-learn adds them: to the last bit.
        return self.value[nodes].cumsum(axis=1)[:, -1] / len(self.roots)
