"""Site time: shifted, fast and frozen clocks, and the nights on which the clocks change."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.timebase import (
    Clock,
    day_start,
    minutes,
    minutes_between,
    shifted,
    site_date,
    wall_now,
    whole_minute,
    with_offset,
)

PARIS = ZoneInfo("Europe/Paris")
SPRING = date(2026, 3, 29)
"""02:00 becomes 03:00: a day of 23 hours."""
AUTUMN = date(2026, 10, 25)
"""03:00 becomes 02:00: a day of 25 hours."""
STARTED = datetime(2026, 3, 10, 12, tzinfo=UTC)

instants = st.timedeltas(timedelta(0), timedelta(days=1_000)).map(
    lambda since: datetime(2025, 1, 1, tzinfo=UTC) + since
)


def _fast(wall: datetime, anchor: datetime) -> Clock:
    return Clock(anchor=anchor, speed=60, started=STARTED, wall=lambda: wall)


def test_site_time_is_wall_time() -> None:
    assert Clock(wall=lambda: STARTED).now() == STARTED
    assert wall_now().utcoffset() == timedelta()


def test_fast_clock() -> None:
    clock = _fast(STARTED + timedelta(minutes=2), datetime(2026, 3, 10, 7, tzinfo=PARIS))
    assert clock.now() == datetime(2026, 3, 10, 9, tzinfo=PARIS)


def test_fast_clock_before_its_start() -> None:
    clock = _fast(STARTED, datetime(2026, 3, 10, 7, tzinfo=PARIS))
    assert clock.at(STARTED - timedelta(minutes=1)) == datetime(2026, 3, 10, 6, tzinfo=PARIS)


def test_shifted_clock_runs_on() -> None:
    clock = shifted(datetime(2026, 3, 10, 9, 30, tzinfo=PARIS))
    assert clock.at(clock.started) == datetime(2026, 3, 10, 8, 30, tzinfo=UTC)
    assert clock.at(clock.started + timedelta(hours=1)) == datetime(2026, 3, 10, 9, 30, tzinfo=UTC)


def test_frozen_clock_stands() -> None:
    stop = datetime(2026, 3, 10, 9, tzinfo=UTC)
    frozen = _fast(STARTED + timedelta(hours=5), STARTED).frozen_at(stop)
    assert frozen.now() == stop
    assert frozen.at(STARTED + timedelta(days=1)) == stop


def test_clock_answers_in_utc() -> None:
    answers = (Clock().at(datetime(2026, 7, 1, tzinfo=PARIS)), shifted(datetime(2026, 7, 1, tzinfo=PARIS)).now())
    assert [answer.utcoffset() for answer in answers] == [timedelta(), timedelta()]


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_clock_over_a_change_of_hour(day: date) -> None:
    anchor = datetime(day.year, day.month, day.day, 1, tzinfo=PARIS)
    later = _fast(STARTED + timedelta(minutes=4), anchor).now()
    assert later - anchor.astimezone(UTC) == timedelta(hours=4)


def test_wall_times_of_one_zone() -> None:
    started = datetime(2026, 3, 29, 1, tzinfo=PARIS)
    clock = Clock(anchor=STARTED, started=started, wall=lambda: datetime(2026, 3, 29, 4, tzinfo=PARIS))
    assert clock.now() - STARTED == timedelta(hours=2)


@given(wall=instants, later=st.timedeltas(timedelta(0), timedelta(days=400)), speed=st.floats(0, 60))
def test_clock_never_runs_back(wall: datetime, later: timedelta, speed: float) -> None:
    clock = Clock(anchor=datetime(2026, 3, 29, 1, tzinfo=PARIS), speed=speed, started=STARTED)
    assert clock.at(wall) <= clock.at(wall + later)


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25), (date(2026, 6, 1), 24)])
def test_length_of_a_day(day: date, hours: int) -> None:
    assert minutes_between(day_start(day, PARIS), day_start(day + timedelta(days=1), PARIS)) == hours * 60


def test_minutes_over_a_change_of_hour() -> None:
    start, end = datetime(2026, 3, 29, 1, 30, tzinfo=PARIS), datetime(2026, 3, 29, 3, 30, tzinfo=PARIS)
    assert minutes_between(start, end) == 60
    assert end - start != minutes(60), "Python's own difference is what the clocks show"


def test_minutes_go_both_ways() -> None:
    assert minutes_between(STARTED, STARTED - minutes(1.5)) == -1.5


def test_site_date_near_midnight() -> None:
    late = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    assert site_date(late, PARIS) == date(2026, 7, 2)
    assert site_date(late, ZoneInfo("America/Martinique")) == date(2026, 7, 1)


def test_day_without_midnight() -> None:
    # In Beirut the clocks go from 00:00 to 01:00.
    start = day_start(date(2026, 3, 29), ZoneInfo("Asia/Beirut"))
    assert start.astimezone(ZoneInfo("Asia/Beirut")).hour == 1


@given(instants)
def test_day_holds_its_instants(instant: datetime) -> None:
    day = site_date(instant, PARIS)
    assert day_start(day, PARIS) <= instant < day_start(day + timedelta(days=1), PARIS)


@pytest.mark.parametrize(("second", "minute"), [(0, 0), (29, 0), (30, 1), (59, 1)])
def test_nearest_minute(second: int, minute: int) -> None:
    at = whole_minute(datetime(2026, 3, 10, 7, 0, second, 400, tzinfo=UTC), PARIS)
    assert at.isoformat() == f"2026-03-10T08:0{minute}:00+01:00"


def test_hour_that_comes_twice() -> None:
    first, second = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    published = [whole_minute(at, PARIS) for at in (first, second)]
    assert [at.isoformat() for at in published] == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]
    assert published == [first, second], "what was published equals what is read back"


def test_hour_that_is_left_out() -> None:
    assert with_offset(datetime(2026, 3, 29, 2, 30, tzinfo=PARIS), PARIS).isoformat() == "2026-03-29T03:30:00+02:00"


@given(instants)
def test_offset_keeps_the_instant(instant: datetime) -> None:
    local = with_offset(instant, PARIS)
    assert local == instant
    assert local.isoformat() == instant.astimezone(PARIS).isoformat()
