"""The organizational twin: rooms with their lists, who is where, the recovery room, the blocks of the day."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from twin.facts import AppointmentFact, Horizon, PatientFact
from twin.projections.blocks import HospitalBlocks, hospital_blocks
from twin.projections.cases import link
from twin.projections.evidence import Evidence, evidence_of
from twin.projections.factors import factors_of
from twin.projections.ledger import Ledger
from twin.projections.patient_twin import IMPLAUSIBLE_IN_ROOM, Context, PatientTwin, implied_exit, patient_twin
from twin.projections.places import Place, Places, places_of
from twin.site import Block, SiteOptions
from twin.timebase import Clock, site_date
from twin.vocabulary import CaseStatus, Milestone, PlaceKind

TURNOVER_LASTS = timedelta(minutes=30)
"""After this long without a sign of cleaning, an empty room is shown as free (guess)."""


NIGHT = timedelta(hours=12)
"""A patient booked longer ago than this is not carried over midnight (guess)."""


class RoomState(StrEnum):
    """What a room is doing."""

    OCCUPIED = "occupied"
    TURNOVER = "turnover"
    FREE = "free"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class RoomTwin:
    """One room on the site's day: its list in order, who is in it, its openings."""

    ref: str
    name: str
    reason: str
    """Why this Location is a room."""
    state: RoomState
    blocks: tuple[Block, ...]
    cases: tuple[str, ...]
    """Case ids of the day in the order of the list, withdrawn ones left out."""
    current: str | None = None
    last_out: datetime | None = None

    @property
    def id(self) -> str:
        """The Location's id."""
        return self.ref.removeprefix("Location/")


@dataclass(frozen=True, slots=True)
class Pacu:
    """The recovery room (SSPI): who is there, and its places where they are known."""

    present: tuple[str, ...]
    places: int | None
    """None: not known, taken as unlimited and shown as assumed."""


@dataclass(frozen=True, slots=True)
class SuiteTwin:
    """Everything at one instant. `cases` holds all cases of the horizon, withdrawn ones too, by id."""

    now: datetime
    day: date
    rooms: tuple[RoomTwin, ...]
    cases: Mapping[str, PatientTwin]
    aliases: Mapping[str, str]
    pacu: Pacu
    not_surgical: int
    """Appointments of the horizon that are no case of the suite."""
    patients: frozenset[str]
    """Pseudonyms of the patients of the horizon's cases, those that were merged into them too."""

    def case(self, case_id: str) -> PatientTwin | None:
        """A case by its id or by one that it had before a merge."""
        return self.cases.get(self.aliases.get(case_id, case_id))

    def of_day(self, day: date) -> tuple[PatientTwin, ...]:
        """Live cases of one day in the order of their booking."""
        mine = (twin for twin in self.cases.values() if twin.live and twin.day == day)
        return tuple(sorted(mine, key=list_order))

    @property
    def queue(self) -> tuple[PatientTwin, ...]:
        """Patients of the day who are in the facility and not yet in a room."""
        return tuple(
            twin
            for twin in self.of_day(self.day)
            if twin.status is CaseStatus.PLANNED and twin.is_reached(Milestone.PATIENT_IN_FACILITY)
        )


def suite_twin(
    ledger: Ledger, site: SiteOptions, *, clock: Clock, horizon: Horizon, server: str, now: datetime | None = None
) -> SuiteTwin:
    """Fold the whole suite as it stands on the clock, or at the site instant `now`."""
    now = clock.now() if now is None else now
    places = places_of(ledger, site)
    evidence = evidence_of(ledger, places)
    factors = factors_of(ledger, site, clock, evidence.survivor)
    context = Context(ledger=ledger, places=places, site=site, clock=clock, now=now, factors=factors)
    twins = [patient_twin(case, context) for case in link(evidence, server)]
    kept = _with_implied_exits([twin for twin in twins if _is_of(twin, horizon)], now)
    cases = {twin.case_id: twin for twin in kept}
    day = site_date(now, site.timezone)
    blocks = hospital_blocks(ledger, site.timezone)
    return SuiteTwin(
        now=now,
        day=day,
        rooms=tuple(_room(place, kept, site, blocks, now=now, day=day) for place in places.rooms),
        cases=cases,
        aliases={alias: twin.case_id for twin in kept for alias in twin.aliases},
        pacu=_pacu(kept, places, site, now=now),
        not_surgical=_not_surgical(evidence, horizon, context),
        patients=_patients(kept, evidence, ledger),
    )


def _is_of(twin: PatientTwin, horizon: Horizon) -> bool:
    """True for a case of the horizon's days; a booking that has no time (a waiting list) is of none."""
    booked_only = not twin.links.visits and not twin.links.procedures
    timeless = booked_only and twin.planned_in is None and not twin.times.reached
    return not timeless and horizon.first <= twin.day <= horizon.last


def _patients(twins: Iterable[PatientTwin], evidence: Evidence, ledger: Ledger) -> frozenset[str]:
    mine = {twin.patient for twin in twins if twin.patient}
    merged = (resource.newest.key.id for resource, _ in ledger.of(PatientFact))
    return frozenset(mine | {key for key in merged if evidence.survivor(key) in mine})


def awaited_overnight(twin: PatientTwin, now: datetime) -> bool:
    """True for a case booked before midnight that is still awaited: its end is to come, or the patient is there."""
    if twin.status is not CaseStatus.PLANNED or twin.planned_in is None:
        return False
    waited = now - twin.planned_in
    there = twin.is_reached(Milestone.PATIENT_IN_FACILITY) or (twin.planned_out or twin.planned_in) > now
    return there and timedelta() <= waited < NIGHT


def list_order(twin: PatientTwin) -> tuple[bool, bool, datetime | None, str]:
    """The order of a list: what has begun by its entry, then what is to come by its booking.

    An unbooked case stands by when its patient became known, as the simulation takes it; a case without any time comes
    last.
    """
    known = twin.times.reached[0].at if twin.times.reached else None
    moment = twin.entered or twin.planned_in or known
    return twin.status is CaseStatus.PLANNED, moment is None, moment, twin.case_id


def _with_implied_exits(twins: list[PatientTwin], now: datetime) -> list[PatientTwin]:
    """A patient in a room proves that the one before has left it, and that he has left any other room."""
    entries: dict[str, list[tuple[datetime, PatientTwin]]] = defaultdict(list)
    for twin in twins:
        moments = [visit.start for visit in twin.links.visits if visit.start and visit.start <= now]
        if twin.live and twin.entered:
            for place in {twin.room, twin.patient} - {None}:
                entries[str(place)].append((max([twin.entered, *moments]), twin))
    left: dict[str, tuple[datetime, str]] = {}
    for mine in entries.values():
        mine.sort(key=lambda entry: (entry[0], entry[1].case_id))
        for (_, twin), (at, following) in pairwise(mine):
            exit_ = (at, following.links.anchors[0])
            left[twin.case_id] = min(exit_, left.get(twin.case_id, exit_))
    return [
        implied_exit(twin, *left[twin.case_id]) if twin.in_room and twin.case_id in left else twin for twin in twins
    ]


def _room(
    place: Place, twins: list[PatientTwin], site: SiteOptions, blocks: HospitalBlocks, *, now: datetime, day: date
) -> RoomTwin:
    mine = [twin for twin in twins if twin.live and twin.room == place.ref]
    current = next((twin for twin in mine if twin.in_room), None)
    shown = (twin for twin in mine if twin.day == day or twin is current or awaited_overnight(twin, now))
    today = sorted(shown, key=list_order)
    exits = [at for twin in mine if (at := twin.times.get(Milestone.PATIENT_OUT_OF_ROOM))]
    last_out = max(exits, default=None)
    return RoomTwin(
        ref=place.ref,
        name=place.name,
        reason=place.reason,
        state=_state(place, current, last_out, now=now, cleaned=_cleaned(mine, last_out)),
        blocks=_blocks(place, day, blocks, site),
        cases=tuple(twin.case_id for twin in today),
        current=current.case_id if current else None,
        last_out=last_out,
    )


def _blocks(place: Place, day: date, blocks: HospitalBlocks, site: SiteOptions) -> tuple[Block, ...]:
    """The hospital's own openings of a room, else the site file's, else the assumed ones."""
    told = blocks.of(place.ref, day)
    return site.blocks_of(place.ref.removeprefix("Location/"), day) if told is None else told


def _cleaned(mine: list[PatientTwin], last_out: datetime | None) -> bool:
    return any(
        (at := twin.times.get(Milestone.ROOM_CLEANUP_FINISH)) is not None and last_out is not None and at >= last_out
        for twin in mine
    )


def _state(
    place: Place, current: PatientTwin | None, last_out: datetime | None, *, now: datetime, cleaned: bool
) -> RoomState:
    if current is not None:
        return RoomState.OCCUPIED
    if place.operational == "C":
        return RoomState.CLOSED
    cleaning = last_out is not None and now - last_out < TURNOVER_LASTS and not cleaned
    return RoomState.TURNOVER if cleaning or place.operational in ("H", "K") else RoomState.FREE


def _pacu(twins: list[PatientTwin], places: Places, site: SiteOptions, *, now: datetime) -> Pacu:
    present = tuple(twin.case_id for twin in twins if in_pacu(twin, now))
    return Pacu(present=present, places=site.pacu_places or places.beds_of(PlaceKind.PACU) or None)


def in_pacu(twin: PatientTwin, now: datetime) -> bool:
    """True while the patient is in the recovery room; not for days, where a stamp is missing."""
    arrived = twin.times.get(Milestone.PACU_ARRIVAL)
    inside = twin.live and arrived is not None and not twin.is_reached(Milestone.PACU_DISCHARGE)
    return inside and arrived is not None and now - arrived <= IMPLAUSIBLE_IN_ROOM


def _not_surgical(evidence: Evidence, horizon: Horizon, context: Context) -> int:
    return sum(
        1
        for resource, fact in context.ledger.of(AppointmentFact)
        if (fact.start is None or horizon.first <= site_date(fact.start, context.zone) <= horizon.last)
        and resource.ref not in evidence.appointments
    )
