"""The SimPy reference on the reference day of 63 cases, against the same day as bare arithmetic in NumPy.

With no shared person and no PACU limit a list is a recursion: entry = max(room free, earliest, patient there). That is
the peer, and both must give the same seconds. What SimPy adds is what no recursion can: rooms that wait for each other.
"""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from tests.benchmarks import Row
from tests.simulation_days import reference_day
from twin.simulation.draws import Seconds
from twin.simulation.lists import Plan, draw_plan
from twin.simulation.reference import visits
from twin.vocabulary import Milestone

REPLICATIONS = 200
UNIT = "replications of the reference day"


def run() -> list[Row]:
    """Draws are made before the clock starts, but in the row that says so."""
    shared = reference_day(replications=REPLICATIONS)
    apart = dataclasses.replace(
        shared, pacu_places=None, cases=tuple(dataclasses.replace(case, team=()) for case in shared.cases)
    )
    shared_plan, apart_plan = draw_plan(shared), draw_plan(apart)
    assert_equal(visits(apart_plan), recursion(apart_plan))
    seconds = {
        "SimPy reference, team and PACU of 12": best(lambda: visits(shared_plan)),
        "SimPy reference, draws included": best(lambda: visits(draw_plan(shared))),
        "SimPy reference, nothing shared": best(lambda: visits(apart_plan)),
        "NumPy recursion, nothing shared (peer)": best(lambda: recursion(apart_plan)),
    }
    slowest = max(seconds.values())
    return [
        Row("simulation", name, per_second=REPLICATIONS / taken, unit=UNIT, ratio=slowest / taken)
        for name, taken in seconds.items()
    ]


def recursion(plan: Plan) -> dict[str, Seconds]:
    """By case: when it leaves its room, for a plan in which rooms don't wait for each other and nobody is in yet."""
    left = {}
    for room in plan.lists:
        free, closing = room.free, np.zeros_like(room.free)
        for path in room.waiting:
            there = np.maximum(path.callable_from, closing) + path.to_holding + path.holding
            entered = np.maximum(np.maximum(there, path.earliest), free)
            closing = entered + path.in_room[Milestone.CLOSURE_START]
            left[path.case.key] = entered + path.in_room[Milestone.PROCEDURE_FINISH] + path.emergence
            free = left[path.case.key] + path.turnover
    return left


def assert_equal(found: dict[str, dict[str, Seconds]], known: dict[str, Seconds]) -> None:
    """Every case of every replication leaves its room at the same second."""
    assert len(known) == 63
    for key, left in known.items():
        assert np.array_equal(found[key]["left"], left), key


def best(work: Callable[[], object], rounds: int = 3) -> float:
    """The shortest of some rounds, seconds."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)
