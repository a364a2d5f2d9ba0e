"""The command `jumeau`. Heavy imports wait until a command needs them, so that `--help` answers at once."""

import json
from pathlib import Path
from typing import Annotated

import typer

from api.commands.clinic import clinic_app
from api.commands.common import (
    ConfigOption,
    Exit,
    JsonOption,
    TakeOverOption,
    fail,
    guarded,
    instant_of,
    settings_of,
    taking_over,
)
from api.commands.db import db_app
from api.commands.durations import durations_app
from api.commands.push import push
from api.commands.recalibration import recalibration_app
from api.commands.reproduce import reproduce
from api.commands.score import score
from api.commands.show import show_app
from api.commands.simulate import simulate
from api.commands.sync import sync

app = typer.Typer(
    name="jumeau",
    help="Digital twin of an operating suite, on the hospital's own FHIR server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Settings as they are in force.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(clinic_app, name="clinic")
app.command()(push)
app.add_typer(recalibration_app, name="recalibration")
app.command()(score)
app.command()(reproduce)
app.command()(simulate)
app.add_typer(db_app, name="db")
app.add_typer(show_app, name="show")
app.command()(sync)
app.add_typer(durations_app, name="durations")


def main() -> None:
    """Entry point of the command."""
    app()


def _show_version(*, value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"jumeau {version('jumeau')}")
        raise typer.Exit


@app.callback()
def _jumeau(
    version: Annotated[
        bool, typer.Option("--version", callback=lambda value: _show_version(value=value), is_eager=True)
    ] = False,
) -> None:
    pass


@app.command()
def run(
    once: Annotated[bool, typer.Option("--once", help="Read everything once, predict, write back, and end.")] = False,
    at: Annotated[str | None, typer.Option(help="Take this instant as now, such as 2026-11-24T10:30+01:00.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent; write nothing.")] = False,
    take_over: TakeOverOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Run the whole line once: read, fold, simulate, predict, write back."""
    if not once:
        fail(Exit.USAGE, "say `jumeau run --once`; for a program that lives on: `jumeau serve`")
    settings = taking_over(settings_of(config), take_over=take_over)
    from api import once as line

    report = guarded(
        line.run_once(settings, now=instant_of(at, settings), dry_run=dry_run), server=settings.fhir.base_url
    )
    for warning in report.notes:
        typer.echo(warning, err=True)
    for patch in report.patches:
        typer.echo(json.dumps(patch, ensure_ascii=False), err=as_json)
    typer.echo(json.dumps(report.values(), ensure_ascii=False) if as_json else report.text())
    raise typer.Exit(Exit.FAILED_WRITES if report.failed or report.conflicts else Exit.DONE)


@app.command()
def serve(config: ConfigOption = None) -> None:
    """Live on: follow the FHIR server, predict, write back, and serve the API and the page."""
    settings = settings_of(config)
    from api import serving

    guarded(serving.serve(settings), server=settings.fhir.base_url, lasting=True)


@app.command()
def demo(
    minutes: Annotated[float | None, typer.Option(min=0.1, help="End after this many minutes.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="At the end, check every annotation; exit 1 if wrong.")
    ] = False,
    as_json: JsonOption = False,
    keep: Annotated[Path | None, typer.Option(help="Keep the databases and logs in this folder.")] = None,
    speed: Annotated[float, typer.Option(min=1, max=600, help="Site minutes in a minute.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the clinic's day.")] = 0,
    fhir: Annotated[
        str, typer.Option(help="sekmet, hapi, or the base URL of a test server on this machine.")
    ] = "sekmet",
) -> None:
    """A clinic that lives on a real FHIR server, and its twin: the page is at the address printed first."""
    if check and minutes is None:
        fail(Exit.USAGE, "--check needs --minutes N: it looks at the end")
    settings = settings_of(None)
    from api import demo as living

    plan = living.DemoPlan(minutes=minutes, check=check, keep=keep, speed=speed, seed=seed, fhir=fhir)
    verdict = guarded(living.play(settings, plan), server="the demo's own", lasting=True)
    if verdict is not None:
        typer.echo(json.dumps(verdict.values()) if as_json else verdict.text())
        raise typer.Exit(Exit.DONE if verdict.passed else Exit.CHECK_FAILED)


@app.command("write-back")
def write_back(
    remove: Annotated[bool, typer.Option("--remove", help="Take everything of ours off the server.")] = False,
    take_over: TakeOverOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What is on the server from this installation: take it off again."""
    if not remove:
        fail(Exit.USAGE, "say `jumeau write-back --remove`; predictions are written by `run --once` and `serve`")
    settings = taking_over(settings_of(config), take_over=take_over)
    from api import once as line

    told = guarded(line.remove_all(settings), server=settings.fhir.base_url)
    values = {"removed": told.written, "conflicts": told.conflicts, "failed": told.failed}
    typer.echo(json.dumps(values) if as_json else f"removed from {told.written} resources, {told.failed} failed")
    raise typer.Exit(Exit.FAILED_WRITES if told.failed or told.conflicts else Exit.DONE)


@app.command()
def doctor(
    fhir: Annotated[str | None, typer.Option(help="FHIR server to examine. Default: that of the settings.")] = None,
    try_write: Annotated[
        str | None, typer.Option("--try-write", metavar="TYPE/ID", help="Try writing on this resource, tagged for it.")
    ] = None,
    write_config: Annotated[
        Path | None, typer.Option("--write-config", metavar="FILE", help="Write a starting settings file.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Examine a FHIR server: what it can do, what the line finds on it, and what to do. Writes nothing."""
    settings = settings_of(config)
    from api import doctor as examining

    told = guarded(
        examining.consult(settings, base_url=fhir, try_write=try_write, write_config=write_config),
        server=fhir or settings.fhir.base_url,
    )
    if as_json:
        typer.echo(json.dumps(told.values(), ensure_ascii=False))
    else:
        examining.show(told)
    if write_config is not None:
        typer.echo(f"{write_config} is {'written' if told.settings else 'not written: too little was found'}", err=True)
    if not told.works:
        raise typer.Exit(Exit.CHECK_FAILED if told.reached else Exit.SERVER)


@config_app.command("show")
def config_show(config: ConfigOption = None) -> None:
    """Print the settings in force as JSON; passwords are hidden."""
    typer.echo(json.dumps(settings_of(config).shown(), indent=2, ensure_ascii=False))
