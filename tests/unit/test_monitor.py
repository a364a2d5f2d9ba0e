"""Bands that keep their coverage, and a bell when a service drifts."""

import numpy as np
import pytest
from scipy import stats

from twin.durations.monitor import Monitor


def fed(pits: np.ndarray, service: str = "ortho") -> Monitor:
    monitor = Monitor()
    for number, pit in enumerate(pits):
        monitor = monitor.after(service, float(pit), f"case {number}")
    return monitor


def test_unknown_service_is_left_alone() -> None:
    assert Monitor().multiplier("ortho") == 1.0


def test_multiplier_widens_narrow_bands() -> None:
    """Truths half again as spread as said: the multiplier finds it, and coverage comes back to 80 %."""
    rng, monitor, inside = np.random.default_rng(1), Monitor(), []
    for _ in range(2000):
        z = 1.4 * rng.standard_normal() / monitor.multiplier("ortho")
        inside.append(abs(z) <= stats.norm.ppf(0.9))
        monitor = monitor.after("ortho", float(stats.norm.cdf(z)))
    assert 0.77 <= np.mean(inside[500:]) <= 0.83
    assert 1.2 <= monitor.multiplier("ortho") <= 1.5


@pytest.mark.parametrize(("pit", "expected"), [(0.5, 0.7), (0.999, 1.5)])
def test_multiplier_is_clipped(pit: float, expected: float) -> None:
    """The lowest is what alpha's own bound allows, where that is narrower."""
    told = fed(np.full(400, pit)).multiplier("ortho")
    assert told == pytest.approx(expected, abs=0.02) if pit > 0.5 else 0.5 <= told <= 0.75


def test_honest_model_rings_rarely() -> None:
    """In control, h = 7 at k = .5 rings about once in some thousands of cases."""
    monitor = fed(np.random.default_rng(5).random(2000))
    assert len(monitor.reviews) <= 2


@pytest.mark.parametrize(("shift", "direction"), [(1.0, "longer"), (-1.0, "shorter")])
def test_drift_opens_a_review(shift: float, direction: str) -> None:
    rng = np.random.default_rng(2)
    monitor = fed(stats.norm.cdf(rng.standard_normal(60) + shift))
    assert monitor.reviews
    assert {review.direction for review in monitor.reviews} == {direction}
    assert monitor.reviews[0].cases < 40


def test_one_wild_case_rings_nothing() -> None:
    assert not fed(np.asarray([0.5, 1.0, 0.5, 0.0, 0.5])).reviews


def test_services_are_apart() -> None:
    monitor = fed(np.full(100, 0.999)).after("uro", 0.5)
    assert monitor.multiplier("uro") < 1.01
    assert {review.service for review in monitor.reviews} == {"ortho"}
