"""What the doctor makes of data: counts that can be counted by hand, and nothing of a patient."""

from datetime import date
from zoneinfo import ZoneInfo

from api.doctor import Check, Level
from api.doctor.data import data_findings
from api.doctor.writing import annotation_findings
from fhir_adapters.extensions import build
from fixtures.clinic.day import generate_day
from tests.unit.doctor_world import material_of, the
from tests.unit.fhir_fake import SOURCE as OTHER
from tests.unit.fhir_fake import annotation
from tests.world import PLACES, SOURCE, World, act, at, booking, location, person, physical, stay
from twin.facts import Quarantined


def test_a_whole_morning() -> None:
    world = World().play(generate_day(date(2026, 11, 24), ZoneInfo("Europe/Paris"), 3, 4), at("12:00"))
    found = data_findings(material_of(world, "12:00"))
    rows = the(found, Check.MILESTONES).numbers["milestones"]
    entries = [row for row in rows if row["milestone"] == "patient_in_room"]
    assert {row["from"] for row in entries if row["provenance"] == "explicit"} == {
        "Encounter.location.period.start",
    }
    total = sum(len(twin.times.reached) for twin in world.suite("12:00").cases.values() if twin.live)
    assert sum(row["count"] for row in rows) == total
    assert len(the(found, Check.ROOMS).numbers["rooms"]) == 4
    assert the(found, Check.NOT_SURGICAL).numbers["count"] > 0


def test_which_element_told() -> None:
    world = World(
        booking("a"), act("p", "08:10", "09:20"), booking("b", room="salle-2", patient="p2", status="arrived")
    )
    rows = the(data_findings(material_of(world)), Check.MILESTONES).numbers["milestones"]
    assert {(row["milestone"], row["from"], row["provenance"]) for row in rows} == {
        ("patient_in_facility", "Appointment.status", "derived from version"),
        ("patient_in_room", "Procedure.performed.start", "estimated"),
        ("patient_out_of_room", "Procedure.performed.end", "estimated"),
    }


def test_nothing_there() -> None:
    found = data_findings(material_of(World(places=())))
    assert the(found, Check.ROOMS).level is Level.PROBLEM
    assert the(found, Check.CASES).level is Level.WARNING
    assert the(found, Check.MILESTONES).level is Level.WARNING


def test_rooms_and_those_unused() -> None:
    kept = location("Salle 9", id="salle-9", within="bloc", **physical("ro"))
    found = data_findings(material_of(World(booking("a"), places=(*PLACES, kept))))
    (room,) = the(found, Check.ROOMS).numbers["rooms"]
    assert (room["id"], room["cases"]) == ("salle-1", 1)
    assert "Bloc opératoire" in room["reason"]
    unused = [one["id"] for one in the(found, Check.UNUSED_ROOMS).numbers["locations"]]
    assert unused == ["salle-2", "salle-3", "salle-9"]


def test_pacu_places() -> None:
    beds = [location(f"Poste {number}", within="sspi", **physical("bd")) for number in (1, 2)]
    assert the(data_findings(material_of(World(booking("a"), *beds))), Check.PACU).numbers["places"] == 2
    assumed = the(data_findings(material_of(World(booking("a")))), Check.PACU)
    assert assumed.numbers == {"places": None, "source": "assumed", "units": ["SSPI"]}


def test_blocks_are_assumed() -> None:
    numbers = the(data_findings(material_of(World(booking("a")))), Check.BLOCKS).numbers
    assert numbers == {"told": 0, "assumed": 1, "none": 0}


def test_what_cases_lack() -> None:
    world = World(
        booking("a", patient=None),
        act("loose", "08:00", room="salle-2", patient="p7"),
        booking("c", "10:00", "10:00", room="salle-3", patient="p3"),
    )
    lacking = {
        one.numbers["lacks"]: one.numbers for one in data_findings(material_of(world)) if one.check is Check.INCOMPLETE
    }
    assert lacking["patient"] == {"lacks": "patient", "count": 1, "examples": ["Appointment/a"]}
    assert lacking["length"]["examples"] == ["Appointment/c"]
    assert set(lacking) == {"patient", "length"}


def test_without_a_room() -> None:
    suite_only = booking("a", room="bloc")
    found = data_findings(material_of(World(suite_only, booking("b", patient="p2"))))
    assert the(found, Check.INCOMPLETE, lacks="room").numbers["examples"] == ["Appointment/a"]


def test_nothing_lacks() -> None:
    assert the(data_findings(material_of(World(booking("a")))), Check.INCOMPLETE).level is Level.OK


def test_missing_entry_and_exit() -> None:
    world = World(
        booking("a", status="fulfilled"),
        booking("b", room="salle-2", patient="p2"),
        act("x", "08:00", room="salle-2", patient="p2"),
    )
    numbers = the(data_findings(material_of(world)), Check.MISSING_STAMPS).numbers
    assert numbers == {"entered": 2, "done": 1, "without_entry": 1, "without_exit": 1}


def test_contradictions_and_the_future() -> None:
    world = World(
        booking("a"),
        stay("e", ("salle-1", "08:00", "09:00"), booked="a"),
        act("p", "07:40", "08:30", encounter="e"),
        booking("b", room="salle-2", patient="p2"),
        stay("f", ("salle-2", "08:00", "23:00"), booked="b", patient="p2"),
    )
    found = the(data_findings(material_of(world)), Check.CONTRADICTIONS)
    assert found.level is Level.WARNING
    assert found.numbers["explicit"] >= 1
    assert found.numbers["future"] == 1


def test_quarantined_by_reason() -> None:
    bad = [Quarantined("s", "Appointment", str(number), "1", "bad id") for number in range(3)]
    bad.append(Quarantined("s", "", "", "", "not an object"))
    found = the(data_findings(material_of(World(booking("a")), quarantined=tuple(bad))), Check.QUARANTINE)
    assert found.numbers == {"count": 4, "reasons": {"Appointment: bad id": 3, "entry: not an object": 1}}


def test_readings_by_name() -> None:
    world = World(booking("a", start="08:00", end="09:00", participant=[{"actor": {"display": "Salle"}}]))
    counts = the(data_findings(material_of(world)), Check.READINGS).numbers["counts"]
    assert counts
    assert all(isinstance(name, str) and count > 0 for name, count in counts.items())


def test_nothing_of_a_patient_is_told() -> None:
    secret = "Zvezdana"
    world = World(
        booking(secret + "-1", patient=secret),
        {**person(secret), "name": [{"family": secret}]},
        stay(secret + "-2", ("salle-1", "08:05", ""), booked=secret + "-1", patient=secret),
        act(secret + "-3", "08:20", patient=secret, encounter=secret + "-2"),
    )
    found = data_findings(material_of(world))
    assert len(found) > 10
    assert not [one for one in found if secret in repr(one)]


def test_other_installations() -> None:
    carries = {"extension": build(annotation(), ZoneInfo("Europe/Paris"))}
    world = World({**booking("a"), **carries}, booking("b", patient="p2"))
    assert OTHER != SOURCE
    found = annotation_findings(world.ledger, SOURCE)
    assert the(found, Check.OTHERS).numbers == {"sources": {OTHER: 1}}
    assert the(annotation_findings(World(booking("b")).ledger, SOURCE), Check.OTHERS).level is Level.OK
