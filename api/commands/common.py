"""What the commands share: exit codes, settings, errors told in one line, instants and days."""

import asyncio
import sys
from collections.abc import Coroutine
from datetime import date, datetime
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from api.settings import Settings

T = TypeVar("T")


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    CHECK_FAILED = 1
    USAGE = 2
    SERVER = 3
    FAILED_WRITES = 4
    INTERRUPTED = 130


ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML). Default: jumeau.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]

TakeOverOption = Annotated[
    bool,
    typer.Option("--take-over", help="Also what other installations wrote: replace it, or with --remove remove it."),
]


def taking_over(settings: "Settings", *, take_over: bool) -> "Settings":
    """The settings with write_back.take_over where the flag is given."""
    told = settings.write_back
    return settings.model_copy(
        update={"write_back": told.model_copy(update={"take_over": take_over or told.take_over})}
    )


def settings_of(config: Path | None) -> "Settings":
    from api.logs import configure
    from api.settings import load
    from twin.errors import SettingsError

    try:
        settings = load(config)
    except SettingsError as error:
        fail(Exit.USAGE, str(error))
    configure(settings.log_level)
    return settings


def guarded(work: Coroutine[Any, Any, T], *, server: str, lasting: bool = False) -> T:
    """Run to the end; an error that a person can act on is one line and an exit code.

    `lasting`: what goes on until a person ends it, so that Ctrl-C is no failure.
    """
    from fhir_adapters.errors import AdapterError, FhirServerError
    from twin.errors import SimulationError, TwinError

    try:
        return asyncio.run(work)
    except FhirServerError as error:
        fail(Exit.SERVER, f"{error}; the server is {server}")
    except SimulationError as error:
        fail(Exit.CHECK_FAILED, str(error))
    except (TwinError, AdapterError) as error:
        fail(Exit.USAGE, str(error))
    except KeyboardInterrupt:
        if lasting:
            raise typer.Exit(Exit.DONE) from None
        fail(Exit.INTERRUPTED, "interrupted")


def fail(code: Exit, message: str) -> NoReturn:
    typer.echo(f"jumeau: {message}", err=True)
    sys.stderr.flush()
    raise typer.Exit(code)


def instant_of(text: str | None, settings: "Settings") -> datetime | None:
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        fail(Exit.USAGE, "--at: give an instant such as 2026-11-24T10:30+01:00")
    return value if value.tzinfo else value.replace(tzinfo=settings.site_options().timezone)


def day_of(text: str | None, settings: "Settings") -> date:
    if text is None:
        from twin.timebase import site_date, wall_now

        return site_date(wall_now(), settings.site_options().timezone)
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(Exit.USAGE, "--day: give a day such as 2026-11-24")
