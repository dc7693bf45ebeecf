"""What people know of a problem, declared beside its table in `declared.json`.

Where a table lies elsewhere, without such a file, what we declare of its benchmark beside our own table counts.

products: what hyperparameters do together, such as `{"effective step": {"lr": 1, "1-momentum": -1}}` for
lr / (1 - momentum); plateau: a final loss above it means that a run learned no more than what needs no config (for a
language model, the frequencies of words); diverged: one above this knows less than nothing; time: what the seconds of
a level are a sum of, besides a constant, such as `{"steps": {"batch_size": -1}, "layers": {"depth": 1, "width": 2}}`;
metrics: the same of each metric that a config alone decides, exactly and at every level, such as `{"parameters":
{"embedding": {"width": 1}, "layers": {"depth": 1, "width": 2}}}`. All are optional.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from surrogates.terms import Terms

FILE = "declared.json"
OURS = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Declared:
    """Knowledge of a problem; losses are the first objective at the last level, to be minimised."""

    products: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    plateau: float = inf
    diverged: float = inf
    time: Terms = field(default_factory=dict)
    metrics: Mapping[str, Terms] = field(default_factory=dict)


def place_of(folder: Path, benchmark: str) -> Path | None:
    """The file that counts for a table in a folder: its own, else ours of the benchmark; None where there is none."""
    if (folder / FILE).exists():
        return folder / FILE
    return {path.parent.name: path for path in OURS.glob(f"*/{FILE}")}.get(benchmark)


def read(folder: Path, benchmark: str = "") -> Declared:
    """What is declared of a table in a folder, of the benchmark of this name; nothing where there is no file.

    ValueError where it makes no sense.
    """
    path = place_of(folder, benchmark)
    if path is None:
        return Declared()
    try:
        plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        products, time = (_terms(plain.pop(name, {})) for name in ("products", "time"))
        metrics = {name: _terms(terms) for name, terms in plain.pop("metrics", {}).items()}
        return Declared(products, time=time, metrics=metrics, **{name: float(loss) for name, loss in plain.items()})
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{path}: expected products and time as {{NAME: {{FACTOR: POWER}}}}, metrics as {{METRIC: {{NAME: "
            f"{{FACTOR: POWER}}}}}}, and the losses plateau and diverged ({error})"
        ) from None


def _terms(declared: Mapping[str, Mapping[str, Any]]) -> Terms:
    return {name: {factor: float(power) for factor, power in powers.items()} for name, powers in declared.items()}
