"""Families of tables as plain files in the user's cache: written once, mapped into memory by every process.

A converted family is a folder of one folder a benchmark: `values.npy` (configs, seeds, levels, metrics), `seconds.npy`
(configs, seeds, levels), `ends.npy` (configs, seeds), and `about.json` with the names, the digest, the licence, the
citation and the checksums of what it was made from. Where the table holds every config of its space, in the order of
a mixed-radix number, it is a grid and lists no configs: the row is computed. Else `about.json` lists them.

A family is converted in a temporary folder, which then takes its name: whole or not there at all.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.cache import cache
from harness.randomness import key, number_at
from harness.space import Choice, Config, Ordinal, Space, Value
from harness.types import NANOSECONDS, Benchmark, Curve, CurveModel, End
from surrogates._under import check_under
from surrogates.table import ENDS, Table, TableData, facts_of

Array = NDArray[np.float64]
ABOUT, FORMAT = "about.json", 1
ARRAYS = ("values", "seconds", "ends")


def shared_data(what: str) -> Path | None:
    """A file or folder of the data that $FORETUNE_DATA names, where it is there."""
    path = Path(os.environ.get("FORETUNE_DATA") or os.devnull) / what
    return path if path.exists() else None


def checked(path: Path, sha256: str) -> Path:
    """The path of a file whose content is the expected one; ValueError with both checksums where it is not."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: it is part of what this family is made from")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path}: expected the SHA-256 {sha256}, found {found} ({path.stat().st_size} bytes): another version, "
            "or not whole"
        )
    return path


def save(
    folder: Path,
    benchmark: Benchmark,
    *,
    metrics: Sequence[str],
    seeds: Sequence[int],
    values: Array,
    seconds: Array,
    ends: NDArray[np.int8],
    made: Mapping[str, Any],
    configs: Sequence[Config] | None = None,
) -> None:
    """Write one table of a family; without configs it is a grid of the whole space, in its order."""
    content: dict[str, Any] = {"values": values, "seconds": seconds, "ends": ends}
    content |= {"metrics": metrics, "seeds": seeds, "made": made}
    if configs is None:
        digest = Grid(benchmark, **content).check(str(folder)).digest
    else:
        data = _rows(benchmark, **content, configs=configs)
        data.check(str(folder))
        digest = data.digest()
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(ARRAYS, (values, seconds, ends), strict=True):
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
    about = {
        "format": FORMAT,
        "benchmark": benchmark.name,
        "metrics": list(metrics),
        "seeds": list(seeds),
        "digest": digest,
        "made": dict(made),
        "configs": configs if configs is None else [dict(config) for config in configs],
    }
    (folder / ABOUT).write_text(json.dumps(about) + "\n", encoding="utf-8")


def load(family: str, benchmark: Benchmark) -> CurveModel:
    """A converted table, mapped into memory; FileNotFoundError where the family was not fetched."""
    folder = cache() / family / benchmark.name
    again = f"`python -m harness fetch {family}` makes it"
    if not (folder / ABOUT).exists():
        raise FileNotFoundError(f"the table of {benchmark.name!r} is not here: {again}")
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"expected the format {FORMAT}, found {about['format']}")
        content: dict[str, Any] = {name: _mapped(folder / f"{name}.npy") for name in ARRAYS}
        content |= {name: about[name] for name in ("metrics", "seeds", "made")}
        if about["configs"] is None:
            model = Grid(benchmark, **content)
        else:
            model = Table(_rows(benchmark, **content, configs=about["configs"]))
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{folder}: not a converted table ({error}): {again} again") from None
    if model.digest != about["digest"]:
        raise ValueError(f"{folder}: expected the digest {about['digest']}, found {model.digest}: {again} again")
    return model


def _mapped(path: Path) -> NDArray[Any]:
    # As a plain view: reading one row through the class of the map costs several times as much.
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _rows(
    benchmark: Benchmark,
    *,
    metrics: Sequence[str],
    seeds: Sequence[int],
    values: Array,
    seconds: Array,
    ends: NDArray[np.int8],
    made: Mapping[str, Any],
    configs: Sequence[Config],
) -> TableData:
    return TableData(
        benchmark=benchmark,
        configs=tuple(configs),
        parts=("iid",) * len(configs),
        seeds=tuple(seeds),
        metrics=tuple(metrics),
        values=values,
        seconds=seconds,
        ends=ends,
        made=made,
    )


class Grid:
    """A table that holds every config of a finite space: a config's row is computed, none is searched.

    Where the benchmark says `restrict`, methods propose from the space itself, which is the table; where it says
    `snap`, each number is rounded to the nearest of the grid (by ratio where all are positive, else by difference).
    Of each config the first replicates are measured, as many as `ends` says.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        *,
        metrics: Sequence[str],
        seeds: Sequence[int],
        values: Array,
        seconds: Array,
        ends: NDArray[np.int8],
        made: Mapping[str, Any],
    ) -> None:
        self.benchmark = benchmark
        self.metrics, self.seeds, self.made = tuple(metrics), tuple(seeds), made
        self.values, self.seconds, self.ends = values, seconds, ends
        self._space = benchmark.space
        self._places = list(places_of(self._space).items())
        self._axes = [_Axis(name, places) for name, places in self._places]
        self.digest = self._digest()
        self._counts = (ends >= 0).sum(axis=1).tolist()
        self._ways = self._directions(benchmark)
        self._curves: dict[int, Curve] = {}
        self._luck: dict[int, int] = {}
        self._snaps = benchmark.table_miss == "snap"
        self._fixed: Config = {}

    def _directions(self, benchmark: Benchmark) -> list[tuple[int, float]]:
        """Of each objective the metric's place, and the sign that makes it one to minimise; values are never NaN."""
        return [(self.metrics.index(one.metric), -1.0 if one.maximize else 1.0) for one in benchmark.objectives]

    def _digest(self) -> str:
        state = hashlib.blake2b(digest_size=16)
        levels = list(self.benchmark.fidelity.levels)
        state.update(json.dumps([self._space.to_json(), levels, self.seeds, self.metrics]).encode())
        for array in (self.values, self.seconds, self.ends):
            state.update(np.ascontiguousarray(array).data)
        return state.hexdigest()

    def check(self, where: str) -> Grid:
        """Refuse wrong shapes, holes, and times that do not rise; ValueError with the row. Gives itself."""
        levels = len(self.benchmark.fidelity.levels)
        shape = (self._space.size or 0, len(self.seeds), levels)
        for name, wanted in (("values", (*shape, len(self.metrics))), ("seconds", shape), ("ends", shape[:2])):
            if getattr(self, name).shape != wanted:
                raise ValueError(f"{where}: {name} has the shape {getattr(self, name).shape}, expected {wanted}")
        measured = self.ends >= 0
        rising = measured[:, 1:] <= measured[:, :-1]
        steps = np.diff(self.seconds, axis=2, prepend=0.0) if self.benchmark.fidelity.continues else self.seconds
        whole = (self.ends == ENDS.index(End.COMPLETE)) & (steps > 0).all(axis=2) & np.isfinite(steps).all(axis=2)
        whole &= np.isfinite(self.values).all(axis=(2, 3))
        for wrong, what in (
            (~(measured[:, 0] & rising.all(axis=1)), "the first replicates must be the measured ones, at least one"),
            ((measured & ~whole).any(axis=1), "values must be finite and seconds positive, rising from level to level"),
        ):
            if wrong.any():
                raise ValueError(f"{where}, row {int(np.argmax(wrong))}: {what}")
        return self

    def under(self, benchmark: Benchmark) -> Grid:
        """The same data under a benchmark with other defaults (budget, delays, objectives, a part of the space)."""
        if benchmark.table_miss == "surrogate":
            raise ValueError(f"no surrogate of {benchmark.name!r} is fitted: declare --table restrict or --table snap")
        check_under(benchmark, self.benchmark, self.metrics, "table")
        grid = object.__new__(Grid)
        grid.__dict__.update(self.__dict__)
        grid.benchmark = benchmark
        grid._snaps = benchmark.table_miss == "snap"
        grid._fixed = {n: v for n, v in benchmark.space.constants.items() if n in self._space.domains}
        grid._ways = self._directions(benchmark)
        grid._curves = {}
        return grid

    def restricted_space(self) -> Space:
        """The benchmark's space, all of whose configs must be rows; ValueError where some are not."""
        space = self.benchmark.space
        for name, places in self._places:
            domain = space.domains.get(name)
            values = getattr(domain, "values", ()) if domain is not None else (self._fixed.get(name),)
            if not values or any(value not in places for value in values):
                raise ValueError(
                    f"the table of {self.benchmark.name!r} holds {name} = {', '.join(map(str, places))}: a space whose "
                    "values are not all among these needs --table snap"
                )
        return space.opened()

    def row(self, config: Config) -> int:
        """The row that answers for a config; ValueError where the table has none."""
        if self._fixed:
            config = {**self._fixed, **config}
        row = 0
        if self._snaps:
            for (name, places), axis in zip(self._places, self._axes):  # noqa: B905
                value = config.get(name)
                place = places.get(value)  # type: ignore[arg-type]
                row += axis.nearest(value) if place is None else place
            return row
        try:
            for name, places in self._places:
                row += places[config[name]]
        except KeyError:
            raise ValueError(
                f"the table of {self.benchmark.name!r} holds no config {dict(config)}: choose from its grid, "
                "or declare --table snap"
            ) from None
        return row

    def outside(self, config: Config) -> bool:
        """Never: what is answered was measured."""
        return False

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve of a config, in the replicate that benchmark, seed and config choose."""
        luck = self._luck.get(seed)
        if luck is None:
            luck = self._luck[seed] = key("replicate", self.benchmark.name, seed)
        row = self.row(config)
        return self._curve_at(row, int(number_at(luck, row) * self._counts[row]))

    def final_loss(self, config: Config) -> float:
        """The first objective at the last level, to be minimised, the mean over a config's replicates."""
        row = self.row(config)
        count = self._counts[row]
        return sum(self._curve_at(row, replicate).losses[-1][0] for replicate in range(count)) / count

    def _curve_at(self, row: int, replicate: int) -> Curve:
        place = row * len(self.seeds) + replicate
        curve = self._curves.get(place)
        if curve is None:
            rows = self.values[row, replicate].tolist()
            metrics = tuple([dict(zip(self.metrics, values)) for values in rows])  # noqa: B905
            self._curves[place] = curve = Curve(
                nanoseconds=tuple([round(spent * NANOSECONDS) for spent in self.seconds[row, replicate].tolist()]),
                losses=tuple([tuple([sign * values[metric] for metric, sign in self._ways]) for values in rows]),
                metrics=metrics,
                visible=metrics if self.benchmark.test_metric is None else tuple(map(self.benchmark.visible, metrics)),
                end=End.COMPLETE,
            )
        return curve

    def final_losses(self, metric: str | None = None) -> Array:
        """The first objective, or another metric in its direction, at the last level, to be minimised.

        Shape (n, s); NaN where not measured.
        """
        objective = self.benchmark.objectives[0]
        final = self.values[:, :, -1, self.metrics.index(metric or objective.metric)]
        return np.where(self.ends < 0, np.nan, -final if objective.maximize else final)

    def facts(self) -> dict[str, Any]:
        """What reports may state of the table; losses are final, to be minimised, means over a config's seeds."""
        final, test = self.final_losses(), self.benchmark.test_metric
        facts: dict[str, Any] = {
            "configs": len(final),
            **facts_of(final),
            "final_losses": np.sort(np.nanmean(final, axis=1)).tolist(),
            "full_seconds": float(np.nanmedian(self.seconds[..., -1])),
            "made": dict(self.made),
        }
        return facts if test is None else facts | {"test": facts_of(self.final_losses(test))}


class _Axis:
    """One hyperparameter of a grid, for configs that lie beside its values."""

    def __init__(self, name: str, places: Mapping[Value, int]) -> None:
        self.name = name
        self._places = places
        numbers = sorted(value for value in places if isinstance(value, int | float))
        self._ordered = [places[number] for number in numbers] if len(numbers) == len(places) else []
        by_ratio = numbers and numbers[0] > 0
        self._edges = [math.sqrt(a * b) if by_ratio else (a + b) / 2 for a, b in pairwise(numbers)]

    def nearest(self, value: Value | None) -> int:
        """What the value of the grid nearest to one beside it adds to the row; ValueError where nothing is near."""
        if not (self._ordered and isinstance(value, int | float)):
            raise ValueError(
                f"{self.name} = {value!r} is not one of {', '.join(map(str, self._places))}, and none is near to it"
            )
        return self._ordered[bisect_right(self._edges, value)]


def places_of(space: Space) -> dict[str, dict[Value, int]]:
    """What each value of a finite space adds to the row of a config: the last hyperparameter changes fastest."""
    places: dict[str, dict[Value, int]] = {}
    stride = 1
    for name, domain in reversed(space.domains.items()):
        assert isinstance(domain, Ordinal | Choice)
        places[name] = {value: index * stride for index, value in enumerate(domain.values)}
        stride *= len(domain.values)
    return dict(reversed(places.items()))
