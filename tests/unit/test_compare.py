"""Two scenarios by the same random numbers: what the one changes to the other, by arithmetic where nothing varies."""

from dataclasses import replace

import numpy as np
import pytest

from tests.simulation_days import at, case, day, exactly, suite_day
from twin.errors import SettingsError
from twin.simulation import hazards as hz
from twin.simulation import kernel, reference
from twin.simulation.compare import Change, Difference, difference
from twin.simulation.hazards import Hazard, with_hazards
from twin.simulation.resources import ResourceInput, ResourceKind
from twin.simulation.result import NOT_DONE_S
from twin.simulation.scenario import Scenario
from twin.simulation.summary import Team, last_done, summary_of, tally
from twin.site import SimulationOptions
from twin.vocabulary import Milestone

ENTRY, OUT = Milestone.PATIENT_IN_ROOM, Milestone.PATIENT_OUT_OF_ROOM
LAWS = exactly(induction=10, lead_in=5, closure=4, emergence=6, turnover=20, pacu=30, unit=60, sterilization=120)
ENDS = {"A": at(10.5), "B": at(10.5)}
TEAMS = {"ana": Team(("a", "b"), at(10.5))}


def two(replications: int = 4) -> Scenario:
    """Two cases of 60 minutes in room A, at 8:00 and 9:30, and one in room B at 8:00."""
    cases = (case("a", team=("ana",)), case("b", planned=9.5, rank=1, team=("ana",)), case("c", "B"))
    return day(*cases, laws=LAWS, options=SimulationOptions(replications=replications, early_start_min=0))


def changed(*hazards: Hazard, scenario: Scenario | None = None) -> Difference:
    before = scenario or two()
    after = with_hazards(before, hazards)
    return difference(tally(before, reference.run), tally(after, reference.run), ENDS, TEAMS)


def test_nothing_changes_nothing() -> None:
    told = changed()
    assert not any(any(three) for times in told.milestones.values() for three in times.values())
    assert set(told.past_end.values()) == {Change(0, 0)}
    assert told.only_before == told.only_after == ()


def test_longer_case_by_arithmetic() -> None:
    """90 minutes: out at 9:30, turnover to 9:50, the second out at 10:50, twenty minutes past the end."""
    told = changed(hz.LongerCase("a", 1.5))
    assert told.milestones["a"][OUT] == (1800, 1800, 1800)
    assert told.milestones["b"][ENTRY] == (1200, 1200, 1200)
    assert told.room_end == {"A": (1200, 1200, 1200), "B": (0, 0, 0)}
    assert told.past_end["A"] == Change(1, 0)
    assert told.overtime_min["A"] == told.team_overtime_min["ana"] == Change(20, 0)


def test_absent_patient_ends_the_room_earlier() -> None:
    told = changed(hz.NoShow("b"))
    assert ENTRY not in told.milestones["b"]
    assert told.room_end["A"] == (-5400, -5400, -5400)
    summary = summary_of(tally(hz.NoShow("b").apply(two()), reference.run), ENDS, TEAMS)
    assert (summary.not_operated["b"], summary.not_operated["a"], summary.past_end["A"]) == (1, 0, 0)


def test_half_width_of_a_paired_difference() -> None:
    scenario = two(400)
    told = changed(hz.NoShow("b", 0.5), hz.LongerCase("b", 1.5), scenario=scenario)
    late = told.past_end["A"]
    assert late.mean == pytest.approx(0.5, abs=0.1)
    assert late.half_width == pytest.approx(0.05, abs=0.005)


def test_cases_that_only_one_has() -> None:
    law = two().cases[0].room_time
    told = changed(hz.Cancellation("b"), hz.Emergency("e", at(9), 1, law, law, ("A", "B")))
    assert (told.only_before, told.only_after) == (("b",), ("e",))


def test_only_alike_scenarios_are_compared() -> None:
    first = tally(two(), reference.run)
    with pytest.raises(SettingsError):
        difference(first, tally(two(5), reference.run), ENDS, TEAMS)


def test_last_of_those_that_happen() -> None:
    lefts = [np.array([5, NOT_DONE_S, NOT_DONE_S]), np.array([7, 3, NOT_DONE_S])]
    assert last_done(lefts).tolist() == [7, 3, NOT_DONE_S]


def test_tally_is_the_same_by_either_engine() -> None:
    kernel.warm()
    scenario = suite_day(replications=6)
    one, other = tally(scenario, kernel.run), tally(scenario, reference.run)
    assert summary_of(one, {}, {}) == summary_of(other, {}, {})


def test_urgency_target() -> None:
    law = two().cases[0].room_time
    scenario = hz.Emergency("e", at(8.25), 2, law, law, ("A",)).apply(two())
    told = tally(scenario, reference.run)
    wait_min = (told.times["e"][ENTRY][0] - scenario.seconds(at(8.25))) / 60
    assert wait_min == 65, "the case before is out at nine, the room is clean at 9:20"
    for target, late in ((64, 1.0), (65, 0.0)):
        assert summary_of(told, {}, {}, {2: target}).past_target == {"e": late}


def test_people_beyond_their_shift() -> None:
    """Two in the room from 8:00, one from 9:30 to 10:30. One leaves at 8:30: half an hour; all at 10:00: another."""
    shifts = ResourceInput("nurses", ResourceKind.NURSES, 2, ((at(8.5), 1), (at(10), 0)))
    cases = tuple(replace(one, needs=("nurses",)) for one in two().cases)
    scenario = replace(two(), cases=cases, resources=(shifts,))
    told = summary_of(tally(scenario, reference.run), {}, {})
    assert told.staff_overtime_min == {"nurses": 60}
    assert summary_of(tally(two(), reference.run), {}, {}).staff_overtime_min == {}


def sets(places: int) -> Scenario:
    """Cases a and c at 8:00 need a set of instruments, and b at 9:30."""
    cases = tuple(replace(one, needs=("sets",)) for one in two().cases)
    return replace(two(), cases=cases, resources=(ResourceInput("sets", ResourceKind.INSTRUMENTS, places),))


def test_instruments_come_back_from_sterilization() -> None:
    """Out at nine, two hours of sterilization: at eleven the third case has a set, with three sets at once."""
    for places, entry in ((2, 11), (3, 9.5)):
        times = tally(sets(places), reference.run).times["b"][ENTRY]
        assert set(times.tolist()) == {(entry - 6) * 3600}


def test_instruments_of_who_has_left_already() -> None:
    """Out of the room an hour ago: an hour of sterilization is left."""
    done = case("d", "B", 7, patient_in_room=7.0, patient_out_of_room=8.0)
    cases = (replace(done, needs=("sets",)), replace(case("e", "A", 9), needs=("sets",)))
    scenario = replace(sets(1), now=at(9), cases=cases)
    times = tally(scenario, reference.run).times["e"][ENTRY]
    assert set(times.tolist()) == {3600}
