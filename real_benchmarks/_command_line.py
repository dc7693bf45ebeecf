"""The command line that a small benchmark's script has: its hyperparameters, how far to train, a seed."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.report import Reporter, add_to_argparse
from harness.types import Benchmark


def main(description: str, benchmarks: Sequence[Benchmark], train: Callable[..., None], **more: Sequence[str]) -> None:
    """Train one config from the command line, or as an executor's worker.

    more: what else `train` takes by name, where it is given, and what that may be.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--benchmark", choices=[known.name for known in benchmarks], default=benchmarks[0].name)
    name = first.parse_known_args()[0].benchmark
    known = next(known for known in benchmarks if known.name == name)
    parser = argparse.ArgumentParser(description=description, parents=[first], allow_abbrev=False)
    add_to_argparse(parser, known.space)
    levels = known.fidelity.levels
    parser.add_argument(
        "--epochs", type=int, default=levels[-1], choices=levels, help=f"{known.fidelity.unit} to train"
    )
    parser.add_argument("--seed", type=int, default=1)
    for option, choices in more.items():
        parser.add_argument(f"--{option}", choices=choices, default=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    config: dict[str, Any] = {name: given[name] for name in known.space.names}
    config = {name: value for name, value in config.items() if value is not None}
    options = {option: given[option] for option in more if option in given}
    report = Reporter()
    with tempfile.TemporaryDirectory(prefix="foretune-") as temporary:
        kept = report.checkpoint_dir or Path(temporary)
        try:
            train(name, config, seed=given["seed"], until=given["epochs"], report=report, checkpoints=kept, **options)
        except (ValueError, FileNotFoundError, ImportError) as error:
            print(error, file=sys.stderr)
            sys.exit(2)
