"""Surrogates: a fitted model from a config to its whole curve, with the luck of a seed on top.

A surrogate on disk lies beside its table: `surrogate.json` says what it is and which table it was fitted to,
`surrogate.npz` holds plain arrays. A config's curve is the mean that the regressor predicts, moved by what that misses
around the config, the same with every seed, and by the residual of a run measured nearby, another with every seed;
seconds have no noise. Neither moves a curve to where it would end better than its mean and than anything measured: it
is reflected there. Where configs around it diverged, the seed decides whether it does, and then its curve is that of
one of the nearest runs that did.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from harness.files import whole
from harness.randomness import key, number_at
from harness.space import Config, Space
from harness.types import NANOSECONDS, Benchmark, Curve, End
from surrogates._under import check_under
from surrogates.features import Features
from surrogates.mean import Array, Mean, arrays_of, from_arrays
from surrogates.misses import Misses
from surrogates.noise import Noise, place_of
from surrogates.table import ENDS
from surrogates.terms import Sum, summed

JSON, NPZ = "surrogate.json", "surrogate.npz"
VERSION = 2
"""Raised where the same content would give other curves: what was fitted before is refused."""
SECONDS = -1
"""The place of the seconds among the modelled metrics."""
LENDERS = 5
"""Of so many of the nearest runs that diverged, the seed chooses one to lend its curve."""


@dataclass(frozen=True)
class Failures:
    """The runs that diverged: features x (f, d), all metrics values (f, levels, m).

    lengths: (f,), how many levels they reached; ends: (f,), indices of `ENDS`.
    """

    x: Array
    values: Array
    lengths: NDArray[np.intp]
    ends: NDArray[np.int8]

    def drawn(self, point: Array, luck: float) -> int:
        """One of the runs whose configs lie nearest to a point (d,), by a number of [0, 1): 0 gives the nearest."""
        squares = ((self.x - point) ** 2).sum(axis=1)
        near = np.argsort(squares, kind="stable")[:LENDERS]
        return int(near[int(luck * len(near))])


@dataclass(frozen=True)
class Fitted:
    """The plain content of a surrogate for a table of m metrics.

    modelled: the metrics that the mean describes; derived: others, each a factor times a modelled metric or (None) the
    seconds; sums: those that the config alone decides, and pace: what the mean's seconds are relative to, empty where
    nothing is declared of them, both as in `terms`; products, low, high: see `Features`; misses: what the mean misses
    of configs; noise: between seeds; best: the lowest measured last metrics on the scale, (2, modelled), of means over
    the seeds of a config that has several, and of single runs; support: features (n, d) of the configs that were
    measured, and reach: how far from the nearest a config may lie that they speak for; facts: what reports may state;
    made: how, free-form JSON.
    """

    metrics: tuple[str, ...]
    modelled: tuple[str, ...]
    derived: Mapping[str, tuple[str | None, float]]
    sums: Mapping[str, Sum]
    pace: Sum
    products: Mapping[str, Mapping[str, float]]
    low: Array
    high: Array
    mean: Mean
    misses: Misses
    noise: Noise
    best: Array
    failures: Failures
    support: Array
    reach: float
    facts: Mapping[str, Any]
    made: Mapping[str, Any]


class Surrogate:
    """A fitted model of the benchmark, asked for any config of the space.

    What a study meets depends on benchmark, seed and config and nothing else: every method has the same luck.
    """

    def __init__(self, benchmark: Benchmark, fitted: Fitted, digest: str) -> None:
        self.fitted = fitted
        self.digest = digest
        self._space = benchmark.space
        self._features = Features(benchmark.space, fitted.products, fitted.low, fitted.high)
        sources = {name: (name, 1.0) for name in fitted.modelled} | dict(fitted.derived)
        places: dict[str | None, int] = {name: place for place, name in enumerate(fitted.modelled)}
        places[None] = SECONDS
        sources |= dict.fromkeys(fitted.sums, (fitted.modelled[0], 1.0))  # to hold the place until the sum is known
        self._sources = np.array([places[sources[name][0]] for name in fitted.metrics])
        """For each metric the modelled one that it is a multiple of, or the seconds."""
        self._factors = np.array([sources[name][1] for name in fitted.metrics])
        self._times = np.flatnonzero(self._sources == SECONDS)
        self._sums = [(fitted.metrics.index(name), parts) for name, parts in fitted.sums.items()]
        self._stand_under(benchmark)

    def _stand_under(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        self._objectives = [self.fitted.metrics.index(objective.metric) for objective in benchmark.objectives]
        self._signs = [-1.0 if objective.maximize else 1.0 for objective in benchmark.objectives]
        self._fixed = {n: v for n, v in benchmark.space.constants.items() if n in self._space.domains}

    def under(self, benchmark: Benchmark) -> Surrogate:
        """The same model under a benchmark with other defaults (budget, delays, objectives, a part of the space)."""
        check_under(benchmark, self.benchmark, self.fitted.metrics, "surrogate")
        model = copy(self)
        model._stand_under(benchmark)
        return model

    def restricted_space(self) -> Space:
        """The benchmark's space: any config of it can be asked for."""
        return self.benchmark.space.opened()

    def facts(self) -> dict[str, Any]:
        """What reports may state of the model; losses are final, to be minimised, without the noise of a seed."""
        return dict(self.fitted.facts)

    def features(self, config: Config) -> Array:
        """What the model sees of a config, shape (d,)."""
        return self._features.one(self._whole(config))

    def outside(self, config: Config) -> bool:
        """Whether a config lies further from every measured one than nearly all of those do from their nearest."""
        squares = ((self.fitted.support - self.features(config)) ** 2).sum(axis=1)
        return bool(squares.min() > self.fitted.reach**2)

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve that a study with this seed meets."""
        values = map(str, self._space.key(self._whole(config)))
        return self._curve(config, key("luck", self.benchmark.name, seed, *values))

    def expected(self, config: Config) -> Curve:
        """The curve without the luck of a seed."""
        return self._curve(config, None)

    def _whole(self, config: Config) -> Config:
        """A config with what is constant here and was not where the model was fitted."""
        return {**self._fixed, **config} if self._fixed else config

    def final_loss(self, config: Config) -> float:
        """The first objective at the last level, to be minimised, without the luck of a seed."""
        return self.expected(config).losses[-1][0]

    def final_losses(self, configs: Sequence[Config]) -> Array:
        """The `final_loss` of many configs, up to rounding."""
        x = np.array([self.features(config) for config in configs])
        mean, place = self.fitted.mean, self._objectives[0]
        unbounded, seconds = mean.predict(x)
        for row, curve in enumerate(unbounded):
            unbounded[row] = self._missed(curve, self._place(x[row], curve))
        source, name = self._sources[place], self.fitted.metrics[place]
        if name in self.fitted.sums:
            losses = summed(self.fitted.sums[name], [self._whole(config) for config in configs])
        elif source == SECONDS:
            losses = np.array([self._spent(*of)[-1] for of in zip(configs, seconds, strict=True)])
        else:
            losses = mean.values(unbounded)[:, -1, source]
        losses = losses * (self._factors[place] * self._signs[0])
        for row in np.flatnonzero(mean.chance_to_diverge(x) > 0.5).tolist():
            losses[row] = self._failed(configs[row], x[row], seconds[row]).losses[-1][0]
        return losses

    def _place(self, point: Array, unbounded: Array) -> Array:
        return place_of(point, unbounded[-len(self.fitted.modelled) :])

    def _missed(self, curve: Array, place: Array) -> Array:
        """An unbounded curve moved by what the mean misses around its place."""
        return self._moved(curve, self.fitted.misses.at(place), self.fitted.best[0])

    def _moved(self, curve: Array, residual: Array, best: Array) -> Array:
        """An unbounded curve moved by a residual; reflected where its end would be better than the best and its own."""
        size = len(best)
        ends, moves = curve[-size:], residual[-size:]
        room = np.minimum(best - ends, 0.0)
        beyond = moves < room
        if not beyond.any():
            return curve + residual
        return curve + residual * (2.0 * room[beyond] / moves[beyond] - 1.0).min()

    def _curve(self, config: Config, luck: int | None) -> Curve:
        mean, noise, point = self.fitted.mean, self.fitted.noise, self.features(config)
        unbounded, seconds = mean.predict(point[None])
        if mean.chance is not None:
            chance = mean.chance_to_diverge(point[None])[0]
            if chance > (0.5 if luck is None else number_at(luck, 0)):
                return self._failed(config, point, seconds[0], 0.0 if luck is None else number_at(luck, 1))
        place = self._place(point, unbounded[0])
        drawn = self._missed(unbounded[0], place)
        if luck is not None:
            residual = noise.drawn(place, [number_at(luck, part) for part in (1, 2, 3)])
            drawn = self._moved(drawn, residual, self.fitted.best[1])
        spent, modelled = self._spent(config, seconds[0]), mean.values(drawn)
        values = modelled.take(self._sources, axis=1)
        values *= self._factors
        return self._read(config, values, spent, End.COMPLETE)

    def _failed(self, config: Config, point: Array, seconds: Array, luck: float = 0.0) -> Curve:
        failures = self.fitted.failures
        lender = failures.drawn(point, luck)
        length = failures.lengths[lender]
        values = failures.values[lender, :length].copy()
        return self._read(config, values, self._spent(config, seconds)[:length], ENDS[failures.ends[lender]])

    def _spent(self, config: Config, seconds: Array) -> Array:
        """The seconds at each level of a config, of which the mean predicts those of each level by itself."""
        own = seconds * summed(self.fitted.pace, [self._whole(config)])[0] if self.fitted.pace else seconds
        return own.cumsum() if self.benchmark.fidelity.continues else own

    def _read(self, config: Config, values: Array, spent: Array, end: End) -> Curve:
        """The curve of metrics (levels, m), of which those that are times, or sums, are set here."""
        for place in self._times:
            values[:, place] = self._factors[place] * spent
        for place, parts in self._sums:
            values[:, place] = summed(parts, [self._whole(config)])[0]
        names, hidden, rows = self.fitted.metrics, self.benchmark.test_metric, values.tolist()
        columns: list[list[float]] = []
        for place, sign in zip(self._objectives, self._signs, strict=True):
            columns.append((values[:, place] * sign).tolist())
        losses = list(zip(*columns, strict=True))
        if end is End.DIVERGED:  # only here a level may lack a metric, the last
            losses[-1] = (np.inf,) * len(columns)
        nanoseconds = np.rint(spent * NANOSECONDS).astype(np.int64).tolist()
        return Curve(tuple(nanoseconds), tuple(losses), Rows(names, rows), Rows(names, rows, hidden), end)


@dataclass(frozen=True, slots=True)
class Rows(Sequence[Mapping[str, float]]):
    """Numbers by their names, level by level: a level's dict is made when it is asked for, and few are.

    hidden: a name that is left out.
    """

    names: tuple[str, ...]
    rows: list[list[float]]
    hidden: str | None = None

    @overload
    def __getitem__(self, index: int) -> Mapping[str, float]: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, float] | Rows:
        """One level, or some."""
        if isinstance(index, slice):
            return Rows(self.names, self.rows[index], self.hidden)
        row = dict(zip(self.names, self.rows[index], strict=True))
        row.pop(self.hidden, None)  # type: ignore[arg-type]
        return row

    def __len__(self) -> int:
        return len(self.rows)


PLAIN = ("metrics", "modelled", "derived", "sums", "pace", "products", "reach", "facts", "made")
ARRAYS = ("low", "high", "support", "best")
PARTS: Mapping[str, type[Any]] = {"misses": Misses, "noise": Noise, "failures": Failures}


def save(fitted: Fitted, table: str, folder: Path) -> None:
    """Write a surrogate beside its table, whose digest is `table`."""
    arrays: dict[str, NDArray[Any]] = {name: getattr(fitted, name) for name in ARRAYS}
    arrays |= {f"mean.{name}": array for name, array in fitted.mean.arrays().items()}
    for part in PARTS:
        arrays |= {f"{part}.{name}": array for name, array in arrays_of(getattr(fitted, part)).items()}
    plain = {"version": VERSION, "table": table} | {name: getattr(fitted, name) for name in PLAIN}
    plain["digest"] = _digest(plain, arrays)
    with whole(folder / NPZ) as making, open(making, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    with whole(folder / JSON) as making:
        making.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def load(folder: Path, benchmark: Benchmark, table: str) -> Surrogate:
    """The surrogate in a folder; ValueError where it cannot be trusted or was fitted to another table than `table`."""
    path = folder / JSON
    if not path.exists():
        raise FileNotFoundError(
            f"no surrogate of {benchmark.name!r} is fitted: `fit {benchmark.name}` makes one; or declare --table "
            "restrict or --table snap"
        )
    try:
        plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        digest, fitted_to = plain.pop("digest"), plain["table"]
        with open(folder / NPZ, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        content: dict[str, Any] = {name: plain[name] for name in PLAIN}
        content |= {name: arrays[name] for name in ARRAYS}
        content["mean"] = Mean.from_arrays(
            {name.removeprefix("mean."): array for name, array in arrays.items() if name.startswith("mean.")}
        )
        for part, kind in PARTS.items():
            content[part] = from_arrays(kind, arrays, part)
    except (ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{folder}: {JSON} and {NPZ} are not a surrogate ({type(error).__name__}: {error})") from None
    if _digest(plain, arrays) != digest:
        raise ValueError(f"{folder}: the surrogate's arrays do not have the digest {digest} that {JSON} gives")
    if (version := plain.get("version", 1)) != VERSION:
        raise ValueError(
            f"the surrogate of {benchmark.name!r} is of version {version}, and version {VERSION} is read: "
            f"`fit {benchmark.name}` makes one; or declare --table restrict"
        )
    if fitted_to != table:
        raise ValueError(
            f"the surrogate of {benchmark.name!r} was fitted to another state of its table: `fit {benchmark.name}` "
            "makes one for today's; or declare --table restrict"
        )
    for name in ("metrics", "modelled"):
        content[name] = tuple(content[name])
    return Surrogate(benchmark, Fitted(**content), digest)


def _digest(plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    text = json.dumps({name: plain[name] for name in sorted(plain)}, sort_keys=True)
    state = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(arrays):
        state.update(name.encode())
        state.update(np.ascontiguousarray(arrays[name]).tobytes())
    return state.hexdigest()
