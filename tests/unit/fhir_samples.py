"""Small complete resources, as a hospital's server gives them, and what reads them."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fhir_adapters.normalise import Normaliser
from fhir_adapters.pseudonyms import Pseudonyms
from twin.facts import AppointmentFact, Assertion, EncounterFact, Fact, ProcedureFact, Quarantined, Stamp
from twin.projections.stamps import stay_stamps
from twin.vocabulary import PlaceKind

BASE = "https://fhir.clinic.example/r4"
PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
PSEUDONYMS = Pseudonyms(b"a key of the tests, 32 bytes long")
NORMALISER = Normaliser(BASE, PSEUDONYMS, PARIS)
META = {"versionId": "3", "lastUpdated": "2026-11-24T08:15:30.123+01:00"}

APPOINTMENT: dict[str, Any] = {
    "resourceType": "Appointment",
    "id": "a1",
    "meta": META,
    "status": "booked",
    "start": "2026-11-24T08:00:00+01:00",
    "end": "2026-11-24T09:30:00+01:00",
    "minutesDuration": 90,
    "serviceType": [{"coding": [{"system": "urn:services", "code": "CHV", "display": "Chirurgie viscérale"}]}],
    "specialty": [{"coding": [{"system": "http://snomed.info/sct", "code": "394609007"}]}],
    "reasonCode": [{"text": "Lithiase vésiculaire"}],
    "basedOn": [{"reference": "ServiceRequest/s1"}],
    "participant": [
        {"actor": {"reference": "Patient/p1"}, "status": "accepted"},
        {"actor": {"reference": "Location/room-1"}, "status": "accepted"},
        {
            "actor": {"reference": "Practitioner/d1"},
            "type": [{"coding": [{"system": "urn:r", "code": "x", "display": "Chirurgien"}]}],
            "status": "accepted",
        },
        {"actor": {"reference": "Practitioner/d2"}, "type": [{"text": "IADE"}], "status": "declined"},
    ],
}
ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter",
    "id": "e1",
    "meta": META,
    "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    "statusHistory": [{"status": "arrived", "period": {"start": "2026-11-24T07:01:00+01:00"}}],
    "subject": {"reference": "Patient/p1"},
    "appointment": [{"reference": "Appointment/a1"}],
    "period": {"start": "2026-11-24T07:00:00+01:00", "end": "2026-11-24T17:00:00+01:00"},
    "location": [
        {
            "location": {"reference": "Location/room-1"},
            "status": "completed",
            "period": {"start": "2026-11-24T08:05:00+01:00", "end": "2026-11-24T09:40:00+01:00"},
        }
    ],
    "participant": [{"type": [{"text": "Anesthésiste"}], "individual": {"reference": "Practitioner/d3"}}],
}
PROCEDURE: dict[str, Any] = {
    "resourceType": "Procedure",
    "id": "pr1",
    "meta": META,
    "status": "completed",
    "code": {"text": "Cholécystectomie"},
    "subject": {"reference": "Patient/p1"},
    "encounter": {"reference": "Encounter/e1"},
    "location": {"reference": "Location/room-1"},
    "performedPeriod": {"start": "2026-11-24T08:20:00+01:00", "end": "2026-11-24T09:25:00+01:00"},
    "performer": [{"function": {"text": "Infirmier anesthésiste"}, "actor": {"reference": "PractitionerRole/n1"}}],
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/procedure-incisionDateTime",
            "valueDateTime": "2026-11-24T08:22:00+01:00",
        },
        {
            "url": "http://hl7.org/fhir/StructureDefinition/procedure-progressStatus",
            "valueCodeableConcept": {"coding": [{"code": "in-recovery-room"}]},
        },
    ],
}
LOCATION: dict[str, Any] = {
    "resourceType": "Location",
    "id": "room-1",
    "meta": META,
    "status": "active",
    "name": "Salle 1",
    "alias": ["S1", None],
    "type": [{"coding": [{"system": "urn:places", "code": "SOP", "display": "Salle d'opération"}], "text": "Bloc"}],
    "physicalType": {"coding": [{"code": "ro"}]},
    "operationalStatus": {"code": "O"},
    "partOf": {"reference": "Location/suite"},
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": "Indian/Reunion"}],
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": META,
    "active": True,
    "gender": "female",
    "birthDate": "1950-03",
    "link": [{"other": {"reference": "Patient/p0"}, "type": "replaces"}],
}
SERVICE_REQUEST: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "id": "s1",
    "meta": META,
    "status": "active",
    "intent": "order",
    "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "387713003"}]}],
    "code": {"text": "Cholécystectomie"},
    "subject": {"reference": "Patient/p1"},
    "note": [{"text": "Mme Martin prefers mornings"}],
}
SCHEDULE: dict[str, Any] = {
    "resourceType": "Schedule",
    "id": "sch1",
    "meta": META,
    "actor": [{"reference": "Practitioner/d1"}, {"reference": "Location/room-1"}],
    "comment": "Dr Martin",
}
SLOT: dict[str, Any] = {
    "resourceType": "Slot",
    "id": "sl1",
    "meta": META,
    "status": "free",
    "schedule": {"reference": "Schedule/sch1"},
    "start": "2026-11-24T08:00:00+01:00",
    "end": "2026-11-24T12:00:00+01:00",
}
P1 = PSEUDONYMS.patient("p1")
ALL = (APPOINTMENT, ENCOUNTER, PROCEDURE, LOCATION, PATIENT, SERVICE_REQUEST, SCHEDULE, SLOT)


def changed(resource: dict[str, Any], **elements: Any) -> dict[str, Any]:
    """A copy with other top-level elements; None removes one."""
    copy = {**deepcopy(resource), **elements}
    return {name: value for name, value in copy.items() if value is not None}


def read(raw: object) -> Fact:
    """The fact of a resource that can be read."""
    outcome = NORMALISER.version(raw, NOW)
    assert isinstance(outcome, Fact), outcome
    return outcome


def assertion(raw: object) -> Assertion:
    """What it asserts."""
    return read(raw).assertion


def reason(raw: object) -> str:
    """Why a resource can't be read."""
    outcome = NORMALISER.version(raw, NOW)
    assert isinstance(outcome, Quarantined), outcome
    return outcome.reason


def appointment(**elements: Any) -> AppointmentFact:
    """What the sample booking with other elements asserts."""
    found = assertion(changed(APPOINTMENT, **elements))
    assert isinstance(found, AppointmentFact)
    return found


def participant(**actor: Any) -> dict[str, Any]:
    """The element `participant` with one actor."""
    return {"participant": [{"actor": actor, "status": "accepted"}]}


def all_stamps(found: AppointmentFact | EncounterFact | ProcedureFact) -> list[Stamp]:
    """Those of an Encounter's stays too, as if each place were of each kind."""
    stays = found if isinstance(found, EncounterFact) else EncounterFact("")
    each = (stamp for kind in PlaceKind for stamp in stay_stamps(stays, lambda ref: kind))  # noqa: B023 - used at once
    return list(dict.fromkeys([*found.stamps, *each]))
