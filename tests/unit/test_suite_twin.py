"""The suite twin: rooms with their lists, who is where, what has been left, the blocks, what is no surgery."""

from dataclasses import replace
from datetime import time

from tests.world import PARIS, PLACES, SITE, World, act, at, booking, location, physical, said, stay
from twin.projections.suite_twin import RoomState, RoomTwin, SuiteTwin
from twin.site import BlockTime
from twin.vocabulary import CaseStatus, Milestone, Provenance

CLEANED = "http://hl7.org/fhir/StructureDefinition/procedure-progressStatus"
NEXT = booking("b", "09:30", "10:30", patient="p2")


def room(suite: SuiteTwin, name: str = "Salle 1") -> RoomTwin:
    return next(one for one in suite.rooms if one.name == name)


def carriers(suite: SuiteTwin, name: str = "Salle 1") -> list[str | None]:
    return [suite.cases[case].carrier for case in room(suite, name).cases]


def test_list_in_order_of_entry_then_booking() -> None:
    world = World(
        booking("c", "12:00", "13:00", patient="p3"),
        booking("a"),
        NEXT,
        booking("x", "07:00", "07:30", patient="p4", status="cancelled"),
        booking("y", "25T08:00", "25T09:00", patient="p5"),
        stay("e", ("salle-1", "07:50", "08:40"), booked="c", patient="p3"),
    )
    assert carriers(world.suite("09:00")) == ["Appointment/c", "Appointment/a", "Appointment/b"]
    assert [twin.carrier for twin in world.suite("09:00").of_day(at("25T08:00").date())] == ["Appointment/y"]


def test_states_of_a_room() -> None:
    world = World(booking("a"), NEXT, stay("e", ("salle-1", "08:05", "09:00"), booked="a"))
    states = [room(world.suite(now)).state for now in ("08:00", "08:10", "09:10", "09:40")]
    assert states == [RoomState.FREE, RoomState.OCCUPIED, RoomState.TURNOVER, RoomState.FREE]
    assert said(room(world.suite("09:10")).last_out) == "09:00"


def test_room_status_of_the_hospital() -> None:
    for code, state in {"C": RoomState.CLOSED, "H": RoomState.TURNOVER, "U": RoomState.FREE}.items():
        told = location("Salle 1", id="salle-1", within="bloc", operationalStatus={"code": code})
        assert room(World(told, booking("a")).suite("07:00")).state is state


def test_next_patient_proves_the_exit() -> None:
    world = World(
        booking("a"),
        NEXT,
        stay("e", ("salle-1", "08:05", ""), booked="a"),
        stay("f", ("salle-1", "09:40", ""), booked="b", patient="p2"),
    )
    assert world.cases("09:39")[0].in_room
    first, second = world.cases("09:45")
    exit_ = first.times.reached[-1]
    assert (first.status, exit_.milestone, exit_.provenance) == (
        CaseStatus.DONE,
        Milestone.PATIENT_OUT_OF_ROOM,
        Provenance.ESTIMATED,
    )
    assert (said(exit_.at), exit_.source, second.in_room) == ("09:40", "Appointment/b", True)


def test_same_patient_elsewhere_proves_the_exit() -> None:
    world = World(act("p", "08:10"), act("q", "16:00", room="salle-2"))
    assert [twin.status for twin in world.cases("16:10")] == [CaseStatus.DONE, CaseStatus.IN_PROGRESS]


def test_moved_patient_did_not_leave() -> None:
    moved = stay("e", ("salle-1", "08:00", "08:30"), ("salle-2", "08:32", ""), booked="a")
    before = stay("f", ("salle-2", "08:10", "08:25"), booked="b", patient="p2")
    after = stay("g", ("salle-1", "08:50", ""), booked="c", patient="p3")
    bookings = (booking("a"), booking("b", room="salle-2", patient="p2"), booking("c", "09:00", "10:00", patient="p3"))
    suite = World(*bookings, moved, before, after).suite("09:00")
    inside = {one.name: suite.cases[one.current].carrier for one in suite.rooms if one.current}
    assert inside == {"Salle 1": "Appointment/c", "Salle 2": "Appointment/a"}


def test_queue_is_who_waits() -> None:
    world = World(booking("a", status="arrived"), NEXT, stay("e", ("salle-1", "08:05", ""), booked="a"))
    assert [twin.carrier for twin in world.suite("08:00").queue] == ["Appointment/a"]
    assert world.suite("08:10").queue == ()


def test_recovery_room() -> None:
    beds = [location(f"Poste {number}", within="sspi", **physical("bd")) for number in range(4)]
    late = stay("e", ("salle-1", "23T22:00", "23T23:30"), ("sspi", "23T23:35", ""), booked="a")
    world = World(*beds, booking("a", "23T22:00", "23T23:00"), late)
    pacu = world.suite("00:30").pacu
    assert (len(pacu.present), pacu.places) == (1, 4)
    assert world.suite("25T00:30").pacu.present == ()
    assert World(booking("a")).suite().pacu.places is None


def test_places_of_the_site_file() -> None:
    assert World(booking("a"), site=replace(SITE, pacu_places=9)).suite().pacu.places == 9


def test_blocks_of_the_day() -> None:
    week = (BlockTime(frozenset({1}), time(8), time(12)), BlockTime(frozenset({1}), time(13), time(18)))
    suite = World(booking("a"), site=replace(SITE, blocks={"salle-1": week})).suite()
    assert [(said(block.start), said(block.end), block.assumed) for block in room(suite).blocks] == [
        ("08:00", "12:00", False),
        ("13:00", "18:00", False),
    ]
    assert [(said(b.start), b.assumed) for b in room(World(booking("a")).suite()).blocks] == [("08:00", True)]
    assert room(World(booking("a", "28T08:00", "28T09:00")).suite("28T07:00")).blocks == ()


def test_not_surgical() -> None:
    others = (
        booking("c1", room="consult", service="Consultation de chirurgie"),
        booking("c2", room="uca", service=""),
        booking("c3", room=None),
        booking("c4", "02T08:00", "02T09:00", room="consult"),
    )
    assert World(booking("a"), *others).suite().not_surgical == 3


def test_horizon() -> None:
    days = ("20T08:00", "22T08:00", "24T08:00")
    world = World(*(booking(f"a{day[:2]}", day, day.replace("08", "09"), patient=day[:2]) for day in days))
    assert [twin.carrier for twin in world.cases()] == ["Appointment/a22", "Appointment/a24"]


def test_day_is_the_sites() -> None:
    assert World().suite("25T00:10").day == at("25T12:00").date()
    assert at("00:10").astimezone(PARIS).date() == World().suite("00:10").day


def test_room_ready_again() -> None:
    world = World(booking("a"), stay("e", ("salle-1", "08:05", "09:00"), booked="a"))
    told = location("Salle 1", id="salle-1", within="bloc", operationalStatus={"code": "U"})
    assert room(world.put("09:05", told).suite("09:10")).state is RoomState.TURNOVER


def test_list_with_an_unbooked_case() -> None:
    """What has begun, then what is to come: an emergency by when it became known, before later bookings."""
    world = World(
        booking("a", "08:00", "09:00"),
        booking("late", "08:30", "09:00", patient="p4"),
        booking("b", "10:15", "11:00", patient="p2"),
        stay("e", ("salle-1", "09:02", "09:40"), booked="a"),
        stay("u", ("urgences", "09:20", ""), patient="p3", start="09:20"),
        act("urgent", patient="p3", encounter="u"),
        places=(*PLACES, location("Urgences", id="urgences")),
    )
    suite = world.suite("10:00")
    room = next(room for room in suite.rooms if room.id == "salle-1")
    named = [suite.cases[case].links.anchors[0].partition("/")[2] for case in room.cases]
    assert named == ["a", "late", "urgent", "b"]
