"""The synthetic clinic's truth: laws that no day breaks, and the noise of generator G0."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise
from statistics import mean
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from fixtures.clinic.bookings import Habits, block_end, book_day
from fixtures.clinic.catalogue import PACU_PLACES
from fixtures.clinic.day import generate_day
from fixtures.clinic.draws import Fate, draw
from fixtures.clinic.stamps import entered
from fixtures.clinic.truth import TrueCase
from twin.vocabulary import Milestone

PARIS = ZoneInfo("Europe/Paris")
DAYS = [date(2026, 11, 23) + timedelta(days=number) for number in range(15)]


@pytest.fixture(scope="module", params=[0, 1])
def days(request: pytest.FixtureRequest) -> list[tuple[TrueCase, ...]]:
    return [generate_day(when, PARIS, request.param).cases for when in DAYS]


def done(cases: Iterable[TrueCase]) -> list[TrueCase]:
    return [case for case in cases if case.done]


def spans(cases: Iterable[TrueCase], by: str, end: Milestone) -> list[list[tuple[int, int]]]:
    found: dict[object, list[tuple[int, int]]] = defaultdict(list)
    for case in done(cases):
        key = case.room if by == "room" else case.booking.surgeon
        found[key].append((case.times[Milestone.PATIENT_IN_ROOM], case.times[end]))
    return [sorted(one) for one in found.values()]


def test_no_room_with_two_patients(days: list[tuple[TrueCase, ...]]) -> None:
    for cases in days:
        for room in spans(cases, "room", Milestone.ROOM_CLEANUP_FINISH):
            assert all(before[1] <= after[0] for before, after in pairwise(room))


def test_no_surgeon_in_two_rooms(days: list[tuple[TrueCase, ...]]) -> None:
    for cases in days:
        for surgeon in spans(cases, "surgeon", Milestone.PROCEDURE_FINISH):
            assert all(before[1] <= after[0] for before, after in pairwise(surgeon))


def test_recovery_places_hold_one(days: list[tuple[TrueCase, ...]]) -> None:
    for cases in days:
        places: dict[int | None, list[tuple[int, int]]] = defaultdict(list)
        for case in done(cases):
            if Milestone.PACU_ARRIVAL in case.times:
                left = case.times[Milestone.PATIENT_OUT_OF_ROOM]
                places[case.pacu_place].append((left, case.times[Milestone.PACU_DISCHARGE]))
        assert places.keys() <= set(range(1, PACU_PLACES + 1))
        for place in places.values():
            assert all(before[1] <= after[0] for before, after in pairwise(sorted(place)))


def test_time_never_runs_back(days: list[tuple[TrueCase, ...]]) -> None:
    pathway = [one for one in Milestone if one is not Milestone.ROOM_CLEANUP_FINISH]
    for cases in days:
        for case in done(cases):
            times = [case.times[one] for one in pathway if one in case.times]
            assert times == sorted(times)
            assert case.times[Milestone.PATIENT_OUT_OF_ROOM] - case.times[Milestone.PATIENT_IN_ROOM] >= case.draw.room


def test_nobody_lost(days: list[tuple[TrueCase, ...]]) -> None:
    for cases in days:
        for case in cases:
            assert (Milestone.UNIT_ARRIVAL in case.times) == case.done
            assert (Milestone.FACILITY_DISCHARGE in case.times) == (case.done and case.booking.ambulatory)


def test_lists_mostly_within_blocks(days: list[tuple[TrueCase, ...]]) -> None:
    over = []
    for cases in days:
        ends: dict[int, int] = defaultdict(int)
        for case in done(cases):
            ends[case.room] = max(ends[case.room], case.times[Milestone.PATIENT_OUT_OF_ROOM])
        over += [end - block_end(room) for room, end in ends.items()]
    assert 0.10 <= mean(end > 0 for end in over) <= 0.35
    assert max(over) < 6 * 60


def test_fates(days: list[tuple[TrueCase, ...]]) -> None:
    booked = [case for cases in days for case in cases if not case.booking.emergency]
    assert 0.005 <= mean(case.fate is Fate.NO_SHOW for case in booked) <= 0.035
    assert 0.015 <= mean(case.fate is Fate.CANCELLED for case in booked) <= 0.08


def test_g0_room_times() -> None:
    bookings, habits, rng = book_day(DAYS[0], 0, 14), Habits(0), np.random.default_rng(1)
    booking = next(one for one in bookings if 60 <= one.act.room_min <= 90)  # long enough for no bound to matter
    drawn = np.array([draw(booking, habits, rng).room for _ in range(20_000)])
    base = np.exp(habits.expected(booking.surgeon, booking.act))
    # Gamma of mean 1; 6 % of the cases times U(1.3, 2.2), 5 % plus U(10, 30).
    assert drawn.mean() == pytest.approx(base * (1 + 0.06 * 0.75) + 0.05 * 20, rel=0.015)
    variance = (1 + habits.variation(booking.act) ** 2) * (0.94 + 0.06 * (1.75**2 + 0.9**2 / 12)) - 1.045**2
    assert drawn.std() == pytest.approx(base * variance**0.5, rel=0.06)


def test_stamps_late_wrong_missing() -> None:
    rng = np.random.default_rng(2)
    stamps = [entered(600, rng) for _ in range(20_000)]
    assert mean(stamp.told is None for stamp in stamps) == pytest.approx(0.03, abs=0.005)
    wrong = [stamp for stamp in stamps if stamp.told not in (None, 600)]
    assert len(wrong) / len(stamps) == pytest.approx(0.05, abs=0.006)
    assert {abs((stamp.told or 0) - 600) for stamp in wrong} == set(range(5, 31))
    assert mean(stamp.corrected is not None for stamp in wrong) == pytest.approx(0.5, abs=0.06)
    late = [stamp.at - 601 for stamp in stamps if stamp.told == 600 and stamp.at > 602]
    assert mean(late) == pytest.approx(12, abs=1.5)
