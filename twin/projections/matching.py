"""Cutting what evidence joins (a stay, mostly) into visits to a room, each with the booking and acts that fit best."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from twin.facts import ProcedureFact
from twin.projections.evidence import Evidence
from twin.timebase import minutes_between
from twin.vocabulary import PlaceKind

DIRECT_MOVE_MIN = 5.0
"""A patient who is in the next room within this time changed rooms; later, it is another visit (guess)."""
SAME_ROOM_GAP_MIN = 15.0
"""Two entries of the same room closer than this are one visit noted twice (guess)."""
FORGOTTEN_EXIT_MIN = 240.0
"""A stretch in a room whose end is missing is taken to have gone on for this long at most (guess)."""
FITS_WITHIN_MIN = 12 * 60.0
"""A booking and a visit further apart than this are not the same one where there is a choice (guess)."""
NEAR_MIN = 60.0
"""An act belongs to a visit if it is at most this far outside of it: clocks and typing are that wrong (guess)."""
EARLY_MIN = 30.0
"""An act of which neither place nor words say surgery is none if it is this much before the booking (guess)."""
OTHER_ROOM_MIN = 240.0
WITHDRAWN_MIN = 120.0
"""What another room, and a withdrawn booking, count as against minutes apart."""
_DIRECT = 0.01
"""What a link between the two themselves, not only by their stay, leaves of the distance."""
_NEVER = float("inf")
_MAY_OPERATE = frozenset({PlaceKind.ROOM, PlaceKind.SUITE, None})
_NOT_THERE_YET = frozenset({"planned", "reserved"})
_NO_ENCOUNTER = frozenset({"planned", "cancelled"})


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


class Stretch(NamedTuple):
    """Where and when something is; `actual` unless it is only booked."""

    rooms: frozenset[str]
    start: datetime | None
    end: datetime | None
    actual: bool = True


@dataclass(slots=True)
class Draft:
    """A case while it is being put together."""

    appointment: str | None = None
    visits: list[Visit] = field(default_factory=list)
    procedures: list[str] = field(default_factory=list)


def cut(group: Sequence[str], evidence: Evidence) -> list[Draft]:
    """The cases of one group of `Type/id`."""
    drafts = [
        Draft(visits=visits) for visits in _visits([ref for ref in group if ref in evidence.encounters], evidence)
    ]
    _place_bookings(drafts, [ref for ref in group if ref in evidence.appointments], evidence)
    _place_acts(drafts, [ref for ref in group if ref in evidence.procedures], evidence)
    return drafts


def stretch_of(
    evidence: Evidence, appointment: str | None, visits: Sequence[Visit], *, procedures: Sequence[str]
) -> Stretch:
    """Where and when a case was by its visits, else by its acts, else is by its booking."""
    if visits:
        return Stretch(frozenset(visit.room for visit in visits), visits[0].start, visits[-1].end)
    acts = [evidence.procedures[ref] for ref in procedures]
    starts = [moment for act in acts if (moment := _moment(act))]
    if starts or appointment is None:
        ends = [act.end for act in acts if act.end]
        end = max(ends) if len(ends) == len(starts) and ends else None
        return Stretch(frozenset(act.location for act in acts if act.location), min(starts, default=None), end)
    booked = evidence.appointments[appointment]
    return Stretch(frozenset(booked.locations), booked.start, booked.end, actual=False)


def gap_min(one: Stretch, other: Stretch) -> float:
    """Minutes between two stretches, 0 where they overlap, infinite where a start is not known."""
    if one.start is None or other.start is None:
        return _NEVER
    first, until, then = (one, one.end, other.start) if one.start <= other.start else (other, other.end, one.start)
    started = min(one.start, other.start)
    open_min = FITS_WITHIN_MIN if first.actual and until is None else 0.0
    return max(0.0, minutes_between(until or started, then) - open_min)


def _visits(encounters: Sequence[str], evidence: Evidence) -> list[list[Visit]]:
    found = [visit for ref in encounters for visit in _visits_of(ref, evidence)]
    out: list[list[Visit]] = []
    for visit in sorted(found, key=lambda one: (one.start is None, one.start, one.encounter, one.nth)):
        if out and _continues(out[-1][-1], visit):
            out[-1].append(visit)
        else:
            out.append([visit])
    return out


def _visits_of(ref: str, evidence: Evidence) -> Iterator[Visit]:
    encounter = evidence.encounters[ref]
    if encounter.status in _NO_ENCOUNTER:
        return
    there = [
        stay
        for stay in encounter.stays
        if stay.status not in _NOT_THERE_YET and evidence.places.kind(stay.location) is PlaceKind.ROOM
    ]
    for nth, stay in enumerate(sorted(there, key=lambda one: (one.start is None, one.start, one.location))):
        yield Visit(ref, stay.location, stay.start, stay.end, nth)


def _continues(before: Visit, after: Visit) -> bool:
    same = before.room == after.room
    if before.start is None or after.start is None:
        return same
    if before.end is None:
        return minutes_between(before.start, after.start) <= FORGOTTEN_EXIT_MIN
    return minutes_between(before.end, after.start) <= (SAME_ROOM_GAP_MIN if same else DIRECT_MOVE_MIN)


def _place_bookings(drafts: list[Draft], appointments: Sequence[str], evidence: Evidence) -> None:
    if len(drafts) == 1 and len(appointments) == 1 and appointments[0] not in evidence.withdrawn:
        drafts[0].appointment = appointments[0]
        return
    pairs = sorted(
        (cost, ref, index)
        for ref in appointments
        for index, draft in enumerate(drafts)
        if (cost := _booking_cost(ref, draft, evidence)) <= FITS_WITHIN_MIN
    )
    placed: set[str] = set()
    for _, ref, index in pairs:
        if ref not in placed and drafts[index].appointment is None:
            drafts[index].appointment = ref
            placed.add(ref)
    drafts.extend(Draft(appointment=ref) for ref in appointments if ref not in placed)


def _booking_cost(ref: str, draft: Draft, evidence: Evidence) -> float:
    """Minutes between a booking and a visit, infinite where they can't be one."""
    booked, visit = evidence.appointments[ref], draft.visits[0]
    cost = abs(minutes_between(booked.start, visit.start)) if booked.start and visit.start else 0.0
    if visit.room not in booked.locations:
        cost += OTHER_ROOM_MIN
    if ref in evidence.withdrawn:
        cost += WITHDRAWN_MIN
        return cost if cost <= FITS_WITHIN_MIN else _NEVER
    named = [one for one in evidence.encounters[visit.encounter].appointments if one in evidence.appointments]
    return cost * _DIRECT if named == [ref] else cost


def _place_acts(drafts: list[Draft], procedures: Sequence[str], evidence: Evidence) -> None:
    """Give each act with its parts to the draft that it fits best; those known to be in a room choose first."""
    families: dict[str, list[str]] = {}
    for ref in procedures:
        families.setdefault(_root(ref, evidence), []).append(ref)
    for root in sorted(families, key=lambda ref: _turn(ref, evidence)):
        family = [root, *(ref for ref in families[root] if ref != root)]
        costs = [(_act_cost(root, draft, evidence), index) for index, draft in enumerate(drafts)]
        cost, index = min(costs, default=(_NEVER, -1))
        if cost <= FITS_WITHIN_MIN:
            drafts[index].procedures.extend(family)
        elif evidence.in_room(evidence.procedures[root]):
            drafts.append(Draft(procedures=family))


def _turn(ref: str, evidence: Evidence) -> tuple[bool, bool, datetime | None, str]:
    act = evidence.procedures[ref]
    return not evidence.in_room(act), _moment(act) is None, _moment(act), ref


def _moment(act: ProcedureFact) -> datetime | None:
    return act.start or act.end


def _root(ref: str, evidence: Evidence) -> str:
    seen = [ref]
    while (above := evidence.procedures[seen[-1]].part_of) and above in evidence.procedures and above not in seen:
        seen.append(above)
    # A ring of parts has no top: its smallest name stands for it.
    return min(seen[seen.index(above) :]) if above in seen else seen[-1]


def _act_cost(ref: str, draft: Draft, evidence: Evidence) -> float:
    """Minutes between an act and a draft, infinite where the act can't be part of it."""
    act = evidence.procedures[ref]
    if evidence.kind(act) not in _MAY_OPERATE or act.category.surgical is False:
        return _NEVER
    if _moves_with(act, draft, evidence):
        return 0.0
    where = stretch_of(evidence, draft.appointment, draft.visits, procedures=draft.procedures)
    moment = _moment(act)
    gap = gap_min(Stretch(frozenset(), moment, act.end or moment), where) if moment and where.start else 0.0
    asked = evidence.appointments[draft.appointment].requests if draft.appointment else ()
    direct = not set(asked).isdisjoint(act.requests)
    other = not direct and _is_something_else(act, moment, where, evidence=evidence)
    if other or (where.actual and gap > NEAR_MIN):
        return _NEVER
    other_room = act.location and where.rooms and act.location not in where.rooms
    cost = gap + (OTHER_ROOM_MIN if other_room else 0.0) + (30.0 if draft.procedures and not moment else 0.0)
    cost += WITHDRAWN_MIN if draft.appointment in evidence.withdrawn else 0.0
    return cost * _DIRECT if direct else cost


def _moves_with(act: ProcedureFact, draft: Draft, evidence: Evidence) -> bool:
    """True where the act belongs to the very movement of a visit."""
    return any(
        visit.encounter == act.encounter and evidence.encounters[act.encounter].part_of for visit in draft.visits
    )


def _is_something_else(act: ProcedureFact, moment: datetime | None, where: Stretch, *, evidence: Evidence) -> bool:
    """True for an ECG or a bandage of the same stay: words or time speak against an operation, no room for one."""
    if evidence.in_room(act) or act.category.surgical:
        return False
    early = moment is not None and where.start is not None and minutes_between(moment, where.start) > EARLY_MIN
    return act.code.surgical is False or (act.code.surgical is None and early)
