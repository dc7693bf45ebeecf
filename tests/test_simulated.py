"""The simulated clock: what it costs to train, wait, pause and resume; and a reference model that agrees with it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from toys import Scripted, ending, nanoseconds, play, study, toy_data

from harness.loop import Ended, Reason, Started
from harness.simulated import Simulated
from harness.study import record
from harness.trace import check_trace
from harness.types import NANOSECONDS, Decision, Delays, End, Event, Fidelity, Job, Status
from surrogates.table import Table, TableData

CONFIGS = toy_data().configs
DELAYS = Delays(start_up=2.0, restore=1.0, evaluate=0.25, save=0.25)
FAR = 10**15


def even(data: TableData) -> TableData:
    """The table where every epoch takes one second."""
    seconds = np.broadcast_to(np.arange(1.0, 5.0), data.seconds.shape).copy()
    return replace(data, seconds=seconds)


def executor(data: TableData, workers: int = 2, delays: Delays | None = None) -> Simulated:
    return Simulated(Table(data), workers, 0, delays or data.benchmark.delays)


def heard(one: Simulated, times: int) -> list[tuple[float, int, int]]:
    events = [one.next(FAR) for _ in range(times)]
    return [(e.time / NANOSECONDS, e.report.trial, e.report.resource) for e in events if e is not None]


def test_equal_times_come_in_the_order_of_the_starts(data: TableData) -> None:
    one = executor(even(data), 3)
    for trial in (5, 3, 4):
        one.start(Job(trial, CONFIGS[trial], 2))
    assert heard(one, 6) == [(1, 5, 1), (1, 3, 1), (1, 4, 1), (2, 5, 2), (2, 3, 2), (2, 4, 2)]


def test_delays_are_paid_where_they_arise(data: TableData) -> None:
    one = executor(even(data), 1, DELAYS)
    assert one.start(Job(0, CONFIGS[0], 2)) == (0, 0)
    assert heard(one, 2) == [(3.5, 0, 1), (5.0, 0, 2)]
    one.start(Job(0, CONFIGS[0], 4))
    assert heard(one, 2) == [(9.5, 0, 3), (11.0, 0, 4)]  # start-up and restoring, then an epoch with its evaluation


def test_leaving_is_paid_at_the_end_of_a_job(data: TableData) -> None:
    one = executor(even(data), 1, replace(DELAYS, leave=0.5))
    one.start(Job(0, CONFIGS[0], 2))
    assert heard(one, 2) == [(3.5, 0, 1), (5.5, 0, 2)]
    one.start(Job(0, CONFIGS[0], 3))
    assert heard(one, 1) == [(10.5, 0, 3)]
    one.start(Job(1, CONFIGS[1], 4))
    assert heard(one, 1) == [(14.0, 1, 1)]
    one.pause(1)  # its worker is free when its process has left
    assert one.start(Job(2, CONFIGS[2], 1)) == (nanoseconds(14.5), 0)
    assert heard(one, 1) == [(18.5, 2, 1)]
    warm = executor(even(data), 1, replace(DELAYS, leave=0.5, warm=True))
    warm.start(Job(0, CONFIGS[0], 2))
    assert heard(warm, 2) == [(3.5, 0, 1), (5.0, 0, 2)]


def test_a_warm_worker_pays_for_its_start_up_once(data: TableData) -> None:
    one = executor(even(data), 2, replace(DELAYS, warm=True))
    one.start(Job(0, CONFIGS[0], 2))
    assert heard(one, 2) == [(3.5, 0, 1), (5.0, 0, 2)]
    one.start(Job(1, CONFIGS[1], 1))  # on the same worker, where a process waits
    assert one.start(Job(0, CONFIGS[0], 3)) == (nanoseconds(5.0), 1)  # on the other one, resumed
    assert heard(one, 2) == [(6.5, 1, 1), (9.5, 0, 3)]
    one.start(Job(2, CONFIGS[2], 1))
    one.start(Job(1, CONFIGS[1], 2))
    assert heard(one, 2) == [(11.0, 2, 1), (12.0, 1, 2)]


def test_a_warm_worker_outlives_a_training_that_diverges(data: TableData) -> None:
    one = executor(ending(even(data), 0, 2, End.DIVERGED), 1, replace(DELAYS, warm=True))
    one.start(Job(0, CONFIGS[0], 4))
    assert heard(one, 2) == [(3.5, 0, 1), (5.0, 0, 2)]
    one.start(Job(1, CONFIGS[1], 1))
    assert heard(one, 1) == [(6.5, 1, 1)]


def test_delays_are_written_as_before_where_workers_are_cold() -> None:
    assert DELAYS.to_json() == {"start_up": 2.0, "restore": 1.0, "evaluate": 0.25, "save": 0.25}
    warm = replace(DELAYS, warm=True)
    assert Delays(**warm.to_json()) == warm
    assert warm.times(2.0) == Delays(4.0, 2.0, 0.5, 0.5, warm=True)
    with pytest.raises(ValueError, match="must be true or false, given 'yes'"):
        Delays(warm="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="delay save must be finite"):
        Delays(save=-1.0)


def test_a_resumed_trial_goes_on_and_one_without_checkpoints_starts_over(data: TableData) -> None:
    for resumable, expected in ((True, [(3, 0, 3), (4, 0, 4)]), (False, [(5, 0, 3), (6, 0, 4)])):
        one = executor(replace(even(data), benchmark=replace(data.benchmark, resumable=resumable)), 1)
        one.start(Job(0, CONFIGS[0], 2))
        heard(one, 2)
        one.start(Job(0, CONFIGS[0], 4))
        events = [one.next(FAR), one.next(FAR)]
        assert [(e.time / NANOSECONDS, 0, e.report.resource) for e in events if e] == expected
        assert sum(e.report.cost for e in events if e) == (2 if resumable else 4)


def test_where_a_level_is_a_fresh_training_only_the_last_one_speaks(data: TableData) -> None:
    fresh = replace(data.benchmark, fidelity=Fidelity("fold", (1, 2, 3, 4), continues=False))
    one = executor(replace(even(data), benchmark=fresh), 1, DELAYS)
    one.start(Job(0, CONFIGS[0], 2))
    assert heard(one, 1) == [(2 + 2 + 0.5, 0, 2)]
    one.start(Job(0, CONFIGS[0], 3))
    assert heard(one, 1) == [(4.5 + 2 + 3 + 0.5, 0, 3)]
    assert one.next(FAR) is None


def test_a_diverged_curve_fails_with_an_infinite_loss(data: TableData) -> None:
    one = executor(ending(data, 0, 2, End.DIVERGED))
    one.start(Job(0, CONFIGS[0], 4))
    first, last = one.next(FAR), one.next(FAR)
    assert first is not None and last is not None
    assert first.report.status is Status.RUNNING
    assert (last.report.status, last.report.losses, last.report.resource) == (Status.FAILED, (math.inf,), 2)
    assert math.isnan(last.metrics["loss"])
    assert one.idle == 2


def test_a_finite_diverged_loss_is_passed_on_as_it_is(data: TableData) -> None:
    values = data.values.copy()
    values[0, :, :, 0] = 18.6
    scheduler = Scripted([Job(0, CONFIGS[0], 4)])
    play(scheduler, replace(data, values=values))
    assert {report.losses for report in scheduler.told} == {(18.6,)}


def test_an_early_end_reaches_what_there_is(data: TableData) -> None:
    scheduler = Scripted([Job(0, CONFIGS[0], 4)])
    play(scheduler, ending(data, 0, 3, End.EARLY))
    assert [(r.resource, r.status) for r in scheduler.told][-1] == (3, Status.REACHED)


def test_a_trial_resumed_where_its_curve_has_ended_says_so_and_is_over(data: TableData) -> None:
    data = ending(replace(even(data), benchmark=replace(data.benchmark, delays=DELAYS, workers=1)), 0, 2, End.EARLY)
    scheduler = Scripted([Job(0, CONFIGS[0], 2), Job(0, CONFIGS[0], 4), Job(0, CONFIGS[0], 4)])
    log = play(scheduler, data)
    assert [(r.resource, r.status) for r in scheduler.told][1:] == [(2, Status.REACHED)] * 2
    assert scheduler.told[-1].cost == 3.0
    assert "trial 0 ended early at epoch 2" in log.error
    assert check_trace(record(replace(study(), benchmark=data.benchmark), log, 0.0)) == []


@pytest.mark.parametrize("decision", [Decision.PAUSE, Decision.STOP])
def test_pause_and_stop_free_the_worker_at_once(data: TableData, decision: Decision) -> None:
    log = play(Scripted([Job(i, CONFIGS[i], 4) for i in range(4)], lambda report: decision), even(data))
    starts = [(e.time / NANOSECONDS, e.worker) for e in log.events if isinstance(e, Started)]
    assert starts == [(0, 0), (0, 1), (1, 0), (1, 1)]
    reasons = {e.reason for e in log.events if isinstance(e, Ended)}
    assert reasons == {Reason.PAUSED if decision is Decision.PAUSE else Reason.STOPPED}


def test_the_clock_stands_at_the_deadline_and_an_event_on_it_still_counts(data: TableData) -> None:
    one = executor(even(data), 1)
    one.start(Job(0, CONFIGS[0], 4))
    assert one.next(nanoseconds(1.0)) is not None
    assert one.next(nanoseconds(1.5)) is None
    assert one.now == nanoseconds(1.5)
    assert heard(one, 1) == [(2, 0, 2)]


def test_a_table_cannot_start_from_another_trial(data: TableData) -> None:
    with pytest.raises(ValueError, match="trial 1 cannot start from trial 0"):
        executor(data).start(Job(1, CONFIGS[1], 4, parent=0))


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 11), st.integers(1, 4)), max_size=12))
def test_costs_sum_to_the_seconds_that_workers_were_busy(workers: int, wanted: list[tuple[int, int]]) -> None:
    jobs = [Job(trial, CONFIGS[row], until) for trial, (row, until) in enumerate(wanted)]
    log = play(Scripted(jobs), toy_data(workers=workers, delays=DELAYS), seconds=FAR / NANOSECONDS)
    starts = {e.job.trial: e.time for e in log.events if isinstance(e, Started)}
    busy = sum(e.time - starts[e.trial] for e in log.events if isinstance(e, Ended))
    costs = math.fsum(e.report.cost for e in log.events if isinstance(e, Event))
    assert costs == pytest.approx(busy / NANOSECONDS, abs=1e-6)


class Reference(RuleBasedStateMachine):
    """A list of what is due instead of a heap: start, hear, pause, stop and resume in any order agree with it."""

    @initialize(
        workers=st.integers(1, 3),
        delays=st.sampled_from([Delays(), DELAYS, replace(DELAYS, leave=0.75), replace(DELAYS, leave=0.75, warm=True)]),
        resumable=st.booleans(),
    )
    def begin(self, workers: int, delays: Delays, resumable: bool) -> None:
        data = toy_data(delays=delays, resumable=resumable)
        self.table, self.delays, self.resumable = Table(data), delays, resumable
        self.one = Simulated(self.table, workers, 0, delays)
        self.workers, self.now, self.starts = workers, 0, 0
        self.leave = 0 if delays.warm else nanoseconds(delays.leave)
        self.busy: dict[int, int] = {}
        self.begun: set[int] = set()
        self.stands: dict[int, int] = {}
        self.due: dict[int, list[tuple[int, int, int]]] = {}
        """Of each running trial what it will still say: time, number of its start, level."""

    @precondition(lambda self: len(self.due) < self.workers)
    @rule(trial=st.integers(0, 5), more=st.integers(1, 4))
    def start(self, trial: int, more: int) -> None:
        stands = self.stands.setdefault(trial, 0)
        until = min(stands + more, 4)
        if trial in self.due or stands == until:
            return
        seconds = self.table.curve(CONFIGS[trial], 0).nanoseconds
        each = nanoseconds(self.delays.evaluate + self.delays.save)
        worker = min(set(range(self.workers)) - {self.busy[other] for other in self.due})
        time = self.now
        if not (self.delays.warm and worker in self.begun):
            time += nanoseconds(self.delays.start_up)
        self.busy[trial] = worker
        self.begun.add(worker)
        if self.resumable and stands:
            time += nanoseconds(self.delays.restore)
        self.starts += 1
        said: list[tuple[int, int, int]] = []
        for level in range(1 if not self.resumable else stands + 1, until + 1):
            time += seconds[level - 1] - (seconds[level - 2] if level > 1 else 0) + each
            if level == until:
                time += self.leave
            if level > stands:
                said.append((time, self.starts, level))
        self.due[trial] = said
        assert self.one.start(Job(trial, CONFIGS[trial], until)) == (self.now, worker)

    @precondition(lambda self: bool(self.due))
    @rule(decision=st.sampled_from(list(Decision)))
    def hear(self, decision: Decision) -> None:
        trial = min(self.due, key=lambda t: self.due[t][0])
        time, _, level = self.due[trial].pop(0)
        if time < self.now:
            self.due[trial] = [(due + self.now - time, *rest) for due, *rest in self.due[trial]]
            time = self.now
        event = self.one.next(FAR)
        assert event is not None
        self.now = time
        self.stands[trial] = level
        assert (event.time, event.report.trial, event.report.resource) == (time, trial, level)
        if not self.due[trial]:
            del self.due[trial]
            assert event.report.status is Status.REACHED
        elif decision is not Decision.CONTINUE:
            del self.due[trial]
            (self.one.pause if decision is Decision.PAUSE else self.one.stop)(trial)
            self.now += self.leave

    @invariant()
    def workers_add_up(self) -> None:
        if hasattr(self, "one"):
            assert self.one.idle == self.workers - len(self.due)


TestReference = Reference.TestCase
TestReference.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_the_lowest_free_worker_is_given_out_first(data: TableData) -> None:
    one = executor(data, workers=3)
    assert [one.start(Job(trial, data.configs[0], 3))[1] for trial in range(3)] == [0, 1, 2]
    for trial in (2, 0, 1):
        one.stop(trial)
    assert [one.start(Job(trial, data.configs[0], 3))[1] for trial in range(3, 6)] == [0, 1, 2]
