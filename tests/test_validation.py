"""Real against simulated: what agrees is said to agree, the rest is not; a validation goes on after any end."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner

from harness import catalog
from harness.__main__ import app
from harness.command import Command
from harness.compose import studies, trainings, validation
from harness.compose.declarations import comparison_of
from harness.compose.replays import replay_journal
from harness.compose.trainings import JOURNAL
from harness.journal import read
from harness.lines import LineWriter, read_lines
from harness.loop import Started, run
from harness.names import PROJECT
from harness.simulated import Simulated
from harness.space import Space, uniform
from harness.study import record
from harness.types import NANOSECONDS, Benchmark, Delays, Fidelity, Objective
from reports import agreement
from reports import validation as pages
from reports.agreement import OUTSIDE, UNKNOWN, UNSETTLED, WITHIN, World
from surrogates.table import Table, TableData, save

SCRIPTS = Path(__file__).parent / "scripts"
DELAYS = Delays(start_up=0.2, restore=0.05, save=0.02, leave=0.1)
LEVEL = 0.5
"""Seconds of a level."""


def data(name: str, seconds: float = LEVEL, worse: float = 0.0) -> TableData:
    """The curves of tests/scripts/toy.py on a grid."""
    benchmark = Benchmark(
        name, Space({"x": uniform(0.0, 1.0)}), (Objective("loss"),), Fidelity("epoch", tuple(range(1, 10))),
        budget=40.0, workers=2, test_metric="test_loss", delays=DELAYS,
    )  # fmt: skip
    x, levels = (np.arange(101) / 100)[:, None, None], np.arange(1, 10.0)
    values = np.stack(np.broadcast_arrays(x + 1 / levels + worse, x), axis=-1)
    spent = np.broadcast_to(seconds * levels, (101, 1, 9)).copy()
    configs = tuple({"x": value} for value in x.ravel().tolist())
    ends = np.zeros((101, 1), dtype=np.int8)
    return TableData(benchmark, configs, ("iid",) * 101, (1,), ("loss", "test_loss"), values, spent, ends, {})


@pytest.fixture
def problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A benchmark with a table and a script, by name."""
    name = f"line-{tmp_path.name}"  # what is loaded is kept by its name
    table = data(name)
    save(table, tmp_path / "table")
    entry = catalog.Entry(table.benchmark, "toy", tmp_path / "table")
    known = catalog.benchmarks()
    monkeypatch.setattr(catalog, "benchmarks", lambda: {**known, name: entry})
    command = Command((sys.executable, str(SCRIPTS / "toy.py")), "epochs")
    monkeypatch.setattr(trainings, "command_of", lambda _: command)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return name


def reality(
    monkeypatch: pytest.MonkeyPatch, name: str, *, pace: float = 1.0, delays: Delays = DELAYS, worse: float = 0.0
) -> None:
    """What is real is simulated, with delays, pace and losses of its own, and the probe tells that pace alone."""
    truth = Table(data(name, LEVEL * pace, worse)).under(replace(data(name).benchmark, table_miss="snap"))

    def run_real(study: Any, place: Path) -> Any:
        benchmark, scheduler = studies.prepared(study, None)
        executor = Simulated(truth, benchmark.workers, study.seed, delays)
        log = run(benchmark, scheduler, executor, round(benchmark.budget * NANOSECONDS))
        return log, record(study, log, 0.0)

    monkeypatch.setattr(trainings, "run_real", run_real)
    told = validation.Probe(pace, pace * DELAYS.start_up, pace * DELAYS.leave)
    monkeypatch.setattr(validation, "probed", lambda study, seconds: told)
    monkeypatch.setattr("reports.validation.draw", lambda validation, numbers: [])


def validated(name: str, folder: Path, **more: Any) -> validation.Validated:
    given: dict[str, Any] = {
        "methods": ["rs", "asha"], "seeds": range(5), "workers": 2, "budget": 40.0, "table": None, "probe": 1.0,
        "command": "validate it",
    }  # fmt: skip
    return validation.validate(name, folder, **{**given, **more})


def numbers(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report" / "validation.json").read_text(encoding="utf-8"))


def slower(delays: Delays, pace: float) -> Delays:
    return Delays(*(pace * value for value in delays.seconds.values()))


# -- the whole, where the truth is known ----------------------------------------------------------------------------


def test_where_the_simulation_is_right_everything_agrees(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine is 1.25 times as slow as the table: the corrected simulation is reality, the uncorrected is not."""
    reality(monkeypatch, problem, pace=1.25, delays=slower(DELAYS, 1.25))
    done = validated(problem, tmp_path / "out")
    said = numbers(tmp_path / "out")
    assert done.failed == [] and done.lines == said["statements"]
    words = (tmp_path / "out" / "report" / "validation.md").read_text(encoding="utf-8")
    assert all(f"- {line}" in words for line in done.lines)
    assert "| asha | epochs trained |" in words and "## Pairs of methods: difference of final regret" in words
    assert {row["verdict"] for row in said["differences"]} == {WITHIN}
    for row in said["differences"]:
        assert [row["difference"], row["low"], row["high"]] == pytest.approx([0, 0, 0], abs=1e-12)
    timed = [row for row in said["ratios"] if row["quantity"] in agreement.TIMED]
    assert [row["arm"] for row in timed] == ["rs"] * 4 + ["asha"] * 4 + [agreement.TOGETHER] * 4
    assert {row["verdict"] for row in timed if row["arm"] == "asha"} == {WITHIN}
    assert [row["ratio"] for row in timed] == pytest.approx([1] * 12)
    assert [row["arm"] for row in said["uncorrected_differences"]] == ["rs", "asha"]
    assert said["tau"] == 1 and all(row["same"] for row in said["pairs"])
    for row in said["decisions"]:
        assert row["configs"] == row["trials"] > 20 and row["same"] == row["choices"]
    assert next(row for row in said["decisions"] if row["arm"] == "asha")["choices"] > 50
    uncorrected = {(row["arm"], row["quantity"]): row for row in said["uncorrected"]}
    assert uncorrected["asha", "per_epoch"]["ratio"] == pytest.approx(1.25)
    assert uncorrected["asha", "epochs"]["verdict"] == uncorrected["asha", "start_up"]["verdict"] == OUTSIDE


def test_a_wrong_start_up_is_found(problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reality(monkeypatch, problem, delays=replace(DELAYS, start_up=0.9))
    done = validated(problem, tmp_path / "out")
    rows = {(row["arm"], row["quantity"]): row for row in numbers(tmp_path / "out")["ratios"]}
    assert rows["asha", "start_up"]["verdict"] == rows["asha", "epochs"]["verdict"] == OUTSIDE
    assert rows["asha", "epochs"]["high"] < 1 / 1.03 < 1.03 < rows["asha", "start_up"]["low"]
    assert rows["rs", "start_up"]["real"] == pytest.approx(0.9) and rows["rs", "per_epoch"]["verdict"] == WITHIN
    assert any(re.match(r"asha: epochs trained, real / simulated, 0\.\d+ .*more than 3 % apart", s) for s in done.lines)
    page = (tmp_path / "out" / "report" / "index.html").read_text(encoding="utf-8")
    assert '<li class="error">asha: epochs trained' in page and "validate it" in page


def test_processes_that_take_long_to_leave_are_found(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reality(monkeypatch, problem, delays=replace(DELAYS, leave=0.9))
    validated(problem, tmp_path / "out")
    rows = {(row["arm"], row["quantity"]): row for row in numbers(tmp_path / "out")["ratios"]}
    assert rows["asha", "epochs"]["verdict"] == OUTSIDE and rows["asha", "epochs"]["high"] < 1 / 1.03
    assert rows["asha", "start_up"]["verdict"] == rows["asha", "per_epoch"]["verdict"] == WITHIN


def test_other_losses_are_found(problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reality ends a quarter of the gap from median to best above what the table says, the times are the same.

    It is a quarter at every seed, so that no interval of it is known.
    """
    reality(monkeypatch, problem, worse=0.125)
    done = validated(problem, tmp_path / "out")
    said = numbers(tmp_path / "out")
    assert {row["verdict"] for row in said["differences"]} == {UNKNOWN}
    assert {row["verdict"] for row in said["ratios"] if row["quantity"] in agreement.TIMED} == {WITHIN}
    assert [row["difference"] for row in said["differences"]] == pytest.approx([0.25, 0.25])
    words = "final regret, real less simulated, 0.250: not enough data (5 seeds, the same difference at each)."
    assert {f"rs: {words}", f"asha: {words}"} <= set(done.lines)


def test_failed_studies_are_counted_and_named(problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reality(monkeypatch, problem)
    was = trainings.run_real

    def run_real(study: Any, place: Path) -> Any:
        log, done = was(study, place)
        return (log, replace(done, why="error", error="it broke")) if study.seed == 3 else (log, done)

    monkeypatch.setattr(trainings, "run_real", run_real)
    done = validated(problem, tmp_path / "out")
    assert done.failed == ["rs seed 3: it broke", "asha seed 3: it broke"]
    said = numbers(tmp_path / "out")
    assert said["notes"][-1] == "Failed, and counted as the median random config: 2 of them."
    assert all(row["difference"] > 0 for row in said["differences"])


def test_the_command_says_what_it_found(problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reality(monkeypatch, problem)
    call = ["validate", problem, "--methods", "rs", "--seeds", "1-2", "--budget", "40s", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert [line.split("  ")[1] for line in done.output.splitlines()[:2]] == ["rs seed 1", "rs seed 2"]
    assert "rs: final regret, real less simulated, 0.000" in done.output
    assert done.output.splitlines()[-1] == f"page: {tmp_path / 'out' / 'report' / 'index.html'}"
    assert (tmp_path / "out" / "report" / "index.html").exists()
    wrong = CliRunner().invoke(app, [*call[:5], "2-1", *call[6:]])
    assert "a range such as 0-11" in str(wrong.exception)


def test_a_simulated_study_stands_for_what_is_to_expect(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five of its eleven simulations have luck that costs a tenth of loss, where the gap to the median is a half."""
    reality(monkeypatch, problem)
    as_declared = validation.simulated

    def lucky(study: Any, probe: Any, luck: int = 0) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            if luck > 5000:
                patch.setattr(validation, "model_of", lambda name, _: Table(data(name, worse=0.1)))
            return as_declared(study, probe, luck)

    monkeypatch.setattr(validation, "simulated", lucky)
    validated(problem, tmp_path / "out")
    said = numbers(tmp_path / "out")
    assert [row["difference"] for row in said["differences"]] == pytest.approx([-5 / 11 * 0.1 / 0.5] * 2)


# -- what is refused ------------------------------------------------------------------------------------------------


def test_what_cannot_be_validated_is_refused(problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="--table surrogate or --table snap, given 'restrict'"):
        validated(problem, tmp_path / "out", table="restrict")
    with pytest.raises(ValueError, match="'transformer_wikitext2' has no table"):
        validated("transformer_wikitext2", tmp_path / "out")
    with pytest.raises(ValueError, match="pbt changes configs in the midst of a training"):
        validated(problem, tmp_path / "out", methods=["rs", "pbt"])
    with pytest.raises(ValueError, match="did you mean asha"):
        validated(problem, tmp_path / "out", methods=["ashaa"])
    monkeypatch.undo()
    save(data("scriptless"), tmp_path / "scriptless")
    with pytest.raises(ValueError, match="with a training script"):
        validated(str(tmp_path / "scriptless"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- the speed of the machine ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pace", [1.0, 1.7])
def test_the_probe_tells_pace_start_and_end(problem: str, monkeypatch: pytest.MonkeyPatch, pace: float) -> None:
    truth = Table(data(problem, LEVEL * pace))
    delays = replace(slower(DELAYS, pace), start_up=5.0, leave=0.7)

    def workers(benchmark: Benchmark, command: Command, count: int, folder: Path) -> Simulated:
        executor = Simulated(truth, count, 0, delays)
        executor.failures = {0: "left at once: exit code 1\nits last words"}  # type: ignore[attr-defined]
        return executor

    monkeypatch.setattr("harness.local.Local", workers)
    assert validation.probed(study(problem), 60.0) == pytest.approx((pace, 5.0, 0.7))
    with pytest.raises(
        ValueError, match=r"in 5 s no training came to its second epoch \(left at once: exit code 1\): give"
    ):
        validation.probed(study(problem), 5.0)


def study(name: str) -> Any:
    comparison = comparison_of({}, methods=["rs"], benchmarks=[name], seeds=[0], real=True)
    return studies.studies_of(comparison, real=True)[0]


# -- for real -------------------------------------------------------------------------------------------------------


def test_a_validation_goes_on_where_it_was_interrupted(problem: str, tmp_path: Path) -> None:
    """Real processes: Ctrl-C after the first study; the second call leaves it as it is, and takes no speed for it.

    Then the second study's journal is cut, as by a kill in its midst: it goes on, and the page says so.
    """
    fields: dict[str, Any] = {"methods": ["rs"], "seeds": [0, 1], "budget": 2.0, "probe": 3.0}

    def ctrl_c(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        validated(problem, tmp_path / "out", **fields, say=ctrl_c)
    journal = tmp_path / "out" / "real" / "rs-0" / "journal.lines"
    first = journal.read_bytes()
    before = list(read_lines(tmp_path / "out" / "probes.lines"))
    (tmp_path / "out" / "probes.lines").unlink()
    with LineWriter(tmp_path / "out" / "probes.lines") as probes:  # of a day when machines were not recorded
        for line in before:
            probes.append({name: value for name, value in line.items() if name != "machine"})
    heard: list[str] = []
    done = validated(problem, tmp_path / "out", **fields, say=heard.append)
    assert (done.failed, len(heard)) == ([], 2)
    words = (tmp_path / "out" / "report" / "validation.md").read_text(encoding="utf-8")
    here = before[0]["machine"]
    assert f"- machine: not recorded: 1 of 2 studies; {here}: 1 of 2 studies\n" in words
    assert journal.read_bytes() == first
    assert len((tmp_path / "out" / "probes.lines").read_bytes().splitlines()) == 2
    said = numbers(tmp_path / "out")
    assert {row["seeds"] for row in said["ratios"]} == {2} and said["notes"] == [
        "2 real studies, each with its simulated twin."
    ]
    second = tmp_path / "out" / "real" / "rs-1" / "journal.lines"
    lines = second.read_bytes().splitlines(keepends=True)
    second.write_bytes(b"".join(lines[:4]) + b"0000")
    rmtree(second.parent / "studies")
    validated(problem, tmp_path / "out", **fields)
    assert second.read_bytes().splitlines(keepends=True)[:4] == lines[:4]
    assert journal.read_bytes() == first
    assert (
        numbers(tmp_path / "out")["notes"][1] == "Interrupted and continued, with restarts in their times: 1 of them."
    )
    assert sorted(path.suffix for path in (tmp_path / "out/report/figures").iterdir()) == sorted(
        [".csv", ".pdf", ".png", ".svg"] * 2
    )
    validated(problem, tmp_path / "out", **{**fields, "budget": 3.0})
    assert len((tmp_path / "out" / "probes.lines").read_bytes().splitlines()) == 5, "more budget: a speed for each"
    assert numbers(tmp_path / "out")["notes"][1].endswith("with restarts in their times: 2 of them.")
    words = (tmp_path / "out" / "report" / "validation.md").read_text(encoding="utf-8")
    linked = re.findall(r"!\[[^\]]+\]\((figures/[\w.-]+)\)", words)
    assert len(linked) == 2 and all((tmp_path / "out" / "report" / name).exists() for name in linked)


# -- the numbers ----------------------------------------------------------------------------------------------------


def world(*events: tuple[str, float, int, int, str, float], configs: tuple[str, ...] = ()) -> World:
    """One study: kind, time, trial, resource, reason and cost of each event."""
    frame = pd.DataFrame(events, columns=["kind", "time", "trial", "resource", "reason", "cost"])
    about = {"arm": "asha", "seed": 0}
    trials = pd.DataFrame([{"trial": trial, "config": config} for trial, config in enumerate(configs)])
    return World(
        pd.DataFrame([{**about, "workers": 2, "seconds": 20.0}]), frame.assign(**about), trials.assign(**about)
    )


STUDY = (
    ("started", 0.0, 0, 1, "", math.nan),
    ("report", 3.0, 0, 1, "reached", 3.0),
    ("ended", 3.0, 0, 1, "reached", math.nan),
    ("started", 3.0, 1, 3, "", math.nan),
    ("report", 6.5, 1, 1, "running", 3.5),
    ("report", 7.5, 1, 2, "running", 1.0),
    ("report", 8.5, 1, 3, "reached", 1.0),
    ("ended", 8.5, 1, 3, "reached", math.nan),
    ("started", 9.0, 0, 3, "", math.nan),
    ("report", 13.0, 0, 2, "running", 4.0),
    ("report", 15.0, 0, 3, "reached", 2.0),
    ("ended", 15.0, 0, 3, "reached", math.nan),
    ("started", 16.0, 2, 1, "", math.nan),
    ("ended", 20.0, 2, 0, "cut", math.nan),
)


def test_a_study_is_counted() -> None:
    (row,) = agreement.counts(world(*STUDY)).to_dict("records")
    assert row["epochs"] == 6 and row["trials"] == 3 and row["promotions"] == 1
    assert row["occupancy"] == pytest.approx((3 + 5.5 + 6 + 4) / 40)
    assert row["per_epoch"] == pytest.approx(1.0)
    assert row["start_up"] == pytest.approx(2.5)


def test_a_seed_that_does_not_tell_is_left_out_alone() -> None:
    """Of three seeds one has no job long enough to tell its start: the ratio is that of the other two."""
    told = dict.fromkeys(agreement.QUANTITIES, 2.0)
    simulated = pd.DataFrame([{"arm": "asha", "seed": seed, **told} for seed in range(3)])
    real = simulated.assign(**dict.fromkeys(told, 4.0))
    real.loc[1, "start_up"] = math.nan
    simulated.loc[2, "promotions"] = 0.0
    rows = {row["quantity"]: row for row in agreement.ratios(real, simulated).to_dict("records")}
    assert rows["epochs"]["ratio"] == pytest.approx(2) and rows["epochs"]["seeds"] == 3
    assert rows["start_up"]["ratio"] == pytest.approx(2) and rows["start_up"]["seeds"] == 2
    assert (rows["start_up"]["verdict"], rows["start_up"]["real"]) == (OUTSIDE, 4.0)
    assert math.isnan(rows["promotions"]["ratio"]) and rows["promotions"]["seeds"] == 3
    assert rows["promotions"]["simulated"] == pytest.approx(4 / 3)


def test_all_methods_together_are_counted_a_seed_at_a_time() -> None:
    """What the arms of a seed have against each other cancels out; the interval is of the seeds, not of the studies."""
    told = dict.fromkeys(agreement.QUANTITIES, 2.0)
    simulated = pd.DataFrame([{"arm": arm, "seed": seed, **told} for arm in ("rs", "asha") for seed in range(3)])
    real = simulated.assign(epochs=[2.2, 2.0, 2.0, 2.0, 2.2, 2.2], start_up=[2.0, 2.0, math.nan, 2.0, 4.0, 2.0])
    rows = {(row["arm"], row["quantity"]): row for row in agreement.ratios(real, simulated).to_dict("records")}
    together = rows["all methods", "epochs"]
    assert [together[name] for name in ("ratio", "low", "high")] == pytest.approx([1.1**0.5] * 3)
    assert together["seeds"] == 3 and together["real"] == pytest.approx(2.1) and together["verdict"] == OUTSIDE
    assert rows["rs", "epochs"]["verdict"] == UNSETTLED
    assert rows["all methods", "start_up"]["seeds"] == 2
    assert rows["all methods", "start_up"]["ratio"] == pytest.approx(2**0.25)
    assert ("all methods", "trials") not in rows


def test_what_is_not_settled_says_how_many_seeds_would_settle_it() -> None:
    """Half the interval of four seeds is 3.182 * 0.129 / 2 = 0.205, so it takes (0.205 / 0.1) ** 2 times as many."""
    simulated = pd.DataFrame({"asha": [0.5] * 4})
    luck = pd.DataFrame({"asha": [-0.15, -0.05, 0.05, 0.15]})
    (row,) = agreement.differences(simulated + luck, simulated).to_dict("records")
    assert (row["verdict"], row["enough"]) == (UNSETTLED, 17)
    assert "and some 17 seeds would settle it" in pages._of_regret(row).text
    (row,) = agreement.differences(simulated + luck + 0.2, simulated).to_dict("records")
    assert row["verdict"] == UNSETTLED and math.isnan(row["enough"])
    assert pages._of_regret(row).text.endswith("would be found.")
    (row,) = agreement.differences(simulated + luck + 0.5, simulated).to_dict("records")
    assert row["verdict"] == OUTSIDE
    assert pages._of_regret(row).text.endswith("outside the margin of 0.1.")


def test_a_recommendation_is_no_end_of_a_job() -> None:
    noted = (*STUDY[:7], ("recommended", 8.0, 1, 3, "", math.nan), *STUDY[7:])
    assert agreement.counts(world(*noted)).equals(agreement.counts(world(*STUDY)))


def test_a_choice_is_the_same_where_both_go_on_or_neither() -> None:
    """In the other world trial 0 stays at level 1, trial 2 has another config, trial 1 does as before."""
    other = world(*STUDY[:8], configs=("a", "b", "x"))
    (row,) = agreement.decisions(world(*STUDY, configs=("a", "b", "c")), other, top=9).to_dict("records")
    assert row == {"arm": "asha", "configs": 2, "trials": 3, "choices": 2, "same": 1}
    (row,) = agreement.decisions(world(*STUDY, configs=("a", "b", "c")), other, top=3).to_dict("records")
    assert (row["choices"], row["same"]) == (1, 0)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.1, 0.1, WITHIN), (-0.11, 0.1, UNSETTLED), (0.1, 0.2, UNSETTLED), (0.11, 0.2, OUTSIDE),
        (-0.3, -0.11, OUTSIDE), (-1.0, 1.0, UNSETTLED), (math.nan, math.nan, UNKNOWN),
    ],
)  # fmt: skip
def test_an_interval_settles_what_it_settles(low: float, high: float, said: str) -> None:
    assert agreement.verdict(low, high, (-0.1, 0.1)) == said


def test_the_ranking_is_kendalls_tau_of_mean_regrets() -> None:
    from scipy.stats import kendalltau

    luck = np.random.default_rng(0)
    real, simulated = (pd.DataFrame(luck.random((6, 4)), columns=list("abcd")) for _ in range(2))
    tau, pairs = agreement.ranking(real, simulated)
    assert tau == pytest.approx(kendalltau(real.mean(), simulated.mean()).statistic)
    assert tau == pytest.approx((2 * pairs["same"].sum() - 6) / 6)
    assert math.isnan(agreement.ranking(real[["a"]], simulated[["a"]])[0])


# -- what is published ----------------------------------------------------------------------------------------------


def test_the_published_journals_give_the_page_and_replay_exactly(tmp_path: Path) -> None:
    journals = PROJECT / "reports" / "published" / "validation" / "journals.tar.xz"
    subprocess.run([sys.executable, "-m", "tarfile", "-e", journals, tmp_path], check=True)
    done = validated(
        "transformer_wikitext2_small", tmp_path, methods=["rs", "asha"], seeds=range(2), budget=120.0, table="snap"
    )
    assert done.failed == [] and {row["seeds"] for row in numbers(tmp_path)["differences"]} == {2}
    for arm in ("rs", "asha"):
        _, difference = replay_journal(tmp_path / validation.STUDIES / f"{arm}-0", lambda _: lambda _: None)
        assert difference == ""


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["rs", "asha", "bo"])
def test_every_published_journal_replays_exactly(tmp_path: Path, arm: str) -> None:
    """Those of `bo` to a thousandth of a hyperparameter's range: its last digits are those of the processor."""
    journals = PROJECT / "reports" / "published" / "validation" / "journals.tar.xz"
    subprocess.run([sys.executable, "-m", "tarfile", "-e", journals, tmp_path], check=True)
    folders = sorted((tmp_path / validation.STUDIES).glob(f"{arm}-*"))
    assert len(folders) == 40
    for place in folders:
        spec, real, _ = read(place / JOURNAL)
        with threadpool_limits(1):
            log, difference = replay_journal(place, lambda _: lambda _: None)
        if arm != "bo":
            assert difference == "", place.name
        assert difference == "" or difference.startswith("all events agree, but"), (place.name, difference)
        space = Benchmark.from_json(spec["benchmark"]).space
        was, now = (space.encode([e.job.config for e in one.events if isinstance(e, Started)]) for one in (real, log))
        np.testing.assert_allclose(now, was, rtol=0, atol=1e-3, err_msg=place.name)
