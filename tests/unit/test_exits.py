"""Patients who may have left their room though no exit is recorded."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation_days import at, case, day, exactly
from twin.durations.distribution import LogT
from twin.durations.late import UnrecordedEnd
from twin.simulation import kernel, reference
from twin.simulation.exits import exit_doubt
from twin.simulation.replications import futures_of
from twin.simulation.scenario import Scenario
from twin.site import SimulationOptions
from twin.vocabulary import Milestone

OUT, FINISH = Milestone.PATIENT_OUT_OF_ROOM, Milestone.PROCEDURE_FINISH
LAW = LogT.of_median(90, 0.3)
LAGS = ((OUT, 12.25),)
ONLY_ROOM = tuple(
    milestone
    for milestone in Milestone
    if milestone not in (Milestone.PATIENT_IN_FACILITY, Milestone.PATIENT_IN_ROOM, OUT)
)


def morning(now: float, *, lags: tuple[tuple[Milestone, float], ...] = LAGS, replications: int = 2000) -> Scenario:
    """A patient in since 8:00 whose exit is not recorded, and the next one at 9:30; turnover 20 minutes."""
    running = case("a", room_min=LAW, patient_in_room=8)
    following = case("b", planned=9.5, rank=1, patient_in_facility=7)
    options = SimulationOptions(replications=replications)
    made = day(running, following, now=now, laws=exactly(turnover=20, emergence=10), options=options)
    return replace(made, lags_min=lags, unrecorded=ONLY_ROOM)


@pytest.mark.parametrize(("hours", "told"), [(9, 0.055), (9.5, 0.252), (10, 0.418), (10.5, 0.515)])
def test_golden_in_the_simulation(hours: float, told: float) -> None:
    made = morning(hours)
    futures = futures_of(made, reference.run)
    assert futures.doubts["a"].probability == pytest.approx(told, abs=0.0005)
    assert np.mean(futures.left["a"] <= 0) == pytest.approx(told, abs=0.04)


def test_ends_drawn_as_the_law_has_them() -> None:
    futures = futures_of(morning(10), reference.run)
    end = UnrecordedEnd(LAW, 120, 12.25)
    for share in (0.1, 0.3, 0.7, 0.9):
        drawn = np.quantile(futures.left["a"], share) / 60 + 120
        assert drawn == pytest.approx(float(end.ppf(share)), abs=4)


def test_time_remaining_is_of_a_patient_inside() -> None:
    made = morning(10)
    late, prompt = futures_of(made, reference.run), futures_of(replace(made, lags_min=()), reference.run)
    assert np.all(late.times["a"][OUT] > 0)
    assert np.quantile(late.times["a"][OUT], 0.5) == pytest.approx(np.quantile(prompt.times["a"][OUT], 0.5), rel=0.15)


def test_the_next_patient_may_enter_sooner() -> None:
    made = morning(10)
    late, prompt = futures_of(made, reference.run), futures_of(replace(made, lags_min=()), reference.run)
    entries = late.times["b"][Milestone.PATIENT_IN_ROOM], prompt.times["b"][Milestone.PATIENT_IN_ROOM]
    left = late.left["a"] <= 0
    assert np.all(entries[0] <= entries[1])
    assert np.array_equal(entries[0][~left], entries[1][~left])
    assert np.all(entries[0][left] >= np.maximum(late.left["a"][left] + 1200, 0))


@settings(max_examples=30, deadline=None)
@given(st.floats(8, 14), st.floats(0, 60), st.floats(0, 60), st.booleans())
def test_kernel_and_reference_agree(now: float, lag: float, finish_lag: float, operated: bool) -> None:
    made = morning(now, lags=((OUT, lag), (FINISH, finish_lag)), replications=20)
    if operated:
        running = replace(made.cases[0], reached=(*made.cases[0].reached, (Milestone.INCISION, at(8))))
        made = replace(made, cases=(running, made.cases[1]), unrecorded=())
    one, other = futures_of(made, reference.run), futures_of(made, kernel.run)
    assert one.times.keys() == other.times.keys()
    for key, times in one.times.items():
        assert all(np.array_equal(seconds, other.times[key][milestone]) for milestone, seconds in times.items())
        assert np.array_equal(one.left[key], other.left[key])
        assert np.all(times[OUT] > 0)


@given(st.floats(8, 14), st.floats(0.1, 60), st.floats(0, 60))
def test_a_missing_finish_speaks_against_it(now: float, lag: float, finish_lag: float) -> None:
    made = morning(now, lags=((OUT, lag), (FINISH, finish_lag)), replications=1)
    stamped = exit_doubt(replace(made, unrecorded=()), made.cases[0])
    silent = exit_doubt(made, made.cases[0])
    assert stamped
    assert silent
    assert stamped.probability <= silent.probability + 1e-12
    if finish_lag == 0:
        assert stamped.probability == 0


def test_no_doubt_where_exits_are_never_stamped() -> None:
    made = morning(12)
    assert exit_doubt(replace(made, unrecorded=(OUT,)), made.cases[0]) is None
    assert exit_doubt(made, made.cases[1]) is None


def test_stamp_to_check_past_three_p90() -> None:
    p90_h = float(LAW.ppf(0.9)) / 60
    checks = []
    for times in (2.9, 3.1):
        made = morning(8 + times * p90_h, lags=())
        doubt = exit_doubt(made, made.cases[0])
        checks.append(doubt is not None and doubt.check)
    assert checks == [False, True]
