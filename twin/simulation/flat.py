"""A program as two flat arrays, the form that the kernel reads: one signature for every program.

The first holds what stays: a header, then a code for each column of the table of instants, then the changes of
capacity. The second is the memory of a replication as it stands before its first event. Whatever has a record in the
memory (a task, a place, a gate) is known to the machine by the word at which it begins.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.errors import SettingsError
from twin.simulation.program import Await, Give, Need, Open, Program, Skip, Spend, Start, Step, Take, Until

Ints = NDArray[np.int64]

SPEND, UNTIL, BEGIN, TAKE, OPEN, AWAIT, START, SKIP, END, GIVE, GIVE_CHOSEN, CHOOSE = range(12)
OP_BITS, ARGUMENT_BITS = 4, 28
"""A code is extra | argument | operation. Extras: the rank of a TAKE, the column that a SKIP leads to, 1 for an OPEN at
whose gate only another task, one of second 0, waits."""
LATE = 2**63 - 1
FIRST_S = 2**14
"""Up to here the clock's bins are equally wide; from there on their width doubles as often as time does."""
BIN_BITS = 13
"""Times up to 2 ** (14 + 13) seconds, four years, have bins of their own; what is later shares the last one."""
MARK_BITS = 5

# The header: sections of the memory and their sizes, the width of the clock's bins, where the changes begin.
WORDS, GATES, CHOICES, PLACES, STARTS, RING, RING_MASK, BINS, LAST_BIN, SHIFT, LEVELS, CODES, MARKS = range(13)
MOST_LEVELS = 4
HEADER = MARKS + MOST_LEVELS
# The memory's registers; then the task that is never due, with which the clock is never empty.
NOW, HORIZON, EARLIEST, RING_HEAD, RING_TAIL, STARTS_HEAD, STARTS_TAIL, NEXT_CHANGE = range(8)
NOBODY = 8
# Records. Who waits, in the clock or for a place, is in a list by rank; what has a list begins with its two ends.
NEXT, RANK, COLUMN, TASK_WORDS = range(4)
ASKER, OF_NEED, GOT, OF_PLACE, CHOICE_WORDS = range(2, 7)
HEAD, TAIL, USED, CAPACITY, PLACE_WORDS = range(5)
BIN_WORDS = 2
STATE, WAITER, GATE_WORDS = range(3)
CHOSEN, SETTLED, FIRST, BEYOND, PRIORITY, NEED_WORDS = range(6)
SECOND, CHANGED, BECOMES, CHANGE_WORDS = range(4)


class Flat(NamedTuple):
    """`program`: header; codes, one a column; changes of capacity in order, the last one never.

    `memory`: registers, tasks, gates, choices, places, needs, starts, all of it to be reset for a replication, `WORDS`
    long; then the ring of events of no delay and the clock's bins and marks, which are empty again at its end.
    """

    program: Ints
    memory: Ints


class _Layout:
    """Where each section of the memory begins."""

    def __init__(self, program: Program) -> None:
        self.choices = [need.resources if len(need.resources) > 1 else () for need in program.needs]
        many = sum(len(choice) for choice in self.choices)
        self.tasks = NOBODY + TASK_WORDS
        self.gates = self.tasks + TASK_WORDS * len(program.tasks)
        self.first_choice = self.gates + GATE_WORDS * program.gates
        self.places = self.first_choice + CHOICE_WORDS * many
        self.needs = self.places + PLACE_WORDS * len(program.resources)
        self.starts = self.needs + NEED_WORDS * len(program.needs)
        self.ring = self.starts + len(program.tasks)
        self.ring_words = 1 << (len(program.tasks) + program.gates + many + len(program.resources) + 1).bit_length()
        timed = sum(isinstance(step, Spend | Until) for task in program.tasks for step in task.steps)
        self.bin_bits = min(max(timed.bit_length() + 2, 4), FIRST_S.bit_length() - 1)
        self.last_bin = BIN_BITS << self.bin_bits
        self.bins = self.ring + self.ring_words
        self.words = self.bins + BIN_WORDS * (self.last_bin + 1)
        self.marks = list[int]()
        left = self.last_bin
        while left:
            self.marks.append(self.words)
            left >>= MARK_BITS
            self.words += left + 1
        ranks = sorted({need.priority for need in program.needs})
        self.rank = {priority: rank for rank, priority in enumerate(ranks)}

    def place(self, resource: int) -> int:
        return self.places + PLACE_WORDS * resource


def flatten(program: Program) -> Flat:
    """SettingsError where the program is too large for the kernel's words."""
    at = _Layout(program)
    if at.words >> ARGUMENT_BITS:
        raise SettingsError("this simulation has too many tasks for the kernel: simulate fewer cases")
    late = frozenset(
        step.gate for task in program.tasks[program.started :] for step in task.steps if isinstance(step, Await)
    )
    codes = _array(code for task in range(len(program.tasks)) for code in _task(program, at, task, late))
    header = (at.starts + len(program.tasks), at.gates, at.first_choice, at.places, at.starts, at.ring)
    clock = (at.ring_words - 1, at.bins, at.last_bin, 52 - at.bin_bits, len(at.marks), len(codes), *at.marks)
    told = np.concatenate(
        (_array((*header, *clock, *(MOST_LEVELS - len(at.marks)) * (0,))), codes, _array(_changes(program, at)))
    )
    return Flat(told, _memory(program, at, len(codes)))


def _memory(program: Program, at: _Layout, columns: int) -> Ints:
    memory = np.zeros(at.words, dtype=np.int64)
    memory[[EARLIEST, STARTS_TAIL, NEXT_CHANGE]] = at.last_bin, program.started, HEADER + columns
    memory[NOBODY + RANK] = LATE
    tasks = at.tasks + TASK_WORDS * np.arange(len(program.tasks))
    memory[tasks + COLUMN] = program.offsets[:-1]
    memory[at.starts : at.ring] = tasks
    for resource, told in enumerate(program.resources):
        memory[at.place(resource) + CAPACITY] = told.capacity
    for held in program.held:
        memory[at.place(program.needs[held].resources[0]) + USED] += 1
    choice = at.first_choice
    for number, need in enumerate(program.needs):
        word = at.needs + NEED_WORDS * number
        memory[word : word + NEED_WORDS] = _need(need, at, choice)
        for resource in at.choices[number]:
            memory[choice + OF_NEED], memory[choice + OF_PLACE] = word, at.place(resource)
            choice += CHOICE_WORDS
    last = at.bins + BIN_WORDS * at.last_bin
    memory[last + HEAD] = memory[last + TAIL] = NOBODY
    number = at.last_bin
    for marks in at.marks:
        memory[marks + (number >> MARK_BITS)] = 1 << (number & ((1 << MARK_BITS) - 1))
        number >>= MARK_BITS
    return memory


def _need(need: Need, at: _Layout, choice: int) -> tuple[int, ...]:
    several = len(need.resources) > 1
    chosen = 0 if several else at.place(need.resources[0])
    return chosen, 0, choice, choice + CHOICE_WORDS * len(need.resources) * several, at.rank[need.priority]


def _array(values: Iterable[int]) -> Ints:
    return np.fromiter(values, dtype=np.int64)


def _changes(program: Program, at: _Layout) -> list[int]:
    changes = sorted(
        (
            (second, at.place(place), capacity)
            for place, one in enumerate(program.resources)
            for second, capacity in one.changes
        ),
        key=lambda change: change[0],
    )
    return [word for change in (*changes, (LATE, 0, 0)) for word in change]


def _task(program: Program, at: _Layout, task: int, late: frozenset[int]) -> list[int]:
    """The code of each column of a task."""
    steps, column = program.tasks[task].steps, program.offsets[task]
    late |= {step.gate for step in steps if isinstance(step, Await)}
    told = [(BEGIN, 0, 0), *(_step(program, at, step, column, late) for step in steps), (END, 0, 0)]
    return [operation | (argument | extra << ARGUMENT_BITS) << OP_BITS for operation, argument, extra in told]


def _step(program: Program, at: _Layout, step: Step, column: int, late: frozenset[int]) -> tuple[int, int, int]:
    match step:
        case Spend(draw):
            return SPEND, draw, 0
        case Until(draw):
            return UNTIL, draw, 0
        case Take(need) | Give(need):
            return _place(program, at, need, taken=isinstance(step, Take))
        case Open(gate):
            return OPEN, at.gates + GATE_WORDS * gate, gate not in late
        case Await(gate):
            return AWAIT, at.gates + GATE_WORDS * gate, 0
        case Start(task):
            return START, at.tasks + TASK_WORDS * task, 0
        case Skip(draw, to):
            return SKIP, draw, column + 1 + to


def _place(program: Program, at: _Layout, number: int, *, taken: bool) -> tuple[int, int, int]:
    need = program.needs[number]
    if len(need.resources) > 1:
        return (CHOOSE if taken else GIVE_CHOSEN), at.needs + NEED_WORDS * number, 0
    return (TAKE if taken else GIVE), at.place(need.resources[0]), at.rank[need.priority]
