"""What stands between a test and a public server: it lets nothing out that is not synthetic and of this run.

Everything that a run makes has the run's name at the beginning of its id and among its tags, so nothing of others can
be changed or deleted, and all of it can be found again.
"""

import asyncio
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

from fhir_adapters.client import FhirClient
from fhir_adapters.errors import ConflictError, NotFoundError
from fixtures.clinic.catalogue import TAGS
from twin import timebase

GAP_S = 1.0
SYNTHETIC = "synthetic"
TYPES = ("Procedure", "Encounter", "Appointment", "Patient", "Location")
"""What a run may leave, those that refer to others first."""
_SECRET = ("authorization", "proxy-authorization", "cookie")
_OWN = re.compile(r"/[A-Z][A-Za-z]+/([A-Za-z0-9.-]{1,64})")
_ROUNDS = 3

Json = dict[str, Any]


class NotSentError(RuntimeError):
    """A request that must not leave for a public server. No OSError: a client would take it for a broken connection."""


def new_run() -> str:
    """A name that no other run has."""
    return f"jumeau-{uuid.uuid4().hex[:12]}"


def tagged(resource: Json, run: str) -> Json:
    """The resource as synthetic, of this run, its id beginning with the run's name."""
    tags = [{"system": TAGS, "code": SYNTHETIC}, {"system": TAGS, "code": run}]
    return {**resource, "id": f"{run}-{resource['id']}", "meta": {"tag": tags}}


def refuse(request: httpx.Request, base: str, run: str) -> None:
    """Raises NotSentError for a request that carries credentials, or writes what is not synthetic and of this run."""
    if found := [name for name in _SECRET if name in request.headers]:
        raise NotSentError(f"a public server gets no {found[0]} header")
    if not str(request.url).startswith(f"{base}/") and str(request.url) != base:
        raise NotSentError("a request to another place than the sandbox")
    if request.method != "GET":
        _refuse_write(request, urlsplit(base).path, run)


def _refuse_write(request: httpx.Request, base_path: str, run: str) -> None:
    way = request.url.path.removeprefix(base_path).rstrip("/")
    if request.method == "POST" and not way:
        bundle = _body(request)
        for entry in bundle.get("entry", []):
            if entry["request"]["method"] != "PUT":
                raise NotSentError("a transaction holds PUTs only")
            _refuse_resource(entry["resource"], f"/{entry['request']['url']}", run)
    elif request.method == "PUT":
        _refuse_resource(_body(request), way, run)
    elif request.method in ("PATCH", "DELETE"):
        _refuse_way(way, run)
    else:
        raise NotSentError(f"{request.method} is not for a public server: ids are of our making")


def _refuse_way(way: str, run: str) -> None:
    found = _OWN.fullmatch(way)
    if not (found and found[1].startswith(f"{run}-")):
        raise NotSentError("a write to a resource that this run did not make")


def _refuse_resource(resource: Json, way: str, run: str) -> None:
    _refuse_way(way, run)
    tags = {(tag.get("system"), tag.get("code")) for tag in resource.get("meta", {}).get("tag", [])}
    if not {(TAGS, SYNTHETIC), (TAGS, run)} <= tags:
        raise NotSentError("a resource that is not tagged as synthetic and of this run")


def _body(request: httpx.Request) -> Json:
    read: object = json.loads(request.content)
    if not isinstance(read, dict):
        raise NotSentError("a body that is no resource")
    return read


class Guard(httpx.AsyncBaseTransport):
    """Sends what `refuse` lets through, one request at a time and one a second."""

    def __init__(
        self,
        base: str,
        run: str,
        inner: httpx.AsyncBaseTransport | None = None,
        *,
        gap_s: float = GAP_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._base = base
        self._run = run
        self._inner = inner or httpx.AsyncHTTPTransport()
        self._gap_s = gap_s
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._next_s = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Refuse, or wait for the turn and send."""
        refuse(request, self._base, self._run)
        async with self._turn:
            if (wait_s := self._next_s - timebase.monotonic()) > 0:
                await self._sleep(wait_s)
            self._next_s = timebase.monotonic() + self._gap_s
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._inner.aclose()


def guarded_client(base: str, run: str, *, gap_s: float = GAP_S) -> FhirClient:
    """A client that can't do any harm there."""
    return FhirClient(base, transport=Guard(base, run, gap_s=gap_s), max_in_flight=1)


async def clean(client: FhirClient, run: str) -> list[str]:
    """Delete all that the run made; the refs of what could not be deleted."""
    left: list[str] = []
    for _ in range(_ROUNDS):
        left = [ref for name in TYPES for ref in await _of_run(client, name, run)]
        if not left:
            return []
        for ref in left:
            try:
                await client.delete(ref)
            except (ConflictError, NotFoundError):
                continue  # referred to by one that goes in the next round, or gone
    return left


async def _of_run(client: FhirClient, resource_type: str, run: str) -> list[str]:
    found = []
    async for page in client.search(resource_type, [("_tag", f"{TAGS}|{run}"), ("_count", "50")]):
        found += [f"{resource_type}/{entry['resource']['id']}" for entry in page.bundle.get("entry", [])]
    return [ref for ref in found if ref.partition("/")[2].startswith(f"{run}-")]
