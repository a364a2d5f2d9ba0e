"""The listening socket of a stranger, and what is connected to it."""

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Listening(ThreadingHTTPServer):
    """A server on a port that remembers its connections."""

    daemon_threads = True
    block_on_close = False
    stranger: Any
    """Whose it is; the handler asks for it."""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Connections are remembered: a server that goes away takes them along."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close what is open."""
        for one in list(self._open):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # gone already

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
