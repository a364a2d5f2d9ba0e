"""`jumeau clinic generate` as an installed command: into files, onto a real FHIR server, refused in one line."""

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


@pytest.fixture
def clinic(tmp_path: Path, warm: Warm) -> Jumeau:
    """An installation whose server isn't there."""
    return Jumeau(tmp_path, "http://127.0.0.1:9/fhir", warm=warm, settings=())


def test_week_in_files(clinic: Jumeau) -> None:
    told = clinic(*ASKED, "--out", "week")
    assert (told.code, told.err) == (0, "")
    assert "cases of 7 days, 2026-11-20 to 2026-11-26, as known at 2026-11-24T11:00+01:00" in told.out
    assert (clinic.folder / "week" / "ServiceRequest.ndjson").exists()


def test_period_ends_today(clinic: Jumeau) -> None:
    asked = ("clinic", "generate", "--period", "day", "--at", NOW, "--format", "transactions", "--out", "day")
    assert "cases of 1 day," in clinic(*asked).out
    assert (clinic.folder / "day" / "2026-11-24.json").exists()


def test_nobody_at_the_address(clinic: Jumeau) -> None:
    told = clinic(*ASKED, "--to", clinic.url)
    assert (told.code, told.out) == (3, "")
    assert "stopped at 0000-places-and-staff" in told.complaint


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("--period", "week"), "--out DIR or --to URL"),
        (("--out", "x", "--at", "2026-11-24"), "say --period"),
        (("--out", "x", "--period", "week", "--rooms", "3"), "whole clinic"),
        (("--out", "x", "--period", "year", "--day", "2200-01-01"), "2011 to 2099"),
        (("--out", "twin.toml", "--period", "day"), "can't be written"),
        (("--out", "twin.toml"), "can't be written"),
        (("--to", "ftp://x", "--period", "day"), "http"),
    ],
)
def test_refusals(clinic: Jumeau, asked: tuple[str, ...], says: str) -> None:
    (clinic.folder / "twin.toml").write_text("")
    told = clinic("clinic", "generate", *asked)
    assert (told.code, told.out) == (2, "")
    assert says in told.complaint
