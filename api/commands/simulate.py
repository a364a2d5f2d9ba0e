"""`jumeau simulate`: what comes of a scenario."""

import json
from pathlib import Path
from typing import Annotated

import typer

from api.commands.common import ConfigOption, Exit, JsonOption, fail, guarded, settings_of


def simulate(
    scenario: Annotated[
        Path | None, typer.Argument(metavar="SCENARIO", help="Scenario file, YAML or JSON: docs/scenarios.md.")
    ] = None,
    as_json: JsonOption = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of scenario files.")] = False,
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

    answer = guarded(simulating.simulate(settings, scenario), server="none")
    if as_json:
        typer.echo(answer.model_dump_json())
        return
    from api.scenarios.table import show

    show(answer)
