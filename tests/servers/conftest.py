"""The servers that the contract is measured on, each started once, and what was measured."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from fhir_adapters.client import FhirClient
from fixtures.servers.hapi import HapiServer
from fixtures.servers.local import LocalServer
from fixtures.servers.sekmet import SekmetServer
from tests.servers.bench import PATIENT, Bench, new_tag
from tests.servers.table import Measured
from tests.strangers import plain

SERVERS: dict[str, type[SekmetServer] | type[HapiServer]] = {"sekmet": SekmetServer, "hapi": HapiServer}


@dataclass(frozen=True, slots=True)
class Running:
    """One server of the suite."""

    name: str
    url: str


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The table is compared when everything was measured, whatever order the servers are grouped in."""
    items.sort(key=lambda item: item.path.name == "test_table.py")


@pytest.fixture(scope="session")
def measured() -> Measured:
    return Measured()


@pytest.fixture(scope="session", params=list(SERVERS))
def server(
    request: pytest.FixtureRequest, measured: Measured, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A server that holds one Patient. What it needs and is not there fails with the line that installs it."""
    name: str = request.param
    with ExitStack() as stack:
        started: LocalServer = stack.enter_context(SERVERS[name](tmp_path_factory.mktemp(name), 0))
        measured.servers[name] = _version(name, started.base_url)
        person = {"resourceType": "Patient", "id": PATIENT.partition("/")[2]}
        assert plain.request("PUT", f"{started.base_url}/{PATIENT}", person)[0] in (200, 201)
        yield Running(name, started.base_url)


def _version(name: str, url: str) -> str:
    """Software and version. What sekmet says of itself lags behind its package."""
    if name == "sekmet":
        return f"sekmet-fhir {version('sekmet-fhir')}"
    software = plain.get(f"{url}/metadata")["software"]
    return f"{software['name']} {software['version']}"


@pytest.fixture
async def bench(server: Running, tmp_path: Path) -> AsyncIterator[Bench]:
    async with FhirClient(server.url, max_in_flight=16) as client:
        yield Bench(client, server.url, tmp_path, new_tag())
