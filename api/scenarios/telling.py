"""From tallies of futures to the document of a scenario."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from api.scenarios import answer
from api.scenarios.live import Live
from twin.projections.places import natural
from twin.simulation.compare import Change, Difference, Three
from twin.simulation.result import NOT_DONE_S
from twin.simulation.scenario import Scenario
from twin.simulation.summary import Summary, Team
from twin.site import EVERY_CASE
from twin.timebase import whole_minute, with_offset


class Teller:
    """Tells outcomes of a live state in the names that people know."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._minutes: dict[int, str] = {}
        self.rooms = sorted(
            {case.room for case in live.scenario.cases if case.room is not None},
            key=lambda room: (natural(live.room_name(room)), room),
        )
        self.ends = {room: end for room in self.rooms if (end := live.room_end(room)) is not None}
        self.teams = _teams(live.scenario, self.ends)

    def notes(self) -> list[str]:
        """What of the start was not read; resources that no case of the day needs: a name may be mistyped."""
        needed = {name for case in self._live.scenario.cases for name in case.needs}
        named = [told.name for told in self._live.site.resources if told.needed_by != EVERY_CASE]
        unneeded = (f"site.resources.{name}: no case of the day needs it" for name in named if name not in needed)
        return [*self._live.notes, *unneeded]

    def outcome(self, scenario: Scenario, told: Summary) -> answer.Outcome:
        """Of a day with or without hazards."""
        return answer.Outcome(
            cases=[self._case(scenario, told, key) for key in self._ordered(scenario)],
            rooms=[self._room(told, room) for room in self.rooms if room in told.room_end],
            teams=[
                answer.TeamOutcome(
                    surgeon=name, session_end=self._instant(self.teams[name].end), overtime_min=round(minutes)
                )
                for name, minutes in sorted(told.team_overtime_min.items())
            ],
            staff=_staff(told.staff_overtime_min),
            pacu_hold_min=round(told.pacu_hold_min),
            waits=[
                answer.WaitOutcome(
                    resource=self._resource(wait.resource),
                    minutes=round(wait.minutes),
                    share=wait.share,
                    by_case={self._live.name(case): round(m) for case, m in wait.by_case.items() if round(m)},
                )
                for wait in told.waits
            ],
            beds=[answer.BedOutcome(unit=unit, hours=list(hours)) for unit, hours in sorted(told.beds.items())],
        )

    def difference(self, told: Difference) -> answer.DifferenceShown:
        """What moves."""
        cases = [self._case_shift(told, key) for key in self._ordered(self._live.scenario)]
        rooms = [self._room_shift(told, room) for room in self.rooms]
        return answer.DifferenceShown(
            cases=[case for case in cases if case.milestones],
            rooms=[room for room in rooms if room.end or room.past_end or room.overtime_min],
            teams=[
                answer.TeamShift(surgeon=name, overtime_min=moved)
                for name, change in sorted(told.team_overtime_min.items())
                if (moved := _moved_minutes(change)) is not None
            ],
            staff=[one for one in _staff(told.staff_overtime_min) if one.overtime_min],
            pacu_hold_min=round(told.pacu_hold_min),
            lost=[self._live.name(key) for key in told.only_before],
            added=list(told.only_after),
        )

    def _case(self, scenario: Scenario, told: Summary, key: str) -> answer.CaseOutcome:
        case = next(case for case in scenario.cases if case.key == key)
        twin = self._live.suite.cases.get(key)
        return answer.CaseOutcome(
            case=self._live.name(key),
            case_id=key,
            room=None if case.room is None else self._live.room_name(case.room),
            procedure="" if twin is None else twin.procedure.label,
            not_operated=told.not_operated.get(key, 0.0),
            urgency=case.urgency,
            past_target=told.past_target.get(key),
            milestones={str(milestone): self._spread(three) for milestone, three in told.milestones[key].items()},
        )

    def _ordered(self, scenario: Scenario) -> list[str]:
        """By room, then by the order of its list."""
        cases = sorted(
            scenario.cases,
            key=lambda c: (c.room is None, natural(self._live.room_name(c.room or "")), c.list_rank, c.key),
        )
        return [case.key for case in cases]

    def _room(self, told: Summary, room: str) -> answer.RoomOutcome:
        end, minutes = self.ends.get(room), told.overtime_min.get(room)
        return answer.RoomOutcome(
            room=self._live.room_name(room),
            id=room.removeprefix("Location/"),
            end=self._spread(told.room_end[room]),
            session_end=None if end is None else self._instant(end),
            past_end=told.past_end.get(room),
            overtime_min=None if minutes is None else round(minutes),
        )

    def _case_shift(self, told: Difference, key: str) -> answer.CaseShift:
        shifts = {str(milestone): _shift(three) for milestone, three in told.milestones.get(key, {}).items()}
        moved = {milestone: shift for milestone, shift in shifts.items() if shift is not None}
        return answer.CaseShift(case=self._live.name(key), case_id=key, milestones=moved)

    def _room_shift(self, told: Difference, room: str) -> answer.RoomShift:
        return answer.RoomShift(
            room=self._live.room_name(room),
            id=room.removeprefix("Location/"),
            end=_shift(told.room_end[room]) if room in told.room_end else None,
            past_end=_moved(told.past_end.get(room)),
            overtime_min=_moved_minutes(told.overtime_min.get(room)),
        )

    def _spread(self, three: Three) -> answer.Spread:
        low, middle, high = (self._after(seconds) for seconds in three)
        return answer.Spread(p10=low, p50=middle, p90=high)

    def _after(self, seconds: int) -> str | None:
        if seconds >= NOT_DONE_S:
            return None
        instant = self._live.scenario.now + timedelta(seconds=seconds)
        minute = int(instant.timestamp() + 30) // 60
        if minute not in self._minutes:  # the same minutes come again and again
            self._minutes[minute] = whole_minute(instant, self._live.zone).isoformat(timespec="minutes")
        return self._minutes[minute]

    def _instant(self, instant: datetime) -> str:
        return with_offset(instant, self._live.zone).isoformat(timespec="minutes")

    def _resource(self, name: str) -> str:
        return self._live.room_name(name) if name in self.rooms else name


def _teams(scenario: Scenario, ends: Mapping[str, datetime]) -> dict[str, Team]:
    """By surgeon: their cases to come, and the end of the last session of the rooms that those are in."""
    cases: dict[str, list[str]] = {}
    last: dict[str, datetime] = {}
    for case in scenario.cases:
        end = ends.get(case.room or "")
        if end is not None:
            for person in case.team:
                cases.setdefault(person, []).append(case.key)
                last[person] = max(last.get(person, end), end)
    return {person: Team(tuple(mine), last[person]) for person, mine in cases.items()}


def _staff(minutes: Mapping[str, float]) -> list[answer.StaffOutcome]:
    return [answer.StaffOutcome(staff=name, overtime_min=round(minutes[name])) for name in sorted(minutes)]


def _shift(three: Three) -> answer.Shift | None:
    """None where nothing moves."""
    if not any(three):
        return None
    low, middle, high = (round(seconds / 60) for seconds in three)
    return answer.Shift(p10=low, p50=middle, p90=high)


def _moved(change: Change | None) -> answer.Moved | None:
    if change is None or (not change.mean and not change.half_width):
        return None
    return answer.Moved(mean=change.mean, half_width=change.half_width)


def _moved_minutes(change: Change | None) -> answer.MovedMinutes | None:
    if change is None or not (round(change.mean) or round(change.half_width)):
        return None
    return answer.MovedMinutes(mean=round(change.mean), half_width=round(change.half_width))
