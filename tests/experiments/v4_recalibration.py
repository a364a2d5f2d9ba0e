"""V4: a booking habit that is 33 % too short is told soon, one that is right hardly ever."""

import math

import numpy as np

from tests.experiments import Figure
from tests.experiments.g0 import complications
from twin.durations.closed_form import Floats
from twin.durations.recalibrate import MIN_CASES, ratio_of
from twin.site import DurationOptions

CELLS, LOOKS, CV = 5_000, 40, 0.30


def figures(seed: int) -> list[Figure]:
    """Share of cells proposed as longer at some look of the first 20, 30, 40."""
    injected = _first_looks(seed, 4 / 3)
    right, ten = _first_looks(seed + 1, 1.0), _first_looks(seed + 2, 1.10)
    return [
        Figure("V4", "+33 %, flagged by 20 cases", float(np.mean(injected <= 20)), low=0.70),
        Figure("V4", "+33 %, flagged by 30 cases", float(np.mean(injected <= 30)), low=0.88),
        Figure("V4", "+33 %, flagged by 40 cases", float(np.mean(injected <= 40)), low=0.95),
        Figure("V4", "true ratio 1.00, flagged in 40 looks", float(np.mean(right <= LOOKS)), high=0.01),
        Figure("V4", "true ratio 1.10, flagged in 40 looks", float(np.mean(ten <= LOOKS)), high=0.12),
    ]


def _first_looks(seed: int, ratio: float) -> Floats:
    """By cell, the case after which it is first proposed as longer (inf: never).

    `ratio` is the geometric mean of actual/booked; σ0 is what a site of such cells has by its nightly estimate.
    """
    rng, options = np.random.default_rng(seed), DurationOptions()
    site = _noise(rng, (10**6,))
    ratios = math.log(ratio) + _noise(rng, (CELLS, LOOKS)) - float(np.mean(site))
    return np.array([_first_look(row, options, float(np.std(site))) for row in ratios.tolist()])


def _noise(rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    shape = 1 / CV**2
    return np.asarray(np.log(rng.gamma(shape, 1 / shape, size) * complications(rng, size)))


def _first_look(log_ratios: list[float], options: DurationOptions, sigma0: float) -> float:
    for n in range(MIN_CASES, len(log_ratios) + 1):
        mean = math.fsum(log_ratios[:n]) / n
        squares = math.fsum((each - mean) ** 2 for each in log_ratios[:n])
        verdict = ratio_of(n, mean, squares, options, sigma0).verdict()
        if verdict and verdict[0] == "longer":
            return n
    return math.inf
