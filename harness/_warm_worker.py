"""A process that runs a Python script once for each trial and stays, with all that was imported.

    python -m harness._warm_worker

Each job is one line of JSON on the pipe that else carries answers: the arguments, as Python would be given them, and
the trial's folder for checkpoints. The script runs as `__main__`, in a namespace of its own; arguments, environment,
import path, folder and signals are as they were at the start. What it changed inside of modules stays. After a trial
that ended well the process says `RESTS`; after any other it leaves, as it does where threads are left, and a new one
takes its place.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import sys
import threading
from pathlib import Path

from harness._trial_process import RESTS
from harness.report import CHECKPOINT_VARIABLE, PIPE_VARIABLE


def main() -> None:
    """Run jobs until the pipe ends."""
    reports, jobs = (int(number) for number in os.environ[PIPE_VARIABLE].split(","))
    environment, folder, path = dict(os.environ), os.getcwd(), list(sys.path)
    while line := _read_line(jobs):
        if not line.startswith(b"{"):
            continue  # an answer that the script before did not wait for
        job = json.loads(line)
        os.environ.clear()
        os.environ.update(environment | {CHECKPOINT_VARIABLE: job["checkpoints"]})
        os.chdir(folder)
        sys.path[:] = path
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _run(job["arguments"])
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        if threading.active_count() > 1:
            return
        os.write(reports, RESTS)
        # What lives now are mostly modules: looked through once, not after each trial.
        gc.collect()
        gc.freeze()


def _read_line(descriptor: int) -> bytes:
    """The next line: nothing more is read, so that what follows reaches the next reporter."""
    line = bytearray()
    while not line.endswith(b"\n"):
        if not (byte := os.read(descriptor, 1)):
            return b""
        line += byte
    return bytes(line)


def _run(arguments: list[str]) -> None:
    """Run `FILE ...` or `-m MODULE ...` as Python does; SystemExit where the script did not leave well."""
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, str(Path(arguments[0]).parent))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as leaving:
        if leaving.code not in (None, 0):
            raise


if __name__ == "__main__":
    main()
