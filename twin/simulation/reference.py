"""A program as a SimPy model, written to be read: the specification that the compiled kernel has to equal.

Time is whole seconds since now. All rules of the clock (see `program`) are SimPy's own; what is added here are places
whose capacity changes, and that those held at the start are held whatever the capacity says.
"""

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

import numpy as np
import simpy
from simpy.events import URGENT
from simpy.resources.resource import PriorityRequest

from twin.simulation.draws import Seconds
from twin.simulation.program import (
    NEVER,
    Await,
    Give,
    Need,
    Open,
    Program,
    Resource,
    Skip,
    Spend,
    Start,
    Take,
    Until,
)

Steps = Generator[simpy.Event, Any, None]


def run(program: Program, draws: Seconds, columns: Seconds | None = None) -> Seconds:
    """The instant at which each step is done, NEVER where it isn't; shape (columns, replications), all of them or some.

    `draws` has the shape (replications, program.draws).
    """
    kept = np.arange(program.columns) if columns is None else columns
    instants = np.empty((len(kept), len(draws)), dtype=np.int64)
    for number, row in enumerate(draws.tolist()):
        instants[:, number] = np.array(Replication(program, row).run(), dtype=np.int64)[kept]
    return instants


class Replication:
    """One future."""

    def __init__(self, program: Program, draws: Sequence[int]) -> None:
        self.env = simpy.Environment()
        self.program, self.draws = program, draws
        self.places = [Places(self.env, resource) for resource in program.resources]
        self.gates = [self.env.event() for _ in range(program.gates)]
        self.taken: dict[int, tuple[Places, PriorityRequest]] = {}
        """By need."""
        self.instants = [NEVER] * program.columns

    def run(self) -> list[int]:
        """Instants by column."""
        for number in self.program.held:
            place = self.places[self.program.needs[number].resources[0]]
            self.taken[number] = place, place.occupy()
        for number in range(self.program.started):
            self.env.process(self.perform(number))
        self.env.run()
        return self.instants

    def perform(self, number: int) -> Steps:
        """A task from its start to its end."""
        env, draws, steps = self.env, self.draws, self.program.tasks[number].steps
        column, at = self.program.offsets[number], 0
        self.instants[column] = int(env.now)
        while at < len(steps):
            match steps[at]:
                case Spend(draw):
                    yield env.timeout(draws[draw])
                case Until(draw):
                    yield env.timeout(max(draws[draw] - env.now, 0))
                case Take(need):
                    yield from self.take(need)
                case Give(need):
                    place, request = self.taken[need]
                    yield place.release(request)
                case Open(gate):
                    self.gates[gate].succeed()
                case Await(gate):
                    yield self.gates[gate]
                case Start(other):
                    env.process(self.perform(other))
                case Skip(draw, to) if draws[draw]:
                    at = to
                    continue
            at += 1
            self.instants[column + at] = int(env.now)
        self.instants[column + len(steps) + 1] = int(env.now)

    def take(self, number: int) -> Steps:
        """Waits for the place of a need."""
        need = self.program.needs[number]
        choice = [self.places[resource] for resource in need.resources]
        place = choice[0] if len(choice) == 1 else next((place for place in choice if place.free), None)
        if place is None:
            self.taken[number] = yield from self.first_of(choice, need)
        else:
            request = place.request(need.priority)
            self.taken[number] = place, request
            yield request

    def first_of(
        self, choice: list["Places"], need: Need
    ) -> Generator[simpy.Event, Any, tuple["Places", PriorityRequest]]:
        """Waits for all of them and keeps the first in their order of those that it got by then."""
        requests = [place.request(need.priority) for place in choice]
        yield simpy.AnyOf(self.env, requests)
        kept = next(number for number, request in enumerate(requests) if request.triggered)
        for number, (place, request) in enumerate(zip(choice, requests, strict=True)):
            if not request.triggered:
                request.cancel()
            elif number != kept:
                place.release(request)
        return choice[kept], requests[kept]


class Places(simpy.PriorityResource):
    """Places whose number changes with time, and may be 0."""

    def __init__(self, env: simpy.Environment, resource: Resource) -> None:
        super().__init__(env, max(resource.capacity, 1))
        self._capacity = resource.capacity
        for second, capacity in resource.changes:
            Change(env, second, partial(self.become, capacity))

    @property
    def free(self) -> bool:
        """True where a place would be got at once."""
        return not self.put_queue and len(self.users) < self._capacity

    def occupy(self) -> PriorityRequest:
        """A place held from the start, beyond the capacity if need be."""
        capacity, self._capacity = self._capacity, len(self.users) + 1
        request = self.request(0)
        self._capacity = capacity
        return request

    def become(self, capacity: int, _change: simpy.Event) -> None:
        """Fewer places evict nobody; more are handed over one by one to those who wait."""
        more, self._capacity = capacity - int(self._capacity), capacity
        for _ in range(more):
            self._trigger_put(None)


class Change(simpy.Event):
    """Something that happens before anything else of its instant."""

    def __init__(self, env: simpy.Environment, second: int, action: Callable[[simpy.Event], None]) -> None:
        super().__init__(env)
        self.callbacks.append(action)
        self._ok, self._value = True, None
        env.schedule(self, URGENT, second)
