"""Runs a program by the compiled machine: the same instants as `reference`, hundreds of times faster, in threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from twin.errors import SimulationError
from twin.simulation import reference
from twin.simulation.compiled import is_cached
from twin.simulation.draws import Seconds
from twin.simulation.filling import fill, warm_draws
from twin.simulation.flat import CODES, Flat, flatten
from twin.simulation.machine import run_block
from twin.simulation.program import Await, Give, Need, Open, Program, Resource, Skip, Spend, Start, Take, Task, Until
from twin.simulation.readiness import now_ready

_CACHED = 2**17
"""Instants that stand in the processor's cache together."""


def run(
    program: Program,
    draws: Seconds,
    columns: Seconds | None = None,
    *,
    threads: int = 1,
    go_on: Callable[[], bool] = lambda: True,
) -> Seconds:
    """The instant at which each step is done, NEVER where it isn't; shape (columns, replications), all of them or some.

    `draws` has the shape (replications, program.draws). More threads give the same sooner. `go_on` is asked before
    each block of replications: SimulationError where it says no.
    """
    kept = np.arange(program.columns) if columns is None else columns
    return run_flat(flatten(program), draws, kept, threads=threads, go_on=go_on)


def run_flat(
    flat: Flat, draws: Seconds, kept: Seconds, *, threads: int = 1, go_on: Callable[[], bool] = lambda: True
) -> Seconds:
    """As `run`, for who runs a program several times."""
    columns = int(flat.program[CODES])
    instants = np.empty((len(kept), len(draws)), dtype=np.int64)

    def part(rows: range) -> None:
        size = max(min(_CACHED // max(columns, 1), 16), 1)
        memory, table = flat.memory.copy(), np.empty((size, columns), dtype=np.int64)
        for first in range(rows.start, rows.stop, size):
            if not go_on():
                raise SimulationError("the simulation was not done in time: lower replications")
            block = slice(first, min(first + size, rows.stop))
            run_block(flat.program, flat.memory, memory, draws[block], table, kept, instants[:, block])

    shares = [range(len(draws) * share // threads, len(draws) * (share + 1) // threads) for share in range(threads)]
    if threads == 1:
        part(shares[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, shares))
    return instants


def cached() -> bool | None:
    """Whether `warm` finds all on the disk; None where nothing can be kept there."""
    found = [is_cached(function) for function in (run_block, fill)]
    return None if None in found else all(found)


def warm() -> None:
    """Compiles all, or loads it from the cache on disk; then `readiness.ready()` is true. Seconds, of any thread.

    SimulationError where what was loaded differs from the specification: a cache of other sources, say.
    """
    draws = np.array([[60, 0, 5]], dtype=np.int64)
    if not np.array_equal(run(_PROOF, draws), reference.run(_PROOF, draws)):
        raise SimulationError("the compiled kernel differs from its specification: delete its cache (*.nbi)")
    warm_draws()
    now_ready()


_PROOF = Program(
    resources=(Resource("one", 1, ((30, 0), (90, 1))), Resource("other", 1)),
    needs=(Need((0,)), Need((0,), 1), Need((1, 0)), Need((1,))),
    tasks=(
        Task("holds", (Open(0), Start(3), Spend(0), Give(0))),
        Task("waits", (Until(2), Take(1), Skip(1, 4), Spend(1), Give(1))),
        Task("chooses", (Await(0), Take(2), Spend(0), Give(2))),
        Task("started", (Take(3), Skip(0, 3), Spend(0), Give(3))),
    ),
    started=3,
    gates=1,
    draws=3,
    held=(0,),
)
"""A step of each kind."""
