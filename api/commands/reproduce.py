"""`jumeau reproduce`: why did you say 10:40 at 08:12?"""

import json
from typing import Annotated

import typer

from api.commands.common import ConfigOption, Exit, JsonOption, guarded, settings_of


def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, as written timelines name it, or `last`.")],
    case: Annotated[str | None, typer.Option("--case", metavar="ID", help="Of this case only.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a past prediction again, bit for bit, from what was known then; exit 1 where it comes out otherwise."""
    settings = settings_of(config)
    from api import reproduce as again

    told = guarded(again.reproduce(settings, run, case), server=settings.fhir.base_url)
    typer.echo(json.dumps(told.values(), ensure_ascii=False) if as_json else told.text())
    raise typer.Exit(Exit.DONE if told.identical else Exit.CHECK_FAILED)
