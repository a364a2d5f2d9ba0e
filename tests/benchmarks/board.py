"""The document of the day as the page gets it, against the same document returned as a dict by a FastAPI route.

A route whose return type says dict is quicker than one that says nothing (`typed`): both are told.

Both are called as ASGI applications, so that no network is measured; the bodies must hold the same JSON.
"""

import asyncio
import json
import sys
import time
from datetime import timedelta
from typing import Any

from fastapi import FastAPI

from api.app import create_app
from api.snapshot import RunInfo, Snapshot
from fixtures.clinic.day import generate_day
from tests.benchmarks import Row
from tests.unit.api_world import ShownProgram
from tests.world import DAY, PARIS, World, at
from twin.projections.places import places_of
from twin.timebase import Clock

UNIT = "answers"
OURS, PEER = 2_000, 60


def run() -> list[Row]:
    """Ours whole and unchanged (304), and the peer."""
    told = asyncio.run(measured())
    assert told["equal"]
    name = f"document of the day, {told['bytes'] // 1000} kB"
    return [
        Row("board", name, 1 / told["ours_s"], UNIT, told["ratio"]),
        Row("board", "the same, known to the page (304)", 1 / told["known_s"], UNIT, told["peer_s"] / told["known_s"]),
        Row("board", "FastAPI, a typed dict", 1 / told["typed_s"], UNIT, told["peer_s"] / told["typed_s"]),
        Row("board", "FastAPI returning a dict (peer)", 1 / told["peer_s"], UNIT, 1.0),
    ]


async def measured() -> dict[str, Any]:
    """Seconds of one answer on both sides."""
    program = ShownProgram(_snapshot())
    app = create_app(program)
    status, headers, body = await _get(app)
    assert status == 200
    document: dict[str, Any] = json.loads(body)
    peer = FastAPI()

    @peer.get("/day", response_model=None)
    async def day() -> dict[str, Any]:
        return document

    @peer.get("/typed")
    async def typed() -> dict[str, Any]:
        return document

    _, _, theirs = await _get(peer)
    etag = headers[b"etag"]
    assert (await _get(app, etag))[0] == 304
    ours_s, known_s, peer_s = await _each(app, OURS), await _each(app, OURS, etag), await _each(peer, PEER)
    typed_s = await _each(peer, PEER, path="/typed")
    return {
        "bytes": len(body),
        "ours_s": ours_s,
        "known_s": known_s,
        "peer_s": peer_s,
        "typed_s": typed_s,
        "ratio": round(peer_s / ours_s, 1),
        "equal": json.loads(theirs) == document,
    }


def _snapshot() -> Snapshot:
    world = World(places=()).play(generate_day(DAY, PARIS), until=at("11:00"))
    suite = world.suite("11:00", clock=Clock(wall=lambda: at("11:00")))
    info = RunInfo("urn:uuid:0", suite.now, 0, 50, seconds=timedelta(seconds=1).total_seconds())
    return Snapshot(1, suite, places_of(world.ledger, world.site), {}, {}, info)


async def _each(app: Any, count: int, etag: bytes = b"", path: str = "/day") -> float:
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(count):
            await _get(app, etag, path)
        best = min(best, (time.perf_counter() - started) / count)
    return best


async def _get(app: Any, etag: bytes = b"", path: str = "/day") -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of a GET."""
    told: dict[str, Any] = {"body": b""}
    headers = [(b"host", b"localhost"), *([(b"if-none-match", etag)] if etag else [])]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told["status"], told["headers"] = message["status"], dict(message["headers"])
        else:
            told["body"] += message.get("body", b"")

    await app(scope, receive, send)
    return told["status"], told["headers"], told["body"]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(measured())) + "\n")
