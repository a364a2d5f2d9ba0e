"""A FHIR server in memory for the write-back tests, and annotations to put on it."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from fhir_adapters.client import FhirClient
from fhir_adapters.extensions import build, reader
from twin.timeline import Annotation, PredictedStage, PredictedTimeline, WriteOrder
from twin.vocabulary import Milestone

PARIS = ZoneInfo("Europe/Paris")
SOURCE = "urn:uuid:6f1c3a52-0b7d-4b5e-9a64-3d0f3c1f8a11"
OTHER = "urn:uuid:0f9f4c1e-52c8-4f35-8f0d-6a1de2b0c7a2"
NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
BASE = "http://his.test/fhir"
REF = "Appointment/a"
HIS = {"url": "http://his/x", "valueString": "kept"}


def annotation(p50: datetime = NOW, *, source: str = SOURCE, made: datetime = NOW) -> Annotation:
    stages = (
        PredictedStage(Milestone.PATIENT_IN_ROOM, p50=p50, probability=0.95),
        PredictedStage(Milestone.PATIENT_OUT_OF_ROOM, p50=p50 + timedelta(hours=2)),
    )
    valid_until = made + timedelta(hours=1)
    version = ("Appointment/a/_history/1",)
    return Annotation(PredictedTimeline(made, valid_until, "closed-form 1", source, "urn:uuid:r", version, stages))


def order(wanted: Annotation | None, reason: str = "material", ref: str = REF) -> WriteOrder:
    return WriteOrder(ref, wanted, reason)


def extensions_of(wanted: Annotation) -> list[dict[str, Any]]:
    return build(wanted, PARIS)


@dataclass
class Server:
    """A small FHIR server in memory, with the faults that real ones have. Bodies are kept as bytes."""

    versions: dict[str, list[bytes]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    before_write: list[Callable[[], None]] = field(default_factory=list)
    after_write: list[Callable[[], None]] = field(default_factory=list)
    no_patch_status: int | None = None
    no_patch_text: str = ""
    refuse_status: int = 412
    test_status: int = 400
    heeds_if_match: bool = True
    has_etag: bool = True
    has_version_id: bool = True
    has_history: bool = True
    answers_with_body: bool = True
    strips: bool = False
    spoils: bool = False
    forbids: str = ""
    busy: dict[str, str] | None = None
    lose_answers: int = 0
    lose_writes: int = 0

    def put(self, ref: str = REF, text: str | None = None, **members: Any) -> None:
        resource_type, resource_id = ref.split("/")
        body = text or json.dumps({"resourceType": resource_type, "id": resource_id, "status": "booked", **members})
        self.store(ref, body.encode())

    def store(self, ref: str, body: bytes) -> None:
        held = self.versions.setdefault(ref, [])
        if self.has_version_id:
            version = str(len(held) + 1).encode()
            resource = json.loads(body)
            if "meta" in resource:
                old = b'"meta":{"versionId":"' + resource["meta"]["versionId"].encode() + b'"'
                body = body.replace(b'"meta": {"versionId": "', b'"meta":{"versionId":"')
                body = body.replace(old, b'"meta":{"versionId":"' + version + b'"', 1)
            else:
                body = b'{"meta":{"versionId":"' + version + b'"},' + body.lstrip()[1:]
        held.append(body)

    def newest(self, ref: str = REF) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.versions[ref][-1])
        return read

    def edit(self, **members: Any) -> None:
        """The hospital changes its own data."""
        self.store(REF, json.dumps({**self.newest(), **members}).encode())

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path.removeprefix("/fhir/")
        ref = path.removesuffix("/_history")
        if self.busy is not None and request.method != "GET":
            return httpx.Response(429, headers=self.busy)
        if request.method == "GET":
            return self.history(ref) if path.endswith("/_history") else self.read(ref)
        if self.before_write:
            self.before_write.pop(0)()
        if self.lose_writes:
            self.lose_writes -= 1
            raise httpx.ReadError("reset", request=request)
        answer = self.write(request, ref)
        if self.after_write:
            self.after_write.pop(0)()
        if answer.status_code < 300 and self.lose_answers:
            self.lose_answers -= 1
            raise httpx.ReadError("reset", request=request)
        return answer

    def read(self, ref: str) -> httpx.Response:
        if "/" not in ref:
            found = [json.loads(held[-1]) for key, held in self.versions.items() if key.startswith(f"{ref}/")]
            return httpx.Response(
                200, json={"resourceType": "Bundle", "entry": [{"resource": resource} for resource in found]}
            )
        if ref not in self.versions:
            return httpx.Response(404)
        return self.answer(ref, 200) if self.versions[ref] else httpx.Response(410)

    def history(self, ref: str) -> httpx.Response:
        if not self.has_history:
            return httpx.Response(404)
        texts = [b'{"resource":' + body + b"}" for body in reversed(self.versions[ref])]
        return httpx.Response(200, content=b'{"resourceType":"Bundle","entry":[' + b",".join(texts) + b"]}")

    def write(self, request: httpx.Request, ref: str) -> httpx.Response:
        held = self.versions.get(ref, [])
        if not held:
            self.store(ref, request.content)
            return self.answer(ref, 201)
        if request.method == "PATCH" and self.no_patch_status:
            return httpx.Response(self.no_patch_status, text=self.no_patch_text)
        tag = request.headers.get("if-match")
        if self.heeds_if_match and tag is not None and tag != f'W/"{len(held)}"':
            return httpx.Response(self.refuse_status)
        if self.forbids and self.forbids in request.content.decode():
            return httpx.Response(422, text=f"unknown extension {self.forbids}")
        body = request.content
        if request.method == "PATCH":
            patched = apply(json.loads(held[-1]), json.loads(request.content))
            if patched is None:
                return httpx.Response(self.test_status)
            body = json.dumps(patched).encode()
        self.store(ref, self.changed(body))
        return self.answer(ref, 200)

    def changed(self, body: bytes) -> bytes:
        resource = json.loads(body)
        if self.strips and "extension" in resource:
            resource["extension"] = [one for one in resource["extension"] if one["url"] == HIS["url"]]
            return json.dumps(resource).encode()
        return json.dumps({**resource, "status": "proposed"}).encode() if self.spoils else body

    def answer(self, ref: str, status: int) -> httpx.Response:
        held = self.versions[ref]
        headers = {"etag": f'W/"{len(held)}"'} if self.has_etag else {}
        wrote = self.requests[-1].method != "GET"
        return httpx.Response(
            status, headers=headers, content=b"" if wrote and not self.answers_with_body else held[-1]
        )

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]


def apply(resource: Any, patch: list[dict[str, Any]]) -> Any:
    """RFC 6902, as far as it is needed; None where a test fails or a path isn't there."""
    try:
        for operation in patch:
            *way, last = operation["path"].split("/")[1:]
            at = resource
            for step in way:
                at = at[int(step)] if isinstance(at, list) else at[step]
            _apply_one(at, last, operation)
    except (KeyError, IndexError, AssertionError):
        return None
    return resource


def _apply_one(at: Any, last: str, operation: dict[str, Any]) -> None:
    key: Any = (len(at) if last == "-" else int(last)) if isinstance(at, list) else last
    match operation["op"]:
        case "test":
            assert at[key] == operation["value"]
        case "add" if isinstance(at, list):
            at.insert(key, operation["value"])
        case "add":
            at[key] = operation["value"]
        case "replace":
            assert at[key] is not None
            at[key] = operation["value"]
        case "remove":
            del at[key]


@asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[FhirClient]:
    async with FhirClient(BASE, transport=httpx.MockTransport(server), backoff_s=0.0) as client:
        yield client


def carried(server: Server, ref: str = REF) -> Annotation | None:
    return reader(SOURCE)(server.newest(ref).get("extension")).annotation
