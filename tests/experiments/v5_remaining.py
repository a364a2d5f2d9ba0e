"""V5: time remaining of running cases of G0, against the countdown of the model's own median."""

import math

import numpy as np

from tests.experiments import Figure
from tests.experiments.prequential import Run
from twin.durations.closed_form import Floats
from twin.durations.distribution import LogT
from twin.durations.scoring import LEVELS, per_case

CASES = 3_000
GOLDEN = {60: (41.1, 33.8), 90: (30.7, 21.2), 120: (31.2, 19.4), 180: (45.3, 25.7)}
"""t: mean and median left, of t_8(ln 90, .3) cut at 24 h."""


def figures(first: Run) -> list[Figure]:
    """The goldens, and coverage and CRPS over the year's last cases."""
    looks, late = [], []
    for number in range(len(first.batch) - CASES, len(first.batch)):
        law = LogT(first.law.loc[number], math.sqrt(first.law.spread[number]), first.law.nu[number])
        actual = float(first.year.actual_min[number])
        looks += [_look(law, actual, t) for t in (15.0, 60.0, 120.0, 1.1 * law.mean) if actual > t]
        q90 = float(law.ppf(0.9))
        late += [_look(law, actual, q90)] if actual > q90 else []
    pooled, past = np.array(looks), np.array(late)
    return [
        Figure("V5", "furthest from the goldens, min", _golden(), high=0.1),
        Figure("V5", f"cov80, pooled (n = {len(pooled)})", pooled[:, 1].mean(), 0.75, 0.88),
        Figure("V5", "CRPS / countdown", pooled[:, 0].mean() / pooled[:, 2].mean(), high=0.75),
        Figure("V5", f"cov80, past own q90 (n = {len(past)})", past[:, 1].mean(), low=0.72),
        Figure("V5", "CRPS / countdown, past own q90", past[:, 0].mean() / past[:, 2].mean(), high=0.65),
    ]


def _look(law: LogT, actual_min: float, elapsed_min: float) -> tuple[float, float, float]:
    """CRPS, in the 80 % band, and the countdown's error."""
    left = np.array([actual_min - elapsed_min])
    quantiles: Floats = law.residual_ppf(LEVELS, elapsed_min)[None, :]
    scored = per_case(quantiles, left)[0]
    return float(scored[2]), float(scored[5]), abs(max(law.median - elapsed_min, 0.0) - float(left[0]))


def _golden() -> float:
    law = LogT(math.log(90), 0.3, 8)
    return max(
        max(abs(law.residual_mean(t) - mean), abs(float(law.residual_ppf(0.5, t)) - median))
        for t, (mean, median) in GOLDEN.items()
    )
