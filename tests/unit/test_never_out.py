"""A patient whom nobody takes over keeps the room: what never ends is no better than what ends late."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.simulation_days import at, case, day, exactly, reference_day
from twin.durations.distribution import LogT
from twin.simulation import hazards as hz
from twin.simulation import kernel, reference
from twin.simulation.compare import difference
from twin.simulation.hazards import Hazard, with_hazards
from twin.simulation.resources import ResourceInput, ResourceKind
from twin.simulation.result import HORIZON_S, NOT_DONE_S, STUCK_S
from twin.simulation.scenario import Scenario
from twin.simulation.stopping import cost_min
from twin.simulation.summary import Summary, last_done, summary_of, tally, threes
from twin.site import SimulationOptions
from twin.vocabulary import Milestone

LAWS = exactly(induction=10, lead_in=5, closure=4, emergence=6, turnover=20, pacu=30, unit=60)
ENDS = {"A": at(10.5)}


def two() -> Scenario:
    """Two cases of 60 minutes in room A, at 8:00 and 9:30, told at 6:00."""
    options = SimulationOptions(replications=4, early_start_min=0)
    return day(case("a"), case("b", planned=9.5, rank=1), laws=LAWS, pacu=2, options=options)


def closed(places: int, until: datetime | None = None) -> Hazard:
    return hz.PlacesClosed("PACU", places, at(6), until)


def told(*hazards: Hazard) -> Summary:
    return summary_of(tally(with_hazards(two(), hazards), reference.run), ENDS, {})


def test_endless_closure_by_arithmetic() -> None:
    """Ready to leave at 9:00, in the room until the horizon at 6:00: 19.5 hours past the end, 21 hours blocked."""
    summary = told(closed(2))
    assert summary.room_end["A"] == (NOT_DONE_S,) * 3
    assert (summary.past_end["A"], summary.overtime_min["A"]) == (1, 19.5 * 60)
    assert summary.pacu_hold_min == 21 * 60
    assert (summary.not_operated["a"], summary.not_operated["b"]) == (0, 1)


def test_endless_is_no_better_than_late() -> None:
    late, endless = told(closed(2, at(16))), told(closed(2))
    assert 0 < late.overtime_min["A"] < endless.overtime_min["A"]
    assert 0 < late.pacu_hold_min < endless.pacu_hold_min
    assert late.past_end == endless.past_end == {"A": 1}


def test_difference_and_cost_of_an_endless_closure() -> None:
    before, after = tally(two(), reference.run), tally(closed(2).apply(two()), reference.run)
    moved = difference(before, after, ENDS, {})
    assert (moved.past_end["A"].mean, moved.overtime_min["A"].mean) == (1, 19.5 * 60)
    assert set(cost_min(after, ENDS)) == {2 * 19.5 * 60}


def test_who_does_not_come_stays_left_out() -> None:
    summary = told(hz.NoShow("a"), hz.NoShow("b"))
    assert (summary.past_end["A"], summary.overtime_min["A"]) == (0, 0)
    assert summary.room_end["A"] == (NOT_DONE_S,) * 3


@pytest.mark.parametrize("until", [None, at(16)])
def test_fewer_places_never_look_better(until: datetime | None) -> None:
    suite = reference_day(replications=20, pacu=9)
    ends = {case.room: at(16) for case in suite.cases if case.room is not None}
    days = [closed(places, until).apply(suite) for places in (0, 3, 6, 7, 8, 9)]
    summaries = [summary_of(tally(one, reference.run), ends, {}) for one in days]
    for name in ("overtime_min", "past_end"):
        sums = [sum(getattr(summary, name).values()) for summary in summaries]
        assert sums == sorted(sums)
        assert sums[0] < sums[-1]
    holds = [summary.pacu_hold_min for summary in summaries]
    assert holds == sorted(holds)
    assert holds[0] < holds[-1]


def test_nurse_who_cannot_leave_works_on() -> None:
    """On until 9:00; the first patient is ready then, and stays with the one nurse until the horizon."""
    nurses = ResourceInput("nurses", ResourceKind.NURSES, 1, ((at(9), 0),))
    pacu = ResourceInput("PACU", ResourceKind.PACU, 0)
    scenario = replace(
        two(), cases=(replace(case("a"), needs=("nurses",)),), pacu_places=None, resources=(nurses, pacu)
    )
    assert summary_of(tally(scenario, reference.run), {}, {}).staff_overtime_min == {"nurses": 21 * 60}


def test_what_never_ends_is_later_than_all() -> None:
    lefts = [np.array([5, 5, NOT_DONE_S, NOT_DONE_S]), np.array([STUCK_S, NOT_DONE_S, STUCK_S, NOT_DONE_S])]
    assert last_done(lefts).tolist() == [STUCK_S, 5, STUCK_S, NOT_DONE_S]
    some = np.array([10] * 6 + [STUCK_S] * 4)
    assert threes({"A": some})["A"] == (10, 10, NOT_DONE_S)
    assert HORIZON_S < NOT_DONE_S < STUCK_S


@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_hazards_that_pile_up_stay_numbers(factor: float) -> None:
    law = LogT.of_median(60, 0.3, df=8)
    lone = case("a", room_min=law, surgical_min=law)
    pile: list[Hazard] = [hz.LongerCase("a", factor), hz.SlowTurnover(factor), hz.SlowSterilization(1e6)] * 200
    piled = with_hazards(day(lone, case("b", rank=1), options=SimulationOptions(replications=20)), pile)
    with np.errstate(all="raise", under="ignore"):
        told = tally(piled, reference.run)
    once = tally(with_hazards(piled, pile[:3]), reference.run)
    for milestone in (Milestone.PATIENT_OUT_OF_ROOM, Milestone.ROOM_CLEANUP_FINISH):
        assert (told.times["a"][milestone] >= 0).all()
        assert told.times["a"][milestone].tolist() == once.times["a"][milestone].tolist()
    kernel.warm()
    assert summary_of(told, ENDS, {}) == summary_of(tally(piled, kernel.run), ENDS, {})


def test_far_emergency_does_not_take_place() -> None:
    law = LogT.constant(60)
    far = hz.Emergency("e", datetime(2100, 1, 1, tzinfo=UTC), 1, law, law, ("A",))
    summary = told(far)
    assert summary.not_operated["e"] == 1
    assert set(summary.milestones["e"].values()) == {(NOT_DONE_S,) * 3}
    assert summary.room_end == told().room_end


def test_closures_make_no_overtime_of_staff() -> None:
    """By their shifts the nurses are off from 9:45 on: the second case, to 10:30, is beyond; who is late is not."""
    nurses = ResourceInput("nurses", ResourceKind.NURSES, 2, ((at(9.75), 0),))
    cases = tuple(replace(one, needs=("nurses",), team=("ana",)) for one in two().cases)
    scenario = replace(two(), cases=cases, resources=(nurses,))
    closures: list[Hazard] = [hz.SurgeonLate("ana", at(7)), hz.PlacesClosed("nurses", 2, at(9.6))]
    plain, closed_too = (
        summary_of(tally(with_hazards(scenario, h), reference.run), {}, {}) for h in (list[Hazard](), closures)
    )
    assert plain.staff_overtime_min == closed_too.staff_overtime_min == {"nurses": 45}
