"""`jumeau demo`: a clinic that lives on a real FHIR server, and its twin, in one command."""

import asyncio
import ipaddress
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from urllib.parse import urlsplit

import typer

from api.demo_check import Verdict, verdict_of
from api.live import LiveProgram
from api.sections import BlockSettings
from api.serving import announce, living, stop_signal
from api.settings import Settings
from fhir_adapters.client import FhirClient
from fixtures.clinic.day import ClinicDay, generate_day
from fixtures.clinic.living import Actor
from fixtures.clinic.loading import load
from fixtures.servers.hapi import HapiServer
from fixtures.servers.local import LocalServer
from fixtures.servers.sekmet import SekmetServer
from twin.errors import SettingsError
from twin.timebase import Clock, site_date, wall_now

STARTS = time(7)
SETTLES_WITHIN_S = 30.0
_NAME = "Clinique du Parc"


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What was asked of a demo."""

    minutes: float | None = None
    check: bool = False
    keep: Path | None = None
    speed: float = 60.0
    seed: int = 0
    fhir: str = "sekmet"
    """`sekmet` or `hapi`, started for the demo; or the base of a server on this machine that runs already."""


async def play(settings: Settings, plan: DemoPlan) -> Verdict | None:
    """Start the server, load today, live it; the verdict where a check was asked for and nobody ended it early."""
    stop = stop_signal()
    with _folder(plan.keep) as folder:
        async with _server(plan.fhir, folder / "fhir", stop) as base_url:
            if base_url is None:
                return None
            return await _play(settings, plan, stop, folder=folder, base_url=base_url)


async def _play(
    settings: Settings, plan: DemoPlan, stop: asyncio.Event, *, folder: Path, base_url: str
) -> Verdict | None:
    zone = settings.site_options().timezone
    today = site_date(wall_now(), zone)
    clinic_day = generate_day(today, zone, plan.seed)
    async with FhirClient(base_url) as hospital:
        await load(hospital, clinic_day)
        clock = Clock(anchor=datetime.combine(today, STARTS, zone), speed=plan.speed)
        chosen = _settings(settings, base_url, folder, clinic_day)
        async with living(chosen, clock) as (program, address):
            announce(api=address, fhir=base_url, database=chosen.database_url)
            typer.echo(f"The page of the day: {address}  (Ctrl-C ends it)", err=True)
            actor = Actor(hospital, clinic_day, clock)
            ended = await _live(program, actor, stop, plan)
            return await _checked(program, hospital, clock) if ended and plan.check else None


async def _live(program: LiveProgram, actor: Actor, stop: asyncio.Event, plan: DemoPlan) -> bool:
    """Play until the time is over (True) or somebody ends it (False)."""
    playing = asyncio.create_task(actor.play())
    stopping = asyncio.create_task(stop.wait())
    failing = asyncio.create_task(program.ended())
    try:
        timeout = plan.minutes * 60 if plan.minutes else None
        done, _ = await asyncio.wait({stopping, failing}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if failing in done:
            failing.result()
        return not done
    finally:
        actor.stop()
        for task in (stopping, failing):
            task.cancel()
        await playing


async def _checked(program: LiveProgram, hospital: FhirClient, clock: Clock) -> Verdict:
    """Clock and clinic stand still; the twin settles; then everything on the server is compared."""
    await program.stand_still()
    program.worker.clock = clock.frozen_at(clock.now())
    await program.settle(SETTLES_WITHIN_S)
    return await verdict_of(program, hospital)


def _settings(settings: Settings, base_url: str, folder: Path, day: ClinicDay) -> Settings:
    """The demo's own: its server and database, writing on, everything quick."""
    blocks = {
        room: [BlockSettings(start=block.start, end=block.end) for block in week]
        for room, week in day.site().blocks.items()
    }
    site = {"name": _NAME, "working_days": [day.day.isoformat()], "blocks": blocks}
    write_back = {"mode": "annotate", "min_interval_s": 1.0, "budget_per_s": 60.0, "max_per_hour": 3600}
    return settings.model_copy(
        update={
            "database_url": f"sqlite:///{folder / 'jumeau.db'}",
            "fhir": settings.fhir.model_copy(update={"base_url": base_url}),
            "site": settings.site.model_copy(update=site),
            "sync": settings.sync.model_copy(update={"poll_s": 1.0}),
            "simulation": settings.simulation.model_copy(update={"every_s": 5.0}),
            "write_back": settings.write_back.model_copy(update=write_back),
        }
    )


@asynccontextmanager
async def _server(fhir: str, folder: Path, stop: asyncio.Event) -> AsyncIterator[str | None]:
    """FHIR base of the server asked for, started here or running on this machine; None where somebody ended it."""
    if _is_here(fhir):
        yield fhir
        return
    server = _chosen(fhir, folder)
    try:
        yield server.base_url if await _started(server, stop) else None
    finally:
        server.stop()


def _chosen(fhir: str, folder: Path) -> LocalServer:
    if fhir == "sekmet":
        return SekmetServer(folder)
    if fhir == "hapi":
        typer.echo("HAPI FHIR starts: up to a minute, and some more when it is built the first time", err=True)
        return HapiServer(folder)
    raise SettingsError(
        "--fhir: say sekmet, hapi, or the address of a test server on this machine (http://127.0.0.1:8080/fhir); "
        "the demo writes a synthetic clinic, which must never get onto a hospital's server"
    )


async def _started(server: LocalServer, stop: asyncio.Event) -> bool:
    """Start it without holding up the event loop; False where it was stopped meanwhile."""
    starting = asyncio.create_task(asyncio.to_thread(server.start))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if stop.is_set():
        server.stop()
        await asyncio.gather(starting, return_exceptions=True)
        return False
    await starting
    return True


def _is_here(url: str) -> bool:
    """True for an http(s) address of this machine, written as such."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme in ("http", "https") and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="jumeau-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
