"""The compiled kernel against the SimPy specification: the same day of 63 cases, the same draws, in one run.

`python -m tests.benchmarks.simulation --json` gives all figures. Times of one core are processor time of a thread, the
best of some rounds, so that a busy machine slows neither side down; two threads against two processes is wall time.
Every instant of every step of the compared replications is equal, or the benchmark ends with an AssertionError.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np

from tests.benchmarks import Row, _salabim
from tests.simulation_days import suite_day
from twin.simulation import kernel, reference
from twin.simulation.draws import Seconds
from twin.simulation.flat import flatten
from twin.simulation.lists import draw_plan
from twin.simulation.pathway import write
from twin.simulation.replications import Engine, futures_of
from twin.simulation.writer import Pathway

UNIT = "replications of a suite's day, 63 cases"
COMPARED = 60
PEER_COMPARED = 10
MANY = 1000
SIZES = ((1, 400), (10, 40), (100, 6))
"""Days side by side, replications."""


def figures() -> dict[str, object]:
    """All that is measured, by name; times in milliseconds a replication."""
    kernel.warm()
    pathway = write(draw_plan(suite_day(replications=MANY)))
    few = pathway.draws[:COMPARED]
    known = reference.run(pathway.program, few)
    equal = np.array_equal(kernel.run(pathway.program, few), known)
    assert equal, "the kernel differs from its specification"
    simpy_ms = 1000 * best(lambda: reference.run(pathway.program, few)) / COMPARED
    flat = flatten(pathway.program)
    kernel_ms = 1000 * best(lambda: kernel.run_flat(flat, pathway.draws, pathway.kept), rounds=7) / MANY
    return {
        "replications": COMPARED,
        "events": events(pathway, few),
        "resources": len(pathway.program.resources),
        "simpy_ms": round(simpy_ms, 4),
        "kernel_ms": round(kernel_ms, 4),
        "ratio": round(simpy_ms / kernel_ms, 1),
        "bit_equal": equal,
        "compared_values": known.size,
        "salabim": by_salabim(pathway, known, kernel_ms),
        "two_cores": two_cores(pathway),
        "what_if": what_if(),
        "by_size": [by_size(size, replications) for size, replications in SIZES],
    }


def by_salabim(pathway: Pathway, known: Seconds, kernel_ms: float) -> dict[str, object]:
    """A second peer, on the first of the same draws; AssertionError where more than ties differ."""
    few = pathway.draws[:PEER_COMPARED]
    found = _salabim.run(pathway.program, few)
    equal = int((found == known[:, :PEER_COMPARED]).sum())
    assert equal > 0.99 * found.size, "salabim was told another day"
    taken_ms = 1000 * best(lambda: _salabim.run(pathway.program, few), rounds=2) / PEER_COMPARED
    return {
        "replications": PEER_COMPARED,
        "salabim_ms": round(taken_ms, 2),
        "kernel_ms": round(kernel_ms, 4),
        "ratio": round(taken_ms / kernel_ms, 1),
        "equal_values": equal,
        "compared_values": found.size,
    }


def two_cores(pathway: Pathway) -> dict[str, float]:
    """Two threads of the kernel against two processes of the reference, wall time a replication."""
    halves = (pathway.draws[:COMPARED], pathway.draws[COMPARED : 2 * COMPARED])
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        work = partial(reference.run, pathway.program)
        list(pool.map(work, (pathway.draws[:1], pathway.draws[:1])))
        simpy_ms = 1000 * best(lambda: list(pool.map(work, halves)), clock=time.perf_counter) / (2 * COMPARED)
    run = partial(kernel.run, pathway.program, np.concatenate((pathway.draws,) * 4), pathway.kept, threads=2)
    kernel_ms = 1000 * best(run, rounds=7, clock=time.perf_counter) / (4 * MANY)
    return {"simpy_ms": round(simpy_ms, 4), "kernel_ms": round(kernel_ms, 4), "ratio": round(simpy_ms / kernel_ms, 1)}


def what_if() -> dict[str, float]:
    """From a scenario to the P10, P50 and P90 of every milestone; SimPy's time is scaled up from fewer replications."""
    kernel_ms = 1000 * best(partial(answer, MANY, kernel.run), rounds=5)
    simpy_ms = 1000 * best(partial(answer, COMPARED, reference.run), rounds=2) * MANY / COMPARED
    return {
        "replications": MANY,
        "simpy_ms": round(simpy_ms, 1),
        "kernel_ms": round(kernel_ms, 1),
        "ratio": round(simpy_ms / kernel_ms, 1),
    }


def answer(replications: int, engine: Engine) -> int:
    """The number of milestones whose quantiles were computed."""
    futures = futures_of(suite_day(replications=replications), engine)
    return sum(len(futures.quantiles_of(case)) for case in futures.times)


def by_size(size: int, replications: int) -> dict[str, float]:
    """Kernel time a replication and case, for days side by side that share all but rooms and surgeons."""
    pathway = write(draw_plan(suite_day(replications=replications, size=size)))
    flat = flatten(pathway.program)
    taken = best(lambda: kernel.run_flat(flat, pathway.draws, pathway.kept))
    cases = 63 * size
    return {
        "cases": cases,
        "kernel_ms": round(1000 * taken / replications, 4),
        "microseconds_per_case": round(1e6 * taken / replications / cases, 3),
    }


def events(pathway: Pathway, draws: Seconds) -> int:
    """Of one replication, as SimPy counts them."""
    replication = reference.Replication(pathway.program, draws[0].tolist())
    replication.run()
    return int(next(replication.env._eid))


def best(work: Callable[[], object], rounds: int = 3, clock: Callable[[], float] = time.thread_time) -> float:
    """The shortest of some rounds, seconds."""
    taken = []
    for _ in range(rounds):
        started = clock()
        work()
        taken.append(clock() - started)
    return min(taken)


def run() -> list[Row]:
    """For the table of all benchmarks."""
    found: dict[str, Any] = figures()
    row = partial(Row, "simulation")
    both, what, salabim = found["two_cores"], found["what_if"], found["salabim"]
    slower = salabim["salabim_ms"] / found["simpy_ms"]
    first, *larger = found["by_size"]
    return [
        row("salabim, most of it making its objects", 1000 / salabim["salabim_ms"], UNIT, 1.0),
        row("SimPy reference", 1000 / found["simpy_ms"], UNIT, slower),
        row("compiled kernel, bit-equal to SimPy", 1000 / found["kernel_ms"], UNIT, salabim["ratio"]),
        row("SimPy reference, one core", 1000 / found["simpy_ms"], UNIT, 1.0),
        row("compiled kernel, one core", 1000 / found["kernel_ms"], UNIT, found["ratio"]),
        row("two SimPy processes", 1000 / both["simpy_ms"], UNIT, 1.0),
        row("two kernel threads", 1000 / both["kernel_ms"], UNIT, both["ratio"]),
        row("what-if by SimPy", 1000 * MANY / what["simpy_ms"], "futures of 1,000, draws to quantiles", 1.0),
        row("what-if", 1000 * MANY / what["kernel_ms"], "futures of 1,000, draws to quantiles", what["ratio"]),
        *(
            row(
                f"kernel, {told['cases']:,} cases a day",
                1e6 / told["microseconds_per_case"],
                f"cases; ratio to {first['cases']} cases a day",
                first["microseconds_per_case"] / told["microseconds_per_case"],
            )
            for told in larger
        ),
    ]


def main(arguments: list[str]) -> int:
    """0 when the engines agree."""
    found = figures()
    text = (
        json.dumps(found)
        if "--json" in arguments
        else "\n".join(f"{name:<16} {value}" for name, value in found.items())
    )
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
