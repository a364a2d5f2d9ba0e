"""What is over without a date is read once: from a mark to the cursor nothing is missing."""

from datetime import timedelta

from api.closed import Closed
from tests.journals import NOW

FIRST = NOW - timedelta(days=5)
CURSOR = {"Encounter": NOW, "Procedure": NOW}


def since(closed: Closed, *, days: int = 0) -> dict[str, float]:
    """Seconds before the cursor, by type."""
    told = closed.since(FIRST - timedelta(days=days), CURSOR, overlap_s=10)
    return {kind: (NOW - at).total_seconds() for kind, at in told.items()}


def kept(*, reading: str = "r", restored: bool = False, extra: str = "") -> Closed:
    """A program that starts again after a reading by another."""
    before = Closed("r", {})
    marks = before.read(("Encounter",), FIRST, restored=restored)
    again = Closed(reading, {"Encounter": [("status", extra)]} if extra else {})
    again.remember({**CURSOR, **marks})
    return again


def test_nothing_is_known_at_first() -> None:
    assert since(Closed("r", {})) == {}


def test_then_what_changed() -> None:
    assert since(kept()) == {"Encounter": 10}


def test_more_days_are_read_anew() -> None:
    assert since(kept(), days=1) == {}


def test_so_does_another_reading_or_search() -> None:
    assert since(kept(reading="s")) == since(kept(extra="finished")) == {}


def test_and_a_restored_server() -> None:
    assert since(kept(restored=True)) == {}
