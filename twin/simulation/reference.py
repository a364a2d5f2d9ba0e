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
    """One case in one replication: seconds, as in CasePath."""

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
    """What a replication decides for one case, seconds since now; all other times are added to these."""

    free: int
    """The room is free for it."""
    called: int
    entered: int
    left: int


_STARTED = Visit(0, 0, 0, 0)


def visits(plan: Plan) -> dict[str, dict[str, Seconds]]:
    """Runs every replication; by case, the fields of Visit as arrays of shape (replications,)."""
    draws = {key: _draws(path) for key, path in plan.paths.items()}
    free = [room.free.tolist() for room in plan.lists]
    out = {key: _STARTED for key, path in plan.paths.items() if path.out}
    runs = [
        out
        | _Replication(plan, {key: rows[number] for key, rows in draws.items()}, [room[number] for room in free]).run()
        for number in range(plan.scenario.options.replications)
    ]
    table = np.array([[run[key] for key in plan.paths] for run in runs], dtype=np.int64)
    return {
        key: {name: table[:, index, column] for column, name in enumerate(Visit._fields)}
        for index, key in enumerate(plan.paths)
    }


def _draws(path: CasePath) -> list[Draw]:
    nothing = np.zeros_like(path.arrival)
    columns = (
        path.callable_from,
        path.to_holding,
        path.holding,
        path.earliest,
        path.in_room.get(Milestone.CLOSURE_START, nothing),
        path.in_room.get(Milestone.PROCEDURE_FINISH, nothing),
        path.emergence,
        path.turnover,
        path.recovery[Milestone.PACU_DISCHARGE],
    )
    return [Draw._make(row) for row in np.stack(columns, axis=1).tolist()]


class _Replication:
    def __init__(self, plan: Plan, draws: dict[str, Draw], free: list[int]) -> None:
        self._plan, self._draws, self._free = plan, draws, free
        self._env = env = simpy.Environment()
        self._people = {person: simpy.PriorityResource(env) for path in plan.paths.values() for person in path.team}
        places = plan.scenario.pacu_places
        self._pacu = None if places is None else simpy.Resource(env, places)
        self._visits: dict[str, Visit] = {}

    def run(self) -> dict[str, Visit]:
        """The visits of the cases that were waiting or in a room at the start."""
        if self._pacu is not None:
            for path in self._plan.recovering:
                self._env.process(self._recover(path.case.key, self._pacu, self._pacu.request()))
        held = [self._held(room) for room in self._plan.lists]
        for room, free, team in zip(self._plan.lists, self._free, held, strict=True):
            self._env.process(self._serve(room, free, team))
        self._env.run()
        return self._visits

    def _serve(self, room: RoomList, free: int, team: list[PriorityRequest]) -> Steps:
        """A room's day: the running case, then those waiting, each after the one before."""
        closing = 0
        if room.running is not None:
            closing = self._draws[room.running.case.key].to_closure
            yield from self._operate(room.running, _STARTED, team)
        elif room.waiting:
            yield self._env.timeout(free)
        for path in room.waiting:
            visit, team = yield from self._enter(path, closing)
            closing = visit.entered + self._draws[path.case.key].to_closure
            yield from self._operate(path, visit, team)

    def _enter(self, path: CasePath, closing: int) -> Generator[simpy.Event, Any, tuple[Visit, list[PriorityRequest]]]:
        """Waits, in a free room, for the booking, the patient and the team."""
        draw, free = self._draws[path.case.key], int(self._env.now)
        called = 0 if path.sent else max(draw.callable_from, closing)
        there = called + draw.to_holding + draw.holding
        yield self._env.timeout(max(there, draw.earliest, free) - free)
        team = []
        for person in path.team:
            request = self._people[person].request(_UNBOOKED if path.planned is None else path.planned)
            yield request
            team.append(request)
        return Visit(free, called, int(self._env.now), 0), team

    def _operate(self, path: CasePath, visit: Visit, team: list[PriorityRequest]) -> Steps:
        """From wheels in to the room restored."""
        draw = self._draws[path.case.key]
        yield self._env.timeout(draw.to_finish)
        for person, request in zip(path.team, team, strict=False):
            yield from self._let_go(self._people[person], request)
        yield self._env.timeout(draw.emergence)
        if self._pacu is not None:
            place = self._pacu.request()
            yield place
            self._env.process(self._recover(path.case.key, self._pacu, place))
        self._visits[path.case.key] = visit._replace(left=int(self._env.now))
        yield self._env.timeout(draw.turnover)

    def _recover(self, key: str, pacu: simpy.Resource, place: Request) -> Steps:
        """Holds a PACU place until the patient has left it."""
        yield self._env.timeout(self._draws[key].recovery)
        yield from self._let_go(pacu, place)

    def _let_go(self, resource: simpy.Resource, request: Request) -> Steps:
        """Of someone who was there at the start beyond what the counts allow, only the request is withdrawn."""
        if request.triggered:
            yield resource.release(request)
        else:
            request.cancel()

    def _held(self, room: RoomList) -> list[PriorityRequest]:
        """The running case has its team, even where a person is recorded in two rooms: asked for, not waited for."""
        if room.running is None or room.running.case.passed(Milestone.PROCEDURE_FINISH):
            return []
        return [self._people[person].request(_RUNNING) for person in room.running.team]
