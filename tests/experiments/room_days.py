"""60 days of room lists on cases of G0, with what really happens in each room: not the simulator's flow nor its laws.

A day's cases go by specialty and surgeon into rooms that are booked until the block ends. The first patient enters late
by Gamma(1.2, 7 min); a later one when the room is restored (Gamma of CV 1/3, mean U(14, 28) by specialty; 20 min are
booked), from 20 min before to 10 min after the booking at the earliest. Each case's law is that of the morning.
Rooms only: no shared surgeon, no full recovery room, no emergency, nobody who does not come.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from tests.experiments.g0 import CASES, SPECIALTIES, Year, year
from twin.durations.batch import Batch, replay
from twin.durations.closed_form import Floats
from twin.durations.distribution import LogT
from twin.durations.estimate import estimated
from twin.durations.model import DurationModel
from twin.simulation.scenario import CaseInput, RoomInput, Scenario
from twin.site import SimulationOptions
from twin.vocabulary import CareSetting, Milestone

DAYS, DAYS_OF_YEAR = 60, 365
REPLICATIONS = 100
MIDNIGHT = datetime(2026, 11, 2, tzinfo=UTC)
ARRIVES_BEFORE = 60.0
STAMPED = (Milestone.PATIENT_IN_FACILITY, Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM)
UNRECORDED = tuple(milestone for milestone in Milestone if milestone not in STAMPED)
OPENS, BLOCK_ENDS = 8 * 60.0, (15 * 60.0, 18 * 60.0)
BOOKED_TURNOVER, EARLY_START = 20.0, 15.0


@dataclass(frozen=True, slots=True)
class Listed:
    """A case of a list: its law as of the morning, its booking and its truth. Minutes; instants since midnight."""

    key: str
    law: LogT
    booked_min: float
    planned: float
    entered: float
    left: float


@dataclass(frozen=True, slots=True)
class RoomDay:
    """A room on a day, its cases in order."""

    day: int
    key: str
    block_end: float
    cases: tuple[Listed, ...]

    @property
    def ends(self) -> float:
        """When the last patient leaves."""
        return self.cases[-1].left


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """60 days, and actual/booked of all cases before them, ascending."""

    rooms: tuple[RoomDay, ...]
    ratios: Floats


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a case at an instant: entry and exit, None where nothing is."""

    entered: float | None = None
    left: float | None = None


@cache
def room_days(seed: int) -> Lists:
    """The last 60 days of a year of G0."""
    made, rng = year(seed), np.random.default_rng([seed, 9])
    batch = Batch.of(made.finished())
    bounds = [CASES * day // DAYS_OF_YEAR for day in range(DAYS_OF_YEAR - DAYS, DAYS_OF_YEAR + 1)]
    blank = DurationModel(prior_loc=math.log(float(np.median(made.booked_min))))
    earlier = batch.take(np.arange(bounds[0]))
    model = replay(estimated(blank, earlier), earlier).model
    turnovers = rng.uniform(14, 28, SPECIALTIES)
    rooms: list[RoomDay] = []
    for day in range(DAYS):
        numbers = list(range(bounds[day], bounds[day + 1]))
        for room, (block_end, mine) in enumerate(_lists(made, numbers, rng)):
            laws = [model.predict(batch.cases[number].features).distribution for number in mine]
            rooms.append(_room_day(made, mine, laws, (day, room, block_end), turnovers=turnovers, rng=rng))
        model = model.learn_all(batch.cases[number] for number in numbers)
    before = slice(0, bounds[0])
    return Lists(tuple(rooms), np.sort(made.actual_min[before] / made.booked_min[before]))


def _lists(made: Year, numbers: list[int], rng: np.random.Generator) -> list[tuple[float, list[int]]]:
    """Each room's end of block and its cases: as many as are booked to end within it, at least one."""
    numbers = sorted(numbers, key=lambda number: (made.specialty[number], made.surgeon[number], number))
    lists: list[tuple[float, list[int]]] = []
    free = math.inf
    for number in numbers:
        booked = float(made.booked_min[number])
        if not lists or free + booked > lists[-1][0]:
            lists.append((float(rng.choice(BLOCK_ENDS)), []))
            free = OPENS
        lists[-1][1].append(number)
        free += booked + BOOKED_TURNOVER
    return lists


def _room_day(
    made: Year,
    numbers: list[int],
    laws: list[LogT],
    named: tuple[int, int, float],
    *,
    turnovers: Floats,
    rng: np.random.Generator,
) -> RoomDay:
    day, room, block_end = named
    cases: list[Listed] = []
    planned = OPENS
    for number, law in zip(numbers, laws, strict=True):
        if cases:
            cleaned = turnovers[made.specialty[number]] * rng.gamma(9, 1 / 9)
            entered = max(cases[-1].left + cleaned, planned + rng.uniform(-20, 10))
        else:
            entered = planned + rng.gamma(1.2, 7)
        booked, actual = float(made.booked_min[number]), float(made.actual_min[number])
        cases.append(Listed(f"case-{number}", law, booked, planned, float(entered), float(entered) + actual))
        planned += booked + BOOKED_TURNOVER
    return RoomDay(day, f"room-{room}", block_end, tuple(cases))


def as_it_is(room: RoomDay, now: float) -> list[Known]:
    """All entries and exits up to an instant."""
    return [
        Known(case.entered if case.entered <= now else None, case.left if case.left <= now else None)
        for case in room.cases
    ]


def chain_end(
    room: RoomDay,
    known: Sequence[Known],
    *,
    stay: Callable[[Listed, float | None], Floats | float],
    turnover: Callable[[Listed, float | None], Floats | float],
    delay: Callable[[Listed], Floats | float],
    floor: float,
) -> Floats:
    """When the room ends, cases added one after the other, in as many replications as the draws have.

    `stay`: minutes in the room of a case entered at an instant (None: not yet); `turnover`: minutes until the room is
    restored for a case, since an exit (None: not yet); `delay`: of the day's first case against its booking. No entry
    still to come is before `floor`.
    """
    end: Floats | float | None = None
    left: float | None = None
    for case, record in zip(room.cases, known, strict=True):
        if record.left is not None:
            end = left = record.left
            continue
        if record.entered is not None:
            end = record.entered + stay(case, record.entered)
        else:
            opens = case.planned - EARLY_START
            entry = case.planned + delay(case) if end is None else np.maximum(end + turnover(case, left), opens)
            end = np.maximum(entry, floor) + stay(case, None)
        left = None
    assert end is not None
    return np.asarray(end, dtype=np.float64)


def scenario_at(
    rooms: Sequence[tuple[RoomDay, Sequence[Known]]],
    now: float,
    *,
    seed: int,
    lags_min: tuple[tuple[Milestone, float], ...] = (),
) -> Scenario:
    """What the simulator starts from, where this is known of the rooms at an instant."""
    return Scenario(
        now=instant(now),
        cases=tuple(_input(room, rank, record, now) for room, known in rooms for rank, record in enumerate(known)),
        rooms=tuple(RoomInput(room.key, _last_out(known)) for room, known in rooms),
        options=SimulationOptions(replications=REPLICATIONS, seed=seed),
        unrecorded=UNRECORDED,
        lags_min=lags_min,
    )


def _input(room: RoomDay, rank: int, record: Known, now: float) -> CaseInput:
    case = room.cases[rank]
    reached = zip(STAMPED, (case.planned - ARRIVES_BEFORE, record.entered, record.left), strict=True)
    return CaseInput(
        key=case.key,
        room=room.key,
        planned_in=instant(case.planned),
        planned_out=instant(case.planned + case.booked_min),
        setting=CareSetting.UNKNOWN,
        room_time=case.law,
        surgical_time=case.law,
        reached=tuple((milestone, instant(at)) for milestone, at in reached if at is not None and at <= now),
        list_rank=rank,
    )


def _last_out(known: Sequence[Known]) -> datetime | None:
    return max((instant(record.left) for record in known if record.left is not None), default=None)


def instant(minutes: float) -> datetime:
    """Minutes since midnight as an instant."""
    return MIDNIGHT + timedelta(minutes=minutes)
