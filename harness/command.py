"""How a training script is called."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.space import Config, Value


@dataclass(frozen=True)
class Command:
    """How a training script is called: as a list of arguments, never through a shell.

    prefix: the program and its fixed arguments; max_arg: the argument that says how far to train, such as "epochs";
    None for a script that trains until it is told to stop. Every hyperparameter and constant becomes `--name=value`
    (one argument, so that a value may begin with a dash), or with `as_json` all of them one JSON object, the last
    argument.
    """

    prefix: tuple[str, ...]
    max_arg: str | None = None
    as_json: bool = False

    def __post_init__(self) -> None:
        if not self.prefix or shutil.which(self.prefix[0]) is None:
            raise ValueError(f"there is no program to call in {list(self.prefix)}; give a program and its arguments")

    @property
    def can_stay(self) -> bool:
        """Whether its process can be kept from trial to trial: that of a Python script can."""
        return self.prefix[0] == sys.executable

    def check_can_stay(self) -> None:
        """ValueError where its process cannot be kept."""
        if not self.can_stay:
            raise ValueError(f"only a Python script can stay in its process, this is {self.prefix[0]}: leave it cold")

    def arguments(self, config: Config, constants: Mapping[str, Value], until: int) -> list[str]:
        """The whole call, for one job."""
        named = {**constants, **config} | ({self.max_arg: until} if self.max_arg else {})
        if self.as_json:
            return [*self.prefix, json.dumps(named)]
        return [*self.prefix, *(f"--{name}={value}" for name, value in named.items())]


def prefix_of(script: Path) -> tuple[str, ...]:
    """How a script is called: a Python file by this Python, anything else as the program that it is.

    FileNotFoundError where it is not there, ValueError where it cannot be run.
    """
    if not script.is_file():
        raise FileNotFoundError(f"no training script at {script}")
    if script.suffix == ".py":
        return (sys.executable, str(script.resolve()))
    if not os.access(script, os.X_OK):
        raise ValueError(f"{script} is neither a Python file nor a program: `chmod +x {script}` makes it one")
    return (str(script.resolve()),)
