"""Where a foreign optimiser's library is installed: in an environment that was fetched for it, or beside us.

Each optimiser's file names the distributions that it needs, the library itself by its exact version. What of it is
installed becomes part of a study's identity, so that studies of another version are other studies.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from harness.cache import cache as cache_folder
from harness.cache import published

ALSO_NOTED = ("numpy",)
"""What else may change an optimiser's proposals."""


def environment_of(optimiser: str) -> Path:
    """Where the environment of an optimiser lies, or would lie."""
    return cache_folder() / "environments" / optimiser


def python_of(optimiser: str, requirements: Sequence[str]) -> Path | None:
    """The Python in which an optimiser runs: that of its own environment, else ours; None where neither can run it."""
    folder = environment_of(optimiser)
    if _satisfied(requirements, str(folder)):
        return folder / "bin" / "python"
    return Path(sys.executable) if _satisfied(requirements, "") else None


def versions(optimiser: str, requirements: Sequence[str]) -> dict[str, str]:
    """What is installed of an optimiser, by distribution; empty where it is not."""
    python = python_of(optimiser, requirements)
    if python is None:
        return {}
    names = [*(Requirement(text).name for text in requirements), *ALSO_NOTED]
    found = _installed("" if python == Path(sys.executable) else str(environment_of(optimiser)), tuple(names))
    return dict(sorted(found.items()))


def make(optimiser: str, requirements: Sequence[str], source: Path | None = None, python: str = "") -> Path:
    """Make the environment of an optimiser with pip; ValueError with pip's last words where that fails.

    source: a folder of distributions to install from, instead of the package index; python: the versions of Python that
    it runs on, such as `<3.12`: ValueError on another one.
    """
    own = platform.python_version()
    if python and not SpecifierSet(python).contains(own, prereleases=True):
        raise ValueError(
            f"{optimiser} needs Python {python}, this is {own}: run `fetch {optimiser}` once with such a one, and the "
            "environment that it makes serves every other"
        )
    where = ["--no-index", "--find-links", str(source)] if source else []
    with published(f"environments/{optimiser}") as making:
        venv.create(making)
        pip = [sys.executable, "-m", "pip", "--python", str(making / "bin" / "python"), "install", "--quiet"]
        done = subprocess.run(
            [*pip, "--no-input", *where, *requirements], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            lines = done.stderr.splitlines() or [f"pip says nothing, exit code {done.returncode}"]
            errors = [line for line in lines if line.startswith("ERROR")]
            raise ValueError(f"the environment of {optimiser} cannot be made: {(errors or lines)[-1]}")
    _installed.cache_clear()
    _satisfied_in.cache_clear()
    return environment_of(optimiser)


def _satisfied(requirements: Sequence[str], folder: str) -> bool:
    return _satisfied_in(tuple(requirements), folder)


@cache
def _satisfied_in(requirements: tuple[str, ...], folder: str) -> bool:
    wanted = [Requirement(text) for text in requirements]
    found = _installed(folder, tuple(one.name for one in wanted))
    return all(one.name in found and one.specifier.contains(found[one.name], prereleases=True) for one in wanted)


@cache
def _installed(folder: str, names: tuple[str, ...]) -> Mapping[str, str]:
    """The versions of distributions in the environment of a folder, or in ours where it is empty."""
    places = sys.path if not folder else [str(path) for path in Path(folder).glob("lib*/python*/site-packages")]
    found: dict[str, str] = {}
    for name in names:
        for distribution in Distribution.discover(name=name, path=places):
            found.setdefault(name, distribution.version)
    return found
