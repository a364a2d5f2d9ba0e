"""Golden values of "booked 1h30, takes 2 h" (design)."""

import math

import pytest

from twin.durations.recalibrate import BookedCase, CellKey, Ratio, Recalibration

LONGER = math.log(4 / 3)


def told(cases: int, *, booked: float = 90.0, actual: float = 120.0, surgeon: str | None = "s") -> Recalibration:
    recalibration = Recalibration()
    recalibration.learn([BookedCase("p", surgeon, booked, actual)] * cases)
    return recalibration


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


def test_two_cases_are_no_trend() -> None:
    assert Ratio(7, math.log(3), 0.30).verdict() is None


def test_shorter() -> None:
    proposals = told(20, actual=60).proposals()
    assert {proposal.direction for proposal in proposals} == {"shorter"}


def test_booked_well_proposes_nothing() -> None:
    assert told(200, actual=95).proposals() == ()


def test_pair_and_procedure() -> None:
    assert [proposal.cell for proposal in told(20).proposals()] == [CellKey("p"), CellKey("p", "s")]


def test_unknown_surgeon_counts_once() -> None:
    recalibration = told(20, surgeon=None)
    ratio = recalibration.ratio(CellKey("p"))
    assert ratio is not None
    assert ratio.n == 20


def test_proved_by_later_cases() -> None:
    recalibration = told(20)
    before = recalibration.proposals()[0].proof
    recalibration.learn([BookedCase("p", "s", 90, 90)] * 4)
    proof = recalibration.proposals()[0].proof
    assert (before.verdict, before.booked_mae) == ("proved", 30.0)
    assert before.proposed_mae < 15
    assert proof.n == before.n + 4
    assert proof.booked_mae < 30


def test_not_proved() -> None:
    """What raised it was chance: the cases after it are as booked."""
    recalibration = told(8, actual=150)
    recalibration.learn([BookedCase("p", "s", 90, 95)] * 5)
    assert {proposal.proof.verdict for proposal in recalibration.proposals()} == {"not proved"}


def test_decision_starts_anew() -> None:
    recalibration = told(20)
    recalibration.decide(CellKey("p", "s"))
    assert [proposal.cell for proposal in recalibration.proposals()] == [CellKey("p")]


def test_nonsense_is_left_out() -> None:
    recalibration = Recalibration()
    recalibration.learn([BookedCase("p", "s", 0, 90), BookedCase("p", "s", 90, 0)])
    assert recalibration.ratio(CellKey("p")) is None


def test_intervals_are_around_typical() -> None:
    (proposal, _) = told(20).proposals()
    assert proposal.next_case.low < proposal.typical.low < proposal.typical_min < proposal.typical.high
    assert proposal.typical.high < proposal.next_case.high
    assert proposal.booked_min == 90


def test_no_case_is_no_habit() -> None:
    nothing = habit_of([], DurationOptions())
    assert (nothing.cases, nothing.ratio, nothing.sd) == (0, 1.0, pytest.approx(0.30))
    assert not nothing.proposed
