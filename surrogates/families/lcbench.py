"""lcbench_*: networks of Auto-PyTorch on 34 data sets of OpenML, 52 epochs: the surrogate of YAHPO Gym, any config.

The surrogate is a network that predicts one epoch; a curve is one call for all 52 of them, on one thread. It knows no
luck of a seed, and no optimum is known. Metrics: accuracy (per cent), cross entropy and balanced accuracy on validation
data; of those on test data balanced accuracy is taken, and kept from the methods. Space and order of inputs are those
that yahpo_gym 1.0.2 declares; another order would run and predict nonsense, so `convert` compares a prediction with a
known answer. The space has no conditions.

What no training can give is mended: shares are clipped to their range, cross entropy to at least 0, and where the
predicted time does not rise from epoch to epoch it is raised to a millisecond above the last. The shares of numbers
that this changes are counted on random configs when the family is converted, and stand in `made`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.randomness import stream
from harness.space import Config, Space, lograndint, loguniform, randint, uniform
from harness.types import NANOSECONDS, Benchmark, Curve, End, Fidelity, Objective
from surrogates import _converted

LICENCE = "Apache-2.0"
CITATION = (
    "Zimmer et al., Auto-PyTorch: Multi-Fidelity MetaLearning for Efficient and Robust AutoDL, 2021; "
    "Pfisterer et al., YAHPO Gym, 2022"
)
SOURCE = "slds-lmu/yahpo_data@efdab907"
MODEL, ENCODING = "model.onnx", "encoding.json"
FILES = {
    MODEL: "b45c0d85ae39abf8820c8bea5ac82f415763afcbaf3b725e36af452b09cb6dcd",
    ENCODING: "d8af928f412bbeb07e58ecd69877fcab35fbc595333d1c1c3f76120d2f2508da",
}
TASK = "OpenML_task_id"
EPOCHS, TRAININGS, WORKERS, VERSION = 52, 40, 4, 1
INPUTS = (
    "epoch", "batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout",
)  # fmt: skip
"""In the surrogate's order."""
OUTPUTS = {
    "time": (0.0, np.inf),
    "val_accuracy": (0.0, 100.0),
    "val_cross_entropy": (0.0, np.inf),
    "val_balanced_accuracy": (0.0, 1.0),
    "test_cross_entropy": (0.0, np.inf),
    "test_balanced_accuracy": (0.0, 1.0),
}
"""In the surrogate's order, each with the range of what is possible."""
METRICS = ("val_accuracy", "val_cross_entropy", "val_balanced_accuracy", "test_balanced_accuracy")
EXPECTED_INPUTS = [("x_cat", "tensor(int32)", 1), ("x_cont", "tensor(float)", len(INPUTS))]
RISE = NANOSECONDS // 1000
SAMPLE = 101
"""So many random configs tell the facts of a benchmark."""

SPACE = Space(
    {
        "batch_size": lograndint(16, 512),
        "learning_rate": loguniform(1e-4, 0.1),
        "max_dropout": uniform(0.0, 1.0),
        "max_units": lograndint(64, 1024),
        "momentum": uniform(0.1, 0.99),
        "num_layers": randint(1, 5),
        "weight_decay": uniform(1e-5, 0.1),
    }
)
KNOWN_CONFIG = {
    "batch_size": 64, "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.001, "num_layers": 3, "max_units": 256,
    "max_dropout": 0.3,
}  # fmt: skip
KNOWN_ANSWER = (156.60197, 89.95037, 0.38482, 0.71544, 0.43916, 0.6875)
"""On data set 3945 at the last epoch, with the inputs as yahpo_gym 1.0.2 puts them."""

SECONDS = {
    3945: 187.6, 7593: 909.0, 34539: 102.6, 126025: 108.4, 126026: 97.16, 126029: 97.2, 146212: 134.4, 167104: 53.8,
    167149: 58.95, 167152: 151.1, 167161: 73.22, 167168: 83.0, 167181: 69.61, 167184: 90.92, 167185: 580.2, 167190:
    74.97, 167200: 208.7, 167201: 174.9, 168329: 207.9, 168330: 184.5, 168331: 190.4, 168335: 229.8, 168868: 186.9,
    168908: 2284.0, 168910: 574.8, 189354: 727.5, 189862: 92.64, 189865: 81.63, 189866: 825.7, 189873: 2126.0,
    189905: 41.99, 189906: 104.6, 189908: 915.6, 189909: 103.7,
}  # fmt: skip
"""Of each data set the median of the seconds of a training."""

BENCHMARKS = tuple(
    Benchmark(
        f"lcbench_{task}",
        SPACE,
        (Objective("val_balanced_accuracy", maximize=True),),
        Fidelity("epoch", tuple(range(1, EPOCHS + 1))),
        budget=round(TRAININGS * seconds / WORKERS, 1),
        workers=WORKERS,
        test_metric="test_balanced_accuracy",
    )
    for task, seconds in SECONDS.items()
)


class Network:
    """The surrogate in memory: from configs to predictions."""

    def __init__(self, path: Path) -> None:
        if find_spec("onnxruntime") is None:
            raise FileNotFoundError("lcbench needs the package onnxruntime: `pip install 'foretune[onnx]'`")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the library has no common class for what it raises
            raise ValueError(f"{path}: not a network that can be run ({error})") from None
        inputs = [(one.name, one.type, one.shape[-1]) for one in self._session.get_inputs()]
        outputs = [one.shape[-1] for one in self._session.get_outputs()]
        if inputs != EXPECTED_INPUTS or outputs != [len(OUTPUTS)]:
            raise ValueError(
                f"{path}: expected a network from {EXPECTED_INPUTS} to {len(OUTPUTS)} numbers, found one from {inputs} "
                f"to {outputs}"
            )
        self._epochs = np.arange(1, EPOCHS + 1, dtype=np.float32)

    def predict(self, code: int, config: Config) -> NDArray[np.float32]:
        """All outputs at every epoch, shape (52, 6), as they come; code: the data set's number in the encoding."""
        x = np.empty((EPOCHS, len(INPUTS)), np.float32)
        x[:, 0] = self._epochs
        x[:, 1:] = [config[name] for name in INPUTS[1:]]
        (outputs,) = self._session.run(None, {"x_cat": np.full((EPOCHS, 1), code, np.int32), "x_cont": x})
        return np.asarray(outputs, np.float32)


@dataclass
class Predicted:
    """A benchmark of the surrogate: every config has its predicted curve, the same for every seed.

    code: the data set's number in the encoding; known: what reports may state of it.
    """

    benchmark: Benchmark
    network: Network
    code: int
    digest: str
    known: Mapping[str, Any]
    _curves: dict[tuple[object, ...], Curve] = field(default_factory=dict[tuple[object, ...], Curve], repr=False)

    def under(self, benchmark: Benchmark) -> Predicted:
        """The surrogate under a benchmark with other defaults (budget, delays, objectives, a part of the space)."""
        if benchmark.fidelity != self.benchmark.fidelity:
            raise ValueError(f"the levels of {benchmark.name!r} are part of its surrogate and cannot be set")
        for objective in benchmark.objectives:
            if objective.metric not in METRICS:
                known = ", ".join(METRICS)
                raise ValueError(f"the surrogate of {benchmark.name!r} has no {objective.metric!r}; it has {known}")
        return replace(self, benchmark=benchmark, _curves={})

    def restricted_space(self) -> Space:
        """The benchmark's space as it is: the surrogate answers every config."""
        return self.benchmark.space.opened()

    def facts(self) -> dict[str, Any]:
        """What reports may state: of random configs the median final loss and seconds; no optimum is known."""
        return dict(self.known)

    def outside(self, config: Config) -> bool:
        """Never: the surrogate was fitted to the whole space."""
        return False

    def final_loss(self, config: Config) -> float:
        """The first objective at the last epoch, to be minimised."""
        return self.curve(config, 0).losses[-1][0]

    def curve(self, config: Config, seed: int) -> Curve:
        """The predicted curve of a config."""
        whole = {**self.benchmark.space.constants, **config} if self.benchmark.space.constants else config
        identity = tuple([whole[name] for name in INPUTS[1:]])
        curve = self._curves.get(identity)
        if curve is None:
            curve = self._curves[identity] = self._mended(self.network.predict(self.code, whole))
        return curve

    def _mended(self, outputs: NDArray[np.float32]) -> Curve:
        columns: dict[str, list[float]] = dict(zip(OUTPUTS, clipped(outputs).T.tolist(), strict=True))
        objectives = [(-1.0 if one.maximize else 1.0, columns[one.metric]) for one in self.benchmark.objectives]
        losses = [[sign * value for value in column] for sign, column in objectives]
        return Curve(
            nanoseconds=rising(columns["time"]),
            losses=tuple(zip(*losses, strict=True)),
            metrics=_rows(columns, METRICS),
            visible=_rows(columns, [name for name in METRICS if name != self.benchmark.test_metric]),
            end=End.COMPLETE,
        )


COLUMNS = {name: column for column, name in enumerate(OUTPUTS)}
LOWEST, HIGHEST = (np.array(bounds) for bounds in zip(*OUTPUTS.values(), strict=True))


def _rows(columns: Mapping[str, list[float]], names: Sequence[str]) -> tuple[dict[str, float], ...]:
    return tuple([dict(zip(names, row)) for row in zip(*(columns[name] for name in names))])  # noqa: B905


def clipped(outputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Outputs (epochs, 6) within what is possible."""
    return np.minimum(np.maximum(outputs, LOWEST), HIGHEST)


def rising(seconds: Sequence[float]) -> tuple[int, ...]:
    """Seconds as nanoseconds of which each is at least a millisecond above the last."""
    rising: list[int] = []
    last = 0
    for spent in seconds:
        last = max(round(spent * NANOSECONDS), last + RISE)
        rising.append(last)
    return tuple(rising)


def find() -> Path:
    """The folder of the surrogate's files; FileNotFoundError that says how to get them."""
    found = _converted.shared_data("lcbench_surrogate")
    if found is None:
        raise FileNotFoundError(
            f"the surrogate of lcbench is not here: `fetch lcbench --from FOLDER` with {' and '.join(FILES)}, as in "
            f"the folder lcbench of {SOURCE}"
        )
    return found


def convert(source: Path, target: Path) -> None:
    """Check the surrogate and write it down with what is known of each benchmark; ValueError where it is another."""
    for name, sha256 in FILES.items():
        _converted.checked(source / name, sha256)
    codes = json.loads((source / ENCODING).read_text(encoding="utf-8"))[TASK]
    network = Network(source / MODEL)
    found = network.predict(codes["3945"], KNOWN_CONFIG)[-1]
    if not np.allclose(found, KNOWN_ANSWER, rtol=1e-3):
        raise ValueError(f"{source / MODEL}: expected the prediction {KNOWN_ANSWER} of a known config, found {found}")
    shutil.copyfile(source / MODEL, target / MODEL)
    tasks = {
        benchmark.name: {"code": codes[str(task)], "facts": _facts(benchmark, network, codes[str(task)])}
        for task, benchmark in zip(SECONDS, BENCHMARKS, strict=True)
    }
    (target / _converted.ABOUT).write_text(json.dumps(tasks) + "\n", encoding="utf-8")


def _facts(benchmark: Benchmark, network: Network, code: int) -> dict[str, Any]:
    configs = benchmark.space.sample(stream("facts", benchmark.name), SAMPLE)
    outputs = np.array([network.predict(code, config) for config in configs])
    shares = clipped(outputs)
    objective = benchmark.objectives[0]
    final = shares[:, -1, COLUMNS[objective.metric]]
    times = shares[..., COLUMNS["time"]]
    mended = [np.array(rising(curve)) != np.rint(np.array(curve) * NANOSECONDS) for curve in times.tolist()]
    return {
        "optimum": None,
        "median": float(np.median(-final if objective.maximize else final)),
        "noise": None,
        "full_seconds": float(np.median(times[:, -1])),
        "made": {
            "licence": LICENCE,
            "citation": CITATION,
            "source": SOURCE,
            "sha256": FILES,
            "missing": f"nothing; on {SAMPLE} random configs {np.mean(shares != outputs):.2%} of numbers were clipped",
            "seconds": f"predicted; on {SAMPLE} random configs {np.mean(mended):.2%} of times were raised",
        },
    }


@cache
def _network(path: Path) -> Network:
    return Network(_converted.checked(path, FILES[MODEL]))


def load(name: str) -> Predicted:
    """The surrogate of one data set; FileNotFoundError where the family was not fetched."""
    folder = _converted.cache() / "lcbench"
    again = "`python -m harness fetch lcbench` makes it"
    if not (folder / _converted.ABOUT).exists():
        raise FileNotFoundError(f"the surrogate of {name!r} is not here: {again}")
    try:
        about = json.loads((folder / _converted.ABOUT).read_text(encoding="utf-8"))[name]
        code, known = int(about["code"]), dict(about["facts"])
        network = _network(folder / MODEL)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if find_spec("onnxruntime") is None:
            raise
        raise ValueError(f"{folder}: not a converted surrogate ({error}): {again} again") from None
    benchmark = next(one for one in BENCHMARKS if one.name == name)
    return Predicted(benchmark, network, code, f"lcbench-{VERSION}:{FILES[MODEL]}:{code}", known)
