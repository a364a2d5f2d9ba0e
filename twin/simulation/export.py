"""Simulated futures as tables for pandas or R, CSV or Parquet: flat records, one a stage visit, and summaries.

Records are simulated anew, part by part, and written as they come: a file of any length needs the memory of a part.
Where something doesn't happen the cell is empty (CSV) or null (Parquet). Seconds count from the scenario's now.
"""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from twin.errors import SettingsError
from twin.simulation.lists import draw_plan
from twin.simulation.pathway import write
from twin.simulation.program import NEVER
from twin.simulation.replications import Engine
from twin.simulation.result import NOT_DONE_S
from twin.simulation.scenario import Scenario
from twin.simulation.summary import Summary, parts


class Format(StrEnum):
    """Of the files in a folder."""

    CSV = "csv"
    PARQUET = "parquet"


class Column(NamedTuple):
    """Of a table. `kind`: text, whole (64 bits) or real."""

    name: str
    kind: str
    unit: str
    about: str


_SCENARIO = Column("scenario", "text", "", "baseline: nothing goes wrong; with_hazards: the scenario's hazards happen")
_CASE = Column("case", "text", "", "the case's key")
_ROOM = Column("room", "text", "", "key of the case's room; empty: none, or whichever is free")
_THREE = tuple(
    Column(f"p{share}_s", "whole", "s since now", f"{share} of 100 futures are earlier, of those in which it happens")
    for share in (10, 50, 90)
)
TABLES: dict[str, tuple[Column, ...]] = {
    "visits": (
        _SCENARIO,
        Column("replication", "whole", "", "number of the future, from 0: the same one in every scenario"),
        _CASE,
        _ROOM,
        Column("stage", "text", "", "what the case goes through; wait: for a place"),
        Column("resource", "text", "", "what a wait is for, several that would do joined by |"),
        Column("begin_s", "whole", "s since now", "when it begins"),
        Column("end_s", "whole", "s since now", "when it ends"),
    ),
    "milestones": (_SCENARIO, _CASE, _ROOM, Column("milestone", "text", "", "docs/glossary.md"), *_THREE),
    "rooms": (
        _SCENARIO,
        Column("room", "text", "", "the room's key"),
        *_THREE,
        Column("past_end", "real", "share of futures", "that the last patient is out after the session's end"),
        Column("overtime_min", "real", "min", "mean past the session's end"),
    ),
    "waits": (
        _SCENARIO,
        Column("resource", "text", "", "what is waited for; the first named of several that would do"),
        _CASE,
        Column("wait_min", "real", "min", "mean over all futures"),
    ),
    "beds": (
        _SCENARIO,
        Column("resource", "text", "", "ward or day unit"),
        Column("hour", "whole", "h since now", "full hour"),
        *(Column(f"p{share}", "whole", "places", f"taken, quantile {share} of 100") for share in (10, 50, 90)),
    ),
}
"""Every table that is written, with its columns: docs/simulation.md shows them."""

Values = Sequence[Any]


class Record(NamedTuple):
    """One visit of a case to a stage, or one wait for a resource, in one replication; seconds since now."""

    replication: int
    case: str
    stage: str
    """Of a wait: "wait"."""
    resource: str
    """What was waited for, several joined by "|"; empty where it is no wait."""
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Told:
    """A scenario to export, by the name that its rows bear."""

    name: str
    scenario: Scenario
    """With as many replications as were simulated."""
    summary: Summary


class Export:
    """Where to: FILE.csv or FILE.parquet takes the visits, a folder all tables, as files of a format."""

    def __init__(self, path: Path, file_format: Format = Format.CSV) -> None:
        """SettingsError for a path that can't be written to, or Parquet without its extra."""
        suffix = path.suffix.removeprefix(".")
        self._path, self._whole = path, path.is_dir() or not suffix
        if not self._whole and suffix not in list(Format):
            raise SettingsError("export: give FILE.csv, FILE.parquet or a folder")
        self._format = file_format if self._whole else Format(suffix)
        if self._format is Format.PARQUET:
            _arrow()
        if not path.parent.is_dir():
            raise SettingsError("export: the folder that it should stand in does not exist: make it first")

    def write(self, told: Sequence[Told], engine: Engine) -> tuple[Path, ...]:
        """The files written, each complete or not there. SettingsError where the disk refuses."""
        try:
            if not self._whole:
                return (self._table("visits", self._path, told, engine),)
            self._path.mkdir(exist_ok=True)
            files = {name: self._path / f"{name}.{self._format}" for name in TABLES}
            return tuple(self._table(name, file, told, engine) for name, file in files.items())
        except OSError as error:
            raise SettingsError(f"export: {error.strerror or type(error).__name__}: choose another place") from None

    def _table(self, name: str, file: Path, told: Sequence[Told], engine: Engine) -> Path:
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        opened = _parquet if self._format is Format.PARQUET else _csv
        try:
            with opened(beside, TABLES[name]) as sink:
                for each in told:
                    for rows in _rows(name, each, engine):
                        sink.add([[each.name] * len(rows[0]), *rows])
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
        return file


def records(scenario: Scenario, engine: Engine) -> Iterator[Record]:
    """Of all replications, in their order."""
    for replication, case, _, stage, resource, begin, end in (
        row for rows in visits(scenario, engine) for row in zip(*rows, strict=True)
    ):
        yield Record(replication, case, stage, resource or "", begin, end)


def visits(scenario: Scenario, engine: Engine) -> Iterator[list[list[Any]]]:
    """The columns of `visits` but the first, a part of the replications at a time."""
    rooms = {case.key: case.room for case in scenario.cases}
    for part in parts(scenario):
        pathway = write(draw_plan(part))
        names = [resource.name for resource in pathway.program.resources]
        told = pathway.visits
        both = np.array([(visit.begin, visit.end) for visit in told], dtype=np.int64).reshape(-1, 2)
        columns, rows = np.unique(both, return_inverse=True)
        table = engine(pathway.program, pathway.draws, columns)
        begin, end = (table[rows.reshape(-1, 2)[:, side]].T for side in (0, 1))
        replication, visit = np.nonzero(end != NEVER)
        yield [
            (replication + part.first_replication).tolist(),
            _each([v.case for v in told], visit),
            _each([rooms.get(v.case) for v in told], visit),
            _each([v.stage for v in told], visit),
            _each(["|".join(names[one] for one in v.resources) or None for v in told], visit),
            begin[replication, visit].tolist(),
            end[replication, visit].tolist(),
        ]


def _each(names: list[Any], at: Any) -> list[Any]:
    return [names[number] for number in at.tolist()]


def _rows(name: str, told: Told, engine: Engine) -> Iterator[list[list[Any]]]:
    if name == "visits":
        yield from visits(told.scenario, engine)
        return
    made = {"milestones": _milestones, "rooms": _rooms, "waits": _waits, "beds": _beds}[name]
    rows = list(made(told))
    yield [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in TABLES[name][1:]]


def _milestones(told: Told) -> Iterator[tuple[Any, ...]]:
    rooms = {case.key: case.room for case in told.scenario.cases}
    for case, mine in told.summary.milestones.items():
        for milestone, three in mine.items():
            yield case, rooms.get(case), str(milestone), *_done(three)


def _rooms(told: Told) -> Iterator[tuple[Any, ...]]:
    summary = told.summary
    for room, three in summary.room_end.items():
        yield room, *_done(three), summary.past_end.get(room), summary.overtime_min.get(room)


def _waits(told: Told) -> Iterator[tuple[Any, ...]]:
    for wait in told.summary.waits:
        for case, minutes in wait.by_case.items():
            yield wait.resource, case, minutes


def _beds(told: Told) -> Iterator[tuple[Any, ...]]:
    for bed, hours in told.summary.beds.items():
        for hour, three in enumerate(hours):
            yield bed, hour, *three


def _done(three: Iterable[int]) -> list[int | None]:
    return [None if seconds >= NOT_DONE_S else seconds for seconds in three]


class Sink(Protocol):
    """A table under way."""

    def add(self, columns: Sequence[Values]) -> None:
        """Rows, as columns in the table's order."""
        ...


class _Csv:
    def __init__(self, file: Any) -> None:
        self._writer = csv.writer(file, lineterminator="\n")

    def add(self, columns: Sequence[Values]) -> None:
        self._writer.writerows(zip(*columns, strict=True))


class _Parquet:
    def __init__(self, arrow: Any, schema: Any, writer: Any) -> None:
        self._arrow, self._schema, self._writer = arrow, schema, writer

    def add(self, columns: Sequence[Values]) -> None:
        arrays = [self._arrow.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self._writer.write_batch(self._arrow.RecordBatch.from_arrays(arrays, schema=self._schema))


@contextmanager
def _csv(file: Path, columns: Sequence[Column]) -> Iterator[Sink]:
    with file.open("w", encoding="utf-8", newline="") as opened:
        sink = _Csv(opened)
        sink.add([[column.name] for column in columns])
        yield sink


@contextmanager
def _parquet(file: Path, columns: Sequence[Column]) -> Iterator[Sink]:
    """Units and meanings stand in the metadata of the fields."""
    arrow, parquet = _arrow()
    kinds = {"text": arrow.string(), "whole": arrow.int64(), "real": arrow.float64()}
    fields = [
        arrow.field(column.name, kinds[column.kind], metadata={"unit": column.unit, "about": column.about})
        for column in columns
    ]
    schema = arrow.schema(fields)
    with parquet.ParquetWriter(file, schema) as writer:
        yield _Parquet(arrow, schema, writer)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise SettingsError("export: Parquet needs the extra 'tables' (pyarrow): install it, or write CSV") from None
    return pyarrow, pyarrow.parquet
