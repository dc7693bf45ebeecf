"""Anyone's script tuned from the command line: spaces in TOML, the README's own scripts, what stands at the end."""

import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from harness import _run_command
from harness.command import prefix_of
from harness.compose import scripts, trainings
from harness.lines import LineWriter, read_lines
from harness.loop import Ended, Log, Reason, Started
from harness.space import Space, choice, loguniform
from harness.terminal import LiveStudy, Unfolding, kind_of
from harness.types import NANOSECONDS, Event, Job, Report, Status

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
FILES = {
    name: block
    for block in re.findall(r"```(?:py|toml|bash)\n(.*?)```", README, re.S)
    for name in re.findall(r"^# ([\w.]+)$", block, re.M)[:1]
}
GOOD = {"lr": loguniform(1e-4, 1.0), "optimizer": choice(["sgd", "adam"]), "depth": 3}
CALL = ("--metric", "loss", "--max", "9", "--max-arg", "epochs", "--workers", "2", "--budget", "3s")


def harness(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, arguments)], cwd=cwd, text=True, capture_output=True,
        timeout=100, check=False, env={**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def declared(folder: Path, **more: object) -> scripts.Script:
    (folder / "train.py").write_text("", encoding="utf-8")
    fields: dict[str, object] = {
        "metric": "loss", "maximize": False, "resource": "epoch", "maximum": 9, "max_arg": "epochs", "seed_arg": None,
        "as_json": False, "method": "asha", "workers": 2, "budget": 60.0, "warm": False, "seed": 0, "options": {},
        "priors": {},
    }  # fmt: skip
    return scripts.declare(folder / "train.py", Space(GOOD), **{**fields, **more})  # type: ignore[arg-type]


# -- what is declared -----------------------------------------------------------------------------------------------


def test_a_space_is_read_with_conditions_priors_and_constants(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text(FILES["space.toml"] + "depth = 2\n", encoding="utf-8")
    space = scripts.read_space(path)
    assert str(space.domains["lr"]) == "loguniform(0.0001, 1)"
    assert space.domains["lr"].prior is not None and space.domains["lr"].prior.value == 0.1
    assert space.conditions == {"momentum": {"optimizer": ("momentum",)}}
    assert space.constants == {"depth": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr = 1", r"needs a table|did you mean|unknown field of .*'lr'"),
        ("[spaces]\nlr = 1", "did you mean space"),
        ("[space", "is no TOML"),
        ("[space]", "needs a table"),
        ("[space]\nlr = 0.1", "at least one hyperparameter"),
        ('[space]\nlr = {type = "loguniforn", lower = 1, upper = 2}', "did you mean loguniform"),
        ("[space]\nlr = {lower = 1, upper = 2}", "needs a type, one of uniform"),
        ('[space]\nlr = {type = "uniform", lower = 1}', "needs upper"),
        ('[space]\nlr = {type = "uniform", lower = 1, uper = 2}', "did you mean upper"),
        ('[space]\nlr = {type = "uniform", lower = "1", upper = 2}', "lower of 'lr' must be a number, given '1'"),
        ('[space]\nlr = {type = "uniform", lower = 3, upper = 2}', "bounds must be finite and rise"),
        ('[space]\nlr = {type = "choice", values = "ab"}', "values of 'lr' must be a list"),
        ('[space]\nlayers = {type = "choice", values = [[64], [128]]}', "must be numbers, texts, true or false"),
        ("[space]\nlr = [1, 2]", "neither a constant nor a domain"),
        ('[space]\n"l r" = 1', "cannot name a hyperparameter"),
        ('[space]\nlr = {type = "uniform", lower = 1, upper = 2, prior = 1}', "prior of 'lr' is written"),
        ('[space]\nlr = {type = "uniform", lower = 1, upper = 2, prior = {value = 3}}', "it takes uniform"),
        (
            '[space]\nopt = {type = "choice", values = ["a", "b"]}\n'
            'lr = {type = "uniform", lower = 1, upper = 2, if = {opts = ["a"]}}',
            "did you mean opt",
        ),
        (
            '[space]\nopt = {type = "choice", values = ["a", "b"]}\n'
            'lr = {type = "uniform", lower = 1, upper = 2, if = {opt = ["c"]}}',
            "not values of 'opt'",
        ),
        (
            '[space]\nopt = {type = "choice", values = ["a", "b"]}\n'
            'lr = {type = "uniform", lower = 1, upper = 2, if = {opt = "a"}}',
            "condition of 'lr' is written",
        ),
    ],
)
def test_a_wrong_space_is_refused_with_what_is_possible(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "space.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said) as refused:
        scripts.read_space(path)
    assert str(path) in str(refused.value)


def test_priors_of_the_command_line_join_those_of_the_file(tmp_path: Path) -> None:
    space = declared(tmp_path, priors={"lr": "1e-2:0.5", "optimizer": "adam"}).study.benchmark.space
    assert [(d.prior.value, d.prior.spread) for d in space.domains.values() if d.prior] == [(0.01, 0.5), ("adam", 0.25)]
    assert space.constants == {"depth": 3}
    for priors, said in (({"lrr": "1"}, "did you mean lr"), ({"lr": "x"}, "is written VALUE"), ({"lr": "2"}, "lr")):
        with pytest.raises(ValueError, match=said):
            declared(tmp_path, priors=priors)


def test_a_script_that_cannot_be_called_is_refused(tmp_path: Path) -> None:
    for more, said in (
        ({"max_arg": "lr"}, "leave out --max-arg"),
        ({"seed_arg": "depth"}, "leave out --seed-arg"),
        ({"metric": "epoch"}, "both the metric and the resource"),
        ({"method": "ashaa"}, "did you mean asha"),
        ({"workers": 0}, "at least one worker"),
    ):
        with pytest.raises(ValueError, match=said):
            declared(tmp_path, **more)
    (tmp_path / "train.sh").write_text("")
    with pytest.raises(ValueError, match=r"chmod \+x"):
        prefix_of(tmp_path / "train.sh")
    with pytest.raises(FileNotFoundError, match="no training script"):
        prefix_of(tmp_path / "nothing.py")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train.py",), "to tune train.py, say what: --space"),
        (("train.py", "--space", "space.toml"), "also say --metric, --max, --budget"),
        (("train.py", "--space", "none.toml", *CALL), "no space at none.toml"),
        (("train.py", "--space", "space.toml", *CALL, "--values", "xml"), "arguments or json, given 'xml'"),
        (("train.py", "--space", "space.toml", *CALL, "--history", "results"), "--history is for benchmarks"),
        (("train.py", "--space", "space.toml", *CALL, "--out", "lr.toml"), "File exists: 'lr.toml'"),
        (("train.py", "--space", "space.toml", *CALL, "--prior", "lr"), "--prior takes NAME=VALUE"),
        (("transformer_wikitext2_small", "--metric", "loss"), "leave out what scripts need"),
        (("transformer_wikitext2_smal",), "did you mean transformer_wikitext2_small"),
    ],
)
def test_bad_usage_is_one_line(readme: Path, arguments: tuple[str, ...], said: str) -> None:
    done = harness("run", *arguments, cwd=readme)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr


# -- what is run ----------------------------------------------------------------------------------------------------


def test_the_readmes_script_is_tuned_and_its_winner_trained_again(readme: Path) -> None:
    done = harness(
        "run", "train.py", "--space", "space.toml", *CALL, "--method", "rs", "--warm", "--seed-arg", "seed",
        "--retrain", "2", cwd=readme,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    best = json.loads((readme / "results" / "run-train-rs-0" / "best.json").read_text(encoding="utf-8"))
    assert best[0]["resource"] == 9
    assert len(re.findall(r"^trial .* again until epoch 9: loss (\S+), (\S+), (\S+)$", done.stdout, re.M)) == 2
    command = done.stdout.partition("to train the best config")[2].splitlines()[1]
    assert "--seed=0" in command and "--epochs=9" in command
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    by_hand = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True, env=environment)
    winner = next(entry for entry in best if entry["command"] in command)
    assert float(by_hand.stdout.split()[-1]) == pytest.approx(winner["value"], rel=1e-4)


def test_the_readmes_shell_script_is_tuned(readme: Path) -> None:
    call = ("--metric", "accuracy", "--maximize", *CALL[2:])
    done = harness("run", "train.sh", "--space", "lr.toml", *call, "--out", "out", cwd=readme)
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stderr
    best = json.loads((readme / "out" / "best.json").read_text(encoding="utf-8"))[0]
    assert best["value"] == pytest.approx(1 - (best["config"]["lr"] - 0.3) ** 2 - 0.5 / best["resource"], abs=1e-4)


def test_values_as_json_and_failures_with_their_last_words(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import json, sys\nfrom harness import Reporter\nvalues = json.loads(sys.argv[1])\n"
        "assert values['x'] < 0.5, 'x is too large'\n"
        "for epoch in range(1, values['epochs'] + 1):\n    Reporter()(epoch=epoch, loss=values['x'])\n"
    )
    (tmp_path / "space.toml").write_text('[space]\nx = {type = "uniform", lower = 0, upper = 1}\n')
    call = ("--space", "space.toml", *CALL, "--values", "json", "--method", "rs", "--out", "out")
    done = harness("run", "train.py", *call, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "AssertionError: x is too large" in done.stderr
    assert all(one["config"]["x"] < 0.5 for one in json.loads((tmp_path / "out" / "best.json").read_text()))


@pytest.mark.slow
def test_the_readmes_commands_run_as_they_stand(readme: Path) -> None:
    lines = [line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()]
    for line in lines:
        if " run train." in line:
            done = harness(*shlex.split(line)[3:], cwd=readme)
            assert done.returncode == 0, f"{line}\n{done.stderr}"


# -- what is made of it ---------------------------------------------------------------------------------------------


def log_of(losses: dict[int, list[float]]) -> Log:
    """A log of trials, each with its losses at levels 1, 2, ...; lr tells the number, the loss the lr."""
    log = Log()
    for trial, values in losses.items():
        config = {"lr": 10 ** (-trial / 10), "optimizer": ("sgd", "adam")[trial % 2]}
        log.events.append(Started(trial, trial % 2, Job(trial, config, 9)))
        for level, loss in enumerate(values, 1):
            status = Status.RUNNING if loss < float("inf") else Status.FAILED
            log.events.append(Event(trial, trial % 2, Report(trial, level, (loss,), {}, 36.0, status), {}))
        log.events.append(Ended(trial, trial % 2, trial, Reason.PAUSED))
    return log


def test_the_best_are_those_trained_furthest(tmp_path: Path) -> None:
    log = log_of({0: [0.1], 1: [3.0, 2.0], 2: [2.0, 1.0], 3: [1.0, float("inf")]})
    minimised, maximised = (declared(tmp_path, maximize=it).study.benchmark for it in (False, True))
    assert [(one.trial, one.resource, one.value) for one in trainings.found(minimised, log)] == [
        (2, 2, 1.0), (1, 2, 2.0), (0, 1, 0.1), (3, 1, 1.0),
    ]  # fmt: skip
    turned = trainings.found(maximised, log_of({0: [-0.9], 1: [-0.8]}))
    assert [(one.trial, one.value) for one in turned] == [(0, 0.9), (1, 0.8)]


def test_who_failed_is_not_among_the_best(tmp_path: Path) -> None:
    """Trial 1 went furthest, and diverged there."""
    log = log_of({0: [0.5], 1: [0.4, 0.3, float("inf")], 2: [float("inf")]})
    found = trainings.found(declared(tmp_path).study.benchmark, log)
    assert [(one.trial, one.resource, one.value) for one in found] == [(0, 1, 0.5), (1, 2, 0.3)]


def test_warnings_that_differ_in_their_numbers_only_are_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    resumed = "trained epoch 1 again, having stood at epoch {}"
    crashed = "started again: left at epoch 9 of 27: exit code 1\nfirst words\nlast words\n"
    _run_command._show_warnings({3: [resumed.format(3)], 5: [resumed.format(9), crashed]})
    assert capsys.readouterr().err.splitlines() == [
        f"warning: trials 3, 5 alike, the first: {resumed.format(3)}",
        "warning: trial 5: started again: left at epoch 9 of 27: exit code 1; its last words: last words",
    ]
    _run_command._show_warnings({0: [letter * 2 for letter in "abcdefg"]})
    assert capsys.readouterr().err.splitlines()[-1] == "and 2 other warnings, in the journal of the study"


def test_a_bad_end_of_a_done_job_is_said_at_the_end_of_the_run(tmp_path: Path) -> None:
    """Fault 29: the study is whole, nobody failed, and who looks at stderr or into the journal knows."""
    (tmp_path / "train.py").write_text(
        "import sys\nfrom harness import Reporter\nreport = Reporter()\n"
        "try:\n    for epoch in range(1, 10):\n        report(epoch=epoch, loss=1.0)\n"
        "finally:\n    sys.exit('no room for the figures')\n"
    )
    (tmp_path / "space.toml").write_text(SPACE)
    call = ("--metric", "loss", "--max", "9", "--budget", "2s", "--method", "rs", "--out", "out")
    for _ in range(2):  # the second call reads it back
        done = harness("run", "train.py", "--space", "space.toml", *call, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        said = r"^warning: trials? 0.*: reached epoch 9 as asked, then: exit code 1; its last words: no room for"
        assert re.search(said, done.stderr, re.M) and "failed" not in done.stderr, done.stderr


def test_what_was_trained_again_is_not_trained_twice(tmp_path: Path) -> None:
    """The first call is interrupted after two of four trainings; trial 1 fails with the second seed."""
    script = declared(tmp_path, seed_arg="seed", budget=60.0, workers=1)
    (tmp_path / "train.py").write_text(
        "import sys\nfrom harness import Reporter\n"
        "given = dict(argument.removeprefix('--').split('=') for argument in sys.argv[1:])\n"
        "lr, seed, epochs = float(given['lr']), int(given['seed']), int(given['epochs'])\n"
        f"open({str(tmp_path / 'calls')!r}, 'a').write(f'{{lr:g}} {{seed}}\\n')\n"
        "assert (lr, seed) != (0.2, 2), 'no luck'\n"
        "for epoch in range(1, epochs + 1):\n    Reporter()(epoch=epoch, loss=lr + seed)\n",
        encoding="utf-8",
    )
    best = [trainings.Found(n, {"lr": lr, "optimizer": "sgd"}, 9, 0.0) for n, lr in enumerate((0.1, 0.2))]
    said: list[str] = []

    def until_the_second(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scripts.retrain(script, best, [1, 2], tmp_path / "again", until_the_second)
    again = scripts.retrain(script, best, [1, 2], tmp_path / "again", said.append)
    assert [(one.found.trial, one.values[0]) for one in again] == [(0, 1.1), (1, 1.2)]
    assert again[0].values[1] == 2.1 and math.isnan(again[1].values[1])
    assert (tmp_path / "calls").read_text().splitlines() == ["0.1 1", "0.2 1", "0.1 2", "0.2 2"]
    assert said[0] == "again with seed 1: trial 0, loss 1.1" and said[3].startswith(
        "again with seed 2: trial 1, failed: ended without a report: exit code 1"
    )
    assert scripts.retrain(script, best, [1, 2], tmp_path / "again", said.append)[0] == again[0]
    assert len(said) == 4


SPACE = '[space]\nx = {type = "uniform", lower = 0, upper = 1}\n'


def test_failures_that_differ_in_their_numbers_only_are_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    refused = "ended without a report: exit code 2\nunrecognized arguments: --rate=0.{}e-05"
    told = [json.dumps([trial, refused.format(trial)]) for trial in range(7)]
    _run_command._show_failures([*told, json.dumps([9, "killed"]), json.dumps([11, "killed"])])
    assert capsys.readouterr().err.splitlines() == [
        "trials 0, 1, 2, 3, 4 and 2 more failed alike, the first: ended without a report: exit code 2",
        "unrecognized arguments: --rate=0.0e-05",
        "trials 9, 11 failed: killed",
    ]


def _later(line: dict[str, Any], nanoseconds: int) -> dict[str, Any]:
    """A line of a journal, its event so much later."""
    return {
        name: [value[0] + nanoseconds, *value[1:]] if name in ("started", "report", "ended") else value
        for name, value in line.items()
    }


def test_a_script_that_cannot_be_right_is_given_up_and_goes_on_once_it_is_mended(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "train.py").write_text("from harness import Reporter\nReporter()(epoch=1, los=1.0)\n")
    call = ("run", "train.py", "--space", "space.toml", "--metric", "loss", "--max", "1", "--budget")
    done = harness(*call, "60s", "--workers", "2", "--out", "out", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout.count("lacks the metric 'loss'; it has ['los']") == 1, "said at the first failure"
    assert "10 trials failed, and none has reported anything: the script, or its call, is wrong" in done.stdout
    assert "more failed: protocol: a report of 'train' lacks the metric" in done.stderr
    (tmp_path / "train.py").write_text("from harness import Reporter\nReporter()(epoch=1, loss=1.0)\n")
    journal = tmp_path / "out" / "journal.lines"
    head, *failed = read_lines(journal)
    journal.unlink()
    with LineWriter(journal) as writer:  # as if most of the budget had been spent on it
        for line in (head, *failed):
            writer.append(_later(line, 57 * NANOSECONDS))
    done = harness(*call, "60s", "--workers", "2", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "loss 1 " in done.stdout and "to train the best config" in done.stdout


def test_the_study_of_another_script_is_not_taken_for_its_own(tmp_path: Path) -> None:
    """Both are called train.py: by name, space and budget they are the same; a script that was moved is itself."""
    studies = [declared(folder, budget=0.5) for folder in (tmp_path / "a", tmp_path / "b") if not folder.mkdir()]
    scripts.run(studies[0], tmp_path / "study", None)
    with pytest.raises(ValueError, match=r"holds a study of .*a/train\.py, not of .*b/train\.py: give another folder"):
        scripts.run(studies[1], tmp_path / "study", None)
    (tmp_path / "a").rename(tmp_path / "c")
    scripts.run(studies[1], tmp_path / "study", None)


def test_a_journal_that_names_its_script_as_it_was_typed_is_still_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As journals of before: paths are whole now."""
    script = declared(tmp_path)
    monkeypatch.chdir(tmp_path)
    with LineWriter(tmp_path / trainings.JOURNAL) as writer:
        writer.append({"study": {**script.study.spec(), "source": "train.py"}})
    log, _ = scripts.run(script, tmp_path, None)
    assert "none has reported anything" in log.error


def test_trials_without_a_journal_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "study" / "trials" / "0").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="holds the trials of another study"):
            scripts.run(declared(tmp_path), tmp_path / "study", None)
    assert not (tmp_path / "study" / trainings.JOURNAL).exists()


def test_who_stops_reading_does_not_stop_a_study(readme: Path) -> None:
    call = [sys.executable, "-m", "harness", "run", "train.py", "--space", "space.toml", *CALL, "--method", "rs"]
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        call, cwd=readme, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""},
    ) as study:  # fmt: skip
        assert study.stdout is not None and study.stderr is not None
        study.stdout.readline()
        study.stdout.close()
        assert (study.wait(100), study.stderr.read()) == (0, b"")
    (journal,) = readme.glob("results/*/journal.lines")
    assert [*read_lines(journal)][-1]["why"] == "budget"


def test_where_no_trial_came_to_a_loss_the_command_fails(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "train.py").write_text("from harness import Reporter\nReporter()(epoch=1, loss=float('nan'))\n")
    call = ("run", "train.py", "--space", "space.toml", "--metric", "loss", "--max", "1", "--warm")
    done = harness(*call, "--budget", "2s", "--out", "nan", cwd=tmp_path)
    assert done.returncode == 3 and "no trial has come to a loss: there is no best config\n" in done.stderr
    (tmp_path / "train.py").write_text("import time\ntime.sleep(60)\n")
    done = harness(*call, "--budget", "1s", "--out", "hangs", cwd=tmp_path)
    assert done.returncode == 3 and "no best config; a larger --budget goes on; if the script hangs" in done.stderr


def test_reports_without_sense_are_one_reason_whatever_was_printed_before(capsys: pytest.CaptureFixture[str]) -> None:
    lacks = "protocol: a report of 'train' lacks the metric 'los'; it has ['loss']\n"
    crash = "ended without a report: exit code 1\n"
    reasons = [lacks + "epoch one", lacks + "first epoch", crash + "KeyError", crash + "IndexError"]
    _run_command._show_failures([json.dumps([trial, reason]) for trial, reason in enumerate(reasons)])
    said = capsys.readouterr().err
    assert said.startswith(f"trials 0, 1 failed alike, the first: {lacks}epoch one\n")
    assert said.count("failed") == 3 and "first epoch" not in said


def test_an_interrupted_study_says_where_it_goes_on(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "train.py").write_text("from harness import Reporter\nReporter()(epoch=1, loss=1.0)\n")
    call = ("run", "train.py", "--space", "space.toml", "--metric", "loss", "--max", "1", "--budget", "3s")
    done = harness(*call, "--warm", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0 and "journal" not in done.stdout
    journal = tmp_path / "out" / "journal.lines"
    lines = journal.read_bytes().splitlines(keepends=True)
    shutil.copytree(tmp_path / "out", tmp_path / "cut")
    (tmp_path / "cut" / "journal.lines").write_bytes(b"".join(lines[:7]))
    again = harness(*call, "--warm", "--out", "cut", cwd=tmp_path)
    assert re.match(r"this study goes on from its journal: 6 events, up to \d\.\d s\n", again.stdout), again.stdout
    told, new = ([line for line in one.stdout.splitlines() if " worker " in line] for one in (done, again))
    assert new and not set(new) & set(told[:6]), "what it said before the end is not said again"
    over = harness(*call, "--warm", "--out", "out", cwd=tmp_path).stdout
    assert over.startswith("this study is over") and " worker " not in over
    assert over.splitlines()[-1] == done.stdout.splitlines()[-1] and "the best of those trained furthest" in over


def test_a_script_that_was_changed_since_is_told(tmp_path: Path) -> None:
    """Once: what the study goes on with is noted in its journal. One that is over has nothing to go on with."""
    (tmp_path / "space.toml").write_text(SPACE)
    script, changed = tmp_path / "train.py", "the script, or its call, has changed"
    script.write_text("from harness import Reporter\nReporter()(epoch=1, loss=1.0)\n")
    call = ("run", "train.py", "--space", "space.toml", "--metric", "loss", "--max", "1", "--out", "out", "--warm")
    assert changed not in harness(*call, "--budget", "2s", cwd=tmp_path).stdout
    script.write_text("from harness import Reporter\nReporter()(epoch=1, loss=2.0)\n")
    for budget, told in (("2s", True), ("3s", True), ("4s", False)):
        done = harness(*call, "--budget", budget, cwd=tmp_path)
        assert done.returncode == 0 and (changed in done.stdout) == told, (budget, done.stdout, done.stderr)


def test_ctrl_c_ends_a_study_and_the_same_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "train.py").write_text("from harness import Reporter\nReporter()(epoch=1, loss=1.0)\n")
    call = ("run", "train.py", "--space", "space.toml", "--metric", "loss", "--max", "1", "--out", "out", "--warm")
    # However these tests were started, Ctrl-C reaches it.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import harness.__main__ as it"
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; it.main()", *call, "--budget", "100s"], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path},
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert "best so far" in running.stdout.readline() + running.stdout.readline()
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130 and "interrupted; the same command continues" in err
    again = harness(*call, "--budget", "3s", cwd=tmp_path)
    assert again.returncode == 0 and again.stdout.startswith("this study goes on from its journal"), again.stderr


def test_a_benchmark_ends_with_the_best_trained_again_and_how_to_train_the_winner(tmp_path: Path) -> None:
    call = ("run", "diabetes_boosting", "--method", "rs", "--budget", "10s", "--warm", "--out", "out")
    done = harness(*call, "--retrain", "2", "--retrain-seeds", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    values = re.findall(r"again until rounds 270: val_loss (.*), (.*)", done.stdout)
    assert len(values) == 2 and values[0][0] != values[0][1], "the seed reaches the script"
    best = json.loads((tmp_path / "out" / "best.json").read_text(encoding="utf-8"))
    line = done.stdout.splitlines()[-2].strip()
    assert line in [one["command"] for one in best[:2]]
    by_hand = subprocess.run(shlex.split(line), cwd=PROJECT, text=True, capture_output=True, timeout=100, check=True)
    (winner,) = (one for one in best if one["command"] == line)
    assert f"rounds {winner['resource']}  val_loss {winner['value']:.6g}" in by_hand.stdout


def test_what_starting_took_is_said_where_staying_would_save_it(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "train.py").write_text(
        "import time\nfrom harness import Reporter\ntime.sleep(.5)\n"
        "for epoch in range(1, 4):\n    Reporter()(epoch=epoch, accuracy=1.0)\n"
    )
    call = ("run", "train.py", "--space", "space.toml", "--metric", "accuracy", "--max", "3", "--method", "rs")
    cold = harness(*call, "--budget", "3s", "--out", "cold", cwd=tmp_path)
    said = r"to start a process took 0\.\d s, \d\d% of the workers' time in all: --warm \(with another --out\) keeps"
    assert re.search(said, cold.stdout)
    assert "accuracy is minimised: if more of it is better, say --maximize" in cold.stderr
    warm = harness(*call, "--budget", "2s", "--warm", "--maximize", "--out", "warm", cwd=tmp_path)
    assert "to start a process" not in warm.stdout and "minimised" not in warm.stderr


def test_training_again_is_no_start(tmp_path: Path) -> None:
    """Without checkpoints, who goes on from epoch 3 trains for .6 s before there is anything new to say."""
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "train.py").write_text(
        "import time\nfrom harness import Reporter\ntime.sleep(.5)\nreport = Reporter()\n"
        "for epoch in range(1, 10):\n    time.sleep(.2)\n    report(epoch=epoch, loss=1.0)\n"
    )
    call = ("--metric", "loss", "--max", "9", "--workers", "2", "--budget", "6s", "--method", "asha:eta=3:grace=3")
    done = harness("run", "train.py", "--space", "space.toml", *call, "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    untils = {line["started"][3] for line in read_lines(tmp_path / "out" / trainings.JOURNAL) if "started" in line}
    assert untils == {3, 9}
    ((seconds, share),) = re.findall(r"to start a process took (\d\.\d) s, (\d+)% of the workers' time", done.stdout)
    assert 0.5 <= float(seconds) < 1.1 and int(share) <= 100


def test_what_starting_took_is_that_of_first_jobs(tmp_path: Path) -> None:
    """Each takes half a second more to its first report than to the next; most of the log are resumed ones."""
    log, config = Log(time=20 * NANOSECONDS), {"lr": 0.1, "optimizer": "sgd"}
    for trial, first in ((0, 1.5), (1, 1.5), (0, 4.0), (0, 4.0), (1, 4.0)):
        log.events.append(Started(0, 0, Job(trial, config, 9)))
        for level, cost in enumerate((first, 1.0, 1.0), 1):
            log.events.append(Event(0, 0, Report(trial, level, (1.0,), {}, cost, Status.RUNNING), {}))
        log.events.append(Ended(0, 0, trial, Reason.PAUSED))
    assert scripts.start_up(declared(tmp_path), log) == (0.5, pytest.approx(5 * 0.5 / (2 * 20)))


def test_a_script_that_hangs_is_given_up_after_the_patience_asked_for(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "train.py").write_text(
        "import sys, time\nfrom harness import Reporter\nx = float(sys.argv[1].removeprefix('--x='))\n"
        "time.sleep(60 if x < 0.5 else 0)\nReporter()(epoch=1, loss=x)\n"
    )
    call = ("--metric", "loss", "--max", "1", "--workers", "2", "--budget", "6s", "--method", "rs", "--out", "out")
    done = harness("run", "train.py", "--space", "space.toml", *call, "--patience", "1s", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^trials? \d.* failed.*: hangs: no report for 1 s$", done.stderr, re.M), done.stderr
    best = json.loads((tmp_path / "out" / "best.json").read_text(encoding="utf-8"))
    assert best and all(one["config"]["x"] >= 0.5 for one in best)


@pytest.mark.parametrize("retries", [0, 1])
def test_a_crashed_trial_is_started_again_as_often_as_asked_for(tmp_path: Path, retries: int) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "train.py").write_text(
        "import sys\nfrom pathlib import Path\nfrom harness import Reporter\n"
        f"marker = Path({str(tmp_path / 'crashed')!r})\n"
        "if not marker.exists():\n    marker.touch()\n    sys.exit('no luck')\nReporter()(epoch=1, loss=1.0)\n"
    )
    call = ("--metric", "loss", "--max", "1", "--budget", "2s", "--method", "rs", "--out", "out")
    done = harness("run", "train.py", "--space", "space.toml", *call, "--retries", str(retries), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    crash = "ended without a report: exit code 1"
    again = f"warning: trial 0: started again: {crash}; its last words: no luck\n"
    failed = f"trial 0 failed: {crash}\nno luck"
    assert (again in done.stderr, failed in done.stderr) == (retries == 1, retries == 0), done.stderr


def test_what_cannot_stay_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "train.sh").write_text("#!/bin/sh\n")
    (tmp_path / "train.sh").chmod(0o755)
    call = ("run", "train.sh", "--space", "space.toml", "--metric", "loss", "--max", "3", "--budget", "3s", "--warm")
    done = harness(*call, "--out", "out", cwd=tmp_path)
    assert done.returncode == 2 and "only a Python script can stay in its process" in done.stderr
    assert not (tmp_path / "out").exists()


def test_importances_find_what_the_loss_depends_on(tmp_path: Path) -> None:
    losses = {trial: [float(trial)] for trial in range(30)} | {0: [0.0, 0.0]}
    level, shares = scripts.importances(declared(tmp_path), log_of(losses))
    assert level == 1 and list(shares) == ["lr", "optimizer"]
    assert shares["lr"] > 0.9 and shares["optimizer"] < 0.1
    crashed = log_of(losses)
    for trial in range(30):
        report = Report(trial, 1, (math.inf,), {}, 1.0, Status.FAILED)
        crashed.events.append(Event(99, 0, report, {}))
    assert scripts.importances(declared(tmp_path), crashed) == (level, shares)
    level, shares = scripts.importances(declared(tmp_path), log_of({t: [float(t % 2)] for t in range(30)}))
    assert list(shares) == ["optimizer", "lr"] and shares["optimizer"] > 0.9
    assert scripts.importances(declared(tmp_path), log_of({0: [1.0]})) == (0, {})


def test_a_seed_reaches_the_script_and_no_other_value(tmp_path: Path) -> None:
    script = declared(tmp_path, seed_arg="seed", seed=4)
    config = {"lr": 0.1, "optimizer": "sgd"}
    assert script.line(config).endswith("--depth=3 --seed=4 --lr=0.1 --optimizer=sgd --epochs=9")
    assert script.seeded(5).study.benchmark.space.constants == {"depth": 3, "seed": 5}
    assert script.seeded(5).study.benchmark.space.domains == script.study.benchmark.space.domains


@pytest.mark.parametrize(
    ("metric", "better"),
    [("accuracy", True), ("val_acc", True), ("valAcc", True), ("bleu", True), ("accuracy1", True),
     ("precision@5", True), ("loss", False), ("brier_score", False), ("f1_loss", False), ("1-accuracy", False),
     ("error", False), ("perplexity", False), ("pace", False)],
)  # fmt: skip
def test_of_which_metrics_more_is_better_by_their_names(metric: str, better: bool) -> None:
    assert bool(re.search(_run_command.MORE_IS_BETTER, metric, re.IGNORECASE)) == better


def test_kinds_of_texts_differ_in_more_than_numbers() -> None:
    same = ("left at epoch 1 of 3: lr 1e-05", "left at epoch 12 of 27: lr 0.25")
    assert kind_of(same[0]) == kind_of(same[1])
    codes = ["exit code 1", "exit code 2", "killed by signal 9", "killed by signal 11"]
    assert len({*map(kind_of, codes)}) == 4


def test_where_nothing_was_reported_the_rungs_name_nobody(tmp_path: Path) -> None:
    benchmark = declared(tmp_path).study.benchmark
    for view in (Unfolding(benchmark), LiveStudy(benchmark, "asha on train", "GPU-hours")):
        view.takes_up(3, 1.5, over=False, changed=False)
        view.failed(0, "ended without a report: exit code 1")
        for event in (Started(0, 0, Job(0, {"lr": 0.1, "optimizer": "sgd"}, 1)), Ended(9, 0, 0, Reason.FAILED)):
            view.show(event)
        console = Console(record=True, width=120, file=StringIO())
        if isinstance(view, LiveStudy):
            console.print(view.picture())
            said = console.export_text()
            assert re.search(r"^0 +1 +- +- *$", said, re.M) and "nothing reported yet" in said
            assert "goes on from its journal: 3 events, up to 1.5 s" in said and "exit code 1" in said
        else:
            assert view.rungs() == [(0, 1, math.inf, -1)]


def test_the_live_picture_shows_workers_rungs_the_best_and_the_cost(tmp_path: Path) -> None:
    benchmark = replace(declared(tmp_path, maximize=True).study.benchmark, budget=3600.0)
    view = LiveStudy(benchmark, "asha on train", "GPU-hours")
    for event in log_of({0: [-0.5, -0.6], 1: [-0.7]}).events[:-1]:
        time = getattr(event, "time", 0) + 10 * NANOSECONDS
        view.show(event._replace(time=time))
    console = Console(record=True, width=120, file=StringIO())
    console.print(view.picture())
    text = console.export_text()
    assert re.search(r"asha on train   0:1\d gone, 59:\d\d left   2 trials   0\.030 GPU-hours", text)
    assert re.search(r"^0 +-", text, re.M), text
    assert re.search(r"^1 +1 +9 +1 +0\.7 +0:0\d", text, re.M), text
    assert re.search(r"^2 +1 +0\.6 +0 *$", text, re.M), text
    assert "best: loss 0.6 at epoch 2, trial 0: lr 1, optimizer sgd" in text


def test_the_live_picture_counts_what_was_spent_and_what_is_being_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worker 0 ends a job after half an hour and begins another, worker 1 says nothing for an hour: two hours in all.

    Trial 0 was best and then fails: the other one is.
    """
    clock = [0.0]
    monkeypatch.setattr("harness.terminal.time", SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda _: None))
    benchmark = replace(declared(tmp_path).study.benchmark, budget=7200.0)
    view, half = LiveStudy(benchmark, "asha", "worker-hours"), 1800 * NANOSECONDS
    config = {"lr": 0.1, "optimizer": "sgd"}

    def picture() -> str:
        console = Console(record=True, width=120, file=StringIO())
        console.print(view.picture())
        return console.export_text()

    happened = [
        Started(0, 0, Job(0, config, 1)), Started(0, 1, Job(1, config, 9)),
        Event(half, 0, Report(0, 1, (0.5,), {}, 1800.0, Status.REACHED), {}), Ended(half, 0, 0, Reason.REACHED),
        Started(half, 0, Job(0, config, 9)),
    ]  # fmt: skip
    for event in happened:
        clock[0] = event.time / NANOSECONDS
        view.show(event)
    clock[0] = 3600.0
    assert "2.000 worker-hours" in picture()
    assert "best: loss 0.5 at epoch 1, trial 0" in picture()
    view.show(Event(2 * half, 1, Report(1, 1, (0.7,), {}, 3600.0, Status.RUNNING), {}))
    view.show(Event(2 * half, 0, Report(0, 1, (math.inf,), {}, 1800.0, Status.FAILED), {}))
    view.show(Ended(2 * half, 0, 0, Reason.FAILED))
    assert "best: loss 0.7 at epoch 1, trial 1" in picture() and "1 failed   2.000 worker-hours" in picture()
