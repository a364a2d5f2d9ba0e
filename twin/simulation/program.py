"""The model told once, as data: what every task does step by step, and the places that it does it with.

`reference` runs a program in SimPy, `kernel` compiled; both give the instant at which each step is done. A program
knows no surgery: `pathway` writes one for a day of the suite. Indices are positions in the program's own tuples;
`draw`s are columns of a table of whole seconds, shape (replications, columns), drawn before either engine starts.

The rules of the clock, which both keep (they are SimPy's own):
- events happen by (time, order of scheduling); at an instant the timed ones come before those of no delay;
- a duration of 0 is an event of no delay: it queues behind those pending. So are asking and getting: each grant, each
  hand-over and each opened gate is an event of its own;
- giving back frees the place at once, and hands it over in the later event; one hand-over serves at most one who waits;
- who waits is served by priority, then by the time of asking, then by the order of asking;
- a change of capacity comes before anything else of its instant, and evicts nobody;
- a task that another starts begins before all that is pending, once the one that started it has come to its next event.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from twin.errors import SettingsError

NEVER = -1
"""The instant of a step that was not done."""
MOST_STEPS = 4_000_000
"""Of one program: about 100,000 cases. More is a mistake of input, not a suite."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Some equal places: a room, a person, a team, the PACU, the beds of a ward. Capacity 0 is closed."""

    name: str
    capacity: int = 1
    changes: tuple[tuple[int, int], ...] = ()
    """(second > 0, capacity from then on), in order of time: shifts, breaks, closures."""


@dataclass(frozen=True, slots=True)
class Need:
    """One place of a resource, for which the smallest `priority` is served first.

    Of several resources one is taken: the first of them that is free with nobody waiting, else whichever comes first.
    """

    resources: tuple[int, ...]
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Spend:
    """Takes a drawn time."""

    draw: int


@dataclass(frozen=True, slots=True)
class Until:
    """Waits until a drawn instant; one that is past has no delay."""

    draw: int


@dataclass(frozen=True, slots=True)
class Take:
    """Waits for the place of a need."""

    need: int


@dataclass(frozen=True, slots=True)
class Give:
    """Gives back the place of a need, which any task may have taken."""

    need: int


@dataclass(frozen=True, slots=True)
class Open:
    """Opens a gate, once and for all."""

    gate: int


@dataclass(frozen=True, slots=True)
class Await:
    """Waits until a gate is open. Only one task may wait at a gate."""

    gate: int


@dataclass(frozen=True, slots=True)
class Start:
    """Starts a task, which nobody else starts."""

    task: int


@dataclass(frozen=True, slots=True)
class Skip:
    """Jumps forward to a step of this task, or its end, where a draw is not 0; its own instant is then never."""

    draw: int
    to: int


Step = Spend | Until | Take | Give | Open | Await | Start | Skip


@dataclass(frozen=True, slots=True)
class Task:
    """One thing after the other. Its column 0 is its start, column i + 1 its step i, the last one its end."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Program:
    """The first `started` tasks start at second 0, in this order; places of needs `held` are occupied by then."""

    resources: tuple[Resource, ...]
    needs: tuple[Need, ...]
    tasks: tuple[Task, ...]
    started: int
    gates: int = 0
    draws: int = 0
    """Columns of the table of draws."""
    held: tuple[int, ...] = field(default=())
    """Taken whatever the capacities say: reality is not refused."""

    def __post_init__(self) -> None:
        if self.columns > MOST_STEPS:
            raise SettingsError(f"a simulation of {self.columns} steps is too large: at most {MOST_STEPS}")

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The first column of each task in the table of instants, and the number of all columns."""
        return tuple(accumulate((len(task.steps) + 2 for task in self.tasks), initial=0))

    @property
    def columns(self) -> int:
        """Of the table of instants, shape (replications, columns)."""
        return self.offsets[-1]
