"""Option values of one site. Frozen; every default can be set, and each layer takes its options as an argument.

Defaults marked (guess) have no source.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from twin.errors import SettingsError
from twin.timebase import with_offset
from twin.vocabulary import BookedInterval

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class BlockTime:
    """A weekly opening of a room: local start and end, weekdays 0 (Monday) to 6."""

    weekdays: frozenset[int]
    start: time
    end: time

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise SettingsError(f"a block must end after it starts: {self.start:%H:%M}-{self.end:%H:%M}")


@dataclass(frozen=True, slots=True)
class Block:
    """An opening of one room on one day (French: vacation). Aware instants with the site's offset."""

    start: datetime
    end: datetime
    assumed: bool = False
    """True where neither the hospital nor the site file told it."""


ASSUMED_WEEK = (BlockTime(frozenset({0, 1, 2, 3, 4}), time(8), time(18)),)


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """What the site file says about places and openings. Places are named by FHIR Location id."""

    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Paris"))
    name: str = "Bloc opératoire"
    rooms: frozenset[str] | None = None
    """Location ids that are rooms; None: found from the data. Given, it overrides all that is found."""
    not_rooms: frozenset[str] = frozenset()
    blocks: dict[str, tuple[BlockTime, ...]] = field(default_factory=dict)
    """Weekly openings by room id; "*" for every other room."""
    working_days: frozenset[date] = frozenset()
    """Days played as a working day whatever the weekday (their Monday's openings apply)."""
    pacu_places: int | None = None
    """Places of the recovery room; None: counted from the Locations, else unlimited."""
    booked_interval: BookedInterval = BookedInterval.ROOM

    def blocks_of(self, room: str, day: date) -> tuple[Block, ...]:
        """Openings of a room on a day, in order; the assumed week where the site file says nothing.

        An opening that lies in the hour that the clocks leave out is none.
        """
        told = self.blocks.get(room, self.blocks.get("*"))
        weekday = 0 if day in self.working_days else day.weekday()
        week = ASSUMED_WEEK if told is None else told
        blocks = (
            Block(_instant(day, opening.start, self.timezone), _instant(day, opening.end, self.timezone), told is None)
            for opening in week
            if weekday in opening.weekdays
        )
        return tuple(sorted((block for block in blocks if block.start < block.end), key=lambda block: block.start))


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    return with_offset(datetime.combine(day, at, tzinfo=zone), zone)


@dataclass(frozen=True, slots=True)
class DurationOptions:
    """Constants of the closed form (design: Durations). Minutes where a name says so."""

    nu0: float = 8.0
    k_procedure: float = 0.5
    k_surgeon: float = 3.0
    kappa: float = 3.0
    sigma0: float = 0.30
    unseen: float = 1.25
    """Of a procedure never seen: the booked minutes' own error on it widens s² so many times, until it is estimated
    (guess)."""
    default_room_min: float = 75.0
    upper_min: float = 1440.0
    half_life_days: float = 548.0
    """After 18 months a finished case counts half (guess)."""
    booked_interval: BookedInterval = BookedInterval.ROOM


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """How many futures, and how the suite works. Minutes where a name says so."""

    replications: int = 50
    seed: int = 0
    early_start_min: float = 15.0
    """How long before its booking a case may enter a free room (guess)."""
    arrive_before_min: float = 60.0
    """How long before the booked entry a patient is expected in the facility (guess)."""
    call_before_min: float = 45.0
    """How long before the booked entry a patient is sent for at the earliest (guess)."""
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class MaterialOptions:
    """When a prediction differs enough from the written one to be written again."""

    p50_min: float = 5.0
    band_min: float = 10.0
    band_share: float = 0.25
    """A P10 or P90 must also move by this share of the band: the ends of a wide band are known less well."""
    probability: float = 0.10
    validity: timedelta = timedelta(minutes=60)
    """Of today's cases; later days: see `later_validity`."""
    later_validity: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class HorizonOptions:
    """Days around today that the live twin keeps."""

    past_days: int = 2
    ahead_days: int = 30
