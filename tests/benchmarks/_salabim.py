"""A second peer: the same day in salabim, with the same draws, its monitors off.

A component for each task, an anonymous resource for each kind of place (any task may give one back), a state for each
gate. salabim promises no order of ties, so that equal instants are counted, not assumed.
"""

from typing import Any

import numpy as np
import salabim

from twin.simulation.draws import Seconds
from twin.simulation.program import NEVER, Await, Give, Open, Program, Spend, Start, Step, Take, Until

sim: Any = salabim
sim.yieldless(False)


def run(program: Program, draws: Seconds) -> Seconds:
    """Instants of every step, shape (columns, replications). For programs without choices, skips, changes or places
    held at the start, as the benchmark's day is."""
    return np.stack([np.array(Day(program, row).run()) for row in draws.tolist()], axis=1)


class Day:
    """One replication."""

    def __init__(self, program: Program, draws: list[int]) -> None:
        self.env = sim.Environment(trace=False, random_seed=None)
        self.program, self.draws = program, draws
        self.places = [
            sim.Resource(one.name, capacity=one.capacity, anonymous=True, monitor=False, env=self.env)
            for one in program.resources
        ]
        self.gates = [sim.State(f"gate {number}", monitor=False, env=self.env) for number in range(program.gates)]
        self.instants = [NEVER] * program.columns

    def run(self) -> list[int]:
        """Instants by column."""
        for number in range(self.program.started):
            Performed(day=self, number=number, env=self.env)
        self.env.run()
        return self.instants


class Performed(sim.Component):  # type: ignore[misc]
    """A task."""

    def setup(self, day: Day, number: int) -> None:
        """salabim calls it first."""
        self.day, self.number = day, number

    def process(self) -> Any:
        """From the task's start to its end."""
        day, column = self.day, self.day.program.offsets[self.number]
        for step in day.program.tasks[self.number].steps:
            day.instants[column] = int(self.env.now())
            column += 1
            yield from self.perform(step)
        day.instants[column] = day.instants[column + 1] = int(self.env.now())

    def perform(self, step: Step) -> Any:
        """One step."""
        day, now = self.day, self.env.now()
        match step:
            case Spend(draw):
                yield self.hold(day.draws[draw])
            case Until(draw):
                yield self.hold(max(day.draws[draw] - now, 0))
            case Take(need):
                told = day.program.needs[need]
                yield self.request((day.places[told.resources[0]], 1, told.priority))
            case Give(need):
                day.places[day.program.needs[need].resources[0]].release(1)
            case Open(gate):
                day.gates[gate].set(True)
            case Await(gate):
                yield self.wait(day.gates[gate])
            case Start(task):
                Performed(day=day, number=task, env=day.env)
