"""What each resource asserts, and the reading of everything in it that is not as it should be."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_adapters.content import Real
from tests.unit.fhir_samples import (
    APPOINTMENT,
    ENCOUNTER,
    LOCATION,
    META,
    P1,
    PARIS,
    PATIENT,
    PROCEDURE,
    PSEUDONYMS,
    all_stamps,
    appointment,
    assertion,
    changed,
    read,
)
from twin.facts import (
    AppointmentFact,
    Code,
    Concept,
    EncounterFact,
    LocationFact,
    PatientFact,
    Person,
    ProcedureFact,
    Stamp,
)
from twin.vocabulary import CareSetting, Milestone, PlaceKind, Provenance


def paris(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 24, hour, minute, tzinfo=PARIS).astimezone(UTC)


def stamps(raw: object, milestone: Milestone) -> list[Stamp]:
    found = assertion(raw)
    assert isinstance(found, AppointmentFact | EncounterFact | ProcedureFact)
    return [stamp for stamp in all_stamps(found) if stamp.milestone is milestone]


# Appointment


def test_appointment() -> None:
    found = appointment()
    assert (found.status, found.start, found.end, found.minutes) == ("booked", paris(8), paris(9, 30), 90)
    assert found.patient == P1
    assert found.locations == ("Location/room-1",)
    assert found.team == (Person("Practitioner/d1", "surgeon"),)
    assert found.services == (Concept((Code("urn:services", "CHV", "Chirurgie viscérale"),), None, True),)
    assert found.specialties[0].surgical is True
    assert found.reasons == (Concept((), PSEUDONYMS.text("Lithiase vésiculaire"), None),)
    assert found.requests == ("ServiceRequest/s1",)
    assert found.stamps == ()


@pytest.mark.parametrize("status", ["arrived", "checked-in", "fulfilled"])
def test_arrived_is_in_facility(status: str) -> None:
    (stamp,) = appointment(status=status).stamps
    assert (stamp.milestone, stamp.at, stamp.provenance) == (
        Milestone.PATIENT_IN_FACILITY,
        None,
        Provenance.DERIVED,
    )


def test_entered_in_error_keeps_its_status() -> None:
    assert appointment(status="entered-in-error").status == "entered-in-error"


@pytest.mark.parametrize("minutes", [0, -5, 10**9, 10**400, Real("1e400")])
def test_implausible_minutes(minutes: object) -> None:
    raw = changed(APPOINTMENT, minutesDuration=minutes)
    assert read(raw).findings == ("implausible-minutes",)
    assert appointment(minutesDuration=minutes).minutes is None


def test_minutes_with_fraction() -> None:
    assert appointment(minutesDuration=Real("90.50")).minutes == 90.5


def test_half_interval_and_none() -> None:
    assert "half-interval" in read(changed(APPOINTMENT, end=None)).findings
    assert appointment(start=None, end=None, status="waitlist").start is None


def test_without_room_or_patient() -> None:
    found = appointment(participant=None)
    assert (found.patient, found.locations, found.team) == (None, (), ())


def test_two_patients() -> None:
    both = [{"actor": {"reference": f"Patient/p{number}"}} for number in (1, 2)]
    assert appointment(participant=both).patient == P1
    assert "several-patients" in read(changed(APPOINTMENT, participant=both)).findings


def test_restricted_label_is_read_normally() -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    assert read(changed(APPOINTMENT, meta={**META, "security": [label]})).assertion == appointment()


def test_narrative_is_not_read() -> None:
    script = {"status": "generated", "div": "<div><script>alert(1)</script></div>"}
    assert read(changed(APPOINTMENT, text=script)) == read(APPOINTMENT)


# Encounter


def encounter(**elements: Any) -> EncounterFact:
    found = assertion(changed(ENCOUNTER, **elements))
    assert isinstance(found, EncounterFact)
    return found


def test_encounter() -> None:
    found = encounter()
    assert (found.status, found.setting, found.patient) == ("finished", CareSetting.AMBULATORY, P1)
    assert (found.start, found.end) == (paris(7), paris(17))
    assert found.appointments == ("Appointment/a1",)
    assert found.team == (Person("Practitioner/d3", "anesthetist"),)
    (stay,) = found.stays
    assert (stay.location, stay.status, stay.start, stay.end) == (
        "Location/room-1",
        "completed",
        paris(8, 5),
        paris(9, 40),
    )


def test_stays_are_stamps_by_kind_of_place() -> None:
    by_kind = {(stamp.milestone, stamp.place): stamp for stamp in all_stamps(encounter()) if stamp.location}
    into = by_kind[Milestone.PATIENT_IN_ROOM, PlaceKind.ROOM]
    assert (into.at, into.provenance, into.location) == (paris(8, 5), Provenance.EXPLICIT, "Location/room-1")
    assert by_kind[Milestone.PATIENT_OUT_OF_ROOM, PlaceKind.ROOM].at == paris(9, 40)
    assert by_kind[Milestone.PACU_ARRIVAL, PlaceKind.PACU].at == paris(8, 5)
    assert by_kind[Milestone.PACU_DISCHARGE, PlaceKind.PACU].at == paris(9, 40)
    assert by_kind[Milestone.PATIENT_IN_HOLDING, PlaceKind.HOLDING].at == paris(8, 5)
    assert {place for milestone, place in by_kind if milestone is Milestone.UNIT_ARRIVAL} == {
        PlaceKind.WARD,
        PlaceKind.DAY_UNIT,
    }


def test_arrival_and_discharge_of_stay() -> None:
    arrivals = {(stamp.at, stamp.provenance) for stamp in stamps(ENCOUNTER, Milestone.PATIENT_IN_FACILITY)}
    assert arrivals == {(paris(7, 1), Provenance.EXPLICIT), (paris(7), Provenance.ESTIMATED)}
    assert [stamp.at for stamp in stamps(ENCOUNTER, Milestone.FACILITY_DISCHARGE)] == [paris(17)]
    movement = changed(ENCOUNTER, partOf={"reference": "Encounter/stay"}, statusHistory=None)
    assert stamps(movement, Milestone.FACILITY_DISCHARGE) == []
    assert stamps(movement, Milestone.PATIENT_IN_FACILITY) == []


@pytest.mark.parametrize("status", ["planned", "cancelled", "entered-in-error"])
def test_plan_is_no_stamp(status: str) -> None:
    assert all_stamps(encounter(status=status, statusHistory=None)) == []


@pytest.mark.parametrize("status", ["planned", "reserved"])
def test_reserved_place_is_no_stamp(status: str) -> None:
    entry = {**ENCOUNTER["location"][0], "status": status}
    assert stamps(changed(ENCOUNTER, location=[entry]), Milestone.PATIENT_IN_ROOM) == []


def test_only_place_takes_period_of_encounter() -> None:
    raw = changed(ENCOUNTER, location=[{"location": {"reference": "Location/room-1"}}])
    (stamp,) = stamps(raw, Milestone.PATIENT_IN_ROOM)
    assert (stamp.at, stamp.provenance) == (paris(7), Provenance.ESTIMATED)
    assert "stay-without-period" in read(raw).findings
    two = [{"location": {"reference": f"Location/{number}"}} for number in (1, 2)]
    assert stamps(changed(ENCOUNTER, location=two), Milestone.PATIENT_IN_ROOM) == []
    movement = changed(ENCOUNTER, location=two, partOf={"reference": "Encounter/stay"})
    assert len(stamps(movement, Milestone.PATIENT_IN_ROOM)) == 2


def test_movement_ends_with_its_encounter() -> None:
    entry = {"location": {"reference": "Location/room-1"}, "period": {"start": "2026-11-24T08:00:00+01:00"}}
    period = {"start": "2026-11-24T08:00:00+01:00", "end": "2026-11-24T09:30:00+01:00"}
    stay = changed(ENCOUNTER, location=[entry], status="finished", period=period)
    assert stamps(stay, Milestone.PATIENT_OUT_OF_ROOM) == []
    movement = changed(stay, partOf={"reference": "Encounter/stay"})
    (left,) = stamps(movement, Milestone.PATIENT_OUT_OF_ROOM)
    assert (left.at, left.provenance) == (paris(9, 30), Provenance.ESTIMATED)
    assert stamps(movement, Milestone.PATIENT_IN_ROOM)[0].provenance is Provenance.EXPLICIT


def test_end_before_start_is_dropped() -> None:
    raw = changed(ENCOUNTER, period={"start": "2026-11-24T09:00:00Z", "end": "2026-11-24T08:00:00Z"})
    assert "end-before-start" in read(raw).findings
    assert encounter(period=raw["period"]).end is None


def test_day_is_no_stamp() -> None:
    raw = changed(ENCOUNTER, period={"start": "2026-11-24"}, statusHistory=None)
    assert "day-only" in read(raw).findings
    assert stamps(raw, Milestone.PATIENT_IN_FACILITY) == []
    assert "bad-date" in read(changed(ENCOUNTER, period={"start": "hier"})).findings


def test_unknown_class_and_stay_status() -> None:
    entry = {**ENCOUNTER["location"][0], "status": "here"}
    raw = changed(ENCOUNTER, location=[entry]) | {"class": {"code": "XYZ"}}
    assert set(read(raw).findings) == {"unknown-class", "unknown-stay-status"}
    found = assertion(raw)
    assert isinstance(found, EncounterFact)
    assert found.setting is CareSetting.UNKNOWN
    assert found.stays[0].status == ""


# Procedure


def procedure(**elements: Any) -> ProcedureFact:
    found = assertion(changed(PROCEDURE, **elements))
    assert isinstance(found, ProcedureFact)
    return found


def seen(raw: object) -> set[tuple[str, datetime | None]]:
    found = assertion(raw)
    assert isinstance(found, ProcedureFact)
    return {(stamp.milestone.value, stamp.at) for stamp in found.stamps}


def test_procedure() -> None:
    found = procedure()
    assert (found.patient, found.encounter, found.location) == (P1, "Encounter/e1", "Location/room-1")
    assert found.code == Concept((), PSEUDONYMS.text("cholécystectomie"), True)
    assert (found.start, found.end) == (paris(8, 20), paris(9, 25))
    assert found.team == (Person("PractitionerRole/n1", "nurse"),)


def test_performed_period_without_visit() -> None:
    incision = stamps(changed(PROCEDURE, extension=None), Milestone.INCISION)
    assert incision == [
        Stamp(
            Milestone.INCISION,
            paris(8, 20),
            Provenance.EXPLICIT,
            without_visit=Milestone.PATIENT_IN_ROOM,
        )
    ]
    (finish,) = stamps(PROCEDURE, Milestone.PROCEDURE_FINISH)
    assert (finish.at, finish.without_visit) == (paris(9, 25), Milestone.PATIENT_OUT_OF_ROOM)


def test_extensions_of_procedure() -> None:
    assert ("incision", paris(8, 22)) in seen(PROCEDURE)
    assert ("pacu_arrival", None) in seen(PROCEDURE)


@pytest.mark.parametrize(
    ("code", "milestone"),
    [
        ("in-operating-room", "patient_in_room"),
        ("prepared", "patient_in_room"),
        ("anesthesia-induced", "anesthesia_ready"),
        ("open-incision", "incision"),
        ("closed-incision", "procedure_finish"),
        ("in-recovery-room", "pacu_arrival"),
    ],
)
def test_progress_status(code: str, milestone: str) -> None:
    extension = {
        "url": "http://hl7.org/fhir/StructureDefinition/procedure-progressStatus",
        "valueCodeableConcept": {"coding": [{"code": code}]},
    }
    raw = changed(PROCEDURE, performedPeriod=None, status="preparation", extension=[extension])
    assert seen(raw) == {(milestone, None)}


@pytest.mark.parametrize("value", [None, 3, [], {"coding": 3}, {"coding": [None, {"code": 3}]}])
def test_strange_extension_is_passed_over(value: object) -> None:
    urls = [extension["url"] for extension in PROCEDURE["extension"]]
    extensions = [{"url": url, "valueDateTime": value, "valueCodeableConcept": value} for url in urls]
    raw = changed(PROCEDURE, extension=[*extensions, {"url": {}}, None])
    assert seen(raw) == {("incision", paris(8, 20)), ("procedure_finish", paris(9, 25))}


@pytest.mark.parametrize("status", ["preparation", "not-done", "entered-in-error"])
def test_not_performed_is_no_stamp(status: str) -> None:
    assert seen(changed(PROCEDURE, status=status, extension=None)) == set()


@pytest.mark.parametrize(
    ("status", "performed", "expected"),
    [
        ("in-progress", {}, {("patient_in_room", None)}),
        ("in-progress", {"performedDateTime": "2026-11-24"}, {("patient_in_room", None)}),
        ("in-progress", {"performedDateTime": "2026-11-24T08:20:00+01:00"}, {("incision", paris(8, 20))}),
        ("completed", {}, {("patient_out_of_room", None)}),
        ("completed", {"performedDateTime": "2026-11-24T09:25:00+01:00"}, {("procedure_finish", paris(9, 25))}),
        (
            "completed",
            {"performedPeriod": {"start": "2026-11-24T08:20:00+01:00"}},
            {("incision", paris(8, 20)), ("patient_out_of_room", None)},
        ),
        ("unknown", {"performedDateTime": "2026-11-24T09:25:00+01:00"}, set()),
    ],
)
def test_performed(status: str, performed: dict[str, Any], expected: set[tuple[str, datetime | None]]) -> None:
    raw = changed(PROCEDURE, status=status, extension=None, performedPeriod=None) | performed
    assert seen(raw) == expected


# Location and Patient


def test_location() -> None:
    found = assertion(LOCATION)
    assert isinstance(found, LocationFact)
    assert (found.name, found.aliases, found.physical) == ("Salle 1", ("S1",), "ro")
    assert found.type_texts == ("Bloc", "Salle d'opération")
    assert (found.part_of, found.status, found.operational) == ("Location/suite", "active", "O")
    assert found.timezone == "Indian/Reunion"


@pytest.mark.parametrize(
    "zone", ["../../etc/passwd", "Europe/Nowhere", "", "Europe", "x" * 500, 3, None, "Europe/\x00"]
)
def test_unknown_timezone(zone: object) -> None:
    raw = changed(LOCATION, extension=[{**LOCATION["extension"][0], "valueCode": zone}])
    found = assertion(raw)
    assert isinstance(found, LocationFact)
    assert found.timezone is None
    assert "unknown-timezone" in read(raw).findings


def test_unknown_location_status() -> None:
    assert "unknown-location-status" in read(changed(LOCATION, status="broken")).findings


@pytest.mark.parametrize(
    ("birth", "band"),
    [
        ("2026-11-01", "0-15"),
        ("2010-11-25", "0-15"),
        ("2010-11-24", "16-39"),
        ("1986", "40-64"),
        ("1961-11-25", "40-64"),
        ("1961-11", "65-79"),
        ("1961", "65-79"),
        ("1940-01-01", "80+"),
        ("1800", None),
        ("2030", None),
        ("2026-02-30", None),
        ("long ago", None),
        (None, None),
    ],
)
def test_age_band(birth: str | None, band: str | None) -> None:
    found = assertion(changed(PATIENT, birthDate=birth))
    assert isinstance(found, PatientFact)
    assert found.age_band == band


def test_patient() -> None:
    found = assertion(PATIENT)
    assert isinstance(found, PatientFact)
    assert (found.gender, found.active) == ("female", True)
    assert (found.replaces, found.replaced_by) == ((PSEUDONYMS.patient("p0"),), ())
    assert "unknown-gender" in read(changed(PATIENT, gender="F")).findings
