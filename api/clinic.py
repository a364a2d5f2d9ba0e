"""`jumeau clinic`: the synthetic clinic's days, made into files or onto a server, or played there."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.serving import stop_signal
from api.settings import Settings
from fhir_adapters.client import FhirClient
from fixtures.clinic import delivery
from fixtures.clinic.day import ROOMS, generate_day
from fixtures.clinic.delivery import Done
from fixtures.clinic.living import Actor
from fixtures.clinic.loading import load, load_to, write_files
from fixtures.clinic.period import Length, Period, span_of
from twin.errors import SettingsError
from twin.timebase import Clock, monotonic, site_date

STARTS = time(7)


@dataclass(frozen=True, slots=True)
class DayPlan:
    """Which synthetic day."""

    day: date
    seed: int = 0
    rooms: int = ROOMS


@dataclass(frozen=True, slots=True)
class PeriodPlan:
    """Which stretch of the clinic's life, and where it goes: `out` or `to`."""

    length: Length
    first: date | None = None
    """None: it ends with today."""
    seed: int = 0
    known_at: datetime | None = None
    """None: the last full hour of the site, so that the same hour gives the same bytes."""
    out: Path | None = None
    to: str | None = None
    transactions: bool = False


async def generate_morning(settings: Settings, plan: DayPlan, *, out: Path | None, to: str | None) -> str:
    """Make a day as it is known in its morning into files or onto a server; says what was made."""
    made = generate_day(plan.day, settings.site_options().timezone, plan.seed, plan.rooms)
    if out is not None:
        with _writing(out):
            files = await asyncio.to_thread(write_files, made, out)
        return f"{len(made.resources)} resources in {len(files)} files in {out}"
    if to is not None:
        await load_to(to, made)
    return f"{len(made.resources)} resources on {to}"


async def generate_period(settings: Settings, plan: PeriodPlan) -> str:
    """Make a period into files or onto a server; says what was made, and how fast."""
    period = _period(settings, plan)
    started = monotonic()
    with _progress(len(period.days)) as report:
        if plan.to is not None:
            async with FhirClient(plan.to) as client:
                done = await delivery.load_period(client, period, report)
        else:
            write = delivery.write_transactions if plan.transactions else delivery.write_ndjson
            out = plan.out or Path()
            with _writing(out):
                done = await asyncio.to_thread(write, period, out, report)
    seconds = monotonic() - started
    where = f"on {plan.to}" if plan.to else f"in {plan.out}"
    known = period.known_at.astimezone(period.zone).isoformat(timespec="minutes")
    days = "1 day" if len(period.days) == 1 else f"{len(period.days)} days"
    return (
        f"{done.cases} cases of {days}, {period.first} to {period.last}, as known at {known}: "
        f"{done.resources} resources {where} in {seconds:.1f} s, {done.resources / seconds:,.0f} a second"
    )


def _period(settings: Settings, plan: PeriodPlan) -> Period:
    zone = settings.site_options().timezone
    now = settings.make_clock().now().replace(minute=0, second=0, microsecond=0)
    known_at = plan.known_at or now
    first, last = span_of(plan.length, plan.first, site_date(known_at, zone))
    return Period(first, last, zone, plan.seed, known_at)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(f"--out: {out} can't be written: {error.strerror or 'no folder'}") from None


@contextmanager
def _progress(days: int) -> Iterator[delivery.Progress]:
    """A bar on the terminal; nothing where stderr is none."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("days"), TextColumn("{task.description}"))
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bar:
        task, started = bar.add_task("", total=days), monotonic()

        def report(done: Done) -> None:
            rate = done.resources / max(monotonic() - started, 1e-3)
            told = f"{done.resources:,} resources, {rate:,.0f} a second"
            bar.update(task, completed=done.parts - 1, description=told)

        yield report


async def live(settings: Settings, plan: DayPlan, *, base_url: str, speed: float) -> None:
    """Play a day on a server from 07:00 of the site until it is over or a signal ends it."""
    zone = settings.site_options().timezone
    made = generate_day(plan.day, zone, plan.seed, plan.rooms)
    stop = stop_signal()
    async with FhirClient(base_url) as client:
        await load(client, made)
        actor = Actor(client, made, Clock(anchor=datetime.combine(plan.day, STARTS, zone), speed=speed))
        stopping = asyncio.create_task(stop.wait())
        playing = asyncio.create_task(actor.play())
        await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        actor.stop()
        stopping.cancel()
        await playing
        typer.echo(f"{len(actor.changes)} writes done, {actor.failed} given up")
