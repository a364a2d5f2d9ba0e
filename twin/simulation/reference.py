"""The suite as a SimPy model, written to be read: the specification that a compiled kernel has to equal.

Who waits for whom:
- a room serves its list in order: the next case enters when the last one is out and the room restored, not before its
  booking less the early start, and not before the patient is there and every person of its team is free;
- a patient is sent for when in the facility, not long before the booking, and once the case before is closing;
- persons are taken at wheels in, in the order of their names (so that no two cases can wait for each other), by the
  earliest booking first, and let go at the procedure's finish;
- a patient leaves the room only into a free PACU place; until then the room is blocked. The place is free again when
  the patient has left the PACU, not when fit to.
Whoever is in a room or in the PACU at the start holds it whatever the counts say: reality is not refused.

Time is whole seconds since now. Events are ordered by (time, sequence); a duration of 0 queues behind what is pending;
request and grant are separate events; a release hands over in a later step. These are SimPy's own rules.
"""

from collections.abc import Generator
from typing import Any, NamedTuple

import numpy as np
import simpy
from simpy.resources.resource import PriorityRequest, Request

from twin.simulation.draws import Seconds
from twin.simulation.lists import Plan, RoomList
from twin.simulation.paths import CasePath
from twin.vocabulary import Milestone

_RUNNING = -(10**15)
_UNBOOKED = -(10**12)
"""Priorities of persons: who is in a room already, then emergencies, then by the booked entry in seconds since now."""

Steps = Generator[simpy.Event, Any, None]


class Draw(NamedTuple):
    """One case in one replication: seconds as in CasePath."""

    callable_from: int
    to_holding: int
    holding: int
    earliest: int
    to_closure: int
    to_finish: int
    emergence: int
    turnover: int
    recovery: int


class Visit(NamedTuple):
    """What a replication decides for one case, seconds since now; all else is added to these."""

    free: int
    """The room is free for it."""
    called: int
    entered: int
    left: int


_NOT_SIMULATED = Visit(0, 0, 0, 0)


def visits(plan: Plan) -> dict[str, dict[str, Seconds]]:
    """Runs every replication; by case, the fields of Visit as arrays of shape (replications,)."""
    draws = {key: _draws(path) for key, path in plan.paths.items()}
    runs = [
        _Replication(plan, {key: rows[number] for key, rows in draws.items()}).run()
        for number in range(plan.scenario.options.replications)
    ]
    table = np.array([[run.get(key, _NOT_SIMULATED) for key in plan.paths] for run in runs], dtype=np.int64)
    return {
        key: {name: table[:, index, column] for column, name in enumerate(Visit._fields)}
        for index, key in enumerate(plan.paths)
    }


class _Replication:
    def __init__(self, plan: Plan, draws: dict[str, Draw]) -> None:
        self._plan, self._draws = plan, draws
        self._env = env = simpy.Environment()
        people = {person for path in plan.paths.values() for person in path.case.team}
        self._people = {person: simpy.PriorityResource(env) for person in sorted(people)}
        places = plan.scenario.pacu_places
        self._pacu = None if places is None else simpy.Resource(env, places)
        self._visits: dict[str, Visit] = {}

    def run(self) -> dict[str, Visit]:
        """The visits of the cases that were waiting or in a room."""
        if self._pacu is not None:
            for path in self._plan.recovering:
                self._env.process(self._recover(path, self._pacu, self._pacu.request()))
        held = {
            room.running.case.key: self._request_team(room.running, _RUNNING)
            for room in self._plan.lists
            if room.running is not None and not room.running.case.passed(Milestone.PROCEDURE_FINISH)
        }
        for room in self._plan.lists:
            self._env.process(self._serve(room, held))
        self._env.run()
        return self._visits

    def _serve(self, room: RoomList, held: dict[str, list[PriorityRequest]]) -> Steps:
        closing = 0
        if room.running is not None:
            closing = self._draws[room.running.case.key].to_closure
            yield from self._finish(room.running, Visit(0, 0, 0, 0), held.get(room.running.case.key, []))
        ...

    def _request_team(self, path: CasePath, priority: int) -> list[PriorityRequest]:
        return [self._people[person].request(priority) for person in sorted(set(path.case.team))]
