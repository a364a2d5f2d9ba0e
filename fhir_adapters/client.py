"""A FHIR server over HTTP: pages, reads and guarded writes. The only importer of httpx.

Reads are repeated on lost connections, 429, 502, 503 and 504, with jitter, as the server's Retry-After asks, until the
deadline. Writes are sent once: after a temporary error their caller re-reads and decides.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx

from fhir_adapters import content, dates, links
from fhir_adapters.answers import Answer, error_of
from fhir_adapters.errors import (
    AdapterError,
    BadAddressError,
    BadAnswerError,
    EndlessError,
    FhirServerError,
    NoConnectionError,
    RejectedError,
    SlowError,
    ThrottledError,
    UnreachableError,
)

FHIR_JSON = "application/fhir+json"
ACCEPTED = f"{FHIR_JSON}, application/json;q=0.9"
JSON_PATCH = "application/json-patch+json"
MAX_BODY_BYTES = 64 * 2**20
MAX_PAGES = 10_000
MAX_REDIRECTS = 3
MAX_ATTEMPTS = 6
CONNECT_TRIES = 3
REPEATED_AFTER = (None, 429, 502, 503, 504)
"""Statuses after which a read is sent again; None is a connection that failed."""
LARGE_BODY_BYTES = 200_000
"""From here on a body is parsed in a thread, so that the event loop goes on."""

Params = Sequence[tuple[str, str]]

# At INFO httpx logs whole addresses, and a query may hold the id of a patient.
logging.getLogger("httpx").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search. `number` counts from 1; `server_time` is the server's clock when it answered.

    `moved`: its `next` link names another address of the same server, and is followed at the base.
    """

    bundle: dict[str, Any]
    server_time: datetime | None
    self_link: str | None
    number: int
    moved: bool = False


def is_away(error: FhirServerError) -> bool:
    """True where the server can't be reached now; False where it answered, if only that it can't do this (500, 501)."""
    return error.temporary and error.status in REPEATED_AFTER


def may_be_the_search(error: FhirServerError) -> bool:
    """True where another search of the same type may be answered: servers refuse parameters in many ways."""
    return isinstance(error, RejectedError) or error.status in (500, 501)


class FhirClient:
    """One FHIR R4 server. Use as an async context manager."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = 30.0,
        deadline_s: float = 120.0,
        max_in_flight: int = 8,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        backoff_s: float = 0.5,
    ) -> None:
        """`timeout_s` of silence and `deadline_s` for a whole request with its repetitions.

        `headers` (credentials, say) never leave for another origin: redirects are off and links guarded.
        Raises BadAddressError for anything but http(s) without credentials in the address.
        """
        self.base = links.base_of(base_url)
        self._deadline_s = deadline_s
        self._max_body_bytes = max_body_bytes
        self._backoff_s = backoff_s
        self._slots = asyncio.Semaphore(max_in_flight)
        self._http = httpx.AsyncClient(
            headers={"Accept": ACCEPTED, "Accept-Encoding": "gzip", "User-Agent": "jumeau", **(headers or {})},
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=max_in_flight, max_keepalive_connections=max_in_flight),
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        )

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes its connections."""
        await self.close()

    async def close(self) -> None:
        """Closes its connections; it can't be used afterwards."""
        await self._http.aclose()

    # Reading

    async def get(
        self,
        url_or_path: str,
        *,
        params: Params | None = None,
        fresh: bool = True,
        etag: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET of a path below the base, or of an address that the server gave.

        `fresh` asks for an answer that no cache gives; with `etag` (a version id or a tag) an unchanged resource
        answers 304. Raises FhirServerError, BadAddressError.
        """
        url = self.base.resolve(url_or_path) if "://" in url_or_path else self.base.address(url_or_path)
        sent = {**({"Cache-Control": "no-cache"} if fresh else {}), **(headers or {})}
        if etag is not None:
            sent["If-None-Match"] = links.entity_tag(etag)
        request = self._http.build_request("GET", url, params=None if params is None else list(params), headers=sent)
        return await self._within_deadline(request, attempts=MAX_ATTEMPTS)

    async def read(self, ref: str, *, etag: str | None = None) -> Answer:
        """The newest version of `Type/id`. Raises NotFoundError, GoneError and the others."""
        links.reference(ref)
        return await self.get(ref, etag=etag)

    async def capabilities(self) -> dict[str, Any]:
        """The server's CapabilityStatement."""
        return _resource((await self.get("metadata")).json(), "CapabilityStatement")

    async def search(
        self, resource_type: str, params: Params = (), *, max_pages: int = MAX_PAGES
    ) -> AsyncIterator[Page]:
        """The pages of a search of one type. Raises as `pages` does."""
        if not links.is_type(resource_type):
            raise BadAddressError("a search needs the name of a resource type")
        async for page in self.pages(resource_type, params, max_pages=max_pages):
            yield page

    async def pages(self, path: str, params: Params = (), *, max_pages: int = MAX_PAGES) -> AsyncIterator[Page]:
        """The pages of a search or a history; each `next` link is followed as given, if it leads below the base.

        A proxy may hide how the server calls itself: a link below the base that the first `self` link names is followed
        at ours. Raises BadAnswerError for one that leads elsewhere, EndlessError for one that was followed before, and
        after `max_pages`.
        """
        url, seen, resource_type = self.base.address(path), set[str](), path.partition("/")[0]
        query: Params | None = list(params)
        told: links.Base | None = None
        for number in range(1, max_pages + 1):
            answer = await self.get(url, params=query)
            seen.add(answer.url)
            bundle = await self._bundle(answer)
            told = links.base_told(_link(bundle, "self"), path) if number == 1 else told
            following, moved = self._following(bundle, answer.url, told)
            yield Page(bundle, _server_time(bundle, answer), _link(bundle, "self"), number, moved)
            if following is None:
                return
            if following in seen:
                raise EndlessError("a `next` link leads back", method="GET", resource=resource_type)
            url, query = following, None  # params would replace the query of the link
        raise EndlessError(f"a search has over {max_pages} pages", method="GET", resource=resource_type)

    async def _bundle(self, answer: Answer) -> dict[str, Any]:
        large = len(answer.body) >= LARGE_BODY_BYTES
        parsed = await asyncio.to_thread(content.parse, answer.body) if large else content.parse(answer.body)
        return _resource(parsed, "Bundle")

    def _following(self, bundle: Mapping[str, Any], seen_at: str, told: links.Base | None) -> tuple[str | None, bool]:
        """The address of the next page, and whether the link named another one."""
        following = _link(bundle, "next")
        if following is None:
            return None, False
        try:
            return self.base.resolve(following, seen_at=seen_at), False
        except BadAddressError as error:
            home = None if told is None else self.base.moved(following, told)
            if home is not None:
                return home, True
            raise BadAnswerError(f"a `next` link is not followed: {error}", method="GET", resource="Bundle") from error

    # Writing

    async def create(
        self, resource_type: str, body: bytes | Mapping[str, Any], *, if_none_exist: Params = ()
    ) -> Answer:
        """POST of a new resource; with `if_none_exist` only where a search by it finds none (200: one was there).

        Raises ConflictError where it finds several. Servers may ignore it.
        """
        if not links.is_type(resource_type):
            raise BadAddressError("a create needs the name of a resource type")
        only_if = {"If-None-Exist": urlencode(if_none_exist)} if if_none_exist else {}
        return await self._write("POST", self.base.address(resource_type), body, headers=only_if)

    async def update(self, ref: str, body: bytes | Mapping[str, Any], *, if_match: str | None) -> Answer:
        """PUT of a whole resource over version `if_match`. Raises ConflictError where another one is there."""
        links.reference(ref)
        return await self._write("PUT", self.base.address(ref), body, if_match=if_match)

    async def patch(self, ref: str, operations: Sequence[Mapping[str, Any]], *, if_match: str | None) -> Answer:
        """JSON Patch of version `if_match`.

        Raises ConflictError where another one is there, RejectedError where a `test` fails (400 and 422 are seen).
        """
        links.reference(ref)
        return await self._write("PATCH", self.base.address(ref), operations, if_match=if_match, media=JSON_PATCH)

    async def delete(self, ref: str, *, if_match: str | None = None) -> Answer:
        """DELETE. Raises ConflictError where something refers to it."""
        links.reference(ref)
        return await self._write("DELETE", self.base.address(ref), None, if_match=if_match)

    async def discard(self, url: str) -> Answer:
        """DELETE of an address that the server gave for a job of ours."""
        return await self._write("DELETE", self.base.resolve(url), None)

    async def transaction(self, bundle: bytes | Mapping[str, Any]) -> Answer:
        """POST of a transaction or batch Bundle, as text or as values, to the base."""
        return await self._write("POST", self.base.address(""), bundle)

    async def _write(
        self,
        method: str,
        url: str,
        body: object,
        *,
        if_match: str | None = None,
        media: str = FHIR_JSON,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        headers = {"Prefer": "return=representation", **headers}
        if if_match is not None:
            headers["If-Match"] = links.entity_tag(if_match)
        data = body if isinstance(body, bytes) else None if body is None else _encoded(body)
        if data is not None:
            headers["Content-Type"] = media
        request = self._http.build_request(method, url, content=data, headers=headers)
        return await self._within_deadline(request, attempts=1)

    # Sending

    async def _within_deadline(self, request: httpx.Request, *, attempts: int) -> Answer:
        """Sends until an answer, a final error or the deadline."""
        resource = self._named(request)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._repeated(request, resource, attempts)
        except TimeoutError:
            raise SlowError(
                f"no whole answer in {self._deadline_s:g} s", method=request.method, resource=resource
            ) from None

    async def _repeated(self, request: httpx.Request, resource: str, attempts: int) -> Answer:
        ends = asyncio.get_running_loop().time() + self._deadline_s
        attempt = 1
        while True:
            try:
                return await self._once(request, resource)
            except (UnreachableError, ThrottledError, SlowError) as error:
                wait_s = self._wait_s(error.retry_after_s, attempt)
                too_late = asyncio.get_running_loop().time() + wait_s >= ends
                tries = min(attempts, CONNECT_TRIES) if isinstance(error, NoConnectionError) else attempts
                if attempt >= tries or too_late or error.status not in REPEATED_AFTER:
                    raise
            await asyncio.sleep(wait_s)
            attempt += 1

    def _wait_s(self, asked_s: float | None, attempt: int) -> float:
        jitter = random.random()
        if asked_s is not None:
            return asked_s + jitter * self._backoff_s
        return self._backoff_s * 2.0 ** (attempt - 1) * (0.5 + jitter)

    async def _once(self, request: httpx.Request, resource: str) -> Answer:
        try:
            async with self._slots:
                answer = await self._redirected(request, await self._exchange(request))
        except httpx.TimeoutException:
            raise SlowError("the server is silent", method=request.method, resource=resource) from None
        except httpx.ConnectError:
            raise NoConnectionError("nobody answers at the address", method=request.method, resource=resource) from None
        except httpx.TransportError as error:
            # The cause's text may hold an address; its kind says enough.
            reason = f"the FHIR server can't be reached: {type(error).__name__}"
            raise UnreachableError(reason, method=request.method, resource=resource) from None
        except BadAnswerError as error:
            raise BadAnswerError(str(error), method=request.method, resource=resource) from None
        failure = error_of(answer, method=request.method, resource=resource)
        if failure is not None:
            raise failure
        return answer

    async def _redirected(self, request: httpx.Request, answer: Answer) -> Answer:
        """What a read is redirected to below the base; a redirect to anywhere else as it came."""
        for _ in range(MAX_REDIRECTS):
            target = answer.headers.get("location", "")
            if request.method != "GET" or answer.status not in (301, 302, 303, 307, 308) or not target:
                break
            try:
                address = self.base.resolve(target, seen_at=answer.url)
            except BadAddressError:
                break
            answer = await self._exchange(self._http.build_request("GET", address, headers=request.headers))
        return answer

    async def _exchange(self, request: httpx.Request) -> Answer:
        response = await self._http.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._max_body_bytes:
                    raise BadAnswerError(f"the answer is larger than {self._max_body_bytes} bytes")
        except httpx.DecodingError:
            raise BadAnswerError("the answer's compression can't be read") from None
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, bytes(body), str(request.url))

    def _named(self, request: httpx.Request) -> str:
        """The resource type of a request, for messages: never an id or a query."""
        first = request.url.path.removeprefix(self.base.path).strip("/").partition("/")[0]
        return first if links.is_type(first) else "the server"


def _resource(parsed: object, resource_type: str) -> dict[str, Any]:
    if not isinstance(parsed, dict) or parsed.get("resourceType") != resource_type:
        raise BadAnswerError(f"a {resource_type} was expected")
    return parsed


def _link(bundle: Mapping[str, Any], relation: str) -> str | None:
    entries = bundle.get("link")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("relation") == relation and isinstance(entry.get("url"), str):
            return str(entry["url"])
    return None


def _server_time(bundle: Mapping[str, Any], answer: Answer) -> datetime | None:
    meta = bundle.get("meta")
    told = dates.instant(meta.get("lastUpdated")) if isinstance(meta, dict) else None
    return told or answer.server_time


def _encoded(body: object) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, TypeError) as error:
        raise AdapterError(f"a body that JSON can't hold: {type(error).__name__}") from None
