"""Numbers and spans of time from text cells, a column at a time: what one cell leaves open the others settle."""

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MISSING = frozenset(
    (
        *(
            "",
            "null",
            "none",
            "nil",
            "na",
            "n/a",
            "n.a.",
            "nan",
            "nat",
            "#n/a",
            "#n/b",
            "#nv",
            "#na",
            "#null!",
            "#value!",
        ),
        *("-", "--", "---", ".", "?", "??", "*", "(null)", "<null>", "\\n", "nd", "n.d.", "nc", "n.c.", "nr", "n.r."),
        *(
            "unknown",
            "unk",
            "missing",
            "blank",
            "not available",
            "not known",
            "onbekend",
            "niet bekend",
            "nvt",
            "n.v.t.",
        ),
        *("inconnu", "inconnue", "non renseigné", "non renseignée", "unbekannt", "k.a.", "keine angabe"),
        *(
            "desconocido",
            "desconocida",
            "sin datos",
            "sconosciuto",
            "sconosciuta",
            "okänd",
            "okänt",
            "ukendt",
            "ukjent",
        ),
    )
)
"""What hospitals write in a cell that says nothing."""

_SPACES = re.compile(r"(?<=\d)[\s\u00a0\u202f'’](?=\d{3})")
_PLAIN = re.compile(r"[+-]?\d*[.,]?\d+(?:[eE][+-]?\d+)?|[+-]?\d+[.,]")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}([.,])\d{3}")
_BOTH = re.compile(r"[+-]?\d{1,3}(?:(,)(?:\d{3},)*\d{3}\.|(\.)(?:\d{3}\.)*\d{3},)\d+")
_MANY = re.compile(r"[+-]?\d{1,3}(?:(,)\d{3}(?:,\d{3})+|(\.)\d{3}(?:\.\d{3})+)")
_CLOCK = re.compile(r"(-?)(?:(\d+) days?,? )?(\d{1,4}):(\d{1,2})(?::(\d{1,2})(?:[.,]\d+)?)?")
_HOUR = r"(?:h|hr|hrs|hours?|uur|u|std|stunden?|heures?|ore|horas?)\.?"
_MINUTE = r"(?:m|min|mins|minutes?|minuten|minuti|minutos|mn|'|′)\.?"
_SECOND = r"(?:s|sec|secs|seconds?|secondes?|sekunden?)\.?"
_WORDS = re.compile(rf"(-?)(\d+)\s*{_HOUR}\s*(?:(\d{{1,2}})\s*(?:{_MINUTE})?)?", re.IGNORECASE)
_ISO = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?", re.IGNORECASE)
_UNIT = re.compile(rf"(.*?\d)\s*({_HOUR}|{_MINUTE}|{_SECOND})", re.IGNORECASE)


def is_missing(text: str) -> bool:
    """A cell that says nothing."""
    return text.strip().casefold() in MISSING


def numbers_of(cells: Sequence[str]) -> list[float | None]:
    """Plain numbers with either decimal sign, with or without thousands; None for what is missing or none."""
    tidied = [None if is_missing(cell) else _tidy(cell) for cell in cells]
    decimal, thousands = _signs([cell for cell in tidied if cell is not None])
    return [None if cell is None else _number(cell, decimal, thousands) for cell in tidied]


def _tidy(text: str) -> str:
    return _SPACES.sub("", text.strip().replace("−", "-").replace("\u00a0", " ").strip())


def _signs(cells: Sequence[str]) -> tuple[str, str]:
    """Decimal sign and thousands sign of a column."""
    for cell in cells:
        if found := _BOTH.fullmatch(cell) or _MANY.fullmatch(cell):
            return (".", ",") if found[1] else (",", ".")
    commas, dots = ([cell for cell in cells if sign in cell] for sign in ",.")
    plain = [cell for cell in cells if cell.lstrip("+-").isdigit()]
    small = bool(plain) and all(len(cell.lstrip("+-")) <= 3 for cell in plain)
    # 1,234 among 95 and 870: whole numbers with thousands. 95,125 among 88,500: decimals to three places.
    if commas and not dots and small and all(_GROUPED.fullmatch(cell) for cell in commas):
        return ".", ","
    if dots and not commas and small and all(_GROUPED.fullmatch(cell) for cell in dots):
        return ",", "."
    return (",", "") if len(commas) > len(dots) else (".", "")


def _number(text: str, decimal: str, thousands: str) -> float | None:
    if thousands:
        text = text.replace(thousands, "")
    if not _PLAIN.fullmatch(text):
        return None
    # The other sign, alone in a cell, is a decimal sign of somebody who typed it.
    value = float(text.replace(",", ".") if decimal == "," or "," in text else text)
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Spans:
    """Minutes by row, and how they were read."""

    minutes: list[float | None]
    read_as: str
    unreadable: int
    """Cells that say something that is no span of time."""


def spans_of(cells: Sequence[str], name: str) -> Spans:
    """Spans of time as minutes: numbers (unit by name, else by size), 1:35, 1h35, 95 min, PT1H35M."""
    told = [_UNIT.fullmatch(cell.strip()) for cell in cells]
    bare = ["" if _is_clock(cell) else (unit[1] if unit else cell) for cell, unit in zip(cells, told, strict=True)]
    numbers = numbers_of(bare)
    factor, read_as = _unit([n for n, unit in zip(numbers, told, strict=True) if n is not None and not unit], name)
    clock, clock_read = _clock_parts(cells)
    minutes: list[float | None] = []
    for cell, number, unit in zip(cells, numbers, told, strict=True):
        if number is not None:
            minutes.append(number * (_factor(unit[2]) if unit else factor))
        else:
            minutes.append(_written(cell, clock))
    unreadable = sum(m is None and not is_missing(cell) for m, cell in zip(minutes, cells, strict=True))
    return Spans(minutes, clock_read or read_as, unreadable)


def _is_clock(cell: str) -> bool:
    text = cell.strip()
    return bool(
        _CLOCK.fullmatch(text) or (_WORDS.fullmatch(text) and not _UNIT.fullmatch(text)) or _ISO.fullmatch(text)
    )


def _unit(numbers: Sequence[float], name: str) -> tuple[float, str]:
    """Minutes in one of the column's units: said by its name where the size agrees, else by the size."""
    words = set(re.split(r"[^a-zà-ÿ]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))
    positive = [number for number in numbers if number > 0]
    middle = statistics.median(positive) if positive else 60.0
    if words & _MINUTES and middle <= _DAY_MIN:
        return 1.0, "minutes"
    if middle < 1 and max(positive) < 1.5:
        return (60.0, "hours") if words & _HOURS else (1440.0, "days")
    if middle < 10 and (words & _HOURS or any(number % 1 for number in positive)):
        return 60.0, "hours"
    if middle > _DAY_MIN or (words & _SECONDS and middle > 300):
        return 1 / 60, "seconds"
    return 1.0, "minutes"


_DAY_MIN = 1440
_MINUTES = frozenset(("min", "mins", "minute", "minutes", "minuten", "minuut", "minuti", "minutos", "mn"))
_HOURS = frozenset(
    ("h", "hr", "hrs", "hour", "hours", "uur", "uren", "heure", "heures", "std", "stunden", "ore", "horas")
)
_SECONDS = frozenset(("s", "sec", "secs", "second", "seconds", "seconden", "secondes", "sekunden"))


def _factor(unit: str) -> float:
    first = unit.lower()
    if first[0] in "m'′":
        return 1.0
    return 1 / 60 if first == "s" or first.startswith(("se", "sec")) else 60.0


def _clock_parts(cells: Sequence[str]) -> tuple[float, str]:
    """Minutes in the first part of a:b. Cases of more than 12 h are rare: 95:00 in the middle means minutes."""
    found = [match for cell in cells if (match := _CLOCK.fullmatch(cell.strip())) and match[5] is None]
    if not found:
        return 60.0, ""
    middle = statistics.median(int(match[3]) for match in found)
    return (1.0, "mm:ss") if middle > 12 else (60.0, "hh:mm")


def _written(cell: str, clock: float) -> float | None:
    text = cell.strip()
    if match := _CLOCK.fullmatch(text):
        days, first, second, third = (int(part or 0) for part in match.groups()[1:])
        unit = 60.0 if match[5] else clock
        minutes = days * 1440 + (first * 60 + second) * unit / 60 + third / 60
        return -minutes if match[1] else minutes
    if match := _WORDS.fullmatch(text):
        minutes = int(match[2]) * 60.0 + int(match[3] or 0)
        return -minutes if match[1] else minutes
    if (match := _ISO.fullmatch(text)) and any(match.groups()):
        hours, whole, seconds = (int(part or 0) for part in match.groups())
        return hours * 60 + whole + seconds / 60
    return None
