"""What the databases share: rows to append, and transactions that write."""

from typing import NamedTuple

from sqlalchemy import Connection

Values = tuple[object, ...]
"""Of a row, in the order of its columns."""
Row = dict[str, object]
"""A row by name of column."""
WRITES = {"journal_writes": True}
"""Execution option of a connection whose transactions write: one at a time does, so positions grow with commits."""


class Rows(NamedTuple):
    """Rows to append: the names of the columns, and of each row the values in their order."""

    names: tuple[str, ...]
    values: list[Values]


def rows_of(rows: list[Row]) -> Rows:
    """Rows that all have the same names in the same order; not for none."""
    return Rows(tuple(rows[0]), [tuple(row.values()) for row in rows])


def writing(connection: Connection) -> bool:
    """True where the transaction that begins is one that writes."""
    return bool(connection.get_execution_options().get("journal_writes"))
