"""The patient twin: one pathway through the suite, planned and actual. Predictions stand beside it, not in it."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from twin.facts import AppointmentFact, Concept, EncounterFact, Person, ProcedureFact
from twin.projections.cases import Links
from twin.projections.factors import Covariates, Factors
from twin.projections.ledger import Ledger
from twin.projections.places import Places
from twin.projections.stamps import Actual, Times, times_of
from twin.site import SiteOptions
from twin.timebase import Clock, minutes_between, site_date
from twin.vocabulary import ROOM_MILESTONES, CareSetting, CaseStatus, Milestone, PlaceKind, Provenance

IMPLAUSIBLE_IN_ROOM = timedelta(hours=24)
"""A patient still in a room after this long is a missing stamp, not a case."""
NO_CONCEPT = Concept()
NO_TIMES = Times()
NO_LINKS = Links("")
MAX_BOOKED_MIN = 24 * 60.0
_OPEN_STAY = frozenset({"arrived", "triaged", "in-progress", "onleave"})
_TOLD = {
    "cancelled": CaseStatus.CANCELLED,
    "noshow": CaseStatus.NO_SHOW,
    "entered-in-error": CaseStatus.ENTERED_IN_ERROR,
}


@dataclass(frozen=True, slots=True)
class PatientTwin:
    """One case. Times are aware; `room` is where the patient is or was, else where he is booked."""

    case_id: str
    server: str
    status: CaseStatus
    day: date
    aliases: tuple[str, ...] = ()
    patient: str | None = None
    """The patient's pseudonym, after merges the surviving one."""
    setting: CareSetting = CareSetting.UNKNOWN
    room: str | None = None
    planned_room: str | None = None
    planned_in: datetime | None = None
    planned_out: datetime | None = None
    booked_min: float | None = None
    procedure: Concept = NO_CONCEPT
    specialty: Concept = NO_CONCEPT
    team: tuple[Person, ...] = ()
    times: Times = NO_TIMES
    links: Links = NO_LINKS
    carrier: str | None = None
    """The resource that carries our annotation; None where there is none that may."""
    his_versions: tuple[str, ...] = ()
    """`Type/id/_history/v` of the hospital's versions that it was made from."""
    factors: Covariates = ()
    """Name and value of what was known of the patient before the case: care setting, age band, results."""

    @property
    def frontier(self) -> int:
        """Rank of the furthest milestone of the patient that is reached, -1 before the first."""
        ranks = (a.milestone.rank for a in self.times.reached if a.milestone not in ROOM_MILESTONES)
        return max(ranks, default=-1)

    def is_reached(self, milestone: Milestone) -> bool:
        """True where the milestone or a later one is stamped."""
        if milestone in ROOM_MILESTONES:
            following = Milestone.PATIENT_IN_ROOM if milestone is Milestone.ROOM_READY else None
            return self.times.get(milestone) is not None or (following is not None and self.is_reached(following))
        return milestone.rank <= self.frontier

    @property
    def entered(self) -> datetime | None:
        """The first time known of the patient in the room."""
        inside = range(Milestone.PATIENT_IN_ROOM.rank, Milestone.PATIENT_OUT_OF_ROOM.rank)
        known = (a.at for a in self.times.reached if a.milestone.rank in inside)
        return next(known, None)

    @property
    def in_room(self) -> bool:
        """True while the patient is in the room."""
        return self.status is CaseStatus.IN_PROGRESS

    @property
    def live(self) -> bool:
        """True where it is planned, under way or done: not withdrawn."""
        return not self.status.withdrawn

    def surgeon(self) -> str | None:
        """The operating person where the team tells one: told as surgeon, else the first without another role."""
        told = next((person.ref for person in self.team if person.role == "surgeon"), None)
        return told or next((person.ref for person in self.team if not person.role), None)


@dataclass(frozen=True, slots=True)
class Context:
    """What every twin of one fold shares."""

    ledger: Ledger
    places: Places
    site: SiteOptions
    clock: Clock
    now: datetime
    factors: Factors

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return self.site.timezone


def patient_twin(case: Links, context: Context) -> PatientTwin:
    """Fold one case from the newest versions of its resources."""
    ledger, places = context.ledger, context.places
    booked = _content(ledger, case.appointment)
    acts = [act for ref in case.procedures if (act := ledger.get(ref, ProcedureFact)) is not None]
    stays = [stay for ref in case.encounters if (stay := ledger.get(ref, EncounterFact)) is not None]
    times = times_of(case, ledger, places, clock=context.clock, now=context.now)
    planned_in, planned_out, booked_min = _planned(booked)
    planned_room = _room_of(booked.locations if booked else (), places)
    visited = next((v.room for v in reversed(case.visits) if v.start and v.start <= context.now), None)
    operated = _room_of([act.location for act in acts if act.location], places)
    entered = next((a.at for a in times.reached if a.milestone.rank >= Milestone.PATIENT_IN_ROOM.rank), None)
    return PatientTwin(
        case_id=case.case_id,
        server=case.server,
        aliases=case.aliases,
        status=_status(case, context, times, booked=booked, acts=acts, stays=stays),
        day=_day(case, context, times, planned=planned_in or next((act.start for act in acts if act.start), None)),
        patient=case.patient,
        setting=_setting(stays, acts, booked),
        room=visited or operated or planned_room or next((v.room for v in case.visits), None),
        planned_room=planned_room,
        planned_in=planned_in,
        planned_out=planned_out,
        booked_min=booked_min,
        procedure=_procedure(booked, acts),
        specialty=next((c for c in (booked.specialties if booked else ()) if c.key), NO_CONCEPT),
        team=_team(booked, acts, [ledger.get(v.encounter, EncounterFact) for v in case.visits]),
        times=times,
        links=case,
        carrier=carrier_of(case, ledger),
        his_versions=tuple(
            ledger.resources[ref].his_version
            for ref in (case.appointment, *case.procedures, *case.encounters)
            if ref and ref in ledger.resources
        ),
        factors=context.factors.of(case, booked=booked is not None, before=min(entered or context.now, context.now)),
    )


def carrier_of(case: Links, ledger: Ledger) -> str | None:
    """Its Appointment, else its first Procedure, else the Encounter of the room's movement; never the stay."""
    booked = ledger.get(case.appointment, AppointmentFact)
    acts = [(ref, act) for ref in case.procedures if (act := ledger.get(ref, ProcedureFact)) is not None]
    for ref, fact in [(case.appointment, booked), *acts]:
        if fact is not None and fact.status != "entered-in-error":
            return ref
    for visit in case.visits:
        encounter = ledger.get(visit.encounter, EncounterFact)
        if encounter and (encounter.part_of or all(stay.location == visit.room for stay in encounter.stays)):
            return visit.encounter
    return None


def _content(ledger: Ledger, ref: str | None) -> AppointmentFact | None:
    resource = ledger.resources.get(ref) if ref else None
    content = resource.content.assertion if resource else None
    return content if isinstance(content, AppointmentFact) else None


def _planned(booked: AppointmentFact | None) -> tuple[datetime | None, datetime | None, float | None]:
    """Booked entry, exit and minutes. A length of 0 or over a day is no length."""
    if booked is None or booked.start is None:
        return None, None, None
    length = minutes_between(booked.start, booked.end) if booked.end else booked.minutes
    if length is None or not 0 < length <= MAX_BOOKED_MIN:
        length = booked.minutes if booked.minutes and 0 < booked.minutes <= MAX_BOOKED_MIN else None
    return booked.start, booked.start + timedelta(minutes=length) if length else None, length


def _room_of(locations: tuple[str, ...] | list[str], places: Places) -> str | None:
    return next((ref for ref in locations if places.kind(ref) is PlaceKind.ROOM), None)


def _status(
    case: Links,
    context: Context,
    times: Times,
    *,
    booked: AppointmentFact | None,
    acts: list[ProcedureFact],
    stays: list[EncounterFact],
) -> CaseStatus:
    """Evidence of a patient in the room weighs more than what the booking says; a discharge alone is none."""
    reached = [actual for actual in times.reached if actual.milestone not in ROOM_MILESTONES]
    furthest = max((actual.milestone.rank for actual in reached), default=-1)
    left = furthest >= Milestone.PATIENT_OUT_OF_ROOM.rank
    room = range(Milestone.PATIENT_IN_ROOM.rank, Milestone.FACILITY_DISCHARGE.rank)
    entered = next((actual.at for actual in reached if actual.milestone.rank in room), None)
    if entered is not None:
        return CaseStatus.DONE if left or context.now - entered > IMPLAUSIBLE_IN_ROOM else CaseStatus.IN_PROGRESS
    if case.appointment and context.ledger.resources[case.appointment].deleted:
        return CaseStatus.DELETED
    if booked is not None and booked.status == "fulfilled" and _may_be_over(booked, stays, context):
        return CaseStatus.DONE
    told = _TOLD.get(booked.status) if booked else _closed_by_acts(case, acts)
    return told or _status_of_acts(acts, left=left)


def _may_be_over(booked: AppointmentFact, stays: list[EncounterFact], context: Context) -> bool:
    """Fulfilled may mean that the patient has come, or that all is done: the latter once it could be."""
    planned_in, planned_out, _ = _planned(booked)
    there = any(stay.status in _OPEN_STAY for stay in stays)
    over = planned_out if there else planned_in
    return over is None or over <= context.now


def _closed_by_acts(case: Links, acts: list[ProcedureFact]) -> CaseStatus | None:
    """What closes a case without a booking: acts that are all deleted or entered in error."""
    if case.visits or any(act.status != "entered-in-error" for act in acts):
        return None
    return CaseStatus.ENTERED_IN_ERROR if acts else CaseStatus.DELETED


def _status_of_acts(acts: list[ProcedureFact], *, left: bool) -> CaseStatus:
    told = {act.status for act in acts}
    if told == {"not-done"}:
        return CaseStatus.CANCELLED
    over = bool(told) and told <= {"completed", "stopped", "not-done"}
    return CaseStatus.DONE if left or over else CaseStatus.PLANNED


def _day(case: Links, context: Context, times: Times, *, planned: datetime | None) -> date:
    """The site's day that the case belongs to: entry, else booking, else first stamp, else when it became known."""
    entered = times.get(Milestone.PATIENT_IN_ROOM) or times.get(Milestone.INCISION)
    moment = entered or planned or (times.reached[0].at if times.reached else None)
    if moment is None:
        known = [context.ledger.resources[ref] for ref in (case.appointment, *case.procedures, *case.encounters) if ref]
        moment = context.clock.at(max(resource.content.key.last_updated for resource in known))
    return site_date(moment, context.zone)


def _setting(stays: list[EncounterFact], acts: list[ProcedureFact], booked: AppointmentFact | None) -> CareSetting:
    told = [stay.setting for stay in stays if stay.setting is not CareSetting.UNKNOWN]
    if CareSetting.EMERGENCY in told:
        return CareSetting.EMERGENCY
    if told:
        return told[0]
    return CareSetting.EMERGENCY if booked is None and acts else CareSetting.UNKNOWN


def _procedure(booked: AppointmentFact | None, acts: list[ProcedureFact]) -> Concept:
    told = [act.code for act in acts if act.code.key]
    if booked:
        told += [concept for concept in (*booked.reasons, *booked.services) if concept.key]
    return told[0] if told else NO_CONCEPT


def _team(
    booked: AppointmentFact | None, acts: list[ProcedureFact], moves: list[EncounterFact | None]
) -> tuple[Person, ...]:
    people = [person for fact in (*acts, booked, *moves) if fact for person in fact.team]
    roles: dict[str, str] = {}
    for person in people:
        roles[person.ref] = roles.get(person.ref) or person.role
    return tuple(Person(ref, role) for ref, role in roles.items())


def implied_exit(twin: PatientTwin, at: datetime, source: str) -> PatientTwin:
    """The twin of a patient who must have left the room by `at`, since the next one was in it."""
    latest = max([at, *(actual.at for actual in twin.times.reached)])
    exit_ = Actual(Milestone.PATIENT_OUT_OF_ROOM, latest, Provenance.ESTIMATED, source, latest)
    return replace(twin, status=CaseStatus.DONE, times=Times((*twin.times.reached, exit_), twin.times.set_aside))
