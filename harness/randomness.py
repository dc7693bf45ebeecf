"""Random streams from identities, never from counters.

A stream is named by what it is for (`stream("scheduler", arm, benchmark, seed)`), so it does not matter who draws
first, in which process, or what was drawn before. Single numbers that many methods must share (which replicate, how
long a delay) come from `number`, a hash of their identity: the same luck for everybody.
"""

from __future__ import annotations

import hashlib

import numpy as np

Identity = str | int | float


def _digest(identity: tuple[Identity, ...]) -> bytes:
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in identity)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def stream(*identity: Identity) -> np.random.Generator:
    """A generator of random numbers that belongs to this identity alone."""
    words = np.frombuffer(_digest(identity), dtype="<u4").tolist()
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(words)))


def number(*identity: Identity) -> float:
    """A number of [0, 1) that belongs to this identity alone."""
    return int.from_bytes(_digest(identity)[:8], "little") / 2**64
