"""A week of the clinic on a real FHIR server, made and read by the installed command."""

from pathlib import Path

import pytest

from fixtures.servers.sekmet import SekmetServer
from tests.strangers.cli import Jumeau, Warm

pytestmark = pytest.mark.server

NOW = "2026-11-24T11:00+01:00"
ASKED = ("clinic", "generate", "--period", "week", "--from", "2026-11-20", "--at", NOW, "--seed", "5")


def test_week_on_a_server(tmp_path: Path, warm: Warm) -> None:
    (tmp_path / "fhir").mkdir()
    with SekmetServer(tmp_path / "fhir", port=0) as server:
        clinic = Jumeau(tmp_path, server.base_url, warm=warm, settings=())
        loaded = clinic(*ASKED, "--to", server.base_url)
        assert loaded.code == 0, loaded.err
        first = clinic.once(NOW).report
        assert (len(first["rooms"]), first["quarantined"]) == (14, 0)
        assert 250 <= first["cases"] <= 420
        assert first["predictions"] >= 100
        assert clinic(*ASKED, "--to", server.base_url).code == 0
        again = clinic.once(NOW).report
        assert (again["cases"], again["predictions"]) == (first["cases"], first["predictions"])
