"""Which server a demo may play on."""

from pathlib import Path

import pytest

from api.demo import _chosen, _is_here
from fixtures.servers.hapi import HapiServer
from fixtures.servers.sekmet import SekmetServer
from twin.errors import SettingsError


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/fhir", "http://localhost/r4", "https://[::1]:8443/fhir"])
def test_this_machine(url: str) -> None:
    assert _is_here(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://fhir.clinic.example/r4",
        "http://127.0.0.1.clinic.example/fhir",
        "http://127.0.0.1@clinic.example/fhir",
        "http://10.0.0.7/fhir",
        "ftp://127.0.0.1/fhir",
        "http://[::1/fhir",
        "hapi",
        "",
    ],
)
def test_not_this_machine(url: str) -> None:
    assert not _is_here(url)


def test_started_here(tmp_path: Path) -> None:
    assert isinstance(_chosen("sekmet", tmp_path), SekmetServer)
    assert isinstance(_chosen("hapi", tmp_path), HapiServer)


def test_hospital_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must never get onto a hospital's server"):
        _chosen("https://fhir.clinic.example/r4", tmp_path)
