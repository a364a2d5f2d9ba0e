"""Milestones that a resource asserts, by the mapping."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from fhir_adapters.normalise import structs
from fhir_adapters.normalise.mapping import Entry
from fhir_adapters.normalise.reading import NOT_HAPPENING, Reader, Span
from twin.facts import Stamp
from twin.vocabulary import Provenance

_NOT_PERFORMED = frozenset({"preparation", "not-done", "entered-in-error"})
_NEVER = frozenset({"not-done", "entered-in-error"})
_RUNNING = frozenset({"in-progress", "on-hold"})
_OVER = frozenset({"completed", "stopped"})


def of_status(reader: Reader, resource: str, status: str) -> tuple[Stamp, ...]:
    """States without an instant: the time is that of the first version that showed them."""
    return reader.rules.states[resource, status, ""]


def of_encounter(reader: Reader, encounter: structs.Encounter, *, status: str, span: Span) -> tuple[Stamp, ...]:
    """What an Encounter asserts but for its stays; nothing where it was entered in error."""
    if status == "entered-in-error":
        return ()
    stamps = [*of_status(reader, "Encounter", status), *_of_history(reader, encounter)]
    for part, at in zip(("start", "end"), span, strict=True):
        if at is None or status in NOT_HAPPENING:
            continue
        entries = reader.rules.holding["Encounter", f"period.{part}", status]
        stamps += [_stamp(entry, at) for entry in entries if encounter.part_of is None or not entry.whole_stay]
    return tuple(stamps)


def _of_history(reader: Reader, encounter: structs.Encounter) -> Iterator[Stamp]:
    if not encounter.status_history:
        return
    for entry in reader.rules.entries.get(("Encounter", "statusHistory.period.start"), ()):
        for past in encounter.status_history:
            at = reader.span(past.period)[0] if entry.holds_for(past.status) else None
            if at is not None:
                yield _stamp(entry, at)


def performed(reader: Reader, procedure: structs.Procedure) -> Span:
    """When the act began and ended.

    performedPeriod; else performedDateTime with a time of day: the start of an act that runs, the end of one that is
    over, nothing in other statuses.
    """
    if procedure.performed_period is not None:
        return reader.span(procedure.performed_period)
    at = reader.instant(procedure.performed_date_time)
    return (at if procedure.status in _RUNNING else None, at if procedure.status in _OVER else None)


def of_procedure(reader: Reader, procedure: structs.Procedure, *, status: str, span: Span) -> tuple[Stamp, ...]:
    """What a Procedure asserts; times of one that was not performed are none."""
    if status in _NEVER:
        return ()
    told = (None, None) if status in _NOT_PERFORMED else span
    stamps = list(of_status(reader, "Procedure", status))
    for part, at in zip(("start", "end"), told, strict=True):
        if at is not None:
            stamps += (_stamp(entry, at) for entry in reader.rules.holding["Procedure", f"performed.{part}", status])
        else:
            stamps += reader.rules.states["Procedure", status, part]
    stamps += _of_extensions(reader, procedure)
    return tuple(stamps)


def _of_extensions(reader: Reader, procedure: structs.Procedure) -> Iterator[Stamp]:
    entries = reader.rules.entries.get(("Procedure", "extension"), ())
    for extension in procedure.extension or ():
        url = extension.get("url") if isinstance(extension, dict) else None
        mine = [entry for entry in entries if entry.url == url]
        codes = _codes(extension.get("valueCodeableConcept")) if mine else ()
        for entry in mine:
            if entry.code:
                if not entry.code.isdisjoint(codes):
                    yield Stamp(entry.milestone, None, Provenance.DERIVED, without_visit=entry.without_visit)
            elif at := _valued_time(reader, extension):
                yield _stamp(entry, at)


def _valued_time(reader: Reader, extension: dict[str, Any]) -> datetime | None:
    value = extension.get("valueDateTime")
    return reader.instant(value if isinstance(value, str) else "")


def _codes(concept: object) -> set[str]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    codes = (one.get("code") for one in codings if isinstance(one, dict)) if isinstance(codings, list) else ()
    return {code for code in codes if isinstance(code, str)}


def _stamp(entry: Entry, at: datetime) -> Stamp:
    return Stamp(entry.milestone, at, entry.known, None, entry.place, entry.without_visit)
