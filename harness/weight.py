"""How much an object holds, counted the same on every run.

Counted is what the garbage collector sees from the object on: each thing that can be reached counts once, with the
number of its references, an array with its rows. So it does not matter how much room a list has made ahead, nor what
else the process has allocated. What all share is left out: classes, modules, and the names that a function finds in
its module.
"""

from __future__ import annotations

import gc
import sys
from array import array
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

SHARED = (type, ModuleType, CodeType)


class Weight(NamedTuple):
    """What an object holds: things, references and rows of arrays together, and bytes."""

    entries: int
    bytes: int


def weight(root: Any) -> Weight:
    """What can be reached from an object, each thing counted once."""
    seen: set[int] = set()
    waiting: list[Any] = [root]
    entries = size = 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or issubclass(type(thing), SHARED):
            continue
        seen.add(id(thing))
        parts = _parts(thing)
        entries += 1 + len(parts) + _rows(thing)
        size += sys.getsizeof(thing)
        waiting += parts
    return Weight(entries, size)


def _parts(thing: Any) -> list[Any]:
    """What a thing refers to and does not share with all others."""
    if isinstance(thing, FunctionType):
        own = (thing.__defaults__, thing.__kwdefaults__, thing.__closure__)
        return [part for part in own if part is not None]
    if isinstance(thing, BuiltinFunctionType):
        return [thing.__self__]
    if isinstance(thing, np.ndarray):
        return list(thing.flat) if thing.dtype == object else [] if thing.base is None else [thing.base]
    return gc.get_referents(thing)


def _rows(thing: Any) -> int:
    return len(thing) if isinstance(thing, array) or (isinstance(thing, np.ndarray) and thing.ndim) else 0
