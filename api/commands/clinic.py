"""`jumeau clinic`: the synthetic clinic."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.commands.common import Exit, day_of, fail, guarded, instant_of, settings_of

clinic_app = typer.Typer(
    help="The synthetic clinic: make a day or a year of it, or play a day on a FHIR server.", no_args_is_help=True
)


_ALL_ROOMS = 14


class PeriodName(StrEnum):
    """Lengths of a period: 1, 7, 30 and 365 days."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Format(StrEnum):
    """Of files: one of each type, or one transaction Bundle a day."""

    NDJSON = "ndjson"
    TRANSACTIONS = "transactions"


@clinic_app.command("generate")
def clinic_generate(
    out: Annotated[Path | None, typer.Option(help="Write files into this folder.")] = None,
    to: Annotated[str | None, typer.Option(help="Load onto this FHIR server (synthetic data!).")] = None,
    period: Annotated[
        PeriodName | None,
        typer.Option(help="1, 7, 30 or 365 days as they were lived. Without it: one day as planned in its morning."),
    ] = None,
    day: Annotated[
        str | None,
        typer.Option("--day", "--from", help="First day, such as 2026-11-24. Default: the period ends today."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="What is known at this instant; later days are planned only. Default: the last full hour."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    rooms: Annotated[int, typer.Option(min=1, max=60, help="Of a single morning; a period has all 14.")] = _ALL_ROOMS,
    layout: Annotated[Format, typer.Option("--format", help="Of the files of a period.")] = Format.NDJSON,
) -> None:
    """Make seeded synthetic days of the reference clinic: 14 rooms, 17,000 cases a year."""
    if (out is None) == (to is None):
        fail(Exit.USAGE, "say where to: --out DIR or --to URL")
    settings = settings_of(None)
    from api import clinic
    from fixtures.clinic.period import Length

    if period is None:
        if at is not None or layout is not Format.NDJSON:
            fail(Exit.USAGE, "--at and --format are of a period: say --period day, week, month or year")
        plan = clinic.DayPlan(day_of(day, settings), seed=seed, rooms=rooms)
        typer.echo(guarded(clinic.generate_morning(settings, plan, out=out, to=to), server=to or "none"))
        return
    if rooms != _ALL_ROOMS:
        fail(Exit.USAGE, "--rooms is of a single morning: a period is of the whole clinic")
    asked = clinic.PeriodPlan(
        Length(period),
        first=day_of(day, settings) if day else None,
        seed=seed,
        known_at=instant_of(at, settings),
        out=out,
        to=to,
        transactions=layout is Format.TRANSACTIONS,
    )
    typer.echo(guarded(clinic.generate_period(settings, asked), server=to or "none"))


@clinic_app.command("live")
def clinic_live(
    to: Annotated[str, typer.Option(help="FHIR server that holds the generated day.")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
    rooms: Annotated[int, typer.Option(min=1, max=60)] = 14,
    speed: Annotated[float, typer.Option(min=1, max=600)] = 60.0,
) -> None:
    """Play today on a FHIR server, from 07:00 of the site, through its API."""
    settings = settings_of(None)
    from api import clinic

    plan = clinic.DayPlan(day_of(None, settings), seed=seed, rooms=rooms)
    guarded(clinic.live(settings, plan, base_url=to, speed=speed), server=to, lasting=True)
