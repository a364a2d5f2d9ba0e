"""Reading a server back with nothing but http.client, as a reviewer would."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]


def request(
    method: str, url: str, body: object = None, headers: dict[str, str] | None = None, *, timeout_s: float = 30.0
) -> tuple[int, bytes]:
    """Status and body of one request."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        sent = None if body is None else json.dumps(body).encode()
        told = {"Accept": "application/fhir+json", **({"Content-Type": "application/fhir+json"} if sent else {})}
        connection.request(method, f"{parts.path}?{parts.query}", sent, {**told, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def text(url: str) -> str:
    """The body of a GET that must answer 200."""
    status, body = request("GET", url)
    assert status == 200, f"{status} for {url}"
    return body.decode()


def get(url: str) -> Json:
    """A JSON object that must be there."""
    found: Json = json.loads(text(url))
    return found


def versions(base: str, ref: str) -> list[Json]:
    """All versions of a resource, oldest first."""
    return [entry["resource"] for entry in reversed(get(f"{base}/{ref}/_history").get("entry", []))]
