"""V7: the simulator against closed forms. `run(seed)` gives what was found; `passes` says whether it is near enough.

- a day without variance is arithmetic, to the second;
- one room with two cases is a convolution: the second leaves at the sum of two room times and a turnover;
- M/M/4 at a load of .7 waits as Erlang says (C formula; A. K. Erlang 1917).
"""

import math

import numpy as np

from tests.experiments import Figure
from tests.simulation_days import case, day, exactly
from twin.durations.distribution import LogT
from twin.simulation import kernel
from twin.simulation.draws import Seconds
from twin.simulation.program import Give, Need, Program, Resource, Spend, Start, Take, Task
from twin.simulation.replications import simulate
from twin.site import SimulationOptions
from twin.vocabulary import Milestone

SERVERS, LOAD = 4, 0.7
SERVICE_S = 100_000.0
"""Mean service; long, so that whole seconds hardly matter."""
ARRIVALS, CHAINS = 4_000_000, 400


def run(seed: int) -> dict[str, float]:
    """Largest errors: seconds of the exact day, share of the convolution's median, shares of Erlang's wait."""
    kernel.warm()
    wait, probability = queue(seed, ARRIVALS)
    return {
        "exact_day_s": exact_day(),
        "convolution": convolution(seed),
        "mean_wait": abs(wait / erlang_wait() - 1),
        "p_wait": abs(probability / erlang_c(SERVERS, SERVERS * LOAD) - 1),
    }


def figures(seed: int) -> list[Figure]:
    """MODEL's marks: to the second; mean wait within 2 %, P(wait) within 1 %; the median within 1 %."""
    found = run(seed)
    return [
        Figure("V7", "day without variance, seconds off", found["exact_day_s"], high=0.0),
        Figure("V7", "one room against the convolution, share off", found["convolution"], high=0.01),
        Figure("V7", "M/M/4, mean wait, share off Erlang C", found["mean_wait"], high=0.02),
        Figure("V7", "M/M/4, P(wait), share off Erlang C", found["p_wait"], high=0.01),
    ]


def exact_day() -> float:
    """Three cases one after the other: 8:00, each 60 min in the room, 20 min of turnover."""
    laws = exactly(induction=10, lead_in=5, closure=4, emergence=6, turnover=20, pacu=30)
    options = SimulationOptions(replications=3, early_start_min=0)
    cases = [case(str(rank), planned=8, rank=rank) for rank in range(3)]
    futures = simulate(day(*cases, laws=laws, options=options))
    expected = {str(rank): 7200 + 3600 + rank * 4800 for rank in range(3)}
    out = Milestone.PATIENT_OUT_OF_ROOM
    return float(max(abs(futures.times[key][out] - seconds).max() for key, seconds in expected.items()))


def convolution(seed: int, replications: int = 40_000) -> float:
    """Share by which the median of the room's end differs from that of independent sums of the same laws."""
    laws = exactly(turnover=20)
    law = LogT.of_median(60, 0.35, df=8)
    options = SimulationOptions(replications=replications, seed=seed, early_start_min=0)
    cases = [case(str(rank), planned=6, rank=rank, room_min=law) for rank in range(2)]
    end = simulate(day(*cases, laws=laws, options=options)).times["1"][Milestone.PATIENT_OUT_OF_ROOM]
    rng = np.random.default_rng(seed)
    sums = law.ppf(rng.random(replications)) + law.ppf(rng.random(replications)) + 20
    return abs(float(np.median(end)) / 60 / float(np.median(sums)) - 1)


def queue(seed: int, arrivals: int) -> tuple[float, float]:
    """Mean wait in mean services and P(wait) of M/M/4, from chains of arrivals, the first tenth of each left out."""
    length = arrivals // CHAINS
    program = chain(length)
    rng = np.random.default_rng(seed)
    waits = waited = counted = 0.0
    for _ in range(CHAINS // 20):
        gaps = rng.exponential(SERVICE_S / (SERVERS * LOAD), (20, length))
        services = rng.exponential(SERVICE_S, (20, length))
        draws: Seconds = np.rint(np.concatenate((gaps, services), axis=1)).astype(np.int64)
        spent = waits_of(program, draws, length)[:, length // 10 :]
        waits, waited, counted = (
            waits + float(spent.sum()) / SERVICE_S,
            waited + int((spent > 0).sum()),
            counted + spent.size,
        )
    return waits / counted, waited / counted


def chain(length: int) -> Program:
    """An arrival starts its customer and the next arrival. Customers are tasks of their own: one take, one service."""
    arrivals = [
        Task("arrival", (Spend(n), Start(length + n), *((Start(n + 1),) if n + 1 < length else ())))
        for n in range(length)
    ]
    customers = [Task("customer", (Take(n), Spend(length + n), Give(n))) for n in range(length)]
    needs = tuple(Need((0,)) for _ in range(length))
    return Program((Resource("servers", SERVERS),), needs, (*arrivals, *customers), 1, draws=2 * length)


def waits_of(program: Program, draws: Seconds, length: int) -> Seconds:
    """From a customer's start to the service's begin; shape (replications, length)."""
    begins = np.array(program.offsets[length : 2 * length])
    instants = kernel.run(program, draws, np.concatenate((begins, begins + 1)), threads=2)
    return (instants[length:] - instants[:length]).T


def erlang_c(servers: int, offered: float) -> float:
    """P(wait)."""
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (sum(offered**k / math.factorial(k) for k in range(servers)) + last)


def erlang_wait() -> float:
    """Mean wait in mean services."""
    return erlang_c(SERVERS, SERVERS * LOAD) / (SERVERS - SERVERS * LOAD)
