"""The score-card: which prediction is judged, by which truth, and what the figures are."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from tests.world import SOURCE, World, at, booking, stay
from twin.prediction.score import (
    PIT_BINS,
    RoomScore,
    Score,
    crps,
    pit,
    room_scores_of,
    score_card,
    scores_of,
    wilson,
)
from twin.timeline import QUANTILE_LEVELS, PredictedRoomEnd, PredictedStage, PredictedTimeline
from twin.vocabulary import Milestone

OUT = Milestone.PATIENT_OUT_OF_ROOM
LEVELS = np.asarray(QUANTILE_LEVELS)
DONE = stay("e", ("salle-1", "08:05", "09:40"), booked="a", status="finished")


def issued(made: str, low: str, high: str, *, milestone: Milestone = OUT) -> PredictedTimeline:
    """A prediction whose quantiles go straight from low to high."""
    start, first, last = at(made), at(low), at(high)
    spread = np.linspace((first - start).total_seconds(), (last - start).total_seconds(), len(LEVELS))
    middle = first + (last - first) / 2
    stage = PredictedStage(milestone, middle, first, last, quantiles_s=tuple(int(each) for each in spread))
    return PredictedTimeline(start, start + timedelta(hours=1), "model 1", SOURCE, "urn:uuid:1", ("A/1",), (stage,))


def judged(*timelines: PredictedTimeline, now: str = "12:00") -> list[Score]:
    case = World(booking("a"), DONE).case(now)
    return scores_of([case], {case.case_id: timelines}, upto=at(now))


def test_newest_before_lead() -> None:
    """The one in force 15 minutes before the truth, 60 before it another; none had been issued 120 before."""
    scores = judged(issued("08:30", "09:00", "10:00"), issued("09:20", "09:35", "09:45"))
    assert {score.lead_min: score.error for score in scores} == {15: 0.0, 60: 10.0}


def test_truth_still_to_come() -> None:
    case = World(booking("a"), DONE).case("09:00")
    assert scores_of([case], {case.case_id: [issued("07:00", "09:00", "10:00")]}, upto=at("09:00")) == []


def test_estimated_truth_judges_nobody() -> None:
    """The next patient in the room proves that this one left, not when."""
    world = World(booking("a"), stay("e", ("salle-1", "08:05", ""), booked="a"))
    world.put(
        "10:00",
        booking("b", "10:00", "11:00", patient="p2"),
        stay("f", ("salle-1", "10:00", ""), booked="b", patient="p2"),
    )
    first = world.cases("11:00")[0]
    assert first.times.get(OUT) is not None
    assert scores_of([first], {first.case_id: [issued("08:30", "09:00", "10:00")]}, upto=at("11:00")) == []


def test_alias_keeps_its_predictions() -> None:
    case = replace(World(booking("a"), DONE).case("12:00"), aliases=("before-the-merge",))
    assert scores_of([case], {"before-the-merge": [issued("08:30", "09:00", "10:00")]}, upto=at("12:00"))


def test_outside_every_band() -> None:
    (score,) = judged(issued("09:20", "10:30", "10:45"))
    assert not any(score.inside.values())
    assert score.pit == 0.0


def test_crps_of_a_point() -> None:
    """Of a point forecast it is the absolute error."""
    assert crps(np.full(len(LEVELS), 90.0), 75.0) == pytest.approx(15.0)


def test_crps_of_a_normal() -> None:
    """Close to the closed form, sd·(z(2Φ(z) - 1) + 2φ(z) - 1/√π) (Gneiting and Raftery 2007)."""
    z = 0.7
    exact = 10 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps(100 + 10 * stats.norm.ppf(LEVELS), 107.0) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize(("actual", "expected"), [(-1, 0.0), (95, 0.95), (52.5, 0.525), (101, 1.0)])
def test_pit(actual: float, expected: float) -> None:
    assert pit(100 * LEVELS, actual) == pytest.approx(expected)


def test_pit_on_a_point_mass() -> None:
    assert pit(np.full(len(LEVELS), 60.0), 60.0) == pytest.approx(0.5)


def test_wilson_interval() -> None:
    """8 of 10: .490 to .943 (Wilson 1927)."""
    told = wilson(8, 10)
    assert (told.share, round(told.low, 3), round(told.high, 3)) == (0.8, 0.49, 0.943)


def test_card_of_honest_bands() -> None:
    """Truths drawn from what was predicted: coverage as named, level PIT."""
    rng = np.random.default_rng(3)
    (pattern,) = judged(issued("09:20", "09:35", "09:45"))
    shares = rng.random(4000)
    scores = [
        replace(
            pattern,
            case_id=str(number),
            pit=float(u),
            inside={50: 0.25 <= u <= 0.75, 80: 0.1 <= u <= 0.9, 90: 0.05 <= u <= 0.95},
        )
        for number, u in enumerate(shares)
    ]
    line = score_card(scores).lines["all"]["all"]
    for nominal, told in line.coverage.items():
        assert told.share == pytest.approx(nominal / 100, abs=0.02)
    assert max(line.pit) - min(line.pit) < 4000 / PIT_BINS / 3


def test_card_groups() -> None:
    card = score_card(judged(issued("08:30", "09:00", "10:00"), issued("09:20", "09:35", "09:45")))
    assert (card.n, card.cases) == (2, 1)
    assert list(card.lines["lead_min"]) == ["15", "60"]
    assert set(card.lines["room"]) == {"Location/salle-1"}


def test_card_of_nothing() -> None:
    card = score_card([])
    assert (card.n, card.lines["all"], card.rooms) == (0, {}, {})


def room_end(made: str, probability: float, end: datetime) -> PredictedRoomEnd:
    moment = at(made)
    return PredictedRoomEnd(
        at("00:00").date(), at("08:00"), end, end, None, None, probability, moment, moment + timedelta(hours=1), SOURCE
    )


@pytest.mark.parametrize(("closes", "late"), [("09:30", True), ("09:45", False)])
def test_room_ends_late(closes: str, late: bool) -> None:
    suite = World(booking("a"), DONE).suite("12:00")
    told = [[room_end("08:00", 0.4, at(closes))], [room_end("08:50", 0.8, at(closes))]]
    scores = room_scores_of(suite, {"Location/salle-1": told}, upto=at("12:00"))
    assert {(score.lead_min, score.probability, score.late) for score in scores} == {(15, 0.8, late), (60, 0.4, late)}


def test_room_of_unknown_end() -> None:
    """Not judged while a patient of the block is still there."""
    suite = World(booking("a"), stay("e", ("salle-1", "08:05", ""), booked="a")).suite("10:30")
    assert not room_scores_of(suite, {"Location/salle-1": [[room_end("08:00", 0.4, at("09:30"))]]}, upto=at("10:30"))


def test_brier_against_base_rate() -> None:
    scores = [RoomScore("Location/1", 60, probability, late) for probability, late in ((0.9, True), (0.2, False))]
    line = score_card([], scores).rooms["60"]
    assert line.brier == pytest.approx((0.01 + 0.04) / 2)
    assert line.brier_base == pytest.approx(0.25)
