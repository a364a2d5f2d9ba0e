"""A program as two flat arrays, the form that the kernel reads: one signature for every program.

The first holds what stays: a header of sizes and of where each section begins, then the sections. The second is the
memory of a replication as it stands before its first event, to be copied for each.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.errors import SettingsError
from twin.simulation.program import Await, Give, Open, Program, Skip, Spend, Start, Step, Take, Until

Ints = NDArray[np.int64]

SPEND, UNTIL, BEGIN, TAKE, GIVE, OPEN, AWAIT, START, SKIP, CHOOSE, GIVE_CHOSEN, END = range(12)
OP_BITS = 4
_TIME_BITS = 31
"""68 years of seconds."""
LATE = 2**63 - 1

# The header: sizes, bits of the clock's keys, sections of the program, sections of the memory.
TASKS, GATES, CHOICES, CHANGES, LEAVES, RING_MASK, TASK_BITS, CLOCK_BITS = range(8)
CODES, EXTRAS, CHANGE, CHOICE, CHOICE_BEGIN, PRIORITY = range(8, 14)
TREE, COLUMN, PLACE, NODE, GATE, CHOSEN, GOT, ASKED, SETTLED, RING, STARTS = range(14, 25)
HEADER = 25
# The memory's registers, before its first section.
NOW, QUIET, HORIZON, SEQUENCE, RING_HEAD, RING_TAIL, STARTS_HEAD, STARTS_TAIL, NEXT_CHANGE = range(9)
REGISTERS = 16
# Records of a section.
USED, CAPACITY, HEAD, TAIL, PLACE_WORDS = range(5)
NEXT, RANK, NODE_WORDS = range(3)
STATE, WAITER, GATE_WORDS = range(3)
SECOND, OF_PLACE, BECOMES, CHANGE_WORDS = range(4)


class Flat(NamedTuple):
    """`program`: header; codes (operation | argument << OP_BITS, one a column); their extras: the priority of a TAKE,
    the column that a SKIP leads to, 1 for an OPEN at whose gate only another task, one of second 0, waits; changes of
    capacity in order; choices of needs. `memory`: registers, the clock's tree, where each task stands, places, who
    waits, gates, choices, the ring of events of no delay, starts."""

    program: Ints
    memory: Ints


def flatten(program: Program) -> Flat:
    """SettingsError where the clock of the kernel could overflow."""
    choices = [need.resources if len(need.resources) > 1 else () for need in program.needs]
    header = _zeros(HEADER)
    changes = _changes(program)
    tasks, many = len(program.tasks), sum(len(choice) for choice in choices)
    leaves = 1 << max(tasks - 1, 1).bit_length()
    ring = 1 << (tasks + program.gates + many + len(program.resources) + 1).bit_length()
    bits = _bits(program)
    header[:CODES] = (tasks, program.gates, many, len(changes), leaves, ring - 1, *bits)
    late = frozenset(
        step.gate for task in program.tasks[program.started :] for step in task.steps if isinstance(step, Await)
    )
    rows = _array(word for task in range(tasks) for row in _task(program, task, late) for word in row).reshape(-1, 2)
    told = (
        rows[:, 0],
        rows[:, 1],
        _array(word for change in changes for word in change),
        _array(resource for choice in choices for resource in choice),
        np.cumsum([0, *(len(choice) for choice in choices)]),
        _array(need.priority for need in program.needs),
    )
    memory = (
        np.full(2 * leaves, LATE),
        _array(program.offsets[:-1]),
        _places(program),
        _zeros(NODE_WORDS * (tasks + many)),
        _array(program.gates * (0, -1)),
        _array(need.resources[0] if len(need.resources) == 1 else -1 for need in program.needs),
        _zeros(many),
        _zeros(2 * many),
        _zeros(len(program.needs)),
        _zeros(ring),
        np.arange(tasks),
    )
    registers = _zeros(REGISTERS)
    registers[STARTS_TAIL] = program.started
    header[CODES:TREE] = HEADER + _begins(told)
    header[TREE:] = REGISTERS + _begins(memory)
    return Flat(np.concatenate((header, *told)), np.concatenate((registers, *memory)))


def _array(values: Iterable[int]) -> Ints:
    return np.fromiter(values, dtype=np.int64)


def _zeros(length: int) -> Ints:
    return np.zeros(length, dtype=np.int64)


def _begins(sections: tuple[Ints, ...]) -> Ints:
    return np.cumsum([0, *(len(section) for section in sections[:-1])])


def _changes(program: Program) -> list[tuple[int, int, int]]:
    changes = (
        (second, place, capacity) for place, one in enumerate(program.resources) for second, capacity in one.changes
    )
    return sorted(changes, key=lambda change: change[0])


def _places(program: Program) -> Ints:
    words = np.array([(0, resource.capacity, -1, -1) for resource in program.resources], dtype=np.int64)
    for need in program.held:
        words[program.needs[need].resources[0], USED] += 1
    return words.reshape(-1)


def _task(program: Program, task: int, late: frozenset[int]) -> list[tuple[int, int]]:
    """(code, extra) of each column of a task."""
    steps, column = program.tasks[task].steps, program.offsets[task]
    late |= {step.gate for step in steps if isinstance(step, Await)}
    told = [(BEGIN, 0, 0), *(_step(program, step, column, late) for step in steps), (END, 0, 0)]
    return [(operation | argument << OP_BITS, extra) for operation, argument, extra in told]


def _step(program: Program, step: Step, column: int, late: frozenset[int]) -> tuple[int, int, int]:
    match step:
        case Spend(draw):
            return SPEND, draw, 0
        case Until(draw):
            return UNTIL, draw, 0
        case Take(need) | Give(need):
            return _place(program, need, taken=isinstance(step, Take))
        case Open(gate):
            return OPEN, gate, gate not in late
        case Await(gate):
            return AWAIT, gate, 0
        case Start(task):
            return START, task, 0
        case Skip(draw, to):
            return SKIP, draw, column + 1 + to


def _place(program: Program, number: int, *, taken: bool) -> tuple[int, int, int]:
    need = program.needs[number]
    if len(need.resources) > 1:
        return (CHOOSE if taken else GIVE_CHOSEN), number, 0
    return (TAKE if taken else GIVE), need.resources[0], need.priority


def _bits(program: Program) -> tuple[int, int]:
    """A key of the clock is time | sequence | task; the sequence counts timed events, of which a step makes one."""
    timed = sum(isinstance(step, Spend | Until) for task in program.tasks for step in task.steps)
    task_bits, sequence_bits = len(program.tasks).bit_length(), timed.bit_length()
    if task_bits + sequence_bits > 63 - _TIME_BITS:
        raise SettingsError("this simulation has too many tasks for the kernel's clock: simulate fewer cases")
    return task_bits, task_bits + sequence_bits
