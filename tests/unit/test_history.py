"""Histories of types as servers tell them, and what is made of entries without a resource."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
import pytest

from fhir_adapters.client import FhirClient
from fhir_adapters.errors import RefusedError, ThrottledError
from fhir_adapters.history import Past, confirm_gone, read_history, read_versions, version_texts
from fhir_adapters.sync import ignored_filters
from tests.strangers.resources import location
from tests.strangers.server import Stranger
from tests.strangers.traits import Traits
from tests.unit.fhir_samples import APPOINTMENT, BASE, NORMALISER, NOW, changed
from twin.facts import Deleted

SINCE = {"Appointment": datetime(2026, 11, 24, 7, tzinfo=UTC)}
Answer = Callable[[httpx.Request], httpx.Response]


def version(number: int, at: str = "2026-11-24T08:00:00Z") -> dict[str, Any]:
    return {"resource": changed(APPOINTMENT, meta={"versionId": str(number), "lastUpdated": at})}


def bundle(*entries: Any, following: str = "") -> httpx.Response:
    links = [{"relation": "next", "url": f"{BASE}/{following}"}] if following else []
    return httpx.Response(200, json={"resourceType": "Bundle", "type": "history", "entry": entries, "link": links})


def client(answer: Answer) -> FhirClient:
    return FhirClient(BASE, transport=httpx.MockTransport(answer), backoff_s=0.0)


async def past(*entries: Any) -> Past:
    async with client(lambda _: bundle(*entries)) as made:
        return await read_history(made, NORMALISER, SINCE, observed_at=NOW)


async def test_every_version_and_the_question() -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return bundle(version(3), following="Appointment/_history?o=1") if len(asked) == 1 else bundle(version(2))

    async with client(answer) as made:
        found = await read_history(made, NORMALISER, SINCE, overlap_s=10, observed_at=NOW)
    assert [fact.key.version_id for fact in found.versions.facts] == ["3", "2"]
    assert (dict(found.versions.cursor), found.versions.complete) == ({}, frozenset())
    assert dict(asked[0].params) == {"_since": "2026-11-24T06:59:50.000Z", "_count": "200"}


@pytest.mark.parametrize(
    "entry",
    [
        {"request": {"method": "DELETE", "url": "Appointment/x/_history/2"}},
        {"request": {"method": "DELETE", "url": "/Appointment/x"}},
        {"request": {"url": f"{BASE}/Appointment/x/_history/2"}},
        {"fullUrl": f"{BASE}/Appointment/x"},
        {"fullUrl": f"{BASE}/Appointment/x", "request": {"method": "DELETE", "url": "?"}, "response": 3},
    ],
)
async def test_an_entry_without_a_resource_is_a_hint(entry: dict[str, Any]) -> None:
    assert (await past(version(1), entry)).gone == {"Appointment/x": None}


async def test_the_time_of_a_delete() -> None:
    request = {"method": "DELETE", "url": "Appointment/x"}
    told = {"request": request, "response": {"lastModified": "2026-11-24T09:30:00+01:00"}}
    assert (await past(told)).gone == {"Appointment/x": datetime(2026, 11, 24, 8, 30, tzinfo=UTC)}


@pytest.mark.parametrize(
    "url", ["Patient/x", "Appointment", "https://elsewhere/Appointment/x", "Appointment/a b", "", 7]
)
async def test_no_hints(url: object) -> None:
    assert (await past({"request": {"method": "DELETE", "url": url}}, None, 3)).gone == {}


async def test_a_server_that_ignores_since() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode())
        old = f"2026-11-{20 - len(asked)}T08:00:00Z"
        return bundle(version(9 - len(asked), old), following=f"Appointment/_history?page={len(asked) + 1}")

    async with client(answer) as made:
        await read_history(made, NORMALISER, SINCE)
    assert len(asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 501])
async def test_no_history_here(status: int) -> None:
    async with client(lambda _: httpx.Response(status)) as made:
        found = await read_history(made, NORMALISER, SINCE)
        _, missing = await read_versions(made, NORMALISER, ["Appointment/a1"])
    assert found.not_offered == {"Appointment"}
    assert missing == {"Appointment/a1"}


async def test_a_server_that_is_away_is_an_error() -> None:
    async with client(lambda _: httpx.Response(503, headers={"Retry-After": "0"})) as made:
        with pytest.raises(ThrottledError):
            await read_history(made, NORMALISER, SINCE)
        with pytest.raises(ThrottledError):
            await read_versions(made, NORMALISER, ["Appointment/a1"])


async def test_a_direct_read_decides() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        there = request.url.path.endswith("/a1")
        return httpx.Response(200, json=APPOINTMENT) if there else httpx.Response(410)

    told = datetime(2026, 11, 24, 8, tzinfo=UTC)
    async with client(answer) as made:
        found = await confirm_gone(made, NORMALISER, {"Appointment/a1": told, "Appointment/x": told}, NOW)
    there, gone = found.facts
    assert there.key.ref == "Appointment/a1"
    assert (gone.key.ref, gone.key.last_updated, gone.assertion) == ("Appointment/x", told, Deleted())


async def test_a_refused_read_decides_nothing() -> None:
    async with client(lambda _: httpx.Response(403)) as made:
        with pytest.raises(RefusedError):
            await confirm_gone(made, NORMALISER, {"Appointment/x": None})


async def test_all_versions_of_one() -> None:
    gone = {"request": {"method": "DELETE", "url": "Appointment/a1"}}
    async with client(lambda _: bundle(version(3), gone, version(1))) as made:
        found, missing = await read_versions(made, NORMALISER, ["Appointment/a1"])
    assert [fact.key.version_id for fact in found.facts] == ["3", "1"]
    assert (found.quarantined, missing) == ((), frozenset())


@pytest.mark.parametrize("status", [400, 422, 500, 501])
async def test_versions_without_since(status: int) -> None:
    asked: list[bool] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append("_since" in request.url.params)
        return httpx.Response(status) if asked[-1] else bundle(version(1))

    async with client(answer) as made:
        found, missing = await read_versions(made, NORMALISER, ["Appointment/a1"])
    assert (len(found.facts), missing, asked) == (1, frozenset(), [True, False])


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_texts_newest_first(status: Literal[200, 400], order: Literal["newest", "oldest"]) -> None:
    traits = Traits(history_since=status, history_order=order, version_ids="uuid")
    with Stranger(traits, location("s1", "Salle 1")) as server:
        await asyncio.sleep(0.01)  # told in milliseconds: both must differ
        server.edit("Location/s1", name="Salle 2")
        async with FhirClient(server.url) as made:
            names = [json.loads(text)["name"] for text in await version_texts(made, "Location/s1")]
            assert await version_texts(made, "Location/nobody") == []
    assert names == ["Salle 2", "Salle 1"]


@pytest.mark.parametrize(
    ("link", "ignored"),
    [
        (f"{BASE}/Appointment?date=ge2026-11-21&_count=200", []),
        (f"{BASE}/Appointment?date%3Amissing=false", []),
        (f"{BASE}/Appointment?_count=200", ["date"]),
        (f"{BASE}/Appointment", ["date"]),
        (f"{BASE}?_getpages=1234", []),
        (None, []),
        ("x", []),
        ("http://[", []),
    ],
)
def test_the_self_link_tells_ignored_filters(link: str | None, ignored: list[str]) -> None:
    params = [("date", "ge2026-11-21"), ("date", "le2026-12-25"), ("_sort", "_id"), ("_count", "200")]
    assert ignored_filters(link, "Appointment", params) == ignored
