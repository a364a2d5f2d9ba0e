"""Keyed random numbers: one uniform per (seed, replication, case, stage), the same whatever else is in the scenario.

A counter-based hash (the finaliser of splitmix64 by Steele, Lea and Flood, 2014) over the words of the key. Common
random numbers therefore hold across scenarios: adding or removing a case changes no draw of another.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.int64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def uniforms(seed: int, key: str, stage: str, *, replications: int) -> NDArray[np.float64]:
    """Uniforms inside (0, 1), keyed by a Stage or another name, of replications 0, 1, 2…; shape (replications,)."""
    name = hashlib.blake2b(f"{stage}\0{key}".encode(), digest_size=8).digest()
    word = (int.from_bytes(name, "little") + _GOLDEN * (seed + 1)) & _MASK
    counters = np.arange(1, replications + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    hashed = _mixed(_mixed(np.full(replications, word, dtype=np.uint64)) + counters)
    return ((hashed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def whole_seconds(minutes: NDArray[np.float64]) -> Seconds:
    """Minutes as whole seconds, rounded as they are drawn so that every engine adds the same integers."""
    return np.rint(minutes * 60).astype(np.int64)


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    return words ^ (words >> np.uint64(31))
