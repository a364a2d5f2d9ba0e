"""The actual times of one case: what its resources assert, with how each is known, and what contradicts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twin.facts import AppointmentFact, EncounterFact, ProcedureFact, Stamp
from twin.projections.cases import Links
from twin.projections.ledger import Ledger, Resource
from twin.projections.places import Places
from twin.timebase import Clock
from twin.vocabulary import ROOM_MILESTONES, Milestone, PlaceKind, Provenance

JITTER = timedelta(minutes=5)
"""Two stamps in the wrong order by no more than this are clocks that differ, not a contradiction (guess)."""

_TRUST = {Provenance.EXPLICIT: 0, Provenance.DERIVED: 1, Provenance.ESTIMATED: 2}
_LAST_COUNTS = frozenset({Milestone.PROCEDURE_FINISH, Milestone.PATIENT_OUT_OF_ROOM})
_OPEN_ACT = frozenset({"in-progress", "on-hold"})
_BEFORE_ROOM = frozenset({Milestone.PATIENT_IN_FACILITY, Milestone.PATIENT_SENT_FOR, Milestone.PATIENT_IN_HOLDING})
_ACT = (
    frozenset(
        milestone
        for milestone in Milestone
        if Milestone.PATIENT_IN_ROOM.rank <= milestone.rank <= Milestone.PACU_DISCHARGE.rank
    )
    - ROOM_MILESTONES
)
_STAYS = (AppointmentFact, EncounterFact, ProcedureFact)


@dataclass(frozen=True, slots=True)
class Actual:
    """A time that was reached. `recorded_at` is when the program could first know it, in site time."""

    milestone: Milestone
    at: datetime
    provenance: Provenance
    source: str
    """`Type/id` that says it."""
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Times:
    """The reached milestones of a case in the pathway's order, and the stamps that were set aside."""

    reached: tuple[Actual, ...] = ()
    set_aside: tuple[Actual, ...] = ()
    """Stamps that contradict better known ones, or lie in the future."""

    def get(self, milestone: Milestone) -> datetime | None:
        """When a milestone was reached, None where no stamp says so."""
        return next((actual.at for actual in self.reached if actual.milestone is milestone), None)


def times_of(case: Links, ledger: Ledger, places: Places, *, clock: Clock, now: datetime) -> Times:
    """Read the stamps of all resources of a case. A stamp after `now` is not reached, whatever the server says."""
    found = _after_the_act(list(_candidates(case, ledger, places, clock=clock, now=now)))
    future = [actual for actual in found if actual.at > now]
    past = [actual for actual in found if actual.at <= now]
    best = [_best(milestone, past) for milestone in Milestone if any(a.milestone is milestone for a in past)]
    reached, wrong = _in_order(best)
    return Times(tuple(reached), (*wrong, *future))


def _candidates(case: Links, ledger: Ledger, places: Places, *, clock: Clock, now: datetime) -> Iterator[Actual]:
    linked = tuple(ref for ref in (case.appointment, *case.procedures, *case.encounters) if ref)
    visited = any(visit.start for visit in case.visits)
    still_open = {ref for ref in case.procedures if _is_open(ledger, ref)}
    for ref in linked:
        resource = ledger.resources.get(ref)
        if resource is None or resource.deleted or not isinstance(resource.content.assertion, _STAYS):
            continue
        for stamp in _shown(resource):
            milestone, provenance = _read(stamp, visited=visited)
            if still_open and ref in case.procedures and milestone in _LAST_COUNTS and ref not in still_open:
                continue
            at = stamp.at or clock.at(resource.first_shown[stamp.milestone])
            if _belongs(stamp, at, milestone, case=case, places=places):
                recorded = min(now, max(at, clock.at(resource.content.key.last_updated)))
                yield Actual(milestone, at, provenance, ref, recorded)


def _after_the_act(found: list[Actual]) -> list[Actual]:
    """Without stamps of an unit before the operation: a ward is an arrival only once something of the act is known."""
    acts = [actual.at for actual in found if actual.milestone in _ACT]
    return [
        actual
        for actual in found
        if actual.milestone is not Milestone.UNIT_ARRIVAL or any(at <= actual.at + JITTER for at in acts)
    ]


def _is_open(ledger: Ledger, ref: str) -> bool:
    act = ledger.get(ref, ProcedureFact)
    return act is not None and act.status in _OPEN_ACT and act.end is None


def _shown(resource: Resource) -> Iterator[Stamp]:
    """The newest version's stamps, and the states of earlier versions that its own state implies."""
    assertion = resource.content.assertion
    stamps: Sequence[Stamp] = getattr(assertion, "stamps", ())
    yield from stamps
    states = {stamp.milestone for stamp in stamps if stamp.provenance is Provenance.DERIVED}
    if states:
        furthest = max(state.rank for state in states)
        for milestone in resource.first_shown:
            if milestone not in states and milestone.rank < furthest:
                yield Stamp(milestone, None, Provenance.DERIVED)


def _read(stamp: Stamp, *, visited: bool) -> tuple[Milestone, Provenance]:
    if stamp.without_visit is not None and not visited:
        return stamp.without_visit, Provenance.ESTIMATED
    return stamp.milestone, stamp.provenance


def _belongs(stamp: Stamp, at: datetime, milestone: Milestone, *, case: Links, places: Places) -> bool:
    """True where a stamp of a stay is this case's: the right kind of place, and this visit of the room."""
    start = case.visits[0].start if case.visits else None
    end = case.visits[-1].end if case.visits else None
    if stamp.place is PlaceKind.ROOM:
        boundary = start if milestone is Milestone.PATIENT_IN_ROOM else end
        return any(visit.room == stamp.location for visit in case.visits) and at == boundary
    if stamp.place is not None:
        if places.kind(stamp.location) is not stamp.place:
            return False
        before = milestone in _BEFORE_ROOM
        return start is None or (at <= start + JITTER if before else at >= (end or start) - JITTER)
    return milestone is not Milestone.FACILITY_DISCHARGE or case.last_of_stay


def _best(milestone: Milestone, found: Iterable[Actual]) -> Actual:
    """The most trusted stamp of a milestone; among equals the first start, the last end."""
    mine = [actual for actual in found if actual.milestone is milestone]
    trust = min(_TRUST[actual.provenance] for actual in mine)
    equals = sorted((a for a in mine if _TRUST[a.provenance] == trust), key=lambda a: (a.at, a.source))
    return equals[-1] if milestone in _LAST_COUNTS else equals[0]


def _in_order(found: Sequence[Actual]) -> tuple[list[Actual], list[Actual]]:
    """Times that run forward along the pathway; of two that don't, the less trusted goes, else the later."""
    kept: list[Actual] = []
    aside: list[Actual] = []
    for actual in found:
        if actual.milestone in ROOM_MILESTONES:
            kept.append(actual)
            continue
        while (before := _previous(kept)) is not None and actual.at < before.at - JITTER:
            if _TRUST[before.provenance] <= _TRUST[actual.provenance]:
                aside.append(actual)
                break
            kept.remove(before)
            aside.append(before)
        else:
            before = _previous(kept)
            kept.append(replace(actual, at=max(actual.at, before.at)) if before else actual)
    return kept, aside


def _previous(kept: Sequence[Actual]) -> Actual | None:
    return next((actual for actual in reversed(kept) if actual.milestone not in ROOM_MILESTONES), None)


def reached_map(times: Times) -> Mapping[Milestone, datetime]:
    """Milestone -> time, for those that were reached."""
    return {actual.milestone: actual.at for actual in times.reached}
