"""Writes a program: keeps the numbers of places, needs, gates and draws, and what each instant of the table means."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from twin.simulation.draws import Seconds
from twin.simulation.program import Give, Need, Program, Resource, Skip, Spend, Start, Step, Take, Task, Until
from twin.simulation.resources import BEDS, ORDER, STAFF, ResourceKind
from twin.vocabulary import Milestone


@dataclass(frozen=True, slots=True)
class Visit:
    """A stage of a case, between two columns of the table; waiting for a place names the resources that would do."""

    case: str
    stage: str
    begin: int
    end: int
    resources: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stay:
    """A place of a bed or a person, between two columns of the table; held from the start without a first one."""

    resource: int
    begin: int | None
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Pathway:
    """A program, its draws, and where the instants of a case stand in the table."""

    program: Program
    draws: Seconds
    """Whole seconds, shape (replications, program.draws)."""
    columns: dict[str, dict[Milestone, int]]
    """By case: milestones that the program decides."""
    visits: tuple[Visit, ...]
    """In the order of the tasks."""
    kinds: tuple[ResourceKind, ...]
    """Of the program's resources."""
    stays: tuple[Stay, ...]

    @property
    def kept(self) -> Seconds:
        """The columns of all milestones, in order."""
        return np.array(sorted({c for mine in self.columns.values() for c in mine.values()}), dtype=np.int64)


@dataclass(eq=False)
class TaskWriter:
    """One task under way. Steps count from 1, as their columns in the task do."""

    writer: "Writer"
    case: str
    name: str
    steps: list[Step] = field(default_factory=list)
    visits: list[tuple[str, int, tuple[int, ...]]] = field(default_factory=list)
    marks: list[tuple[str, Milestone, int]] = field(default_factory=list)
    starts: list[tuple[int, "TaskWriter"]] = field(default_factory=list)

    def add(self, *steps: Step) -> None:
        """Steps that need no draw."""
        self.steps += steps

    def spend(self, stage: str, seconds: Seconds) -> None:
        """A stage that takes a drawn time."""
        self.steps.append(Spend(self.writer.draw(seconds)))
        self.visits.append((stage, len(self.steps), ()))

    def until(self, stage: str, instant: Seconds) -> None:
        """Waits until a drawn instant."""
        self.steps.append(Until(self.writer.draw(instant)))
        self.visits.append((stage, len(self.steps), ()))

    def take(self, *needs: int) -> None:
        """One after the other."""
        for need in needs:
            self.steps.append(Take(need))
            self.visits.append(("wait", len(self.steps), self.writer.needs[need].resources))

    def give(self, *needs: int) -> None:
        """One after the other."""
        self.steps += [Give(need) for need in needs]

    def to_end(self, draw: int) -> None:
        """Ends here where a draw is not 0."""
        self.steps.append(Skip(draw, -1))

    def told(self) -> tuple[Step, ...]:
        """The steps, their ends known."""
        end = len(self.steps)
        return tuple(replace(step, to=end) if isinstance(step, Skip) and step.to < 0 else step for step in self.steps)

    def start(self, task: "TaskWriter") -> None:
        """Starts another task."""
        self.steps.append(Start(-1))
        self.starts.append((len(self.steps) - 1, task))

    def mark(self, milestone: Milestone, case: str | None = None) -> None:
        """The step before is done at the instant of a milestone, of this case or another."""
        self.marks.append((case or self.case, milestone, len(self.steps)))


class Writer:
    """A program under way."""

    def __init__(self, resources: Iterable[tuple[ResourceKind, Resource]], replications: int) -> None:
        told = sorted(resources, key=lambda one: (ORDER[one[0]], one[1].name))
        self.resources = [resource for _, resource in told]
        self.of_kind = {kind: tuple(i for i, (k, _) in enumerate(told) if k is kind) for kind in ResourceKind}
        self.index = {resource.name: number for number, resource in enumerate(self.resources)}
        self.kinds = [kind for kind, _ in told]
        self.needs: list[Need] = []
        self.held: list[int] = []
        self.gates = 0
        self._draws: list[Seconds] = []
        self._replications = replications
        self._first: list[TaskWriter] = []
        self._later: list[TaskWriter] = []

    def need(self, *resources: int, priority: int = 0, held: bool = False) -> int:
        """A place of one of some resources; `held` from the start."""
        self.needs.append(Need(resources, priority))
        if held:
            self.held.append(len(self.needs) - 1)
        return len(self.needs) - 1

    def gate(self) -> int:
        """A gate that is closed."""
        self.gates += 1
        return self.gates - 1

    def draw(self, seconds: Seconds) -> int:
        """A column of draws, shape (replications,)."""
        self._draws.append(seconds)
        return len(self._draws) - 1

    def task(self, case: str, name: str, *, started: bool = True) -> TaskWriter:
        """A task that starts at second 0, or that another one starts."""
        task = TaskWriter(self, case, name)
        (self._first if started else self._later).append(task)
        return task

    def pathway(self) -> Pathway:
        """All that was written."""
        tasks = [*self._first, *self._later]
        numbers = {id(task): number for number, task in enumerate(tasks)}
        for task in tasks:
            for at, other in task.starts:
                task.steps[at] = Start(numbers[id(other)])
        for number in self.held:
            self.needs[number] = Need(self.needs[number].resources[:1])
        program = Program(
            resources=tuple(self.resources),
            needs=tuple(self.needs),
            tasks=tuple(Task(f"{task.case}: {task.name}", task.told()) for task in tasks),
            started=len(self._first),
            gates=self.gates,
            draws=len(self._draws),
            held=tuple(self.held),
        )
        table = np.empty((self._replications, len(self._draws)), dtype=np.int64)
        for column, seconds in enumerate(self._draws):
            table[:, column] = seconds
        columns, visits = _columns(tasks, program.offsets), _visits(tasks, program.offsets)
        return Pathway(program, table, columns, visits, tuple(self.kinds), tuple(self._stays(program)))

    def _stays(self, program: Program) -> Iterator[Stay]:
        told = {number for kind in (*BEDS, *STAFF) for number in self.of_kind[kind]}
        steps = [
            (step, offset + number)
            for task, offset in zip(program.tasks, program.offsets, strict=False)
            for number, step in enumerate(task.steps, start=1)
        ]
        taken = {step.need: column for step, column in steps if isinstance(step, Take)}
        for step, column in steps:
            if isinstance(step, Give) and program.needs[step.need].resources[0] in told:
                yield Stay(program.needs[step.need].resources[0], taken.get(step.need), column)


def _columns(tasks: list[TaskWriter], offsets: tuple[int, ...]) -> dict[str, dict[Milestone, int]]:
    columns: dict[str, dict[Milestone, int]] = {}
    for task, offset in zip(tasks, offsets, strict=False):
        for case, milestone, step in task.marks:
            columns.setdefault(case, {})[milestone] = offset + step
    return columns


def _visits(tasks: list[TaskWriter], offsets: tuple[int, ...]) -> tuple[Visit, ...]:
    return tuple(
        Visit(task.case, stage, offset + step - 1, offset + step, resources)
        for task, offset in zip(tasks, offsets, strict=False)
        for stage, step, resources in task.visits
    )
