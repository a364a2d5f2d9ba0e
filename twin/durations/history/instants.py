"""Dates and times from text cells, a column at a time, in the forms that exports use."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from twin.durations.history.numbers import is_missing

_MONTHS = (
    ("jan", "gen", "ene"),
    ("feb", "fev", "fév"),
    ("mar", "mär", "mae", "mrt", "maa"),
    ("apr", "avr", "abr"),
    ("may", "mai", "mei", "mag", "maj"),
    ("jun", "juin", "giu"),
    ("jul", "juil", "lug"),
    ("aug", "aou", "aoû", "ago"),
    ("sep", "set"),
    ("oct", "okt", "ott"),
    ("nov",),
    ("dec", "déc", "dez", "des", "dic"),
)
"""How months begin in the languages of Western Europe."""
_TIME = (
    r"(?:[T\s,]+(?P<h>\d{1,2})[:h.](?P<m>\d{2})(?:[:.](?P<s>\d{2})(?:[.,]\d+)?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|[+-]\d{2}:?\d{2})?)?"
)
_YEAR_FIRST = re.compile(r"(?P<y>\d{4})[-/.](?P<a>\d{1,2})[-/.](?P<b>\d{1,2})" + _TIME)
_YEAR_LAST = re.compile(r"(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y>\d{4}|\d{2})" + _TIME)
_NAMED = re.compile(
    r"(?:[^\W\d]+\.?,?\s+)?(?P<a>\d{1,2})\.?[-/\s]+(?P<b>[^\W\d]+)\.?[-/\s,]+(?P<y>\d{4}|\d{2})" + _TIME
)
_NAMED_FIRST = re.compile(r"(?P<b>[^\W\d]+)\.?\s+(?P<a>\d{1,2}),?\s+(?P<y>\d{4})" + _TIME)
_PACKED = re.compile(
    r"(?P<y>\d{4})(?P<a>\d{2})(?P<b>\d{2})(?:T?(?P<h>\d{2})(?P<m>\d{2})(?P<s>\d{2})?)?(?P<half>)(?P<zone>Z)?"
)
_SERIAL = re.compile(r"\d{5}(?:[.,]\d+)?")
_EPOCH = re.compile(r"\d{10}(?:\d{3})?")
_SPREADSHEET_DAY_0 = datetime(1899, 12, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Instants:
    """Instants by row (UTC where no zone is written), and how they were read."""

    at: list[datetime | None]
    read_as: str
    unreadable: int


def instants_of(cells: Sequence[str]) -> Instants:
    """Instants of a column. 03/04/2026 is day/month unless another row shows that it can't be."""
    month_first = _month_first(cells)
    at = [None if is_missing(cell) else _instant(cell.strip(), month_first=month_first) for cell in cells]
    unreadable = sum(each is None and not is_missing(cell) for each, cell in zip(at, cells, strict=True))
    numeric = any(_YEAR_LAST.fullmatch(cell.strip()) for cell in cells)
    return Instants(at, ("month/day/year" if month_first else "day/month/year") if numeric else "dates", unreadable)


def _month_first(cells: Sequence[str]) -> bool:
    found = [match for cell in cells if (match := _YEAR_LAST.fullmatch(cell.strip()))]
    later, earlier = sum(int(match["b"]) > 12 for match in found), sum(int(match["a"]) > 12 for match in found)
    return later > earlier


def _instant(text: str, *, month_first: bool) -> datetime | None:
    try:
        if match := _YEAR_FIRST.fullmatch(text):
            return _made(match, int(match["a"]), int(match["b"]))
        if match := _YEAR_LAST.fullmatch(text):
            day, month = (match["b"], match["a"]) if month_first else (match["a"], match["b"])
            return _made(match, int(month), int(day))
        if match := _NAMED.fullmatch(text) or _NAMED_FIRST.fullmatch(text):
            return _made(match, _month(match["b"].lower()), int(match["a"]))
        return _counted(text)
    except (ValueError, StopIteration, OverflowError):
        return None


def _month(name: str) -> int:
    return next(number for number, starts in enumerate(_MONTHS, start=1) if name.startswith(starts))


def _counted(text: str) -> datetime | None:
    """Digits only: a packed date, a spreadsheet's day number, or seconds or milliseconds since 1970."""
    if _SERIAL.fullmatch(text):
        return _SPREADSHEET_DAY_0 + timedelta(days=float(text.replace(",", ".")))
    if _EPOCH.fullmatch(text) and not text.startswith(("19", "20")):
        return datetime.fromtimestamp(int(text) / (1000 if len(text) == 13 else 1), tz=UTC)
    if match := _PACKED.fullmatch(text):
        return _made(match, int(match["a"]), int(match["b"]))
    return None


def _made(match: re.Match[str], month: int, day: int) -> datetime:
    year = int(match["y"])
    hour, minute, second = (int(match[part] or 0) for part in "hms")
    if match["half"]:
        hour = hour % 12 + (12 if match["half"][0] in "Pp" else 0)
    made = datetime(year + 2000 if year < 100 else year, month, day, tzinfo=UTC)
    return made + timedelta(hours=hour, minutes=minute, seconds=second) - _offset(match["zone"])


def _offset(zone: str | None) -> timedelta:
    if not zone or zone in ("Z", "UTC"):
        return timedelta()
    sign = -1 if zone.startswith("-") else 1
    digits = zone[1:].replace(":", "")
    return sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
