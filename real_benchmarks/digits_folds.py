"""A support vector machine under ten-fold cross-validation: folds are the resource, .1 to .5 s each on one core.

    python real_benchmarks/digits_folds.py --C 10 --kernel rbf --gamma .001

scikit-learn's 1,797 handwritten digits, the folds drawn by the seed. At each fold the error is the mean over the folds
so far: a bad config is given up after one of ten. A checkpoint is the list of the folds' errors.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run by its path: the repository's root is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.space import Space, choice, loguniform
from harness.types import Benchmark, Delays, Fidelity, Objective
from real_benchmarks import _command_line

FOLDS = 10

BENCHMARKS = (
    Benchmark(
        name="digits_folds",
        space=Space(
            {"C": loguniform(1e-2, 1e3), "kernel": choice(["rbf", "linear"]), "gamma": loguniform(1e-6, 1e-1)},
            {"gamma": {"kernel": ["rbf"]}},
        ),
        objectives=(Objective("error"),),
        fidelity=Fidelity("fold", tuple(range(1, FOLDS + 1))),
        budget=60.0,
        workers=2,
        delays=Delays(start_up=1.0),
    ),
)


def train(
    benchmark: str,
    config: Mapping[str, Any],
    *,
    seed: int = 1,
    until: int = FOLDS,
    report: Callable[..., None],
    checkpoints: Path | None = None,
) -> None:
    """Validate one config on the folds until one of them, with a report after each."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold
    from sklearn.svm import SVC

    images, labels = load_digits(return_X_y=True)
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(images, labels))
    kept = checkpoints / "errors.json" if checkpoints else None
    errors: list[float] = json.loads(kept.read_text(encoding="ascii")) if kept and kept.exists() else []
    for trained, left_out in folds[len(errors) : until]:
        model = SVC(C=config["C"], kernel=config["kernel"], gamma=config.get("gamma", "scale"))
        model.fit(images[trained], labels[trained])
        errors.append(float((model.predict(images[left_out]) != labels[left_out]).mean()))
        if kept:
            temporary = kept.with_suffix(".tmp-1")
            temporary.write_text(json.dumps(errors), encoding="ascii")
            os.replace(temporary, kept)
        report(fold=len(errors), error=sum(errors) / len(errors))


if __name__ == "__main__":
    _command_line.main("Cross-validate a support vector machine on handwritten digits.", BENCHMARKS, train)
