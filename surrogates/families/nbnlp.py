"""nbnlp_wikitext2: 291 recurrent cells of NAS-Bench-NLP, trained on WikiText-2 for 50 epochs with measured seconds.

The one choice is the cell, named by its number in the source. Its properties stand beside it as hyperparameters, so
that methods see which cells are alike: states, operations of each kind, parameters. Only the cells of the table are
configs. Metrics: the loss on validation and training data; the one on test data is kept from the methods. A cell that
the source trained several times, under several numbers, has them as replicates and the lowest number as its name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.space import Config, Space, lograndint, randint
from harness.types import Benchmark, CurveModel, End, Fidelity, Objective
from surrogates import _converted
from surrogates._published_json import PublishedJson
from surrogates.table import ENDS

LICENCE = "Apache-2.0"
CITATION = (
    "Klyuchnikov et al., NAS-Bench-NLP: Neural Architecture Search Benchmark for Natural Language Processing, 2020"
)
FILE = PublishedJson(
    "nbnlp",
    "nasbench_nlp_wikitext2.json.gz",
    "3ec73048df2689d8b898cac090b3a26c782e4e8766f879800f39231d952c70b4",
    "fmsnew/nas-bench-nlp-release@a6d90a3b",
)
PUBLISHED = FILE.published()
EPOCHS, SECONDS, TRAININGS, WORKERS = 50, 20705.0, 40, 4
"""SECONDS: the median of the trainings that came to their end."""
METRICS = {"val_loss": "val", "train_loss": "train", "test_loss": "test"}
"""Ours and the source's names."""
OPERATIONS = {
    "linear": "linear",
    "sigmoid": "activation_sigm",
    "tanh": "activation_tanh",
    "leaky_relu": "activation_leaky_relu",
    "sum": "elementwise_sum",
    "product": "elementwise_prod",
    "blend": "blend",
}

SPACE = Space(
    {
        "cell": randint(1_000_000, 1_013_994),
        "states": randint(1, 3),
        **{name: randint(0, 10) for name in OPERATIONS},
        "parameters": lograndint(15_000_000, 30_000_000),
    }
)
BENCHMARKS = (
    Benchmark(
        "nbnlp_wikitext2",
        SPACE,
        (Objective("val_loss"),),
        Fidelity("epoch", tuple(range(1, EPOCHS + 1))),
        budget=TRAININGS * SECONDS / WORKERS,
        workers=WORKERS,
        test_metric="test_loss",
    ),
)

Run = Mapping[str, Any]


def find() -> Path:
    """Where the runs are on this machine."""
    return FILE.find()


def convert(source: Path, target: Path) -> None:
    """Convert all cells; ValueError where the file is not the published one."""
    cells: dict[str, list[Run]] = {}
    for run in sorted(FILE.read(source), key=lambda run: run["recepie_id"]):
        cells.setdefault(json.dumps(run["recepie"]), []).append(run)
    replicates = max(map(len, cells.values()))
    values = np.full((len(cells), replicates, EPOCHS, len(METRICS)), np.nan)
    seconds = np.full(values.shape[:3], np.nan)
    ends = np.full(values.shape[:2], -1, dtype=np.int8)
    for row, same in enumerate(cells.values()):
        for replicate, run in enumerate(same):
            length = len(run["wall_times"])
            curve = [run[name] for name in METRICS.values()]
            values[row, replicate, :length] = np.array(curve, dtype=np.float64).T  # None becomes not a number
            seconds[row, replicate, :length] = np.cumsum(run["wall_times"])
            ends[row, replicate] = ENDS.index(End.COMPLETE if run["status"] == "OK" else End.DIVERGED)
    made = FILE.made(
        licence=LICENCE,
        citation=CITATION,
        missing="a run whose loss became no number diverged in that epoch",
        seconds="measured: the wall time of each epoch",
    )
    (benchmark,) = BENCHMARKS
    _converted.save(
        target / benchmark.name, benchmark, metrics=tuple(METRICS), seeds=range(replicates), values=values,
        seconds=seconds, ends=ends, made=made, configs=[config_of(same[0]) for same in cells.values()],
    )  # fmt: skip


def config_of(run: Run) -> Config:
    """A cell's number and properties."""
    counts = Counter(node["op"] for node in run["recepie"].values())
    return {
        "cell": run["recepie_id"],
        "states": sum(re.fullmatch(r"h_new_\d", name) is not None for name in run["recepie"]),
        **{name: counts[operation] for name, operation in OPERATIONS.items()},
        "parameters": run["num_params"],
    }


def load(name: str) -> CurveModel:
    """The table of all cells."""
    return _converted.load("nbnlp", next(one for one in BENCHMARKS if one.name == name))
