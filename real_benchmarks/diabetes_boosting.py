"""Gradient boosting on scikit-learn's diabetes data: rounds are the resource, ten of them some 10 ms on one core.

    python real_benchmarks/diabetes_boosting.py --learning_rate .1 --max_depth 3 --subsample .8 --min_leaf 5

442 patients (Efron et al. 2004, part of scikit-learn): 242 train, 100 validate, 100 test, parted the same way for every
seed; the seed draws the subsamples. Losses are mean squared errors over the variance of all targets. What
scikit-learn has fitted can be kept as a pickle only, so there are no checkpoints: a resumed trial starts over.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run by its path: the repository's root is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.space import Space, lograndint, loguniform, randint, uniform
from harness.types import Benchmark, Delays, Fidelity, Objective
from real_benchmarks import _command_line

BENCHMARKS = (
    Benchmark(
        name="diabetes_boosting",
        space=Space(
            {
                "learning_rate": loguniform(1e-3, 1.0),
                "max_depth": randint(1, 8),
                "subsample": uniform(0.3, 1.0),
                "min_leaf": lograndint(1, 50),
            }
        ),
        objectives=(Objective("val_loss"),),
        test_metric="test_loss",
        fidelity=Fidelity("rounds", tuple(range(10, 271, 10))),
        budget=60.0,
        workers=2,
        delays=Delays(start_up=1.0),
        resumable=False,
    ),
)


def train(
    benchmark: str,
    config: Mapping[str, Any],
    *,
    seed: int = 1,
    until: int = 270,
    report: Callable[..., None],
    checkpoints: Path | None = None,
) -> None:
    """Boost one config until so many rounds, with a report after every ten."""
    import numpy as np
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import GradientBoostingRegressor

    data: Any = load_diabetes()
    order = np.random.default_rng(0).permutation(len(data.target))
    x, y = data.data[order], (data.target[order] - data.target.mean()) / data.target.std()
    model = GradientBoostingRegressor(
        learning_rate=config["learning_rate"],
        max_depth=config["max_depth"],
        subsample=config["subsample"],
        min_samples_leaf=config["min_leaf"],
        random_state=seed,
        warm_start=True,
    )
    for rounds in (level for level in BENCHMARKS[0].fidelity.levels if level <= until):
        model.set_params(n_estimators=rounds)
        model.fit(x[:242], y[:242])
        val, test = (float(((model.predict(x[p]) - y[p]) ** 2).mean()) for p in (slice(242, 342), slice(342, None)))
        report(rounds=rounds, val_loss=val, test_loss=test)


if __name__ == "__main__":
    _command_line.main("Boost trees on the diabetes data.", BENCHMARKS, train)
