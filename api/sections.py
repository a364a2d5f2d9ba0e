"""The sections of the settings: names, types, defaults and limits. `api.settings` reads them."""

from datetime import datetime, time
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from twin.errors import SettingsError
from twin.site import (
    EVERY_CASE,
    WEEKDAYS,
    BlockTime,
    CaseRule,
    ResourceOptions,
    Shift,
)
from twin.vocabulary import BookedInterval, CareSetting, ResourceKind

SEARCHED = ("Location", "Appointment", "Encounter", "Procedure")
SECRET_LENGTH = 16
LIVE_PAST_DAYS = 31
"""The live twin goes back so far at most; what lies further back is loaded into the journal and leaves memory."""
_FOR_SOME = frozenset({ResourceKind.EQUIPMENT, ResourceKind.INSTRUMENTS, ResourceKind.ICU})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _listed(value: object) -> object:
    """Lists may be written with commas in the environment."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Listed = Annotated[list[str], NoDecode, BeforeValidator(_listed)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)


class FhirSettings(Section):
    """The hospital's FHIR server."""

    base_url: str = "http://127.0.0.1:8090/fhir"
    timeout_s: float = Field(30.0, gt=0, le=600)

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        return _plain_url(value, "https://fhir.clinic.fr/r4")


class SyncSettings(Section):
    """How much is read, and how often (wall seconds)."""

    past_days: int = Field(2, ge=0, le=3660)
    ahead_days: int = Field(30, ge=0, le=3660)
    poll_s: float = Field(5.0, ge=0.2)
    overlap_s: float = Field(10.0, ge=0)
    reconcile_s: float = Field(600.0, ge=5)
    bulk_export: Literal["never", "auto"] = "never"
    """`auto`: a first load of many days by the server's Bulk Data export, where it says that it has one. An export of a
    type reads all of it that the hospital ever recorded, so it is never begun unasked."""
    search: dict[str, str] = {}
    """More search parameters of a type, as in a query: `{"Appointment": "service-type=394609007"}`."""

    @field_validator("search")
    @classmethod
    def _known_types(cls, value: dict[str, str]) -> dict[str, str]:
        for name, query in value.items():
            if name not in SEARCHED:
                raise ValueError(f"no searched type: give one of {', '.join(SEARCHED)}")
            if not parse_qsl(query.removeprefix("?")):
                raise ValueError(f"{name}: give parameters as in a query, such as service-type=394609007")
        return value

    def extra(self) -> dict[str, list[tuple[str, str]]]:
        """`search` as names and values by type."""
        return {name: parse_qsl(query.removeprefix("?")) for name, query in self.search.items()}


class WriteBackSettings(Section):
    """Writing predictions to the FHIR server: off unless turned on."""

    mode: Literal["off", "annotate", "companion"] = "off"
    """annotate: on the hospital's resources; companion: cases only, in resources of our own beside them."""
    targets: Listed = ["case", "room"]
    min_interval_s: float = Field(60.0, ge=0)
    budget_per_s: float = Field(20.0, gt=0)
    source: str | None = None
    """Names this installation in what it writes; by default derived from the pseudonym key."""
    max_per_hour: int = Field(240, ge=1)
    """Writes of one resource in an hour, after which it is left alone for a while."""
    p50_min: float = Field(5.0, ge=1)
    take_over: bool = False
    """Replace the predictions of other installations of this program, instead of leaving their resources alone."""

    @field_validator("targets")
    @classmethod
    def _known_targets(cls, value: list[str]) -> list[str]:
        if unknown := set(value) - {"case", "room"}:
            raise ValueError(f"unknown target {sorted(unknown)[0]!r}: give case, room or both")
        return value


class PushSettings(Section):
    """Being told of changes by the FHIR server: off unless turned on, since it makes Subscriptions there."""

    callback_url: str | None = None
    """Where the FHIR server reaches this API: itself on this machine, or a reverse proxy on it."""
    secret: SecretStr | None = None
    """Of Subscriptions that an administrator makes by hand, to `…/push/hook`, in the header X-Jumeau-Secret."""
    watch_s: float = Field(60.0, ge=1, le=3600)
    valid_s: float = Field(86400.0, ge=60)

    @field_validator("callback_url")
    @classmethod
    def _plain_url(cls, value: str | None) -> str | None:
        return None if value is None else _plain_url(value, "http://127.0.0.1:8000")

    @field_validator("secret")
    @classmethod
    def _long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value) < SECRET_LENGTH:
            raise ValueError(f"give at least {SECRET_LENGTH} characters, such as those of `openssl rand -hex 24`")
        return value


class SimulationSettings(Section):
    """How many futures, how often (wall seconds)."""

    replications: int = Field(50, ge=10, le=2000)
    seed: int = Field(0, ge=0)
    every_s: float = Field(30.0, ge=1)
    early_start_min: float = Field(15.0, ge=0, le=240)
    timeout_s: float = Field(60.0, gt=0)


class BlockSettings(Section):
    """A weekly opening: `{days = "mon-fri", start = "08:00", end = "18:00"}`."""

    days: str = "mon-fri"
    start: time = time(8)
    end: time = time(18)

    @field_validator("days")
    @classmethod
    def _known_days(cls, value: str) -> str:
        return _days_told(value)

    def value(self) -> BlockTime:
        """The opening as the domain knows it; SettingsError for unknown days."""
        return BlockTime(frozenset(_weekdays(self.days)), self.start, self.end)


class ShiftSettings(Section):
    """Some places at some hours of the site; an end that isn't after the start is of the next day."""

    days: str = "mon-fri"
    start: time
    end: time
    places: int = Field(1, ge=0, le=1000)

    @field_validator("days")
    @classmethod
    def _known_days(cls, value: str) -> str:
        return _days_told(value)

    def value(self) -> Shift:
        """As the domain knows it."""
        return Shift(frozenset(_weekdays(self.days)), self.start, self.end, self.places)


class CaseRuleSettings(Section):
    """Cases that every list told has: `{procedures = ["Prothèse de hanche"], except_rooms = ["Salle 1"]}`."""

    rooms: Listed = []
    except_rooms: Listed = []
    procedures: Listed = []
    services: Listed = []
    settings: list[CareSetting] = []

    @model_validator(mode="after")
    def _told(self) -> "CaseRuleSettings":
        if not (self.rooms or self.except_rooms or self.procedures or self.services or self.settings):
            raise ValueError("give rooms, except_rooms, procedures, services or settings")
        return self

    def value(self) -> CaseRule:
        """As the domain knows it."""
        return CaseRule(
            rooms=frozenset(room.removeprefix("Location/") for room in self.rooms),
            except_rooms=frozenset(room.removeprefix("Location/") for room in self.except_rooms),
            procedures=frozenset(self.procedures),
            services=frozenset(self.services),
            settings=frozenset(self.settings),
        )


class ResourceSettings(Section):
    """Equal places that cases share: people, equipment, beds. Give `places`, or `shifts`."""

    kind: ResourceKind
    places: int | None = Field(None, ge=0, le=1000)
    shifts: list[ShiftSettings] = Field([], max_length=100)
    breaks: list[ShiftSettings] = Field([], max_length=100)
    needed_by: list[CaseRuleSettings] = Field([], max_length=100)
    """One rule is enough; none told: every case."""

    @model_validator(mode="after")
    def _whole(self) -> "ResourceSettings":
        if self.kind is ResourceKind.ROOM:
            raise ValueError("kind: rooms are found from the data, their hours are site.blocks")
        if (self.places is None) == (not self.shifts):
            raise ValueError("give places, or shifts with theirs")
        if self.kind in _FOR_SOME and not self.needed_by:
            raise ValueError(
                f"needed_by: say which cases need this {self.kind}, by rooms, procedures, services, settings"
            )
        return self

    def value(self, name: str) -> ResourceOptions:
        """As the domain knows it."""
        return ResourceOptions(
            name,
            self.kind,
            places=self.places,
            shifts=tuple(shift.value() for shift in self.shifts),
            breaks=tuple(pause.value() for pause in self.breaks),
            needed_by=tuple(rule.value() for rule in self.needed_by) or EVERY_CASE,
        )


class SiteSettings(Section):
    """The site file: what the data don't tell about places and openings. Everything is optional."""

    timezone: str = "Europe/Paris"
    name: str = "Bloc opératoire"
    rooms: Listed | None = None
    not_rooms: Listed = []
    blocks: dict[str, list[BlockSettings]] = {}
    working_days: Listed = []
    pacu_places: int | None = Field(None, ge=1, le=1000)
    booked_interval: BookedInterval = BookedInterval.ROOM
    resources: dict[Annotated[str, Field(min_length=1, max_length=100)], ResourceSettings] = Field({}, max_length=200)
    """By name; a kind that is not told is never short (docs/scenarios.md)."""
    urgency_targets_min: dict[Annotated[int, Field(ge=1, le=9)], Annotated[float, Field(gt=0, le=10_080)]] = {}
    """By urgency class, 1 the most urgent: minutes within which a patient should be in a room."""
    milestones: Path | None = None
    """Another milestone mapping than the shipped one."""

    @field_validator("resources")
    @classmethod
    def _one_pacu(cls, value: dict[str, ResourceSettings]) -> dict[str, ResourceSettings]:
        if "PACU" in value and value["PACU"].kind is not ResourceKind.PACU:
            raise ValueError("PACU is the name of the recovery room: give what is none another")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("unknown time zone: give a name such as Europe/Paris") from error
        return value


class ClockSettings(Section):
    """Site time: `anchor` is the instant that the start of the program counts as."""

    anchor: datetime | None = None
    speed: float = Field(1.0, gt=0, le=3600)

    @field_validator("anchor")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("give the offset too, as in 2026-11-24T07:00:00+01:00")
        return value


class PrivacySettings(Section):
    """Where the key of the pseudonyms is."""

    key_file: Path | None = None


class ApiSettings(Section):
    """Where the API listens. Without sign-in it is served to this machine only."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)

    @field_validator("host")
    @classmethod
    def _loopback(cls, value: str) -> str:
        if value not in LOOPBACK:
            raise ValueError("only 127.0.0.1, localhost or ::1: there is no sign-in yet, so other machines are refused")
        return value


def _plain_url(value: str, example: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError(f"give an http(s) URL without credentials or query, such as {example}")
    return value.rstrip("/")


def _days_told(told: str) -> str:
    try:
        _weekdays(told)
    except SettingsError as error:
        raise ValueError(str(error)) from None
    return told


def _weekdays(told: str) -> set[int]:
    out: set[int] = set()
    for part in told.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        try:
            start, end = WEEKDAYS.index(first[:3]), WEEKDAYS.index((last or first)[:3])
        except ValueError:
            raise SettingsError(f"days: {told!r} is not like mon-fri or mon,wed,sat") from None
        out.update(range(start, end + 1) if start <= end else [*range(start, 7), *range(end + 1)])
    return out
