"""Answers that are known without running anything, against what the machine gives.

Random search has an exact law, list scheduling a makespan, successive halving its share at each rung. Each check lets
the loop run many small studies on toys and compares with a computation that shares no code with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from heapq import heapreplace
from itertools import combinations
from math import comb, prod, sqrt

import numpy as np

from harness._parts.pareto import Ranks, hypervolume, ranks
from harness.loop import Log, Started, run
from harness.methods import Method, build, parse_method
from harness.randomness import number, stream
from harness.simulated import Simulated
from harness.space import Space, randint
from harness.study import Study, record
from harness.toys import Toy, toy_benchmark
from harness.trace import check_trace
from harness.types import NANOSECONDS, Benchmark, Delays, Event

STUDIES = 10_000
"""Of the check of random search: about two seconds."""
ROWS, DRAWS = 50, 5
SLACK = 100
"""Nanoseconds by which sums of rounded delays may differ."""


def _rows(count: int, levels: tuple[int, ...], workers: int, budget: float) -> Toy:
    """A toy table whose row i lies at the place (i + 1/2) / count."""
    space = Space({"row": randint(0, count - 1)})
    benchmark = toy_benchmark(space, levels, budget, workers)
    return Toy(benchmark.with_space(space.restricted([{"row": row} for row in range(count)])))


def _play(method: Method, toy: Toy, seed: int, finished_trials: int | None = None) -> tuple[Benchmark, Log]:
    benchmark = toy.benchmark.with_space(toy.benchmark.space.opened())
    scheduler = build(method, benchmark, stream("known answers", seed))
    executor = Simulated(toy, benchmark.workers, seed, benchmark.delays)
    budget = round(benchmark.budget * NANOSECONDS)
    return benchmark, run(benchmark, scheduler, executor, budget, finished_trials=finished_trials)


def expected_minimum(values: Sequence[float], draws: int) -> float:
    """The expected minimum of draws without replacement: P(min > v_k) = C(M - k, N) / C(M, N), sorted ascending."""
    values, ways = sorted(values), comb(len(values), draws)
    survival = [comb(len(values) - k, draws) / ways for k in range(len(values) + 1)]
    return sum(value * (survival[k] - survival[k + 1]) for k, value in enumerate(values))


def _random_search() -> str:
    """random search on a table follows the law of order statistics within three standard errors"""
    toy = _rows(ROWS, (1,), 2, 1000)
    toy.loss, toy.seconds = (lambda place, level: place**3), (lambda place: 1.0)
    exact = expected_minimum([((row + 0.5) / ROWS) ** 3 for row in range(ROWS)], DRAWS)
    method, best = parse_method("rs"), list[float]()
    for seed in range(STUDIES):
        _, log = _play(method, toy, seed, finished_trials=DRAWS)
        losses = [event.report.losses[0] for event in log.events if isinstance(event, Event)]
        if len(losses) != DRAWS:
            return f"a study that should end after {DRAWS} finished trials has {len(losses)}"
        best.append(min(losses))
    mean = sum(best) / STUDIES
    error = sqrt(sum((loss - mean) ** 2 for loss in best) / (STUDIES - 1) / STUDIES)
    if abs(mean - exact) <= 3 * error:
        return ""
    return f"the best of {DRAWS} is {mean:.5f} on average, exact is {exact:.5f}, the standard error {error:.5f}"


def _makespan() -> str:
    """the end of a study that trains every row is the makespan of list scheduling, to the nanosecond"""
    for workers in (1, 3, 7):
        toy = _rows(40, (1, 2, 5), workers, 1e6)
        toy.seconds = lambda place: 1 + number("duration", place)
        _, log = _play(parse_method("rs"), toy, workers)
        free = [0] * workers
        for event in log.events:
            if isinstance(event, Started):
                curve = toy.curve(event.job.config, 0)
                heapreplace(free, free[0] + curve.nanoseconds[-1])
        if log.time != max(free):
            return f"with {workers} workers it ends at {log.time} ns, list scheduling at {max(free)} ns"
    return ""


def _shares() -> str:
    """asynchronous halving takes about a share of 1 / eta to the next rung where losses are pure chance"""
    for text in ("asha", "asha-stop"):
        toy = _rows(1000, (1, 3, 9, 27), 4, 1e6)
        toy.loss = lambda place, level: number("noise", place, level)
        _, log = _play(parse_method(text), toy, 0)
        # When there are no more configs, who is paused goes on whatever the share.
        events = log.events if text == "asha-stop" else log.events[: _last_begun(log) + 1]
        reached, stands = Counter[int](), dict[int, int]()
        for event in events:
            if isinstance(event, Event):
                reached[event.report.resource] += 1
                stands[event.report.trial] = event.report.resource
            elif isinstance(event, Started):
                stands.pop(event.job.trial, None)
        stay = Counter(stands.values())
        for rung in (1, 3, 9):
            share = 1 - stay[rung] / reached[rung]
            # Early rungs of few trials let more pass: the excess falls with the square root of their number.
            allowed = 1.5 / sqrt(reached[rung])
            if not 1 / 3 - 0.01 <= share <= 1 / 3 + allowed:
                return f"{text} takes {share:.3f} of {reached[rung]} trials on from epoch {rung}, expected about 0.333"
    return ""


def _last_begun(log: Log) -> int:
    """The place among the events at which the last new trial is started."""
    first: dict[int, int] = {}
    for place, event in enumerate(log.events):
        if isinstance(event, Started):
            first.setdefault(event.job.trial, place)
    return max(first.values())


def _keeps_the_best() -> str:
    """where the ranking never changes with the resource, no halving method leaves the best config behind at a rung"""
    levels = (1, 3, 9, 27)
    for text in ("asha", "asha-stop", "asha:eta=2:grace=3", "sh", "hyperband", "bohb", "priorband", "pasha"):
        toy = _rows(100, levels, 4, 1e6)
        for seed in range(10):
            _, log = _play(parse_method(text), toy, seed)
            jobs = [e.job for e in log.events if isinstance(e, Started) and e.job.config["row"] == 0]
            untils, trial = tuple(job.until for job in jobs), jobs[0].trial
            reached = max(e.report.resource for e in log.events if isinstance(e, Event) and e.report.trial == trial)
            # Who is left behind goes to the end in one stretch. PASHA's second rung is as high as it needs to go.
            wanted = (1, 3, 27) if text == "pasha" else levels[levels.index(untils[0]) :]
            if untils != wanted or reached != 27:
                return f"{text} leaves the best config behind: it goes to {untils}, and comes to {reached}, seed {seed}"
    return ""


HYPERBAND = (
    ((81, 1), (27, 3), (9, 9), (3, 27), (1, 81)),
    ((34, 3), (11, 9), (3, 27), (1, 81)),
    ((15, 9), (5, 27), (1, 81)),
    ((8, 27), (2, 81)),
    ((5, 81),),
)
"""The paper's table for R = 81 and eta = 3: how many configs are trained to which resource, bracket by bracket."""


def _hyperband_table() -> str:
    """Hyperband trains as many configs to each resource, in this order, as the table of its paper says"""
    toy = _rows(200, (1, 3, 9, 27, 81), 1, 1e6)
    _, log = _play(parse_method("hyperband"), toy, 0)
    wanted = [level for bracket in HYPERBAND for size, level in bracket for _ in range(size)]
    found = [event.job.until for event in log.events if isinstance(event, Started)][: len(wanted)]
    return "" if found == wanted else f"of R = 81, eta = 3 it makes {Counter(found)}, the paper {Counter(wanted)}"


def _promotes_after_the_pause() -> str:
    """a promotion resumes a trial whose checkpoint is saved, and every trace is sound, whatever delays and durations"""
    method = parse_method("asha")
    for seed in range(10):
        toy = _rows(60, tuple(range(1, 10)), 1 + seed, 60)
        toy.seconds = lambda place, seed=seed: 0.5 + number("duration", seed, place)
        start_up, restore, evaluate, save, leave = (number("delay", seed, part) for part in range(5))
        toy = toy.under(replace(toy.benchmark, delays=Delays(start_up, restore, evaluate, save, leave)))
        benchmark, log = _play(method, toy, seed)
        study = Study("asha", method.to_json(), benchmark, toy.digest, seed)
        if problem := _resumed_too_early(toy, log) or next(iter(check_trace(record(study, log, 0.0))), ""):
            return problem
    return ""


def _resumed_too_early(toy: Toy, log: Log) -> str:
    """Who goes on before it can have been trained so far and saved, or that nobody ever goes on; levels are 1, 2 ..."""
    delays, saved, resumed = toy.benchmark.delays, dict[int, tuple[int, int]](), 0
    for event in log.events:
        if isinstance(event, Started):
            trial, config, until, _ = event.job
            level, there = saved.get(trial, (0, 0))
            if event.time < there:
                return f"trial {trial} goes on at {event.time} ns, its checkpoint is there at {there} ns"
            resumed += level > 0
            trained = toy.curve(config, 0).nanoseconds
            occupied = (
                delays.start_up + (delays.restore if level else 0) + (until - level) * (delays.evaluate + delays.save)
            )
            since = trained[level - 1] if level else 0
            saved[trial] = until, event.time + trained[until - 1] - since + round(occupied * NANOSECONDS) - SLACK
    return "" if resumed else "no trial ever goes on"


def _several_losses(points: int, objectives: int) -> list[tuple[float, ...]]:
    """Losses on a coarse grid, so that some are equal."""
    luck = stream("several losses", points, objectives).integers(0, 8, (points, objectives))
    return [tuple(map(float, losses)) for losses in luck.tolist()]


def _fronts() -> str:
    """points are sorted into the fronts that come off one after another, at once and as they arrive"""
    for objectives in (1, 2, 3, 4):
        losses = _several_losses(60, objectives)
        left, rank, peeled = set(range(len(losses))), 0, dict[int, int]()
        while left:
            front = {
                i
                for i in left
                if not any(losses[j] != losses[i] and all(map(float.__le__, losses[j], losses[i])) for j in left)
            }
            peeled |= dict.fromkeys(front, rank)
            left, rank = left - front, rank + 1
        wanted, kept = [peeled[i] for i in range(len(losses))], Ranks(objectives)
        for point in losses:
            kept.add(point)
        for how, found in (("at once", ranks(np.array(losses))), ("one by one", kept.ranks)):
            if found.tolist() != wanted:
                return f"of {objectives} objectives, sorted {how}, the ranks are {found.tolist()}, by peeling {wanted}"
    return ""


def _volume() -> str:
    """the hypervolume is that of a union of boxes by inclusion and exclusion"""
    for objectives in (1, 2, 3, 4):
        losses, reference = _several_losses(9, objectives), 7.0
        exact = 0.0
        for size in range(1, len(losses) + 1):
            for chosen in combinations(losses, size):
                common = prod(max(0.0, reference - max(column)) for column in zip(*chosen, strict=True))
                exact += common if size % 2 else -common
        found = hypervolume(np.array(losses), np.full(objectives, reference))
        if abs(found - exact) > 1e-9 * max(1.0, exact):
            return f"of {objectives} objectives it is {found}, by inclusion and exclusion {exact}"
    return ""


CHECKS: tuple[Callable[[], str], ...] = (
    _random_search,
    _makespan,
    _shares,
    _keeps_the_best,
    _hyperband_table,
    _promotes_after_the_pause,
    _fronts,
    _volume,
)
