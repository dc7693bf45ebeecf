"""What became of each study that was wanted: done, failed or missing, and the loss that it counts with.

Wanted are all arms on all benchmarks with all seeds that occur on the benchmark; who wants more of them gives a row
without a reason for each that is not there. A failed study counts as the median random config, whatever it held when it
failed; so does one without a finite loss, and one that ended with a worse one: who always fails is no better than who
ends badly. A missing one (never run, or interrupted: the next run continues it) counts with nothing and is shown as
missing. An arm that cannot run on a benchmark is not wanted there: it has no rows, and stands with its reason in the
facts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from reports.incumbent import Floats, Key, Trajectory
from reports.regret import counted, normalised, scale
from reports.statistics.scores import overtuning

Facts = Mapping[str, Mapping[str, Any]]

DONE, FAILED, MISSING = "done", "failed", "missing"

NUMBERS = (
    "loss", "counted", "regret", "trial", "test", "final", "final_test", "inference", "inference_test", "overtuned",
)  # fmt: skip
COUNTS = ("workers", "budget", "seconds", "real_seconds", "trials", "reports", "outside", "data")


def outcomes(studies: pd.DataFrame, trajectories: Mapping[Key, Trajectory], facts: Facts) -> pd.DataFrame:
    """One row per wanted study, by benchmark, arm and seed in the order in which they were declared.

    Columns: benchmark, arm, seed, state, why, error; loss (observed, NaN if none), counted (the loss as statistics
    take it), regret (normalised and clipped, NaN without a ruler), trial and test of the incumbent; final and
    final_test (what its config ends with, looked up without the luck of a seed, NaN where that is not known),
    inference and inference_test (the normalised regrets of those, clipped), overtuned (by how much an earlier incumbent
    had a better final_test, in units of the test loss); and the counts of the study (seconds, reports ...), NaN where
    it is missing.
    """
    names = list(zip(studies["arm"], studies["benchmark"], (int(seed) for seed in studies["seed"]), strict=True))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"study {twice} (arm, benchmark, seed) is given twice: give each study once")
    known = dict(zip(names, records(studies), strict=True))
    looked_up = {benchmark for (_, benchmark, _), path in trajectories.items() if not np.isnan(path.finals).all()}
    rows = [
        _outcome((arm, benchmark, seed), known.get((arm, benchmark, seed)), trajectories, facts, looked_up)
        for benchmark in unique(studies["benchmark"])
        for arm in unique(studies["arm"])
        if arm not in not_applicable(facts, benchmark)
        for seed in sorted({name[2] for name in names if name[1] == benchmark})
    ]
    columns = ["benchmark", "arm", "seed", "state", "why", "error", *NUMBERS, *COUNTS]
    return pd.DataFrame(rows, columns=columns)


def shown(here: pd.DataFrame) -> tuple[int, list[str]]:
    """The seed whose studies a page shows one by one, the first that most arms finished, and the arms that ran with it.

    here: the outcomes on one benchmark.
    """
    done = here[here["state"] == DONE].groupby("seed").size()
    seed = int(done.index[int(np.argmax(done))] if len(done) else here["seed"].iloc[0])
    ran = here[(here["seed"] == seed) & (here["state"] != MISSING)]
    return seed, [str(arm) for arm in ran["arm"]]


def not_applicable(facts: Facts, benchmark: str) -> Mapping[str, str]:
    """The arms that cannot run on a benchmark, each with the reason in words."""
    return facts.get(benchmark, {}).get("not_applicable", {})


def state(why: str | None) -> str:
    """What became of a study that ended so; None, or no word, if there is no such study."""
    if not why or why == "interrupted":
        return MISSING
    return FAILED if why == "error" else DONE


def unique(column: pd.Series[Any]) -> list[str]:
    """The names in a column in the order of their first appearance."""
    return [str(name) for name in column.unique()]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame by the names of its columns."""
    return cast(list[dict[str, Any]], frame.to_dict("records"))


def _outcome(
    key: Key,
    study: Mapping[str, Any] | None,
    trajectories: Mapping[Key, Trajectory],
    facts: Facts,
    looked_up: Collection[str],
) -> dict[str, Any]:
    """One row; looked_up: the benchmarks of which final losses are known, so that a failure counts there too."""
    arm, benchmark, seed = key
    about = facts.get(benchmark, {})
    became = state(None if study is None else str(study["why"]))
    row: dict[str, Any] = {"benchmark": benchmark, "arm": arm, "seed": seed, "state": became}
    row |= dict.fromkeys(NUMBERS, np.nan)
    row |= {name: np.nan if study is None else study.get(name, np.nan) for name in COUNTS}
    row |= {"why": "" if study is None else study["why"], "error": "" if study is None else study["error"]}
    if study is None or became == MISSING:
        return row
    held = _held(trajectories.get(key), float(study["budget"]))
    row |= held
    loss: Floats = np.array([row["loss"] if became == DONE else np.nan])
    row["counted"] = float(counted(loss, about.get("median"))[0])
    for name, final, ruler in (
        ("regret", "loss", scale(about)),
        ("inference", "final", scale(about)),
        ("inference_test", "final_test", scale(about.get("test", {}))),
    ):
        unknown = final != "loss" and (benchmark not in looked_up or (bool(held) and np.isnan(row[final])))
        if ruler is not None and not unknown:
            row[name] = float(normalised(np.array([row[final] if became == DONE else np.nan]), ruler)[0])
    return row


def _held(trajectory: Trajectory | None, budget: float) -> dict[str, float]:
    """What is known of the config that a study holds at its budget; nothing where it holds none."""
    step = -1 if trajectory is None else int(np.searchsorted(trajectory.times, budget, side="right")) - 1
    if trajectory is None or step < 0:
        return {}
    columns = {
        "loss": trajectory.losses,
        "trial": trajectory.trials,
        "test": trajectory.tests,
        "final": trajectory.finals,
        "final_test": trajectory.final_tests,
        "overtuned": overtuning(trajectory.final_tests[: step + 1]),
    }
    return {name: float(values[step]) for name, values in columns.items()}
