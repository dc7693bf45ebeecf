"""nmt_transformer_*: 1,093 transformers trained on GPUs to translate into English from Swahili, Russian, Japanese.

A perplexity is one of subwords, so it can be compared at one vocabulary only: a benchmark for each pair of languages
and number of subwords (`bpe`) follows perplexity on development data, a checkpoint every 2,000 updates. `perplexity` is
that of the best checkpoint so far, which early stopping would keep; `checkpoint_perplexity` is that of the checkpoint
itself. A training ended by plan, mostly when 16 checkpoints had brought nothing better: its curve ends early there. One
more benchmark for each pair is on the final BLEU, where `bpe` is searched too; seconds of decoding and parameters can
be further objectives. The data has no test metric and one run a config.

The data has no training time. It is a model: an update of 4,096 words takes six operations for each parameter and word,
at a speed that one GPU of those years sustains, and a fixed part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.space import Config, Space, ordinal
from harness.types import Benchmark, CurveModel, End, Fidelity, Objective
from surrogates import _converted
from surrogates._published_json import PublishedJson
from surrogates.table import ENDS

LICENCE = "MIT"
CITATION = "Zhang and Duh, Reproducible and Efficient Benchmarks for Hyperparameter Optimization of NMT Systems, 2020"
FILE = PublishedJson(
    "nmt_transformer",
    "nmt_transformer.json.gz",
    "c5eeadf232ddb37b3bdccacdd42d3fa401279412413ee37a67462993afe6a87f",
    "Este1le/hpo_nmt@7bd0a402",
)
PUBLISHED = FILE.published()
UPDATES, WORDS = 2000, 4096
"""Of a checkpoint, and of an update."""
OPERATIONS, OPERATIONS_PER_SECOND, SECONDS_AN_UPDATE = 6, 5e12, 0.05
"""The model of time: operations for each parameter and word, how fast they are done, and the fixed part."""
TRAININGS, WORKERS = 40, 4
COMPLETE, EARLY = ENDS.index(End.COMPLETE), ENDS.index(End.EARLY)

Runs = Sequence[Mapping[str, Any]]


class Vocabulary(NamedTuple):
    """The trainings with one number of subwords: checkpoints of the longest, and the median of their seconds."""

    checkpoints: int
    seconds: float


class Pair(NamedTuple):
    """The trainings for one pair of languages.

    name: in the source; layers: numbers of layers; seconds: the median over all trainings.
    """

    name: str
    layers: tuple[int, ...]
    vocabularies: Mapping[int, Vocabulary]
    seconds: float

    def space(self) -> dict[str, Any]:
        """What is searched at one number of subwords."""
        return {
            "num_layers": ordinal(self.layers),
            "num_embed": ordinal([256, 512, 1024]),
            "ff_hidden": ordinal([1024, 2048]),
            "heads": ordinal([8, 16]),
            "lr": ordinal([0.0003, 0.0006, 0.001]),
        }


PAIRS = {
    "sw_en": Pair(
        "sw-en",
        (1, 2, 4, 6),
        {
            1000: Vocabulary(133, 6086),
            2000: Vocabulary(40, 5428),
            4000: Vocabulary(53, 5603),
            8000: Vocabulary(56, 6172),
            16000: Vocabulary(38, 7297),
            32000: Vocabulary(29, 9259),
        },
        6563,
    ),
    "ru_en": Pair(
        "ru-en",
        (2, 4),
        {10000: Vocabulary(165, 10126), 30000: Vocabulary(120, 13914), 50000: Vocabulary(84, 16775)},
        12132,
    ),
    "ja_en": Pair(
        "ja-en",
        (2, 4),
        {10000: Vocabulary(428, 103137), 30000: Vocabulary(331, 111622), 50000: Vocabulary(254, 114065)},
        110826,
    ),
}
PERPLEXITY = ("perplexity", "checkpoint_perplexity", "parameters")
BLEU = ("bleu", "decode_seconds", "parameters")


def _on_perplexity(name: str, pair: Pair, bpe: int) -> Benchmark:
    checkpoints, seconds = pair.vocabularies[bpe]
    return Benchmark(
        f"nmt_transformer_{name}_bpe{bpe}",
        Space(pair.space()),
        (Objective("perplexity"),),
        Fidelity("checkpoint", tuple(range(1, checkpoints + 1))),
        budget=TRAININGS * seconds / WORKERS,
        workers=WORKERS,
    )


def _on_bleu(name: str, pair: Pair) -> Benchmark:
    return Benchmark(
        f"nmt_transformer_{name}_bleu",
        Space({"bpe": ordinal(list(pair.vocabularies)), **pair.space()}),
        (Objective("bleu", maximize=True),),
        Fidelity("training", (1,)),
        budget=TRAININGS * pair.seconds / WORKERS,
        workers=WORKERS,
    )


BENCHMARKS = tuple(
    benchmark
    for name, pair in PAIRS.items()
    for benchmark in (*(_on_perplexity(name, pair, bpe) for bpe in pair.vocabularies), _on_bleu(name, pair))
)


def find() -> Path:
    """Where the runs are on this machine."""
    return FILE.find()


def convert(source: Path, target: Path) -> None:
    """Convert all trainings; ValueError where the file is not the published one."""
    pairs = FILE.read(source)
    for benchmark in BENCHMARKS:
        name, kind = benchmark.name.removeprefix("nmt_transformer_").rsplit("_", 1)
        runs: Runs = pairs[PAIRS[name].name]
        if kind == "bleu":
            _convert_bleu(benchmark, runs, target)
        else:
            _convert_perplexity(benchmark, [run for run in runs if kind == f"bpe{run['bpe']}"], target)


def _convert_perplexity(benchmark: Benchmark, runs: Runs, target: Path) -> None:
    checkpoints = benchmark.fidelity.maximum
    values = np.full((len(runs), 1, checkpoints, len(PERPLEXITY)), np.nan)
    seconds = np.full(values.shape[:3], np.nan)
    ends = np.full(values.shape[:2], EARLY, dtype=np.int8)
    for row, run in enumerate(runs):
        curve = np.array(run["ppl_curve"])
        length = len(curve)
        values[row, 0, :length] = np.column_stack(
            [np.minimum.accumulate(curve), curve, np.full(length, run["num_param"])]
        )
        seconds[row, 0, :length] = _seconds_an_update(run) * UPDATES * np.arange(1, length + 1)
        if length == checkpoints:
            ends[row] = COMPLETE
    missing = "nothing; a curve ends early where its training was stopped by plan"
    _save(benchmark, runs, target, metrics=PERPLEXITY, values=values, seconds=seconds, ends=ends, missing=missing)


def _convert_bleu(benchmark: Benchmark, runs: Runs, target: Path) -> None:
    values = np.array([[run["dev_bleu"], run["dev_decode_gpu_s"], run["num_param"]] for run in runs], np.float64)
    seconds = np.array([_seconds_an_update(run) * run["num_updates"] for run in runs])
    _save(
        benchmark,
        runs,
        target,
        metrics=BLEU,
        values=values[:, None, None],
        seconds=seconds[:, None, None],
        ends=np.full((len(runs), 1), COMPLETE, dtype=np.int8),
        missing="nothing; the memory of the GPU is left out, which the source lacks for some trainings",
    )


def _seconds_an_update(run: Mapping[str, Any]) -> float:
    return SECONDS_AN_UPDATE + OPERATIONS * run["num_param"] * WORDS / OPERATIONS_PER_SECOND


def _save(
    benchmark: Benchmark,
    runs: Runs,
    target: Path,
    *,
    metrics: Sequence[str],
    values: NDArray[np.float64],
    seconds: NDArray[np.float64],
    ends: NDArray[np.int8],
    missing: str,
) -> None:
    configs: list[Config] = [{name: run[name] for name in benchmark.space.names} for run in runs]
    model = (
        f"a model: an update takes {SECONDS_AN_UPDATE} s and {OPERATIONS} operations for each parameter and each of "
        f"{WORDS} words, at {OPERATIONS_PER_SECOND:g} operations a second"
    )
    made = FILE.made(licence=LICENCE, citation=CITATION, missing=missing, seconds=model)
    _converted.save(
        target / benchmark.name, benchmark, metrics=metrics, seeds=(0,), values=values, seconds=seconds, ends=ends,
        made=made, configs=configs,
    )  # fmt: skip


def load(name: str) -> CurveModel:
    """The table of one benchmark."""
    return _converted.load("nmt_transformer", next(one for one in BENCHMARKS if one.name == name))
