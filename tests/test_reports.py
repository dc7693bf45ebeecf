"""Laws of the reports: no look-ahead, nothing dropped, no number that depends on who else is compared."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pandas as pd

TOP = 27
RUNGS = {1: 3, 3: 9, 9: TOP}


def fake_facts(rng: np.random.Generator, name: str = "lm", configs: int = 400) -> dict[str, Any]:
    """A made-up table: the final losses of its configs, sorted; one in twenty diverges."""
    finals = np.sort(4.2 + 2.2 * rng.beta(2.2, 2.5, configs))
    finals[-configs // 20 :] = np.inf
    return {
        "metric": "validation loss",
        "unit": "epoch",
        "levels": list(range(1, TOP + 1)),
        "optimum": float(finals[0]),
        "median": float(np.median(finals)),
        "configs": configs,
        "final_losses": finals.tolist(),
        "noise": 0.01,
        "table": "restrict",
        "real": False,
        "verdict": None,
        "full_seconds": 30.0 * TOP,
    }


def fake_study(
    rng: np.random.Generator, finals: np.ndarray, halving: bool, clever: float, budget: float = 7200.0, workers: int = 4
) -> list[dict[str, Any]]:
    """Events of one study on a made-up table: random search to the top, or asynchronous halving that promotes."""
    events: list[dict[str, Any]] = []
    rungs: dict[int, list[tuple[float, int]]] = {rung: [] for rung in RUNGS}
    promoted: dict[int, set[int]] = {rung: set() for rung in RUNGS}
    ends: list[float] = []
    speed: list[float] = []
    stands: list[int] = []

    def event(kind: str, time: float, worker: int, trial: int, resource: int, **more: Any) -> None:
        empty = {"loss": np.nan, "test": np.nan, "cost": np.nan, "reason": ""}
        events.append(
            {"kind": kind, "time": time, "worker": worker, "trial": trial, "resource": resource, **empty, **more}
        )

    def ask() -> tuple[int, int]:
        for rung in sorted(rungs, reverse=True) if halving else []:
            best = sorted(rungs[rung])[: len(rungs[rung]) // 3]
            for loss, trial in best:
                if trial not in promoted[rung] and np.isfinite(loss):
                    promoted[rung].add(trial)
                    return trial, RUNGS[rung]
        quality = rng.random() ** (1 + clever * min(len(ends), 40) / 10)
        ends.append(float(finals[int(quality * len(finals))]))
        speed.append(float(rng.lognormal(np.log(30), 0.25)))
        stands.append(0)
        return len(ends) - 1, min(RUNGS) if halving else TOP

    def loss_of(trial: int, level: int) -> float:
        if not np.isfinite(ends[trial]):
            return 12.0 + level if level < 6 else np.inf
        return float(ends[trial] + 4.5 * (level**-0.6 - TOP**-0.6) + 0.02 * rng.standard_normal())

    busy: list[tuple[float, int, int, int]] = []

    def start(time: float, worker: int) -> None:
        trial, until = ask()
        event("started", time, worker, trial, until)
        heapq.heappush(busy, (time + speed[trial], worker, trial, until))

    for worker in range(workers):
        start(0.0, worker)
    while busy and busy[0][0] <= budget:
        time, worker, trial, until = heapq.heappop(busy)
        stands[trial] += 1
        level, loss = stands[trial], loss_of(trial, stands[trial])
        failed = not np.isfinite(loss)
        status = "failed" if failed else "reached" if level == until else "running"
        more = {"loss": loss, "test": loss + 0.1, "cost": speed[trial], "reason": status}
        event("report", time, worker, trial, level, **more)
        if status == "running":
            heapq.heappush(busy, (time + speed[trial], worker, trial, until))
            continue
        if level in rungs and not failed:
            rungs[level].append((loss, trial))
        event("ended", time, worker, trial, level, reason=status)
        start(time, worker)
    for _, worker, trial, _ in sorted(busy):
        event("ended", budget, worker, trial, stands[trial], reason="cut")
    return events


ARMS = {"rs": (False, 0.0), "bo": (False, 0.45), "asha": (True, 0.0), "mobster": (True, 0.35)}


def fake(
    seeds: int = 10,
    arms: dict[str, tuple[bool, float]] = ARMS,
    benchmarks: tuple[str, ...] = ("lm",),
    failed: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, dict[str, Any]]]:
    """Frames of a made-up comparison; with `failed`, the last arm's study with seed 3 raised an error half-way."""
    studies: list[dict[str, Any]] = []
    frames: list[pd.DataFrame] = []
    facts: dict[str, dict[str, Any]] = {}
    for benchmark in benchmarks:
        facts[benchmark] = fake_facts(np.random.default_rng([7, len(benchmark)]))
        finals = np.array(facts[benchmark]["final_losses"])
        for arm, (halving, clever) in arms.items():
            for seed in range(seeds):
                rng = np.random.default_rng([seed, *arm.encode(), *benchmark.encode()])
                events = pd.DataFrame(fake_study(rng, finals, halving, clever))
                broken = failed and seed == 3 and arm == list(arms)[-1]
                if broken:
                    events = events[events["time"] < 3500]
                name = {"arm": arm, "benchmark": benchmark, "seed": seed}
                frames.append(events.assign(**name))
                study = {"why": "budget", "error": "", "workers": 4, "budget": 7200.0, "seconds": 7200.0}
                study |= (
                    {
                        "why": "error",
                        "error": "Traceback:\n  line 7\nLinAlgError: not positive definite",
                        "seconds": 3500.0,
                    }
                    if broken
                    else {}
                )
                counts = {"trials": events["trial"].nunique(), "reports": int((events["kind"] == "report").sum())}
                studies.append({**name, **study, **counts, "real_seconds": 0.2, "simulated": True})
    return pd.DataFrame(studies), pd.concat(frames, ignore_index=True), facts
