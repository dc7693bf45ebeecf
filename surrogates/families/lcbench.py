"""lcbench_*: networks of Auto-PyTorch on 34 data sets of OpenML, 52 epochs: the surrogate of YAHPO Gym, any config.

Metrics: accuracy (per cent), cross entropy and balanced accuracy on validation data; of those on test data balanced
accuracy is taken, and kept from the methods. Another order of inputs would run and predict nonsense, so `convert`
compares a prediction with a known answer. The space has no conditions.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from harness.space import Space, lograndint, loguniform, randint, uniform
from harness.types import Benchmark, Fidelity, Objective
from surrogates import _converted, _yahpo_scenarios
from surrogates._publishers import Published, Remote
from surrogates._yahpo import Codes, Network, Predicted, known_of
from surrogates._yahpo_scenarios import LCBENCH, YAHPO

LICENCE = _yahpo_scenarios.LICENCE
CITATION = f"{LCBENCH.citation}; {YAHPO}"
SOURCE = "slds-lmu/yahpo_data@efdab907"
MODEL, ENCODING = "model.onnx", "encoding.json"
FILES = {
    MODEL: "b45c0d85ae39abf8820c8bea5ac82f415763afcbaf3b725e36af452b09cb6dcd",
    ENCODING: "d8af928f412bbeb07e58ecd69877fcab35fbc595333d1c1c3f76120d2f2508da",
}
ADDRESS = "https://raw.githubusercontent.com/slds-lmu/yahpo_data/efdab9072f63bd680396cd4b78b927c4a0caaad3/lcbench"
SIZES = {MODEL: 2153124, ENCODING: 507}
PUBLISHED = Published(tuple(Remote(f"{ADDRESS}/{name}", sha256, SIZES[name]) for name, sha256 in FILES.items()))
EPOCHS, TRAININGS, WORKERS, VERSION = 52, 40, 4, 1
LEVELS = np.arange(1, EPOCHS + 1, dtype=np.float32)

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
        (Objective(LCBENCH.objective, maximize=True),),
        Fidelity("epoch", tuple(range(1, EPOCHS + 1))),
        budget=round(TRAININGS * seconds / WORKERS, 1),
        workers=WORKERS,
        test_metric=LCBENCH.test_metric,
    )
    for task, seconds in SECONDS.items()
)


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
    codes: Codes = json.loads((source / ENCODING).read_text(encoding="utf-8"))
    network = Network(source / MODEL, LCBENCH, codes)
    found = network.predict({**KNOWN_CONFIG, LCBENCH.instance: "3945"}, LEVELS)[-1]
    if not np.allclose(found, KNOWN_ANSWER, rtol=1e-3):
        raise ValueError(f"{source / MODEL}: expected the prediction {KNOWN_ANSWER} of a known config, found {found}")
    shutil.copyfile(source / MODEL, target / MODEL)
    tasks: dict[str, dict[str, Any]] = {}
    for task, benchmark in zip(SECONDS, BENCHMARKS, strict=True):
        code = codes[LCBENCH.instance][str(task)]
        model = _predicted(task, benchmark, network, code, {})
        tasks[benchmark.name] = {"code": code, "facts": known_of(model, SOURCE, FILES) | model.best_found()}
    (target / _converted.ABOUT).write_text(json.dumps(tasks) + "\n", encoding="utf-8")


def _predicted(task: int, benchmark: Benchmark, network: Network, code: int, known: Mapping[str, Any]) -> Predicted:
    digest = f"lcbench-{VERSION}:{FILES[MODEL]}:{code}"
    return Predicted(benchmark, network, {LCBENCH.instance: str(task)}, LEVELS, digest, known)


@cache
def _surrogate(folder: Path) -> tuple[Network, Mapping[str, Any]]:
    """The network, and of each benchmark its code and what is known."""
    about = json.loads((folder / _converted.ABOUT).read_text(encoding="utf-8"))
    codes = {name.removeprefix("lcbench_"): int(of["code"]) for name, of in about.items()}
    return Network(_converted.checked(folder / MODEL, FILES[MODEL]), LCBENCH, {LCBENCH.instance: codes}), about


def load(name: str) -> Predicted:
    """The surrogate of one data set; FileNotFoundError where the family was not fetched."""
    folder = _converted.cache() / "lcbench"
    again = "`python -m harness fetch lcbench` makes it"
    if not (folder / _converted.ABOUT).exists():
        raise FileNotFoundError(f"the surrogate of {name!r} is not here: {again}")
    try:
        network, about = _surrogate(folder)
        code, known = int(about[name]["code"]), dict(about[name]["facts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if find_spec("onnxruntime") is None:
            raise
        raise ValueError(f"{folder}: not a converted surrogate ({error}): {again} again") from None
    benchmark = next(one for one in BENCHMARKS if one.name == name)
    return _predicted(int(name.removeprefix("lcbench_")), benchmark, network, code, known)
