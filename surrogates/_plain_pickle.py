"""Pickles that hold nothing but plain containers, texts and numbers, read without the machinery that could run one.

A pickle is a program for a small stack machine. This reader knows only the instructions that build dicts, lists,
tuples, texts, numbers, True, False and None; it has none that imports a name or calls one, so nothing can be run,
whatever the file says. Any other instruction is refused with its name and place.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

NUMBERS = {b"G"[0]: ">d", b"K"[0]: "<B", b"M"[0]: "<H", b"J"[0]: "<i"}
CONSTANTS = {b"N"[0]: None, 0x88: True, 0x89: False}
TEXTS = {0x8C: 1, b"X"[0]: 4, 0x8D: 8}
"""The bytes that give a text's length."""
TUPLES = {0x85: 1, 0x86: 2, 0x87: 3}
PUT, GET = {b"q"[0]: 1, b"r"[0]: 4}, {b"h"[0]: 1, b"j"[0]: 4}
SKIPPED = {0x80: 1, 0x95: 8}
"""The version of the protocol, and the length of a frame: bytes that change nothing."""
MARK, STOP, MEMOIZE = b"("[0], b"."[0], 0x94
EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE, TUPLE = b"}"[0], b"]"[0], b")"[0], b"t"[0]
SETITEM, SETITEMS, APPEND, APPENDS = b"s"[0], b"u"[0], b"a"[0], b"e"[0]


def read(path: Path) -> Any:
    """What a plain pickle holds; ValueError with the file and the place where it is cut off or not plain."""
    content = path.read_bytes()
    try:
        return _read(content)
    except (IndexError, struct.error, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path}: not a whole pickle: its {len(content)} bytes end or turn before it stops") from None
    except _NotPlain as error:
        raise ValueError(
            f"{path}: expected a pickle of plain containers and numbers, found {error}: it is not read"
        ) from None


class _NotPlain(Exception):
    """An instruction that could do more than hold data."""


def _read(content: bytes) -> Any:  # noqa: PLR0912, PLR0915
    numbers = {code: (struct.Struct(form).unpack_from, struct.calcsize(form)) for code, form in NUMBERS.items()}
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    place = 0
    while True:
        code = content[place]
        place += 1
        if code in numbers:
            unpack, size = numbers[code]
            stack += unpack(content, place)
            place += size
        elif code == MEMOIZE:
            memo[len(memo)] = stack[-1]
        elif code in GET:
            stack.append(memo[int.from_bytes(content[place : place + GET[code]], "little")])
            place += GET[code]
        elif code in PUT:
            memo[int.from_bytes(content[place : place + PUT[code]], "little")] = stack[-1]
            place += PUT[code]
        elif code in TEXTS:
            start = place + TEXTS[code]
            place = start + int.from_bytes(content[place:start], "little")
            content[place]  # a text that was cut off raises here
            stack.append(content[start:place].decode())
        elif code == MARK:
            marks.append(len(stack))
        elif code == APPENDS:
            start = marks.pop()
            stack[start - 1].extend(stack[start:])
            del stack[start:]
        elif code == SETITEMS:
            start = marks.pop()
            stack[start - 1].update(zip(stack[start::2], stack[start + 1 :: 2], strict=True))
            del stack[start:]
        elif code == EMPTY_LIST:
            stack.append([])
        elif code == EMPTY_DICT:
            stack.append({})
        elif code == APPEND:
            value = stack.pop()
            stack[-1].append(value)
        elif code == SETITEM:
            value, key = stack.pop(), stack.pop()
            stack[-1][key] = value
        elif code in CONSTANTS:
            stack.append(CONSTANTS[code])
        elif code == EMPTY_TUPLE:
            stack.append(())
        elif code == TUPLE or code in TUPLES:
            start = marks.pop() if code == TUPLE else len(stack) - TUPLES[code]
            stack[start:] = [tuple(stack[start:])]
        elif code in SKIPPED:
            place += SKIPPED[code]
        elif code == STOP:
            return stack.pop()
        else:
            raise _NotPlain(f"{_name(code)} at byte {place - 1}")


def _name(code: int) -> str:
    from pickletools import opcodes

    known = next((one.name for one in opcodes if one.code == chr(code)), None)
    return f"the instruction {known}" if known else f"the unknown instruction {code:#x}"
