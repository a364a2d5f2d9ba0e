"""Facts as text and back: what goes from the process that reads a resource into the journal, and comes out of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

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
    over_since,
)

A = TypeVar("A", bound=Assertion)
T = TypeVar("T")

UNREADABLE = "a row of the journal can't be read: restore the database from a backup"


class _Row(Protocol):
    def __getitem__(self, name: str, /) -> Any: ...


class FactText(NamedTuple):
    """A fact, each part as text. What `kind` and the key hold is not in `assertion` again."""

    server: str
    type: str
    id: str
    version_id: str
    last_updated: str
    content_hash: str
    kind: str
    assertion: str
    over_at: str


class _Body(msgspec.Struct, Generic[A], frozen=True, gc=False):
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


def instant_text(instant: datetime) -> str:
    """ISO text in UTC with microseconds: its order is the order of time. Raises JournalError without a zone."""
    if instant.tzinfo is None:
        raise JournalError("an instant without a time zone can't be kept: give it one")
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def instant_of(text: str) -> datetime:
    """The aware instant of `instant_text`."""
    return datetime.fromisoformat(text)


def text_of(value: object) -> str:
    """JSON of a value of the domain. Raises JournalError where a text is no Unicode (half a surrogate pair)."""
    try:
        return _ENCODER.encode(value).decode()
    except UnicodeError:
        raise JournalError("a text that is not Unicode can't be kept: quarantine its resource") from None


def decoded(decoder: "msgspec.json.Decoder[T]", text: str) -> T:
    """The value of a text. Raises JournalError where this program can't read it."""
    try:
        return decoder.decode(text)
    except msgspec.MsgspecError:
        raise JournalError(UNREADABLE) from None


def fact_text(fact: Fact) -> FactText:
    """A fact as text. Raises JournalError where it can't be kept."""
    key = fact.key
    return FactText(
        key.server,
        key.type,
        key.id,
        key.version_id,
        instant_text(key.last_updated),
        fact.content_hash,
        _KINDS[type(fact.assertion)],
        text_of(_Body(fact.assertion, fact.carried, fact.findings)),
        _over_at(fact),
    )


def _over_at(fact: Fact) -> str:
    """When what a fact tells was over for good; empty where it is not. What carries a prediction never is."""
    last = None if fact.carried.present else over_since(fact.assertion)
    return "" if last is None else instant_text(last)


def fact_of(row: _Row) -> Fact:
    """The fact of a row with the names of `FactText`. Raises JournalError where this program can't read it."""
    decoder = _BODIES.get(row["kind"])
    if decoder is None:
        raise JournalError(UNREADABLE)
    body = decoded(decoder, row["assertion"])
    key = VersionKey(row["server"], row["type"], row["id"], row["version_id"], instant_of(row["last_updated"]))
    return Fact(key, row["content_hash"], body.assertion, body.carried, body.findings)
