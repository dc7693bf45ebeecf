"""A real study goes on after any end, decides as it did, and its journal replays to the nanosecond."""

from __future__ import annotations

import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_foreign import program
from toys import Scripted, ending, run_study, toy_data
from toys import study as toys_study
from typer.testing import CliRunner

from harness.__main__ import app
from harness.command import Command
from harness.compose import replays, trainings
from harness.compose.recorded import Neighbours, Trained, Training
from harness.compose.replays import replay_journal, what_if
from harness.compose.studies import prepared
from harness.compose.trainings import JOURNAL
from harness.journal import Difference, Journal, read, warnings
from harness.lines import LineWriter, read_lines
from harness.loop import Ended, Log, Reason, Started, run
from harness.methods import parse_method
from harness.playback import Recorded, decision_times
from harness.rehearsal import Follower, Rehearsal
from harness.schedulers.median import MedianStopping
from harness.simulated import Simulated
from harness.space import Space, choice, uniform
from harness.store import Store
from harness.study import Study, record
from harness.trace import check_trace
from harness.types import (
    NANOSECONDS,
    Benchmark,
    Decision,
    Delays,
    End,
    Event,
    Executor,
    Fidelity,
    Job,
    Objective,
    Report,
    Scheduler,
    Standing,
    Status,
)
from surrogates.table import Table, save

METHODS = ["rs", "asha", "asha-stop", "hyperband", "median", "asha:sampler=tpe"]
TABLE = Table(toy_data(rows=300, table_miss="snap", fidelity=Fidelity("epoch", tuple(range(1, 10)))))
BENCHMARK = TABLE.benchmark
BUDGET = round(BENCHMARK.budget * NANOSECONDS)
SCRIPTS = Path(__file__).parent / "scripts"


DELAYS = Delays(start_up=0.3, restore=0.05, save=0.1, leave=0.25)


def study(method: str, source: str = "", benchmark: Benchmark = BENCHMARK) -> Study:
    return Study(method, parse_method(method).to_json(), benchmark, "real", 0, source=source)


def scheduler(method: str, seed: int = 0) -> Scheduler:
    return prepared(replace(study(method), seed=seed), None)[1]


def workers() -> Simulated:
    return Simulated(TABLE, BENCHMARK.workers, 0, DELAYS)


class Interrupted:
    """A real executor that notes where it is handed the study, and is interrupted at once."""

    idle = now = 0

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.now = standing.now

    def start(self, job: Job) -> tuple[int, int]:
        raise KeyboardInterrupt

    def next(self, deadline: int) -> Event | None:
        raise KeyboardInterrupt

    def pause(self, trial: int) -> None: ...
    def stop(self, trial: int) -> None: ...
    def spend(self, nanoseconds: int) -> None: ...
    def close(self) -> None: ...


def journaled(path: Path, method: str) -> Log:
    """A whole study with its journal."""
    with Journal(path, study(method).spec()) as journal:
        log = run(BENCHMARK, scheduler(method), workers(), BUDGET, watch=journal.watch)
        journal.seal(log)
    assert not log.error
    assert len(log.events) > 50
    return log


def shortened(path: Path, events: int, to: Path) -> Path:
    """The journal as a kill leaves it: its first events, and half a line."""
    lines = path.read_bytes().splitlines(keepends=True)
    to.write_bytes(b"".join(lines[: 1 + events]) + lines[1][: len(lines[1]) // 2])
    return to


def standing_after(events: list[Started | Event | Ended]) -> Standing:
    """By books of its own: where a study stands after its first events."""
    standing = Standing()
    for event in events:
        standing.now = event.time
        if isinstance(event, Started):
            standing.running[event.job.trial] = (event.job, event.worker, event.time)
        elif isinstance(event, Ended):
            standing.running.pop(event.trial, None)
            if event.reason is Reason.STOPPED:
                standing.stopped.add(event.trial)
        else:
            trial, resource, *_, status = event.report
            standing.reached[trial] = resource
            job, worker, _ = standing.running.pop(trial)
            if status is Status.RUNNING:
                standing.running[trial] = (job, worker, event.time)
    return standing


@pytest.mark.parametrize("method", METHODS)
def test_a_study_is_handed_over_where_its_journal_ends(tmp_path: Path, method: str) -> None:
    whole = journaled(tmp_path / "whole", method)
    events = [event for event in whole.events if not (isinstance(event, Ended) and event.reason is Reason.CUT)]
    luck = random.Random(0)
    for count in [0, 1, len(events) - 1, *luck.sample(range(2, len(events)), 8)]:
        handed: list[Interrupted] = []

        def real(standing: Standing, handed: list[Interrupted] = handed) -> Executor:
            handed.append(Interrupted(standing))
            return handed[0]

        path = shortened(tmp_path / "whole", count, tmp_path / f"cut-{count}")
        with Journal(path, study(method).spec()) as journal:
            assert journal.events == events[:count]
            rehearsal = Rehearsal(journal, BENCHMARK.workers, real)
            log = run(BENCHMARK, scheduler(method), rehearsal, BUDGET, watch=journal.watch)
        assert log.events[:count] == events[:count]
        # What the scheduler decided on the last report may have been lost; it decides that again at once.
        decided = [event for event in log.events if not (isinstance(event, Ended) and event.reason is Reason.CUT)]
        assert decided == events[: len(decided)]
        assert len(decided) - count <= 1
        assert handed[0].standing == standing_after(decided)
        assert [line.keys() for line in read_lines(path)][1 + count :] == [{"ended": []}.keys()] * (
            len(decided) - count
        )


def test_a_journal_reads_back_what_happened(tmp_path: Path) -> None:
    log = journaled(tmp_path / "journal", "asha-stop")
    spec, again, failures = read(tmp_path / "journal")
    assert (again.events, again.why, again.time) == (log.events, log.why, log.time)
    assert spec == json.loads(json.dumps(study("asha-stop").spec()))
    assert failures == {}


@pytest.mark.parametrize("method", METHODS)
def test_the_recorded_study_repeats_to_the_nanosecond(tmp_path: Path, method: str) -> None:
    real = journaled(tmp_path / "journal", method)
    log = run(
        BENCHMARK, scheduler(method), Recorded(real, BENCHMARK.workers), real.time, decision_time=decision_times(real)
    )
    assert log.events == real.events
    again, difference = replay_journal(tmp_path / "journal", lambda _: lambda _: None)
    assert difference == ""
    assert again.events == real.events


def test_another_scheduler_parts_from_the_journal_and_is_refused(tmp_path: Path) -> None:
    journaled(tmp_path / "whole", "asha")
    path = shortened(tmp_path / "whole", 40, tmp_path / "cut")
    with Journal(path, study("asha").spec()) as journal, pytest.raises(Difference, match=r"event 1 of 40.*--follow"):
        run(BENCHMARK, scheduler("asha", seed=1), Rehearsal(journal, 4, Interrupted), BUDGET, watch=journal.watch)
    assert len(list(read_lines(path))) == 41


def test_a_follower_takes_what_happened_for_what_it_asked(tmp_path: Path) -> None:
    whole = journaled(tmp_path / "whole", "asha")
    path = shortened(tmp_path / "whole", 40, tmp_path / "cut")
    with Journal(path, study("asha").spec()) as journal:
        follower = Follower(Hearing(scheduler("asha", seed=1)), journal)
        log = run(BENCHMARK, follower, Rehearsal(journal, BENCHMARK.workers, Interrupted), BUDGET, watch=journal.watch)
    assert log.error == ""
    assert log.events[:40] == whole.events[:40]


def test_what_a_follower_asked_for_and_the_journal_did_not_start_comes_after_it(tmp_path: Path) -> None:
    """The scheduler starts trials 0, 1, 2 and resumes 1; the journal had started 1 alone, with another config."""
    scripted = Scripted([Job(0, {"x": 0}, 1), Job(1, {"x": 1}, 1), Job(2, {"x": 2}, 1), Job(1, {"x": 1}, 3)])
    done = Report(1, 1, (0.0,), {}, 9e-9, Status.REACHED)
    with Journal(tmp_path / "journal", study("rs").spec()) as journal:
        journal.events = [Started(0, 0, Job(1, {"x": 1.5}, 1)), Event(9, 0, done, {})]
        follower = Follower(scripted, journal)
        assert follower.ask() == Job(1, {"x": 1.5}, 1)
        journal.position = 1
        assert follower.ask() is None
        journal.position = 2
        assert follower.tell(done) is Decision.CONTINUE and scripted.told == [done]
        after = [follower.ask() for _ in range(4)]
    assert after == [Job(0, {"x": 0}, 1), Job(2, {"x": 2}, 1), Job(1, {"x": 1.5}, 3), None]


class Hearing:
    """A scheduler that refuses to be told of a trial that it has not asked for, or that is over for it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.asked: set[int] = set()
        self.stopped: set[int] = set()

    def ask(self) -> Job | None:
        job = self.scheduler.ask()
        if job is not None:
            self.asked.add(job.trial)
        return job

    def tell(self, report: Report) -> Decision:
        assert report.trial in self.asked, f"it does not wait for trial {report.trial}"
        decision = self.scheduler.tell(report)
        if decision is not Decision.CONTINUE or report.status is not Status.RUNNING:
            self.asked.remove(report.trial)
        if decision is Decision.STOP:
            self.stopped.add(report.trial)
        return decision


def followed(folder: Path, method: str, hearing: Hearing) -> set[int]:
    """Let a scheduler follow a journal of a method to its end; gives who was stopped in the journal."""
    whole = journaled(folder / "whole", method)
    events = [event for event in whole.events if not (isinstance(event, Ended) and event.reason is Reason.CUT)]
    path = shortened(folder / "whole", len(events), folder / "cut")
    with Journal(path, study(method).spec()) as journal:
        follower = Follower(hearing, journal)
        log = run(BENCHMARK, follower, Rehearsal(journal, BENCHMARK.workers, Interrupted), BUDGET, watch=journal.watch)
    assert (log.error, log.why) == ("", "interrupted")
    assert log.events[: len(events)] == events
    return {event.trial for event in events if isinstance(event, Ended) and event.reason is Reason.STOPPED}


@pytest.mark.parametrize("method", [*METHODS, "dyhpo"])
def test_who_follows_a_journal_of_its_own_decides_as_it_did(tmp_path: Path, method: str) -> None:
    hearing = Hearing(scheduler(method))
    assert followed(tmp_path, method, hearing) == hearing.stopped


@pytest.mark.parametrize(
    ("method", "stricter"),
    [("rs", "asha-stop"), ("asha-stop:eta=9", "asha-stop"), ("median:population=99", "median:population=1")],
)
def test_a_follower_is_told_no_more_of_whom_it_would_have_stopped(tmp_path: Path, method: str, stricter: str) -> None:
    hearing = Hearing(scheduler(stricter))
    stopped = followed(tmp_path, method, hearing)
    assert hearing.stopped - stopped, "it would have stopped some that went on"


def following(path: Path, scripted: Scripted, job: Job, reports: list[Report]) -> tuple[Follower, Journal]:
    """A follower of a journal in which a job is started and says this, and that journal."""
    journal = Journal(path, study("rs").spec())
    said = [Event(9, 0, report, {}) for report in reports]
    journal.events = [Started(0, 0, job), *said]
    follower = Follower(scripted, journal)
    assert follower.ask() == job
    return follower, journal


def running(trial: int, level: int) -> Report:
    return Report(trial, level, (0.0,), {}, 9e-9, Status.RUNNING)


def test_a_trial_that_a_follower_would_have_stopped_is_stopped_where_the_journal_ends(tmp_path: Path) -> None:
    scripted = Scripted([Job(0, {"x": 0}, 9)], lambda report: Decision.STOP)
    reports = [running(0, 1), running(0, 2)]
    follower, journal = following(tmp_path / "journal", scripted, Job(0, {"x": 0}, 9), reports)
    with journal:
        journal.position = 2
        assert follower.tell(reports[0]) is Decision.CONTINUE
        journal.position = 3
        assert follower.tell(reports[1]) is Decision.STOP
        assert follower.ask() is None
    assert scripted.told == reports[:1]


def test_a_follower_hears_of_a_trial_that_it_would_have_paused_once_it_resumes_it(tmp_path: Path) -> None:
    scripted = Scripted(
        [Job(0, {"x": 0}, 9), Job(0, {"x": 0}, 9)],
        lambda report: Decision.PAUSE if report.resource == 1 else Decision.CONTINUE,
    )
    reports = [running(0, 1), running(0, 2), running(0, 3)]
    follower, journal = following(tmp_path / "journal", scripted, Job(0, {"x": 0}, 9), reports)
    with journal:
        for place, report in enumerate(reports[:2], 2):
            journal.position = place
            assert follower.tell(report) is Decision.CONTINUE
        assert scripted.told == reports[:1]
        assert follower.ask() is None and scripted.told == reports[:2]
        journal.position = 4
        assert follower.tell(reports[2]) is Decision.CONTINUE
    assert scripted.told == reports


def test_a_follower_resumes_what_was_paused_after_its_journal(tmp_path: Path) -> None:
    """As a method that pauses has it: every job is one until the end."""
    again = Job(0, {"x": 0}, 9)
    scripted = Scripted([again, again], lambda report: Decision.PAUSE)
    follower, journal = following(tmp_path / "journal", scripted, again, [running(0, 1)])
    with journal:
        journal.events.append(Ended(9, 0, 0, Reason.PAUSED))
        journal.position = 2
        assert follower.tell(running(0, 1)) is Decision.PAUSE
        journal.position = 3
        assert [follower.ask(), follower.ask()] == [again, None]


def test_a_follower_hears_of_a_trial_that_it_had_not_asked_for_once_it_does(tmp_path: Path) -> None:
    scripted = Scripted([Job(1, {"x": 1}, 1), Job(0, {"x": 0}, 1)])
    done = Report(0, 1, (0.0,), {}, 9e-9, Status.REACHED)
    follower, journal = following(tmp_path / "journal", scripted, Job(0, {"x": 0.5}, 1), [done])
    with journal:
        journal.position = 2
        assert follower.tell(done) is Decision.CONTINUE and scripted.told == []
        assert [follower.ask(), follower.ask()] == [Job(1, {"x": 1}, 1), None]
    assert scripted.told == [done]


def test_a_real_study_follows_its_journal_though_its_scheduler_would_stop_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, fidelity = Space({"x": uniform(0.0, 1.0)}), Fidelity("epoch", tuple(range(1, 10)))
    benchmark = Benchmark("toy", space, (Objective("loss"),), fidelity, budget=2.5, workers=1)
    command = Command((sys.executable, str(SCRIPTS / "toy.py")), "epochs")
    first, _ = trainings.run_for_real(study("median", benchmark=benchmark), command, tmp_path, None)
    before = [event for event in first.events if getattr(event, "reason", None) is not Reason.CUT]
    assert max(event.report.resource for event in before if isinstance(event, Event)) > 1

    def stops(self: MedianStopping, best: float, averages: object) -> bool:
        return True

    monkeypatch.setattr(MedianStopping, "_is_worse", stops)
    raised = study("median", benchmark=replace(benchmark, budget=4.5))
    log, _ = trainings.run_for_real(raised, command, tmp_path, None, follow_journal=True)
    assert (log.error, log.why) == ("", "budget")
    assert log.events[: len(before)] == before
    after = [event for event in log.events[len(before) :] if isinstance(event, Ended)]
    assert Reason.STOPPED in [event.reason for event in after]
    assert Reason.REACHED not in [event.reason for event in after]


def test_a_journal_of_another_study_is_refused_with_what_differs(tmp_path: Path) -> None:
    journaled(tmp_path / "journal", "asha")
    with pytest.raises(ValueError, match=r"another study \(arm was 'asha', is 'rs'"):
        Journal(tmp_path / "journal", study("rs").spec())
    Journal(tmp_path / "journal", study("asha").spec()).__exit__(None, None, None)


def test_what_only_a_simulation_declares_makes_no_other_study_of_a_real_one(tmp_path: Path) -> None:
    def with_delays(data: str, **fields: Any) -> Study:
        declared = replace(study("asha"), data=data)
        return replace(declared, benchmark=replace(declared.benchmark, **fields))

    slower, elsewhere = {"delays": Delays(3.0, leave=1.0)}, {"table_miss": "surrogate"}
    journaled(tmp_path / "journal", "asha")
    for fields in (slower, elsewhere):
        Journal(tmp_path / "journal", with_delays("real", **fields).spec()).__exit__(None, None, None)
        assert with_delays("digest", **fields).key != with_delays("digest").key
    with pytest.raises(ValueError, match="another study"):
        Journal(tmp_path / "journal", with_delays("real", delays=Delays(warm=True)).spec())


def test_another_version_of_its_method_makes_no_other_study_of_a_real_one() -> None:
    """Where it goes on, it is seen whether that decides as it did."""
    for data, same in (("real", True), ("digest", False)):
        old = replace(study("asha"), data=data)
        sampler = {**old.method["sampler"], "version": 9}
        newer = [replace(old, method={**old.method, **changed}) for changed in ({"version": 9}, {"sampler": sampler})]
        assert [one.key == old.key for one in newer] == [same, same]
        assert replace(old, method={**old.method, "options": {"eta": 4}}).key != old.key


def test_what_differs_is_named_to_the_last_part(tmp_path: Path) -> None:
    journaled(tmp_path / "journal", "asha")
    longer = replace(BENCHMARK, budget=999.0, delays=Delays(7.0, warm=True))
    said = r"another study \(benchmark\.budget was [\d.]+, is 999\.0; benchmark\.delays\.warm was False, is True\)"
    with pytest.raises(ValueError, match=said):
        Journal(tmp_path / "journal", study("asha", benchmark=longer).spec())
    spec = study("asha").spec()
    turned = {**spec, "benchmark": dict(reversed(spec["benchmark"].items()))}
    with pytest.raises(ValueError, match="the same ingredients in another order"):
        Journal(tmp_path / "journal", turned)


def test_a_file_that_is_no_journal_is_refused_and_let_go(tmp_path: Path) -> None:
    with LineWriter(tmp_path / "lines") as writer:
        writer.append({"run": 1})
    for _ in range(2):
        with pytest.raises(ValueError, match="lines is no journal of a study"):
            Journal(tmp_path / "lines", study("rs").spec())


def test_warnings_stand_in_the_journal_and_are_no_events(tmp_path: Path) -> None:
    """Fault 29; and a journal from before there were warnings of anything but restarts is read and goes on too."""
    whole = journaled(tmp_path / "whole", "asha")
    path = shortened(tmp_path / "whole", 40, tmp_path / "cut")
    with LineWriter(path) as writer:
        writer.append({"restart": 7, "because": "it crashed"})
    for text in ("its checkpoint was lost", "reached epoch 9 as asked, then: exit code 3"):
        with Journal(path, study("asha").spec()) as journal:
            journal.warn(7, text)
            rehearsal = Rehearsal(journal, BENCHMARK.workers, Interrupted)
            log = run(BENCHMARK, scheduler("asha"), rehearsal, BUDGET, watch=journal.watch)
        assert log.events[:40] == whole.events[:40]
    assert warnings(path) == {
        7: [
            "started or trained again: it crashed",
            "its checkpoint was lost",
            "reached epoch 9 as asked, then: exit code 3",
        ]
    }
    assert warnings(tmp_path / "whole") == {}


def test_a_replay_does_not_hear_warnings(tmp_path: Path) -> None:
    """Fault 29: with one between any two events the journal is that of the same study."""
    whole = journaled(tmp_path / "whole", "asha")
    head, *events = read_lines(tmp_path / "whole")
    with LineWriter(tmp_path / "warned") as writer:
        writer.append(head)
        for event in events:
            writer.append({"warning": 0, "text": "exit code 3"})
            writer.append(event)
    assert read(tmp_path / "warned") == read(tmp_path / "whole")
    again, difference = replay_journal(tmp_path / "warned", lambda _: lambda _: None)
    assert (again.events, difference) == (whole.events, "")


def test_a_study_that_ended_before_its_first_event_goes_on(tmp_path: Path) -> None:
    """Killed between the start of its first process and the record of that: the journal holds its head alone."""
    space, fidelity = Space({"x": uniform(0.0, 1.0)}), Fidelity("epoch", tuple(range(1, 10)))
    benchmark = Benchmark("toy", space, (Objective("loss"),), fidelity, budget=3.0, workers=1, test_metric="test_loss")
    begun = study("rs", benchmark=benchmark)
    with Journal(tmp_path / JOURNAL, begun.spec()):
        pass
    (tmp_path / "trials" / "0" / "checkpoints").mkdir(parents=True)
    (tmp_path / "trials" / "0" / "checkpoints" / "state.json").write_text('{"epoch": 2}', encoding="utf-8")
    command = Command((sys.executable, str(SCRIPTS / "toy.py")), "epochs")
    log, record = trainings.run_for_real(begun, command, tmp_path, None)
    assert (log.why, log.error, record.failures) == ("budget", "", ())
    assert [e.report.resource for e in log.events if isinstance(e, Event) and e.report.trial == 0][:3] == [1, 2, 3]


@pytest.mark.parametrize("method", METHODS)
def test_a_study_that_is_over_goes_on_where_its_budget_is_raised(tmp_path: Path, method: str) -> None:
    """It is handed over with all that it has done; what its end cut is under way. The file follows what happens."""
    path, twice = tmp_path / "journal", replace(BENCHMARK, budget=2 * BENCHMARK.budget)
    before = [event for event in journaled(path, method).events if getattr(event, "reason", None) is not Reason.CUT]
    whole, raised = path.read_bytes(), study(method, benchmark=twice)

    def gone_on(real: Callable[[Standing], Executor]) -> Log:
        with Journal(path, raised.spec()) as journal:
            assert journal.goes_on and journal.log is None and journal.events[: len(before)] == before
            rehearsal = Rehearsal(journal, twice.workers, real)
            return run(twice, prepared(raised, None)[1], rehearsal, 2 * BUDGET, watch=journal.watch)

    handed: list[Standing] = []

    def interrupted(standing: Standing) -> Interrupted:
        handed.append(standing)
        return Interrupted(standing)

    assert gone_on(interrupted).why == "interrupted" and handed == [standing_after(before)]
    assert path.read_bytes() == whole, "nothing was done with the larger budget yet"
    with Journal(path, raised.spec()) as journal:
        journal.warn(0, "it is started again")
    assert gone_on(interrupted).why == "interrupted"
    assert path.read_bytes().startswith(whole)
    assert [set(line) for line in read_lines(path)][-2:] == [{"budget"}, {"warning", "text"}]
    spec, log, _ = read(path)
    assert spec["benchmark"]["budget"] == twice.budget and log.why == "interrupted"
    with Journal(path, study(method).spec()) as journal:  # a mistaken budget is taken back
        assert journal.log is None
    used = before[-1].time / NANOSECONDS
    shorter = replace(BENCHMARK, budget=used / 2)
    with pytest.raises(ValueError, match=rf"the study has used {used:.1f} s, more than a budget of {used / 2:g} s"):
        Journal(path, study(method, benchmark=shorter).spec())


def test_a_scheduler_that_decides_by_the_budget_does_not_spoil_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journaled(path, "asha")
    whole = path.read_bytes()
    raised = study("asha", benchmark=replace(BENCHMARK, budget=2 * BENCHMARK.budget))
    with Journal(path, raised.spec()) as journal, pytest.raises(Difference, match="or it decides by the budget"):
        run(BENCHMARK, scheduler("asha", seed=1), Rehearsal(journal, 4, Interrupted), BUDGET, watch=journal.watch)
    assert path.read_bytes() == whole
    with Journal(path, study("asha").spec()) as journal:
        assert journal.log is not None and journal.log.why == "budget"


def test_a_budget_written_otherwise_is_no_larger_one(tmp_path: Path) -> None:
    budget = int(BENCHMARK.budget)
    with Journal(tmp_path / "journal", study("rs", benchmark=replace(BENCHMARK, budget=float(budget))).spec()):
        pass
    with pytest.raises(ValueError, match="another study"):
        Journal(tmp_path / "journal", study("rs", benchmark=replace(BENCHMARK, budget=budget)).spec())


def test_two_processes_do_not_write_one_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", study("asha").spec()), pytest.raises(ValueError, match="another process"):
        Journal(tmp_path / "journal", study("asha").spec())


def test_a_changed_line_is_refused(tmp_path: Path) -> None:
    journaled(tmp_path / "journal", "rs")
    damaged = (tmp_path / "journal").read_bytes().replace(b'"cost":', b'"cosT":', 1)
    (tmp_path / "journal").write_bytes(damaged)
    with pytest.raises(ValueError, match="checksum does not fit"):
        read(tmp_path / "journal")


# -- what if --------------------------------------------------------------------------------------------------------


def journal_with_a_table(folder: Path, method: str = "asha", warm: bool = False, source: str = "toy") -> Path:
    """A study of the toy table as if it were real, and that table beside it, which has another start-up and no end."""
    save(TABLE.data, folder / "toy")
    benchmark = replace(BENCHMARK, delays=replace(DELAYS, start_up=1.0, leave=0.0, warm=warm))
    real = Simulated(TABLE, BENCHMARK.workers, 0, replace(DELAYS, warm=warm))
    with Journal(folder / "journal", study(method, str(folder / source), benchmark).spec()) as journal:
        journal.seal(run(benchmark, scheduler(method), real, BUDGET, watch=journal.watch))
    return folder / "journal"


def same_events(one: Log, other: Log) -> bool:
    """Whether two logs hold the same events, but for what seconds written as floats lose of a nanosecond."""

    def plain(event: Started | Event | Ended) -> tuple[object, ...]:
        if isinstance(event, Event):
            return (event.worker, event.report._replace(cost=0.0), event.metrics)
        return event[1:]

    near = all(abs(a.time - b.time) < 1000 for a, b in zip(one.events, other.events, strict=False))
    return near and [*map(plain, one.events)] == [*map(plain, other.events)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("warm", [False, True])
def test_where_nothing_is_other_nothing_becomes_other(tmp_path: Path, method: str, warm: bool) -> None:
    path = journal_with_a_table(tmp_path, method, warm)
    imagined = what_if(path, lambda _: lambda _: None)
    assert same_events(imagined.log, read(path)[1])
    assert (imagined.trained, imagined.said) == (imagined.reports, f"{imagined.reports} of {imagined.reports} "
                                                 "reports (100%) rest on the journal")  # fmt: skip


@pytest.mark.parametrize(
    ("otherwise", "workers_then", "method_then"),
    [
        ({"workers": 7}, 7, "asha"),
        ({"method": "asha:eta=2"}, 2, "asha:eta=2"),
        ({"method": "rs"}, 2, "rs"),
        ({"warm": True}, 2, "asha"),
        ({"budget": 90.0}, 2, "asha"),
    ],
)
def test_a_what_if_is_what_would_have_been(
    tmp_path: Path, otherwise: dict[str, Any], workers_then: int, method_then: str
) -> None:
    """Where the table beside the journal is the truth, so is what is made of both."""
    path = journal_with_a_table(tmp_path)
    imagined = what_if(path, lambda _: lambda _: None, **otherwise)
    budget = otherwise.get("budget", BENCHMARK.budget)
    benchmark = replace(BENCHMARK, workers=workers_then, budget=budget)
    as_it_was = replace(study("asha"), method=parse_method(method_then).to_json(), benchmark=benchmark)
    opened, then = prepared(as_it_was, None)
    delays = replace(DELAYS, warm="warm" in otherwise)
    truth = run(opened, then, Simulated(TABLE, workers_then, 0, delays), round(budget * NANOSECONDS))
    assert same_events(imagined.log, truth)
    trained = {(e.report.trial, e.report.resource) for e in read(path)[1].events if isinstance(e, Event)}
    configs = {e.job.trial: e.job.config for e in read(path)[1].events if isinstance(e, Started)}
    known = {(BENCHMARK.space.key(configs[trial]), level) for trial, level in trained}
    then_configs = {e.job.trial: e.job.config for e in truth.events if isinstance(e, Started)}
    reports = [e.report for e in truth.events if isinstance(e, Event)]
    share = sum((BENCHMARK.space.key(then_configs[r.trial]), r.resource) in known for r in reports)
    assert (imagined.trained, imagined.reports) == (share, len(reports))
    assert 0 < share < len(reports)
    assert f"{share} of {len(reports)} reports" in imagined.said and "the nearest rows of the table of" in imagined.said
    assert imagined.pace == pytest.approx(1)


def test_a_what_if_with_another_seed_trains_what_that_seed_draws(tmp_path: Path) -> None:
    imagined = what_if(journal_with_a_table(tmp_path, "rs"), lambda _: lambda _: None, seed=5)
    started = [event.job.config for event in imagined.log.events if isinstance(event, Started)]
    then = scheduler("rs", seed=5)
    jobs = [then.ask() for _ in started]
    assert len(started) > 5 and started == [job.config for job in jobs if job is not None]
    assert imagined.trained == 0 < imagined.reports


def test_what_was_not_trained_rests_on_the_surrogate_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands ten above the table, so whatever it answers shows; with another seed all configs are new."""
    path, asked = journal_with_a_table(tmp_path), list[tuple[str, str]]()
    above = Table(replace(TABLE.data, values=TABLE.data.values + 10))

    def fitted(name: str, table_miss: str) -> Any:
        asked.append((name, table_miss))
        return SimpleNamespace(under=lambda benchmark: above.under(replace(benchmark, table_miss="snap")))

    def losses(imagined: replays.WhatIf) -> list[float]:
        return [event.report.losses[0] for event in imagined.log.events if isinstance(event, Event)]

    assert max(losses(what_if(path, lambda _: lambda _: None, seed=5))) < 10
    monkeypatch.setattr(replays, "model_of", fitted)
    imagined = what_if(path, lambda _: lambda _: None, seed=5)
    assert asked == [(str(tmp_path / "toy"), "surrogate")]
    assert min(losses(imagined)) > 10
    said = f"0 of {imagined.reports} reports (0%) rest on the journal, the other {imagined.reports} on the surrogate of"
    assert imagined.said.startswith(f"{said} {tmp_path / 'toy'} (not judged)")


def test_a_surrogate_that_cannot_be_trusted_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def distrusted(name: str, table_miss: str) -> Any:
        if table_miss == "surrogate":
            raise ValueError("fitted to another state of its table")
        return TABLE

    path = journal_with_a_table(tmp_path)
    monkeypatch.setattr(replays, "model_of", distrusted)
    with pytest.raises(ValueError, match="another state of its table"):
        what_if(path, lambda _: lambda _: None, method="rs")


def test_the_command_says_what_a_what_if_rests_on(tmp_path: Path) -> None:
    path = journal_with_a_table(tmp_path)
    done = CliRunner().invoke(app, ["replay", "--journal", str(path), "--method", "rs", "--workers", "3"])
    assert done.exit_code == 0, done.output
    assert re.search(r"^\d+ of \d+ reports \(\d+%\) rest on the journal, the other \d+ on the near", done.output, re.M)
    same = CliRunner().invoke(app, ["replay", "--journal", str(path)])
    assert (same.exit_code, "events are those of the real study" in same.output) == (0, True)


def test_where_there_is_no_table_the_trainings_of_the_journal_answer_for_each_other(tmp_path: Path) -> None:
    path = journal_with_a_table(tmp_path, source="somebody's.py")
    real, as_it_was = read(path)[1], what_if(path, lambda _: lambda _: None)
    # What the end of the study cut may come to its next report now: that takes as long as its neighbour's did.
    whole = [event for event in real.events if not (isinstance(event, Ended) and event.reason is Reason.CUT)]
    assert same_events(Log(as_it_was.log.events[: len(whole)]), Log(whole))
    assert as_it_was.reports - as_it_was.trained <= BENCHMARK.workers
    imagined = what_if(path, lambda _: lambda _: None, method="rs", workers=3)
    assert 0 < imagined.trained < imagined.reports
    assert re.search(
        r"the other \d+ on the nearest trainings of the journal itself \(with each left out in turn, the others rank "
        r"the \d+ that came to epoch \d with a correlation of -?\d\.\d\d to what they reached\)$",
        imagined.said,
    )


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_study_is_replayed_as_far_as_it_went(tmp_path: Path, method: str) -> None:
    journaled(tmp_path / "whole", method)
    for count in (1, 2, 17, 40, 41, 42, 43):
        path = shortened(tmp_path / "whole", count, tmp_path / f"cut-{count}")
        assert replay_journal(path, lambda _: lambda _: None)[1] == ""


def test_a_journal_that_says_nothing_answers_nothing(tmp_path: Path) -> None:
    failed = Event(9, 0, Report(0, 0, (float("inf"),), {}, 9e-9, Status.FAILED), {})
    with Journal(tmp_path / "journal", study("rs").spec()) as journal:
        for event in (Started(0, 0, Job(0, TABLE.data.configs[0], 9)), failed, Ended(9, 0, 0, Reason.FAILED)):
            journal.watch(event, "no luck")
    with pytest.raises(ValueError, match="none of its trials reported anything"):
        what_if(tmp_path / "journal", lambda _: lambda _: None, workers=8)


LINE = Benchmark(
    "line", Space({"x": uniform(0.0, 1.0)}), (Objective("loss"),), Fidelity("epoch", (1, 3, 9)), budget=9.0, workers=1
)


def on_the_line(x: float, *losses: float, diverged: int = -1) -> Training:
    """Trained with a loss at each level, each of which took 1 + x seconds."""
    took = round((1 + x) * NANOSECONDS)
    return Training({"x": x}, {i: (took, {"loss": loss}) for i, loss in enumerate(losses)}, diverged)


def test_neighbours_begin_as_the_nearest_and_go_on_as_the_nearest_that_went_on() -> None:
    model = Neighbours(LINE, [on_the_line(0.0, 3.0, 2.0, 1.0), on_the_line(0.75, 10.0), on_the_line(1.0, 8.0, 7.5)])
    assert model.curve({"x": 0.125}, 0).losses == ((3.0,), (2.0,), (1.0,))
    between = model.curve({"x": 0.625}, 0)
    assert (between.losses, between.end) == (((10.0,), (9.5,), (8.5,)), End.COMPLETE)
    assert [time / NANOSECONDS for time in between.nanoseconds] == [1.75, 3.75, 4.75]
    failed = Neighbours(LINE, [on_the_line(0.0, 3.0, 2.0, 1.0), on_the_line(1.0, 8.0, math.inf, diverged=1)])
    curve = failed.curve({"x": 0.875}, 0)
    assert (curve.losses, curve.end) == (((8.0,), (math.inf,)), End.DIVERGED)
    assert failed.curve({"x": 0.25}, 0).end is End.COMPLETE


def test_neighbours_know_who_began_further_on_and_what_not_all_report() -> None:
    """As a member of a population, which begins where its parent was."""
    child = Training({"x": 0.75}, {1: (NANOSECONDS, {"loss": 2.0}), 2: (NANOSECONDS, {"loss": 1.5})})
    first = on_the_line(0.0, 3.0, 2.5, 2.0)
    first.levels[0][1]["seen"] = 7.0  # type: ignore[index]
    curve = Neighbours(LINE, [first, child]).curve({"x": 0.625}, 0)
    assert curve.losses == ((3.0,), (2.5,), (2.0,))
    assert [said.get("seen") for said in curve.metrics] == [7.0, 7.0, 7.0]


def test_neighbours_of_a_fidelity_that_begins_anew_say_what_each_level_gave() -> None:
    anew = replace(LINE, fidelity=Fidelity("width", (1, 3, 9), continues=False))
    model = Neighbours(anew, [on_the_line(0.0, 3.0, 2.0, 1.0), on_the_line(1.0, 9.0)])
    curve = model.curve({"x": 0.75}, 0)
    assert curve.losses == ((9.0,), (2.0,), (1.0,))
    assert [time / NANOSECONDS for time in curve.nanoseconds] == [2.0, 1.0, 1.0]


def test_neighbours_say_how_well_they_rank() -> None:
    xs = [i / 20 for i in range(20)]
    rising = Neighbours(LINE, [on_the_line(x, *([x] * (3 if x < 0.3 else 2))) for x in xs])
    assert re.search(r"rank the 20 that came to epoch 3 with a correlation of (0\.9\d|1\.00) to", rising.ranked())
    luck = random.Random(1)
    lucky = Neighbours(LINE, [on_the_line(x, luck.random(), luck.random(), luck.random()) for x in xs])
    (told,) = re.findall(r"rank the 20 that came to epoch 9 with a correlation of (-?\d\.\d+)", lucky.ranked())
    assert abs(float(told)) < 0.5
    assert Neighbours(LINE, [on_the_line(0.0, 3.0, 2.0, 1.0)]).ranked() == "too few to say how well they do"


def test_neighbours_need_one_that_came_to_the_end() -> None:
    for measured in ([on_the_line(0.5, 3.0, 2.0)], [on_the_line(0.5, 3.0, 2.0, math.inf, diverged=2)]):
        with pytest.raises(ValueError, match=r"no training of the journal came to epoch 9, .* 'line' has neither"):
            Neighbours(LINE, measured)


def test_what_was_trained_comes_first_and_the_rest_is_moved_and_paced() -> None:
    config, other = TABLE.data.configs[:2]
    row = TABLE.curve(config, 0)
    level = row.nanoseconds[0] / NANOSECONDS
    own = {k: (round(3 * level * NANOSECONDS), {"loss": row.losses[k][0] + 0.25, "test_loss": 9.0}) for k in range(2)}
    model = Trained(BENCHMARK, [Training(config, own)], TABLE, 0)
    assert model.pace == pytest.approx(3)
    curve = model.curve(config, 0)
    assert [loss for (loss,) in curve.losses] == pytest.approx([loss + 0.25 for (loss,) in row.losses])
    assert curve.nanoseconds == pytest.approx([3 * time for time in row.nanoseconds], abs=2)
    assert [model.holds(config, level) for level in (1, 2, 3)] == [True, True, False]
    assert not model.holds(other, 1)
    assert model.curve(other, 0).losses == TABLE.curve(other, 0).losses
    assert "test_loss" not in curve.visible[5] and curve.end is End.COMPLETE


def test_what_was_trained_overrules_where_the_other_model_sees_it_end() -> None:
    config = TABLE.data.configs[0]
    own = {k: (NANOSECONDS, {"loss": 1.0 - k / 10, "test_loss": 0.0}) for k in range(5)}
    early = Table(ending(TABLE.data, 0, 3, End.DIVERGED))
    curve = Trained(BENCHMARK, [Training(config, own)], early, 0).curve(config, 0)
    assert [loss for (loss,) in curve.losses] == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.6, 0.6, 0.6, 0.6])
    assert curve.end is End.COMPLETE
    there = Trained(BENCHMARK, [Training(config, {k: own[k] for k in range(3)})], early, 0).curve(config, 0)
    assert (len(there.losses), there.losses[-1], there.end) == (9, (0.8,), End.COMPLETE)
    shorter = Trained(BENCHMARK, [Training(config, {0: own[0]})], early, 0).curve(config, 0)
    assert (len(shorter.losses), shorter.losses[-1], shorter.end) == (3, (float("inf"),), End.DIVERGED)
    failed = Trained(BENCHMARK, [Training(config, own, diverged=4)], TABLE, 0).curve(config, 0)
    assert (len(failed.losses), failed.losses[-1], failed.end) == (5, (float("inf"),), End.DIVERGED)


# -- for real -------------------------------------------------------------------------------------------------------

TUNE = """
import signal
import sys
import harness
from harness.space import Space, uniform

signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C reaches it, however these tests were started
try:
    harness.tune(sys.argv[1], {"x": uniform(0.0, 1.0)}, metric="loss", maximum=9, max_arg="epochs", method=sys.argv[4],
                 workers=2, budget=float(sys.argv[3]), out=sys.argv[2])
except ValueError as error:
    if "another process" not in str(error):
        raise
"""


def tuning(folder: Path, budget: float = 4.0, method: str = "asha") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", TUNE, str(SCRIPTS / "toy.py"), str(folder), str(budget), method],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )


def finished(folder: Path) -> set[tuple[int, int]]:
    """Trials that reached the end, with the time of it."""
    lines = read_lines(folder / JOURNAL)
    return {(line["report"][2], line["report"][0]) for line in lines if "report" in line and line["report"][3] == 9}


def processes_of(folder: Path) -> list[int]:
    alive: list[int] = []
    for notes in folder.glob("trials/*/processes.jsonl"):
        for note in notes.read_text(encoding="utf-8").splitlines():
            state = Path(f"/proc/{json.loads(note)['pid']}/cmdline")
            if state.exists() and b"toy.py" in state.read_bytes():
                alive.append(json.loads(note)["pid"])
    return alive


def reports_in(folder: Path) -> int:
    """How many reports stand in the journal."""
    return sum("report" in line for line in read_lines(folder / JOURNAL))


def kill_and_continue(folder: Path, kills: int, signals: list[signal.Signals], method: str = "asha:grace=3") -> None:
    """Kill a study at random moments, each after something new was said, continue it, and look at what is left.

    Before the last kill something is finished: of `asha:grace=3` the first trial is after four jobs.
    """
    luck = random.Random(kills)
    budget = 3.0 + 1.8 * kills  # so no kill comes when the study is over
    before: set[tuple[int, int]] = set()
    for turn in range(kills):
        known, last = reports_in(folder), turn == kills - 1
        program = tuning(folder, budget, method)
        patience = time.monotonic() + 30
        while reports_in(folder) == known or (last and not finished(folder)):
            assert not (folder / "studies").exists(), "the study was over before it was killed"
            assert time.monotonic() < patience, "nothing new was said"
            if program.poll() is not None:  # the journal was still held
                program = tuning(folder, budget, method)
            time.sleep(0.05)
        time.sleep(luck.uniform(0.0, 0.4))
        program.send_signal(signals[turn % len(signals)])
        program.wait()
        after = finished(folder)
        assert before <= after, "a finished trial was lost"
        before = after
        patience = time.monotonic() + 5
        while (left := processes_of(folder)) and time.monotonic() < patience:
            time.sleep(0.05)
        assert not left, "a process is left 5 s later"
        assert not (folder / "studies").exists(), "the study was over before it was killed"
    assert before, "nothing was finished before the last kill"
    assert tuning(folder, budget, method).wait() == 0
    assert before <= finished(folder)
    (record,) = Store(folder / "studies").records().values()
    assert record.why == "budget"
    assert check_trace(record) == []
    _, difference = replay_journal(folder, lambda _: lambda _: None)
    assert difference == ""


def test_a_killed_study_goes_on(tmp_path: Path) -> None:
    kill_and_continue(tmp_path / "out", 3, [signal.SIGKILL, signal.SIGINT])


def test_a_killed_study_of_a_foreign_program_goes_on_as_that_decides(tmp_path: Path) -> None:
    stops = 'told["resource"] == 3 and told["losses"][0] > 0.9'
    command = program(
        tmp_path / "program.py",
        ask='{"config": {"x": request["ask"] * 0.31 % 1}}',
        tell=f'{{"decision": "stop" if {stops} else "continue"}}',
    )
    kill_and_continue(tmp_path / "out", 3, [signal.SIGKILL, signal.SIGINT], f"foreign:command={command}")
    log = read(tmp_path / "out" / JOURNAL)[1]
    configs = [event.job.config for event in log.events if isinstance(event, Started)]
    assert configs == [{"x": trial * 0.31 % 1} for trial in range(len(configs))]
    ended = {event.trial: event.reason for event in log.events if isinstance(event, Ended)}
    worse = {trial for trial, config in enumerate(configs) if config["x"] + 1 / 3 > 0.9}
    stopped, cut = ({t for t, of in ended.items() if of is reason} for reason in (Reason.STOPPED, Reason.CUT))
    assert stopped and stopped == worse - cut


@pytest.mark.slow
def test_fifty_kills_lose_no_finished_trial(tmp_path: Path) -> None:
    kill_and_continue(tmp_path / "out", 50, [signal.SIGKILL])


def test_tuning_warm_keeps_its_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    script = tmp_path / "train.py"
    script.write_text("import os\nfrom harness import Reporter\nReporter()(epoch=1, loss=float(os.getpid()))\n")
    found = trainings.tune(
        script, {"x": uniform(0.0, 1.0)}, metric="loss", maximize=False, resource="epoch", maximum=1, max_arg=None,
        method="rs", workers=2, budget=4.0, seed=0, out=tmp_path / "out", warm=True,
    )  # fmt: skip
    processes = found.record.values[:, found.record.metrics.index("loss")]
    assert len(processes) > len(set(processes)) and len(set(processes)) <= 2


def test_a_study_that_is_over_is_read_back(tmp_path: Path) -> None:
    assert tuning(tmp_path / "out").wait() == 0
    events = len(list(read_lines(tmp_path / "out" / JOURNAL)))
    assert tuning(tmp_path / "out").wait() == 0
    assert len(list(read_lines(tmp_path / "out" / JOURNAL))) == events


def test_more_budget_gives_more_of_the_same_study(tmp_path: Path) -> None:
    """For real: finished trials stand, the store has it once, beside what else is there, and it replays as a whole."""
    assert tuning(tmp_path / "out", 2.5).wait() == 0
    other = run_study(toys_study("rs").spec())
    Store(tmp_path / "out" / "studies").publish([other])
    before, first = finished(tmp_path / "out"), read(tmp_path / "out" / JOURNAL)[1]
    assert tuning(tmp_path / "out", 6.0).wait() == 0
    assert before < finished(tmp_path / "out")
    kept = Store(tmp_path / "out" / "studies").records()
    assert kept.pop(other.key).digest() == other.digest()
    (record,) = kept.values()
    assert (record.why, record.spec["benchmark"]["budget"]) == ("budget", 6.0)
    assert check_trace(record) == []
    log = read(tmp_path / "out" / JOURNAL)[1]
    assert first.time >= 2.5 * NANOSECONDS and log.time >= 6 * NANOSECONDS
    begun = [event for event in first.events if getattr(event, "reason", None) is not Reason.CUT]
    assert log.events[: len(begun)] == begun
    assert replay_journal(tmp_path / "out", lambda _: lambda _: None)[1] == ""


def test_what_had_less_budget_goes_from_the_store_though_a_kill_came_between(tmp_path: Path) -> None:
    longer = study("rs", benchmark=replace(BENCHMARK, budget=2 * BENCHMARK.budget))
    log = run(BENCHMARK, scheduler("rs"), workers(), BUDGET)
    short, whole = (record(one, log, 1.0) for one in (study("rs"), longer))
    Store(tmp_path / "studies").publish([short])
    Store(tmp_path / "studies").publish([whole])
    trainings._publish(whole, tmp_path)
    assert Store(tmp_path / "studies").digests() == {whole.key: whole.digest()}


def test_a_study_with_nothing_left_is_replayed(tmp_path: Path) -> None:
    """Its clock goes on a little after the last thing that happened."""
    space = Space({"x": choice([0.1, 0.2, 0.3])})
    benchmark = replace(BENCHMARK, space=space, budget=30.0, workers=2)
    small = study("rs", benchmark=benchmark)
    command = Command((sys.executable, str(SCRIPTS / "toy.py")), "epochs")
    log, _ = trainings.run_for_real(small, command, tmp_path, None)
    assert log.why == "nothing left" and log.time > log.events[-1].time
    assert replay_journal(tmp_path, lambda _: lambda _: None)[1] == ""


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A journal of which someone has changed lines, each with its checksum."""
    lines: list[bytes] = []
    for line in path.read_bytes().splitlines(keepends=True):
        plain = json.loads(line[9:])
        change(plain)
        text = json.dumps(plain, separators=(",", ":")).encode()
        lines.append(b"%08x %s\n" % (zlib.crc32(text), text))
    path.write_bytes(b"".join(lines))
    return path


def test_a_changed_journal_is_noticed_by_the_replay(tmp_path: Path) -> None:
    journaled(tmp_path / "journal", "asha")
    changed(tmp_path / "journal", lambda plain: plain.update(losses=[-loss for loss in plain.get("losses", [])]))
    _, difference = replay_journal(tmp_path / "journal", lambda _: lambda _: None)
    assert difference.startswith("event ")


def test_a_replay_names_the_config_that_came_out_otherwise(tmp_path: Path) -> None:
    """As on another processor: all that happened is the same, a digit is not."""
    journaled(tmp_path / "journal", "rs")
    config: dict[str, float] = {}

    def touch(plain: dict[str, Any]) -> None:
        if plain.get("started", [0, 0, 0])[2] == 3:
            plain["config"]["lr"] *= 1 + 1e-15
            config.update(plain["config"])

    changed(tmp_path / "journal", touch)
    _, difference = replay_journal(tmp_path / "journal", lambda _: lambda _: None)
    assert difference.startswith(
        f"all events agree, but from trial 3 on configs differ: its lr was {config['lr']!r}, is "
    )
