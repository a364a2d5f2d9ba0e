"""How a server is written to: versions, If-Match, JSON Patch, numbers, references."""

import asyncio
import json
from collections import Counter
from typing import Any

from fhir_adapters.client import FHIR_JSON
from tests.servers.bench import Bench, Json, Section, behaviour, new_tag, resource, status, transaction, yes
from tests.strangers import plain

NUMBERS = (
    '{"url":"urn:jumeau:test:n","valueDecimal":7.10},{"url":"urn:jumeau:test:l","valueDecimal":12345678901234567890.5}'
)
NESTED = {
    "url": "urn:jumeau:test:nested",
    "extension": [
        {"url": "one", "valueString": "é"},
        {"url": "two", "extension": [{"url": "three", "valueDateTime": "2026-11-24T08:00:00+01:00"}]},
    ],
}


def edit(value: str) -> list[Json]:
    """A patch of the hospital's own element."""
    return [{"op": "add", "path": "/description", "value": value}]


async def raw(bench: Bench, ref: str) -> str:
    """The text of a resource as the server gives it."""
    return (await bench.client.read(ref)).body.decode()


# --- versions ---------------------------------------------------------------------------------------------------------


@behaviour(Section.VERSIONS, "version ids of three versions")
async def version_ids(bench: Bench) -> str:
    ref = bench.ref()
    seen = []
    for number in range(3):
        answer = await bench.client.update(ref, bench.body(description=str(number)), if_match=None)
        assert answer.version_id is not None
        seen.append(answer.version_id)
    return ", ".join(seen) if all(one.isdecimal() for one in seen) else "opaque"


@behaviour(Section.VERSIONS, "ETag after read, PUT, PATCH")
async def etags(bench: Bench) -> str:
    put = await bench.client.update(bench.ref(), bench.body(), if_match=None)
    read = await bench.client.read(bench.ref())
    patched = await bench.client.patch(bench.ref(), edit("x"), if_match=read.version_id)
    assert patched.version_id == "2", "our client finds the version, wherever it is told"
    return ", ".join(yes(answer.tag) for answer in (read, put, patched))


@behaviour(Section.VERSIONS, "read of a version that is known (If-None-Match)")
async def not_modified(bench: Bench) -> str:
    ref = await bench.book()
    return str((await bench.client.read(ref, etag="1")).status)


@behaviour(Section.VERSIONS, "PUT to an unknown id, then to a known one")
async def put_creates(bench: Bench) -> str:
    first = await bench.client.update(bench.ref(), bench.body(), if_match=None)
    second = await bench.client.update(bench.ref(), bench.body(description="x"), if_match=None)
    return f"{first.status}, {second.status}"


@behaviour(Section.VERSIONS, "an identical PUT makes a version")
async def identical_put(bench: Bench) -> str:
    ref = await bench.book()
    answer = await bench.client.update(ref, bench.body(), if_match=None)
    return yes(answer.version_id == "2")


@behaviour(Section.VERSIONS, "a PATCH that changes nothing makes a version")
async def identical_patch(bench: Bench) -> str:
    ref = await bench.book(description="same")
    answer = await bench.client.patch(ref, edit("same"), if_match="1")
    return yes(answer.version_id == "2")


# --- If-Match ---------------------------------------------------------------------------------------------------------


async def two_versions(bench: Bench) -> str:
    ref = await bench.book(description="first")
    await bench.book(description="second")
    return ref


async def unchanged(bench: Bench) -> None:
    assert (await resource(bench, bench.ref()))["description"] == "second"


@behaviour(Section.GUARDS, "stale PUT")
async def stale_put(bench: Bench) -> str:
    ref = await two_versions(bench)
    code = await status(bench.client.update(ref, bench.body(description="late"), if_match="1"))
    await unchanged(bench)
    return str(code)


@behaviour(Section.GUARDS, "stale PATCH")
async def stale_patch(bench: Bench) -> str:
    ref = await two_versions(bench)
    code = await status(bench.client.patch(ref, edit("late"), if_match="1"))
    await unchanged(bench)
    return str(code)


@behaviour(Section.GUARDS, "stale DELETE")
async def stale_delete(bench: Bench) -> str:
    ref = await two_versions(bench)
    code = await status(bench.client.delete(ref, if_match="1"))
    there = await status(bench.client.read(ref))
    return f"{code}, {'kept' if there == 200 else 'deleted'}"


@behaviour(Section.GUARDS, "stale in a transaction, and what else was in it")
async def stale_transaction(bench: Bench) -> str:
    await two_versions(bench)
    bundle = transaction([bench.body("other"), bench.body(description="late")])
    bundle["entry"][1]["request"]["ifMatch"] = 'W/"1"'
    code = await status(bench.client.transaction(bundle))
    await unchanged(bench)
    other = await status(bench.client.read(bench.ref("other")))
    return f"{code}, {'kept' if other == 200 else 'rolled back'}"


@behaviour(Section.GUARDS, "PUT with If-Match to an unknown id")
async def guarded_create(bench: Bench) -> str:
    return str(await status(bench.client.update(bench.ref(), bench.body(), if_match="1")))


@behaviour(Section.GUARDS, "ten writers with the same version: accepted")
async def ten_at_once(bench: Bench) -> str:
    ref = await bench.book()
    bodies = [bench.body(description=f"writer {number}") for number in range(10)]
    codes = await asyncio.gather(*(status(bench.client.update(ref, body, if_match="1")) for body in bodies))
    accepted = Counter(codes)[200]
    assert accepted == 1, codes
    return str(accepted)


# --- JSON Patch -------------------------------------------------------------------------------------------------------


async def patched(bench: Bench, *operations: Json) -> int:
    ref = await bench.book(description="first")
    return await status(bench.client.patch(ref, list(operations), if_match="1"))


@behaviour(Section.PATCHES, "failing `test`")
async def failing_test(bench: Bench) -> str:
    code = await patched(bench, {"op": "test", "path": "/description", "value": "other"}, *edit("late"))
    assert (await resource(bench, bench.ref()))["description"] == "first"
    return str(code)


@behaviour(Section.PATCHES, "failing `test` of /meta/versionId")
async def failing_version_test(bench: Bench) -> str:
    code = await patched(bench, {"op": "test", "path": "/meta/versionId", "value": "7"}, *edit("late"))
    assert (await resource(bench, bench.ref()))["description"] == "first"
    return str(code)


@behaviour(Section.PATCHES, "`test` of /meta/versionId that holds")
async def version_test(bench: Bench) -> str:
    return str(await patched(bench, {"op": "test", "path": "/meta/versionId", "value": "1"}, *edit("new")))


@behaviour(Section.PATCHES, "`remove` of what is not there")
async def missing_path(bench: Bench) -> str:
    return str(await patched(bench, {"op": "remove", "path": "/comment"}))


@behaviour(Section.PATCHES, "of an unknown id; of a deleted one")
async def patch_nothing(bench: Bench) -> str:
    unknown = await status(bench.client.patch(bench.ref("none"), edit("x"), if_match="1"))
    ref = await bench.book()
    await bench.client.delete(ref)
    return f"{unknown}, {await status(bench.client.patch(ref, edit('x'), if_match='2'))}"


@behaviour(Section.PATCHES, "sent as application/json")
async def wrong_media_type(bench: Bench) -> str:
    ref = await bench.book()
    code, _ = await asyncio.to_thread(
        plain.request, "PATCH", f"{bench.url}/{ref}", edit("x"), {"Content-Type": "application/json"}
    )
    return str(code)


@behaviour(Section.PATCHES, "a nested extension is added, replaced, removed as it was sent")
async def nested(bench: Bench) -> str:
    ref = await bench.book()
    other = {**NESTED, "extension": [*NESTED["extension"], {"url": "four", "valueCode": "x"}]}
    steps: list[tuple[Json, list[Any] | None]] = [
        ({"op": "add", "path": "/extension", "value": [NESTED]}, [NESTED]),
        ({"op": "add", "path": "/extension/-", "value": other}, [NESTED, other]),
        ({"op": "replace", "path": "/extension/0", "value": other}, [other, other]),
        ({"op": "remove", "path": "/extension/1"}, [other]),
        ({"op": "remove", "path": "/extension"}, None),
    ]
    for version, (operation, wanted) in enumerate(steps, start=1):
        await bench.client.patch(ref, [operation], if_match=str(version))
        assert (await resource(bench, ref)).get("extension") == wanted, operation
    return "yes"


@behaviour(Section.PATCHES, "`add /extension` replaces an array that is there")
async def add_replaces(bench: Bench) -> str:
    ref = await bench.book(extension=[NESTED])
    note = {"url": "urn:jumeau:test:note", "valueString": "x"}
    await bench.client.patch(ref, [{"op": "add", "path": "/extension", "value": [note]}], if_match="1")
    return yes((await resource(bench, ref))["extension"] == [note])


# --- content ----------------------------------------------------------------------------------------------------------


async def with_numbers(bench: Bench) -> str:
    """An Appointment whose text holds numbers that a double can't hold."""
    text = json.dumps({**bench.body(), "extension": []}).replace('"extension": []', f'"extension": [{NUMBERS}]')
    await bench.client.update(bench.ref(), text.encode(), if_match=None)
    return bench.ref()


def _numbers(text: str) -> str:
    short = "7.10" if "7.10" in text else "7.1"
    long = "12345678901234567890.5 kept" if "12345678901234567890.5" in text else "the long one rounded"
    return f"{short}, {long}"


@behaviour(Section.CONTENT, "decimals 7.10 and 12345678901234567890.5 after a PUT")
async def decimals(bench: Bench) -> str:
    return _numbers(await raw(bench, await with_numbers(bench)))


@behaviour(Section.CONTENT, "the same after a PATCH of something else")
async def decimals_patched(bench: Bench) -> str:
    ref = await with_numbers(bench)
    await bench.client.patch(ref, edit("x"), if_match="1")
    return _numbers(await raw(bench, ref))


@behaviour(Section.CONTENT, "reference to what is not there")
async def dangling(bench: Bench) -> str:
    nobody = [{"status": "accepted", "actor": {"reference": f"Patient/{new_tag()}"}}]
    return str(await status(bench.client.update(bench.ref(), bench.body(participant=nobody), if_match=None)))


@behaviour(Section.CONTENT, "an id of digits only")
async def numeric_id(bench: Bench) -> str:
    digits = str(int(bench.tag[1:], 16))
    body = {**bench.body(), "id": digits}
    return str(await status(bench.client.update(f"Appointment/{digits}", body, if_match=None)))


@behaviour(Section.CONTENT, "unknown element")
async def unknown_element(bench: Bench) -> str:
    code = await status(bench.client.update(bench.ref(), bench.body(nonsense="x"), if_match=None))
    if code >= 300:
        return str(code)
    return f"{code}, {'kept' if 'nonsense' in await resource(bench, bench.ref()) else 'dropped'}"


@behaviour(Section.CONTENT, "unknown status code")
async def unknown_code(bench: Bench) -> str:
    return str(await status(bench.client.update(bench.ref(), bench.body(status="zzz"), if_match=None)))


@behaviour(Section.CONTENT, "Appointment without participant")
async def no_participant(bench: Bench) -> str:
    body = bench.body()
    del body["participant"]
    return str(await status(bench.client.update(bench.ref(), body, if_match=None)))


@behaviour(Section.CONTENT, "`meta.source`, and a tag, are kept")
async def meta_kept(bench: Bench) -> str:
    tag = {"system": "urn:jumeau:test", "code": "mine"}
    body = bench.body(meta={"source": "urn:jumeau:test:program", "tag": [tag]})
    await bench.client.update(bench.ref(), body, if_match=None)
    meta = (await resource(bench, bench.ref()))["meta"]
    source = meta.get("source", "").startswith("urn:jumeau:test:program")
    return f"{yes(source)}, {yes([one for one in meta.get('tag', []) if one['code'] == 'mine'])}"


@behaviour(Section.CONTENT, "CapabilityStatement")
async def media_type(bench: Bench) -> str:
    answer = await bench.client.get("metadata")
    assert answer.headers["content-type"].startswith(FHIR_JSON)
    told: Json = answer.json()
    return f"R4 ({told['fhirVersion']})"
