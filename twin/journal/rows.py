"""What the databases share: rows by name of column, and transactions that write."""

from collections.abc import Callable, Sequence
from operator import itemgetter

from sqlalchemy import Connection

Values = tuple[object, ...]
"""Of a row, in the order of its columns."""
Row = dict[str, object]
"""A row to append, by name of column; all rows of one call have the same names in the same order."""
WRITES = {"journal_writes": True}
"""Execution option of a connection whose transactions write: one at a time does, so positions grow with commits."""


def writing(connection: Connection) -> bool:
    """True where the transaction that begins is one that writes."""
    return bool(connection.get_execution_options().get("journal_writes"))


def values_of(names: Sequence[str]) -> Callable[[Row], Values]:
    """Picks the values of these columns, two at the least, from a row."""
    return itemgetter(*names)
