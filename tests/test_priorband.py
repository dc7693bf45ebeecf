"""PriorBand: its shares, its densities against scipy, what it draws, and the contract."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness import checks
from harness._parts.brackets import hyperband
from harness.methods import parse_method
from harness.randomness import number, stream
from harness.samplers.rs import RandomSearch
from harness.schedulers.priorband import PriorBand, log_density, place
from harness.space import Domain, Prior, Space, choice, loguniform, randint, uniform
from harness.toys import MIXED, toy_benchmark
from harness.types import Benchmark, Objective, Report, Status

METHOD = parse_method("priorband")
LEVELS = (1, 3, 9)


def with_prior(domain: Domain, value: Any, spread: float = 0.25) -> Domain:
    return replace(domain, prior=Prior(value, spread))


def believed(conditions: Any = None) -> Space:
    return Space(
        {
            "rate": with_prior(loguniform(1e-4, 1), 1e-2, 0.1),
            "act": with_prior(choice(["a", "b", "c"]), "b", 0.3),
            "depth": with_prior(randint(1, 8), 2, 0.2),
            "free": uniform(0, 1),
        },
        conditions,
    )


def scheduler_on(benchmark: Benchmark, rng: np.random.Generator) -> PriorBand:
    return PriorBand(benchmark, rng, sampler=RandomSearch(benchmark, rng))


def made(space: Space, seed: int = 0, **fields: Any) -> PriorBand:
    benchmark: Benchmark = replace(toy_benchmark(space.opened(), LEVELS), **fields)
    return scheduler_on(benchmark, stream("priorband", seed))


def carried_out(scheduler: PriorBand, jobs: int, loss: Any) -> list[Any]:
    found: list[Any] = []
    for _ in range(jobs):
        job = scheduler.ask()
        assert job is not None
        found.append(job)
        scheduler.tell(Report(job.trial, job.until, (loss(job.config),), {}, 1.0, Status.REACHED))
    return found


@pytest.mark.parametrize("law", [checks._is_legal, checks._repeats, checks._survives_failures, checks._works_with_many])
def test_the_contract_is_kept_with_priors(law: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hyperparameters: dict[str, Any] = dict(MIXED.domains)
    hyperparameters["rate"] = with_prior(MIXED.domains["rate"], 1e-2)
    hyperparameters["optimizer"] = with_prior(MIXED.domains["optimizer"], "adam")
    hyperparameters["momentum"] = with_prior(MIXED.domains["momentum"], 0.9, 0.05)
    known = Space(hyperparameters, MIXED.conditions)
    monkeypatch.setattr(checks, "toy_benchmark", lambda **fields: toy_benchmark(known, **fields))
    assert law(METHOD) == ""


def test_what_it_cannot_do_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="no rung below it"):
        scheduler_on(toy_benchmark(levels=(7,)), stream("refused"))
    with pytest.raises(ValueError, match="priorband minimises one objective, but 'toy' has 2"):
        made(MIXED, objectives=(Objective("loss"), Objective("size")))


def test_its_brackets_are_hyperbands() -> None:
    jobs = carried_out(made(believed()), 22, lambda config: config["free"])
    assert [job.until for job in jobs] == [
        s.level for plan in hyperband(LEVELS, 3) for s in plan for _ in range(s.size)
    ]


def test_the_prior_is_trusted_eta_times_more_at_each_rung() -> None:
    scheduler = made(believed())
    for rung in range(3):
        random, prior, incumbent = scheduler.shares(rung)
        assert prior == pytest.approx(3**rung * random) and incumbent == 0 and random + prior == pytest.approx(1)


def test_densities_are_those_of_scipy_and_sum_to_one() -> None:
    space = believed()
    config = {"rate": 0.03, "act": "b", "depth": 5, "free": 0.9}
    law = {name: domain.prior for name, domain in space.domains.items() if domain.prior}
    expected = math.log(0.7 + 0.3 / 3)
    for name, value in (("rate", 0.1), ("depth", 0.2)):
        centre, at = (space.domains[name].encode(v)[0] for v in (law[name].value, config[name]))
        expected += stats.truncnorm.logpdf(at, -centre / value, (1 - centre) / value, centre, value)
    (density,) = log_density(space, np.array([place(space, config)]), law)
    assert density == pytest.approx(expected)
    line = Space({"x": uniform(0, 1)})
    middles = (np.arange(10_000)[:, None] + 0.5) / 10_000
    for spread in (0.05, 0.25, 3.0):
        assert np.exp(log_density(line, middles, {"x": Prior(0.1, spread)})).mean() == pytest.approx(1, abs=1e-6)
        fork = Space({"c": choice(["a", "b", "c", "d"])})
        chances = np.exp(log_density(fork, np.arange(4.0)[:, None], {"c": Prior("c", spread)}))
        assert chances.sum() == pytest.approx(1) and chances.argmax() == (2 if spread < 1 else 0)


def test_what_is_inactive_counts_for_nothing() -> None:
    space = believed({"depth": {"act": ["a"]}})
    law = {"depth": Prior(2, 0.2)}
    assert log_density(space, np.array([place(space, {"rate": 1.0, "act": "b", "free": 0.5})]), law) == math.log(1 / 3)


def test_draws_from_the_prior_have_its_density() -> None:
    """The histogram of `Space.sample_prior` is what `log_density` says."""
    space = believed()
    law = {name: domain.prior for name, domain in space.domains.items() if domain.prior}
    drawn = space.sample_prior(stream("draws"), 4000)
    for name in ("act", "depth"):
        values = space.domains[name].grid(8)
        line = Space({name: space.domains[name]})
        density = np.exp(log_density(line, np.array([place(line, {name: v}) for v in values]), law))
        counts = [sum(config[name] == value for config in drawn) / len(drawn) for value in values]
        assert np.allclose(counts, density / density.sum(), atol=0.03)


def odds_by_hand(space: Space, ranking: list[Any], incumbent: Any) -> float:
    """The prior's odds: densities summed with the weights n, n - 1, ..., 1, one config and hyperparameter at a time."""
    sums = []
    for law in ({n: d.prior for n, d in space.domains.items() if d.prior}, {n: Prior(v) for n, v in incumbent.items()}):
        total = 0.0
        for weight, config in zip(range(len(ranking), 0, -1), ranking, strict=True):
            density = 1.0
            for name, prior in law.items():
                domain = space.domains[name]
                if name == "act":
                    density *= prior.spread / 3 + (1 - prior.spread) * (config[name] == prior.value)
                    continue
                centre, at = domain.encode(prior.value)[0], domain.encode(config[name])[0]
                cut = -centre / prior.spread, (1 - centre) / prior.spread
                density *= stats.truncnorm.pdf(at, *cut, centre, prior.spread)
            if "act" not in law:
                density /= 3
            total += weight * density
        sums.append(total)
    return sums[0] / sum(sums)


def test_prior_and_incumbent_share_by_how_likely_they_make_the_best() -> None:
    space, scheduler = believed(), made(believed())
    loss: Any = lambda config: number("loss", *config.values())  # noqa: E731
    jobs = carried_out(scheduler, 13, loss)  # one bracket: one trial has come to the highest level
    ranking = sorted({job.trial: job.config for job in jobs if job.until == 3}.values(), key=loss)
    incumbent = jobs[-1].config
    random, prior, around = scheduler.shares(1)
    assert random == pytest.approx(1 / 4) and random + prior + around == pytest.approx(1)
    assert prior / (prior + around) == pytest.approx(odds_by_hand(space, ranking[:3], incumbent))
    jobs += carried_out(scheduler, 200, loss)
    ranking = sorted({job.trial: job.config for job in jobs if job.until == 9}.values(), key=loss)
    _, prior, around = scheduler.shares(0)
    best = ranking[: math.ceil(len(ranking) / 3)]
    assert len(best) > 3 and prior / (prior + around) == pytest.approx(odds_by_hand(space, best, ranking[0]))


def test_around_the_incumbent_half_of_the_hyperparameters_move() -> None:
    space = Space({f"x{i}": uniform(0, 1) for i in range(8)} | {"c": choice(["a", "b", "c"])})
    scheduler = made(space)
    incumbent = {f"x{i}": 0.5 for i in range(8)} | {"c": "b"}
    drawn = [scheduler._around(incumbent) for _ in range(2000)]
    moved = np.array([[config[f"x{i}"] for i in range(8)] for config in drawn])
    assert np.mean(moved != 0.5) == pytest.approx(0.5, abs=0.02)
    law = stats.truncnorm(-2, 2, 0.5, 0.25)
    assert stats.kstest(moved[moved != 0.5], law.cdf).pvalue > 0.001
    assert np.mean([config["c"] == "b" for config in drawn]) == pytest.approx(2 / 3, abs=0.04)


def test_what_the_incumbent_lacks_comes_from_the_space() -> None:
    space = believed({"depth": {"act": ["a"]}})
    scheduler = made(space)
    for _ in range(200):
        config = scheduler._around({"rate": 0.1, "act": "b", "free": 0.5})
        space.check(config)
        assert ("depth" in config) == (config["act"] == "a")


def test_at_the_lowest_rung_half_of_the_configs_are_random() -> None:
    space = Space({"x": with_prior(uniform(0, 1), 0.2, 0.001)})
    benchmark = toy_benchmark(space, tuple(3**k for k in range(7)))
    scheduler = scheduler_on(benchmark, stream("shares"))
    configs = [job.config["x"] for job in carried_out(scheduler, 729, lambda config: config["x"])]
    assert np.mean([abs(x - 0.2) < 0.01 for x in configs]) == pytest.approx(0.5 + 0.02 * 0.5, abs=0.06)


def test_a_good_prior_helps_and_a_bad_one_is_outgrown() -> None:
    def best(prior: float | None) -> float:
        space = Space({f"x{i}": uniform(0, 1) if prior is None else with_prior(uniform(0, 1), prior) for i in range(5)})
        distance: Any = lambda config: math.dist(config.values(), [0.3] * 5)  # noqa: E731
        return float(np.mean([
            min(distance(job.config) for job in carried_out(made(space, seed), 150, distance)) for seed in range(5)
        ]))  # fmt: skip

    without = best(None)
    assert best(0.3) < without and best(0.95) < 1.6 * without


def test_failed_and_early_ended_trials_are_no_incumbents() -> None:
    scheduler = made(believed())
    for _ in range(50):
        job = scheduler.ask()
        assert job is not None
        kind = (Status.REACHED, Status.FAILED)[job.trial % 2]
        below = max(level for level in (0, *LEVELS) if level < job.until)  # where a trial may have counted before
        resource = job.until if kind is Status.FAILED else below
        scheduler.tell(Report(job.trial, resource, (1.0,), {}, 1.0, kind))
    assert scheduler.shares(2)[2] == 0 and not any(scheduler._reached.values())


def test_a_training_that_ends_at_the_rung_from_which_it_went_on_counts_there_once() -> None:
    scheduler, early = made(believed()), 0
    stands: dict[int, int] = {}
    for _ in range(50):
        job = scheduler.ask()
        assert job is not None
        resource = stands.setdefault(job.trial, job.until)
        early += resource < job.until
        scheduler.tell(Report(job.trial, resource, (number("loss", job.trial),), {}, 1.0, Status.REACHED))
    assert early
    for ranking in scheduler._reached.values():
        trials = [trial for _, trial in ranking]
        assert len(set(trials)) == len(trials)


def test_rows_are_proposed_once_each() -> None:
    space = believed()
    rows = space.sample(stream("rows"), 60)
    scheduler = made(space.restricted(rows))
    trials: set[int] = set()
    while (job := scheduler.ask()) is not None:
        trials.add(job.trial)
        scheduler.tell(Report(job.trial, job.until, (number("loss", job.trial),), {}, 1.0, Status.REACHED))
    assert len(trials) == 60
