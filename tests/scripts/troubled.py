"""A training script that goes wrong in the way that its hyperparameter says, after one good epoch."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import deque
from itertools import repeat
from pathlib import Path

from harness.report import Reporter

LEAVES_THE_SESSION = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True).pid, flush=True)
time.sleep(60)
"""

parser = argparse.ArgumentParser()
parser.add_argument("--trouble", required=True)
parser.add_argument("--epochs", type=int, required=True)
arguments = parser.parse_args()
pipe = int(os.environ["FORETUNE_REPORT_PIPE"].split(",")[0])
report = Reporter()
folder = Path(os.environ["FORETUNE_CHECKPOINT_DIR"])


def note_pids(*pids: int) -> None:
    """Whole or not at all."""
    (folder / "pids.tmp").write_text(" ".join(map(str, pids)), encoding="ascii")
    os.replace(folder / "pids.tmp", folder / "pids")


match arguments.trouble:
    case "prints":
        sys.stdout.buffer.write(os.urandom(1 << 18) + b'\n{"epoch": 1, "loss": 0}\n\x1b[31m')
        sys.stdout.flush()
    case "prints without end":
        for _ in range(40):
            sys.stdout.buffer.write(b"x" * (1 << 17))
        sys.stdout.buffer.write(b"the end")
        sys.stdout.flush()
    case "never reports":
        child = subprocess.Popen([sys.executable, "-c", LEAVES_THE_SESSION], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        note_pids(os.getpid(), child.pid, int(child.stdout.readline()))
        time.sleep(60)
    case "ignores SIGTERM" | "hangs, deaf" | "busy, deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

report(epoch=1, loss=1.0, test_loss=1.0)

match arguments.trouble:
    case "signal 9":
        os.kill(os.getpid(), signal.SIGKILL)
    case "exit code 3":
        print("the reason is here", file=sys.stderr)
        sys.exit(3)
    case "exit code 0":
        sys.exit(0)
    case "NaN":
        report(epoch=2, loss=float("nan"), test_loss=2.0)
    case "infinity":
        report(epoch=2, loss=float("-inf"), test_loss=2.0)
    case "no loss":
        report(epoch=2, accuracy=0.5)
    case "no epoch":
        report(step=2, loss=1.0)
    case "twice":
        report(epoch=1, loss=1.0, test_loss=1.0)
    case "repeats":
        report(epoch=1, loss=1.0)
    case "skips":
        report(epoch=3, loss=1.0)
    case "no level":
        report(epoch=1.5, loss=1.0)
    case "text" | "bool" | "nested" | "deep" | "huge" | "constant" | "binary" | "endless" | "flood":
        lines = {
            "text": b"hello\n",
            "bool": b'{"epoch": 2, "loss": true}\n',
            "nested": b'{"epoch": 2, "loss": [1]}\n',
            "deep": b'{"epoch": 2, "loss": ' + b"[" * 20_000 + b"\n",
            "huge": b'{"epoch": 2, "loss": 1' + b"0" * 1000 + b"}\n",
            "constant": b'{"epoch": 2, "loss": NaN}\n',
            "binary": b"\xff\x00\xfe\n",
            "endless": b"[" * (1 << 17),
            "flood": b'{"epoch": 1, "loss": 1}\n' * (1 << 15),
        }
        sent = lines[arguments.trouble]
        while sent:
            sent = sent[os.write(pipe, sent) :]
        time.sleep(60)
    case "ignores SIGTERM":
        try:
            report(epoch=2, loss=1.0)
        except SystemExit:
            time.sleep(60)
    case "hangs" | "hangs, deaf":
        time.sleep(60)
    case "busy, deaf":
        deque(repeat(0), maxlen=0)  # a loop in C, which no handler of signals interrupts

for epoch in range(2, arguments.epochs + 1):
    report(epoch=epoch, loss=1.0, test_loss=1.0)
