"""Processes that answer questions one after another, side by side, each on a device of its own.

A question and its answer are lines of JSON through pipes. A process sees its device from its first moment
(`CUDA_VISIBLE_DEVICES`), so whatever framework it imports finds that GPU and no other. One that gave a bad answer is
replaced by a fresh one: after some errors a GPU's context in a process is of no use. Processes are groups of their
own, so Ctrl-C reaches their parent alone, which ends them; and they end themselves when it has gone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from queue import SimpleQueue
from time import perf_counter
from typing import Any, NamedTuple

from harness.gpus import GPU_VARIABLE

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
ASKED_TO_LEAVE = {-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}


class Answered(NamedTuple):
    """A question with its answer, or why its process died over it, and how long that took.

    device: that of the process, None where there is none.
    """

    question: Any
    answer: Any
    died: str | None
    seconds: float
    device: str | None


class _Process:
    """One process at a time that runs `module`, started when it is first needed."""

    def __init__(self, module: Sequence[str], device: str | None) -> None:
        self.module, self.device = module, device
        self._lock = threading.Lock()
        self._closed = False
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: Any, good: Callable[[Any], bool]) -> Answered:
        """The answer; KeyboardInterrupt where the process was asked to leave, by us or by the system."""
        process = self._process or self._start()
        assert process.stdin and process.stdout
        began = perf_counter()
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (BrokenPipeError, ValueError):
            line = b""
        if line.endswith(b"\n"):
            answer = json.loads(line)
            if not good(answer):
                self._end()
            return Answered(question, answer, None, perf_counter() - began, self.device)
        code = process.wait()
        self._end()
        if self._closed or code in ASKED_TO_LEAVE:
            raise KeyboardInterrupt
        died = f"was killed by signal {-code}" if code < 0 else f"left with exit code {code}"
        return Answered(question, None, f"its process {died}", perf_counter() - began, self.device)

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(place or os.getcwd() for place in sys.path)
        given = {} if self.device is None else {GPU_VARIABLE: self.device}
        with self._lock:
            if self._closed:
                raise KeyboardInterrupt
            self._process = subprocess.Popen(
                # -P: what is found is what this process finds, in the same order.
                [sys.executable, "-P", "-m", *self.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**ONE_THREAD, **os.environ, "PYTHONPATH": path, **given},
                start_new_session=True,
            )
            return self._process

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
            if process is None:
                return
            assert process.stdin and process.stdout
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            process.stdout.close()
            with suppress(BrokenPipeError):
                process.stdin.close()

    def close(self) -> None:
        """End the process; none is started again."""
        self._closed = True
        self._end()


def side_by_side(
    module: Sequence[str],
    questions: Iterable[Any],
    processes: int,
    devices: Sequence[str],
    good: Callable[[Any], bool],
) -> Generator[Answered]:
    """Ask all questions, as many at a time as there are processes; gives answers in the order in which they come.

    module: what `python -m` runs, it calls `serve`; good: whether a process that gave this answer may give more.
    """
    all_of_them = [_Process(module, devices[number] if devices else None) for number in range(processes)]
    free: SimpleQueue[_Process] = SimpleQueue()
    for process in all_of_them:
        free.put(process)

    def asked(question: Any) -> Answered:
        process = free.get()
        try:
            return process.ask(question, good)
        finally:
            free.put(process)

    pool = ThreadPoolExecutor(processes)
    try:
        for future in as_completed([pool.submit(asked, question) for question in questions]):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in all_of_them:
            process.close()
        pool.shutdown()


def serve(answer: Callable[[Any], Any]) -> None:
    """Answer questions until there are no more; what is printed meanwhile goes to the standard error."""
    questions: SimpleQueue[bytes] = SimpleQueue()

    def listen() -> None:
        for line in sys.stdin.buffer:
            questions.put(line)
        os._exit(0)  # whoever asked has gone: a training under way is for nobody

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    threading.Thread(target=listen, daemon=True).start()
    while True:
        answers.write(json.dumps(answer(json.loads(questions.get()))).encode() + b"\n")
        answers.flush()
