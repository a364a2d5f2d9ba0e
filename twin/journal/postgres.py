"""The journal in PostgreSQL, through psycopg 3 (extra `postgres`)."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import Connection, Engine, StaticPool, Table, UniqueConstraint, create_engine, event

from twin.errors import JournalError
from twin.journal.address import Address
from twin.journal.rows import Rows, Values, writing

_WRITER = 0x6A756D656175
"""Advisory lock of who writes ("jumeau"): one transaction at a time, so that positions grow with commits."""
_COPY_FROM = 200
"""Rows from which COPY is faster than a statement a row."""
_COPIED_AT_ONCE = 500
_ABSENT, _ROW, _FIELD = "\x1d", "\x1e", "\x1f"
_ESCAPES = (
    *(("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")),
    *((_ABSENT, "\\N"), (_ROW, "\n"), (_FIELD, "\t")),
)
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
    into, values = f"{table.name} ({', '.join(rows.names)})", rows.values
    if len(values) < _COPY_FROM:
        return _insert(connection, into, values)
    # The first row tells what to expect: a first load, where all are new, or a reading that comes again.
    first, rest = _insert(connection, into, values[:1]), values[1:]
    if first and _copy_new(connection, into, rest):
        return len(values)
    new = _missing(connection, table, rows.names, rest)
    _copy(connection, into, new)
    return first + len(new)


def _insert(connection: Connection, into: str, values: Sequence[Values]) -> int:
    marks = ", ".join(["%s"] * len(values[0]))
    return connection.exec_driver_sql(f"INSERT INTO {into} VALUES ({marks}) ON CONFLICT DO NOTHING", values).rowcount


def _missing(connection: Connection, table: Table, names: Sequence[str], values: Sequence[Values]) -> list[Values]:
    """Those that are not there, each once: only their keys go to the server. No other program writes meanwhile."""
    keys = _key_of(table)
    key_of = itemgetter(*map(names.index, keys))  # two columns at the least, wherever rows come in bulk
    nths = {key_of(row): nth for nth, row in reversed(list(enumerate(values)))}
    execute, columns, name = connection.exec_driver_sql, ", ".join(keys), table.name
    execute(f"CREATE TEMPORARY TABLE loaded ON COMMIT DROP AS SELECT 0 AS nth, {columns} FROM {name} WITH NO DATA")
    _copy(connection, f"loaded (nth, {columns})", [(str(nth), *key) for key, nth in nths.items()])
    # Through the index of the keys: the planner knows nothing of the new table, and may want to read all of the old.
    execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
    same = " AND ".join(f"old.{key} = loaded.{key}" for key in keys)
    asked = f"SELECT nth FROM loaded WHERE NOT EXISTS (SELECT FROM {name} old WHERE {same}) ORDER BY nth"
    found = execute(asked).scalars().all()
    execute("RESET enable_hashjoin; RESET enable_mergejoin; DROP TABLE loaded")
    return [values[nth] for nth in found]


def _key_of(table: Table) -> list[str]:
    """Columns that tell two rows apart."""
    unique = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    return [column.name for column in (unique[0] if unique else table.primary_key).columns]


def _copy_new(connection: Connection, into: str, values: Sequence[Values]) -> bool:
    """Copy rows that are all new; False, and nothing done, where one is there already."""
    from psycopg.errors import UniqueViolation

    try:
        with connection.begin_nested():
            _copy(connection, into, values)
    except UniqueViolation:
        return False
    return True


def _copy(connection: Connection, into: str, values: Sequence[Values]) -> None:
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"COPY {into} FROM STDIN") as copy:
        for first in range(0, len(values), _COPIED_AT_ONCE):
            some = values[first : first + _COPIED_AT_ONCE]
            text = _copy_text(some)
            if text is not None:
                copy.write(text)
            else:
                for row in some:
                    copy.write_row(row)


def _copy_text(values: Sequence[Values]) -> bytes | None:
    """Rows of texts, whole numbers and None in COPY's text format; None where a text has the signs that are used here.

    Escaped all at once, which is several times as fast as value by value: until then fields, rows and what is not there
    are marked by signs that hardly any text has.
    """
    try:
        rows = list(map(_FIELD.join, cast(Sequence[Sequence[str]], values)))
    except TypeError:  # not texts only
        rows = [_FIELD.join([_ABSENT if value is None else str(value) for value in row]) for row in values]
    text = _ROW.join(rows) + _ROW
    signs = sum(map(text.count, (_FIELD, _ROW, _ABSENT)))
    if signs != sum(len(row) + row.count(None) for row in values):
        return None
    for sign, written in _ESCAPES:
        text = text.replace(sign, written)
    return text.encode()


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
