"""Any program, in any language, that answers lines of JSON as harness/foreign/README.md says."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from harness.foreign._scheduler import Foreign, programmed
from harness.space import Config
from harness.types import Benchmark

__all__ = ["foreign"]
VERSION = 2


def foreign(
    benchmark: Benchmark,
    rng: np.random.Generator,
    *,
    first: Iterable[Config] = (),
    command: str = "",
    patience: float = 300.0,
) -> Foreign:
    """Any program that speaks the protocol of JSON lines in harness/foreign/README.md: foreign:command=./my_optimiser.

    command: how it is started, words as in a shell, paths from the current folder; patience: seconds in which each
    answer must come. ValueError without a command.
    """
    if not command:
        raise ValueError("foreign needs the program that proposes: foreign:command=./my_optimiser")
    if not patience > 0:
        raise ValueError(f"patience must be positive seconds, given {patience:g}")
    return programmed(command, benchmark, rng, patience, first)
