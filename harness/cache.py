"""The user's cache: converted tables, and environments of foreign optimisers; each whole or not there at all."""

from __future__ import annotations

import os
import shutil
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
    target.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    making.chmod(0o755)
    old = making.with_name(f"{making.name}-old")
    try:
        yield making
        if target.exists():
            target.rename(old)
        making.rename(target)
    finally:
        shutil.rmtree(making, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
