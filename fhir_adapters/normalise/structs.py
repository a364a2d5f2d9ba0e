"""The elements that we read, and nothing else. Narrow and tolerant: other elements are passed over.

An element that is used and has another JSON type than FHIR gives it makes msgspec refuse the resource.
"""

from typing import Any

import msgspec


class Element(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """Root of the structs; Python names stand for the camel case of FHIR. No cycles, so nothing for the collector."""


class Reference(Element, frozen=True):
    """A reference in any of its forms; `identifier` and `display` are only looked at for being there."""

    reference: str | None = None
    type: str | None = None
    identifier: Any = None
    display: Any = None


class Coding(Element, frozen=True):
    """One code of a system."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class CodeableConcept(Element, frozen=True):
    """Codes and words."""

    coding: tuple[Coding, ...] | None = None
    text: str | None = None


class Period(Element, frozen=True):
    """Start and end as written."""

    start: str | None = None
    end: str | None = None


class Meta(Element, frozen=True):
    """What the server says about the version."""

    version_id: Any = None
    last_updated: str | None = None


class AppointmentParticipant(Element, frozen=True):
    """Who or what takes part."""

    actor: Reference | None = None
    type: tuple[CodeableConcept, ...] | None = None
    status: str | None = None


class Appointment(Element, frozen=True):
    """A booking."""

    status: str | None = None
    start: str | None = None
    end: str | None = None
    minutes_duration: Any = None
    participant: list[AppointmentParticipant] | None = None
    service_category: list[CodeableConcept] | None = None
    service_type: list[CodeableConcept] | None = None
    specialty: list[CodeableConcept] | None = None
    appointment_type: CodeableConcept | None = None
    reason_code: list[CodeableConcept] | None = None
    based_on: list[Reference] | None = None


class StatusHistory(Element, frozen=True):
    """A status that the Encounter had."""

    status: str | None = None
    period: Period | None = None


class EncounterLocation(Element, frozen=True):
    """A place where the patient was."""

    location: Reference | None = None
    status: str | None = None
    period: Period | None = None


class EncounterParticipant(Element, frozen=True):
    """A person who took part."""

    type: tuple[CodeableConcept, ...] | None = None
    individual: Reference | None = None


class Encounter(Element, frozen=True):
    """A stay or a movement."""

    status: str | None = None
    status_history: list[StatusHistory] | None = None
    class_: Coding | None = msgspec.field(name="class", default=None)
    subject: Reference | None = None
    based_on: list[Reference] | None = None
    appointment: list[Reference] | None = None
    part_of: Reference | None = None
    period: Period | None = None
    location: list[EncounterLocation] | None = None
    participant: list[EncounterParticipant] | None = None


class Performer(Element, frozen=True):
    """A person who did it."""

    function: CodeableConcept | None = None
    actor: Reference | None = None


class Procedure(Element, frozen=True):
    """An act."""

    status: str | None = None
    code: CodeableConcept | None = None
    category: CodeableConcept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    location: Reference | None = None
    part_of: list[Reference] | None = None
    based_on: list[Reference] | None = None
    performed_period: Period | None = None
    performed_date_time: str | None = None
    performer: list[Performer] | None = None
    extension: list[Any] | None = None


class Location(Element, frozen=True):
    """A place."""

    name: str | None = None
    alias: list[str | None] | None = None
    type: list[CodeableConcept] | None = None
    physical_type: CodeableConcept | None = None
    part_of: Reference | None = None
    status: str | None = None
    operational_status: Coding | None = None
    extension: list[Any] | None = None


class PatientLink(Element, frozen=True):
    """Another record of the same person."""

    other: Reference | None = None
    type: str | None = None


class Patient(Element, frozen=True):
    """A person, as far as bands are made of it."""

    birth_date: str | None = None
    gender: str | None = None
    active: bool | None = None
    link: list[PatientLink] | None = None


class ServiceRequest(Element, frozen=True):
    """An order."""

    status: str | None = None
    category: list[CodeableConcept] | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None


class Schedule(Element, frozen=True):
    """Whose time it is."""

    active: bool | None = None
    actor: list[Reference] | None = None


class Slot(Element, frozen=True):
    """A stretch of a Schedule."""

    status: str | None = None
    schedule: Reference | None = None
    start: str | None = None
    end: str | None = None
