"""Tables: measured learning curves, looked up.

A table on disk is a folder with two plain files. `table.json` says what it is: the benchmark, the metrics, the seeds,
the configs with the part of the plan that each belongs to, and how it was made. `table.npz` holds two arrays:
`values` (configs, seeds, levels, metrics) and `seconds` (configs, seeds, levels), the training time since the start
of the trial. A replicate that was not measured is NaN throughout; a curve that ends before the last level is NaN from
there on and its `end` says why. Anything else that is missing is refused at load, with its place.

Which replicate a study meets is a hash of benchmark, seed and config: the same for every method.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from harness.files import whole
from harness.randomness import key, number_at
from harness.space import Config, Space
from harness.types import NANOSECONDS, Benchmark, Curve, End
from surrogates._under import check_under

Array = NDArray[np.float64]
ENDS = (End.COMPLETE, End.EARLY, End.DIVERGED)
IID, HELD_OUT = "iid", "held_out"
"""Parts of a plan: both are independent configs of the space."""
KEPT_OUT = (HELD_OUT, "optimum")
"""The parts that teach no surrogate."""
ROUNDING = 1.5 * 2**32
"""Adding this to a coordinate and taking it away again rounds to whole steps of 2^-20. The nearest row is sought among
such coordinates: then squared distances are whole multiples of 2^-40, and few enough to be exact in whatever order a
machine adds them, so every machine finds the same row."""


@dataclass(frozen=True)
class TableData:
    """The plain content of a table.

    configs: n dicts; parts: n names (`iid` rows follow the law of random search); seeds: the s replicates;
    metrics: m names; values: (n, s, levels, m); seconds: (n, s, levels), cumulative where the fidelity continues;
    ends: (n, s) indices into `ENDS`, -1 where the replicate was not measured; made: how, free-form JSON.
    """

    benchmark: Benchmark
    configs: tuple[Config, ...]
    parts: tuple[str, ...]
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    values: Array
    seconds: Array
    ends: NDArray[np.int8]
    made: Mapping[str, Any]

    def check(self, where: str) -> None:
        """Refuse wrong shapes, undeclared holes, and times that do not rise; ValueError with the row and the reason."""
        n, s, levels, m = len(self.configs), len(self.seeds), len(self.benchmark.fidelity.levels), len(self.metrics)
        shapes = {"values": (n, s, levels, m), "seconds": (n, s, levels), "ends": (n, s)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{where}: {name} has the shape {getattr(self, name).shape}, expected {shape}")
        if self.values.dtype != np.float64 or self.seconds.dtype != np.float64:
            kinds = f"{self.values.dtype} and {self.seconds.dtype}"
            raise ValueError(f"{where}: values and seconds must be float64, given {kinds}")
        if not np.issubdtype(self.ends.dtype, np.integer):
            raise ValueError(f"{where}: ends must be whole numbers, given {self.ends.dtype}")
        if not np.isin(self.ends, range(-1, len(ENDS))).all():
            raise ValueError(f"{where}: ends must lie between -1 (not measured) and {len(ENDS) - 1}")
        for objective in self.benchmark.objectives:
            if objective.metric not in self.metrics:
                raise ValueError(f"{where}: no metric {objective.metric!r}; there are {', '.join(self.metrics)}")
        for row, config in enumerate(self.configs):
            try:
                self.benchmark.space.check(config)
            except ValueError as error:
                raise ValueError(f"{where}, row {row}: {error}") from None
        lengths = self.lengths()
        measured = self.ends >= 0
        for row, replicate in zip(*np.nonzero(measured), strict=True):
            self._check_curve(f"{where}, row {row}, seed {self.seeds[replicate]}", row, replicate, lengths)
        if not measured.any(axis=1).all():
            raise ValueError(f"{where}, row {int(np.argmin(measured.any(axis=1)))}: no replicate was measured")

    def _check_curve(self, where: str, row: int, replicate: int, lengths: NDArray[np.intp]) -> None:
        length, levels = lengths[row, replicate], self.benchmark.fidelity.levels
        end = ENDS[self.ends[row, replicate]]
        if length == 0 or (length < len(levels) and end is End.COMPLETE):
            unit = self.benchmark.fidelity.unit
            level = levels[int(np.argmin(np.isfinite(self.seconds[row, replicate])))]
            raise ValueError(f"{where}: no seconds at {unit} {level}, though the curve is said to be {end.value}")
        seconds = self.seconds[row, replicate, :length]
        steps = np.diff(seconds, prepend=0.0) if self.benchmark.fidelity.continues else seconds
        if not (np.isfinite(seconds).all() and (steps > 0).all()):
            raise ValueError(f"{where}: the seconds must be finite and rise from level to level")
        values = self.values[row, replicate, :length]
        holes = np.isnan(values)
        if end is End.DIVERGED:
            holes = holes[:-1]
        if holes.any():
            level, metric = np.argwhere(holes)[0]
            raise ValueError(f"{where}: metric {self.metrics[metric]!r} is missing at level {levels[level]}")

    def of_parts(self, wanted: Callable[[str], bool]) -> TableData:
        """The rows whose part of the plan is wanted, with the seeds that any of them has."""
        rows = [row for row, part in enumerate(self.parts) if wanted(part)]
        seeds = np.flatnonzero((self.ends[rows] >= 0).any(axis=0))
        if len(rows) == len(self.parts) and len(seeds) == len(self.seeds):
            return self
        return replace(
            self,
            configs=tuple(self.configs[row] for row in rows),
            parts=tuple(self.parts[row] for row in rows),
            seeds=tuple(self.seeds[seed] for seed in seeds),
            values=self.values[rows][:, seeds],
            seconds=self.seconds[rows][:, seeds],
            ends=self.ends[rows][:, seeds],
        )

    def looked_up(self) -> TableData:
        """The rows that a study may meet on the raw table: the i.i.d. ones, which keep the law of random search."""
        return self.of_parts(lambda part: part == IID)

    def learned(self) -> TableData:
        """The rows that a surrogate is fitted to: all but those that put it to the test."""
        return self.of_parts(lambda part: part not in KEPT_OUT)

    def lengths(self) -> NDArray[np.intp]:
        """How many levels each curve has, shape (n, s); 0 where not measured."""
        return np.isfinite(self.seconds).sum(axis=2)

    def digest(self) -> str:
        """A hash of all that a study can see of this table."""
        state = hashlib.blake2b(digest_size=16)
        header = [self.benchmark.space.to_json(), list(self.benchmark.fidelity.levels), self.seeds, self.metrics]
        state.update(json.dumps([header, [dict(config) for config in self.configs], self.parts]).encode())
        for array in (self.values, self.seconds, self.ends):
            state.update(np.ascontiguousarray(np.where(np.isnan(array), np.nan, array)).tobytes())
        return state.hexdigest()

    def final_losses(self, metric: str | None = None) -> Array:
        """The first objective at the last level, to be minimised, shape (n, s); NaN where not measured.

        metric: another one, taken in the objective's direction. A curve that diverged ends at infinity; one that ended
        early counts with its last value.
        """
        objective = self.benchmark.objectives[0]
        column = self.values[..., self.metrics.index(metric or objective.metric)]
        last = np.maximum(self.lengths() - 1, 0)
        final = np.take_along_axis(column, last[..., None], axis=2)[..., 0]
        final = -final if objective.maximize else final
        final = np.where(np.isnan(final) | (self.ends == ENDS.index(End.DIVERGED)), np.inf, final)
        return np.where(self.ends < 0, np.nan, final)

    def full_seconds(self) -> float:
        """The median of what a full training takes: to the last level, or to where it ended early by plan."""
        lengths = self.lengths()
        full = (lengths == self.seconds.shape[2]) | (self.ends == ENDS.index(End.EARLY))
        last = np.take_along_axis(self.seconds[full], lengths[full][:, None] - 1, axis=1)
        return float(np.median(last))

    def seed_spread(self) -> float | None:
        """The median over configs of the standard deviation of the final loss between seeds; None with one seed."""
        return facts_of(self.final_losses())["noise"]


def facts_of(final: Array) -> dict[str, float | None]:
    """The optimum, the median and the noise of final losses (n, s), NaN where not measured; of means over seeds.

    noise: the median over configs of the standard deviation between seeds, None where none has several.
    """
    mean = np.nanmean(final, axis=1)
    kept = final[np.isfinite(final).sum(axis=1) > 1]
    between = np.nanstd(np.where(np.isfinite(kept), kept, np.nan), axis=1, ddof=1)
    return {
        "optimum": float(np.min(mean)),
        "median": float(np.median(mean)),
        "noise": float(np.median(between)) if len(kept) else None,
    }


class Table:
    """A table as a model of the benchmark: from a config to one of its measured curves.

    Where the benchmark says `restrict`, only configs of the table are answered; where it says `snap`, every config
    is, by the nearest row in the encoded space.
    """

    def __init__(self, data: TableData) -> None:
        self.data = data
        self.benchmark = data.benchmark
        self.digest = data.digest()
        self._space = data.benchmark.space
        self._encoded = self._space.encode(data.configs)
        on_grid = self._encoded + ROUNDING - ROUNDING
        # A point (x, 1) times this gives |row|^2 - 2 row x of each row: least where the distance is.
        self._distances = np.vstack([-2 * on_grid.T, (on_grid * on_grid).sum(axis=1)])
        self._row_of = {self._space.key(config): row for row, config in enumerate(data.configs)}
        self._replicates = [np.nonzero(ends >= 0)[0].tolist() for ends in data.ends]
        self._curves: list[list[Curve | None]] = [[None] * len(data.seeds) for _ in data.configs]
        self._chosen: dict[int, list[int]] = {}
        self._snaps = self.benchmark.table_miss == "snap"
        self._fixed: Config = {}

    def under(self, benchmark: Benchmark) -> Table:
        """The same data under a benchmark with other defaults (budget, delays, objectives, a part of the space)."""
        if benchmark.table_miss == "surrogate":
            raise ValueError(f"no surrogate of {benchmark.name!r} is fitted: declare --table restrict or --table snap")
        check_under(benchmark, self.data.benchmark, self.data.metrics, "table")
        table = object.__new__(Table)
        table.__dict__.update(self.__dict__)
        table.benchmark = benchmark
        table._snaps = benchmark.table_miss == "snap"
        table._fixed = {n: v for n, v in benchmark.space.constants.items() if n in self._space.domains}
        if (benchmark.objectives, benchmark.test_metric) != (self.benchmark.objectives, self.benchmark.test_metric):
            table._curves = [[None] * len(self.data.seeds) for _ in self.data.configs]
        return table

    def restricted_space(self) -> Space:
        """The benchmark's space, restricted to those rows of the table that lie in it; ValueError where none does."""
        space = self.benchmark.space
        if space.to_json() == self._space.to_json():
            return self._space.restricted(self.data.configs, self._encoded)
        inside = list(filter(None, (self._inside(space, config) for config in self.data.configs)))
        if not inside:
            raise ValueError(f"none of the {len(self.data.configs)} rows of {self.benchmark.name!r} lies in {space}")
        return space.restricted(inside)

    def _inside(self, space: Space, config: Config) -> Config | None:
        """What `space` would propose for a row, or None where the row lies outside."""
        if any(config.get(name) != value for name, value in self._fixed.items()):
            return None
        own = {name: value for name, value in config.items() if name not in self._fixed}
        try:
            space.check(own)
        except ValueError:
            return None
        return own

    def facts(self) -> dict[str, Any]:
        """What reports may state of the table; losses are final, to be minimised, means over a config's seeds."""
        final, test = self.data.final_losses(), self.data.benchmark.test_metric
        facts: dict[str, Any] = {
            "configs": len(final),
            **facts_of(final),
            "final_losses": np.sort(np.nanmean(final, axis=1)).tolist(),
            "full_seconds": self.data.full_seconds(),
            "made": dict(self.data.made),
        }
        return facts if test is None else facts | {"test": facts_of(self.data.final_losses(test))}

    def row(self, config: Config) -> int:
        """The row that answers for a config; ValueError where the table has none."""
        if self._fixed:
            config = {**self._fixed, **config}
        row = self._row_of.get(self._space.key(config))
        if row is not None:
            return row
        if not self._snaps:
            raise ValueError(
                f"the table of {self.benchmark.name!r} holds no config {dict(config)}: choose one of its "
                f"{len(self.data.configs)} rows, or declare --table snap"
            )
        point = [u + ROUNDING - ROUNDING for u in self._space.encode_one(config)]
        return int(np.array([*point, 1.0]).dot(self._distances).argmin())

    def outside(self, config: Config) -> bool:
        """Never: what is answered was measured."""
        return False

    def final_loss(self, config: Config) -> float:
        """The first objective at the last level, to be minimised, the mean over a config's replicates."""
        row = self.row(config)
        replicates = [self._curve_at(row, replicate) for replicate in self._replicates[row]]
        return sum(curve.losses[-1][0] for curve in replicates) / len(replicates)

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve of a config, in the replicate that benchmark, seed and config choose."""
        row = self.row(config)
        chosen = self._chosen.get(seed)
        if chosen is None:
            chosen = self._chosen[seed] = self._choose(seed)
        return self._curve_at(row, chosen[row])

    def _curve_at(self, row: int, replicate: int) -> Curve:
        curve = self._curves[row][replicate]
        if curve is None:
            curve = self._curves[row][replicate] = self._read(row, replicate)
        return curve

    def _choose(self, seed: int) -> list[int]:
        """The replicate of each row that a study with this seed meets."""
        luck = key("replicate", self.benchmark.name, seed)
        return [places[int(number_at(luck, row) * len(places))] for row, places in enumerate(self._replicates)]

    def _read(self, row: int, replicate: int) -> Curve:
        data, benchmark = self.data, self.benchmark
        length = int(np.isfinite(data.seconds[row, replicate]).sum())
        rows = data.values[row, replicate, :length].tolist()
        metrics = tuple(dict(zip(data.metrics, values, strict=True)) for values in rows)
        end = ENDS[data.ends[row, replicate]]
        losses = [benchmark.losses(values) for values in metrics]
        if end is End.DIVERGED:
            losses[-1] = tuple(np.inf for _ in benchmark.objectives)
        return Curve(
            nanoseconds=tuple(np.rint(data.seconds[row, replicate, :length] * NANOSECONDS).astype(np.int64).tolist()),
            losses=tuple(losses),
            metrics=metrics,
            visible=metrics if benchmark.test_metric is None else tuple(map(benchmark.visible, metrics)),
            end=end,
        )


def save(data: TableData, folder: Path) -> None:
    """Write a table as `table.json` and `table.npz`."""
    folder.mkdir(parents=True, exist_ok=True)
    data.check(str(folder))
    plain = {
        "benchmark": data.benchmark.to_json(),
        "metrics": list(data.metrics),
        "seeds": list(data.seeds),
        "digest": data.digest(),
        "looked_up": data.looked_up().digest(),
        "learned": data.learned().digest(),
        "made": dict(data.made),
        "parts": list(data.parts),
        "configs": [dict(config) for config in data.configs],
    }
    with whole(folder / "table.npz") as making, open(making, "wb") as file:
        np.savez_compressed(file, values=data.values, seconds=data.seconds, ends=data.ends)
    with whole(folder / "table.json") as making:
        making.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def load(folder: Path) -> Table:
    """The table in a folder as studies meet it; ValueError with file, row and reason where it cannot be trusted."""
    return Table(load_data(folder).looked_up())


def load_data(folder: Path) -> TableData:
    """The whole table in a folder, all parts of its plan; ValueError where it cannot be trusted."""
    path = folder / "table.json"
    if not path.exists():
        raise FileNotFoundError(f"no table in {folder}: `table.json` is missing")
    arrays = _read_arrays(folder / "table.npz")
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        data = TableData(
            benchmark=Benchmark.from_json(plain["benchmark"]),
            configs=tuple(plain["configs"]),
            parts=tuple(plain["parts"]),
            seeds=tuple(plain["seeds"]),
            metrics=tuple(plain["metrics"]),
            made=plain["made"],
            **arrays,
        )
        digest = plain["digest"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the description of a table ({type(error).__name__}: {error})") from None
    data.check(str(folder / "table.npz"))
    if data.digest() != digest:
        raise ValueError(f"{folder}: the arrays do not have the digest {digest} that table.json gives")
    return data


def _read_arrays(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ("values", "seconds", "ends")}
    except (ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: not the plain arrays of a table ({error})") from None
