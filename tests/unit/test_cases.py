"""Which resources are one case: links, visits, acts, and what only place and time tell."""

from itertools import permutations

import pytest

from tests.world import SERVER, Json, World, act, at, booking, person, said, stay, story
from twin.projections.cases import case_id
from twin.vocabulary import CaseStatus

IN_ROOM_1 = ("salle-1", "08:05", "09:20")


def anchors(world: World, now: str = "12:00") -> list[tuple[str, ...]]:
    return [tuple(one.partition("/")[2] for one in twin.links.anchors) for twin in world.cases(now)]


def test_encounter_names_booking() -> None:
    assert anchors(World(booking("a"), stay("e", IN_ROOM_1, booked="a"))) == [("a", "e")]


def test_movements_of_the_stay() -> None:
    moves = (
        stay("m1", IN_ROOM_1, part_of="e"),
        stay("m2", ("sspi", "09:25", "10:30"), part_of="e"),
        stay("m3", ("ward", "10:40", ""), part_of="e"),
    )
    twin = World(booking("a"), stay("e", booked="a", start="06:50"), *moves).case("12:00")
    assert twin.links.anchors == ("Appointment/a", "Encounter/m1")
    assert story(twin) == {
        "patient_in_facility": "06:50",
        "patient_in_room": "08:05",
        "patient_out_of_room": "09:20",
        "pacu_arrival": "09:25",
        "pacu_discharge": "10:30",
        "unit_arrival": "10:40",
    }


def test_same_request() -> None:
    assert anchors(World(booking("a", request="s"), act("p", request="s"))) == [("a", "p")]
    assert anchors(World(booking("a", request="s"), stay("e", IN_ROOM_1, request="s", patient=None))) == [("a", "e")]


def test_act_of_the_stay() -> None:
    world = World(booking("a"), stay("e", booked="a"), act("p", "08:20", encounter="e", room=None, patient=None))
    assert anchors(world) == [("a", "p")]


def test_parts_follow_their_parent() -> None:
    chain = (act("p", request="s"), act("q", part_of="p", room=None), act("r", part_of="q", room=None, patient=None))
    assert anchors(World(booking("a", request="s"), *chain)) == [("a", "p", "q", "r")]


def test_ring_of_parts() -> None:
    ring = (act("p", part_of="r", request="s"), act("q", part_of="p"), act("r", part_of="q"))
    assert anchors(World(booking("a", request="s"), *ring)) == [("a", "p", "q", "r")]
    assert anchors(World(act("p", part_of="p"))) == [("p",)]


def test_ring_of_stays() -> None:
    ring = (stay("e", IN_ROOM_1, booked="a", part_of="f"), stay("f", part_of="e"), stay("g", part_of="g", patient="p2"))
    assert anchors(World(booking("a"), *ring)) == [("a", "e")]


def test_nothing_links_but_place_and_time() -> None:
    world = World(booking("a"), stay("e", IN_ROOM_1), act("p", "08:20", "09:10"))
    assert anchors(world) == [("a", "p", "e")]
    assert world.case("12:00").links.estimated


@pytest.mark.parametrize(
    "other",
    [
        act("p", "08:20", patient="p2"),
        act("p", "08:20", room="salle-2"),
        act("p", "15:00"),
        act("p", "08:20", patient=None),
    ],
)
def test_not_the_same_by_place_and_time(other: Json) -> None:
    assert len(World(booking("a"), other).cases("16:00")) == 2


def test_two_patients_of_no_record() -> None:
    assert len(World(booking("a", patient=None), act("p", "08:20", patient=None)).cases("09:00")) == 2


def test_two_visits_of_a_stay() -> None:
    world = World(
        booking("a", "08:00", "09:00"),
        booking("b", "14:00", "15:00"),
        stay("e", IN_ROOM_1, ("sspi", "09:22", "10:20"), ("salle-1", "14:30", "15:20"), booked=("a", "b")),
        act("p", "08:20", "09:10", encounter="e"),
        act("q", "14:40", "15:10", encounter="e"),
    )
    assert anchors(world, "16:00") == [("a", "p", "e"), ("b", "q", "e#1")]
    first, second = world.cases("16:00")
    assert (story(first)["pacu_arrival"], story(second).get("pacu_arrival")) == ("09:22", None)
    assert (first.status, second.status) == (CaseStatus.DONE, CaseStatus.DONE)


def test_second_visit_still_to_come() -> None:
    places = (("accueil", "07:40", "08:00"), IN_ROOM_1, ("sspi", "09:22", "10:20"), ("ward", "10:30", ""))
    world = World(booking("a"), booking("b", "14:00", "15:00"), stay("e", *places, booked=("a", "b"), start="06:30"))
    first, second = world.cases("13:00")
    assert "unit_arrival" in story(first)
    assert story(second) == {"patient_in_facility": "06:30"}
    assert second.status is CaseStatus.PLANNED


def test_two_acts_hours_apart() -> None:
    acts = (act("p", "08:20", "09:10", encounter="e"), act("q", "16:00", "17:00", encounter="e"))
    assert anchors(World(booking("a"), stay("e", booked="a"), *acts), "18:00") == [("a", "p"), ("q",)]


def test_two_surgeons_in_one_visit() -> None:
    acts = (act("p", "08:20", "09:00", encounter="e"), act("q", "08:40", "09:15", encounter="e"))
    twin = World(booking("a"), stay("e", IN_ROOM_1, booked="a"), *acts).case("10:00")
    assert (story(twin)["incision"], story(twin)["procedure_finish"]) == ("08:20", "09:15")


def test_second_surgeon_still_operates() -> None:
    acts = (act("p", "08:20", "09:00", encounter="e"), act("q", "08:40", encounter="e"))
    twin = World(booking("a"), stay("e", ("salle-1", "08:05", ""), booked="a"), *acts).case("09:05")
    assert "procedure_finish" not in story(twin)


def test_consultation_of_the_stay() -> None:
    said_so = booking("c", "07:00", "07:15", room="consult", service="Consultation d'anesthésie")
    silent = booking("d", "07:20", "07:30", room=None, service="")
    world = World(booking("a"), said_so, silent, stay("e", IN_ROOM_1, booked=("c", "a", "d")))
    assert anchors(world) == [("a", "e")]
    assert world.suite().not_surgical == 2


def test_consultation_of_the_request() -> None:
    before = stay(
        "c", ("consult", "10T10:00", "10T10:30"), request="s", start="10T10:00", end="10T10:30", status="finished"
    )
    twin = World(booking("a", request="s"), before).case("07:00")
    assert (twin.status, story(twin), twin.his_versions) == (CaseStatus.PLANNED, {}, ("Appointment/a/_history/1",))


@pytest.mark.parametrize(
    "noise",
    [
        act("n", "07:10", "07:20", room=None, encounter="e", code="ECG"),
        act("n", "08:30", "08:40", room="ward", encounter="e", code="ECG"),
        act("n", "08:30", "08:40", room=None, encounter="e", code="Kinésithérapie"),
        act("n", "08:30", "08:40", room="salle-1", encounter="e", category={"text": "Imagerie"}),
        act("n", "08:30", "08:40", room=None, encounter="m", code="Pose de sonde"),
    ],
)
def test_other_acts_of_the_stay(noise: Json) -> None:
    ward = stay("m", ("ward", "06:40", ""), part_of="e")
    world = World(booking("a", request="s"), stay("e", booked="a"), ward, act("p", request="s", encounter="e"), noise)
    assert (anchors(world), world.case("07:30").status) == ([("a", "p")], CaseStatus.PLANNED)


def test_rebooked() -> None:
    off, again = booking("a", request="s", status="cancelled"), booking("b", "10:00", "11:00", request="s")
    world = World(off, again, act("p", request="s"), stay("e", ("salle-1", "10:10", ""), request="s"))
    assert anchors(world) == [("a",), ("b", "p", "e")]
    assert [twin.status for twin in world.cases("10:30")] == [CaseStatus.CANCELLED, CaseStatus.IN_PROGRESS]


def test_withdrawn_booking_of_another_day() -> None:
    world = World(booking("a", "22T08:00", "22T09:00", status="noshow"), stay("e", IN_ROOM_1, booked="a"))
    assert anchors(world) == [("a",), ("e",)]


def test_booking_without_room_of_an_operation() -> None:
    world = World(booking("a", room=None, request="s"), act("p", request="s"))
    assert anchors(world) == [("a", "p")]
    assert world.case().room == "Location/salle-1"


def test_booking_of_the_suite() -> None:
    world = World(
        booking("a", room="bloc"), booking("b", patient="p2"), booking("c", room="bloc", service="Consultation")
    )
    assert [(twin.carrier, twin.room) for twin in world.cases()] == sorted(
        [("Appointment/a", None), ("Appointment/b", "Location/salle-1")],
        key=lambda each: case_id(SERVER, each[0]),
    )
    moved = World(booking("a", room="bloc"), stay("e", IN_ROOM_1, booked="a")).case("08:30")
    assert (moved.room, moved.in_room) == ("Location/salle-1", True)


def test_room_changed_before() -> None:
    world = World(booking("a"), stay("e", booked="a"))
    assert world.put("07:30", booking("a", room="salle-2")).case("07:40").room == "Location/salle-2"


@pytest.mark.parametrize("left", ["08:22", ""])
def test_room_changed_during(left: str) -> None:
    places = (("salle-1", "08:05", left), ("salle-2", "08:26", ""))
    twin = World(booking("a"), stay("e", *places, booked="a")).case("09:00")
    assert (twin.room, story(twin), twin.in_room) == ("Location/salle-2", {"patient_in_room": "08:05"}, True)


def test_back_in_the_room_later() -> None:
    places = (("salle-1", "08:05", "09:00"), ("salle-1", "11:00", "11:40"))
    assert anchors(World(booking("a"), stay("e", *places, booked="a"))) == [("a", "e"), ("e#1",)]


def test_reserved_places_are_no_visits() -> None:
    assert anchors(World(stay("e", IN_ROOM_1, planned=True), booking("a"))) == [("a",)]


def test_act_without_times_of_the_booked_patient() -> None:
    bookings = (booking("a"), booking("b", "25T08:00", "25T09:00"), booking("c", "22T08:00", status="cancelled"))
    assert anchors(World(*bookings, act("p", status="in-progress"))) == [("c",), ("a", "p"), ("b",)]


def test_mistakes_link_nothing() -> None:
    wrong = act("p", "08:20", encounter="e", status="entered-in-error")
    world = World(booking("a"), stay("e", booked="a", status="entered-in-error"), wrong)
    assert anchors(world) == [("a",), ("p",)]
    assert [twin.status for twin in world.cases("09:00")] == [CaseStatus.PLANNED, CaseStatus.ENTERED_IN_ERROR]


def test_part_of_a_mistake() -> None:
    world = World(booking("a", request="s"), act("p", status="entered-in-error"), act("q", part_of="p", request="s"))
    assert anchors(world) == [("a", "q")]


def test_merged_patients_are_one() -> None:
    facts = (booking("a", patient="old"), act("p", "08:20", patient="new"))
    assert len(World(*facts).cases("09:00")) == 2
    for links in ([person("old", ("replaced-by", "mid")), person("mid", ("replaced-by", "new"))],
                  [person("new", ("replaces", "mid")), person("mid", ("replaces", "old"))]):  # fmt: skip
        merged = World(*facts, *links)
        assert anchors(merged) == [("a", "p")]
        newest = World(act("p", "08:20", patient="new")).case("09:00").patient
        assert merged.case("09:00").patient == newest
        known = {fact.key.id for fact in merged.facts if fact.key.type == "Patient"}
        assert known | {newest} == merged.suite().patients


def test_emergency_gets_its_booking_later() -> None:
    world = World(act("p", "08:20", encounter="e"), stay("e", ("salle-1", "08:05", "")))
    before = world.case("08:30").case_id
    after = world.put("08:40", booking("a", "08:15"), stay("e", ("salle-1", "08:05", ""), booked="a")).suite("09:00")
    assert before == case_id(SERVER, "Procedure/p")
    twin = after.case(before)
    assert twin is not None
    assert (twin.case_id, said(twin.planned_in)) == (case_id(SERVER, "Appointment/a"), "08:15")
    assert after.case(case_id(SERVER, "Encounter/e")) is twin


def test_order_of_arrival_never_matters() -> None:
    resources = (booking("a", request="s"), stay("e", IN_ROOM_1, booked="a"), act("p", "08:20", request="s"))
    found = {tuple(anchors(World(*order))) for order in permutations(resources)}
    assert found == {(("a", "p", "e"),)}


def test_id_does_not_follow_times() -> None:
    first = World(act("p", encounter="e"), act("q", encounter="e"))
    later = World(act("p", "09:20", encounter="e"), act("q", "09:00", encounter="e"))
    assert first.case("08:00").case_id == later.case("09:30").case_id


def test_overlapping_bookings_stay_apart() -> None:
    world = World(booking("a", "08:00", "10:00"), booking("b", "09:00", "11:00", patient="p2"), booking("c", "09:30"))
    assert [len(twin.links.anchors) for twin in world.cases()] == [1, 1, 1]


def test_without_patient_or_room() -> None:
    assert World(booking("a", patient=None)).case().patient is None
    assert World(booking("a", room=None)).suite().not_surgical == 1


def test_carriers() -> None:
    assert World(booking("a"), stay("e", IN_ROOM_1, booked="a")).case("08:30").carrier == "Appointment/a"
    assert World(act("p", "08:20")).case("08:30").carrier == "Procedure/p"
    movement = stay("m", ("salle-1", "08:05", ""), part_of="e")
    assert World(stay("e", start="07:00"), movement).case("08:30").carrier == "Encounter/m"
    whole = stay("e", ("ward", "06:00", "07:50"), ("salle-1", "08:05", ""))
    assert World(whole).case("08:30").carrier is None
    wrong = booking("a", status="entered-in-error")
    assert World(wrong, stay("e", booked="a"), act("p", "08:20", encounter="e")).case("08:30").carrier == "Procedure/p"


def test_waiting_list_is_of_no_day() -> None:
    assert World(booking("a", start="", status="waitlist")).cases() == []
    assert at("08:00") == World(booking("a", status="waitlist")).case().planned_in
