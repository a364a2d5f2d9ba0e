"""The living program that polls every five minutes and is told: what it sees of changes, and its Subscriptions."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.servers.bench import Bench, Section, behaviour, transaction, yes
from tests.strangers import plain
from tests.strangers.cli import Jumeau
from tests.strangers.resources import appointment, at, morning
from tests.strangers.serving import Serving, until

TYPES = 4
SEEN_WITHIN_S = 45.0
"""Far less than the poll; HAPI takes up to half a minute."""
READY_WITHIN_S = 90.0


@contextmanager
def told(bench: Bench) -> Iterator[Serving]:
    """A program that is told of changes, with all of its Subscriptions active."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    settings = {
        "JUMEAU_CLOCK__ANCHOR": at("10:30"),
        "JUMEAU_SYNC__POLL_S": "300",
        "JUMEAU_API__PORT": port,
        "JUMEAU_PUSH__CALLBACK_URL": f"http://127.0.0.1:{port}",
        "JUMEAU_PUSH__WATCH_S": "1",
    }
    with Serving(Jumeau(bench.folder, bench.url, settings=()), **settings) as living:
        until(lambda: living.get("/health/ready")[1]["status"] == "ready", READY_WITHIN_S)
        until(lambda: living.get("/suite")[1]["feed"]["push"] == "active", READY_WITHIN_S)
        until(_quiet(living), READY_WITHIN_S)
        yield living


def _quiet(living: Serving) -> Callable[[], bool]:
    """The reading that the new Subscriptions lead to is over: the data grow old."""
    return lambda: living.get("/suite")[1]["data_age_s"] > 3


def subscriptions(bench: Bench) -> set[str]:
    """Ours on the server."""
    found = plain.get(f"{bench.url}/Subscription?_count=200").get("entry", [])
    return {one["resource"]["id"] for one in found if one["resource"].get("reason", "").startswith("Jumeau urn:uuid:")}


def _planned(living: Serving) -> int:
    planned: int = living.get("/suite")[1]["figures"]["planned"]
    return planned


@behaviour(Section.PUSH, "`jumeau serve`, polling every five minutes, sees a booking and an edit in half a minute")
async def seen(bench: Bench) -> str:
    await bench.client.transaction(transaction(morning()))
    return await asyncio.to_thread(_seen, bench)


def _seen(bench: Bench) -> str:
    new = {**appointment("a5", "s2", "16:00", "16:45"), "id": bench.tag}
    ref = f"{bench.url}/Appointment/{bench.tag}"
    with told(bench) as living:
        before = _planned(living)
        assert plain.request("PUT", ref, new)[0] == 201
        booked = until(lambda: _planned(living) == before + 1, SEEN_WITHIN_S)
        plain.request("PUT", ref, {**new, "status": "cancelled"})
        edited = until(lambda: _planned(living) == before, SEEN_WITHIN_S)
        assert living.end(signal.SIGTERM)[0] == 0
    return yes(max(booked, edited) < 30)


@behaviour(Section.PUSH, "its Subscriptions: made, made again when deleted, left by a kill, by the next clean end")
async def kept(bench: Bench) -> str:
    await bench.client.transaction(transaction(morning()))
    return await asyncio.to_thread(_kept, bench)


def _kept(bench: Bench) -> str:
    with told(bench) as living:
        made = subscriptions(bench)
        for one in made:
            assert plain.request("DELETE", f"{bench.url}/Subscription/{one}")[0] in (200, 204)
        until(lambda: len(subscriptions(bench) - made) == TYPES, READY_WITHIN_S)
        again = subscriptions(bench) - made
        living.process.kill()
        living.process.wait()
    left = subscriptions(bench)
    with told(bench) as living:
        assert not subscriptions(bench) & left
        code, seconds = living.end(signal.SIGTERM)
        assert (code, seconds < 5) == (0, True)
    return f"{len(made)}, {len(again)}, {len(left)}, {len(subscriptions(bench))}"
