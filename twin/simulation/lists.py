"""Rooms and their lists: who is in, who comes next, when the room is free; drawn for all replications."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from twin.simulation.draws import Seconds
from twin.simulation.paths import CasePath, cleaned, cleaning_left, draw_path
from twin.simulation.scenario import CaseInput, Scenario
from twin.vocabulary import Milestone

_FAR = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class RoomList:
    """The cases that a room has still to serve, in order. A case without a room is a list of its own."""

    free: Seconds
    """Since now: when the room is free for its first waiting case; without effect where a patient is in."""
    running: CasePath | None
    waiting: tuple[CasePath, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All that a replication needs, drawn."""

    scenario: Scenario
    lists: tuple[RoomList, ...]
    recovering: tuple[CasePath, ...]
    """In the PACU now, by key."""
    paths: dict[str, CasePath]


def draw_plan(scenario: Scenario) -> Plan:
    """Rooms in the order of their keys, then the cases that have none."""
    closed_or_dirty = {room.key: room.free_from for room in scenario.rooms}
    by_room: dict[str, list[CaseInput]] = {}
    for case in scenario.cases:
        if case.room is not None:
            by_room.setdefault(case.room, []).append(case)
    lists: list[RoomList] = []
    paths: dict[str, CasePath] = {}
    for room, cases in sorted(by_room.items()):
        drawn = _drawn(scenario, cases, used=closed_or_dirty.get(room) is not None)
        lists += _room_lists(scenario, room, drawn, free_from=closed_or_dirty.get(room))
        paths |= {path.case.key: path for path in drawn}
    roomless = _drawn(scenario, [case for case in scenario.cases if case.room is None], used=True)
    lists += [_alone(path) for path in roomless if not path.out]
    paths |= {path.case.key: path for path in roomless}
    recovering = sorted((path for path in paths.values() if path.recovering), key=lambda path: path.case.key)
    return Plan(scenario, tuple(lists), tuple(recovering), {case.key: paths[case.key] for case in scenario.cases})


def _drawn(scenario: Scenario, cases: list[CaseInput], *, used: bool) -> list[CasePath]:
    """Paths in list order. The first is the day's first where nobody has been in the room today."""
    ordered = sorted(cases, key=lambda case: (case.list_rank, case.planned_in or _FAR, case.key))
    used = used or any(case.passed(Milestone.PATIENT_IN_ROOM) for case in cases)
    return [draw_path(scenario, case, first=not used and case is ordered[0]) for case in ordered]


def _room_lists(
    scenario: Scenario, room: str, paths: list[CasePath], *, free_from: datetime | None
) -> list[RoomList]:
    """The room's list; where two patients are recorded in it, the last to enter has it and the others run beside."""
    running = sorted((path for path in paths if path.running), key=_entered)
    waiting = tuple(path for path in paths if path.waiting)
    free = _free(scenario, room, paths, free_from=free_from)
    room_list = RoomList(free, running[-1] if running else None, waiting)
    return [room_list, *(_alone(path) for path in running[:-1])]


def _alone(path: CasePath) -> RoomList:
    nothing = np.zeros_like(path.arrival)
    return RoomList(nothing, path, ()) if path.running else RoomList(nothing, None, (path,))


def _entered(path: CasePath) -> datetime:
    return path.case.reached_at(*list(Milestone)[Milestone.PATIENT_IN_ROOM.rank :]) or path.case.planned_in or _FAR


def _free(scenario: Scenario, room: str, paths: list[CasePath], *, free_from: datetime | None) -> Seconds:
    """When the room is free: closed until then, or being cleaned since its last patient left, or at once."""
    nothing = np.zeros(scenario.options.replications, dtype=np.int64)
    if free_from is not None and free_from > scenario.now:
        return nothing + scenario.seconds(free_from)
    waiting = [path for path in paths if path.waiting]
    if waiting and waiting[0].case.reached_at(Milestone.ROOM_READY):
        return nothing
    left = [path for path in paths if path.out and being_cleaned(scenario, path, paths)]
    if left:
        return np.max(np.stack([path.turnover for path in left]), axis=0)
    told_by_case = any(path.out for path in paths)
    if free_from is None or told_by_case or cleaned(scenario, free_from):
        return nothing
    return cleaning_left(scenario, room, free_from)


def being_cleaned(scenario: Scenario, path: CasePath, others: list[CasePath]) -> bool:
    """True where a case has left its room, nobody has entered since, and a turnover can still be going on."""
    out = path.case.reached_at(Milestone.PATIENT_OUT_OF_ROOM)
    if out is None or path.case.reached_at(Milestone.ROOM_CLEANUP_FINISH) or cleaned(scenario, out):
        return False
    return not any(other is not path and other.running or _came_after(other, out) for other in others)


def _came_after(path: CasePath, out: datetime) -> bool:
    entered = path.case.reached_at(Milestone.PATIENT_IN_ROOM)
    return entered is not None and entered >= out
