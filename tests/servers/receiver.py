"""A tiny receiver of rest-hook notifications on 127.0.0.1."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Notification:
    """One request that arrived, and when."""

    method: str
    path: str
    secret: str | None
    body: bytes


class Receiver:
    """Takes every request and answers 200. A context manager."""

    def __init__(self) -> None:
        self.got: list[Notification] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """What a Subscription names as its endpoint."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def wait_for(self, wanted: Callable[[Notification], bool], within_s: float) -> Notification | None:
        """The first notification of a kind, None where it does not come in time."""
        deadline = time.monotonic() + within_s
        with self._changed:
            while True:
                if found := next((one for one in self.got if wanted(one)), None):
                    return found
                if (left := deadline - time.monotonic()) <= 0:
                    return None
                self._changed.wait(left)

    def _take(self, notification: Notification) -> None:
        with self._changed:
            self.got.append(notification)
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                take(Notification(self.command, self.path, self.headers.get("X-Secret"), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_PUT = do_DELETE = _any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
