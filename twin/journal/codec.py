"""Values to text and back. What a row's own columns hold is not in its text again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import RowMapping

from twin.errors import JournalError
from twin.facts import (
    AppointmentFact,
    Assertion,
    Carried,
    Deleted,
    EncounterFact,
    Fact,
    LocationFact,
    PatientFact,
    ProcedureFact,
    ResultFact,
    ScheduleFact,
    ServiceRequestFact,
    SlotFact,
    VersionKey,
)
from twin.timeline import PredictedRoomEnd, PredictedTimeline

A = TypeVar("A", bound=Assertion)
T = TypeVar("T")

UNREADABLE = "a row of the journal can't be read: restore the database from a backup"


@dataclass(frozen=True, slots=True)
class _Body(Generic[A]):
    assertion: A
    carried: Carried
    findings: tuple[str, ...]


_KINDS: dict[type[Assertion], str] = {
    AppointmentFact: "appointment",
    EncounterFact: "encounter",
    ProcedureFact: "procedure",
    LocationFact: "location",
    PatientFact: "patient",
    ServiceRequestFact: "request",
    ResultFact: "result",
    ScheduleFact: "schedule",
    SlotFact: "slot",
    Deleted: "deleted",
}
_BODIES: Mapping[str, msgspec.json.Decoder[Any]] = {
    "appointment": msgspec.json.Decoder(_Body[AppointmentFact]),
    "encounter": msgspec.json.Decoder(_Body[EncounterFact]),
    "procedure": msgspec.json.Decoder(_Body[ProcedureFact]),
    "location": msgspec.json.Decoder(_Body[LocationFact]),
    "patient": msgspec.json.Decoder(_Body[PatientFact]),
    "request": msgspec.json.Decoder(_Body[ServiceRequestFact]),
    "result": msgspec.json.Decoder(_Body[ResultFact]),
    "schedule": msgspec.json.Decoder(_Body[ScheduleFact]),
    "slot": msgspec.json.Decoder(_Body[SlotFact]),
    "deleted": msgspec.json.Decoder(_Body[Deleted]),
}
_ENCODER = msgspec.json.Encoder()
_TIMELINE = msgspec.json.Decoder(PredictedTimeline)
_ROOM_ENDS = msgspec.json.Decoder(tuple[PredictedRoomEnd, ...])


def instant_text(instant: datetime) -> str:
    """ISO text in UTC with microseconds: its order is the order of time. Raises JournalError without a zone."""
    if instant.tzinfo is None:
        raise JournalError("an instant without a time zone can't be kept: give it one")
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def instant_of(text: str) -> datetime:
    """The aware instant of `instant_text`."""
    return datetime.fromisoformat(text)


def fact_row(fact: Fact, reading: str, observed_at: str) -> dict[str, object]:
    """A row of the table `fact`. Raises JournalError where a text can't be kept."""
    key = fact.key
    return {
        "server": key.server,
        "type": key.type,
        "id": key.id,
        "version_id": key.version_id,
        "last_updated": instant_text(key.last_updated),
        "reading": reading,
        "observed_at": observed_at,
        "content_hash": fact.content_hash,
        "kind": _KINDS[type(fact.assertion)],
        "assertion": text_of(_Body(fact.assertion, fact.carried, fact.findings)),
    }


def fact_of(row: RowMapping) -> Fact:
    """The fact of a row. Raises JournalError where this program can't read it."""
    decoder = _BODIES.get(row["kind"])
    if decoder is None:
        raise JournalError(UNREADABLE)
    body = _read(decoder, row["assertion"])
    key = VersionKey(row["server"], row["type"], row["id"], row["version_id"], instant_of(row["last_updated"]))
    return Fact(key, row["content_hash"], body.assertion, body.carried, body.findings)


def text_of(value: object) -> str:
    """JSON of a value of the domain. Raises JournalError where a text is no Unicode (half a surrogate pair)."""
    try:
        return _ENCODER.encode(value).decode()
    except UnicodeError:
        raise JournalError("a text that is not Unicode can't be kept: quarantine its resource") from None


def timeline_of(text: str) -> PredictedTimeline:
    """The timeline of `text_of`."""
    return _read(_TIMELINE, text)


def room_ends_of(text: str) -> tuple[PredictedRoomEnd, ...]:
    """The room ends of `text_of`."""
    return _read(_ROOM_ENDS, text)


def _read(decoder: msgspec.json.Decoder[T], text: str) -> T:
    try:
        return decoder.decode(text)
    except msgspec.MsgspecError:
        raise JournalError(UNREADABLE) from None
