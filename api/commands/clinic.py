"""`jumeau clinic`: the synthetic clinic."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.common import Exit, day_of, fail, guarded, settings_of

clinic_app = typer.Typer(help="The synthetic clinic: make a day, or play it on a FHIR server.", no_args_is_help=True)


@clinic_app.command("generate")
def clinic_generate(
    out: Annotated[Path | None, typer.Option(help="Write files into this folder.")] = None,
    to: Annotated[str | None, typer.Option(help="Load onto this FHIR server (synthetic data!).")] = None,
    day: Annotated[str | None, typer.Option(help="Day to make, such as 2026-11-24. Default: today.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    rooms: Annotated[int, typer.Option(min=1, max=60)] = 14,
) -> None:
    """Make a seeded synthetic day of the reference clinic."""
    if (out is None) == (to is None):
        fail(Exit.USAGE, "say where to: --out DIR or --to URL")
    settings = settings_of(None)
    from api import demo as living

    made = guarded(
        living.generate(settings, living.ClinicPlan(day_of(day, settings), seed=seed, rooms=rooms), out=out, to=to),
        server=to or "none",
    )
    typer.echo(made)


@clinic_app.command("live")
def clinic_live(
    to: Annotated[str, typer.Option(help="FHIR server that holds the generated day.")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
    rooms: Annotated[int, typer.Option(min=1, max=60)] = 14,
    speed: Annotated[float, typer.Option(min=1, max=600)] = 60.0,
) -> None:
    """Play today on a FHIR server, from 07:00 of the site, through its API."""
    settings = settings_of(None)
    from api import demo as living

    plan = living.ClinicPlan(day_of(None, settings), seed=seed, rooms=rooms)
    guarded(living.live(settings, plan, base_url=to, speed=speed), server=to)
