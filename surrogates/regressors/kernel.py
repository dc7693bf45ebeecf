"""The Matern-5/2 kernel (Rasmussen and Williams 2006, 4.2.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def matern(squares: Any) -> tuple[Array, Array]:
    """The kernel of 5 r^2, which is overwritten, and exp(-sqrt(5) r)."""
    far = np.sqrt(squares)
    kernel = np.multiply(squares, 1 / 3, out=squares)
    kernel += far
    kernel += 1
    decay = np.exp(np.negative(far, out=far), out=far)
    kernel *= decay
    return kernel, decay
