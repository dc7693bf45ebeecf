"""llama_lr: 195 trainings of Llama models of 33 to 360 million parameters on SlimPajama, with measured seconds.

What is searched is the peak learning rate, its schedule (cosine, or warm-up, stable, cool-down), the length of the
training and the size of the model. Every 200 iterations tell the loss on a part of the validation data; there is no
test metric. (The loss of training is left out: interrupted runs lack it for thousands of iterations on end.) A shorter
training ends early, by its plan.

A run with a cool-down was begun from a checkpoint of a stable run. It is stitched to the run that it continues: the one
that it names or, where that one is not in the source, a stable run of the same model and learning rate; of several, the
one that agrees best where they meet (to .0001 for each run here; more than .001 is refused). Runs that were interrupted
hold some iterations twice, in pieces out of order: what was said last is taken. An evaluation that is missing between
two others (at most one after another) is interpolated. Runs of the same config are its replicates.

Seconds are measured: the run time of a run's last session over its iterations, evaluations included, and before the
stitch those of the run that it continues. Models of different sizes ran on different machines, and so did some
replicates. (The source's `iter_dt` is the last of the log and contradicts the run time, by up to 5.6 times.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.space import Config, Space, Value, choice, logordinal, lograndint, loguniform, ordinal
from harness.types import Benchmark, CurveModel, End, Fidelity, Objective
from surrogates import _converted
from surrogates._published_json import PublishedJson
from surrogates.table import ENDS

LICENCE = "MIT"
CITATION = (
    "Schaipp et al., The Surprising Agreement Between Convex Optimization Theory and Learning-Rate Scheduling for "
    "Large Model Training, 2025"
)
FILE = PublishedJson(
    "llama_lr",
    "lr_scheduling_llama_runs.json.gz",
    "8d6796fb5c538b6954c9a4fd509ec6ca7ff814241122579a6ad4c6dedea2de9e",
    "fabian-sp/lr-scheduling@8ace3a32",
)
PUBLISHED = FILE.published()
DATA, MODEL = "slimpajama", "llama_norm"
"""The runs that are taken: on other data losses cannot be compared, and of other models there are seven."""
EVERY, LONGEST = 200, 62400
METRICS = ("val_loss",)
AGREEMENT = 1e-3
SECONDS, TRAININGS, WORKERS = 8374.0, 40, 4
"""The median of the seconds of a training."""
FLOORS = {None: "tenth", -1: "tenth", 1e-07: "zero"}
"""Where the cosine ends: at a tenth of the peak unless the run says otherwise."""
COOLDOWNS = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.994)

Run = Mapping[str, Any]
Array = NDArray[np.float64]

SPACE = Space(
    {
        "lr": loguniform(1e-4, 5e-3),
        "iterations": lograndint(3000, 62500),
        "parameters": logordinal([33479040, 53027328, 59845120, 93159040, 123587328, 151905024, 208540416, 359842816]),
        "schedule": choice(["cosine", "wsd"]),
        "floor": choice(["tenth", "zero"]),
        "cooldown": ordinal(COOLDOWNS),
        "shape": choice(["linear", "sqrt"]),
    },
    {"floor": {"schedule": ["cosine"]}, "cooldown": {"schedule": ["wsd"]}, "shape": {"cooldown": COOLDOWNS[1:]}},
)
BENCHMARKS = (
    Benchmark(
        "llama_lr",
        SPACE,
        (Objective("val_loss"),),
        Fidelity("iteration", tuple(range(EVERY, LONGEST + 1, EVERY))),
        budget=TRAININGS * SECONDS / WORKERS,
        workers=WORKERS,
    ),
)


def find() -> Path:
    """Where the runs are on this machine."""
    return FILE.find()


def convert(source: Path, target: Path) -> None:
    """Convert the runs; ValueError where the file is not the published one, or a run continues none that is there."""
    everything: list[Run] = FILE.read(source)
    runs = [run for run in everything if (run["config"]["dataset"], run["config"]["model"]) == (DATA, MODEL)]
    (benchmark,) = BENCHMARKS
    rows: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        rows.setdefault(SPACE.key(config_of(run)), []).append(run)
    replicates = max(map(len, rows.values()))
    values = np.full((len(rows), replicates, len(benchmark.fidelity.levels), len(METRICS)), np.nan)
    seconds = np.full(values.shape[:3], np.nan)
    ends = np.full(values.shape[:2], -1, dtype=np.int8)
    filled = 0
    for row, same in enumerate(rows.values()):
        for replicate, run in enumerate(same):
            curve, spent = stitched(run, runs)
            length = len(curve)
            filled += int(np.isnan(curve).sum())
            values[row, replicate, :length, 0] = _interpolated(curve)
            seconds[row, replicate, :length] = spent
            ends[row, replicate] = ENDS.index(End.COMPLETE if length == values.shape[2] else End.EARLY)
    told = f"{filled} of {np.isfinite(values).sum()} numbers are interpolated between their neighbours"
    made = FILE.made(
        licence=LICENCE,
        citation=CITATION,
        missing=f"{told}; runs of other data or another model are left out",
        left_out=len(everything) - len(runs),
        seconds="measured: run time of the last session over its iterations, before a stitch that of the run before",
    )
    _converted.save(
        target / benchmark.name, benchmark, metrics=METRICS, seeds=range(replicates), values=values, seconds=seconds,
        ends=ends, made=made, configs=[config_of(same[0]) for same in rows.values()],
    )  # fmt: skip


def config_of(run: Run) -> Config:
    """The config of a run; a cool-down whose shape is not said is linear, as in the training code."""
    of = run["config"]
    config: dict[str, Value] = {name: of[name] for name in ("lr", "iterations")}
    config["parameters"] = run["parameters"]
    if of["scheduler"] == "cos":
        return config | {"schedule": "cosine", "floor": FLOORS[of["cos_final_lr"]]}
    config |= {"schedule": "wsd", "cooldown": float(of["wsd_fract_decay"])}
    return config | ({"shape": of["decay_type"] or "linear"} if of["wsd_fract_decay"] else {})


def stitched(run: Run, runs: Sequence[Run]) -> tuple[Array, Array]:
    """The loss of a run at each level from the first on, NaN where not said, and its seconds, both (levels,)."""
    said, begin = _said(run), run["resume_iter"]
    levels = np.arange(EVERY, max(said) + 1, EVERY)
    curve = np.array([said.get(level, np.nan) for level in levels.tolist()])
    seconds = (levels - begin) * _seconds_an_iteration(run)
    if begin:
        before, spent = stitched(_continued(run, runs), runs)
        shared = begin // EVERY
        curve[:shared], seconds[:shared] = before[:shared], spent[:shared]
        seconds[shared:] += spent[shared - 1]
    return curve, seconds


def _said(run: Run) -> dict[int, float]:
    """The loss that a run says at each iteration, the last time that it says one."""
    return dict(zip(run["val"]["iter"], run["val"]["loss"], strict=True))


def _continued(run: Run, runs: Sequence[Run]) -> Run:
    """The run that another continues."""
    begin, loss = run["resume_iter"], _said(run)[run["resume_iter"]]

    def apart(other: Run) -> float:
        return abs(_said(other).get(begin, np.inf) - loss)

    named = [other for other in runs if other["name"] == run["resume_run"]]
    best = min(named or [other for other in runs if _stable_like(other, run)], key=apart, default=None)
    if best is None or apart(best) > AGREEMENT:
        raise ValueError(f"{FILE.name}: expected the run that {run['name']} continues at {begin}, found none")
    return best


def _stable_like(other: Run, run: Run) -> bool:
    """Whether a run has no cool-down and is the same otherwise."""
    config = config_of(other)
    same = all(config[name] == config_of(run)[name] for name in ("lr", "parameters"))
    return same and config.get("cooldown") == 0


def _seconds_an_iteration(run: Run) -> float:
    """What an iteration took in the session that came to the end: only its run time is known."""
    iterations = run["val"]["iter"]
    first = iterations.index(max(iterations))
    while first and iterations[first - 1] < iterations[first]:
        first -= 1
    return run["runtime_s"] / (run["config"]["iterations"] - iterations[first])


def _interpolated(curve: Array) -> Array:
    """The losses (levels,) with those that are missing on the line between their neighbours."""
    levels, there = np.arange(len(curve)), np.isfinite(curve)
    return np.interp(levels, levels[there], curve[there])


def load(name: str) -> CurveModel:
    """The table of all runs."""
    return _converted.load("llama_lr", next(one for one in BENCHMARKS if one.name == name))
