"""What a method would hand over: it is asked where jobs end, being asked changes nothing, and silence is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_reports import SMALL, fake
from toys import Scripted, play, toy_benchmark, toy_data

from harness import checks
from harness._parts.gp import Factor
from harness._parts.observations import standardised
from harness.comparison import Arm, Comparison
from harness.compose import comparisons, survival
from harness.compose.studies import run_simulated, studies_of
from harness.frames import frames
from harness.loop import Ended, Why
from harness.methods import parse_method
from harness.names import ROOT
from harness.proposals import FirstConfigs
from harness.samplers.gp import GaussianProcessSampler
from harness.samplers.rs import RandomSearch
from harness.schedulers.asha import Asha
from harness.schedulers.single import Single
from harness.space import Config, Space, uniform
from harness.study import KINDS, Study, record
from harness.trace import check_trace
from harness.types import Job, Recommends, recommended
from reports import drawing, incumbent, tables
from reports.summary import summarise
from surrogates import table

RECOMMENDED = KINDS.index("recommended")


class Saying(Scripted):
    """A scripted scheduler that recommends what it is given, one config after another, each time it is asked."""

    def __init__(self, jobs: list[Job], says: Iterable[Config | None]) -> None:
        super().__init__(jobs)
        self.says = iter(says)

    def recommend(self) -> Config | None:
        return next(self.says)


# The loop


def jobs_of(count: int) -> list[Job]:
    configs = toy_data().configs
    return [Job(trial, configs[trial], 2) for trial in range(count)]


def test_a_scheduler_is_asked_where_a_job_ends_and_changes_of_mind_are_noted() -> None:
    jobs = jobs_of(4)
    scheduler = Saying(jobs, [None, jobs[0].config, jobs[0].config, jobs[1].config])
    log = play(scheduler, recommends=True)
    ends = [place for place, event in enumerate(log.events) if isinstance(event, Ended)]
    assert len(ends) == 4 and list(scheduler.says) == []
    assert [(said.events - 1, said.trial) for said in log.recommended] == [(ends[1], 0), (ends[3], 1)]
    assert all(log.events[said.events - 1].time == said.time for said in log.recommended)


def test_nobody_is_asked_unless_that_is_wanted() -> None:
    scheduler = Saying(jobs_of(2), [None, None])
    assert play(scheduler).recommended == [] and len(list(scheduler.says)) == 2


def test_what_is_raised_where_it_is_asked_ends_the_study() -> None:
    log = play(Saying(jobs_of(2), []), recommends=True)
    assert log.why is Why.ERROR and "StopIteration" in log.error


def test_a_config_of_no_trial_cannot_be_recommended() -> None:
    log = play(Saying(jobs_of(2), [toy_data().configs[7]]), recommends=True)
    assert log.why is Why.ERROR and "which is the config of no trial" in log.error


def test_of_trials_with_one_config_the_one_trained_furthest_is_meant() -> None:
    config = toy_data().configs[0]
    log = play(Saying([Job(0, config, 3), Job(1, config, 1)], [config, config]), recommends=True)
    assert [said.trial for said in log.recommended] == [1, 0]


def test_what_is_recommended_stands_among_the_events_where_it_was_said() -> None:
    jobs = jobs_of(2)
    log = play(Saying(jobs, [None, jobs[0].config]), recommends=True)
    study = Study("saying", {"name": "saying"}, toy_benchmark(), "toy data", 0, recommends=True)
    done = record(study, log, 0.0)
    assert check_trace(done) == []
    (place,) = np.flatnonzero(done.kind == RECOMMENDED).tolist()
    assert KINDS[done.kind[place - 1]] == "ended" and done.time[place] == done.time[place - 1]
    assert len(done.kind) == len(log.events) + 1
    _, events = frames([done])
    row = events.iloc[place]
    assert (row["kind"], row["trial"], row["reason"]) == ("recommended", 0, "") and np.isnan(row["loss"])
    path = incumbent.trajectories(events, {"toy": 4}, "recommend")["saying", "toy", 0]
    assert (path.trials[-1], path.times[-1]) == (0, row["time"])
    early = replace(done, trial=np.where(done.kind == RECOMMENDED, 5, done.trial).astype(np.int32))
    assert any("trial 5 is recommended before it has reported" in problem for problem in check_trace(early))


# Who recommends


def test_who_recommends_is_read_from_the_source() -> None:
    said = {name: parse_method(name).recommends for name in ("rs", "asha", "bo", "mobster", "tpe", "pbt")}
    assert said == {"rs": False, "asha": False, "bo": True, "mobster": True, "tpe": False, "pbt": False}


@pytest.mark.parametrize("scheduler", [Single, Asha])
def test_a_scheduler_recommends_what_its_sampler_does(scheduler: Any) -> None:
    benchmark = toy_benchmark().with_space(toy_benchmark().space.opened())
    rng = np.random.default_rng(0)
    silent = scheduler(benchmark, rng, sampler=FirstConfigs(RandomSearch(benchmark, rng), []))
    assert recommended(silent) is None
    sampler = GaussianProcessSampler(benchmark, rng)
    loud = scheduler(benchmark, rng, sampler=FirstConfigs(sampler, []))
    assert isinstance(sampler, Recommends) and recommended(loud) is None  # nothing was observed yet
    for _ in range(5):
        config = sampler.suggest([])
        assert config is not None
        sampler.observe(config, 4, (float(config["lr"]),))  # type: ignore[arg-type]
    assert recommended(loud) is sampler.recommend() is not None


def test_a_method_that_recommends_what_it_has_not_seen_or_decides_otherwise_when_asked_is_found(
    tmp_path: Path,
) -> None:
    source = (ROOT / "samplers" / "rs.py").read_text(encoding="utf-8")
    proposed = "            if self._space.claim(config := self._drawn.pop()):\n"
    assert proposed in source and "    def observe" in source
    source = source.replace(proposed, f"{proposed}                self.last = config\n")
    head, _, _ = source.partition("    def observe")
    for name, observe, words in (
        ("eager", EAGER, "is recommended before it has reported"),
        ("swayed", SWAYED, "being asked changes what it does"),
        ("mute", MUTE, "never recommends anything"),
    ):
        path = tmp_path / f"{name}.py"
        path.write_text(head + observe, encoding="utf-8")
        method = parse_method(f"single:sampler={path}")
        assert words in checks._recommends_what_it_knows(method)


EAGER = '''    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Look at what runs."""

    def recommend(self) -> Config | None:
        """What was proposed last, as if it were known."""
        return self.last
'''
SWAYED = '''    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Keep it."""
        self.kept = config

    def recommend(self) -> Config | None:
        """Draw a number on the way."""
        self._rng.random()
        return self.kept
'''
MUTE = '''    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        """Forget it."""

    def recommend(self) -> Config | None:
        """Nothing."""
        return None
'''


# The posterior mean


SQUARE = Space({"x": uniform(0.0, 1.0)})


def told(seed: int, count: int = 14) -> tuple[GaussianProcessSampler, list[Config], np.ndarray]:
    """A sampler that was told of random configs with a noisy loss, and has proposed one."""
    benchmark = replace(toy_benchmark(), space=SQUARE.opened())
    rng = np.random.default_rng(seed)
    sampler = GaussianProcessSampler(benchmark, np.random.default_rng(seed))
    configs: list[Config] = [{"x": float(x)} for x in rng.random(count)]
    losses = (np.array([one["x"] for one in configs], dtype=float) - 0.4) ** 2 + 0.1 * rng.standard_normal(count)
    for config, loss in zip(configs, losses, strict=True):
        sampler.observe(config, 4, (float(loss),))
    assert sampler.suggest([]) is not None
    return sampler, configs, losses


def test_the_lowest_posterior_mean_is_recommended_and_not_the_luckiest_loss() -> None:
    differing = 0
    for seed in range(6):
        sampler, configs, losses = told(seed)
        model = sampler._model
        inputs, _ = model.at(4)
        means = model.posterior().mean(model.warping(inputs))
        assert sampler.recommend() == configs[int(np.argmin(means))]
        differing += int(np.argmin(means) != np.argmin(losses))
    assert differing > 0


def test_a_belief_is_the_posterior_under_what_was_fitted_last_and_leaves_all_as_it_is() -> None:
    sampler, configs, losses = told(0)
    model = sampler._model
    fitted = model._factor
    assert fitted is not None
    more: list[tuple[Config, float]] = [({"x": 0.11}, 0.3), ({"x": 0.77}, np.inf)]
    for config, loss in more:
        sampler.observe(config, 4, (loss,))
    points = np.column_stack([np.linspace(0, 1, 9), model.at(4)[0][0, -1] * np.ones(9)])
    belief = model.belief()
    assert belief is not None
    whole = Factor.of(fitted.hyperparameters, model.warping(np.array(model._inputs)))
    expected = whole.posterior(standardised(np.append(losses, [0.3, np.inf])))
    np.testing.assert_allclose(belief.mean(points), expected.mean(points), rtol=1e-8, atol=1e-10)
    assert model._factor is fitted and model._seen == len(losses)
    assert sampler.recommend() in [*configs, {"x": 0.11}]


def test_who_failed_is_never_recommended_however_well_it_is_thought_of(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler, configs, _ = told(0)
    sampler.observe({"x": 0.5}, 4, (np.inf,))
    latest_best = SimpleNamespace(mean=lambda inputs: -np.arange(len(inputs)))
    monkeypatch.setattr(sampler._model, "belief", lambda: latest_best)
    assert sampler.recommend() == configs[-1]


# The rule among the settings of a comparison


@pytest.fixture
def problem(tmp_path: Path) -> str:
    table.save(toy_data(rows=40), tmp_path / "toy")
    return str(tmp_path / "toy")


def compared(problem: str, *methods: str) -> Comparison:
    return Comparison(tuple(Arm(name, name) for name in methods), (problem,), (0, 1))


def test_what_a_study_depends_on_says_that_it_was_asked(problem: str) -> None:
    study = studies_of(compared(problem, "bo"))[0]
    asked = replace(study, recommends=True)
    assert "recommends" not in study.spec() and asked.key != study.key
    assert Study.from_spec(asked.spec()) == asked
    plain, said = run_simulated(study.spec()), run_simulated(asked.spec())
    kept = said.kind != RECOMMENDED
    assert 0 < (~kept).sum() < len(kept)
    for name in ("kind", "time", "trial", "resource"):
        assert np.array_equal(getattr(said, name)[kept], getattr(plain, name))
    _, events = frames([said])
    told_of = events.loc[events["kind"] == "recommended", ["time", "trial"]].drop_duplicates("time", keep="last")
    path = incumbent.trajectories(events, {"toy": 4}, "recommend")["bo", "toy", 0]
    first = float(told_of["time"].iloc[0])
    steps = pd.DataFrame({"time": path.times, "trial": path.trials})
    assert steps[steps["time"] >= first].to_numpy().tolist() == told_of.astype(float).to_numpy().tolist()


def test_the_rule_is_a_setting_where_a_method_recommends(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survival, "_changes", lambda *_: [])
    monkeypatch.setattr(drawing, "FORMATS", {"svg": drawing.FORMATS["svg"]})
    comparison, out = compared(problem, "rs", "bo"), tmp_path / "out"
    comparisons.compare(comparison, out, command="compare", jobs=1)
    done = survival.survive(out, command="survive", jobs=1)
    assert [(outcome.arm, outcome.error) for outcome in done.outcomes] == [("bo", ""), ("bo", "")]
    assert "rule recommend" in [row[0] for row in done.told.marks.rows]
    page = (out / "survival" / "index.html").read_text(encoding="utf-8")
    assert "rs: says nothing, so held is what the rule maxfid says" in page


def test_where_no_method_recommends_that_is_said(problem: str) -> None:
    comparison = compared(problem, "rs", "asha")
    studies = studies_of(comparison)
    assert "rule recommend" not in [one.name for one in survival.settings_of(comparison, studies)]
    assert survival.silent(studies) == {
        "not possible: rule recommend": "no method says which config it would hand over: rs, asha"
    }
    assert survival.silent(studies_of(compared(problem, "bo", "mobster"))) == {}


def test_a_report_by_that_rule_names_who_recommends_nothing() -> None:
    studies, events, facts = fake(2, SMALL, failed=False)
    said = events[(events["arm"] == "asha") & (events["kind"] == "ended") & (events["reason"] != "cut")]
    events = pd.concat([events, said.assign(kind="recommended", reason="")]).sort_values("time", kind="stable")
    for rule, silent in (("maxfid", []), ("recommend", ["rs", "mobster"])):
        found = summarise(studies, events, facts, rule)
        assert list(found.silent) == silent
        assert any("No recommendation of rs and mobster" in note for note in tables.notes(found)) == bool(silent)
