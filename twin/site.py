"""Option values of one site. Frozen; every default can be set, and each layer takes its options as an argument.

Defaults marked (guess) have no source.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from twin.errors import SettingsError
from twin.timebase import with_offset
from twin.vocabulary import BookedInterval, CareSetting, ResourceKind

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


@dataclass(frozen=True, slots=True)
class Shift:
    """Some places on some days: local start and end; an end that isn't after the start is of the next day."""

    weekdays: frozenset[int]
    start: time
    end: time
    places: int


@dataclass(frozen=True, slots=True)
class CaseRule:
    """Cases that every one of these says; a set that is empty says all."""

    rooms: frozenset[str] = frozenset()
    """By id of the Location or by its name."""
    except_rooms: frozenset[str] = frozenset()
    procedures: frozenset[str] = frozenset()
    """By code, `system|code` or label."""
    services: frozenset[str] = frozenset()
    """Specialties, as procedures are told."""
    settings: frozenset[CareSetting] = frozenset()


EVERY_CASE = (CaseRule(),)


@dataclass(frozen=True, slots=True)
class ResourceOptions:
    """Equal places that cases share, and which cases need one."""

    name: str
    kind: ResourceKind
    places: int | None = None
    """At any time; None: those of the shifts."""
    shifts: tuple[Shift, ...] = ()
    breaks: tuple[Shift, ...] = ()
    """Places less."""
    needed_by: tuple[CaseRule, ...] = EVERY_CASE
    """One rule is enough."""


ASSUMED_WEEK = (BlockTime(frozenset({0, 1, 2, 3, 4}), time(8), time(18)),)


LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
ASA_CODES = (f"{LOINC}|97816-3", f"{SNOMED}|302132005", f"{SNOMED}|413347006")
BMI_CODES = (f"{LOINC}|39156-5",)
HEIGHT_CODES, WEIGHT_CODES = (f"{LOINC}|8302-2",), (f"{LOINC}|29463-7",)
ASA = "asa"
"""System of the ASA class that was read from words or a plain number."""


@dataclass(frozen=True, slots=True)
class RegressorOption:
    """A result in the hospital's data that durations are told by: which one, and which of its values."""

    name: str
    resource: str
    """Observation or RiskAssessment."""
    codes: tuple[str, ...]
    """`system|code` of what it is a result of."""
    value: str
    """`probability` or `quantity`: a number; `code`: a category."""
    levels: tuple[tuple[str, str], ...] = ()
    """`system|code` of a category and its name here; empty: every code is a category of its own."""


_ASA_LEVELS = ("413495001", "413496000", "413497009", "413498004", "413499007", "413500003")
KNOWN_RESULTS = {
    "asa": RegressorOption(
        "asa",
        "Observation",
        ASA_CODES,
        "code",
        tuple(pair for number, code in enumerate(_ASA_LEVELS, 1) for pair in (
            (f"{SNOMED}|{code}", str(number)), (f"{ASA}|{number}", str(number)),
        )),
    ),
    "bmi": RegressorOption("bmi", "Observation", (*BMI_CODES, *HEIGHT_CODES, *WEIGHT_CODES), "quantity"),
}  # fmt: skip
"""By name: ASA class, and body mass index, also from height and weight."""


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
    regressors: tuple[RegressorOption, ...] = ()
    """Results that durations are told by, besides the care setting and the age band."""
    resources: tuple[ResourceOptions, ...] = ()
    """What is not told is never short."""
    urgency_targets_min: dict[int, float] = field(default_factory=dict)
    """By urgency class: minutes within which a patient should be in a room."""

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
    scales: tuple[tuple[str, float, float], ...] = ()
    """Name of a regressor that is a number, its center and scale; of the others the site's mean and sd."""


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
