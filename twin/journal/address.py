"""Where a journal is: the address of its database, and how messages name it without user or password."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from twin.errors import JournalError

MEMORY = ":memory:"
SQLITE, POSTGRESQL = "sqlite", "postgresql"
_DRIVERS = {
    "sqlite": SQLITE,
    "sqlite+pysqlite": SQLITE,
    "postgresql": POSTGRESQL,
    "postgresql+psycopg": POSTGRESQL,
}
_FORMS = "use sqlite:///FILE, :memory: or postgresql://USER:PASSWORD@HOST/DATABASE"


@dataclass(frozen=True, slots=True)
class Address:
    """A checked address. `name` is what messages say: a file, `:memory:`, or the name of a PostgreSQL database."""

    url: URL
    backend: str
    name: str

    @property
    def file(self) -> Path | None:
        """The file of the database, None where it is in memory or on a server."""
        return Path(self.name) if self.backend == SQLITE and self.name != MEMORY else None


def address_of(url: str) -> Address:
    """The address that a setting tells. Raises JournalError, which never repeats it: it may hold a password."""
    try:
        parsed = make_url(f"sqlite:///{MEMORY}" if url == MEMORY else url)
    except (ArgumentError, ValueError):
        raise JournalError(f"database_url is no address of a database: {_FORMS}") from None
    backend = _DRIVERS.get(parsed.drivername)
    if backend is None:
        raise JournalError(f"database_url names a kind of database that is not supported: {_FORMS}")
    return _postgresql(parsed) if backend == POSTGRESQL else _sqlite(parsed)


def _sqlite(parsed: URL) -> Address:
    name = parsed.database or MEMORY
    folder = Path(name).parent
    if not folder.is_dir():
        raise JournalError(f"the folder {folder} of the database is not there: make it, or name another file")
    return Address(parsed, SQLITE, name)


def _postgresql(parsed: URL) -> Address:
    if "@" in (parsed.host or ""):
        raise JournalError("database_url has more than one @: write one that belongs to the password as %40")
    if not parsed.database:
        raise JournalError("database_url names no database: end it with one, as in postgresql://USER@HOST/DATABASE")
    return Address(parsed.set(drivername="postgresql+psycopg"), POSTGRESQL, f"{parsed.database} (PostgreSQL)")
