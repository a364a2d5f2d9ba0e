"""The client against a server of wires: paging, guards, waiting, and what each answer means."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import respx

from fhir_adapters.client import FhirClient, Page
from fhir_adapters.errors import (
    AdapterError,
    BadAddressError,
    BadAnswerError,
    ConflictError,
    FhirServerError,
    GoneError,
    NotFoundError,
    RefusedError,
    RejectedError,
    SlowError,
    ThrottledError,
    UnreachableError,
)

BASE = "https://fhir.clinic.fr/r4"


@pytest.fixture
async def client() -> AsyncIterator[FhirClient]:
    async with FhirClient(BASE, backoff_s=0.001, deadline_s=5, headers={"Authorization": "Bearer x"}) as made:
        yield made


def bundle(*links: tuple[str, str], **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "link": [{"relation": relation, "url": url} for relation, url in links],
        **elements,
    }


async def pages(client: FhirClient, **options: Any) -> list[Page]:
    return [page async for page in client.search("Appointment", [("_count", "2")], **options)]


# Reading


@respx.mock
async def test_follows_next_as_given(client: FhirClient) -> None:
    following = f"{BASE}?_getpages=t%2Bk&_getpagesoffset=2"
    first = respx.get(f"{BASE}/Appointment", params={"_count": "2"}).respond(json=bundle(("next", following)))
    second = respx.get(BASE, params={"_getpages": "t+k", "_getpagesoffset": "2"}).respond(json=bundle())
    assert [page.number for page in await pages(client)] == [1, 2]
    assert str(second.calls.last.request.url) == following
    assert first.calls.last.request.headers["cache-control"] == "no-cache"
    assert first.calls.last.request.headers["accept"] == "application/fhir+json, application/json;q=0.9"


@respx.mock
async def test_follows_relative_next(client: FhirClient) -> None:
    respx.get(f"{BASE}/Appointment", params={"page": "2"}).respond(json=bundle())
    respx.get(f"{BASE}/Appointment", params={"_count": "2"}).respond(json=bundle(("next", "Appointment?page=2")))
    assert len(await pages(client)) == 2


@pytest.mark.parametrize(
    "following",
    [
        "https://fhir.clinic.fr/r4/../admin",
        "https://fhir.clinic.fr/r4%2e%2e/",
        "https://fhir.clinic.fr.evil.com/r4/Appointment",
        "https://fhir.clinic.fr@evil.com/r4/Appointment",
        "http://fhir.clinic.fr/r4/Appointment",
    ],
)
@respx.mock
async def test_refuses_next_elsewhere(client: FhirClient, following: str) -> None:
    respx.get(f"{BASE}/Appointment").respond(json=bundle(("next", following)))
    with pytest.raises(BadAnswerError, match="not followed"):
        await pages(client)
    assert len(respx.calls) == 1


@respx.mock
async def test_stops_on_repeated_next(client: FhirClient) -> None:
    respx.get(f"{BASE}/Appointment").respond(json=bundle(("next", f"{BASE}/Appointment?page=2")))
    with pytest.raises(BadAnswerError, match="leads back"):
        await pages(client)


@respx.mock
async def test_stops_at_page_cap(client: FhirClient) -> None:
    numbers = iter(range(100))
    respx.get(f"{BASE}/Appointment").mock(
        side_effect=lambda request: httpx.Response(200, json=bundle(("next", f"?page={next(numbers)}")))
    )
    with pytest.raises(BadAnswerError, match="3 pages"):
        await pages(client, max_pages=3)


@respx.mock
async def test_page_tells_server_time(client: FhirClient) -> None:
    date = {"Date": "Tue, 24 Nov 2026 09:00:00 GMT"}
    route = respx.get(f"{BASE}/Appointment")
    route.respond(json=bundle(("self", "x"), meta={"lastUpdated": "2026-11-24T08:59:58.5Z"}), headers=date)
    (page,) = await pages(client)
    assert str(page.server_time) == "2026-11-24 08:59:58.500000+00:00"
    assert page.self_link == "x"
    route.respond(json=bundle(), headers=date)
    assert str((await pages(client))[0].server_time) == "2026-11-24 09:00:00+00:00"
    route.respond(json=bundle(), headers={"Date": "yesterday"})
    assert (await pages(client))[0].server_time is None


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"resourceType": "OperationOutcome"}', b'{"a": NaN}'])
@respx.mock
async def test_page_that_is_no_bundle(client: FhirClient, body: bytes) -> None:
    respx.get(f"{BASE}/Appointment").respond(content=body)
    with pytest.raises(BadAnswerError):
        await pages(client)


@respx.mock
async def test_large_page_is_read(client: FhirClient) -> None:
    respx.get(f"{BASE}/Appointment").respond(json=bundle(entry=[{"resource": {"comment": "x" * 300_000}}]))
    assert len((await pages(client))[0].bundle["entry"]) == 1


def sending(compressed: bytes, **options: Any) -> FhirClient:
    """A client of a server that sends these bytes as gzip."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(compressed), headers={"Content-Encoding": "gzip"})

    return FhirClient(BASE, transport=httpx.MockTransport(answer), **options)


async def test_gzip_bomb_is_cut() -> None:
    async with sending(gzip.compress(b"0" * 3_000_000), max_body_bytes=1_000_000) as client:
        with pytest.raises(BadAnswerError, match="larger than 1000000 bytes"):
            await client.capabilities()


async def test_broken_compression() -> None:
    async with sending(b"not gzip") as client:
        with pytest.raises(BadAnswerError, match="compression"):
            await client.capabilities()


@respx.mock
async def test_unchanged_answers_304(client: FhirClient) -> None:
    route = respx.get(f"{BASE}/Appointment/1").respond(304)
    assert (await client.read("Appointment/1", etag="3")).status == 304
    assert route.calls.last.request.headers["if-none-match"] == 'W/"3"'


@respx.mock
async def test_redirect_is_not_followed(client: FhirClient) -> None:
    respx.get(f"{BASE}/metadata").respond(302, headers={"Location": "https://evil.com/"})
    with pytest.raises(BadAnswerError, match="base URL"):
        await client.capabilities()
    assert len(respx.calls) == 1


@respx.mock
async def test_cookies_are_not_kept(client: FhirClient) -> None:
    route = respx.get(f"{BASE}/Appointment/1").respond(json={}, headers={"Set-Cookie": "session=1; Path=/"})
    await client.read("Appointment/1")
    await client.read("Appointment/1")
    assert "cookie" not in route.calls.last.request.headers


@pytest.mark.parametrize(
    "ref", ["Appointment/..", "Appointment/a/b", "Appointment/%2e%2e", "../metadata", "Appointment"]
)
async def test_bad_reference_sends_nothing(client: FhirClient, ref: str) -> None:
    with respx.mock, pytest.raises(BadAddressError):
        await client.read(ref)
    with respx.mock, pytest.raises(BadAddressError):
        await client.delete(ref)


async def test_bad_names_send_nothing(client: FhirClient) -> None:
    with respx.mock, pytest.raises(BadAddressError):
        await client.create("../Appointment", {})
    with respx.mock, pytest.raises(BadAddressError):
        await anext(client.search("Appointment?x=1"))
    with respx.mock, pytest.raises(BadAddressError):
        await client.get("https://evil.com/r4/Patient")
    with respx.mock, pytest.raises(BadAddressError):
        await client.update("Appointment/1", b"{}", if_match='3"\r\nX: y')


def test_refuses_base_with_credentials() -> None:
    with pytest.raises(BadAddressError, match="credentials"):
        FhirClient("https://u:p@fhir.clinic.fr/r4")


def test_httpx_logs_no_addresses() -> None:
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)


# Waiting


@respx.mock
@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_reads_again(client: FhirClient, status: int) -> None:
    answers: list[httpx.Response | Exception | type[Exception]] = [
        httpx.Response(status),
        httpx.ConnectError("down"),
        httpx.Response(200, json={"a": 1}),
    ]
    respx.get(f"{BASE}/Appointment/1").mock(side_effect=answers)
    assert (await client.read("Appointment/1")).json() == {"a": 1}


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "1"},
        {"Retry-After": "Tue, 24 Nov 2026 09:00:01 GMT", "Date": "Tue, 24 Nov 2026 09:00:00 GMT"},
    ],
)
@respx.mock
async def test_waits_as_asked(client: FhirClient, headers: dict[str, str]) -> None:
    respx.get(f"{BASE}/Appointment/1").mock(
        side_effect=[httpx.Response(429, headers=headers), httpx.Response(200, json={})]
    )
    started = asyncio.get_running_loop().time()
    await client.read("Appointment/1")
    assert 1 <= asyncio.get_running_loop().time() - started < 20


@respx.mock
async def test_wait_beyond_deadline_is_told(client: FhirClient) -> None:
    respx.get(f"{BASE}/Appointment/1").respond(503, headers={"Retry-After": "600"})
    with pytest.raises(ThrottledError) as caught:
        await client.read("Appointment/1")
    assert caught.value.retry_after_s == 600
    assert caught.value.temporary
    assert len(respx.calls) == 1


@respx.mock
@pytest.mark.parametrize(("failure", "attempts"), [(httpx.ReadError, 6), (httpx.ConnectError, 3)])
async def test_gives_up_after_attempts(client: FhirClient, failure: type[httpx.RequestError], attempts: int) -> None:
    respx.get(f"{BASE}/Appointment/1").mock(side_effect=failure("10.0.0.1 refused"))
    with pytest.raises(UnreachableError) as caught:
        await client.read("Appointment/1")
    assert "10.0.0.1" not in str(caught.value)
    assert len(respx.calls) == attempts


@respx.mock
async def test_server_error_is_not_repeated(client: FhirClient) -> None:
    respx.get(f"{BASE}/Appointment/1").respond(500)
    with pytest.raises(UnreachableError):
        await client.read("Appointment/1")
    assert len(respx.calls) == 1


async def drip(writer: asyncio.StreamWriter, body: bytes) -> None:
    """A byte every 50 ms, until the other side has gone."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for byte in body:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def test_dripping_server_meets_deadline() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await drip(writer, b" " * 1000)
        except ConnectionError:
            pass  # the client gave up, as it should
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, FhirClient(f"http://127.0.0.1:{port}", deadline_s=0.3, max_in_flight=1) as client:
        for _ in range(2):  # the second finds a free connection
            with pytest.raises(SlowError, match=r"0\.3 s"):
                await client.get("metadata")


async def test_lost_write_is_sent_once() -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, FhirClient(f"http://127.0.0.1:{port}", backoff_s=0.001) as client:
        with pytest.raises(UnreachableError):
            await client.update("Appointment/1", b"{}", if_match="1")
    assert requests == 1


@respx.mock
async def test_in_flight_is_bounded() -> None:
    running = most = 0

    async def slow(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        await asyncio.sleep(0.01)
        running -= 1
        return httpx.Response(200, json={})

    respx.get(url__startswith=BASE).mock(side_effect=slow)
    async with FhirClient(BASE, max_in_flight=3) as client:
        await asyncio.gather(*(client.read(f"Appointment/{number}") for number in range(12)))
    assert most == 3


# Writing


@respx.mock
async def test_guarded_update(client: FhirClient) -> None:
    route = respx.put(f"{BASE}/Appointment/1").respond(200, json={"meta": {"versionId": "4"}})
    answer = await client.update("Appointment/1", b'{"a": 2.50}', if_match="3")
    sent = route.calls.last.request
    assert (sent.headers["if-match"], sent.headers["prefer"]) == ('W/"3"', "return=representation")
    assert sent.headers["content-type"] == "application/fhir+json"
    assert sent.content == b'{"a": 2.50}'
    assert answer.version_id == "4"


@respx.mock
async def test_guarded_patch(client: FhirClient) -> None:
    route = respx.patch(f"{BASE}/Appointment/1").respond(200, json={})
    await client.patch("Appointment/1", [{"op": "test", "path": "/meta/versionId", "value": "3"}], if_match="3")
    assert route.calls.last.request.headers["content-type"] == "application/json-patch+json"
    assert json.loads(route.calls.last.request.content)[0]["op"] == "test"


@respx.mock
async def test_create_delete_transaction(client: FhirClient) -> None:
    respx.post(f"{BASE}/Location").respond(201, headers={"Location": f"{BASE}/Location/7/_history/1"})
    respx.delete(f"{BASE}/Location/7").respond(204)
    respx.post(BASE).respond(200, json=bundle())
    assert (await client.create("Location", {"name": "Salle é"})).version_id == "1"
    assert (await client.delete("Location/7")).status == 204
    assert (await client.transaction(bundle())).json()["resourceType"] == "Bundle"


async def test_body_that_json_cannot_hold(client: FhirClient) -> None:
    for body in ({"a": float("nan")}, {"a": "\ud800"}, {"a": object()}):
        with pytest.raises(AdapterError, match="JSON"):
            await client.create("Location", body)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RejectedError),
        (401, RefusedError),
        (403, RefusedError),
        (404, NotFoundError),
        (405, RejectedError),
        (409, ConflictError),
        (410, GoneError),
        (412, ConflictError),
        (422, RejectedError),
        (429, ThrottledError),
        (500, UnreachableError),
        (503, ThrottledError),
    ],
)
@respx.mock
async def test_meaning_of_status(client: FhirClient, status: int, error: type[FhirServerError]) -> None:
    respx.put(f"{BASE}/Appointment/secret-id").respond(status, text="Dupont")
    with pytest.raises(error) as caught:
        await client.update("Appointment/secret-id", b"{}", if_match="1")
    assert type(caught.value) is error
    assert str(status) in str(caught.value)
    assert str(caught.value).startswith("PUT Appointment: ")
    assert "Dupont" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.body == b"Dupont"
    assert len(respx.calls) == 1


# How strangers call themselves


def elsewhere(following: str, told: str = "http://internal:8080/x/Appointment?_count=2") -> dict[str, Any]:
    return bundle(("self", told), ("next", following))


@pytest.mark.parametrize("query", ["?_getpages=t%2Bk", "/Appointment?page=2", "/_page/2"])
@respx.mock
async def test_a_hidden_servers_links_come_home(client: FhirClient, query: str) -> None:
    respx.get(f"{BASE}/Appointment", params={"_count": "2"}).respond(json=elsewhere(f"http://internal:8080/x{query}"))
    second = respx.get(url=f"{BASE}{query}").respond(json=bundle())
    assert [page.moved for page in await pages(client)] == [True, False]
    assert second.call_count == 1


@pytest.mark.parametrize(
    "following",
    ["http://internal:8080/y?p=2", "http://evil/x?p=2", "http://internal:8080/x/../admin", "http://internal:8080/xy"],
)
@respx.mock
async def test_other_links_do_not(client: FhirClient, following: str) -> None:
    respx.get(f"{BASE}/Appointment").respond(json=elsewhere(following))
    with pytest.raises(BadAnswerError, match="not followed"):
        await pages(client)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@respx.mock
async def test_redirect_below_the_base(client: FhirClient, status: int) -> None:
    respx.get(f"{BASE}/Appointment/1").respond(status, headers={"Location": f"{BASE}/Appointment/1/"})
    respx.get(f"{BASE}/Appointment/1/").respond(json={"id": "1"})
    assert (await client.read("Appointment/1")).json() == {"id": "1"}


@pytest.mark.parametrize("target", ["http://evil/r4/Appointment/1", "/login", f"{BASE}/Appointment/1", ""])
@respx.mock
async def test_redirect_elsewhere_or_in_circles(client: FhirClient, target: str) -> None:
    here = respx.get(f"{BASE}/Appointment/1").respond(302, headers={"Location": target} if target else {})
    with pytest.raises(BadAnswerError, match="redirects"):
        await client.read("Appointment/1")
    assert here.call_count <= 4
    assert len(respx.calls) == here.call_count


@respx.mock
async def test_writes_are_not_redirected(client: FhirClient) -> None:
    respx.put(f"{BASE}/Appointment/1").respond(307, headers={"Location": f"{BASE}/Appointment/1/"})
    with pytest.raises(BadAnswerError, match="redirects"):
        await client.update("Appointment/1", {}, if_match="1")
