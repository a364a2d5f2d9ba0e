"""What the hospital's program changes on a resource: its own elements, whatever order the stamps come in."""

import json
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fixtures.clinic.day import generate_day
from fixtures.clinic.edits import Advance, Edit, Enter, Extend, Leave, Replace, Set, edited, patch_of
from fixtures.clinic.loading import to_transactions, write_files

DAY = date(2026, 11, 24)
ROOM, PACU = "Location/salle-1", "Location/sspi"
OTHERS = {"url": "https://w3id.org/jumeau/fhir/StructureDefinition/predicted-start", "valueDateTime": "2026-11-24"}


def stays(*edits: Edit) -> list[tuple[str, str, str | None, str | None]]:
    after = edited({"resourceType": "Encounter"}, edits)
    return [
        (stay["location"]["reference"], stay["status"], stay["period"].get("start"), stay["period"].get("end"))
        for stay in after["location"]
    ]


def test_in_and_out() -> None:
    assert stays(Enter(ROOM, "8:00"), Leave(ROOM, "9:00")) == [(ROOM, "completed", "8:00", "9:00")]


def test_entry_told_after_exit() -> None:
    assert stays(Leave(ROOM, "9:00"), Enter(ROOM, "8:00")) == [(ROOM, "completed", "8:00", "9:00")]


def test_exit_never_stamped() -> None:
    assert stays(Enter(ROOM, "8:00"), Leave(ROOM), Enter(PACU, "9:00")) == [
        (ROOM, "completed", "8:00", None),
        (PACU, "active", "9:00", None),
    ]


def test_entry_told_after_unstamped_exit() -> None:
    assert stays(Leave(ROOM), Enter(ROOM, "8:00")) == [(ROOM, "completed", "8:00", None)]


def test_entry_corrected() -> None:
    assert stays(Enter(ROOM, "8:00"), Enter(ROOM, "8:10", correction=True)) == [(ROOM, "active", "8:10", None)]


def test_entry_sent_twice() -> None:
    assert stays(Enter(ROOM, "8:00"), Enter(ROOM, "8:00")) == [(ROOM, "active", "8:00", None)]


def test_second_visit() -> None:
    assert len(stays(Enter(ROOM, "8:00"), Leave(ROOM, "9:00"), Enter(ROOM, "12:00"))) == 2


@pytest.mark.parametrize(
    ("status", "told", "then"),
    [
        ("booked", "arrived", "arrived"),
        ("fulfilled", "arrived", "fulfilled"),
        ("cancelled", "arrived", "cancelled"),
        ("in-progress", "completed", "completed"),
        ("finished", "in-progress", "finished"),
    ],
)
def test_status_never_goes_back(status: str, told: str, then: str) -> None:
    assert edited({"status": status}, [Advance(told)])["status"] == then


def test_room_replaced_others_stay() -> None:
    before = {
        "participant": [{"actor": {"reference": "Patient/p"}}, {"actor": {"reference": ROOM}, "status": "accepted"}]
    }
    after = edited(before, [Replace(ROOM, "Location/salle-2")])
    assert after["participant"][0] == before["participant"][0]
    assert after["participant"][1] == {"actor": {"reference": "Location/salle-2"}, "status": "accepted"}


def test_patch_touches_own_elements_only() -> None:
    before = {"meta": {"versionId": "7"}, "status": "booked", "extension": [OTHERS], "start": "x"}
    assert patch_of(before, edited(before, [Set("status", "arrived")])) == [
        {"op": "test", "path": "/meta/versionId", "value": "7"},
        {"op": "replace", "path": "/status", "value": "arrived"},
    ]


def test_patch_beside_others_extension() -> None:
    before: dict[str, Any] = {"extension": [OTHERS]}
    once = edited(before, [Extend("urn:mine", "valueCode", "a")])
    assert patch_of(before, once) == [
        {"op": "add", "path": "/extension/-", "value": {"url": "urn:mine", "valueCode": "a"}}
    ]
    assert patch_of(once, edited(once, [Extend("urn:mine", "valueCode", "b")])) == [
        {"op": "replace", "path": "/extension/1", "value": {"url": "urn:mine", "valueCode": "b"}}
    ]


def test_patch_of_first_extension() -> None:
    mine = {"url": "urn:mine", "valueCode": "a"}
    assert patch_of({}, {"extension": [mine]}) == [{"op": "add", "path": "/extension", "value": [mine]}]


def test_nothing_to_patch() -> None:
    before = {"meta": {"versionId": "1"}, "status": "fulfilled"}
    assert patch_of(before, edited(before, [Advance("arrived")])) == []


def test_transactions_of_a_size() -> None:
    day = generate_day(DAY, ZoneInfo("Europe/Paris"), rooms=2)
    bundles = to_transactions(day.resources, 50)
    assert [len(bundle["entry"]) for bundle in bundles[:-1]] == [50] * (len(bundles) - 1)
    entries = [entry for bundle in bundles for entry in bundle["entry"]]
    assert [entry["request"]["url"] for entry in entries] == [
        f"{resource['resourceType']}/{resource['id']}" for resource in day.resources
    ]
    assert json.loads(json.dumps(bundles)) == bundles


def test_files_of_a_day(tmp_path: Path) -> None:
    day = generate_day(DAY, ZoneInfo("Europe/Paris"), rooms=3)
    files = write_files(day, tmp_path / "new")
    assert [file.stem for file in files][:2] == ["Location", "Practitioner"]
    lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(resource["id"] for resource in day.resources)
    assert any('"valueDecimal":2.3500' in line for line in lines)
