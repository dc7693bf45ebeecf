"""foretune: the wind tunnel of hyperparameter optimisation.

    import harness
    frame = harness.compare(methods=["rs", "asha"], seeds=5)      # a row a study, on the simulated clock
    best = harness.tune("train.py", "space.toml", metric="loss", maximum=9, budget=60)   # for real

A training script imports `Reporter` from here. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report import Reporter, load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from harness.compose.trainings import Tuned
    from harness.space import Space

__all__ = ["Reporter", "compare", "load_checkpoint", "save_checkpoint", "tune"]


def compare(
    methods: Sequence[str] = (),
    benchmarks: Sequence[str] = (),
    seeds: int | Sequence[int] | str = (),
    *,
    out: str | Path | None = None,
    jobs: int = 1,
    **fields: Any,
) -> pd.DataFrame:
    """Compare methods on the simulated clock; gives a row a study: final loss, regret and, at its seed, rank.

    methods: texts such as `asha:eta=4` or `mine=asha:grace=2`; seeds: how many, which, or `auto:WIDTH` for as many as
    are needed; fields: of the benchmark, set for all (`workers=8`, `budget=3600`); out: where results are kept, so that
    the same call continues; jobs: processes. What is left out is as on the command line. ValueError for names that are
    not there; a method's own failure is a row with its error.
    """
    from harness.compose.comparisons import compared_frame

    given = range(seeds) if isinstance(seeds, int) else seeds
    return compared_frame(methods=methods, benchmarks=benchmarks, seeds=given, fields=fields, out=out, jobs=jobs)


def tune(
    script: str | Path | Callable[..., None],
    space: Space | Mapping[str, Any] | str | Path,
    *,
    metric: str,
    maximum: int,
    budget: float,
    maximize: bool = False,
    resource: str = "epoch",
    max_arg: str | None = None,
    method: str = "asha",
    workers: int = 1,
    seed: int = 0,
    warm: bool = False,
    out: str | Path | None = None,
) -> Tuned:
    """Tune a training script, or a function at the top of a file, for real; gives the best config and the study.

    space: a TOML file with `[space]`, or domains by name (`{"lr": loguniform(1e-4, 1.0)}`, of `harness.space`);
    script: reports `metric` and `resource` through a `Reporter`; a function is called with the config's values and
    `report=`; maximum: of the resource; max_arg: the argument that says how far to train, where there is one;
    budget: seconds; warm: workers keep their process and imports between trials; out: where checkpoints and outputs
    go, by default a new folder under `results`; in that of an interrupted study the same call continues, with a larger
    budget also after the end.
    """
    from pathlib import Path

    from harness.compose import scripts, trainings

    declared = scripts.read_space(Path(space)) if isinstance(space, str | Path) else space
    return trainings.tune(
        script, declared, metric=metric, maximize=maximize, resource=resource, maximum=maximum, max_arg=max_arg,
        method=method, workers=workers, budget=budget, seed=seed, warm=warm, out=out,
    )  # fmt: skip
