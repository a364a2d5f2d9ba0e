"""What a journal on a disk promises besides: it is there after a kill, and it refuses clearly what it can't do."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.journals import NOW, SERVER, booking, keep
from twin.errors import JournalError, SchemaTooNewError, WrongKeyError
from twin.journal import Journal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def _open(file: Path, key: str = "key", *, busy_s: float = 5) -> Journal:
    return Journal.open(f"sqlite:///{file}", key_fingerprint=key, busy_s=busy_s)


def test_reopened_journal_goes_on(file: Path) -> None:
    first = _open(file)
    first.append_batch(SERVER, [booking(1)], (), {"Appointment": NOW}, reading="r1", observed_at=NOW)
    first.close()
    again = _open(file)
    assert keep(again, booking(1), booking(2)) == 1
    assert list(again.facts(SERVER)) == [booking(1), booking(2)]
    assert again.cursor(SERVER) == {"Appointment": NOW}
    again.close()


def test_another_key_is_refused(file: Path) -> None:
    _open(file).close()
    with pytest.raises(WrongKeyError, match=r"privacy\.key_file"):
        _open(file, "another")
    _open(file).close()


def test_newer_schema_is_refused(file: Path) -> None:
    _open(file).close()
    with sqlite3.connect(file) as database:
        database.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
    database.close()
    with pytest.raises(SchemaTooNewError, match="schema 99"):
        _open(file)


def test_foreign_database_is_refused(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE fact (id TEXT)")
    database.close()
    with pytest.raises(JournalError, match="another program"):
        _open(file)


def test_file_of_another_kind(file: Path) -> None:
    file.write_text("a letter, not a database" * 100)
    with pytest.raises(JournalError, match="no SQLite database"):
        _open(file)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("sqlite:////nowhere/at/all/journal.db", "make it"),
        ("sqlite:////", "name a file"),
        ("mysql://user:secret@db/jumeau", "not supported: use"),
        ("postgresql+psycopg2://user:secret@db/jumeau", "not supported: use"),
        ("postgres://user:secret@db/jumeau", "postgresql://"),
        ("postgresql://user:an@secret@db/jumeau", "%40"),
        ("postgresql://user:secret@db", "names no database"),
        ("postgresql://user:secret@db:port/jumeau", "no address"),
        ("no address", "sqlite:///FILE"),
    ],
)
def test_bad_address(url: str, advice: str) -> None:
    with pytest.raises(JournalError, match=advice) as told:
        Journal.open(url, key_fingerprint="key")
    assert "secret" not in str(told.value)


def test_acknowledged_means_on_disk(file: Path) -> None:
    journal = _open(file)
    with journal._transaction() as connection:
        told = [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("journal_mode", "synchronous")]
    assert told == ["wal", 2], "2 is FULL: each commit is flushed"
    journal.close()


def test_full_disk_refuses_clearly(file: Path) -> None:
    journal = _open(file)
    keep(journal, booking(1))
    with journal._transaction() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(JournalError, match="disk is full") as told:
        keep(journal, *(booking(number) for number in range(1_000)))
    assert "a999" not in str(told.value)
    assert told.value.__cause__ is None, "what the database said may hold data"
    assert list(journal.facts(SERVER)) == [booking(1)]
    journal.close()


def test_locked_database_refuses_clearly(file: Path) -> None:
    journal = _open(file, busy_s=0.05)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="another program"):
        keep(journal, booking())
    assert list(journal.facts(SERVER)) == [], "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    assert keep(journal, booking()) == 1
    journal.close()


def test_short_lock_is_waited_for(file: Path) -> None:
    journal = _open(file, busy_s=5)
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.2, other.execute, ["ROLLBACK"])
    release.start()
    assert keep(journal, booking()) == 1
    release.join()
    other.close()
    journal.close()


def test_two_programs_on_one_file(file: Path) -> None:
    first, second = _open(file), _open(file)
    assert [keep(first, booking(1)), keep(second, booking(1), booking(2))] == [1, 1]
    assert list(first.facts(SERVER)) == list(second.facts(SERVER)) == [booking(1), booking(2)]
    first.close()
    second.close()


APPENDER = """
import sys
from tests.journals import NOW, SERVER, booking
from twin.journal import Journal

journal = Journal.open(sys.argv[1], key_fingerprint="key")
for number in range(100_000):
    facts = [booking(number * 3 + one) for one in range(3)]
    journal.append_batch(SERVER, facts, (), {"Appointment": NOW}, reading="r1", observed_at=NOW)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_killed_process_loses_nothing(file: Path) -> None:
    for run in range(3):
        command = [sys.executable, "-c", APPENDER, f"sqlite:///{file}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
            assert child.stdout is not None
            acknowledged = [int(child.stdout.readline()) for _ in range(20 + run * 37)][-1]
            child.kill()
            acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])
        journal = _open(file)
        kept = [int(fact.key.id[1:]) for fact in journal.facts(SERVER)]
        assert kept == list(range(len(kept))), "in order, none missing"
        assert len(kept) >= (acknowledged + 1) * 3
        assert len(kept) % 3 == 0, "no part of a batch"
        journal.close()
