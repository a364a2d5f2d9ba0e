"""Futures: the instants of every milestone still to come, one per replication."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from twin.simulation.draws import Seconds
from twin.simulation.exits import ExitDoubt
from twin.vocabulary import Milestone

NOT_DONE_S = 10 * 365 * 86_400
"""Stands for the instant of what does not happen in a replication: a patient who doesn't come, say."""
STUCK_S = NOT_DONE_S + 1
"""Stands for the end of what begins and never ends: a patient in a room whom nobody takes over."""
HOURS = 24
"""For which the demand of beds is told, and up to which what never ends is counted."""
HORIZON_S = HOURS * 3600


def late(seconds: Seconds, end: int) -> NDArray[np.bool_]:
    """Where something is past an end; what never ends is, what does not take place is not."""
    return np.asarray((seconds > end) & (seconds != NOT_DONE_S))


def past_s(seconds: Seconds, end: int) -> Seconds:
    """Seconds past an end, up to the horizon."""
    return np.asarray(np.maximum(np.minimum(seconds, HORIZON_S) - end, 0) * late(seconds, end))


def quantiles(seconds: Seconds, shares: tuple[float, ...] = (0.1, 0.5, 0.9)) -> Seconds:
    """Quantiles of each row in whole seconds, shape (rows, shares), by Hazen's plotting position.

    Of whole seconds, by sorting all rows at once: some times faster than a call for each.
    """
    ordered, size = np.sort(seconds, axis=1), seconds.shape[1]
    at = np.clip(np.array(shares) * size - 0.5, 0, size - 1)
    low = np.floor(at).astype(np.int64)
    below, above = ordered[:, low], ordered[:, np.minimum(low + 1, size - 1)]
    found: Seconds = np.rint(below + (above - below) * (at - low)).astype(np.int64)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Futures:
    """Simulated instants in whole seconds since `now`; every array has the shape (replications,).

    Replication r is one coherent future across all cases and rooms.
    """

    now: datetime
    replications: int
    times: dict[str, dict[Milestone, Seconds]]
    """By case: the milestones not yet reached, in the pathway's order; one passed without a record has no time."""
    left: dict[str, Seconds]
    """By case: when it is out of its room; the actual instant (not past now) where it already is, recorded or not."""
    room_cases: dict[str, dict[str, datetime]]
    """By room, by case: the booked entry, else the actual one, else the median of the simulated ones."""
    doubts: dict[str, ExitDoubt] = field(default_factory=dict)
    """By case in a room: whether it may have left already. Its `times` are those of a patient still inside."""

    @property
    def room_last_out(self) -> dict[str, Seconds]:
        """By room: when the last of all its cases is out."""
        return {room: self.last_out(cases) for room, cases in self.room_cases.items()}

    def last_out(self, cases: Iterable[str]) -> Seconds:
        """When the last of some cases (at least one) is out of its room."""
        return np.asarray(np.maximum.reduce([self.left[case] for case in cases]))

    def quantiles(self, seconds: Seconds) -> tuple[int, int, int]:
        """P10, P50 and P90 in whole seconds since now (Hazen's plotting position)."""
        low, middle, high = quantiles(seconds[np.newaxis])[0].tolist()
        return low, middle, high

    def quantiles_of(self, case: str) -> dict[Milestone, tuple[int, int, int]]:
        """P10, P50 and P90 of all milestones of a case at once."""
        times = self.times[case]
        if not times:
            return {}
        rows = quantiles(np.stack(list(times.values()))).tolist()
        return {milestone: (row[0], row[1], row[2]) for milestone, row in zip(times, rows, strict=True)}

    def probability_after(self, seconds: Seconds, instant: datetime) -> float:
        """Share of the futures in which it happens after an instant."""
        limit = (instant.astimezone(UTC) - self.now.astimezone(UTC)).total_seconds()
        return float(np.mean(seconds > limit))
