"""What a table, a surrogate or a formula can stand behind: a benchmark with its own levels and metrics."""

from __future__ import annotations

from collections.abc import Collection

from harness.types import Benchmark

__all__ = ["check_under"]


def check_under(asked: Benchmark, own: Benchmark, metrics: Collection[str], what: str) -> None:
    """Refuse a benchmark of other levels or objectives than what shall answer for it has; ValueError.

    own: as it was measured; metrics: all that it has; what: `table`, `surrogate` or `formula`.
    """
    if asked.fidelity != own.fidelity:
        levels, unit = own.fidelity.levels, own.fidelity.unit
        raise ValueError(
            f"the {what} of {asked.name!r} has its own levels, {unit} {levels[0]} to {levels[-1]}, which cannot be "
            "set: a method's `grace` says where its rungs begin"
        )
    for objective in asked.objectives:
        if objective.metric not in metrics:
            raise ValueError(
                f"the {what} of {asked.name!r} has no metric {objective.metric!r}; it has {', '.join(metrics)}"
            )
