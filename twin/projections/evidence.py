"""What linking starts from: the surgical bookings, the Encounters and the Procedures of one server, and who is who."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from twin.facts import AppointmentFact, EncounterFact, Horizon, PatientFact, ProcedureFact, ServiceRequestFact
from twin.projections.ledger import Ledger
from twin.projections.places import Places
from twin.timebase import site_date
from twin.vocabulary import PlaceKind

_WITHDRAWN = frozenset({"cancelled", "noshow", "entered-in-error"})
_MAY_BE_ADMISSION = frozenset({None, PlaceKind.WARD, PlaceKind.DAY_UNIT, PlaceKind.HOLDING, PlaceKind.BED})
"""Places of a booking that don't rule out that it is the operation's."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Resources by `Type/id`. Deleted Appointments and Procedures are among them: their cases are closed, not gone."""

    places: Places
    appointments: Mapping[str, AppointmentFact]
    """Only those of surgery: see `is_surgical`."""
    withdrawn: frozenset[str]
    """Appointments that are deleted, cancelled, entered in error or whose patient did not come."""
    encounters: Mapping[str, EncounterFact]
    procedures: Mapping[str, ProcedureFact]
    void: frozenset[str]
    """Procedures that are deleted or entered in error."""
    survivor: Callable[[str | None], str | None]
    """The key of the patient that a patient's record was merged into."""

    def in_room(self, act: ProcedureFact) -> bool:
        """True where an act takes place in an operating room and isn't said to be something else."""
        return self.kind(act) is PlaceKind.ROOM and act.category.surgical is not False

    def kind(self, act: ProcedureFact) -> PlaceKind | None:
        """Where an act takes place: its Location, else that of the movement that it belongs to."""
        moved = self.encounters.get(act.encounter or "")
        movement = moved is not None and moved.part_of is not None and not act.location
        where = moved.stays[0].location if moved and movement and moved.stays else act.location
        return self.places.kind(where)

    def stay(self, ref: str) -> str:
        """The Encounter of the whole stay that a movement belongs to, itself where it is one."""
        seen = [ref]
        while (known := self.encounters.get(seen[-1])) and known.part_of and known.part_of not in seen:
            seen.append(known.part_of)
        return seen[-1]


def evidence_of(ledger: Ledger, places: Places) -> Evidence:
    """Gather what can be linked."""
    booked = list(ledger.of(AppointmentFact, deleted=True))
    acts = list(ledger.of(ProcedureFact, deleted=True))
    orders = orders_of(ledger, places)
    return Evidence(
        places=places,
        appointments={resource.ref: fact for resource, fact in booked if is_surgical(fact, places, orders)},
        withdrawn=frozenset(r.ref for r, fact in booked if r.deleted or fact.status in _WITHDRAWN),
        encounters={r.ref: fact for r, fact in ledger.of(EncounterFact) if fact.status != "entered-in-error"},
        procedures={r.ref: fact for r, fact in acts},
        void=frozenset(r.ref for r, fact in acts if r.deleted or fact.status == "entered-in-error"),
        survivor=surviving_patients(ledger),
    )


@dataclass(frozen=True, slots=True)
class Orders:
    """What is known of ServiceRequests, by `ServiceRequest/id`."""

    said: frozenset[str]
    """Their own category or code says surgery."""
    denied: frozenset[str]
    """It says consultation, or another thing."""
    operated: frozenset[str]
    """An operation is based on them."""
    roomed: Mapping[str, datetime]
    """When the last Appointment in a room that is based on them starts."""


def orders_of(ledger: Ledger, places: Places) -> Orders:
    """Gather what ServiceRequests say, and what is said by those who are based on them."""
    told = {r.ref: fact.surgical for r, fact in ledger.of(ServiceRequestFact) if fact.status != "entered-in-error"}
    acts = (
        act
        for _, act in ledger.of(ProcedureFact, deleted=True)
        if places.kind(act.location) is PlaceKind.ROOM or True in (act.category.surgical, act.code.surgical)
    )
    return Orders(
        said=frozenset(ref for ref, surgical in told.items() if surgical is True),
        denied=frozenset(ref for ref, surgical in told.items() if surgical is False),
        operated=frozenset(request for act in acts for request in act.requests),
        roomed=_roomed(ledger, places),
    )


def _roomed(ledger: Ledger, places: Places) -> dict[str, datetime]:
    last: dict[str, datetime] = {}
    for _, booked in ledger.of(AppointmentFact):
        if booked.start and booked.status not in _WITHDRAWN and PlaceKind.ROOM in map(places.kind, booked.locations):
            for request in booked.requests:
                last[request] = max(booked.start, last.get(request, booked.start))
    return last


def is_surgical(booked: AppointmentFact, places: Places, orders: Orders) -> bool:
    """True where a room or the suite takes part; elsewhere where its ServiceRequest is surgical.

    A consultation, by its service, specialty or request, is one wherever its place isn't an operating room itself.
    Without a known place an operation for the same request is enough; on a ward or in a day unit the request has to
    say surgery itself. What comes before an Appointment in a room for the same request prepares it: an admission, say.
    """
    kinds = {places.kind(ref) for ref in booked.locations}
    if PlaceKind.ROOM in kinds:
        return True
    if says_otherwise(booked):
        return False
    if PlaceKind.SUITE in kinds:
        return True
    requests = {one for one in booked.requests if one not in orders.denied and not _prepares(booked, one, orders)}
    surgical = orders.said | orders.operated if kinds <= {None} else orders.said
    return kinds <= _MAY_BE_ADMISSION and not requests.isdisjoint(surgical)


def _prepares(booked: AppointmentFact, request: str, orders: Orders) -> bool:
    operation = orders.roomed.get(request)
    return operation is not None and (booked.start is None or booked.start <= operation)


def says_otherwise(booked: AppointmentFact) -> bool:
    """True where a service or specialty of a booking says consultation or another thing than surgery."""
    return any(concept.surgical is False for concept in (*booked.services, *booked.specialties))


def deciding_requests(ledger: Ledger, places: Places, horizon: Horizon, zone: ZoneInfo) -> frozenset[str]:
    """`ServiceRequest/id` of the horizon's bookings whose place and words don't tell whether they are surgery."""
    return frozenset(
        request
        for _, booked in ledger.of(AppointmentFact)
        if booked.requests
        and (booked.start is None or horizon.first <= site_date(booked.start, zone) <= horizon.last)
        and {places.kind(ref) for ref in booked.locations} <= _MAY_BE_ADMISSION
        and not says_otherwise(booked)
        for request in booked.requests
    )


def surviving_patients(ledger: Ledger) -> Callable[[str | None], str | None]:
    """Maps a patient's key to the surviving one after merges; unknown keys to themselves."""
    union = Union()
    replaced: set[str] = set()
    for resource, fact in ledger.of(PatientFact):
        key = resource.newest.key.id
        union.join(key, (*fact.replaced_by, *fact.replaces))
        replaced.update([key] if fact.replaced_by else [], fact.replaces)
    survivor = {
        key: min(members, key=lambda one: (one in replaced, one)) for members in union.groups() for key in members
    }
    return lambda key: survivor.get(key, key) if key else None


class Union:
    """Disjoint sets of names."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def join(self, name: str, others: Iterable[str] = ()) -> None:
        """Put a name and others into one set."""
        root = self._root(name)
        for other in others:
            self._parent[self._root(other)] = root

    def groups(self) -> list[list[str]]:
        """All sets; names in order."""
        out: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._parent):
            out[self._root(name)].append(name)
        return list(out.values())

    def _root(self, name: str) -> str:
        parent = self._parent.setdefault(name, name)
        if parent == name:
            return name
        while (above := self._parent[parent]) != parent:
            self._parent[name] = above
            name, parent = parent, above
        return parent
