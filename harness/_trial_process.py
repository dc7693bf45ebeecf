"""One process of a training script, with all that descends from it: started, heard, answered, and made to leave.

A process reports on a private pipe and is answered on another; what it prints goes to a capped file and is never
read as anything but text. It leads a session of its own and carries a mark in its environment, which its children
inherit: so a child that left the session, or lost its parent, is still found and killed. If this program is itself
killed, a keeper, one tiny process a study, kills what carries the study's mark. (The alternatives fall short: a
parent-death signal reaches no grandchild, and setting it needs code between fork and exec, which is unsafe as soon
as a library has started a thread.) The mark is found through /proc; without it, only the session's group is killed.

This file imports nothing of ours: the keeper runs it as a script, in a few milliseconds.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from selectors import EVENT_READ, BaseSelector
from time import monotonic, monotonic_ns, sleep

MARK_VARIABLE = "FORETUNE_STUDY"
LINE_LIMIT = 64 * 1024
UNANSWERED_LIMIT = 4 * LINE_LIMIT
OUTPUT_LIMIT = 1024 * 1024
LAST_LINES = 20
RESTS = b"=rests\n"
"""What a warm worker says when a job is over; a report begins with a brace."""
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(10, 32), *range(127, 160))}
"""What would move the cursor of a terminal or change its colours, and how it is shown instead."""
EXITING = 0x4
"""The flag of a process on its way out, in Linux's `/proc/PID/stat`."""
SWEEP_SECONDS = 5.0
"""How long to wait for killed descendants to vanish: one may hang in the kernel."""


class TrialProcess:
    """A training script at work; whoever waits with `selector` calls the data of each key that is ready.

    pipe_variable: the environment variable that tells the script its two ends of the pipes; mark: what the process
    and its children carry; output: where its stdout and stderr go; grace: seconds that it has to leave.
    A command that cannot be started makes a process that is gone from the first, with the reason.
    A warm worker is given jobs by `work`: between two of them it is `resting`, and gone for whoever asks.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        selector: BaseSelector,
        *,
        pipe_variable: str,
        mark: str,
        output: Path,
        grace: float,
    ) -> None:
        self._selector = selector
        self._watched: dict[int, Callable[[], None]] = {}
        self.exited = False
        self.gone = False
        self.due: int | None = None
        """When patience ends, in nanoseconds of the monotonic clock, where it was asked to leave."""
        self._awaits_answer = False
        self._mark = mark
        self._grace = round(grace * 1e9)
        self._polite = False
        self._late = False
        """Whether it stayed longer than it had to leave."""
        self._excused = 0
        """The exit code that is ours to answer for: of the signal that told it to leave."""
        self._buffer = bytearray()
        self._exit_time = 0.0
        self.resting = False
        self._code: int | None = None
        self._output = CappedFile(output)
        self._popen: subprocess.Popen[bytes] | None = None
        self._trouble = ""
        with ExitStack() as theirs, ExitStack() as ours:
            try:
                reports, their_reports = _pipe(ours, theirs)
                their_answers, answers = _pipe(theirs, ours)
                printed, their_output = _pipe(ours, theirs)
                pipes = {pipe_variable: f"{their_reports},{their_answers}", MARK_VARIABLE: mark}
                self._popen = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=their_output,
                    stderr=their_output,
                    env={**environment, **pipes},
                    pass_fds=(their_reports, their_answers),
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:  # no such program, a NUL among the arguments
                self._trouble = f"could not be started: {error}"
                self.exited = self.gone = True
                self._output.close()
                return
            self._answers = answers
            for end in (reports, answers, printed):
                # A script that does not read its answers must not block the study.
                os.set_blocking(end, False)
            self._resources = ours.pop_all()
        self._pipes = (reports, printed)
        self._watch(reports, lambda: self._hear(reports))
        self._watch(printed, lambda: self._record(printed))
        with suppress(AttributeError, OSError):  # Linux 5.3 and later; elsewhere `check` has to ask
            exit_notice = os.pidfd_open(self._popen.pid)
            self._resources.callback(os.close, exit_notice)
            self._watch(exit_notice, lambda: self._note_exit(exit_notice))
        self.notices_exit = len(self._watched) == 3

    def _watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        self._watched[descriptor] = handler
        self._selector.register(descriptor, EVENT_READ, handler)

    def _unwatch(self, descriptor: int) -> None:
        del self._watched[descriptor]
        self._selector.unregister(descriptor)

    # -- what it says -----------------------------------------------------------------------------------------------

    def _hear(self, descriptor: int) -> None:
        chunk = self._read(descriptor)
        if len(self._buffer) <= UNANSWERED_LIMIT:
            self._buffer += chunk

    def _record(self, descriptor: int) -> None:
        self._output.write(self._read(descriptor))

    def _read(self, descriptor: int) -> bytes:
        """What is there to read, if anything; at its end the pipe is watched no more."""
        try:
            chunk = os.read(descriptor, LINE_LIMIT)
        except BlockingIOError:
            return b""
        if not chunk:
            self._unwatch(descriptor)
        return chunk

    def line(self) -> bytes | None:
        """The next report that is whole, which then waits for an answer; ValueError for one without an end."""
        if len(self._buffer) > UNANSWERED_LIMIT:
            raise ValueError(f"more than {UNANSWERED_LIMIT >> 10} KiB were sent without waiting for an answer")
        end = self._buffer.find(b"\n", 0, LINE_LIMIT)
        if end < 0:
            if len(self._buffer) >= LINE_LIMIT:
                raise ValueError(f"a report is longer than {LINE_LIMIT >> 10} KiB")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._awaits_answer = True
        return line

    def answer(self, word: str) -> bool:
        """Answer the report that waits, if one does and somebody can still hear it; says whether it was sent."""
        if not self._awaits_answer or self.gone:
            return False
        self._awaits_answer = False
        try:
            return os.write(self._answers, f"{word}\n".encode()) > 0
        except OSError:
            return False

    # -- a warm worker ----------------------------------------------------------------------------------------------

    def work(self, job: bytes, output: Path | None = None) -> bool:
        """Give a warm worker a job, a line; output: where it prints from now on. False where it is here no more."""
        if self._popen is None:
            return False
        if output is not None:
            self._output = CappedFile(output)
        self.gone = self.resting = False
        self._code, self._awaits_answer = None, False
        self._late, self._excused = False, 0
        self._buffer.clear()
        with suppress(OSError):
            if not self.exited and os.write(self._answers, job) == len(job):
                return True
        self.end()
        return False

    def _rest(self, popen: subprocess.Popen[bytes]) -> None:
        """Close the books of a job whose process stays; what it left running is killed."""
        del self._buffer[-len(RESTS) :]
        end = monotonic() + SWEEP_SECONDS
        while kill_marked(self._mark, popen.pid, spare=popen.pid) and monotonic() < end:
            sleep(0.002)
        # Only now: nobody is left to say anything, which the next job would be taken to have said.
        self._empty_pipes()
        self._output.close()
        self._code, self.due = 0, None
        self.gone = self.resting = True

    def end(self) -> None:
        """Kill it at once, wherever it stands."""
        if self._popen is not None and self._popen.returncode is None:
            self._sweep(self._popen.pid)
            self._bury(self._popen)

    # -- how it leaves ----------------------------------------------------------------------------------------------

    def dismiss(self, answer: str | None = None) -> None:
        """Make it leave, by the answer it waits for or else by SIGTERM; `check` kills it when it takes too long."""
        if self.gone or self._popen is None or self.due is not None:
            return
        self._polite = answer is not None and self.answer(answer)
        if not self._polite:
            _signal_group(self._popen.pid, signal.SIGTERM)
            self._excused = -signal.SIGTERM
        self.due = monotonic_ns() + self._grace

    def check(self) -> bool:
        """Lose patience where it is time to, and look after what it left behind; gives whether all of it is gone."""
        if self.gone or self._popen is None:
            return True
        if not self.exited and self._buffer.endswith(RESTS):
            self._rest(self._popen)
            return True
        if not self.notices_exit and not self.exited and _has_exited(self._popen):
            self._note_exit()
        if self.exited:
            if not self._sweep(self._popen.pid) or monotonic() > self._exit_time + SWEEP_SECONDS:
                self._bury(self._popen)
        elif self.due is not None and monotonic_ns() >= self.due:
            self.due = monotonic_ns() + self._grace
            self._late = True
            if self._polite:
                self._polite = False
                _signal_group(self._popen.pid, signal.SIGTERM)
            else:
                self._sweep(self._popen.pid)
        return self.gone

    def _note_exit(self, descriptor: int | None = None) -> None:
        self.exited = True
        self._exit_time = monotonic()
        if descriptor is not None:
            self._unwatch(descriptor)

    def _sweep(self, leader: int) -> int:
        """Kill the session and whoever carries the mark; gives how many still lived."""
        # The leader's number is not given to another process before `_bury` waits for it.
        _signal_group(leader, signal.SIGKILL)
        return kill_marked(self._mark, leader)

    def _empty_pipes(self) -> None:
        for _ in range(100):  # more than the pipes hold, and an end where somebody goes on writing
            for descriptor in self._pipes:
                if descriptor in self._watched:
                    self._watched[descriptor]()

    def _bury(self, popen: subprocess.Popen[bytes]) -> None:
        self._code = popen.wait()
        self._empty_pipes()
        for descriptor in list(self._watched):
            self._unwatch(descriptor)
        self._resources.close()
        self._output.close()
        self.due, self.gone, self.resting = None, True, False

    @property
    def left_well(self) -> bool:
        """Whether it is gone with exit code 0."""
        return self._code == 0

    def how_it_ended(self) -> str:
        """Why it is gone, with the last lines that it printed."""
        if self._code is None:
            return self._trouble
        reason = f"exit code {self._code}" if self._code >= 0 else f"killed by signal {-self._code}"
        return f"{reason}\n{lines}" if (lines := self.last_lines()) else reason

    def trouble_in_leaving(self) -> str:
        """What was wrong with how it left when it had nothing more to do, with its last lines; empty if nothing was."""
        if self._late:
            return f"it did not leave within {self._grace / 1e9:g} s, {self.how_it_ended()}"
        return "" if self._code in (0, self._excused) else self.how_it_ended()

    def last_lines(self) -> str:
        """The last lines that it printed, as far as they are here."""
        return self._output.last_lines()


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write


def _has_exited(popen: subprocess.Popen[bytes]) -> bool:
    """Asks without taking the exit code: as long as nobody has, the number is given to no other process."""
    with suppress(AttributeError, ChildProcessError):  # not on every system; or somebody else has taken it
        return os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return popen.poll() is not None


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


class CappedFile:
    """A file that keeps the first and the last MiB of what is written to it; the last is there once it is closed.

    Where the disk takes no more, the file ends there: no training is lost for what it prints.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115
        self._tail = bytearray()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Keep a chunk, or let it push out what is neither first nor last; once closed, forget it."""
        if self._file.closed:
            return
        self._write_all(chunk[: max(OUTPUT_LIMIT - self.size, 0)])
        self.size += len(chunk)
        self._tail += chunk
        if len(self._tail) > 2 * OUTPUT_LIMIT:
            del self._tail[:-OUTPUT_LIMIT]

    def _write_all(self, chunk: bytes) -> None:
        with suppress(OSError):
            while chunk:
                chunk = chunk[self._file.write(chunk) :]

    def last_lines(self) -> str:
        """The last lines as text that is safe to print, whatever the bytes are; of a line the last 500 characters."""
        lines = self._tail[-LINE_LIMIT:].decode(errors="backslashreplace").splitlines()[-LAST_LINES:]
        return "\n".join(line[-500:].translate(CONTROLS) for line in lines)

    def close(self) -> None:
        """Write the last MiB, and how much was left out before it; once is enough."""
        if self._file.closed:
            return
        tail = bytes(self._tail[-OUTPUT_LIMIT:])
        left_out = self.size - len(tail) - OUTPUT_LIMIT
        if left_out > 0:
            self._write_all(f"\n[... {left_out} bytes left out ...]\n".encode())
        self._write_all(tail[max(-left_out, 0) :])
        self._file.close()


def kill_marked(mark: str, session: int | None = None, *, spare: int = 1) -> int:
    """Kill every process whose mark begins with `mark`, or that belongs to `session`; gives how many still lived.

    spare: the one process among them that stays. A process on its way out has lost its mark already: whosever it is,
    it counts, and one more look tells.

    Whatever may go wrong, nothing else is hit: a mark names one study, and a session one process that we started.
    """
    if len(mark) < 16 or (session is not None and session <= 1):
        raise ValueError(f"too vague to kill by: mark {mark!r}, session {session}")
    spared = {1, os.getpid(), spare}
    needle, living = f"\0{MARK_VARIABLE}={mark}".encode(), 0
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if not name.isdigit() or int(name) in spared:
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # After the command, which may hold anything: state, parent, group, session, terminal, its group, flags.
                state, _, _, its_session, _, _, flags, *_ = file.read().rpartition(b")")[2].split()
            if state in (b"Z", b"X"):
                continue
            if session is None or int(its_session) != session:
                environment = _environment(name)
                if environment is None and int(flags) & EXITING:
                    living += 1  # perhaps ours, killed before: it may hold a GPU until it is gone
                    continue
                if environment is None or needle not in b"\0" + environment:
                    continue
            os.kill(int(name), signal.SIGKILL)
        except (OSError, ValueError):  # it is gone meanwhile, or somebody else's
            continue
        living += 1
    return living


def _environment(name: str) -> bytes | None:
    """The environment of a process; None where it has none any more."""
    with suppress(ProcessLookupError), open(f"/proc/{name}/environ", "rb") as file:
        return file.read() or None


def start_keeper(mark: str) -> subprocess.Popen[bytes]:
    """Start the process that kills what is marked when this program has died without doing so."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(os.getpid()), mark],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        start_new_session=True,
    )


def _keep(parent: int, mark: str) -> None:
    while os.getppid() == parent:
        sleep(0.2)
    # For a second after the last one was found: one that was being started may not carry its mark yet.
    end = monotonic() + 1.0
    while monotonic() < end:
        if kill_marked(mark):
            end = monotonic() + 1.0
        sleep(0.05)


if __name__ == "__main__":
    _keep(int(sys.argv[1]), sys.argv[2])
