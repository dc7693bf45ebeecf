"""What the trainings of a journal say of a config: as they went, and beyond that by another model or by each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from harness.compose.delays import Stretch
    from harness.loop import Log
    from harness.space import Config
    from harness.types import Benchmark, Curve, Delays

Metrics = Mapping[str, float]
ENOUGH_TO_RANK = 10


class Curves(Protocol):
    """Whatever knows the curve of a config."""

    def curve(self, config: Config, seed: int) -> Curve:
        """What is said at each level when the config is trained with a seed."""
        ...


def configs_of(log: Log) -> dict[int, Config]:
    """The config of each trial of a log."""
    from harness.loop import Started

    jobs = [event.job for event in log.events if isinstance(event, Started)]
    return {job.trial: job.config for job in jobs}


@dataclass
class Training:
    """What was measured of a config: by the index of a level, nanoseconds of training at it and metrics.

    diverged: the index of the level at which it failed, -1 where it did not.
    """

    config: Config
    levels: dict[int, tuple[int, Metrics]] = field(default_factory=dict)
    diverged: int = -1


def trainings_of(log: Log, jobs: Sequence[Stretch], benchmark: Benchmark, delays: Delays) -> list[Training]:
    """What a journal measured; of two trials of one config, that of the longer one."""
    from harness.types import NANOSECONDS, Status

    index_of = {level: index for index, level in enumerate(benchmark.fidelity.levels)}
    trials = {trial: Training(config) for trial, config in configs_of(log).items()}
    leave = 0.0 if delays.warm else delays.leave
    for trial, resumed, begun, events in jobs:
        before = delays.start_up * begun + delays.restore * resumed
        for event in events:
            report, training = event.report, trials[trial]
            index = index_of.get(report.resource, -1)
            if report.status is Status.FAILED:
                # A crash says where the trial stood: it was on its way to the next level.
                training.diverged = index = index if event.metrics else min(index + 1, len(index_of) - 1)
            after = 0.0 if report.status is Status.RUNNING else leave
            besides = sum(round(delay * NANOSECONDS) for delay in (before, delays.evaluate + delays.save, after))
            training.levels[index] = (max(round(report.cost * NANOSECONDS) - besides, 1), event.metrics)
            before = 0.0
    longest: dict[tuple[object, ...], Training] = {}
    for training in trials.values():
        key = benchmark.space.key(training.config)
        longest[key] = max(longest.get(key, training), training, key=lambda one: len(one.levels))
    return list(longest.values())


class Trained:
    """A curve model that answers with what a journal measured, and with another model beyond that.

    A curve that was measured up to a level goes on as the other model's, moved by what that was off at the level; all
    seconds of the other model are taken in the pace of the trainings that were measured. Where the other model says
    that a training ends, and it went further than that, it stays as it stood last.
    """

    def __init__(self, benchmark: Benchmark, trainings: list[Training], beside: Curves, seed: int) -> None:
        self.benchmark = benchmark
        self._trainings = {benchmark.space.key(training.config): training for training in trainings}
        self._beside = beside
        self._continues = benchmark.fidelity.continues
        self._index_of = {level: index for index, level in enumerate(benchmark.fidelity.levels)}
        self.pace = self._measured_pace(seed)
        """How many seconds of the journal a second of the other model is."""

    def _training(self, config: Config) -> Training:
        return self._trainings.get(self.benchmark.space.key(config), Training(config))

    def holds(self, config: Config, level: int) -> bool:
        """Whether the journal measured a config at a level."""
        return self._index_of[level] in self._training(config).levels

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve of a config: measured as far as it was, then the other model's for the seed."""
        from harness.types import Curve, End

        training, (beyond, steps) = self._training(config), self._beyond(config, seed)
        last, reach = len(steps) - 1, max(training.levels, default=-1)
        # A training that went further than where the other model sees it diverge did not diverge there.
        known = last if beyond.end is End.DIVERGED and reach >= last else last + 1
        spent: list[int] = []
        metrics: list[Metrics] = []
        moved: Metrics = {}
        diverged = False
        for index in self._index_of.values():
            if index in training.levels:
                took, said = training.levels[index]
                moved = _residual(said, beyond.metrics[index]) if index < known else moved
                diverged = index == training.diverged
            elif index < known:
                took = round(self.pace * steps[index])
                said = {name: value + moved.get(name, 0.0) for name, value in beyond.metrics[index].items()}
                diverged = index == last and beyond.end is End.DIVERGED
            elif metrics and reach >= known:
                took, said = spent[-1], metrics[-1]
            else:
                break
            spent.append(took)
            metrics.append(said)
            if diverged:
                break
        losses = [self.benchmark.losses(said) for said in (metrics[:-1] if diverged else metrics)]
        if diverged:
            losses.append((math.inf,) * len(self.benchmark.objectives))
        end = End.DIVERGED if diverged else End.COMPLETE if len(spent) == len(self._index_of) else beyond.end
        return Curve(
            tuple(accumulate(spent) if self._continues else spent),
            tuple(losses),
            metrics,
            [*map(self.benchmark.visible, metrics)],
            end,
        )

    def _beyond(self, config: Config, seed: int) -> tuple[Curve, list[int]]:
        """The other model's curve, and the nanoseconds that each level takes in it."""
        curve = self._beside.curve(config, seed)
        before = (0, *curve.nanoseconds[:-1]) if self._continues else (0,) * len(curve.nanoseconds)
        return curve, [time - earlier for time, earlier in zip(curve.nanoseconds, before, strict=True)]

    def _measured_pace(self, seed: int) -> float:
        """Measured times over the other model's, at all levels that both have."""
        measured = expected = 0
        for training in self._trainings.values():
            _, steps = self._beyond(training.config, seed)
            for index, (took, _) in training.levels.items():
                if index < len(steps):
                    measured += took
                    expected += steps[index]
        return measured / expected if expected else 1.0


def _residual(measured: Metrics, expected: Metrics) -> dict[str, float]:
    """By how much a model was off, of each metric that both have."""
    return {name: measured[name] - value for name, value in expected.items() if name in measured}


class Neighbours:
    """Answers for a config with the trainings of a journal that lie nearest to it, a level after the other.

    Of those that came to a level the nearest says what it takes and, where the fidelity continues, what it changes.
    ValueError where no training came to the end.
    """

    def __init__(self, benchmark: Benchmark, trainings: Sequence[Training]) -> None:
        import numpy as np

        self._benchmark = benchmark
        self._trainings = trainings
        self._points = np.array([benchmark.space.encode_one(training.config) for training in trainings])
        last = len(benchmark.fidelity.levels) - 1
        if not any(last in training.levels and training.diverged != last for training in trainings):
            fidelity = benchmark.fidelity
            raise ValueError(
                f"no training of the journal came to {fidelity.unit} {fidelity.maximum}, so nothing says what becomes "
                f"of one at the end, and {benchmark.name!r} has neither a table nor a surrogate. As it was, with no "
                "other option, the study can be replayed"
            )

    def curve(self, config: Config, seed: int) -> Curve:
        """The curve that the nearest trainings make."""
        return self._curve(config, range(len(self._trainings)))

    def ranked(self) -> str:
        """In words, how well each training's neighbours rank it, at the highest level to which enough came."""
        from scipy.stats import spearmanr

        everyone = range(len(self._trainings))
        for index, level in reversed([*enumerate(self._benchmark.fidelity.levels)]):
            came = [j for j in everyone if self._trainings[j].diverged != index and index in self._trainings[j].levels]
            if len(came) < ENOUGH_TO_RANK:
                continue
            measured = [self._benchmark.losses(self._trainings[j].levels[index][1])[0] for j in came]
            curves = [self._curve(self._trainings[j].config, [i for i in everyone if i != j]) for j in came]
            told = [curve.losses[index][0] if index < len(curve.losses) else math.inf for curve in curves]
            if len(set(told)) < 2 or len(set(measured)) < 2:
                return "all of one loss, which tells nothing"
            found: Any = spearmanr(measured, told)
            at = f"{self._benchmark.fidelity.unit} {level}"
            return (
                f"with each left out in turn, the others rank the {len(came)} that came to {at} with a correlation of "
                f"{found.statistic:.2f} to what they reached"
            )
        return "too few to say how well they do"

    def _curve(self, config: Config, of: Sequence[int]) -> Curve:
        from harness.types import Curve, End

        benchmark = self._benchmark
        apart = ((self._points - benchmark.space.encode_one(config)) ** 2).sum(axis=1)
        nearest_first = [self._trainings[j] for j in sorted(of, key=lambda j: apart[j])]
        spent: list[int] = []
        metrics: list[Metrics] = []
        losses: list[tuple[float, ...]] = []
        end = End.COMPLETE
        for index in range(len(benchmark.fidelity.levels)):
            after = index - 1 if metrics and benchmark.fidelity.continues else index
            training = next((one for one in nearest_first if index in one.levels and after in one.levels), None)
            if training is None:
                end = End.EARLY
                break
            took, said = training.levels[index]
            spent.append(took)
            if training.diverged == index:
                end = End.DIVERGED
                metrics.append(said)
                losses.append((math.inf,) * len(benchmark.objectives))
                break
            if after < index:
                changes = _residual(said, training.levels[after][1])
                said = {name: value + changes.get(name, 0.0) for name, value in metrics[-1].items()}
            metrics.append(said)
            losses.append(benchmark.losses(said))
        times = tuple(accumulate(spent) if benchmark.fidelity.continues else spent)
        return Curve(times, tuple(losses), metrics, [*map(benchmark.visible, metrics)], end)
