"""Rungs of successive halving: the levels at which trials are compared, and who is among the best.

Shared by every method that halves. A rung keeps its losses sorted, so each question costs a binary search; ties are
broken by the trial's number, so equal losses give equal decisions everywhere.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from heapq import heappop, heappush
from math import inf

from harness.types import Benchmark

TINY = 1e-9
"""What a quotient may miss a whole number by."""


def rung_levels(benchmark: Benchmark, grace: int | None, eta: float) -> tuple[int, ...]:
    """The levels grace, grace * eta, grace * eta^2, ... below the maximum, and the maximum; grace: else the lowest.

    Each is moved up to the next level that the benchmark has. ValueError for an eta or a grace that makes no ladder.
    """
    wanted, maximum = float(_lowest(benchmark, grace, eta)), benchmark.fidelity.maximum
    levels: list[int] = []
    while wanted < maximum:
        levels.append(_moved_up(benchmark, wanted))
        wanted *= eta
    return tuple(dict.fromkeys([*levels, maximum]))


def rung_levels_from_the_top(benchmark: Benchmark, grace: int | None, eta: float) -> tuple[int, ...]:
    """The maximum R, R / eta, R / eta^2 and so on as far as they are at least grace, else the lowest level.

    The lowest comes first, and each is moved up to the next level that the benchmark has. Where even R / eta is too
    low, the second rung is the lowest that there may be. ValueError as for `rung_levels`.
    """
    lowest, wanted = _lowest(benchmark, grace, eta), float(benchmark.fidelity.maximum)
    levels: list[int] = []
    while wanted >= lowest - TINY:
        levels.append(_moved_up(benchmark, wanted))
        wanted /= eta
    if len(levels) == 1:
        levels.append(_moved_up(benchmark, lowest))
    return tuple(dict.fromkeys(levels[::-1]))


def _lowest(benchmark: Benchmark, grace: int | None, eta: float) -> int:
    """The resource below which there is no rung; ValueError where it, or eta, makes no ladder."""
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
    return grace


def _moved_up(benchmark: Benchmark, wanted: float) -> int:
    return next(level for level in benchmark.fidelity.levels if level >= wanted - TINY)


def refuse_one_rung(benchmark: Benchmark, grace: int | None, levels: tuple[int, ...]) -> None:
    """ValueError where there is no rung below the highest, so nothing to halve; levels: of the rungs."""
    if len(levels) == 1:
        unit = benchmark.fidelity.unit
        raise ValueError(
            f"on {benchmark.name!r} every trial would be trained to {unit} {levels[0]} at once, with no rung below it "
            f"at which to compare: use a method that trains to the end, such as `rs`"
            + ("" if grace is None or len(benchmark.fidelity.levels) == 1 else f", or a grace below {levels[0]}")
        )


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
        return self.leave()

    @property
    def first(self) -> tuple[float, int]:
        """Loss and trial of the best that waits; an infinite loss where nobody does."""
        return self._waiting[0] if self._waiting else (inf, -1)

    def leave(self) -> int:
        """The best trial that waits, whatever its place; it waits no longer."""
        return heappop(self._waiting)[1]


def best_left(rungs: Iterable[Rung]) -> int | None:
    """The trial that goes on where no promotion is due and there are no more configs; it waits no longer.

    It is the best of those that wait at the highest of `rungs` where one waits with a finite loss; None where nobody
    does. It is meant to be trained to the maximum, past the rungs between: who has come furthest goes on first, so at
    the next rung it would be taken again, and a pause there would decide nothing. It would cost a restore, and the
    whole training again where a benchmark keeps no checkpoints or its levels are fresh trainings.
    """
    waiting = [rung for rung in rungs if rung.first[0] < inf]
    if not waiting:
        return None
    return min(waiting, key=lambda rung: (-rung.level, rung.first)).leave()
