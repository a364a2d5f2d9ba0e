"""A stay whose end may only not be recorded yet."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.durations.distribution import LogT
from twin.durations.late import LONGEST_LAG_MIN, UnrecordedEnd, mean_lag_min
from twin.errors import SettingsError

LAW = LogT(math.log(90), 0.3)
laws = st.builds(LogT, st.floats(2.5, 6), st.floats(0.1, 0.8), st.sampled_from([4.0, 8.0, math.inf]))


@pytest.mark.parametrize(("elapsed", "told"), [(60, 0.055), (90, 0.252), (120, 0.418), (150, 0.515)])
def test_golden(elapsed: float, told: float) -> None:
    assert UnrecordedEnd(LAW, elapsed, 12.25).probability == pytest.approx(told, abs=0.0005)


@given(laws, st.floats(0, 2000), st.floats(0, 120))
def test_quantiles_rise_and_split_at_now(law: LogT, elapsed: float, lag: float) -> None:
    end = UnrecordedEnd(law, elapsed, lag)
    p = np.linspace(0.001, 0.999, 201)
    minutes = end.ppf(p)
    assert 0 <= end.probability <= 1
    assert np.all(np.isfinite(minutes))
    assert np.all(minutes >= 0)
    assert np.all(np.diff(minutes) >= -1e-9)
    ended, running = minutes[p < end.probability], minutes[p >= end.probability]
    now = min(elapsed, law.upper_min - 1)
    assert np.all(ended <= now)
    assert np.all(running > now)


def test_prompt_stamps_leave_the_residual() -> None:
    prompt = UnrecordedEnd(LAW, 90, 0)
    assert prompt.probability == 0
    assert prompt.ppf(0.5) == pytest.approx(90 + float(LAW.residual_ppf(0.5, 90)))


def test_frequencies_of_a_simulated_ward() -> None:
    rng = np.random.default_rng(5)
    ends, lags = LAW.ppf(rng.random(400_000)), rng.exponential(12.25, 400_000)
    unseen = ends + lags > 100
    stays = UnrecordedEnd(LAW, 100, 12.25)
    assert np.mean(ends[unseen] <= 100) == pytest.approx(stays.probability, abs=0.003)
    for p in (0.05, 0.2, 0.5, 0.9):
        assert np.quantile(ends[unseen], p) == pytest.approx(float(stays.ppf(p)), abs=0.6)


def test_later_means_likelier_and_longer_lags_too() -> None:
    by_time = [UnrecordedEnd(LAW, t, 12.25).probability for t in (0, 30, 60, 90, 120)]
    by_lag = [UnrecordedEnd(LAW, 90, lag).probability for lag in (0, 0.1, 1, 12, 60)]
    assert by_time == sorted(by_time)
    assert by_lag == sorted(by_lag)


def test_worth_a_check_past_three_p90() -> None:
    p90 = float(LAW.ppf(0.9))
    assert not UnrecordedEnd(LAW, 2.9 * p90, 12).worth_a_check
    assert UnrecordedEnd(LAW, 3.1 * p90, 12).worth_a_check


def test_lags_start_from_prompt_stamps() -> None:
    assert mean_lag_min([12.0] * 20) == pytest.approx(8)
    assert mean_lag_min([12.0] * 1000) == pytest.approx(12, abs=0.2)
    assert mean_lag_min([12.0] * 19) == 0
    assert mean_lag_min([-5, 1] * 20) == 0


def test_other_days_entries_are_no_lags() -> None:
    assert mean_lag_min([*[12.0] * 100, *[1440.0] * 20]) == mean_lag_min([12.0] * 100)


def test_batches_teach_no_lag() -> None:
    assert mean_lag_min([float(minutes) for minutes in range(30, 480, 5)]) == 0


@given(st.lists(st.floats(-2000, 2000), max_size=60))
def test_lags_are_never_longer_than_a_lag_can_be(lags: list[float]) -> None:
    assert 0 <= mean_lag_min(lags) < LONGEST_LAG_MIN


@pytest.mark.parametrize(("elapsed", "lag"), [(-1, 5), (math.nan, 5), (30, -1), (30, math.inf)])
def test_nonsense_is_refused(elapsed: float, lag: float) -> None:
    with pytest.raises(SettingsError, match="neither negative"):
        UnrecordedEnd(LAW, elapsed, lag)
