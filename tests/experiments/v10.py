"""V10: common random numbers. Moving one case must change little but what the move changes; `run(seed)`, `passes`."""

import random
from dataclasses import replace

import numpy as np

from tests.experiments import Figure
from tests.simulation_days import suite_day
from twin.simulation import kernel
from twin.simulation.draws import Seconds
from twin.simulation.replications import simulate
from twin.simulation.scenario import Scenario

MOVES, REPLICATIONS = 40, 400


def run(seed: int) -> dict[str, float]:
    """Variance of the difference with other numbers over that with the same; and whether a seed repeats itself."""
    kernel.warm()
    rng, base = random.Random(seed), _seeded(suite_day(replications=REPLICATIONS), seed)
    before, again = total_end(base), total_end(base)
    ratios = []
    for move in range(MOVES):
        moved = one_move(base, rng)
        same = np.var(total_end(moved) - before)
        other = np.var(total_end(_seeded(moved, seed + 1000 + move)) - before)
        ratios.append(float(other / max(same, 1e-9)))
    return {
        "median": float(np.median(ratios)),
        "minimum": min(ratios),
        "repeats": float(np.array_equal(before, again)),
    }


def figures(seed: int) -> list[Figure]:
    """MODEL's marks on the variance ratios."""
    found = run(seed)
    return [
        Figure("V10", "common random numbers, variance ratio, median", found["median"], low=8.0),
        Figure("V10", "common random numbers, variance ratio, minimum", found["minimum"], low=4.0),
        Figure("V10", "the same seed repeats itself (1: yes)", found["repeats"], low=1.0),
    ]


def one_move(scenario: Scenario, rng: random.Random) -> Scenario:
    """Two cases of a room change places in its list."""
    one = rng.choice([case for case in scenario.cases if case.list_rank > 0])
    other = next(c for c in scenario.cases if c.room == one.room and c.list_rank == one.list_rank - 1)
    swapped = {
        one.key: replace(one, list_rank=other.list_rank, planned_in=other.planned_in),
        other.key: replace(other, list_rank=one.list_rank, planned_in=one.planned_in),
    }
    return replace(scenario, cases=tuple(swapped.get(case.key, case) for case in scenario.cases))


def total_end(scenario: Scenario) -> Seconds:
    """The sum of all rooms' last exits, shape (replications,)."""
    ends = simulate(scenario).room_last_out.values()
    return np.sum(np.stack(list(ends)), axis=0)  # type: ignore[no-any-return]


def _seeded(scenario: Scenario, seed: int) -> Scenario:
    return replace(scenario, options=replace(scenario.options, seed=seed))
