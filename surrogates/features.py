"""What a model sees of a config: its encoded hyperparameters, and declared products of their powers.

Some hyperparameters act together: momentum lengthens the step of the learning rate, a clipped gradient bounds it. A
model that is told the product needs fewer measurements than one that has to find it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log

import numpy as np
from numpy.typing import NDArray

from harness.space import Choice, Config, Space

Array = NDArray[np.float64]
Products = Mapping[str, Mapping[str, float]]
SMALLEST = 1e-3
"""A factor below this is taken as this: a product reaches zero, its logarithm does not."""


class Features:
    """The inputs of a model: `space.dim` encoded coordinates, then the logarithm of each product.

    Logarithms are scaled to [0, 1] over `low` and `high`, one for each product, the ends over a table's rows; a factor
    that is inactive in a config counts as one.
    """

    def __init__(self, space: Space, products: Products, low: Array | None = None, high: Array | None = None) -> None:
        self._space = space
        self.products = {name: dict(powers) for name, powers in products.items()}
        for name, powers in self.products.items():
            for factor in powers:
                if isinstance(space.domains.get(_hyperparameter(factor)), Choice | None):
                    numbers = [known for known, domain in space.domains.items() if not isinstance(domain, Choice)]
                    raise ValueError(
                        f"the product {name!r} is made of {factor!r}, which is no number of the space, nor `1-` and "
                        f"one; there are {', '.join(numbers)}"
                    )
        self.low = np.zeros(len(self.products)) if low is None else low
        self.high = np.ones(len(self.products)) if high is None else high
        factors = [
            [(_hyperparameter(factor), factor != _hyperparameter(factor), power) for factor, power in powers.items()]
            for powers in self.products.values()
        ]
        widths = (self.high - self.low).tolist()
        self._terms = list(zip(factors, self.low.tolist(), widths, strict=True))

    @staticmethod
    def over(space: Space, products: Products, configs: Sequence[Config]) -> Features:
        """Features scaled to the configs of a table."""
        unscaled = Features(space, products)
        logarithms = unscaled.of(configs)[:, space.dim :]
        low, high = logarithms.min(axis=0), logarithms.max(axis=0)
        return Features(space, products, low, np.where(high > low, high, low + 1))

    def one(self, config: Config) -> Array:
        """The features of one config, shape (d,)."""
        return np.array(self._numbers(config))

    def of(self, configs: Sequence[Config]) -> Array:
        """The features of configs, shape (n, d)."""
        return np.array([self._numbers(config) for config in configs])

    def _numbers(self, config: Config) -> list[float]:
        numbers = self._space.encode_one(config)
        for factors, low, width in self._terms:
            total = 0.0
            for name, complement, power in factors:
                if name in config:
                    value = float(config[name])
                    total += power * log(max(1 - value if complement else value, SMALLEST))
            numbers.append((total - low) / width)
        return numbers


def _hyperparameter(factor: str) -> str:
    return factor.removeprefix("1-")
