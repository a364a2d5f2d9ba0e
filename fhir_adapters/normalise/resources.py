"""What one version of each resource type asserts.

Readings: a booking or Slot whose instants can't be read, or that ends before it starts, is quarantined: everything
hangs on it; any other period that ends before it starts loses its end. Participants who declined are left out. A booked
length of 0 or of more than a day is no length. A partial birth date is read as the middle of what it can mean.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from fhir_adapters import dates
from fhir_adapters.normalise import results, stamps, structs, words
from fhir_adapters.normalise.reading import (
    NOT_HAPPENING,
    PEOPLE,
    Reader,
    Span,
    UnreadableError,
    concept_texts,
    team,
    unique,
)
from twin.facts import (
    AppointmentFact,
    Assertion,
    Concept,
    EncounterFact,
    LocationFact,
    PatientFact,
    ProcedureFact,
    ScheduleFact,
    ServiceRequestFact,
    SlotFact,
    Stay,
)
from twin.vocabulary import CareSetting

TIMEZONE = "http://hl7.org/fhir/StructureDefinition/timezone"
MAX_BOOKED_MIN = 1440
MAX_AGE = 130
_FULL_DATE = len("1957-03-08")
_AGE_BANDS = ((15, "0-15"), (39, "16-39"), (64, "40-64"), (79, "65-79"), (MAX_AGE, "80+"))

_APPOINTMENT_STATUSES = frozenset(
    {
        "proposed",
        "pending",
        "booked",
        "arrived",
        "fulfilled",
        "cancelled",
        "noshow",
        "entered-in-error",
        "checked-in",
        "waitlist",
    }
)
_ENCOUNTER_STATUSES = frozenset(
    {"planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error", "unknown"}
)
_PROCEDURE_STATUSES = frozenset(
    {"preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"}
)
_STAY_STATUSES = frozenset({"planned", "active", "reserved", "completed"})
_LOCATION_STATUSES = frozenset({"active", "suspended", "inactive"})
_REQUEST_STATUSES = frozenset({"draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"})
_SLOT_STATUSES = frozenset({"busy", "free", "busy-unavailable", "busy-tentative", "entered-in-error"})
_NEITHER: frozenset[str] = frozenset()
_GENDERS = frozenset({"male", "female", "other", "unknown"})


def appointment(reader: Reader, raw: dict[str, Any]) -> AppointmentFact:
    """A booking."""
    read = msgspec.convert(raw, structs.Appointment)
    status = reader.code(read.status, _APPOINTMENT_STATUSES)
    start, end = _booked(reader, read)
    patients, places, people = _participants(reader, read)
    return AppointmentFact(
        status=status,
        start=start,
        end=end,
        minutes=_booked_minutes(reader, read.minutes_duration),
        patient=_booked_patient(reader, patients),
        locations=reader.refs(places, "Location"),
        team=team([reader.person(one.actor, one.type or ()) for one in people]),
        services=reader.concepts(*(read.service_type or ()), *(read.service_category or ()), read.appointment_type),
        specialties=reader.concepts(*(read.specialty or ())),
        reasons=reader.concepts(*(read.reason_code or ())),
        requests=reader.refs(read.based_on, "ServiceRequest"),
        stamps=() if status == "entered-in-error" else stamps.of_status(reader, "Appointment", status),
    )


def _booked(reader: Reader, read: structs.Appointment | structs.Slot) -> Span:
    start, end = dates.instant(read.start, reader.rules.zone), dates.instant(read.end, reader.rules.zone)
    if (read.start is not None and start is None) or (read.end is not None and end is None):
        raise UnreadableError("bad-instant")
    if start and end and end < start:
        raise UnreadableError("end-before-start")
    if (start is None) != (end is None):
        reader.found("half-interval")
    return start, end


def _booked_minutes(reader: Reader, value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UnreadableError("wrong type: minutesDuration")
    if not 0 < value <= MAX_BOOKED_MIN:
        reader.found("implausible-minutes")
        return None
    return float(value)


def _participants(
    reader: Reader, read: structs.Appointment
) -> tuple[list[structs.Reference | None], list[structs.Reference | None], list[structs.AppointmentParticipant]]:
    """Patients, places, and the team."""
    patients, places, people = [], [], []
    for one in read.participant or ():
        kind = reader.kind(one.actor)
        if kind == "Patient":
            patients.append(one.actor)
        elif one.status == "declined":
            continue
        elif kind in PEOPLE:
            people.append(one)
        elif kind in ("Location", ""):  # of no known type it may be the room: reading it notes why it is unresolved
            places.append(one.actor)
    return patients, places, people


def _booked_patient(reader: Reader, actors: list[structs.Reference | None]) -> str | None:
    found = unique([reader.patient(actor) for actor in actors])
    if len(found) > 1:
        reader.found("several-patients")
    return found[0] if found else None


def encounter(reader: Reader, raw: dict[str, Any]) -> EncounterFact:
    """A stay or a movement."""
    read = msgspec.convert(raw, structs.Encounter)
    status = reader.code(read.status, _ENCOUNTER_STATUSES)
    span = reader.span(read.period)
    stays = _stays(reader, read, status=status, span=span)
    return EncounterFact(
        status=status,
        setting=_care_setting(reader, read.class_),
        patient=reader.patient(read.subject),
        part_of=reader.ref(read.part_of, "Encounter"),
        appointments=reader.refs(read.appointment, "Appointment"),
        requests=reader.refs(read.based_on, "ServiceRequest"),
        start=span[0],
        end=span[1],
        stays=stays,
        stay_rules=reader.rules.stay_rules[status] if stays else (),
        team=team(reader.person(one.individual, one.type or ()) for one in read.participant or ()),
        stamps=stamps.of_encounter(reader, read, status=status, span=span),
    )


def _stays(reader: Reader, read: structs.Encounter, *, status: str, span: Span) -> tuple[Stay, ...]:
    """Where the patient was. A movement's only place takes the Encounter's own times where it has none."""
    entries = read.location or []
    movement = (read.part_of is not None or len(entries) == 1) and status not in NOT_HAPPENING
    stays = []
    for entry in entries:
        where = reader.ref(entry.location, "Location")
        if where is None:
            continue
        start, end = reader.span(entry.period)
        own = _NEITHER
        if movement and entry.period is None:
            reader.found("stay-without-period")
            (start, end), own = span, frozenset({"start", "end"})
        elif len(entries) == 1 and read.part_of is not None and status == "finished" and end is None:
            reader.found("stay-without-end")
            end, own = span[1], frozenset({"end"})
        stays.append(Stay(where, _stay_status(reader, entry.status), start, end, own))
    return tuple(stays)


def _stay_status(reader: Reader, status: str | None) -> str:
    return _optional_code(reader, status, _STAY_STATUSES, "unknown-stay-status")


def _optional_code(reader: Reader, value: str | None, allowed: frozenset[str], finding: str) -> str:
    if value is None or value in allowed:
        return value or ""
    reader.found(finding)
    return ""


def _care_setting(reader: Reader, coding: structs.Coding | None) -> CareSetting:
    code = coding.code if coding is not None else None
    setting = reader.rules.settings.get(code or "", CareSetting.UNKNOWN)
    if code and setting is CareSetting.UNKNOWN:
        reader.found("unknown-class")
    return setting


def procedure(reader: Reader, raw: dict[str, Any]) -> ProcedureFact:
    """An act."""
    read = msgspec.convert(raw, structs.Procedure)
    status = reader.code(read.status, _PROCEDURE_STATUSES)
    span = stamps.performed(reader, read)
    parents = reader.refs(read.part_of, "Procedure", "Observation", "MedicationAdministration")
    return ProcedureFact(
        status=status,
        patient=reader.patient(read.subject),
        encounter=reader.ref(read.encounter, "Encounter"),
        location=reader.ref(read.location, "Location"),
        part_of=next((ref for ref in parents if ref.startswith("Procedure/")), None),
        requests=tuple(
            ref for ref in reader.refs(read.based_on, "ServiceRequest", "CarePlan") if ref.startswith("ServiceRequest/")
        ),
        code=reader.concept(read.code) or Concept(),
        category=reader.concept(read.category) or Concept(),
        start=span[0],
        end=span[1],
        team=team(reader.person(one.actor, (one.function,)) for one in read.performer or ()),
        stamps=stamps.of_procedure(reader, read, status=status, span=span),
    )


def location(reader: Reader, raw: dict[str, Any]) -> LocationFact:
    """A place; its names and the words of its type are kept."""
    read = msgspec.convert(raw, structs.Location)
    physical = (read.physical_type.coding or ()) if read.physical_type is not None else ()
    texts = [words.kept(text) for concept in read.type or () for text in concept_texts(concept)]
    return LocationFact(
        name=words.kept(read.name),
        aliases=tuple(alias for alias in map(words.kept, read.alias or ()) if alias),
        types=reader.concepts(*(read.type or ())),
        type_texts=unique(text for text in texts if text),
        physical=next((words.kept(one.code) for one in physical if one.code), ""),
        part_of=reader.ref(read.part_of, "Location"),
        status=_optional_code(reader, read.status, _LOCATION_STATUSES, "unknown-location-status"),
        operational=words.kept(read.operational_status.code) if read.operational_status is not None else "",
        timezone=_timezone(reader, read.extension or []),
    )


def _timezone(reader: Reader, extensions: list[Any]) -> str | None:
    for extension in extensions:
        if isinstance(extension, dict) and extension.get("url") == TIMEZONE:
            name = extension.get("valueCode")
            if isinstance(name, str) and _is_zone(name):
                return name
            reader.found("unknown-timezone")
    return None


def _is_zone(name: str) -> bool:
    if not (name.isascii() and name.isprintable() and 0 < len(name) <= 64):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def patient(reader: Reader, raw: dict[str, Any]) -> PatientFact:
    """A person under pseudonym."""
    read = msgspec.convert(raw, structs.Patient)
    gender = _optional_code(reader, read.gender, _GENDERS, "unknown-gender")
    return PatientFact(
        age_band=_age_band(reader, read.birth_date),
        gender=gender or None,
        active=read.active is not False,
        replaced_by=_linked(reader, read, "replaced-by"),
        replaces=_linked(reader, read, "replaces"),
    )


def _linked(reader: Reader, read: structs.Patient, kind: str) -> tuple[str, ...]:
    return unique([reader.patient(one.other) for one in read.link if one.type == kind]) if read.link else ()


def _age_band(reader: Reader, birth_date: str | None) -> str | None:
    if birth_date is None:
        return None
    first = dates.earliest(birth_date)
    last = first if len(birth_date) == _FULL_DATE else dates.latest(birth_date)
    if first is None or last is None:
        reader.found("bad-date")
        return None
    age = _age(first + (last - first) / 2, reader.observed_at)
    band = next((name for oldest, name in _AGE_BANDS if age <= oldest), None) if age >= 0 else None
    if band is None:
        reader.found("implausible-birth-date")
    return band


def _age(born: date, at: datetime) -> int:
    return at.year - born.year - ((at.month, at.day) < (born.month, born.day))


def service_request(reader: Reader, raw: dict[str, Any]) -> ServiceRequestFact:
    """An order; of a subject that is no patient nothing is kept."""
    read = msgspec.convert(raw, structs.ServiceRequest)
    return ServiceRequestFact(
        status=reader.code(read.status, _REQUEST_STATUSES),
        patient=reader.patient(read.subject),
        code=reader.concept(read.code) or Concept(),
        categories=reader.concepts(*(read.category or ())),
    )


def schedule(reader: Reader, raw: dict[str, Any]) -> ScheduleFact:
    """Whose time it is; only Locations among the actors are kept."""
    read = msgspec.convert(raw, structs.Schedule)
    places = (actor for actor in read.actor or () if reader.kind(actor) in ("Location", ""))
    return ScheduleFact(active=read.active is not False, locations=reader.refs(places, "Location"))


def slot(reader: Reader, raw: dict[str, Any]) -> SlotFact:
    """A stretch of a Schedule."""
    read = msgspec.convert(raw, structs.Slot)
    start, end = _booked(reader, read)
    return SlotFact(
        status=reader.code(read.status, _SLOT_STATUSES),
        schedule=reader.ref(read.schedule, "Schedule"),
        start=start,
        end=end,
    )


READERS: dict[str, Callable[[Reader, dict[str, Any]], Assertion]] = {
    "Appointment": appointment,
    "Encounter": encounter,
    "Procedure": procedure,
    "Location": location,
    "Patient": patient,
    "ServiceRequest": service_request,
    "Schedule": schedule,
    "Slot": slot,
    "Observation": results.observation,
    "RiskAssessment": results.risk_assessment,
}
