"""Dates of FHIR, each with one reading. Total: any value gives a time or None, never an exception.

| written | read as |
| --- | --- |
| with an offset, `Z` included | that instant, its offset kept |
| no offset | time of the site's zone (the earlier of two where the clocks go back) |
| no seconds | second 0 |
| `24:00` or `24:00:00` | midnight that begins the next day |
| second `60` (leap) | second 0 of the next minute |
| fraction of any length | microseconds, the rest cut off |
| `-00:00` | UTC |
| an offset beyond 14 hours (`+99:00`) | nothing |
| a day that doesn't exist (30 February), year 0 | nothing |
| a year, month or day alone | a date (`partial`), but no instant: a day is no stamp |
| anything that isn't a string of a date | nothing |
"""

import calendar
import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

_DATETIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,60}))?)?(?:(Z)|([+-])(\d\d):(\d\d))?", re.ASCII
)
# What nearly every server writes: the standard library reads it, several times faster.
_PLAIN = re.compile(
    r"[12]\d{3}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{3}|\.\d{6})?(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d)",
    re.ASCII,
)
_PARTIAL = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_MAX_OFFSET_MIN = 14 * 60


def instant(value: object, zone: tzinfo = UTC) -> datetime | None:
    """The aware datetime of an `instant` or `dateTime` with a time of day, else None."""
    return _instant(value, zone) if isinstance(value, str) else None


@lru_cache(maxsize=16_384)  # the end of one stretch is the start of the next
def _instant(value: str, zone: tzinfo) -> datetime | None:
    try:
        if _PLAIN.fullmatch(value):
            return datetime.fromisoformat(value)
    except ValueError:
        return None  # a day that doesn't exist
    found = _DATETIME.fullmatch(value)
    if found is None:
        return None
    year, month, day, hour, minute = (int(part) for part in found.group(1, 2, 3, 4, 5))
    second, micro = int(found[6] or 0), int((found[7] or "0")[:6].ljust(6, "0"))
    carry = timedelta()
    if hour == 24 and minute == second == micro == 0:
        hour, carry = 0, timedelta(days=1)
    elif second == 60:
        second, micro, carry = 0, 0, timedelta(minutes=1)
    try:
        local = datetime(year, month, day, hour, minute, second, micro) + carry  # noqa: DTZ001 - the offset comes next
        return _aware(local, found, zone)
    except (ValueError, OverflowError):
        return None


def _aware(local: datetime, found: "re.Match[str]", zone: tzinfo) -> datetime:
    """With the offset written, else the zone's as a fixed one: zones of two kinds compare badly around DST.

    Raises ValueError for an offset beyond 14 hours, OverflowError beyond the calendar in UTC.
    """
    if found[8]:
        return local.replace(tzinfo=UTC)
    if found[9]:
        minutes = int(found[10]) * 60 + int(found[11])
        if minutes > _MAX_OFFSET_MIN or int(found[11]) > 59:
            raise ValueError("offset")
        offset = timedelta(minutes=minutes if found[9] == "+" else -minutes)
    else:
        offset = local.replace(tzinfo=zone).utcoffset() or timedelta()
    read = local.replace(tzinfo=timezone(offset))
    read.astimezone(UTC)
    return read


def is_partial(value: object) -> bool:
    """True for a year, month or day that exists, without a time of day."""
    return isinstance(value, str) and "T" not in value and earliest(value) is not None


def earliest(value: object) -> date | None:
    """The first day that a date, partial date or dateTime can mean."""
    return _day(value, last=False)


def latest(value: object) -> date | None:
    """The last day that a date, partial date or dateTime can mean."""
    return _day(value, last=True)


def _day(value: object, *, last: bool) -> date | None:
    if not isinstance(value, str):
        return None
    if "T" in value:
        read = instant(value)
        return read and read.date()
    found = _PARTIAL.fullmatch(value)
    if found is None:
        return None
    try:
        year = int(found[1])
        month = int(found[2]) if found[2] else (12 if last else 1)
        if found[3]:
            return date(year, month, int(found[3]))
        return date(year, month, calendar.monthrange(year, month)[1] if last else 1)
    except ValueError:
        return None
