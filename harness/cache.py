"""The user's cache: converted tables, and environments of foreign optimisers; each whole or not there at all."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def cache() -> Path:
    """Where what was fetched lies: $FORETUNE_CACHE, else the user's folder for caches."""
    if given := os.environ.get("FORETUNE_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foretune"


@contextmanager
def published(name: str) -> Generator[Path]:
    """An empty folder to work in; it becomes `name` in the cache when all went well, else it is removed."""
    target = cache() / name
    with working(target) as folder:
        making = folder / "new"
        making.mkdir()
        yield making
        if target.exists():
            target.rename(folder / "old")
        making.rename(target)


@contextmanager
def working(target: Path) -> Generator[Path]:
    """An empty folder beside `target` for what becomes it, removed in the end.

    Its name tells machine and process: what a killed one left is removed by the next that works on this target.
    """
    own = f".{target.name}-{socket.gethostname()}-"
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f"{own}*"):
        process = left.name.removeprefix(own).partition("-")[0]
        if Path("/proc").is_dir() and not Path("/proc", process).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{own}{os.getpid()}-", dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
