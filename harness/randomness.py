"""Random streams from identities, never from counters.

A stream is named by what it is for (`stream("scheduler", arm, benchmark, seed)`), so it does not matter who draws
first, in which process, or what was drawn before. Single numbers that many methods must share (which replicate, how
long a delay) come from `number_at`, a hash of their identity and place: the same luck for everybody.
"""

from __future__ import annotations

import hashlib

import numpy as np

Identity = str | int | float
MASK = 2**64 - 1


def _digest(identity: tuple[Identity, ...]) -> bytes:
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in identity)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def stream(*identity: Identity) -> np.random.Generator:
    """A generator of random numbers that belongs to this identity alone."""
    words = np.frombuffer(_digest(identity), dtype="<u4").tolist()
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(words)))


def number(*identity: Identity) -> float:
    """A number of [0, 1) that belongs to this identity alone."""
    return key(*identity) / 2**64


def key(*identity: Identity) -> int:
    """64 bits that belong to this identity, for `number_at`."""
    return int.from_bytes(_digest(identity)[:8], "little")


def number_at(key: int, place: int) -> float:
    """The number of [0, 1) at a place of the sequence that belongs to a key: SplitMix64 (Steele et al. 2014)."""
    mixed = (key + (place + 1) * 0x9E3779B97F4A7C15) & MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    return (mixed ^ (mixed >> 31)) / 2**64
