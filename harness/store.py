"""The store: a directory of finished studies in immutable Parquet segments.

One row is one study, so a study is there whole or not at all. A segment is written under a temporary name, read back,
and linked under a name made from its content: no lock, no shared manifest, no segment ever changes, though one may be
dropped whole. Readers list the directory; a study that stands in two segments must have one digest. A segment that
cannot be read is named and its studies count as missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.lines import StorageError, sync
from harness.study import Record

STORE_VERSION = 1
ARRAYS = {
    "kind": pa.int8(),
    "time": pa.int64(),
    "worker": pa.int32(),
    "trial": pa.int32(),
    "resource": pa.int32(),
    "code": pa.int32(),
    "cost": pa.float64(),
    "values": pa.float64(),
}
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("digest", pa.string()),
        pa.field("spec", pa.string()),
        *(pa.field(name, pa.list_(kind)) for name, kind in ARRAYS.items()),
        pa.field("metrics", pa.list_(pa.string())),
        pa.field("configs", pa.list_(pa.string())),
        pa.field("why", pa.string()),
        pa.field("end", pa.int64()),
        pa.field("error", pa.string()),
        pa.field("real_seconds", pa.float64()),
        pa.field("failures", pa.list_(pa.string())),
    ]
)
SEGMENT = "segment-*.parquet"
STALE_TEMPORARY_SECONDS = 24 * 3600


class Store:
    """Finished studies in a directory.

    `broken` names segments that could not be read, with the reason; their studies count as missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken: dict[str, str] = {}

    def publish(self, records: Sequence[Record]) -> None:
        """Make studies part of the store, all of them or none; StorageError where the disk refuses."""
        if not records:
            return
        table = _to_table(records)
        name = hashlib.blake2b("".join(sorted(_identities(table))).encode(), digest_size=10).hexdigest()
        final = self.folder / f"segment-{name}.parquet"
        temporary = self.folder / f".tmp-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
            sync(temporary)
            if not _holds(temporary, table):
                raise OSError("what was written does not read back the same")
            try:
                os.link(temporary, final)
            except FileExistsError:  # the same studies with the same digests are there already, or what is left of them
                if not _holds(final, table):
                    os.replace(temporary, final)
            sync(self.folder)
        except (OSError, pa.ArrowException) as error:
            raise StorageError(f"{self.folder}: cannot store {len(records)} studies: {error}") from error
        finally:
            temporary.unlink(missing_ok=True)

    def digests(self) -> dict[str, str]:
        """Key to digest of every study; ValueError where one key has two digests."""
        found: dict[str, str] = {}
        for path in self._segments():
            table = self._read(path, ["key", "digest"])
            for key, digest in zip(*(column.to_pylist() for column in table.columns), strict=True):
                if found.setdefault(key, digest) != digest:
                    raise ValueError(f"{self.folder}: study {key} is there with two different outcomes")
        return dict(sorted(found.items()))

    def logical_digest(self) -> str:
        """One hash for all studies with their outcomes, whatever the segments."""
        return hashlib.blake2b(json.dumps(list(self.digests().items())).encode(), digest_size=16).hexdigest()

    def lengths(self) -> dict[str, int]:
        """Key to number of events of every study."""
        found: dict[str, int] = {}
        for path in self._segments():
            table = self._read(path, ["key", "kind"])
            for key, kinds in zip(table.column("key").to_pylist(), table.column("kind"), strict=True):
                found[key] = len(kinds.values)
        return dict(sorted(found.items()))

    def specs(self) -> dict[str, dict[str, Any]]:
        """Key to ingredients of every study."""
        found: dict[str, dict[str, Any]] = {}
        for path in self._segments():
            table = self._read(path, ["key", "spec"])
            for key, spec in zip(*(column.to_pylist() for column in table.columns), strict=True):
                found[key] = json.loads(spec)
        return dict(sorted(found.items()))

    def records(self, keys: Iterable[str] | None = None) -> dict[str, Record]:
        """Key to record, of these keys or of all."""
        found = {record.key: record for record in self.each(keys)}
        return dict(sorted(found.items()))

    def each(self, keys: Iterable[str] | None = None) -> Iterator[Record]:
        """The records of these keys or of all, once each, in no particular order: a segment at a time in memory."""
        wanted = None if keys is None else set(keys)
        seen: set[str] = set()
        for path in self._segments():
            table = self._read(path, None)
            for row, key in enumerate(table.column("key").to_pylist()):
                if (wanted is None or key in wanted) and key not in seen:
                    seen.add(key)
                    yield _from_row(table, row)

    def _segments(self) -> list[Path]:
        return sorted(self.folder.glob(SEGMENT))

    def _read(self, path: Path, columns: list[str] | None) -> pa.Table:
        try:
            table = pq.read_table(path, columns=columns, page_checksum_verification=True)
        except (OSError, pa.ArrowException) as error:
            self.broken[path.name] = str(error).split("\n", 1)[0]
            return SCHEMA.empty_table() if columns is None else SCHEMA.empty_table().select(columns)
        if not set(columns or SCHEMA.names) <= set(table.schema.names):
            self.broken[path.name] = f"it has the columns {table.schema.names}, which are not those of a segment"
            return SCHEMA.empty_table() if columns is None else SCHEMA.empty_table().select(columns)
        version = int((table.schema.metadata or {}).get(b"store_version", b"0"))
        if version > STORE_VERSION:
            raise ValueError(f"{path} has store version {version}; this program reads up to {STORE_VERSION}")
        return table

    def drop(self, keys: Iterable[str]) -> None:
        """Remove studies that others have taken the place of: the segments that hold nothing but these keys."""
        gone = set(keys)
        for path in self._segments():
            held = set(self._read(path, ["key"]).column("key").to_pylist())
            if held and held <= gone:
                path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what dead writers left behind."""
        for path in self.folder.glob(".tmp-*"):
            host, _, pid = path.name.removeprefix(".tmp-").rpartition("-")[0].rpartition("-")
            own = host == socket.gethostname()
            try:
                old = time.time() - path.stat().st_mtime > STALE_TEMPORARY_SECONDS
            except FileNotFoundError:  # its writer has just published
                continue
            if old or (own and not Path(f"/proc/{pid}").exists()):
                path.unlink(missing_ok=True)


def environment() -> dict[str, str]:
    """What the floating-point numbers of a model-based method may depend on; recorded, no part of a key."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "system": platform.system(),
    }


def _holds(path: Path, table: pa.Table) -> bool:
    """Whether a segment reads back as the studies of a table, by their digests (to Arrow no NaN equals another)."""
    try:
        read = pq.read_table(path, page_checksum_verification=True)
        return _identities(read) == _identities(table) and all(
            _from_row(read, row).digest() == digest for row, digest in enumerate(read.column("digest").to_pylist())
        )
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return False


def _identities(table: pa.Table) -> list[str]:
    return [key + digest for key, digest in zip(*(table.column(n).to_pylist() for n in ("key", "digest")), strict=True)]


def _to_table(records: Sequence[Record]) -> pa.Table:
    ordered = sorted(records, key=lambda record: record.key)
    columns: dict[str, list[Any]] = {
        "key": [record.key for record in ordered],
        "digest": [record.digest() for record in ordered],
        "spec": [json.dumps(record.spec, separators=(",", ":")) for record in ordered],
        **{name: [getattr(record, name).ravel() for record in ordered] for name in ARRAYS},
        "metrics": [list(record.metrics) for record in ordered],
        "configs": [list(record.configs) for record in ordered],
        "why": [record.why for record in ordered],
        "end": [record.end for record in ordered],
        "error": [record.error for record in ordered],
        "real_seconds": [record.real_seconds for record in ordered],
        "failures": [list(record.failures) for record in ordered],
    }
    metadata: Mapping[str, str] = {"store_version": str(STORE_VERSION), "environment": json.dumps(environment())}
    return pa.table(columns, schema=SCHEMA.with_metadata(metadata))


def _from_row(table: pa.Table, row: int) -> Record:
    arrays = {name: table.column(name)[row].values.to_numpy(zero_copy_only=False) for name in ARRAYS}
    metrics = tuple(table.column("metrics")[row].as_py())
    arrays["values"] = arrays["values"].reshape(-1, len(metrics)) if metrics else np.zeros((0, 0))
    plain = {name: table.column(name)[row].as_py() for name in ("why", "end", "error", "real_seconds")}
    return Record(
        spec=json.loads(table.column("spec")[row].as_py()),
        metrics=metrics,
        configs=tuple(table.column("configs")[row].as_py()),
        failures=tuple(table.column("failures")[row].as_py()),
        **arrays,
        **plain,
    )
