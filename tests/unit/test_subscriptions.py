"""Our Subscriptions through the real client against a small server in memory."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from fhir_adapters import subscriptions
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import BadAnswerError, RefusedError
from fhir_adapters.subscriptions import Hook

BASE = "http://his.test/fhir"
SOURCE = "urn:uuid:6f1c3a52-0b7d-4b5e-9a64-3d0f3c1f8a11"
UNTIL = datetime(2026, 11, 25, 7, 0, tzinfo=UTC)
HOOK = Hook("http://127.0.0.1:8000/push/name", "s3cret")


@dataclass
class Server:
    """Subscriptions by id, and how creating one is answered."""

    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: int = 0
    refuses: int = 0
    knows_extension: bool = True
    answers: str = "body"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        one = request.url.path.removeprefix("/fhir/Subscription").strip("/")
        if self.refuses:
            return httpx.Response(self.refuses)
        if request.method == "POST":
            return self._made(json.loads(request.content))
        if not one:
            entries = [{"resource": resource} for resource in self.held.values()]
            return httpx.Response(200, json={"resourceType": "Bundle", "entry": [*entries, {"resource": 1}, 2]})
        if one not in self.held:
            return httpx.Response(404)
        if request.method == "DELETE":
            del self.held[one]
            return httpx.Response(204)
        return httpx.Response(200, json=self.held[one])

    def _made(self, body: dict[str, Any]) -> httpx.Response:
        if "extension" in body["channel"] and not self.knows_extension:
            return httpx.Response(422)
        one = f"s{self.made}"
        self.made += 1
        self.held[one] = {**body, "id": one, "status": "active"}
        place = {"Location": f"{BASE}/Subscription/{one}/_history/1"}
        return {
            "body": httpx.Response(201, json=self.held[one]),
            "location": httpx.Response(201, headers=place),
            "nothing": httpx.Response(201),
        }[self.answers]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[FhirClient]:
    async with FhirClient(BASE, transport=httpx.MockTransport(server), backoff_s=0.0) as one:
        yield one


async def made(client: FhirClient, source: str = SOURCE) -> str:
    return await subscriptions.create(client, "Appointment", HOOK, source=source, until=UNTIL)


async def test_asks_for_empty_notifications(client: FhirClient, server: Server) -> None:
    assert await made(client) == "Subscription/s0"
    body = server.held["s0"]
    assert (body["criteria"], body["end"]) == ("Appointment?", "2026-11-25T07:00:00Z")
    assert SOURCE in body["reason"]
    assert body["channel"] == {
        "type": "rest-hook",
        "endpoint": HOOK.endpoint,
        "header": ["X-Jumeau-Secret: s3cret"],
        "extension": [{"url": subscriptions.SEND_DELETES, "valueBoolean": True}],
    }


async def test_does_without_word_for_deletes(client: FhirClient, server: Server) -> None:
    server.knows_extension = False
    await made(client)
    assert "extension" not in server.held["s0"]["channel"]


async def test_id_from_location(client: FhirClient, server: Server) -> None:
    server.answers = "location"
    assert await made(client) == "Subscription/s0"


async def test_id_is_needed(client: FhirClient, server: Server) -> None:
    server.answers = "nothing"
    with pytest.raises(BadAnswerError, match="no id"):
        await made(client)


async def test_finds_and_removes_ours_only(client: FhirClient, server: Server) -> None:
    await made(client)
    await made(client, "urn:uuid:another")
    ours = await subscriptions.find_ours(client, SOURCE)
    assert ours == ["Subscription/s0"]
    assert await subscriptions.remove(client, [*ours, "Subscription/gone"]) == 1
    assert list(server.held) == ["s1"]


async def test_finds_none_where_not_offered(client: FhirClient, server: Server) -> None:
    server.refuses = 404
    assert await subscriptions.find_ours(client, SOURCE) == []


@pytest.mark.parametrize("status", [401, 403])
async def test_refusal_is_told(client: FhirClient, server: Server, status: int) -> None:
    server.refuses = status
    with pytest.raises(RefusedError):
        await made(client)


@pytest.mark.parametrize(
    ("told", "state"), [("active", "active"), ("requested", "requested"), ("off", "off"), ("error", "error")]
)
async def test_state(client: FhirClient, server: Server, told: str, state: str) -> None:
    ref = await made(client)
    server.held["s0"]["status"] = told
    assert await subscriptions.state_of(client, ref) == state


@pytest.mark.parametrize("told", [None, "banana", 7, ["active"]])
async def test_unknown_state_is_error(client: FhirClient, server: Server, told: object) -> None:
    ref = await made(client)
    server.held["s0"]["status"] = told
    assert await subscriptions.state_of(client, ref) == "error"


async def test_state_of_none(client: FhirClient) -> None:
    assert await subscriptions.state_of(client, "Subscription/gone") == "missing"


def test_secret_is_not_shown() -> None:
    assert "s3cret" not in repr(HOOK)
    assert "name" not in repr(HOOK)
