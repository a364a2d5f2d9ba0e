"""The database under the journal, whichever it is: opened, and its errors told in words that say what to do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from twin.errors import JournalError
from twin.journal import postgres, sqlite
from twin.journal.address import POSTGRESQL, Address, address_of
from twin.journal.rows import WRITES, Rows

BUSY_S = 5.0
"""Seconds to wait for another program that writes."""


@dataclass(frozen=True, slots=True)
class Store:
    """An opened database and what differs between kinds of them."""

    address: Address
    engine: Engine
    append: Callable[[Connection, Table, Rows], int]
    """Inserts rows that are not there yet, in their order; gives how many they were. Not for no rows."""
    advice: Callable[[BaseException], str]
    errors: tuple[type[Exception], ...] = (SQLAlchemyError,)
    """What SQLAlchemy raises, and the driver past it."""

    @property
    def name(self) -> str:
        """How messages name it."""
        return self.address.name

    @contextmanager
    def transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        """One transaction, kept at the end. Errors of the database become JournalError, without data."""
        with self.told(), self.engine.connect() as connection:
            connection.execution_options(**(WRITES if writes else {}))
            with connection.begin():
                yield connection

    @contextmanager
    def told(self) -> Iterator[None]:
        """Errors of the database in it become JournalError, without data."""
        try:
            yield
        except self.errors as error:
            cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
            raise JournalError(f"the journal {self.name}: {self.advice(cause)}") from None


def open_store(url: str, *, busy_s: float = BUSY_S) -> Store:
    """The database at an address; `busy_s`: seconds to wait for another program that writes. Raises JournalError."""
    address = address_of(url)
    kind = postgres if address.backend == POSTGRESQL else sqlite
    engine = kind.open_engine(address, busy_s=busy_s)
    return Store(address, engine, kind.append, kind.advice, (SQLAlchemyError, *kind.errors()))
