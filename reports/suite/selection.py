"""Which studies count over all benchmarks, and what each of them held over time, on a scale that benchmarks share.

Left out, and said so: a benchmark without a best and a median config to measure by, without any study, or on which
arms have different budgets or met different data; an arm that has no study on one of the benchmarks; a block that one
of the other arms misses. So all arms that are compared stand on the same blocks, and an arm that is complete changes no
other's numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports.fronts import COLUMN
from reports.incumbent import Floats, Key, Trajectory
from reports.outcomes import FAILED, MISSING, Facts, unique
from reports.regret import Scale, normalised, scale
from reports.statistics.blocks import Blocks, blocks
from reports.statistics.targets import named_levels
from reports.text import listed, number, plural


class Path(NamedTuple):
    """What a study held: right-continuous steps on the clock of its benchmark, on which the budget is 1."""

    times: Floats
    """Shape (steps,), rising; the last is where it failed, if it did."""
    losses: Floats
    """Infinite from the failure on."""
    regrets: Floats
    """Normalised, within [floor, 1]; 1 from the failure on."""
    end: float
    """When the study ended."""
    inference: Floats
    """Of the configs that it held, looked up without luck: normalised, 1 from the failure on, NaN where not known."""
    hypervolume: float
    """Of all objectives in the end, as a share of that of the front; NaN where there is one objective."""


@dataclass(frozen=True)
class Ground:
    """What is known of a benchmark: its rulers, the losses that are its targets, its family."""

    ruler: Scale
    targets: Mapping[str, float]
    family: str
    truth: Scale
    """Of the metric on which the selected configs are looked up: test where the benchmark has that, else validation."""
    on_test: bool


@dataclass(frozen=True)
class Selection:
    """The studies that count; make it with `select`."""

    arms: tuple[str, ...]
    benchmarks: tuple[str, ...]
    where: Blocks
    """The benchmark and family of each block."""
    paths: Mapping[str, tuple[Path, ...]]
    """Of each arm, what it held in each block."""
    grounds: Mapping[str, Ground]
    left_out: tuple[str, ...]
    """What does not count, and why, in words."""

    @property
    def families(self) -> int:
        """How many families the benchmarks are of."""
        return self.where.families

    def block_benchmarks(self) -> list[str]:
        """The benchmark of each block, by name."""
        return [self.benchmarks[place] for place in self.where.benchmark]

    def each(self, of: Callable[[Path, Ground], Any]) -> Floats:
        """What a function gives for the path of each study and its ground: shape (arms, blocks, ...)."""
        grounds = [self.grounds[name] for name in self.block_benchmarks()]
        return np.array([[of(*study) for study in zip(self.paths[arm], grounds, strict=True)] for arm in self.arms])


def select(outcomes: pd.DataFrame, trajectories: Mapping[Key, Trajectory], facts: Facts) -> Selection:
    """The studies of a comparison that count over its benchmarks.

    outcomes: a row per wanted study, as `reports.outcomes.outcomes` gives them, with `hypervolume` where there are
    several objectives.
    """
    names, left_out = _benchmarks(outcomes, facts)
    ran = outcomes[outcomes["benchmark"].isin(names) & (outcomes["state"] != MISSING)]
    arms: list[str] = []
    for arm in unique(outcomes["arm"]):
        absent = [name for name in names if name not in set(ran.loc[ran["arm"] == arm, "benchmark"])]
        arms += [] if absent else [arm]
        left_out += [f"{arm}: it has no study on {listed(absent)}"] if absent and names else []
    ran = ran[ran["arm"].isin(arms)]
    counts = ran.groupby(["benchmark", "seed"], sort=False)["arm"].size()
    whole = {(str(name), int(seed)) for (name, seed), count in counts.items() if count == len(arms)}  # pyright: ignore
    if len(whole) < len(counts):
        missed = plural(len(counts) - len(whole), "block")
        left_out.append(f"{missed} (a benchmark with a seed) that one of the methods misses")
    names = [name for name in names if any(name == benchmark for benchmark, _ in whole)]
    kept = [(name, seed) for name in names for seed in sorted(seed for benchmark, seed in whole if benchmark == name)]
    rows = {(str(row.arm), str(row.benchmark), int(row.seed)): row for row in ran.itertuples()}  # type: ignore[arg-type]
    grounds = {name: _ground(name, facts[name]) for name in names}
    paths = {
        arm: tuple(_path(rows[arm, *block], trajectories.get((arm, *block)), grounds[block[0]]) for block in kept)
        for arm in arms
    }
    column = np.array([name for name, _ in kept], dtype=str)
    where = blocks(column, np.array([grounds[name].family for name in column], dtype=str))
    return Selection(tuple(arms if kept else ()), tuple(names), where, paths, grounds, tuple(left_out))


def _benchmarks(outcomes: pd.DataFrame, facts: Facts) -> tuple[list[str], list[str]]:
    """The benchmarks that can count, and why the others do not."""
    names: list[str] = []
    left_out: dict[str, list[str]] = {}
    for name in unique(outcomes["benchmark"]):
        here, ruler = outcomes[outcomes["benchmark"] == name], scale(facts[name])
        ran = here[here["state"] != MISSING]
        budgets = sorted(here["budget"].dropna().unique())
        why = ""
        if ran.empty:
            why = "no study is there yet"
        elif ruler is None:
            why = "no best and median config are known to measure regret by"
        elif not ((ran["state"] != FAILED) & np.isfinite(ran["loss"])).any():
            why = "no study came to its end with a finite loss"
        elif ruler.floor >= 1:
            why = "its seeds differ by more than its best config does from the median one"
        elif len(budgets) > 1:
            why = f"its methods have different budgets ({', '.join(number(float(budget)) for budget in budgets)} s)"
        elif ran["data"].nunique() > 1:
            why = "its methods met different data"
        if why:
            left_out.setdefault(why, []).append(name)
        else:
            names.append(name)
    return names, [f"{listed(these)}: {why}" for why, these in left_out.items()]


def _ground(name: str, facts: Mapping[str, Any]) -> Ground:
    ruler = scale(facts)
    assert ruler is not None
    finals = np.asarray(facts.get("final_losses") or [], dtype=float)
    test = scale(facts.get("test", {}))
    truth = ruler if test is None or test.floor >= 1 else test
    family = str(facts.get("family") or name)
    return Ground(ruler, named_levels(finals), family, truth, on_test=truth is test)


def _path(study: Any, trajectory: Trajectory | None, ground: Ground) -> Path:
    """What a study held, on a clock on which its budget is 1."""
    budget, failed, nothing = float(study.budget), study.state == FAILED, np.empty(0)
    until = float(study.seconds) if failed else budget
    times, losses, worth = nothing, nothing, nothing
    if trajectory:
        held = trajectory.times < until if failed else trajectory.times <= until
        looked_up = trajectory.final_tests if ground.on_test else trajectory.finals
        times, losses, worth = trajectory.times[held], trajectory.losses[held], looked_up[held]
    if failed:
        times, losses, worth = np.append(times, until), np.append(losses, np.inf), np.append(worth, np.inf)
    inference = np.where(np.isnan(worth), np.nan, normalised(worth, ground.truth))
    end = min(float(study.seconds) / budget, 1.0)
    hypervolume = float(getattr(study, COLUMN, np.nan))
    return Path(times / budget, losses, normalised(losses, ground.ruler), end, inference, hypervolume)
