"""What is over for good leaves memory: the journal keeps it, the twins of the day don't need it."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from twin.facts import PatientFact, ResultFact, over_since
from twin.projections.ledger import Ledger, Resource
from twin.timebase import day_start

AFTER = timedelta(days=7)
"""Kept so long beyond the horizon: what still links to a case of its first days, and stamps that come late (guess)."""


def past_before(first: date, zone: ZoneInfo) -> datetime:
    """What was over before this instant is past, where the horizon begins with the day `first`."""
    return day_start(first - AFTER, zone)


def without_past(ledger: Ledger, first: date, zone: ZoneInfo, *, among: Iterable[str] | None = None) -> Ledger:
    """The ledger without what is past by `is_past`; with `among` only those refs are looked at."""
    resources = ledger.resources
    past = {ref for ref in (resources if among is None else among) if is_past(resources[ref], first, zone)}
    if not past:
        return ledger
    return Ledger(MappingProxyType({ref: resource for ref, resource in resources.items() if ref not in past}))


def is_past(resource: Resource, first: date, zone: ZoneInfo) -> bool:
    """True for an Appointment, Encounter, Procedure or Slot that was over a week before the day `first`.

    What has no time, or carries a prediction of ours, stays. It depends on the resource alone, on no other.
    """
    if resource.newest.carried.present:
        return False
    last = over_since(resource.content.assertion, deleted=resource.deleted)
    return last is not None and last < past_before(first, zone)


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
    known = named | merged
    strangers = {
        ref
        for ref, resource, content in apart
        if (content.patient if isinstance(content, ResultFact) else resource.newest.key.id) not in known
    }
    kept = {ref: resource for ref, resource in ledger.resources.items() if ref not in strangers} if strangers else {}
    return ledger if not strangers else Ledger(MappingProxyType(kept))
