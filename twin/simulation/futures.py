"""From the table of instants to futures: every milestone still to come of every case."""

from datetime import datetime, timedelta

import numpy as np

from twin.simulation.draws import Seconds
from twin.simulation.exits import ExitDoubt, exit_doubt
from twin.simulation.lists import Plan
from twin.simulation.paths import CasePath
from twin.simulation.result import NOT_DONE_S, Futures
from twin.simulation.writer import Pathway
from twin.vocabulary import Milestone

_NO_PATIENT_TIMES = (Milestone.ROOM_READY, Milestone.ROOM_CLEANUP_FINISH)


def futures(plan: Plan, pathway: Pathway, instants: Seconds) -> Futures:
    """`instants`, shape (the pathway's kept columns, replications), as an engine gave them."""
    row = {int(column): number for number, column in enumerate(pathway.kept)}
    instants[instants < 0] = NOT_DONE_S
    decided = {
        key: {milestone: instants[row[column]] for milestone, column in pathway.columns.get(key, {}).items()}
        for key in plan.paths
    }
    room_cases: dict[str, dict[str, datetime]] = {}
    for key, path in plan.paths.items():
        if path.case.room is not None:
            room_cases.setdefault(path.case.room, {})[key] = _entry(path, plan, decided[key])
    return Futures(
        plan.scenario.now,
        plan.scenario.options.replications,
        {key: _times(path, plan, decided[key]) for key, path in plan.paths.items()},
        left={key: _left(path, plan, decided[key]) for key, path in plan.paths.items()},
        room_cases=room_cases,
        doubts=_doubts(plan),
    )


def _doubts(plan: Plan) -> dict[str, ExitDoubt]:
    found = {case.key: exit_doubt(plan.scenario, case) for case in plan.scenario.cases}
    return {key: doubt for key, doubt in found.items() if doubt is not None}


def _left(path: CasePath, plan: Plan, decided: dict[Milestone, Seconds]) -> Seconds:
    """When the case is out of its room: the actual instant where it is."""
    if not path.out:
        return np.where(path.since_left > 0, -path.since_left, decided[Milestone.PATIENT_OUT_OF_ROOM])
    after = list(Milestone)[Milestone.PATIENT_OUT_OF_ROOM.rank :]
    actual = path.case.reached_at(*after)
    return np.full_like(path.arrival, min(plan.scenario.seconds(actual), 0) if actual is not None else 0)


def _entry(path: CasePath, plan: Plan, decided: dict[Milestone, Seconds]) -> datetime:
    """The instant that places a case in one of its room's blocks."""
    known = path.case.planned_in or path.case.reached_at(*list(Milestone)[Milestone.PATIENT_IN_ROOM.rank :])
    entered = decided.get(Milestone.PATIENT_IN_ROOM, np.zeros(1))
    return known or plan.scenario.now + timedelta(seconds=float(np.median(entered)))


def _times(path: CasePath, plan: Plan, decided: dict[Milestone, Seconds]) -> dict[Milestone, Seconds]:
    """All milestones not yet reached, in the pathway's order."""
    case = path.case
    entered = decided.get(Milestone.PATIENT_IN_ROOM)
    instants = {Milestone.PATIENT_IN_FACILITY: path.arrival} | decided
    instants |= {
        milestone: offset if entered is None else np.minimum(entered + offset, NOT_DONE_S)
        for milestone, offset in path.in_room.items()
    }
    if not path.out:
        # Told of a patient who is still inside, as time remaining is never 0; how likely that is stands beside it.
        inside = path.in_room[Milestone.PROCEDURE_FINISH] + path.emergence
        left = np.where(path.since_left > 0, inside, decided[Milestone.PATIENT_OUT_OF_ROOM])
        instants |= {Milestone.PATIENT_OUT_OF_ROOM: left, Milestone.PACU_ARRIVAL: left}
    elif not case.passed(Milestone.PACU_ARRIVAL):
        instants[Milestone.PACU_ARRIVAL] = np.zeros_like(path.arrival)
    instants = {m: s for m, s in instants.items() if m not in _NO_PATIENT_TIMES and not case.passed(m)}
    instants |= _room_times(path, plan, decided)
    return dict(sorted(instants.items(), key=lambda item: item[0].rank))


def _room_times(path: CasePath, plan: Plan, decided: dict[Milestone, Seconds]) -> dict[Milestone, Seconds]:
    """The room's own milestones, which stand outside the patient's order."""
    case, times = path.case, dict[Milestone, Seconds]()
    if case.room is None:
        return times
    if path.waiting and case.reached_at(Milestone.ROOM_READY) is None:
        free = decided.get(Milestone.ROOM_READY, np.zeros_like(path.arrival))
        times[Milestone.ROOM_READY] = free
        if path.first and path.planned is not None:  # not at midnight, though the room is free then
            opened = path.planned - round(60 * plan.scenario.options.early_start_min)
            times[Milestone.ROOM_READY] = np.maximum(free, np.minimum(decided[Milestone.PATIENT_IN_ROOM], opened))
    if not path.out:
        times[Milestone.ROOM_CLEANUP_FINISH] = decided[Milestone.ROOM_CLEANUP_FINISH]
    elif case.key in plan.being_cleaned:
        times[Milestone.ROOM_CLEANUP_FINISH] = path.turnover
    return times
