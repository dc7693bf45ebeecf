"""Rungs of successive halving: the levels at which trials are compared, and who is among the best.

Shared by every method that halves. A rung keeps its losses sorted, so each question costs a binary search; ties are
broken by the trial's number, so equal losses give equal decisions everywhere.
"""

from __future__ import annotations

from bisect import insort
from heapq import heappop, heappush
from math import inf

from harness.types import Benchmark


def rung_levels(benchmark: Benchmark, grace: int | None, eta: float) -> tuple[int, ...]:
    """The levels grace, grace * eta, grace * eta^2, ... below the maximum, and the maximum; grace: else the lowest.

    Each is moved up to the next level that the benchmark has. ValueError for an eta or a grace that makes no ladder.
    """
    if not 1 < eta < inf:
        raise ValueError(f"eta must be greater than 1 and finite, given {eta:g}")
    if grace is not None and grace < 1:
        raise ValueError(f"grace must be at least 1, given {grace}")
    fidelity = benchmark.fidelity
    grace = fidelity.levels[0] if grace is None else grace
    if not fidelity.levels[0] <= grace <= fidelity.maximum:
        raise ValueError(
            f"grace must lie between {fidelity.levels[0]} and {fidelity.maximum} {fidelity.unit}s of "
            f"{benchmark.name!r}, given {grace}"
        )
    levels: list[int] = []
    wanted = float(grace)
    while wanted < fidelity.maximum:
        levels.append(next(level for level in fidelity.levels if level >= wanted - 1e-9))
        wanted *= eta
    return tuple(dict.fromkeys([*levels, fidelity.maximum]))


class Rung:
    """The losses of all trials that came to one level, and which of them wait there."""

    def __init__(self, level: int, eta: float) -> None:
        self.level = level
        self.eta = eta
        self._entries: list[tuple[float, int]] = []
        self._waiting: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, loss: float, trial: int, waits: bool) -> None:
        """Note a trial's loss; `waits` where it may be promoted from here."""
        insort(self._entries, (loss, trial))
        if waits:
            heappush(self._waiting, (loss, trial))

    def keeps(self, loss: float) -> bool:
        """Whether a loss noted here lies at or below the 1/eta quantile of all losses noted so far."""
        return loss <= self._entries[int((len(self._entries) - 1) / self.eta)][0]

    def promote(self) -> int | None:
        """The best trial that waits, if it is among the best n / eta of this rung; it waits no longer."""
        if not self._waiting:
            return None
        # Among the best k is who comes before the entry at place k.
        k = int(len(self._entries) / self.eta + 1e-9)
        if self._waiting[0] >= self._entries[k]:
            return None
        return heappop(self._waiting)[1]
