"""Where the things lie that have names, and the error for a name that nothing has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PROJECT = ROOT.parent
MANY = 60


class UnknownName(ValueError):
    """A name that nothing here has; the message gives the nearest known ones, or so many as one reads."""

    def __init__(self, kind: str, name: str, known: Iterable[str], also: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        more = f" and {len(known) - MANY} more" if len(known) > MANY else ""
        possible = f"possible are {', '.join(known[:MANY])}{more}" if known else "there are none"
        hint = f"did you mean {' or '.join(near)}?" if near else possible
        super().__init__(f"unknown {kind} {name!r}: {hint}{also and f' {also}'}")
