"""The program as a process: API and line on one event loop, one JSON line first, a clean end on a signal."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import typer
import uvicorn

from api.app import create_app
from api.compose import worker_of
from api.live import LiveProgram
from api.sections import ApiSettings
from api.settings import Settings
from twin.errors import SettingsError
from twin.timebase import Clock

_CLOSE_WITHIN_S = 2
_log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: it would raise the signal again after a clean end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings) -> None:
    """Live until SIGINT or SIGTERM."""
    stop = stop_signal()
    async with living(settings) as (program, address):
        announce(api=address, fhir=settings.fhir.base_url, database=str(settings.shown()["database_url"]))
        ended = asyncio.create_task(program.ended())
        await asyncio.wait({ended, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            ended.result()


@asynccontextmanager
async def living(settings: Settings, clock: Clock | None = None) -> AsyncIterator[tuple[LiveProgram, str]]:
    """The running program and the address of its API; stopped at the end."""
    async with worker_of(settings, clock or settings.make_clock(), alone=True) as worker:
        program = LiveProgram(worker)
        listening = listen(settings.api)
        if settings.push.callback_url and listening.getsockname()[1] != settings.api.port:
            _log.warning("api.port was taken: push.callback_url leads elsewhere, notifications do not arrive")
        server = _Server(
            uvicorn.Config(
                create_app(program),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=_CLOSE_WITHIN_S,
            )
        )
        program.start()
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield program, _address(listening)
        finally:
            await program.stop()
            server.should_exit = True
            await serving


def listen(settings: ApiSettings) -> socket.socket:
    """A socket on the wished port, or on a free one where that is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    for port in (settings.port, 0):
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((settings.host, port))
        except OSError:
            found.close()
            continue
        found.listen()  # who reads the address may connect at once: they wait until the API is up
        return found
    raise SettingsError(f"api.host: nothing can be served on {settings.host}")


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(*, api: str, fhir: str, database: str) -> None:
    """The first line on stdout: where everything is."""
    typer.echo(json.dumps({"api": api, "fhir": fhir, "database": database, "pid": os.getpid()}))


def stop_signal() -> asyncio.Event:
    """Set by SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop
