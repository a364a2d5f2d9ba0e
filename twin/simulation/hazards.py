"""What can go wrong (French: aléas), as small values: each makes another scenario of a scenario, and they compose.

Cases, resources and rooms are named by their keys. Instants are aware. A hazard that names what the scenario doesn't
have is a SettingsError that names the field. To add one: a frozen value here with `apply`; its form in files and
requests stands in `api/scenarios/hazards.py`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from twin.durations.distribution import LogT
from twin.durations.stages import StageLaw
from twin.errors import SettingsError
from twin.simulation.draws import MOST_MIN
from twin.simulation.resources import ResourceInput, ResourceKind
from twin.simulation.scenario import CaseInput, Scenario
from twin.vocabulary import CareSetting, Milestone, Stage

_LEAST_MIN = 1e-3


class Hazard(Protocol):
    """Something that can go wrong."""

    def apply(self, scenario: Scenario) -> Scenario:
        """The scenario in which it does."""
        ...


def with_hazards(scenario: Scenario, hazards: Iterable[Hazard]) -> Scenario:
    """One after the other."""
    for hazard in hazards:
        scenario = hazard.apply(scenario)
    return scenario


@dataclass(frozen=True, slots=True)
class LateStart:
    """A room opens later, in minutes after its first waiting case's booking."""

    room: str
    minutes: float

    def apply(self, scenario: Scenario) -> Scenario:
        waiting = [case for case in scenario.cases if not case.passed(Milestone.PATIENT_IN_ROOM)]
        booked = [case.planned_in for case in waiting if case.room == self.room and case.planned_in]
        if not booked:
            raise SettingsError("late_start.room: no booked case of the scenario is still to enter that room")
        return _closed(scenario, self.room, ResourceKind.ROOM, scenario.now, min(booked) + _minutes(self.minutes))


@dataclass(frozen=True, slots=True)
class SurgeonLate:
    """A person of a team comes at an instant; without one never, and who waits for them keeps the room."""

    person: str
    until: datetime | None = None

    def apply(self, scenario: Scenario) -> Scenario:
        if not any(self.person in case.team for case in scenario.cases):
            raise SettingsError("surgeon_late.person: nobody of that name is in a team of the scenario")
        return _closed(scenario, self.person, ResourceKind.SURGEON, scenario.now, self.until)


@dataclass(frozen=True, slots=True)
class SurgeonAbsent:
    """A person of a team does not come any more: their cases that have not begun are called off, but emergencies, which
    need somebody else."""

    person: str

    def apply(self, scenario: Scenario) -> Scenario:
        begun = Milestone.PATIENT_IN_ROOM
        kept = tuple(
            case
            for case in scenario.cases
            if self.person not in case.team or case.passed(begun) or case.urgency is not None
        )
        if len(kept) == len(scenario.cases):
            raise SettingsError("surgeon_absent.person: nobody of that name has a booked case that is still to begin")
        return replace(scenario, cases=kept, absent=(*scenario.absent, self.person))


@dataclass(frozen=True, slots=True)
class LongerCase:
    """A case takes `factor` times as long, and some minutes more."""

    case: str
    factor: float = 1.0
    minutes: float = 0.0

    def apply(self, scenario: Scenario) -> Scenario:
        if not (self.factor > 0 and self.minutes >= 0):
            raise SettingsError("longer_case: factor must be above 0 and minutes not negative")
        case = _case(scenario, self.case, "longer_case")
        return _with_case(
            scenario,
            replace(case, room_time=self._longer(case.room_time), surgical_time=self._longer(case.surgical_time)),
        )

    def _longer(self, law: LogT) -> LogT:
        """Minutes are added to the median, the spread of the logarithm stays."""
        factor = self.factor + self.minutes / law.median
        return _scaled(law, factor, max(factor, 1.0))


@dataclass(frozen=True, slots=True)
class NoShow:
    """A patient does not come, surely or with a probability. The team learns it at the booked time."""

    case: str
    probability: float = 1.0

    def apply(self, scenario: Scenario) -> Scenario:
        return _with_case(scenario, replace(_case(scenario, self.case, "no_show"), no_show=self.probability))


@dataclass(frozen=True, slots=True)
class NotFasted:
    """A patient may not enter before an instant; the list keeps its order and waits."""

    case: str
    until: datetime

    def apply(self, scenario: Scenario) -> Scenario:
        case = _case(scenario, self.case, "not_fasted")
        return _with_case(scenario, replace(case, not_before=max(case.not_before or self.until, self.until)))


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A case does not take place, and everybody knows."""

    case: str

    def apply(self, scenario: Scenario) -> Scenario:
        gone = _case(scenario, self.case, "cancellation")
        return replace(scenario, cases=tuple(case for case in scenario.cases if case is not gone))


@dataclass(frozen=True, slots=True)
class Emergency:
    """A new patient of an urgency class (1 the most urgent) at an instant, for the first of some rooms to be free."""

    key: str
    at: datetime
    urgency: int
    room_time: LogT
    surgical_time: LogT
    rooms: tuple[str, ...]
    needs: tuple[str, ...] = ()
    team: tuple[str, ...] = ()

    def apply(self, scenario: Scenario) -> Scenario:
        if not self.rooms or not 1 <= self.urgency <= 9:
            raise SettingsError("emergency: it needs rooms, and an urgency from 1 to 9")
        case = CaseInput(
            key=self.key,
            room=None,
            planned_in=max(self.at, scenario.now),
            planned_out=None,
            setting=CareSetting.EMERGENCY,
            room_time=self.room_time,
            surgical_time=self.surgical_time,
            team=self.team,
            needs=self.needs,
            room_choice=self.rooms,
            urgency=self.urgency,
        )
        return replace(scenario, cases=(*scenario.cases, case))


@dataclass(frozen=True, slots=True)
class RoomDown:
    """A room takes nobody from an instant to another, or for the rest of the day; who is in it stays."""

    room: str
    start: datetime
    end: datetime | None = None

    def apply(self, scenario: Scenario) -> Scenario:
        if not any(self.room == case.room or self.room in case.room_choice for case in scenario.cases):
            raise SettingsError("room_down.room: no case of the scenario is in that room")
        return _closed(scenario, self.room, ResourceKind.ROOM, self.start, self.end)


@dataclass(frozen=True, slots=True)
class PlacesClosed:
    """Fewer places of a resource from an instant to another: PACU places, staff, ward beds, sets in sterilization.

    The PACU of `pacu_places` is called "PACU".
    """

    resource: str
    places: int
    start: datetime
    end: datetime | None = None
    others: tuple[str, ...] = ()
    """Resources of which places are closed where those before have too few."""

    def apply(self, scenario: Scenario) -> Scenario:
        told = {one.name: one for one in scenario.resources}
        if self.resource == "PACU" and scenario.pacu_places is not None:
            told.setdefault("PACU", ResourceInput("PACU", ResourceKind.PACU, scenario.pacu_places))
        names = (self.resource, *self.others)
        if not all(name in told for name in names):
            raise SettingsError("places_closed.resource: the scenario has none of that name")
        for number, name in enumerate(names):
            before = [told[other] for other in names[:number]]
            scenario = _with_resource(scenario, _fewer(told[name], self.places, self.start, self.end, before=before))
        return scenario


@dataclass(frozen=True, slots=True)
class SlowTurnover:
    """Every turnover takes `factor` times as long: few hands, or sterilization behind."""

    factor: float

    def apply(self, scenario: Scenario) -> Scenario:
        if not self.factor > 0:
            raise SettingsError("slow_turnover.factor must be above 0")
        return replace(scenario, laws=tuple(self._slower(law) for law in scenario.laws))

    def _slower(self, told: StageLaw) -> StageLaw:
        if told.stage is not Stage.TURNOVER:
            return told
        return replace(told, law=_scaled(told.law, self.factor, self.factor))


@dataclass(frozen=True, slots=True)
class SlowSterilization:
    """Instruments come back some minutes later."""

    minutes: float

    def apply(self, scenario: Scenario) -> Scenario:
        if not self.minutes >= 0:
            raise SettingsError("slow_sterilization.minutes must not be negative")
        return replace(scenario, laws=tuple(self._slower(law) for law in scenario.laws))

    def _slower(self, told: StageLaw) -> StageLaw:
        if told.stage is not Stage.STERILIZATION:
            return told
        factor = 1 + self.minutes / told.law.median
        return replace(told, law=_scaled(told.law, factor, factor))


def _scaled(law: LogT, factor: float, upper: float) -> LogT:
    """The law times a factor, its bound times another; hazards that pile up end at what can be drawn at all."""
    loc, bound = law.loc + math.log(factor), law.upper_min * upper
    highest, lowest = max(math.log(MOST_MIN), law.loc), min(math.log(_LEAST_MIN), law.loc)
    return replace(
        law,
        loc=min(max(loc, lowest), highest),
        upper_min=min(max(bound, min(_LEAST_MIN, law.upper_min)), max(MOST_MIN, law.upper_min)),
    )


def _minutes(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


def _case(scenario: Scenario, key: str, hazard: str) -> CaseInput:
    found = next((case for case in scenario.cases if case.key == key), None)
    if found is None:
        raise SettingsError(f"{hazard}.case: the scenario has no case of that key")
    return found


def _with_case(scenario: Scenario, changed: CaseInput) -> Scenario:
    return replace(scenario, cases=tuple(changed if case.key == changed.key else case for case in scenario.cases))


def _with_resource(scenario: Scenario, changed: ResourceInput) -> Scenario:
    """At its place in their order, since cases prefer the first."""
    told = {one.name: one for one in scenario.resources} | {changed.name: changed}
    return replace(scenario, resources=tuple(told.values()))


def _closed(scenario: Scenario, name: str, kind: ResourceKind, start: datetime, end: datetime | None) -> Scenario:
    """A room or a person of whom there is one is not there for a while."""
    told = next((one for one in scenario.resources if one.name == name), ResourceInput(name, kind))
    return _with_resource(scenario, _fewer(told, told.places, start, end))


def _fewer(
    resource: ResourceInput, places: int, start: datetime, end: datetime | None, *, before: Sequence[ResourceInput] = ()
) -> ResourceInput:
    """The resource with some places less from start to end, whatever its shifts; those `before` lose theirs first."""
    instants = {start, *(instant for one in (resource, *before) for instant, _ in one.changes)} | (
        {end} if end else set()
    )

    def at(instant: datetime) -> int:
        if not (start <= instant and (end is None or instant < end)):
            return _places(resource, instant)
        left = max(places - sum(_places(one, instant) for one in before), 0)
        return max(_places(resource, instant) - left, 0)

    changes = tuple((instant, at(instant)) for instant in sorted(instants))
    return replace(resource, changes=changes, shifts=resource.roster.changes)


def _places(resource: ResourceInput, instant: datetime) -> int:
    return next((number for at, number in sorted(resource.changes, reverse=True) if at <= instant), resource.places)
