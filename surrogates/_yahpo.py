"""Surrogates of YAHPO Gym: a network predicts one level of a training; a curve is one call for all levels, one thread.

A network takes the codes of categories and numbers, both in a declared order that it cannot be asked for. Of an
inactive hyperparameter it takes the code of `#na#`, or 0. It knows no luck of a seed, and no optimum is known:
facts say the best that a search found.

What no training can give is mended: outputs are clipped to what is possible; where the time does not rise from level to
level it is raised to a millisecond above the last, or, where every level is a training of its own, to a millisecond.
The shares of numbers that this changes are counted on random configs, and stand in `made`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.randomness import stream
from harness.space import Config, Space
from harness.types import NANOSECONDS, Benchmark, Curve, End
from surrogates._best_found import best_found
from surrogates._under import check_under
from surrogates._yahpo_scenarios import LICENCE, YAHPO, Scenario

NONE = "#na#"
"""What is coded where a category is inactive."""
RISE = NANOSECONDS // 1000
SAMPLE = 101
"""So many random configs tell the facts of a benchmark."""

Codes = Mapping[str, Mapping[str, int]]
"""Of each category its values as numbers."""


class Network:
    """The surrogate of a scenario in memory: from configs to predictions."""

    def __init__(self, path: Path, scenario: Scenario, codes: Codes) -> None:
        if find_spec("onnxruntime") is None:
            raise FileNotFoundError(
                "the networks of YAHPO Gym need the package onnxruntime: `pip install 'foretune[onnx]'`"
            )
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the library has no common class for what it raises
            raise ValueError(f"{path}: not a network that can be run ({error})") from None
        inputs = [(one.name, one.type, one.shape[-1]) for one in self._session.get_inputs()]
        outputs = [one.shape[-1] for one in self._session.get_outputs()]
        expected = [
            ("x_cat", "tensor(int32)", len(scenario.categories)),
            ("x_cont", "tensor(float)", len(scenario.numbers)),
        ]
        if inputs != expected or outputs != [len(scenario.outputs)]:
            raise ValueError(
                f"{path}: expected a network from {expected} to {len(scenario.outputs)} numbers, found one from "
                f"{inputs} to {outputs}"
            )
        self.scenario = scenario
        self._codes = [(name, codes[name]) for name in scenario.categories]
        self._level = scenario.numbers.index(scenario.fidelity)
        self._check_codes(path)

    def _check_codes(self, path: Path) -> None:
        """Refuse a network that does not know all codes: its categories are others, or in another order."""
        highest = [max(codes.values()) for _, codes in self._codes]
        try:
            self._run(np.array([highest], np.int32), np.zeros((1, len(self.scenario.numbers)), np.float32))
        except Exception as error:
            wanted = ", ".join(f"{name} up to {code}" for (name, _), code in zip(self._codes, highest, strict=True))
            raise ValueError(f"{path}: expected a network that takes the codes of {wanted} ({error})") from None

    def predict(self, config: Config, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """All outputs at each of the levels as the network takes them, shape (levels, outputs), as they come."""
        numbers = np.empty((len(levels), len(self.scenario.numbers)), np.float32)
        numbers[:] = [config.get(name, 0.0) for name in self.scenario.numbers]
        numbers[:, self._level] = levels
        categories = np.empty((len(levels), len(self._codes)), np.int32)
        categories[:] = [codes[config.get(name, NONE)] for name, codes in self._codes]  # type: ignore[index]
        return self._run(categories, numbers)

    def predict_finals(self, configs: Sequence[Config], level: float) -> NDArray[np.float32]:
        """All outputs at one level of each config, shape (configs, outputs), as they come: one call."""
        names = self.scenario.numbers
        numbers = np.array([[config.get(name, 0.0) for name in names] for config in configs], np.float32)
        numbers[:, self._level] = level
        categories = [[codes[config.get(name, NONE)] for name, codes in self._codes] for config in configs]  # type: ignore[index]
        return self._run(np.array(categories, np.int32).reshape(len(configs), len(self._codes)), numbers)

    def _run(self, categories: NDArray[np.int32], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        (outputs,) = self._session.run(None, {"x_cat": categories, "x_cont": numbers})
        return np.asarray(outputs, np.float32)


@dataclass
class Predicted:
    """A benchmark of a network: every config has its predicted curve, the same for every seed.

    held: inputs that are not searched, the data set among them; levels: of the fidelity, as the network takes them;
    known: what reports may state.
    """

    benchmark: Benchmark
    network: Network
    held: Config
    levels: NDArray[np.float32]
    digest: str
    known: Mapping[str, Any]
    _curves: dict[tuple[object, ...], Curve] = field(default_factory=dict[tuple[object, ...], Curve], repr=False)

    def under(self, benchmark: Benchmark) -> Predicted:
        """The surrogate under a benchmark with other defaults (budget, delays, objectives, a part of the space)."""
        check_under(benchmark, self.benchmark, self.network.scenario.metrics, "surrogate")
        return replace(self, benchmark=benchmark, _curves={})

    def restricted_space(self) -> Space:
        """The benchmark's space as it is: the surrogate answers every config."""
        return self.benchmark.space.opened()

    def facts(self) -> dict[str, Any]:
        """What reports may state: what random configs come to, their median seconds, and the best that was found."""
        if self.known["optimum"] is None:
            self.known = {**self.known, **self.best_found()}
        return dict(self.known)

    def best_found(self) -> dict[str, Any]:
        """The best config that a search finds, and what random ones come to: see `surrogates._best_found`."""
        found = best_found(self.benchmark.name, self.benchmark.space, self.final_losses)
        return found | {"optimum": self.final_loss(found["optimum_config"])}  # as curves say it, to the last digit

    def outside(self, config: Config) -> bool:
        """Never: the surrogate was fitted to the whole space."""
        return False

    def final_loss(self, config: Config) -> float:
        """The first objective at the last level, to be minimised."""
        return self.curve(config, 0).losses[-1][0]

    def final_losses(self, configs: Sequence[Config]) -> NDArray[np.float64]:
        """The first objective at the last level of many configs, to be minimised, shape (configs,), in one call.

        Infinite where the network says what is no number, of which `curve` makes an error.
        """
        scenario, objective = self.network.scenario, self.benchmark.objectives[0]
        outputs = self.network.predict_finals([self._whole(config) for config in configs], float(self.levels[-1]))
        final = clipped(outputs, scenario)[:, list(scenario.outputs).index(objective.metric)]
        return np.where(np.isfinite(outputs).all(axis=1), -final if objective.maximize else final, np.inf)

    def curve(self, config: Config, seed: int) -> Curve:
        """The predicted curve of a config."""
        identity = self.benchmark.space.key(config)
        curve = self._curves.get(identity)
        if curve is None:
            curve = self._curves[identity] = self._mended(self.predict(config))
        return curve

    def predict(self, config: Config) -> NDArray[np.float32]:
        """What the network says of a config, shape (levels, outputs); ValueError where it says no numbers."""
        outputs = self.network.predict(self._whole(config), self.levels)
        if not np.isfinite(outputs).all():
            raise ValueError(f"the surrogate of {self.benchmark.name!r} predicts what is no number for {dict(config)}")
        return outputs

    def _whole(self, config: Config) -> Config:
        return {**self.benchmark.space.constants, **config, **self.held}

    def _mended(self, outputs: NDArray[np.float32]) -> Curve:
        benchmark, scenario = self.benchmark, self.network.scenario
        columns: dict[str, list[float]] = dict(zip(scenario.outputs, clipped(outputs, scenario).T.tolist()))  # noqa: B905
        objectives = [(-1.0 if one.maximize else 1.0, columns[one.metric]) for one in benchmark.objectives]
        losses = [[sign * value for value in column] for sign, column in objectives]
        return Curve(
            nanoseconds=times(columns[scenario.seconds], scenario.continues),
            losses=tuple(zip(*losses, strict=True)),
            metrics=_rows(columns, scenario.metrics),
            visible=_rows(columns, [name for name in scenario.metrics if name != benchmark.test_metric]),
            end=End.COMPLETE,
        )


def _rows(columns: Mapping[str, list[float]], names: Sequence[str]) -> tuple[dict[str, float], ...]:
    return tuple([dict(zip(names, row)) for row in zip(*(columns[name] for name in names))])  # noqa: B905


def clipped(outputs: NDArray[np.float32], scenario: Scenario) -> NDArray[np.float64]:
    """Outputs (..., outputs) within what is possible."""
    lowest, highest = zip(*((of.lowest, of.highest) for of in scenario.outputs.values()), strict=True)
    return np.minimum(np.maximum(outputs, lowest), highest)


def times(seconds: Sequence[float], continues: bool) -> tuple[int, ...]:
    """Seconds as nanoseconds, each at least a millisecond, and where levels continue one above the last."""
    mended: list[int] = []
    last = 0
    for spent in seconds:
        mended.append(max(round(spent * NANOSECONDS), last + RISE))
        last = mended[-1] if continues else 0
    return tuple(mended)


def known_of(model: Predicted, source: str, sha256: Mapping[str, str]) -> dict[str, Any]:
    """What reports may state of a surrogate, counted on random configs of its benchmark's space."""
    benchmark, scenario = model.benchmark, model.network.scenario
    names = list(scenario.outputs)
    configs = benchmark.space.sample(stream("facts", benchmark.name), SAMPLE)
    outputs = np.array([model.predict(config) for config in configs])
    shares = clipped(outputs, scenario)
    objective = benchmark.objectives[0]
    final = shares[:, -1, names.index(objective.metric)]
    spent = shares[..., names.index(scenario.seconds)]
    mended = np.array([times(curve, scenario.continues) for curve in spent.tolist()])
    return {
        "optimum": None,
        "median": float(np.median(-final if objective.maximize else final)),
        "noise": None,
        "full_seconds": float(np.median(mended[:, -1])) / NANOSECONDS,
        "made": {
            "licence": LICENCE,
            "citation": scenario.citation if scenario.citation == YAHPO else f"{scenario.citation}; {YAHPO}",
            "source": source,
            "sha256": dict(sha256),
            "missing": f"nothing; on {SAMPLE} random configs {np.mean(shares != outputs):.2%} of numbers were clipped",
            "seconds": f"predicted; on {SAMPLE} random configs "
            f"{np.mean(mended != np.rint(spent * NANOSECONDS)):.2%} of times were raised",
        },
    }
