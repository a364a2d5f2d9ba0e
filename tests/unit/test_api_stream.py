"""The live stream, through a real server on a free port."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.routes.document import DayDocuments
from tests.unit.api_world import ShownProgram, numbered, snapshot

Event = dict[str, str]


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def _served(program: ShownProgram) -> AsyncIterator[httpx.AsyncClient]:
    config = uvicorn.Config(
        create_app(program), port=0, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=3
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    await server.ready.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        await program.end()
        server.should_exit = True
        await serving


async def _events(answer: httpx.Response) -> AsyncIterator[Event]:
    event: Event = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            yield event
            event = {}


async def _next(events: AsyncIterator[Event], kind: str) -> Event:
    async with asyncio.timeout(30):
        while (event := await anext(events))["event"] != kind:
            pass
    return event


async def test_newest_comes_first() -> None:
    program = ShownProgram(snapshot(7))
    async with _served(program) as client, client.stream("GET", "/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = _events(answer)
        feed, suite = await anext(events), await anext(events)
        day = (await client.get("/day")).json()
    assert (feed["event"], json.loads(feed["data"])["data_age_s"], feed["retry"]) == ("feed", 3.0, "2000")
    assert (suite["event"], suite["id"], json.loads(suite["data"])) == ("suite", "7", day)


async def test_each_newer_snapshot_follows() -> None:
    program = ShownProgram(snapshot(1))
    async with _served(program) as client, client.stream("GET", "/stream") as answer:
        events = _events(answer)
        numbers = [(await _next(events, "suite"))["id"]]
        for number in (2, 5):
            await program.show(snapshot(number))
            numbers.append((await _next(events, "suite"))["id"])
    assert numbers == ["1", "2", "5"]


async def test_known_snapshot_is_not_sent_again() -> None:
    program = ShownProgram(snapshot(3))
    async with (
        _served(program) as client,
        client.stream("GET", "/stream", headers={"Last-Event-ID": "3"}) as answer,
    ):
        events = _events(answer)
        await anext(events)
        await program.show(snapshot(4))
        assert (await _next(events, "suite"))["id"] == "4"


@pytest.mark.parametrize("known", ["2", "900", "-1", "x", "9" * 5000, "\u00b2"])
async def test_other_ids_get_the_newest(known: str) -> None:
    program = ShownProgram(snapshot(3))
    headers = [(b"Last-Event-ID", known.encode("latin-1"))]
    async with _served(program) as client, client.stream("GET", "/stream", headers=headers) as answer:
        assert (await _next(_events(answer), "suite"))["id"] == "3"


async def test_stream_opens_before_the_first_snapshot() -> None:
    program = ShownProgram(None)
    async with _served(program) as client, client.stream("GET", "/stream") as answer:
        events = _events(answer)
        await _next(events, "feed")
        await program.show(snapshot(1))
        assert (await _next(events, "suite"))["id"] == "1"


async def test_time_goes_on_without_changes() -> None:
    program = ShownProgram(snapshot(1))
    async with _served(program) as client, client.stream("GET", "/stream") as answer:
        events = _events(answer)
        await _next(events, "suite")
        feed = await anext(events)
    assert feed["event"] == "feed"


async def test_stream_ends_with_the_program() -> None:
    program = ShownProgram(snapshot(1))
    async with _served(program) as client, client.stream("GET", "/stream") as answer:
        events = _events(answer)
        await _next(events, "suite")
        await program.end()
        async with asyncio.timeout(30):
            left = [event async for event in events]
    assert [event for event in left if event["event"] == "suite"] == []


async def test_reader_who_leaves_is_forgotten() -> None:
    program = ShownProgram(snapshot(1))
    async with _served(program) as client:
        async with client.stream("GET", "/stream") as answer:
            events = _events(answer)
            await _next(events, "suite")
            await anext(events)
            assert program.waiting == 1
        async with asyncio.timeout(30):
            while program.waiting:  # noqa: ASYNC110 - the server tells nobody that it noticed
                await asyncio.sleep(0.02)


def test_encoded_once_for_all_readers() -> None:
    program, documents = ShownProgram(snapshot(1)), DayDocuments()
    assert program.snapshot is not None
    first = documents.of(program, program.snapshot)
    assert documents.of(program, program.snapshot).event is first.event
    assert documents.of(program, numbered(program.snapshot, 2)).event != first.event
