"""Proper scores of predicted minutes, from quantiles (design: Durations, "Scored always").

CRPS = 2·mean over 199 midpoints u of (1{y<q_u} - u)(q_u - y). Of a point forecast, whose quantiles are all the same, it
is the absolute error, and a band of it holds what hits it exactly.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from twin.durations.closed_form import Floats
from twin.durations.distribution import student_quantiles

MIDPOINTS = (np.arange(199) + 0.5) / 199
_NAMED = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
LEVELS = np.concatenate([MIDPOINTS, _NAMED])
"""Probabilities of the quantiles that a forecast is scored on: the midpoints, then P5, 10, 25, 50, 75, 90, 95."""
_MEDIAN = len(MIDPOINTS) + 3


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over the cases scored. Minutes; shares of 1."""

    n: int
    """Cases, each scored as often as it was predicted."""
    mae: float
    """Mean absolute error of the median."""
    median_error: float
    """Median absolute error of the median."""
    within_20: float
    """Share of medians within 20 % of the actual minutes."""
    crps: float
    pinball: float
    """Mean of the pinball losses at P10, P50 and P90."""
    cov50: float
    cov80: float
    """Share of actual minutes between P10 and P90."""
    cov90: float
    bias: float
    """Mean of actual - median."""


def law_quantiles(loc: Floats, scale: Floats, df: Floats, upper_min: float) -> Floats:
    """Quantiles (cases x LEVELS) of log-t laws cut at `upper_min`, minutes."""
    return student_quantiles(LEVELS, loc, scale, df=df, upper_min=upper_min)


def crps(quantiles: Floats, actual_min: Floats) -> Floats:
    """By case, from the midpoint quantiles."""
    below = quantiles[:, : len(MIDPOINTS)]
    actual = actual_min[:, None]
    return np.asarray(2 * np.mean(((actual < below) - MIDPOINTS) * (below - actual), axis=1))


def per_case(quantiles: Floats, actual_min: Floats) -> Floats:
    """By case: absolute error, within 20 %, CRPS, pinball, in the 50, 80 and 90 % band, actual - median.

    From quantiles (cases x LEVELS, or x 1 for a point forecast).
    """
    is_point = quantiles.shape[1] == 1
    p5, p10, p25, p50, p75, p90, p95 = (
        np.repeat(quantiles, 7, axis=1).T if is_point else quantiles[:, len(MIDPOINTS) :].T
    )
    missed = actual_min - p50
    pinball = (_pinball(p10, actual_min, 0.1) + _pinball(p50, actual_min, 0.5) + _pinball(p90, actual_min, 0.9)) / 3
    bands = [(low <= actual_min) & (actual_min <= high) for low, high in ((p25, p75), (p10, p90), (p5, p95))]
    close = np.abs(missed) <= 0.2 * actual_min
    spread = np.abs(missed) if is_point else crps(quantiles, actual_min)
    return np.column_stack([np.abs(missed), close, spread, pinball, *bands, missed])


def scores_of(parts: Iterable[Floats]) -> Scores:
    """Means of `per_case` rows."""
    rows = np.concatenate(list(parts))
    mae, within, mean_crps, pinball, cov50, cov80, cov90, bias = rows.mean(axis=0).tolist()
    return Scores(len(rows), mae, float(np.median(rows[:, 0])), within, mean_crps, pinball, cov50, cov80, cov90, bias)


def _pinball(quantile: Floats, actual: Floats, level: float) -> Floats:
    return np.maximum(level * (actual - quantile), (level - 1) * (actual - quantile))
