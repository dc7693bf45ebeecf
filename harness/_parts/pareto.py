"""Several losses at once: who dominates whom, how crowded a front is, and how much it dominates.

A point dominates another where none of its losses is higher and one is lower. Its rank is the length of the longest
chain of points that dominate each other and it: 0 for the non-dominated front, 1 for the front without that one, and
so on. Losses have the shape (n, m) and are minimised; ties are broken by the order in which points are given. Sources:
Deb et al. (2002, IEEE TEC 6) for sorting and crowding; While, Bradstreet & Barone (2012, IEEE TEC 16) for the volume;
Salinas, Perrone, Cruchant & Archambeau (2021) and Schmucker et al. (2021, arXiv 2106.12639) for the epsilon-net.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

BLOCK = 1024
"""So many points at a time are compared with each other where a front is sought."""


def usable(losses: tuple[float, ...]) -> tuple[float, ...]:
    """The losses, all of them infinite where one is not finite: who failed is no compromise, however cheap."""
    return losses if all(map(isfinite, losses)) else (inf,) * len(losses)


def ranks(losses: Array) -> Indices:
    """The rank (n,) of each point, front by front; O(n^2 m) numbers at once, for populations."""
    lower = np.all(losses[:, None] <= losses, axis=2)
    dominates = lower & ~lower.T  # equal points are lower or equal both ways
    dominating = dominates.sum(axis=0)
    found = np.zeros(len(losses), dtype=np.intp)
    rank, front = 0, np.flatnonzero(dominating == 0)
    while len(front):
        found[front] = rank
        dominating[front] = -1
        dominating -= dominates[front].sum(axis=0)
        rank, front = rank + 1, np.flatnonzero(dominating == 0)
    return found


class Ranks:
    """Points with their ranks, one point after another: whom a new one dominates moves back, and so on.

    An insertion costs a comparison with some fronts, found by bisection, and with each front that moves. Sources: Li,
    Deb, Zhang, Suganthan & Zhang, "Efficient non-domination level update method for steady-state evolutionary
    multiobjective optimization" (2017, IEEE Transactions on Cybernetics 47); the bisection is that of Zhang, Tian,
    Cheng & Jin, "An efficient approach to nondominated sorting" (2015, IEEE TEC 19), ENS-BS.
    """

    def __init__(self, objectives: int) -> None:
        self._losses: Array = np.empty((objectives, 64))
        self._ranks: Indices = np.empty(64, dtype=np.intp)
        self._fronts: list[tuple[Indices, Array]] = []
        """Of each rank the places and the losses of its points, one row an objective: so comparisons are fast."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def losses(self) -> Array:
        """All points (n, m) in their order."""
        return self._losses[:, : self._count].T

    @property
    def ranks(self) -> Indices:
        """The rank (n,) of each."""
        return self._ranks[: self._count]

    def front(self, rank: int) -> Indices:
        """The places of the points of a rank, in their order."""
        return np.sort(self._fronts[rank][0])

    def before(self, rank: int) -> int:
        """How many points have a lower rank."""
        return sum(len(places) for places, _ in self._fronts[:rank])

    def add(self, losses: tuple[float, ...]) -> None:
        """Insert a point."""
        if self._count == len(self._ranks):
            self._losses = np.concatenate([self._losses, np.empty_like(self._losses)], axis=1)
            self._ranks = np.concatenate([self._ranks, np.empty_like(self._ranks)])
        movers, points = np.array([self._count]), np.array(losses)[:, None]
        self._losses[:, self._count] = losses
        self._count += 1
        # Whom a front dominates, all fronts before it do.
        first = bisect_left(self._fronts, True, key=lambda front: not _dominates(front[1], points).any())
        for rank in range(first, len(self._fronts)):
            self._ranks[movers] = rank
            places, there = self._fronts[rank]
            pushed = np.flatnonzero(_dominates(points, there).any(axis=0))
            leaving = places[pushed], there[:, pushed]
            if len(pushed) == len(movers):
                places[pushed], there[:, pushed] = movers, points
            else:
                places, there = np.delete(places, pushed), np.delete(there, pushed, axis=1)
                self._fronts[rank] = np.concatenate([places, movers]), np.concatenate([there, points], axis=1)
            if not len(pushed):
                return
            movers, points = leaving
        self._ranks[movers] = len(self._fronts)
        self._fronts.append((movers, points))


def _dominates(ours: Array, theirs: Array) -> NDArray[np.bool_]:
    """Which of our points (m, k) dominate which of theirs (m, n), of shape (k, n)."""
    a, b = ours[0, :, None], theirs[0]
    lower, lowest = a <= b, a < b
    for row, other in zip(ours[1:, :, None], theirs[1:], strict=True):
        lower &= row <= other
        lowest |= row < other
    return lower & lowest


def crowding(losses: Array) -> Array:
    """How far apart the neighbours of each point of one front lie, (n,); infinite at the ends of each objective.

    Each objective counts by its range over the front. Source: Deb et al. (2002), section III-B.
    """
    n, m = losses.shape
    distance = np.zeros(n)
    for j in range(m):
        order = np.argsort(losses[:, j], kind="stable")
        values = losses[order, j]
        if values[0] < values[-1] < np.inf:
            distance[order[1:-1]] += (values[2:] - values[:-2]) / (values[-1] - values[0])
            distance[order[[0, -1]]] = np.inf
    return distance


def epsilon_net(losses: Array) -> Iterator[int]:
    """The points of one front in an order such that each beginning of it covers the front.

    The first is the best in the first objective, each other the one farthest from all before it, in units of each
    objective's range over the front. Any beginning is an epsilon-net with the smallest epsilon up to a factor of 2.
    """
    finite = np.where(np.isfinite(losses), losses, 0.0).T
    width = np.ptp(finite, axis=1, keepdims=True)
    points = finite / np.where(width > 0, width, 1.0)
    last, distance = int(np.lexsort(losses.T[::-1])[0]), np.full(len(losses), np.inf)
    for _ in range(len(losses)):
        yield last
        gaps = points - points[:, last, None]
        gaps *= gaps
        np.minimum(distance, np.add.reduce(gaps, axis=0), out=distance)
        distance[last] = -1.0
        last = int(distance.argmax())


def hypervolume(losses: Array, reference: Array) -> float:
    """How much the points dominate below a reference point (m,): exact, by a sweep in two dimensions, else by WFG."""
    inside = losses[(losses < reference).all(axis=1)]
    return _volume(front(inside), reference) if len(inside) else 0.0


def front(losses: Array) -> Array:
    """The non-dominated points (k, m) without repeats, sorted by their losses, the first counting most."""
    losses = np.unique(losses, axis=0)
    if losses.shape[1] == 2:
        return losses[np.append(True, losses[1:, 1] < np.minimum.accumulate(losses[:-1, 1]))]
    kept = losses[:0]
    for start in range(0, len(losses), BLOCK):
        points = np.concatenate([kept, losses[start : start + BLOCK]])
        lower = (points[:, None] <= points).all(axis=2)
        kept = points[lower.sum(axis=0) == 1]
    return kept


def _volume(points: Array, reference: Array) -> float:
    """The volume of a front."""
    if points.shape[1] == 1:
        return float(reference[0] - points[0, 0])
    if points.shape[1] == 2:
        heights = np.append(reference[1], points[:-1, 1]) - points[:, 1]
        return float((reference[0] - points[:, 0]) @ heights)
    # What each point dominates alone among those after it: its own box less what they dominate of it.
    total = 0.0
    for i in range(len(points)):
        total += float(np.prod(reference - points[i]))
        if i + 1 < len(points):
            total -= _volume(front(np.maximum(points[i], points[i + 1 :])), reference)
    return total
