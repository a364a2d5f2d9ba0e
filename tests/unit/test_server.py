"""What a server says that it can do."""

from typing import Any

import httpx
import pytest

from fhir_adapters.client import FhirClient
from fhir_adapters.errors import ThrottledError, UnreachableError, WrongServerError
from fhir_adapters.server import ServerCapabilities, capabilities_of, probe

STATEMENT: dict[str, Any] = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "software": {"name": "Some Server", "version": "8.8.0"},
    "format": ["application/fhir+json", "json"],
    "patchFormat": ["application/json-patch+json"],
    "rest": [
        {
            "mode": "server",
            "interaction": [{"code": "transaction"}],
            "searchParam": [{"name": "_lastUpdated"}],
            "resource": [
                {
                    "type": "Appointment",
                    "interaction": [{"code": "read"}, {"code": "patch"}, {"code": "history-type"}],
                    "versioning": "versioned-update",
                    "conditionalUpdate": True,
                    "updateCreate": True,
                    "searchParam": [{"name": "date", "type": "date"}],
                    "searchInclude": ["Appointment:patient"],
                },
                {"type": "Location"},
            ],
        }
    ],
}


def saying(answer: httpx.Response) -> FhirClient:
    return FhirClient("http://his.test/fhir", transport=httpx.MockTransport(lambda _: answer), backoff_s=0.0)


def test_a_whole_statement() -> None:
    found = capabilities_of(STATEMENT)
    assert (found.told, found.fhir_version, found.name) == (True, "4.0.1", "Some Server 8.8.0")
    assert found.interactions == {"transaction"}
    assert found.types["Appointment"].includes == {"Appointment:patient"}
    assert found.types["Appointment"].conditional_update
    assert found.types["Appointment"].update_create


def test_what_is_offered() -> None:
    found = capabilities_of(STATEMENT)
    assert found.offers("Appointment", "history-type") is True
    assert found.offers("Appointment", "delete") is False
    assert found.offers("Slot", "read") is False
    assert found.offers("Location", "read") is None
    assert found.offers_param("Appointment", "_lastUpdated") is True
    assert found.offers_param("Appointment", "status") is False
    assert found.offers_param("Location", "status") is None


def test_patch_and_if_match() -> None:
    found = capabilities_of(STATEMENT)
    assert found.json_patch("Appointment") is True
    assert found.json_patch("Slot") is False
    assert found.heeds_if_match("Appointment") is True
    assert found.heeds_if_match("Location") is None
    assert capabilities_of({**STATEMENT, "patchFormat": ["application/fhir+json"]}).json_patch("Appointment") is False
    assert capabilities_of({**STATEMENT, "patchFormat": None}).json_patch("Appointment") is None


@pytest.mark.parametrize(
    "statement",
    [
        None,
        [],
        "x",
        {},
        {"rest": None},
        {"rest": "x", "software": 3, "fhirVersion": ["4.0.1"]},
        {"rest": [None, {"resource": [None, 7, {"type": 5}, {"type": "a/b"}]}]},
    ],
)
def test_nonsense_says_nothing(statement: object) -> None:
    found = capabilities_of(statement)
    assert not found.types
    assert found.is_r4
    assert found.offers("Appointment", "patch") is None
    assert found.json_patch("Appointment") is None


def test_odd_but_understood() -> None:
    found = capabilities_of({"rest": {"resource": {"type": "Slot", "interaction": {"code": "read"}}}, "format": "json"})
    assert found.offers("Slot", "read") is True
    assert found.formats == {"json"}


def test_a_client_section_is_not_the_server() -> None:
    rest = [{"mode": "client", "resource": [{"type": "Slot"}]}]
    assert capabilities_of({"rest": rest}).offers_type("Slot") is None


@pytest.mark.parametrize(
    ("said", "r4"), [("4.0.1", True), ("4.3.0", True), ("R4", True), ("5.0.0", False), ("3.0.2", False)]
)
def test_versions(said: str, r4: bool) -> None:
    assert capabilities_of({"fhirVersion": said}).is_r4 is r4


async def test_another_version_is_refused() -> None:
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0"}
    async with saying(httpx.Response(200, json=statement)) as client:
        with pytest.raises(WrongServerError, match=r"FHIR 5\.0\.0: give the base URL"):
            await probe(client)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 500])
async def test_without_a_statement_nothing_is_known(status: int) -> None:
    async with saying(httpx.Response(status)) as client:
        assert await probe(client) == ServerCapabilities()


async def test_a_statement_that_is_a_page() -> None:
    async with saying(httpx.Response(200, text="<html>")) as client:
        assert await probe(client) == ServerCapabilities()


@pytest.mark.parametrize(("status", "error"), [(503, ThrottledError), (502, UnreachableError)])
async def test_a_server_that_is_away(status: int, error: type[Exception]) -> None:
    async with saying(httpx.Response(status, headers={"Retry-After": "0"})) as client:
        with pytest.raises(error):
            await probe(client)
