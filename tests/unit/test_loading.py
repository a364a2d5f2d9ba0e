"""`jumeau sync`: folders and the server into the journal, told as JSON."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from api.cli import app
from tests.strangers.resources import morning
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits
from tests.unit.fhir_samples import APPOINTMENT, ENCOUNTER, changed


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """The command sets up logs on its own stderr: not those of the tests after it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "export"
    made.mkdir()
    lines = [json.dumps(changed(APPOINTMENT, id=f"a{number}")) for number in range(30)]
    (made / "Appointment.ndjson").write_text("\n".join([*lines, "{", json.dumps({"resourceType": "Device"})]))
    return made


def synced(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(app, ["sync", "--json", *arguments])
    assert result.exit_code == 0, result.stderr
    told: dict[str, object] = json.loads(result.stdout)
    return told


def test_folder_is_told(folder: Path) -> None:
    told = synced("--from", str(folder))
    assert (told["resources"], told["facts"], told["quarantined"], told["ignored"]) == (32, 30, 1, {"Device": 1})
    assert told["server"] == "http://127.0.0.1:8090/fhir"
    assert told["reasons"] == {"the body is not JSON in UTF-8": 1}


def test_twice_is_once(folder: Path) -> None:
    from twin.journal import Journal

    for _ in range(2):
        synced("--from", str(folder))
    from fhir_adapters.pseudonyms import Pseudonyms, load_or_create_key

    key = load_or_create_key(Path("jumeau.db.key"))
    journal = Journal.open("sqlite:///jumeau.db", key_fingerprint=Pseudonyms(key).fingerprint)
    assert journal.counts()["fact"] == 30
    journal.close()


def test_a_damaged_file_costs_itself_only(folder: Path) -> None:
    (folder / "A.ndjson.gz").write_bytes(gzip.compress(json.dumps(ENCOUNTER).encode())[:40])
    told = synced("--from", str(folder))
    assert (told["facts"], told["quarantined"]) == (30, 2)


def test_a_file_that_goes_away_costs_itself_only(folder: Path) -> None:
    from api.loading import _Source

    (folder / "B.ndjson").write_text(json.dumps(ENCOUNTER))
    source = _Source(sorted(folder.iterdir()), "http://his.example/fhir")
    (folder / "Appointment.ndjson").unlink()
    assert [chunk.place for chunk in source.chunks()] == ["B.ndjson"]
    assert [len(texts.quarantined) for texts in source.failed()] == [1]
    assert source.done == source.total


def test_empty_folder_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["sync", "--from", str(tmp_path)])
    assert result.exit_code == 2
    assert "holds no" in result.stderr


def test_server_into_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Stranger(Traits(), *morning()) as server:
        monkeypatch.setenv("JUMEAU_FHIR__BASE_URL", server.url)
        told = synced()
        assert told["facts"] == told["resources"] != 0
        assert {method for method, _ in server.requests} == {"GET"}
