"""Golden scenarios: what the twin says of them, whole and exact, and the point of each story by itself."""

import json
from datetime import datetime
from functools import cache

import pytest
from fhir.resources.R4B.bundle import Bundle

from api.settings import Settings
from fixtures.scenarios import FOLDER, names, start_of
from tests.golden import Lived, documents
from tests.world import said
from twin.projections.suite_twin import RoomState, RoomTwin
from twin.vocabulary import CareSetting, CaseStatus, Milestone, Provenance

TOLD = {
    "cancelled-list",
    "dst-night",
    "emergency-at-ten",
    "empty-room",
    "late-and-wrong-stamps",
    "merged-patient",
    "ordinary-day",
    "restored-server",
    "room-change",
    "two-visits-in-one-stay",
}


@cache
def lived(name: str) -> Lived:
    return Lived(start_of(name))


def room(name: str, number: int) -> RoomTwin:
    return next(one for one in lived(name).suite.rooms if one.id == f"salle-{number}")


def p50(name: str, case: str, milestone: str) -> str:
    """The minute of the day at which something is expected."""
    spread = lived(name).predictions()["cases"][case][milestone]
    return str(spread.split()[1][11:16])


def test_all_are_there() -> None:
    assert set(names()) == TOLD


@pytest.mark.parametrize("name", sorted(TOLD))
def test_as_expected(name: str) -> None:
    """Where this fails for a good reason: `python -m tests.golden`, and read the difference."""
    for file, document in documents(name).items():
        expected = json.loads((FOLDER / name / "expected" / file).read_text(encoding="utf-8"))
        assert json.loads(json.dumps(document)) == expected, file


@pytest.mark.parametrize("name", sorted(TOLD))
def test_folder_is_whole(name: str) -> None:
    start = start_of(name)
    assert start.name == name
    assert start.about
    assert start.at.tzinfo is not None
    assert Settings(site=start.site).site_options().timezone.key == "Europe/Paris"
    assert len((FOLDER / name / "README.md").read_text(encoding="utf-8").splitlines()) > 10
    assert Bundle.model_validate_json((FOLDER / name / "bundle.json").read_bytes())


@pytest.mark.parametrize("name", sorted(TOLD))
def test_nothing_later_than_its_instant(name: str) -> None:
    start = start_of(name)
    written = [one["meta"]["lastUpdated"] for one in start.shown if isinstance(one, dict)]
    assert max(datetime.fromisoformat(at) for at in written) <= start.at


def test_ordinary_day() -> None:
    suite = lived("ordinary-day").suite
    states = [twin.status for twin in suite.cases.values()]
    counted = [states.count(each) for each in (CaseStatus.DONE, CaseStatus.IN_PROGRESS, CaseStatus.PLANNED)]
    assert counted == [6, 3, 3]
    assert not any(twin.times.set_aside for twin in suite.cases.values())
    assert "13:15" <= p50("ordinary-day", "Appointment/ort-3", "patient_in_room") <= "14:00"


def test_emergency_goes_first() -> None:
    urgent = lived("emergency-at-ten").case("Procedure/a4")
    assert (urgent.setting, urgent.planned_in) == (CareSetting.EMERGENCY, None)
    assert lived("emergency-at-ten").twins()["rooms"]["salle-2"]["list"] == [
        "Appointment/dig-3",
        "Procedure/a4",
        "Appointment/dig-4",
    ]
    out = p50("emergency-at-ten", "Procedure/a4", "patient_out_of_room")
    assert p50("emergency-at-ten", "Appointment/dig-4", "patient_in_room") >= out > "11:00"


def test_moved_case_leaves_a_free_room() -> None:
    moved = lived("room-change").case("Appointment/ort-2")
    assert (moved.room, moved.planned_room) == ("Location/salle-2", "Location/salle-2")
    assert room("room-change", 2).current == moved.case_id
    assert (room("room-change", 1).state, room("room-change", 1).current) == (RoomState.FREE, None)
    assert moved.case_id not in room("room-change", 1).cases
    assert "salle-1" not in lived("room-change").predictions()["room_ends"]


def test_one_key_after_the_merge() -> None:
    cases = lived("merged-patient").twins()["cases"]
    assert {name: case["patient"] for name, case in cases.items()} == {
        "Appointment/gyn-1": "dossier-1",
        "Appointment/gyn-2": "dossier-1",
        "Appointment/gyn-3": "autre",
    }
    assert cases["Appointment/gyn-1"]["linked"] == "estimated"
    assert lived("merged-patient").case("Appointment/gyn-1").links.visits


def test_two_people_before_the_merge() -> None:
    start = start_of("merged-patient")
    unmerged = tuple(one for one in start.shown if not (isinstance(one, dict) and "link" in one))
    before = Lived(type(start)(start.name, start.about, start.at, unmerged, start.site))
    people = [before.case(name).patient for name in ("Appointment/gyn-1", "Procedure/a2", "Appointment/gyn-2")]
    assert people[0] != people[1] == people[2]


def test_stamps_late_wrong_missing() -> None:
    story = lived("late-and-wrong-stamps")
    knee, prostate = story.case("Appointment/ort-1"), story.case("Appointment/uro-1")
    left = next(one for one in knee.times.reached if one.milestone is Milestone.PATIENT_OUT_OF_ROOM)
    assert (said(left.at), left.provenance, knee.status) == ("10:20", Provenance.ESTIMATED, CaseStatus.DONE)
    assert said(prostate.entered) == "08:40"
    assert [(one.milestone, said(one.at)) for one in prostate.times.set_aside] == [
        (Milestone.PROCEDURE_FINISH, "12:05")
    ]
    assert prostate.in_room
    assert story.twins()["cases"]["Appointment/dig-1"]["room_min"] is None


def test_elapsed_minutes_over_the_change_of_clocks() -> None:
    cases = lived("dst-night").twins()["cases"]
    assert (cases["Procedure/a1"]["room_min"], cases["Procedure/a2"]["room_min"]) == (105, 50)
    assert cases["Appointment/urg-3"]["booked_min"] == 90
    assert not any(case["set_aside"] for case in cases.values())


def test_cancelled_list_counts_nowhere() -> None:
    suite = lived("cancelled-list").suite
    withdrawn = [twin for twin in suite.cases.values() if twin.status is CaseStatus.CANCELLED]
    assert (len(withdrawn), room("cancelled-list", 2).cases, suite.queue) == (4, (), ())
    assert set(lived("cancelled-list").predictions()["cases"]) == {"Appointment/dig-1", "Appointment/dig-2"}


def test_two_cases_of_one_stay() -> None:
    story = lived("two-visits-in-one-stay")
    first, second = story.case("Appointment/dig-1"), story.case("Procedure/a2")
    assert first.patient == second.patient
    assert (first.room, second.room) == ("Location/salle-1", "Location/salle-2")
    assert second.times.set_aside == ()
    assert second.times.get(Milestone.PACU_ARRIVAL) is None
    free = p50("two-visits-in-one-stay", "Procedure/a2", "procedure_finish")
    assert p50("two-visits-in-one-stay", "Appointment/dig-2", "patient_in_room") >= free


def test_restored_server_is_followed() -> None:
    story = lived("restored-server")
    again, lost = story.case("Appointment/dig-1"), story.case("Appointment/ort-1")
    assert (said(again.entered), said(again.times.get(Milestone.PATIENT_OUT_OF_ROOM))) == ("08:05", "09:28")
    assert (lost.status, lost.entered, lost.is_reached(Milestone.PATIENT_IN_FACILITY)) == (
        CaseStatus.PLANNED,
        None,
        True,
    )
    assert story.case("Procedure/a2").status is CaseStatus.DELETED
    assert room("restored-server", 2).state is RoomState.FREE


def test_empty_room_stays_empty() -> None:
    states = [one.state for one in lived("empty-room").suite.rooms]
    assert states == [RoomState.OCCUPIED, RoomState.FREE, RoomState.FREE, RoomState.CLOSED]
    assert (room("empty-room", 3).cases, len(room("empty-room", 3).blocks)) == ((), 1)
    assert set(lived("empty-room").predictions()["room_ends"]) == {"salle-1"}


def test_same_seed_same_prediction() -> None:
    assert Lived(start_of("ordinary-day")).predictions() == lived("ordinary-day").predictions()
