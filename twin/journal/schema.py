"""The schema of a journal: made, checked, and brought up to date by the migrations of this package.

`meta.schema` is the number that any version of the program compares with its own, Alembic's table the one that its
migrations go by; both change in one transaction. A database of version 0.1.0, schema 1, has no table of Alembic's.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, inspect, select, update

from twin.errors import JournalError, SchemaTooNewError, SchemaTooOldError, WrongKeyError
from twin.fact_text import instant_text
from twin.journal import migrations, sqlite
from twin.journal.address import POSTGRESQL, address_of
from twin.journal.postgres import check_encoding
from twin.journal.store import BUSY_S, Store, open_store
from twin.journal.tables import META, SCHEMA
from twin.timebase import wall_now

VERSION_TABLE = "alembic_version"
HERE = migrations.Plan(SCHEMA)
"""The migrations of this package, all of them."""


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """The schema that a journal has and the one that this program needs; `found` None: nothing is there yet."""

    name: str
    found: int | None
    needed: int


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade did, or would do."""

    before: int
    after: int
    statements: tuple[str, ...]
    """As the database got them; values are left out."""
    backup: Path | None


def status(url: str) -> SchemaStatus:
    """Compare, and change nothing. Raises JournalError where the tables are another program's."""
    address = address_of(url)
    if address.file is not None and not address.file.exists():
        return SchemaStatus(address.name, None, SCHEMA)
    with _opened(url) as store, store.transaction() as connection:
        meta = _meta(connection, store.name)
    return SchemaStatus(address.name, int(meta["schema"]) if meta else None, SCHEMA)


def upgrade(url: str, *, dry_run: bool = False, backup: bool = True, plan: migrations.Plan = HERE) -> Upgrade:
    """Bring a journal to the schema of this program, all or nothing; a dry run does it all and takes it back.

    SQLite is copied beside itself first, unless `backup` is False. Raises JournalError, where there is no journal too.
    """
    found = status(url).found
    with _opened(url) as store:
        if found is None:
            raise JournalError(f"there is no journal in {store.name}: `jumeau serve` makes one")
        try:
            with store.transaction(writes=True) as connection:
                done = _upgraded(connection, store, plan, backup=backup and not dry_run)
                if dry_run:
                    raise _TakenBack
        except _TakenBack:
            pass
    return done


class _TakenBack(Exception):  # noqa: N818 - no error: it ends a dry run
    pass


@contextmanager
def _opened(url: str) -> Iterator[Store]:
    store = open_store(url, busy_s=BUSY_S)
    try:
        yield store
    finally:
        store.engine.dispose()


def _upgraded(connection: Connection, store: Store, plan: migrations.Plan, *, backup: bool) -> Upgrade:
    meta = _meta(connection, store.name)
    before = int(meta["schema"]) if meta else 0
    _refuse_newer(before, store.name, plan.schema)
    if before == plan.schema:
        return Upgrade(before, before, (), None)
    file, kept = store.address.file, None
    if file is not None and backup:
        # This transaction holds other writers back, so the copy is what the migrations find.
        kept = sqlite.back_up(file, f"schema-{before}", wall_now())
    statements: list[str] = []
    with _recorded(connection, statements):
        _migrate(connection, before, plan)
    return Upgrade(before, plan.schema, tuple(statements), kept)


def prepare(connection: Connection, store: Store, key_fingerprint: str) -> None:
    """Make the tables of a new database, or check that an old one is ours. Call it in one writing transaction.

    Raises SchemaTooNewError, SchemaTooOldError, WrongKeyError, or JournalError where the tables are another program's.
    """
    meta = _meta(connection, store.name)
    if meta is None:
        _make(connection, store, key_fingerprint)
        return
    found = int(meta["schema"])
    _refuse_newer(found, store.name)
    if found < SCHEMA:
        raise SchemaTooOldError(
            f"the journal {store.name} has schema {found}, this version needs {SCHEMA}: end every program that uses "
            "it, then run `jumeau db upgrade`"
        )
    if meta["key_fingerprint"] != key_fingerprint:
        raise WrongKeyError(
            f"the journal {store.name} was written under another pseudonym key: set privacy.key_file to the key it was "
            "begun with, or name a new database"
        )


def _refuse_newer(found: int, name: str, known: int = SCHEMA) -> None:
    if found > known:
        raise SchemaTooNewError(
            f"the journal {name} was written by a newer version (schema {found}, this one knows {known}): "
            "install that version"
        )


def _meta(connection: Connection, name: str) -> Mapping[str, str] | None:
    """What the journal tells of itself, None for a database without tables."""
    there = set(inspect(connection).get_table_names())
    if not there:
        return None
    meta: dict[str, str] = {}
    if META.name in there and {column["name"] for column in inspect(connection).get_columns(META.name)} == {
        "name",
        "value",
    }:
        meta = {row.name: row.value for row in connection.execute(select(META))}
    if not meta.keys() >= {"schema", "key_fingerprint"} or not meta["schema"].isdecimal():
        raise JournalError(f"the database {name} belongs to another program: name another one")
    return meta


def _make(connection: Connection, store: Store, key_fingerprint: str) -> None:
    if store.address.backend == POSTGRESQL:
        check_encoding(connection, store.name)
    migrations.run(connection, HERE)
    made = {"schema": str(SCHEMA), "key_fingerprint": key_fingerprint, "created": instant_text(wall_now())}
    connection.execute(META.insert(), [{"name": name, "value": value} for name, value in made.items()])


def _migrate(connection: Connection, before: int, plan: migrations.Plan) -> None:
    if VERSION_TABLE not in inspect(connection).get_table_names():
        migrations.adopt(connection, before, plan)
    migrations.run(connection, plan)
    connection.execute(update(META).where(META.c.name == "schema").values(value=str(plan.schema)))


@contextmanager
def _recorded(connection: Connection, statements: list[str]) -> Iterator[None]:
    """Collect what changes the database."""

    def note(_connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            statements.append(statement.strip())

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", note)
