"""Kernel densities over a space of configs, mixed and conditional as it may be.

A density here is one with respect to the space's own law: over configs drawn by `space.sample` it is 1 on average, and
a density of 1 everywhere is that law. On floats it is the usual density on [0, 1]; of a whole number, an ordinal or a
choice it is the probability of the value over that which the space gives it. So rows of a table that follow the
space's law are weighted rightly, and what is inactive has density 1.

A kernel stands for an observed config and is a product: for a number a normal law cut to [0, 1], integrated over the
cell of a value where the values are discrete; for a choice the law of Aitchison and Aitken (1976), which keeps the
value with probability 1 - b and else takes another one. Of a hyperparameter that was inactive there it says what the
space's law says. So each kernel is a law on configs: walk down the conditions and draw whatever is active. One more
component, the prior, knows nothing and is the space's law.

The logarithm of a kernel is bilinear in features of the two configs: (x^2, x, 1) of a float and the indicators of all
values of what is discrete. A density is then one or two matrix products, whatever the space; only discrete numbers of
many values are integrated one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from harness.space import Choice, Integer, Ordinal, Space

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]

FEW, MANY = 32, 2**16
"""Up to FEW values a discrete number is described by indicators; beyond MANY a whole number is taken as a float."""
TINY = 1e-300
_LOG_SQRT_2_PI = 0.5 * float(np.log(2 * np.pi))


class Reading(NamedTuple):
    """Encoded configs as densities take them.

    points: (m, dim); active: (m, hyperparameters), or None where all always are; features: (m, features), 0 where
    inactive; middle and half: of the cells of discrete numbers with many values, each (m, such numbers).
    """

    points: Array
    active: Mask | None
    features: Array
    middle: Array
    half: Array

    def take(self, places: Indices | slice) -> Reading:
        """Those at `places`."""
        active = None if self.active is None else self.active[places]
        return Reading(self.points[places], active, self.features[places], self.middle[places], self.half[places])

    def joined(self, other: Reading) -> Reading:
        """These and behind them the others."""
        active = None
        if self.active is not None and other.active is not None:
            active = np.concatenate([self.active, other.active])
        ours, theirs = (self.points, *self[2:]), (other.points, *other[2:])
        points, *rest = (np.concatenate(pair) for pair in zip(ours, theirs, strict=True))
        return Reading(points, active, *rest)


class Readings:
    """What was read of encoded configs that come one after another: each is read once."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._kept = axes.read(np.empty((0, axes.dim)))
        """The first `_read` of its rows are in use."""
        self._read = 0
        self._unread: list[list[float]] = []

    def __len__(self) -> int:
        return self._read + len(self._unread)

    def add(self, point: list[float]) -> None:
        """Keep one more, to be read when it is needed."""
        self._unread.append(point)

    def take(self, places: Sequence[int], more: Sequence[list[float]] = ()) -> Reading:
        """Those at `places`, and behind them `more` that are not kept."""
        others = None
        if self._unread or more:
            new, count = self._axes.read(np.array([*self._unread, *more])), len(self._unread)
            self._keep(new.take(slice(count)))
            others = new.take(slice(count, None)) if more else None
        taken = self._kept.take(np.array(places, dtype=np.intp))
        return taken if others is None else taken.joined(others)

    def _keep(self, new: Reading) -> None:
        end = self._read + len(new.points)
        while end > len(self._kept.points):
            # Twice the room each time: a config is copied but a few times.
            self._kept = self._kept.joined(self._kept if self._read else new)
        for kept, row in zip(self._kept, new, strict=True):
            if kept is not None and row is not None:
                kept[self._read : end] = row
        self._read = end
        self._unread.clear()


class Axes:
    """What densities need to know of a space: made once, for all densities on it."""

    def __init__(self, space: Space) -> None:
        domains = list(space.domains.values())
        self.dim = space.dim
        self.columns = _indices(space.slices[name].start for name in space.names)
        self.widths = _indices(domain.width for domain in domains)
        self._idle = np.repeat(np.where(self.widths == 1, 0.5, 1 / self.widths), self.widths)
        self.numbers = _indices(h for h, domain in enumerate(domains) if not isinstance(domain, Choice))
        self.choices = _indices(h for h, domain in enumerate(domains) if isinstance(domain, Choice))
        self.sizes = _indices(domains[h].size or 0 for h in self.choices)
        self._cells = {
            h: _edges_and_centres(domain)
            for h, domain in enumerate(domains)
            if isinstance(domain, Integer | Ordinal) and domain.size <= MANY
        }
        self.floats = _indices(h for h in self.numbers if h not in self._cells)
        self.many = _indices(h for h, (_, centres) in self._cells.items() if len(centres) > FEW)

        # The values of whatever is described by indicators, those of one hyperparameter side by side: first those of
        # numbers, by their cells, then those of choices, by their coordinates.
        few = [h for h in self._cells if h not in self.many]
        self._low = _joined(self._cells[h][0][:-1] for h in few)
        self._high = _joined(self._cells[h][0][1:] for h in few)
        self._centre = _joined(self._cells[h][1] for h in few)
        self._few = np.repeat(_indices(few), _indices(len(self._cells[h][1]) for h in few))
        self._few_pairs = j, i = _pairs(self._few)
        self._few_kernels = self._few[j], self._centre[j]
        self._few_cells = 0.5 * (self._low + self._high)[i], 0.5 * (self._high - self._low)[i]
        choice, value = np.repeat(np.arange(len(self.choices)), self.sizes), _joined(map(np.arange, self.sizes))
        self._choice_pairs = j, i = _pairs(choice)
        self._choice_kernels = self.choices[choice[j]], self.sizes[choice[j]], i == j
        of_two = self.sizes[choice] == 2
        self._first_of_two = of_two & (value == 0)
        self._value_column = self.columns[self.choices[choice]] + np.where(of_two, 0, value).astype(np.intp)
        self.owner = np.concatenate([np.tile(self.floats, 3), self._few, self.choices[choice]])
        """The hyperparameter of each feature."""
        self._parents = {
            space.names.index(name): [
                (space.names.index(parent), space.slices[parent], [space.domains[parent].encode(v) for v in values])
                for parent, values in space.conditions[name].items()
            ]
            for name in space.names
            if name in space.conditions
        }

    def read(self, points: Array) -> Reading:
        """What densities see in encoded configs (m, dim)."""
        active = self._active(points)
        x, few = points[:, self.columns[self.floats]], points[:, self.columns[self._few]]
        value = points[:, self._value_column]
        value[:, self._first_of_two] = 1.0 - value[:, self._first_of_two]
        indicators = (few >= self._low) & (few < self._high)
        features: Array = np.concatenate([x * x, x, np.ones_like(x), indicators, value], axis=1, dtype=np.float64)
        if active is not None:
            features *= active[:, self.owner]
        low, high = np.empty((2, len(points), len(self.many)))
        for k, h in enumerate(self.many):
            edges, _ = self._cells[h]
            cell = edges[1:-1].searchsorted(points[:, self.columns[h]], side="right")
            low[:, k], high[:, k] = edges[cell], edges[cell + 1]
        return Reading(points, active, features, 0.5 * (low + high), 0.5 * (high - low))

    def _active(self, points: Array) -> Mask | None:
        if not self._parents:
            return None
        active = np.ones((len(points), len(self.widths)), dtype=bool)
        for h, parents in self._parents.items():
            for parent, columns, values in parents:
                near = np.abs(points[:, None, columns] - np.array(values)) < 1e-9
                active[:, h] &= active[:, parent] & np.any(np.all(near, axis=2), axis=1)
        return active

    def numbers_and_choices(self, points: Array) -> tuple[Array, Indices]:
        """The numbers (m, numbers) of encoded configs, and which value each choice has (m, choices)."""
        chosen = np.empty((len(points), len(self.choices)), dtype=np.intp)
        for c, (column, size) in enumerate(zip(self.columns[self.choices], self.sizes, strict=True)):
            chosen[:, c] = points[:, column] > 0.5 if size == 2 else points[:, column : column + size].argmax(axis=1)
        return points[:, self.columns[self.numbers]], chosen

    def encoded(self, numbers: Array, chosen: Indices) -> Array:
        """The inverse: encoded configs (m, dim), numbers moved to the value in whose cell they lie."""
        points = np.zeros((len(numbers), len(self._idle)))
        points[:, self.columns[self.numbers]] = numbers
        for h, (edges, centres) in self._cells.items():
            column = self.columns[h]
            points[:, column] = centres[edges[1:-1].searchsorted(points[:, column], side="right")]
        if len(self.choices):
            column = self.columns[self.choices] + np.where(self.sizes == 2, 0, chosen)
            points[np.arange(len(points))[:, None], column] = np.where(self.sizes == 2, chosen, 1)
        active = self._active(points)
        return points if active is None else np.where(active.repeat(self.widths, axis=1), points, self._idle)

    def form(self, bandwidths: Array) -> Array:
        """The log density of a kernel at each value that has an indicator (first axis) at each of them (second)."""
        count = len(self._few)
        form = np.zeros((len(self.owner) - 3 * len(self.floats),) * 2)
        (j, i), (h, centre) = self._few_pairs, self._few_kernels
        form[j, i] = _log_in_cell(*self._few_cells, centre, bandwidths[h]) - _log_inside(centre, bandwidths[h])
        (j, i), (h, size, same) = self._choice_pairs, self._choice_kernels
        probability = np.where(same, 1.0 - bandwidths[h], bandwidths[h] / (size - 1))
        form[count + j, count + i] = np.log(np.maximum(probability * size, TINY))
        return form


class Parzen:
    """A mixture of a kernel for each config and of the space's law.

    points: (n, dim), encoded, or what `axes.read` gave for them; weights: (n,), else 1 each; prior: the weight of the
    space's law beside them; bandwidths: (hyperparameters,), for a number the standard deviation on [0, 1], for a choice
    the probability that a kernel leaves its value; else `default_bandwidths`. univariate: a product of such mixtures,
    one a hyperparameter, of the configs in which it is active, in place of a mixture of products.
    """

    def __init__(
        self,
        axes: Axes,
        points: Array | Reading,
        *,
        weights: Array | None = None,
        prior: float = 1.0,
        bandwidths: Array | None = None,
        univariate: bool = False,
    ) -> None:
        reading = points if isinstance(points, Reading) else axes.read(points)
        n, hyperparameters = len(reading.points), len(axes.widths)
        if bandwidths is None:
            bandwidths = default_bandwidths(axes, reading, univariate)
        self._axes, self._reading, self._bandwidths, self._univariate = axes, reading, bandwidths, univariate
        self._known = np.zeros((n + 1, hyperparameters), dtype=bool)
        self._known[:n] = True if reading.active is None else reading.active
        shares = np.full((n + 1, 1), prior, dtype=np.float64)
        shares[:n, 0] = 1.0 if weights is None else weights
        if univariate:
            shares = shares * self._known
            shares[n] = np.where((prior == 0) & (shares.sum(axis=0) == 0), 1.0, prior)
        if shares.min() < 0 or shares.sum() == 0:
            raise ValueError("a density needs weights of at least 0, and one above 0")
        self._shares = shares / shares.sum(axis=0)
        """Of each kernel, the prior last: (n + 1, 1), where univariate (n + 1, hyperparameters)."""
        self._log_shares = np.log(np.maximum(self._shares, TINY))
        self._kernels = self._by_features(reading)
        self._means = [np.unique(reading.points[:, c], return_inverse=True) for c in axes.columns[axes.many]]
        """Of each number that is integrated the different values of the kernels, and which of them each has."""

    def _by_features(self, reading: Reading) -> Array:
        """The log of each kernel, as the factors of the features: (features, n + 1), 0 of the prior."""
        axes, features, count = self._axes, reading.features.T, len(self._axes.floats)
        squares, means, ones = features[:count], features[count : 2 * count], features[2 * count : 3 * count]
        deviation = self._bandwidths[axes.floats, None]
        precision = deviation**-2.0
        constant = ones * (_log_inside(means, deviation) + np.log(deviation) + _LOG_SQRT_2_PI)
        factors = np.zeros((len(features), features.shape[1] + 1))
        kernels = factors[:, :-1]
        kernels[:count] = -0.5 * precision * ones
        kernels[count : 2 * count] = precision * means
        kernels[2 * count : 3 * count] = -0.5 * precision * squares - constant
        kernels[3 * count :] = axes.form(self._bandwidths).T @ features[3 * count :]
        return factors

    def log_density(self, points: Array | Reading) -> Array:
        """The log density (m,) at encoded configs (m, dim), with respect to the space's law."""
        axes = self._axes
        reading = points if isinstance(points, Reading) else axes.read(points)
        integrated = {h: self._integrated(k, reading) for k, h in enumerate(axes.many.tolist())}
        if not self._univariate:
            kernels = reading.features @ self._kernels
            for more in integrated.values():
                kernels += more
            return _log_sum(kernels + self._log_shares[:, 0])
        total = np.zeros(len(reading.points))
        for h in range(len(axes.widths)):
            own = np.flatnonzero(axes.owner == h)
            kernels = integrated[h] if h in integrated else reading.features[:, own] @ self._kernels[own]
            total += _log_sum(kernels + self._log_shares[:, h])
        return total

    def _integrated(self, k: int, reading: Reading) -> Array:
        """The log of the kernels (m, n + 1) in a discrete number of many values, the k-th of these."""
        h, (means, mean_of) = self._axes.many[k], self._means[k]
        cells = reading.middle[:, [k]], reading.half[:, [k]]
        logarithms = _log_in_cell(*cells, means, self._bandwidths[h]) - _log_inside(means, self._bandwidths[h])
        kernels = np.zeros((len(logarithms), len(mean_of) + 1))
        kernels[:, :-1] = logarithms[:, mean_of]
        return kernels if reading.active is None else kernels * (reading.active[:, [h]] & self._known[:, h])

    def sample(self, rng: np.random.Generator, n: int, *, widened: float = 1.0) -> Array:
        """`n` independent encoded configs (n, dim); the kernels of numbers are taken `widened` times as wide."""
        axes, columns = self._axes, self._shares.shape[1]
        uniform = rng.random((n, columns + len(axes.widths)))
        bounds = self._shares[:-1].cumsum(axis=0)
        kernel = np.stack([bounds[:, c].searchsorted(uniform[:, c], side="right") for c in range(columns)], axis=1)
        numbers, chosen, known_number, known_choice = self._centres

        u, deviation = uniform[:, columns + axes.numbers], widened * self._bandwidths[axes.numbers]
        place = (kernel[:, axes.numbers] if self._univariate else kernel), np.arange(len(axes.numbers))
        mean = numbers[place]
        below, above = ndtr(-mean / deviation), ndtr((1.0 - mean) / deviation)
        drawn = mean + deviation * ndtri(below + u * (above - below))
        drawn = np.where(known_number[place], np.minimum(np.maximum(drawn, 0.0), 1.0), u)

        u, leaving = uniform[:, columns + axes.choices], self._bandwidths[axes.choices]
        place = (kernel[:, axes.choices] if self._univariate else kernel), np.arange(len(axes.choices))
        kept = chosen[place]
        leaving = np.where(known_choice[place], leaving, 1.0 - 1.0 / axes.sizes)
        other = np.minimum(u / np.maximum(leaving, TINY) * (axes.sizes - 1), axes.sizes - 2).astype(np.intp)
        return axes.encoded(drawn, np.where(u < leaving, other + (other >= kept), kept))

    @cached_property
    def _centres(self) -> tuple[Array, Indices, Mask, Mask]:
        """The numbers and the choices of the kernels, the prior last, and which of them it knows: (n + 1, ...) each."""
        axes = self._axes
        # Of the prior, which knows nothing, any point will do.
        points = np.concatenate([self._reading.points, np.zeros((1, axes.dim))])
        return *axes.numbers_and_choices(points), self._known[:, axes.numbers], self._known[:, axes.choices]


def default_bandwidths(axes: Axes, reading: Reading, univariate: bool) -> Array:
    """The bandwidth of each hyperparameter (hyperparameters,), from what was read of the points.

    Of numbers .07 n^(-1 / (4 + d)), but at least 1 / (n + 2). The first is Scott's rate for n points in d dimensions,
    without their spread, so the density does not collapse where the good lie close together. The second, wider below
    14 to 26 points, is where Hyperopt and Optuna clip ("magic clipping" in Watanabe, arXiv 2304.11127): few good
    configs say little of where the best is. With it the normalised regret of `tpe` on the development halves of the
    suites was lower by .014 +- .005 among a table's rows (100 seeds), and no higher where any config may be tried
    (-.005 +- .006, 200 seeds). Of choices (c - 1) / (n + c), for c values: what one more count for each would give.
    """
    counts = np.full(len(axes.widths), len(reading.points)) if reading.active is None else reading.active.sum(axis=0)
    dimension = 1 if univariate else len(axes.widths)
    bandwidths = np.maximum(0.07 * np.maximum(counts, 1) ** (-1 / (4 + dimension)), 1 / (counts + 2))
    bandwidths[axes.choices] = (axes.sizes - 1) / (counts[axes.choices] + axes.sizes)
    return bandwidths


def _log_inside(mean: Array, deviation: Array) -> Array:
    """The log probability that a normal law gives to [0, 1]."""
    return np.log(ndtr((1.0 - mean) / deviation) - ndtr(-mean / deviation))


def _log_in_cell(middle: Array, half: Array, mean: Array, deviation: Array) -> Array:
    """The log of the average density of a normal law over a cell, given by its middle and half its width."""
    # Always in the lower tail, where differences of probabilities keep their digits.
    distance, half_width = np.abs(middle - mean) / -deviation, half / deviation
    mass = ndtr(distance + half_width) - ndtr(distance - half_width)
    return np.log(np.maximum(mass, TINY)) - np.log(2.0 * half)


def _log_sum(logarithms: Array) -> Array:
    """log(sum(exp)) over the last axis."""
    top = logarithms.max(axis=-1, keepdims=True)
    return np.log(np.exp(logarithms - top).sum(axis=-1)) + top[..., 0]


def _edges_and_centres(domain: Integer | Ordinal) -> tuple[Array, Array]:
    """Where the cells of a discrete number begin and end on [0, 1], (values + 1,), and its encoded values (values,)."""
    if isinstance(domain, Ordinal):
        return np.array([0.0, *domain._edges, 1.0]), np.array([domain.encode(value)[0] for value in domain.values])
    edges, centres = np.arange(domain.lower, domain.upper + 2) - 0.5, np.arange(domain.lower, domain.upper + 1) * 1.0
    if domain.log:
        edges, centres = np.log(edges), np.log(centres)
    return (edges - edges[0]) / (edges[-1] - edges[0]), (centres - edges[0]) / (edges[-1] - edges[0])


def _indices(values: Iterable[int]) -> Indices:
    return np.array(list(values), dtype=np.intp)


def _joined(parts: Iterable[Array]) -> Array:
    return np.concatenate([np.empty(0), *parts])


def _pairs(owner: Indices) -> tuple[Indices, Indices]:
    """All pairs of places with the same owner."""
    first, second = np.nonzero(owner[:, None] == owner)
    return first, second
