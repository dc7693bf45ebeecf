"""Each foreign optimiser tries over the pipe what it tries in its own loop, in whatever environment it has."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_oracle import EVERY_DOMAIN, NUMBERS, SEED, AtOnce, breaking_off, made, our_loop

from harness import checks
from harness.foreign._environment import python_of
from harness.foreign._process import THREADS
from harness.foreign._spaces import config_of_numbers, numbers_of
from harness.loop import Started, run
from harness.methods import Method, parse_method
from harness.simulated import Simulated
from harness.space import Space
from harness.toys import Toy, falling, toy_benchmark
from harness.types import NANOSECONDS, End, Objective

ORACLES = Path(__file__).parent / "oracles"
CASES = {
    "nevergrad:trials=20": ("NGOpt",),
    "nevergrad:trials=20:optimiser=TwoPointsDE": ("TwoPointsDE",),
    "dehb-authors": (),
    "syne-tune-asha": ("ASHA",),
    "syne-tune-bore": ("BORE",),
    "syne-tune-cqr": ("CQR",),
    "syne-tune-rea": ("REA",),
    "smac-hpo:trials=24": ("HyperparameterOptimizationFacade",),
    "smac-multifidelity:trials=24": ("MultiFidelityFacade",),
    "syne-tune-botorch": ("BOTorch",),
    "ax": (),
    "hebo": (),
    "neps-priorband": (),
}
"""Methods, and what the script of their library's own loop is told besides the seed."""
OF_EVERY_DOMAIN = [text for text in CASES if text.startswith("syne-tune")]
"""Those whose script tries the space of every domain, and says at which level each trial ended."""


def python_for(text: str) -> Path:
    """The Python that has a method's library, or a skip that says why there is none."""
    plug_in = parse_method(text).scheduler
    python = python_of(plug_in.optimiser, plug_in.requirements)
    if python is None:
        pytest.skip(f"{plug_in.name} is not installed: `python -m harness fetch {plug_in.optimiser}` makes its place")
    return python


def their_jobs(text: str, *also: str) -> list[Any]:
    """What a library's own loop trains, in order: configs, and until which level."""
    script = ORACLES / f"with_{parse_method(text).scheduler.path.stem}.py"
    argv = [str(python_for(text)), str(script), str(SEED), *CASES.get(text, ()), *also]
    # SMAC3 repeats its own loop only where strings have the same hashes; so it is started over the pipe too.
    environment = {**os.environ, **THREADS, "PYTHONHASHSEED": "0"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def our_jobs(
    text: str, space: Space, scale: float = 1, ends: Callable[[float], End] = lambda place: End.COMPLETE
) -> list[Any]:
    """The same over the pipe, in the loop that every method runs in, of losses so many times smaller."""
    toy = AtOnce(toy_benchmark(space, workers=1), lambda place, level: falling(place, level) / scale, ends=ends)
    benchmark = toy.benchmark.with_space(toy.benchmark.space.opened())
    scheduler = made(text, benchmark)
    log = run(benchmark, scheduler, Simulated(toy, 1, 0, benchmark.delays), 400 * NANOSECONDS, finished_trials=20)
    assert not log.error
    return [[dict(event.job.config), event.job.until] for event in log.events if isinstance(event, Started)]


@pytest.mark.parametrize("text", [text for text in CASES if text not in OF_EVERY_DOMAIN])
def test_the_first_twenty_configs_are_those_of_its_own_loop(text: str) -> None:
    theirs = their_jobs(text)
    assert len(theirs) >= 20 and our_jobs(text, NUMBERS)[:20] == theirs[:20]


@pytest.mark.parametrize("text", [text for text in CASES if text.startswith("smac")])
def test_where_some_fail_the_first_twenty_are_those_of_its_own_loop(text: str) -> None:
    theirs = their_jobs(text, "failures")
    assert len(theirs) >= 20 and our_jobs(text, NUMBERS, ends=breaking_off)[:20] == theirs[:20]
    assert theirs[:20] != their_jobs(text)[:20]


@pytest.mark.parametrize("text", OF_EVERY_DOMAIN)
def test_the_first_twenty_of_every_domain_end_where_they_do_in_its_own_loop(text: str) -> None:
    theirs = their_jobs(text)[:20]
    ours = our_loop(Toy(toy_benchmark(EVERY_DOMAIN, workers=1)), text, 20)[:20]
    assert len(theirs) == 20 and [[dict(config), level] for config, level in ours] == theirs
    assert (text == "syne-tune-asha") == any(level < 9 for _, level in theirs)


def test_who_takes_priors_is_given_them() -> None:
    plain = NUMBERS.to_json()
    told = Space.from_json(plain | {"rate": plain["rate"] | {"prior": {"value": 0.01, "spread": 0.1}}})
    theirs = their_jobs("neps-priorband", "prior")
    assert len(theirs) >= 20 and our_jobs("neps-priorband", told)[:20] == theirs[:20]
    assert theirs[:20] != their_jobs("neps-priorband")[:20]


def test_ifbo_runs_where_its_weights_are(tmp_path: Path) -> None:
    python, benchmark = python_for("neps-ifbo"), toy_benchmark(NUMBERS)
    with pytest.raises(ValueError, match=f"neps-ifbo cannot run on 'toy': weights absent from {tmp_path}"):
        made(f"neps-ifbo:weights={tmp_path}", benchmark)
    subprocess.run([python, ORACLES / "untrained_ifbo.py", tmp_path], capture_output=True, check=True)
    theirs = their_jobs("neps-ifbo", "ifbo", str(tmp_path))
    ours = our_jobs(f"neps-ifbo:weights={tmp_path}", NUMBERS, scale=4)
    assert len(theirs) >= 20 and ours[:20] == theirs[:20]
    assert any(level > 1 for _, level in theirs[:20])


@pytest.mark.slow
@pytest.mark.parametrize("law", checks.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("text", CASES)
def test_the_contract_is_kept(text: str, law: Callable[[Method], str]) -> None:
    python_for(text)
    if text.startswith("smac") and law is checks._ends_with_the_space:
        pytest.skip("SMAC3 gives up on a finite space before it has tried all of it")
    try:
        problem = law(parse_method(text))
    except checks.Refusal as refusal:
        assert str(refusal)
    else:
        assert problem == ""


@pytest.mark.parametrize("text", CASES)
def test_it_keeps_to_rows(text: str) -> None:
    python_for(text)
    assert checks._keeps_to_rows(parse_method(text)) == ""


@pytest.mark.parametrize("text", CASES)
def test_first_configs_of_every_domain_come_first(text: str) -> None:
    python_for(text)
    toy = Toy(toy_benchmark(EVERY_DOMAIN, epochs=30))
    first = tuple(EVERY_DOMAIN.sample(np.random.default_rng(0), 4))
    benchmark = toy.benchmark.with_space(toy.benchmark.space.opened())
    scheduler = made(text, benchmark, first)
    log = run(benchmark, scheduler, Simulated(toy, 4, 0, benchmark.delays), 30 * NANOSECONDS)
    started = [event.job.config for event in log.events if isinstance(event, Started)]
    assert not log.error and tuple(started[:4]) == first and len(started) > 8


def test_ax_takes_several_objectives() -> None:
    python_for("ax")
    objectives = (Objective("loss"), Objective("size"))
    toy = Toy(replace(toy_benchmark(NUMBERS, epochs=30), objectives=objectives))
    assert checks.studied(parse_method("ax"), toy)[1] == ""


SEVERAL = """
import json
from harness.foreign.ax import ax

study = {"seed": 3, "space": {"x": {"type": "uniform", "lower": 0.0, "upper": 1.0}}, "objectives": [{}, {}]}
optimiser, told = ax(study), []
optimiser._client.complete_trial = lambda trial, losses: told.append(losses)
optimiser.ask(0)
optimiser.tell({"trial": 0, "losses": [1.0, 2.0], "status": "reached"})
print(json.dumps(told))
"""


def test_ax_is_told_all_losses_in_their_order() -> None:
    python, project = python_for("ax"), ORACLES.parents[1]
    done = subprocess.run([python, "-c", SEVERAL], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [{"loss0": 1.0, "loss1": 2.0}]


def test_numbers_stand_for_configs_there_and_back() -> None:
    space = EVERY_DOMAIN.to_json()
    firsts = numbers_of(space, {}, None)
    rest = {name: number + 1 for name, number in firsts.items()}
    for config in EVERY_DOMAIN.sample(np.random.default_rng(0), 100):
        numbers = numbers_of(space, config, rest)
        # A table of a library may hold floats alone.
        again = config_of_numbers(space, {name: float(number) for name, number in numbers.items()})
        assert list(again) == [name for name in space if name in config]
        for name, value in config.items():
            assert again[name] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)
            assert type(again[name]) is type(value)
        inactive = space.keys() - config.keys()
        assert {name: numbers[name] for name in inactive} == {name: rest[name] for name in inactive}
        assert {name: numbers_of(space, config, None)[name] for name in inactive} == {n: firsts[n] for n in inactive}
    assert firsts["optimizer"] == firsts["batch"] == 0 and firsts["rate"] == 1e-4


FAILURES = """
import json, math
from harness.foreign.nevergrad import nevergrad

study = {"seed": 3, "workers": 1, "space": {"x": {"type": "uniform", "lower": 0.0, "upper": 1.0}}}
optimiser, rated = nevergrad(study, optimiser="PSO", trials=60), []
optimiser._optimiser.register_callback("tell", lambda optimiser, candidate, loss: rated.append(loss))
for trial in range(60):
    x = optimiser.ask(trial)["config"]["x"]
    losses = [x, 1 - x] if trial % 7 else [math.inf, math.inf]
    optimiser.tell({"trial": trial, "losses": losses, "status": "reached" if trial % 7 else "failed"})
print(json.dumps(rated))
"""


def test_a_failure_leaves_nevergrad_the_volume_that_it_rates_by() -> None:
    python, project = python_for("nevergrad"), ORACLES.parents[1]
    done = subprocess.run([python, "-c", FAILURES], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rated = json.loads(done.stdout.splitlines()[-1])
    # Only the first was not told; none can dominate more than the square.
    assert len(rated) == 59 and -1 <= np.min(rated) < 0


CRASHES = """
import json, math
from harness.foreign.smac import smac_hpo

study = {"seed": 3, "space": {"x": {"type": "uniform", "lower": 0.0, "upper": 1.0}}, "objectives": [{}]}
optimiser, told = smac_hpo(study | {"fidelity": {"levels": [1]}}), []
for trial, loss in enumerate([math.inf, 1.0, math.inf, 3.0, 2.0]):
    optimiser.ask(trial)
    status = "reached" if math.isfinite(loss) else "failed"
    optimiser.tell({"trial": trial, "losses": [loss], "resource": 1, "cost": 1.0, "status": status})
    told.append([[trial.cost, trial.status.name] for trial in optimiser._smac.runhistory.values()])
print(json.dumps(told))
"""


def test_to_smac_a_failure_is_always_a_little_worse_than_the_worst_that_did_not_fail(tmp_path: Path) -> None:
    python, project = python_for("smac-hpo"), ORACLES.parents[1]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(
        [python, "-c", CRASHES], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    unknown, lost, worst = ([cost, "CRASHED"] for cost in (2.0**31 - 1, np.nextafter(1, 2), np.nextafter(3, 4)))
    one, two, three = ([cost, "SUCCESS"] for cost in (1.0, 2.0, 3.0))
    assert json.loads(done.stdout.splitlines()[-1]) == [
        [unknown], [lost, one], [lost, one, lost], [worst, one, worst, three], [worst, one, worst, three, two]
    ]  # fmt: skip
