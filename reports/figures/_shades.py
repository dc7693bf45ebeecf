"""How far a trial was trained, as a shade."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import BoundaryNorm, Colormap, LinearSegmentedColormap

from reports import style


def scale_of(levels: Sequence[int]) -> tuple[Colormap, BoundaryNorm]:
    """Light to dark over the levels of a benchmark: an equal step for each."""
    edges = np.concatenate([[levels[0] - 0.5], np.asarray(levels) + 0.5])
    steps = max(256, len(edges))
    return LinearSegmentedColormap.from_list("reached", list(style.SHADES), N=steps), BoundaryNorm(edges, steps)
