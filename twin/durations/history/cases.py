"""Finished cases from a table: which column is what, what each row says, and which rows are set aside and why."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from twin.durations.case import CaseFeatures, Covariate, FinishedCase
from twin.durations.history.instants import instants_of
from twin.durations.history.numbers import is_missing, numbers_of, spans_of
from twin.durations.history.table import Table
from twin.errors import SettingsError

REQUIRED = ("procedure", "actual_min")
OPTIONAL = ("case_id", "surgeon", "service", "booked_min", "started_at")
DAY_MIN = 1440.0
SHORT_MIN = 5.0
_SHORT_SHARE = 0.2
"""Under 5 min and under a fifth of what is typical: a stamp pressed twice, not a case."""
_ORDINAL_VALUES = 8
"""Numbers of so few values, such as an ASA class, are categories."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Column of the file by name of ours, and columns to use as covariates. An empty column: not used."""

    mapped: Mapping[str, str] = field(default_factory=dict)
    covariates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A usable row: the case, when it started where that is known, and whose it is."""

    case_id: str
    case: FinishedCase
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class History:
    """The usable rows in the file's order, and what was done to get them."""

    rows: tuple[HistoryRow, ...]
    read: int
    """Rows in the file."""
    set_aside: dict[str, int]
    """Rows left out, by reason."""
    notes: tuple[str, ...]

    @property
    def dated(self) -> bool:
        """Every row says when it started."""
        return bool(self.rows) and all(row.started_at is not None for row in self.rows)

    def in_order(self) -> list[FinishedCase]:
        """The finished cases in the order they ended, else as the file has them."""
        cases = [row.case for row in self.rows]
        return sorted(cases, key=_ended) if self.dated else cases


def history_of(table: Table, columns: Columns) -> History:
    """Read a table; SettingsError names the columns there are where one that is needed can't be found."""
    found = _found(table, columns)
    actual = spans_of(table.columns[found["actual_min"]], found["actual_min"])
    notes = [_read_note("actual", actual.read_as)]
    booked: list[float | None] = [None] * len(table)
    if "booked_min" in found:
        spans = spans_of(table.columns[found["booked_min"]], found["booked_min"])
        booked = [m if m is not None and 0 < m <= DAY_MIN else None for m in spans.minutes]
        notes.append(_read_note("booked", spans.read_as))
        unusable = sum(m is not None and not 0 < m <= DAY_MIN for m in spans.minutes) + spans.unreadable
        notes += [f"booked time not usable in {unusable} rows: taken as not booked"] if unusable else []
    started, dates_note = _started(table, found)
    notes += dates_note
    features = _features(table, found, columns, booked)
    ids, ids_note = _ids(table, found)
    notes += ids_note
    typical = _typical(features, actual.minutes)
    set_aside: Counter[str] = Counter({"more cells than the header": table.uneven} if table.uneven else {})
    seen: set[str] = set()
    rows = []
    for number, minutes in enumerate(actual.minutes):
        told = not is_missing(table.columns[found["actual_min"]][number])
        reason = _reason(minutes, told=told, typical=typical[number])
        reason = reason or ("started_at missing or not readable" if started and started[number] is None else None)
        reason = reason or ("case_id repeated: its first row is kept" if ids[number] in seen else None)
        if reason or minutes is None:
            set_aside[reason or ""] += 1
            continue
        seen.add(ids[number])
        start = started[number] if started else None
        end = None if start is None else start + timedelta(minutes=minutes)
        rows.append(HistoryRow(ids[number], FinishedCase(features[number], minutes, end), start))
    if not rows:
        raise SettingsError(_nothing(len(table), set_aside))
    notes += [_too_short(rows), _repeated(table, found)]
    return History(tuple(rows), len(table) + table.uneven, dict(set_aside), tuple(note for note in notes if note))


def _found(table: Table, columns: Columns) -> dict[str, str]:
    """Column of the file by name of ours: as mapped, else the column of that very name."""
    unknown = set(columns.mapped) - {*REQUIRED, *OPTIONAL}
    if unknown:
        raise SettingsError(f"--map {min(unknown)}: give one of {', '.join((*REQUIRED, *OPTIONAL))}")
    found = {}
    for name in (*REQUIRED, *OPTIONAL):
        if name in columns.mapped:
            if columns.mapped[name]:
                found[name] = column_named(table, columns.mapped[name])
        elif (same := _match(table, name)) is not None:
            found[name] = same
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise SettingsError(
            f"no column for {' and '.join(missing)}: say --map {missing[0]}=COLUMN; {_there_are(table)}"
        )
    if found["actual_min"] in {found.get("booked_min"), *(column_named(table, c) for c in columns.covariates)}:
        raise SettingsError("the column of actual_min is what is predicted: it can't be booked_min or a covariate")
    return found


def column_named(table: Table, name: str) -> str:
    """The column of that name, capitals and spaces aside; SettingsError lists the columns there are."""
    found = _match(table, name)
    if found is None:
        raise SettingsError(f"no column {name[:60]!r}; {_there_are(table)}")
    return found


def _match(table: Table, name: str) -> str | None:
    if name in table.columns:
        return name
    alike = [column for column in table.columns if _folded(column) == _folded(name)]
    return alike[0] if len(alike) == 1 else None


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _there_are(table: Table) -> str:
    names = [name[:60] for name in table.columns]
    more = f" and {len(names) - 60} more" if len(names) > 60 else ""
    return f"the file's columns are: {', '.join(names[:60])}{more} (separator: {table.separator})"


def _read_note(what: str, read_as: str) -> str:
    return "" if read_as == "minutes" else f"{what} time read as {read_as}, brought to minutes"


def _too_short(rows: Sequence[HistoryRow]) -> str:
    middle = statistics.median(row.case.actual_min for row in rows)
    return f"the middle actual time is {middle:.1f} min: is the column in hours?" if middle < SHORT_MIN else ""


def _repeated(table: Table, found: Mapping[str, str]) -> str:
    more = sorted(column for column in found.values() if f"{column} (2)" in table.columns)
    return f"columns that the file has twice, the first is taken: {', '.join(more)}" if more else ""


def _started(table: Table, found: Mapping[str, str]) -> tuple[list[datetime | None], list[str]]:
    """Starts by row; nothing at all where the column says nothing."""
    if "started_at" not in found:
        return [], []
    cells = table.columns[found["started_at"]]
    instants = instants_of(cells)
    if not any(instants.at):
        if instants.unreadable:
            raise SettingsError("no date in started_at can be read: write 2026-11-24 10:30, or say --map started_at=")
        return [], ["started_at is empty: cases are taken in no order"]
    return instants.at, [f"started_at read as {instants.read_as}"] if "/" in instants.read_as else []


def _ids(table: Table, found: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Case ids; the row number where there is none, or where the column can't be one."""
    numbers = [f"row {number + 2}" for number in range(len(table))]
    if "case_id" not in found:
        return numbers, []
    cells = table.columns[found["case_id"]]
    told = [cell for cell in cells if not is_missing(cell)]
    if len(set(told)) * 2 < len(told):
        return numbers, ["most case_id are repeated, so they are no case ids: row numbers are taken"]
    return [number if is_missing(cell) else cell for cell, number in zip(cells, numbers, strict=True)], []


def _features(
    table: Table, found: Mapping[str, str], columns: Columns, booked: Sequence[float | None]
) -> list[CaseFeatures]:
    procedure, surgeon, service = (_names(table, found.get(name)) for name in ("procedure", "surgeon", "service"))
    names = dict.fromkeys(column_named(table, name) for name in columns.covariates)
    covariates = [(name, _covariate(table.columns[name])) for name in names]
    return [
        CaseFeatures(
            procedure[row],
            surgeon[row],
            service[row],
            minutes,
            tuple((name, value) for name, values in covariates if (value := values[row]) is not None),
        )
        for row, minutes in enumerate(booked)
    ]


def _names(table: Table, column: str | None) -> list[str | None]:
    if column is None:
        return [None] * len(table)
    return [None if is_missing(cell) else " ".join(cell.split()) for cell in table.columns[column]]


def _covariate(cells: Sequence[str]) -> list[Covariate | None]:
    """Numbers where nearly all that is told is a number and there are more than a few values; else categories."""
    told = {cell for cell in cells if not is_missing(cell)}
    count = sum(not is_missing(cell) for cell in cells)
    numbers = numbers_of(cells)
    if len(told) > _ORDINAL_VALUES and sum(number is not None for number in numbers) >= 0.95 * count:
        return list(numbers)
    return [None if is_missing(cell) else " ".join(cell.split()) for cell in cells]


def _typical(features: Sequence[CaseFeatures], minutes: Sequence[float | None]) -> list[float]:
    """By row, the median of its procedure (three cases or more), else what is booked, else the file's median."""
    groups: dict[str, list[float]] = defaultdict(list)
    every = [m for m in minutes if m is not None and 0 < m <= DAY_MIN]
    for each, m in zip(features, minutes, strict=True):
        if each.procedure and m is not None and 0 < m <= DAY_MIN:
            groups[each.procedure].append(m)
    medians = {name: statistics.median(values) for name, values in groups.items() if len(values) >= 3}
    overall = statistics.median(every) if every else SHORT_MIN
    return [medians.get(each.procedure or "", each.booked_min or overall) for each in features]


def _reason(minutes: float | None, *, told: bool, typical: float) -> str | None:
    """Why a row is no finished case; None where it is one."""
    if minutes is None:
        return "actual time not a number" if told else "actual time missing"
    if minutes <= 0:
        return "actual time zero or negative"
    if minutes > DAY_MIN:
        return "actual time over 24 h"
    if minutes < SHORT_MIN and minutes < _SHORT_SHARE * typical:
        return "actual time under 5 min and under a fifth of what is typical"
    return None


def _nothing(read: int, set_aside: Mapping[str, int]) -> str:
    return f"no usable case in {read} rows" + reasons(set_aside)


def reasons(set_aside: Mapping[str, int]) -> str:
    """Why rows were set aside, for the end of a message."""
    why = "; ".join(f"{reason}: {count}" for reason, count in sorted(set_aside.items()))
    return f" ({why})" if why else ""


def _ended(case: FinishedCase) -> datetime:
    assert case.at is not None
    return case.at


def mapping_of(texts: Iterable[str]) -> dict[str, str]:
    """`name=column` texts as a mapping; SettingsError says how to write one."""
    mapped = {}
    for text in texts:
        name, sign, column = text.partition("=")
        if not sign:
            raise SettingsError("--map: write NAME=COLUMN, such as actual_min=Duration")
        mapped[name.strip()] = column.strip()
    return mapped
