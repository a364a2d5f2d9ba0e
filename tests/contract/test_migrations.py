"""The schema: made, adopted from the first version, upgraded, and refused where it is another."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from tests.journals import NOW, SERVER, booking, keep
from twin.errors import JournalError, SchemaTooNewError, SchemaTooOldError
from twin.journal import Journal, schema
from twin.journal.migrations import Plan
from twin.journal.store import open_store
from twin.journal.tables import SCHEMA
from twin.timeline import WriteOutcome

HERE = Path(__file__).parent
LATER = Plan(SCHEMA + 1, (HERE / "later",))


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A database of version 0.1.0."""
    file = tmp_path / "first.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript((HERE / "first" / "schema.sql").read_text())
    return file


def begun(url: str) -> str:
    """A journal with a fact and two outcomes, closed again."""
    journal = Journal.open(url, key_fingerprint="key")
    keep(journal, booking())
    outcomes = [WriteOutcome("Appointment/a1", "written", "2"), WriteOutcome("Appointment/a2", "failed")]
    journal.append_outcomes(SERVER, outcomes, run=None, at=NOW)
    journal.close()
    return url


def asked(url: str, query: str) -> Sequence[Any]:
    """Rows of a database."""
    store = open_store(url)
    with store.transaction() as connection:
        rows = connection.exec_driver_sql(query).all()
    store.engine.dispose()
    return [tuple(row) for row in rows]


def test_migrations_make_what_the_tables_say(lasting_url: str) -> None:
    begun(lasting_url)
    store = open_store(lasting_url)
    with store.transaction() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    store.engine.dispose()
    assert differences == []
    assert asked(lasting_url, "SELECT version_num FROM alembic_version") == [(f"{SCHEMA:04}",)]


def test_first_version_is_adopted(first: Path) -> None:
    with pytest.raises(SchemaTooOldError, match="jumeau db upgrade"):
        Journal.open(f"sqlite:///{first}", key_fingerprint="key")
    schema.upgrade(f"sqlite:///{first}")
    journal = Journal.open(f"sqlite:///{first}", key_fingerprint="key")
    assert list(journal.facts(SERVER)) == [booking()]
    assert keep(journal, booking(), booking(2)) == 1
    assert journal.position() == 8
    journal.close()


def test_first_version_is_upgraded(first: Path) -> None:
    url = f"sqlite:///{first}"
    done = schema.upgrade(url, plan=LATER)
    assert (done.before, done.after) == (1, LATER.schema)
    assert asked(url, "SELECT told_by FROM outcome") == [("writer",)]
    assert asked(url, "SELECT version_num FROM alembic_version") == [(f"{LATER.schema:04}",)]


def test_new_database_is_as_an_adopted_one(first: Path, tmp_path: Path) -> None:
    def shape(file: Path) -> list[Any]:
        told = asked(f"sqlite:///{file}", "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%'")
        return sorted((name, " ".join(sql.split()) if sql else sql) for name, sql in told)

    begun(f"sqlite:///{tmp_path / 'new.db'}")
    schema.upgrade(f"sqlite:///{first}", backup=False)
    assert shape(tmp_path / "new.db") == shape(first)


def test_upgrade_keeps_what_is_there(lasting_url: str) -> None:
    begun(lasting_url)
    done = schema.upgrade(lasting_url, plan=LATER)
    assert asked(lasting_url, "SELECT ref, told_by FROM outcome ORDER BY ref") == [
        ("Appointment/a1", "writer"),
        ("Appointment/a2", "nobody"),
    ]
    assert asked(lasting_url, "SELECT count(*) FROM fact") == [(1,)]
    assert any("told_by" in statement for statement in done.statements)
    assert schema.upgrade(lasting_url, plan=LATER) == schema.Upgrade(LATER.schema, LATER.schema, (), None)


def test_dry_run_changes_nothing(lasting_url: str, tmp_path: Path) -> None:
    begun(lasting_url)
    files = sorted(tmp_path.iterdir())
    tried = schema.upgrade(lasting_url, plan=LATER, dry_run=True)
    assert (tried.before, tried.after, tried.backup) == (SCHEMA, LATER.schema, None)
    assert sorted(tmp_path.iterdir()) == files
    assert schema.status(lasting_url).found == SCHEMA
    assert schema.upgrade(lasting_url, plan=LATER, backup=False).statements == tried.statements


def test_backup_is_the_journal_before(first: Path) -> None:
    done = schema.upgrade(f"sqlite:///{first}", plan=LATER)
    assert done.backup is not None
    assert done.backup.parent == first.parent
    assert done.backup.name.startswith("first.db.schema-1.")
    assert done.backup.stat().st_mode & 0o077 == 0
    assert schema.status(f"sqlite:///{done.backup}").found == 1
    assert asked(f"sqlite:///{done.backup}", "SELECT count(*) FROM fact") == asked(
        f"sqlite:///{first}", "SELECT count(*) FROM fact"
    )


def test_no_backup_where_none_is_wanted(first: Path) -> None:
    assert schema.upgrade(f"sqlite:///{first}", plan=LATER, backup=False).backup is None
    assert [path.name for path in first.parent.iterdir() if "backup" in path.name] == []


def test_newer_schema_is_refused(lasting_url: str) -> None:
    schema.upgrade(begun(lasting_url), plan=LATER)
    for work in (lambda: Journal.open(lasting_url, key_fingerprint="key"), lambda: schema.upgrade(lasting_url)):
        with pytest.raises(SchemaTooNewError, match=rf"schema {LATER.schema}.*install that version"):
            work()
    assert schema.status(lasting_url) == schema.SchemaStatus(schema.status(lasting_url).name, LATER.schema, SCHEMA)


def test_older_schema_is_refused(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(lasting_url)
    monkeypatch.setattr(schema, "SCHEMA", LATER.schema)  # this program, a version later
    with pytest.raises(SchemaTooOldError, match="jumeau db upgrade"):
        Journal.open(lasting_url, key_fingerprint="key")


def test_nothing_to_upgrade(lasting_url: str) -> None:
    assert schema.status(lasting_url).found is None
    with pytest.raises(JournalError, match="no journal"):
        schema.upgrade(lasting_url)
    if lasting_url.startswith("sqlite"):
        assert not Path(lasting_url.removeprefix("sqlite:///")).exists()


def test_tables_of_another_program(lasting_url: str) -> None:
    store = open_store(lasting_url)
    with store.transaction(writes=True) as connection:
        connection.exec_driver_sql("CREATE TABLE meta (name TEXT, value TEXT)")
    store.engine.dispose()
    for work in (lambda: Journal.open(lasting_url, key_fingerprint="key"), lambda: schema.status(lasting_url)):
        with pytest.raises(JournalError, match="another program"):
            work()


UPGRADER = """
import sys
from tests.contract.test_migrations import LATER
from twin.journal import schema

schema.upgrade(sys.argv[1], plan=LATER)
"""


def test_killed_half_way_runs_again(lasting_url: str) -> None:
    begun(lasting_url)
    command = [sys.executable, "-c", UPGRADER, lasting_url]
    environment = {**os.environ, "JUMEAU_TEST_PAUSE": "60"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HERE.parents[1], env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half-way\n"
        child.send_signal(signal.SIGKILL)
    journal = Journal.open(lasting_url, key_fingerprint="key")
    assert list(journal.facts(SERVER)) == [booking()], "as before, in the schema before"
    journal.close()
    assert schema.upgrade(lasting_url, plan=LATER).after == LATER.schema
    assert ("Appointment/a1", "writer") in asked(lasting_url, "SELECT ref, told_by FROM outcome")


def test_two_programs_make_one_journal(lasting_url: str) -> None:
    opened: list[Journal] = []
    threads = [
        threading.Thread(target=lambda: opened.append(Journal.open(lasting_url, key_fingerprint="key")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = opened
    assert [keep(first, booking(1)), keep(second, booking(1), booking(2, at=NOW + timedelta(1)))] == [1, 1]
    assert list(first.facts(SERVER)) == list(second.facts(SERVER))
    first.close()
    second.close()
