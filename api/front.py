"""The document of the day in front of the framework: many pages ask for the same bytes, and most have them already."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deps import Program
from api.routes.document import DayDocuments

PATH = "/day"


class DayInFront:
    """Answers GET /day from the newest encoding, 304 where the page has it. Pure ASGI, inside the guard.

    All else (a past instant is asked for in the query), and the time before the first snapshot, is left to the routes.
    """

    def __init__(self, app: ASGIApp, program: Program, documents: DayDocuments) -> None:
        """`documents` is shared with the routes."""
        self._app = app
        self._program = program
        self._documents = documents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        snapshot = self._program.snapshot if scope["type"] == "http" and scope["path"] == PATH else None
        if snapshot is None or scope["method"] != "GET" or scope["query_string"]:
            await self._app(scope, receive, send)
            return
        document = self._documents.of(self._program, snapshot)
        headers = [(b"etag", document.etag.encode())]
        if document.is_known(Headers(scope=scope).get("if-none-match", "")):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        length = str(len(document.json)).encode()
        headers += [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": document.json})
