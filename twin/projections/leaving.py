"""What is over for good leaves memory: the journal keeps it, the twins of the day don't need it."""

from collections.abc import Iterable
from datetime import date, timedelta, tzinfo
from types import MappingProxyType

from twin.facts import AppointmentFact, EncounterFact, PatientFact, ProcedureFact, ResultFact, SlotFact
from twin.projections.ledger import Ledger, Resource

AFTER = timedelta(days=7)
"""Kept so long beyond the horizon: what still links to a case of its first days, and stamps that come late (guess)."""
_OVER = frozenset(
    {
        *("fulfilled", "cancelled", "noshow", "entered-in-error"),
        *("finished", "completed", "stopped", "not-done"),
    }
)


def without_past(ledger: Ledger, first: date, zone: tzinfo, *, among: Iterable[str] | None = None) -> Ledger:
    """The ledger without what is past by `is_past`; with `among` only those refs are looked at."""
    resources = ledger.resources
    past = {ref for ref in (resources if among is None else among) if is_past(resources[ref], first, zone)}
    if not past:
        return ledger
    return Ledger(MappingProxyType({ref: resource for ref, resource in resources.items() if ref not in past}))


def is_past(resource: Resource, first: date, zone: tzinfo) -> bool:
    """True for an Appointment, Encounter, Procedure or Slot that ended a week before the day `first`.

    A booking or a Slot of the past is over whatever its status; an Encounter or an act needs a status that says so.
    What has no time, or carries a prediction of ours, stays. It depends on the resource alone, on no other.
    """
    content = resource.content.assertion
    if not isinstance(content, AppointmentFact | EncounterFact | ProcedureFact | SlotFact):
        return False
    if resource.newest.carried.present:
        return False
    if isinstance(content, EncounterFact | ProcedureFact) and not resource.deleted and content.status not in _OVER:
        return False
    times = [at for at in (content.start, content.end) if at is not None]
    if isinstance(content, EncounterFact):
        times += (at for stay in content.stays for at in (stay.start, stay.end) if at is not None)
    return bool(times) and max(times).astimezone(zone).date() < first - AFTER


def without_strangers(ledger: Ledger) -> Ledger:
    """The ledger without Patients that no case's resource names, and their results; records that were merged stay."""
    contents = ((ref, resource, resource.content.assertion) for ref, resource in ledger.resources.items())
    named: set[str | None] = set()
    apart = []
    for ref, resource, content in contents:
        if isinstance(content, PatientFact | ResultFact):
            apart.append((ref, resource, content))
        else:
            named.add(getattr(content, "patient", None))
    merged = {
        resource.newest.key.id
        for _, resource, content in apart
        if isinstance(content, PatientFact) and (content.replaced_by or content.replaces)
    }
    strangers = {
        ref
        for ref, resource, content in apart
        if (content.patient if isinstance(content, ResultFact) else resource.newest.key.id) not in named | merged
    }
    kept = {ref: resource for ref, resource in ledger.resources.items() if ref not in strangers} if strangers else {}
    return ledger if not strangers else Ledger(MappingProxyType(kept))
