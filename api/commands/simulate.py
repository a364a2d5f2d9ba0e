"""`jumeau simulate`: what comes of a scenario."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.common import ConfigOption, Exit, JsonOption, fail, guarded, settings_of

if TYPE_CHECKING:
    from api.simulating import Means


class FileFormat(StrEnum):
    """Of exported tables."""

    CSV = "csv"
    PARQUET = "parquet"


def simulate(
    scenario: Annotated[
        Path | None, typer.Argument(metavar="SCENARIO", help="Scenario file, YAML or JSON: docs/scenarios.md.")
    ] = None,
    as_json: JsonOption = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of scenario files.")] = False,
    workers: Annotated[int, typer.Option(help="Threads that simulate; the numbers are the same with any.")] = 1,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Simulate on a Dask cluster, such as tcp://10.0.0.5:8786.")
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Write all futures: FILE.csv, FILE.parquet, or a folder for all tables."),
    ] = None,
    tables: Annotated[FileFormat, typer.Option(help="Format of the tables in a folder.")] = FileFormat.CSV,
    config: ConfigOption = None,
) -> None:
    """Simulate a scenario: the day as it stands, what goes wrong, and what that changes."""
    if schema:
        from api.scenarios.model import schema as told

        typer.echo(json.dumps(told(), indent=2, ensure_ascii=False))
        return
    if scenario is None:
        fail(Exit.USAGE, "say which: jumeau simulate FILE, a scenario in YAML or JSON (docs/scenarios.md)")
    settings = settings_of(config)
    from api import simulating

    means = guarded(_means(workers, cluster, export, tables=tables), server="none")
    answer = guarded(simulating.simulate(settings, scenario, means), server="none")
    if as_json:
        typer.echo(answer.model_dump_json())
        return
    from api.scenarios.table import show

    show(answer)


async def _means(workers: int, cluster: str | None, export: str | None, *, tables: FileFormat) -> "Means":
    from api.simulating import Means
    from twin.errors import SettingsError
    from twin.simulation.export import Export, Format
    from twin.simulation.sweep import MOST_WORKERS

    if not 1 <= workers <= MOST_WORKERS:
        raise SettingsError(f"--workers: give a number from 1 to {MOST_WORKERS}")
    if export == "":
        raise SettingsError("--export: name a file or a folder")
    target = None if export is None else Export(Path(export), Format(tables))
    return Means(workers, cluster, target, _progress) if sys.stderr.isatty() else Means(workers, cluster, target)


def _progress(done: int, most: int) -> None:
    """One line of a terminal, written over by what comes next."""
    sys.stderr.write(f"{done} of at most {most} futures\x1b[K\r")
    sys.stderr.flush()
