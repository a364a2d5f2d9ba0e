"""The site's resources as a scenario has them: how many places at which instant, and which case needs what."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from twin.facts import Concept
from twin.projections.patient_twin import PatientTwin
from twin.projections.suite_twin import SuiteTwin
from twin.simulation.resources import FOR_ALL, HELD, Phase, ResourceInput
from twin.site import EVERY_CASE, CaseRule, ResourceOptions, Shift, SiteOptions
from twin.timebase import with_offset
from twin.vocabulary import Milestone, ResourceKind

AHEAD_DAYS = 8
"""For which shifts are told: a week, and they come again."""
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Capacities:
    """The resources of one site."""

    site: SiteOptions
    suite: SuiteTwin

    def inputs(self, now: datetime) -> tuple[ResourceInput, ...]:
        """Of a scenario that starts at an instant, less the beds of patients of earlier days who are still there."""
        return tuple(self._input(told, now) for told in self.site.resources)

    def has(self, kind: ResourceKind) -> bool:
        """True where the settings tell one."""
        return any(told.kind is kind for told in self.site.resources)

    def needs(self, twin: PatientTwin) -> tuple[str, ...]:
        """Names of the resources that a case needs. Not named: a surgeon, who is in the team anyway; of what all cases
        need (porters, say) the ones that are for all; a ward's bed for who goes to intensive care."""
        mine = [told for told in self.site.resources if self._is_named(told) and self._is_needed(told, twin)]
        in_icu = any(told.kind is ResourceKind.ICU for told in mine)
        return tuple(told.name for told in mine if not (in_icu and told.kind is ResourceKind.BED))

    def _is_named(self, told: ResourceOptions) -> bool:
        for_all = told.kind in FOR_ALL and told.needed_by == EVERY_CASE
        return not for_all and told.kind is not ResourceKind.SURGEON

    def _is_needed(self, told: ResourceOptions, twin: PatientTwin) -> bool:
        return any(self._matches(rule, twin) for rule in told.needed_by)

    def _matches(self, rule: CaseRule, twin: PatientTwin) -> bool:
        room = {(twin.room or "").removeprefix("Location/")}
        room |= {found.name for found in self.suite.rooms if found.ref == twin.room}
        return (
            (not rule.rooms or bool(rule.rooms & room))
            and not rule.except_rooms & room
            and (not rule.procedures or _says(twin.procedure, rule.procedures))
            and (not rule.services or _says(twin.specialty, rule.services))
            and (not rule.settings or twin.setting in rule.settings)
        )

    def _input(self, told: ResourceOptions, now: datetime) -> ResourceInput:
        taken = self._taken(told, now)
        if told.places is not None and not told.breaks:
            return ResourceInput(told.name, told.kind, max(told.places - taken, 0))
        days = [self._day(now) + number * _A_DAY for number in range(-1, AHEAD_DAYS)]
        spells = [spell for shift in told.shifts for spell in self._spells(shift, days, shift.places)]
        spells += [spell for pause in told.breaks for spell in self._spells(pause, days, -pause.places)]
        instants = sorted({instant for begin, end, _ in spells for instant in (begin, end)})
        always = (told.places or 0) - taken

        def at(instant: datetime) -> int:
            return max(always + sum(places for begin, end, places in spells if begin <= instant < end), 0)

        return ResourceInput(told.name, told.kind, at(now), tuple((instant, at(instant)) for instant in instants))

    def _taken(self, told: ResourceOptions, now: datetime) -> int:
        """Beds of patients of the days before, who are no part of a scenario any more."""
        if HELD[told.kind][1] is not Phase.HOME:
            return 0
        day = self._day(now)
        return sum(
            twin.live
            and twin.day < day
            and twin.is_reached(Milestone.UNIT_ARRIVAL)
            and not twin.is_reached(Milestone.FACILITY_DISCHARGE)
            and self._is_needed(told, twin)
            for twin in self.suite.cases.values()
        )

    def _day(self, now: datetime) -> date:
        return now.astimezone(self.site.timezone).date()

    def _spells(self, shift: Shift, days: list[date], places: int) -> Iterator[tuple[datetime, datetime, int]]:
        for day in days:
            weekday = 0 if day in self.site.working_days else day.weekday()
            if weekday in shift.weekdays:
                last = day if shift.end > shift.start else day + _A_DAY
                yield self._instant(day, shift.start), self._instant(last, shift.end), places

    def _instant(self, day: date, at: time) -> datetime:
        return with_offset(datetime.combine(day, at, tzinfo=self.site.timezone), self.site.timezone)


def _says(concept: Concept, told: frozenset[str]) -> bool:
    return any({code.code, f"{code.system}|{code.code}", code.display} & told for code in concept.codings)
