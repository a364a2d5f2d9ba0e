"""Golden values of "booked 1h30, takes 2 h" (design)."""

import math

import pytest

from twin.durations.recalibrate import Habit, habit_of
from twin.site import DurationOptions


def _golden(n: int) -> Habit:
    return Habit(n, n * math.log(4 / 3) / (n + 3), n + 3, 0.30)


@pytest.mark.parametrize(("n", "p", "proposed"), [(8, 0.896, False), (11, 0.9485, False), (12, 0.959, True)])
def test_golden_probability(n: int, p: float, proposed: bool) -> None:
    assert _golden(n).p_longer == pytest.approx(p, abs=5e-4)
    assert _golden(n).proposed is proposed


def test_golden_intervals() -> None:
    assert _golden(8).typical_min(90) == pytest.approx((111, 93, 132), abs=0.6)
    assert _golden(12).typical_min(90) == pytest.approx((113, 97, 132), abs=0.6)
    assert _golden(12).next_min(90)[1:] == pytest.approx((76, 168), abs=0.6)


def test_few_cases_are_never_proposed() -> None:
    options = DurationOptions()
    assert not habit_of([0.7] * 7, options).proposed
    assert habit_of([0.7] * 8, options).proposed
    assert habit_of([-0.7] * 8, options).p_shorter > 0.99


def test_no_case_is_no_habit() -> None:
    nothing = habit_of([], DurationOptions())
    assert (nothing.cases, nothing.ratio) == (0, 1.0)
    assert nothing.sd == pytest.approx(0.30)
    assert not nothing.proposed
