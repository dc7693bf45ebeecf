"""Milliseconds a suggestion of the Gaussian process costs, and what its refit schedule costs in regret.

    python tests/benchmarks/gp_suggestion.py
    python tests/benchmarks/gp_suggestion.py --regret --seeds 100 --jobs 2

Speed: in 5 dimensions, the mean process time over 20 consecutive suggestions, an observation after each; the 20 begin
with a refit, so that they carry at least their share of one. Regret: the sampler beside itself with hyperparameters
fitted from scratch at every suggestion, the same random numbers, four workers, 60 trainings, on three functions with
their own optimum for each seed. A seed's regret is the mean of log10 regret over the functions: one function alone is
too chaotic (the smallest change of a suggestion changes all that follow) for a hundred seeds to tell anything.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import process_time

import numpy as np
from scipy.special import ndtri
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.samplers.gp import GaussianProcessSampler
from harness.space import Config, Space, uniform
from harness.types import Benchmark, Fidelity, Objective

DIMENSION, TRAININGS, WORKERS = 5, 60, 4
BUDGETS_MS = {50: 10, 100: 15, 200: 30, 400: 60}
ALLOWED = 0.15
Function = Callable[[np.ndarray, np.ndarray], float]


def problem() -> Benchmark:
    """Five numbers in [0, 1], one resource."""
    space = Space({f"x{i}": uniform(0.0, 1.0) for i in range(DIMENSION)})
    return Benchmark("unit cube", space.opened(), (Objective("loss"),), Fidelity("epoch", (1,)), 1.0, WORKERS)


def bowl(x: np.ndarray, optimum: np.ndarray) -> float:
    """A quadratic whose directions matter unequally, as hyperparameters do."""
    return float(np.array([8.0, 4.0, 2.0, 0.5, 0.1]) @ (x - optimum) ** 2)


def cliff(x: np.ndarray, optimum: np.ndarray) -> float:
    """A narrow valley between two interacting hyperparameters, beyond which training diverges."""
    speed = 2.0 * (x[0] - optimum[0]) + (x[1] - optimum[1])
    if speed > 0.8:
        return math.inf
    return float(4.0 * speed**2 + 0.5 * (x[1] - optimum[1]) ** 2 + 0.3 * np.abs(x[2:] - optimum[2:]).sum())


def waves(x: np.ndarray, optimum: np.ndarray) -> float:
    """A bowl with ripples: several local minima."""
    offset = x - optimum
    return float(offset @ offset + 0.05 * (1.0 - np.cos(4 * np.pi * offset)).sum())


def regret(function: Function, seed: int, refit_always: bool) -> float:
    """The log10 regret after all trainings, the losses seen with a little noise."""
    luck = np.random.default_rng([seed, 1])
    optimum = 0.2 + 0.6 * luck.random(DIMENSION)
    noise = 0.01 * ndtri(luck.random(TRAININGS))
    benchmark = problem()
    sampler = GaussianProcessSampler(benchmark, np.random.default_rng([seed, 2]))
    running: list[Config] = []
    best = math.inf
    for index in range(TRAININGS):
        if refit_always:
            sampler._model._factor = None
        config = sampler.suggest(running)
        assert config is not None
        running.append(config)
        if len(running) == WORKERS:
            config = running.pop(0)
            loss = function(benchmark.space.encode([config])[0], optimum)
            best = min(best, loss)
            sampler.observe(config, 1, (loss + float(noise[index]),))
    return math.log10(best + 1e-4)


def paired(seed: int) -> list[tuple[float, float]]:
    """One seed's log10 regret on each function, with the schedule and with a full refit each time."""
    with threadpool_limits(1):
        return [(regret(f, seed, False), regret(f, seed, True)) for f in (bowl, cliff, waves)]


def compare_schedules(seeds: int, jobs: int) -> None:
    """Print the mean difference (schedule minus full refit) and the upper limit of its 95 % interval."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        pairs = np.array(list(pool.map(paired, range(seeds))))
    each = (pairs[..., 0] - pairs[..., 1]).mean(0)
    differences = (pairs[..., 0] - pairs[..., 1]).mean(1)
    error = float(differences.std(ddof=1)) / math.sqrt(seeds)
    upper = float(differences.mean()) + 1.96 * error
    line = {
        "seeds": seeds,
        "regret_schedule": pairs[..., 0].mean(0).round(3).tolist(),
        "regret_full": pairs[..., 1].mean(0).round(3).tolist(),
        "difference_each": each.round(3).tolist(),
        "difference": round(float(differences.mean()), 4),
        "standard_error": round(error, 4),
        "upper_95": round(upper, 4),
        "allowed": ALLOWED,
        "holds": upper <= ALLOWED,
    }
    print(json.dumps(line))


def measure(n: int) -> float:
    """Milliseconds a suggestion, over 20 consecutive ones from n observations on."""
    luck = np.random.default_rng(n)
    benchmark = problem()
    sampler = GaussianProcessSampler(benchmark, np.random.default_rng(0))
    optimum = np.full(DIMENSION, 0.3)

    def train(config: Config) -> None:
        loss = bowl(benchmark.space.encode([config])[0], optimum) + 0.05 * float(ndtri(luck.random()))
        sampler.observe(config, 1, (loss,))

    for _ in range(n):
        train(benchmark.space.fresh(luck) or {})
    sampler.suggest([])
    sampler._model._next_fit = 0
    spent = 0.0
    for _ in range(20):
        began = process_time()
        config = sampler.suggest([])
        spent += process_time() - began
        train(config or {})
    return 1e3 * spent / 20


def main() -> None:
    """Measure speed, or regret."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regret", action="store_true")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.regret:
        compare_schedules(arguments.seeds, arguments.jobs)
        return
    with threadpool_limits(1):
        for n, allowed in BUDGETS_MS.items():
            print(json.dumps({"n": n, "ms_per_suggestion": round(measure(n), 2), "allowed": allowed}))


if __name__ == "__main__":
    main()
