"""What a hospital puts on its server, by hand: short builders of FHIR JSON. Times of the day are Paris winter time."""

from typing import Any

Json = dict[str, Any]
DAY = "2026-11-24"
NEXT = "2026-11-25"


def at(clock: str, day: str = DAY) -> str:
    """An instant of the site: "08:05" -> 2026-11-24T08:05:00+01:00; a whole one stays."""
    return clock if "T" in clock else f"{day}T{clock}:00+01:00"


def reference(ref: str) -> Json:
    """A Reference."""
    return {"reference": ref}


def period(start: str | None, end: str | None = None) -> Json:
    """A Period of the day."""
    told = {"start": start and at(start), "end": end and at(end)}
    return {name: value for name, value in told.items() if value}


def location(name: str, words: str, inside: str | None = None, **more: Any) -> Json:
    """A place; `inside` is the id of the one around it."""
    around = {"partOf": reference(f"Location/{inside}")} if inside else {}
    return {"resourceType": "Location", "id": name, "status": "active", "name": words, **around, **more}


def patient(name: str) -> Json:
    """A synthetic person."""
    told = {"gender": "female", "birthDate": "1961-04-02", "name": [{"family": "SYNTHETIC"}]}
    return {"resourceType": "Patient", "id": name, **told}


def appointment(name: str, room: str | None, start: str | None, end: str | None, **more: Any) -> Json:
    """A booking of the patient p-{name}."""
    actors = [f"Patient/p-{name}", *([f"Location/{room}"] if room else [])]
    booked = {"start": start and at(start), "end": end and at(end)}
    return {
        "resourceType": "Appointment",
        "id": name,
        "status": "booked",
        **{part: value for part, value in booked.items() if value},
        "participant": [{"actor": reference(actor), "status": "accepted"} for actor in actors],
        **more,
    }


def stay(room: str, start: str | None, end: str | None = None) -> Json:
    """An Encounter.location."""
    told = {"period": period(start, end)} if start else {}
    return {"location": reference(f"Location/{room}"), "status": "completed" if end else "active", **told}


def encounter(name: str, person: str, *stays: Json, **more: Any) -> Json:
    """A stay or a movement."""
    return {
        "resourceType": "Encounter",
        "id": name,
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": reference(f"Patient/{person}"),
        **({"location": list(stays)} if stays else {}),
        **more,
    }


def of(name: str, *stays: Json, **more: Any) -> Json:
    """The Encounter e-{name} of an Appointment."""
    return encounter(f"e-{name}", f"p-{name}", *stays, appointment=[reference(f"Appointment/{name}")], **more)


def procedure(name: str, person: str, room: str | None, **more: Any) -> Json:
    """An act."""
    where = {"location": reference(f"Location/{room}")} if room else {}
    return {
        "resourceType": "Procedure",
        "id": name,
        "status": "in-progress",
        "subject": reference(f"Patient/{person}"),
        **where,
        **more,
    }


def suite() -> list[Json]:
    """A suite with two rooms, a recovery room, a consulting room."""
    return [
        location("bloc", "Bloc opératoire"),
        location("s1", "Salle 1", "bloc"),
        location("s2", "Salle 2", "bloc"),
        location("sspi", "SSPI"),
        location("cs", "Cabinet de consultation 3"),
    ]


def morning() -> list[Json]:
    """10:30 of a Tuesday: room 1 runs late with a2 waiting, room 2 is on time with a5 to come; t1 is tomorrow's."""
    names = ("a1", "a2", "a3", "a4", "a5", "x1", "c1", "t1")
    return [
        *suite(),
        *(patient(f"p-{name}") for name in names),
        appointment("a1", "s1", "08:00", "09:30", status="arrived"),
        of("a1", stay("s1", "08:05")),
        appointment("a2", "s1", "09:45", "11:00"),
        appointment("a3", "s2", "08:00", "09:00", status="fulfilled"),
        of("a3", stay("s2", "08:02", "08:55"), status="finished", period=period("07:00", "10:15")),
        appointment("a4", "s2", "09:30", "11:30", status="arrived"),
        of("a4", stay("s2", "09:40")),
        appointment("a5", "s2", "12:00", "13:00"),
        appointment("x1", "s2", "13:30", "14:00", status="cancelled"),
        appointment("c1", "cs", "10:00", "10:20"),
        appointment("t1", "s1", at("08:00", NEXT), at("10:00", NEXT)),
    ]
