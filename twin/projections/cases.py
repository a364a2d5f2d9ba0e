"""Linking: which Appointment, Procedures and Encounters are one case, that is one visit to a room.

Links are evidence, in any order of arrival: Encounter.appointment, a shared ServiceRequest, Procedure.encounter and
partOf. They join resources into *groups* (a stay, mostly); a group is then cut into visits to a room, and each visit
gets the booking and the acts that fit it best (`matching`). Where nothing links, same patient and same room at about
the same time do, marked `estimated`. The result is a function of the set of facts alone.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations, pairwise

from twin.facts import AppointmentFact, EncounterFact, ProcedureFact
from twin.projections.evidence import Evidence, Union
from twin.projections.matching import OTHER_ROOM_MIN, WITHDRAWN_MIN, Draft, Stretch, Visit, cut, gap_min, stretch_of

BESIDE_MIN = 30.0
"""A visit and an act that nothing links are one case if they are no further apart (guess)."""


@dataclass(frozen=True, slots=True)
class Links:
    """The resources of one case. `procedures` has the roots first; `encounters` has the stay's others too."""

    server: str
    appointment: str | None = None
    procedures: tuple[str, ...] = ()
    visits: tuple[Visit, ...] = ()
    encounters: tuple[str, ...] = ()
    patient: str | None = None
    """Key of the patient that survives merges."""
    since: datetime | None = None
    """When the stay's case before this one ended: what the stay tells of earlier is that one's."""
    until: datetime | None = None
    """When the stay's next case starts; None for the last, which ends with the patient's discharge."""
    estimated: bool = False

    @property
    def anchors(self) -> tuple[str, ...]:
        """Names under which the case could have become known, the one that names it first."""
        booked = (self.appointment,) if self.appointment else ()
        return (*booked, *sorted(self.procedures), *(visit.anchor for visit in self.visits))

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


def link(evidence: Evidence, server: str) -> tuple[Links, ...]:
    """All cases of a server, by their ids."""
    groups = _groups(evidence)
    linked = [_links(draft, group, evidence, server=server) for group in groups for draft in cut(group, evidence)]
    joined = _joined_by_place(linked, evidence)
    return tuple(sorted(_bounded(joined, evidence), key=lambda case: case.case_id))


def _groups(evidence: Evidence) -> list[list[str]]:
    """Everything that evidence joins."""
    union = Union()
    for ref, appointment in evidence.appointments.items():
        union.join(ref, appointment.requests)
    for ref, encounter in evidence.encounters.items():
        surgical = [booked for booked in encounter.appointments if booked in evidence.appointments]
        union.join(ref, [*surgical, *([encounter.part_of] if encounter.part_of else []), *encounter.requests])
    for ref, act in evidence.procedures.items():
        hubs = [hub for hub in (act.encounter, act.part_of) if hub]
        union.join(ref, [] if ref in evidence.void else [*hubs, *act.requests])
    return union.groups()


def _links(draft: Draft, group: Sequence[str], evidence: Evidence, *, server: str) -> Links:
    live = tuple(ref for ref in draft.procedures if ref not in evidence.void)
    case = Links(
        server=server,
        appointment=draft.appointment,
        procedures=live or tuple(draft.procedures),
        visits=tuple(draft.visits),
    )
    encounters = _encounters(case, [ref for ref in group if ref in evidence.encounters], evidence)
    return replace(case, encounters=encounters, patient=_patient(case, encounters, evidence))


def _encounters(case: Links, encounters: Sequence[str], evidence: Evidence) -> tuple[str, ...]:
    """The Encounters of the case's stay: not those of a consultation for the same request."""
    stays = {evidence.stay(visit.encounter) for visit in case.visits}
    stays |= {evidence.stay(ref) for ref in encounters if case.appointment in evidence.encounters[ref].appointments}
    stays |= {evidence.stay(act) for ref in case.procedures if (act := evidence.procedures[ref].encounter)}
    if not stays:
        stays = {evidence.stay(ref) for ref in encounters if _may_be_the_stay(evidence.encounters[ref], case, evidence)}
    return tuple(ref for ref in encounters if evidence.stay(ref) in stays)


def _may_be_the_stay(encounter: EncounterFact, case: Links, evidence: Evidence) -> bool:
    start = stretch_of(evidence, case.appointment, case.visits, procedures=case.procedures).start
    return not encounter.appointments and (encounter.end is None or start is None or encounter.end >= start)


def _patient(case: Links, encounters: Iterable[str], evidence: Evidence) -> str | None:
    facts: Iterable[AppointmentFact | EncounterFact | ProcedureFact] = (
        *((evidence.appointments[case.appointment],) if case.appointment else ()),
        *(evidence.procedures[ref] for ref in case.procedures),
        *(evidence.encounters[visit.encounter] for visit in case.visits),
        *(evidence.encounters[ref] for ref in encounters),
    )
    return evidence.survivor(next((fact.patient for fact in facts if fact.patient), None))


# What nothing links: same patient, same room, about the same time.


def _joined_by_place(cases: list[Links], evidence: Evidence) -> list[Links]:
    mine: dict[str, list[Links]] = defaultdict(list)
    out: list[Links] = []
    for case in cases:
        void = not case.appointment and not case.visits and evidence.void.issuperset(case.procedures)
        (out if void or case.patient is None else mine[case.patient]).append(case)
    for loose in mine.values():
        while pair := _nearest(loose, evidence):
            loose = [case for case in loose if case not in pair] + [_merged(*pair)]
        out += loose
    return out


def _nearest(cases: list[Links], evidence: Evidence) -> tuple[Links, Links] | None:
    """The two that fit best, of equals the earliest; first the one that names the case."""

    def turn(case: Links) -> tuple[bool, bool, bool, datetime | None, str]:
        start = _stretch(case, evidence).start
        return case.appointment is None, not case.procedures, start is None, start, case.case_id

    pairs = combinations(sorted(cases, key=turn), 2) if len(cases) > 1 else ()
    near = [(gap, pair) for pair in pairs if (gap := _distance(*pair, evidence)) is not None]
    return min(near, key=lambda each: each[0])[1] if near else None


def _distance(case: Links, other: Links, evidence: Evidence) -> float | None:
    """Minutes between two that may be one case, None where they can't be."""
    if (case.appointment and other.appointment) or (case.visits and other.visits):
        return None
    one, two = _stretch(case, evidence), _stretch(other, evidence)
    if one.rooms.isdisjoint(two.rooms):
        return None
    # What has no time may be what is only booked.
    gap = OTHER_ROOM_MIN if None in (one.start, two.start) else gap_min(one, two)
    gap += WITHDRAWN_MIN if case.appointment in evidence.withdrawn else 0.0
    return gap if gap <= (BESIDE_MIN if one.actual and two.actual else OTHER_ROOM_MIN) else None


def _stretch(case: Links, evidence: Evidence) -> Stretch:
    return stretch_of(evidence, case.appointment, case.visits, procedures=case.procedures)


def _merged(case: Links, other: Links) -> Links:
    return replace(
        case,
        procedures=(*case.procedures, *other.procedures),
        visits=case.visits or other.visits,
        encounters=tuple(sorted({*case.encounters, *other.encounters})),
        estimated=True,
    )


# Several cases of one stay.


def _bounded(cases: list[Links], evidence: Evidence) -> list[Links]:
    """Each case with the stretch of its stay that is its own."""
    by_stay: dict[str, list[Links]] = defaultdict(list)
    for case in cases:
        for stay in {evidence.stay(ref) for ref in case.encounters}:
            by_stay[stay].append(case)
    bounds: dict[str, tuple[datetime | None, datetime | None]] = {}
    for mine in by_stay.values():
        timed = [(where, case) for case in mine if (where := _stretch(case, evidence)).start]
        live = [(where, case) for where, case in timed if where.actual or case.appointment not in evidence.withdrawn]
        live.sort(key=lambda pair: (pair[0].start, pair[1].case_id))
        for (where, case), (following, after) in pairwise(live):
            bounds[case.case_id] = (bounds.get(case.case_id, (None, None))[0], following.start)
            if where.actual:
                bounds[after.case_id] = (where.end or where.start, None)
    return [replace(case, since=own[0], until=own[1]) if (own := bounds.get(case.case_id)) else case for case in cases]
