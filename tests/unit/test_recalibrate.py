"""Booked 1h30, takes 2 h: the rule, its golden values (MODEL), and what proves a proposal."""

import math

import pytest

from twin.durations.recalibrate import BookedCase, CellKey, Ratio, Recalibration

LONGER = math.log(4 / 3)


def told(cases: int, *, booked: float = 90.0, actual: float = 120.0, surgeon: str | None = "s") -> Recalibration:
    recalibration = Recalibration()
    recalibration.learn([BookedCase("p", surgeon, booked, actual)] * cases)
    return recalibration


@pytest.mark.parametrize(
    ("n", "typical", "low", "high", "probability"), [(8, 111, 93, 132, 0.896), (12, 113, 97, 132, 0.959)]
)
def test_golden_typical(n: int, typical: int, low: int, high: int, probability: float) -> None:
    ratio = Ratio(n, LONGER, 0.30)
    assert round(90 * ratio.typical) == typical
    assert [round(90 * each) for each in ratio.typical_interval()] == [low, high]
    assert ratio.beyond(1.10) == pytest.approx(probability, abs=5e-4)


def test_golden_next_case() -> None:
    assert [90 * each for each in Ratio(12, LONGER, 0.30).next_interval()] == pytest.approx([76, 168], abs=0.6)


@pytest.mark.parametrize(("n", "proposed"), [(11, False), (12, True)])
def test_golden_verdict(n: int, proposed: bool) -> None:
    assert (Ratio(n, LONGER, 0.30).verdict() is not None) is proposed
    assert Ratio(11, LONGER, 0.30).beyond(1.10) == pytest.approx(0.9485, abs=5e-5)


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
