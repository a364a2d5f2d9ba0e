"""Keyed random numbers: one uniform per (seed, replication, case, stage), the same whatever else is in the scenario.

A counter-based hash (the finaliser of splitmix64 by Steele, Lea and Flood, 2014) over the words of the key. Common
random numbers therefore hold across scenarios: adding or removing a case changes no draw of another.

A law becomes seconds by a table of 257 quantiles, and one more for each of its outermost cells; in the last 1/65536 of
either tail the law itself is asked. All is integer arithmetic, so that every machine, compiled or not, draws the same.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.durations.distribution import LogT

Seconds = NDArray[np.int64]
Words = NDArray[np.uint64]
Fill = Callable[[np.uint64, int, Seconds, Seconds], int]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF
STEP, FIRST, SECOND = np.uint64(_GOLDEN), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
POINTS = 257
MOST_MIN = 90 * 1440.0
"""No duration is drawn longer: sums of some thousand stay whole numbers that fit."""
ONE_S = 1024
"""Quantiles are kept in 1/1024 s."""
_FAST: list[Fill] = []


class Key(NamedTuple):
    """Names the random numbers of one stage of one case, in replications `first`, `first` + 1…"""

    seed: int
    case: str
    stage: str
    replications: int
    first: int = 0

    @property
    def word(self) -> int:
        """64 bits of the key."""
        name = hashlib.blake2b(f"{self.stage}\0{self.case}".encode(), digest_size=8).digest()
        return (int.from_bytes(name, "little") + _GOLDEN * (self.seed + 1)) & _MASK


def uniforms(key: Key) -> NDArray[np.float64]:
    """Uniforms inside (0, 1); shape (replications,)."""
    return _uniform(_hashed(key))


def sample(law: LogT, key: Key, elapsed_min: float = 0.0) -> Seconds:
    """Whole seconds of a law, rounded as they are drawn; what is left of it where some minutes have passed.

    Shape (replications,).
    """
    table = _table(law, elapsed_min)
    seconds = np.empty(key.replications, dtype=np.int64)
    if _FAST:
        tails = _FAST[-1](np.uint64(key.word), key.first, table, seconds)
        words = _hashed(key) if tails else None
    else:
        words = _hashed(key)
        tails = _look_up(words, table, seconds)
    if words is not None and tails:
        far = seconds < 0
        seconds[far] = whole_seconds(_quantiles(law, _uniform(words[far]), elapsed_min))
    return seconds


def fill_by(fill: Fill) -> None:
    """From now on `sample` fills its seconds so: the same, but compiled."""
    _FAST.append(fill)


def whole_seconds(minutes: NDArray[np.float64]) -> Seconds:
    """Minutes as whole seconds, rounded as they are drawn so that every engine adds the same integers."""
    return np.asarray(np.rint(np.minimum(minutes, MOST_MIN) * 60).astype(np.int64))


def _hashed(key: Key) -> Words:
    counters = np.arange(key.first + 1, key.first + key.replications + 1, dtype=np.uint64) * STEP
    return _mixed(_mixed(np.full(key.replications, key.word, dtype=np.uint64)) + counters)


def _mixed(words: Words) -> Words:
    words = (words ^ (words >> S30)) * FIRST
    words = (words ^ (words >> S27)) * SECOND
    return words ^ (words >> S31)


def _uniform(words: Words) -> NDArray[np.float64]:
    return ((words >> _S11).astype(np.float64) + 0.5) * 2.0**-53


@lru_cache(maxsize=4096)
def _table(law: LogT, elapsed_min: float) -> Seconds:
    """Quantiles at 0, 1/256 … 1, then as many between 0 and 1/256, then between 255/256 and 1."""
    grid = np.linspace(0, 1, POINTS)
    minutes = _quantiles(law, np.concatenate((grid, grid / 256, (255 + grid) / 256)), elapsed_min)
    return np.asarray(np.rint(np.minimum(minutes, MOST_MIN) * (60 * ONE_S)).astype(np.int64))


def _quantiles(law: LogT, p: NDArray[np.float64], elapsed_min: float) -> NDArray[np.float64]:
    return law.residual_ppf(p, elapsed_min) if elapsed_min > 0 else law.ppf(p)


def _look_up(words: Words, table: Seconds, seconds: Seconds) -> int:
    """As `filling.fill`, without a compiler."""
    cells = (words >> np.uint64(56)).astype(np.int64)
    fine = (words >> np.uint64(48)).astype(np.int64) & 255
    outer = (cells == 0) | (cells == 255)
    shifts = np.where(outer, np.uint64(24), np.uint64(32)).astype(np.uint64)
    shares = (words >> shifts).astype(np.int64) & 0xFFFFFF
    at = np.where(outer, np.where(cells == 0, POINTS, 2 * POINTS) + fine, cells)
    seconds[:] = (table[at] + ((table[at + 1] - table[at]) * shares >> 24) + ONE_S // 2) // ONE_S
    seconds[outer & (cells == fine)] = -1
    return int(np.count_nonzero(seconds < 0))
