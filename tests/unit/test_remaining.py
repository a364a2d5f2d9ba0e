"""Golden values of the time remaining (design: Time remaining), and what it is where doubles run out."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from twin.durations.distribution import LogT, lognormal_residual_mean

LAW = LogT(math.log(90), 0.3, 8)
NORMAL = LogT(math.log(90), 0.3)
P = np.array([1e-9, 0.001, 0.1, 0.5, 0.9, 0.999, 1 - 1e-9])


@pytest.mark.parametrize(
    ("elapsed", "mean", "median"), [(60, 41.1, 33.8), (90, 30.7, 21.2), (120, 31.2, 19.4), (180, 45.3, 25.7)]
)
def test_golden_log_t(elapsed: float, mean: float, median: float) -> None:
    assert LAW.residual_mean(elapsed) == pytest.approx(mean, abs=0.05)
    assert float(LAW.residual_ppf(0.5, elapsed)) == pytest.approx(median, abs=0.05)


@pytest.mark.parametrize(("elapsed", "mean"), [(60, 38.2), (90, 26.3), (120, 22.2), (180, 20.3)])
def test_golden_log_normal(elapsed: float, mean: float) -> None:
    assert lognormal_residual_mean(math.log(90), 0.3, elapsed) == pytest.approx(mean, abs=0.05)
    assert NORMAL.residual_mean(elapsed) == pytest.approx(mean, abs=0.05)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0])
def test_log_normal_helper_stays_finite(sigma: float) -> None:
    left = [lognormal_residual_mean(math.log(30), sigma, t) for t in (1, 30, 120, 600, 1440)]
    assert all(0 < minutes < 1e5 for minutes in left)


def test_mean_is_the_integral() -> None:
    for df in (2.5, 8.0, 30.0):
        law = LogT(4.5, 0.4, df)
        top = (math.log(1440) - 4.5) / 0.4
        integral, _ = integrate.quad(
            lambda z, df=df: math.exp(4.5 + 0.4 * z) * stats.t.pdf(z, df), -200, top, limit=400
        )
        assert law.mean == pytest.approx(integral / stats.t.cdf(top, df), rel=1e-6)


def test_residual_is_the_conditional_law() -> None:
    for elapsed in (5.0, 60.0, 89.0, 91.0, 200.0, 700.0):
        end = elapsed + LAW.residual_ppf(P, elapsed)
        assert LAW.sf(end) / LAW.sf(elapsed) == pytest.approx(1 - P, rel=1e-6, abs=1e-9)


def test_nothing_elapsed_is_the_whole() -> None:
    assert LAW.residual_ppf(P, 0) == pytest.approx(LAW.ppf(P), rel=1e-9)


@pytest.mark.parametrize("law", [LAW, NORMAL, LogT(4, 0.02, 500), LogT(2, 0.01), LogT.constant(30), LogT(7, 0.3, 3)])
@pytest.mark.parametrize("elapsed", [0, 1, 29.9, 31, 90, 400, 1000, 1439, 1440, 5000])
def test_never_zero_always_finite(law: LogT, elapsed: float) -> None:
    left = law.residual_ppf(P, elapsed)
    assert np.isfinite(left).all()
    assert (left > 0).all()
    assert (left <= law.upper_min).all()
    assert (np.diff(left) >= 0).all()
    assert 0 < law.residual_mean(elapsed) < math.inf


def test_tail_continues_smoothly() -> None:
    # 1 - F of the normal underflows between z = 35 and 40; the hazard takes over within a few percent.
    law = LogT(2.0, 0.1)
    medians = [
        float(law.residual_ppf(0.5, math.exp(2 + 0.1 * z))) / math.exp(2 + 0.1 * z) for z in (34, 35, 36, 37, 39)
    ]
    assert all(1 < earlier / later < 1.06 for earlier, later in pairwise(medians))
