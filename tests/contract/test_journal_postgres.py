"""What a journal in PostgreSQL promises besides: it comes back when the server does, and it never tells a password."""

import sys
import threading
import time
from collections.abc import Iterator

import pytest

from fixtures.servers.postgres import PostgresServer
from tests.journals import NOW, SERVER, booking, keep
from twin.errors import JournalError, WrongKeyError
from twin.journal import Journal
from twin.journal.store import open_store

pytestmark = pytest.mark.servers


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    yield postgres.new_database()
    postgres.start()


def _open(url: str, key: str = "key", *, busy_s: float = 5) -> Journal:
    return Journal.open(url, key_fingerprint=key, busy_s=busy_s)


def test_both_forms_of_an_address(url: str) -> None:
    for form in (url, url.replace("postgresql://", "postgresql+psycopg://")):
        journal = _open(form)
        keep(journal, booking())
        assert list(journal.facts(SERVER)) == [booking()]
        journal.close()


def test_another_key_is_refused(url: str) -> None:
    _open(url).close()
    with pytest.raises(WrongKeyError, match=r"privacy\.key_file"):
        _open(url, "another")


def test_stopped_server_is_told_and_found_again(url: str, postgres: PostgresServer) -> None:
    journal = _open(url)
    keep(journal, booking(1))
    postgres.stop()
    for work in (lambda: keep(journal, booking(2)), journal.position, lambda: list(journal.facts(SERVER))):
        with pytest.raises(JournalError, match="check that it runs") as told:
            work()
        assert postgres.password not in str(told.value)
        assert told.value.__cause__ is None
    postgres.start()
    assert keep(journal, booking(1), booking(2)) == 1
    assert list(journal.facts(SERVER)) == [booking(1), booking(2)]
    journal.close()


def test_server_stopped_again_and_again(url: str, postgres: PostgresServer) -> None:
    journal = _open(url)
    kept: list[int] = []
    refused: list[int] = []
    over = threading.Event()

    def append() -> None:
        for number in range(10_000):
            facts = [booking(number * 300 + one) for one in range(300)]
            try:
                journal.append_batch(SERVER, facts, (), {"Appointment": NOW}, reading="r1", observed_at=NOW)
                kept.append(number)
            except JournalError:
                refused.append(number)
                time.sleep(0.05)
            if over.is_set():
                return

    worker = threading.Thread(target=append)
    worker.start()
    for _ in range(3):
        time.sleep(0.7)
        postgres.stop()
        time.sleep(0.2)
        postgres.start()
    time.sleep(0.5)
    over.set()
    worker.join()
    found = [int(fact.key.id[1:]) for fact in journal.facts(SERVER)]
    whole = {number // 300 for number in found}
    assert len(found) == len(whole) * 300, "no part of a batch"
    # A commit whose acknowledgement was lost may be there; none that was acknowledged is missing.
    assert set(kept) <= whole <= {*kept, *refused}
    assert refused
    assert kept[-1] > refused[-1], "it goes on"
    journal.close()


def test_another_writer_is_told(url: str) -> None:
    journal = _open(url, busy_s=0.1)
    other = open_store(url)
    with other.transaction(writes=True):
        with pytest.raises(JournalError, match="another program is writing"):
            keep(journal, booking())
        assert list(journal.facts(SERVER)) == [], "reading goes on"
    other.engine.dispose()
    assert keep(journal, booking()) == 1
    journal.close()


def test_two_programs_append(url: str) -> None:
    journals = [_open(url), _open(url)]

    def append(journal: Journal) -> None:
        for number in range(0, 100, 5):
            keep(journal, *(booking(one) for one in range(number, number + 10)))

    threads = [threading.Thread(target=append, args=(journal,)) for journal in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({fact.key.id for fact in journals[0].facts(SERVER)}) == 105
    assert list(journals[0].facts(SERVER)) == list(journals[1].facts(SERVER))
    for journal in journals:
        journal.close()


@pytest.mark.parametrize("wrong", ["password", "database", "user"])
def test_refused_at_the_door(url: str, postgres: PostgresServer, wrong: str) -> None:
    parts = {
        "password": (postgres.password, "n0t-it"),
        "database": ("/jumeau_", "/none_"),
        "user": ("//jumeau", "//me"),
    }
    with pytest.raises(JournalError, match="database_url") as told:
        _open(url.replace(*parts[wrong]))
    assert not any(secret in str(told.value) for secret in (postgres.password, "n0t-it"))


def test_database_of_another_encoding(postgres: PostgresServer) -> None:
    with pytest.raises(JournalError, match="UTF8"):
        _open(postgres.new_database("--encoding=LATIN1", "--template=template0"))


def test_user_without_rights(url: str) -> None:
    store = open_store(url)
    with store.transaction(writes=True) as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS reader")
        connection.exec_driver_sql("CREATE ROLE reader LOGIN PASSWORD 'of-reader'")
        connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    store.engine.dispose()
    address, _, rest = url.partition("@")
    with pytest.raises(JournalError, match="GRANT"):
        _open(f"{address.partition('//')[0]}//reader:of-reader@{rest}")


def test_acknowledged_means_on_disk(url: str) -> None:
    store = open_store(url)
    with store.transaction(writes=True) as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{store.address.url.database}" SET synchronous_commit = off')
    store.engine.dispose()
    journal = _open(url)
    with journal._transaction() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
    journal.close()


def test_missing_library_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(JournalError, match=r"jumeau\[postgres\]"):
        _open(url)
