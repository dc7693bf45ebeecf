"""Files that are replaced: whole or as they were, whenever a kill comes and whoever reads meanwhile."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Generator[Path]:
    """A place beside `path` to write to; what is there takes the name of `path` when all went well, else it goes."""
    making = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        yield making
        os.replace(making, path)
    finally:
        making.unlink(missing_ok=True)
