"""What a training script imports: a reporter, and two calls for checkpoints. Nothing heavy.

    from harness.report import Reporter
    report = Reporter()
    for epoch in ...:
        report(epoch=epoch, loss=loss)

Under an executor a report travels as one line of JSON on a private pipe, and the call waits for the answer: go on,
pause or stop; on the last two the script leaves through `SystemExit`. Run by hand, a report is printed.
Non-finite numbers are sent as the strings "nan", "inf" and "-inf": strict JSON has none.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from harness.lines import sync

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

PIPE_VARIABLE = "FORETUNE_REPORT_PIPE"
CHECKPOINT_VARIABLE = "FORETUNE_CHECKPOINT_DIR"
CHECKPOINT_NAME = "checkpoint-{number}.pt"
SEAL = b"\nsha256 "
"""Stands behind what PyTorch wrote, and the digest behind it: PyTorch itself does not notice a changed bit."""
SEAL_LENGTH = len(SEAL) + 64


class Reporter:
    """Says what a training script has reached, and leaves when told to.

    checkpoint_dir: where this trial keeps its checkpoints, or None where the script runs by hand.
    """

    _one_at_a_time = Lock()
    """Of all reporters of a process: a report and its answer belong together, whatever thread sends it."""

    def __init__(self) -> None:
        pipe = os.environ.get(PIPE_VARIABLE)
        self._out, self._answers = None, None
        if pipe:
            write, read = (int(number) for number in pipe.split(","))
            try:
                # The pipes belong to the process, which may have other reporters, and trials, after this one.
                self._out = os.fdopen(write, "w", encoding="ascii", closefd=False)
                self._answers = os.fdopen(read, encoding="ascii", closefd=False)
            except OSError as error:
                raise RuntimeError(
                    f"{PIPE_VARIABLE} names the files {pipe}, which are not open in this process: report from the "
                    "process that the study started, or start this one with close_fds=False"
                ) from error
        directory = os.environ.get(CHECKPOINT_VARIABLE)
        self.checkpoint_dir = Path(directory) if directory else None

    def __call__(self, **metrics: float) -> None:
        """Report metrics, the resource among them; raises SystemExit where the trial is paused or stopped."""
        if self._out is None or self._answers is None:
            print("  ".join(f"{name} {value:.6g}" for name, value in metrics.items()), flush=True)
            return
        line = encode_metrics(metrics) + "\n"
        with self._one_at_a_time:
            self._out.write(line)
            self._out.flush()
            answer = self._answers.readline().strip()
        if answer != "continue":
            # An empty answer: the executor is gone, and with it the reason to train.
            raise SystemExit(0 if answer in ("pause", "stop") else 1)


def encode_metrics(metrics: Mapping[str, float]) -> str:
    """Metrics as one line of strict JSON."""
    plain: dict[str, float | str] = {}
    for name, value in metrics.items():
        try:
            number = float(value)  # scalars of numpy and torch as well
        except (TypeError, ValueError):
            raise TypeError(f"metric {name!r} must be a number, given {value!r}") from None
        plain[name] = number if math.isfinite(number) else repr(number)
    return json.dumps(plain, allow_nan=False)


def decode_metrics(line: str) -> dict[str, float]:
    """Metrics from a line that `encode_metrics` wrote; ValueError with the reason for anything else."""

    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is no JSON; send it as a string")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a metric stands twice in one report")
        return dict(pairs)

    try:
        plain = json.loads(line, parse_constant=refuse, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a report must be one line of JSON: {error}; given {line[:200]!r}") from None
    if not isinstance(plain, dict):
        raise ValueError(f"a report must be a JSON object of numbers, given {line[:200]!r}")
    metrics: dict[str, float] = {}
    for name, value in plain.items():
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise ValueError(f"metric {name!r} has a name that is no text: half of a surrogate pair")
        if (isinstance(value, str) and value in ("nan", "inf", "-inf")) or (
            isinstance(value, int | float) and not isinstance(value, bool)
        ):
            try:
                metrics[name] = float(value)
            except OverflowError:
                raise ValueError(f"metric {name!r} is an integer too large for a float") from None
        else:
            raise ValueError(f"metric {name!r} must be a number, given {value!r}")
    return metrics


def add_to_argparse(parser: argparse.ArgumentParser, space: Any) -> None:
    """Add an argument `--NAME` for every hyperparameter of a space; constants become defaults."""
    for name, domain in space.domains.items():
        required = name not in space.conditions
        parser.add_argument(f"--{name}", type=domain.cast, required=required, help=str(domain))
    for name, value in space.constants.items():
        kind = (lambda text: text == "True") if isinstance(value, bool) else type(value)
        parser.add_argument(f"--{name}", type=kind, default=value, help=f"constant, {value!r}")


def save_checkpoint(directory: Path, state: dict[str, Any], keep: int = 2) -> None:
    """Write a checkpoint whole or not at all, keeping the `keep` newest; the state as PyTorch saves it.

    TypeError for what could not be loaded again without running code that a file holds: arrays of NumPy, fitted models.
    """
    import torch

    directory.mkdir(parents=True, exist_ok=True)
    numbers = checkpoint_numbers(directory)
    path = directory / CHECKPOINT_NAME.format(number=numbers[0] + 1 if numbers else 1)
    for left in directory.glob("checkpoint-*.tmp-*"):  # of a process that was killed while it wrote
        left.unlink(missing_ok=True)
    temporary = path.with_suffix(f".tmp-{os.getpid()}")
    with open(temporary, "w+b") as file:
        torch.save(state, file)
        file.flush()
        _check_loadable(temporary, state)
        file.seek(0)
        file.write(SEAL + hashlib.file_digest(file, "sha256").hexdigest().encode("ascii"))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync(directory)
    for number in numbers[keep - 1 :]:
        (directory / CHECKPOINT_NAME.format(number=number)).unlink(missing_ok=True)


def _check_loadable(path: Path, state: Any) -> None:
    """Refuse a checkpoint that could not be loaded, with what is to blame; its tensors are not read."""
    import torch

    try:
        torch.load(path, weights_only=True, map_location="meta")
        return
    except Exception:
        path.unlink()
    named = ", ".join(
        f"{place} ({type(value).__module__}.{type(value).__qualname__})" for place, value in _refused(state)
    )
    raise TypeError(
        f"a checkpoint holds tensors, numbers, texts, lists and dictionaries of these, not {named}: turn arrays into "
        "tensors (torch.as_tensor), NumPy's numbers into Python's (float)"
    )


def _refused(state: Any, place: str = "") -> list[tuple[str, Any]]:
    """The innermost parts of a state that could not be loaded, and where they are."""
    import io

    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    try:
        torch.load(buffer, weights_only=True, map_location="meta")
        return []
    except Exception:
        parts = (
            state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list | tuple) else ()
        )
        inner = [
            found for name, value in parts for found in _refused(value, f"{place}[{name!r}]" if place else repr(name))
        ]
        return inner or [(place or "this", state)]


def load_checkpoint(directory: Path) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, or None; a broken one is said on stderr. Runs no code it finds."""
    import torch

    for number in checkpoint_numbers(directory):
        path = directory / CHECKPOINT_NAME.format(number=number)
        try:
            _check_seal(path)
            return torch.load(path, weights_only=True)
        except Exception as error:
            print(f"checkpoint {path} is broken ({type(error).__name__}); trying the one before", file=sys.stderr)
    return None


def _check_seal(path: Path) -> None:
    """Refuse a file that does not end with the digest of all that comes before it."""
    digest, left = hashlib.sha256(), path.stat().st_size - SEAL_LENGTH
    with open(path, "rb") as file:
        while left > 0 and (chunk := file.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
        if file.read() != SEAL + digest.hexdigest().encode("ascii"):
            raise ValueError("the digest at its end does not fit")


def checkpoint_numbers(directory: Path) -> list[int]:
    """The numbers of the checkpoints that `save_checkpoint` wrote, newest first."""
    if not directory.is_dir():
        return []
    stems = [path.stem.removeprefix("checkpoint-") for path in directory.glob("checkpoint-*.pt")]
    return sorted((int(stem) for stem in stems if stem.isdigit()), reverse=True)
