"""Evolution on encoded configs: how one config stands to another, and how children are made from parents.

Decided here: an individual is a point of [0, 1]^dim, not the config that it decodes to, so that choices and whole
numbers keep the variety from which differences are made (the difference of two one-hot vectors would never change a
category). A hyperparameter crosses over as a whole, however many coordinates it has.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from harness.space import Choice, Config, Space

Array = NDArray[np.float64]
Standing = tuple[bool, int, float]


def standing(resource: int, loss: float) -> Standing:
    """How a config stands, to be compared: the smaller the better.

    Who was trained further stands better, for a scheduler lets the better go on; then the lower loss. Whose loss is
    infinite stands behind all others, however far it came.
    """
    return (math.isinf(loss), -resource, loss)


def distinct(rng: np.random.Generator, n: int, k: int) -> list[int]:
    """`k` different numbers of 0, ..., n - 1 in random order, each ordered pick equally likely."""
    return np.argsort(rng.random(n), kind="stable")[:k].tolist()


def mutant(base: Array, plus: Array, minus: Array, factor: float, rng: np.random.Generator) -> Array:
    """Differential mutation: base + factor * (plus - minus), each of shape (dim,) in [0, 1]; the result is too.

    With a random base this is rand/1 (Storn and Price 1997). A coordinate that leaves [0, 1] is drawn anew
    there (as Awad, Mallik and Hutter 2021, DEHB): clipped ones would gather at the bounds.
    """
    moved = base + factor * (plus - minus)
    return np.where((moved >= 0.0) & (moved <= 1.0), moved, rng.random(len(moved)))


def crossover(target: Array, other: Array, rate: float, widths: NDArray[np.intp], rng: np.random.Generator) -> Array:
    """Binomial crossover: each hyperparameter comes from `other` with probability `rate`, else from `target`.

    At least one comes from `other`, a random one (Storn and Price 1997). target, other: points of
    shape (dim,); widths: how many coordinates each hyperparameter has, in the order of the space, with the sum dim.
    """
    crosses = rng.random(len(widths)) < rate
    crosses[int(rng.random() * len(widths))] = True
    return np.where(np.repeat(crosses, widths), other, target)


def widths(space: Space) -> NDArray[np.intp]:
    """How many coordinates each hyperparameter has, in the order of the space."""
    return np.array([domain.width for domain in space.domains.values()], dtype=np.intp)


def settled(space: Space, point: Array, config: Config) -> Array:
    """The point (dim,) moved where it must, so that it decodes to `config`: for configs that came another way.

    A number moves to where its value is encoded; of a choice the largest coordinate changes places with its value's;
    what is inactive stays.
    """
    point = point.copy()
    for name, value in config.items():
        domain, place = space.domains[name], space.slices[name]
        if domain.decode(point[place].tolist()) == value:
            continue
        if not isinstance(domain, Choice):
            point[place] = domain.encode(value)
        elif domain.width == 1:
            point[place] = 0.25 + 0.5 * domain.values.index(value)
        else:
            largest, wanted = place.start + int(np.argmax(point[place])), place.start + domain.values.index(value)
            point[[largest, wanted]] = point[[wanted, largest]]
    return point
