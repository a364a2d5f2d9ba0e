"""`new` of `sync` and `run --once` counts what the journal did not have, on both kinds of database."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from api.cli import app
from tests.strangers.resources import at, morning
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits
from tests.unit.fhir_samples import APPOINTMENT, changed


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUMEAU_DATABASE_URL", lasting_url)
    monkeypatch.setenv("JUMEAU_PRIVACY__KEY_FILE", str(tmp_path / "key"))
    yield
    structlog.reset_defaults()  # the command's logs go to its own stderr


def told(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_folder_twice(tmp_path: Path) -> None:
    lines = [json.dumps(changed(APPOINTMENT, id=f"a{number}")) for number in range(30)]
    (tmp_path / "a.ndjson").write_text("\n".join(lines))
    reports = [told("sync", "--from", str(tmp_path)) for _ in range(2)]
    assert [(one["facts"], one["new"]) for one in reports] == [(30, 30), (30, 0)]


def test_server_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with Stranger(Traits(), *morning()) as server:
        monkeypatch.setenv("JUMEAU_FHIR__BASE_URL", server.url)
        run = ("run", "--once", "--at", at("10:30"))
        first, again = told(*run), told("sync")
        server.edit("Appointment/a5", status="cancelled")
        last = told(*run)
    assert first["new"] == first["facts"] == last["facts"] > 5
    assert (again["new"], last["new"]) == (0, 1)
