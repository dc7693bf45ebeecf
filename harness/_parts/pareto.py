"""Several losses at once: who dominates whom, how crowded a front is, and how much it dominates.

A point dominates another where none of its losses is higher and one is lower. Its rank is the length of the longest
chain of points that dominate each other and it: 0 for the non-dominated front, 1 for the front without that one, and
so on. Losses have the shape (n, m) and are minimised; ties are broken by the order in which points are given. Sources:
Deb et al. (2002, IEEE TEC 6) for sorting and crowding; While, Bradstreet & Barone (2012, IEEE TEC 16) for the volume;
Salinas, Perrone, Cruchant & Archambeau (2021) and Schmucker et al. (2021, arXiv 2106.12639) for the epsilon-net.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from math import inf, isfinite
from typing import Any

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
        self._fronts: list[Any] = []
        """Of each rank its points, `_Line` or `_Cloud`."""
        self._of_one = _Line.of if objectives == 2 else _Cloud.of
        self._first: dict[tuple[float, ...], int] = {}
        """The place of the first of all that are equal."""
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
        return np.sort(np.array(self._fronts[rank].places))

    def before(self, rank: int) -> int:
        """How many points have a lower rank."""
        return sum(len(front.places) for front in self._fronts[:rank])

    def add(self, losses: tuple[float, ...]) -> None:
        """Insert a point."""
        if self._count == len(self._ranks):
            self._losses = np.concatenate([self._losses, np.empty_like(self._losses)], axis=1)
            self._ranks = np.concatenate([self._ranks, np.empty_like(self._ranks)])
        place = self._count
        self._losses[:, place] = losses
        self._count += 1
        # Equal points stand and move together. So a point is never compared with its equal below, and who is as low as
        # another in all objectives dominates it.
        twin = self._first.setdefault(losses, place)
        movers = self._of_one(place, losses)
        if twin != place:
            self._ranks[place] = rank = int(self._ranks[twin])
            self._fronts[rank].join(movers)
            return
        # Whom a front dominates, all fronts before it do.
        first = bisect_left(self._fronts, True, key=lambda front: not front.dominates(losses))
        for rank in range(first, len(self._fronts)):
            self._ranks[movers.places] = rank
            movers = self._fronts[rank].admit(movers)
            if not len(movers.places):
                return
        self._ranks[movers.places] = len(self._fronts)
        self._fronts.append(movers)


class _Line:
    """Points of which none dominates another, in two objectives: as the first loss rises, the second falls.

    So whom a point dominates stand side by side. And so do those whom neighbours of one front dominate in the next, for
    everybody there is dominated by somebody here.
    """

    __slots__ = ("first", "places", "second")

    def __init__(self, places: array[int], first: list[float], second: list[float]) -> None:
        self.places, self.first = places, first
        self.second = second
        """With the sign turned, so that it rises."""

    @staticmethod
    def of(place: int, losses: tuple[float, ...]) -> _Line:
        """A single point."""
        return _Line(array("q", [place]), [losses[0]], [-losses[1]])

    def dominates(self, losses: tuple[float, ...]) -> bool:
        """Whether one of these is as low as a point."""
        before = bisect_right(self.first, losses[0])
        return before > 0 and self.second[before - 1] >= -losses[1]

    def admit(self, others: _Line) -> _Line:
        """Take in neighbours whom none of these dominates; gives whom they dominate, who leave."""
        leave = slice(bisect_left(self.first, others.first[0]), bisect_right(self.second, others.second[-1]))
        leaving = _Line(self.places[leave], self.first[leave], self.second[leave])
        self.places[leave], self.first[leave], self.second[leave] = others.places, others.first, others.second
        return leaving

    def join(self, twin: _Line) -> None:
        """Take in a point that is equal to one of these."""
        place = bisect_left(self.first, twin.first[0])
        self.places[place:place] = twin.places
        self.first[place:place], self.second[place:place] = twin.first, twin.second


class _Cloud:
    """Points of which none dominates another, in any number of objectives: places (k,), losses (m, k)."""

    __slots__ = ("losses", "places")

    def __init__(self, places: Indices, losses: Array) -> None:
        self.places, self.losses = places, losses

    @staticmethod
    def of(place: int, losses: tuple[float, ...]) -> _Cloud:
        """A single point."""
        return _Cloud(np.array([place]), np.array(losses)[:, None])

    def dominates(self, losses: tuple[float, ...]) -> bool:
        """Whether one of these is as low as a point."""
        return bool((self.losses <= np.array(losses)[:, None]).all(axis=0).any())

    def admit(self, others: _Cloud) -> _Cloud:
        """Take in points whom none of these dominates; gives whom they dominate, who leave."""
        lower = np.all(others.losses[:, :, None] <= self.losses[:, None], axis=0).any(axis=0)
        leaving = _Cloud(self.places[lower], self.losses[:, lower])
        self.places, self.losses = self.places[~lower], self.losses[:, ~lower]
        self.join(others)
        return leaving

    def join(self, others: _Cloud) -> None:
        """Take in points whom none of these dominates and who dominate none."""
        self.places = np.concatenate([self.places, others.places])
        self.losses = np.concatenate([self.losses, others.losses], axis=1)


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
