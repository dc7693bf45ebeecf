"""Optuna as a foreign optimiser: it decides what it decides by itself, keeps our contract, and says what it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from foreign_oracle import EVERY_DOMAIN, NUMBERS, SEED, Tried, made, our_loop

from harness import checks
from harness.foreign import _process
from harness.loop import Ended, Reason, Started, run
from harness.methods import Method, parse_method
from harness.simulated import Simulated
from harness.space import Config, Space
from harness.toys import MIXED, Toy, toy_benchmark
from harness.types import NANOSECONDS, Fidelity, Objective

optuna = pytest.importorskip("optuna", reason="the extra `optuna` is not installed")
optuna.logging.set_verbosity(optuna.logging.ERROR)


def by_hand(trial: Any) -> Config:
    """A config as a user of Optuna writes it down."""
    config = {
        "rate": trial.suggest_float("rate", 1e-4, 1.0, log=True),
        "momentum": 1 - trial.suggest_float("momentum", 1 - 0.999, 1 - 0.5, log=True),
        "width": trial.suggest_int("width", 4, 512, log=True),
        "layers": trial.suggest_int("layers", 1, 6),
        "optimizer": trial.suggest_categorical("optimizer", ["sgd", "adam", "lion"]),
    }
    if config["optimizer"] != "adam":
        config["decay"] = trial.suggest_float("decay", 0.0, 0.1)
    return config | {"batch": [8, 16, 32, 64][trial.suggest_int("batch", 0, 3)]}


def numbers_by_hand(trial: Any) -> Config:
    return {"rate": trial.suggest_float("rate", 1e-4, 1.0, log=True), "share": trial.suggest_float("share", 0.0, 1.0)}


def their_loop(toy: Toy, suggest: Callable[[Any], Config], sampler: Any, pruner: Any, n: int) -> Tried:
    """What Optuna's own loop tries on a toy."""
    tried: Tried = []

    def objective(trial: Any) -> float:
        config = suggest(trial)
        curve, levels = toy.curve(config, 0), toy.benchmark.fidelity.levels
        tried.append((config, 0))
        for level, losses in zip(levels, curve.losses, strict=True):
            tried[-1] = (config, level)
            trial.report(losses[0], level)
            if trial.should_prune():
                raise optuna.TrialPruned
        return curve.losses[-1][0]

    study = optuna.create_study(study_name=f"foretune-{SEED}", sampler=sampler, pruner=pruner)
    study.optimize(objective, n_trials=n)
    return tried


@pytest.mark.parametrize("pruner", ["none", "median", "halving", "hyperband"])
def test_tpe_tries_what_optunas_own_loop_tries(pruner: str) -> None:
    toy = Toy(toy_benchmark(EVERY_DOMAIN, workers=1))
    pruners = {
        "none": optuna.pruners.NopPruner(),
        "median": optuna.pruners.MedianPruner(),
        "halving": optuna.pruners.SuccessiveHalvingPruner(min_resource=1),
        "hyperband": optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9),
    }
    theirs = their_loop(toy, by_hand, optuna.samplers.TPESampler(seed=SEED), pruners[pruner], 20)
    ours = our_loop(toy, f"optuna-tpe:pruner={pruner}", 20)
    assert len(theirs) == 20 and ours[:20] == theirs
    assert (pruner != "none") == any(level < 9 for _, level in theirs)


def test_hyperband_gives_trials_to_other_brackets_at_another_seed() -> None:
    from harness.foreign import optuna as adapter

    benchmark = toy_benchmark(NUMBERS)
    study = {part: benchmark.to_json()[part] for part in ("space", "objectives", "fidelity")}

    def brackets(seed: int) -> list[int]:
        optimiser = adapter.optuna_tpe({"seed": seed} | study, pruner="hyperband")
        for trial, loss in enumerate(np.linspace(0.0, 1.0, 30)):
            optimiser.ask(trial)
            optimiser.tell({"trial": trial, "resource": 1, "losses": [loss], "status": "running"})
        theirs = optimiser._study
        return [theirs.pruner._get_bracket_id(theirs, trial) for trial in theirs.trials]

    first, again, other = brackets(1), brackets(1), brackets(2)
    assert first == again != other and set(first) == set(other) == {0, 1, 2}


@pytest.mark.parametrize("name", ["gp", "cmaes"])
def test_gp_and_cmaes_try_what_optunas_own_loop_tries(name: str) -> None:
    toy = Toy(toy_benchmark(NUMBERS, workers=1))
    samplers = {"gp": optuna.samplers.GPSampler, "cmaes": optuna.samplers.CmaEsSampler}
    theirs = their_loop(toy, numbers_by_hand, samplers[name](seed=SEED), optuna.pruners.NopPruner(), 20)
    assert our_loop(toy, f"optuna-{name}", 20) == theirs


@pytest.mark.parametrize("law", checks.LAWS, ids=lambda law: law.__name__)
def test_tpe_with_a_pruner_keeps_the_contract(law: Callable[[Method], str]) -> None:
    assert law(parse_method("optuna-tpe:pruner=hyperband")) == ""


@pytest.mark.slow
@pytest.mark.parametrize("text", ["optuna-gp:pruner=halving", "optuna-cmaes:pruner=median"])
def test_gp_and_cmaes_keep_the_contract(text: str) -> None:
    findings = checks.check_method(parse_method(text))
    assert [finding for finding in findings if finding.problem] == []


@pytest.mark.parametrize("text", ["optuna-gp", "optuna-cmaes"])
def test_gp_and_cmaes_keep_to_rows(text: str) -> None:
    assert checks._keeps_to_rows(parse_method(text)) == ""


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes"])
def test_it_learns_from_the_config_that_was_trained(name: str) -> None:
    from harness.foreign import optuna as adapter

    benchmark = toy_benchmark(EVERY_DOMAIN)
    study = {"seed": 3} | {part: benchmark.to_json()[part] for part in ("space", "objectives", "fidelity")}
    optimiser = getattr(adapter, f"optuna_{name}")(study)
    rows = EVERY_DOMAIN.sample(np.random.default_rng(1), 12)
    for trial, row in enumerate(rows):
        assert EVERY_DOMAIN.check(optimiser.ask(trial)["config"]) is None
        assert optimiser.take(trial, row) == {}
        told = {"trial": trial, "resource": 9, "losses": [float(trial)], "status": "reached"}
        assert optimiser.tell(told) == "continue"
    complete = [trial for trial in optimiser._study.trials if trial.state.name == "COMPLETE"]
    assert [trial.value for trial in complete] == list(range(12))
    for trial, row in zip(complete, rows, strict=True):
        wanted = {name: adapter.inside(EVERY_DOMAIN.to_json()[name], value) for name, value in row.items()}
        assert trial.params == wanted
        # The first trial belongs to no generation in Optuna's own loop either.
        assert name != "cmaes" or trial == complete[0] or "cma:generation" in trial.system_attrs
    assert all(trial.state.name == "FAIL" for trial in optimiser._study.trials if trial not in complete)


def test_first_configs_are_its_first_trials_and_pruned_like_others() -> None:
    toy = Toy(toy_benchmark(MIXED, epochs=40))
    first = tuple(MIXED.sample(np.random.default_rng(0), 4))
    benchmark = toy.benchmark.with_space(toy.benchmark.space.opened())
    scheduler = made("optuna-tpe:pruner=halving", benchmark, first)
    log = run(benchmark, scheduler, Simulated(toy, 4, 0, benchmark.delays), 40 * NANOSECONDS)
    started = [event.job.config for event in log.events if isinstance(event, Started)]
    assert tuple(started[:4]) == first and len(started) > 8
    stopped = {event.trial for event in log.events if isinstance(event, Ended) and event.reason is Reason.STOPPED}
    assert stopped & {0, 1, 2, 3}


def test_studies_share_a_process_and_do_not_see_each_other() -> None:
    toy = Toy(toy_benchmark(NUMBERS, workers=1))
    alone = our_loop(toy, "optuna-tpe", 15)
    served = {program for argv, program in _process._idle.items() if argv[-1].endswith("optuna.py")}
    our_loop(toy, "optuna-cmaes", 3)
    assert our_loop(toy, "optuna-tpe", 15) == alone
    assert {program for argv, program in _process._idle.items() if argv[-1].endswith("optuna.py")} == served


SEVERAL = (Objective("loss"), Objective("size"))


def test_several_objectives_are_optimised_together() -> None:
    toy = Toy(replace(toy_benchmark(NUMBERS, epochs=100), objectives=SEVERAL))
    assert checks.studied(parse_method("optuna-tpe"), toy)[1] == ""


def test_several_objectives_are_told_in_their_order() -> None:
    from harness.foreign import optuna as adapter

    benchmark = replace(toy_benchmark(NUMBERS), objectives=SEVERAL)
    study = {"seed": 3} | {part: benchmark.to_json()[part] for part in ("space", "objectives", "fidelity")}
    optimiser = adapter.optuna_tpe(study)
    optimiser.ask(0)
    told = {"trial": 0, "resource": 9, "losses": [1.0, 2.0], "status": "reached"}
    assert optimiser.tell(told) == "continue"
    (trial,) = optimiser._study.trials
    assert (trial.state.name, trial.values) == ("COMPLETE", [1.0, 2.0])
    assert [direction.name for direction in optimiser._study.directions] == ["MINIMIZE", "MINIMIZE"]


@pytest.mark.parametrize(
    ("text", "fields", "words"),
    [
        ("optuna-cmaes", {"objectives": SEVERAL}, "CMA-ES has one objective"),
        ("optuna-tpe:pruner=median", {"objectives": SEVERAL}, "prunes by one objective, here are 2"),
        ("optuna-tpe:pruner=median", {"fidelity": Fidelity("epoch", (9,))}, "nothing to prune at"),
        ("optuna-tpe:pruner=halving", {"fidelity": Fidelity("fold", (1, 5), continues=False)}, "nothing to prune at"),
        (
            "optuna-gp",
            {"space": Space.from_json({"x": NUMBERS.to_json()["share"] | {"prior": {"value": 0.5}}})},
            "takes no priors, here of x",
        ),
    ],
)
def test_what_it_cannot_do_it_says_at_the_door(text: str, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"{text.partition(':')[0]} cannot run on 'toy': .*{words}"):
        made(text, replace(toy_benchmark(), **fields))


def test_a_pruner_that_it_lacks_is_bad_usage() -> None:
    with pytest.raises(ValueError, match="optuna-tpe: pruner must be one of none, median, halving, hyperband, given"):
        made("optuna-tpe:pruner=asha", toy_benchmark())
