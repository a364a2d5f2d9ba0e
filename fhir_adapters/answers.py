"""What a FHIR server answered, and which error it means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from fhir_adapters import content, links
from fhir_adapters.errors import (
    BadAnswerError,
    ConflictError,
    FhirServerError,
    GoneError,
    NotFoundError,
    RefusedError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from twin.timebase import wall_now

_COMPRESSED = re.compile(r'[-;]gzip(?="?$)')


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (any case), the whole body, and the address that was asked."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str = ""

    def json(self) -> Any:
        """The parsed body. Raises BadAnswerError."""
        return content.parse(self.body)

    @property
    def version_id(self) -> str | None:
        """The version that was read or written: body, else ETag, else Content-Location, else Location.

        None where the server tells none of them.
        """
        return self._version_in_body() or self._version_in_tag() or self._version_in_location()

    @property
    def tag(self) -> str | None:
        """The ETag, without what a proxy that compresses appends to it and doesn't know again in If-Match."""
        return _COMPRESSED.sub("", self.headers.get("etag", "").strip()) or None

    @property
    def server_time(self) -> datetime | None:
        """The server's clock as the Date header gives it."""
        return http_date(self.headers.get("date", ""))

    def _version_in_body(self) -> str | None:
        try:
            resource = self.json()
        except BadAnswerError:
            return None
        meta = resource.get("meta") if isinstance(resource, dict) else None
        return links.version_told(meta.get("versionId")) if isinstance(meta, dict) else None

    def _version_in_tag(self) -> str | None:
        return (self.tag or "").removeprefix("W/").strip('"') or None

    def _version_in_location(self) -> str | None:
        for name in ("content-location", "location"):
            _, history, version = self.headers.get(name, "").partition("/_history/")
            if history and version:
                return version.partition("?")[0].rstrip("/")
        return None


def http_date(text: str) -> datetime | None:
    """A date of an HTTP header, aware; None where it is none."""
    try:
        read = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def error_of(answer: Answer, *, method: str, resource: str) -> FhirServerError | None:
    """The error that a status means, None for success and for 304."""
    if answer.status < 300 or answer.status == 304:
        return None
    kind, reason = _meaning(answer.status)
    return kind(
        reason,
        method=method,
        resource=resource,
        status=answer.status,
        retry_after_s=_retry_after_s(answer),
        server_time=answer.server_time,
        body=answer.body,
    )


def _meaning(status: int) -> tuple[type[FhirServerError], str]:
    if status in _MEANINGS:
        return _MEANINGS[status]
    if status < 400:
        return BadAnswerError, "the server redirects; set the base URL to its final address"
    if status < 500:
        return RejectedError, "the server does not accept the request"
    return UnreachableError, "the server failed"


_MEANINGS: dict[int, tuple[type[FhirServerError], str]] = {
    401: (RefusedError, "the server asks for credentials, or for newer ones"),
    403: (RefusedError, "the server does not allow this"),
    404: (NotFoundError, "not found"),
    409: (ConflictError, "in conflict with what is there"),
    410: (GoneError, "deleted"),
    412: (ConflictError, "another version is there"),
    429: (ThrottledError, "the server asks to wait"),
    503: (ThrottledError, "the server is not available now"),
}


def _retry_after_s(answer: Answer) -> float | None:
    """Seconds to wait: a number, or an HTTP date against the server's own Date (else our clock); never negative."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until = http_date(text)
    if until is None:
        return None
    return max(0.0, (until - (answer.server_time or wall_now())).total_seconds())
