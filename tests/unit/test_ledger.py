"""Versions that don't join on, and servers that were restored from a backup."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from tests.journals import NOW, SERVER
from twin.facts import AppointmentFact, Deleted, Fact, Stamp, VersionKey
from twin.projections.ledger import CAME_BACK, Ledger, brought_back, first_told, fold, order, unjoined, went_back
from twin.vocabulary import Milestone, Provenance

ARRIVED = (Stamp(Milestone.PATIENT_IN_FACILITY, None, Provenance.DERIVED),)
A = "Appointment/a"


def version(name: str, after_s: float = 0.0, *, content: str = "c", **booked: Any) -> Fact:
    at: datetime = NOW + timedelta(seconds=after_s)
    key = VersionKey(SERVER, "Appointment", "a", name, at)
    return Fact(key, content, AppointmentFact(**{"status": "arrived", "stamps": ARRIVED, **booked}))


def joined(known: list[Fact], *seen: Fact) -> bool:
    return not unjoined(fold(Ledger(), known), seen)


@pytest.mark.parametrize(
    ("known", "seen", "joins"),
    [
        ([], ["1"], True),
        ([], ["2"], False),
        ([], ["2", "1"], True),
        ([], ["3", "1"], False),
        (["4"], ["5"], True),
        (["4"], ["4"], True),
        (["4"], ["3"], True),
        (["4"], ["6"], False),
        (["4"], ["6", "5"], True),
        ([], ["b7"], False),
        (["b7"], ["b7"], True),
        (["b7"], ["c8"], False),
        (["4"], ["c8"], False),
    ],
)
def test_versions_join_on(known: list[str], seen: list[str], joins: bool) -> None:
    assert joined([version(name) for name in known], *map(version, seen)) is joins


def test_only_states_need_what_is_between() -> None:
    plain = version("7", stamps=())
    assert unjoined(Ledger(), [plain]) == frozenset()
    assert unjoined(Ledger(), [plain], states_only=False) == {A}
    assert unjoined(Ledger(), [replace(version("h1"), findings=("no-version-id",))]) == frozenset()
    assert unjoined(Ledger(), [replace(version("7"), assertion=Deleted())]) == frozenset()


def test_after_a_delete_nobody_knows() -> None:
    gone = replace(version("deleted", 5), assertion=Deleted())
    assert not joined([version("1"), gone], version("3", 9))


@pytest.mark.parametrize(
    ("known", "seen", "restored"),
    [
        (version("5"), version("5"), False),
        (version("5"), version("5", 0.9), False),
        (version("5"), version("5", 60), True),
        (version("5"), version("5", -60), True),
        (version("5"), version("5", content="d"), True),
        (version("5"), version("6", 60), False),
        (version("5"), version("4", -60), False),
        (version("5"), version("4", 60), True),
        (version("b7"), version("c8", 60), False),
        (version("b7"), version("b7", 60), True),
    ],
)
def test_a_server_that_went_back(known: Fact, seen: Fact, restored: bool) -> None:
    assert went_back(known, seen) is restored


@pytest.mark.parametrize("finding", ["no-version-id", "no-last-updated", CAME_BACK])
def test_what_has_no_name_never_goes_back(finding: str) -> None:
    assert not went_back(version("5"), replace(version("5", 60), findings=(finding,)))


def test_a_deleted_one_may_come_again() -> None:
    assert not went_back(replace(version("deleted"), assertion=Deleted()), version("1", 60))


@pytest.mark.parametrize("newest", [version("5", 60), replace(version("deleted", 60), assertion=Deleted())])
def test_brought_back_is_the_newest(newest: Fact) -> None:
    old = version("3", content="old")
    back = brought_back(newest, old)
    assert order(back) > order(newest)
    ledger = fold(Ledger(), [back, old, newest, version("5", 60)])
    found = ledger.resources[A]
    assert (found.deleted, found.content.content_hash, found.newest.key.version_id) == (False, "old", "3")
    assert found.newest.findings == (CAME_BACK,)
    assert found.first_shown[Milestone.PATIENT_IN_FACILITY] == NOW


LEFT = Stamp(Milestone.PATIENT_OUT_OF_ROOM, NOW - timedelta(minutes=12), Provenance.EXPLICIT, "Location/s1")


def told_at(*versions: Fact, stamp: Stamp = LEFT) -> datetime | None:
    return first_told(fold(Ledger(), versions).resources[A], stamp)


def test_a_time_is_recorded_by_the_first_version_that_tells_it() -> None:
    before, after = version("1"), version("2", 60, content="d", stamps=(LEFT,))
    later = version("3", 900, content="e", stamps=(LEFT,), status="fulfilled")
    assert told_at(before, after, later) == told_at(later, after, before) == NOW + timedelta(seconds=60)


def test_a_correction_is_no_new_record() -> None:
    after = version("2", 60, content="d", stamps=(LEFT,))
    corrected = replace(LEFT, at=NOW - timedelta(minutes=10))
    later = version("3", 900, content="e", stamps=(corrected,))
    assert told_at(version("1"), after, later, stamp=corrected) == NOW + timedelta(seconds=60)


def test_a_first_load_tells_no_lag() -> None:
    assert told_at(version("7", 900, content="d", stamps=(LEFT,))) is None
    assert (
        told_at(version("7", 60, content="d", stamps=(LEFT,)), version("8", 900, content="e", stamps=(LEFT,))) is None
    )


@pytest.mark.parametrize("finding", ["no-last-updated", "no-version-id", CAME_BACK])
def test_wrongly_dated_versions_tell_no_lag(finding: str) -> None:
    wrong = replace(version("2", 60, content="d", stamps=(LEFT,)), findings=(finding,))
    assert told_at(version("1"), wrong) is None
