"""Workers in real time: one process of a training script a worker, on this machine.

Every report is a handshake. The script says what it reached and waits; it is told to go on when the loop has decided
(when the loop calls again), or to pause or stop. A job's last report is answered with `pause` at once, and the loop
hears of it when the process has left: its worker is free then, and the time that leaving takes belongs to the cost,
as it does in life. For the same reason `pause` and `stop` wait until the process has left (milliseconds, and the
grace at most twice): the loop gives out a free worker at once, and two processes on one GPU are one too many. While
anything waits, all pipes are read on, so no other trial loses more than the wait for its own decision.

What a script does wrong (dies, breaks the protocol, diverges) is a report of its failure, with a reason kept in
`failures`; it ends the study only where nothing comes to a report. What goes wrong and fails nobody is in `warnings`:
the scheduler does not hear of it, a person should. Processes and their ends are in `_trial_process`, what they may
report in `_trial_reports`, what they saved in `_trial_checkpoints`.

A checkpoint is written before its report, so it may be ahead of what the loop has heard: where the study was
interrupted, where a trial crashed between the two, where a trial begins with the checkpoints of another that runs. Such
checkpoints are set aside, and each process that leaves without a word that fits takes the blame off the next one: the
newest is left out, then the one before it too, at last all of them. They are kept until a process has gone on from one.
"""

import json
import math
import os
import subprocess
import sys
import uuid
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from selectors import DefaultSelector
from time import monotonic_ns, sleep

from harness._trial_checkpoints import TrialCheckpoints
from harness._trial_process import TrialProcess, kill_marked, start_keeper
from harness._trial_reports import Heard, Reports
from harness.command import Command
from harness.gpus import GPU_VARIABLE, visible_devices
from harness.report import CHECKPOINT_VARIABLE, PIPE_VARIABLE
from harness.types import NANOSECONDS, Benchmark, Event, Job, Report, Standing, Status

WARM_WORKER = (sys.executable, "-m", "harness._warm_worker")
UNLESS_SAID = {
    **{name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
    "PYTHONUNBUFFERED": "1",
}
"""What the environment of a script says where the user's does not: one thread a worker, and each print as it is made,
so that what was printed last stands last, also of a script that is killed."""
FEW_MILLISECONDS = 10_000_000
LONGEST_WAIT = 60 * NANOSECONDS
FIRST_FAILURES, LATER_FAILURES = (10, 2), (30, 3)
"""So many trials in a row, so many of them on each worker, may fail without a report between them: before anything was
reported, when the script cannot be right, and later, when something is full, or gone."""
REASON_LIMIT = 500


class _Run:
    """A job on a worker, with the process that works on it."""

    def __init__(self, job: Job, worker: int, now: int, process: TrialProcess, reports: Reports) -> None:
        self.job = job
        self.worker = worker
        self.told = now
        """When the loop last heard of it, in nanoseconds of the study."""
        self.process = process
        self.since = now
        """Since when it has nothing to wait for but its own work."""
        self.reports = reports
        """Of this process."""
        self.heard: Heard | None = None
        self.queued = False
        self.over = False
        self.ahead = False
        """Whether its checkpoint may be ahead of what the loop has heard: so it may be to blame for what the process
        does, which has not yet said a thing that fits."""
        self.left_out = 0
        """How many of the newest checkpoints are left out for that."""
        self.anew = False
        """Whether it has none left to go on from."""
        self.silent = True
        """Whether none of its processes has said a thing that fits."""


class Local:
    """An executor whose trials are processes of a training script.

    workers: how many processes at a time, and where there are GPUs each sees one of them; folder: where trials keep
    checkpoints and output, new or empty; standing: where a study goes on from in the folder that it had; retries: how
    often a trial that crashed is started again from its last checkpoint, unseen by the scheduler; grace: seconds that
    a process has to leave before it is killed; patience: seconds without a report after which a script counts as
    hanging, None for any; on_warning: told of each entry of `warnings` as it is made. Where the delays of the benchmark
    say `warm`, a worker keeps its process, with what that has imported, from trial to trial; only a Python script can.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        command: Command,
        workers: int,
        folder: Path,
        *,
        standing: Standing | None = None,
        retries: int = 0,
        grace: float = 5.0,
        patience: float | None = None,
        on_warning: Callable[[int, str], None] = lambda trial, text: None,
    ) -> None:
        self.failures: dict[int, str] = dict(standing.failures) if standing else {}
        """Why trials failed, with the last lines that they printed."""
        self.warnings: dict[int, list[str]] = {}
        """What went wrong with trials that did not fail for it: a crash, a lost checkpoint, a bad end of a done job."""
        self._benchmark = benchmark
        self._command = command
        self._trials = folder.resolve() / "trials"
        if standing is None:
            check_new(folder)
        self._retries = retries
        self._on_warning = on_warning
        self._grace = grace
        self._patience = None if patience is None else round(patience * NANOSECONDS)
        self._warm = benchmark.delays.warm
        if self._warm:
            command.check_can_stay()
        self._resting: dict[int, TrialProcess] = {}
        """Warm processes that wait for a job, by worker."""
        self._devices = visible_devices(os.environ)
        self._workers = workers
        self._free = list(range(workers - 1, -1, -1))
        self._runs: dict[int, _Run] = {}
        self._ready: deque[_Run] = deque()
        self._current: _Run | None = None
        self._reached: dict[int, int] = dict(standing.reached) if standing else {}
        self._processes: Counter[int] = Counter()
        self._crashes: Counter[int] = Counter()
        self._silent = self._nobody()
        """How many trials failed here on each worker since any reported."""
        self._heard_any = False
        """Whether any has reported here."""
        self._since = "" if standing is None else " since the study went on"
        self._given_up = ""
        """Why the study cannot go on, where it cannot."""
        self._perhaps_ahead: set[int] = set()
        """Trials without a process whose checkpoint may be ahead of what the loop has heard."""
        self._study = uuid.uuid4().hex
        self._selector = DefaultSelector()
        self._keeper: subprocess.Popen[bytes] | None = start_keeper(f"{self._study}.")
        self._began = monotonic_ns()
        self._latest = self._touched = 0
        self._stands_at: int | None = None
        if standing is not None:
            self._go_on(standing)

    def _go_on(self, standing: Standing) -> None:
        """Set the clock to where the study stood, and start again what ran then, each trial from its checkpoint.

        What was started and never recorded, because the end came between the two, is as if it had not been.
        """
        self._latest = self._touched = standing.now
        self._began = monotonic_ns() - standing.now
        for folder in self._trials.glob("[0-9]*"):
            trial = int(folder.name)
            self._processes[trial] = len(list(folder.glob("job-*.out")))
            if trial in standing.stopped or trial not in {**standing.reached, **standing.running}:
                self._checkpoints(trial).discard()
            elif trial not in standing.running:
                self._perhaps_ahead.add(trial)
        for trial, (job, worker, told) in standing.running.items():
            self._free.remove(worker)
            run = self._begin(job, worker, told, ahead=True)
            run.since = standing.now
            self._warn(trial, "started again: the study had ended or was interrupted")
            self._attend(run)

    # -- the clock --------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Nanoseconds since the study began; it stands at a deadline that `next` has met."""
        return self._clock() if self._stands_at is None else self._stands_at

    def _clock(self) -> int:
        return monotonic_ns() - self._began

    def spend(self, nanoseconds: int) -> None:
        """Let a decision take time in all; what it has really taken since the last call is part of that."""
        end = self._touched + nanoseconds
        while self._clock() < end:
            self._watch(end)

    # -- the loop's verbs -------------------------------------------------------------------------------------------

    @property
    def idle(self) -> int:
        """How many workers have nothing to do."""
        return len(self._free)

    def start(self, job: Job) -> tuple[int, int]:
        """Start a process on the idle worker with the lowest number; gives the time and that number.

        ValueError where nothing that was started has come to a report, or has for long, so that nothing will.
        """
        self._settle()
        if self._given_up:
            raise ValueError(self._given_up)
        in_all, on_each = LATER_FAILURES if self._heard_any else FIRST_FAILURES
        if (failed := self._silent.total()) >= in_all and min(self._silent.values()) >= on_each:
            if self._heard_any:
                raise ValueError(
                    f"{failed} trials in a row failed without a report: is a disk full, or are their data gone?"
                )
            raise ValueError(
                f"{failed} trials failed, and none has reported anything{self._since}: the script, or its call, is "
                "wrong"
            )
        checkpoints = self._checkpoints(job.trial)
        if not checkpoints.folder.exists():
            checkpoints.folder.mkdir(parents=True)
            if job.parent is not None and not checkpoints.copy_from(self._checkpoints(job.parent)):
                self._warn(job.trial, f"started anew: the checkpoints of its parent, trial {job.parent}, are gone")
            if job.parent in self._runs or job.parent in self._perhaps_ahead:
                self._perhaps_ahead.add(job.trial)
        worker = self._free.pop()
        now = self._latest = self._clock()
        run = self._begin(job, worker, now, ahead=job.trial in self._perhaps_ahead)
        self._perhaps_ahead.discard(job.trial)
        self._attend(run)
        self._touched = self._clock()
        return now, worker

    def next(self, deadline: int) -> Event | None:
        """Wait for the next report up to `deadline`, at which the clock then stands; None where there is none.

        ValueError as for `start`.
        """
        self._settle()
        self._stands_at = None
        event = None
        while event is None and self._runs:
            if self._given_up:
                raise ValueError(self._given_up)
            if self._clock() > deadline:
                self._stands_at = max(deadline, self._latest)
                break
            if self._ready:
                event = self._deliver(self._ready.popleft())
            else:
                self._watch(deadline)
        self._touched = self._clock()
        return event

    def pause(self, trial: int) -> None:
        """Free the worker of a running trial, keeping its checkpoint; returns when its process has left."""
        self._release(self._runs[trial], "pause")
        self._touched = self._clock()

    def stop(self, trial: int) -> None:
        """Free the worker of a trial, if it has one, for good, and delete its checkpoint."""
        if trial in self._runs:
            self._release(self._runs[trial], "stop")
        self._checkpoints(trial).discard()
        self._touched = self._clock()

    def close(self) -> None:
        """Kill every process that is left, after its grace, all at once."""
        for run in self._runs.values():
            run.over = True
            run.process.dismiss()
        while not all(run.process.gone for run in self._runs.values()):
            self._watch(self._clock() + LONGEST_WAIT)
        for process in [*self._resting.values(), *(run.process for run in self._runs.values())]:
            process.end()
        self._resting.clear()
        self._runs.clear()
        self._ready.clear()
        self._current = None
        if self._keeper is not None:
            # One that an interrupt hit while it was being started is known by its mark alone.
            for _ in range(100):
                if not kill_marked(f"{self._study}."):
                    break
                sleep(0.01)
            self._keeper.kill()
            self._keeper.wait()
            self._keeper = None
            self._selector.close()

    # -- processes --------------------------------------------------------------------------------------------------

    def _begin(self, job: Job, worker: int, now: int, *, ahead: bool) -> _Run:
        """A job on a worker, with a process; ahead: whether its checkpoint may be ahead of what the loop has heard."""
        anew = ahead and not self._checkpoints(job.trial).set_aside()
        run = self._runs[job.trial] = _Run(job, worker, now, self._launch(job, worker), self._reports(job))
        run.ahead, run.anew = ahead, anew
        return run

    def _launch(self, job: Job, worker: int) -> TrialProcess:
        self._processes[job.trial] += 1
        number = self._processes[job.trial]
        environment = {**UNLESS_SAID, **os.environ, CHECKPOINT_VARIABLE: str(self._checkpoints(job.trial).folder)}
        # A script finds the package that runs it, wherever it lies, and first what it finds by hand.
        own = str(Path(__file__).resolve().parents[1])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), own)))
        if self._devices:
            environment[GPU_VARIABLE] = self._devices[worker % len(self._devices)]
        arguments = self._command.arguments(job.config, self._benchmark.space.constants, job.until)
        output = self._trials / str(job.trial) / f"job-{number}.out"
        work = {"arguments": arguments[1:], "checkpoints": environment[CHECKPOINT_VARIABLE]}
        line = json.dumps(work).encode("ascii") + b"\n"
        if worker in self._resting and (resting := self._resting.pop(worker)).work(line, output):
            return resting
        process = TrialProcess(
            WARM_WORKER if self._warm else arguments,
            environment,
            self._selector,
            pipe_variable=PIPE_VARIABLE,
            mark=f"{self._study}.{job.trial}.{number}.",
            output=output,
            grace=self._grace,
        )
        if self._warm:
            process.work(line)
        return process

    def _nobody(self) -> Counter[int]:
        return Counter(dict.fromkeys(range(self._workers), 0))

    def _reports(self, job: Job) -> Reports:
        return Reports(self._benchmark, job, lambda text: self._warn(job.trial, text))

    def _checkpoints(self, trial: int) -> TrialCheckpoints:
        return TrialCheckpoints(self._trials / str(trial))

    def _release(self, run: _Run, answer: str) -> None:
        """Let a process leave, drop what it still says, and free its worker."""
        run.over = True
        run.process.dismiss(answer)
        while not run.process.gone:
            self._watch(self._clock() + LONGEST_WAIT)
        self._give_back(run)

    def _give_back(self, run: _Run) -> None:
        if run is self._current:
            self._current = None
        del self._runs[run.job.trial]
        if run.process.resting:
            self._resting[run.worker] = run.process
        self._free = sorted([*self._free, run.worker], reverse=True)

    def _watch(self, until: int) -> None:
        """Read what processes say until something happens or the clock shows `until`; take note of who left."""
        until = min(until, self._clock() + LONGEST_WAIT)
        present = [run for run in self._runs.values() if not run.process.gone]
        for run in present:
            if run.process.due is not None:
                until = min(until, run.process.due - self._began)
            elif self._patience is not None:
                until = min(until, max(run.since + self._patience, self._clock() + FEW_MILLISECONDS))
            if run.process.exited or not run.process.notices_exit:
                until = min(until, self._clock() + FEW_MILLISECONDS)
        for key, _ in self._selector.select(max(until - self._clock(), 0) / NANOSECONDS):
            key.data()
        for run in present:
            run.process.check()
            self._attend(run)

    # -- reports ----------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """The loop has decided: the trial that it heard last goes on."""
        run, self._current = self._current, None
        if run is not None:
            run.heard, run.queued = None, False
            run.process.answer("continue")
            run.since = self._clock()
            self._attend(run)

    def _attend(self, run: _Run) -> None:
        """Bring what a run says to the loop, one thing at a time; its last word when its process has left."""
        if run.over or run.queued:
            return
        run.heard = run.heard or self._listen(run)
        if run.heard is None:
            return
        if run.heard.status is Status.RUNNING or run.process.gone:
            run.queued = True
            self._ready.append(run)
        else:
            run.process.dismiss(run.heard.farewell)

    def _listen(self, run: _Run) -> Heard | None:
        """The next thing that the loop must hear, if there is one; levels that it knows are answered here."""
        while not run.over:
            try:
                line = run.process.line()
                heard = run.reports.understand(line, self._reached.get(run.job.trial, 0)) if line is not None else None
            except ValueError as error:
                if not run.ahead or run.anew:
                    lines = run.process.last_lines()
                    return self._failure(run, f"protocol: {str(error)[:REASON_LIMIT]}\n{lines}".rstrip())
                if not run.process.gone:
                    run.process.dismiss("stop")
                    return None
                line = heard = None
            if line is not None:
                run.silent = False
                self._silent, self._heard_any = self._nobody(), True
                if run.ahead:
                    run.ahead = False
                    self._checkpoints(run.job.trial).forget_aside()
            if heard is not None:
                return heard
            if line is not None:
                run.process.answer("continue")
                run.since = self._clock()
            elif not run.process.gone:
                return self._hanging(run)
            elif (failure := self._crashed(run)) is not None:
                return failure
        return None

    def _hanging(self, run: _Run) -> Heard | None:
        """The failure of a script that has said nothing for longer than there is patience."""
        asked_to_leave = run.process.due is not None
        if self._patience is None or asked_to_leave or self._clock() <= run.since + self._patience:
            return None
        lines = run.process.last_lines()
        return self._failure(run, f"hangs: no report for {self._patience / NANOSECONDS:g} s\n{lines}".rstrip())

    def _crashed(self, run: _Run) -> Heard | None:
        """What became of a process that left unasked: a failure, or nothing where it is started again."""
        trial, job = run.job.trial, run.job
        known = self._reached.get(trial, 0)
        fidelity = self._benchmark.fidelity
        if known:
            stands = f"left at {fidelity.unit} {known} of {job.until}"
        else:
            stands = "ended without a report" if fidelity.continues else f"left before {fidelity.unit} {job.until}"
        ended = run.process.how_it_ended()
        if run.process.left_well:
            stands += ", though a job ends with its last report"
        reason = f"{stands}: {ended}"
        if run.ahead and not run.anew:
            self._leave_out_one_more(run, reason)
            self._launch_again(run)
            return None
        if run.ahead and known and self._since and not self._heard_any:
            self._give_up(run, reason)
            return None
        if self._crashes[trial] == self._retries:
            self._checkpoints(trial).forget_aside()
            return self._failure(run, reason)
        self._crashes[trial] += 1
        self._warn(trial, f"started again: {reason}")
        self._blame_checkpoints(run)
        self._launch_again(run)
        return None

    def _blame_checkpoints(self, run: _Run) -> None:
        """Should its next process say nothing either, leave out checkpoints; those of a script's own make stay."""
        checkpoints = self._checkpoints(run.job.trial)
        checkpoints.set_aside()
        run.ahead = checkpoints.numbered
        run.anew, run.left_out = False, 0
        if not run.ahead:
            checkpoints.forget_aside()

    def _leave_out_one_more(self, run: _Run, reason: str) -> None:
        """Of the checkpoints as they were set aside leave out one more of the newest, or all where one was left."""
        checkpoints = self._checkpoints(run.job.trial)
        checkpoints.set_aside()
        run.left_out += 1
        run.anew = not checkpoints.leave_out(run.left_out)
        if run.anew:
            self._warn(run.job.trial, f"trained again from its start, its checkpoint being of no use: {reason}")

    def _give_up(self, run: _Run, reason: str) -> None:
        """End a study that went on, in which a trial that once reported cannot even begin again, nor any other report.

        The trial is not to blame: somebody moved its data, or changed its environment. It keeps its checkpoints.
        """
        self._checkpoints(run.job.trial).set_aside()
        run.over = True
        self._given_up = (
            f"trial {run.job.trial} reports nothing, from its checkpoints or from its start, though it once did, and "
            f"no other has reported{self._since}: mend what has changed, and the same command goes on. {reason}"
        )

    def _launch_again(self, run: _Run) -> None:
        """Give a job whose process has left another one."""
        if run.process.resting:
            self._resting[run.worker] = run.process
        run.process, run.reports = self._launch(run.job, run.worker), self._reports(run.job)
        run.since = self._clock()

    def _warn(self, trial: int, text: str) -> None:
        self.warnings.setdefault(trial, []).append(text)
        self._on_warning(trial, text)

    def _failure(self, run: _Run, reason: str) -> Heard:
        infinite = (math.inf,) * len(self._benchmark.objectives)
        return Heard(self._reached.get(run.job.trial, 0), infinite, {}, Status.FAILED, reason=reason)

    def _deliver(self, run: _Run) -> Event | None:
        heard = run.heard
        if run.over or heard is None:
            return None
        now = self._latest = self._clock()
        cost, run.told = (now - run.told) / NANOSECONDS, now
        trial = run.job.trial
        self._reached[trial] = heard.resource
        if heard.status is Status.FAILED and run.silent:
            self._silent[run.worker] += 1
        if heard.status is Status.RUNNING:
            self._current = run
        else:
            run.over = True
            self._give_back(run)
        if heard.status is Status.FAILED:
            self.failures[trial] = heard.reason
        elif heard.status is Status.REACHED and (trouble := run.process.trouble_in_leaving()):
            self._warn(trial, f"reached {self._benchmark.fidelity.unit} {heard.resource} as asked, then: {trouble}")
        visible = self._benchmark.visible(heard.metrics)
        report = Report(trial, heard.resource, heard.losses, visible, cost, heard.status)
        return Event(now, run.worker, report, heard.metrics)


def check_new(folder: Path) -> None:
    """Refuse a folder in which the trials of a study lie; ValueError."""
    trials = folder.resolve() / "trials"
    if trials.exists() and any(trials.iterdir()):
        raise ValueError(f"{trials} holds the trials of another study: give a new folder")
