"""The door of the API: which requests come in, and the headers that every answer leaves with."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

MAX_BODY = 1024
"""Bytes. Nearly everything here is read, so a body has no use."""
MAX_QUESTION = 64 * 1024
"""Bytes of a what-if question."""
MAX_NOTIFICATION = 2**20
"""Bytes of what the FHIR server tells; it is thrown away unread, so its length need not be told."""

_OWN_HOSTS = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_STREAM = "/stream"
_PUSH = "/push/"
_QUESTION = "/what-if"


class Guard:
    """Pure ASGI, so that a stream passes through it unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse foreign hosts and bodies, answer HEAD as GET without its body, add the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        app: ASGIApp = refusal if (refusal := _refused(Headers(scope=scope), scope["path"])) else self.app
        head = scope["method"] == "HEAD" and scope["path"] != _STREAM  # a stream has no end to wait for
        if head:
            scope = {**scope, "method": "GET"}

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            elif head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await app(scope, receive, guarded)


def _refused(headers: Headers, path: str) -> ASGIApp | None:
    """Without sign-in only this machine is served. A page of another site that resolves to us sends its own Host."""
    if not _OWN_HOSTS.fullmatch(headers.get("host", "")):
        return problem(421, "Use 127.0.0.1 or localhost: there is no sign-in yet, so other hosts are refused.")
    length = _length(headers.get("content-length", "0"))
    if path.startswith(_PUSH):
        if length > MAX_NOTIFICATION:
            return problem(413, "Send less: an empty notification says as much.", headers={"Connection": "close"})
    elif path == _QUESTION and "transfer-encoding" not in headers:
        if length > MAX_QUESTION:
            return problem(413, "Ask with fewer hazards: at most 64 kB.", headers={"Connection": "close"})
    elif "transfer-encoding" in headers or length > MAX_BODY:
        return problem(413, "Send no body: everything here is read with GET.", headers={"Connection": "close"})
    return None


def _length(told: str) -> int:
    return int(told) if told.isdecimal() and len(told) < 10 else MAX_NOTIFICATION + 1
