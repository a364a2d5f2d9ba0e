"""What every journal promises; the same tests run on a file, on PostgreSQL, and on `:memory:`, the fake shipped."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.journals import NOW, SERVER, booking, keep
from twin.errors import JournalError
from twin.facts import (
    AppointmentFact,
    Carried,
    Code,
    Concept,
    Deleted,
    EncounterFact,
    LocationFact,
    PatientFact,
    Person,
    ProcedureFact,
    Quarantined,
    ScheduleFact,
    ServiceRequestFact,
    SlotFact,
    Stamp,
    Stay,
)
from twin.journal import Journal, Learned, Run
from twin.timeline import Annotation, PredictedRoomEnd, PredictedStage, PredictedTimeline, WriteOutcome
from twin.vocabulary import CareSetting, Milestone, PlaceKind, Provenance

SITE = timezone(timedelta(hours=1))
STAGE = PredictedStage(Milestone.PATIENT_IN_ROOM, NOW, NOW, NOW + timedelta(minutes=9), 0.97)
TIMELINE = PredictedTimeline(NOW, NOW, "m 1", "urn:uuid:1", "urn:uuid:2", ("Appointment/a/_history/1",), (STAGE,))
ROOM_END = PredictedRoomEnd(date(2026, 3, 10), NOW, NOW, NOW, None, None, 0.25, NOW, NOW, "urn:uuid:1")
RUN = Run("urn:uuid:2", NOW, 0, 50, "0.1.0", NOW, model="closed form 1", result_hash="ab12")
CONCEPT = Concept((Code("http://snomed.info/sct", "80146002", "Appendicectomie"),), "keyed", surgical=True)
STAMP = Stamp(Milestone.INCISION, NOW, Provenance.EXPLICIT, "Location/s1", PlaceKind.ROOM, Milestone.PATIENT_IN_ROOM)
EVERY_KIND = (
    AppointmentFact("booked", NOW.astimezone(SITE), None, 90.5, "p1", ("Location/s1",), (Person("Practitioner/1"),)),
    EncounterFact("in-progress", CareSetting.AMBULATORY, "p1", stays=(Stay("Location/s1", "active", NOW),)),
    ProcedureFact(
        "completed", code=CONCEPT, start=NOW, stamps=(STAMP, Stamp(Milestone.INCISION, None, STAMP.provenance))
    ),
    LocationFact("Salle d'opération 1", ("S1",), (CONCEPT,), timezone="Europe/Paris"),
    PatientFact("60-69", "female", active=False, replaces=("p2",)),
    ServiceRequestFact("active", "p1", CONCEPT, (CONCEPT,)),
    ScheduleFact(active=False, locations=("Location/s1",)),
    SlotFact("busy-unavailable", "Schedule/s", NOW, NOW),
    Deleted(),
)


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    opened = Journal.open(url, key_fingerprint="key")
    yield opened
    opened.close()


def refuse(journal: Journal, table: str, when: str) -> None:
    """Make the database fail at a row."""
    with journal._transaction(writes=True) as connection:
        if connection.dialect.name == "sqlite":
            trigger = f"CREATE TRIGGER bad BEFORE INSERT ON {table} WHEN {when} BEGIN SELECT RAISE(ABORT, 'no'); END"
        else:
            connection.exec_driver_sql(
                "CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no: %%', NEW; END $$"
            )
            trigger = f"CREATE TRIGGER bad BEFORE INSERT ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION bad()"
        connection.exec_driver_sql(trigger)


@pytest.mark.parametrize("assertion", EVERY_KIND, ids=lambda kind: type(kind).__name__)
def test_facts_come_back_equal(journal: Journal, assertion: AppointmentFact) -> None:
    carried = Carried(Annotation(TIMELINE, (ROOM_END,)), present=True, foreign=("urn:uuid:9",))
    fact = replace(booking(), assertion=assertion, carried=carried, findings=("end-before-start",))
    keep(journal, fact)
    (kept,) = journal.facts(SERVER)
    assert kept == fact
    assert kept.key.last_updated.microsecond == 123456


def test_empty_journal(journal: Journal) -> None:
    assert list(journal.facts(SERVER)) == []
    assert (journal.position(), journal.cursor(SERVER), journal.runs(SERVER)) == (0, {}, ())


def test_appending_again_changes_nothing(journal: Journal) -> None:
    facts = [booking(number) for number in range(5)]
    bad = Quarantined(SERVER, "Encounter", "e1", "3", "too deep")
    new = [
        journal.append_batch(
            SERVER, facts, [bad], {"Encounter": NOW}, reading="r1", observed_at=NOW + timedelta(days=day)
        )
        for day in range(3)
    ]
    assert new == [5, 0, 0]
    assert list(journal.facts(SERVER)) == facts
    assert journal.quarantined(SERVER) == (bad,)


def test_order_is_that_of_appending(journal: Journal) -> None:
    keep(journal, booking(3), booking(1))
    middle = journal.position()
    keep(journal, booking(1), booking(2), booking(3, "2"))
    assert [fact.key.id for fact in journal.facts(SERVER)] == ["a3", "a1", "a2", "a3"]
    assert [fact.key.id for fact in journal.facts(SERVER, after=middle)] == ["a2", "a3"]


def test_same_version_at_another_time(journal: Journal) -> None:
    restored = booking(at=NOW + timedelta(microseconds=1))
    assert keep(journal, booking(), restored) == 2


def test_new_reading_wins(journal: Journal) -> None:
    other = booking(2)
    keep(journal, booking(status="booked"), other)
    assert keep(journal, booking(status="arrived"), reading="r2") == 1
    assert list(journal.facts(SERVER)) == [other, booking(status="arrived")]


def test_reading_asked_for_wins(journal: Journal) -> None:
    other = booking(2)
    keep(journal, booking(status="booked"))
    keep(journal, booking(status="arrived"), other, reading="r2")
    assert keep(journal, booking(status="booked"), reading="r1") == 0, "back to the first mapping"
    assert list(journal.facts(SERVER, reading="r1")) == [booking(status="booked"), other]


@pytest.mark.parametrize("size", [10, 1_000])
def test_same_version_twice_in_a_batch(journal: Journal, size: int) -> None:
    facts = [booking(number % (size // 2)) for number in range(size)]
    assert keep(journal, *facts) == size // 2
    assert list(journal.facts(SERVER)) == facts[: size // 2]


def test_known_by_then(journal: Journal) -> None:
    later, much_later = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    versions = [booking(1), booking(2, at=later), booking(1, "2", at=much_later)]
    keep(journal, *versions)
    assert list(journal.facts(SERVER, until=later)) == versions[:2]
    assert list(journal.facts(SERVER, until=much_later.astimezone(SITE))) == versions
    assert list(journal.facts(SERVER, until=NOW - timedelta(microseconds=1))) == []


def test_what_was_over_may_stay_away(journal: Journal) -> None:
    """All versions of what is not over for good, and of what was not: the newest decides."""
    then = NOW - timedelta(days=60)
    over = [replace(booking(1), assertion=AppointmentFact("fulfilled", start=then))]
    moved_back = [booking(2), replace(booking(2, "2"), assertion=AppointmentFact("cancelled", start=then))]
    moved_on = [replace(booking(3), assertion=AppointmentFact("booked", start=then)), booking(3, "2")]
    carries = [replace(over[0], key=booking(4).key, carried=Carried(present=True))]
    undated = [replace(booking(5), assertion=AppointmentFact("fulfilled")), replace(booking(6), assertion=Deleted())]
    kept = [*moved_back, *moved_on, *carries, *undated]
    keep(journal, *over, *kept)
    since = NOW - timedelta(days=9)
    assert list(journal.facts(SERVER, since=since)) == kept
    assert list(journal.facts(SERVER, since=then)) == over + kept
    assert list(journal.facts(SERVER, since=since, upto=3)) == moved_back
    assert list(journal.facts(SERVER, since=since, until=NOW - timedelta(hours=1))) == []


def test_learned_is_replaced(journal: Journal) -> None:
    assert journal.learned("basis") is None
    for position, basis in ((3, "basis"), (5, "basis"), (7, "other")):
        journal.keep_learned(SERVER, basis, Learned(position, NOW, f"text {position}"))
        assert journal.learned(basis) == Learned(position, NOW, f"text {position}")
    assert journal.learned("basis") is None


@pytest.mark.parametrize("size", [2, 500])
def test_awkward_text_comes_back(journal: Journal, size: int) -> None:
    words = "tab\t back\\slash \\N \\. new\nline 'quote' \0 é 𝄞 %s :name"
    facts = [replace(booking(number), assertion=LocationFact(f"{words}{number}")) for number in range(size)]
    bad = Quarantined(SERVER, "Encounter", "", "", words.replace("\0", ""))
    journal.append_batch(SERVER, facts, [bad], {}, reading="r1", observed_at=NOW)
    assert list(journal.facts(SERVER)) == facts
    assert journal.quarantined(SERVER) == (bad,)


def test_bulk_keeps_every_sign(journal: Journal) -> None:
    """Also those that a bulk load may use for itself, and half of it known already."""
    reasons = [f"{sign}{number}" for number in range(80) for sign in ("\x1d", "\x1e\\N", "a\x1fb", "\\x1f", "\r\n")]
    bad = [Quarantined(SERVER, "Encounter", f"e{nth}", "", reason) for nth, reason in enumerate(reasons)]
    for some in (bad[:1] + bad[200:], bad, bad):
        journal.append_batch(SERVER, (), some, {}, reading="r1", observed_at=NOW)
    assert set(journal.quarantined(SERVER, limit=1_000)) == set(bad)
    assert journal.counts()["quarantine"] == len(bad)


def test_servers_are_apart(journal: Journal) -> None:
    other = replace(booking(), key=replace(booking().key, server="http://other/fhir"))
    keep(journal, booking())
    journal.append_batch("http://other/fhir", [other], (), {"Patient": NOW}, reading="r1", observed_at=NOW)
    assert list(journal.facts(SERVER)) == [booking()]
    assert journal.cursor(SERVER) == {}
    with pytest.raises(JournalError, match="by itself"):
        keep(journal, other)


def test_cursor_moves_with_its_batch(journal: Journal) -> None:
    later = NOW + timedelta(minutes=1)
    journal.append_batch(SERVER, (), (), {"Patient": NOW, "Encounter": NOW}, reading="r1", observed_at=NOW)
    journal.append_batch(SERVER, (), (), {"Patient": later.astimezone(SITE)}, reading="r1", observed_at=NOW)
    assert journal.cursor(SERVER) == {"Patient": later, "Encounter": NOW}


def test_failing_batch_leaves_nothing(journal: Journal) -> None:
    # The database itself fails half-way: its third row meets a trigger.
    refuse(journal, "fact", when="NEW.id = 'a3'")
    for size in (6, 1_000):
        facts = [booking(number) for number in range(1, size)]
        with pytest.raises(JournalError):
            journal.append_batch(SERVER, facts, (), {"Appointment": NOW}, reading="r1", observed_at=NOW)
    assert (journal.position(), journal.cursor(SERVER)) == (0, {})


def test_failing_cursor_leaves_no_facts(journal: Journal) -> None:
    refuse(journal, "cursor", when="NEW.type = 'Appointment'")
    with pytest.raises(JournalError):
        journal.append_batch(SERVER, [booking()], (), {"Appointment": NOW}, reading="r1", observed_at=NOW)
    assert journal.position() == 0


def test_text_that_is_no_unicode(journal: Journal) -> None:
    broken = replace(booking(2), assertion=LocationFact("Salle \ud800"))
    with pytest.raises(JournalError, match="quarantine") as told:
        keep(journal, booking(), broken)
    assert "Salle" not in str(told.value)
    assert journal.position() == 0


@pytest.mark.parametrize("damage", ["assertion = 'no JSON'", "assertion = '{}'", "kind = 'unheard of'"])
def test_damaged_row_is_told(journal: Journal, damage: str) -> None:
    keep(journal, booking())
    with journal._transaction(writes=True) as connection:
        connection.exec_driver_sql(f"UPDATE fact SET {damage}")
    with pytest.raises(JournalError, match="backup") as told:
        list(journal.facts(SERVER))
    assert told.value.__cause__ is None


def test_instant_without_zone(journal: Journal) -> None:
    with pytest.raises(JournalError, match="zone"):
        keep(journal, booking(at=NOW.replace(tzinfo=None)))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number(text: str, number: float) -> None:
    journal = Journal.open(":memory:", key_fingerprint="key")
    place = replace(booking(1), assertion=LocationFact(text, (text,)))
    booked = replace(booking(2), assertion=AppointmentFact(text, minutes=number))
    keep(journal, place, booked)
    assert list(journal.facts(SERVER)) == [place, booked]
    journal.close()


def test_runs_with_predictions(journal: Journal) -> None:
    keep(journal, booking(1), booking(2))
    later = dataclasses.replace(RUN, id="urn:uuid:3", wall_at=NOW + timedelta(seconds=30), position=1)
    for run in (RUN, later, RUN):
        journal.append_run(SERVER, run, {"case-1": TIMELINE}, {"Location/s1": (ROOM_END, ROOM_END)})
    assert journal.runs(SERVER) == (later, dataclasses.replace(RUN, position=2))
    assert journal.runs(SERVER, limit=1) == (later,)
    assert journal.timelines(RUN.id) == {"case-1": TIMELINE}
    assert journal.room_ends(RUN.id) == {"Location/s1": (ROOM_END, ROOM_END)}


def test_outcomes_newest_first(journal: Journal) -> None:
    written = WriteOutcome("Appointment/a1", "written", "7")
    failed = WriteOutcome("Appointment/a2", "failed", reason="409 three times")
    for _ in range(2):
        journal.append_outcomes(SERVER, [written, failed], run=RUN.id, at=NOW)
    journal.append_outcomes(SERVER, [written], run=None, at=NOW + timedelta(minutes=1))
    assert [kept.outcome for kept in journal.outcomes(SERVER)] == [written, failed, written]
    (kept,) = journal.outcomes(SERVER, ref="Appointment/a2")
    assert (kept.outcome, kept.run, kept.at) == (failed, RUN.id, NOW)
    assert [kept.run for kept in journal.outcomes(SERVER, ref="Appointment/a1", limit=1)] == [""]


def test_rows_by_table(journal: Journal) -> None:
    keep(journal, booking(1), booking(2))
    journal.append_run(SERVER, RUN, {"case-1": TIMELINE}, {})
    told = journal.counts()
    assert (told["fact"], told["run"], told["timeline"], told["outcome"]) == (2, 1, 1, 0)


def test_threads_append_together(journal: Journal) -> None:
    def work(first: int) -> None:
        for number in range(first, first + 50):
            keep(journal, booking(number), booking(1_000))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 50, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fact.key.id for fact in journal.facts(SERVER)) == sorted(
        f"a{number}" for number in (*range(150), 1_000)
    )


async def test_event_loop_appends(journal: Journal) -> None:
    new = await asyncio.gather(*(asyncio.to_thread(keep, journal, booking(number % 5)) for number in range(20)))
    assert sum(new) == 5


def test_reading_while_appending(journal: Journal) -> None:
    keep(journal, *(booking(number) for number in range(2_500)))
    reading = journal.facts(SERVER)
    first = next(reading)
    keep(journal, booking(9_999))
    keep(journal, *(booking(number, status="arrived") for number in range(2_500)), reading="r2")
    assert [first, *reading] == [booking(number) for number in range(2_500)]


def test_five_thousand_at_once(journal: Journal) -> None:
    facts = [booking(number) for number in range(5_000)]
    started = time.perf_counter()
    assert keep(journal, *facts) == 5_000
    assert list(journal.facts(SERVER)) == facts
    assert time.perf_counter() - started < 10.0, "0.2 s is usual: is it row by row?"


def test_closed_journal(journal: Journal) -> None:
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.position()
