"""How many replications are enough: asked at the ends of blocks, in the order of replications (MODEL.md)."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from twin.simulation.draws import Seconds
from twin.simulation.result import HORIZON_S, NOT_DONE_S
from twin.simulation.summary import Tally, counts, half_width

_Z99 = 2.576


@dataclass(frozen=True, slots=True)
class StopRule:
    """`first` replications, then blocks of `block` until all that is published is known well enough, `most` at most."""

    half_width: float = 0.04
    """Of the 95 % interval of each probability."""
    first: int = 200
    block: int = 100
    most: int = 2_000
    paired_from: int = 400
    """A scenario is told from the first by a 99 % interval, of no fewer replications."""
    indifference_min: float = 10.0
    """Of E[U] + 2·E[O]: less makes no difference."""

    def blocks(self) -> Iterator[tuple[int, int]]:
        """(first replication, number) of each block."""
        yield 0, min(self.first, self.most)
        for first in range(self.first, self.most, self.block):
            yield first, min(self.block, self.most - first)


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a scenario is published, beside its milestones."""

    ends: Mapping[str, datetime] = field(default_factory=dict)
    """By room, the end of its session."""
    targets_min: Mapping[int, float] = field(default_factory=dict)
    """By urgency class."""


class Judge:
    """Adds up blocks of one or several scenarios, and says whether they are enough."""

    def __init__(self, rule: StopRule, asked: Asked) -> None:
        self._rule, self._asked = rule, asked
        self._replications = 0
        self._hits: Counter[tuple[int, str, str]] = Counter()
        self._sums: dict[int, tuple[float, float]] = {}

    def add(self, block: Sequence[Tally]) -> None:
        """A block of each scenario, in the same order every time."""
        self._replications += block[0].scenario.options.replications
        costs = [cost_min(told, self._asked.ends) for told in block]
        for number, told in enumerate(block):
            for (kind, name), hits in counts(told, self._asked.ends, self._asked.targets_min).items():
                self._hits[number, kind, name] += hits
            change = costs[number] - costs[0]
            total, squares = self._sums.get(number, (0.0, 0.0))
            self._sums[number] = total + float(change.sum()), squares + float((change**2).sum())

    @property
    def enough(self) -> bool:
        """True where every probability is known well enough, and of each scenario whether it differs from the first."""
        widest = max((half_width(hits, self._replications) for hits in self._hits.values()), default=0.0)
        return widest <= self._rule.half_width and all(self._told_apart(number) for number in self._sums if number)

    def _told_apart(self, number: int) -> bool:
        """Better, worse, or no different: the 99 % interval of the paired cost shuts out nothing or indifference."""
        if not self._asked.ends:
            return True
        if self._replications < self._rule.paired_from:
            return False
        mean, squares = (total / self._replications for total in self._sums[number])
        error = _Z99 * math.sqrt(max(squares - mean**2, 0.0) / self._replications)
        return abs(mean) > error or abs(mean) + error <= self._rule.indifference_min


def cost_min(told: Tally, ends: Mapping[str, datetime]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Under-utilized minutes and twice the overtime of all rooms with a session's end; shape (replications,).

    A room in which nobody is operated is not used from now on; a patient who never leaves it, until the horizon.
    """
    total = np.zeros(told.scenario.options.replications)
    for room, end in ends.items():
        if room in told.room_left:
            seconds: Seconds = told.room_left[room]
            known = np.where(seconds == NOT_DONE_S, 0, np.minimum(seconds, HORIZON_S))
            past = known - max(told.scenario.seconds(end), 0)
            total += np.where(past > 0, 2 * past, -past) / 60
    return total
