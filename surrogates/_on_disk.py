"""Benchmarks of a user's own files: what their names say, `FAMILY:PATH:option=value`, and JSON that lies there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def parsed(name: str, known: Sequence[str]) -> tuple[Path, list[tuple[str, str]]]:
    """The path in a name and its options in their order; ValueError for one that is not known."""
    _, path, *texts = name.split(":")
    options: list[tuple[str, str]] = []
    for text in texts:
        option, equals, value = text.partition("=")
        if option not in known or not equals or not value:
            raise ValueError(f"{name}: unknown option {text!r}; there are {', '.join(known)}, written option=value")
        options.append((option, value))
    return Path(path), options


def json_object(path: Path) -> dict[str, Any]:
    """The object in a file; ValueError with the file and what was found where it holds another thing."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, found something else ({error})") from None
    if not isinstance(plain, dict):
        raise ValueError(f"{path}: expected an object, found {type(plain).__name__}")
    return plain
