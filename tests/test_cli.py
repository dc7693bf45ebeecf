"""The command line whole, in virtual time: exit codes, words for bad input, and that results do not depend on how."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.compose.declarations import comparison_of, seconds_of
from harness.compose.studies import studies_of
from harness.types import Delays

PROJECT = Path(__file__).resolve().parents[1]
SMALL = ("--methods", "rs,asha", "--seeds", "3", "--budget", "60s")
RAISES = '''
"""Raises at its fifth ask."""
from harness.types import Decision, Job
__all__ = ["Raises"]

class Raises:
    """Raises at its fifth ask."""
    def __init__(self, benchmark, rng, *, sampler):
        self.sampler, self.asked, self.until = sampler, 0, benchmark.fidelity.maximum
    def ask(self):
        self.asked += 1
        if self.asked == 5:
            raise RuntimeError("the fifth ask")
        return Job(self.asked, self.sampler.suggest(()), self.until)
    def tell(self, report):
        return Decision.CONTINUE
'''


def harness(
    *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, arguments)], cwd=cwd, text=True, capture_output=True,
        timeout=300, env=environment(env), check=False,
    )  # fmt: skip


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **(more or {})}


def digest(folder: Path) -> str:
    done = harness("check", folder, "--json", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["digest"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("compare", "--methods", "rs,ashaa"), "did you mean asha"),
        (("compare", "--methods", "asha:etaa=3"), "did you mean eta"),
        (("compare", "--methods", "asha:eta=one"), "eta takes float"),
        (("compare", "--methods", "asha:eta=1"), "eta must be greater than 1"),
        (("compare", "--methods", "asha:sampler=rss"), "did you mean rs"),
        (("compare", "--benchmarks", "transformer_wikitext2_smal"), "did you mean transformer_wikitext2_small"),
        (("compare", "--benchmarks", "transformer_wikitext2"), "has no table yet"),
        (("compare", "--seeds", "many"), "--seeds takes how many"),
        (("compare", "--budget", "soon"), "a duration is above 0, and written 90s"),
        (("compare", "--table", "snapp"), "table_miss"),
        (("compare", "--decision-time", "constant:x"), "decision time must be"),
        (("compare", "--methods", "rs,rs"), "two arms have the label 'rs'"),
        (("compare", "--metods", "rs"), "--methods"),
        (("list", "method"), "did you mean methods"),
        (("replay", "nothing"), "unknown benchmark"),
        (("report", "nowhere"), "nowhere is no folder"),
        (("check", "missing.py"), "missing.py"),
        (("comapre",), "compare"),
    ],
)
def test_bad_input_is_said_in_one_line(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = harness(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("segment-*"))


def test_a_comparison_in_toml_sets_fields_and_names_wrong_ones(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(
        'seeds = 2\n[benchmark]\nbudget = "40s"\n[arms.wide]\nmethod = "asha"\nworkers = 8\n'
    )
    done = harness("compare", "good.toml", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "wide" in done.stdout
    done = harness("report", "out", "--out", "kept", "--brief", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "kept" / "summary.md").read_text(encoding="utf-8")
    for line in ("compare good.toml --out out", "report out --out kept --brief"):
        assert f"\npython -m harness {line}\n" in told
    (tmp_path / "bad.toml").write_text('[arms.wide]\nmethod = "asha"\nworker = 8\n')
    done = harness("compare", "bad.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean workers" in done.stderr


HOLDS = RAISES.replace(
    'raise RuntimeError("the fifth ask")',
    "while __import__('pathlib').Path('hold').exists(): __import__('time').sleep(0.05)",
)


def test_the_results_do_not_depend_on_processes_hash_seeds_or_a_kill(tmp_path: Path) -> None:
    (tmp_path / "holds.py").write_text(HOLDS)
    compared = ("compare", "--methods", "rs,asha,holds=./holds.py", "--seeds", "3", "--budget", "60s")
    digests: set[str] = set()
    for jobs, hash_seed in (("1", "0"), ("2", "1")):
        out = tmp_path / f"with-{jobs}"
        done = harness(*compared, "--jobs", jobs, "--out", out, cwd=tmp_path, env={"PYTHONHASHSEED": hash_seed})
        assert done.returncode == 0, done.stderr
        digests.add(digest(out))
    killed, hold = tmp_path / "killed", tmp_path / "hold"
    hold.touch()
    command = [sys.executable, "-m", "harness", *compared, "--jobs", "1", "--out", str(killed)]
    running = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    give_up = time.monotonic() + 60
    while not list(killed.rglob("segment-*")) and running.poll() is None and time.monotonic() < give_up:
        time.sleep(0.005)
    running.kill()
    assert running.wait(timeout=30) == -signal.SIGKILL
    hold.unlink()
    assert 0 < json.loads(harness("check", killed, "--json", cwd=tmp_path).stdout)["studies"] < 9
    done = harness(*compared, "--jobs", "1", "--out", killed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    digests.add(digest(killed))
    assert len(digests) == 1
    done = harness("replay", "--verify", killed, cwd=tmp_path)
    assert done.returncode == 0
    assert "bit for bit" in done.stdout


def test_the_same_command_again_runs_and_draws_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = harness("compare", *SMALL, "--out", out, cwd=tmp_path)
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    again = harness("compare", *SMALL, "--out", out, cwd=tmp_path)
    assert again.returncode == 0
    assert "up to date" in again.stdout
    assert "up to date" not in first.stdout
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == files


def test_a_scheduler_that_raises_fails_its_studies_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "raises.py").write_text(RAISES)
    done = harness("compare", "--methods", "rs,bad=./raises.py", "--seeds", "2", "--out", "out", cwd=tmp_path)
    assert done.returncode == 3
    assert "the fifth ask" in done.stderr
    numbers = json.loads(harness("report", "out", "--json", cwd=tmp_path).stdout)
    states = {(study["arm"], study["seed"]): study["why"] for study in numbers["studies"]}
    assert states == {("rs", 0): "budget", ("rs", 1): "budget", ("bad", 0): "error", ("bad", 1): "error"}


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_continues(tmp_path: Path) -> None:
    slow = RAISES.replace('raise RuntimeError("the fifth ask")', "__import__('time').sleep(60)")
    (tmp_path / "slow.py").write_text(slow)
    arguments = ("compare", "--methods", "rs,slow=./slow.py", "--seeds", "8", "--jobs", "1", "--out", "out")
    running = subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments], cwd=tmp_path, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    give_up = time.monotonic() + 60
    while not (tmp_path / "out" / "comparison.json").exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    time.sleep(2)  # by now the slow method is at its slow ask
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    assert "the same command continues" in errors
    kept = json.loads(harness("check", "out", "--json", cwd=tmp_path).stdout)["studies"]
    assert kept >= 1
    done = harness("compare", "--methods", "rs", "--seeds", "8", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(harness("check", "out", "--json", cwd=tmp_path).stdout)["studies"] == 8


def test_a_method_in_a_new_file_is_listed_checked_and_compared(tmp_path: Path) -> None:
    """Nothing else is touched: the package is copied, and one file is added to it."""
    import shutil

    for folder in ("harness", "surrogates", "reports", "real_benchmarks"):
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "published"))
    source = (PROJECT / "harness" / "schedulers" / "single.py").read_text(encoding="utf-8")
    (tmp_path / "harness" / "schedulers" / "brand_new.py").write_text(source.replace("Single", "BrandNew"))
    own = {"PYTHONPATH": str(tmp_path)}
    assert "brand-new" in harness("list", "methods", cwd=tmp_path, env=own).stdout
    done = harness("check", "harness/schedulers/brand_new.py", cwd=tmp_path, env=own)
    assert done.returncode == 0, done.stdout + done.stderr
    done = harness("compare", "--methods", "rs,brand-new", "--seeds", "2", "--out", "out", cwd=tmp_path, env=own)
    assert done.returncode == 0, done.stderr
    assert "brand-new" in done.stdout


KILLS = RAISES.replace('raise RuntimeError("the fifth ask")', "__import__('os').kill(__import__('os').getpid(), 9)")


def test_a_method_that_kills_its_process_loses_no_study_of_another(tmp_path: Path) -> None:
    (tmp_path / "kills.py").write_text(KILLS)
    arguments = ("compare", "--methods", "rs,kills=./kills.py,asha", "--seeds", "2", "--jobs", "2", "--out", "out")
    done = harness(*arguments, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("its process was killed") == 2
    states = json.loads(harness("check", "out", "--json", cwd=tmp_path).stdout)
    assert states["studies"] == 4
    rows = json.loads(harness("report", "out", "--json", cwd=tmp_path).stdout)["table"]
    assert {row["arm"]: row["missing"] for row in rows} == {"rs": 0, "kills": 2, "asha": 0}


def test_a_table_in_a_folder_is_compared_under_the_folders_name(tmp_path: Path) -> None:
    import shutil

    shutil.copytree(PROJECT / "surrogates" / "data" / "transformer_wikitext2_small", tmp_path / "tables" / "mine")
    both = "tables/mine,transformer_wikitext2_small"
    done = harness("compare", "--benchmarks", both, "--methods", "rs", "--seeds", "2", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(harness("report", "out", "--json", cwd=tmp_path).stdout)
    assert {study["benchmark"] for study in numbers["studies"]} == {"mine", "transformer_wikitext2_small"}
    assert harness("replay", "--verify", "out", cwd=tmp_path).returncode == 0
    assert "mine" in numbers["benchmarks"]


def test_a_metric_that_the_table_lacks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text('[benchmark]\nobjectives = [{metric = "val_los", maximize = false}]\n')
    done = harness("compare", "wrong.toml", "--methods", "rs", cwd=tmp_path)
    assert done.returncode == 2
    assert "no metric 'val_los'; it has" in done.stderr


def test_warm_workers_train_more_in_the_same_time(tmp_path: Path) -> None:
    replay = ("replay", "transformer_wikitext2_small", "--method", "rs")
    cold, warm = (harness(*replay, *flags, cwd=tmp_path).stdout for flags in ((), ("--warm",)))
    trials = [int(said.rsplit(" trials, ", 1)[0].split()[-1]) for said in (cold, warm)]
    assert trials[0] < trials[1]
    assert all(said.count("The surrogate of transformer_wikitext2_small is ") == 1 for said in (cold, warm))


def test_warm_workers_keep_the_other_delays_of_a_declaration() -> None:
    declared = {"benchmark": {"delays": {"start_up": 3.0}}}
    given = {"methods": ["rs"], "benchmarks": ["branin"], "seeds": [0], "overrides": {"delays": {"warm": True}}}
    comparison = comparison_of(declared, **given)  # type: ignore[arg-type]
    (study,) = studies_of(comparison)
    assert study.benchmark.delays == Delays(start_up=3.0, warm=True)
    assert study.key != studies_of(comparison_of(declared, **{**given, "overrides": {}}))[0].key  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["HUP", "TERM"])
@pytest.mark.parametrize(("ignored", "code"), [(True, 0), (False, 130)])
def test_who_closes_the_terminal_or_asks_to_leave_interrupts_unless_ignored(
    name: str, ignored: bool, code: int
) -> None:
    program = (
        "import os, signal, harness.__main__ as m\n"
        f"{'' if ignored else f'signal.signal(signal.SIG{name}, signal.SIG_DFL)'}\n"
        f"m.app = lambda **_: os.kill(os.getpid(), signal.SIG{name})\n"
        "m.main()\n"
    )
    trap = f"trap '' {name}; " if ignored else ""
    done = subprocess.run(["sh", "-c", f'{trap}exec "$0" -c "$1"', sys.executable, program], cwd=PROJECT, check=False)
    assert done.returncode == code


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("0.5s", 0.5), ("1.5m", 90), (" 30 m ", 1800), ("2h", 7200), ("1d", 86400)],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "0", "0s", "0.0h", "-5s", "soon", "1.m", ".5h", "1e3", "90 seconds", "1h30m", "2w", "inf", "nan"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"a duration is above 0, and written 90s, 30m, 2h or 1d; given {text!r}"):
        seconds_of(text)
