"""Cases, rooms, people and times as people name them, found in the live state that a scenario starts from."""

import re
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from itertools import count

from api.scenarios.errors import FieldError
from api.scenarios.live import Live
from twin.projections.patient_twin import PatientTwin
from twin.projections.suite_twin import RoomState
from twin.simulation.resources import ResourceKind
from twin.timebase import with_offset
from twin.vocabulary import Milestone

_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_FIRST_YEAR, _LAST_YEAR = 2000, 2200
_AHEAD = timedelta(hours=48)
_LISTED = 12


def is_moment(told: str) -> bool:
    """True for a time of the day, and for an instant with its offset."""
    if _CLOCK.fullmatch(told):
        return True
    try:
        return datetime.fromisoformat(told).utcoffset() is not None
    except ValueError:
        return False


class Names:
    """Raises FieldError, whose path is the field of the hazard, where there is nothing of a name."""

    def __init__(self, live: Live) -> None:
        self.live = live

    @property
    def open_rooms(self) -> tuple[str, ...]:
        """Keys of the rooms that have a session or a case on the day."""
        rooms = [room for room in self.live.suite.rooms if room.state is not RoomState.CLOSED]
        return tuple(room.ref for room in rooms if room.blocks or room.cases)

    def room(self, told: str, field: str = "room") -> str:
        """The key of a room."""
        found = [room.ref for room in self.live.suite.rooms if told in (room.ref, room.id) or _same(told, room.name)]
        if len(found) == 1:
            return found[0]
        why = "two rooms have this name: give Location/ and the id" if found else "is no room of the suite"
        raise FieldError((field,), f"{why}; {_known(room.name for room in self.live.suite.rooms)}")

    def used_room(self, told: str) -> str:
        """The key of a room that a case still to come is in."""
        key = self.room(told)
        if not any(key in (case.room, *case.room_choice) for case in self.live.scenario.cases):
            raise FieldError(("room",), "no case still to come is in that room: nothing would change")
        return key

    def waiting_room(self, told: str) -> str:
        """The key of a room that a case is still to enter."""
        key = self.room(told)
        if not any(case.room == key and not self.live.has_entered(case.key) for case in self.live.scenario.cases):
            raise FieldError(("room",), "no case is still to enter that room: nothing would change")
        return key

    def case(self, told: str, *, waiting: bool = False, in_room: bool = False) -> str:
        """The key of a case that is not over; `waiting`: not in its room yet; `in_room`: not out of it yet."""
        suite, cases = self.live.suite, {case.key: case for case in self.live.scenario.cases}
        found = {key for key in cases if told == key or (key in suite.cases and told in _names(suite.cases[key]))}
        if not found and (twin := suite.case(told)) is not None and twin.case_id in cases:
            found = {twin.case_id}
        if len(found) != 1:
            why = "two cases have this name: give the type too" if found else "is no case still to come or under way"
            raise FieldError(("case",), f"{why}; {_known(map(self.live.name, cases))}")
        (key,) = found
        if waiting and self.live.has_entered(key):
            raise FieldError(("case",), "its patient has entered the room already")
        if in_room and self.live.has_left(key):
            raise FieldError(("case",), "its patient has left the room already")
        return key

    def new_case(self, word: str) -> str:
        """A name for a case that a hazard brings: the word and a number."""
        taken = {case.key for case in self.live.scenario.cases}
        return next(name for number in count(1) if (name := f"{word}-{number}") not in taken)

    def person(self, told: str) -> str:
        """A surgeon of a case that is still to begin."""
        waiting = (case for case in self.live.scenario.cases if not case.passed(Milestone.PATIENT_IN_ROOM))
        people = {person for case in waiting for person in case.team}
        found = [person for person in people if told in (person, person.partition("/")[2])]
        if len(found) != 1:
            raise FieldError(("surgeon",), f"has no case that is still to begin; {_known(people)}")
        return found[0]

    def any_person(self, told: str) -> str:
        """Somebody of a team of these days, who operates today or not."""
        people = {person.ref for twin in self.live.suite.cases.values() for person in twin.team}
        found = [person for person in people if told in (person, person.partition("/")[2])]
        if len(found) != 1:
            raise FieldError(("surgeon",), f"is in no team of these days; {_known(people)}")
        if found[0] in self.live.scenario.absent:
            raise FieldError(("surgeon",), "is absent by a hazard before: name somebody else, or nobody")
        return found[0]

    def leaving(self, told: str) -> str:
        """A surgeon who can be absent: of a case that is still to begin, and of no emergency of a hazard."""
        person = self.person(told)
        urgent = [case.key for case in self.live.scenario.cases if case.urgency is not None and person in case.team]
        if urgent:
            raise FieldError(
                ("surgeon",), f"operates {urgent[0]}, a hazard before: give that one somebody else, or nobody"
            )
        return person

    def resource(self, told: str, field: str, *kinds: ResourceKind) -> str:
        """A resource of the site's settings, of some kinds."""
        mine = [one.name for one in self.live.scenario.resources if one.kind in kinds]
        found = [name for name in mine if _same(told, name)]
        if not found:
            raise FieldError((field,), f"the settings (site.resources) tell none of that name; {_known(mine)}")
        return found[0]

    def need_of(self, kind: ResourceKind, field: str) -> None:
        """There is a resource of a kind in the settings."""
        if not any(one.kind is kind for one in self.live.scenario.resources):
            raise FieldError((field,), f"the settings (site.resources) tell no {kind}: nothing would change")

    def pacus(self) -> tuple[str, ...]:
        """The recovery room, or the several that there are."""
        told = tuple(one.name for one in self.live.scenario.resources if one.kind is ResourceKind.PACU)
        if not told and self.live.scenario.pacu_places is None:
            raise FieldError(("places",), "nothing tells how many places the PACU has: set site.pacu_places")
        return told or ("PACU",)

    def instant(self, told: str, field: str) -> datetime:
        """Of the scenario's day where only the time is told."""
        if not _CLOCK.fullmatch(told):
            instant = datetime.fromisoformat(told)
            if not _FIRST_YEAR <= instant.year < _LAST_YEAR:
                raise FieldError((field,), "is in a year that no hospital knows")
            return with_offset(instant, self.live.zone)
        hour, minute = map(int, told.split(":"))
        local = datetime.combine(self.live.day, time(hour, minute), tzinfo=self.live.zone)
        instant = with_offset(local, self.live.zone)
        if (instant.hour, instant.minute) != (hour, minute):
            raise FieldError((field,), "the clocks skip this time on the scenario's day: give an instant")
        return instant

    def moment(self, told: str, field: str) -> datetime:
        """Still to come, on the day that is simulated or in its night."""
        now, instant = self.live.scenario.now, self.instant(told, field)
        if not now < instant <= now + _AHEAD:
            start = f"{with_offset(now, self.live.zone):%H:%M}"
            raise FieldError((field,), f"is not within two days of the start ({start}): for tomorrow give an instant")
        return instant

    def spell(self, start: str | None, end: str | None) -> tuple[datetime, datetime | None]:
        """From now at the earliest to an end, or for the rest of the day."""
        now = self.live.scenario.now
        begin = now if start is None else max(self.instant(start, "from"), now)
        until = None if end is None else self.instant(end, "until")
        if begin > now + _AHEAD:
            raise FieldError(("from",), "is later than two days from the start on: nothing would change")
        if until is not None and until <= begin:
            raise FieldError(("until",), "is not after its begin, or is past")
        return begin, until


def _names(twin: PatientTwin) -> set[str]:
    refs = {ref for ref in (twin.carrier, *twin.links.anchors, *twin.links.procedures, *twin.links.encounters) if ref}
    return refs | {ref.partition("/")[2] for ref in refs} | {twin.case_id}


def _same(told: str, name: str) -> bool:
    return " ".join(told.split()).casefold() == " ".join(name.split()).casefold()


def _known(names: Iterable[str]) -> str:
    """The names that there are, the first of them."""
    ordered = sorted(names)
    more = ", …" if len(ordered) > _LISTED else ""
    return f"there are: {', '.join(ordered[:_LISTED])}{more}" if ordered else "there are none"
