"""The living clinic on HAPI that the demo starts, and on a server that runs already."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fixtures.servers.sekmet import SekmetServer
from tests.strangers import plain
from tests.strangers.cli import JUMEAU, Jumeau

pytestmark = pytest.mark.servers

ENDS_WITHIN_S = 400.0


def checked(folder: Path, fhir: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What half a minute of the demo prints first and last."""
    told = subprocess.run(
        [JUMEAU, "demo", "--minutes", "0.5", "--check", "--json", "--fhir", fhir],
        env=Jumeau(folder, "http://127.0.0.1:9/fhir").environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    first, last = map(json.loads, told.stdout.splitlines())
    assert last["checked"] > 20
    return first, last


def test_on_hapi(tmp_path: Path) -> None:
    first, verdict = checked(tmp_path, "hapi")
    assert verdict["p95_s"] < 30, "3 s alone; this machine may have other things to do"
    with pytest.raises(ConnectionRefusedError):
        plain.request("GET", f"{first['fhir']}/metadata")


def test_on_a_server_that_runs(tmp_path: Path) -> None:
    with SekmetServer(tmp_path / "sekmet", 0) as server:
        first, _ = checked(tmp_path, server.base_url)
        assert first["fhir"] == server.base_url
        assert plain.get(f"{server.base_url}/Appointment?_count=1")["entry"], "it goes on, with the clinic on it"


def test_hospital_is_refused(tmp_path: Path) -> None:
    told = Jumeau(tmp_path, "http://127.0.0.1:9/fhir")("demo", "--fhir", "https://fhir.clinic.example/r4")
    assert (told.code, told.out) == (2, "")
    assert "this machine" in told.complaint
