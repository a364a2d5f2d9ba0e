"""Rows of facts into the database, and the same once more: the journal's bulk append against SQLModel's `merge`.

Both start from the same rows as dictionaries, commit once, and must leave the same table; `merge` gets a sample, and
the speeds are compared. On SQLite in a file, and on PostgreSQL where its programs are installed.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

from sqlalchemy import select
from sqlmodel import Field, Session, SQLModel

from fixtures.servers.local import ServerStartError
from fixtures.servers.postgres import PostgresServer, programs
from tests.benchmarks import Row
from tests.benchmarks.__main__ import alone
from tests.journals import NOW
from tests.years import year
from twin.fact_text import FactText, fact_text, instant_text
from twin.journal import Journal
from twin.journal.rows import Rows
from twin.journal.store import Store, open_store
from twin.journal.tables import FACT

SAMPLE = 1_500
ROWS = 68_000
UNIT = "rows, half of them there already"


class Merged(SQLModel, table=True):
    """The fact table as `merge` needs it: its natural key is the primary key."""

    __tablename__ = "merged"

    id: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    version_id: str = Field(primary_key=True)
    last_updated: str = Field(primary_key=True)
    reading: str = Field(primary_key=True)
    server: str = Field(primary_key=True)
    observed_at: str
    content_hash: str
    kind: str
    assertion: str
    over_at: str


def run() -> list[Row]:
    """Each database with its peer."""
    names = (*FactText._fields, "reading", "observed_at")
    rows = Rows(names, [(*fact_text(fact), "r1", instant_text(NOW)) for fact in islice(year(), ROWS)])
    return [row for name, url in _databases() for row in _compared(name, url, rows)]


def _databases() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        yield "SQLite", f"sqlite:///{Path(folder) / 'journal.db'}"
    if _has_postgres():
        with PostgresServer() as server:
            yield "PostgreSQL", server.new_database()


def _has_postgres() -> bool:
    try:
        programs()
    except ServerStartError:
        return False
    return True


def _compared(name: str, url: str, rows: Rows) -> list[Row]:
    Journal.open(url, key_fingerprint="key").close()
    store = open_store(url)
    SQLModel.metadata.tables["merged"].create(store.engine)
    sample = Rows(rows.names, rows.values[:SAMPLE])
    theirs = _per_second(store, "merged", sample, _merge)
    _per_second(store, "fact", sample, _append)
    assert _content(store, "fact") == _content(store, "merged") != []
    ours = _per_second(store, "fact", rows, _append)
    assert len(_content(store, "fact")) == len(rows.values)
    store.engine.dispose()
    return [
        Row("upsert", f"journal, {name}", per_second=ours, unit=UNIT, ratio=ours / theirs),
        Row("upsert", f"SQLModel merge row by row, {name} (peer)", per_second=theirs, unit=UNIT, ratio=1.0),
    ]


def _per_second(store: Store, table: str, rows: Rows, work: Callable[[Store, Rows], None]) -> float:
    """Rows a second, the best of three: all rows into an empty table, then all of them again."""
    taken = []
    for _ in range(3):
        with store.transaction(writes=True) as connection:
            # In PostgreSQL a DELETE would leave its rows in the index of the next round.
            clear = "DELETE FROM" if connection.dialect.name == "sqlite" else "TRUNCATE"
            connection.exec_driver_sql(f"{clear} {table}")
        started = time.perf_counter()
        for _ in range(2):
            work(store, rows)
        taken.append(time.perf_counter() - started)
    return 2 * len(rows.values) / min(taken)


def _append(store: Store, rows: Rows) -> None:
    with store.transaction(writes=True) as connection:
        store.append(connection, FACT, rows)


def _merge(store: Store, rows: Rows) -> None:
    with Session(store.engine) as session:
        for row in rows.values:
            session.merge(Merged(**cast(dict[str, Any], dict(zip(rows.names, row, strict=True)))))
        session.commit()


def _content(store: Store, table: str) -> list[tuple[Any, ...]]:
    columns = [column for column in SQLModel.metadata.tables[table].columns if column.name != "position"]
    query = select(*sorted(columns, key=lambda column: column.name))
    with store.transaction() as connection:
        return sorted(tuple(row) for row in connection.execute(query))


if __name__ == "__main__":
    sys.exit(alone(run, sys.argv[1:]))
