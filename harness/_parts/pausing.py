"""Trials that pause after every step and go on when they are chosen: the books of methods that freeze and thaw.

One engine for all of them; a method brings `choose`. Decided here:

 - A trial is started for a full training and asked again after each step of so many levels. Where it is chosen itself
   it simply runs on, so no time goes into a restart; else it is paused, and its worker does what was chosen instead.
 - A user's start configs come first, then those of the sampler, each trained for one step, until enough trials have
   reported. From then on `choose` decides; where it names no paused trial and there is no more config, nothing starts.
 - Who failed counts with an infinite loss at the level that it was on its way to and, like who ended early, never goes
   on. Levels that a script leaves out count with the loss of the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness._parts.refusals import refuse_several_objectives
from harness.space import Config
from harness.types import Benchmark, Decision, Job, Report, Sampler, Status, counted_at, given

Array = NDArray[np.float64]
RUNNING, FAILED, CONTINUE, PAUSE = Status.RUNNING, Status.FAILED, Decision.CONTINUE, Decision.PAUSE


class Trial:
    """One config with its point (dim,) and its losses at the lowest levels, in their order."""

    __slots__ = ("config", "curve", "point")

    def __init__(self, config: Config, point: Array) -> None:
        self.config = config
        self.point = point
        self.curve: list[float] = []


class Pausing:
    """All trials, who of them runs and who is paused.

    choose: from the paused trials to the one that goes on, or a new config; it may answer None only where there are
    neither. initial: trials that must have reported before it is asked; step: levels between two choices.
    ValueError where there is nothing to pause, for several objectives, and for numbers without sense.
    """

    def __init__(
        self,
        name: str,
        benchmark: Benchmark,
        sampler: Sampler,
        choose: Callable[[Sequence[int]], int | Config | None],
        *,
        initial: int,
        step: int,
    ) -> None:
        _refuse(name, benchmark, initial, step)
        self.levels = benchmark.fidelity.levels
        self.trials: list[Trial] = []
        self.running: dict[int, Config] = {}
        self._step = step
        self._space, self._sampler, self._choose = benchmark.space, sampler, choose
        self._initial, self._reported = initial, 0
        self._paused: dict[int, None] = {}
        self._index_of = {level: index for index, level in enumerate(self.levels)}
        self._chosen: int | Config | None = None
        """What was chosen when a trial was paused for it."""

    def ask(self) -> Job | None:
        """Go on with what was chosen."""
        choice, self._chosen = self._chosen, None
        if choice is None:
            choice = self._choice()
        if choice is None:
            return None
        if not isinstance(choice, int):
            self.trials.append(Trial(choice, self._space.encode([choice])[0]))
            choice = len(self.trials) - 1
        self._paused.pop(choice, None)
        self.running[choice] = config = self.trials[choice].config
        return Job(choice, config, self.levels[-1])

    def note(self, report: Report) -> range:
        """Add to a trial's curve what a report says; gives the indices of the levels that are new."""
        curve = self.trials[report.trial].curve
        before, index = len(curve), self._index_of.get(report.resource, -1)
        failed = report.status is FAILED
        if failed:
            index = min(max(index, before), len(self.levels) - 1)
        curve.extend([np.inf if failed else report.losses[0]] * (index + 1 - before))
        self._reported += not before
        return range(before, len(curve))

    def decide(self, report: Report, new: range) -> Decision:
        """After a step, choose whether the trial of a noted report runs on; `new` is what `note` gave."""
        number, running = report.trial, report.status is RUNNING
        if running and new.stop // self._step == new.start // self._step:
            return CONTINUE
        config = self.running.pop(number)
        self._sampler.observe(config, counted_at(report, self.levels[-1]), report.losses)
        if not running:
            return CONTINUE
        self._paused[number] = None
        choice = self._choice()
        if choice == number:
            del self._paused[number]
            self.running[number] = config
            return CONTINUE
        self._chosen = choice
        return PAUSE

    def goal(self, number: int) -> int:
        """The index of the level that a trial comes to by its next step."""
        return min((len(self.trials[number].curve) // self._step + 1) * self._step, len(self.levels)) - 1

    def _choice(self) -> int | Config | None:
        if (config := given(self._sampler)) is not None:
            return config
        if self._reported < self._initial:
            config = self._sampler.suggest(self.running.values())
            if config is not None:
                return config
        return self._choose(list(self._paused))


def _refuse(name: str, benchmark: Benchmark, initial: int, step: int) -> None:
    fidelity = benchmark.fidelity
    refuse_several_objectives(f"{name} models", benchmark)
    if not fidelity.continues:
        raise ValueError(
            f"a higher {fidelity.unit} of {benchmark.name!r} is a fresh training, so there is nothing for {name} to "
            "pause and go on with: use `asha`, which promotes"
        )
    if len(fidelity.levels) == 1:
        raise ValueError(
            f"every trial of {benchmark.name!r} is trained to {fidelity.unit} {fidelity.maximum} at once, so there is "
            f"nothing for {name} to pause: use `bo`, which trains to the end"
        )
    if initial < 1 or not 1 <= step <= len(fidelity.levels):
        raise ValueError(
            f"{name} needs initial >= 1 and a step of 1 to {len(fidelity.levels)} levels of {benchmark.name!r}, given "
            f"{initial} and {step}"
        )
