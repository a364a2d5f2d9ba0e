"""`jumeau show`: the twins that the journal remembers, now or as they were known at a past instant."""

import json
from typing import Annotated

import typer

from api.commands.common import ConfigOption, Exit, JsonOption, fail, guarded, settings_of

show_app = typer.Typer(
    help="The twins that the journal remembers, now or as they were known then.", no_args_is_help=True
)
AtOption = Annotated[
    str | None, typer.Option("--at", help="A past instant with its offset, such as 2026-11-24T10:30+01:00.")
]


@show_app.command("suite")
def show_suite(at: AtOption = None, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Rooms with their lists, and the day in figures."""
    settings = settings_of(config)
    from api import show

    told = guarded(show.suite(settings, at), server="none")
    typer.echo(json.dumps(told.values(), ensure_ascii=False) if as_json else told.text())


@show_app.command("case")
def show_case(
    case_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the case, as in `show suite`.")],
    at: AtOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """One case: its milestones planned, actual and predicted."""
    settings = settings_of(config)
    from api import show

    told = guarded(show.case(settings, case_id, at), server="none")
    if told is None:
        fail(Exit.USAGE, "no case of these days has this id: `jumeau show suite` lists them")
    typer.echo(json.dumps(told.values(), ensure_ascii=False) if as_json else told.text())
