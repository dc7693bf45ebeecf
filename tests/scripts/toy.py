"""A well-behaved training script: nine epochs of 20 ms, a checkpoint before every report."""

import argparse
import json
import os
import time
from pathlib import Path

from harness.report import Reporter

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float, required=True)
parser.add_argument("--epochs", type=int, required=True)
parser.add_argument("--forgets", action="store_true")
parser.add_argument("--crash-once", action="store_true")
arguments = parser.parse_args()

report = Reporter()
assert report.checkpoint_dir is not None
checkpoint = report.checkpoint_dir / "state.json"
# Beside the checkpoints: what the test wants to know about each process.
with open(report.checkpoint_dir.parent / "processes.jsonl", "a", encoding="utf-8") as file:
    note = {"pid": os.getpid(), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "omp": os.environ["OMP_NUM_THREADS"]}
    file.write(json.dumps(note) + "\n")

done = 0
if checkpoint.exists() and not arguments.forgets:
    done = json.loads(checkpoint.read_text(encoding="utf-8"))["epoch"]
print(f"starting after epoch {done}", flush=True)
for epoch in range(done + 1, arguments.epochs + 1):
    time.sleep(0.02)
    temporary = checkpoint.with_suffix(".tmp-1")
    temporary.write_text(json.dumps({"epoch": epoch}), encoding="utf-8")
    os.replace(temporary, checkpoint)
    marker = Path(report.checkpoint_dir.parent / "crashed")
    if arguments.crash_once and epoch == 3 and not marker.exists():
        report(epoch=epoch, loss=arguments.x + 1 / epoch, test_loss=arguments.x)
        marker.touch()
        raise RuntimeError("this happens once")
    report(epoch=epoch, loss=arguments.x + 1 / epoch, test_loss=arguments.x)
