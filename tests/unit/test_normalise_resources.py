"""What each resource asserts, and the reading of everything that is not as it should be."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_adapters.canonical import PREDICTED_TIMELINE
from fhir_adapters.content import Real
from fhir_adapters.normalise import Normaliser
from tests.unit.fhir_samples import (
    ALL,
    APPOINTMENT,
    BASE,
    ENCOUNTER,
    LOCATION,
    META,
    NORMALISER,
    NOW,
    PARIS,
    PATIENT,
    PROCEDURE,
    PSEUDONYMS,
    assertion,
    changed,
    read,
    reason,
)
from twin.facts import (
    AppointmentFact,
    Carried,
    Code,
    Concept,
    EncounterFact,
    Fact,
    LocationFact,
    PatientFact,
    Person,
    ProcedureFact,
    Quarantined,
    Stamp,
)
from twin.vocabulary import CareSetting, Milestone, PlaceKind, Provenance

P1 = PSEUDONYMS.patient("p1")


def paris(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 24, hour, minute, tzinfo=PARIS).astimezone(UTC)


def stamps(raw: object, milestone: Milestone) -> list[Stamp]:
    found = assertion(raw)
    assert isinstance(found, AppointmentFact | EncounterFact | ProcedureFact)
    return [stamp for stamp in found.stamps if stamp.milestone is milestone]


def appointment(**elements: Any) -> AppointmentFact:
    found = assertion(changed(APPOINTMENT, **elements))
    assert isinstance(found, AppointmentFact)
    return found


def participant(**actor: Any) -> dict[str, Any]:
    return {"participant": [{"actor": actor, "status": "accepted"}]}


# The version


def test_key_of_version() -> None:
    key = read(APPOINTMENT).key
    assert (key.server, key.ref, key.version_id) == (BASE, "Appointment/a1", "3")
    assert key.last_updated == datetime(2026, 11, 24, 7, 15, 30, 123000, tzinfo=UTC)
    assert read(APPOINTMENT).findings == ()


def test_version_without_meta() -> None:
    fact = read(changed(APPOINTMENT, meta=None))
    assert fact.key.last_updated == NOW
    assert fact.findings == ("no-last-updated", "no-version-id")
    assert fact.key.version_id == read(changed(APPOINTMENT, meta={"lastUpdated": "2020"})).key.version_id
    assert fact.key.version_id != read(changed(APPOINTMENT, meta=None, minutesDuration=91)).key.version_id


def test_version_id_that_no_header_takes() -> None:
    fact = read(changed(APPOINTMENT, meta={**META, "versionId": '3"\r\nX: y'}))
    assert "no-version-id" in fact.findings


def test_patient_key_is_pseudonym() -> None:
    assert read(PATIENT).key.id == P1


def test_patient_ids_are_told_aside() -> None:
    assert NORMALISER.read(APPOINTMENT, NOW).patient_ids == {"p1"}
    assert NORMALISER.read(PATIENT, NOW).patient_ids == {"p0"}


def test_annotation_is_read_from_ours_only() -> None:
    seen: list[list[dict[str, Any]]] = []

    def reader(extensions: list[dict[str, Any]]) -> Carried:
        seen.append(extensions)
        return Carried(present=True)

    normaliser = Normaliser(BASE, PSEUDONYMS, PARIS, read_annotation=reader)
    ours = {"url": PREDICTED_TIMELINE}
    outcome = normaliser.version(changed(APPOINTMENT, extension=[{"url": "urn:theirs"}, ours, None, 3]), NOW)
    assert isinstance(outcome, Fact)
    assert outcome.carried.present
    assert seen == [[ours]]


# What is quarantined


@pytest.mark.parametrize("raw", [None, 3, "x", [], [APPOINTMENT], True, Real("0.10")])
def test_no_object(raw: object) -> None:
    assert reason(raw) == "not an object"


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"resourceType": None}, "unknown resource type"),
        ({"resourceType": "Observation"}, "unknown resource type"),
        ({"resourceType": ["Appointment"]}, "unknown resource type"),
        ({"id": None}, "no id"),
        ({"id": 7}, "bad id"),
        ({"id": ""}, "bad id"),
        ({"id": "../admin"}, "bad id"),
        ({"id": "x" * 65}, "bad id"),
        ({"implicitRules": "http://example.org/rules"}, "implicit rules"),
        ({"modifierExtension": [{"url": "urn:not"}]}, "unknown modifier extension"),
        ({"participant": [{"modifierExtension": [{"url": "urn:not"}]}]}, "unknown modifier extension"),
        ({"status": None}, "no-status"),
        ({"status": "banana"}, "unknown-status"),
        ({"status": 3}, "wrong type: Expected `str | null`, got `int` - at `$.status`"),
        ({"end": "2026-11-24T07:59:59+01:00"}, "end-before-start"),
        ({"start": "2026-11-24"}, "bad-instant"),
        ({"start": "2026-02-30T08:00:00Z"}, "bad-instant"),
        ({"start": "2026-11-24T08:00:00+99:00"}, "bad-instant"),
        ({"end": ""}, "bad-instant"),
        ({"minutesDuration": "90"}, "wrong type: minutesDuration"),
        ({"minutesDuration": True}, "wrong type: minutesDuration"),
        ({"extension": {"url": "x"}}, "wrong type: extension"),
        ({"meta": []}, None),
        ({"meta": {"versionId": 3}}, "wrong type: Expected `str | null`, got `int` - at `$.versionId`"),
    ],
)
def test_quarantine(elements: dict[str, Any], why: str | None) -> None:
    if why is None:
        assert isinstance(NORMALISER.version(changed(APPOINTMENT, **elements), NOW), Fact)
    else:
        assert reason(changed(APPOINTMENT, **elements)) == why


@pytest.mark.parametrize("raw", [ENCOUNTER, PROCEDURE])
def test_unknown_status_of_others(raw: dict[str, Any]) -> None:
    assert reason(changed(raw, status="discontinued")) == "unknown-status"


def test_wrong_type_says_where() -> None:
    why = reason(changed(APPOINTMENT, participant=[{"actor": {"reference": 3}}]))
    assert why == "wrong type: Expected `str | null`, got `int` - at `$.participant[0].actor.reference`"


def test_too_deep() -> None:
    nested: dict[str, Any] = {}
    for _ in range(60_000):
        nested = {"extension": [nested]}
    assert reason(changed(LOCATION, contained=None) | {"extension": [nested]}) == "too deep"
    while nested:  # taken apart level by level: freeing so deep a nest at once is slow
        nested = nested["extension"].pop()


def test_quarantined_names_no_patient() -> None:
    outcome = NORMALISER.version(changed(PATIENT, gender=3), NOW)
    assert isinstance(outcome, Quarantined)
    assert (outcome.type, outcome.id, outcome.version_id) == ("Patient", P1, "3")
    unknown = NORMALISER.version({"resourceType": "Person", "id": "p1"}, NOW)
    assert isinstance(unknown, Quarantined)
    assert (unknown.type, unknown.id) == ("", "")


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


# References


@pytest.mark.parametrize(
    "reference",
    [
        "Location/room-1",
        "Location/room-1/_history/3",
        f"{BASE}/Location/room-1",
        f"{BASE}/Location/room-1/_history/3",
        "https://FHIR.clinic.example:443/r4/Location/room-1",
    ],
)
def test_resolved_reference(reference: str) -> None:
    assert appointment(**participant(reference=reference)).locations == ("Location/room-1",)


@pytest.mark.parametrize(
    ("actor", "finding"),
    [
        ({"reference": "#room"}, "contained-reference"),
        ({"reference": "https://other.example/r4/Location/room-1"}, "foreign-reference"),
        ({"reference": f"{BASE}/../Location/room-1"}, "foreign-reference"),
        ({"reference": "javascript:alert(1)"}, "foreign-reference"),
        ({"reference": "urn:uuid:6d3c1f0e-0000-4000-8000-000000000001"}, "unresolved-reference"),
        ({"reference": "Location?identifier=x"}, "unresolved-reference"),
        ({"reference": "Location/../room"}, "unresolved-reference"),
        ({"reference": "Location/" + "x" * 65}, "unresolved-reference"),
        ({"type": "Location", "identifier": {"value": "x"}}, "logical-reference"),
        ({"display": "Salle 1"}, "display-reference"),
        ({}, "display-reference"),
    ],
)
def test_unresolved_reference(actor: dict[str, Any], finding: str) -> None:
    raw = changed(APPOINTMENT, **participant(**actor))
    assert finding in read(raw).findings
    assert appointment(**participant(**actor)).locations == ()


def test_reference_to_wrong_type() -> None:
    raw = changed(PROCEDURE, encounter={"reference": "Patient/p1"})
    assert "wrong-target" in read(raw).findings
    found = assertion(raw)
    assert isinstance(found, ProcedureFact)
    assert found.encounter is None


# Words


@pytest.mark.parametrize(
    ("text", "surgical"),
    [
        ("Chirurgie viscérale", True),
        ("CHIRURGIE ORTHOPÉDIQUE", True),
        ("Intervention programmée", True),
        ("Bloc opératoire", True),
        ("Arthroplastie de hanche", True),
        ("Surgery - General", True),
        ("Consultation de chirurgie", False),
        ("Consultation pré-opératoire", False),
        ("Visite post-opératoire", False),
        ("Kinésithérapie", False),
        ("Scanner", False),
        ("Follow-up visit", False),
        ("Routine appointment - default if not valued", None),
        ("Cardiologie", None),
        ("Blocage articulaire", None),
    ],
)
def test_words_of_surgery(text: str, surgical: bool | None) -> None:
    (concept,) = appointment(serviceType=[{"text": text}]).services
    assert concept.surgical is surgical
    assert concept.text_hash == PSEUDONYMS.text(text)


@pytest.mark.parametrize(
    ("system", "code", "surgical"),
    [
        ("http://terminology.hl7.org/CodeSystem/service-type", "221", True),
        ("http://terminology.hl7.org/CodeSystem/v2-0276", "FOLLOWUP", False),
        ("http://terminology.hl7.org/CodeSystem/v2-0276", "ROUTINE", None),
        ("urn:theirs", "221", None),
    ],
)
def test_codes_of_surgery(system: str, code: str, surgical: bool | None) -> None:
    (concept,) = appointment(serviceType=[{"coding": [{"system": system, "code": code}]}]).services
    assert concept.surgical is surgical


def test_text_beside_coding_is_dropped_but_heard() -> None:
    coded = {"coding": [{"system": "urn:s", "code": "1"}], "text": "Consultation"}
    (concept,) = appointment(serviceType=[coded]).services
    assert concept == Concept((Code("urn:s", "1", ""),), None, False)


def test_coding_without_code_is_words() -> None:
    (concept,) = appointment(serviceType=[{"coding": [{"display": "Chirurgie"}]}]).services
    assert concept == Concept((), PSEUDONYMS.text("Chirurgie"), True)


def test_kept_words_are_safe() -> None:
    found = assertion(changed(LOCATION, name="Salle\x00 \u202e1\ud800" + "x" * 999))
    assert isinstance(found, LocationFact)
    assert found.name.startswith("Salle 1x")
    assert len(found.name) == 256


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ({"text": "Chirurgien"}, "surgeon"),
        ({"text": "Surgeon"}, "surgeon"),
        ({"text": "Médecin anesthésiste"}, "anesthetist"),
        ({"text": "Anesthesiologist"}, "anesthetist"),
        ({"text": "IBODE"}, "nurse"),
        ({"text": "Infirmière"}, "nurse"),
        ({"text": "Infirmier anesthésiste (IADE)"}, "nurse"),
        (
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "PPRF"}]},
            "surgeon",
        ),
        ({"coding": [{"system": "http://snomed.info/sct", "code": "88189002"}]}, "anesthetist"),
        ({"text": "Brancardier"}, ""),
    ],
)
def test_role(role: dict[str, Any], name: str) -> None:
    who = [{"actor": {"reference": "Practitioner/d1"}, "type": [role]}]
    assert appointment(participant=who).team == (Person("Practitioner/d1", name),)


def test_person_named_twice_keeps_role() -> None:
    actor = {"reference": "Practitioner/d1"}
    who = [{"actor": actor}, {"actor": actor, "type": [{"text": "Chirurgien"}]}, {"actor": actor}]
    assert appointment(participant=who).team == (Person("Practitioner/d1", "surgeon"),)


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
    by_kind = {(stamp.milestone, stamp.place): stamp for stamp in encounter().stamps if stamp.location}
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
    assert encounter(status=status, statusHistory=None).stamps == ()


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


def test_server_by_name_knows_no_base() -> None:
    outcome = Normaliser("clinic", PSEUDONYMS, PARIS).version(
        changed(APPOINTMENT, **participant(reference=f"{BASE}/Location/1")), NOW
    )
    assert isinstance(outcome, Fact)
    assert "foreign-reference" in outcome.findings


def test_samples_have_no_findings() -> None:
    assert {finding for raw in ALL for finding in read(raw).findings} == set()
