"""What each prediction of an evaluation may know: random folds, or in time order nothing from the future."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from twin.durations.batch import Ints
from twin.errors import SettingsError

_FIRST_REFIT = 50
_GROWTH = 1.5
"""In time order constants are estimated anew each time the history has grown by half."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Cases predicted together, and then the cases that ended before the next block."""

    predicted: Ints
    learned: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Cases known when constants are estimated, in the order they ended, and the blocks that follow."""

    known: Ints
    blocks: tuple[Block, ...]

    @property
    def predicted(self) -> Ints:
        """All cases that are predicted."""
        return np.concatenate([block.predicted for block in self.blocks])


def folds_of(count: int, *, folds: int, seed: int) -> list[Split]:
    """Every case predicted once, from the cases of the other folds. `count` under `folds`: one case a fold."""
    shuffled = np.random.default_rng(seed).permutation(count)
    parts = np.array_split(shuffled, min(folds, count))
    nothing = np.zeros(0, dtype=np.int64)
    return [
        Split(np.setdiff1d(np.arange(count), part), (Block(np.sort(part).astype(np.int64), nothing),)) for part in parts
    ]


def in_time_order(started: Sequence[datetime], ended: Sequence[datetime]) -> list[Split]:
    """Each day predicted from the cases that ended before it; SettingsError where nothing comes before anything."""
    by_end = sorted(range(len(ended)), key=lambda number: (ended[number], number))
    days = sorted({start.date() for start in started})
    starts = _by_day([start.date() for start in started])
    before = _known_before(days, [ended[number].date() for number in by_end])
    splits: list[Split] = []
    at = next((place for place, known in enumerate(before) if known), None)
    if at is None:
        raise SettingsError("no case ends before another one's day: leave the dates out with --map started_at=")
    while at < len(days):
        last = _next_refit(before, at)
        blocks = tuple(
            Block(np.array(starts[days[place]]), np.array(by_end[before[place] : before[place + 1]], dtype=np.int64))
            for place in range(at, last - 1)
        )
        ending = Block(np.array(starts[days[last - 1]]), np.zeros(0, dtype=np.int64))
        splits.append(Split(np.array(by_end[: before[at]], dtype=np.int64), (*blocks, ending)))
        at = last
    return splits


def _by_day(days: Sequence[date]) -> dict[date, list[int]]:
    starts: dict[date, list[int]] = {}
    for number, day in enumerate(days):
        starts.setdefault(day, []).append(number)
    return starts


def _known_before(days: Sequence[date], ended: Sequence[date]) -> list[int]:
    """By day: how many cases ended before it. Both in order."""
    return [bisect_left(ended, day) for day in days]


def _next_refit(before: Sequence[int], at: int) -> int:
    """First day after `at` that knows enough more for new constants."""
    enough = max(before[at] * _GROWTH, _FIRST_REFIT)
    return next((place for place in range(at + 1, len(before)) if before[place] >= enough), len(before))
