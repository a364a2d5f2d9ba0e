"""V1: predictions of G0 are as sure as they should be, also with little behind them."""

import numpy as np

from tests.experiments import Figure
from tests.experiments.prequential import Run, quantiles_of, run
from twin.durations.closed_form import Floats
from twin.durations.scoring import MIDPOINTS, per_case

LEAST_UNSEEN = 300
WARM_UP = 500
"""First cases of a year, before which nothing at all is known: not scored, but for procedures not seen yet."""


def figures(seed: int, first: Run) -> list[Figure]:
    """Coverage over one year, and of procedures not seen yet over as many years as it takes."""
    actual = first.year.actual_min
    quantiles = first.quantiles()
    scored = per_case(quantiles, actual)
    over = actual > quantiles[:, len(MIDPOINTS) + 5]
    all_cases = np.arange(len(actual)) >= WARM_UP
    few = all_cases & (first.pair_cases < 5)
    booked, bare = _unseen(seed, first)
    return [
        Figure("V1", "cov80", scored[all_cases, 5].mean(), 0.77, 0.84),
        Figure("V1", "cov90", scored[all_cases, 6].mean(), 0.88, 0.93),
        Figure("V1", "P(> q90)", over[all_cases].mean(), 0.07, 0.12),
        Figure("V1", "cov80, fewer than 5 cases of the pair", scored[few, 5].mean(), 0.75, 0.86),
        Figure("V1", f"cov80, procedure unseen, booked (n = {len(booked)})", booked[:, 5].mean(), 0.72, 0.90),
        Figure("V1", f"cov80, procedure unseen, not booked (n = {len(bare)})", bare[:, 5].mean(), 0.72, 0.90),
    ]


def _unseen(seed: int, first: Run) -> tuple[Floats, Floats]:
    """Scores of the first case of each procedure with and without its booking."""
    booked: list[Floats] = []
    bare: list[Floats] = []
    year = first
    while sum(len(each) for each in booked) < LEAST_UNSEEN:
        if booked:
            year = run(seed + 1000 + len(booked))
        actual = year.year.actual_min[year.first]
        booked.append(per_case(year.quantiles()[year.first], actual))
        bare.append(per_case(quantiles_of(year.unbooked), actual))
    return np.concatenate(booked), np.concatenate(bare)
