"""A space of configs: named domains, constants, conditions; encoded to [0, 1]^d and back.

A space is a plain dict from names to domains and constants. A condition makes a hyperparameter active only where its
parents have given values; an inactive one is absent from the config, and its coordinates are encoded as the centre
(.5, for a choice an equal share each), so that no distance is made up from it.

Whether a config may still be proposed is known here and nowhere else: a study opens its own copy (`opened`), and
every proposal passes `fresh` or `fresh_near`, which never give the same config twice and, where the space is
restricted to the rows of a table, give rows only. So any method can be restricted without knowing it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.domains import (
    CONSTRUCTORS,
    Choice,
    Domain,
    Float,
    Integer,
    Ordinal,
    Prior,
    Value,
    choice,
    domain_from_json,
    finrange,
    logfinrange,
    logordinal,
    lograndint,
    loguniform,
    ordinal,
    randint,
    reverse_loguniform,
    uniform,
)

__all__ = [
    "CONSTRUCTORS",
    "Choice",
    "Config",
    "Domain",
    "Float",
    "Integer",
    "Ordinal",
    "Prior",
    "Space",
    "Value",
    "choice",
    "finrange",
    "logfinrange",
    "logordinal",
    "lograndint",
    "loguniform",
    "ordinal",
    "randint",
    "reverse_loguniform",
    "uniform",
]

Config = Mapping[str, Value]
Conditions = Mapping[str, Mapping[str, Sequence[Value]]]
TRIES = 1000
MOST_WAYS = 10_000
"""Where more combinations of what conditions ask for would have to be told apart, configs are not counted."""


class Space:
    """The configs that a method may propose.

    hyperparameters: name to domain, or to a constant, which goes to the script but is not searched;
    conditions: name to {parent: values}: active only where every parent is active and has one of these values.
    """

    def __init__(self, hyperparameters: Mapping[str, Domain | Value], conditions: Conditions | None = None) -> None:
        self.domains: dict[str, Domain] = {}
        self.constants: dict[str, Value] = {}
        for name, domain in hyperparameters.items():
            if isinstance(domain, Float | Integer | Ordinal | Choice):
                self.domains[name] = domain
            elif isinstance(domain, list | tuple | set | dict):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ValueError(f"{name} = {domain!r} is neither a constant nor a domain such as uniform(0, 1)")
            else:
                self.constants[name] = domain
        if not self.domains:
            raise ValueError("a space needs at least one hyperparameter that is not a constant")
        self.names: tuple[str, ...] = tuple(self.domains)
        self.conditions = {
            name: {parent: tuple(values) for parent, values in parents.items()}
            for name, parents in (conditions or {}).items()
        }
        self._check_conditions()
        for name, domain in self.domains.items():
            if domain.prior is not None and not domain.contains(domain.prior.value):
                raise ValueError(f"the prior of {name!r} is {domain.prior.value!r}, but it takes {domain}")
        starts = np.cumsum([0, *(domain.width for domain in self.domains.values())]).tolist()
        self.slices = {name: slice(starts[i], starts[i + 1]) for i, name in enumerate(self.names)}
        self.dim: int = starts[-1]
        self._encoders = [(name, domain.encode) for name, domain in self.domains.items()]
        self._containing = [(name, domain.contains) for name, domain in self.domains.items()]
        self._draws = [domain.draw for domain in self.domains.values()]
        self._values = itemgetter(*self.names) if len(self.names) > 1 else lambda config: (config[self.names[0]],)
        self.rows: tuple[Config, ...] | None = None
        """The rows of a table to which this space is restricted, or None."""
        self._encoded_rows: NDArray[np.float64] | None = None
        self._row_of: dict[tuple[object, ...], int] = {}
        self._proposed: set[tuple[object, ...]] = set()
        self._free: list[int] = []
        self._place: dict[int, int] = {}

    def _check_conditions(self) -> None:
        seen: set[str] = set()
        for name in self.names:
            for parent, values in self.conditions.get(name, {}).items():
                if parent not in seen:
                    raise ValueError(
                        f"hyperparameter {name!r} depends on {parent!r}, which must be one of those before it: "
                        f"{sorted(seen)}"
                    )
                wrong = [value for value in values if not self.domains[parent].contains(value)]
                if wrong or not values:
                    raise ValueError(f"{name!r} is active where {parent!r} is {list(values)}: not values of {parent!r}")
            seen.add(name)
        if unknown := set(self.conditions) - seen:
            raise ValueError(f"conditions on unknown hyperparameters {sorted(unknown)}; there are {list(self.names)}")

    # -- one config -------------------------------------------------------------------------------------------------

    def active(self, name: str, config: Config) -> bool:
        """Whether `name` is active in `config`, whose earlier hyperparameters are set."""
        return all(
            parent in config and config[parent] in values for parent, values in self.conditions.get(name, {}).items()
        )

    def key(self, config: Config) -> tuple[object, ...]:
        """What makes two configs the same: their values in order."""
        if self.conditions:
            return tuple(config.get(name) for name in self.names)
        return self._values(config)

    def check(self, config: Config) -> None:
        """Refuse a config outside the space, its conditions or its rows, saying what is possible."""
        self.check_values(config)
        if self.rows is not None and self.key(config) not in self._row_of:
            raise ValueError(
                f"{dict(config)} is none of the {len(self.rows)} rows of the table: a start config must be one unless "
                "`table_miss` is snap or surrogate, and a method proposes what `fresh` and `fresh_near` give"
            )

    def check_values(self, config: Config) -> None:
        """Refuse a config outside the space or its conditions, whatever rows it is restricted to."""
        if not self.conditions and len(config) == len(self.names):
            for name, contains in self._containing:
                if name not in config or not contains(config[name]):
                    break
            else:
                return
        for name in config:
            if name not in self.domains:
                raise ValueError(f"unknown hyperparameter {name!r}; there are {', '.join(self.names)}")
        for name, domain in self.domains.items():
            if not self.active(name, config):
                if name in config:
                    raise ValueError(f"{name!r} is given but inactive: it needs {_spell(self.conditions[name])}")
            elif name not in config:
                raise ValueError(f"hyperparameter {name!r} is missing; it takes {domain}")
            elif not domain.contains(config[name]):
                raise ValueError(f"{name} = {config[name]!r} is outside the space: it takes {domain}")

    def cast(self, texts: Mapping[str, str]) -> dict[str, Value]:
        """A config from texts, as a command line gives them; checked."""
        for name in texts:
            if name not in self.domains:
                raise ValueError(f"unknown hyperparameter {name!r}; there are {', '.join(self.names)}")
        config: dict[str, Value] = {}
        for name, domain in self.domains.items():
            if name in texts:
                try:
                    config[name] = domain.cast(texts[name])
                except ValueError:
                    raise ValueError(f"{name} = {texts[name]!r} is outside the space: it takes {domain}") from None
        self.check(config)
        return config

    # -- encoding ---------------------------------------------------------------------------------------------------

    def encode_one(self, config: Config) -> list[float]:
        """The `dim` coordinates of one config, as a list."""
        coordinates: list[float] = []
        if not self.conditions:
            for name, encode in self._encoders:
                coordinates += encode(config[name])
            return coordinates
        for name, domain in self.domains.items():
            if name in config:
                coordinates.extend(domain.encode(config[name]))
            else:
                coordinates.extend([0.5 if domain.width == 1 else 1 / domain.width] * domain.width)
        return coordinates

    def encode(self, configs: Sequence[Config]) -> NDArray[np.float64]:
        """The configs as points of [0, 1]^dim, shape (n, dim)."""
        return np.array([self.encode_one(config) for config in configs], dtype=np.float64).reshape(-1, self.dim)

    def decode(self, points: NDArray[np.float64]) -> list[dict[str, Value]]:
        """The configs nearest to points of [0, 1]^dim, shape (n, dim); inactive hyperparameters are left out."""
        configs: list[dict[str, Value]] = []
        for point in np.atleast_2d(points).tolist():
            config: dict[str, Value] = {}
            for name, domain in self.domains.items():
                if self.active(name, config):
                    config[name] = domain.decode(point[self.slices[name]])
            configs.append(config)
        return configs

    # -- sampling ---------------------------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator, n: int) -> list[dict[str, Value]]:
        """`n` independent configs, with exactly the law that the encoding says."""
        return self.at_quantiles(rng.random((n, len(self.names))).tolist())

    def at_quantiles(self, quantiles: Sequence[Sequence[float]]) -> list[dict[str, Value]]:
        """The configs at quantiles of each hyperparameter's law, one number of [0, 1) each, in their order."""
        if not self.conditions:
            names, draws = self.names, self._draws
            return [{name: draw(u) for name, draw, u in zip(names, draws, row, strict=True)} for row in quantiles]
        domains = list(self.domains.items())
        configs: list[dict[str, Value]] = []
        for row in quantiles:
            config: dict[str, Value] = {}
            for (name, domain), u in zip(domains, row, strict=True):
                if self.active(name, config):
                    config[name] = domain.draw(u)
            configs.append(config)
        return configs

    def sample_encoded(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        """`n` independent configs as points of [0, 1]^dim, shape (n, dim)."""
        if not self.conditions and all(isinstance(domain, Float) for domain in self.domains.values()):
            return rng.random((n, self.dim))
        return self.encode(self.sample(rng, n))

    @cached_property
    def size(self) -> int | None:
        """How many configs there are, None where infinite; an upper bound where conditions are too entangled."""
        if self.rows is not None:
            return len(self.rows)
        named: dict[str, set[Value]] = {}
        last: dict[str, int] = {}
        for place, name in enumerate(self.names):
            for parent, values in self.conditions.get(name, {}).items():
                named.setdefault(parent, set()).update(values)
                last[parent] = place
        # In how many ways each came about of what was decided and conditions still ask for.
        ways: Mapping[tuple[tuple[str, Value], ...], int] = {(): 1}
        for place, (name, domain) in enumerate(self.domains.items()):
            following: Counter[tuple[tuple[str, Value], ...]] = Counter()
            for decided, count in ways.items():
                kept = tuple(pair for pair in decided if last[pair[0]] > place)
                if not self.active(name, dict(decided)):
                    following[kept] += count
                    continue
                if domain.size is None:
                    return None
                decisive = named.get(name, set())
                for value in decisive:
                    following[(*kept, (name, value))] += count
                if others := domain.size - len(decisive):
                    following[kept] += count * others
            if len(following) > MOST_WAYS:
                sizes = [each.size for each in self.domains.values()]
                return None if None in sizes else prod(size for size in sizes if size is not None)
            ways = following
        return sum(ways.values())

    @property
    def exhausted(self) -> bool:
        """Whether everything there is was proposed."""
        if self.rows is not None:
            return not self._free
        return self.size is not None and len(self._proposed) >= self.size

    def grid(self, points: int) -> Iterator[dict[str, Value]]:
        """Every combination of `points` values a number and all values of the rest, without repeats.

        Only what is active branches: where choices decide which hyperparameters there are, the combinations of those
        that are never active together are not gone through.
        """
        axes = [(name, domain.grid(points)) for name, domain in self.domains.items()]
        waiting: list[tuple[int, dict[str, Value]]] = [(0, {})]
        while waiting:
            depth, config = waiting.pop()
            if depth == len(axes):
                yield config
                continue
            name, values = axes[depth]
            if self.active(name, config):
                waiting.extend((depth + 1, {**config, name: value}) for value in reversed(values))
            else:
                waiting.append((depth + 1, config))

    # -- proposals without repeats ----------------------------------------------------------------------------------

    def restricted(self, rows: Sequence[Config], encoded: NDArray[np.float64] | None = None) -> Space:
        """The same space where only `rows` may be proposed; `encoded` saves encoding them again."""
        space = Space({**self.domains, **self.constants}, self.conditions)
        space.rows = tuple(rows)
        space._encoded_rows = self.encode(rows) if encoded is None else encoded
        space._row_of = {self.key(row): i for i, row in enumerate(rows)}
        return space.opened()

    def opened(self) -> Space:
        """A copy that has proposed nothing yet, for one study."""
        space = Space.__new__(Space)
        space.__dict__.update(self.__dict__)
        space._proposed = set()
        if self.rows is not None:
            space._free = list(range(len(self.rows)))
            space._place = {row: row for row in space._free}
        return space

    def fresh(self, rng: np.random.Generator) -> Config | None:
        """A random config that was not proposed yet; None where there is none."""
        if self.rows is not None:
            if not self._free:
                return None
            return self._take(self._free[int(rng.random() * len(self._free))])
        if self.exhausted:
            return None
        for _ in range(TRIES):
            config = self.sample(rng, 1)[0]
            if self.claim(config):
                return config
        # Almost exhausted, if it is finite: list what is left. Among floats there is always a fresh one.
        integers = [domain.size for domain in self.domains.values() if isinstance(domain, Integer)]
        everything = self.grid(1 if self.size is None else max(integers, default=1))
        rest = [config for config in everything if self.key(config) not in self._proposed]
        if not rest:
            return None
        config = rest[int(rng.random() * len(rest))]
        self.claim(config)
        return config

    def fresh_near(self, point: NDArray[np.float64]) -> Config | None:
        """The config at a point of [0, 1]^dim, shape (dim,); where restricted, the nearest row not proposed yet.

        None where that config was proposed before, or no row is free.
        """
        if self.rows is None:
            config = self.decode(point[None])[0]
            return config if self.claim(config) else None
        if not self._free:
            return None
        assert self._encoded_rows is not None
        free = np.sort(np.array(self._free))
        return self._take(int(free[np.argmin(((self._encoded_rows[free] - point) ** 2).sum(1))]))

    def claim(self, config: Config) -> bool:
        """Mark a config as proposed; False where it was before, or is no free row of a restricted space."""
        key = self.key(config)
        if self.rows is not None:
            row = self._row_of.get(key)
            if row is None or row not in self._place:
                return False
            self._take(row)
            return True
        if key in self._proposed:
            return False
        self._proposed.add(key)
        return True

    def free_rows(self) -> NDArray[np.float64] | None:
        """The encoded rows not proposed yet, shape (m, dim); None where the space is not restricted to rows."""
        if self.rows is None:
            return None
        assert self._encoded_rows is not None
        return self._encoded_rows[np.sort(np.array(self._free, dtype=np.intp))]

    def _take(self, row: int) -> Config:
        # The last free row moves into the gap: a draw among the free stays one look-up.
        place, last = self._place.pop(row), self._free.pop()
        if last != row:
            self._free[place] = last
            self._place[last] = place
        assert self.rows is not None
        return self.rows[row]

    # -- priors, JSON, equality -------------------------------------------------------------------------------------

    def sample_prior(self, rng: np.random.Generator, n: int) -> list[dict[str, Value]]:
        """`n` configs from the user's prior: a normal law around its value, cut to the space; else the space's law."""
        from scipy.special import ndtr, ndtri

        configs: list[dict[str, Value]] = []
        for row in rng.random((n, len(self.names), 2)).tolist():
            config: dict[str, Value] = {}
            for (name, domain), (u, keep) in zip(self.domains.items(), row, strict=True):
                if not self.active(name, config):
                    continue
                prior = domain.prior
                if prior is None:
                    config[name] = domain.draw(u)
                elif isinstance(domain, Choice):
                    config[name] = prior.value if keep > min(prior.spread, 1.0) else domain.draw(u)
                else:
                    centre = domain.encode(prior.value)[0]
                    low, high = ndtr(-centre / prior.spread), ndtr((1 - centre) / prior.spread)
                    config[name] = domain.decode([centre + prior.spread * float(ndtri(low + u * (high - low)))])
            configs.append(config)
        return configs

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, in the order of the hyperparameters; rows are the table's, not the space's."""
        plain: dict[str, Any] = {}
        for name, domain in self.domains.items():
            plain[name] = domain.to_json()
            if domain.prior is not None:
                plain[name]["prior"] = {"value": domain.prior.value, "spread": domain.prior.spread}
            if name in self.conditions:
                plain[name]["if"] = {parent: list(values) for parent, values in self.conditions[name].items()}
        return plain | self.constants

    @staticmethod
    def from_json(plain: Mapping[str, Any]) -> Space:
        """A space from JSON or TOML: `{"lr": {"type": "loguniform", "lower": 1e-4, "upper": 1}, "layers": 2}`."""
        hyperparameters: dict[str, Domain | Value] = {}
        conditions: dict[str, Mapping[str, Sequence[Value]]] = {}
        for name, entry in plain.items():
            if not isinstance(entry, Mapping):
                hyperparameters[name] = entry
                continue
            arguments: dict[str, Any] = dict(entry)
            if "if" in arguments:
                conditions[name] = arguments.pop("if")
            hyperparameters[name] = domain_from_json(name, arguments)
        return Space(hyperparameters, conditions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.to_json() == other.to_json() and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}: {domain}" for name, domain in self.domains.items())
        return f"Space({inside})"


def _spell(parents: Mapping[str, Sequence[Value]]) -> str:
    return " and ".join(f"{parent} in {list(values)}" for parent, values in parents.items())
