"""A foreign program under way: one line of JSON to it, one line back, and an end that leaves nothing behind.

It reads its standard input and answers on its standard output; what it writes to its standard error is kept, and its
last lines are shown where it fails. Every answer is waited for so long and no longer. Importing a large library takes
seconds, so our adapters are kept for the next study of this process; a stranger's program is started for each.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import select
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from harness._trial_process import MARK_VARIABLE, kill_marked, start_keeper

LINE_LIMIT = 1024 * 1024
LAST_WORDS = 4096
"""Bytes of its standard error of which the last lines are shown."""
LAST_LINES = 20
LEAVING_SECONDS = 1.0
"""How long a program has to leave once nothing more will come."""
THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}


class ForeignError(RuntimeError):
    """A foreign program left, said nothing for too long, or answered what makes no sense."""


class Program:
    """A program that was started and is spoken with.

    name: what errors call it; argv: how it is started; variables: of its environment, None takes one away;
    folder: whether it works in an empty folder of its own, for the files that libraries leave.
    ValueError where it cannot be started.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        variables: Mapping[str, str | None] = {},
        *,
        folder: bool = False,
    ) -> None:
        self.name = name
        self.closed = False
        self._buffer = bytearray()
        self._errors = tempfile.TemporaryFile("a+b")  # noqa: SIM115
        self._folder = tempfile.TemporaryDirectory(prefix="foretune-") if folder else None
        self._mark = f"{_mark()}-{secrets.token_hex(4)}"
        merged = {**os.environ, **THREADS, **variables, MARK_VARIABLE: self._mark}
        try:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                cwd=self._folder and self._folder.name,
                env={variable: value for variable, value in merged.items() if value is not None},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # no such program, a NUL in a word
            self.closed = True
            self._give_back()
            raise ValueError(f"{name} cannot be started: {error}") from None
        assert self._popen.stdin and self._popen.stdout
        self._requests, self._answers = self._popen.stdin.fileno(), self._popen.stdout.fileno()
        self._poll, self._room = select.poll(), select.poll()
        self._poll.register(self._answers, select.POLLIN)
        self._room.register(self._requests, select.POLLOUT)
        _living.add(self)

    @property
    def alive(self) -> bool:
        """Whether it can be spoken with."""
        return not self.closed and self._popen.poll() is None

    def say(self, message: Mapping[str, Any], patience: float) -> dict[str, Any]:
        """Send a message and wait so many seconds for its answer; ForeignError, and the program is gone, for none."""
        try:
            if self._buffer:
                raise self._trouble(f"said {_shown(self._buffer)} without being asked", kill=True)
            line = json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"
            end = monotonic() + patience
            with suppress(BrokenPipeError):  # it has left: what it says last is still to be read
                self._send(line, end, patience)
            return self._answer(end, patience)
        except BaseException:
            self.close()
            raise

    def _send(self, line: bytes, end: float, patience: float) -> None:
        while line:
            left = end - monotonic()
            if left <= 0 or not self._room.poll(left * 1000):
                raise self._trouble(f"has not read what it was told for {patience:g} seconds", kill=True)
            # Where there is room at all, there is for so much: a longer write would wait for a reader.
            line = line[os.write(self._requests, line[: select.PIPE_BUF]) :]

    def _answer(self, end: float, patience: float) -> dict[str, Any]:
        line = self._line(end, patience)
        try:
            answer = json.loads(line)
        except ValueError:  # of the JSON, or of its bytes
            answer = None
        if not isinstance(answer, dict):
            raise self.nonsense(line)
        return answer

    def _line(self, end: float, patience: float) -> bytes:
        while (place := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LINE_LIMIT:
                raise self._trouble(f"answered more than {LINE_LIMIT >> 10} KiB without an end of line", kill=True)
            left = end - monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                raise self._trouble(f"has not answered for {patience:g} seconds", kill=True)
            chunk = os.read(self._answers, LINE_LIMIT)
            if not chunk:
                raise self._trouble("left", kill=False)
            self._buffer += chunk
        line = bytes(self._buffer[:place])
        del self._buffer[: place + 1]
        return line

    def nonsense(self, answer: object, wanted: str = "one JSON object a line") -> ForeignError:
        """What to raise at an answer that makes no sense; the program is ended."""
        error = self._trouble(f"answered {_shown(answer)}, expected {wanted}", kill=True)
        self.close()
        return error

    def _trouble(self, what: str, *, kill: bool) -> ForeignError:
        """An error that says what went wrong; its last line says all of it in short."""
        if kill:
            self._kill()
        else:
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(LEAVING_SECONDS)
            code = self._popen.returncode
            what += "" if code is None else f" with exit code {code}" if code >= 0 else f", killed by signal {-code}"
        lines = self._last_lines()
        whole = "\n".join(lines)
        said = f"the last words of {self.name}:\n{whole}\n" if len(lines) > 1 else ""
        return ForeignError(f"{said}{self.name} {what}" + (f"; its last words: {lines[-1]}" if lines else ""))

    def _last_lines(self) -> list[str]:
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - LAST_WORDS))
        lines = self._errors.read().decode(errors="backslashreplace").splitlines()
        return [line[-500:] for line in lines if line.strip()][-LAST_LINES:]

    def _kill(self) -> None:
        end = monotonic() + LEAVING_SECONDS
        # Once it was waited for, its number may be another's.
        session = self._popen.pid if self._popen.returncode is None else None
        while kill_marked(self._mark, session) and monotonic() < end:
            sleep(0.002)
        self._popen.wait()

    def forget(self) -> None:
        """Empty what it has written to its standard error: a new study begins."""
        self._errors.truncate(0)

    def close(self) -> None:
        """Let it leave, and kill it and all that it started where it does not."""
        if self.closed:
            return
        self.closed = True
        assert self._popen.stdin and self._popen.stdout
        self._popen.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(LEAVING_SECONDS)
        self._kill()
        self._popen.stdout.close()
        self._give_back()

    def _give_back(self) -> None:
        _living.discard(self)
        self._errors.close()
        if self._folder is not None:
            self._folder.cleanup()


def _shown(answer: object) -> str:
    text = bytes(answer).decode(errors="backslashreplace") if isinstance(answer, bytes | bytearray) else str(answer)
    return repr(text if len(text) <= 200 else f"{text[:200]}...")


# -- the programs of this process ----------------------------------------------------------------------------------

_living: set[Program] = set()
_idle: dict[tuple[str, ...], Program] = {}
_kept: list[tuple[str, subprocess.Popen[bytes]]] = []
"""The mark that all programs of this process carry, and the keeper that kills them when this process has died."""


def _mark() -> str:
    if not _kept:
        mark = secrets.token_hex(16)
        _kept.append((mark, start_keeper(mark)))
        atexit.register(close_all)
    return _kept[0][0]


def borrow(name: str, argv: tuple[str, ...], variables: Mapping[str, str | None]) -> Program:
    """A program that waits for its next study, or a new one; `give_back` takes it."""
    program = _idle.pop(argv, None)
    if program is not None and program.alive:
        program.name = name
        program.forget()
        return program
    if program is not None:
        program.close()
    return Program(name, argv, variables, folder=True)


def give_back(program: Program, argv: tuple[str, ...]) -> None:
    """Keep a program for the next study, or let it leave where one waits already."""
    if program.alive and argv not in _idle:
        _idle[argv] = program
    else:
        program.close()


def close_all() -> None:
    """Let every program of this process leave, at its end."""
    for program in list(_living):
        program.close()
    _idle.clear()
    for _, keeper in _kept:
        keeper.kill()
        keeper.wait()
    _kept.clear()
