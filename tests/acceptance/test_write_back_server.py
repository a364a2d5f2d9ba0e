import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_adapters.client import FhirClient
from fhir_adapters.errors import ConflictError
from fhir_adapters.extensions import build, reader
from fhir_adapters.splice import entries, untouched
from fhir_adapters.write_back import Writer, WriteResult, find_ours, write
from fixtures.servers.sekmet import SekmetServer
from twin.timeline import Annotation, PredictedStage, PredictedTimeline, WriteOrder
from twin.vocabulary import Milestone

pytestmark = pytest.mark.server

PARIS = ZoneInfo("Europe/Paris")
SOURCE = "urn:uuid:6f1c3a52-0b7d-4b5e-9a64-3d0f3c1f8a11"
NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
WRITERS = 10
EDITS = 8
HIS = {"url": "http://his/score", "valueDecimal": 2.35}


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("sekmet")
    with SekmetServer(folder, port=0) as server:
        yield server.base_url


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[FhirClient]:
    async with FhirClient(base_url, max_in_flight=16) as one:
        yield one


async def book(client: FhirClient, name: str, **members: Any) -> str:
    body = {"resourceType": "Appointment", "id": name, "status": "booked", **members}
    body["participant"] = [{"status": "accepted", "actor": {"reference": "Patient/p"}}]
    await client.update(f"Appointment/{name}", body, if_match=None)
    return f"Appointment/{name}"


def predicted(minute: int) -> Annotation:
    p50 = NOW + timedelta(minutes=minute)
    stages = (
        PredictedStage(Milestone.PATIENT_IN_ROOM, p50=p50, p10=p50, p90=p50 + timedelta(minutes=9), probability=0.93),
        PredictedStage(Milestone.PATIENT_OUT_OF_ROOM, p50=p50 + timedelta(hours=2)),
    )
    valid_until = NOW + timedelta(hours=1)
    version = ("Appointment/x/_history/1",)
    return Annotation(PredictedTimeline(NOW, valid_until, "m 1", SOURCE, "urn:uuid:r", version, stages))


async def put_on(client: FhirClient, ref: str, wanted: Annotation | None) -> WriteResult:
    return await write(client, WriteOrder(ref, wanted, "material"), zone=PARIS, source=SOURCE)


async def versions(client: FhirClient, ref: str) -> list[bytes]:
    answer = await client.get(f"{ref}/_history", params=[("_count", "1000")])
    found = entries(answer.body)
    return sorted(found, key=lambda body: int(json.loads(body)["meta"]["versionId"]))


async def test_written_read_and_removed(client: FhirClient) -> None:
    ref = await book(client, "life", description="hernia")
    for minute in (0, 20):
        result = await put_on(client, ref, predicted(minute))
        assert result.outcome.status == "written"
        stored = (await client.read(ref)).json()
        assert result.outcome.version_id == stored["meta"]["versionId"]
        assert reader(SOURCE)(stored["extension"]).annotation == predicted(minute)
    assert (await put_on(client, ref, predicted(20))).outcome.status == "unchanged"
    assert (await put_on(client, ref, None)).outcome.status == "written"
    bodies = await versions(client, ref)
    assert len(bodies) == 4
    assert "extension" not in json.loads(bodies[-1])
    assert all(untouched(bodies[0], body) for body in bodies)


async def test_decimals_by_put(client: FhirClient) -> None:
    ref = await book(client, "decimal", extension=[HIS])
    result = await put_on(client, ref, predicted(0))
    assert result.outcome.status == "written"
    stored = (await client.read(ref)).json()
    assert stored["extension"] == [HIS, *build(predicted(0), PARIS)]


async def edit(client: FhirClient, ref: str, mark: str) -> None:
    """One edit of the hospital: its own mark is added to the description, under If-Match, until it is accepted."""
    while True:
        answer = await client.read(ref)
        resource = answer.json()
        resource["description"] = f"{resource.get('description', '')} {mark}".strip()
        try:
            await client.update(ref, resource, if_match=answer.version_id)
        except ConflictError:
            continue
        return


async def test_no_edit_of_the_hospital_lost(client: FhirClient) -> None:
    ref = await book(client, "busy")

    async def hospital(number: int) -> None:
        for turn in range(EDITS):
            await edit(client, ref, f"{number}.{turn}")
            await asyncio.sleep(0.01)

    async def twin() -> list[str]:
        statuses = []
        for minute in range(0, 300, 10):
            statuses.append((await put_on(client, ref, predicted(minute))).outcome.status)
            await asyncio.sleep(0.01)
        return statuses

    writing = asyncio.create_task(twin())
    await asyncio.gather(*(hospital(number) for number in range(WRITERS)))
    statuses = await writing
    assert set(statuses) <= {"written", "conflict"}
    assert "written" in statuses
    assert (await put_on(client, ref, predicted(777))).outcome.status == "written"
    stored = (await client.read(ref)).json()
    marks = {f"{number}.{turn}" for number in range(WRITERS) for turn in range(EDITS)}
    assert set(stored["description"].split()) == marks
    bodies = await versions(client, ref)
    assert len(bodies) == 1 + len(marks) + statuses.count("written") + 1


async def test_writer_and_what_it_wrote(client: FhirClient) -> None:
    refs = [await book(client, f"list{number}") for number in range(20)]
    writer = Writer(client, zone=PARIS, source=SOURCE, budget_per_s=500.0)
    results = await writer.run(WriteOrder(ref, predicted(5), "new") for ref in refs)
    assert {result.outcome.status for result in results} == {"written"}
    assert not any(writer.due(WriteOrder(ref, None, "over")) for ref in refs)
    found = {ref async for ref in find_ours(client, ["Appointment", "Location"], SOURCE)}
    assert found >= set(refs)
    for ref in found:
        await put_on(client, ref, None)
    assert [ref async for ref in find_ours(client, ["Appointment"], SOURCE)] == []
