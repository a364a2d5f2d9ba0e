"""The guard before a public server: what may leave, and what may not."""

import json
from typing import Any

import httpx
import pytest

from fhir_adapters.client import FhirClient
from fixtures.clinic.catalogue import TAGS
from tests.sandbox.guard import Guard, NotSentError, clean, guarded_client, new_run, refuse, tagged
from tests.strangers.resources import appointment, location
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits

BASE = "https://sandbox.example/baseR4"
RUN = "jumeau-0123456789ab"
ROOM = tagged(location("s1", "Salle 1"), RUN)
REF = f"Location/{RUN}-s1"


def request(method: str, way: str, body: Any = None, **headers: str) -> httpx.Request:
    content = None if body is None else json.dumps(body).encode()
    return httpx.Request(method, f"{BASE}{way}", content=content, headers=headers)


def bundle(resource: dict[str, Any], method: str = "PUT", url: str = REF) -> dict[str, Any]:
    return {"resourceType": "Bundle", "entry": [{"resource": resource, "request": {"method": method, "url": url}}]}


@pytest.mark.parametrize(
    "allowed",
    [
        request("GET", "/Appointment?_count=1"),
        request("PUT", f"/{REF}", ROOM),
        request("PATCH", f"/{REF}", []),
        request("DELETE", f"/{REF}"),
        request("POST", "", bundle(ROOM)),
    ],
    ids=lambda one: one.method,
)
async def test_may_leave(allowed: httpx.Request) -> None:
    sent: list[httpx.Request] = []
    inner = httpx.MockTransport(lambda one: sent.append(one) or httpx.Response(200, json={}))  # type: ignore[func-returns-value]
    await Guard(BASE, RUN, inner, gap_s=0).handle_async_request(allowed)
    assert sent == [allowed]


def without(code: str) -> dict[str, Any]:
    return {**ROOM, "meta": {"tag": [tag for tag in ROOM["meta"]["tag"] if tag["code"] != code]}}


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        (request("GET", "/Appointment", Authorization="Bearer x"), "authorization"),
        (request("GET", "/Appointment", Cookie="x=1"), "cookie"),
        (httpx.Request("GET", "https://elsewhere.example/baseR4/Appointment"), "another place"),
        (httpx.Request("GET", f"{BASE}x/Appointment"), "another place"),
        (request("PUT", f"/{REF}", without("synthetic")), "not tagged"),
        (request("PUT", f"/{REF}", without(RUN)), "not tagged"),
        (request("PUT", f"/{REF}", {"resourceType": "Location"}), "not tagged"),
        (request("PUT", f"/{REF}", {**ROOM, "meta": {"tag": [{"code": "synthetic"}, {"code": RUN}]}}), "not tagged"),
        (request("PUT", f"/{REF}", [ROOM]), "no resource"),
        (request("PUT", "/Location/theirs", ROOM), "did not make"),
        (request("PATCH", "/Location/theirs", []), "did not make"),
        (request("DELETE", "/Location/theirs"), "did not make"),
        (request("DELETE", f"/Location?_tag={RUN}"), "did not make"),
        (request("DELETE", f"/Location/{RUN}"), "did not make"),
        (request("POST", "/Location", ROOM), "POST"),
        (request("POST", "", bundle(without("synthetic"))), "not tagged"),
        (request("POST", "", bundle(ROOM, url="Location/theirs")), "did not make"),
        (request("POST", "", bundle(ROOM, method="DELETE")), "PUTs only"),
    ],
)
def test_must_not_leave(refused: httpx.Request, says: str) -> None:
    with pytest.raises(NotSentError, match=says):
        refuse(refused, BASE, RUN)


def test_runs_differ() -> None:
    assert new_run() != new_run()
    assert len(f"{new_run()}-a1") < 64


async def test_refused_before_anything_is_sent() -> None:
    sent: list[httpx.Request] = []
    inner = httpx.MockTransport(lambda one: sent.append(one) or httpx.Response(200, json={}))  # type: ignore[func-returns-value]
    async with FhirClient(BASE, transport=Guard(BASE, RUN, inner, gap_s=0)) as client:
        with pytest.raises(NotSentError):
            await client.update("Location/x", {"resourceType": "Location", "id": "x"}, if_match=None)
    assert sent == []


async def test_no_credentials_leave() -> None:
    guard = Guard(BASE, RUN, httpx.MockTransport(lambda _: httpx.Response(200, json={})), gap_s=0)
    async with FhirClient(BASE, transport=guard, headers={"Authorization": "Basic eDp5"}) as client:
        with pytest.raises(NotSentError, match="authorization"):
            await client.get("Location")


async def test_one_request_a_second() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    guard = Guard(BASE, RUN, httpx.MockTransport(lambda _: httpx.Response(200, json={})), sleep=sleep)
    async with FhirClient(BASE, transport=guard) as client:
        for _ in range(3):
            await client.get("Location")
    assert len(waited) == 2
    assert all(0.5 < seconds <= 1 for seconds in waited)


async def test_clean_takes_its_own_only() -> None:
    theirs = {**location("theirs", "Salle 2"), "meta": {"tag": [{"system": TAGS, "code": RUN}]}}
    mine = tagged(appointment("a1", None, "08:00", "09:00"), RUN)
    with Stranger(Traits(), ROOM, mine, theirs) as server:
        async with guarded_client(server.url, RUN, gap_s=0) as client:
            assert await clean(client, RUN) == []
        left = {ref for ref, versions in server.store.held.items() if versions[-1].resource}
    assert left == {"Location/theirs"}
