"""`jumeau db` and `jumeau show` on a journal of this machine; what is wrong is one line and exit code 2."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from api.cli import app
from fhir_adapters.pseudonyms import Pseudonyms, load_or_create_key
from tests.unit.api_world import SERVER, clock, morning
from twin.facts import Fact
from twin.journal import Journal
from twin.journal.tables import SCHEMA
from twin.timebase import wall_now

NOW = clock("11:24")


@pytest.fixture(autouse=True)
def log_goes_back() -> Iterator[None]:
    """A command sends the log to the stderr that the runner closes after it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with nothing in it; it is 11:24 of the morning at the site."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUMEAU_FHIR__BASE_URL", SERVER)
    monkeypatch.setenv("JUMEAU_CLOCK__ANCHOR", NOW.isoformat())
    return tmp_path


@pytest.fixture
def journal(folder: Path) -> Path:
    """The journal of the morning; the server had all of it an hour ago."""
    file = folder / "jumeau.db"
    key = Pseudonyms(load_or_create_key(Path(f"{file}.key")))
    made = Journal.open(f"sqlite:///{file}", key_fingerprint=key.fingerprint)
    known = (wall_now() - timedelta(hours=1)).astimezone(UTC)
    facts = [_known(fact, known) for fact in morning()]
    made.append_batch(SERVER, facts, (), {}, reading="r1", observed_at=known)
    made.close()
    return file


def _known(fact: Fact, at: datetime) -> Fact:
    return replace(fact, key=replace(fact.key, last_updated=at))


def jumeau(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def told(*arguments: str) -> Any:
    answer = jumeau(*arguments, "--json")
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def test_status_makes_nothing(folder: Path) -> None:
    assert told("db", "status") == {"database": "jumeau.db", "schema": None, "needed": SCHEMA, "state": "new"}
    assert list(folder.iterdir()) == []


def test_status_of_a_journal(journal: Path) -> None:
    assert told("db", "status")["state"] == "current"
    assert told("db", "upgrade") == {
        "before": SCHEMA,
        "after": SCHEMA,
        "dry_run": False,
        "backup": None,
        "statements": [],
    }


@pytest.mark.parametrize("arguments", [("db", "upgrade"), ("show", "suite"), ("show", "case", "x")])
def test_no_journal_yet(folder: Path, arguments: tuple[str, ...]) -> None:
    answer = jumeau(*arguments)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "jumeau serve" in answer.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [("serve",), ("run", "--once"), ("show", "suite"), ("db", "upgrade")])
def test_newer_schema_is_refused(journal: Path, arguments: tuple[str, ...]) -> None:
    with closing(sqlite3.connect(journal)) as database:
        database.execute("UPDATE meta SET value = '9' WHERE name = 'schema'")
        database.commit()
    answer = jumeau(*arguments)
    assert answer.exit_code == 2
    assert "schema 9" in answer.stderr
    assert jumeau("db", "status").exit_code == 1


def test_suite_now_and_then(journal: Path) -> None:
    now = told("show", "suite")
    then = told("show", "suite", "--at", (NOW - timedelta(hours=2)).isoformat())
    assert len(now["cases"]) == 3
    assert then["cases"] == [], "nothing was known by then"
    text = jumeau("show", "suite").stdout
    assert "Salle 1 (s1): occupied" in text
    assert "Prothèse de hanche" in text


def test_case_with_its_milestones(journal: Path) -> None:
    cases = told("show", "suite")["cases"]
    case_id = next(case["case_id"] for case in cases if case["status"] == "in_progress")
    assert told("show", "case", case_id)["case_id"] == case_id
    assert "patient_in_room" in jumeau("show", "case", case_id).stdout
    assert jumeau("show", "case", "unheard-of").exit_code == 2


@pytest.mark.parametrize(
    ("at", "says"),
    [("nonsense", "offset"), ("2026-11-24T09:00", "offset"), ("2026-11-24T12:00:00+01:00", "past"), ("", "offset")],
)
def test_bad_instant(journal: Path, at: str, says: str) -> None:
    for arguments in (("show", "suite"), ("show", "case", "x")):
        answer = jumeau(*arguments, "--at", at)
        assert (answer.exit_code, answer.stdout) == (2, "")
        assert says in answer.stderr


def test_postgres_needs_a_key_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUMEAU_DATABASE_URL", "postgresql://jumeau:zebra99@127.0.0.1:1/jumeau")
    answer = jumeau("run", "--once")
    assert answer.exit_code == 2
    assert "JUMEAU_PRIVACY__KEY_FILE" in answer.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://jumeau:zebra99@127.0.0.1:1/jumeau",
        "postgresql://jumeau:not@zebra99@127.0.0.1:1/jumeau",
        "postgresql://127.0.0.1:1/jumeau?user=jumeau&password=zebra99",
        "mysql://jumeau:zebra99@127.0.0.1:1/jumeau",
    ],
)
@pytest.mark.parametrize("arguments", [("config", "show"), ("db", "status"), ("run", "--once"), ("show", "suite")])
def test_password_is_never_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("JUMEAU_DATABASE_URL", url)
    monkeypatch.setenv("JUMEAU_PRIVACY__KEY_FILE", str(folder / "key"))
    answer = jumeau(*arguments)
    assert answer.exit_code == (0 if arguments[0] == "config" else 2)
    assert "zebra99" not in answer.output
