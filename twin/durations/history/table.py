"""A text table as it comes from a hospital: any usual encoding and separator, quotes, rows of uneven length."""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twin.errors import SettingsError

SEPARATORS = (";", "\t", "|", ",")
_NAMES = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}
_MAGIC = {b"PK\x03\x04": "a spreadsheet or zip archive", b"\xd0\xcf\x11\xe0": "an old spreadsheet", b"\x1f\x8b": "gzip"}
_SAMPLE = 200
"""Rows by which the separator is found."""
_MOST_LINES = 50
"""A quoted cell of more lines is an opening quote that nobody closed."""


@dataclass(frozen=True, slots=True)
class Table:
    """Text cells by column, all columns of the same length."""

    columns: dict[str, list[str]]
    encoding: str
    separator: str
    uneven: int
    """Rows left out because they have more cells than the header."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))


def read_table(data: bytes) -> Table:
    """The table in a file; SettingsError where there is none."""
    for magic, what in _MAGIC.items():
        if data.startswith(magic):
            raise SettingsError(f"the file is {what}: save it as CSV first")
    text, encoding = _text(data)
    separator, text = _declared(text)
    separator = separator or _separator(text)
    rows = _rows(text, separator)
    header = next(rows, None)
    if header is None:
        raise SettingsError("the file is empty: a header line and one line a case are needed")
    names = _names(header)
    kept, uneven = _even(rows, len(names))
    columns = {name: [row[place] for row in kept] for place, name in enumerate(names) if name}
    return Table(columns, encoding, _NAMES[separator], uneven)


def _text(data: bytes) -> tuple[str, str]:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace"), "utf-16"
    zeros = data[:2000].count(0)
    if zeros > len(data[:2000]) // 4:
        wide = "utf-16-le" if data[1:2000:2].count(0) >= data[:2000:2].count(0) else "utf-16-be"
        return data.decode(wide, "replace").lstrip("\ufeff"), wide
    try:
        return data.decode("utf-8-sig").replace("\0", ""), "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252").replace("\0", ""), "cp1252"
    except UnicodeDecodeError:
        return data.decode("latin-1").replace("\0", ""), "latin-1"


def _declared(text: str) -> tuple[str | None, str]:
    """Spreadsheets read and write a first line `sep=;`."""
    line, _, rest = text.partition("\n")
    told = line.strip().strip('"')
    if told.lower().startswith("sep=") and told[4:5] in SEPARATORS and len(told) == 5:
        return told[4], rest
    return (None, text)


def _separator(text: str) -> str:
    """The one that cuts most rows into as many cells as the header, and into the most cells."""
    return max(SEPARATORS, key=lambda each: _fit(text, each))


def _fit(text: str, separator: str) -> float:
    head = [row for _, row in zip(range(_SAMPLE), _rows(text[:200_000], separator), strict=False)]
    if not head or len(head[0]) < 2:
        return 0.0
    alike = sum(len(row) == len(head[0]) for row in head) / len(head)
    return alike * min(len(head[0]), 40)


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    """Stripped cells of every row that isn't empty; without quotes where one is never closed."""
    csv.field_size_limit(2**24)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
        if any(cell.count("\n") > _MOST_LINES for row in rows for cell in row):
            raise csv.Error
    except csv.Error:
        lines = text.splitlines()
        rows = [[cell.strip().strip('"') for cell in line.split(separator)] for line in lines]
    for row in rows:
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield cells


def _names(header: Sequence[str]) -> list[str]:
    """Column names; a repeated one gets a number, an empty one has no column."""
    seen: Counter[str] = Counter()
    names = []
    for cell in header:
        name = " ".join(cell.split())
        seen[name] += 1
        names.append(name if seen[name] == 1 or not name else f"{name} ({seen[name]})")
    return names


def _even(rows: Iterator[list[str]], width: int) -> tuple[list[list[str]], int]:
    """Rows of `width` cells: short ones are filled up, long ones are taken only if what is too much is empty."""
    kept, uneven = [], 0
    for row in rows:
        if any(row[width:]):
            uneven += 1
        else:
            kept.append((row + [""] * width)[:width])
    return kept, uneven
