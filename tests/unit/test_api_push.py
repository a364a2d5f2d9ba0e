"""Where notifications come in: what is taken, what is refused, and what it costs."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from api.app import create_app
from tests.unit.api_world import ShownProgram, api_of, snapshot

SECRET = {"X-Jumeau-Secret": "s3cret"}
BACKPORT = b'{"resourceType":"Bundle","type":"history","entry":[{"resource":{"resourceType":"Parameters"}}]}'
CANARY = b"zq-canary"


@pytest.fixture
def program() -> ShownProgram:
    return ShownProgram(snapshot())


async def chunks() -> AsyncIterator[bytes]:
    yield CANARY
    yield BACKPORT


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("POST", ""),
        ("POST", "/"),
        ("PUT", "/Appointment/a1"),
        ("PUT", ""),
        ("DELETE", "/Appointment/a1"),
        ("DELETE", "/Appointment/a1/_history/2"),
        ("PUT", "/Appointment/..%2f..%2fzq"),
    ],
)
@pytest.mark.parametrize("body", [b"", BACKPORT, CANARY, b"\xff\x00{", b"[" * 10**5])
async def test_any_form_is_taken(program: ShownProgram, method: str, rest: str, body: bytes) -> None:
    async with api_of(program) as api:
        answer = await api.request(method, f"/push/known{rest}", content=body, headers=SECRET)
    assert (answer.status_code, answer.content, program.notifications) == (200, b"", 1)


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("known", {}),
        ("known", {"X-Jumeau-Secret": "wrong"}),
        ("known", {"X-Jumeau-Secret": "s3cret "}),
        ("known", {"Authorization": "Bearer s3cret"}),
        ("other", SECRET),
        ("known%00", SECRET),
        ("%ed%a0%80", SECRET),
        ("x" * 5000, SECRET),
    ],
)
async def test_wrong_secret_has_no_effect(program: ShownProgram, name: str, headers: dict[str, str]) -> None:
    async with api_of(program) as api:
        answer = await api.post(f"/push/{name}", content=CANARY, headers=headers)
    assert (answer.status_code, program.notifications) == (404, 0)
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY.decode() not in answer.text


async def test_get_is_refused(program: ShownProgram) -> None:
    async with api_of(program) as api:
        assert (await api.get("/push/known", headers=SECRET)).status_code == 405
    assert program.notifications == 0


@pytest.mark.parametrize("length", ["1048577", "-1", "1e3", "9" * 5000])
async def test_long_body_is_refused(program: ShownProgram, length: str) -> None:
    async with api_of(program) as api:
        answer = await api.post("/push/known", headers={**SECRET, "Content-Length": length})
    assert (answer.status_code, program.notifications) == (413, 0)


async def test_foreign_host_is_refused(program: ShownProgram) -> None:
    async with api_of(program) as api:
        answer = await api.post("/push/known", headers={**SECRET, "Host": "jumeau.example"})
    assert (answer.status_code, program.notifications) == (421, 0)


async def test_over_a_connection_that_stays(program: ShownProgram) -> None:
    """A body that nobody reads, in one piece and in chunks, does not spoil the next request of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(create_app(program), log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=base, headers=SECRET, trust_env=False) as api:
            for content in (b"x" * 10**6, chunks(), b""):
                assert (await api.post("/push/known", content=content)).status_code == 200
            assert (await api.get("/health/live")).status_code == 200
        server.should_exit = True
        await serving
    assert program.notifications == 3
