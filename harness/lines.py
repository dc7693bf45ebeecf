"""Append-only files of checksummed lines: nothing finished is lost, nothing half-finished is read as finished.

Each line is a CRC-32 in eight hexadecimal digits, a space, and one JSON object; it is flushed to the disk before the
next thing happens. A kill can tear the last line only: readers pass over it, the next writer cuts it off. Any other
damage is refused with the file and the line.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file in their order; ValueError where a line was changed or damaged."""
    if not path.exists():
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            checksum, _, text = line.rstrip(b"\n").partition(b" ")
            if checksum != b"%08x" % zlib.crc32(text):
                raise ValueError(f"{path}, line {number}: the checksum does not fit; the file was changed or damaged")
            yield json.loads(text)


class StorageError(Exception):
    """Something could not be written to the disk; nothing that was there before is harmed."""


class LineWriter:
    """Appends to one file for this process alone; ValueError where another process is at it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ValueError(f"another process is writing {path}: wait for it, or choose another place") from None
        self._file.seek(0)
        self._file.truncate(self._file.read().rfind(b"\n") + 1)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one object as a line, on the disk when this returns; StorageError where the disk refuses."""
        text = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode("ascii")
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        try:
            while line:  # a disk that is almost full takes a part
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StorageError(f"{self._path}: a line cannot be written: {error}") from error

    def close(self) -> None:
        """Let others write."""
        self._file.close()

    def __enter__(self) -> LineWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def sync(path: Path) -> None:
    """Have a file, or the entries of a folder, on the disk when this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
