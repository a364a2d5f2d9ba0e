import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from fhir_adapters.canonical import PREDICTED_START
from fhir_adapters.client import FhirClient
from fhir_adapters.write_back import Writer, find_ours
from tests.unit.fhir_fake import (
    BASE,
    HIS,
    NOW,
    OTHER,
    PARIS,
    REF,
    SOURCE,
    Server,
    annotation,
    carried,
    client_of,
    extensions_of,
    order,
)
from twin.timeline import Annotation, PredictedTimeline


@pytest.fixture
def server() -> Server:
    made = Server()
    made.put()
    return made


@dataclass
class Wall:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def writer_of(client: FhirClient, wall: Wall, **options: Any) -> Writer:
    return Writer(client, zone=PARIS, source=SOURCE, monotonic=wall.monotonic, sleep=wall.sleep, **options)


async def test_newest_order_only(server: Server) -> None:
    newest = annotation(NOW + timedelta(minutes=20))
    async with client_of(server) as client:
        results = await writer_of(client, Wall()).run([order(annotation()), order(newest)])
    assert [result.outcome.status for result in results] == ["written"]
    assert carried(server) == newest


async def test_minimum_interval(server: Server) -> None:
    wall = Wall()
    async with client_of(server) as client:
        writer = writer_of(client, wall, min_interval_s=60.0)
        await writer.run([order(annotation())])
        later = order(annotation(NOW + timedelta(minutes=20)))
        assert not writer.due(later)
        assert await writer.run([later]) == []
        wall.now += 60.0
        assert writer.due(later)
        assert [result.outcome.status for result in await writer.run([later])] == ["written"]


async def test_unchanged_takes_no_interval(server: Server) -> None:
    async with client_of(server) as client:
        writer = writer_of(client, Wall())
        await writer.run([order(None, "over")])
        assert writer.due(order(annotation()))


async def test_budget_a_second() -> None:
    server, wall = Server(), Wall()
    refs = [f"Appointment/a{number}" for number in range(30)]
    for ref in refs:
        server.put(ref)
    async with client_of(server) as client:
        results = await writer_of(client, wall, budget_per_s=10.0).run(order(annotation(), ref=ref) for ref in refs)
    assert len(results) == 30
    assert wall.now - 1000.0 == pytest.approx(2.9)


async def test_hourly_limit(server: Server) -> None:
    wall = Wall()
    async with client_of(server) as client:
        writer = writer_of(client, wall, min_interval_s=1.0, max_per_hour=3)
        for number in range(5):
            await writer.run([order(annotation(NOW + timedelta(minutes=20 * number)))])
            wall.now += 10.0
        assert len(server.versions[REF]) == 1 + 3
        wall.now += 3600.0
        assert writer.due(order(None, "over"))
        assert len(await writer.run([order(None, "over")])) == 1


async def test_at_most_in_flight() -> None:
    server, running, most = Server(), 0, 0
    refs = [f"Appointment/a{number}" for number in range(12)]
    for ref in refs:
        server.put(ref)

    async def handler(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        await asyncio.sleep(0.001)
        running -= 1
        return server(request)

    async with FhirClient(BASE, transport=httpx.MockTransport(handler), max_in_flight=50) as client:
        await writer_of(client, Wall(), max_in_flight=3).run(order(annotation(), ref=ref) for ref in refs)
    assert most == 3


async def test_one_in_flight_per_resource(server: Server) -> None:
    async with client_of(server) as client:
        writer = writer_of(client, Wall(), min_interval_s=0.0)
        first = asyncio.create_task(writer.run([order(annotation())]))
        await asyncio.sleep(0)
        assert await writer.run([order(annotation(NOW + timedelta(minutes=20)))]) == []
        assert len(await first) == 1


async def test_touched_stops_all() -> None:
    server = Server(spoils=True)
    refs = [f"Appointment/a{number}" for number in range(5)]
    for ref in refs:
        server.put(ref)
    async with client_of(server) as client:
        writer = writer_of(client, Wall(), max_in_flight=1)
        results = await writer.run(order(annotation(), ref=ref) for ref in refs)
        assert [result.outcome.status for result in results] == ["touched"]
        assert writer.halted
        assert not writer.due(order(None, ref="Location/r"))


async def test_dropped_said_once() -> None:
    server = Server(strips=True)
    refs = [f"Appointment/a{number}" for number in range(5)]
    for ref in refs:
        server.put(ref)
    orders = [order(annotation(), ref=ref) for ref in refs]
    async with client_of(server) as client:
        writer = writer_of(client, Wall(), max_in_flight=1, min_interval_s=0.0)
        outcomes = [result.outcome for _ in range(3) for result in await writer.run(orders)]
        assert [outcome.status for outcome in outcomes] == ["failed"]
        assert server.methods().count("PATCH") == 1
        assert writer.due(order(None, ref="Location/r"))


@pytest.mark.parametrize(("headers", "at_least_s", "at_most_s"), [({"retry-after": "30"}, 30, 30), ({}, 2.5, 7.5)])
async def test_pause_when_asked(headers: dict[str, str], at_least_s: float, at_most_s: float) -> None:
    server, wall = Server(busy=headers), Wall()
    refs = [f"Appointment/a{number}" for number in range(5)]
    for ref in refs:
        server.put(ref)
    orders = [order(annotation(), ref=ref) for ref in refs]
    async with client_of(server) as client:
        writer = writer_of(client, wall, max_in_flight=1)
        results = await writer.run(orders)
        assert [result.outcome.status for result in results] == ["failed"]
        wall.now += at_least_s - 0.5
        assert not any(map(writer.due, orders))
        server.busy, wall.now = None, wall.now + (at_most_s - at_least_s) + 0.5
        assert len(await writer.run(orders)) == 5


async def test_poison_order_alone_fails(server: Server) -> None:
    empty = Annotation(PredictedTimeline(NOW, NOW, "m", SOURCE, "urn:uuid:r", (), ()))
    async with client_of(server) as client:
        results = await writer_of(client, Wall()).run([order(empty, ref="Appointment/b"), order(annotation())])
    assert sorted(result.outcome.status for result in results) == ["failed", "written"]


async def test_find_ours(server: Server) -> None:
    server.put("Appointment/b", extension=[HIS, *extensions_of(annotation())])
    server.put("Appointment/c", extension=extensions_of(annotation(source=OTHER)))
    server.put("Location/r", extension=[{"url": PREDICTED_START, "valueString": "off"}])
    async with client_of(server) as client:
        types = ["Appointment", "Location"]
        assert [ref async for ref in find_ours(client, types, SOURCE)] == ["Appointment/b", "Location/r"]
        assert len([ref async for ref in find_ours(client, types, SOURCE, take_over=True)]) == 3
