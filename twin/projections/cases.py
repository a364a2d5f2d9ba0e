"""Linking: which Appointment, Procedures and Encounters are one case, that is one visit to a room.

Links are evidence, in any order of arrival: Encounter.appointment, a shared ServiceRequest, Procedure.encounter and
partOf. They join resources into *groups* (a stay, mostly); a group is then cut into visits to a room, and each visit
gets the booking and the acts that fit it best. Where nothing links, same patient and same room at about the same time
do, marked `estimated`. The result is a function of the set of facts alone.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from twin.facts import AppointmentFact, EncounterFact, PatientFact, ProcedureFact
from twin.projections.ledger import Ledger
from twin.projections.places import Places
from twin.timebase import minutes_between
from twin.vocabulary import PlaceKind

DIRECT_MOVE_MIN = 5.0
"""A patient who is in the next room within this time changed rooms; later, it is another visit (guess)."""
SAME_ROOM_GAP_MIN = 15.0
"""Two entries of the same room closer than this are one visit noted twice (guess)."""
FITS_WITHIN_MIN = 12 * 60.0
"""A booking and a visit further apart than this are not the same one where there is a choice (guess)."""
_OTHER_ROOM_MIN = 240.0
_WITHDRAWN_MIN = 120.0
_DIRECT = 0.01
"""What a link between the two themselves, not only by their stay, leaves of the distance."""
_WITHDRAWN = frozenset({"cancelled", "noshow", "entered-in-error"})
_MAY_OPERATE = frozenset({PlaceKind.ROOM, PlaceKind.SUITE, None})
_NOT_THERE_YET = frozenset({"planned", "reserved"})
_NO_ENCOUNTER = frozenset({"planned", "cancelled", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class Visit:
    """A stretch of one Encounter in one room. `nth` counts the room visits of the Encounter from 0."""

    encounter: str
    room: str
    start: datetime | None
    end: datetime | None
    nth: int = 0

    @property
    def anchor(self) -> str:
        """Its name among the anchors of a case."""
        return f"{self.encounter}#{self.nth}" if self.nth else self.encounter


@dataclass(frozen=True, slots=True)
class Links:
    """The resources of one case. `procedures` has the roots first; `encounters` has the stay's others too."""

    server: str
    appointment: str | None = None
    procedures: tuple[str, ...] = ()
    visits: tuple[Visit, ...] = ()
    encounters: tuple[str, ...] = ()
    last_of_stay: bool = True
    estimated: bool = False

    @property
    def anchors(self) -> tuple[str, ...]:
        """Names under which the case could have become known, the one that names it first."""
        booked = (self.appointment,) if self.appointment else ()
        return (*booked, *self.procedures, *(visit.anchor for visit in self.visits))

    @property
    def case_id(self) -> str:
        """A hash of the server and the first anchor."""
        return case_id(self.server, self.anchors[0])

    @property
    def aliases(self) -> tuple[str, ...]:
        """Ids that parts of the case had, or would have had, before they were linked."""
        return tuple(case_id(self.server, anchor) for anchor in self.anchors[1:])


def case_id(server: str, anchor: str) -> str:
    """Stable opaque id of the case that an anchor names."""
    return hashlib.blake2b(f"{server}|{anchor}".encode(), digest_size=8).hexdigest()


def surviving_patients(ledger: Ledger) -> Callable[[str | None], str | None]:
    """Maps a patient's key to the surviving one after merges; unknown keys to themselves."""
    union = _Union()
    replaced = set()
    for resource, fact in ledger.of(PatientFact):
        key = resource.newest.key.id
        for other in fact.replaced_by:
            union.join(key, other)
            replaced.add(key)
        for other in fact.replaces:
            union.join(key, other)
            replaced.add(other)
    survivor = {root: min(members, key=lambda key: (key in replaced, key)) for root, members in union.groups().items()}
    return lambda key: survivor.get(union.root(key), key) if key else key


def link(ledger: Ledger, places: Places, server: str) -> tuple[Links, ...]:
    """All cases of a server, by their ids."""
    linker = _Linker(ledger, places, server)
    return tuple(sorted(linker.cases(), key=lambda case: case.case_id))


class _Union:
    """Disjoint sets of names."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, name: str) -> str:
        parent = self._parent.setdefault(name, name)
        while parent != self._parent[parent]:
            self._parent[parent] = self._parent[self._parent[parent]]
            parent = self._parent[parent]
        return parent

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.root(one), self.root(other)))
        self._parent[second] = first

    def groups(self) -> dict[str, list[str]]:
        out: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._parent):
            out[self.root(name)].append(name)
        return out


@dataclass(slots=True)
class _Draft:
    """A case while it is being put together."""

    appointment: str | None = None
    visits: list[Visit] = field(default_factory=list)
    procedures: list[str] = field(default_factory=list)


class _Linker:
    """One linking of one ledger. A class only because all its steps share the same look-ups."""

    def __init__(self, ledger: Ledger, places: Places, server: str) -> None:
        self.places = places
        self.server = server
        self.patient = surviving_patients(ledger)
        self.appointments = {
            resource.ref: fact
            for resource, fact in ledger.of(AppointmentFact, deleted=True)
            if any(places.kind(ref) is PlaceKind.ROOM for ref in fact.locations)
        }
        self.gone = {resource.ref for resource, _ in ledger.of(AppointmentFact, deleted=True) if resource.deleted}
        self.encounters = {
            resource.ref: fact for resource, fact in ledger.of(EncounterFact) if fact.status != "entered-in-error"
        }
        self.voided = {
            resource.ref
            for resource, procedure in ledger.of(ProcedureFact, deleted=True)
            if procedure.status == "entered-in-error" or resource.deleted
        }
        self.procedures = {resource.ref: fact for resource, fact in ledger.of(ProcedureFact, deleted=True)}

    def cases(self) -> list[Links]:
        linked = [self._links(draft, group) for group in self._groups() for draft in self._cut(group)]
        return self._with_last(self._joined_by_place(linked))

    # Groups: everything that evidence joins.

    def _groups(self) -> list[list[str]]:
        union = _Union()
        for ref, appointment in self.appointments.items():
            _join(union, ref, appointment.requests)
        for ref, encounter in self.encounters.items():
            surgical = [booked for booked in encounter.appointments if booked in self.appointments]
            around = [encounter.part_of] if encounter.part_of else []
            _join(union, ref, [*surgical, *around, *encounter.requests])
        for ref, procedure in self.procedures.items():
            if ref in self.voided:
                _join(union, ref, [])
                continue
            hubs = [hub for hub in (procedure.encounter, procedure.part_of) if hub]
            _join(union, ref, [*hubs, *procedure.requests])
        return list(union.groups().values())

    # Cutting a group into visits.

    def _cut(self, group: Sequence[str]) -> list[_Draft]:
        appointments = [ref for ref in group if ref in self.appointments]
        spans = self._spans([ref for ref in group if ref in self.encounters])
        drafts = [_Draft(visits=span) for span in spans]
        self._place_bookings(drafts, appointments)
        self._place_acts(drafts, [ref for ref in group if ref in self.procedures])
        return drafts

    def _spans(self, encounters: Sequence[str]) -> list[list[Visit]]:
        visits = sorted(
            (visit for ref in encounters for visit in self._visits(ref)),
            key=lambda visit: (visit.start is None, visit.start, visit.encounter, visit.nth),
        )
        spans: list[list[Visit]] = []
        for visit in visits:
            if spans and _continues(spans[-1][-1], visit):
                spans[-1].append(visit)
            else:
                spans.append([visit])
        return spans

    def _visits(self, ref: str) -> Iterator[Visit]:
        encounter = self.encounters[ref]
        if encounter.status in _NO_ENCOUNTER:
            return
        alone = encounter.part_of is not None or len(encounter.stays) == 1
        stays = sorted(
            (
                (stay.start or (encounter.start if alone else None), stay)
                for stay in encounter.stays
                if stay.status not in _NOT_THERE_YET and self.places.kind(stay.location) is PlaceKind.ROOM
            ),
            key=lambda pair: (pair[0] is None, pair[0], pair[1].location),
        )
        for nth, (start, stay) in enumerate(stays):
            end = stay.end or (encounter.end if alone else None)
            yield Visit(ref, stay.location, start, end, nth)

    def _place_bookings(self, drafts: list[_Draft], appointments: Sequence[str]) -> None:
        if len(drafts) == 1 and len(appointments) == 1:
            drafts[0].appointment = appointments[0]
            return
        pairs = sorted(
            (cost, ref, index)
            for ref in appointments
            for index, draft in enumerate(drafts)
            if (cost := self._booking_cost(ref, draft)) <= FITS_WITHIN_MIN
        )
        placed: set[str] = set()
        for _, ref, index in pairs:
            if ref not in placed and drafts[index].appointment is None:
                drafts[index].appointment = ref
                placed.add(ref)
        drafts.extend(_Draft(appointment=ref) for ref in appointments if ref not in placed)

    def _booking_cost(self, ref: str, draft: _Draft) -> float:
        booked, visit = self.appointments[ref], draft.visits[0]
        direct = ref in self.encounters[visit.encounter].appointments and self.encounters[visit.encounter].part_of
        if direct and len(self.encounters[visit.encounter].appointments) == 1:
            return 0.0
        elsewhere = 0.0 if visit.room in booked.locations else _OTHER_ROOM_MIN
        return _apart(booked.start, visit.start) + elsewhere + self._unlikely(ref)

    def _unlikely(self, booking: str | None) -> float:
        withdrawn = booking in self.gone or (booking and self.appointments[booking].status in _WITHDRAWN)
        return _WITHDRAWN_MIN if withdrawn else 0.0

    def _place_acts(self, drafts: list[_Draft], procedures: Sequence[str]) -> None:
        for ref in sorted(procedures, key=lambda ref: (self.procedures[ref].start is None, self._moment(ref), ref)):
            if self._root(ref) != ref:
                continue
            family = [ref, *(child for child in procedures if child != ref and self._root(child) == ref)]
            best = min(
                ((self._act_cost(ref, draft), index) for index, draft in enumerate(drafts)),
                default=(float("inf"), -1),
            )
            if best[0] <= FITS_WITHIN_MIN:
                drafts[best[1]].procedures.extend(family)
            elif self._operates(ref):
                drafts.append(_Draft(procedures=family))

    def _moment(self, ref: str) -> float:
        start = self.procedures[ref].start or self.procedures[ref].end
        return start.timestamp() if start else 0.0

    def _root(self, ref: str) -> str:
        seen = [ref]
        while (above := self.procedures[seen[-1]].part_of) and above in self.procedures and above not in seen:
            seen.append(above)
        # A ring of parts has no top: its smallest name stands for it.
        return min(seen) if above in seen else seen[-1]

    def _operates(self, ref: str) -> bool:
        return self.places.kind(self.procedures[ref].location) is PlaceKind.ROOM

    def _act_cost(self, ref: str, draft: _Draft) -> float:
        """Minutes between an act and a draft, infinite where the act can't be part of it."""
        act = self.procedures[ref]
        if self.places.kind(act.location) not in _MAY_OPERATE or act.category.surgical is False:
            return float("inf")
        rooms, moment = self._where_when(draft)
        elsewhere = _OTHER_ROOM_MIN if self._operates(ref) and rooms and act.location not in rooms else 0.0
        taken = 30.0 if draft.procedures and act.start is None else 0.0
        inside = any(_within(act.start or act.end, visit.start, visit.end) for visit in draft.visits)
        apart = 0.0 if inside else _apart(act.start or act.end, moment)
        cost = elsewhere + taken + apart + self._unlikely(draft.appointment)
        return cost * (_DIRECT if self._directly(act, draft) else 1.0)

    def _directly(self, act: ProcedureFact, draft: _Draft) -> bool:
        asked = self.appointments[draft.appointment].requests if draft.appointment else ()
        moved = [visit.encounter for visit in draft.visits if self.encounters[visit.encounter].part_of]
        return act.encounter in moved or bool(set(asked) & set(act.requests))

    def _where_when(self, draft: _Draft) -> tuple[set[str], datetime | None]:
        if draft.visits:
            return {visit.room for visit in draft.visits}, draft.visits[0].start
        if draft.appointment:
            booked = self.appointments[draft.appointment]
            return set(booked.locations), booked.start
        acts = [self.procedures[ref] for ref in draft.procedures]
        return {act.location for act in acts if act.location}, acts[0].start

    def _links(self, draft: _Draft, group: Sequence[str]) -> Links:
        live = [ref for ref in draft.procedures if ref not in self.voided]
        return Links(
            server=self.server,
            appointment=draft.appointment,
            procedures=tuple(live or draft.procedures),
            visits=tuple(draft.visits),
            encounters=tuple(ref for ref in group if ref in self.encounters),
        )

    # What nothing links: same patient, same room, overlapping times.

    def _joined_by_place(self, cases: list[Links]) -> list[Links]:
        loose: dict[str, list[Links]] = defaultdict(list)
        for case in cases:
            if patient := self._patient(case):
                loose[patient].append(case)
        gone: set[str] = set()
        joined: list[Links] = []
        for mine in loose.values():
            pairs = (
                (self._gap(one, other), one, other) for one in mine for other in mine if self._completes(one, other)
            )
            for gap, one, other in sorted(pairs, key=lambda pair: (pair[0], pair[1].case_id, pair[2].case_id)):
                if gap <= _OTHER_ROOM_MIN and not {one.case_id, other.case_id} & gone:
                    gone |= {one.case_id, other.case_id}
                    joined.append(_merged(one, other))
        return [case for case in cases if case.case_id not in gone] + joined

    def _completes(self, case: Links, other: Links) -> bool:
        """True where `other` has only what `case` lacks, in the same room."""
        booked = case.appointment and not case.visits and not other.appointment
        visited = not case.appointment and case.visits and not case.procedures
        acted = not other.appointment and not other.visits and bool(other.procedures)
        lacks = (booked and not (case.procedures and other.procedures)) or (visited and acted)
        return case is not other and bool(lacks) and bool(self._extent(case)[0] & self._extent(other)[0])

    def _gap(self, case: Links, other: Links) -> float:
        return _gap_min(self._extent(case)[1:], self._extent(other)[1:])

    def _patient(self, case: Links) -> str | None:
        facts: Iterable[AppointmentFact | EncounterFact | ProcedureFact] = (
            *((self.appointments[case.appointment],) if case.appointment else ()),
            *(self.procedures[ref] for ref in case.procedures),
            *(self.encounters[visit.encounter] for visit in case.visits),
        )
        return self.patient(next((fact.patient for fact in facts if fact.patient), None))

    def _extent(self, case: Links) -> tuple[set[str], datetime | None, datetime | None]:
        if case.appointment:
            booked = self.appointments[case.appointment]
            return set(booked.locations), booked.start, booked.end
        if case.visits:
            return {visit.room for visit in case.visits}, case.visits[0].start, case.visits[-1].end
        act = self.procedures[case.procedures[0]]
        return {act.location} if act.location else set(), act.start, act.end

    def _with_last(self, cases: list[Links]) -> list[Links]:
        """Only the last case of a stay ends with the patient's discharge."""
        last: dict[str, tuple[float, str]] = {}
        for case in cases:
            start = self._extent(case)[1]
            rank = (start.timestamp() if start else 0.0, case.case_id)
            for ref in case.encounters:
                last[ref] = max(rank, last.get(ref, rank))
        return [
            replace(case, last_of_stay=all(last[ref][1] == case.case_id for ref in case.encounters)) for case in cases
        ]


def _join(union: _Union, ref: str, hubs: Iterable[str]) -> None:
    union.root(ref)
    for hub in hubs:
        union.join(ref, hub)


def _continues(before: Visit, after: Visit) -> bool:
    if before.end is None or after.start is None:
        return before.room == after.room
    gap = minutes_between(before.end, after.start)
    return gap <= (SAME_ROOM_GAP_MIN if before.room == after.room else DIRECT_MOVE_MIN)


def _apart(one: datetime | None, other: datetime | None) -> float:
    return abs(minutes_between(one, other)) if one and other else 0.0


def _within(moment: datetime | None, start: datetime | None, end: datetime | None) -> bool:
    slack = timedelta(minutes=30)
    return bool(moment and start and start - slack <= moment and (end is None or moment <= end + slack))


def _gap_min(one: tuple[datetime | None, datetime | None], other: tuple[datetime | None, datetime | None]) -> float:
    """Minutes between two stretches, 0 where they overlap, infinite where a start is not known."""
    if one[0] is None or other[0] is None:
        return float("inf")
    first, second = sorted(((one[0], one[1]), (other[0], other[1])), key=lambda stretch: stretch[0])
    return max(0.0, minutes_between(first[1] or first[0], second[0]))


def _merged(case: Links, other: Links) -> Links:
    return Links(
        server=case.server,
        appointment=case.appointment or other.appointment,
        procedures=(*case.procedures, *other.procedures),
        visits=(*case.visits, *other.visits),
        encounters=tuple(sorted({*case.encounters, *other.encounters})),
        estimated=True,
    )
