"""Two scenarios that draw the same random numbers, future by future: what the one changes to the other.

An instant that doesn't come in a future of either (a patient who stays away, or never leaves the room) is not compared
in it; overtime is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from twin.errors import SettingsError
from twin.simulation.draws import Seconds
from twin.simulation.result import NOT_DONE_S, late, past_s
from twin.simulation.summary import K, Tally, Team, last_left, threes
from twin.vocabulary import Milestone

Three = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Change:
    """A mean that moved, with the 95 % half-width of the Monte-Carlo error of the difference."""

    mean: float
    half_width: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Of the second scenario to the first. Instants: (P10, P50, P90) of the difference in seconds, later above 0."""

    milestones: dict[str, dict[Milestone, Three]]
    room_end: dict[str, Three]
    past_end: dict[str, Change]
    """By room: probability."""
    overtime_min: dict[str, Change]
    team_overtime_min: dict[str, Change]
    staff_overtime_min: dict[str, float]
    pacu_hold_min: float
    only_before: tuple[str, ...]
    """Cases that the second hasn't."""
    only_after: tuple[str, ...]


def difference(before: Tally, after: Tally, ends: Mapping[str, datetime], teams: Mapping[str, Team]) -> Difference:
    """Of two tallies of equally many replications and the same seed; SettingsError for others."""
    first, second = before.scenario, after.scenario
    if (first.now, first.options) != (second.now, second.options):
        raise SettingsError("only scenarios of one instant, seed and number of replications can be compared")
    rooms = [room for room in before.room_left if room in after.room_left]
    past = {
        room: _past(before.room_left[room], after.room_left[room], first.seconds(ends[room]))
        for room in rooms
        if room in ends
    }
    return Difference(
        milestones={
            case: _moved(times, after.times[case]) for case, times in before.times.items() if case in after.times
        },
        room_end=_moved(before.room_left, after.room_left),
        past_end={room: share for room, (share, _) in past.items()},
        overtime_min={room: minutes for room, (_, minutes) in past.items()},
        team_overtime_min=_team_overtime(before, after, teams),
        staff_overtime_min={
            staff: round((after.beyond_min[staff] - minutes) / first.options.replications, 1) + 0.0
            for staff, minutes in before.beyond_min.items()
            if staff in after.beyond_min
        },
        pacu_hold_min=round((after.hold_min - before.hold_min) / first.options.replications, 1) + 0.0,
        only_before=_missing(before.left, after.left),
        only_after=_missing(after.left, before.left),
    )


def _missing(mine: Iterable[str], others: Mapping[str, Seconds]) -> tuple[str, ...]:
    return tuple(sorted(name for name in mine if name not in others))


def _moved(before: Mapping[K, Seconds], after: Mapping[K, Seconds]) -> dict[K, Three]:
    """Where there are futures in which both happen."""
    moved = {name: _apart(seconds, after[name]) for name, seconds in before.items() if name in after}
    return {name: three for name, three in threes(moved).items() if three[0] < NOT_DONE_S}


def _apart(before: Seconds, after: Seconds) -> Seconds:
    """The difference, never where one of them doesn't happen."""
    both = (before < NOT_DONE_S) & (after < NOT_DONE_S)
    return np.where(both, after - before, NOT_DONE_S)


def _past(before: Seconds, after: Seconds, end: int) -> tuple[Change, Change]:
    """Probability of being past an end, and minutes past it where there is an end at all."""
    moved = late(after, end).astype(np.int64) - late(before, end)
    minutes = (past_s(after, end) - past_s(before, end)) / 60
    return _change(moved, 2), _change(minutes, 1)


def _change(values: NDArray[np.int64] | NDArray[np.float64], digits: int) -> Change:
    error = 1.96 * float(np.std(values)) / len(values) ** 0.5
    return Change(round(float(np.mean(values)), digits) + 0.0, round(error, digits))


def _team_overtime(before: Tally, after: Tally, teams: Mapping[str, Team]) -> dict[str, Change]:
    found = {}
    for name, team in teams.items():
        first, second = last_left(before, team.cases), last_left(after, team.cases)
        if first is not None and second is not None:
            end = before.scenario.seconds(team.end)
            found[name] = _past(first, second, end)[1]
    return found
