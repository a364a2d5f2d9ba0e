"""Draws by table, compiled: as `draws._look_up`, which says the same in arrays."""

import numpy as np

from twin.simulation.compiled import compiled, inlined
from twin.simulation.draws import FIRST, ONE_S, POINTS, S27, S30, S31, SECOND, STEP, Seconds, fill_by


def warm_draws() -> None:
    """Compiles, or loads from the cache on disk; then draws are made so."""
    fill(np.uint64(1), 0, np.zeros(3 * POINTS, dtype=np.int64), np.zeros(1, dtype=np.int64))
    fill_by(fill)


@compiled
def fill(word: np.uint64, first: int, table: Seconds, seconds: Seconds) -> int:
    """Seconds by linear interpolation in the table; -1 in the far tails, which are counted."""
    start, tails = _mix(word), 0
    for number in range(len(seconds)):
        hashed = _mix(start + np.uint64(first + number + 1) * STEP)
        cell = np.int64(hashed >> np.uint64(56))
        at, share = cell, np.int64(hashed >> np.uint64(32)) & 0xFFFFFF
        if cell == 0 or cell == 255:
            fine = np.int64(hashed >> np.uint64(48)) & 255
            at = (POINTS if cell == 0 else 2 * POINTS) + fine
            share = np.int64(hashed >> np.uint64(24)) & 0xFFFFFF
            if fine == cell:
                seconds[number] = -1
                tails += 1
                continue
        low = table[at]
        seconds[number] = (low + ((table[at + 1] - low) * share >> 24) + ONE_S // 2) // ONE_S
    return tails


@inlined
def _mix(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> S30)) * FIRST
    word = (word ^ (word >> S27)) * SECOND
    return word ^ (word >> S31)
