"""The mean of a surrogate: from features to the curve that a config gives on average over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from surrogates.regressors.gaussian_process import GaussianProcess
from surrogates.regressors.nearest import Nearest
from surrogates.regressors.trees import Trees
from surrogates.scales import Components, Scale

Array = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]
REGRESSORS: dict[str, type[Any]] = {"nearest": Nearest, "trees": Trees, "gaussian_process": GaussianProcess}


class Regressor(Protocol):
    """A fitted model of several outputs; a dataclass of plain arrays."""

    def predict(self, x: Array) -> Array:
        """Outputs (m, outputs) for features (m, d)."""
        ...


@dataclass(frozen=True)
class Mean:
    """A regressor of curves, and one of the chance to diverge.

    scale: of the modelled metrics; curves: the components of their curves on that scale (levels * modelled); times:
    those of the logarithms of each level's seconds; regressor: from features to the coefficients of both; chance: from
    features to the chance that a run diverges, None where none did.
    """

    scale: Scale
    curves: Components
    times: Components
    regressor: Regressor
    chance: Regressor | None

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Unbounded curves (m, levels * modelled) and the seconds of each level (m, levels), for features (m, d)."""
        outputs, split = self.regressor.predict(x), len(self.curves.basis)
        return self.curves.curves(outputs[:, :split]), np.exp(self.times.curves(outputs[:, split:]))

    def chance_to_diverge(self, x: Array) -> Array:
        """The chance (m,) that a run at features (m, d) diverges."""
        if self.chance is None:
            return np.zeros(len(x))
        return np.minimum(np.maximum(self.chance.predict(x)[:, 0], 0.0), 1.0)

    def values(self, unbounded: Array) -> Array:
        """Modelled metrics (..., levels, modelled) of unbounded curves (..., levels * modelled)."""
        levels = self.times.mean.shape[0]
        return self.scale.values(unbounded.reshape(*unbounded.shape[:-1], levels, -1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as named arrays; `from_arrays` gives an equal mean."""
        parts = {"scale": self.scale, "curves": self.curves, "times": self.times, **self._regressors()}
        return {f"{part}.{name}": array for part, held in parts.items() for name, array in arrays_of(held).items()}

    def _regressors(self) -> dict[str, Any]:
        kinds = {cls: name for name, cls in REGRESSORS.items()}
        held = {"regressor": self.regressor} | ({"chance": self.chance} if self.chance else {})
        return {f"{role}.{kinds[type(regressor)]}": regressor for role, regressor in held.items()}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Mean:
        """A mean from what `arrays` gave; KeyError where something is missing."""

        def regressor(role: str) -> Regressor | None:
            for kind, cls in REGRESSORS.items():
                if any(name.startswith(f"{role}.{kind}.") for name in arrays):
                    return from_arrays(cls, arrays, f"{role}.{kind}")
            return None

        curves = regressor("regressor")
        if curves is None:
            raise KeyError("regressor")
        return Mean(
            scale=from_arrays(Scale, arrays, "scale"),
            curves=from_arrays(Components, arrays, "curves"),
            times=from_arrays(Components, arrays, "times"),
            regressor=curves,
            chance=regressor("chance"),
        )


def arrays_of(held: Any) -> dict[str, NDArray[Any]]:
    """The fields of a dataclass of arrays."""
    return {one.name: np.asarray(getattr(held, one.name)) for one in fields(held)}


def from_arrays(cls: type[Any], arrays: Arrays, part: str) -> Any:
    """A dataclass of arrays from those named `part.FIELD`."""
    return cls(**{one.name: arrays[f"{part}.{one.name}"] for one in fields(cls)})
