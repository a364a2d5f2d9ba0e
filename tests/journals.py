"""What the tests of the journal append."""

from datetime import UTC, datetime

from twin.facts import AppointmentFact, Fact, VersionKey
from twin.journal import Journal

SERVER = "http://127.0.0.1:8090/fhir"
NOW = datetime(2026, 3, 10, 8, 0, 0, 123456, tzinfo=UTC)


def booking(number: int = 1, version: str = "1", *, status: str = "booked", at: datetime = NOW) -> Fact:
    """A version of the Appointment `a{number}`."""
    key = VersionKey(SERVER, "Appointment", f"a{number}", version, at)
    return Fact(key, f"hash-{status}", AppointmentFact(status, start=NOW))


def keep(journal: Journal, *facts: Fact, reading: str = "r1") -> int:
    """Append these facts; how many were new."""
    return journal.append_batch(SERVER, facts, (), {}, reading=reading, observed_at=NOW)
