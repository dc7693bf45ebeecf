"""What a method says at the door of a benchmark that it cannot run on."""

from __future__ import annotations

from harness.types import Benchmark


def refuse_several_objectives(does: str, benchmark: Benchmark) -> None:
    """Refuse a benchmark of several objectives; `does`: who does what with the one, such as `gp models`."""
    if len(benchmark.objectives) > 1:
        names = [objective.metric for objective in benchmark.objectives]
        raise ValueError(f"{does} one objective, but {benchmark.name!r} has {len(names)}: {names}")
