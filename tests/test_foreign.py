"""Programs of others: what they decide is carried out as what ours decide, and whatever they do fails them alone."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.comparison import Arm, Comparison
from harness.compose import comparisons, studies
from harness.foreign import _process
from harness.foreign._process import ForeignError, Program
from harness.loop import Ended, Log, Reason, Started, Why, run
from harness.methods import build, parse_method
from harness.names import PROJECT
from harness.simulated import Simulated
from harness.space import Config, Space, choice, uniform
from harness.study import Study, record
from harness.toys import Toy, toy_benchmark
from harness.trace import check_trace
from harness.types import NANOSECONDS, Benchmark, End, Scheduler
from reports.tables import errors, notes

SCRIPTS = Path(__file__).parent / "scripts"
SHELL = SCRIPTS / "foreign.sh"
LINE = Space({"x": uniform(0, 1)})

PROGRAM = """
import json, sys, time
def answer(line):
    request = json.loads(line)
    if "study" in request:
        return {ready}
    if "ask" in request:
        return {ask}
    told = request["tell"]
    return {tell}
for line in sys.stdin:
    said = answer(line)
    print(said if isinstance(said, str) else json.dumps(said), flush=True)
"""
GOOD = {"ready": '{"ready": True}', "ask": '{"config": {"x": 0.5}}', "tell": '{"decision": "continue"}'}


def program(path: Path, **parts: str) -> str:
    """The command of a Python program that answers so."""
    text = PROGRAM
    for name, part in (GOOD | parts).items():
        text = text.replace("{" + name + "}", part)
    path.write_text(text)
    return shlex.join([sys.executable, "-S", "-E", str(path)])


def foreign(command: str, benchmark: Benchmark, first: tuple[Config, ...] = (), patience: float = 60.0) -> Scheduler:
    method = parse_method("foreign")
    load = method.scheduler.load()
    return load(benchmark, np.random.default_rng(7), first=first, command=command, patience=patience)


def played(scheduler: Scheduler, toy: Toy, benchmark: Benchmark) -> Log:
    executor = Simulated(toy, benchmark.workers, 0, benchmark.delays)
    return run(benchmark, scheduler, executor, round(benchmark.budget * NANOSECONDS))


def play(command: str, toy: Toy | None = None, **options: object) -> Log:
    """A study of a program on a toy, whose trace keeps the invariants."""
    toy = toy or Toy(toy_benchmark(LINE))
    benchmark = toy.benchmark.with_space(toy.restricted_space())
    log = played(foreign(command, benchmark, **options), toy, benchmark)  # type: ignore[arg-type]
    assert check_trace(record(Study("toy", {}, benchmark, "toy", 0), log, 0.0)) == []
    return log


def starts(log: Log) -> list[Started]:
    return [event for event in log.events if isinstance(event, Started)]


# -- what is decided means the same --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["asha", "asha-stop", "freeze-thaw:initial=4", "hyperband"])
def test_our_own_method_decides_the_same_over_the_pipe(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    toy = Toy(toy_benchmark(epochs=14), ends=lambda place: End.DIVERGED if place > 0.8 else End.COMPLETE)
    command = shlex.join([sys.executable, str(SCRIPTS / "foreign_of_ours.py"), method])
    there = play(command, toy)
    benchmark = toy.benchmark.with_space(toy.restricted_space())
    seed = int(np.random.default_rng(7).integers(2**31))
    here = played(build(parse_method(method), benchmark, np.random.default_rng(seed)), toy, benchmark)
    assert there.events == here.events and (there.why, there.time) == (here.why, here.time)
    reasons = {event.reason for event in here.events if isinstance(event, Ended)}
    if method in ("asha-stop", "freeze-thaw:initial=4"):
        assert {"asha-stop": Reason.STOPPED, "freeze-thaw:initial=4": Reason.PAUSED}[method] in reasons


def test_a_shell_script_takes_part() -> None:
    log = play(str(SHELL))
    xs = [start.job.config["x"] for start in starts(log)]
    assert log.why == Why.BUDGET and xs == [pytest.approx(1 / n, abs=1e-5) for n in range(1, len(xs) + 1)]
    assert {start.job.until for start in starts(log)} == {9}


def test_first_configs_are_started_for_it_and_told(tmp_path: Path) -> None:
    first = ({"x": 0.25}, {"x": 0.75})
    command = program(tmp_path / "p.py", tell="sys.stderr.write(f\"{told['trial']} {told['config']}\\n\") or 1 / 0")
    toy = Toy(toy_benchmark(LINE, workers=2))
    log = play(command, toy, first=first)
    assert [start.job.config for start in starts(log)] == list(first)
    assert "0 {'x': 0.25}" in log.error or "1 {'x': 0.75}" in log.error


def test_who_takes_configs_is_told_at_once_and_says_how_far(tmp_path: Path) -> None:
    command = program(
        tmp_path / "p.py",
        ready='{"ready": True, "takes": True}',
        ask='{"until": 3} if "config" in request else {"wait": True}',
    )
    log = play(command, first=({"x": 0.25},))
    assert [(start.job.config, start.job.until) for start in starts(log)] == [({"x": 0.25}, 3)]
    assert log.why == Why.WAITS


@pytest.mark.parametrize("takes", [True, False])
def test_restricted_to_rows_each_proposal_becomes_the_nearest_free_one(tmp_path: Path, takes: bool) -> None:
    rows = [{"x": x} for x in (0.1, 0.4, 0.6, 1.0)]
    asked = tmp_path / "asked"
    command = program(
        tmp_path / "p.py",
        ready=json.dumps({"ready": True, "takes": takes}).replace("true", "True").replace("false", "False"),
        ask=f'open({str(asked)!r}, "a").write(line) and {{"config": {{"x": 0.5}}}}',
    )
    log = play(command, Toy(toy_benchmark(LINE.restricted(rows), workers=1, epochs=99)))
    assert [start.job.config["x"] for start in starts(log)] == [0.4, 0.6, 0.1, 1.0]
    assert log.why == Why.NOTHING_LEFT
    requests = [json.loads(line) for line in asked.read_text().splitlines()]
    given = [request["config"]["x"] for request in requests if "config" in request]
    assert given == ([0.4, 0.6, 0.1, 1.0] if takes else [])
    assert len(requests) - len(given) == 5  # a full training that cannot be had is asked for once


HALVING = """
import json, sys
rung, losses, best = [], {}, None
for line in sys.stdin:
    request = json.loads(line)
    if "study" in request:
        answer = {"ready": True}
    elif "tell" in request:
        losses[request["tell"]["trial"]] = float(request["tell"]["losses"][0])
        answer = {"decision": "continue"}
    else:
        if best is None and len(rung) == 9 and losses.keys() >= set(rung):
            best = sorted(rung, key=losses.get)[:2]
        if best:
            answer = {"trial": best.pop(0), "until": 3}
        else:
            rung += [request["ask"]] * (len(rung) < 9)
            answer = {"config": {"x": 0.5}, "until": 1}
    print(json.dumps(answer), flush=True)
"""


def test_a_first_rung_that_is_larger_than_the_table_is_filled_and_its_best_go_on(tmp_path: Path) -> None:
    path = tmp_path / "halving.py"
    path.write_text(HALVING)
    rows = [{"x": x} for x in (0.1, 0.4, 0.6, 1.0)]
    command = shlex.join([sys.executable, "-S", "-E", str(path)])
    log = play(command, Toy(toy_benchmark(LINE.restricted(rows), workers=2, epochs=99)))
    assert [start.job.until for start in starts(log)] == [1, 1, 1, 1, 3, 3]
    assert [start.job.config["x"] for start in starts(log)[4:]] == [0.1, 0.4]
    assert log.why == Why.NOTHING_LEFT


def test_numbers_that_json_lacks_arrive_and_failures_are_told(tmp_path: Path) -> None:
    command = program(
        tmp_path / "p.py",
        tell='{"decision": "continue"} if (told["losses"], told["status"]) != (["inf"], "failed") else 1',
    )
    log = play(command, Toy(toy_benchmark(LINE), ends=lambda place: End.DIVERGED))
    assert log.why == Why.ERROR and "answered '1'" in log.error


# -- what goes wrong -------------------------------------------------------------------------------------------------

FAULTS = {
    "leaves": ({"ask": 'sys.stderr.write("no idea\\n") and sys.exit(3)'}, "exit code 3; its last words: no idea"),
    "dies": ({"ask": "__import__('os').kill(__import__('os').getpid(), 9)"}, "left, killed by signal 9"),
    "raises": ({"ask": "1 / 0"}, "exit code 1; its last words: ZeroDivisionError: division by zero"),
    "hangs": ({"ask": "time.sleep(60)"}, "has not answered for 0.5 seconds"),
    "no JSON": ({"ask": "'config'"}, "answered 'config', expected one JSON object a line"),
    "an array": ({"ask": "[1]"}, "answered '[1]', expected one JSON object"),
    "endless": ({"ask": "'x' * 2_000_000"}, "answered more than 1024 KiB without an end of line"),
    "two lines": ({"tell": "'{\"decision\": \"continue\"}\\n{}'"}, "said '{}\\n' without being asked"),
    "no job": ({"ask": "{}"}, 'expected {"config": {...}}, {"trial": a trial of before'),
    "outside": ({"ask": '{"config": {"x": 2}}'}, "a config of the space (x = 2 is outside the space"),
    "unknown name": ({"ask": '{"config": {"y": 2}}'}, "unknown hyperparameter 'y'"),
    "no config": ({"ask": '{"config": 3}'}, "answered \"{'config': 3}\""),
    "unknown trial": ({"ask": '{"trial": 5, "until": 9}'}, "a trial of before"),
    "no level": ({"ask": '{"config": {"x": 1}, "until": 77}'}, "cannot train until epoch 77"),
    "half a level": ({"ask": '{"config": {"x": 1}, "until": 1.5}'}, "answered '1.5', expected \"until\": a level"),
    "running": ({"ask": '{"config": {"x": 1}} if request["ask"] == 0 else {"trial": 0, "until": 9}'}, "is running"),
    "no decision": ({"tell": '{"decision": "maybe"}'}, 'expected {"decision": "continue"}'),
    "a list": ({"tell": '{"decision": ["stop"]}'}, 'expected {"decision": "continue"}'),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_nonsense_fails_the_study_with_words_and_leaves_no_process(tmp_path: Path, fault: str) -> None:
    parts, words = FAULTS[fault]
    before = set(_process._living)
    log = play(program(tmp_path / "p.py", **parts), patience=0.5 if fault == "hangs" else 60.0)
    assert log.why == Why.ERROR
    assert words in log.error.splitlines()[-1], log.error
    assert set(_process._living) == before
    assert not processes_of(tmp_path)


def processes_of(folder: Path) -> list[str]:
    """The command lines of living processes that name a folder."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        found += [text] if str(folder) in text else []
    return found


@pytest.mark.parametrize(
    ("ready", "words"),
    [
        ('{"not_applicable": "too\\nodd <b>"}', "cannot run on 'toy': too\nodd <b>"),
        ('{"ready": 1}', 'expected {"ready": true}'),
        ("sys.exit(0)", "left with exit code 0"),
    ],
)
def test_who_is_not_ready_says_why_at_the_door(tmp_path: Path, ready: str, words: str) -> None:
    with pytest.raises((ValueError, ForeignError)) as refused:
        play(program(tmp_path / "p.py", ready=ready))
    assert words in str(refused.value)
    del refused  # which holds the frames in which the scheduler was made
    until(lambda: not processes_of(tmp_path))


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, but not for ever."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_program_that_is_none_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere cannot be started: .*No such file"):
        play(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"foreign:command=\./my_optimiser"):
        play("")


def test_who_does_not_read_is_not_waited_for_longer_than_who_does_not_answer(tmp_path: Path) -> None:
    deaf = Program("deaf", [sys.executable, "-S", "-E", "-c", "import time; time.sleep(5)", str(tmp_path)])
    with pytest.raises(ForeignError, match=r"^deaf has not read what it was told for 0\.5 seconds$"):
        deaf.say({"study": "x" * 200_000}, 0.5)  # more than a pipe holds
    assert not processes_of(tmp_path)


CHILDREN = """
import subprocess, sys
subprocess.Popen([sys.executable, "-S", "-E", "-c", "import time; time.sleep(600)", {path!r}], start_new_session=True)
for line in sys.stdin:
    print('{"ready": true}', flush=True)
"""


def test_what_it_started_is_killed_with_it(tmp_path: Path) -> None:
    path = tmp_path / "parent.py"
    path.write_text(CHILDREN.replace("{path!r}", repr(str(tmp_path))))
    started = Program("parent", [sys.executable, "-S", "-E", str(path)])
    assert started.say({}, 60.0) == {"ready": True}
    patience = time.monotonic() + 30
    while len(processes_of(tmp_path)) < 2 and time.monotonic() < patience:
        time.sleep(0.01)  # a process that has just begun may not show its command line yet
    assert len(processes_of(tmp_path)) == 2
    started.close()
    assert processes_of(tmp_path) == []


STUBBORN = "import time\nprint('{\"ready\": true}', flush=True)\ntime.sleep(600)"
PARENT = """
import sys, time
from harness.foreign._process import Program
program = Program("stubborn", [sys.executable, "-S", "-E", sys.argv[1]])
print(program.say({}, 60.0), flush=True)
time.sleep(600)
"""


def test_no_program_outlives_a_process_of_ours_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "stubborn.py"
    path.write_text(STUBBORN)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    argv = [sys.executable, "-c", PARENT, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout and parent.stdout.readline() == "{'ready': True}\n"
        parent.send_signal(signal.SIGKILL)
    until(lambda: not processes_of(tmp_path))


# -- in comparisons ---------------------------------------------------------------------------------------------------


def comparison(*methods: str) -> Comparison:
    arms = tuple(Arm(method.partition("=")[0], method.partition("=")[2] or method) for method in methods)
    return Comparison(arms, ("synthetic_curves",), (0, 1), {"budget": 60.0})


def test_a_comparison_over_processes_runs_programs_and_shows_who_failed(tmp_path: Path) -> None:
    names = studies.catalog.find_benchmark("synthetic_curves").benchmark.space.names
    middle = json.dumps({name: 0.5 for name in names})
    good = program(tmp_path / "good.py", ask=f'{{"config": {middle}}}')
    bad = program(tmp_path / "bad.py", ask="1 / 0")
    wanted = comparison("rs", f"good=foreign:command={good}", f"bad=foreign:command={bad}")
    done = comparisons.compare(wanted, tmp_path / "out", command="compare", jobs=2)
    assert {outcome.arm for outcome in done.failed} == {"bad"} and len(done.failed) == 2
    assert "ZeroDivisionError" in done.failed[0].error.splitlines()[-1]
    again = comparisons.compare(wanted, tmp_path / "out", command="compare", jobs=2)
    assert again.outcomes == []
    (tmp_path / "good.py").write_text((tmp_path / "good.py").read_text() + "\n# changed")
    summary, _ = comparisons.report(tmp_path / "out", brief=True)
    assert summary.table["missing"].tolist() == [0, 0, 0]
    assert "good was run with other files of its program than there are here." in notes(summary)
    assert comparisons.compare(wanted, tmp_path / "out", command="compare", jobs=1).stale == {
        f"good on synthetic_curves, seed {seed}": "method.program changed" for seed in (0, 1)
    }
    assert not processes_of(tmp_path)


@pytest.mark.parametrize(
    ("ready", "patience", "words"),
    [
        ("sys.exit(4)", 60, "left with exit code 4"),
        ("time.sleep(60)", 0.5, "has not answered for 0.5 seconds"),
        ("'hello'", 60, "answered 'hello', expected one JSON object a line"),
    ],
)
def test_who_breaks_off_before_the_first_question_fails_and_takes_nothing_from_the_others(
    tmp_path: Path, ready: str, patience: float, words: str
) -> None:
    bad = program(tmp_path / "bad.py", ready=ready)
    wanted = comparison("rs", f"bad=foreign:patience={patience}:command={bad}")
    done = comparisons.compare(wanted, tmp_path / "out", command="compare", jobs=1)
    assert {outcome.arm: outcome.error == "" for outcome in done.outcomes} == {"rs": True, "bad": False}
    assert len(done.failed) == 2 and all(words in outcome.error.splitlines()[-1] for outcome in done.failed)
    summary, _ = comparisons.report(tmp_path / "out", brief=True)
    assert summary.table.set_index("arm")["failed"].to_dict() == {"rs": 0, "bad": 2}
    (said,) = errors(summary)
    assert said.startswith("bad on synthetic_curves, seeds 0, 1: ") and words in said
    assert comparisons.compare(wanted, tmp_path / "out", command="compare", jobs=1).outcomes == []
    assert not processes_of(tmp_path)


def test_a_space_of_choices_reaches_the_program_as_it_is(tmp_path: Path) -> None:
    space = Space({"x": choice(["a <b>", 'q"', True, 3])})
    command = program(tmp_path / "p.py", ask='{"config": {"x": "q\\""}}')
    log = play(command, Toy(toy_benchmark(space)))
    assert log.why == Why.BUDGET and starts(log)[0].job.config == {"x": 'q"'}
