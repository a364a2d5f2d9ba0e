"""The journal in PostgreSQL, through psycopg 3 (extra `postgres`)."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, Table, create_engine, event

from twin.errors import JournalError
from twin.journal.address import Address
from twin.journal.rows import Rows, writing

_WRITER = 0x6A756D656175
"""Advisory lock of who writes ("jumeau"): one transaction at a time, so that positions grow with commits."""
_COPY_FROM = 200
"""Rows from which COPY into a temporary table is faster than a statement a row."""
_CONNECT_WITHIN_S = 5
_AWAY = (
    "the server can't be reached, or it refuses the user, the password or the database's name: check that it runs and "
    "database_url; the next call connects again"
)
_ADVICE = {
    "08": _AWAY,
    "57": _AWAY,
    "28": "the server refuses this user or password: correct database_url",
    "3D": "there is no database of this name: make it (createdb), or name another one",
    "53": "the server has no room left (disk, memory or connections): free some, nothing acknowledged is lost",
    "55": "another program is writing to it: end that program, or try again",
    "40": "another program was in the way: try again",
    "42": "this user may not make or use the tables: GRANT it the rights on the database and its schema",
    "25": "the server takes no writes: name the primary, not a standby",
    "22": "a text can't be kept: quarantine its resource",
}


def open_engine(address: Address, *, busy_s: float) -> Engine:
    """An engine of one connection, made anew where it was lost. Raises JournalError where psycopg is missing."""
    try:
        engine = create_engine(
            address.url,
            poolclass=StaticPool,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": _CONNECT_WITHIN_S,
                "application_name": "jumeau",
                "keepalives_idle": 30,
                "tcp_user_timeout": 30_000,
            },
        )
    except ImportError:
        raise JournalError("PostgreSQL needs the library psycopg: pip install 'jumeau[postgres]'") from None
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", lambda connection: _begin(connection, busy_s))
    return engine


def _prepare(connection: Any, _record: object) -> None:
    # What was acknowledged is on the disk, also where the server's settings trade that for speed.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.commit()


def _begin(connection: Connection, busy_s: float) -> None:
    if writing(connection):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, round(busy_s * 1000))}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER})")


def check_encoding(connection: Connection, name: str) -> None:
    """Raises JournalError for a database that can't hold every text."""
    found = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if found != "UTF8":
        raise JournalError(f"the database {name} has the encoding {found}: make one with ENCODING 'UTF8'")


def append(connection: Connection, table: Table, rows: Rows) -> int:
    """Insert the rows that are not there yet, in their order; how many they were."""
    columns, values = ", ".join(rows.names), rows.values
    if len(values) < _COPY_FROM:
        marks = ", ".join(["%s"] * len(rows.names))
        told = f"INSERT INTO {table.name} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING"
        return connection.exec_driver_sql(told, values).rowcount
    if _copy_new(connection, f"{table.name} ({columns})", values):
        return len(values)
    execute = connection.exec_driver_sql
    execute(
        f"CREATE TEMPORARY TABLE loaded ON COMMIT DROP AS SELECT 0 AS nth, {columns} FROM {table.name} WITH NO DATA"
    )
    _copy(connection, f"loaded (nth, {columns})", ((nth, *row) for nth, row in enumerate(values)))
    told = f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM loaded ORDER BY nth ON CONFLICT DO NOTHING"
    new = execute(told).rowcount
    execute("DROP TABLE loaded")
    return new


def _copy_new(connection: Connection, into: str, values: Iterable[tuple[object, ...]]) -> bool:
    """Copy rows that are all new, as on a first load; False, and nothing done, where one is there already."""
    from psycopg.errors import UniqueViolation

    try:
        with connection.begin_nested():
            _copy(connection, into, values)
    except UniqueViolation:
        return False
    return True


def _copy(connection: Connection, into: str, values: Iterable[tuple[object, ...]]) -> None:
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"COPY {into} FROM STDIN") as copy:
        for row in values:
            copy.write_row(row)


def errors() -> tuple[type[Exception], ...]:
    """What the driver itself raises."""
    import psycopg

    return (psycopg.Error,)


def advice(error: BaseException) -> str:
    """What to do about an error of the driver."""
    code = getattr(error, "sqlstate", None)
    if code is None:
        return _AWAY if type(error).__name__ == "OperationalError" else _ADVICE["22"]
    return _ADVICE.get(code[:2], f"the database refuses (SQLSTATE {code}): see the server's log")
