"""A report's folder: each file written whole, the same bytes for the same inputs, no dates.

Files are written beside their place and then moved there. `report.json` goes first and comes back last: it holds the
digest of what the report was made from, so a report without it is not up to date, and one that was interrupted is made
again.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

FORM = 9
"""Counts the forms of the report; one of another form is not up to date."""

LONGEST = 60
"""Characters of a file's stem: a method's name with all its options would be longer than file systems take."""


def up_to_date(folder: Path, digest: str) -> bool:
    """Whether the folder holds a whole report of this form, made from inputs with this digest."""
    return standing(folder) == digest and _stamp(folder).get("form") == FORM


def standing(folder: Path) -> str | None:
    """The digest of what the report in a folder was made from, whatever its form; None where there is no whole one."""
    stamp = _stamp(folder)
    whole = all((folder / name).is_file() for name in stamp.get("files", []))
    return stamp.get("digest") if whole else None


def publish(folder: Path, files: Mapping[str, bytes], digest: str) -> None:
    """Write a report whole, with a stamp of what it was made from; files of a former report are removed."""
    former = _stamp(folder).get("files", [])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").unlink(missing_ok=True)
    for name, content in files.items():
        _write_whole(folder / name, content)
    for name in sorted(set(former) - set(files)):
        (folder / name).unlink(missing_ok=True)
        _remove_empty((folder / name).parent, folder)
    _write_whole(folder / "report.json", as_json({"digest": digest, "form": FORM, "files": sorted(files)}))


def as_json(content: Mapping[str, Any]) -> bytes:
    """Plain content as the bytes of a JSON file, a line a row; ValueError for a number that is not finite."""
    parts = [f"{_dumped(name)}: {_by_row(value)}" for name, value in content.items()]
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def plain_json(value: Any) -> Any:
    """Mappings, sequences and numbers, numpy's among them, as JSON has them; what is not finite is None."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(entry) for key, entry in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(entry) for entry in cast(Sequence[Any], value)]
    plain: Any = cast(Any, value).item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _by_row(value: Any) -> str:
    rows = value if isinstance(value, list) and value and isinstance(value[0], dict) else None
    return _dumped(value) if rows is None else "[\n" + ",\n".join(map(_dumped, rows)) + "\n]"


def _dumped(value: Any) -> str:
    """As JSON with eight significant digits: what is beyond them is no information, and a third of the bytes."""
    whole = json.dumps(value, allow_nan=False, ensure_ascii=False)
    few = json.loads(whole, parse_float=lambda number: float(f"{float(number):.8g}"))
    return json.dumps(few, ensure_ascii=False, separators=(",", ":"))


def stems(names: Sequence[str]) -> dict[str, str]:
    """A stem for the files of each name, no two alike, also where a file system takes capitals for small letters."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:LONGEST] or "unnamed"
        stem, again = plain, 1
        while stem.casefold() in taken:
            again += 1
            stem = f"{plain}-{again}"
        taken.add(stem.casefold())
        found[name] = stem
    return found


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _remove_empty(place: Path, folder: Path) -> None:
    while place != folder and place.is_dir() and not any(place.iterdir()):
        place.rmdir()
        place = place.parent


def _stamp(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
