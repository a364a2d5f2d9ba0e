"""What the API refuses, and the headers of every answer."""

from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import pytest

from api.app import create_app
from tests.unit.api_world import ShownProgram, api_of, snapshot

PROBLEM = "application/problem+json"
CANARY = "zq-canary"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/cases/{CANARY}", 404),
        (f"/cases/{CANARY * 400}", 404),
        (f"/cases/..%2f{CANARY}", 404),
        (f"/cases/%00{CANARY}", 404),
        (f"/cases/%ed%a0%80{CANARY}", 404),
        (f"/cases/{CANARY}/timeline", 404),
        (f"/{CANARY}", 404),
        (f"/static/{CANARY}.js", 404),
        ("/static/..%2f..%2fapp.py", 404),
        ("/static/%2e%2e/%2e%2e/app.py", 404),
        (f"/cases?day={CANARY}", 422),
        ("/cases?day=2026-02-30", 422),
        ("/cases?day=NaN", 422),
        ("/cases?day=", 422),
        (f"/cases?day={'9' * 5000}", 422),
        ("/cases?day=%ed%a0%80", 422),
        (f"/cases?status={CANARY}", 422),
        ("/cases/", 404),
    ],
)
async def test_bad_input_is_a_problem(path: str, status: int) -> None:
    async with api_of() as api:
        answer = await api.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["status"] == status
    assert CANARY not in answer.text


async def test_refusal_names_the_part() -> None:
    async with api_of() as api:
        answer = await api.get("/cases?day=24/11/2026")
    assert answer.json()["errors"] == {"query.day": "give a day such as 2026-11-24"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_read_only(method: str) -> None:
    async with api_of() as api:
        answer = await api.request(method, "/cases")
    assert (answer.status_code, answer.headers["content-type"]) == (405, PROBLEM)
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize("path", ["/", "/cases", "/health/ready", "/static/board.js"])
async def test_head_is_get_without_body(path: str) -> None:
    async with api_of() as api:
        head, get = await api.head(path), await api.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_head_of_the_stream_ends() -> None:
    async with api_of() as api:
        assert (await api.head("/stream")).status_code == 405


@pytest.mark.parametrize(
    "host", ["rebound.example", "127.0.0.1.rebound.example", "localhost:80@x", "10.0.0.1:8000", "[::1]x", ""]
)
async def test_foreign_host_is_refused(host: str) -> None:
    async with api_of() as api:
        answer = await api.get("/suite", headers={"Host": host})
    assert (answer.status_code, answer.headers["content-type"]) == (421, PROBLEM)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "[::1]:8000", "LOCALHOST"])
async def test_own_host_is_served(host: str) -> None:
    async with api_of() as api:
        assert (await api.get("/suite", headers={"Host": host})).status_code == 200


async def _chunks() -> AsyncIterator[bytes]:
    yield b"x" * 10


@pytest.mark.parametrize("length", [1025, 10**6])
async def test_long_body_is_refused(length: int) -> None:
    async with api_of() as api:
        answer = await api.request("GET", "/suite", content=b"x" * length)
    assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)


async def test_chunked_body_is_refused() -> None:
    async with api_of() as api:
        assert (await api.request("GET", "/suite", content=_chunks())).status_code == 413


@pytest.mark.parametrize("told", ["-1", "1e3", "9" * 5000])
async def test_odd_length_is_refused(told: str) -> None:
    async with api_of() as api:
        assert (await api.get("/suite", headers={"Content-Length": told})).status_code == 413


@pytest.mark.parametrize("path", ["/", "/docs", "/day", "/suite", "/nothing", "/static/board.css"])
async def test_every_answer_is_guarded(path: str) -> None:
    async with api_of() as api:
        headers = (await api.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/day", "/suite", "/cases"])
async def test_data_are_not_stored(path: str) -> None:
    async with api_of() as api:
        assert (await api.get(path)).headers["cache-control"] == "no-store"


async def test_own_failure_tells_nothing() -> None:
    class Broken(ShownProgram):
        def now(self) -> datetime:
            raise RuntimeError(CANARY)

    transport = httpx.ASGITransport(create_app(Broken(snapshot())), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/suite")
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    assert CANARY not in answer.text


async def test_openapi_lists_the_operations() -> None:
    async with api_of() as api:
        document = (await api.get("/openapi.json")).json()
    assert set(document["paths"]) == {
        "/health/live",
        "/health/ready",
        "/metrics",
        "/suite",
        "/rooms",
        "/day",
        "/cases",
        "/cases/{case_id}",
        "/cases/{case_id}/timeline",
        "/score-card",
        "/recalibrations",
        "/recalibrations/{offer_id}/decision",
        "/what-if",
        "/stream",
    }
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert all("default" in one["responses"] for path in document["paths"].values() for one in path.values())
