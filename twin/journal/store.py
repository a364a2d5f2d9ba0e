"""The database under the journal: opened, checked, and its errors told in words that say what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlmodel import SQLModel

from twin.errors import JournalError, SchemaTooNewError, WrongKeyError
from twin.journal.codec import instant_text
from twin.journal.tables import META, SCHEMA, TABLES
from twin.timebase import wall_now

MEMORY = ":memory:"
WRITES = {"journal_writes": True}
"""Execution option of a connection whose transactions write."""

_ADVICE = {
    "SQLITE_BUSY": "another program is writing to it: end that program, or try again",
    "SQLITE_LOCKED": "another program is writing to it: end that program, or try again",
    "SQLITE_FULL": "the disk is full: free some space and start again, nothing acknowledged is lost",
    "SQLITE_READONLY": "it can't be written: give this user the right to write to the file and its folder",
    "SQLITE_CANTOPEN": "it can't be opened: name a file in a folder that this user may write to",
    "SQLITE_PERM": "it can't be opened: give this user the right to write to the file and its folder",
    "SQLITE_NOTADB": "the file is no SQLite database: name another one",
    "SQLITE_CORRUPT": "the file is damaged: restore it from a backup",
    "SQLITE_IOERR": "the disk gives errors: check it, then start again",
}


def open_engine(url: str, *, busy_s: float) -> Engine:
    """One connection that all threads share, one at a time. Raises JournalError for another kind of database."""
    parsed = _parsed(url)
    engine = create_engine(
        parsed,
        poolclass=StaticPool,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": busy_s},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def name_of(url: str) -> str:
    """How messages name the database: its file."""
    return _parsed(url).database or MEMORY


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(f"sqlite:///{MEMORY}" if url == MEMORY else url)
    except ArgumentError:
        raise JournalError("database_url is no address of a database: use sqlite:///FILE or :memory:") from None
    if parsed.get_backend_name() != "sqlite":
        raise JournalError("the journal is kept in SQLite: set database_url to sqlite:///FILE or :memory:")
    folder = Path(parsed.database or MEMORY).parent
    if not folder.is_dir():
        raise JournalError(f"the folder {folder} of the database is not there: make it, or name another file")
    return parsed


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions by itself, but not before every statement: `_begin` does it for all.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # What was acknowledged survives a power cut too, not only the end of the process.
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("journal_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def prepare_schema(connection: Connection, name: str, key_fingerprint: str) -> None:
    """Make the tables of a new database, or check that an old one is ours. Call it in one writing transaction.

    Raises SchemaTooNewError, WrongKeyError, or JournalError where the tables are another program's.
    """
    there = set(inspect(connection).get_table_names())
    if not there:
        SQLModel.metadata.create_all(connection, tables=list(TABLES))
        made = {"schema": str(SCHEMA), "key_fingerprint": key_fingerprint, "created": instant_text(wall_now())}
        connection.execute(META.insert(), [{"name": name, "value": value} for name, value in made.items()])
        return
    if not there >= {table.name for table in TABLES}:
        raise JournalError(f"the database {name} belongs to another program: name another file")
    meta: dict[str, str] = {row.name: row.value for row in connection.execute(select(META))}
    schema = int(meta["schema"])
    if schema > SCHEMA:
        raise SchemaTooNewError(
            f"the journal {name} was written by a newer version (schema {schema}, this one knows {SCHEMA}): "
            "install that version"
        )
    if meta["key_fingerprint"] != key_fingerprint:
        raise WrongKeyError(
            f"the journal {name} was written under another pseudonym key: set privacy.key_file to the key it was "
            "begun with, or name a new database"
        )


@contextmanager
def told(name: str) -> Iterator[None]:
    """Turns errors of the database into JournalError with what to do and no data."""
    try:
        yield
    except SQLAlchemyError as error:
        raise JournalError(f"the journal {name}: {_advice(error)}") from None


def _advice(error: SQLAlchemyError) -> str:
    cause: Any = error.orig if isinstance(error, DBAPIError) else None
    code = getattr(cause, "sqlite_errorname", None) or type(cause or error).__name__
    # Extended codes (SQLITE_READONLY_DBMOVED) begin with the plain one.
    plain = "_".join(code.split("_")[:2])
    return _ADVICE.get(plain, f"the database refuses ({code}): check the file, or restore it from a backup")
