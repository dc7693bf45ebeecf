"""taskset_*: 1,000 settings of an optimiser on four text classifiers of TaskSet, 51 points a curve, real divergence.

Metrics: the loss on validation and on training data; the one on test data is kept from the methods. Where a loss is
no number any more, the run diverged at that point. The data has no time: every point takes one second, a model that
makes all settings cost the same. There is one run a setting, and settings are independent draws of the space.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.space import Space, loguniform, reverse_loguniform
from harness.types import Benchmark, CurveModel, End, Fidelity, Objective
from surrogates import _converted
from surrogates._publishers import Published
from surrogates.table import ENDS

LICENCE = "Apache-2.0"
CITATION = "Metz et al., Using a thousand optimization tasks to learn hyperparameter search strategies, 2020"
FILES = {
    "imdb_patch128_LSTM128_bs64": "5ecf199a954515c2158068e5b4045ec334b583e3906f899b8061b93c4e291bd7",
    "imdb_patch32_GRU64_avg_bs128": "1087fcad469a82536a8d82f7f84b0ac9ef8cead96e49be4d67e8c66424fd9f6c",
    "imdb_patch32_LSTM128_bs128": "2cc13330f28d0bfd25ca6be3b80c296000d235007bb94e5c595c39cf412e658e",
    "imdb_patch32_VRNN64_tanh_avg_bs128": "ae1cbb280db9c9b7f53be091b2d4ea24ccde589c498997cc9008bf5681687f4a",
}
PUBLISHED = Published((), members=tuple(f"{name}.npz" for name in FILES))
METRICS = ("valid_loss", "train_loss", "test_loss")
POINTS, TRAININGS, WORKERS = 51, 40, 4

SPACE = Space(
    {
        "learning_rate": loguniform(1e-8, 10.0),
        "beta1": reverse_loguniform(0.0, 1 - 1e-4),
        "beta2": reverse_loguniform(0.0, 1 - 1e-6),
        "epsilon": loguniform(1e-10, 1e3),
        "l1": loguniform(1e-8, 10.0),
        "l2": loguniform(1e-8, 10.0),
        "linear_decay": loguniform(1e-7, 1e-4),
        "exponential_decay": loguniform(1e-6, 1e-3),
    }
)
BENCHMARKS = tuple(
    Benchmark(
        f"taskset_{name}",
        SPACE,
        (Objective("valid_loss"),),
        Fidelity("point", tuple(range(1, POINTS + 1))),
        budget=TRAININGS * POINTS / WORKERS,
        workers=WORKERS,
        test_metric="test_loss",
    )
    for name in FILES
)


def find() -> Path:
    """The folder of the four arrays; FileNotFoundError that says how to get them."""
    found = _converted.shared_data("taskset")
    if found is None:
        raise FileNotFoundError(
            "the arrays of taskset are not here: `fetch taskset --from FOLDER` with "
            f"{', '.join(f'{name}.npz' for name in FILES)}, as in releaunifreiburg/DPL@de44b740"
        )
    return found


def convert(source: Path, target: Path) -> None:
    """Convert the four arrays; ValueError where one is not the published one."""
    for benchmark, (name, sha256) in zip(BENCHMARKS, FILES.items(), strict=True):
        path = _converted.checked(source / f"{name}.npz", sha256)
        with np.load(path, allow_pickle=False) as arrays:
            settings = [dict(zip(arrays["hp_names"].tolist(), row, strict=True)) for row in arrays["hp"].tolist()]
            values = np.stack([arrays[metric].astype(np.float64) for metric in METRICS], axis=2)[:, None]
        lost = np.logical_or.reduce(np.isnan(values), axis=3)
        diverged = np.logical_or.reduce(lost, axis=2)
        lengths = np.where(diverged, lost.argmax(axis=2) + 1, POINTS)[:, :, None]
        points = np.arange(1, POINTS + 1)
        made = {
            "licence": LICENCE,
            "citation": CITATION,
            "source": "releaunifreiburg/DPL@de44b740",
            "sha256": {path.name: sha256},
            "missing": "not a number: the run diverged at the first such point",
            "seconds": "a model: one second a point",
        }
        _converted.save(
            target / benchmark.name,
            benchmark,
            metrics=METRICS,
            seeds=(0,),
            values=values,
            seconds=np.where(points <= lengths, points.astype(np.float64), np.nan),
            ends=np.where(diverged, ENDS.index(End.DIVERGED), ENDS.index(End.COMPLETE)).astype(np.int8),
            made=made,
            configs=settings,
        )


def load(name: str) -> CurveModel:
    """The table of one problem."""
    return _converted.load("taskset", next(one for one in BENCHMARKS if one.name == name))
