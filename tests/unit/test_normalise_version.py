"""The version's key, what is quarantined, and the readings of references, words and roles."""

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
    P1,
    PARIS,
    PATIENT,
    PROCEDURE,
    PSEUDONYMS,
    appointment,
    assertion,
    changed,
    participant,
    read,
    reason,
)
from twin.facts import (
    Carried,
    Code,
    Concept,
    Fact,
    LocationFact,
    Person,
    ProcedureFact,
    Quarantined,
)

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
        ({"resourceType": "Condition"}, "unknown resource type"),
        ({"resourceType": ["Appointment"]}, "unknown resource type"),
        ({"id": None}, "no id"),
        ({"id": 7}, "bad id"),
        ({"id": ""}, "bad id"),
        ({"id": "../admin"}, "bad id"),
        ({"id": "x" * 65}, "bad id"),
        ({"implicitRules": "http://example.org/rules"}, "implicit rules"),
        ({"resourceType": "Encounter", "class": [{"text": "IMP"}]}, "a resource of FHIR R5: R4 and R4B are read"),
        ({"resourceType": "Procedure", "occurrencePeriod": {}}, "a resource of FHIR R5: R4 and R4B are read"),
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
        ({"extension": None}, None),
        ({"meta": {"lastUpdated": 3}}, "wrong type: Expected `str | null`, got `int` - at `$.lastUpdated`"),
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


def test_server_by_name_knows_no_base() -> None:
    outcome = Normaliser("clinic", PSEUDONYMS, PARIS).version(
        changed(APPOINTMENT, **participant(reference=f"{BASE}/Location/1")), NOW
    )
    assert isinstance(outcome, Fact)
    assert "foreign-reference" in outcome.findings


def test_samples_have_no_findings() -> None:
    assert {finding for raw in ALL for finding in read(raw).findings} == set()


def test_version_id_as_a_number() -> None:
    assert read(changed(APPOINTMENT, meta={**META, "versionId": 3})).key.version_id == "3"
    unnamed = read(changed(APPOINTMENT, meta={**META, "versionId": True}))
    assert "no-version-id" in unnamed.findings
