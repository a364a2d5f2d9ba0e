"""The journal in SQLite: one connection that all threads share, one at a time."""

import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, Table, create_engine, event

from twin.errors import JournalError
from twin.journal.address import Address
from twin.journal.rows import Rows, writing
from twin.timebase import monotonic

_PAUSE_S = 0.01
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


def open_engine(address: Address, *, busy_s: float) -> Engine:
    """An engine whose transactions are as `rows.writing` says."""
    engine = create_engine(
        address.url,
        poolclass=StaticPool,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": busy_s},
    )
    file = Path(engine.url.database or "")

    def prepare(connection: sqlite3.Connection, record: Any) -> None:
        _prepare(connection, busy_s)
        record.info["file"] = _identity(file)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "commit", lambda connection: _check_file(connection, file))
    return engine


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        told = file.stat()
    except OSError:
        return None
    return told.st_dev, told.st_ino


def _check_file(connection: Connection, file: Path) -> None:
    """SQLite goes on writing to a file that was deleted, and all of it would be lost."""
    if writing(connection) and connection.info["file"] != _identity(file):
        raise JournalError(f"the journal {file.name}: its file was deleted or replaced meanwhile: start again")


def _prepare(connection: sqlite3.Connection, busy_s: float) -> None:
    # The driver would begin transactions by itself, but not before every statement: `_begin` does it for all.
    connection.isolation_level = None
    _use_log(connection, busy_s)
    # What was acknowledged survives a power cut too, not only the end of the process.
    connection.execute("PRAGMA synchronous = FULL")
    # A bulk append touches pages all over its index: they stay in memory, and a load is not copied out of the log after
    # every 4 MB. Both are bounds, of memory and of the file FILE-wal.
    connection.execute("PRAGMA cache_size = -32768")
    connection.execute("PRAGMA wal_autocheckpoint = 32768")


def _use_log(connection: sqlite3.Connection, busy_s: float) -> None:
    """Write-ahead logging. For this alone SQLite doesn't wait until another program that begins it too is done."""
    deadline = monotonic() + busy_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing(connection) else "BEGIN")


def append(connection: Connection, table: Table, rows: Rows) -> int:
    """Insert the rows that are not there yet; how many they were."""
    # Past SQLAlchemy, whose parameters would cost as much again as SQLite itself.
    marks = ", ".join("?" * len(rows.names))
    told = f"INSERT INTO {table.name} ({', '.join(rows.names)}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    cursor: Any = connection.connection.cursor()
    try:
        return int(cursor.executemany(told, rows.values).rowcount)
    finally:
        cursor.close()


def errors() -> tuple[type[Exception], ...]:
    """What the driver itself raises."""
    return (sqlite3.Error,)


def advice(error: BaseException) -> str:
    """What to do about an error of the driver."""
    code = getattr(error, "sqlite_errorname", None) or type(error).__name__
    # Extended codes (SQLITE_READONLY_DBMOVED) begin with the plain one.
    plain = "_".join(code.split("_")[:2])
    return _ADVICE.get(plain, f"the database refuses ({code}): check the file, or restore it from a backup")


def back_up(file: Path, label: str, at: datetime) -> Path:
    """Copy a database beside itself as `FILE.LABEL.TIME.backup`, as it was last committed. Raises JournalError."""
    copy = file.with_name(f"{file.name}.{label}.{at:%Y%m%dT%H%M%S%fZ}.backup")
    try:
        copy.touch(mode=0o600, exist_ok=False)
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except (OSError, sqlite3.Error) as error:
        copy.unlink(missing_ok=True)
        why = error.strerror if isinstance(error, OSError) else advice(error)
        raise JournalError(f"the backup {copy.name} can't be written: {why}") from None
    return copy
