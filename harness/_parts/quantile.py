"""A quantile of numbers that keep coming, kept in two heaps: cheap to note and to ask for, however many there are."""

from __future__ import annotations

from heapq import heappush, heappushpop


class RunningQuantile:
    """The quantile at `share` of all numbers noted so far, interpolated between neighbours as `numpy.quantile` does."""

    def __init__(self, share: float) -> None:
        self.count = 0
        self._share = share
        self._lower: list[float] = []
        """Of the smaller numbers the negatives, so that the largest is at the top."""
        self._upper: list[float] = []

    def add(self, number: float) -> None:
        """Note a number, infinity too."""
        # Of n + 1 numbers those up to the place share * n are the smaller ones.
        if len(self._lower) <= self._share * self.count:
            heappush(self._lower, -heappushpop(self._upper, number))
        else:
            heappush(self._upper, -heappushpop(self._lower, -number))
        self.count += 1

    def value(self) -> float:
        """The quantile; 0 where there are no numbers."""
        if not self._lower:
            return 0.0
        low = -self._lower[0]
        between = self._share * (self.count - 1) % 1
        if not between or self._upper[0] == low:
            return low
        return low + between * (self._upper[0] - low)
