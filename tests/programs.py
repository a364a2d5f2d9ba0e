"""Random programs and suites for the equality of both engines: small, crowded, full of ties."""

from dataclasses import replace
from random import Random

from tests.simulation_days import at, case
from twin.durations.distribution import LogT
from twin.durations.stages import STAGE_LAWS, StageLaw
from twin.simulation import hazards as hz
from twin.simulation.hazards import Hazard, with_hazards
from twin.simulation.program import (
    Await,
    Give,
    Need,
    Open,
    Program,
    Resource,
    Skip,
    Spend,
    Start,
    Step,
    Take,
    Task,
    Until,
)
from twin.simulation.resources import ResourceInput, ResourceKind
from twin.simulation.scenario import CaseInput, Scenario
from twin.site import SimulationOptions
from twin.vocabulary import Stage

GRIDS = (1, 5, 15)


class Programs:
    """Writes one program with the numbers of `rng`."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.grid = rng, rng.choice(GRIDS)
        self.tasks, self.draws = rng.randint(1, 7), rng.randint(1, 6)
        self.started = rng.randint(1, self.tasks)
        self.startable = list(range(self.started, self.tasks))
        self.resources = [self.resource(f"r{number}") for number in range(rng.randint(1, 4))]
        self.needs: list[Need] = []
        self.held: list[int] = []
        self.open: list[int] = []
        self.gates = 0

    def resource(self, name: str) -> Resource:
        changes = {self.rng.randint(1, 20) * self.grid: self.rng.randint(0, 3) for _ in range(self.rng.randint(0, 3))}
        return Resource(name, self.rng.randint(0, 2), tuple(sorted(changes.items())))

    def program(self) -> Program:
        tasks = tuple(Task(f"t{number}", self.steps(number)) for number in range(self.tasks))
        return Program(
            tuple(self.resources), tuple(self.needs), tasks, self.started, self.gates, self.draws, tuple(self.held)
        )

    def row(self) -> list[int]:
        """Draws of one replication, a tenth of them 0."""
        rng = self.rng
        return [0 if rng.random() < 0.1 else rng.randint(0, 10) * self.grid for _ in range(self.draws)]

    def steps(self, task: int) -> tuple[Step, ...]:
        own: list[int] = []
        if self.rng.random() < 0.2:
            own.append(self.need(1))
            self.held += own
        steps = [step for _ in range(self.rng.randint(0, 9)) if (step := self.step(task, own)) is not None]
        if all(isinstance(step, Spend | Until) for step in steps):
            here = self.rng.randint(0, len(steps))
            steps.insert(here, Skip(self.rng.randrange(self.draws), self.rng.randint(here + 1, len(steps) + 1)))
        return tuple(steps)

    def need(self, choice: int) -> int:
        resources = tuple(self.rng.sample(range(len(self.resources)), choice))
        self.needs.append(Need(resources, self.rng.randint(0, 2)))
        return len(self.needs) - 1

    def step(self, task: int, own: list[int]) -> Step | None:
        kind = self.rng.random()
        if kind < 0.4:
            return (Spend if kind < 0.3 else Until)(self.rng.randrange(self.draws))
        if kind < 0.6:
            own.append(self.need(1 if self.rng.random() < 0.6 else self.rng.randint(1, len(self.resources))))
            return Take(own[-1])
        if kind < 0.8:
            return Give(own.pop(self.rng.randrange(len(own)))) if own else None
        return self.meeting(task, kind)

    def meeting(self, task: int, kind: float) -> Step | None:
        if kind < 0.85:
            self.open.append(self.gates)
            self.gates += 1
            return Open(self.open[-1])
        if kind < 0.92 and self.open:
            return Await(self.open.pop(self.rng.randrange(len(self.open))))
        if self.startable and self.startable[0] > task:
            return Start(self.startable.pop(0))
        return None


def suite(rng: Random) -> Scenario:
    """A tight day in any state, with hazards."""
    rooms = [f"room {number}" for number in range(rng.randint(1, 4))]
    resources = tuple(resource for kind in ResourceKind for resource in _some(rng, kind))
    cases = [_case(rng, room, rank, resources) for room in rooms for rank in range(rng.randint(0, 4))]
    scenario = Scenario(
        at(11),
        tuple(cases),
        pacu_places=rng.choice([None, 1, 2]),
        laws=rng.choice([STAGE_LAWS, _on_grid(rng)]),
        resources=resources,
        options=SimulationOptions(replications=2, seed=rng.randint(0, 9)),
    )
    return with_hazards(scenario, [hazard for _ in range(rng.randint(0, 3)) for hazard in _hazard(rng, scenario)])


def open_suite(rng: Random) -> Scenario:
    """A tight day on which nothing is closed and everybody comes: all can be done, however long it takes."""
    scenario = suite(rng)
    law = LogT.of_median(45, 0.3)
    rooms = tuple(sorted({one.room for one in scenario.cases if one.room}))
    urgent = [hz.Emergency(f"urgent {n}", at(11 + n / 4), 1, law, law, rooms) for n in range(2) if rooms]
    calm = replace(
        scenario,
        cases=tuple(replace(one, no_show=0) for one in scenario.cases if not one.room_choice),
        resources=tuple(replace(one, places=max(one.places, 1), changes=()) for one in scenario.resources),
    )
    return with_hazards(calm, urgent)


def _some(rng: Random, kind: ResourceKind) -> list[ResourceInput]:
    if kind is ResourceKind.ROOM or rng.random() < 0.5:
        return []
    changes = tuple((at(rng.randint(40, 80) / 4), rng.randint(0, 2)) for _ in range(rng.randint(0, 2)))
    return [ResourceInput(f"{kind} {number}", kind, rng.randint(1, 2), changes) for number in range(rng.randint(1, 2))]


def _on_grid(rng: Random) -> tuple[StageLaw, ...]:
    grid = rng.choice([5, 15])
    minutes = {stage: 0 if rng.random() < 0.1 else rng.randint(0, 3) * grid for stage in Stage}
    return tuple(StageLaw(stage, LogT.constant(told), "test") for stage, told in minutes.items())


def _case(rng: Random, room: str, rank: int, resources: tuple[ResourceInput, ...]) -> CaseInput:
    reached: list[dict[str, float]] = [{}, {"patient_in_facility": 10}, {"patient_in_holding": 10.5}]
    if rank == 0:
        reached += [{"patient_in_room": 10.5}, {"patient_in_room": 9, "incision": 10}]
        reached += [{"patient_in_room": 8, "patient_out_of_room": 10.75}, {"patient_in_room": 8, "pacu_discharge": 10}]
    law = rng.choice([LogT.constant(rng.choice([0, 15, 30, 45])), LogT.of_median(60, 0.4, df=8)])
    made = case(
        f"{room}/{rank}",
        room,
        rng.choice([None, 8, 10.5, 11, 11.25]),
        room_min=law,
        surgical_min=law,
        team=tuple(rng.sample(["ana", "bob", "eve"], rng.randint(0, 2))),
        rank=rank,
        reached=rng.choice(reached),
    )
    needs = tuple(one.name for one in resources if rng.random() < 0.4)
    return replace(made, needs=needs, no_show=rng.choice([0, 0, 0.5]))


def _hazard(rng: Random, scenario: Scenario) -> list[Hazard]:
    """One that the scenario has the names for."""
    if not scenario.cases:
        return []
    one, start = rng.choice(scenario.cases), at(rng.randint(40, 60) / 4)
    end = rng.choice([None, at(rng.randint(61, 70) / 4)])
    law = LogT.of_median(45, 0.3)
    rooms = tuple(sorted({told.room for told in scenario.cases if told.room}))
    choice: list[Hazard] = [
        hz.LongerCase(one.key, 1.5, 10),
        hz.NoShow(one.key, 0.5),
        hz.NotFasted(one.key, at(12)),
        hz.RoomDown(str(one.room), start, end),
        hz.SlowTurnover(2.0),
        hz.Emergency(f"emergency {rng.random()}", start, rng.randint(1, 3), law, law, rooms),
    ]
    choice += [hz.PlacesClosed(told.name, 1, start, end) for told in scenario.resources[:2]]
    choice += [hz.SurgeonLate(person, end) for person in one.team]
    return [rng.choice(choice)]
