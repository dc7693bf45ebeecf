"""Synchronous halving, Hyperband, PASHA and the median rule: known answers, laws, and refusals."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace
from heapq import heapreplace
from itertools import combinations
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from harness import checks
from harness._parts.brackets import Brackets, Place, Plan, Step, halving, hyperband, ladder
from harness._parts.quantile import RunningQuantile
from harness.known_answers import _last_begun, _play, _rows
from harness.loop import Ended, Log, Reason, Started, Why
from harness.methods import parse_method
from harness.randomness import number, stream
from harness.samplers.rs import RandomSearch
from harness.schedulers.bohb import Bohb
from harness.schedulers.hyperband import Hyperband
from harness.schedulers.median import MedianStopping
from harness.schedulers.moasha import MoAsha
from harness.schedulers.pasha import Pasha, _Comparison, gaps_of_crossing
from harness.schedulers.sh import SuccessiveHalving
from harness.space import Space, uniform
from harness.toys import Toy, toy_benchmark
from harness.types import Decision, End, Event, Fidelity, Job, Report, Status

METHODS = [
    "sh", "sh:eta=2:configs=5", "hyperband", "hyperband:ceilings=true", "bohb:random=0", "pasha", "pasha:eta=2",
    "median",
]  # fmt: skip
SYNCHRONOUS = ["sh", "sh:eta=2:configs=5", "hyperband", "hyperband:ceilings=true", "bohb", "dehb", "priorband"]
PROMOTING = ["asha", "asha:eta=2:grace=2", "mobster", "moasha", "hypertune", "pasha", *SYNCHRONOUS]
LEVELS = (1, 3, 9, 27, 81)
TABLE = [
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(34, 3), (11, 9), (3, 27), (1, 81)],
    [(15, 9), (5, 27), (1, 81)],
    [(8, 27), (2, 81)],
    [(5, 81)],
]
CEILINGS = [
    TABLE[0],
    [(34, 3), (12, 9), (4, 27), (2, 81)],
    [(15, 9), (5, 27), (2, 81)],
    [(8, 27), (3, 81)],
    [(5, 81)],
]
RNG = np.random.default_rng(0)


class Numbered:
    """A sampler whose configs are numbers; it ends after `count` of them."""

    def __init__(self, count: float = math.inf) -> None:
        self.left = count
        self.given = 0
        self.observed: list[tuple[float, int, float]] = []

    def suggest(self, pending: Any) -> dict[str, float] | None:
        if self.given >= self.left:
            return None
        self.given += 1
        return {"x": float(self.given - 1)}

    def observe(self, config: Any, resource: int, losses: tuple[float, ...]) -> None:
        self.observed.append((config["x"], resource, losses[0]))


def jobs_of(log: Log) -> dict[int, list[int]]:
    """The levels that each trial was asked to train to."""
    found: dict[int, list[int]] = defaultdict(list)
    for event in log.events:
        if isinstance(event, Started):
            found[event.job.trial].append(event.job.until)
    return found


def play(text: str, toy: Toy, seed: int = 0) -> Log:
    method = parse_method(text)
    return _play(method, checks.suited(method, toy), seed)[1]


@pytest.fixture
def left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is left behind stays so, as where there are always more configs."""
    for name in ("asha", "pasha", "hypertune"):
        monkeypatch.setattr(f"harness.schedulers.{name}.best_left", lambda rungs: None)
    monkeypatch.setattr(MoAsha, "_left", lambda scheduler: None)
    monkeypatch.setattr(Brackets, "_resume", lambda brackets: None)


# -- the contract -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [text for text in METHODS if ":" in text])
def test_the_contract_is_kept_with_options_too(text: str) -> None:
    assert [finding for finding in checks.check_method(parse_method(text)) if finding.problem] == []


@pytest.mark.parametrize("scheduler", [SuccessiveHalving, Hyperband, Bohb, Pasha, MedianStopping])
def test_a_single_level_is_refused_in_words(scheduler: Any) -> None:
    with pytest.raises(ValueError, match=r"on 'toy' every trial|training of 'toy' says nothing"):
        scheduler(toy_benchmark(levels=(7,)), RNG, sampler=Numbered())


@pytest.mark.parametrize(
    ("scheduler", "options", "words"),
    [
        (SuccessiveHalving, {"configs": 1}, "at least two configs to compare, given 1"),
        (SuccessiveHalving, {"grace": 9}, "or a grace below 9"),
        (Hyperband, {"eta": 1}, "eta must be greater than 1"),
        (Bohb, {"random": 1.5}, r"a share between 0 and 1, given 1\.5"),
        (Pasha, {"grace": 10}, "between 1 and 9 epochs of 'toy', given 10"),
        (MedianStopping, {"grace": 9}, "at least 1 and below 9 epochs of 'toy', given 9"),
        (MedianStopping, {"grace": 0}, "at least 1, given 0"),
        (MedianStopping, {"population": 0}, "population must be at least 1"),
    ],
)
def test_options_without_sense_are_refused(scheduler: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        scheduler(toy_benchmark(), RNG, sampler=Numbered(), **options)


def test_the_median_rule_refuses_where_a_training_says_nothing_on_its_way() -> None:
    benchmark = replace(toy_benchmark(), fidelity=Fidelity("width", (16, 32), continues=False))
    with pytest.raises(ValueError, match="says nothing before its end at width 32"):
        MedianStopping(benchmark, RNG, sampler=Numbered())


# -- tables -----------------------------------------------------------------------------------------------------------


def test_hyperband_has_the_papers_table() -> None:
    assert hyperband(LEVELS, 3) == [tuple(plan) for plan in TABLE]
    assert hyperband(LEVELS, 3, ceilings=True) == [tuple(plan) for plan in CEILINGS]


@pytest.mark.parametrize(
    ("highest", "grace", "rungs"),
    [
        (81, None, (1, 3, 9, 27, 81)), (40, None, (2, 5, 14, 40)), (52, None, (2, 6, 18, 52)), (10, None, (2, 4, 10)),
        (40, 5, (14, 40)), (40, 4, (5, 14, 40)), (40, 20, (20, 40)), (2, None, (1, 2)),
    ],
)  # fmt: skip
def test_rungs_lie_from_the_top_as_in_the_paper(highest: int, grace: int | None, rungs: tuple[int, ...]) -> None:
    """And no closer than by eta, unless there would be no second one."""
    levels = Fidelity("epoch", tuple(range(1, highest + 1)))
    assert ladder(replace(toy_benchmark(), fidelity=levels), grace, 3) == rungs


@given(st.integers(2, 7), st.sampled_from([1.5, 2, 2.5, 3, 4]))
def test_every_bracket_keeps_the_share_rounded_down_and_at_least_one(rungs: int, eta: float) -> None:
    for s, plan in zip(range(rungs - 1, -1, -1), hyperband(range(1, rungs + 1), eta), strict=True):
        assert len(plan) == s + 1 and plan[-1].level == rungs
        assert plan[0].size == math.ceil(rungs / (s + 1) * eta**s)
        assert [step.size for step in plan] == [max(1, math.floor(plan[0].size / eta**k)) for k in range(s + 1)]


@pytest.mark.usefixtures("left_alone")
@pytest.mark.parametrize("workers", [1, 5, 64])
@pytest.mark.parametrize(("text", "table"), [("hyperband", TABLE), ("hyperband:ceilings=true", CEILINGS)])
def test_hyperband_trains_exactly_its_table(text: str, table: list[list[tuple[int, int]]], workers: int) -> None:
    total = sum(plan[0][0] for plan in table)
    toy = _rows(total, tuple(range(1, 82)), workers, 1e6)
    toy.loss = lambda place, level: number("noise", place, level)
    log = play(text, toy)
    jobs, first = jobs_of(log), 0
    for plan in table:  # new configs go to one bracket after the other, so trials are numbered bracket by bracket
        trained = [until for trial in range(first, first + plan[0][0]) for until in jobs[trial]]
        assert [(trained.count(level), level) for _, level in plan] == plan
        assert len(trained) == sum(size for size, _ in plan)
        first += plan[0][0]
    assert log.why is Why.NOTHING_LEFT and len(jobs) == total


def test_halving_begins_again_when_it_is_done() -> None:
    jobs = jobs_of(play("sh", _rows(54, (1, 3, 9, 27), 1, 1e6)))
    for first in (0, 27):
        counts = Counter(tuple(jobs[trial]) for trial in range(first, first + 27))
        # Of three at the third rung the best goes on; in the end so do the others, and who is left below.
        assert counts == {(1, 27): 18, (1, 3, 27): 6, (1, 3, 9, 27): 3}


# -- laws of the brackets ----------------------------------------------------------------------------------------------


def test_where_the_ranking_never_changes_the_best_is_never_left_behind() -> None:
    levels = [1, 3, 9, 27]
    for text in ("sh", "hyperband", "hyperband:eta=2:grace=3", "sh:configs=10"):
        for seed in range(5):
            log = play(text, _rows(100, (1, 3, 9, 27), 4, 1e6), seed)
            trial = next(e.job.trial for e in log.events if isinstance(e, Started) and e.job.config["row"] == 0)
            jobs = jobs_of(log)[trial]
            assert jobs == levels[levels.index(jobs[0]) :], (text, seed)


def test_no_worker_waits_at_the_end_of_a_rung() -> None:
    for text in ("sh", "hyperband"):
        toy = Toy(toy_benchmark(workers=7, epochs=60), seconds=lambda place: 0.5 + number("duration", place))
        log = _play(parse_method(text), toy, 0)[1]
        busy, now = 0, 0
        for event in log.events:
            if event.time > now:
                assert busy == 7
                now = event.time
            busy += isinstance(event, Started) - isinstance(event, Ended)
        assert log.why is Why.BUDGET


@pytest.mark.usefixtures("left_alone")
@pytest.mark.parametrize("workers", [1, 3, 8])
def test_the_makespan_of_a_bracket_is_that_of_list_scheduling_rung_by_rung(workers: int) -> None:
    toy = _rows(27, (1, 3, 9, 27), workers, 1e6)
    toy.seconds = lambda place: 1 + number("duration", place)
    log = play("sh", toy, workers)
    order = [e.job.config for e in log.events if isinstance(e, Started)][:27]
    end = 0
    for index, size in enumerate((27, 9, 3, 1)):
        free = [end] * workers
        for config in order[:size]:
            spent = toy.curve(config, 0).nanoseconds
            heapreplace(free, free[0] + spent[index] - (spent[index - 1] if index else 0))
        end = max(free)
        order.sort(key=lambda config: config["row"])
    assert log.time == end


@given(st.data())
def test_brackets_are_halving_done_by_hand(data: st.DataObject) -> None:
    """Any order of reports, failures, early ends, ties and a last config: every rung is what sorting says.

    After the last config who goes on beside them is the best of the highest rung that is complete.
    """
    eta = data.draw(st.sampled_from([2, 3]))
    plans = hyperband((1, 2, 4), eta)
    last = data.draw(st.sampled_from([3, 10, math.inf]))
    sampler, brackets = Numbered(last), Brackets(plans)
    bracket_of: dict[int, int] = {}
    ended: dict[tuple[int, int], list[tuple[bool, float, int, bool]]] = defaultdict(list)
    started: dict[tuple[int, int], list[int]] = defaultdict(list)
    places: list[Place] = []
    paused: dict[int, tuple[int, float]] = {}
    """Of each trial that stands below the highest level and may go on with a finite loss that level and loss."""
    beside: set[int] = set()

    def propose(place: Place) -> Any:
        places.append(place)
        return sampler.suggest(())

    def left_behind() -> list[tuple[int, float, int]]:
        open_rungs = {(bracket_of[job.trial], job.until) for job in running}
        standing = [(trial, level, loss) for trial, (level, loss) in paused.items()]
        return sorted((-level, loss, t) for t, level, loss in standing if (bracket_of[t], level) not in open_rungs)

    running: list[Job] = []
    for _ in range(data.draw(st.integers(1, 60))):
        job = brackets.ask(propose) if len(running) < 4 else None
        if job is not None:
            if job.trial in brackets._bracket_of:
                bracket_of.setdefault(job.trial, places[-1].bracket)
                started[bracket_of[job.trial], job.until].append(job.trial)
            else:
                assert (left_behind()[0][2], job.until) == (job.trial, 4)
                beside.add(job.trial)
            paused.pop(job.trial, None)
            running.append(job)
        elif running:
            assert len(running) == 4 or not left_behind()
            job = running.pop(data.draw(st.integers(0, len(running) - 1)))
            kind = data.draw(st.sampled_from(["fails", "ends early", "reaches", "reaches", "reaches"]))
            loss = data.draw(st.sampled_from([0.0, 1.0, 2.0, math.inf]))
            status = Status.FAILED if kind == "fails" else Status.REACHED
            resource = job.until - 1 if kind == "ends early" else job.until
            assert brackets.tell(Report(job.trial, resource, (loss,), {}, 1.0, status)) == job
            if job.trial not in beside:
                ended[bracket_of[job.trial], job.until].append((kind == "fails", loss, job.trial, kind == "reaches"))
            if kind == "reaches" and loss < math.inf and job.until < 4:
                paused[job.trial] = job.until, loss
        else:
            assert not left_behind()
            break
        if len(running) < 4:
            assert last < math.inf or job is not None
    check_rungs(plans, started, ended)


def check_rungs(
    plans: list[Plan],
    started: dict[tuple[int, int], list[int]],
    ended: dict[tuple[int, int], list[tuple[bool, float, int, bool]]],
) -> None:
    """That who went on in each bracket, at each level, is who sorting says.

    Of those that ended: failed or not, loss, trial, and whether it may go on.
    """
    for (bracket, level), trials in started.items():
        plan = plans[bracket % len(plans)]
        rung = [step.level for step in plan].index(level)
        if rung == 0:
            assert len(trials) <= plan[0].size
            continue
        before = started[bracket, plan[rung - 1].level]
        ranking = sorted(ended[bracket, plan[rung - 1].level])
        assert len(ranking) == len(before)
        size = max(1, plan[rung].size * len(ranking) // plan[rung - 1].size)
        best = [trial for _, _, trial, goes_on in ranking[:size] if goes_on]
        assert trials == best[: len(trials)]


def test_who_failed_is_the_worst_and_who_ended_early_keeps_its_place() -> None:
    sampler = Numbered(6)
    halver = SuccessiveHalving(toy_benchmark(levels=(2, 4, 8)), RNG, sampler=sampler, eta=2, configs=6)
    jobs = [halver.ask() for _ in range(6)]
    said = [(-9.0, 2, "FAILED"), (0.0, 1, "REACHED"), (1.0, 2, "REACHED"), (math.inf, 2, "REACHED")]
    said += [(1.0, 2, "REACHED"), (3.0, 2, "REACHED")]
    for job, (loss, resource, status) in zip(jobs, said, strict=True):
        assert job is not None and job.until == 2 and halver.ask() is None
        assert halver.tell(Report(job.trial, resource, (loss,), {}, 1.0, Status[status])) is Decision.CONTINUE
    # Of three places above, trial 1 takes one in the ranking, though it cannot go on; equals go by their number.
    assert [halver.ask() for _ in range(2)] == [Job(2, {"x": 2.0}, 4), Job(4, {"x": 4.0}, 4)]
    # There are no more configs: of those left behind one alone has a finite loss and can go on.
    assert [halver.ask() for _ in range(2)] == [Job(5, {"x": 5.0}, 8), None]
    assert sampler.observed[:2] == [(0.0, 2, -9.0), (1.0, 2, 0.0)]


def test_a_bracket_that_the_space_cannot_fill_is_halved_as_it_is() -> None:
    log = play("sh", _rows(12, (1, 3, 9, 27), 5, 1e6))
    assert Counter(map(tuple, jobs_of(log).values())) == {(1, 27): 8, (1, 3, 27): 3, (1, 3, 9, 27): 1}
    assert log.why is Why.NOTHING_LEFT


def test_nothing_is_kept_but_who_was_left_behind() -> None:
    brackets = Brackets([halving(9, (1, 2, 4), 3)])
    for i in range(13 * 50):
        job = brackets.ask(lambda place: {"x": 1.0})
        assert job is not None
        brackets.tell(Report(job.trial, job.until, (float(i % 7),), {}, 1.0, Status.REACHED))
    assert not brackets.running and not brackets._bracket_of and not brackets._ready
    assert brackets._trials == 450 and len(brackets._left) == 50 * (6 + 2)


def test_a_plan_never_ends_below_one() -> None:
    assert halving(5, (1, 2, 3, 4), 3) == (Step(5, 1), Step(1, 2), Step(1, 3), Step(1, 4))


# -- where there are no more configs -----------------------------------------------------------------------------------


def limited(text: str, workers: int, *, troubled: bool = False) -> Toy:
    """A toy table of 40 rows whose ranking changes; troubled: some fail, some end early, some have no finite loss."""
    toy = _rows(40, tuple(range(1, 10)), workers, 1e6)
    toy.seconds = lambda place: 0.5 + number("duration", place)
    toy.loss = lambda place, level: place + number("noise", place, level)
    if troubled:
        ends, plain = {0: End.DIVERGED, 2: End.EARLY, 4: End.DIVERGED, 6: End.EARLY}, toy.loss
        toy.ends = lambda place: ends.get(int(40 * place) % 8, End.COMPLETE)
        toy.loss = lambda place, level: math.inf if int(40 * place) % 8 == 1 else plain(place, level)
    return checks.suited(parse_method(text), toy)


@pytest.mark.parametrize("troubled", [False, True])
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("text", PROMOTING)
def test_all_are_trained_to_the_end_and_nobody_idles_while_one_can_go_on(
    text: str, workers: int, troubled: bool
) -> None:
    toy = limited(text, workers, troubled=troubled)
    log = _play(parse_method(text), toy, 0)[1]
    assert log.why is Why.NOTHING_LEFT, log.error  # who failed or ended early cannot be asked for again
    jobs, running, stands, paused = dict[int, Job](), dict[int, int](), dict[int, int](), dict[int, int]()
    now = 0
    for event in log.events:
        if event.time > now:
            # At a synchronous rung those wait of whom it is not known yet whether they are among the best.
            decided = set(paused.values()) - set(running.values() if text in SYNCHRONOUS else ())
            assert len(running) == workers or not decided
            now = event.time
        if isinstance(event, Started):
            jobs[event.job.trial] = event.job
            running[event.job.trial] = event.job.until
            paused.pop(event.job.trial, None)
        elif isinstance(event, Event):
            trial, level, losses, *_, status = event.report
            stands[trial] = level
            if status is Status.REACHED and level == jobs[trial].until < 9 and math.isfinite(losses[0]):
                paused[trial] = level
        else:
            del running[event.trial]
    assert len(jobs) == 40 and not paused
    for trial, job in jobs.items():
        losses = toy.curve(job.config, 0).losses
        assert stands[trial] == len(losses) or not math.isfinite(losses[0][0])
    assert sum(level == 9 for level in stands.values()) >= (15 if troubled else 40)


@pytest.mark.parametrize("text", PROMOTING)
def test_nobody_who_is_left_behind_goes_on_while_there_are_configs(text: str, request: pytest.FixtureRequest) -> None:
    with_all = _play(parse_method(text), limited(text, 4), 0)[1]
    request.getfixturevalue("left_alone")
    alone = _play(parse_method(text), limited(text, 4), 0)[1]
    count = _last_begun(with_all) + 1
    assert with_all.events[:count] == alone.events[:count]
    assert count < len(alone.events) < len(with_all.events)


# -- BOHB --------------------------------------------------------------------------------------------------------------


def bohb_after(jobs: int, random: float, seed: int = 0) -> tuple[Bohb, list[Job], list[bool]]:
    """BOHB whose jobs were told of one by one, and of each new config whether the sampler proposed it."""
    benchmark = toy_benchmark(Space({f"x{i}": uniform(0, 1) for i in range(4)}), (1, 3, 9))
    sampler = RandomSearch(benchmark, stream("sampler", seed))
    by_sampler: list[Any] = []
    suggest = sampler.suggest
    sampler.suggest = lambda pending: by_sampler.append(suggest(pending)) or by_sampler[-1]
    bohb, done = Bohb(benchmark, stream("bohb", seed), sampler=sampler, random=random), list[Job]()
    for _ in range(jobs):
        job = bohb.ask()
        assert job is not None
        done.append(job)
        loss = math.dist(job.config.values(), [0.3] * 4) + 1 / job.until  # type: ignore[arg-type]
        bohb.tell(Report(job.trial, job.until, (loss,), {}, 1.0, Status.REACHED))
    configs = {job.trial: job.config for job in done}
    return bohb, done, [any(config is one for one in by_sampler) for config in configs.values()]


def test_bohb_has_hyperbands_brackets_and_draws_a_third_at_random() -> None:
    _, jobs, random = bohb_after(22 * 20, 0.3333)
    plan = [step.level for plan in hyperband((1, 3, 9), 3) for step in plan for _ in range(step.size)]
    assert [job.until for job in jobs] == plan * 20
    assert all(random[:7]) and np.mean(random[7:]) == pytest.approx(1 / 3, abs=0.06)
    assert all(bohb_after(60, 1)[2]) and not any(bohb_after(60, 0)[2][7:])


def test_bohb_models_the_highest_rung_that_has_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    modelled: list[tuple[int, int]] = []
    promising = Bohb._promising

    def recorded(self: Bohb, ranking: Any) -> Any:
        level = next(level for level, other in self._ranked.items() if other is ranking)
        modelled.append((level, len(ranking)))
        return promising(self, ranking)

    monkeypatch.setattr(Bohb, "_promising", recorded)
    bohb, _, _ = bohb_after(200, 0)
    levels = [level for level, _ in modelled]
    assert levels == sorted(levels) and set(levels) == {1, 3, 9}
    assert [next(n for at, n in modelled if at == level) for level in (1, 3, 9)] == [7, 7, 7]
    assert bohb._ranked[9] == sorted(bohb._ranked[9]) and len(bohb._ranked[9]) > 20


@pytest.mark.parametrize(("n", "good", "bad"), [(7, 5, 5), (9, 5, 5), (20, 5, 15), (100, 15, 85)])
def test_bohb_splits_as_the_paper_says(n: int, good: int, bad: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bohb, split, density = bohb_after(0, 0)[0], list[list[float]](), Bohb._density
    for i in range(n):
        bohb._place[i] = i
        bohb._readings.add([i / n] * 4)

    def recorded(self: Bohb, reading: Any) -> Any:
        split.append(reading.points[:, 0].tolist())
        return density(self, reading)

    monkeypatch.setattr(Bohb, "_density", recorded)
    drawn = bohb._promising([(False, float(i), i) for i in range(n)])
    assert split == [[i / n for i in range(good)], [i / n for i in range(n - bad, n)]]
    assert drawn.shape == (64, 4) and drawn[0].mean() < drawn[-1].mean()


def ranked_places(bohb: Bohb, n: int) -> list[tuple[bool, float, int]]:
    """A ranking of n random points, better the nearer they lie to .3 in each coordinate."""
    points = stream("ranked places", n).random((n, 4))
    order = np.argsort(((points - 0.3) ** 2).sum(axis=1))
    for i, point in enumerate(points[order].tolist()):
        bohb._place[i] = i
        bohb._readings.add(point)
    return [(False, float(i), i) for i in range(n)]


def test_what_bohb_keeps_between_suggestions_changes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    keeping, forgetting = bohb_after(0, 0)[0], bohb_after(0, 0)[0]
    ranking, held, made, density = ranked_places(keeping, 60), list[Any](), list[Any](), keeping._density
    ranked_places(forgetting, 60)
    monkeypatch.setattr(keeping, "_density", lambda reading: made.append(density(reading)) or made[-1])
    for n, densities in ((30, 2), (30, 2), (31, 4), (31, 4), (31, 4), (60, 6)):
        held[:] = ranking[:n]
        assert np.array_equal(keeping._promising(held), forgetting._promising([*held]))
        assert len(made) == densities


def test_of_many_trials_some_stand_for_all_and_say_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bohb = bohb_after(0, 0)[0]
    ranking, places = ranked_places(bohb, 2000), stream("places").random((300, 4))
    bohb._promising(ranking)
    some = bohb._likely.log_density(places) - bohb._unlikely.log_density(places)
    assert len(bohb._likely._reading.points) == len(bohb._unlikely._reading.points) == 250
    monkeypatch.setattr("harness.schedulers.bohb.MOST_KERNELS", 10_000)
    bohb._seen = 0
    bohb._promising(ranking)
    every = bohb._likely.log_density(places) - bohb._unlikely.log_density(places)
    assert len(bohb._unlikely._reading.points) == 1700
    assert spearmanr(some, every).statistic > 0.98


def test_bohb_gets_closer_than_random_configs_do() -> None:
    def closest(random: float, seed: int) -> float:
        return min(math.dist(job.config.values(), [0.3] * 4) for job in bohb_after(220, random, seed)[1])  # type: ignore[arg-type]

    modelled, random = (np.mean([closest(share, seed) for seed in range(6)]) for share in (0.3333, 1))
    assert modelled < 0.8 * random


# -- PASHA -------------------------------------------------------------------------------------------------------------


def test_pasha_stays_at_two_rungs_where_the_ranking_holds() -> None:
    log = play("pasha", _rows(200, (1, 3, 9, 27), 4, 1e6))
    asha = play("asha", _rows(200, (1, 3, 9, 27), 4, 1e6))
    last = _last_begun(log)
    jobs = jobs_of(replace(log, events=log.events[: last + 1]))
    assert {until for levels in jobs.values() for until in levels} == {1, 3}
    # Of the 200 at most four have not come to the first rung yet.
    assert sum(len(levels) == 2 for levels in jobs.values()) >= 196 // 3
    assert log.events[last].time < asha.events[_last_begun(asha)].time
    best = next(e.job.trial for e in log.events if isinstance(e, Started) and e.job.config["row"] == 0)
    assert jobs_of(log)[best] == [1, 3, 27]  # past the highest rung in use only when there are no more configs


def test_pasha_is_asha_where_rankings_never_hold() -> None:
    def turning(place: float, level: int) -> float:
        # Each rung turns the ranking round on a scale so much finer that the gaps at its end forgive nothing.
        rung = (1, 3, 9, 27).index(level)
        return (-1) ** rung * place * 10.0**-rung

    runs: list[list[Any]] = []
    for text in ("pasha", "asha"):
        toy = _rows(200, (1, 3, 9, 27), 4, 1e6)
        toy.loss = turning
        runs.append(play(text, toy).events)
    assert runs[0] == runs[1]
    assert any(isinstance(event, Started) and event.job.until == 27 for event in runs[0])


def test_pasha_counts_neither_failed_nor_early_ended_trials_as_disorder() -> None:
    pasha = Pasha(toy_benchmark(levels=(1, 2, 3)), RNG, sampler=Numbered(), eta=2)
    assert [job.trial for _ in range(4) if (job := pasha.ask())] == [0, 1, 2, 3]
    for trial, loss in enumerate([1.0, 2.0, 3.0, 4.0]):
        pasha.tell(Report(trial, 1, (loss,), {}, 1.0, Status.REACHED))
    assert [pasha.ask(), pasha.ask()] == [Job(0, {"x": 0.0}, 2), Job(1, {"x": 1.0}, 2)]
    pasha.tell(Report(0, 1, (9.0,), {}, 1.0, Status.REACHED))
    pasha.tell(Report(1, 2, (math.inf,), {}, 1.0, Status.FAILED))
    assert pasha.top == 1


def crosses_back_and_forth(a: list[float], b: list[float]) -> bool:
    """The paper's words: three levels in order, at which a leads, b leads, a leads, or the other way round."""
    ahead = [(x > y) - (x < y) for x, y in zip(a, b, strict=True)]
    return any(x == -y == z != 0 for x, y, z in combinations(ahead, 3))


def alike(curves: list[list[float]], lower: int) -> bool:
    """The paper's soft ranking, set by set, over curves whose last loss is that of the upper rung."""
    pairs = [(a, b) for a, b in combinations(curves, 2) if crosses_back_and_forth(a, b)]
    epsilon = float(np.quantile([abs(a[-1] - b[-1]) for a, b in pairs], 0.9)) if pairs else 0.0
    below = sorted(range(len(curves)), key=lambda i: (curves[i][lower], i))
    above = sorted(range(len(curves)), key=lambda i: (curves[i][-1], i))
    sets = [{i for i in below if abs(curves[i][lower] - curves[at][lower]) <= epsilon} for at in below]
    return all(i in soft for i, soft in zip(above, sets, strict=True))


@given(st.data())
def test_rankings_are_compared_as_the_paper_says(data: st.DataObject) -> None:
    loss = st.integers(0, data.draw(st.sampled_from([3, 30, 1000])))
    # Losses are whole numbers and gaps too: no rounding lies between the two ways.
    curves = data.draw(st.lists(st.lists(loss.map(float), min_size=5, max_size=5), min_size=1, max_size=9))
    comparison = _Comparison(3, 5)
    for n, curve in enumerate(curves, 1):
        expected = alike(curves[:n], 2)
        assert comparison.add(dict(enumerate(curve, 1))) == expected


def test_noise_forgives_a_swap_between_curves_that_cross_back_and_forth() -> None:
    steady = _Comparison(1, 3)
    assert steady.add({1: 1.0, 2: 1.0, 3: 1.0}) and not steady.add({1: 1.5, 2: 1.5, 3: 0.5})
    noisy = _Comparison(2, 4)
    assert noisy.add({1: 1.0, 2: 2.0, 3: 1.0, 4: 2.0}) and noisy.add({1: 2.0, 2: 1.9, 3: 2.0, 4: 2.1})


def test_infinite_losses_are_no_noise() -> None:
    inf = math.inf
    curves = np.array([[0.0, 2.0, 0.0, inf], [0.0, 2.0, 0.0, 5.0], [2.0, 0.0, 1.0, 0.0]])
    assert gaps_of_crossing(curves, np.array([1.0, 1.0, 1.0, 3.0])) == [2.0]
    assert gaps_of_crossing(curves, np.array([1.0, 1.0, 1.0, inf])) == []
    comparison = _Comparison(1, 2)
    assert [comparison.add(curve) for curve in ({1: inf, 2: inf}, {1: inf, 2: 1.0}, {1: 0.0, 2: 0.0})] == [True] * 3
    assert not comparison.add({1: 1.0, 2: inf})


@given(
    st.lists(st.one_of(st.integers(-9, 9).map(float), st.floats(0, 1), st.just(math.inf)), min_size=1),
    st.sampled_from([0.5, 0.9]),
)
def test_a_running_quantile_is_that_of_all_numbers(numbers: list[float], share: float) -> None:
    running = RunningQuantile(share)
    assert running.value() == 0.0
    for n, one in enumerate(numbers, 1):
        running.add(one)
        low, high = (float(np.quantile(numbers[:n], share, method=method)) for method in ("lower", "higher"))
        between = share * (n - 1) % 1
        expected = low if low == high or not between else low + between * (high - low)
        assert running.count == n and running.value() == pytest.approx(expected)


# -- the median rule ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", ":grace=3:population=2", ":population=1"])
def test_the_median_rule_is_the_papers_sentence(options: str) -> None:
    grace, population = {"": (1, 5), ":grace=3:population=2": (3, 2), ":population=1": (1, 1)}[options]
    toy = Toy(toy_benchmark(workers=5, epochs=200))
    toy.loss = lambda place, level: 3 * place + number("noise", place, level)
    toy.seconds = lambda place: 0.5 + number("duration", place)
    toy.ends = lambda place: End.DIVERGED if number("end", place) < 0.1 else End.COMPLETE
    log = _play(parse_method("median" + options), toy, 0)[1]
    said: dict[int, list[float]] = defaultdict(list)
    completed: set[int] = set()
    stops = 0
    for event, following in zip(log.events, [*log.events[1:], None], strict=True):
        if not isinstance(event, Event):
            continue
        trial, step = event.report.trial, event.report.resource
        said[trial].append(event.report.losses[0])
        averages = [sum(said[other][:step]) / step for other in completed if len(said[other]) >= step]
        worse = len(averages) >= population and step >= grace and min(said[trial]) > median(averages)
        stopped = isinstance(following, Ended) and following.reason is Reason.STOPPED
        assert stopped == (worse and event.report.status is Status.RUNNING)
        stops += stopped
        if event.report.status is not Status.RUNNING or stopped:
            completed.add(trial)
    assert stops > 10 and len(completed) > stops


def test_the_median_rule_never_stops_the_best_nor_before_enough_have_ended() -> None:
    toy = _rows(60, tuple(range(1, 10)), 1, 1e6)
    log = play("median", toy)
    ends = [event for event in log.events if isinstance(event, Ended)]
    assert {end.reason for end in ends[:5]} == {Reason.REACHED}
    assert any(end.reason is Reason.STOPPED for end in ends)
    best = next(e.job.trial for e in log.events if isinstance(e, Started) and e.job.config["row"] == 0)
    assert [end.reason for end in ends if end.trial == best] == [Reason.REACHED]


def test_equal_losses_are_not_strictly_worse() -> None:
    toy = _rows(30, (1, 2, 3), 2, 1e6)
    toy.loss = lambda place, level: 1.0
    assert {e.reason for e in play("median", toy).events if isinstance(e, Ended)} == {Reason.REACHED}


def test_a_failure_counts_as_infinite_at_its_last_level() -> None:
    rule = MedianStopping(toy_benchmark(levels=(1, 2)), RNG, sampler=Numbered(), population=1)
    for trial in range(3):
        rule.ask()
        rule.tell(Report(trial, 1, (0.0,), {}, 1.0, Status.RUNNING))
    rule.tell(Report(0, 1, (math.inf,), {}, 1.0, Status.FAILED))
    rule.ask()
    assert rule.tell(Report(3, 1, (99.0,), {}, 1.0, Status.RUNNING)) is Decision.CONTINUE
    rule.ask()
    rule.tell(Report(4, 0, (math.inf,), {}, 1.0, Status.FAILED))
    rule.tell(Report(1, 2, (0.0,), {}, 1.0, Status.REACHED))
    rule.tell(Report(2, 2, (0.0,), {}, 1.0, Status.REACHED))
    rule.ask()
    assert rule.tell(Report(5, 1, (99.0,), {}, 1.0, Status.RUNNING)) is Decision.STOP


def test_the_sampler_learns_of_each_trials_last_loss() -> None:
    sampler = Numbered()
    rule = MedianStopping(toy_benchmark(levels=(1, 2)), RNG, sampler=sampler, population=1)
    for trial, loss in enumerate([1.0, 2.0]):
        rule.ask()
        for level in (1, 2)[: 2 - trial]:
            rule.tell(Report(trial, level, (loss,), {}, 1.0, Status.REACHED if level == 2 else Status.RUNNING))
    assert sampler.observed == [(0.0, 2, 1.0), (1.0, 1, 2.0)]
