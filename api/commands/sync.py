"""`jumeau sync`: from the FHIR server, or from a folder of files, into the journal and no further."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from api.commands.common import ConfigOption, JsonOption, guarded, settings_of

_EVERY_S = 5.0
"""Between two lines of a log that no terminal shows."""


def sync(
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Read *.ndjson[.gz] and Bundles of this folder, not the server."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read into the journal only: no prediction, nothing is written to the server.

    Files are taken as resources of the settings' server (fhir.base_url).
    """
    settings = settings_of(config)
    from api import loading

    with _shown() as progress:
        work = loading.sync_server(settings) if source is None else loading.load_folder(settings, source, progress)
        told = guarded(work, server=settings.fhir.base_url)
    for note in told.notes:
        typer.echo(note, err=True)
    typer.echo(json.dumps(told.values(), ensure_ascii=False) if as_json else told.text())


@contextmanager
def _shown() -> Iterator[Callable[[int, int, int], None]]:
    """A bar on a terminal, a line now and then in a log; both on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line_now_and_then()
        return
    columns = (BarColumn(), TextColumn("{task.fields[told]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, told="")
        yield lambda resources, done, total: bar.update(
            task, completed=done, total=total, told=f"{resources:,} resources, {_rate(bar, resources):,.0f} a second"
        )


def _rate(bar: "object", resources: int) -> float:
    elapsed = bar.tasks[0].elapsed  # type: ignore[attr-defined]
    return resources / elapsed if elapsed else 0.0


def _line_now_and_then() -> Callable[[int, int, int], None]:
    from twin.timebase import monotonic

    started = last = monotonic()

    def tell(resources: int, done: int, total: int) -> None:
        nonlocal last
        now = monotonic()
        if now - last >= _EVERY_S:
            last = now
            share = f", {done / total:.0%}" if total else ""
            typer.echo(f"{resources} resources{share}, {resources / (now - started):.0f} a second", err=True)

    return tell
