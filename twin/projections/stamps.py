"""The actual times of one case: what its resources assert, with how each is known, and what contradicts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twin.facts import AppointmentFact, EncounterFact, ProcedureFact, Stamp
from twin.projections.cases import Links
from twin.projections.ledger import Ledger, Resource, first_told
from twin.projections.places import Places
from twin.timebase import Clock, minutes_between
from twin.vocabulary import ROOM_MILESTONES, Milestone, PlaceKind, Provenance

JITTER = timedelta(minutes=5)
"""Two stamps in the wrong order by no more than this are clocks that differ, not a contradiction (guess)."""

_TRUST = {Provenance.EXPLICIT: 0, Provenance.DERIVED: 1, Provenance.ESTIMATED: 2}
_LAST_COUNTS = frozenset({Milestone.PROCEDURE_FINISH, Milestone.PATIENT_OUT_OF_ROOM})
LAGGED = (Milestone.PROCEDURE_FINISH, Milestone.PATIENT_OUT_OF_ROOM)
"""Milestones of which it is told how late they are recorded."""
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
_NOT_THERE = frozenset({"planned", "reserved"})
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
    lag_min: float | None = None
    """Minutes from the time to the version that first told it, of `LAGGED`; None where that is not known."""


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
    past: dict[Milestone, list[Actual]] = {}
    for actual in found:
        if actual.at <= now:
            past.setdefault(actual.milestone, []).append(actual)
    reached, wrong = _in_order([_best(past[milestone]) for milestone in sorted(past, key=lambda one: one.rank)])
    return Times(reached, (*wrong, *(actual for actual in found if actual.at > now)))


def _candidates(case: Links, ledger: Ledger, places: Places, *, clock: Clock, now: datetime) -> Iterator[Actual]:
    linked = tuple(ref for ref in (case.appointment, *case.procedures, *case.encounters) if ref)
    visited = any(visit.start for visit in case.visits)
    own = _own_stretch(case, ledger)
    still_open = {ref for ref in case.procedures if _is_open(ledger, ref)}
    for ref in linked:
        resource = ledger.resources.get(ref)
        if resource is None or resource.deleted or not isinstance(resource.content.assertion, _STAYS):
            continue
        for stamp in _shown(resource, places):
            milestone, provenance = _read(stamp, visited=visited)
            if still_open and ref in case.procedures and milestone in _LAST_COUNTS and ref not in still_open:
                continue
            # What is shown is so by now, even where the server's clock is ahead.
            at = stamp.at or min(now, clock.at(resource.first_shown[stamp.milestone]))
            if _belongs(stamp, at, milestone, own=own, places=places):
                recorded = min(now, max(at, clock.at(resource.content.key.last_updated)))
                yield Actual(milestone, at, provenance, ref, recorded, _lag_min(resource, stamp, milestone, clock))


def _lag_min(resource: Resource, stamp: Stamp, milestone: Milestone, clock: Clock) -> float | None:
    if stamp.at is None or milestone not in LAGGED:
        return None
    told = first_told(resource, stamp)
    return None if told is None else minutes_between(stamp.at, clock.at(told))


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


def _shown(resource: Resource, places: Places) -> Iterator[Stamp]:
    """The newest version's stamps, and the states of earlier versions that its own state implies."""
    assertion = resource.content.assertion
    stamps: Sequence[Stamp] = getattr(assertion, "stamps", ())
    yield from stamps
    if isinstance(assertion, EncounterFact):
        yield from stay_stamps(assertion, places.kind)
    states = {stamp.milestone for stamp in stamps if stamp.provenance is Provenance.DERIVED}
    if states:
        furthest = max(state.rank for state in states)
        for milestone in resource.first_shown:
            if milestone not in states and milestone.rank < furthest:
                yield Stamp(milestone, None, Provenance.DERIVED)


def stay_stamps(encounter: EncounterFact, kind_of: Callable[[str], PlaceKind | None]) -> Iterator[Stamp]:
    """What the times of an Encounter's stays are, where each may be: a room is one by the visit, not by its kind."""
    for stay in encounter.stays:
        if stay.status in _NOT_THERE:
            continue
        kind = kind_of(stay.location)
        for rule in encounter.stay_rules:
            at = stay.end if rule.part == "end" else stay.start
            if at is not None and rule.place in (None, PlaceKind.ROOM, kind):
                provenance = Provenance.ESTIMATED if rule.part in stay.own else rule.provenance
                yield Stamp(rule.milestone, at, provenance, stay.location, rule.place, rule.without_visit)


def _read(stamp: Stamp, *, visited: bool) -> tuple[Milestone, Provenance]:
    if stamp.without_visit is not None and not visited:
        return stamp.without_visit, Provenance.ESTIMATED
    return stamp.milestone, stamp.provenance


@dataclass(frozen=True, slots=True)
class _Own:
    """The part of a stay that is the case's own. `rooms` are those of its visits, with their boundaries."""

    rooms: frozenset[str]
    start: datetime | None
    end: datetime | None
    since: datetime | None
    until: datetime | None
    booked: datetime | None


def _own_stretch(case: Links, ledger: Ledger) -> _Own:
    booked = ledger.get(case.appointment, AppointmentFact)
    return _Own(
        rooms=frozenset(visit.room for visit in case.visits),
        start=case.visits[0].start if case.visits else None,
        end=case.visits[-1].end if case.visits else None,
        since=case.since,
        until=case.until,
        booked=booked.start if booked else None,
    )


def _belongs(stamp: Stamp, at: datetime, milestone: Milestone, *, own: _Own, places: Places) -> bool:
    """True where a stamp of a stay is this case's: the right kind of place, and this visit of the room."""
    if milestone is Milestone.FACILITY_DISCHARGE:
        begun = own.start or own.booked
        return own.until is None and (begun is None or at >= begun)
    if stamp.place is None:
        return True
    if stamp.place is PlaceKind.ROOM:
        boundary = own.start if milestone is Milestone.PATIENT_IN_ROOM else own.end
        return stamp.location in own.rooms and at == boundary
    if places.kind(stamp.location) is not stamp.place:
        return False
    if milestone in _BEFORE_ROOM:
        return (own.since is None or at >= own.since) and (own.start is None or at <= own.start + JITTER)
    if own.start is None:
        return own.since is None and (own.until is None or at < own.until)
    after = (own.end or own.start) - JITTER
    if own.since is not None:  # up to the entry the stay tells of the case before
        after = max(after, own.start)
    return after <= at and (own.until is None or at < own.until)


def _best(mine: Iterable[Actual]) -> Actual:
    """The most trusted stamp of one milestone; among equals the first start, the last end."""
    ordered = sorted(mine, key=lambda actual: (_TRUST[actual.provenance], actual.at, actual.source))
    equals = [actual for actual in ordered if actual.provenance is ordered[0].provenance]
    return equals[-1] if equals[0].milestone in _LAST_COUNTS else equals[0]


@dataclass(frozen=True, slots=True)
class _Chain:
    """Times of the patient that run forward, and how many of them are known how well."""

    kept: tuple[Actual, ...] = ()
    score: tuple[int, int, int] = (0, 0, 0)

    def and_then(self, actual: Actual) -> "_Chain":
        at = max(actual.at, self.kept[-1].at) if self.kept else actual.at
        explicit, derived, estimated = (
            count + (_TRUST[actual.provenance] == trust) for trust, count in enumerate(self.score)
        )
        return _Chain((*self.kept, replace(actual, at=at)), (explicit, derived, estimated))


def _in_order(found: Sequence[Actual]) -> tuple[tuple[Actual, ...], list[Actual]]:
    """The best known times that run forward along the pathway, and those that contradict them.

    Of all ways to leave times out, the one that keeps most explicit times, then most derived, then most estimated
    ones; of equals the one that keeps the earlier milestones.
    """
    if (forward := _all_forward(found)) is not None:
        return forward, []
    chains = [_Chain()]
    for actual in found:
        if actual.milestone not in ROOM_MILESTONES:
            fitting = (chain for chain in chains if not chain.kept or chain.kept[-1].at <= actual.at + JITTER)
            chains.append(max(fitting, key=lambda chain: chain.score).and_then(actual))
    best = max(chains, key=lambda chain: chain.score)
    times = {actual.milestone: actual for actual in best.kept}
    reached = tuple(
        times.get(actual.milestone, actual)
        for actual in found
        if actual.milestone in times or actual.milestone in ROOM_MILESTONES
    )
    kept = {actual.milestone for actual in reached}
    wrong = [actual for actual in found if actual.milestone not in kept]
    return reached, [actual for actual in wrong if not _is_late_sign(actual, best.kept)]


def _is_late_sign(actual: Actual, kept: Iterable[Actual]) -> bool:
    """True for a state first seen after a later one: it was reached by then, which contradicts nothing."""
    after = (later for later in kept if later.milestone.rank > actual.milestone.rank)
    return actual.provenance is Provenance.DERIVED and any(later.at < actual.at for later in after)


def _all_forward(found: Sequence[Actual]) -> tuple[Actual, ...] | None:
    """What `_in_order` keeps where nothing contradicts, as is the rule; None where something does."""
    latest: datetime | None = None
    kept = []
    for actual in found:
        if actual.milestone in ROOM_MILESTONES:
            kept.append(actual)
            continue
        if latest is not None and actual.at < latest:
            if latest > actual.at + JITTER:
                return None
            kept.append(replace(actual, at=latest))
            continue
        latest = actual.at
        kept.append(actual)
    return tuple(kept)


def reached_map(times: Times) -> Mapping[Milestone, datetime]:
    """Milestone -> time, for those that were reached."""
    return {actual.milestone: actual.at for actual in times.reached}
