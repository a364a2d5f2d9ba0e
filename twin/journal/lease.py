"""Who writes to the hospital's server from a journal: one program at a time, until it ends, however it ends.

The database's own locks hold it, so that a program that was killed lets go at once: in SQLite a transaction on a file
beside the journal's, in PostgreSQL an advisory lock of a connection of its own.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from twin.errors import JournalError
from twin.journal import sqlite
from twin.journal.address import POSTGRESQL, Address, address_of
from twin.journal.store import Store, open_store

_LOCK = "SELECT pg_try_advisory_lock(1245782389, hashtext(current_schema()))"
"""The first number says "jumeau"; another schema of the same database is another journal."""
_NOTICE_S = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
"""A machine that went away with the lock lets go of it after half a minute."""


@dataclass(slots=True)
class Lease:
    """The right to write. Use `held`."""

    address: Address
    _file: sqlite3.Connection | None = None
    _store: Store | None = None
    _connection: Connection | None = None
    _url: str = field(default="", repr=False)

    def keep(self) -> None:
        """Make sure that it is still held; taken again where a connection was lost.

        Raises JournalError where another program has it meanwhile, or the database is away.
        """
        if self._store is not None:
            with self._store.told():
                self._keep_postgres(self._store)

    def _keep_postgres(self, store: Store) -> None:
        if self._connection is not None:
            try:
                self._connection.exec_driver_sql("SELECT 1")
            except DBAPIError:
                self._connection.invalidate()
                self._connection.close()
                self._connection = None
            else:
                return
        connection = store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql(_NOTICE_S)
        if not connection.exec_driver_sql(_LOCK).scalar_one():
            connection.close()
            raise self._taken()
        self._connection = connection

    def take(self) -> None:
        """Raises JournalError where another program has it."""
        if self.address.backend == POSTGRESQL:
            self._store = open_store(self._url)
            self.keep()
        elif self.address.file is not None:
            # By whatever name it is called, it is one file.
            self._file = self._locked(Path(f"{self.address.file.resolve()}.lease"))

    def _locked(self, file: Path) -> sqlite3.Connection:
        held: sqlite3.Connection | None = None
        try:
            held = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
            held.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if held is not None:
                held.close()
            if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise self._taken() from None
            raise JournalError(f"the journal {self.address.name}: {file.name}: {sqlite.advice(error)}") from None
        return held

    def _taken(self) -> JournalError:
        return JournalError(
            f"the journal {self.address.name} is in use by another program that writes to the FHIR server: end that "
            "`jumeau serve` or `run --once` first, two would both write; `jumeau show` and `run --once --dry-run` "
            "work beside it"
        )

    def release(self) -> None:
        """Let go of it; harmless when repeated."""
        held: tuple[Any, ...] = (self._file, self._connection)
        for one in held:
            if one is not None:
                one.close()
        if self._store is not None:
            self._store.engine.dispose()
        self._file = self._connection = None


@contextmanager
def held(url: str) -> Iterator[Lease]:
    """The lease of the journal at an address. Raises JournalError where another program has it."""
    lease = Lease(address_of(url), _url=url)
    try:
        lease.take()
        yield lease
    finally:
        lease.release()
