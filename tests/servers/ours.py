"""What we rely on when we write back and are told: our annotations, their search parameters, Subscriptions."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from fhir_adapters.answers import Answer
from fhir_adapters.canonical import CANONICAL, PREDICTED_START
from fhir_adapters.client import FhirClient
from fhir_adapters.errors import FhirServerError
from fhir_adapters.extensions import reader
from fhir_adapters.manners import ServerTraits
from fhir_adapters.splice import untouched
from fhir_adapters.write_back import WriteResult, find_ours, write
from tests.servers.bench import Bench, Json, Section, behaviour, resource, status, yes
from tests.servers.receiver import Notification, Receiver
from tests.servers.writing import edit, with_numbers
from twin.timeline import Annotation, PredictedStage, PredictedTimeline, WriteOrder
from twin.vocabulary import Milestone

PARIS = ZoneInfo("Europe/Paris")
SOURCE = "urn:uuid:3a0f9a51-52f3-4d08-9f0e-6cf6f7b1d0c4"
NOW = datetime(2031, 3, 4, 7, 0, tzinfo=UTC)
DELIVERED_WITHIN_S = 60.0
NOT_WITHIN_S = 20.0
HAPI_DELETES = "http://hapifhir.io/fhir/StructureDefinition/subscription-send-delete-messages"


def predicted(minute: int) -> Annotation:
    """A timeline whose patient enters the room so many minutes after NOW."""
    p50 = NOW + timedelta(minutes=minute)
    stages = (
        PredictedStage(Milestone.PATIENT_IN_ROOM, p50=p50, p10=p50, p90=p50 + timedelta(minutes=9), probability=0.9),
        PredictedStage(Milestone.PATIENT_OUT_OF_ROOM, p50=p50 + timedelta(hours=2)),
    )
    until = NOW + timedelta(hours=1)
    return Annotation(PredictedTimeline(NOW, until, "m 1", SOURCE, "urn:uuid:r", ("Appointment/x/_history/1",), stages))


async def put_on(bench: Bench, ref: str, wanted: Annotation | None, traits: ServerTraits | None = None) -> WriteResult:
    """The real write-back of one order."""
    order = WriteOrder(ref, wanted, "material")
    return await write(bench.client, order, zone=PARIS, source=SOURCE, traits=traits)


async def carries(bench: Bench, ref: str, minute: int) -> bool:
    """True where the server gives back what was written, read as any reader would."""
    stored = await resource(bench, ref)
    return reader(SOURCE)(stored.get("extension", [])).annotation == predicted(minute)


@behaviour(Section.ANNOTATIONS, "written, changed, read back equal, nothing of the hospital's changed")
async def annotated(bench: Bench) -> str:
    ref = await bench.book(description="é 漢", extension=[{"url": "urn:jumeau:test:his", "valueString": "theirs"}])
    before = (await bench.client.read(ref)).body
    for minute in (5, 25):
        assert (await put_on(bench, ref, predicted(minute))).outcome.status == "written"
        assert await carries(bench, ref, minute)
        assert untouched(before, (await bench.client.read(ref)).body)
    assert (await put_on(bench, ref, predicted(25))).outcome.status == "unchanged"
    return "yes"


@behaviour(Section.ANNOTATIONS, "the same beside numbers that JSON Patch would spoil")
async def annotated_by_put(bench: Bench) -> str:
    ref = await with_numbers(bench)
    before = (await bench.client.read(ref)).body
    result = await put_on(bench, ref, predicted(5))
    assert result.outcome.status == "written", result
    assert await carries(bench, ref, 5)
    assert untouched(before, (await bench.client.read(ref)).body)
    return "yes"


@behaviour(Section.ANNOTATIONS, "kept when the hospital patches its own elements")
async def kept(bench: Bench) -> str:
    ref = await bench.book()
    written = await put_on(bench, ref, predicted(5))
    await bench.client.patch(ref, edit("theirs"), if_match=written.outcome.version_id)
    return yes(await carries(bench, ref, 5))


@behaviour(Section.ANNOTATIONS, "of the hospital's edit at the same instant, tries needed")
async def raced(bench: Bench) -> str:
    """An edit between our read and our write: read again, ours only, and the edit stays."""
    ref = await bench.book()

    class Meddled(FhirClient):
        reads = 0

        async def read(self, ref: str, *, etag: str | None = None) -> Answer:
            answer = await super().read(ref, etag=etag)
            Meddled.reads += 1
            if Meddled.reads == 1:
                await bench.client.patch(ref, edit("theirs"), if_match=answer.version_id)
            return answer

    async with Meddled(bench.url) as client:
        result = await write(client, WriteOrder(ref, predicted(5), "new"), zone=PARIS, source=SOURCE)
    assert result.outcome.status == "written"
    assert (await resource(bench, ref))["description"] == "theirs"
    assert await carries(bench, ref, 5)
    return str(Meddled.reads)


@behaviour(Section.ANNOTATIONS, "found again and removed: the Appointment as it was")
async def removed(bench: Bench) -> str:
    ref = await bench.book(description="theirs")
    before = await resource(bench, ref)
    await put_on(bench, ref, predicted(5))
    assert ref in [one async for one in find_ours(bench.client, ["Appointment"], SOURCE)]
    await put_on(bench, ref, None)
    after = await resource(bench, ref)
    return yes({**after, "meta": None} == {**before, "meta": None})


# --- search -----------------------------------------------------------------------------------------------------------


@behaviour(Section.SEARCH, "created")
async def parameter(bench: Bench) -> str:
    return str(await status(bench.client.update(f"SearchParameter/{PARAMETER['id']}", PARAMETER, if_match=None)))


@behaviour(Section.SEARCH, "`predicted-start=ge…` and `lt…` find the annotated Appointment, and only where it is")
async def searched(bench: Bench) -> str:
    await bench.client.update(f"SearchParameter/{PARAMETER['id']}", PARAMETER, if_match=None)
    ref = await bench.book()
    await put_on(bench, ref, predicted(5))
    return await _by_search(bench, [("predicted-start", "ge2031-03-04"), ("predicted-start", "lt2031-03-05")])


@behaviour(Section.SEARCH, "`predicted-start:missing=true` leaves it out")
async def missing(bench: Bench) -> str:
    await bench.client.update(f"SearchParameter/{PARAMETER['id']}", PARAMETER, if_match=None)
    ref = await bench.book()
    await bench.book("bare")
    await put_on(bench, ref, predicted(5))
    try:
        found = await bench.found(("predicted-start:missing", "true"))
    except FhirServerError as error:
        return str(error.status)
    return yes(found == [bench.ref("bare").partition("/")[2]])


async def _by_search(bench: Bench, ranges: list[tuple[str, str]]) -> str:
    """Two searches: one that the prediction is in and one, of another year, that it is not in."""
    other = [(name, value.replace("2031", "2032")) for name, value in ranges]
    deadline = time.monotonic() + NOT_WITHIN_S
    while True:
        try:
            inside, outside = await bench.found(*ranges), await bench.found(*other)
        except FhirServerError as error:
            return str(error.status)
        if inside and not outside:
            return "yes"
        if time.monotonic() > deadline:
            return "no: the filter is ignored" if inside and outside else "no: nothing is found"
        await asyncio.sleep(0.5)


PARAMETER = {
    "resourceType": "SearchParameter",
    "id": "jumeau-predicted-start",
    "url": f"{CANONICAL}/SearchParameter/predicted-start",
    "name": "PredictedStart",
    "status": "active",
    "description": "Predicted time at which the patient enters the room",
    "code": "predicted-start",
    "base": ["Appointment"],
    "type": "date",
    "expression": f"Appointment.extension.where(url='{PREDICTED_START}').value",
    "xpathUsage": "normal",
}


# --- push -------------------------------------------------------------------------------------------------------------


async def subscribed(bench: Bench, receiver: Receiver, *, payload: bool, deletes: bool = False) -> str:
    """A Subscription to this measurement's Appointments; its `Type/id` once it is active."""
    channel: Json = {"type": "rest-hook", "endpoint": receiver.url, "header": ["X-Secret: s3cret"]}
    if deletes:
        channel["extension"] = [{"url": HAPI_DELETES, "valueBoolean": True}]
    body = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": f"Appointment?identifier={bench.mine[0][1]}",
        "channel": {**channel, **({"payload": "application/fhir+json"} if payload else {})},
    }
    answer = await bench.client.create("Subscription", body)
    ref = f"Subscription/{answer.json()['id']}"
    deadline = time.monotonic() + DELIVERED_WITHIN_S
    while (await resource(bench, ref))["status"] != "active":
        assert time.monotonic() < deadline, "the Subscription did not become active"
        await asyncio.sleep(0.2)
    return ref


async def told(receiver: Receiver, wanted: str, within_s: float = DELIVERED_WITHIN_S) -> Notification | None:
    """The notification of a method that comes in time."""
    return await asyncio.to_thread(receiver.wait_for, lambda one: one.method in wanted, within_s)


@behaviour(Section.PUSH, "notification of a new Appointment, with payload")
async def pushed(bench: Bench) -> str:
    with Receiver() as receiver:
        subscription = await subscribed(bench, receiver, payload=True)
        ref = await bench.book()
        found = await told(receiver, "PUT POST")
        await bench.client.delete(subscription)
    assert found is not None, "no notification came"
    assert found.secret == "s3cret"
    path = found.path.replace(ref, "Type/id")
    return f"{found.method} {path}, {'with' if found.body else 'without'} body"


@behaviour(Section.PUSH, "the same, without payload")
async def pushed_empty(bench: Bench) -> str:
    with Receiver() as receiver:
        subscription = await subscribed(bench, receiver, payload=False)
        ref = await bench.book()
        found = await told(receiver, "PUT POST")
        await bench.client.delete(subscription)
    assert found is not None, "no notification came"
    return f"{found.method} {found.path.replace(ref, 'Type/id')}, {'with' if found.body else 'without'} body"


@behaviour(Section.PUSH, "it comes within a minute")
async def pushed_in(bench: Bench) -> str:
    with Receiver() as receiver:
        subscription = await subscribed(bench, receiver, payload=False)
        await bench.book()
        found = await told(receiver, "PUT POST")
        await bench.client.delete(subscription)
    return yes(found)


@behaviour(Section.PUSH, "our own annotation is told as well")
async def pushed_own(bench: Bench) -> str:
    ref = await bench.book()
    with Receiver() as receiver:
        subscription = await subscribed(bench, receiver, payload=False)
        await put_on(bench, ref, predicted(5))
        found = await told(receiver, "PUT POST")
        await bench.client.delete(subscription)
    return yes(found)


@behaviour(Section.PUSH, "a delete is told")
async def pushed_delete(bench: Bench) -> str:
    return await _deleted(bench, deletes=False)


@behaviour(Section.PUSH, "the same where HAPI's own extension of the channel asks for it")
async def pushed_delete_asked(bench: Bench) -> str:
    return await _deleted(bench, deletes=True)


@behaviour(Section.PUSH, "the same, without payload, as we ask")
async def pushed_delete_empty(bench: Bench) -> str:
    return await _deleted(bench, deletes=True, payload=False)


async def _deleted(bench: Bench, *, deletes: bool, payload: bool = True) -> str:
    ref = await bench.book()
    with Receiver() as receiver:
        subscription = await subscribed(bench, receiver, payload=payload, deletes=deletes)
        await bench.client.delete(ref)
        found = await told(receiver, "PUT POST DELETE", DELIVERED_WITHIN_S if deletes else NOT_WITHIN_S)
        await bench.client.delete(subscription)
    return f"{found.method} {found.path.replace(ref, 'Type/id')}" if found else "no"
