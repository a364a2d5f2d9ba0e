"""Rooms and their lists: who is in, who comes next, when the room is free; drawn for all replications."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from twin.simulation.draws import Seconds
from twin.simulation.paths import CasePath, cleaned, cleaning_left, draw_path
from twin.simulation.scenario import Scenario
from twin.vocabulary import Milestone

_FAR = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class RoomList:
    """The cases that a room has still to serve, in order. A case without a room is a list of its own."""

    free: Seconds
    """Since now: when the room is free for its first waiting case; without effect where a patient is in."""
    running: CasePath | None
    waiting: tuple[CasePath, ...]
    has_room: bool = True
    """False where the running case is in no room of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All that a replication needs, drawn."""

    scenario: Scenario
    lists: tuple[RoomList, ...]
    recovering: tuple[CasePath, ...]
    """In the PACU now, by key."""
    being_cleaned: frozenset[str]
    """Cases that have left a room which is being cleaned since."""
    paths: dict[str, CasePath]


def draw_plan(scenario: Scenario) -> Plan:
    """Rooms in the order of their keys, then the cases that have none."""
    free_from = {room.key: room.free_from for room in scenario.rooms}
    lists: list[RoomList] = []
    paths: dict[str, CasePath] = {}
    dirty: list[CasePath] = []
    for room in sorted({case.room for case in scenario.cases if case.room is not None}):
        drawn = _drawn(scenario, room, used=free_from.get(room) is not None)
        being_cleaned = [path for path in drawn if _being_cleaned(scenario, path, drawn)]
        lists += _room_lists(drawn, _free(scenario, drawn, being_cleaned, free_from=free_from.get(room)))
        paths |= {path.case.key: path for path in drawn}
        dirty += being_cleaned
    roomless = _drawn(scenario, None, used=True)
    lists += [_alone(path) for path in roomless if not path.out]
    paths |= {path.case.key: path for path in roomless}
    return Plan(
        scenario,
        tuple(lists),
        recovering=tuple(sorted((path for path in paths.values() if path.recovering), key=_key)),
        being_cleaned=frozenset(path.case.key for path in dirty),
        paths={case.key: paths[case.key] for case in scenario.cases},
    )


def _key(path: CasePath) -> str:
    return path.case.key


def _drawn(scenario: Scenario, room: str | None, *, used: bool) -> list[CasePath]:
    """Paths of a room in list order. The first is the day's first where nobody has been in the room today."""
    cases = [case for case in scenario.cases if case.room == room]
    ordered = sorted(cases, key=lambda case: (case.list_rank, case.planned_in or _FAR, case.key))
    used = used or any(case.passed(Milestone.PATIENT_IN_ROOM) for case in cases)
    return [draw_path(scenario, case, first=not used and case is ordered[0]) for case in ordered]


def _room_lists(paths: list[CasePath], free: Seconds) -> list[RoomList]:
    """The room's list. Where two patients are recorded in it, the last to enter has it and the others run beside."""
    running = sorted((path for path in paths if path.running), key=_entered)
    waiting = tuple(path for path in paths if path.waiting)
    room_list = RoomList(free, running[-1] if running else None, waiting)
    return [room_list, *(_alone(path) for path in running[:-1])]


def _alone(path: CasePath) -> RoomList:
    nothing = np.zeros_like(path.arrival)
    return RoomList(nothing, path, (), has_room=False) if path.running else RoomList(nothing, None, (path,))


def _entered(path: CasePath) -> datetime:
    return path.case.reached_at(*list(Milestone)[Milestone.PATIENT_IN_ROOM.rank :]) or _FAR


def _free(
    scenario: Scenario, paths: list[CasePath], being_cleaned: list[CasePath], *, free_from: datetime | None
) -> Seconds:
    """When the room is free: closed until then, or being cleaned since its last patient left, or at once."""
    nothing = np.zeros(scenario.options.replications, dtype=np.int64)
    if free_from is not None and free_from > scenario.now:
        return nothing + scenario.seconds(free_from)
    ready = next((path.case.reached_at(Milestone.ROOM_READY) for path in paths if path.waiting), None)
    if ready is not None:
        return nothing
    if being_cleaned:
        return np.asarray(np.maximum.reduce([path.turnover for path in being_cleaned]))
    if free_from is None or any(path.out for path in paths) or cleaned(scenario, free_from):
        return nothing
    return cleaning_left(scenario, str(paths[0].case.room), free_from)


def _being_cleaned(scenario: Scenario, path: CasePath, others: list[CasePath]) -> bool:
    """True where a case has left its room, nobody has entered since, and a turnover can still be going on."""
    out = path.case.reached_at(Milestone.PATIENT_OUT_OF_ROOM)
    if out is None or path.case.reached_at(Milestone.ROOM_CLEANUP_FINISH) or cleaned(scenario, out):
        return False
    return not any(other is not path and (other.running or _came_after(other, out)) for other in others)


def _came_after(path: CasePath, out: datetime) -> bool:
    entered = path.case.reached_at(Milestone.PATIENT_IN_ROOM)
    return entered is not None and entered >= out
