"""Openings of rooms by the site file, on ordinary days and where the clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import SettingsError
from twin.site import BlockTime, SiteOptions
from twin.timebase import minutes_between, site_date

PARIS = ZoneInfo("Europe/Paris")
MONDAY = date(2026, 3, 9)
SUNDAY = date(2026, 3, 29)
"""The clocks go from 02:00 to 03:00."""
EVERY_DAY = frozenset(range(7))


def _site(*openings: BlockTime, working: frozenset[date] = frozenset()) -> SiteOptions:
    return SiteOptions(blocks={"salle-1": openings}, working_days=working)


def test_assumed_week() -> None:
    (block,) = SiteOptions().blocks_of("salle-1", MONDAY)
    assert (block.start, block.end) == (
        datetime(2026, 3, 9, 7, tzinfo=UTC),
        datetime(2026, 3, 9, 17, tzinfo=UTC),
    )
    assert block.assumed
    assert SiteOptions().blocks_of("salle-1", SUNDAY) == ()


def test_told_openings_in_order() -> None:
    afternoon = BlockTime(frozenset({0}), time(13, 30), time(18))
    morning = BlockTime(frozenset({0}), time(8), time(12, 45))
    blocks = _site(afternoon, morning).blocks_of("salle-1", MONDAY)
    assert [f"{block.start:%H:%M}-{block.end:%H:%M}" for block in blocks] == ["08:00-12:45", "13:30-18:00"]
    assert not any(block.assumed for block in blocks)


def test_room_told_to_be_closed() -> None:
    assert _site().blocks_of("salle-1", MONDAY) == ()


def test_openings_for_every_other_room() -> None:
    site = SiteOptions(blocks={"*": (BlockTime(EVERY_DAY, time(9), time(10)),), "salle-2": ()})
    assert [block.start.hour for block in site.blocks_of("salle-1", MONDAY)] == [9]
    assert site.blocks_of("salle-2", MONDAY) == ()


def test_working_day_plays_monday() -> None:
    monday_only = BlockTime(frozenset({0}), time(8), time(16))
    site = _site(monday_only, working=frozenset({SUNDAY}))
    assert [block.end.hour for block in site.blocks_of("salle-1", SUNDAY)] == [16]
    assert site.blocks_of("salle-1", SUNDAY + timedelta(days=2)) == ()
    assert SiteOptions(working_days=frozenset({SUNDAY})).blocks_of("salle-9", SUNDAY)[0].assumed


def test_day_hours_after_the_change() -> None:
    (block,) = _site(BlockTime(EVERY_DAY, time(8), time(18))).blocks_of("salle-1", SUNDAY)
    assert block.start.isoformat() == "2026-03-29T08:00:00+02:00"
    assert minutes_between(block.start, block.end) == 600


@pytest.mark.parametrize(("day", "hours"), [(SUNDAY, 7), (date(2026, 10, 25), 9), (MONDAY, 8)])
def test_night_block_over_the_change(day: date, hours: int) -> None:
    (block,) = _site(BlockTime(EVERY_DAY, time(0), time(8))).blocks_of("salle-1", day)
    assert block.end - block.start == timedelta(hours=hours)


def test_opening_in_the_missing_hour() -> None:
    site = _site(BlockTime(EVERY_DAY, time(2, 30), time(3)))
    assert site.blocks_of("salle-1", SUNDAY) == ()
    assert len(site.blocks_of("salle-1", MONDAY)) == 1


@given(
    st.dates(date(2025, 1, 1), date(2027, 12, 31)),
    st.lists(st.times(), min_size=2, max_size=2, unique=True).map(sorted),
    st.sampled_from(["Europe/Paris", "America/Martinique", "Asia/Beirut", "Pacific/Noumea"]),
)
def test_blocks_end_after_they_start(day: date, at: list[time], zone: str) -> None:
    site = SiteOptions(timezone=ZoneInfo(zone), blocks={"*": (BlockTime(EVERY_DAY, at[0], at[1]),)})
    for block in site.blocks_of("salle-1", day):
        assert block.start < block.end
        assert site_date(block.start, site.timezone) == day


@pytest.mark.parametrize("end", [time(8), time(7, 59)])
def test_block_ending_early_is_refused(end: time) -> None:
    with pytest.raises(SettingsError, match="08:00-"):
        BlockTime(frozenset({0}), time(8), end)
