"""The patient twin: what has become of a case, where, when it was planned, with whom."""

import pytest

from tests.world import Json, World, act, at, booking, said, stay, story
from twin.vocabulary import CareSetting, CaseStatus, Milestone

RUNNING = stay("e", ("salle-1", "08:05", ""), booked="a")
STATUSES: list[tuple[str, list[Json], str]] = [
    ("booked", [booking("a")], "planned"),
    ("arrived", [booking("a", status="arrived")], "planned"),
    ("in the room", [booking("a"), RUNNING], "in_progress"),
    ("left", [booking("a"), stay("e", ("salle-1", "08:05", "08:40"), booked="a")], "done"),
    ("cancelled", [booking("a", status="cancelled")], "cancelled"),
    ("did not come", [booking("a", status="noshow")], "no_show"),
    ("mistake", [booking("a", status="entered-in-error")], "entered_in_error"),
    ("cancelled, operated", [booking("a", status="cancelled"), RUNNING], "in_progress"),
    ("did not come, operated", [booking("a", status="noshow"), RUNNING], "in_progress"),
    ("cancelled, in the house", [booking("a", status="cancelled"), stay("e", booked="a", start="07:00")], "cancelled"),
    ("not done", [booking("a", request="s"), act("p", status="not-done", request="s")], "cancelled"),
    ("one of two not done", [booking("a"), act("p", status="not-done"), act("q")], "planned"),
    ("done, no times", [booking("a", request="s"), act("p", status="stopped", request="s")], "done"),
    ("fulfilled, no stamps", [booking("a", "07:00", "08:30", status="fulfilled")], "done"),
    ("fulfilled before its time", [booking("a", "10:00", "11:00", status="fulfilled")], "planned"),
    ("fulfilled, in the house", [booking("a", status="fulfilled"), stay("e", booked="a", start="07:00")], "planned"),
    ("act alone", [act("p")], "planned"),
    ("act a mistake", [act("p", status="entered-in-error")], "entered_in_error"),
    ("visit alone", [stay("e", ("salle-1", "08:05", ""))], "in_progress"),
    ("home", [booking("a"), stay("e", booked="a", start="06:00", end="08:50", status="finished")], "done"),
]  # fmt: skip


@pytest.mark.parametrize(("resources", "status"), [row[1:] for row in STATUSES], ids=[row[0] for row in STATUSES])
def test_status(resources: list[Json], status: str) -> None:
    assert World(*resources).case("09:00").status.value == status


def test_fulfilled_in_the_house_is_over_at_last() -> None:
    world = World(booking("a", status="fulfilled"), stay("e", booked="a", start="07:00"))
    assert world.case("09:40").status is CaseStatus.DONE


def test_deleted() -> None:
    world = World(booking("a"), act("p", request="s"), booking("b", request="s", patient="p2"))
    world.delete("08:00", "Appointment/a").delete("08:00", "Procedure/p")
    told = {twin.links.anchors[0]: twin.status.value for twin in world.cases("08:10")}
    assert told == {"Appointment/a": "deleted", "Procedure/p": "deleted", "Appointment/b": "planned"}


def test_booking_deleted_patient_operated() -> None:
    twin = World(booking("a"), RUNNING).delete("08:30", "Appointment/a").case("08:40")
    assert (twin.status, twin.carrier, said(twin.planned_in)) == (CaseStatus.IN_PROGRESS, "Encounter/e", "08:00")


def test_missing_exit_is_no_endless_case() -> None:
    world = World(booking("a"), RUNNING)
    assert world.case("25T08:00").in_room
    assert world.case("25T08:10").status is CaseStatus.DONE


def test_incision_alone_is_in_the_room() -> None:
    twin = World(booking("a"), act("p", progress="open-incision")).case("08:30")
    assert (twin.status, twin.entered) == (CaseStatus.IN_PROGRESS, at("00:00"))


def test_booked_length() -> None:
    bare = World(booking("a")).case()
    assert (bare.booked_min, said(bare.planned_out)) == (90, "09:30")
    told = World(booking("a", "08:00", "08:00", minutesDuration=45)).case()
    assert (told.booked_min, said(told.planned_out)) == (45, "08:45")
    none = World(booking("a", "08:00", "08:00")).case()
    assert (none.booked_min, none.planned_out) == (None, None)


def test_length_over_the_change_of_clocks() -> None:
    night = booking("a", "2026-10-25T01:00:00+02:00", "2026-10-25T04:00:00+01:00")
    assert World(night).case("2026-10-24T07:00:00+02:00").booked_min == 240


def test_day_is_the_entry() -> None:
    world = World(booking("a", "23:30", "25T01:00"), stay("e", ("salle-1", "25T00:10", ""), booked="a"))
    assert world.case("23:00").day == at("23:00").date()
    assert world.case("25T00:20").day == at("25T00:20").date()


def test_day_of_an_act_without_times() -> None:
    world = World().put("23T10:00", act("p"))
    assert world.case("08:00").day == at("23T10:00").date()


def test_care_setting() -> None:
    assert World(booking("a")).case().setting is CareSetting.UNKNOWN
    assert World(booking("a"), RUNNING).case("08:10").setting is CareSetting.AMBULATORY
    urgent = RUNNING | {"class": {"code": "EMER"}}
    assert World(booking("a"), urgent).case("08:10").setting is CareSetting.EMERGENCY
    assert World(act("p", "08:20")).case("08:30").setting is CareSetting.EMERGENCY


def test_team_and_surgeon() -> None:
    def performer(ref: str, role: str) -> Json:
        return {"actor": {"reference": f"Practitioner/{ref}"}, "function": {"text": role}}

    doers = [performer("n", "Infirmier"), performer("x", ""), performer("s", "Chirurgien")]
    twin = World(act("p", performer=doers)).case()
    assert twin.surgeon() == "Practitioner/s"
    assert World(act("p", performer=doers[:2])).case().surgeon() == "Practitioner/x"
    assert World(act("p", performer=doers[:1])).case().surgeon() is None


def test_procedure_from_act_else_booking() -> None:
    both = World(booking("a", request="s"), act("p", request="s")).case()
    assert both.procedure == World(act("p")).case().procedure
    assert both.procedure != World(booking("a")).case().procedure


def test_versions_before_our_annotations() -> None:
    world = World(booking("a")).put("07:00", booking("a", status="arrived"))
    again = world.held("Appointment/a")
    ours = {"url": "https://w3id.org/jumeau/fhir/StructureDefinition/predicted-start", "valueDateTime": "2026-11-24"}
    world.put("07:05", again | {"extension": [ours]})
    assert world.case("07:10").his_versions == ("Appointment/a/_history/2",)


def test_withdrawn_are_not_live() -> None:
    assert not World(booking("a", status="noshow")).case().live
    assert World(booking("a")).case().live


def test_frontier_leaves_the_room_out() -> None:
    twin = World(booking("a", status="arrived")).case()
    assert twin.frontier == Milestone.PATIENT_IN_FACILITY.rank
    assert (World(booking("a")).case().frontier, story(World(booking("a")).case())) == (-1, {})
