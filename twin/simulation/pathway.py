"""A day of the suite written as a program: the one place that says who does what in which order, and waits for whom.

Of each case up to three tasks:
- the patient: comes, is sent for once the case before is closing and not long before the booking, waits in holding;
- the room: after its turn in the list, about the booked time and with the patient there, a case takes the room, then
  its team; who may go at the finish goes; the patient leaves once there is a place to go to (until then the room is
  blocked), then the room is restored;
- the recovery: PACU until fit and the bed is free, then the unit, then home.
Lists keep their order: a case asks for its room only once the one before it has it. An emergency comes in between two.
Whoever is in a room or in the PACU at the start holds it whatever the capacities say: reality is not refused.
"""

import numpy as np

from twin.durations.stages import stage_law
from twin.simulation.draws import Seconds, sample, uniforms
from twin.simulation.lists import Plan, RoomList
from twin.simulation.paths import CasePath
from twin.simulation.program import Await, Open, Resource, Skip
from twin.simulation.resources import FOR_ALL, HELD, Phase, ResourceInput, ResourceKind
from twin.simulation.scenario import Scenario
from twin.simulation.writer import Pathway, TaskWriter, Writer
from twin.vocabulary import Milestone, Stage

NO_SHOW = "no_show"
_UNBOOKED = -(10**12)
_URGENCY = 10**13


def write(plan: Plan) -> Pathway:
    """The program of a day, with the day's draws."""
    return _Day(plan).write()


class _Day:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.scenario = plan, plan.scenario
        self.writer = Writer(_resources(plan), plan.scenario.options.replications)
        self.needs: dict[str, dict[ResourceKind, list[int]]] = {}
        self.last: TaskWriter

    def write(self) -> Pathway:
        for room_list in self.plan.lists:
            self._list(room_list)
        for path in self.plan.paths.values():
            if path.out:
                self._recover(path, self._needs(path), started=True)
                if self._needs(path)[ResourceKind.INSTRUMENTS]:
                    self._sterilize(path, self._needs(path), started=True)
        return self.writer.pathway()

    def _list(self, room_list: RoomList) -> None:
        """A room's day: the running case, then those waiting, each after the one before."""
        closing = turn = None
        if room_list.running is not None:
            closing = self._run(room_list.running, holds_room=room_list.has_room)
            self._free_for_next(room_list, -1)
        elif room_list.waiting and room_list.free.any():
            self._clean(room_list.waiting[0], room_list.free)
        for rank, path in enumerate(room_list.waiting):
            there = self._patient(path, closing, rank)
            closing, turn = self._room(path, there, turn)
            self._free_for_next(room_list, rank)

    def _free_for_next(self, room_list: RoomList, rank: int) -> None:
        """The end of a room's task is when the room is ready for the next case."""
        for following in room_list.waiting[rank + 1 : rank + 2]:
            self.last.mark(Milestone.ROOM_READY, following.case.key)

    def _clean(self, path: CasePath, free: Seconds) -> None:
        """A room that is not free yet."""
        room = self.writer.need(self.writer.index[str(path.case.room)], held=True)
        task = self.writer.task(path.case.key, "room not free")
        task.until("room not free", free)
        task.mark(Milestone.ROOM_READY)
        task.give(room)

    def _patient(self, path: CasePath, closing: int | None, rank: int) -> int:
        """Until the patient is there; the gate that is open then."""
        task, needs = self.writer.task(path.case.key, "patient"), self._needs(path, rank)
        there = self.writer.gate()
        if path.case.no_show:
            self._skip_absent(task, path, to_end=True)
        if not path.sent:
            task.until("awaited", path.callable_from)
            if closing is not None:
                task.add(Await(closing))
        arrived = path.case.passed(Milestone.PATIENT_IN_HOLDING)
        task.take(*([] if arrived else _taken(needs, Phase.CALLED)))
        task.mark(Milestone.PATIENT_SENT_FOR)
        task.spend(Stage.TRANSPORT, path.to_holding)
        task.take(*_taken(needs, Phase.HOLDING))
        task.mark(Milestone.PATIENT_IN_HOLDING)
        task.give(*([] if arrived else _given(needs, Phase.HOLDING)))
        task.spend(Stage.HOLDING, path.holding)
        task.add(Open(there))
        return there

    def _room(self, path: CasePath, there: int, turn: int | None) -> tuple[int, int]:
        """From the case's turn to the room restored; the gates open from its closing, and once it has the room."""
        task, needs = self.writer.task(path.case.key, "room"), self._needs(path)
        closing, next_turn = self.writer.gate(), self.writer.gate()
        if turn is not None:
            task.add(Await(turn))
        task.until("booked", path.earliest)
        if path.case.no_show:
            self._skip_absent(task, path, Open(next_turn), Open(closing))
        task.add(Await(there))
        task.take(*needs[ResourceKind.ROOM])
        task.add(Open(next_turn))
        task.take(*_taken(needs, Phase.ENTRY, but=ResourceKind.ROOM))
        task.mark(Milestone.PATIENT_IN_ROOM)
        task.give(*_given(needs, Phase.ENTRY))
        self._operate(path, task, needs, closing)
        return closing, next_turn

    def _run(self, path: CasePath, *, holds_room: bool) -> int:
        """The rest of a case that is in its room; the gate that is open from its closing."""
        task, closing = self.writer.task(path.case.key, "room"), self.writer.gate()
        needs = self._needs(path)
        if not holds_room:
            needs[ResourceKind.ROOM] = []
        gone = path.case.passed(Milestone.PROCEDURE_FINISH)
        for kind, mine in needs.items():
            begin, end = HELD[kind]
            if begin is Phase.ENTRY and gone and end <= Phase.FINISH:
                needs[kind] = []
            elif begin is Phase.ENTRY:
                self.writer.held += mine
        self._operate(path, task, needs, closing)
        return closing

    def _operate(self, path: CasePath, task: TaskWriter, needs: dict[ResourceKind, list[int]], closing: int) -> None:
        """From wheels in to the room restored."""
        self.last, inside = task, (path.since_left == 0).astype(np.int64)
        finish = path.in_room[Milestone.PROCEDURE_FINISH] * inside
        to_closure = path.in_room.get(Milestone.CLOSURE_START, np.zeros_like(finish)) * inside
        task.spend("to_closure", to_closure)
        task.add(Open(closing))
        task.spend(Stage.CLOSURE, finish - to_closure)
        task.mark(Milestone.PROCEDURE_FINISH)
        task.give(*_given(needs, Phase.FINISH))
        task.spend(Stage.EMERGENCE, path.emergence * inside)
        task.take(*_taken(needs, Phase.OUT))
        task.mark(Milestone.PATIENT_OUT_OF_ROOM)
        task.give(*_given(needs, Phase.OUT))
        task.start(self._recover(path, needs, started=False))
        if needs[ResourceKind.INSTRUMENTS]:
            task.start(self._sterilize(path, needs, started=False))
        task.take(*_taken(needs, Phase.CLEANING))
        task.spend(Stage.TURNOVER, path.turnover)
        task.mark(Milestone.ROOM_CLEANUP_FINISH)
        task.give(*_given(needs, Phase.CLEAN))

    def _recover(self, path: CasePath, needs: dict[ResourceKind, list[int]], *, started: bool) -> TaskWriter:
        """From the room to home; of a patient who has left the room already, from where they are."""
        task = self.writer.task(path.case.key, "recovery", started=started)
        times, case = path.recovery, path.case
        if started:
            self._hold_after_room(path, needs)
        ready, gone = times[Milestone.PACU_READY], times[Milestone.PACU_DISCHARGE]
        unit, home = times[Milestone.UNIT_ARRIVAL], times[Milestone.FACILITY_DISCHARGE]
        task.spend(Stage.PACU, ready)
        task.mark(Milestone.PACU_READY)
        task.spend(Stage.PACU_BOARDING, gone - ready)
        if not case.passed(Milestone.PACU_DISCHARGE):
            task.take(*_taken(needs, Phase.PACU_OUT))
        task.mark(Milestone.PACU_DISCHARGE)
        if not case.passed(Milestone.PACU_DISCHARGE):
            task.give(*_given(needs, Phase.PACU_OUT))
        task.spend(Stage.TO_UNIT, unit - gone)
        task.mark(Milestone.UNIT_ARRIVAL)
        task.spend(Stage.UNIT, home - unit)
        task.mark(Milestone.FACILITY_DISCHARGE)
        task.give(*_given(needs, Phase.HOME))
        return task

    def _sterilize(self, path: CasePath, needs: dict[ResourceKind, list[int]], *, started: bool) -> TaskWriter:
        """Until the instruments can be used again; of a patient who has left the room already, what is left of it."""
        task = self.writer.task(path.case.key, "instruments", started=started)
        law = stage_law(self.scenario.laws, Stage.STERILIZATION, path.case.setting).law
        key = self.scenario.draw_key(path.case.key, Stage.STERILIZATION)
        if started:
            out = path.case.reached_at(*list(Milestone)[Milestone.PATIENT_OUT_OF_ROOM.rank :])
            elapsed = round(60 * self.scenario.elapsed_min(out))
            self.writer.held += needs[ResourceKind.INSTRUMENTS]
            task.spend(Stage.STERILIZATION, np.maximum(sample(law, key) - elapsed, 0))
        else:
            task.spend(Stage.STERILIZATION, sample(law, key))
        task.give(*_given(needs, Phase.STERILE))
        return task

    def _hold_after_room(self, path: CasePath, needs: dict[ResourceKind, list[int]]) -> None:
        in_pacu = not path.case.passed(Milestone.PACU_DISCHARGE)
        for kind, mine in needs.items():
            begin, end = HELD[kind]
            held = begin is Phase.OUT if in_pacu else end is Phase.HOME
            if held:
                self.writer.held += mine

    def _skip_absent(self, task: TaskWriter, path: CasePath, *instead: Open, to_end: bool = False) -> None:
        """Where the patient doesn't come, does something else instead of all that follows."""
        u = uniforms(self.scenario.draw_key(path.case.key, NO_SHOW))
        absent = (u < path.case.no_show).astype(np.int64)
        if not to_end:
            here = len(task.steps)
            task.add(Skip(self.writer.draw(1 - absent), here + len(instead) + 2), *instead)
        task.to_end(self.writer.draw(absent))

    def _needs(self, path: CasePath, rank: int = 0) -> dict[ResourceKind, list[int]]:
        """By kind, in the published order, the case's needs: the same at every call."""
        if path.case.key not in self.needs:
            self.needs[path.case.key] = {
                kind: [self._need(path, resources, kind, rank) for resources in self._resources_of(path, kind)]
                for kind in ResourceKind
            }
        return self.needs[path.case.key]

    def _need(self, path: CasePath, resources: tuple[int, ...], kind: ResourceKind, rank: int) -> int:
        booked = _UNBOOKED if path.planned is None else path.planned
        priority = 0 if HELD[kind][0] > Phase.FINISH and path.case.urgency is None else booked
        if kind is ResourceKind.ROOM and path.case.room is not None:
            priority = rank
        if path.case.urgency is not None and not (kind is ResourceKind.ROOM and path.case.room is not None):
            priority = (path.case.urgency - 10) * _URGENCY
        return self.writer.need(*resources, priority=priority)

    def _resources_of(self, path: CasePath, kind: ResourceKind) -> list[tuple[int, ...]]:
        """The places of a kind that a case needs, each with the resources that would do."""
        case, index = path.case, self.writer.index
        named: list[tuple[int, ...]] = [
            (index[name],) for name in sorted(case.needs) if self.writer.kinds[index[name]] is kind
        ]
        if kind is ResourceKind.ROOM:
            rooms = case.room_choice if case.room is None else (case.room,)
            return [tuple(index[room] for room in rooms)] if rooms else []
        if kind is ResourceKind.SURGEON:
            return sorted([*named, *((index[person],) for person in path.team)])
        if kind in FOR_ALL and self._spared(path, kind):
            return []
        if kind in FOR_ALL and not named and self.writer.of_kind[kind]:
            return [self.writer.of_kind[kind]]
        return named

    def _spared(self, path: CasePath, kind: ResourceKind) -> bool:
        """The ICU replaces the PACU. Emergencies, and who is on the way already, may be out of the list's order: they
        go past holding, else a full one could wait for somebody who waits for it."""
        if kind is ResourceKind.HOLDING:
            return path.sent or path.case.urgency is not None or bool(path.case.room_choice)
        in_icu = any(self.writer.kinds[self.writer.index[name]] is ResourceKind.ICU for name in path.case.needs)
        return in_icu and kind in (ResourceKind.PACU, ResourceKind.PACU_NURSE)


def _taken(needs: dict[ResourceKind, list[int]], phase: Phase, but: ResourceKind | None = None) -> list[int]:
    return [need for kind, mine in needs.items() if HELD[kind][0] is phase and kind is not but for need in mine]


def _given(needs: dict[ResourceKind, list[int]], phase: Phase) -> list[int]:
    return [need for kind, mine in needs.items() if HELD[kind][1] is phase for need in mine]


def _resources(plan: Plan) -> list[tuple[ResourceKind, Resource]]:
    """Those that are told, then the rooms, persons and PACU places that the cases bring with them."""
    scenario = plan.scenario
    told = {one.name: (one.kind, resource_of(scenario, one)) for one in scenario.resources}
    cases = [path.case for path in plan.paths.values()]
    rooms = {case.room for case in cases if case.room is not None} | {room for c in cases for room in c.room_choice}
    for room in sorted(rooms):
        told.setdefault(room, (ResourceKind.ROOM, Resource(room)))
    for person in sorted({person for case in cases for person in case.team}):
        told.setdefault(person, (ResourceKind.SURGEON, Resource(person)))
    if scenario.pacu_places is not None:
        told.setdefault("PACU", (ResourceKind.PACU, Resource("PACU", scenario.pacu_places)))
    return list(told.values())


def resource_of(scenario: Scenario, told: ResourceInput) -> Resource:
    """Its places from the scenario's now on, in seconds."""
    places, changes = told.places, list[tuple[int, int]]()
    for instant, number in sorted(told.changes):
        second = scenario.seconds(instant)
        if second > 0:
            changes.append((second, number))
        else:
            places = number
    return Resource(told.name, places, tuple(changes))
