"""How much of what is possible a study's configs dominate, where a benchmark has several objectives.

What is possible is told by the benchmark's own configs and never by the methods compared: those of its table, or random
ones where any config is answered, by what they end with, means over replicates. Each objective counts from the best of
them, 0, to a tenth of the way beyond the worse of their median and of the worst on their front, 1. That is the
reference point: just beyond the front, so that its ends count too (Ishibuchi, Imada, Setoguchi & Nojima 2018, "How to
specify a reference point in hypervolume calculation for fair performance comparison"), and no nearer than the median,
so that there is a scale where objectives agree and the front is short. A hypervolume is a share of that of the front.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness._parts.pareto import front, hypervolume
from harness.compose.studies import model_of
from harness.randomness import stream
from surrogates.table_card import mean_losses, rows_of

if TYPE_CHECKING:
    from harness.types import Benchmark, Objective
    from reports.incumbent import Events

Array = NDArray[np.float64]

SAMPLE = 1000
"""So many random configs tell the front where any config is answered."""
BEYOND = 1.1
"""The reference point on a scale on which the worst that must count is 1."""


@dataclass(frozen=True)
class Ruler:
    """What hypervolumes on a benchmark are measured by.

    best, reference: of each objective, losses (m,); front: the losses (k, m) of the non-dominated configs; whole: their
    hypervolume on the scale from `best`, 0, to `reference`, 1; of: which configs were asked, in words.
    """

    best: Array
    reference: Array
    front: Array
    whole: float
    of: str

    def share(self, losses: Array) -> float:
        """The hypervolume of some losses (n, m), as a share of that of the front."""
        scaled = (losses - self.best) / (self.reference - self.best)
        return hypervolume(scaled, np.ones(len(self.best))) / self.whole

    def shares(self, events: Events, losses: Sequence[Array], top: int, rule: str) -> Array:
        """The share that a study holds from each event on, shape (events,); NaN where it stays as it was.

        losses: of each objective at each event, as `events.loss` has the first; top: the highest level; rule: as for
        the incumbent: it says which trials count, and they do at the highest level that any has reached so far. Who
        failed is no compromise, however cheap. Of several events of one moment the last one says what holds.
        """
        from reports.incumbent import candidates_of

        failed = events.reason == "failed"
        each = [candidates_of(events._replace(loss=np.where(failed, math.inf, loss)), top, rule) for loss in losses]
        points = np.column_stack([candidates.loss for candidates in each])
        kept = np.isfinite(points).all(axis=1)
        arrived = (each[0].time[kept].tolist(), each[0].level[kept].tolist(), points[kept])
        highest, held = -math.inf, points[:0]
        steps: dict[float, float] = {}
        for time, level, point in zip(*arrived, strict=True):
            if level < highest or (level == highest and (held <= point).all(axis=1).any()):
                continue
            held = front(np.vstack([held if level == highest else held[:0], point]))
            highest = level
            steps[time] = self.share(held)
        changes = np.full(len(events.time), math.nan)
        changes[np.searchsorted(events.time, list(steps), side="right") - 1] = list(steps.values())
        return changes


def facts(name: str, benchmark: Benchmark) -> dict[str, Any]:
    """What reports may state of several objectives of a benchmark, given by its name; nothing where there is one.

    objectives: their metrics; front: what hypervolumes are measured by, losses; left out where there is no such front.
    """
    if len(benchmark.objectives) == 1:
        return {}
    known: dict[str, Any] = {"objectives": [objective.metric for objective in benchmark.objectives]}
    found = ruler(name, benchmark.table_miss, benchmark.objectives)
    if found is not None:
        ends = {"best": found.best.tolist(), "reference": found.reference.tolist()}
        known["front"] = {**ends, "configs": len(found.front), "of": found.of}
    return known


@cache
def ruler(name: str, table_miss: str, objectives: tuple[Objective, ...]) -> Ruler | None:
    """What hypervolumes of some objectives of a benchmark are measured by, given by its name.

    None where no config ends with finite losses, or all do with the same one of an objective.
    """
    losses, of = _finals(name, table_miss, objectives)
    losses = losses[np.isfinite(losses).all(axis=1)]
    if not len(losses):
        return None
    points = front(losses)
    best = points.min(axis=0)
    reference = best + BEYOND * (np.maximum(np.median(losses, axis=0), points.max(axis=0)) - best)
    if not (best < reference).all():
        return None
    whole = Ruler(best, reference, points, 1.0, of).share(points)
    return Ruler(best, reference, points, whole, of)


def _finals(name: str, table_miss: str, objectives: Sequence[Objective]) -> tuple[Array, str]:
    """The losses (configs, m) that a benchmark's configs end with, without the luck of a seed, and which these are."""
    model = model_of(name, table_miss)
    rows = rows_of(model)
    if rows is not None:
        losses = np.column_stack([mean_losses(rows, objective) for objective in objectives])
        return losses, f"the {len(losses):,} configs of its table"
    configs = model.benchmark.space.sample(stream("front", model.benchmark.name), SAMPLE)
    each = [model.under(replace(model.benchmark, objectives=(objective,))) for objective in objectives]
    return np.array([[one.final_loss(config) for one in each] for config in configs]), f"{SAMPLE:,} random configs"
