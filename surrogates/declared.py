"""What people know of a problem, declared beside its table in `declared.json`.

products: what hyperparameters do together, such as `{"effective step": {"lr": 1, "1-momentum": -1}}` for
lr / (1 - momentum); plateau: a final loss above it means that a run learned no more than what needs no config (for a
language model, the frequencies of words); diverged: one above this knows less than nothing. All are optional.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

FILE = "declared.json"


@dataclass(frozen=True)
class Declared:
    """Knowledge of a problem; losses are the first objective at the last level, to be minimised."""

    products: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    plateau: float = inf
    diverged: float = inf


def read(folder: Path) -> Declared:
    """What is declared in a table's folder; nothing where there is no file. ValueError where it makes no sense."""
    path = folder / FILE
    if not path.exists():
        return Declared()
    try:
        plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        products = {
            name: {factor: float(power) for factor, power in powers.items()}
            for name, powers in plain.pop("products", {}).items()
        }
        return Declared(products, **{name: float(loss) for name, loss in plain.items()})
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{path}: expected products {{NAME: {{FACTOR: POWER}}}} and the losses plateau and diverged ({error})"
        ) from None
