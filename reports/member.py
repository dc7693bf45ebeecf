"""A benchmark of a family as a page shows it: frames and plain values, and words where something is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Panel:
    """How the final loss depends on one hyperparameter or two, for `figures.landscape`.

    hyperparameters: names with their domains as plain JSON; frame: rows that were measured and rows that are expected.
    """

    hyperparameters: Sequence[tuple[str, Mapping[str, Any]]]
    frame: pd.DataFrame


@dataclass(frozen=True)
class Member:
    """One benchmark.

    facts: metric, unit, configs, runs, best, median, noise, plateau, diverged, bits_per_byte; each may be missing.
    Losses are final ones of i.i.d. configs, to be minimised. curves: columns run, level, loss, diverged; panels: the
    two hyperparameters that matter most, then each other one; card: of the surrogate; notes: what is missing, and why.
    """

    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    curves: pd.DataFrame | None = None
    panels: Sequence[Panel] = ()
    card: Mapping[str, Any] | None = None
    notes: Sequence[str] = ()
