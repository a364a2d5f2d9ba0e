"""One program at a time writes from a journal: by real processes, ended and killed, on both kinds of database."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures.servers.postgres import PostgresServer
from tests.journals import booking, keep
from twin.errors import JournalError
from twin.journal import Journal
from twin.journal.lease import Lease, held

_HOLDS = """
import sys
from twin.journal.lease import held
with held(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other(url: str) -> Iterator[subprocess.Popen[str]]:
    """Another program that has the lease."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def refused(url: str) -> bool:
    said = ""
    try:
        with held(url):
            pass
    except JournalError as error:
        said = str(error)
    assert said == "" or "end that `jumeau serve`" in said
    return bool(said)


def test_second_is_refused_until_the_first_ends(lasting_url: str) -> None:
    with other(lasting_url) as first:
        assert refused(lasting_url)
        assert refused(lasting_url)
        first.communicate("")
        assert not refused(lasting_url)


def test_kill_frees_it_at_once(lasting_url: str) -> None:
    with other(lasting_url) as first:
        assert refused(lasting_url)
        first.kill()
        first.wait()
        started = time.monotonic()
        while refused(lasting_url):
            assert time.monotonic() - started < 5
        assert not refused(lasting_url)


def test_journal_is_open_to_others(lasting_url: str) -> None:
    with other(lasting_url):
        journal = Journal.open(lasting_url, key_fingerprint="key")
        assert keep(journal, booking()) == 1
        assert list(journal.facts(booking().key.server)) == [booking()]
        journal.close()


def test_memory_is_always_free() -> None:
    with held(":memory:") as lease:
        assert not refused(":memory:")
        lease.keep()


def test_no_folder_to_write_in(tmp_path: Path) -> None:
    (tmp_path / "journal.db.lease").mkdir()
    with (
        pytest.raises(JournalError, match=r"journal\.db\.lease: it can't be opened"),
        held(f"sqlite:///{tmp_path / 'journal.db'}"),
    ):
        pass


@pytest.mark.servers
def test_database_that_went_away(postgres: PostgresServer) -> None:
    """A lease lost with its connection is taken again, or told as lost."""
    url = postgres.new_database()
    with held(url) as lease:
        postgres.stop()
        with pytest.raises(JournalError, match="check that it runs"):
            lease.keep()
        postgres.start()
        lease.keep()
        assert refused(url)
        postgres.stop()
        postgres.start()
        _taken_meanwhile(url, lease)
        lease.keep()


def _taken_meanwhile(url: str, lease: Lease) -> None:
    with other(url), pytest.raises(JournalError, match="another program"):
        lease.keep()
