"""Runs one or many scenarios in blocks of replications, on threads here or on a cluster: the same numbers on any.

A block's numbers follow from its scenario and its first replication alone, and blocks are kept and judged in their
order, so that it makes no difference who simulates them, nor how many at once. Scenarios run side by side, each block
of all of them with the same random numbers, and get equally many replications.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol, Self

from twin.errors import SettingsError, SimulationError
from twin.simulation.replications import Engine
from twin.simulation.scenario import Scenario
from twin.simulation.stopping import Asked, Judge, StopRule
from twin.simulation.summary import PART, Tally, joined, tally_part

MOST_WORKERS = 256
_LOOK_S = 0.1
"""How often a wait looks whether to go on."""


class Job(Protocol):
    """A block under way."""

    def result(self, timeout: float | None = None) -> Tally:
        """What came of it; TimeoutError where it is not done in time."""
        ...

    def cancel(self) -> object:
        """It is not needed any more."""
        ...


class Pool(Protocol):
    """Who simulates blocks."""

    @property
    def width(self) -> int:
        """How many at once."""
        ...

    def submit(self, part: Scenario) -> Job:
        """A block to simulate."""
        ...


class Threads:
    """Simulates in threads of this process, as a context manager; the compiled kernel needs no GIL."""

    def __init__(self, engine: Engine, workers: int = 1) -> None:
        """SettingsError for a number of workers that makes no sense."""
        if not 1 <= workers <= MOST_WORKERS:
            raise SettingsError(f"workers: give a number from 1 to {MOST_WORKERS}")
        self.width, self._engine = workers, engine
        self._threads = ThreadPoolExecutor(workers, "simulate")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._threads.shutdown(cancel_futures=True)

    def submit(self, part: Scenario) -> Job:
        """Queues a block."""
        return self._threads.submit(tally_part, part, self._engine)


@dataclass(frozen=True, slots=True, eq=False)
class Swept:
    """What came of a sweep."""

    tallies: tuple[Tally, ...]
    """One of each scenario, in their order."""
    replications: int
    """Of each scenario."""
    precise: bool
    """True where the stop rule ended it, or none was given; False where it went to the rule's most replications."""


Progress = Callable[[int, int], None]


def sweep(
    scenarios: Sequence[Scenario],
    pool: Pool,
    *,
    rule: StopRule | None = None,
    asked: Asked | None = None,
    progress: Progress = lambda done, most: None,
    go_on: Callable[[], bool] = lambda: True,
    timeout_s: float | None = None,
) -> Swept:
    """As many replications as the rule asks for, or where there is none as the scenarios' options say.

    `progress` is told replications done and to be done at most, after each block. Raises SimulationError where it is
    cancelled (`go_on` says no) or unfinished after `timeout_s` of wall time: time never changes a number. Blocks under
    way are then given up, here and on the cluster.
    """
    _check(scenarios)
    most = rule.most if rule else scenarios[0].options.replications
    blocks = rule.blocks() if rule else _equal_blocks(most)
    judge = Judge(rule or StopRule(), asked or Asked())
    wait = _Wait(go_on, timeout_s, most)
    kept: list[list[Tally]] = []
    under_way: deque[list[Job]] = deque()
    precise = rule is None
    try:
        _fill(under_way, scenarios, pool, blocks)
        while under_way:
            block = [wait.result(job) for job in under_way[0]]
            under_way.popleft()
            kept.append(block)
            wait.done += block[0].scenario.options.replications
            progress(wait.done, most)
            if rule is not None:
                judge.add(block)
                if judge.enough:
                    precise = True
                    break
            _fill(under_way, scenarios, pool, blocks)
    finally:
        for job in (job for block in under_way for job in block):
            job.cancel()
    return Swept(tuple(joined(tallies) for tallies in zip(*kept, strict=True)), wait.done, precise)


def _check(scenarios: Sequence[Scenario]) -> None:
    if not scenarios:
        raise SettingsError("a sweep needs a scenario")
    if any(each.options.replications != scenarios[0].options.replications for each in scenarios):
        raise SettingsError("scenarios of a sweep have equally many replications")


def _equal_blocks(replications: int) -> Iterator[tuple[int, int]]:
    for first in range(0, replications, PART):
        yield first, min(PART, replications - first)


def _fill(
    under_way: deque[list[Job]], scenarios: Sequence[Scenario], pool: Pool, blocks: Iterator[tuple[int, int]]
) -> None:
    """As many blocks as are done at once, and one that waits."""
    while len(under_way) * len(scenarios) <= pool.width and (block := next(blocks, None)) is not None:
        under_way.append([pool.submit(_part(scenario, *block)) for scenario in scenarios])


def _part(scenario: Scenario, first: int, number: int) -> Scenario:
    options = replace(scenario.options, replications=number)
    return replace(scenario, options=options, first_replication=scenario.first_replication + first)


class _Wait:
    """Waits for blocks, for as long as it may."""

    def __init__(self, go_on: Callable[[], bool], timeout_s: float | None, most: int) -> None:
        self._go_on, self._most = go_on, most
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self.done = 0

    def result(self, job: Job) -> Tally:
        while True:
            if not self._go_on():
                raise SimulationError("the simulation was cancelled")
            if self._deadline is not None and time.monotonic() >= self._deadline:
                raise SimulationError(
                    f"the simulation is unfinished: {self.done} of at most {self._most} replications were done in time"
                )
            try:
                return job.result(timeout=_LOOK_S)
            except TimeoutError:
                continue
