"""`jumeau push`: what this installation has on the server to be told of changes."""

import json
from typing import Annotated

import typer

from api.commands.common import ConfigOption, Exit, JsonOption, fail, guarded, settings_of


def push(
    remove: Annotated[bool, typer.Option("--remove", help="Take every Subscription of ours off the server.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Subscriptions of this installation on the server: take them off again."""
    if not remove:
        fail(Exit.USAGE, "say `jumeau push --remove`; JUMEAU_PUSH__CALLBACK_URL makes `serve` keep Subscriptions")
    settings = settings_of(config)
    from api import once as line

    removed = guarded(line.remove_subscriptions(settings), server=settings.fhir.base_url)
    typer.echo(json.dumps({"removed": removed}) if as_json else f"removed {removed} Subscriptions")
