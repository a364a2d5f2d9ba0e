"""Every way of writing a time has one reading."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from fhir_adapters import dates

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-11-24T08:00:00+01:00", "2026-11-24T08:00:00+01:00"),
        ("2026-11-24T08:00:00Z", "2026-11-24T08:00:00+00:00"),
        ("2026-11-24T08:00:00-00:00", "2026-11-24T08:00:00+00:00"),
        ("2026-11-24T08:00", "2026-11-24T08:00:00+01:00"),
        ("2026-07-14T08:00:00", "2026-07-14T08:00:00+02:00"),
        ("2026-10-25T02:30:00", "2026-10-25T02:30:00+02:00"),
        ("2026-03-29T02:30:00", "2026-03-29T02:30:00+01:00"),
        ("2026-11-24T24:00:00+01:00", "2026-11-25T00:00:00+01:00"),
        ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00+00:00"),
        ("2026-11-24T08:00:00.123456789Z", "2026-11-24T08:00:00.123456+00:00"),
        ("2026-11-24T08:00:00.10Z", "2026-11-24T08:00:00.100000+00:00"),
    ],
)
def test_reads_instant(written: str, read: str) -> None:
    found = dates.instant(written, PARIS)
    assert found is not None
    assert found.isoformat() == read


@pytest.mark.parametrize(
    "written",
    [
        "2026",
        "2026-11",
        "2026-11-24",
        "2026-02-30T08:00:00Z",
        "2026-11-24T08:00:00+99:00",
        "2026-11-24T08:00:00+01:75",
        "2026-11-24T24:01:00Z",
        "2026-11-24T25:00:00Z",
        "2026-11-24T08:61:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T24:00:00Z",
        "٢٠٢٦-11-24T08:00:00Z",
        "2026-11-24T08:00:00Z\n",
        "demain",
        "",
        None,
        20261124,
        {},
    ],
)
def test_no_instant(written: object) -> None:
    assert dates.instant(written) is None


@pytest.mark.parametrize(
    ("written", "first", "last"),
    [
        ("2024", date(2024, 1, 1), date(2024, 12, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2024-02-29", date(2024, 2, 29), date(2024, 2, 29)),
        ("2024-02-29T10:00:00Z", date(2024, 2, 29), date(2024, 2, 29)),
        ("2026-02-30", None, None),
        ("2026-13", None, None),
        ("0000", None, None),
        (2024, None, None),
    ],
)
def test_days_of_partial_date(written: object, first: date | None, last: date | None) -> None:
    assert (dates.earliest(written), dates.latest(written)) == (first, last)


def test_partial_is_no_instant() -> None:
    assert dates.is_partial("2026-11")
    assert not dates.is_partial("2026-11-24T08:00:00Z")
    assert not dates.is_partial("2026-11-24T08:00:00+99:00")


def test_missing_zone_gives_fixed_offset() -> None:
    assert dates.instant("2026-10-25T02:30:00", PARIS) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
